package keybook

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// Settling is how long after a key pair was given up its last signatures may be dated: one
// was being made at that moment, and two computers' clocks differ.
const Settling = time.Hour

// PublicKeys are those of key pairs in the book, all versions: what they signed before they
// were given up is still verified, and what a revoked one signed is not.
func PublicKeys(entries []Entry) (sealed.Keys, error) {
	all := make([]sealed.Key, len(entries))
	for i, e := range entries {
		public, err := e.public()
		if err != nil {
			return nil, err
		}
		all[i].Public = public
		if e.Retired() {
			all[i].Ends = e.RetiredAt.Add(Settling).UTC().Truncate(time.Second)
		}
		if e.Revoked() {
			all[i].Revoked = &sealed.Revocation{At: e.RevokedAt.UTC().Truncate(time.Second), Reason: *e.RevokedReason}
		}
	}
	return sealed.Collect(all...)
}

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
	r.By, r.With, r.Reason = strings.Join(strings.Fields(r.By), " "), strings.Join(strings.Fields(r.With), " "), strings.TrimSpace(r.Reason)
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

// reasonMost bounds a reason in bytes, as the revocation list does.
const reasonMost = 128

// KeyID is the thumbprint of a key pair's public key, see sealed.KeyID: the name by which
// what it signed knows it.
func (e Entry) KeyID() (string, error) {
	public, err := e.public()
	if err != nil {
		return "", err
	}
	return sealed.KeyID(public), nil
}

func (e Entry) public() (*ecdsa.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(e.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("keybook: public key of %s: %w", e.Label, err)
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("keybook: public key of %s: %w", e.Label, sealed.ErrForm)
	}
	return public, nil
}

// InForce is the key pair that signs: of versions of one name, as Signing returns them, the
// newest that was not given up.
func InForce(entries []Entry) (e Entry, ok bool) {
	for _, one := range slices.Backward(entries) {
		if !one.Retired() {
			return one, true
		}
	}
	return e, false
}
