package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Desk is the office around a trial.
type Desk struct {
	DB     *postgres.DB
	Office clock.Office
	Serial string // as somebody has read it off the card; empty where the chip holds it
}

// Free implements Office: a trial never consumes a card of somebody.
func (d Desk) Free(ctx context.Context, look sam.Look) error {
	serial := cmp.Or(look.Serial, d.Serial)
	known := fmt.Errorf("kartu %s sudah dikenal kantor; pakai kartu uji", cmp.Or(serial, look.ChipID))
	if _, err := perso.SerialOf(ctx, d.DB, look.ChipID); err == nil {
		return known
	} else if why, refused := perso.RefusedFor(err); !refused {
		return err
	} else if why != perso.SerialUnknown {
		return known
	}
	_, err := perso.Find(ctx, d.DB, perso.Identity{Serial: serial, ChipID: look.ChipID})
	if why, refused := perso.RefusedFor(err); refused && why == perso.Unlisted {
		return nil
	}
	if err != nil && !errors.As(err, new(*perso.Refusal)) {
		return err
	}
	return known
}

// Guard implements Office.
func (d Desk) Guard(chipID string) sam.Guard {
	step := func(do func(ctx context.Context, tx *postgres.Tx) error) func(ctx context.Context) error {
		return func(ctx context.Context) error { return d.DB.InTx(ctx, do) }
	}
	return sam.Guard{
		Before: step(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.CountAuthentication(ctx, tx, chipID, d.Office.Now())
			return err
		}),
		After: step(func(ctx context.Context, tx *postgres.Tx) error {
			return perso.ClearAuthentications(ctx, tx, chipID, d.Office.Now())
		}),
	}
}
