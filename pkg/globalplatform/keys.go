package globalplatform

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
)

// ErrKey says that a key is of a size SCP03 does not know, or cannot do what it is asked.
var ErrKey = errors.New("unusable card key")

// Key is one static AES key of a card, known only by what it can do. An
// implementation in a token never shows the value.
type Key interface {
	// Size is the key's length in bytes: 16, 24 or 32.
	Size() int
	// CMAC is the AES-CMAC of data, 16 bytes (SP 800-38B).
	CMAC(ctx context.Context, data []byte) ([]byte, error)
	// EncryptCBC is AES-CBC with a zero IV and without padding; plain is a
	// whole number of blocks (Amendment D 7.2: sensitive data under K-DEK).
	EncryptCBC(ctx context.Context, plain []byte) ([]byte, error)
	// Wrap is the value of another key, encrypted as by EncryptCBC. Keys of 24
	// bytes are filled up to 32 (Amendment D 7.2). ErrKey when the other key
	// cannot be reached by this one.
	Wrap(ctx context.Context, other Key) ([]byte, error)
	// KCV is the key check value: the first three bytes of AES(01 * 16)
	// (GPC 2.3.1 B.6, Amendment D 4.1.5).
	KCV(ctx context.Context) ([]byte, error)
}

// StaticKeys is a card's SCP03 keyset: three keys of one size (Amendment D
// table 6-1).
type StaticKeys struct {
	ENC Key // makes the session encryption key and the card challenge
	MAC Key // makes the session MAC keys
	DEK Key // encrypts keys and other sensitive data that are loaded
}

// KeySource gives the static keys of the card that answered INITIALIZE UPDATE
// with this key diversification data (10 bytes) and key version. StaticKeys is
// the source for a card whose keys are known beforehand.
type KeySource interface {
	KeysFor(ctx context.Context, diversification []byte, version byte) (StaticKeys, error)
}

// KeysFor returns the keys themselves, for any card.
func (k StaticKeys) KeysFor(context.Context, []byte, byte) (StaticKeys, error) { return k, nil }

// valid refuses a missing key and mixed sizes.
func (k StaticKeys) valid() error {
	if k.ENC == nil || k.MAC == nil || k.DEK == nil {
		return fmt.Errorf("%w: keyset is not complete", ErrKey)
	}
	n := k.ENC.Size()
	if n != 16 && n != 24 && n != 32 {
		return fmt.Errorf("%w: %d bytes", ErrKey, n)
	}
	if k.MAC.Size() != n || k.DEK.Size() != n {
		return fmt.Errorf("%w: sizes differ inside a keyset", ErrKey)
	}
	return nil
}

// SoftwareKeys is a keyset in memory: for tests, published vectors and cards
// with well known test keys. The station's keys are in a token.
func SoftwareKeys(enc, mac, dek []byte) (StaticKeys, error) {
	var out StaticKeys
	for _, k := range []struct {
		to    *Key
		value []byte
	}{{&out.ENC, enc}, {&out.MAC, mac}, {&out.DEK, dek}} {
		key, err := NewSoftwareKey(k.value)
		if err != nil {
			return StaticKeys{}, err
		}
		*k.to = key
	}
	return out, out.valid()
}

// SoftwareKey is a Key in memory.
type SoftwareKey struct {
	value []byte
	block cipher.Block
}

// NewSoftwareKey copies value, which is 16, 24 or 32 bytes.
func NewSoftwareKey(value []byte) (*SoftwareKey, error) {
	block, err := aes.NewCipher(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes", ErrKey, len(value))
	}
	return &SoftwareKey{value: append([]byte(nil), value...), block: block}, nil
}

// String hides the value from every formatting verb that asks for text.
func (k *SoftwareKey) String() string { return "card key" }

// GoString hides the value from %#v.
func (k *SoftwareKey) GoString() string { return "card key" }

// Size implements Key.
func (k *SoftwareKey) Size() int { return len(k.value) }

// CMAC implements Key.
func (k *SoftwareKey) CMAC(_ context.Context, data []byte) ([]byte, error) {
	return cmac(k.block, data), nil
}

// EncryptCBC implements Key.
func (k *SoftwareKey) EncryptCBC(_ context.Context, plain []byte) ([]byte, error) {
	if len(plain)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not whole blocks", ErrKey, len(plain))
	}
	out := make([]byte, len(plain))
	// The zero IV is GlobalPlatform's: each block of keys is encrypted once under a DEK.
	cipher.NewCBCEncrypter(k.block, make([]byte, aes.BlockSize)).CryptBlocks(out, plain) //nolint:gosec // see above
	return out, nil
}

// Wrap implements Key for another SoftwareKey.
func (k *SoftwareKey) Wrap(ctx context.Context, other Key) ([]byte, error) {
	o, ok := other.(*SoftwareKey)
	if !ok {
		return nil, fmt.Errorf("%w: a key outside memory cannot be wrapped by one in memory", ErrKey)
	}
	// Any filler will do; random filler keeps equal keys from showing.
	plain := make([]byte, (len(o.value)+aes.BlockSize-1)/aes.BlockSize*aes.BlockSize)
	defer clear(plain)
	if _, err := rand.Read(plain[copy(plain, o.value):]); err != nil {
		return nil, err
	}
	return k.EncryptCBC(ctx, plain)
}

// KCV implements Key.
func (k *SoftwareKey) KCV(ctx context.Context) ([]byte, error) {
	ones := make([]byte, aes.BlockSize)
	for i := range ones {
		ones[i] = 0x01
	}
	out, err := k.EncryptCBC(ctx, ones)
	if err != nil {
		return nil, err
	}
	return out[:3], nil
}
