// Package institution keeps the master data of a request: produsen, lembaga
// pengguna, dinas and reseller, their PKS, and the machine types. It writes the
// tables institution, pks and machine_type.
package institution

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Kinds of institution (features.md L01-L04).
const (
	Produsen = "produsen"
	Lembaga  = "lembaga"
	Dinas    = "dinas"
	Reseller = "reseller"
)

// ErrNotFound says that there is no such row.
var ErrNotFound = errors.New("institution: not found")

// Institution is an organisation that the office deals with.
type Institution struct {
	ID             string `db:"id"`
	Kind           string `db:"kind"`
	Name           string `db:"name"`
	Address        string `db:"address"`
	Representative string `db:"representative"`
	Post           string `db:"post"`
}

// Ensure writes an institution by its name, new or changed, and returns it with
// its id.
func Ensure(ctx context.Context, tx *postgres.Tx, in Institution) (Institution, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return in, fmt.Errorf("institution: id: %w", err)
	}
	err = tx.Get(ctx, &in.ID, `
		INSERT INTO institution (id, kind, name, address, representative, post) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (name) DO UPDATE SET kind=excluded.kind, address=excluded.address,
		            representative=excluded.representative, post=excluded.post
		RETURNING id`, id.String(), in.Kind, in.Name, in.Address, in.Representative, in.Post)
	if err != nil {
		return in, fmt.Errorf("institution: writing %q: %w", in.Name, err)
	}
	return in, nil
}

// Get returns the institution with this id.
func Get(ctx context.Context, rd postgres.Reader, id string) (Institution, error) {
	return one[Institution](ctx, rd, `SELECT id, kind, name, address, representative, post FROM institution WHERE id = $1`, id)
}

// ByName returns the institution with this name, whatever its letter case.
func ByName(ctx context.Context, rd postgres.Reader, name string) (Institution, error) {
	return one[Institution](ctx, rd, `
		SELECT id, kind, name, address, representative, post FROM institution WHERE lower(name) = lower($1)`, name)
}

// PKS is the agreement between a lembaga pengguna and Ditjen Dukcapil
// (features.md I08, users.md A.5).
type PKS struct {
	ID            string     `db:"id"`
	Number        string     `db:"number"`
	InstitutionID string     `db:"institution_id"`
	Institution   string     `db:"institution"`
	ValidFrom     clock.Date `db:"valid_from"`
	ValidTo       clock.Date `db:"valid_to"`
	State         string     `db:"state"`
}

// InForce says whether the agreement is in force on a day.
func (p PKS) InForce(day clock.Date) bool {
	return p.State == "in_force" && !day.Before(p.ValidFrom) && !day.After(p.ValidTo)
}

// EnsurePKS writes an agreement by its number, new or changed.
func EnsurePKS(ctx context.Context, tx *postgres.Tx, p PKS) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("institution: id: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO pks (id, number, institution_id, valid_from, valid_to, state) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (number) DO UPDATE SET institution_id=excluded.institution_id, valid_from=excluded.valid_from,
		            valid_to=excluded.valid_to, state=excluded.state`,
		id.String(), p.Number, p.InstitutionID, p.ValidFrom, p.ValidTo, p.State)
	if err != nil {
		return fmt.Errorf("institution: writing PKS %q: %w", p.Number, err)
	}
	return nil
}

// PKSByNumber returns the agreement with this number.
func PKSByNumber(ctx context.Context, rd postgres.Reader, number string) (PKS, error) {
	return one[PKS](ctx, rd, `
		SELECT p.id, p.number, p.institution_id, i.name AS institution, p.valid_from, p.valid_to, p.state
		FROM pks p JOIN institution i ON i.id = p.institution_id WHERE p.number = $1`, number)
}

// MachineType is a kind of reader, or "Tidak menggunakan mesin" (features.md
// D07, D08). The patterns are regular expressions that a whole serial matches.
type MachineType struct {
	Code          string `db:"code" json:"code" yaml:"code"`
	Name          string `db:"name" json:"name" yaml:"name"`
	UsesReader    bool   `db:"uses_reader" json:"uses_reader" yaml:"uses_reader"`
	SAMPattern    string `db:"sam_pattern" json:"sam_pattern" yaml:"sam_pattern"`
	ReaderPattern string `db:"reader_pattern" json:"reader_pattern" yaml:"reader_pattern"`
}

// SeedMachineType adds a machine type unless its code is there: what staff
// changed stays.
func SeedMachineType(ctx context.Context, tx *postgres.Tx, m MachineType) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern) VALUES ($1,$2,$3,$4,$5)
		ON CONFLICT (code) DO NOTHING`, m.Code, m.Name, m.UsesReader, m.SAMPattern, m.ReaderPattern)
	if err != nil {
		return fmt.Errorf("institution: writing machine type %q: %w", m.Code, err)
	}
	return nil
}

// MachineTypeByCode returns the machine type with this code.
func MachineTypeByCode(ctx context.Context, rd postgres.Reader, code string) (MachineType, error) {
	return one[MachineType](ctx, rd, `
		SELECT code, name, uses_reader, sam_pattern, reader_pattern FROM machine_type WHERE code = $1`, code)
}

// MachineTypes returns all machine types by their names.
func MachineTypes(ctx context.Context, rd postgres.Reader) ([]MachineType, error) {
	var all []MachineType
	err := rd.Select(ctx, &all, `SELECT code, name, uses_reader, sam_pattern, reader_pattern FROM machine_type ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("institution: machine types: %w", err)
	}
	return all, nil
}

func one[T any](ctx context.Context, rd postgres.Reader, query string, args ...any) (T, error) {
	var row T
	err := rd.Get(ctx, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return row, ErrNotFound
	}
	if err != nil {
		return row, fmt.Errorf("institution: reading: %w", err)
	}
	return row, nil
}
