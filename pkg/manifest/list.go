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

	KeyID string // of the key that signed it, once verified
}

type listPayload struct {
	Revoked []Entry `json:"revoked"`
}

// canonical is the payload in its one form.
func canonical(entries []Entry) ([]byte, error) {
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
	return json.Marshal(listPayload{entries})
}

// Says is what a list says, whatever its number and times: two lists that say the same
// give the same bytes. Error: sealed.ErrForm.
func (l List) Says() ([]byte, error) {
	entries := slices.Clone(l.Entries)
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Number, b.Number) })
	return canonical(entries)
}

// Sign signs a list: a token with its payload inside. The entries are sorted for it.
// Error: sealed.ErrForm, those of signing.
func (l List) Sign(ctx context.Context, s *sealed.Signer) ([]byte, error) {
	if l.Number < 1 {
		return nil, fmt.Errorf("%w: list number %d", sealed.ErrForm, l.Number)
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
	again, err := canonical(p.Revoked)
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
	return &List{number, h.Issued(), h.Until(), p.Revoked, h.KeyID}, nil
}

// Find looks a No. Manifest up.
func (l *List) Find(number string) (Entry, bool) {
	i, is := slices.BinarySearchFunc(l.Entries, number, func(e Entry, n string) int { return strings.Compare(e.Number, n) })
	if !is {
		return Entry{}, false
	}
	return l.Entries[i], true
}
