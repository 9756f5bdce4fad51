// Package keybook is the book of master keys: which key stands under which label in the
// token, with its check value, who brought it there, and whether it may still be used.
// The keys themselves are in the HSM only. It writes the table master_key.
//
// A key has versions, each under a label of its own, see Label. Which version new work
// orders use is said by the Kode Kunci in force (pkg/perso/recipe), which two people
// approve; orders that began with an older version keep it.
package keybook

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNotFound says that a label is not in the book.
	ErrNotFound = errors.New("keybook: not in the book")
	// ErrOtherKey says that another key stands in the book under this label.
	ErrOtherKey = errors.New("keybook: another key is recorded under this label")
	// ErrTwice says that this key stands in the book under another label.
	ErrTwice = errors.New("keybook: recorded under another label")
	// ErrRetired says that a key was given up.
	ErrRetired = errors.New("keybook: given up")
	// ErrReasonMissing says that giving a key up wants a reason.
	ErrReasonMissing = errors.New("keybook: reason missing")
	// ErrRevoked says that a key was revoked already.
	ErrRevoked = errors.New("keybook: revoked")
	// ErrNotSigning says that a key is no key pair: only what signs is revoked.
	ErrNotSigning = errors.New("keybook: not a signing key")
	// ErrReasonLong says that a reason has no room on a revocation list.
	ErrReasonLong = errors.New("keybook: reason too long")
	// ErrOnePerson says that revoking a key wants two people.
	ErrOnePerson = errors.New("keybook: two people revoke a key")
)

// Origin says how a key came into the token.
type Origin string

// Origins.
const (
	Generated  Origin = "generated"  // made by the token; nobody has ever seen it
	Components Origin = "components" // combined from what custodians typed
)

// Entry is a key in the book.
type Entry struct {
	Label     string `db:"label"`
	Name      string `db:"name"`
	Version   int    `db:"version"`
	Algorithm string `db:"algorithm"` // AES, DES or EC, as pkcs11.Algorithm says it
	Bits      int    `db:"bits"`      // 128, 192 or 256; parity bits of DES counted
	// KCV is the check value of GPC 2.3.1 B.6, of a key pair the begin of the SHA-256 of
	// PublicKey: six hexadecimal digits.
	KCV string `db:"kcv"`
	// PublicKey is of an EC key pair: SubjectPublicKeyInfo in DER (RFC 5280 section 4.1).
	PublicKey   []byte         `db:"public_key"`
	Origin      Origin         `db:"origin"`
	Custodians  pq.StringArray `db:"custodians"` // their roles, in the order of the ceremony
	TokenLabel  string         `db:"token_label"`
	TokenSerial string         `db:"token_serial"`
	Place       string         `db:"place"`
	RecordedBy  string         `db:"recorded_by"`
	OfficeAt    time.Time      `db:"office_at"`

	RetiredBy     *string    `db:"retired_by"`
	RetiredReason *string    `db:"retired_reason"`
	RetiredAt     *time.Time `db:"retired_at"`

	RevokedBy     *string    `db:"revoked_by"`
	RevokedWith   *string    `db:"revoked_with"`
	RevokedReason *string    `db:"revoked_reason"`
	RevokedAt     *time.Time `db:"revoked_at"`
}

// Retired tells whether the key was given up.
func (e Entry) Retired() bool { return e.RetiredAt != nil }

// versionMark stands between a key's name and its version in a label.
const versionMark = ".v"

var labelled = regexp.MustCompile(`^(.+)\.v([1-9][0-9]{0,3})$`)

// Label is the label of a key's version: the name alone for the first one, then
// "name.v2" and so on.
func Label(name string, version int) string {
	if version <= 1 {
		return name
	}
	return name + versionMark + strconv.Itoa(version)
}

var validLabel = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ValidLabel says whether the book takes a key under this label, as its table does.
func ValidLabel(label string) bool { return validLabel.MatchString(label) }

// Split undoes Label.
func Split(label string) (name string, version int) {
	m := labelled.FindStringSubmatch(label)
	if m == nil {
		return label, 1
	}
	version, err := strconv.Atoi(m[2])
	if err != nil || version < 2 {
		return label, 1
	}
	return m[1], version
}

const columns = `label, name, version, algorithm, bits, kcv, origin, custodians, token_label, token_serial, place, recorded_by, office_at, public_key,
	retired_by, retired_reason, retired_at, revoked_by, revoked_with, revoked_reason, revoked_at`

// Get returns a key of the book. Error: ErrNotFound.
func Get(ctx context.Context, rd postgres.Reader, label string) (e Entry, err error) {
	err = rd.Get(ctx, &e, `SELECT `+columns+` FROM master_key WHERE label = $1`, label)
	if errors.Is(err, sql.ErrNoRows) {
		return e, ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("keybook: reading: %w", err)
	}
	return e, nil
}

// List returns the whole book, by name, oldest version first; it is short.
func List(ctx context.Context, rd postgres.Reader) ([]Entry, error) {
	all := []Entry{}
	if err := rd.Select(ctx, &all, `SELECT `+columns+` FROM master_key ORDER BY name, version`); err != nil {
		return nil, fmt.Errorf("keybook: list: %w", err)
	}
	return all, nil
}

// Record puts a key into the book; name and version follow from the label. The same
// key once more changes nothing, so that a ceremony that was cut off can be finished.
// Errors: ErrOtherKey, ErrTwice, ErrRetired, ErrRevoked for a key pair that a revocation list
// of before a restore names.
func Record(ctx context.Context, tx *postgres.Tx, e Entry) (added bool, err error) {
	e.Name, e.Version = Split(e.Label)
	if e.Custodians == nil {
		e.Custodians = pq.StringArray{}
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO master_key (label, name, version, algorithm, bits, kcv, origin, custodians, token_label, token_serial, place, recorded_by, office_at, public_key)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14) ON CONFLICT (label) DO NOTHING`,
		e.Label, e.Name, e.Version, e.Algorithm, e.Bits, e.KCV, string(e.Origin), e.Custodians, e.TokenLabel, e.TokenSerial, e.Place, e.RecordedBy, e.OfficeAt.UTC(), e.PublicKey)
	switch {
	case postgres.IsUnique(err, "master_key_id"):
		return false, fmt.Errorf("%w: %s", ErrTwice, e.Label)
	case postgres.IsCheck(err, "master_key_carried"):
		return false, fmt.Errorf("%w: %s", ErrRevoked, e.Label)
	case err != nil:
		return false, fmt.Errorf("keybook: recording %s: %w", e.Label, err)
	}
	if n == 0 {
		have, err := Get(ctx, tx, e.Label)
		if err != nil {
			return false, err
		}
		if err := have.Is(e.Algorithm, e.Bits, e.KCV); err != nil {
			return false, err
		}
		if !bytes.Equal(have.PublicKey, e.PublicKey) {
			return false, fmt.Errorf("%w: %s", ErrOtherKey, e.Label)
		}
		return false, nil
	}
	return true, audit.Record(ctx, tx, audit.Entry{Actor: e.RecordedBy, Action: "key.recorded", Subject: e.Label, Detail: map[string]any{
		"algorithm": e.Algorithm, "bits": e.Bits, "kcv": e.KCV, "origin": e.Origin, "custodians": []string(e.Custodians),
		"token_label": e.TokenLabel, "token_serial": e.TokenSerial, "place": e.Place,
	}})
}

// Is says whether a key of a token is the one in the book, and may be used: ErrOtherKey,
// ErrRetired.
func (e Entry) Is(algorithm string, bits int, kcv string) error {
	switch {
	case e.Algorithm != algorithm || e.Bits != bits || e.KCV != kcv:
		return fmt.Errorf("%w: %s is %s-%d with KCV %s in the book, %s-%d with KCV %s in the token",
			ErrOtherKey, e.Label, e.Algorithm, e.Bits, e.KCV, algorithm, bits, kcv)
	case e.Retired():
		return fmt.Errorf("%w: %s", ErrRetired, e.Label)
	}
	return nil
}

// Need is something that a key is still needed for.
type Need struct {
	What  string `db:"what"`  // key_code, work_order, card or request
	Which string `db:"which"` // as people know it: code and edition, ticket and day, serial, ticket
}

// NeedLabels are the Indonesian names of what a key is needed for.
var NeedLabels = map[string]string{
	"key_code": "Kode Kunci yang berlaku atau menunggu persetujuan", "work_order": "perintah kerja yang belum ditutup",
	"card": "kartu yang hasilnya belum pasti", "request": "permohonan yang belum selesai",
}

// NeededError says why a key cannot be given up.
type NeededError struct {
	Label string
	Needs []Need
}

// Error says it in short.
func (e *NeededError) Error() string {
	words := make([]string, len(e.Needs))
	for i, n := range e.Needs {
		words[i] = n.What + " " + n.Which
	}
	return fmt.Sprintf("keybook: %s is needed by %s", e.Label, strings.Join(words, ", "))
}

// Needs says what a key is still needed for.
func Needs(ctx context.Context, rd postgres.Reader, label string) ([]Need, error) {
	all := []Need{}
	if err := rd.Select(ctx, &all, `SELECT what, which FROM master_key_needs($1)`, label); err != nil {
		return nil, fmt.Errorf("keybook: needs of %s: %w", label, err)
	}
	return all, nil
}

// Retire gives a key up for ever: stations and Kode Kunci do not use it any more. It
// stays in the token until the token's own tool removes it. Errors: ErrNotFound,
// ErrRetired, ErrReasonMissing, *NeededError.
func Retire(ctx context.Context, tx *postgres.Tx, label, by, reason string, officeAt time.Time) error {
	if reason = strings.TrimSpace(reason); reason == "" {
		return ErrReasonMissing
	}
	// An order that is tied to its keys at this moment is seen, or waits.
	if _, err := tx.Exec(ctx, `LOCK TABLE order_recipe IN SHARE MODE`); err != nil {
		return fmt.Errorf("keybook: lock: %w", err)
	}
	var e Entry
	err := tx.Get(ctx, &e, `SELECT `+columns+` FROM master_key WHERE label = $1 FOR UPDATE`, label)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return fmt.Errorf("keybook: reading: %w", err)
	case e.Retired():
		return fmt.Errorf("%w: %s", ErrRetired, label)
	}
	needs, err := Needs(ctx, tx, label)
	if err != nil {
		return err
	}
	if len(needs) > 0 {
		return &NeededError{label, needs}
	}
	if err := tx.ExecOne(ctx, `UPDATE master_key SET retired_by = $2, retired_reason = $3, retired_at = $4 WHERE label = $1`,
		label, by, reason, officeAt.UTC()); err != nil {
		return fmt.Errorf("keybook: giving %s up: %w", label, err)
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: by, Action: "key.retired", Subject: label, Detail: map[string]any{"kcv": e.KCV, "reason": reason}})
}

// Signing returns the key pairs of a name, oldest version first, those that were given up
// too: what they signed is still verified.
func Signing(ctx context.Context, rd postgres.Reader, name string) ([]Entry, error) {
	all := []Entry{}
	if err := rd.Select(ctx, &all, `SELECT `+columns+` FROM master_key WHERE name = $1 AND algorithm = 'EC' ORDER BY version`, name); err != nil {
		return nil, fmt.Errorf("keybook: key pairs: %w", err)
	}
	return all, nil
}

// Book reads the book of a database for whoever works with the keys.
type Book struct{ DB postgres.Reader }

// Entries returns what the book says of some labels; those it does not know are left
// out.
func (b Book) Entries(ctx context.Context, labels ...string) (map[string]Entry, error) {
	rows := []Entry{}
	if err := b.DB.Select(ctx, &rows, `SELECT `+columns+` FROM master_key WHERE label = ANY ($1)`, pq.Array(labels)); err != nil {
		return nil, fmt.Errorf("keybook: reading: %w", err)
	}
	out := make(map[string]Entry, len(rows))
	for _, e := range rows {
		out[e.Label] = e
	}
	return out, nil
}
