package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// rightClock is the word of a person that the office clock is right now.
type rightClock struct {
	By, Reason string
}

func (r rightClock) check() error {
	if strings.TrimSpace(r.By) == "" || strings.TrimSpace(r.Reason) == "" {
		return errors.New("sebutkan nama petugas dengan -by dan alasannya dengan -reason; keduanya tercatat")
	}
	return nil
}

func runClock(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("clock", flag.ContinueOnError)
	dbc := owner(fs)
	spec := fs.String("office-clock", "real", "jam kantor yang dipakai daemon: real, atau file:<berkas>")
	right := fs.Bool("right", false, "menyatakan bahwa jam itu sekarang benar; yang dijalankan mendahului jam itu akan dijalankan lagi pada waktunya")
	var word rightClock
	fs.StringVar(&word.By, "by", "", "nama petugas yang menyatakan")
	fs.StringVar(&word.Reason, "reason", "", "alasannya")
	if err := fs.Parse(args); err != nil {
		return err
	}
	office, err := clock.OpenOffice(*spec)
	if err != nil {
		return err
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if !*right {
		return compareClock(ctx, db, office, os.Stdout)
	}
	return setRight(ctx, db, office, word, os.Stdout)
}

// compareClock prints the office clock beside what tells of it.
func compareClock(ctx context.Context, db *postgres.DB, office clock.Office, out io.Writer) error {
	var there time.Time
	if err := db.Get(ctx, &there, `SELECT clock_timestamp()`); err != nil {
		return fmt.Errorf("menanyakan jam basis data: %w", err)
	}
	newest, err := capacity.NewestRun(ctx, db)
	if err != nil {
		return err
	}
	now := office.Now()
	_, err = fmt.Fprintf(out, "jam kantor            %s\njam basis data        %s\n", wib(now), wib(there))
	if newest.IsZero() {
		_, e := fmt.Fprintln(out, "pekerjaan terjadwal   belum pernah dijalankan")
		return errors.Join(err, e)
	}
	_, e := fmt.Fprintf(out, "pekerjaan terjadwal   sudah dijalankan sampai %s\n", wib(newest))
	if err = errors.Join(err, e); newest.Sub(now) <= capacity.Slack {
		return err
	}
	_, e = fmt.Fprintln(out, `
Pekerjaan terjadwal sudah dijalankan mendahului jam kantor. Bila jam kantor salah, betulkan jamnya.
Bila jam kantor sekarang benar dan dahulu yang salah: sifilma clock -right -by <nama> -reason <alasan>`)
	return errors.Join(err, e)
}

// setRight makes good what was done ahead of the office clock.
func setRight(ctx context.Context, db *postgres.DB, office clock.Office, word rightClock, out io.Writer) error {
	if err := word.check(); err != nil {
		return err
	}
	forgotten, now := 0, office.Now()
	if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		calendar, err := capacity.Calendar(ctx, tx)
		if err != nil {
			return err
		}
		newest, err := capacity.NewestRun(ctx, tx)
		if err != nil {
			return err
		}
		if forgotten, err = capacity.SetBack(ctx, tx,
			capacity.PlanInput{Calendar: calendar, OfficeAt: now, Cause: "jam kantor dibetulkan"}, clock.DateOf(now)); err != nil {
			return err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: word.By, Action: "clock.right", Subject: id.String(), Detail: map[string]any{
			"office": now, "newest": newest, "forgotten": forgotten, "reason": word.Reason,
		}})
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Jam kantor %s dinyatakan benar: %d pekerjaan terjadwal akan dijalankan lagi pada waktunya, dan rencana disusun ulang.\n"+
		"Periksa perintah kerja yang sempat ditutup pada /papan; yang perlu dapat dibuka kembali pada harinya.\n", wib(now), forgotten)
	return err
}

func wib(t time.Time) string { return t.In(clock.Jakarta).Format("2006-01-02 15:04:05") + " WIB" }
