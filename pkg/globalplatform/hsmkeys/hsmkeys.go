// Package hsmkeys lets a GlobalPlatform session use static card keys that are
// in a PKCS#11 token. It joins pkg/globalplatform and pkg/pkcs11, which know
// nothing of each other.
package hsmkeys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// What a card key in the token must be able to do.
const (
	CardUsage    = pkcs11.UseMAC | pkcs11.UseEncrypt | pkcs11.UseWrap    // AES keys, SCP03
	CardUsageDES = pkcs11.UseDerive | pkcs11.UseEncrypt | pkcs11.UseWrap // DES keys, SCP02
)

// Key is a key of the token as a globalplatform.Key.
type Key struct {
	inner *pkcs11.Key
	// reveal makes the value once more in memory, for the moment in which another
	// key encrypts it on a token that cannot wrap it. Nil when that is not possible.
	reveal func(context.Context) ([]byte, error)
}

var _ globalplatform.Key = Key{}

// Of joins a key of the token to the interface. Its usage is CardUsage or
// CardUsageDES; a key that is loaded onto cards must be transient.
func Of(k *pkcs11.Key) Key { return Key{inner: k} }

// Algorithm implements globalplatform.Key.
func (k Key) Algorithm() globalplatform.Algorithm {
	if k.inner.Algorithm() == pkcs11.DES {
		return globalplatform.DES
	}
	return globalplatform.AES
}

// Size implements globalplatform.Key.
func (k Key) Size() int { return k.inner.Size() }

// CMAC implements globalplatform.Key.
func (k Key) CMAC(ctx context.Context, data []byte) ([]byte, error) { return k.inner.CMAC(ctx, data) }

// EncryptCBC implements globalplatform.Key.
func (k Key) EncryptCBC(ctx context.Context, plain []byte) ([]byte, error) {
	return k.inner.EncryptCBC(ctx, plain)
}

// EncryptData implements globalplatform.Key.
func (k Key) EncryptData(ctx context.Context, plain []byte) ([]byte, error) {
	if k.inner.Algorithm() == pkcs11.DES {
		return k.inner.EncryptECB(ctx, plain)
	}
	return k.inner.EncryptCBC(ctx, plain)
}

// KCV implements globalplatform.Key.
func (k Key) KCV(ctx context.Context) ([]byte, error) { return k.inner.KCV(ctx) }

// Derive implements globalplatform.Key: the session key lives in the token.
func (k Key) Derive(ctx context.Context, data []byte) (globalplatform.Key, error) {
	inner, err := k.inner.DeriveCBC(ctx, data, pkcs11.UseEncrypt|pkcs11.UseWrap)
	if err != nil {
		return nil, err
	}
	return Of(inner), nil
}

// Close destroys a transient key in the token.
func (k Key) Close() error { return k.inner.Close() }

// Wrap implements globalplatform.Key: the other key is encrypted inside the
// token and never seen outside, where the token can do that. SoftHSM cannot wrap
// under DES keys, and no token wraps 24 bytes under AES without padding of its
// own: such a key is made once more in memory for this moment, if it was made by
// Diversify, DiversifyDES or Make.
func (k Key) Wrap(ctx context.Context, other globalplatform.Key) ([]byte, error) {
	o, ok := other.(Key)
	if !ok {
		return nil, fmt.Errorf("%w: the key to be wrapped is not in the token", globalplatform.ErrKey)
	}
	wrap := k.inner.WrapCBC
	block := 16
	if k.inner.Algorithm() == pkcs11.DES {
		wrap, block = k.inner.WrapECB, 8
	}
	out, err := wrap(ctx, o.inner)
	padded := (o.Size() + block - 1) / block * block
	if err == nil || o.reveal == nil || !errors.Is(err, pkcs11.ErrMechanism) && padded == o.Size() {
		return out, err
	}
	value, err := o.reveal(ctx)
	if err != nil {
		return nil, err
	}
	defer pkcs11.Zeroise(value)
	plain := make([]byte, padded)
	defer pkcs11.Zeroise(plain)
	if _, err := rand.Read(plain[copy(plain, value):]); err != nil {
		return nil, err
	}
	return k.EncryptData(ctx, plain)
}

// CardKeys is the keyset of one card as transient keys of the token. It is a
// globalplatform.KeySource through its StaticKeys. Close destroys the keys.
type CardKeys struct {
	globalplatform.StaticKeys
	keys []*pkcs11.Key
}

// fill makes the three keys.
func fill(one func(purpose byte) (Key, error)) (*CardKeys, error) {
	out := &CardKeys{}
	for _, p := range []struct {
		purpose byte
		to      *globalplatform.Key
	}{{pkcs11.PurposeENC, &out.ENC}, {pkcs11.PurposeMAC, &out.MAC}, {pkcs11.PurposeDEK, &out.DEK}} {
		k, err := one(p.purpose)
		if err != nil {
			return nil, errors.Join(err, out.Close())
		}
		out.keys = append(out.keys, k.inner)
		*p.to = k
	}
	return out, nil
}

// transient puts a value into the token.
func transient(ctx context.Context, token *pkcs11.Token, algorithm pkcs11.Algorithm, value []byte) (*pkcs11.Key, error) {
	if algorithm == pkcs11.DES {
		return token.TransientDES(ctx, value, CardUsageDES)
	}
	return token.TransientAES(ctx, value, CardUsage)
}

// Load puts an AES keyset into the token for one card. The caller zeroises the
// values.
func Load(ctx context.Context, token *pkcs11.Token, enc, mac, dek []byte) (*CardKeys, error) {
	return load(ctx, token, pkcs11.AES, enc, mac, dek)
}

// LoadDES is Load for triple DES keys.
func LoadDES(ctx context.Context, token *pkcs11.Token, enc, mac, dek []byte) (*CardKeys, error) {
	return load(ctx, token, pkcs11.DES, enc, mac, dek)
}

func load(ctx context.Context, token *pkcs11.Token, algorithm pkcs11.Algorithm, enc, mac, dek []byte) (*CardKeys, error) {
	values := map[byte][]byte{pkcs11.PurposeENC: enc, pkcs11.PurposeMAC: mac, pkcs11.PurposeDEK: dek}
	return fill(func(purpose byte) (Key, error) {
		k, err := transient(ctx, token, algorithm, values[purpose])
		return Key{inner: k}, err
	})
}

// Make puts the keyset of one card into the token; value makes the key of a
// purpose in memory, such as by pkcs11.Key.AN10922 with a master for each. It is
// called again when a key has to be loaded that the token cannot wrap. Values are
// overwritten after use.
func Make(ctx context.Context, token *pkcs11.Token, algorithm pkcs11.Algorithm,
	value func(ctx context.Context, purpose byte) ([]byte, error),
) (*CardKeys, error) {
	return fill(func(purpose byte) (Key, error) {
		v, err := value(ctx, purpose)
		if err != nil {
			return Key{}, err
		}
		defer pkcs11.Zeroise(v)
		k, err := transient(ctx, token, algorithm, v)
		return Key{inner: k, reveal: func(ctx context.Context) ([]byte, error) { return value(ctx, purpose) }}, err
	})
}

// Diversify derives the keyset of one card from an AES master key by KDF3 and
// puts it into the token; size is the length of each key in bytes.
func Diversify(ctx context.Context, token *pkcs11.Token, master *pkcs11.Key, diversification []byte, size int) (*CardKeys, error) {
	return Make(ctx, token, pkcs11.AES, func(ctx context.Context, purpose byte) ([]byte, error) {
		return master.KDF3(ctx, purpose, diversification, size)
	})
}

// DiversifyDES derives the keyset of one card from a DES master key, inside the
// token where it can do that. The master needs UseDerive; and UseEncrypt, if the
// keys are to be loaded onto cards and the token cannot wrap under DES keys.
func DiversifyDES(ctx context.Context, master *pkcs11.Key, p pkcs11.Pattern, diversification []byte) (*CardKeys, error) {
	return fill(func(purpose byte) (Key, error) {
		k, err := master.DeriveCard(ctx, p, purpose, diversification, CardUsageDES)
		return Key{inner: k, reveal: func(ctx context.Context) ([]byte, error) {
			return master.Diversify(ctx, p, purpose, diversification)
		}}, err
	})
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
