package institution

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// MachineType is a kind of reader, or "Tidak menggunakan mesin" (features.md
// D07, D08). The patterns are regular expressions (RE2) that a whole serial
// matches; the examples are serials that show what they mean.
type MachineType struct {
	Code           string         `db:"code" json:"code" yaml:"code"`
	Name           string         `db:"name" json:"name" yaml:"name"`
	UsesReader     bool           `db:"uses_reader" json:"uses_reader" yaml:"uses_reader"`
	SAMPattern     string         `db:"sam_pattern" json:"sam_pattern" yaml:"sam_pattern"`
	ReaderPattern  string         `db:"reader_pattern" json:"reader_pattern" yaml:"reader_pattern"`
	SAMExamples    pq.StringArray `db:"sam_examples" json:"sam_examples" yaml:"sam_examples"`
	ReaderExamples pq.StringArray `db:"reader_examples" json:"reader_examples" yaml:"reader_examples"`
	// Active is false for one that no new request may name.
	Active  bool  `db:"active" json:"active" yaml:"-"`
	Version int64 `db:"version" json:"version" yaml:"-"`
}

const machineColumns = `code, name, uses_reader, sam_pattern, reader_pattern, sam_examples, reader_examples, active, version`

// SeedMachineType adds a machine type unless its code is there: what staff
// changed stays.
func SeedMachineType(ctx context.Context, tx *postgres.Tx, m MachineType) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern, sam_examples, reader_examples)
		VALUES ($1,$2,$3,$4,$5,$6,$7) ON CONFLICT (code) DO NOTHING`,
		m.Code, m.Name, m.UsesReader, m.SAMPattern, m.ReaderPattern, array(m.SAMExamples), array(m.ReaderExamples))
	if err != nil {
		return fmt.Errorf("institution: writing machine type %q: %w", m.Code, err)
	}
	return nil
}

// MachineTypeByCode returns the machine type with this code, in use or not.
func MachineTypeByCode(ctx context.Context, rd postgres.Reader, code string) (MachineType, error) {
	if !anyCode.MatchString(code) {
		return MachineType{}, ErrNotFound
	}
	return one[MachineType](ctx, rd, `SELECT `+machineColumns+` FROM machine_type WHERE code = $1`, code)
}

// MachineTypes returns all machine types by name; there are few.
func MachineTypes(ctx context.Context, rd postgres.Reader) ([]MachineType, error) {
	list := []MachineType{}
	if err := rd.Select(ctx, &list, `SELECT `+machineColumns+` FROM machine_type ORDER BY lower(name), code`); err != nil {
		return nil, fmt.Errorf("institution: machine types: %w", err)
	}
	return list, nil
}

var (
	machineCode = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,29}$`)
	// anyCode is what a code can be that is looked for: seeds may have capitals.
	anyCode = regexp.MustCompile(`^[[:alnum:]-]{1,30}$`)
)

// CreateMachineType writes a new machine type. Errors: form.Faults.
func CreateMachineType(ctx context.Context, tx *postgres.Tx, m MachineType) (MachineType, error) {
	var faults form.Faults
	if m.Code = strings.TrimSpace(m.Code); !machineCode.MatchString(m.Code) {
		faults.Add("/code", "wrong_form", "Kode terdiri atas 1 sampai 30 huruf kecil, angka, atau tanda hubung, dan diawali huruf atau angka.")
	}
	m.check(&faults)
	if err := faults.Err(); err != nil {
		return m, err
	}
	m.Active, m.Version = true, 1
	_, err := tx.Exec(ctx, `
		INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern, sam_examples, reader_examples)
		VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		m.Code, m.Name, m.UsesReader, m.SAMPattern, m.ReaderPattern, array(m.SAMExamples), array(m.ReaderExamples))
	return m, machineWritten(err)
}

// ChangeMachineType changes name, patterns and examples; whether it has readers
// stays, for requests rest on it. Errors: form.Faults, ErrNotFound,
// postgres.ErrStale when its version is not m.Version.
func ChangeMachineType(ctx context.Context, tx *postgres.Tx, m MachineType) (MachineType, error) {
	now, err := lockedMachineType(ctx, tx, m.Code, m.Version)
	if err != nil {
		return m, err
	}
	var faults form.Faults
	if m.UsesReader != now.UsesReader {
		faults.Add("/uses_reader", "fixed", "Apakah jenis ini memakai mesin tidak dapat diubah. Daftarkan jenis mesin baru.")
	}
	m.check(&faults)
	if err := faults.Err(); err != nil {
		return m, err
	}
	m.Active, m.Version = now.Active, now.Version+1
	err = tx.ExecOne(ctx, `
		UPDATE machine_type SET name=$2, sam_pattern=$3, reader_pattern=$4, sam_examples=$5, reader_examples=$6, version=$7 WHERE code=$1`,
		m.Code, m.Name, m.SAMPattern, m.ReaderPattern, array(m.SAMExamples), array(m.ReaderExamples), m.Version)
	return m, machineWritten(err)
}

// SetMachineTypeActive takes a machine type out of use for new requests, or back.
// Errors: ErrNotFound, ErrAlready, postgres.ErrStale.
func SetMachineTypeActive(ctx context.Context, tx *postgres.Tx, code string, version int64, active bool) (MachineType, error) {
	m, err := lockedMachineType(ctx, tx, code, version)
	if err != nil {
		return m, err
	}
	if m.Active == active {
		return m, ErrAlready
	}
	m.Active, m.Version = active, version+1
	return m, tx.ExecOne(ctx, `UPDATE machine_type SET active=$2, version=$3 WHERE code=$1`, code, active, m.Version)
}

func lockedMachineType(ctx context.Context, tx *postgres.Tx, code string, version int64) (MachineType, error) {
	if !anyCode.MatchString(code) {
		return MachineType{}, ErrNotFound
	}
	m, err := one[MachineType](ctx, tx, `SELECT `+machineColumns+` FROM machine_type WHERE code = $1 FOR NO KEY UPDATE`, code)
	if err == nil && m.Version != version {
		err = postgres.ErrStale
	}
	return m, err
}

// Bounds of a machine type's serial formats.
const (
	longestPattern = 200 // bytes
	mostExamples   = 20
	longestSerial  = 64 // characters
)

func (m *MachineType) check(faults *form.Faults) {
	faults.Need("/name", "Nama jenis mesin", &m.Name, longestName)
	m.SAMExamples = serials(faults, "/sam_pattern", "/sam_examples", "kartu SAM", m.SAMPattern, m.SAMExamples)
	if !m.UsesReader {
		m.ReaderPattern = `^$` // a request without readers has no serials of readers
		if m.ReaderExamples = tidy(m.ReaderExamples); len(m.ReaderExamples) > 0 {
			faults.Add("/reader_examples", "not_used", "Jenis tanpa mesin tidak memiliki nomor seri reader. Kosongkan contohnya.")
		}
		return
	}
	m.ReaderExamples = serials(faults, "/reader_pattern", "/reader_examples", "reader", m.ReaderPattern, m.ReaderExamples)
}

// serials tries a pattern on its examples: somebody who cannot show a serial that
// matches does not yet know what the pattern says.
func serials(faults *form.Faults, atPattern, atExamples, of, pattern string, examples []string) []string {
	examples = tidy(examples)
	if len(examples) == 0 {
		faults.Add(atExamples, "missing", "Isi sekurangnya satu contoh nomor seri %s.", of)
	}
	if len(examples) > mostExamples {
		faults.Add(atExamples, "too_many", "Paling banyak %d contoh nomor seri %s.", mostExamples, of)
		examples = examples[:mostExamples]
	}
	switch {
	case strings.TrimSpace(pattern) == "":
		faults.Add(atPattern, "missing", "Pola nomor seri %s wajib diisi.", of)
		return examples
	case len(pattern) > longestPattern:
		faults.Add(atPattern, "too_long", "Pola paling panjang %d bita.", longestPattern)
		return examples
	}
	re, err := WholeMatch(pattern)
	if err != nil {
		faults.Add(atPattern, "wrong_form", "Pola ini bukan ekspresi reguler (RE2) yang benar. Contoh pola: [A-Z0-9]{6,20}.")
		return examples
	}
	for _, e := range examples {
		if len([]rune(e)) > longestSerial {
			faults.Add(atExamples, "too_long", "Contoh nomor seri paling panjang %d karakter.", longestSerial)
		} else if !re.MatchString(e) {
			faults.Add(atExamples, "no_match", "Contoh “%s” tidak sesuai dengan pola nomor seri %s.", e, of)
		}
	}
	return examples
}

// WholeMatch compiles the pattern of a machine type so that it matches a whole
// serial only; an empty pattern matches anything.
func WholeMatch(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		pattern = `.*`
	}
	if _, err := regexp.Compile(pattern); err != nil { // by itself too: "a)(b" must not close our group
		return nil, fmt.Errorf("institution: pattern of the machine type: %w", err)
	}
	re, err := regexp.Compile(`^(?:` + pattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("institution: pattern of the machine type: %w", err)
	}
	return re, nil
}

// tidy drops empty lines and repetitions; of more lines than anybody may send it
// leaves a few too many to be refused.
func tidy(lines []string) []string {
	lines = lines[:min(len(lines), 10*mostExamples)]
	kept := []string{}
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" && !slices.Contains(kept, l) {
			kept = append(kept, l)
		}
	}
	return kept
}

func array(list []string) any { return pq.Array(append([]string{}, list...)) }

func machineWritten(err error) error {
	switch {
	case err == nil:
		return nil
	case postgres.IsUnique(err, "machine_type_pkey"):
		return form.One("/code", "used", "Kode ini sudah dipakai jenis mesin lain.")
	case postgres.IsUnique(err, "machine_type_name_key"):
		return form.One("/name", "used", "Nama ini sudah dipakai jenis mesin lain.")
	}
	return fmt.Errorf("institution: writing machine type: %w", err)
}
