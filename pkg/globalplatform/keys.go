package globalplatform

import (
	"context"
	"errors"
	"fmt"
)

// ErrKey says that a key is of a kind or size the protocol does not know, or cannot do
// what it is asked.
var ErrKey = errors.New("unusable card key")

// Algorithm is the block cipher of a key.
type Algorithm byte

// Algorithms. DES is always triple DES, with two or three keys.
const (
	AES Algorithm = 1 + iota
	DES
)

// String is the name of the cipher.
func (a Algorithm) String() string {
	switch a {
	case AES:
		return "AES"
	case DES:
		return "DES"
	}
	return "unknown cipher"
}

// check says whether a key of this many bytes exists.
func (a Algorithm) check(size int) error {
	switch {
	case a == AES && (size == 16 || size == 24 || size == 32):
	case a == DES && (size == 16 || size == 24):
	default:
		return fmt.Errorf("%w: %s, %d bytes", ErrKey, a, size)
	}
	return nil
}

// Key is one key of a card, known only by what it can do. An implementation in
// a token never shows the value.
type Key interface {
	// Algorithm is the key's cipher.
	Algorithm() Algorithm
	// Size is the key's length in bytes: 16, 24 or 32 for AES, 16 or 24 for DES.
	Size() int
	// CMAC is the CMAC of data under the key's cipher, one block (SP 800-38B).
	CMAC(ctx context.Context, data []byte) ([]byte, error)
	// EncryptCBC is CBC with a zero IV and without padding; plain is a whole
	// number of blocks.
	EncryptCBC(ctx context.Context, plain []byte) ([]byte, error)
	// EncryptData is the encryption of sensitive data under a data encryption
	// key: CBC with a zero IV for AES (Amendment D 6.2.8), ECB for DES (GPC
	// 2.3.1 E.4.7). Plain is a whole number of blocks.
	EncryptData(ctx context.Context, plain []byte) ([]byte, error)
	// Wrap is the value of another key, encrypted as by EncryptData and filled up
	// to whole blocks with arbitrary bytes (Amendment D 6.2.8). ErrKey when the
	// other key cannot be reached by this one.
	Wrap(ctx context.Context, other Key) ([]byte, error)
	// Derive is the key of the same cipher whose value is EncryptCBC(data): the
	// session data encryption key of SCP02 (GPC 2.3.1 E.4.1). When the result is
	// an io.Closer, the session closes it at its end. Only DES keys need it.
	Derive(ctx context.Context, data []byte) (Key, error)
	// KCV is the key check value: the first three bytes of the encryption of a
	// block of 01 for AES, of 00 for DES (GPC 2.3.1 B.6, Amendment D 7.2.2).
	KCV(ctx context.Context) ([]byte, error)
}

// StaticKeys is a card's keyset: three keys of one cipher and size (GPC 2.3.1
// table E-3, Amendment D table 6-1).
type StaticKeys struct {
	ENC Key // makes the session encryption key
	MAC Key // makes the session MAC keys
	DEK Key // encrypts, itself or by a session key, keys and data that are loaded
}

// KeySource gives the static keys of the card that answered INITIALIZE UPDATE
// with this key diversification data (10 bytes) and key version. StaticKeys is
// the source for a card whose keys are known beforehand.
type KeySource interface {
	KeysFor(ctx context.Context, diversification []byte, version byte) (StaticKeys, error)
}

// KeysFor returns the keys themselves, for any card.
func (k StaticKeys) KeysFor(context.Context, []byte, byte) (StaticKeys, error) { return k, nil }

// valid refuses a missing key, and ciphers and sizes that are mixed.
func (k StaticKeys) valid() error {
	if k.ENC == nil || k.MAC == nil || k.DEK == nil {
		return fmt.Errorf("%w: keyset is not complete", ErrKey)
	}
	for _, other := range []Key{k.MAC, k.DEK} {
		if other.Algorithm() != k.ENC.Algorithm() || other.Size() != k.ENC.Size() {
			return fmt.Errorf("%w: ciphers or sizes differ inside a keyset", ErrKey)
		}
	}
	return k.ENC.Algorithm().check(k.ENC.Size())
}
