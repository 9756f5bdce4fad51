// Package keyring gives the station what it needs from the HSM for one card:
// the card's keysets, diversified from the masters, and its CONF, drawn there
// and sealed there. Masters never leave the token; what comes out lives for one
// card.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// ErrUnavailable says that the HSM did not do what was asked. It says nothing
// about the card: nothing was sent to it.
var ErrUnavailable = errors.New("keyring: HSM did not answer")

// ErrWrongKey says that a key in the token is not the one in the book of keys, or was
// given up. It comes with ErrUnavailable: no card is touched with it.
var ErrWrongKey = errors.New("keyring: not the key in the book")

// Book is the book of master keys; keybook.Book is one.
type Book interface {
	Entries(ctx context.Context, labels ...string) (map[string]keybook.Entry, error)
}

// Ring holds the keys of one profile. It is safe for many goroutines.
type Ring struct {
	token   *pkcs11.Token
	profile *profile.Profile
	book    Book

	mu    sync.Mutex
	known map[string]keybook.Entry // of the book, as it was read last; nil before
	able  bool                     // the token has done what a card needs, and has not failed since
}

// New joins a token to a profile. It touches neither, nor the book.
func New(token *pkcs11.Token, p *profile.Profile, book Book) *Ring {
	return &Ring{token: token, profile: p, book: book}
}

func (r *Ring) labels() []string {
	k := r.profile.Keys
	labels := []string{k.Transport.Master, k.Final.Master, k.SecretWrap}
	if r.profile.Plain() { // nothing on the card is under a key
		return labels[2:]
	}
	return labels
}

// Check says whether the token is there and holds the profile's keys, and no other
// ones under their labels; and that it can do with them what a card needs.
func (r *Ring) Check(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	for _, label := range r.labels() {
		if _, err := r.key(ctx, label); err != nil {
			return err
		}
	}
	return r.rehearse(ctx)
}

// Ask asks the database something in half of the time that ctx has, if it has a
// deadline: whoever is not answered has the rest for what does not depend on it. The
// question is left to itself then, since the driver waits for a silent server longer
// than it is told to.
func Ask[T any](ctx context.Context, question func(context.Context) (T, error)) (T, error) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return question(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Until(end)/2)
	type reply struct {
		answer T
		err    error
	}
	replies := make(chan reply, 1)
	go func() {
		answer, err := question(ctx)
		replies <- reply{answer, err}
		cancel()
	}()
	select {
	case r := <-replies:
		return r.answer, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-replies: // it ended because it was answered
		return r.answer, r.err
	default:
		var none T
		return none, ctx.Err()
	}
}

// read reads the book. While that cannot be read, what it said last is good: a label
// stands for one key for ever.
func (r *Ring) read(ctx context.Context) error {
	now, err := Ask(ctx, func(ctx context.Context) (map[string]keybook.Entry, error) { return r.book.Entries(ctx, r.labels()...) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.known = now
	} else if r.known == nil {
		return unavailable(err)
	}
	return nil
}

// key finds a master and compares it with the book. A label that the book does not
// have was approved by two people with its Kode Kunci, and is taken as it is.
func (r *Ring) key(ctx context.Context, label string) (*pkcs11.Key, error) {
	r.mu.Lock()
	unread := r.known == nil
	r.mu.Unlock()
	if unread {
		if err := r.read(ctx); err != nil {
			return nil, err
		}
	}
	k, err := r.token.FindKey(ctx, label)
	if err != nil {
		return nil, unavailable(err)
	}
	r.mu.Lock()
	entry, recorded := r.known[label]
	r.mu.Unlock()
	if !recorded {
		return k, nil
	}
	kcv, err := k.KCV(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	if err := entry.Is(k.Algorithm().String(), 8*k.Size(), fmt.Sprintf("%X", kcv)); err != nil {
		return nil, unavailable(fmt.Errorf("%w: %w", ErrWrongKey, err))
	}
	return k, nil
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
	key, err := s.ring.key(ctx, master)
	if err != nil {
		return globalplatform.StaticKeys{}, err
	}
	keys, err := hsmkeys.Scheme(k.Diversification).Keyset(ctx, s.ring.token, key, diversification, k.Bytes)
	if err != nil {
		return globalplatform.StaticKeys{}, s.ring.failed(err)
	}
	s.made = append(s.made, keys)
	return s.ring.guarded(keys.StaticKeys), nil
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
		return nil, r.failed(err)
	}
	if len(secret) != r.profile.SecretBytes {
		return nil, r.failed(fmt.Errorf("%d random bytes", len(secret)))
	}
	return secret, nil
}

// Seal encrypts a secret in the token, bound to the card and attempt it is for.
func (r *Ring) Seal(ctx context.Context, secret []byte, cardID, attemptID string) ([]byte, error) {
	key, err := r.key(ctx, r.profile.Keys.SecretWrap)
	if err != nil {
		return nil, err
	}
	sealed, err := key.SealSecret(ctx, secret, pkcs11.Bind(cardID, attemptID))
	return sealed, r.failed(err)
}

// Unseal undoes Seal. pkcs11.ErrSealed says that it is not the secret of this
// card and attempt. The caller clears the secret.
func (r *Ring) Unseal(ctx context.Context, sealed []byte, cardID, attemptID string) ([]byte, error) {
	key, err := r.key(ctx, r.profile.Keys.SecretWrap)
	if err != nil {
		return nil, err
	}
	secret, err := key.OpenSecret(ctx, sealed, pkcs11.Bind(cardID, attemptID))
	if errors.Is(err, pkcs11.ErrSealed) {
		return nil, err
	}
	return secret, r.failed(err)
}
