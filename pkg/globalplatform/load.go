package globalplatform

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrKCV says that the card's answer to PUT KEY does not name the key version and the
// check values of the keys that were sent. The keyset on the card must be
// treated as unknown.
var ErrKCV = errors.New("key check values do not match")

// KeyCheck is the check values of a keyset: three bytes each, public.
type KeyCheck struct{ ENC, MAC, DEK [3]byte }

// String is the three values in hexadecimal, ENC/MAC/DEK.
func (k KeyCheck) String() string {
	return strings.ToUpper(hex.EncodeToString(k.ENC[:]) + "/" + hex.EncodeToString(k.MAC[:]) + "/" + hex.EncodeToString(k.DEK[:]))
}

// Check computes the check values of the keyset (GPC 2.3.1 B.6).
func (k StaticKeys) Check(ctx context.Context) (KeyCheck, error) {
	var out KeyCheck
	if err := k.valid(); err != nil {
		return out, err
	}
	for _, one := range []struct {
		key Key
		to  *[3]byte
	}{{k.ENC, &out.ENC}, {k.MAC, &out.MAC}, {k.DEK, &out.DEK}} {
		kcv, err := one.key.KCV(ctx)
		if err != nil {
			return KeyCheck{}, err
		}
		if copy(one.to[:], kcv) != 3 {
			return KeyCheck{}, fmt.Errorf("%w: check value of %d bytes", ErrKey, len(kcv))
		}
	}
	return out, nil
}

// PutKeys loads a keyset ENC, MAC, DEK as keys 01 to 03 in one PUT KEY, which
// the card does whole or not at all (GPC 2.3.1 11.8; key data in the form of
// Amendment D 7.2). replace is the key version on the card that goes away, 00
// adds a keyset. The keys travel under the session's static DEK. The card's
// answer is compared with the version and the check values sent: ErrKCV.
func (s *Session) PutKeys(ctx context.Context, replace, version byte, keys StaticKeys) (KeyCheck, error) {
	const name = "PUT KEY"
	if version < 0x01 || version > 0x7F || replace > 0x7F {
		return KeyCheck{}, fmt.Errorf("%s: %w: key version %02X to %02X", name, ErrKey, replace, version)
	}
	check, err := keys.Check(ctx)
	if err != nil {
		return KeyCheck{}, fmt.Errorf("%s: %w", name, err)
	}
	data := []byte{version}
	answer := []byte{version}
	for _, one := range []struct {
		key Key
		kcv [3]byte
	}{{keys.ENC, check.ENC}, {keys.MAC, check.MAC}, {keys.DEK, check.DEK}} {
		wrapped, err := s.static.DEK.Wrap(ctx, one.key)
		if err != nil {
			return KeyCheck{}, fmt.Errorf("%s: %w", name, err)
		}
		data = append(data, KeyTypeAES, byte(1+len(wrapped)), byte(one.key.Size()))
		data = append(data, wrapped...)
		data = append(append(data, 0x03), one.kcv[:]...)
		answer = append(answer, one.kcv[:]...)
	}
	// P2: first key is 01, b8 tells that more than one follows.
	r, err := s.Send(ctx, Command{Name: name, CLA: 0x80, INS: 0xD8, P1: replace, P2: 0x81, Data: data, Ne: MaxNe})
	if err != nil {
		return KeyCheck{}, err
	}
	if subtle.ConstantTimeCompare(r.Data, answer) != 1 {
		return KeyCheck{}, fmt.Errorf("%s: %w", name, ErrKCV)
	}
	return check, nil
}

// DGI is one data grouping of STORE DATA (GPC 2.3.1 11.11.2.3, EMV CPS 1.1):
// two bytes of identifier, one length byte or FF and two, value.
type DGI struct {
	ID    uint16
	Value []byte
	// Encrypt sends the value under the static DEK (AES-CBC, zero IV) and says
	// so in P1. The value is then a whole number of 16-byte blocks.
	Encrypt bool
}

func encodeDGI(id uint16, value []byte) ([]byte, error) {
	if len(value) > 0xFFFF {
		return nil, fmt.Errorf("%w: DGI %04X of %d bytes", ErrCommand, id, len(value))
	}
	out := []byte{byte(id >> 8), byte(id)}
	if len(value) < 0xFF {
		out = append(out, byte(len(value)))
	} else {
		out = append(out, 0xFF, byte(len(value)>>8), byte(len(value)))
	}
	return append(out, value...), nil
}

// P1 of STORE DATA (GPC 2.3.1 table 11-88).
const (
	storeLast      = 0x80
	storeEncrypted = 0x60
	storeDGI       = 0x08
)

// StoreData sends data groupings to the selected security domain as one
// sequence (GPC 2.3.1 11.11): each grouping starts a block of its own, long
// ones go over several, P2 counts the blocks from 00, the last one is marked.
// After any error the card has forgotten the sequence: send it again whole,
// from block 00, in a session that still lives. A sequence is not atomic.
func (s *Session) StoreData(ctx context.Context, groups ...DGI) error {
	const name = "STORE DATA"
	var blocks []Command
	for _, g := range groups {
		value, p1 := g.Value, byte(storeDGI)
		if g.Encrypt {
			var err error
			if value, err = s.static.DEK.EncryptCBC(ctx, g.Value); err != nil {
				return fmt.Errorf("%s %04X: %w", name, g.ID, err)
			}
			p1 |= storeEncrypted
		}
		encoded, err := encodeDGI(g.ID, value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for len(encoded) > 0 {
			n := min(len(encoded), s.MaxData())
			blocks = append(blocks, Command{
				Name: fmt.Sprintf("%s %04X block %d", name, g.ID, len(blocks)),
				CLA:  0x80, INS: 0xE2, P1: p1, P2: byte(len(blocks)), Data: encoded[:n],
			})
			encoded = encoded[n:]
		}
	}
	if len(blocks) == 0 || len(blocks) > 256 {
		return fmt.Errorf("%s: %w: %d blocks", name, ErrCommand, len(blocks))
	}
	blocks[len(blocks)-1].P1 |= storeLast
	for _, b := range blocks {
		if _, err := s.Send(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
