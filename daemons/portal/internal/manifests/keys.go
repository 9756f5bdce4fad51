package manifests

import (
	"context"
	"errors"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrInside says that what rests on a signing key is the office's to know.
var ErrInside = errors.New("manifests: signing keys are the office's")

// reasonMost bounds a reason in characters.
const reasonMost = 2000

// Keys tells the office of the signing keys, and how many readers rest on those that were
// given up. Error: ErrInside.
func (d Desk) Keys(ctx context.Context, who identity.Account) (activation.SigningKeys, error) {
	if report.Outside(who) {
		return activation.SigningKeys{}, ErrInside
	}
	return activation.Keys(ctx, d.DB, clock.Today(d.Office))
}

// MayReissue says whether a role re-issues manifests; the error is a *machine.RoleError.
func MayReissue(role machine.Role) error {
	return activation.Machine.MayEver(activation.VerbReissue, role)
}

// Reissue replaces all manifests that count and were signed by a key that was given up, of
// which there are seen, in one act that leaves one audit row. Errors: form.Faults, those of
// activation.Reissue.
func (d Desk) Reissue(ctx context.Context, who identity.Account, keyID string, seen int, reason string) (done activation.Reissued, err error) {
	if err := MayReissue(who.Role); err != nil {
		return done, err
	}
	var wrong form.Faults
	wrong.Lines("/reason", "Alasan", &reason, reasonMost)
	if reason = strings.TrimSpace(reason); reason == "" && len(wrong) == 0 {
		wrong.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	if err := wrong.Err(); err != nil {
		return done, err
	}
	err = d.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if done, err = activation.Reissue(ctx, tx, keyID, seen, request.Change{Actor: who.Actor(), Reason: reason, OfficeAt: d.Office.Now()}); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "manifests.reissued", Subject: done.Label, Detail: map[string]any{
			"key_id": done.KeyID, "readers": done.Readers, "letters": done.Letters, "held": done.Held, "reason": reason,
		}})
	})
	return done, err
}
