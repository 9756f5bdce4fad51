package register

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNotFound says that no entry that stands has the number.
	ErrNotFound = errors.New("register: no such entry")
	// ErrNoReason says that a correction needs a reason and somebody who answers for it.
	ErrNoReason = errors.New("register: a correction needs a reason and a person")
	// ErrUnchanged says that a correction says what stands already.
	ErrUnchanged = errors.New("register: the correction changes nothing")
)

// ClashError says that the other edition of an entry has a number of another row, or
// of the office.
type ClashError struct{ Clashes []Clash }

func (e *ClashError) Error() string {
	return fmt.Sprintf("register: the correction clashes %d times", len(e.Clashes))
}

// Standing is an entry that stands, and where it came from.
type Standing struct {
	Entry
	ImportID   string
	Edition    int // 1: as imported
	File       string
	ImportedBy string
	ImportedAt time.Time
}

// standingRow is a Standing as the database has it.
type standingRow struct {
	ImportID     string      `db:"import_id"`
	Sheet        string      `db:"sheet"`
	Row          int         `db:"row"`
	Edition      int         `db:"edition"`
	Serial       string      `db:"serial"`
	PCID         string      `db:"pcid"`
	ManifestNo   string      `db:"manifest_no"`
	ReaderSerial string      `db:"reader_serial"`
	ChipID       string      `db:"chip_id"`
	Produsen     string      `db:"produsen"`
	Lembaga      string      `db:"lembaga"`
	IssuedOn     *clock.Date `db:"issued_on"`
	Remarks      string      `db:"remarks"`
	File         string      `db:"file"`
	ImportedBy   string      `db:"imported_by"`
	ImportedAt   time.Time   `db:"imported_at"`
}

// Find returns the entry that stands with this number. Error: ErrNotFound.
func Find(ctx context.Context, r postgres.Reader, f Field, value string) (Standing, error) {
	var row standingRow
	err := r.Get(ctx, &row, `
		SELECT e.import_id, e.sheet, e.row, e.edition, coalesce(e.serial, '') AS serial, coalesce(e.pcid, '') AS pcid,
		       coalesce(e.manifest_no, '') AS manifest_no, coalesce(e.reader_serial, '') AS reader_serial, coalesce(e.chip_id, '') AS chip_id,
		       e.produsen, e.lembaga, e.issued_on, e.remarks, f.file, f.imported_by, f.imported_at
		FROM register_standing e JOIN register_import f ON f.id = e.import_id WHERE e.`+string(f)+` = $1`, value)
	if errors.Is(err, sql.ErrNoRows) {
		return Standing{}, ErrNotFound
	}
	if err != nil {
		return Standing{}, fmt.Errorf("register: looking for an entry: %w", err)
	}
	s := Standing{ImportID: row.ImportID, Edition: row.Edition, File: row.File, ImportedBy: row.ImportedBy, ImportedAt: row.ImportedAt.UTC(), Entry: Entry{
		Sheet: row.Sheet, Row: row.Row, Serial: row.Serial, PCID: row.PCID, ManifestNo: row.ManifestNo, ReaderSerial: row.ReaderSerial,
		ChipID: row.ChipID, Produsen: row.Produsen, Lembaga: row.Lembaga, Remarks: row.Remarks,
	}}
	if row.IssuedOn != nil {
		s.IssuedOn = *row.IssuedOn
	}
	return s, nil
}

// Past is an edition that stands no more.
type Past struct {
	Edition int       `db:"edition"`
	Reason  string    `db:"reason"`
	By      string    `db:"corrected_by"`
	At      time.Time `db:"corrected_at"`
}

// History is what was corrected of an entry before, oldest first.
func History(ctx context.Context, r postgres.Reader, of Standing) ([]Past, error) {
	past := []Past{}
	err := r.Select(ctx, &past, `SELECT edition, reason, corrected_by, corrected_at FROM register_correction
		WHERE (import_id, sheet, row) = ($1, $2, $3) ORDER BY edition`, of.ImportID, of.Sheet, of.Row)
	if err != nil {
		return nil, fmt.Errorf("register: history of an entry: %w", err)
	}
	return past, nil
}

// Correction is what stands in the place of an entry from now on.
type Correction struct {
	Of     Standing
	To     *Entry // its numbers and words; nil: nothing, the row is withdrawn
	Reason string
	By     string // who answers for it
	At     time.Time
	// Dry only looks: the transaction must not be committed, and holds nobody off.
	Dry bool
}

// Correct supersedes an entry, as it was found a moment ago, by another edition, or
// withdraws it; its number is free again unless the other edition has it. Both are
// kept. Errors: ErrNoReason, ErrUnchanged, *ClashError, ErrBusy, ErrTaken;
// postgres.ErrStale when somebody else has corrected the entry.
func Correct(ctx context.Context, tx *postgres.Tx, c Correction) error {
	c.Reason, c.By = strings.TrimSpace(c.Reason), strings.TrimSpace(c.By)
	if c.Reason == "" || c.By == "" {
		return ErrNoReason
	}
	if c.To != nil {
		c.To.Sheet, c.To.Row = c.Of.Sheet, c.Of.Row // it stands for the same row
		if *c.To == c.Of.Entry {
			return ErrUnchanged
		}
	}
	if err := hold(ctx, tx); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO register_correction (import_id, sheet, row, edition, reason, corrected_by, corrected_at)
		SELECT import_id, sheet, row, edition, $5, $6, $7 FROM register_standing WHERE (import_id, sheet, row, edition) = ($1, $2, $3, $4)`,
		c.Of.ImportID, c.Of.Sheet, c.Of.Row, c.Of.Edition, c.Reason, c.By, c.At.UTC())
	if err != nil {
		return fmt.Errorf("register: superseding an entry: %w", err)
	}
	if n == 0 {
		return postgres.ErrStale
	}
	detail := map[string]any{"file": c.Of.File, "sheet": c.Of.Sheet, "row": c.Of.Row, "edition": c.Of.Edition, "reason": c.Reason, "from": record(c.Of.Entry)}
	if c.To != nil {
		if err := replace(ctx, tx, c); err != nil {
			return err
		}
		detail["to"] = record(*c.To)
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: c.By, Action: "register.corrected", Subject: c.Of.ImportID, Detail: detail})
}

// replace puts the next edition in, unless it clashes.
func replace(ctx context.Context, tx *postgres.Tx, c Correction) error {
	in, err := Begin(ctx, tx)
	if err != nil {
		return err
	}
	if err := in.Add(ctx, []Entry{*c.To}); err != nil {
		return err
	}
	var found Comparison // every entry that it meets is another row: none may have a number of it
	switch err := in.clashes(ctx, &found); {
	case err != nil:
		return err
	case len(found.Clashes) > 0:
		return &ClashError{found.Clashes}
	case c.Dry:
		return nil
	}
	_, err = put(ctx, tx, `
		INSERT INTO register_entry (import_id, sheet, row, edition, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, issued_on, remarks)
		SELECT $1, sheet, row, $2, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, issued_on, remarks FROM register_intake`,
		c.Of.ImportID, c.Of.Edition+1)
	return err
}

// record is an entry as the record has it: what it tells.
func record(e Entry) map[string]string {
	all := map[string]string{"produsen": e.Produsen, "lembaga": e.Lembaga, "remarks": e.Remarks, "issued_on": e.IssuedOn.String()}
	for _, f := range Fields {
		all[string(f)] = e.Value(f)
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return all
}
