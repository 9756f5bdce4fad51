package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// Proof is what the chain says of one request, for whoever checks it without the database.
// Each row shows that its content fits its hash, and rows that are neighbours that one
// follows from the other. That no row between was left out, the office alone can show, by
// the whole chain; Head, signed on the day sheet, binds it.
type Proof struct {
	Request string     `json:"request"`
	Head    HeadText   `json:"head"`    // of the whole chain when the proof was made
	Pending int        `json:"pending"` // rows of the request that were not sealed yet, and are not here
	Rows    []ProofRow `json:"rows"`    // by number
	// Signed is the newest head that the office has signed, when it covers all rows here:
	// the whole chain, which goes through it, cannot be another one later.
	Signed *ExportHead `json:"signed_head,omitempty"`
}

// HeadText is a Head in text.
type HeadText struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"` // lower-case hexadecimal
}

// ProofRow is a sealed row in text; hashes are lower-case hexadecimal.
type ProofRow struct {
	Seq     int64     `json:"seq"`
	ID      uuid.UUID `json:"id"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	Subject string    `json:"subject"`
	Detail  string    `json:"detail"` // as PostgreSQL writes the JSON
	Prev    string    `json:"prev_hash"`
	Hash    string    `json:"hash"`
}

// ProofOf reads the sealed rows of a request.
func ProofOf(ctx context.Context, rd postgres.Reader, requestID uuid.UUID) (Proof, error) {
	p := Proof{Request: requestID.String(), Rows: []ProofRow{}}
	head, err := HeadOf(ctx, rd)
	if err != nil {
		return p, err
	}
	p.Head = HeadText{head.Seq, head.Hash.String()}
	var rows []Row
	if err := rd.Select(ctx, &rows, `SELECT id, at, actor, action, subject, request_id, detail::text AS detail, seq, prev_hash, hash
		FROM audit WHERE request_id = $1 AND seq <= $2 ORDER BY seq`, requestID, head.Seq); err != nil {
		return p, fmt.Errorf("audit: proof: %w", err)
	}
	if err := rd.Get(ctx, &p.Pending, `SELECT count(*) FROM audit WHERE request_id = $1 AND seq IS NULL`, requestID); err != nil {
		return p, fmt.Errorf("audit: proof: %w", err)
	}
	for _, r := range rows {
		p.Rows = append(p.Rows, ProofRow{
			r.Seq, r.ID, r.At.UTC(), r.Actor, r.Action, r.Subject, r.Detail, hex.EncodeToString(r.Prev), hex.EncodeToString(r.Hash),
		})
	}
	s, err := NewestSigned(ctx, rd)
	switch {
	case errors.Is(err, ErrNotSigned):
		return p, nil
	case err != nil:
		return p, err
	case s.Seq <= head.Seq && (len(rows) == 0 || s.Seq >= rows[len(rows)-1].Seq):
		text := s.Text()
		p.Signed = &text
	}
	return p, nil
}

// VerifySigned is Verify, and that the signed head, where there is one, is genuine and
// contradicts no row. One whose key was revoked since vouches for nothing, as none does; the
// bundle that the proof lies in has a signature of its own. Errors: *BrokenError, *HeadError.
func (p Proof) VerifySigned(keys sealed.Keys) error {
	if err := p.Verify(); err != nil || p.Signed == nil {
		return err
	}
	s, err := p.Signed.Signed()
	if err != nil {
		return err
	}
	if _, err := s.Verify(keys); err != nil && !errors.Is(err, sealed.ErrKeyRevoked) {
		return &HeadError{s, err}
	}
	if s.Seq > p.Head.Seq || s.Seq == p.Head.Seq && p.Signed.Hash != p.Head.Hash {
		return &BrokenError{s.Seq, "it is not the row of the signed head"}
	}
	for _, r := range p.Rows {
		if r.Seq > s.Seq || r.Seq == s.Seq && r.Hash != p.Signed.Hash {
			return &BrokenError{r.Seq, "it is not covered by the signed head"}
		}
	}
	return nil
}

// Verify checks a proof by itself. A *BrokenError names the first row that does not hold.
func (p Proof) Verify() error {
	request, err := uuid.Parse(p.Request)
	if err != nil {
		return fmt.Errorf("audit: proof: %w", err)
	}
	head, err := hashOf(p.Head.Hash)
	if err != nil {
		return err
	}
	last := Head{}
	for _, r := range p.Rows {
		prev, err := hashOf(r.Prev)
		if err != nil {
			return &BrokenError{r.Seq, err.Error()}
		}
		hash, err := hashOf(r.Hash)
		if err != nil {
			return &BrokenError{r.Seq, err.Error()}
		}
		row := Row{ID: r.ID, At: r.At, Actor: r.Actor, Action: r.Action, Subject: r.Subject, Request: uuid.NullUUID{UUID: request, Valid: true}, Detail: r.Detail, Seq: r.Seq}
		switch {
		case r.Seq <= last.Seq || r.Seq > p.Head.Seq:
			return &BrokenError{r.Seq, "it is out of order"}
		case r.Seq == last.Seq+1 && prev != last.Hash:
			return &BrokenError{r.Seq, "it does not follow from the row before"}
		case row.link(prev) != hash:
			return &BrokenError{r.Seq, "its content does not fit its hash"}
		case r.Seq == p.Head.Seq && hash != head:
			return &BrokenError{r.Seq, "it is not the head"}
		}
		last = Head{r.Seq, hash}
	}
	return nil
}

func hashOf(text string) (h Hash, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) || hex.EncodeToString(raw) != text {
		return h, fmt.Errorf("audit: %q is no hash", text)
	}
	return Hash(raw), nil
}
