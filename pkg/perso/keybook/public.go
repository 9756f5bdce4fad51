package keybook

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

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
