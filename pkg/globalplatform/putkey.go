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
	if err := k.valid(); err != nil {
		return KeyCheck{}, err
	}
	var out KeyCheck
	for _, one := range []struct {
		key Key
		to  *[3]byte
	}{{k.ENC, &out.ENC}, {k.MAC, &out.MAC}, {k.DEK, &out.DEK}} {
		var err error
		if *one.to, err = checkValue(ctx, one.key); err != nil {
			return KeyCheck{}, err
		}
	}
	return out, nil
}

func checkValue(ctx context.Context, key Key) (out [3]byte, err error) {
	kcv, err := key.KCV(ctx)
	if err == nil && copy(out[:], kcv) != len(out) {
		err = fmt.Errorf("%w: check value of %d bytes", ErrKey, len(kcv))
	}
	return out, err
}

// PutKeys loads a secure channel keyset ENC, MAC, DEK as keys 01 to 03. replace
// is the key version on the card that goes away, 00 adds a keyset. It is PutKey
// for keysets.
func (s *Session) PutKeys(ctx context.Context, replace, version byte, keys StaticKeys) (KeyCheck, error) {
	if err := keys.valid(); err != nil {
		return KeyCheck{}, fmt.Errorf("PUT KEY: %w", err)
	}
	check, err := s.PutKey(ctx, KeyLoad{Replace: replace, Version: version, ID: 0x01, Keys: []Key{keys.ENC, keys.MAC, keys.DEK}})
	if err != nil {
		return KeyCheck{}, err
	}
	return KeyCheck{ENC: check[0], MAC: check[1], DEK: check[2]}, nil
}

// KeyLoad is what one PUT KEY brings.
type KeyLoad struct {
	Replace byte // key version on the card that goes away, 00 adds keys
	Version byte // of the new keys, 01 to 7F
	ID      byte // key identifier of the first key; the others follow it
	Keys    []Key
}

// PutKey loads keys in one PUT KEY, which the card does whole or not at all (GPC
// 2.3.1 11.8). The keys travel under the session's data encryption key: the
// session DEK of SCP02, the static DEK of SCP03. The card's answer is compared
// with the version and the check values sent: ErrKCV. The result is the check
// values, in the order of the keys.
//
// Amendment D section 3 wants a key that is loaded under a key at least as
// strong; that is for the caller to decide.
func (s *Session) PutKey(ctx context.Context, load KeyLoad) ([][3]byte, error) {
	const name = "PUT KEY"
	if load.Version < 0x01 || load.Version > 0x7F || load.Replace > 0x7F {
		return nil, fmt.Errorf("%s: %w: key version %02X to %02X", name, ErrKey, load.Replace, load.Version)
	}
	if len(load.Keys) == 0 || int(load.ID)+len(load.Keys) > 0x80 {
		return nil, fmt.Errorf("%s: %w: %d keys from identifier %02X", name, ErrKey, len(load.Keys), load.ID)
	}
	dek, err := s.channel.dataKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data, answer := []byte{load.Version}, []byte{load.Version}
	check := make([][3]byte, len(load.Keys))
	for i, key := range load.Keys {
		if check[i], err = checkValue(ctx, key); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		field, err := keyField(ctx, dek, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		data = append(append(data, field...), byte(len(check[i])))
		data = append(data, check[i][:]...)
		answer = append(answer, check[i][:]...)
	}
	command := Command{Name: name, CLA: 0x80, INS: 0xD8, P1: load.Replace, P2: load.ID, Data: data, Ne: MaxNe}
	if len(load.Keys) > 1 {
		command.P2 |= 0x80 // more than one key
	}
	r, err := s.Send(ctx, command)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(r.Data, answer) != 1 {
		return nil, fmt.Errorf("%s: %w", name, ErrKCV)
	}
	return check, nil
}

// keyField is type, length and value of one key, encrypted. A DES key under a
// DES key goes without a length of its own (GPC 2.3.1 table 11-71), every other
// with it (table 11-70, Amendment D tables 7-9 and 7-10).
func keyField(ctx context.Context, dek, key Key) ([]byte, error) {
	wrapped, err := dek.Wrap(ctx, key)
	if err != nil {
		return nil, err
	}
	kind := KeyTypeAES
	if key.Algorithm() == DES {
		kind = KeyTypeDES
		if dek.Algorithm() == DES {
			return append([]byte{kind, byte(len(wrapped))}, wrapped...), nil
		}
	}
	return append([]byte{kind, byte(1 + len(wrapped)), byte(key.Size())}, wrapped...), nil
}
