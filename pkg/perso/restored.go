package perso

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// RaiseEpoch makes all numbers from now on differ from those of any epoch up to
// above, and from those given so far: it is called when the database was restored
// from a backup that is older than the cards.
func RaiseEpoch(ctx context.Context, tx *postgres.Tx, above int) (epoch int, err error) {
	if _, err := tx.Exec(ctx, `
		UPDATE number_counter SET epoch = greatest(epoch + 1, $1 + 1, `+presentEpoch+`), timeline = wal_timeline()`, above); err != nil {
		return 0, fmt.Errorf("perso: raising the epoch: %w", err)
	}
	return Epoch(ctx, tx)
}

// RestoredEpoch is the epoch that people raised last after a restore; 0 if the
// database was never restored.
func RestoredEpoch(ctx context.Context, r postgres.Reader) (epoch int, err error) {
	if err := r.Get(ctx, &epoch, `SELECT coalesce(max(epoch), 0) FROM restoration`); err != nil {
		return 0, fmt.Errorf("perso: restorations: %w", err)
	}
	return epoch, nil
}

// Unknown returns those of the attempts that the database has never heard of, or
// not of their intent.
func Unknown(ctx context.Context, r postgres.Reader, ids []string) (lost []string, err error) {
	if err := r.Select(ctx, &lost, `
		SELECT known.id::text FROM unnest($1::uuid[]) AS known (id)
		WHERE NOT EXISTS (SELECT FROM perso_attempt a WHERE a.id = known.id AND a.sealed IS NOT NULL)`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: comparing attempts: %w", err)
	}
	return lost, nil
}

// EpochAfter is Epoch, and whether the database knows the intent of an attempt that a
// station began last; empty for none. A snapshot of a machine, or a dump, that is brought
// back may be on the same timeline: then only this tells.
func EpochAfter(ctx context.Context, r postgres.Reader, attemptID string) (epoch int, known bool, err error) {
	var now struct {
		Epoch int  `db:"epoch"`
		Known bool `db:"known"`
	}
	if err := r.Get(ctx, &now, `
		SELECT coalesce(max(`+presentEpoch+`), 0) AS epoch,
		       $1 = '' OR EXISTS (SELECT FROM perso_attempt WHERE id = nullif($1, '')::uuid AND sealed IS NOT NULL) AS known
		FROM number_counter`, attemptID); err != nil {
		return 0, false, fmt.Errorf("perso: epoch: %w", err)
	}
	return now.Epoch, now.Known, nil
}

// LostAttempt is an attempt that only stations' journals know, as one of them
// knows it.
type LostAttempt struct {
	ID      string    `db:"id"`
	ChipID  string    `db:"chip_id"`
	Station string    `db:"station"`
	Last    string    `db:"last"` // the journal's last word on it
	At      time.Time `db:"at"`
}

// NoteLost keeps what a journal knows of attempts that a restore took away; again
// is no error.
func NoteLost(ctx context.Context, tx *postgres.Tx, all ...LostAttempt) error {
	for _, a := range all {
		if _, err := tx.Exec(ctx, `
			INSERT INTO lost_attempt (id, chip_id, station, last, at) VALUES ($1,$2,$3,$4,$5) ON CONFLICT (id, station) DO NOTHING`,
			a.ID, a.ChipID, a.Station, a.Last, a.At.UTC()); err != nil {
			return fmt.Errorf("perso: noting a lost attempt: %w", err)
		}
	}
	return nil
}

// Forgotten says whether an attempt, whose marker is on a card, was lost by a
// restore: the database was restored, and has not what was written by it. Such a
// card cannot be finished: its secret is gone.
func Forgotten(ctx context.Context, r postgres.Reader, attemptID string) (forgotten bool, err error) {
	if err := r.Get(ctx, &forgotten, `
		SELECT EXISTS (SELECT FROM restoration)
		   AND NOT EXISTS (SELECT FROM perso_attempt WHERE id = $1 AND sealed IS NOT NULL)`, attemptID); err != nil {
		return false, fmt.Errorf("perso: marker: %w", err)
	}
	return forgotten, nil
}
