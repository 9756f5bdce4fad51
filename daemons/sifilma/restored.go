package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/restored"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func runRestored(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("restored", flag.ContinueOnError)
	dbc := owner(fs)
	var o restored.Order
	fs.StringVar(&o.By, "by", "", "nama petugas yang memulihkan")
	fs.StringVar(&o.Reason, "reason", "", "alasan pemulihan")
	at := fs.String("at", "", "saat pemulihan (RFC 3339); bawaan: saat transaksi terakhir yang ada")
	fs.IntVar(&o.Above, "above", 0, "epoch tertinggi yang diketahui pernah dipakai")
	fs.Int64Var(&o.Tickets, "tickets", 10000, "banyaknya nomor urut Kode Tiket yang dilewati")
	fs.IntVar(&o.Papers, "papers", 1000, "banyaknya nomor surat yang dilewati, tiap pola")
	lists := fs.String("revocations", "", "`berkas` daftar pencabutan yang terakhir terbit (pencabutan.jws); sesudah pemulihan dicatat")
	none := fs.Bool("no-later-list", false, "menyatakan bahwa sesudah saat pemulihan tidak ada daftar pencabutan yang terbit; -by dan -reason wajib")
	reportOnly := fs.Bool("report", false, "hanya mencetak daftar yang harus ditindaklanjuti")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *at != "" {
		var err error
		if o.At, err = time.Parse(time.RFC3339, *at); err != nil {
			return fmt.Errorf("-at: %w", err)
		}
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	switch {
	case *lists != "" && *none:
		return errors.New("-revocations dan -no-later-list tidak bersama-sama")
	case *lists != "":
		token, err := os.ReadFile(*lists)
		if err != nil {
			return err
		}
		return restored.Lists(ctx, db, token, o.By, o.Reason, os.Stdout)
	case *none:
		return restored.NoLists(ctx, db, o.By, o.Reason, os.Stdout)
	}
	if !*reportOnly {
		if err := restored.Raise(ctx, db, o); err != nil {
			return err
		}
	}
	return restored.Report(ctx, db, os.Stdout)
}
