package sealed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Bare is the signature of a token without the rest of it: r and s, 32 bytes each. It is
// for what has no room for a whole token, such as paper, and says the rest in other words.
// Error: ErrForm.
func Bare(token []byte) ([]byte, error) {
	_, _, signature, err := split(token)
	if err != nil {
		return nil, err
	}
	rs, err := unbase64(signature)
	if err == nil && len(rs) != 2*coordinate {
		err = fmt.Errorf("%w: a signature of %d bytes", ErrForm, len(rs))
	}
	return rs, err
}

// Rejoin makes the detached token again whose signature Bare took. KeyID and the other
// fields of the header are the caller's; Algorithm and SHA256 are filled in. Nothing is
// verified: Keys.OpenDetached does that. Error: ErrForm.
func Rejoin(h Header, payload, signature []byte) ([]byte, error) {
	sum := sha256.Sum256(payload)
	h.Algorithm, h.SHA256 = alg, hex.EncodeToString(sum[:])
	if err := h.check(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	return []byte(b64.EncodeToString(raw) + ".." + b64.EncodeToString(signature)), nil
}
