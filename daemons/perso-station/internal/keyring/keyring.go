// Package keyring gives the station what it needs from the HSM for one card:
// the card's keysets, diversified from the masters, and its CONF, drawn there
// and sealed there. Masters never leave the token; what comes out lives for one
// card.
package keyring

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// ErrUnavailable says that the HSM did not do what was asked. It says nothing
// about the card: nothing was sent to it.
var ErrUnavailable = errors.New("keyring: HSM did not answer")

// Ring holds the keys of one profile. It is safe for many goroutines.
type Ring struct {
	token   *pkcs11.Token
	profile *profile.Profile
}

// New joins a token to a profile. It touches neither.
func New(token *pkcs11.Token, p *profile.Profile) *Ring { return &Ring{token: token, profile: p} }

// Check says whether the token is there and holds the profile's keys.
func (r *Ring) Check(ctx context.Context) error {
	k := r.profile.Keys
	labels := []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
	if r.profile.Plain() { // nothing on the card is under a key
		labels = labels[2:]
	}
	for _, label := range labels {
		if _, err := r.token.FindKey(ctx, label); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// Source makes the keyset of the card in hand, for as long as its session
// lasts. It is a globalplatform.KeySource; Close destroys the keys.
type Source struct {
	ring *Ring
	made []*hsmkeys.CardKeys
}

// Source returns a source of keysets.
func (r *Ring) Source() *Source { return &Source{ring: r} }

// KeysFor implements globalplatform.KeySource. Only the two key versions of the
// profile are known; another one is globalplatform.ErrKeyVersion.
func (s *Source) KeysFor(ctx context.Context, diversification []byte, version byte) (globalplatform.StaticKeys, error) {
	k := s.ring.profile.Keys
	var master string
	switch profile.Byte(version) {
	case k.Transport.Version:
		master = k.Transport.Master
	case k.Final.Version:
		master = k.Final.Master
	default:
		return globalplatform.StaticKeys{}, fmt.Errorf("%w: %02X", globalplatform.ErrKeyVersion, version)
	}
	key, err := s.ring.token.FindKey(ctx, master)
	if err != nil {
		return globalplatform.StaticKeys{}, unavailable(err)
	}
	keys, err := hsmkeys.Scheme(k.Diversification).Keyset(ctx, s.ring.token, key, diversification, k.Bytes)
	if err != nil {
		return globalplatform.StaticKeys{}, unavailable(err)
	}
	s.made = append(s.made, keys)
	return guarded(keys.StaticKeys), nil
}

// Close destroys the keysets that were made. A token that is gone has lost them
// already.
func (s *Source) Close() {
	for _, k := range s.made {
		_ = k.Close()
	}
	s.made = nil
}

// NewSecret draws the CONF of a card. The caller clears it.
func (r *Ring) NewSecret(ctx context.Context) ([]byte, error) {
	secret, err := r.token.Random(ctx, r.profile.SecretBytes)
	if err != nil {
		return nil, unavailable(err)
	}
	if len(secret) != r.profile.SecretBytes {
		return nil, unavailable(fmt.Errorf("%d random bytes", len(secret)))
	}
	return secret, nil
}

// Seal encrypts a secret in the token, bound to the card and attempt it is for.
func (r *Ring) Seal(ctx context.Context, secret []byte, cardID, attemptID string) ([]byte, error) {
	key, err := r.token.FindKey(ctx, r.profile.Keys.SecretWrap)
	if err != nil {
		return nil, unavailable(err)
	}
	sealed, err := key.SealSecret(ctx, secret, pkcs11.Bind(cardID, attemptID))
	return sealed, unavailable(err)
}

// Unseal undoes Seal. pkcs11.ErrSealed says that it is not the secret of this
// card and attempt. The caller clears the secret.
func (r *Ring) Unseal(ctx context.Context, sealed []byte, cardID, attemptID string) ([]byte, error) {
	key, err := r.token.FindKey(ctx, r.profile.Keys.SecretWrap)
	if err != nil {
		return nil, unavailable(err)
	}
	secret, err := key.OpenSecret(ctx, sealed, pkcs11.Bind(cardID, attemptID))
	if errors.Is(err, pkcs11.ErrSealed) {
		return nil, err
	}
	return secret, unavailable(err)
}
