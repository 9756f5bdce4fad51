package load

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Answer is a decision that the office said yes to: from then on it stands.
type Answer struct {
	What    string // last part of the path it went to
	Subject string // Kode Tiket of a request; id of a card, document or handover
	Detail  string // digest of a scan, serial of a replacement, decision about a doubt
}

// Digest names content, SHA-256 in hexadecimal.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// answered keeps what was decided unless the office did not say yes.
func (w *World) answered(err error, a Answer) (bool, error) {
	if err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
	return true, nil
}

// Answers are all decisions that the office said yes to.
func (w *World) Answers() []Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.answers)
}
