package manifest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

// Purposes ("typ") of what is signed here.
const (
	Purpose     = "sifilma-manifest"
	ListPurpose = "sifilma-revocations"
)

// Errors of verification, besides those of package sealed: ErrForm, ErrKey, ErrSignature,
// ErrContent, ErrPurpose, ErrKeyRevoked, ErrKeyEnded, ErrNotYet, ErrExpired.
var (
	// ErrRevoked says that the list names the manifest, see RevokedError.
	ErrRevoked = errors.New("manifest is revoked")
	// ErrMismatch says that header and payload, each signed, tell different things.
	ErrMismatch = errors.New("header and payload disagree")
	// ErrListOld says that a list is older than one that is known.
	ErrListOld = errors.New("revocation list is older than a known one")
	// ErrListStale says that a newer list must be there by now.
	ErrListStale = errors.New("revocation list is past its next update")
)

// Manifest is a payload with its detached token.
type Manifest struct {
	Number  string // No. Manifest
	Format  string // of the payload
	Payload []byte
	JWS     []byte
}

// Issue makes and signs a manifest. issued is the moment of signing; the validity is that
// of the facts. The same facts, moment and key give another signature each time, which
// is why what was issued is kept and never made again.
func Issue(ctx context.Context, s *sealed.Signer, d Driver, f Facts, issued time.Time) (Manifest, error) {
	if err := f.Check(); err != nil {
		return Manifest{}, err
	}
	payload, err := d.Make(f)
	if err != nil {
		return Manifest{}, err
	}
	from, until, err := f.Validity()
	if err != nil {
		return Manifest{}, err
	}
	token, err := s.SignDetached(ctx, sealed.Header{
		Type: Purpose, Number: f.Number, Format: d.Format(), IssuedAt: issued.Unix(), NotBefore: from.Unix(), Expires: until.Unix(),
	}, payload)
	if err != nil {
		return Manifest{}, err
	}
	return Manifest{f.Number, d.Format(), payload, token}, nil
}

// Verifier verifies manifests. It is safe for many goroutines.
type Verifier struct {
	// Keys are the registry's public keys, from a source other than what is verified.
	Keys sealed.Keys
	// List is the revocation list, verified with OpenList; nil looks for no revocation, of
	// manifests and of keys.
	List *List
	// Drivers read payloads; none means JSON. A format that none of them has stays opaque.
	Drivers []Driver
}

// Verified is a manifest that holds.
type Verified struct {
	Header sealed.Header
	// Facts are what the payload says; nil when it is opaque.
	Facts *Facts
	// Listed says whether a revocation list was looked at.
	Listed bool
}

// Verify verifies a manifest for a moment: signature, content, validity, revocation, and
// that header and payload agree. A manifest on the list is refused whatever the moment, so
// that a wrong clock brings none back. With an error, what could be read is returned for
// telling people, and must not be used otherwise.
func (v Verifier) Verify(payload, jws []byte, at time.Time) (Verified, error) {
	h, err := v.keys().OpenDetached(Purpose, jws, payload)
	if err != nil {
		return Verified{}, err
	}
	out := Verified{Header: h}
	if out.Facts, err = v.read(h, payload); err != nil {
		return out, err
	}
	if h.Expires == 0 {
		return out, fmt.Errorf("%w: a manifest without an end", sealed.ErrForm)
	}
	if v.List != nil {
		out.Listed = true
		if e, is := v.List.Find(h.Number); is {
			return out, &RevokedError{e}
		}
	}
	if err := h.ValidAt(at); err != nil {
		return out, err
	}
	if v.List != nil && !at.Before(v.List.NextUpdate) {
		return out, fmt.Errorf("%w: number %d was to be replaced by %s", ErrListStale, v.List.Number, v.List.NextUpdate.Format(time.RFC3339))
	}
	return out, nil
}

// keys are the reader's own, less those that the list revokes.
func (v Verifier) keys() sealed.Keys {
	if v.List == nil || len(v.List.Keys) == 0 {
		return v.Keys
	}
	return v.Keys.Revoke(v.List.RevokedKeys())
}

// read reads the payload and holds it against the header.
func (v Verifier) read(h sealed.Header, payload []byte) (*Facts, error) {
	for _, d := range drivers(v.Drivers) {
		if d.Format() != h.Format {
			continue
		}
		f, err := d.Read(payload)
		if errors.Is(err, ErrOpaque) {
			return nil, nil //nolint:nilnil // opaque: there are no facts, and that is no fault
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
		}
		from, until, err := f.Validity()
		if err != nil || f.Number != h.Number || !from.Equal(h.From()) || !until.Equal(h.Until()) {
			return nil, fmt.Errorf("%w: number or validity of %s", ErrMismatch, h.Number)
		}
		return &f, nil
	}
	return nil, nil //nolint:nilnil // as above
}

// IssueAll is Issue for many readers, several at a time: a token answers several sessions
// at once. All or none; the order is that of the facts.
func IssueAll(ctx context.Context, s *sealed.Signer, d Driver, all []Facts, issued time.Time, workers int) ([]Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]Manifest, len(all))
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(max(workers, 1), len(all)) {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				m, err := Issue(ctx, s, d, all[i], issued)
				if err != nil {
					cancel(fmt.Errorf("manifest %s: %w", all[i].Number, err))
					return
				}
				out[i] = m
			}
		})
	}
	working.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}
