package ceremony

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// generatePair makes a key pair inside the token, if its label is free.
func generatePair(ctx context.Context, t *pkcs11.Token, label string) (Key, error) {
	made := false
	pair, err := t.FindSigning(ctx, label)
	if errors.Is(err, pkcs11.ErrKeyNotFound) {
		made = true
		pair, err = t.GenerateSigning(ctx, label)
	}
	if err != nil {
		return Key{}, fmt.Errorf("ceremony: %s: %w", label, err)
	}
	out, err := lookPair(ctx, pair)
	out.Made, out.Origin = made, keybook.Generated
	return out, err
}

func lookPair(ctx context.Context, pair *pkcs11.SigningKey) (Key, error) {
	der, check, err := public(pair.Public())
	if err != nil {
		return Key{}, err
	}
	return Key{Label: pair.Label(), Kind: Kinds["p256"], KCV: check[:6], Public: der}, isKept(ctx, pair)
}

// public is a public key in DER, and its SHA-256 in hexadecimal. A key pair has no check
// value; the first six digits of that hash stand for it in the book.
func public(key *ecdsa.PublicKey) (der []byte, sum string, err error) {
	if der, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return nil, "", fmt.Errorf("ceremony: public key: %w", err)
	}
	return der, fmt.Sprintf("%X", sha256.Sum256(der)), nil
}

// answerPair is the answer of a key pair to a challenge: finding it has it sign, so the
// whole hash of the public key shows which private key the token holds.
func answerPair(ctx context.Context, t *pkcs11.Token, label string) (Answer, error) {
	pair, err := t.FindSigning(ctx, label)
	if err != nil {
		return Answer{}, err
	}
	if err := isKept(ctx, pair); err != nil {
		return Answer{}, err
	}
	_, sum, err := public(pair.Public())
	if err != nil {
		return Answer{}, err
	}
	return Answer{Kinds["p256"].String(), sum[:6], sum}, nil
}
