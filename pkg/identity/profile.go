package identity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Profile is what people look after of themselves (features.md A17 to A20): all but
// their user name, role and institution.
type Profile struct {
	Account
	Contact
}

// Contact is how somebody is reached and recognised; what they did not tell is
// empty.
type Contact struct {
	Email   string  `db:"email"`
	Address string  `db:"address"` // may have several lines
	Phone   string  `db:"phone"`
	Photo   *string `db:"photo"` // the id of its file
}

const contactColumns = `a.email, a.address, a.phone, a.photo`

// GetProfile returns somebody's profile. Error: ErrNotFound.
func GetProfile(ctx context.Context, rd postgres.Reader, id string) (Profile, error) {
	var p Profile
	err := rd.Get(ctx, &p, `SELECT `+accountColumns+`, `+contactColumns+` FROM account a LEFT JOIN institution i ON i.id = a.institution_id WHERE a.id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrNotFound
	}
	if err != nil {
		return p, fmt.Errorf("identity: reading profile: %w", err)
	}
	return p, nil
}

// Check says what is wrong with what somebody typed of themselves, and takes the
// spaces around it away.
func (p *Profile) Check() form.Faults {
	var faults form.Faults
	faults.Need("/name", "Nama profil", &p.Name, 200)
	faults.Mail("/email", "Surel", &p.Email)
	faults.Lines("/address", "Alamat", &p.Address, 500)
	faults.Phone("/phone", "No. telepon", &p.Phone)
	return faults
}

// ChangeProfile writes name, e-mail, address, phone and photo as of the version in
// p, and nothing when they are as before. Errors: form.Faults, ErrNotFound,
// postgres.ErrStale.
func ChangeProfile(ctx context.Context, tx *postgres.Tx, p Profile) (before, after Profile, err error) {
	if err := p.Check().Err(); err != nil {
		return p, p, err
	}
	if _, err := tx.Exec(ctx, `SELECT FROM account WHERE id = $1 FOR NO KEY UPDATE`, p.ID); err != nil {
		return p, p, fmt.Errorf("identity: locking account: %w", err)
	}
	if before, err = GetProfile(ctx, tx, p.ID); err != nil {
		return before, before, err
	}
	if before.Version != p.Version {
		return before, before, postgres.ErrStale
	}
	if len(before.Differences(p)) == 0 {
		return before, before, nil
	}
	if err := tx.ExecOne(ctx, `UPDATE account SET name=$2, email=$3, address=$4, phone=$5, photo=$6, version=version+1 WHERE id=$1`,
		p.ID, p.Name, p.Email, p.Address, p.Phone, p.Photo); err != nil {
		return before, before, fmt.Errorf("identity: changing profile: %w", err)
	}
	after, err = GetProfile(ctx, tx, p.ID)
	return before, after, err
}

// Differences names the fields in which another profile says something else.
func (p Profile) Differences(q Profile) []string {
	var names []string
	for _, f := range []struct {
		name string
		same bool
	}{
		{"name", p.Name == q.Name},
		{"email", p.Email == q.Email},
		{"address", p.Address == q.Address},
		{"phone", p.Phone == q.Phone},
		{"photo", p.Photo == nil && q.Photo == nil || p.Photo != nil && q.Photo != nil && *p.Photo == *q.Photo},
	} {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}
