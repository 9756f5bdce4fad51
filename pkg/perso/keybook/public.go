package keybook

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"slices"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// PublicKeys are those of key pairs in the book, all versions: what they signed is still
// verified.
func PublicKeys(entries []Entry) (sealed.Keys, error) {
	var all []*ecdsa.PublicKey
	for _, e := range entries {
		public, err := e.public()
		if err != nil {
			return nil, err
		}
		all = append(all, public)
	}
	return sealed.NewKeys(all...)
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
