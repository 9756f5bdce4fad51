// Package register keeps what the office issued before the first day of this
// system: the SAM cards, PCIDs, manifest numbers and readers of the old register.
// It alone writes the tables register_import, register_entry and
// register_correction. A number that stands there is never asked for, personalised
// or given again; the schema sees to it that it is not among the office's own
// numbers too. Nothing in it changes: a wrong row is superseded by another edition
// of it, or withdrawn, and then no longer stands.
package register

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Entry is one row of the old register. Its numbers are in the form in which they
// are compared: serials as package cardlist normalises them, a PCID as 32
// hexadecimal digits, a manifest number and a chip id in upper case. An empty
// field is not told; at least one number is.
type Entry struct {
	Sheet string // empty for a CSV file
	Row   int    // of the sheet, from 1

	Serial       string // No. Seri Kartu SAM
	PCID         string // No. PCID
	ManifestNo   string // No. Manifest Kartu SAM
	ReaderSerial string // No. Seri Reader
	ChipID       string // of the chip itself, hexadecimal

	Produsen, Lembaga, Remarks string     // for people
	IssuedOn                   clock.Date // zero when it is not told
}

// Field is a number of an entry, by the name of its column.
type Field string

// The numbers of an entry. Each value stands in one entry only.
const (
	Serial       Field = "serial"
	PCID         Field = "pcid"
	ManifestNo   Field = "manifest_no"
	ReaderSerial Field = "reader_serial"
	ChipID       Field = "chip_id"
)

// Fields are the numbers of an entry, in the order in which people name them.
var Fields = []Field{Serial, PCID, ManifestNo, ReaderSerial, ChipID}

// Value is the entry's number of that name.
func (e Entry) Value(f Field) string {
	switch f {
	case Serial:
		return e.Serial
	case PCID:
		return e.PCID
	case ManifestNo:
		return e.ManifestNo
	case ReaderSerial:
		return e.ReaderSerial
	case ChipID:
		return e.ChipID
	}
	return ""
}

// HasCard says whether a card was issued before day one: by the serial printed on
// it or by its chip.
func HasCard(ctx context.Context, r postgres.Reader, serial, chipID string) (has bool, err error) {
	if err := r.Get(ctx, &has, `
		SELECT EXISTS (SELECT FROM register_standing WHERE serial = $1)
		    OR EXISTS (SELECT FROM register_standing WHERE chip_id = $2)`, serial, chipID); err != nil {
		return false, fmt.Errorf("register: looking for a card: %w", err)
	}
	return has, nil
}

// Known returns which of the values the register has as their number of that
// name; manifest numbers are compared in upper case.
func Known(ctx context.Context, r postgres.Reader, f Field, values []string) (known map[string]bool, err error) {
	var found []string
	query := `SELECT v FROM unnest($1::text[]) AS v WHERE EXISTS (SELECT FROM register_standing WHERE ` + string(f) + ` = v)`
	if f == ManifestNo {
		query = `SELECT v FROM unnest($1::text[]) AS v WHERE EXISTS (SELECT FROM register_standing WHERE manifest_no = upper(v))`
	}
	if err := r.Select(ctx, &found, query, pq.Array(values)); err != nil {
		return nil, fmt.Errorf("register: looking for numbers: %w", err)
	}
	known = make(map[string]bool, len(found))
	for _, v := range found {
		known[v] = true
	}
	return known, nil
}
