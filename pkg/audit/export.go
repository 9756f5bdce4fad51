package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// An export is the whole chain as text: one JSON object a line, first {"format": …}, then
// each row by number, then each signed head. It holds by itself, see VerifyExport.
const exportFormat = "sifilma-audit-export/1"

// exportLine is one line; which field is there says what it is.
type exportLine struct {
	Format string      `json:"format,omitempty"`
	Row    *ExportRow  `json:"row,omitempty"`
	Head   *ExportHead `json:"head,omitempty"`
}

// ExportRow is a sealed row in text.
type ExportRow struct {
	ProofRow
	Request string `json:"request,omitempty"`
}

// ExportHead is a signed head in text.
type ExportHead struct {
	Day       clock.Date `json:"day"`
	Seq       int64      `json:"seq"`
	Hash      string     `json:"hash"` // lower-case hexadecimal
	Unsealed  int64      `json:"unsealed"`
	At        time.Time  `json:"at"`
	KeyID     string     `json:"kid"`
	Signature string     `json:"signature"` // lower-case hexadecimal
}

// Text is a signed head in text.
func (s SignedHead) Text() ExportHead {
	return ExportHead{s.Day, s.Seq, s.Hash.String(), s.Unsealed, s.At, s.KeyID, hex.EncodeToString(s.Signature)}
}

// Signed reads it back.
func (e ExportHead) Signed() (SignedHead, error) {
	hash, err := hashOf(e.Hash)
	if err != nil {
		return SignedHead{}, err
	}
	signature, err := hex.DecodeString(e.Signature)
	if err != nil || hex.EncodeToString(signature) != e.Signature {
		return SignedHead{}, fmt.Errorf("audit: signature of the head of %s: not lower-case hexadecimal", e.Day)
	}
	return SignedHead{Head{e.Seq, hash}, e.Day, e.Unsealed, e.At, e.KeyID, signature}, nil
}

// Export writes the chain, as it is at one moment, with its signed heads. It returns the
// end of what it wrote, and how many signed heads.
func Export(ctx context.Context, db *postgres.DB, w io.Writer) (head Head, signed int, err error) {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		if err := lines.Encode(exportLine{Format: exportFormat}); err != nil {
			return err
		}
		head, err = walk(ctx, rd, func(r Row) error {
			row := ExportRow{ProofRow: ProofRow{r.Seq, r.ID, r.At.UTC(), r.Actor, r.Action, r.Subject, r.Detail, hex.EncodeToString(r.Prev), hex.EncodeToString(r.Hash)}}
			if r.Request.Valid {
				row.Request = r.Request.UUID.String()
			}
			return lines.Encode(exportLine{Row: &row})
		})
		if err != nil {
			return err
		}
		heads, err := SignedHeads(ctx, rd)
		if err != nil {
			return err
		}
		signed = len(heads)
		for _, s := range heads {
			text := s.Text()
			if err := lines.Encode(exportLine{Head: &text}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = out.Flush()
	}
	return head, signed, err
}

// Checked is what an export that holds comes to.
type Checked struct {
	Head   Head
	Signed int // heads that the office signed, each on the chain
	Weak   int // of them, those whose key was revoked since, see Heads
	// Covered is the newest row that a key still vouches for: what is behind it nobody does.
	Covered int64
}

// exportLineMost bounds a line in bytes.
const exportLineMost = 64 << 20

// ErrExport says that a file is no export.
var ErrExport = errors.New("audit: not an export")

// VerifyExport checks an export by itself, with the public keys alone: each row follows from
// the one before, each signed head is genuine and lies on the chain, and so do the heads
// that were kept elsewhere. Errors: ErrExport, *BrokenError, *HeadError.
func VerifyExport(r io.Reader, keys sealed.Keys, known ...Head) (c Checked, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, exportLineMost)
	var chain Chain
	var signed []SignedHead
	links := map[int64]Hash{0: {}} // of the rows; their contents need not be held
	n := 0
	for ; lines.Scan(); n++ {
		var line exportLine
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&line); err != nil {
			return c, fmt.Errorf("%w: line %d: %w", ErrExport, n+1, err)
		}
		switch {
		case n == 0 && line.Format == exportFormat:
		case n > 0 && line.Row != nil && len(signed) == 0:
			row, err := line.Row.sealed()
			if err != nil {
				return c, &BrokenError{line.Row.Seq, err.Error()}
			}
			if err := chain.Add(row); err != nil {
				return c, err
			}
			links[row.Seq] = chain.Head().Hash
		case n > 0 && line.Head != nil:
			s, err := line.Head.Signed()
			if err != nil {
				return c, fmt.Errorf("%w: line %d: %w", ErrExport, n+1, err)
			}
			signed = append(signed, s)
		default:
			return c, fmt.Errorf("%w: line %d", ErrExport, n+1)
		}
	}
	if err := lines.Err(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrExport, err)
	}
	if n == 0 {
		return c, fmt.Errorf("%w: it is empty", ErrExport)
	}
	heads, err := CheckHeads(keys, signed)
	if err != nil {
		return c, err
	}
	for _, h := range append(heads.All, known...) {
		switch hash, is := links[h.Seq]; {
		case !is:
			return c, &BrokenError{chain.Head().Seq + 1, fmt.Sprintf("the chain ends before the kept head %d", h.Seq)}
		case hash != h.Hash:
			return c, &BrokenError{h.Seq, "it is not the row of the kept head"}
		}
	}
	return Checked{Head: chain.Head(), Signed: len(signed), Weak: heads.Weak, Covered: heads.Covered}, nil
}

// sealed reads a row back.
func (r ExportRow) sealed() (row Row, err error) {
	prev, err := hashOf(r.Prev)
	if err != nil {
		return row, err
	}
	hash, err := hashOf(r.Hash)
	if err != nil {
		return row, err
	}
	row = Row{ID: r.ID, At: r.At, Actor: r.Actor, Action: r.Action, Subject: r.Subject, Detail: r.Detail, Seq: r.Seq, Prev: prev[:], Hash: hash[:]}
	if r.Request != "" {
		id, err := uuid.Parse(r.Request)
		if err != nil {
			return row, err
		}
		row.Request = uuid.NullUUID{UUID: id, Valid: true}
	}
	return row, nil
}
