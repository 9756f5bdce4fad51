package planner

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

const (
	sweepEvery = 30 * time.Second
	// patience is how long a bell may take to be answered. It is the least time
	// between two rings for the same subject too.
	patience = 2 * time.Minute
	// sweepMost bounds one sweep; the next one goes on.
	sweepMost = 200
	// sweepLock is held by the one scheduler that sweeps.
	sweepLock = 0x53464d53 // "SFMS"
)

// overdue are requests whose bell should have been answered by now. Only the
// bells without which a request stands still are here: stations and the
// document generator look by themselves.
const overdue = `
	SELECT r.id, r.version,
	       CASE r.state WHEN 'rejected' THEN 'request.cancelled' WHEN 'in_progress' THEN 'workorder.finished'
	                    ELSE 'request.' || r.state END AS type,
	       CASE r.state WHEN 'in_progress' THEN last.id ELSE r.id END AS subject
	FROM request r
	CROSS JOIN LATERAL (SELECT max(h.at) AS at FROM history h WHERE h.request_id = r.id) AS moved
	LEFT JOIN LATERAL (SELECT o.id FROM work_order o WHERE o.request_id = r.id ORDER BY o.day DESC, o.id DESC LIMIT 1) AS last ON true
	WHERE moved.at < now() - make_interval(secs => $1)
	  AND (r.state IN ('submitted', 'resubmitted', 'accepted')
	       OR r.state IN ('cancelled', 'rejected', 'held')
	          AND EXISTS (SELECT FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned', 'released'))
	       OR r.state = 'in_progress' AND last.id IS NOT NULL
	          AND NOT EXISTS (SELECT FROM card c WHERE c.request_id = r.id AND c.state IN
	              ('listed', 'bound', 'numbered', 'claimed', 'writing', 'written', 'verified', 'in_doubt')))
	ORDER BY r.id`

// Sweep rings again for requests that nobody has looked at for longer than
// after, so that even an emptied broker loses nothing. Those that already have a
// bell on its way, or lie on the shelf for a person, are left alone. It returns
// how many it rang for.
func Sweep(ctx context.Context, db *postgres.DB, after time.Duration) (rung int, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		rung = 0
		var mine bool
		if err := tx.Get(ctx, &mine, `SELECT pg_try_advisory_xact_lock($1)`, sweepLock); err != nil || !mine {
			return err
		}
		var late []struct {
			ID      string `db:"id"`
			Version int64  `db:"version"`
			Type    string `db:"type"`
			Subject string `db:"subject"`
		}
		if err := tx.Select(ctx, &late, `
			SELECT late.* FROM (`+overdue+`) AS late
			WHERE NOT EXISTS (SELECT FROM outbox b WHERE b.subject = late.subject AND b.type = late.type
			                  AND (b.sent_at IS NULL OR b.sent_at > now() - make_interval(secs => $1)))
			  AND NOT EXISTS (SELECT FROM shelf s WHERE s.subject = late.subject AND s.type = late.type AND s.closed_at IS NULL)
			LIMIT $2`, after.Seconds(), sweepMost); err != nil {
			return fmt.Errorf("planner: looking for overdue requests: %w", err)
		}
		var again []outbox.Message
		for _, l := range late {
			if l.Type == rabbit.WorkorderFinished {
				if done, err := perso.Complete(ctx, tx, l.ID); err != nil {
					return err
				} else if !done {
					continue // it waits for people
				}
			}
			again = append(again, outbox.Message{Type: l.Type, Subject: l.Subject, Version: l.Version, Request: l.ID})
		}
		rung = len(again)
		return outbox.Put(ctx, tx, again...)
	})
	return rung, err
}

func (k *Keeper) sweep(ctx context.Context) error {
	rung, err := Sweep(ctx, k.db, patience)
	if rung > 0 {
		k.log.Warn().Int("requests", rung).Msg("bells were not answered; they are rung again")
	}
	return err
}
