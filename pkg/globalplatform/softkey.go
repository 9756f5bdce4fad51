package globalplatform

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"fmt"
)

// SoftwareKeys is an AES keyset in memory: for tests, published vectors and
// cards with well known test keys. A station's keys are in a token.
func SoftwareKeys(enc, mac, dek []byte) (StaticKeys, error) {
	return softwareKeys(NewSoftwareKey, enc, mac, dek)
}

// SoftwareDESKeys is SoftwareKeys for triple DES keys.
func SoftwareDESKeys(enc, mac, dek []byte) (StaticKeys, error) {
	return softwareKeys(NewSoftwareDESKey, enc, mac, dek)
}

func softwareKeys(one func([]byte) (*SoftwareKey, error), enc, mac, dek []byte) (StaticKeys, error) {
	var out StaticKeys
	for _, k := range []struct {
		to    *Key
		value []byte
	}{{&out.ENC, enc}, {&out.MAC, mac}, {&out.DEK, dek}} {
		key, err := one(k.value)
		if err != nil {
			return StaticKeys{}, err
		}
		*k.to = key
	}
	return out, out.valid()
}

// SoftwareKey is a Key in memory.
type SoftwareKey struct {
	algorithm Algorithm
	value     []byte
	block     cipher.Block
}

// NewSoftwareKey is an AES key; it copies value, which is 16, 24 or 32 bytes.
func NewSoftwareKey(value []byte) (*SoftwareKey, error) { return newSoftwareKey(AES, value) }

// NewSoftwareDESKey is a triple DES key; it copies value, which is 16 or 24
// bytes. Parity bits are kept as they are and mean nothing.
func NewSoftwareDESKey(value []byte) (*SoftwareKey, error) { return newSoftwareKey(DES, value) }

func newSoftwareKey(algorithm Algorithm, value []byte) (*SoftwareKey, error) {
	if err := algorithm.check(len(value)); err != nil {
		return nil, err
	}
	k := &SoftwareKey{algorithm: algorithm, value: append([]byte(nil), value...)}
	var err error
	if algorithm == AES {
		k.block, err = aes.NewCipher(value)
	} else {
		whole := append(append(make([]byte, 0, 32), value...), value[:8]...) // K1 K2 K1
		k.block, err = des.NewTripleDESCipher(whole[:24])
		clear(whole)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s, %d bytes", ErrKey, algorithm, len(value))
	}
	return k, nil
}

// String hides the value from every formatting verb that asks for text.
func (k *SoftwareKey) String() string { return "card key" }

// GoString hides the value from %#v.
func (k *SoftwareKey) GoString() string { return "card key" }

// Close overwrites the value. The key must not be used any more.
func (k *SoftwareKey) Close() error {
	clear(k.value)
	return nil
}

// Algorithm implements Key.
func (k *SoftwareKey) Algorithm() Algorithm { return k.algorithm }

// Size implements Key.
func (k *SoftwareKey) Size() int { return len(k.value) }

// CMAC implements Key.
func (k *SoftwareKey) CMAC(_ context.Context, data []byte) ([]byte, error) {
	return cmac(k.block, data), nil
}

// EncryptCBC implements Key.
func (k *SoftwareKey) EncryptCBC(_ context.Context, plain []byte) ([]byte, error) {
	if err := k.whole(plain); err != nil {
		return nil, err
	}
	return cbc(k.block, make([]byte, k.block.BlockSize()), plain), nil
}

// EncryptData implements Key.
func (k *SoftwareKey) EncryptData(ctx context.Context, plain []byte) ([]byte, error) {
	if k.algorithm == AES {
		return k.EncryptCBC(ctx, plain)
	}
	if err := k.whole(plain); err != nil {
		return nil, err
	}
	out := make([]byte, len(plain))
	for i := 0; i < len(plain); i += des.BlockSize {
		k.block.Encrypt(out[i:], plain[i:])
	}
	return out, nil
}

func (k *SoftwareKey) whole(plain []byte) error {
	if len(plain)%k.block.BlockSize() != 0 {
		return fmt.Errorf("%w: %d bytes are not whole blocks", ErrKey, len(plain))
	}
	return nil
}

// Wrap implements Key for another SoftwareKey.
func (k *SoftwareKey) Wrap(ctx context.Context, other Key) ([]byte, error) {
	o, ok := other.(*SoftwareKey)
	if !ok {
		return nil, fmt.Errorf("%w: a key outside memory cannot be wrapped by one in memory", ErrKey)
	}
	// Random filler keeps equal keys from showing.
	n := k.block.BlockSize()
	plain := make([]byte, (len(o.value)+n-1)/n*n)
	defer clear(plain)
	if _, err := rand.Read(plain[copy(plain, o.value):]); err != nil {
		return nil, err
	}
	return k.EncryptData(ctx, plain)
}

// Derive implements Key.
func (k *SoftwareKey) Derive(ctx context.Context, data []byte) (Key, error) {
	value, err := k.EncryptCBC(ctx, data)
	if err != nil {
		return nil, err
	}
	defer clear(value)
	return newSoftwareKey(k.algorithm, value)
}

// KCV implements Key.
func (k *SoftwareKey) KCV(context.Context) ([]byte, error) {
	block := make([]byte, k.block.BlockSize())
	if k.algorithm == AES {
		for i := range block {
			block[i] = 0x01
		}
	}
	k.block.Encrypt(block, block)
	return block[:3], nil
}
