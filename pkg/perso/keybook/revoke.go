package keybook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Revoked tells whether nothing that the key has signed counts any more.
func (e Entry) Revoked() bool { return e.RevokedAt != nil }

// Revoking is who revokes a key, and why.
type Revoking struct {
	By, With string // two people
	Reason   string // told to everybody who verifies
}

// Revoke revokes a key pair for ever, because somebody else may have it: manifests, lists and
// bundles that it signed count no more, whenever. It is given up with it. Errors: ErrNotFound,
// ErrNotSigning, ErrRevoked, ErrOnePerson, ErrReasonMissing, ErrReasonLong.
func Revoke(ctx context.Context, tx *postgres.Tx, label string, r Revoking, officeAt time.Time) error {
	r.By, r.With, r.Reason = oneLine(r.By), oneLine(r.With), oneLine(r.Reason)
	switch {
	case r.By == "" || r.With == "" || strings.EqualFold(r.By, r.With):
		return ErrOnePerson
	case r.Reason == "":
		return ErrReasonMissing
	case len(r.Reason) > reasonMost:
		return fmt.Errorf("%w: more than %d bytes", ErrReasonLong, reasonMost)
	}
	var e Entry
	err := tx.Get(ctx, &e, `SELECT `+columns+` FROM master_key WHERE label = $1 FOR UPDATE`, label)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("keybook: reading: %w", err)
	case e.PublicKey == nil:
		return fmt.Errorf("%w: %s", ErrNotSigning, label)
	case e.Revoked():
		return fmt.Errorf("%w: %s", ErrRevoked, label)
	}
	id, err := e.KeyID()
	if err != nil {
		return err
	}
	if err := tx.ExecOne(ctx, `
		UPDATE master_key SET revoked_by = $2, revoked_with = $3, revoked_reason = $4, revoked_at = $5,
		       retired_by = coalesce(retired_by, $2), retired_reason = coalesce(retired_reason, $4), retired_at = coalesce(retired_at, $5) WHERE label = $1`,
		label, r.By, r.With, r.Reason, officeAt.UTC()); err != nil {
		return fmt.Errorf("keybook: revoking %s: %w", label, err)
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: r.By, Action: "key.revoked", Subject: label, Detail: map[string]any{
		"key": id, "with": r.With, "reason": r.Reason,
	}})
}

// oneLine is a text as it is told: whoever verifies prints it among lines of his own.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

// reasonMost bounds a reason in bytes, as the revocation list does.
const reasonMost = 128
