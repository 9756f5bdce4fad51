package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Verification is what anybody who holds a paper may know of it: what the paper says
// of itself, and whether it is in force. Nothing of its request is in it.
type Verification struct {
	Kind       string        `json:"kind"`
	KindLabel  string        `json:"kind_label"`
	Number     string        `json:"number"` // empty for a paper without one
	Dated      *clock.Date   `json:"dated"`
	State      machine.State `json:"state"` // issued, awaiting_signature, void or replaced
	StateLabel string        `json:"state_label"`
	SignedOn   *clock.Date   `json:"signed_on"`
	// Ended is the office's day from which a void or replaced paper does not count.
	Ended *clock.Date `json:"ended_on"`
	// Successor has taken the place of a void or replaced paper.
	Successor *Successor `json:"successor"`
	// Electronic says that the signed file is a PDF with certificates in it, and no scan.
	Electronic bool               `json:"electronic"`
	Signatures []letter.Signature `json:"signatures"`
	Files      []VerifiedFile     `json:"files"`
}

// Successor is the paper in the place of another.
type Successor struct {
	Number string     `json:"number"`
	Dated  clock.Date `json:"dated"`
}

// VerifiedFile is a file of a paper by its hash: who has the same file has what the
// office keeps. The Word file is a draft and not among them.
type VerifiedFile struct {
	Format string `json:"format"` // pdf, xlsx or scan
	SHA256 string `json:"sha256"`
}

// verdicts are the states of a paper for whoever checks it: before its signature it
// counts for nothing, however far it has come.
var verdicts = map[machine.State]string{
	letter.Issued: "Berlaku", letter.AwaitingSignature: "Belum ditandatangani", letter.Void: "Dibatalkan", letter.Replaced: "Diganti",
}

// Verify returns what is known of the paper with a verification token, as
// letter.ParseToken reads it. Error: ErrNotFound.
func Verify(ctx context.Context, db *postgres.DB, token string) (v Verification, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		d, err := letter.ByToken(ctx, rd, token)
		if errors.Is(err, letter.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		v = Verification{Kind: d.Kind, KindLabel: letter.KindLabels[d.Kind], Dated: d.Dated, State: d.State, SignedOn: d.SignedOn, Electronic: d.Electronic, Files: []VerifiedFile{}}
		if d.Number != nil {
			v.Number = *d.Number
		}
		if v.Signatures, err = d.Signatures(); err != nil {
			return fmt.Errorf("report: signatures of a paper: %w", err)
		}
		switch d.State {
		case letter.Drafted, letter.Numbered:
			v.State = letter.AwaitingSignature
		case letter.Void, letter.Replaced:
			if err := v.end(ctx, rd, d); err != nil {
				return err
			}
		}
		v.StateLabel = verdicts[v.State]
		return v.hash(ctx, rd, d)
	})
	return v, err
}

// end tells since when a paper does not count, and what counts in its stead.
func (v *Verification) end(ctx context.Context, rd postgres.Reader, d letter.Document) error {
	var at time.Time
	if err := rd.Get(ctx, &at, `
		SELECT office_at FROM history WHERE machine = $1 AND subject = $2 AND version = $3`, letter.Machine.Name, d.ID, d.Version); err != nil {
		return fmt.Errorf("report: end of a paper: %w", err)
	}
	day := clock.DateOf(at)
	v.Ended = &day
	next, err := letter.Successor(ctx, rd, d)
	if errors.Is(err, letter.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if next.Number != nil && next.Dated != nil {
		v.Successor = &Successor{Number: *next.Number, Dated: *next.Dated}
	}
	return nil
}

func (v *Verification) hash(ctx context.Context, rd postgres.Reader, d letter.Document) error {
	for _, format := range []string{"pdf", "xlsx", "scan"} {
		text, ok := d.File(format)
		if !ok {
			continue
		}
		id, err := uuid.Parse(text)
		if err != nil {
			return fmt.Errorf("report: file of a paper: %w", err)
		}
		info, err := blob.Stat(ctx, rd, id)
		if err != nil {
			return err
		}
		v.Files = append(v.Files, VerifiedFile{Format: format, SHA256: info.Hash()})
	}
	return nil
}
