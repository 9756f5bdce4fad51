package sealed

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// What can be wrong with the key of a token that is otherwise whole.
var (
	// ErrKeyRevoked says that the signing key was revoked: whoever has it may have signed
	// this, at whatever time it claims. The error is a *KeyRevokedError.
	ErrKeyRevoked = errors.New("signed with a key that was revoked")
	// ErrKeyEnded says that the signing key had been given up when this was signed.
	ErrKeyEnded = errors.New("signed after the key was given up")
)

// Key is a public key with what became of it.
type Key struct {
	Public *ecdsa.PublicKey
	// Ends is the first moment at which the key signed nothing any more: what claims to be
	// signed then or later is not accepted, what is older is. Zero while it is in use.
	Ends time.Time
	// Revoked says that nothing this key has signed is accepted, nil for none.
	Revoked *Revocation
}

// Revocation says since when a key is not believed, and why.
type Revocation struct {
	At     time.Time // in seconds
	Reason string    // for people; may be empty
}

// JWKRevocation is a Revocation in a JWK.
type JWKRevocation struct {
	At     int64  `json:"revoked_at"` // seconds since 1970
	Reason string `json:"reason,omitempty"`
}

// KeyRevokedError tells of a revoked key. It is ErrKeyRevoked.
type KeyRevokedError struct {
	KeyID string
	Revocation
}

// Error says it in short.
func (e *KeyRevokedError) Error() string {
	return fmt.Sprintf("%v: %s, since %s: %s", ErrKeyRevoked, e.KeyID, e.At.UTC().Format(time.RFC3339), e.Reason)
}

// Is makes it ErrKeyRevoked.
func (e *KeyRevokedError) Is(target error) bool { return target == ErrKeyRevoked }

// signed says whether the key is believed for what claims to be signed at a moment.
func (k Key) signed(at time.Time) error {
	switch {
	case k.Revoked != nil:
		return &KeyRevokedError{KeyID(k.Public), *k.Revoked}
	case !k.Ends.IsZero() && !at.Before(k.Ends):
		return fmt.Errorf("%w: %s ended at %s", ErrKeyEnded, KeyID(k.Public), k.Ends.UTC().Format(time.RFC3339))
	}
	return nil
}

// JWK describes the key with its life. Error: ErrForm.
func (k Key) JWK() (JWK, error) {
	j, err := NewJWK(k.Public)
	if err != nil {
		return j, err
	}
	if !k.Ends.IsZero() {
		ends := k.Ends.Unix()
		j.Expires = &ends
	}
	if k.Revoked != nil {
		j.Revoked = &JWKRevocation{k.Revoked.At.Unix(), k.Revoked.Reason}
	}
	return j, nil
}

// key is the key with its life. A life that cannot be read makes no key: it might have
// said that the key is not to be used.
func (j JWK) key() (Key, error) {
	public, err := j.Public()
	if err != nil {
		return Key{}, err
	}
	k := Key{Public: public}
	if j.Expires != nil {
		if *j.Expires < 0 || *j.Expires > latest {
			return k, fmt.Errorf("%w: exp of a key outside of the years 1970 to 9999", ErrForm)
		}
		k.Ends = time.Unix(*j.Expires, 0).UTC()
	}
	if r := j.Revoked; r != nil {
		if r.At < 0 || r.At > latest || !utf8.ValidString(r.Reason) {
			return k, fmt.Errorf("%w: revocation of a key", ErrForm)
		}
		k.Revoked = &Revocation{time.Unix(r.At, 0).UTC(), r.Reason}
	}
	return k, nil
}

// Keys are the public keys that a reader knows, by KeyID.
type Keys map[string]Key

// NewKeys collects P-256 keys that are in use. Error: ErrForm.
func NewKeys(public ...*ecdsa.PublicKey) (Keys, error) {
	all := make([]Key, len(public))
	for i, p := range public {
		all[i].Public = p
	}
	return Collect(all...)
}

// Collect collects keys. Of a key that is given twice the stricter life counts, so that an
// old file brings no revoked key back. Error: ErrForm for any but a P-256 key.
func Collect(all ...Key) (Keys, error) {
	keys := Keys{}
	for _, k := range all {
		if _, _, err := coordinates(k.Public); err != nil {
			return nil, err
		}
		keys.add(k)
	}
	return keys, nil
}

// Add adds the keys of others, as Collect does.
func (k Keys) Add(others Keys) {
	for _, other := range others {
		k.add(other)
	}
}

func (k Keys) add(more Key) {
	id := KeyID(more.Public)
	have, is := k[id]
	if !is {
		k[id] = more
		return
	}
	if have.Ends.IsZero() || !more.Ends.IsZero() && more.Ends.Before(have.Ends) {
		have.Ends = more.Ends
	}
	if have.Revoked == nil || more.Revoked != nil && more.Revoked.At.Before(have.Revoked.At) {
		have.Revoked = more.Revoked
	}
	k[id] = have
}

// Revoke returns the keys with some of them revoked; those that are not there are left out.
func (k Keys) Revoke(revoked map[string]Revocation) Keys {
	out := maps.Clone(k)
	for id, r := range revoked {
		if have, is := out[id]; is && have.Revoked == nil {
			have.Revoked = &r
			out[id] = have
		}
	}
	return out
}

// Revoked are those of the keys that were revoked, as Revoke takes them.
func (k Keys) Revoked() map[string]Revocation {
	revoked := map[string]Revocation{}
	for id, key := range k {
		if key.Revoked != nil {
			revoked[id] = *key.Revoked
		}
	}
	return revoked
}

// Known returns the keys without their lives: for looking at what was signed once, and not
// for relying on it.
func (k Keys) Known() Keys {
	out := make(Keys, len(k))
	for id, key := range k {
		out[id] = Key{Public: key.Public}
	}
	return out
}

// IDs are the ids of the keys, sorted.
func (k Keys) IDs() []string { return slices.Sorted(maps.Keys(k)) }

// File is a JWK Set of the keys with their lives, by their ids, as ParseKeys reads it.
// Error: ErrForm.
func (k Keys) File() ([]byte, error) {
	set := struct {
		Keys []JWK `json:"keys"`
	}{make([]JWK, 0, len(k))}
	for _, id := range k.IDs() {
		j, err := k[id].JWK()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, j)
	}
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return append(text, '\n'), nil
}
