// Package judge looks at everything that a crash run left behind: what the
// senders were told, what the chips say, the database and its files.
package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/crash/load"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// Verdict counts what must be zero and says what it was.
type Verdict struct {
	Lost, Doubled, Stuck int
	Requests, Cards      int      // requests with a 202; cards that are clear
	Rings                int      // bells that the sweeper rang again
	Desks                []string // what waits for a person who could act, and for whom
	Faults               []string
}

func (v *Verdict) lost(format string, args ...any) {
	v.Lost++
	v.Faults = append(v.Faults, "hilang: "+fmt.Sprintf(format, args...))
}

func (v *Verdict) doubled(format string, args ...any) {
	v.Doubled++
	v.Faults = append(v.Faults, "ganda: "+fmt.Sprintf(format, args...))
}

func (v *Verdict) stuck(format string, args ...any) {
	v.Stuck++
	v.Faults = append(v.Faults, "macet: "+fmt.Sprintf(format, args...))
}

// Good says whether nothing was found.
func (v *Verdict) Good() bool { return v.Lost == 0 && v.Doubled == 0 && v.Stuck == 0 }

type judging struct {
	*Verdict
	dir   string // of the run
	db    *postgres.DB
	chips []control.Chip
	lines []writelog.Line

	emptied  []time.Time
	restored Restored
}

// Judge judges; an error means that it could not look. emptied is when the broker
// lost all it had.
func Judge(ctx context.Context, of *office.Office, w *load.World, emptied []time.Time) (*Verdict, error) {
	return JudgeRestored(ctx, of, w, emptied, Restored{})
}

// JudgeRestored judges an office that was restored from a backup on the way.
func JudgeRestored(ctx context.Context, of *office.Office, w *load.World, emptied []time.Time, restored Restored) (*Verdict, error) {
	db, err := of.DB()
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	j := &judging{Verdict: &Verdict{}, dir: of.Dir, db: db, emptied: emptied, restored: restored}
	// A line of its own: that of the hands is of no use after the end of their work.
	sam, err := client.Dial(ctx, of.VirtualSAM)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sam.Close() }()
	if _, j.chips, err = sam.List(ctx); err != nil {
		return nil, err
	}
	if j.lines, err = writelog.Read(filepath.Join(of.Dir, "virtualsam-writes.jsonl")); err != nil {
		return nil, err
	}
	for _, what := range []func(context.Context) error{
		func(ctx context.Context) error { return j.drops(ctx, w.Drops()) },
		func(ctx context.Context) error { return j.sent(ctx, w.Drops()) },
		func(ctx context.Context) error { return j.answers(ctx, w.Answers()) },
		func(ctx context.Context) error { return j.ends(ctx, w.Failing()) },
		j.cards, j.secrets, j.numbers, j.journals, j.papers, j.texts, j.orders, j.books,
	} {
		if err := what(ctx); err != nil {
			return nil, err
		}
	}
	for _, s := range w.Strange() {
		j.stuck("%s", s)
	}
	return j.Verdict, nil
}

// drops: every 202 is one request, with all its cards; no request is nobody's.
func (j *judging) drops(ctx context.Context, drops []*load.Drop) error {
	var rows []struct {
		Ticket    string `db:"ticket"`
		Reference string `db:"reference"`
		State     string `db:"state"`
		Count     int    `db:"card_count"`
		Listed    int    `db:"listed"`
	}
	if err := j.db.Select(ctx, &rows, `SELECT ticket, reference, state, card_count,
		(SELECT count(*) FROM listed_card l WHERE l.request_id = r.id AND l.replaces IS NULL) AS listed FROM request r`); err != nil {
		return err
	}
	by := map[string][]int{}
	for i, r := range rows {
		by[r.Reference] = append(by[r.Reference], i)
	}
	for _, d := range drops {
		found := by[d.Reference]
		delete(by, d.Reference)
		for _, t := range d.Tickets {
			if t != d.Tickets[0] {
				j.doubled("satu kunci, dua Kode Tiket: %s dan %s", d.Tickets[0], t)
			}
		}
		switch {
		case len(d.Tickets) == 0:
			j.stuck("permohonan %s tidak pernah dijawab", d.Reference)
		case len(found) == 0:
			j.lost("permohonan %s (%s) dijawab 202 dan tidak ada", d.Tickets[0], d.Reference)
		case len(found) > 1:
			j.doubled("permohonan %s ada %d kali", d.Reference, len(found))
		case rows[found[0]].Ticket != d.Tickets[0]:
			j.lost("permohonan %s bernomor %s, dijawab %s", d.Reference, rows[found[0]].Ticket, d.Tickets[0])
		case d.Faulty:
			j.Requests++
			if s := rows[found[0]].State; s != "cancelled" {
				j.lost("permohonan %s dengan nomor seri ganda lolos: %s", d.Tickets[0], s)
			}
		case rows[found[0]].Count != d.Cards || rows[found[0]].Listed != d.Cards:
			j.lost("permohonan %s: %d kartu dikirim, %d dicatat, %d dalam daftar", d.Tickets[0], d.Cards, rows[found[0]].Count, rows[found[0]].Listed)
		default:
			j.Requests++
		}
	}
	for reference := range by {
		j.doubled("permohonan %s tidak dikirim oleh siapa pun", reference)
	}
	return nil
}

// books: the audit chain is whole, nothing waits to be sent, the shelf is empty,
// every history has all its steps.
func (j *judging) books(ctx context.Context) error {
	if _, err := audit.Verify(ctx, j.db); err != nil {
		j.lost("rantai audit: %v", err)
	}
	for what, query := range map[string]string{
		"baris audit belum disegel":          `SELECT count(*) FROM audit WHERE seq IS NULL`,
		"pesan belum terkirim":               `SELECT count(*) FROM outbox WHERE sent_at IS NULL`,
		"keputusan ragu belum diambil":       `SELECT count(*) FROM card_resolution WHERE confirmed_by IS NULL AND voided_at IS NULL`,
		"perintah kerja terbuka tanpa kartu": `SELECT count(*) FROM work_order WHERE state IN ('planned','released','closing')`,
	} {
		var n int
		if err := j.db.Get(ctx, &n, query); err != nil {
			return err
		}
		if n != 0 {
			j.stuck("%d %s", n, what)
		}
	}
	var shelf []string
	if err := j.db.Select(ctx, &shelf, `SELECT concat_ws(' ', consumer, type, subject, reason) FROM shelf WHERE closed_at IS NULL`); err != nil {
		return err
	}
	for _, entry := range shelf {
		j.stuck("di rak: %s", entry)
	}
	var n int
	// A planned work order moves about without a history: it is a forecast.
	if err := j.db.Get(ctx, &n, `SELECT count(*) FROM (SELECT machine, subject FROM history WHERE machine <> 'work_order' GROUP BY 1, 2 HAVING count(*) <> max(version) OR count(DISTINCT version) <> count(*) OR min(version) <> 1) x`); err != nil {
		return err
	}
	if n != 0 {
		j.lost("%d riwayat tidak lengkap", n)
	}
	for table, machine := range map[string]string{"request": "request", "card": "card", "work_order": "work_order", "handover": "handover", "document": "document"} {
		if err := j.db.Get(ctx, &n, `SELECT count(*) FROM `+table+` t WHERE NOT EXISTS
			(SELECT FROM history h WHERE h.machine = $1 AND h.subject = t.id AND h.to_state = t.state
			 AND (h.version = t.version OR $1 = 'work_order'))`, machine); err != nil {
			return err
		}
		if n != 0 {
			j.lost("%d baris %s tanpa riwayat keadaannya", n, table)
		}
	}
	return j.rings()
}

// rings reads from the logs which bells were rung again; the table forgets. A
// broker keeps what it has confirmed, so only one that came back empty explains a
// lost bell; anything else loses them by itself.
func (j *judging) rings() error {
	paths, err := filepath.Glob(filepath.Join(j.dir, "log", "scheduler*.log"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			var ring struct {
				Time    time.Time `json:"time"`
				Message string    `json:"message"`
				Type    string    `json:"type"`
				Subject string    `json:"subject"`
				Since   time.Time `json:"since"`
			}
			if json.Unmarshal(line, &ring) != nil || ring.Message != "a bell seems lost; rung again" {
				continue // cut off by a kill, or of something else
			}
			j.Rings++
			if !slices.ContainsFunc(j.emptied, func(at time.Time) bool { return at.After(ring.Since) && at.Before(ring.Time) }) {
				j.lost("bel %s %s tidak sampai, dan broker tidak pernah kosong sejak %s", ring.Type, ring.Subject, ring.Since.Format(time.TimeOnly))
			}
		}
	}
	return nil
}

// AtRest says whether no message waits and every audit row is sealed.
func AtRest(ctx context.Context, of *office.Office) bool {
	db, err := of.DB()
	if err != nil {
		return false
	}
	defer func() { _ = db.Close() }()
	var n int
	err = db.Get(ctx, &n, `SELECT (SELECT count(*) FROM outbox WHERE sent_at IS NULL) + (SELECT count(*) FROM audit WHERE seq IS NULL)
		+ (SELECT count(*) FROM work_order WHERE state IN ('planned','released','closing'))`)
	return err == nil && n == 0
}
