package pkcs11

import (
	"context"
	"crypto/des"
	"crypto/subtle"
	"fmt"
)

// Purposes of a diversified card key.
const (
	PurposeENC byte = 0x01
	PurposeMAC byte = 0x02
	PurposeDEK byte = 0x03
)

// diversificationLength is the key diversification data that a card gives in its
// answer to INITIALIZE UPDATE.
const diversificationLength = 10

// KDF3 diversifies an AES master key for one card, as GlobalPlatformPro's "kdf3"
// does: SP 800-108 counter mode with AES-CMAC over
// i || 000000 || purpose || 00 || diversification, i from 01. Size is the length
// wanted in bytes: 16, 24 or 32. The result comes out into memory, for one
// card; the caller zeroises it. The master key needs UseMAC and stays inside.
func (k *Key) KDF3(ctx context.Context, purpose byte, diversification []byte, size int) ([]byte, error) {
	if k.algorithm != AES {
		return nil, fmt.Errorf("KDF3: %w: not an AES key", ErrKeyUse)
	}
	if err := AES.check(size); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 2*k.block())
	for i := byte(1); len(out) < size; i++ {
		block, err := k.CMAC(ctx, append([]byte{i, 0, 0, 0, purpose, 0}, diversification...))
		if err != nil {
			Zeroise(out)
			return nil, err
		}
		out = append(out, block...)
		Zeroise(block)
	}
	Zeroise(out[size:])
	return out[:size], nil
}

// Pattern is a rule that lays out a block of 16 bytes from a card's
// diversification data; the block, encrypted by triple DES in ECB mode, is the
// card key.
type Pattern uint8

// Patterns.
const (
	// EMVCPS is EMV CPS 1.1: bytes 4 to 9, F0, purpose, bytes 4 to 9, 0F, purpose.
	EMVCPS Pattern = 1 + iota
	// VISA2 is the same with bytes 0, 1 and 4 to 7.
	VISA2
)

func (p Pattern) block(purpose byte, diversification []byte) ([]byte, error) {
	d := diversification
	if len(d) != diversificationLength {
		return nil, fmt.Errorf("%w: diversification data of %d bytes", ErrKeyUse, len(d))
	}
	var part []byte
	switch p {
	case EMVCPS:
		part = d[4:10]
	case VISA2:
		part = []byte{d[0], d[1], d[4], d[5], d[6], d[7]}
	default:
		return nil, fmt.Errorf("%w: unknown diversification pattern", ErrKeyUse)
	}
	out := append(append(make([]byte, 0, 16), part...), 0xF0, purpose)
	return append(append(out, part...), 0x0F, purpose), nil
}

// Diversify makes a card key of 16 bytes from a DES master key. It comes out into
// memory, for one card; the caller zeroises it. The master key needs UseEncrypt
// and stays inside. DeriveCard keeps the card key inside as well.
func (k *Key) Diversify(ctx context.Context, p Pattern, purpose byte, diversification []byte) ([]byte, error) {
	block, err := k.pattern(p, purpose, diversification)
	if err != nil {
		return nil, err
	}
	return k.EncryptECB(ctx, block)
}

// DeriveCard is Diversify inside the token (see DeriveECB), where the token can
// do that. The master key needs UseDerive. A master with UseDerive alone can
// never show a card key.
func (k *Key) DeriveCard(ctx context.Context, p Pattern, purpose byte, diversification []byte, usage Usage) (*Key, error) {
	block, err := k.pattern(p, purpose, diversification)
	if err != nil {
		return nil, err
	}
	return k.DeriveECB(ctx, block, usage)
}

func (k *Key) pattern(p Pattern, purpose byte, diversification []byte) ([]byte, error) {
	if k.algorithm != DES {
		return nil, fmt.Errorf("diversify: %w: not a DES key", ErrKeyUse)
	}
	return p.block(purpose, diversification)
}

// AN10922 diversifies a master key as NXP AN10922 does for AES-128, AES-192,
// AES-256, 2-key and 3-key triple DES; the result is of the master's cipher and
// size. m is the diversification input, 1 to 31 bytes for AES and 1 to 15 for
// DES. The result comes out into memory, for one card; the caller zeroises it.
// The master key needs UseMAC and stays inside. Where constant and m fill one
// block or less, it needs UseEncrypt too: AN10922 then pads by a block more than
// CMAC does. DES keys come with the parity bits as they fall.
func (k *Key) AN10922(ctx context.Context, m []byte) ([]byte, error) {
	n := k.block()
	if len(m) < 1 || len(m) >= 2*n {
		return nil, fmt.Errorf("AN10922: %w: input of %d bytes", ErrKeyUse, len(m))
	}
	var parts [3][]byte
	defer func() {
		for _, p := range parts {
			Zeroise(p)
		}
	}()
	constants := k.an10922Constants()
	for i, constant := range constants {
		var err error
		if parts[i], err = k.an10922MAC(ctx, append([]byte{constant}, m...)); err != nil {
			return nil, err
		}
	}
	out := make([]byte, 0, 4*n)
	if k.algorithm == AES && k.size == 24 {
		// Section 2.3: the two MACs overlap in the middle third.
		out = append(out, parts[0]...)
		subtle.XORBytes(out[8:], out[8:], parts[1][:8])
		return append(out, parts[1][8:]...), nil
	}
	for i := range constants {
		out = append(out, parts[i]...)
	}
	return out, nil
}

func (k *Key) an10922Constants() []byte {
	switch {
	case k.algorithm == DES && k.size == 16:
		return []byte{0x21, 0x22}
	case k.algorithm == DES:
		return []byte{0x31, 0x32, 0x33}
	case k.size == 16:
		return []byte{0x01}
	case k.size == 24:
		return []byte{0x11, 0x12}
	}
	return []byte{0x41, 0x42}
}

// an10922MAC is the CMAC of AN10922, which always works on two blocks.
func (k *Key) an10922MAC(ctx context.Context, input []byte) ([]byte, error) {
	n := k.block()
	if len(input) > n {
		return k.CMAC(ctx, input)
	}
	subkey, err := k.EncryptECB(ctx, make([]byte, n))
	if err != nil {
		return nil, err
	}
	defer Zeroise(subkey)
	double(subkey)
	double(subkey)
	padded := make([]byte, 2*n)
	defer Zeroise(padded)
	padded[copy(padded, input)] = 0x80
	subtle.XORBytes(padded[n:], padded[n:], subkey)
	both, err := k.EncryptCBC(ctx, padded)
	if err != nil {
		return nil, err
	}
	Zeroise(both[:n])
	return both[n:], nil
}

// double multiplies by x in GF(2^128) or GF(2^64), as the subkeys of CMAC are
// made (SP 800-38B 6.1).
func double(b []byte) {
	reduction := byte(0x87)
	if len(b) == des.BlockSize {
		reduction = 0x1B
	}
	top, last := b[0]>>7, len(b)-1
	for i := range last {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[last] = b[last]<<1 ^ (reduction & -top)
}
