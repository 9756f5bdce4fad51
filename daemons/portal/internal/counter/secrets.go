package counter

import (
	"context"
	"fmt"
	"slices"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// VerbSecrets is taking the files by which a produsen uses its cards.
const VerbSecrets machine.Verb = "take_secrets"

// MaySecrets says whether a role takes them: those whom the cards are for, and nobody of
// the office. The error is a *machine.RoleError.
func MaySecrets(role machine.Role) error {
	if role != request.Produsen && role != request.Dinas {
		return &machine.RoleError{Machine: handover.Machine.Name, Verb: VerbSecrets, Role: role}
	}
	return nil
}

// handedOver are the states in which the cards are in the produsen's hands.
var handedOver = []machine.State{handover.Delivered, handover.Received, handover.Closed}

// Secrets packs the files of a handover's cards for a person of the produsen, and notes
// who took them before a byte goes out. Nothing is given before the cards changed hands.
// Errors: handover.ErrNotFound, request.ErrNotFound, *machine.RoleError,
// *machine.IllegalError, cardsecret.ErrNotFound.
func (d Desk) Secrets(ctx context.Context, who identity.Account, id string) (*cardsecret.Bundle, error) {
	h, err := handover.Get(ctx, d.DB, id)
	if err == nil {
		err = known(ctx, d.DB, who, h.RequestID)
	}
	if err == nil {
		err = MaySecrets(who.Role)
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(handedOver, h.State) {
		return nil, &machine.IllegalError{Machine: handover.Machine.Name, From: h.State, Verb: VerbSecrets}
	}
	of, err := request.Get(ctx, d.DB, h.RequestID)
	if err != nil {
		return nil, err
	}
	b, err := cardsecret.Pack(ctx, d.DB, h.ID, h.RequestID, fmt.Sprintf("rahasia-kartu-%s-serah-terima-%d.zip", of.Ticket, h.Ordinal), h.CreatedAt)
	if err != nil {
		return nil, err
	}
	return b, d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return b.Take(ctx, tx, who.Name, cardsecret.Who{Name: who.Username, At: d.Office.Now()})
	})
}
