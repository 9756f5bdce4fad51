// Package hsmkeys lets a GlobalPlatform session use static card keys that are
// in a PKCS#11 token. It joins pkg/globalplatform and pkg/pkcs11, which know
// nothing of each other.
package hsmkeys

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// CardUsage is what a card key in the token must be able to do.
const CardUsage = pkcs11.UseMAC | pkcs11.UseEncrypt | pkcs11.UseWrap

// Key is a key of the token as a globalplatform.Key.
type Key struct{ inner *pkcs11.Key }

var _ globalplatform.Key = Key{}

// Of joins a key of the token to the interface. Its usage is CardUsage; a key
// that is loaded onto cards must be transient.
func Of(k *pkcs11.Key) Key { return Key{inner: k} }

// Size implements globalplatform.Key.
func (k Key) Size() int { return k.inner.Size() }

// CMAC implements globalplatform.Key.
func (k Key) CMAC(ctx context.Context, data []byte) ([]byte, error) { return k.inner.CMAC(ctx, data) }

// EncryptCBC implements globalplatform.Key.
func (k Key) EncryptCBC(ctx context.Context, plain []byte) ([]byte, error) {
	return k.inner.EncryptCBC(ctx, plain)
}

// KCV implements globalplatform.Key.
func (k Key) KCV(ctx context.Context) ([]byte, error) { return k.inner.KCV(ctx) }

// Wrap implements globalplatform.Key: the other key is encrypted inside the
// token and never seen outside.
func (k Key) Wrap(ctx context.Context, other globalplatform.Key) ([]byte, error) {
	o, ok := other.(Key)
	if !ok {
		return nil, fmt.Errorf("%w: the key to be wrapped is not in the token", globalplatform.ErrKey)
	}
	return k.inner.WrapCBC(ctx, o.inner)
}

// CardKeys is the keyset of one card as transient keys of the token. It is a
// globalplatform.KeySource through its StaticKeys. Close destroys the keys.
type CardKeys struct {
	globalplatform.StaticKeys
	keys []*pkcs11.Key
}

// Load puts a keyset into the token for one card. The caller zeroises the
// values.
func Load(ctx context.Context, token *pkcs11.Token, enc, mac, dek []byte) (*CardKeys, error) {
	out := &CardKeys{}
	for _, one := range []struct {
		value []byte
		to    *globalplatform.Key
	}{{enc, &out.ENC}, {mac, &out.MAC}, {dek, &out.DEK}} {
		k, err := token.TransientAES(ctx, one.value, CardUsage)
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		out.keys = append(out.keys, k)
		*one.to = Of(k)
	}
	return out, nil
}

// Diversify derives the keyset of one card from a master key by KDF3 and puts
// it into the token; size is the length of each key in bytes. The values are in
// memory only while this runs.
func Diversify(ctx context.Context, token *pkcs11.Token, master *pkcs11.Key, diversification []byte, size int) (*CardKeys, error) {
	var values [3][]byte
	defer func() {
		for _, v := range values {
			pkcs11.Zeroise(v)
		}
	}()
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		var err error
		if values[i], err = master.KDF3(ctx, purpose, diversification, size); err != nil {
			return nil, err
		}
	}
	return Load(ctx, token, values[0], values[1], values[2])
}

// Stored is a keyset of three keys that live in the token, such as a lot's
// transport keys. They can open sessions and wrap; they cannot be loaded onto
// a card.
func Stored(enc, mac, dek *pkcs11.Key) globalplatform.StaticKeys {
	return globalplatform.StaticKeys{ENC: Of(enc), MAC: Of(mac), DEK: Of(dek)}
}

// Close destroys the card's keys in the token.
func (c *CardKeys) Close() error {
	var all []error
	for _, k := range c.keys {
		all = append(all, k.Close())
	}
	c.keys = nil
	return errors.Join(all...)
}
