package keybook

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// PublicKeys are those of key pairs in the book, all versions: what they signed is still
// verified.
func PublicKeys(entries []Entry) (sealed.Keys, error) {
	var all []*ecdsa.PublicKey
	for _, e := range entries {
		key, err := x509.ParsePKIXPublicKey(e.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("keybook: public key of %s: %w", e.Label, err)
		}
		public, ok := key.(*ecdsa.PublicKey)
		if !ok {
			return nil, fmt.Errorf("keybook: public key of %s: %w", e.Label, sealed.ErrForm)
		}
		all = append(all, public)
	}
	return sealed.NewKeys(all...)
}
