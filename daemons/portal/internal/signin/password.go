package signin

import (
	"context"
	"errors"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
)

// NewPassword is what somebody types to change their password (features.md A16).
type NewPassword struct {
	Old          string `json:"old_password"`
	New          string `json:"new_password"`
	Confirmation string `json:"confirmation"`
}

// ChangePassword gives whoever asks the password that they chose and ends their
// other sessions. Errors: form.Faults, ErrTooMany, postgres.ErrStale.
func (d *Door) ChangePassword(r *http.Request, p NewPassword) error {
	ctx, who := r.Context(), Account(r)
	faults := identity.CheckNewPassword(who, p.Old, p.New)
	if p.Confirmation != p.New {
		faults.Add("/confirmation", "differs", "Ulangan kata sandi baru tidak sama dengan kata sandi baru.")
	}
	if p.Old == "" {
		faults.Add("/old_password", "missing", "Kata sandi lama wajib diisi.")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	now := d.clock.Now()
	place := web.ClientIP(r)
	if len(p.Old) > 1000 {
		return wrongOld()
	}
	if !d.limit.Allow(place) {
		return ErrTooMany
	}
	was, err := identity.Authenticate(ctx, d.db, identity.Login{Username: who.Username, Password: p.Old, From: place, Signed: who.Username}, now)
	switch {
	case errors.Is(err, identity.ErrLocked):
		return ErrTooMany
	case errors.Is(err, identity.ErrRefused):
		return wrongOld()
	case errors.Is(err, identity.ErrExpired):
		return form.One("/old_password", "expired", Expired)
	case err != nil:
		return err
	}
	hash, err := identity.HashPassword(ctx, p.New)
	if err != nil {
		return err
	}
	return d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := identity.SetPassword(ctx, tx, was, hash, d.token(r)); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: who.Username, Action: "account.password", Subject: who.ID, Detail: map[string]any{"from": place},
		})
	})
}

// Expired tells the owner of a password for once that it is too old.
const Expired = "Kata sandi sekali masuk ini sudah kedaluwarsa. Mintalah kata sandi sekali masuk yang baru kepada Operator KI, Ditjen Dukcapil."

func wrongOld() error {
	return form.One("/old_password", "wrong", "Kata sandi lama salah.")
}
