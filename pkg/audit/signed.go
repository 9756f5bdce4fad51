package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// What a signed head is to package sealed.
const (
	// HeadPurpose is the "typ" of the token that signs a head.
	HeadPurpose = "sifilma-audit-head"
	headFormat  = "audit-head/1"
)

// SignedHead is an end of the chain that the office's signing key vouches for. All that is
// signed stands on the day sheet, so that it is checked from the paper, with the public key
// alone.
type SignedHead struct {
	Head
	Day clock.Date
	// Unsealed rows waited for the sealer then.
	Unsealed int64
	// At is the office's time, in whole minutes as it is printed.
	At time.Time
	// KeyID is the thumbprint of the key, see sealed.KeyID.
	KeyID string
	// Signature is r and s of ES256, 32 bytes each.
	Signature []byte
}

// headPayload is what is signed: one line of JSON in this order.
type headPayload struct {
	Day      string `json:"day"`
	Seq      int64  `json:"seq"`
	Hash     string `json:"hash"` // lower-case hexadecimal
	Unsealed int64  `json:"unsealed"`
}

// token is what the signature belongs to: the header of its token and the payload.
func (s SignedHead) token() (sealed.Header, []byte, error) {
	payload, err := json.Marshal(headPayload{s.Day.String(), s.Seq, s.Hash.String(), s.Unsealed})
	at := s.At.Unix()
	return sealed.Header{KeyID: s.KeyID, Type: HeadPurpose, Number: s.Day.String(), Format: headFormat, IssuedAt: at, NotBefore: at}, payload, err
}

// Sign has a head signed as the end of a day's chain. It may take as long as a token does:
// no transaction should be open.
func (s SignedHead) Sign(ctx context.Context, by *sealed.Signer) (SignedHead, error) {
	s.At, s.KeyID = s.At.UTC().Truncate(time.Minute), by.KeyID()
	h, payload, err := s.token()
	if err != nil {
		return s, fmt.Errorf("audit: head: %w", err)
	}
	token, err := by.SignDetached(ctx, h, payload)
	if err != nil {
		return s, err
	}
	s.Signature, err = sealed.Bare(token)
	return s, err
}

// Verify says whether the office signed this head. Without a KeyID, which nobody should have
// to type from a paper, any of the keys may have; the one that did is returned. Errors:
// sealed.ErrForm, sealed.ErrKey, sealed.ErrSignature, sealed.ErrKeyRevoked,
// sealed.ErrKeyEnded.
func (s SignedHead) Verify(keys sealed.Keys) (keyID string, err error) {
	ids := []string{s.KeyID}
	if s.KeyID == "" {
		ids = keys.IDs()
	}
	err = sealed.ErrKey
	for _, id := range ids {
		s.KeyID = id
		h, payload, errForm := s.token()
		if errForm != nil {
			return "", errForm
		}
		token, errForm := sealed.Rejoin(h, payload, s.Signature)
		if errForm != nil {
			return "", errForm
		}
		_, err = keys.OpenDetached(HeadPurpose, token, payload)
		if err == nil || errors.Is(err, sealed.ErrKeyRevoked) || errors.Is(err, sealed.ErrKeyEnded) { // it was this key
			return id, err
		}
	}
	return "", err
}

// Heads are signed heads that were checked.
type Heads struct {
	All []Head // for Verify to compare with the chain
	// Weak of them were signed with a key that was revoked since: they vouch for nothing,
	// and what they say must still fit. A later head covers what they covered.
	Weak int
	// Covered is the newest row that a head which is not weak vouches for.
	Covered int64
}

// CheckHeads says whether signed heads are genuine. The error names the first that is not.
func CheckHeads(keys sealed.Keys, signed []SignedHead) (h Heads, err error) {
	h.All = make([]Head, len(signed))
	for i, s := range signed {
		h.All[i] = s.Head
		switch _, err := s.Verify(keys); {
		case errors.Is(err, sealed.ErrKeyRevoked):
			h.Weak++
		case err != nil:
			return h, &HeadError{s, err}
		default:
			h.Covered = max(h.Covered, s.Seq)
		}
	}
	return h, nil
}

// HeadError says of a signed head that it is not genuine, and why.
type HeadError struct {
	Signed SignedHead
	Err    error
}

// Error says it in short.
func (e *HeadError) Error() string {
	return fmt.Sprintf("audit: the signed head %d of %s: %v", e.Signed.Seq, e.Signed.Day, e.Err)
}

// Unwrap gives the reason, an error of package sealed.
func (e *HeadError) Unwrap() error { return e.Err }

// ErrNotSigned says that nothing is signed for a subject yet.
var ErrNotSigned = errors.New("audit: no signed head")
