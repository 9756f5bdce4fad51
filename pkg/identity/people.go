package identity

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNotFound says that there is no such row, or none that the asker may know
	// of.
	ErrNotFound = errors.New("identity: not found")
	// ErrAlready says that a row is already in the state that is asked for.
	ErrAlready = errors.New("identity: already so")
	// ErrOwnAccount says that nobody changes their own role, or shuts themselves
	// out.
	ErrOwnAccount = errors.New("identity: own account")
	// ErrLastOfRole says that without this account nobody could look after the
	// office any more.
	ErrLastOfRole = errors.New("identity: last active account of its role")
)

// Keepers are the roles that look after the master data and everybody's accounts:
// each keeps at least one active account.
var Keepers = []machine.Role{"operator", "kasubdit"}

// officeRoles are the other roles of the office's own people.
var officeRoles = []machine.Role{"persuratan", "dirjen", "direktur"}

// outsideRoles are those of people of an institution: the kind of theirs.
var outsideRoles = []machine.Role{institution.Produsen, institution.Lembaga, institution.Dinas}

// Roles are the roles that an account can have.
var Roles = slices.Concat(Keepers, officeRoles, outsideRoles)

// Person is an account as it is looked after.
type Person struct {
	Account
	Contact
	Active      bool       `db:"active"`
	LockedUntil *time.Time `db:"locked_until"`
	CreatedAt   time.Time  `db:"created_at"`
	// Expires is when a password for once can no longer be used; nil when the
	// person has one of their own.
	Expires *time.Time `db:"password_expires_at"`
}

// LockedUntil is that of the network or browser that is locked longest.
var selectPerson = `SELECT ` + accountColumns + `, a.active, a.created_at, a.password_expires_at, ` + contactColumns + `,
	(SELECT max(l.ends_at) FROM login_attempt l WHERE l.name_sha256 = sha256(convert_to(a.username, 'UTF8'))
	   AND l.attempts >= CASE WHEN l.source = '*' THEN ` + maxEverybody + ` ELSE ` + maxFailures + ` END) AS locked_until
	FROM account a LEFT JOIN institution i ON i.id = a.institution_id `

// GetPerson returns the account with this id. Error: ErrNotFound.
func GetPerson(ctx context.Context, rd postgres.Reader, id string) (Person, error) {
	return person(ctx, rd, selectPerson+`WHERE a.id = $1`, id)
}

func person(ctx context.Context, rd postgres.Reader, query string, args ...any) (Person, error) {
	var p Person
	err := rd.Get(ctx, &p, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return p, ErrNotFound
	}
	if err != nil {
		return p, fmt.Errorf("identity: reading account: %w", err)
	}
	return p, nil
}

// PeopleFilter narrows a list of accounts. Zero values do not narrow.
type PeopleFilter struct {
	Role   machine.Role
	Active *bool
	Search string // in user name, name and institution
	After  string // the id of an account: only those behind it in the list
	Limit  int
}

// People returns accounts by user name.
func People(ctx context.Context, rd postgres.Reader, f PeopleFilter) ([]Person, error) {
	list := []Person{}
	err := rd.Select(ctx, &list, selectPerson+`
		WHERE ($1 = '' OR a.role = $1) AND ($2::bool IS NULL OR a.active = $2)
		  AND ($3 = '' OR strpos(lower(a.username || ' ' || a.name || ' ' || coalesce(i.name, '')), lower($3)) > 0)
		  AND ($4 = '' OR a.username > (SELECT b.username FROM account b WHERE b.id = nullif($4, '')::uuid))
		ORDER BY a.username LIMIT $5`, string(f.Role), f.Active, f.Search, f.After, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("identity: list of accounts: %w", err)
	}
	return list, nil
}

// OneTime is a password that is shown once and has to be changed at the first
// login (features.md N31).
type OneTime struct {
	text, hash string
	expires    time.Time
}

// String hides the password from logs.
func (OneTime) String() string { return "(hidden)" }

// Text is the password.
func (o OneTime) Text() string { return o.text }

// NewOneTime makes a password of 80 random bits in groups that can be read out. It
// can be used until expires, of machine time. Error: ErrBusy.
func NewOneTime(ctx context.Context, expires time.Time) (OneTime, error) {
	b := make([]byte, 10)
	if _, err := rand.Read(b); err != nil {
		return OneTime{}, fmt.Errorf("identity: random: %w", err)
	}
	text := strings.ToLower(base32.StdEncoding.EncodeToString(b))
	text = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
	hash, err := HashPassword(ctx, text)
	return OneTime{text, hash, expires}, err
}

// HashPassword is what is kept of a password. It takes time and memory: it is for
// outside of transactions. Error: ErrBusy.
func HashPassword(ctx context.Context, password string) (string, error) {
	hash, err := hashed(ctx, func() (string, error) { return argon2id.CreateHash(password, hashParams) })
	if err != nil {
		return "", fmt.Errorf("identity: hashing: %w", err)
	}
	return hash, nil
}

var username = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{2,39}$`)

// createPerson writes a new account, with its id, with a password for once.
// Errors: form.Faults.
func createPerson(ctx context.Context, tx *postgres.Tx, a Account, password OneTime) (Person, error) {
	if err := a.checkNew(ctx, tx); err != nil {
		return Person{}, err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO account (id, username, name, role, institution_id, password_hash, must_change, password_expires_at)
		VALUES ($1,$2,$3,$4,$5,$6,true,$7)`,
		a.ID, a.Username, a.Name, string(a.Role), a.InstitutionID, password.hash, password.expires.UTC())
	if postgres.IsUnique(err, "account_username_key") {
		return Person{}, usedName()
	}
	if err != nil {
		return Person{}, fmt.Errorf("identity: writing account: %w", err)
	}
	return GetPerson(ctx, tx, a.ID)
}

func usedName() error {
	return form.One("/username", "used", "Nama pengguna ini sudah dipakai. Pilih nama lain.")
}

// checkNew is check with the user name, which it brings into the form in which it
// is stored.
func (a *Account) checkNew(ctx context.Context, tx *postgres.Tx) error {
	var faults form.Faults
	if a.Username = strings.ToLower(strings.TrimSpace(a.Username)); !username.MatchString(a.Username) {
		faults.Add("/username", "wrong_form",
			"Nama pengguna terdiri atas 3 sampai 40 huruf kecil, angka, titik, tanda hubung, atau garis bawah, dan diawali huruf atau angka.")
	}
	return a.check(ctx, tx, &faults)
}

// check wants a name, a role, and the institution that goes with it. A database
// fault comes before the faults of the form.
func (a *Account) check(ctx context.Context, tx *postgres.Tx, faults *form.Faults) error {
	faults.Need("/name", "Nama", &a.Name, 200)
	switch outside := slices.Contains(outsideRoles, a.Role); {
	case !slices.Contains(Roles, a.Role):
		faults.Add("/role", "unknown_value", "Pilih peran dari daftar.")
	case !outside && a.InstitutionID != nil:
		faults.Add("/institution_id", "not_used", "Peran ini milik Ditjen Dukcapil; kosongkan lembaganya.")
	case outside && a.InstitutionID == nil:
		faults.Add("/institution_id", "missing", "Pilih lembaga tempat orang ini bekerja.")
	case outside:
		in, err := institution.Get(ctx, tx, *a.InstitutionID)
		switch {
		case errors.Is(err, institution.ErrNotFound):
			faults.Add("/institution_id", "unknown_value", "Pilih lembaga yang terdaftar.")
		case err != nil:
			return err
		case in.Kind != string(a.Role):
			faults.Add("/institution_id", "wrong_kind", "%s terdaftar sebagai %s; sesuaikan peran atau lembaganya.", in.Name, institution.KindLabels[in.Kind])
		}
	}
	return faults.Err()
}

// changePerson gives an account another name, role or institution, as of its
// version in a. Another role or institution ends its sessions. by is the id of
// whoever asks. Errors: form.Faults, ErrNotFound, ErrOwnAccount, ErrLastOfRole,
// postgres.ErrStale.
func changePerson(ctx context.Context, tx *postgres.Tx, a Account, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, a.ID, a.Version)
	if err != nil {
		return now, err
	}
	var faults form.Faults
	if err := a.check(ctx, tx, &faults); err != nil {
		return now, err
	}
	same := now.InstitutionID == nil && a.InstitutionID == nil ||
		now.InstitutionID != nil && a.InstitutionID != nil && *now.InstitutionID == *a.InstitutionID
	if a.Role != now.Role || !same {
		if a.ID == by {
			return now, ErrOwnAccount
		}
		if err := notLast(ctx, tx, now); a.Role != now.Role && err != nil {
			return now, err
		}
		if err := endSessionsOf(ctx, tx, a.ID, ""); err != nil {
			return now, err
		}
	}
	if err := tx.ExecOne(ctx, `UPDATE account SET name=$2, role=$3, institution_id=$4, version=version+1 WHERE id=$1`,
		a.ID, a.Name, string(a.Role), a.InstitutionID); err != nil {
		return now, fmt.Errorf("identity: changing account: %w", err)
	}
	return GetPerson(ctx, tx, a.ID)
}

// setActive shuts an account out, which ends its sessions, or lets it in again.
// Errors: ErrNotFound, ErrAlready, ErrOwnAccount, ErrLastOfRole, postgres.ErrStale.
func setActive(ctx context.Context, tx *postgres.Tx, id string, version int64, active bool, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, id, version)
	switch {
	case err != nil:
		return now, err
	case id == by:
		return now, ErrOwnAccount
	case now.Active == active:
		return now, ErrAlready
	}
	if !active {
		if err := notLast(ctx, tx, now); err != nil {
			return now, err
		}
		if err := endSessionsOf(ctx, tx, id, ""); err != nil {
			return now, err
		}
		if err := forgetBrowsers(ctx, tx, id); err != nil {
			return now, err
		}
	}
	if err := tx.ExecOne(ctx, `
		UPDATE account SET active=$2, version=version+1 WHERE id=$1`, id, active); err != nil {
		return now, fmt.Errorf("identity: account: %w", err)
	}
	if err := unlock(ctx, tx, now.Username); err != nil {
		return now, err
	}
	return GetPerson(ctx, tx, id)
}

// resetPassword gives an account a password for once, ends its sessions and its
// lock. Errors: ErrNotFound, ErrOwnAccount, postgres.ErrStale.
func resetPassword(ctx context.Context, tx *postgres.Tx, id string, version int64, password OneTime, by string) (Person, error) {
	now, err := lockPerson(ctx, tx, id, version)
	if err != nil {
		return now, err
	}
	if id == by {
		return now, ErrOwnAccount
	}
	if err := tx.ExecOne(ctx, `
		UPDATE account SET password_hash=$2, must_change=true, password_expires_at=$3, version=version+1 WHERE id=$1`,
		id, password.hash, password.expires.UTC()); err != nil {
		return now, fmt.Errorf("identity: resetting password: %w", err)
	}
	if err := forgetBrowsers(ctx, tx, id); err != nil {
		return now, err
	}
	if err := unlock(ctx, tx, now.Username); err != nil {
		return now, err
	}
	if err := endSessionsOf(ctx, tx, id, ""); err != nil {
		return now, err
	}
	return GetPerson(ctx, tx, id)
}

// lockPerson locks an account for a change, and before it all active accounts of
// the keepers, in one order: two keepers who shut each other out at once would
// otherwise both find the other still there.
func lockPerson(ctx context.Context, tx *postgres.Tx, id string, version int64) (Person, error) {
	if err := lockKeepers(ctx, tx, id); err != nil {
		return Person{}, err
	}
	p, err := GetPerson(ctx, tx, id)
	if err == nil && p.Version != version {
		err = postgres.ErrStale
	}
	return p, err
}

// lockKeepers locks all active accounts of the keepers and the one with this id,
// where there is one.
func lockKeepers(ctx context.Context, tx *postgres.Tx, id string) error {
	var ids []string
	if err := tx.Select(ctx, &ids, `
		SELECT id FROM account WHERE id = $1 OR active AND role IN ('operator', 'kasubdit') ORDER BY id FOR NO KEY UPDATE`, id); err != nil {
		return fmt.Errorf("identity: locking account: %w", err)
	}
	return nil
}

// notLast wants another active account of the same keeper's role.
func notLast(ctx context.Context, tx *postgres.Tx, p Person) error {
	if !p.Active || !slices.Contains(Keepers, p.Role) {
		return nil
	}
	var others bool
	if err := tx.Get(ctx, &others, `SELECT EXISTS (SELECT FROM account WHERE role = $1 AND active AND id <> $2)`, string(p.Role), p.ID); err != nil {
		return fmt.Errorf("identity: others of the role: %w", err)
	}
	if !others {
		return ErrLastOfRole
	}
	return nil
}

// Bounds of a password that people choose.
const (
	ShortestPassword = 12  // characters
	longestPassword  = 200 // characters
	fewestDistinct   = 5   // characters
)

// CheckNewPassword says what is wrong with a password that somebody chose.
func CheckNewPassword(a Account, old, chosen string) form.Faults {
	var faults form.Faults
	const at = "/new_password"
	distinct := map[rune]bool{}
	for _, r := range chosen {
		distinct[r] = true
	}
	switch n := utf8.RuneCountInString(chosen); {
	case chosen == "":
		faults.Add(at, "missing", "Kata sandi baru wajib diisi.")
	case n < ShortestPassword:
		faults.Add(at, "too_short", "Kata sandi baru sekurangnya %d karakter.", ShortestPassword)
	case n > longestPassword:
		faults.Add(at, "too_long", "Kata sandi baru paling panjang %d karakter.", longestPassword)
	case len(distinct) < fewestDistinct:
		faults.Add(at, "too_simple", "Kata sandi baru terlalu mudah ditebak; pakai sekurangnya %d karakter yang berbeda.", fewestDistinct)
	case strings.Contains(strings.ToLower(chosen), a.Username):
		faults.Add(at, "too_simple", "Kata sandi baru tidak boleh memuat nama pengguna.")
	case chosen == old:
		faults.Add(at, "unchanged", "Kata sandi baru harus berbeda dengan kata sandi lama.")
	}
	return faults
}

// SetPassword gives an account, as it was authenticated a moment ago with its old
// password, one of its person's own choice, whose hash HashPassword made, and ends
// its other sessions than that of token. Error: postgres.ErrStale.
func SetPassword(ctx context.Context, tx *postgres.Tx, a Account, hash, token string) error {
	n, err := tx.Exec(ctx, `
		UPDATE account SET password_hash=$3, must_change=false, password_expires_at=NULL, version=version+1 WHERE id=$1 AND version=$2 AND active`, a.ID, a.Version, hash)
	if err != nil {
		return fmt.Errorf("identity: password: %w", err)
	}
	if n == 0 {
		return postgres.ErrStale
	}
	return endSessionsOf(ctx, tx, a.ID, token)
}
