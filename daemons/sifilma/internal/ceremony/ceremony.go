// Package ceremony brings the office's keys into the token and shows that they are
// there: keys that the token makes, keys that custodians bring as components, the paper
// about it, and the proof that a backup token holds the same.
package ceremony

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Labels of the keys that the perso station uses.
const (
	TransportMaster = "sam-transport-master" // opens cards as the chip maker delivers them
	FinalMaster     = "sam-final-master"     // opens personalised cards
	SecretWrap      = "sam-secret-wrap"      // seals what is needed to resume a card
)

// ManifestSigning is the name of the key pair that signs manifests. It does not belong
// with the others: a token of its own keeps them away from the process that signs.
const ManifestSigning = "manifest-signing"

var first = []string{TransportMaster, FinalMaster, SecretWrap}

// Kind is the cipher and length of a key.
type Kind struct {
	Algorithm pkcs11.Algorithm
	Bits      int // parity bits of DES counted
}

// Kinds are the kinds of keys by the names that the command takes.
var Kinds = map[string]Kind{
	"aes128": {pkcs11.AES, 128}, "aes192": {pkcs11.AES, 192}, "aes256": {pkcs11.AES, 256},
	"2tdea": {pkcs11.DES, 128}, "3tdea": {pkcs11.DES, 192},
	"p256": {pkcs11.EC, 256},
}

// String names the kind as papers do.
func (k Kind) String() string {
	switch k.Algorithm {
	case pkcs11.DES:
		return fmt.Sprintf("%dTDEA", k.Bits/64)
	case pkcs11.EC:
		return fmt.Sprintf("P-%d", k.Bits)
	}
	return fmt.Sprintf("AES-%d", k.Bits)
}

// KindOf is the kind of a key in the book.
func KindOf(e keybook.Entry) Kind {
	for _, a := range []pkcs11.Algorithm{pkcs11.DES, pkcs11.EC} {
		if e.Algorithm == a.String() {
			return Kind{a, e.Bits}
		}
	}
	return Kind{pkcs11.AES, e.Bits}
}

// usage is what a master of this kind must be able to do, for every diversification
// that there is for it and for its check value.
func (k Kind) usage() pkcs11.Usage {
	if k.Algorithm == pkcs11.DES {
		return pkcs11.UseMAC | pkcs11.UseEncrypt | pkcs11.UseDerive
	}
	return pkcs11.UseMAC | pkcs11.UseEncrypt
}

func (k Kind) generate(ctx context.Context, t *pkcs11.Token, label string) (*pkcs11.Key, error) {
	if k.Algorithm == pkcs11.DES {
		return t.GenerateDES(ctx, label, k.Bits, k.usage())
	}
	return t.GenerateAES(ctx, label, k.Bits, k.usage())
}

func (k Kind) store(ctx context.Context, t *pkcs11.Token, label string, value []byte) (*pkcs11.Key, error) {
	if k.Algorithm == pkcs11.DES {
		return t.ImportDES(ctx, label, value, k.usage())
	}
	return t.ImportAES(ctx, label, value, k.usage())
}

// check is the check value of a component or key that is not stored: the token
// computes it with a key that lives for this moment.
func (k Kind) check(ctx context.Context, t *pkcs11.Token, value []byte) (string, error) {
	put := t.TransientAES
	if k.Algorithm == pkcs11.DES {
		put = t.TransientDES
	}
	key, err := put(ctx, value, pkcs11.UseEncrypt)
	if err != nil {
		return "", err
	}
	kcv, err := key.KCV(ctx)
	return fmt.Sprintf("%X", kcv), errors.Join(err, key.Close())
}

// Key is a key in a token as the ceremony's record tells of it: the check value
// identifies a key without telling it.
type Key struct {
	Label      string
	Kind       Kind
	KCV        string
	Made       bool // by this call
	Origin     keybook.Origin
	Custodians []string // roles
	// Public is the public key of a key pair (SubjectPublicKeyInfo in DER, RFC 5280
	// section 4.1); nil for other keys.
	Public []byte
}

// Look reads what a token says of a key that it has. Errors: pkcs11.ErrKeyNotFound, and
// one when the token would give the key out.
func Look(ctx context.Context, t *pkcs11.Token, label string) (Key, error) {
	k, err := t.FindKey(ctx, label)
	if errors.Is(err, pkcs11.ErrKeyNotFound) {
		pair, err := t.FindSigning(ctx, label)
		if err != nil {
			return Key{}, fmt.Errorf("ceremony: %s: %w", label, err)
		}
		return lookPair(ctx, pair)
	}
	if err != nil {
		return Key{}, fmt.Errorf("ceremony: %s: %w", label, err)
	}
	return look(ctx, k)
}

func look(ctx context.Context, k *pkcs11.Key) (Key, error) {
	out := Key{Label: k.Label(), Kind: Kind{k.Algorithm(), 8 * k.Size()}}
	kcv, err := k.KCV(ctx)
	if err != nil {
		return out, fmt.Errorf("ceremony: check value of %s: %w", k.Label(), err)
	}
	out.KCV = fmt.Sprintf("%X", kcv)
	return out, isKept(ctx, k)
}

func isKept(ctx context.Context, k interface {
	Label() string
	Kept(ctx context.Context) (bool, error)
}) error {
	kept, err := k.Kept(ctx)
	if err != nil {
		return fmt.Errorf("ceremony: attributes of %s: %w", k.Label(), err)
	}
	if !kept {
		return fmt.Errorf("ceremony: kunci %s tidak dijaga oleh token: nilainya dapat dikeluarkan", k.Label())
	}
	return nil
}

// Generate makes, inside the token, each of the station's keys that is not there yet:
// AES-256, never to leave it.
func Generate(ctx context.Context, t *pkcs11.Token) ([]Key, error) {
	var record []Key
	for _, label := range first {
		k, err := GenerateOne(ctx, t, label, Kinds["aes256"])
		if err != nil {
			return nil, err
		}
		record = append(record, k)
	}
	return record, nil
}

// GenerateOne makes one key inside the token, if its label is free.
func GenerateOne(ctx context.Context, t *pkcs11.Token, label string, kind Kind) (Key, error) {
	if kind.Algorithm == pkcs11.EC {
		return generatePair(ctx, t, label)
	}
	made := false
	k, err := t.FindKey(ctx, label)
	if errors.Is(err, pkcs11.ErrKeyNotFound) {
		made = true
		k, err = kind.generate(ctx, t, label)
	}
	if err != nil {
		return Key{}, fmt.Errorf("ceremony: %s: %w", label, err)
	}
	out, err := look(ctx, k)
	out.Made, out.Origin = made, keybook.Generated
	return out, err
}
