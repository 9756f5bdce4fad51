package register

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Source is where and by whom entries come into the register.
type Source struct {
	SHA256 [32]byte // of the file
	File   string   // its name
	By     string   // who imports it
	At     time.Time
}

// ErrClashes says that an intake was stored without being compared, or with
// clashes in it.
var ErrClashes = errors.New("register: the intake was not compared, or clashes")

// Intake is a file on its way into the register, within one transaction: all of
// its rows or none. First all rows are added, then they are compared, then
// stored.
type Intake struct {
	tx       *postgres.Tx
	rows     int
	compared bool
}

// Begin opens an intake. Only the owner of the schema may write the register.
func Begin(ctx context.Context, tx *postgres.Tx) (*Intake, error) {
	if _, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE register_intake (
			n             int PRIMARY KEY,
			sheet         text NOT NULL,
			row           int  NOT NULL,
			serial        text,
			pcid          text,
			manifest_no   text,
			reader_serial text,
			chip_id       text,
			produsen      text NOT NULL,
			lembaga       text NOT NULL,
			issued_on     date,
			remarks       text NOT NULL,
			known         bool NOT NULL DEFAULT false,
			past          bool NOT NULL DEFAULT false
		) ON COMMIT DROP`); err != nil {
		return nil, fmt.Errorf("register: opening an intake: %w", err)
	}
	return &Intake{tx: tx}, nil
}

// Add takes rows in, in the order of the file; a few thousand at a time do well.
func (in *Intake) Add(ctx context.Context, entries []Entry) error {
	n := len(entries)
	texts := make([][]string, 9)
	for i := range texts {
		texts[i] = make([]string, n)
	}
	numbers, rows := make([]int64, n), make([]int64, n)
	for i, e := range entries {
		numbers[i], rows[i] = int64(in.rows+i+1), int64(e.Row)
		for j, value := range []string{
			e.Sheet, e.Serial, e.PCID, e.ManifestNo, e.ReaderSerial, e.ChipID, e.Produsen, e.Lembaga, e.Remarks,
		} {
			texts[j][i] = value
		}
	}
	days := make([]string, n)
	for i, e := range entries {
		days[i] = e.IssuedOn.String()
	}
	args := []any{pq.Array(numbers), pq.Array(rows)}
	for _, column := range texts {
		args = append(args, pq.Array(column))
	}
	if _, err := in.tx.Exec(ctx, `
		INSERT INTO register_intake (n, row, sheet, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, remarks, issued_on)
		SELECT n, row, sheet, nullif(serial, ''), nullif(pcid, ''), nullif(manifest_no, ''), nullif(reader_serial, ''),
		       nullif(chip_id, ''), produsen, lembaga, remarks, nullif(issued_on, '')::date
		FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
		            $10::text[], $11::text[], $12::text[])
		     AS i (n, row, sheet, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, remarks, issued_on)`,
		append(args, pq.Array(days))...); err != nil {
		return fmt.Errorf("register: taking rows in: %w", err)
	}
	in.rows += n
	return nil
}

// Hold keeps everybody else from writing the register until the transaction ends, so
// that what Compare finds of it stays true. The office goes on: nobody but the
// register's writers waits. Without it Compare only tells how things stand.
func (in *Intake) Hold(ctx context.Context) error { return hold(ctx, in.tx) }

func hold(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `LOCK TABLE register_import IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("register: holding the register: %w", err)
	}
	return nil
}

// LongestWait is how long Store and Correct wait for those who are writing serials
// and numbers, at each of the four tables. Those who come later wait behind them.
const LongestWait = 5 * time.Second

// ErrBusy says that serials and numbers were being written for longer than
// LongestWait.
var ErrBusy = errors.New("register: serials and numbers are being written")

// ErrTaken says that the office took a number of the rows since they were compared.
var ErrTaken = errors.New("register: a number was taken meanwhile")

// put writes entries, by a statement. Behind it the schema holds everybody off from
// serials and numbers until the transaction ends, and looks whether one of the
// entries is among them: so little as may be should come after it.
func put(ctx context.Context, tx *postgres.Tx, query string, args ...any) (int64, error) {
	// The rows are looked through once more while everybody waits: in memory.
	if _, err := tx.Exec(ctx, `SELECT set_config('lock_timeout', $1, true), set_config('work_mem', '128MB', true)`, LongestWait.String()); err != nil {
		return 0, fmt.Errorf("register: storing: %w", err)
	}
	n, err := tx.Exec(ctx, query, args...)
	switch {
	case postgres.IsLockTimeout(err):
		return 0, fmt.Errorf("%w: %w", ErrBusy, err)
	case postgres.IsUnique(err, "register_apart"):
		return 0, fmt.Errorf("%w: %w", ErrTaken, err)
	case err != nil:
		return 0, fmt.Errorf("register: storing: %w", err)
	}
	return n, nil
}

// Store puts the rows that the register does not have into it and returns how
// many; rows that it has as they are, or had before a correction, stay as they are.
// The import is noted in the audit, also when it adds nothing. Errors: ErrClashes
// unless Compare found no clash; ErrBusy; ErrTaken.
func (in *Intake) Store(ctx context.Context, from Source) (added int, err error) {
	if !in.compared {
		return 0, ErrClashes
	}
	id, err := uuid.NewV7()
	if err != nil {
		return 0, fmt.Errorf("register: id: %w", err)
	}
	n, err := in.tx.Exec(ctx, `
		INSERT INTO register_import (id, sha256, file, imported_by, imported_at)
		SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT FROM register_intake WHERE NOT known AND NOT past)`,
		id.String(), from.SHA256[:], from.File, from.By, from.At.UTC())
	if err != nil {
		return 0, fmt.Errorf("register: noting the file: %w", err)
	}
	detail := map[string]any{"file": from.File, "sha256": hex.EncodeToString(from.SHA256[:]), "rows": in.rows}
	if n > 0 {
		stored, err := put(ctx, in.tx, `
			INSERT INTO register_entry (import_id, sheet, row, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, issued_on, remarks)
			SELECT $1, sheet, row, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, issued_on, remarks
			FROM register_intake WHERE NOT known AND NOT past ORDER BY n`, id.String())
		if err != nil {
			return 0, err
		}
		added, detail["import"] = int(stored), id.String()
	}
	detail["added"] = added
	return added, audit.Record(ctx, in.tx, audit.Entry{
		Actor: from.By, Action: "register.imported", Subject: hex.EncodeToString(from.SHA256[:]), Detail: detail,
	})
}
