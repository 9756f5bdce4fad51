// Package institution keeps the master data of a request: produsen, lembaga
// pengguna, dinas and reseller, their PKS, and the machine types. It writes the
// tables institution, institution_name, pks and machine_type.
package institution

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Kinds of institution (features.md L01-L04).
const (
	Produsen = "produsen"
	Lembaga  = "lembaga"
	Dinas    = "dinas"
	Reseller = "reseller"
)

// Kinds are all kinds of institution.
var Kinds = []string{Produsen, Lembaga, Dinas, Reseller}

// KindLabels are the Indonesian names of the kinds.
var KindLabels = map[string]string{
	Produsen: "Produsen", Lembaga: "Lembaga pengguna", Dinas: "Dinas Dukcapil kab/kota", Reseller: "Reseller",
}

var (
	// ErrNotFound says that there is no such row, or none that the asker may know
	// of.
	ErrNotFound = errors.New("institution: not found")
	// ErrAlready says that a row is already in the state that is asked for.
	ErrAlready = errors.New("institution: already so")
)

// Institution is an organisation that the office deals with.
type Institution struct {
	ID   string `db:"id" json:"id"`
	Kind string `db:"kind" json:"kind"`
	Name string `db:"name" json:"name"`

	// What its own people may correct themselves (features.md A18).
	Address        string `db:"address" json:"address"`
	Representative string `db:"representative" json:"representative"`
	Post           string `db:"post" json:"post"` // of the representative
	Email          string `db:"email" json:"email"`
	Phone          string `db:"phone" json:"phone"`

	// Active is false for one that no longer takes part: its people and keys do not
	// get in, what it asked for stays with the office.
	Active  bool  `db:"active" json:"active"`
	Version int64 `db:"version" json:"version"`
}

const columns = `i.id, i.kind, i.name, i.address, i.representative, i.post, i.email, i.phone, i.active, i.version`

// Ensure writes an institution by its name, new or changed, and returns it as it
// then stands.
func Ensure(ctx context.Context, tx *postgres.Tx, in Institution) (Institution, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return in, fmt.Errorf("institution: id: %w", err)
	}
	err = tx.Get(ctx, &in, `
		INSERT INTO institution AS i (id, kind, name, address, representative, post) VALUES ($1,$2,$3,$4,$5,$6)
		ON CONFLICT (name) DO UPDATE SET kind=excluded.kind, address=excluded.address,
		            representative=excluded.representative, post=excluded.post, version=i.version+1
		RETURNING `+columns, id.String(), in.Kind, in.Name, in.Address, in.Representative, in.Post)
	if err != nil {
		return in, fmt.Errorf("institution: writing %q: %w", in.Name, err)
	}
	return in, nil
}

// Get returns the institution with this id.
func Get(ctx context.Context, rd postgres.Reader, id string) (Institution, error) {
	return one[Institution](ctx, rd, `SELECT `+columns+` FROM institution i WHERE i.id = $1`, id)
}

// ByName returns the institution that has this name, or had it once, whatever its
// letter case and punctuation.
func ByName(ctx context.Context, rd postgres.Reader, name string) (Institution, error) {
	return one[Institution](ctx, rd, `
		SELECT `+columns+` FROM institution_name n JOIN institution i ON i.id = n.institution_id WHERE n.key = name_key($1)`, name)
}

// FormerNames are the names that an institution had before, newest first.
func FormerNames(ctx context.Context, rd postgres.Reader, id string) ([]string, error) {
	names := []string{}
	err := rd.Select(ctx, &names, `
		SELECT n.name FROM institution_name n JOIN institution i ON i.id = n.institution_id
		WHERE i.id = $1 AND n.key <> name_key(i.name) ORDER BY n.since DESC, n.key`, id)
	if err != nil {
		return nil, fmt.Errorf("institution: former names: %w", err)
	}
	return names, nil
}

// Filter narrows a list of institutions. Zero values do not narrow.
type Filter struct {
	ID     string
	Kinds  []string
	Active *bool
	Search string // in present and former names, and the representative
	After  string // the id of an institution: only those behind it in the list
	Limit  int
}

// List returns institutions by name.
func List(ctx context.Context, rd postgres.Reader, f Filter) ([]Institution, error) {
	list := []Institution{}
	err := rd.Select(ctx, &list, `
		SELECT `+columns+` FROM institution i
		WHERE ($1 = '' OR i.id::text = $1)
		  AND (cardinality($2::text[]) = 0 OR i.kind = ANY ($2))
		  AND ($3::bool IS NULL OR i.active = $3)
		  AND ($4 = '' OR strpos(lower(i.name || ' ' || i.representative), lower($4)) > 0 OR EXISTS (
		        SELECT FROM institution_name n WHERE n.institution_id = i.id AND strpos(n.key, name_key($4)) > 0 AND name_key($4) <> ''))
		  AND ($5 = '' OR (lower(i.name), i.id) > (SELECT lower(a.name), a.id FROM institution a WHERE a.id = nullif($5, '')::uuid))
		ORDER BY lower(i.name), i.id LIMIT $6`,
		f.ID, pq.Array(append([]string{}, f.Kinds...)), f.Active, f.Search, f.After, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("institution: list: %w", err)
	}
	return list, nil
}

// Create writes a new institution. Errors: form.Faults.
func Create(ctx context.Context, tx *postgres.Tx, in Institution) (Institution, error) {
	var faults form.Faults
	if !slices.Contains(Kinds, in.Kind) {
		faults.Add("/kind", "unknown_value", "Pilih jenis lembaga: produsen, lembaga, dinas, atau reseller.")
	}
	in.check(&faults)
	if err := faults.Err(); err != nil {
		return in, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return in, fmt.Errorf("institution: id: %w", err)
	}
	in.ID, in.Active, in.Version = id.String(), true, 1
	_, err = tx.Exec(ctx, `
		INSERT INTO institution (id, kind, name, address, representative, post, email, phone) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		in.ID, in.Kind, in.Name, in.Address, in.Representative, in.Post, in.Email, in.Phone)
	return in, named(err)
}

// Change gives an institution another name or contact. Its kind stays: accounts
// and keys rest on it. Errors: form.Faults, ErrNotFound, postgres.ErrStale when
// its version is not in.Version.
func Change(ctx context.Context, tx *postgres.Tx, in Institution) (Institution, error) {
	now, err := locked(ctx, tx, in.ID, in.Version)
	if err != nil {
		return in, err
	}
	var faults form.Faults
	if in.Kind != now.Kind {
		faults.Add("/kind", "fixed", "Jenis lembaga tidak dapat diubah. Daftarkan lembaga baru bila jenisnya lain.")
	}
	in.check(&faults)
	if err := faults.Err(); err != nil {
		return in, err
	}
	in.Active, in.Version = now.Active, now.Version+1
	err = tx.ExecOne(ctx, `
		UPDATE institution SET name=$2, address=$3, representative=$4, post=$5, email=$6, phone=$7, version=$8 WHERE id=$1`,
		in.ID, in.Name, in.Address, in.Representative, in.Post, in.Email, in.Phone, in.Version)
	return in, named(err)
}

// Correct changes an institution except its name and kind: what its own people
// may do. Errors: as Change.
func Correct(ctx context.Context, tx *postgres.Tx, in Institution) (Institution, error) {
	now, err := locked(ctx, tx, in.ID, in.Version)
	if err != nil {
		return in, err
	}
	in.Kind, in.Name = now.Kind, now.Name
	return Change(ctx, tx, in)
}

// SetActive takes an institution out of use, or back. Errors: ErrNotFound,
// ErrAlready, postgres.ErrStale.
func SetActive(ctx context.Context, tx *postgres.Tx, id string, version int64, active bool) (Institution, error) {
	in, err := locked(ctx, tx, id, version)
	if err != nil {
		return in, err
	}
	if in.Active == active {
		return in, ErrAlready
	}
	in.Active, in.Version = active, version+1
	return in, tx.ExecOne(ctx, `UPDATE institution SET active=$2, version=$3 WHERE id=$1`, id, active, in.Version)
}

// locked is the row for a change of what was seen in a version.
func locked(ctx context.Context, tx *postgres.Tx, id string, version int64) (Institution, error) {
	in, err := one[Institution](ctx, tx, `SELECT `+columns+` FROM institution i WHERE i.id = $1 FOR NO KEY UPDATE`, id)
	if err == nil && in.Version != version {
		err = postgres.ErrStale
	}
	return in, err
}

const (
	longestName = 200  // characters
	longestText = 1000 // characters
)

func (in *Institution) check(faults *form.Faults) {
	faults.Need("/name", "Nama lembaga", &in.Name, longestName)
	faults.Lines("/address", "Alamat", &in.Address, longestText)
	faults.May("/representative", "Nama wakil", &in.Representative, longestName)
	faults.May("/post", "Jabatan wakil", &in.Post, longestName)
	faults.Mail("/email", "Surel", &in.Email)
	faults.Phone("/phone", "Nomor telepon", &in.Phone)
}

// named says what a name that cannot be written means.
func named(err error) error {
	switch postgres.Constraint(err) {
	case "institution_name_pkey", "institution_name_key":
		return form.One("/name", "used", "Nama ini sudah dipakai, atau pernah dipakai, oleh lembaga lain (huruf besar dan tanda baca tidak membedakan).")
	case "institution_name_key_check":
		return form.One("/name", "wrong_form", "Nama lembaga harus berisi huruf atau angka.")
	}
	if err != nil {
		return fmt.Errorf("institution: writing: %w", err)
	}
	return nil
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
