package masterdata

import (
	"context"
	"errors"
	"time"

	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrNotRecipient says that somebody is not of those to whom cards are handed over.
var ErrNotRecipient = errors.New("masterdata: cards are not handed over to this account's institution")

// Recipient is an institution's key for the secrets of its cards, as it is shown.
type Recipient struct {
	ID            string `json:"id"`
	InstitutionID string `json:"institution_id"`
	Institution   string `json:"institution"`
	Edition       int    `json:"edition"`
	State         string `json:"state"`
	StateLabel    string `json:"state_label"`
	// Recipient and Fingerprint of an offered key are for its own institution only: who
	// confirms it types the fingerprint that was told in another way, and would otherwise
	// copy it from here.
	Recipient   string     `json:"recipient"`
	Fingerprint string     `json:"fingerprint"` // in groups of four
	OfferedBy   string     `json:"offered_by"`
	OfferedAt   time.Time  `json:"offered_at"`
	ConfirmedAt *time.Time `json:"confirmed_at"`
	EndedAt     *time.Time `json:"ended_at"`
	Reason      string     `json:"reason"`
}

func showRecipient(k cardsecret.Key, who identity.Account) Recipient {
	v := Recipient{
		ID: k.ID, InstitutionID: k.InstitutionID, Institution: k.Institution, Edition: k.Edition, State: k.State, StateLabel: cardsecret.StateLabels[k.State],
		Recipient: k.Recipient, Fingerprint: cardsecret.Spell(k.Fingerprint), OfferedBy: k.OfferedBy, OfferedAt: k.OfferedAt,
		ConfirmedAt: k.ConfirmedAt, EndedAt: k.EndedAt, Reason: k.Reason,
	}
	if !report.Outside(who) && k.State == cardsecret.Offered {
		v.Recipient, v.Fingerprint = "", ""
	}
	return v
}

// MayOffer says whether an account's institution is handed cards, so that it has a key
// for their secrets: a produsen, or a dinas (features.md N11). The error is
// ErrNotRecipient.
func MayOffer(who identity.Account) error {
	if who.InstitutionID == nil || who.Role != request.Produsen && who.Role != request.Dinas {
		return ErrNotRecipient
	}
	return nil
}

// Recipients lists the keys: for the office's people all, for others their institution's.
func (d *Desk) Recipients(ctx context.Context, who identity.Account) ([]Recipient, error) {
	list, err := cardsecret.Keys(ctx, d.db, report.Scope(who))
	out := make([]Recipient, len(list))
	for i, k := range list {
		out[i] = showRecipient(k, who)
	}
	return out, err
}

// Recipient reads one as far as somebody may know of it. Error: cardsecret.ErrNotFound.
func (d *Desk) Recipient(ctx context.Context, who identity.Account, id string) (Recipient, error) {
	k, err := cardsecret.GetKey(ctx, d.db, id, report.Scope(who))
	return showRecipient(k, who), err
}

// Escrow is the office's own public key in force, nil while there is none. It is for the
// office's people. Error: ErrForbidden.
func (d *Desk) Escrow(ctx context.Context, who identity.Account) (*cardsecret.Escrow, error) {
	if report.Outside(who) {
		return nil, ErrForbidden
	}
	e, err := cardsecret.EscrowInForce(ctx, d.db)
	if errors.Is(err, cardsecret.ErrNoEscrow) {
		return nil, nil //nolint:nilnil // an office has none before its ceremony
	}
	return &e, err
}

// OfferRecipient writes a public key that one of an institution's own people offers.
// Errors: ErrNotRecipient, form.Faults, which hold nothing of what was typed.
func (d *Desk) OfferRecipient(ctx context.Context, who identity.Account, typed string) (Recipient, error) {
	if err := MayOffer(who); err != nil {
		return Recipient{}, err
	}
	return d.changeRecipient(ctx, who, func(ctx context.Context, tx *postgres.Tx, by cardsecret.Who) (cardsecret.Key, error) {
		return cardsecret.Offer(ctx, tx, *who.InstitutionID, typed, by)
	})
}

// ConfirmRecipient puts a key in force by the fingerprint that its institution told in
// another way. Errors: ErrForbidden, form.Faults, and those of cardsecret.Confirm.
func (d *Desk) ConfirmRecipient(ctx context.Context, who identity.Account, id, fingerprint string) (Recipient, error) {
	if !May(who.Role) {
		return Recipient{}, ErrForbidden
	}
	return d.changeRecipient(ctx, who, func(ctx context.Context, tx *postgres.Tx, by cardsecret.Who) (cardsecret.Key, error) {
		return cardsecret.Confirm(ctx, tx, id, fingerprint, by)
	})
}

// RefuseRecipient refuses a key that was offered. Errors: ErrForbidden, form.Faults, and
// those of cardsecret.Decline.
func (d *Desk) RefuseRecipient(ctx context.Context, who identity.Account, id, reason string) (Recipient, error) {
	if !May(who.Role) {
		return Recipient{}, ErrForbidden
	}
	return d.changeRecipient(ctx, who, func(ctx context.Context, tx *postgres.Tx, by cardsecret.Who) (cardsecret.Key, error) {
		return cardsecret.Decline(ctx, tx, id, reason, by)
	})
}

// EndRecipient gives a key up: its own people one that is offered or in force, the office
// one in force. Errors: ErrForbidden, cardsecret.ErrNotFound, form.Faults, and those of
// cardsecret.GiveUp.
func (d *Desk) EndRecipient(ctx context.Context, who identity.Account, id, reason string) (Recipient, error) {
	k, err := cardsecret.GetKey(ctx, d.db, id, report.Scope(who))
	if err == nil && !May(who.Role) {
		if err = MayOffer(who); !report.Outside(who) {
			err = ErrForbidden
		}
	}
	if err != nil {
		return Recipient{}, err
	}
	return d.changeRecipient(ctx, who, func(ctx context.Context, tx *postgres.Tx, by cardsecret.Who) (cardsecret.Key, error) {
		if k.State == cardsecret.Offered && report.Outside(who) {
			return cardsecret.Withdraw(ctx, tx, id, reason, by)
		}
		return cardsecret.GiveUp(ctx, tx, id, reason, by)
	})
}

// changeRecipient runs a step on a key; its audit row is the package's own.
func (d *Desk) changeRecipient(ctx context.Context, who identity.Account,
	do func(ctx context.Context, tx *postgres.Tx, by cardsecret.Who) (cardsecret.Key, error)) (made Recipient, err error) {
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		k, err := do(ctx, tx, cardsecret.Who{Name: who.Username, At: d.office.Now()})
		made = showRecipient(k, who)
		return err
	})
	return made, err
}
