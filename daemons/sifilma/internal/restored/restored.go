// Package restored tells a database that it was restored from a backup: numbers
// go on where none was given before, nobody is logged in any more, and what
// people must look after is listed.
package restored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Order is what a person says about a restore.
type Order struct {
	By, Reason string
	// At is the moment that was restored to; zero for that of the last commit
	// that is there.
	At time.Time
	// Above is an epoch that is known to have been used; 0 if none is.
	Above int
	// Tickets and Papers are how many numbers are left out: more than can have
	// been given after the moment.
	Tickets int64
	Papers  int
}

// ErrOrder says that an order is not complete.
var ErrOrder = errors.New("-by dan -reason wajib diisi; -tickets dan -papers di atas nol")

// Raise carries the order out, in one transaction, before any daemon starts. It
// needs the owner of the schema.
func Raise(ctx context.Context, db *postgres.DB, o Order) error {
	if o.By == "" || o.Reason == "" || o.Tickets <= 0 || o.Papers <= 0 {
		return ErrOrder
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if o.At.IsZero() {
			// Known until the server starts again; then the newest step tells.
			if err := tx.Get(ctx, &o.At, `SELECT coalesce(pg_last_xact_replay_timestamp(),
				(SELECT max(at) FROM history), now())`); err != nil {
				return fmt.Errorf("restored: moment: %w", err)
			}
		}
		epoch, err := perso.RaiseEpoch(ctx, tx, o.Above)
		if err != nil {
			return err
		}
		from, to, err := request.SkipTickets(ctx, tx, o.Tickets)
		if err != nil {
			return err
		}
		needsFrom, needsTo, err := need.SkipNumbers(ctx, tx, o.Tickets)
		if err != nil {
			return err
		}
		readers, err := activation.SkipNumbers(ctx, tx, o.Tickets)
		if err != nil {
			return err
		}
		releasesFrom, releasesTo, err := release.SkipNumbers(ctx, tx, o.Tickets)
		if err != nil {
			return err
		}
		renumbered, err := activation.Renumber(ctx, tx, true)
		if err != nil {
			return err
		}
		lines, err := json.Marshal(renumbered)
		if err != nil {
			return err
		}
		papers, err := letter.SkipNumbers(ctx, tx, o.Papers)
		if err != nil {
			return err
		}
		body, err := json.Marshal(papers)
		if err != nil {
			return err
		}
		if len(papers) == 0 {
			body = []byte("[]")
		}
		if err := tx.ExecOne(ctx, `
			INSERT INTO restoration (id, restored_to, raised_by, reason, epoch, tickets_from, tickets_to, papers_gap, papers, renumbered)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`, id.String(), o.At.UTC(), o.By, o.Reason, epoch, from, to, o.Papers, string(body), string(lines)); err != nil {
			return fmt.Errorf("restored: %w", err)
		}
		if err := identity.EndSessions(ctx, tx); err != nil {
			return err
		}
		if err := feed.EndAll(ctx, tx, o.By, time.Now()); err != nil {
			return err
		}
		// Whoever held these is gone, or of another time.
		for _, q := range []string{`DELETE FROM lease`, `UPDATE outbox SET leased_by = NULL, leased_until = NULL WHERE sent_at IS NULL`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return fmt.Errorf("restored: leases: %w", err)
			}
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: o.By, Action: "database.restored", Subject: id.String(), Detail: map[string]any{
			"restored_to": o.At.UTC(), "reason": o.Reason, "epoch": epoch, "tickets": []int64{from, to}, "needs": []int64{needsFrom, needsTo},
			"activation_tickets": []int64{readers.TicketsFrom, readers.TicketsTo}, "manifests": []int64{readers.ManifestsFrom, readers.ManifestsTo}, "releases": []int64{releasesFrom, releasesTo}, "papers": papers, "renumbered": renumbered,
		}})
	})
}
