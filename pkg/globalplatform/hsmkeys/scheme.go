package hsmkeys

import (
	"context"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// Scheme is a rule by which the keyset of a card is made from one master key and
// the card's diversification data, under the name that card profiles use.
type Scheme string

// Schemes.
const (
	KDF3  Scheme = "kdf3"  // AES, pkcs11.Key.KDF3
	EMV   Scheme = "emv"   // 2-key DES, pkcs11.EMVCPS
	VISA2 Scheme = "visa2" // 2-key DES, pkcs11.VISA2
	// AN10922 is pkcs11.Key.AN10922 with the diversification data and the purpose
	// as its input: the rule leaves the input to its user, and each key of the set
	// must have another one. Keys are of the master's cipher and size.
	AN10922 Scheme = "an10922"
)

// MasterUsage is what a master key of this scheme must be able to do.
func (s Scheme) MasterUsage() pkcs11.Usage {
	switch s {
	case EMV, VISA2:
		return pkcs11.UseDerive | pkcs11.UseEncrypt
	case AN10922:
		return pkcs11.UseMAC | pkcs11.UseEncrypt
	}
	return pkcs11.UseMAC
}

// Keyset makes the keyset of one card; size is the length of each key in bytes.
// pkcs11.ErrKeyUse when the master or the size is not one of the scheme.
func (s Scheme) Keyset(ctx context.Context, token *pkcs11.Token, master *pkcs11.Key, diversification []byte, size int) (*CardKeys, error) {
	patterns := map[Scheme]pkcs11.Pattern{EMV: pkcs11.EMVCPS, VISA2: pkcs11.VISA2}
	switch {
	case s == KDF3:
		return Diversify(ctx, token, master, diversification, size)
	case patterns[s] != 0 && size == 16:
		return DiversifyDES(ctx, master, patterns[s], diversification)
	case s == AN10922 && size == master.Size():
		return Make(ctx, token, master.Algorithm(), func(ctx context.Context, purpose byte) ([]byte, error) {
			return master.AN10922(ctx, append(append([]byte(nil), diversification...), purpose))
		})
	}
	return nil, fmt.Errorf("%w: %q, keys of %d bytes", pkcs11.ErrKeyUse, string(s), size)
}
