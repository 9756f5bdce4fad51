package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// ScanUsedError says that a file is not the signed scan of a paper, because its content is
// a file of Kind and Number, which is Same when that is the very paper.
type ScanUsedError struct {
	Kind   string
	Number string      // empty of a paper without one
	Dated  *clock.Date // nil of a paper without one
	Same   bool
	Signed bool // it is the other's signed scan; else a PDF that nobody signed
}

func (e *ScanUsedError) Error() string {
	if e.Signed {
		return "letter: the scan is that of " + e.Kind + " " + e.Number
	}
	return "letter: the scan is the unsigned PDF of " + e.Kind + " " + e.Number
}

// Paper names the paper whose file it is, as people do.
func (e *ScanUsedError) Paper() string {
	name := KindLabels[e.Kind]
	switch {
	case e.Number != "":
		name += " nomor " + e.Number
	case e.Dated != nil:
		name += " tanggal " + terbilang.FormatDate(*e.Dated)
	}
	return name
}

// scanOwn refuses a file as the signed scan of a paper if, byte for byte, it is the signed
// scan of another one or the PDF of any that is still to be signed: also of two papers that
// were signed together each has its own. Whoever brings in the same file for another paper
// waits for this transaction. Error: *ScanUsedError.
func scanOwn(ctx context.Context, tx *postgres.Tx, d Document, scanBlob string) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('signed_scan ' || encode(sha256, 'hex'), 0)) FROM blob WHERE id = $1`, scanBlob); err != nil {
		return fmt.Errorf("letter: locking a scan: %w", err)
	}
	var used struct {
		ID     string      `db:"id"`
		Kind   string      `db:"kind"`
		Number string      `db:"number"`
		Dated  *clock.Date `db:"dated"`
		Signed bool        `db:"signed"`
	}
	err := tx.Get(ctx, &used, `
		WITH same AS (SELECT o.id FROM blob s JOIN blob o ON o.sha256 = s.sha256 WHERE s.id = $2), used AS (
		    SELECT d.id, d.kind, d.number, d.dated, true AS signed FROM document d JOIN same ON same.id = d.scan_blob WHERE d.id <> $1
		    UNION ALL SELECT d.id, d.kind, d.number, d.dated, false FROM document d JOIN same ON same.id = d.pdf_blob)
		SELECT id, kind, coalesce(number, '') AS number, dated, signed FROM used ORDER BY id <> $1, signed DESC, id LIMIT 1`, d.ID, scanBlob)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("letter: looking for the papers of a scan: %w", err)
	}
	return &ScanUsedError{Kind: used.Kind, Number: used.Number, Dated: used.Dated, Same: used.ID == d.ID, Signed: used.Signed}
}
