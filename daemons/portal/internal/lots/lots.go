// Package lots shows which lots wait for people and has them go on: after their first
// card was looked at, or the cause was found why their cards fail.
package lots

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Hold is a hold in the words of people.
type Hold struct {
	perso.Hold
	KindLabel  string `json:"kind_label"`
	StateLabel string `json:"card_state_label"`
	// Liftable says that somebody may have the lot go on now: its first card is clear,
	// or it is held for another reason.
	Liftable bool `json:"liftable"`
}

func shown(h perso.Hold) Hold {
	return Hold{
		Hold: h, KindLabel: perso.HoldLabels[h.Kind], StateLabel: perso.Machine.Label(h.CardState),
		Liftable: h.LiftedBy == nil && (h.Kind != perso.FirstCardHold || h.CardState == perso.Clear),
	}
}

// May tells whether a role looks after lots.
func May(role machine.Role) bool { return role == request.Operator || role == request.Kasubdit }

// List returns the open holds, oldest first, and behind them the newest lifted ones.
func List(ctx context.Context, rd postgres.Reader) ([]Hold, error) {
	all, err := perso.Holds(ctx, rd)
	if err != nil {
		return nil, err
	}
	out := make([]Hold, len(all))
	for i, h := range all {
		out[i] = shown(h)
	}
	return out, nil
}

// Lift has a lot go on. Errors as of perso.LiftHold.
func Lift(ctx context.Context, db *postgres.DB, office clock.Office, who identity.Account, id, reason string) (out Hold, err error) {
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.LiftHold(ctx, tx, id, perso.Change{Actor: who.Actor(), Reason: reason, OfficeAt: office.Now()})
		out = shown(h)
		return err
	})
	return out, err
}
