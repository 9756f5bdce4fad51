package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// ListFormat is the format of the payload of a revocation list.
const ListFormat = "revocations/1"

// States of a manifest on the list.
const (
	Revoked   = "revoked"   // for ever
	Suspended = "suspended" // until a later list does not name it (as certificateHold, RFC 5280 section 5.3.1)
)

// Entry is a manifest that must not be used.
type Entry struct {
	Number string `json:"no"`
	State  string `json:"state"`  // Revoked or Suspended
	At     int64  `json:"at"`     // since when, seconds since 1970
	Reason string `json:"reason"` // for people; may be empty
}

// KeyEntry is a signing key of the registry that nobody may rely on any more, for ever.
type KeyEntry struct {
	KeyID  string `json:"kid"`
	At     int64  `json:"at"`     // since when, seconds since 1970
	Reason string `json:"reason"` // for people; may be empty
}

// RevokedError tells since when and why a manifest is on the list. It is ErrRevoked.
type RevokedError struct{ Entry Entry }

// Error says it in short.
func (e *RevokedError) Error() string {
	return fmt.Sprintf("manifest %s is %s since %s: %s", e.Entry.Number, e.Entry.State, time.Unix(e.Entry.At, 0).UTC().Format(time.RFC3339), e.Entry.Reason)
}

// Is makes it ErrRevoked.
func (e *RevokedError) Is(target error) bool { return target == ErrRevoked }

// List is a revocation list. It names all manifests that must not be used, not only new
// ones.
type List struct {
	Number     int64 // the next list has a higher one
	IssuedAt   time.Time
	NextUpdate time.Time // by then there is a newer list; seconds
	Entries    []Entry   // by No. Manifest, each once
	// Keys are revoked: no manifest that one of them has signed counts, whether it is
	// named or not. By KeyID, each once; a list never names the key that signed it.
	Keys []KeyEntry

	KeyID string // of the key that signed it, once verified
}

type listPayload struct {
	Revoked []Entry    `json:"revoked"`
	Keys    []KeyEntry `json:"keys,omitempty"`
}

// canonical is the payload in its one form.
func canonical(entries []Entry, keys []KeyEntry) ([]byte, error) {
	if entries == nil {
		entries = []Entry{}
	}
	for i, e := range entries {
		if !validNumber(e.Number) || e.State != Revoked && e.State != Suspended || e.At < 0 || len(e.Reason) > textMost {
			return nil, fmt.Errorf("%w: entry %q of a revocation list", sealed.ErrForm, e.Number)
		}
		if i > 0 && entries[i-1].Number >= e.Number {
			return nil, fmt.Errorf("%w: the entries of a revocation list are sorted, each number once", sealed.ErrForm)
		}
	}
	for i, k := range keys {
		if k.KeyID == "" || len(k.KeyID) > textMost || k.At < 0 || len(k.Reason) > textMost || !utf8.ValidString(k.KeyID+k.Reason) {
			return nil, fmt.Errorf("%w: key %q of a revocation list", sealed.ErrForm, k.KeyID)
		}
		if i > 0 && keys[i-1].KeyID >= k.KeyID {
			return nil, fmt.Errorf("%w: the keys of a revocation list are sorted, each once", sealed.ErrForm)
		}
	}
	return json.Marshal(listPayload{entries, keys})
}

// Says is what a list says, whatever its number and times: two lists that say the same
// give the same bytes. Error: sealed.ErrForm.
func (l List) Says() ([]byte, error) {
	entries := slices.Clone(l.Entries)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Number, b.Number) })
	keys := slices.Clone(l.Keys)
	slices.SortFunc(keys, func(a, b KeyEntry) int { return strings.Compare(a.KeyID, b.KeyID) })
	return canonical(entries, keys)
}

// Sign signs a list: a token with its payload inside. The entries are sorted for it.
// Error: sealed.ErrForm, those of signing.
func (l List) Sign(ctx context.Context, s *sealed.Signer) ([]byte, error) {
	if l.Number < 1 {
		return nil, fmt.Errorf("%w: list number %d", sealed.ErrForm, l.Number)
	}
	if _, is := l.RevokedKeys()[s.KeyID()]; is {
		return nil, fmt.Errorf("%w: a revocation list that revokes the key it is signed with", sealed.ErrForm)
	}
	payload, err := l.Says()
	if err != nil {
		return nil, err
	}
	return s.Sign(ctx, sealed.Header{
		Type: ListPurpose, Number: strconv.FormatInt(l.Number, 10), Format: ListFormat,
		IssuedAt: l.IssuedAt.Unix(), NotBefore: l.IssuedAt.Unix(), Expires: l.NextUpdate.Unix(),
	}, payload)
}

// OpenList verifies a list. known is the number of the newest list that the caller has
// seen, 0 for none: an older one would hide later revocations. Whether the list is stale
// is judged when it is used. Errors: ErrListOld, those of sealed.Keys.Open.
func OpenList(keys sealed.Keys, token []byte, known int64) (*List, error) {
	h, payload, err := keys.Open(ListPurpose, token)
	if err != nil {
		return nil, err
	}
	var p listPayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, fmt.Errorf("%w: revocation list: %v", sealed.ErrForm, err) //nolint:errorlint // the form is what is told
	}
	again, err := canonical(p.Revoked, p.Keys)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseInt(h.Number, 10, 64)
	if err != nil || number < 1 || strconv.FormatInt(number, 10) != h.Number || !bytes.Equal(again, payload) ||
		h.Format != ListFormat || h.Expires == 0 || h.NotBefore != h.IssuedAt {
		return nil, fmt.Errorf("%w: not in the form of a revocation list", sealed.ErrForm)
	}
	if number < known {
		return nil, fmt.Errorf("%w: number %d, known is %d", ErrListOld, number, known)
	}
	l := &List{number, h.Issued(), h.Until(), p.Revoked, p.Keys, h.KeyID}
	if r, is := l.RevokedKeys()[h.KeyID]; is {
		return nil, &sealed.KeyRevokedError{KeyID: h.KeyID, Revocation: r}
	}
	return l, nil
}

// Find looks a No. Manifest up.
func (l *List) Find(number string) (Entry, bool) {
	i, is := slices.BinarySearchFunc(l.Entries, number, func(e Entry, n string) int { return strings.Compare(e.Number, n) })
	if !is {
		return Entry{}, false
	}
	return l.Entries[i], true
}

// RevokedKeys are the keys that the list revokes, by their ids, as sealed.Keys.Revoke takes
// them.
func (l List) RevokedKeys() map[string]sealed.Revocation {
	all := make(map[string]sealed.Revocation, len(l.Keys))
	for _, k := range l.Keys {
		all[k.KeyID] = sealed.Revocation{At: time.Unix(k.At, 0).UTC(), Reason: k.Reason}
	}
	return all
}
