package cardsecret

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// States of an institution's key.
const (
	Offered   = "offered"   // by its own person; nothing is encrypted for it yet
	Confirmed = "confirmed" // cards are written for it
	Declined  = "declined"  // by the office
	Withdrawn = "withdrawn" // by its own people, before it was confirmed
	Ended     = "ended"     // another one took its place, or it was given up
)

// StateLabels are the Indonesian names of the states.
var StateLabels = map[string]string{
	Offered: "Menunggu dipastikan", Confirmed: "Berlaku", Declined: "Ditolak", Withdrawn: "Ditarik", Ended: "Berakhir",
}

var (
	// ErrSamePerson says that who confirms a key is who offered it.
	ErrSamePerson = errors.New("cardsecret: confirmed by who offered it")
	// ErrOver says that a key is not in the state that a step wants.
	ErrOver = errors.New("cardsecret: the key was decided on already")
)

// Key is a public key of an institution. It is in force from ConfirmedAt to EndedAt.
type Key struct {
	ID            string     `db:"id"`
	InstitutionID string     `db:"institution_id"`
	Institution   string     `db:"institution"`
	Edition       int        `db:"edition"`
	Recipient     string     `db:"recipient"` // age1...
	Fingerprint   string     `db:"fingerprint"`
	State         string     `db:"state"`
	OfferedBy     string     `db:"offered_by"`
	OfferedAt     time.Time  `db:"offered_at"`
	ConfirmedBy   *string    `db:"confirmed_by"`
	ConfirmedAt   *time.Time `db:"confirmed_at"`
	EndedBy       *string    `db:"ended_by"`
	EndedAt       *time.Time `db:"ended_at"`
	Reason        string     `db:"reason"`
}

const selectKey = `SELECT k.id, k.institution_id, i.name AS institution, k.edition, k.recipient, k.fingerprint, k.state, k.offered_by, k.offered_at,
	k.confirmed_by, k.confirmed_at, k.ended_by, k.ended_at, k.reason FROM secret_recipient k JOIN institution i ON i.id = k.institution_id `

// GetKey returns a key. A non-empty institutionID limits the answer to that institution's.
// Error: ErrNotFound.
func GetKey(ctx context.Context, rd postgres.Reader, id, institutionID string) (Key, error) {
	return oneKey(ctx, rd, ErrNotFound, `WHERE k.id = $1 AND ($2 = '' OR k.institution_id::text = $2)`, id, institutionID)
}

// KeyOf returns the key of an institution that is in force. Error: ErrNoKey.
func KeyOf(ctx context.Context, rd postgres.Reader, institutionID string) (Key, error) {
	return oneKey(ctx, rd, ErrNoKey, `WHERE k.institution_id = $1 AND k.state = 'confirmed'`, institutionID)
}

func oneKey(ctx context.Context, rd postgres.Reader, none error, where string, args ...any) (k Key, err error) {
	err = rd.Get(ctx, &k, selectKey+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return k, none
	}
	if err != nil {
		return k, fmt.Errorf("cardsecret: reading a key: %w", err)
	}
	return k, nil
}

// Keys returns the keys of an institution, or of all, those that wait first and then by
// institution, the newest first. It is short: an institution changes its key rarely.
func Keys(ctx context.Context, rd postgres.Reader, institutionID string) ([]Key, error) {
	list := []Key{}
	if err := rd.Select(ctx, &list, selectKey+`
		WHERE ($1 = '' OR k.institution_id::text = $1) ORDER BY k.state <> 'offered', lower(i.name), i.id, k.edition DESC LIMIT 1000`, institutionID); err != nil {
		return nil, fmt.Errorf("cardsecret: keys: %w", err)
	}
	return list, nil
}

// Hold says that the cards of an institution can be written for it, and that this stays
// so until the caller's transaction ends. Errors: ErrNoKey, ErrNoEscrow.
func Hold(ctx context.Context, tx *postgres.Tx, institutionID string) error {
	if _, err := oneKey(ctx, tx, ErrNoKey, `WHERE k.institution_id = $1 AND k.state = 'confirmed' FOR SHARE OF k`, institutionID); err != nil {
		return err
	}
	_, err := EscrowInForce(ctx, tx)
	return err
}

// Who is somebody who does something about a key, and when.
type Who struct {
	Name string // user name
	At   time.Time
}

// Offer writes a public key that somebody of the institution offers; one that waits is
// withdrawn for it. Errors: form.Faults, which hold nothing of what was typed.
func Offer(ctx context.Context, tx *postgres.Tx, institutionID, typed string, by Who) (Key, error) {
	key, err := parse(typed)
	if err != nil {
		return Key{}, err
	}
	// Two who offer at once come one after the other.
	if err := tx.ExecOne(ctx, `UPDATE institution SET version = version WHERE id = $1`, institutionID); err != nil {
		return Key{}, fmt.Errorf("cardsecret: institution: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		UPDATE secret_recipient SET state = 'withdrawn', ended_by = $2, ended_at = $3, reason = 'diganti usulan baru'
		WHERE institution_id = $1 AND state = 'offered'`, institutionID, by.Name, by.At.UTC()); err != nil {
		return Key{}, fmt.Errorf("cardsecret: withdrawing: %w", err)
	}
	var escrow bool
	if err := tx.Get(ctx, &escrow, `SELECT EXISTS (SELECT FROM escrow_key WHERE recipient = $1)`, key.String()); err != nil {
		return Key{}, fmt.Errorf("cardsecret: escrow keys: %w", err)
	}
	used := form.One("/recipient", "used", "Kunci publik ini sudah pernah didaftarkan. Buat pasangan kunci baru dengan age-keygen.")
	if escrow {
		return Key{}, used
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, fmt.Errorf("cardsecret: id: %w", err)
	}
	err = tx.ExecOne(ctx, `
		INSERT INTO secret_recipient (id, institution_id, edition, recipient, fingerprint, offered_by, offered_at)
		SELECT $1, $2::uuid, 1 + coalesce(max(edition), 0), $3, $4, $5, $6 FROM secret_recipient WHERE institution_id = $2::uuid`,
		id.String(), institutionID, key.String(), Fingerprint(key.String()), by.Name, by.At.UTC())
	if postgres.IsUnique(err, "secret_recipient_once") {
		return Key{}, used
	}
	if err != nil {
		return Key{}, fmt.Errorf("cardsecret: offering: %w", err)
	}
	return noted(ctx, tx, id.String(), by, "offer")
}

// Confirm puts an offered key in force, by somebody of the office who heard its
// fingerprint in another way and typed it; the one before ends with it. Errors:
// form.Faults, ErrNotFound, ErrOver, ErrSamePerson.
func Confirm(ctx context.Context, tx *postgres.Tx, id, typed string, by Who) (Key, error) {
	k, err := offered(ctx, tx, id)
	switch {
	case err != nil:
		return k, err
	case k.OfferedBy == by.Name:
		return k, ErrSamePerson
	case heard(typed) == "":
		return k, form.One("/fingerprint", "missing", "Ketik sidik kunci seperti yang disebutkan produsen lewat jalan lain.")
	case heard(typed) != k.Fingerprint:
		return k, form.One("/fingerprint", "differs",
			"Sidik yang diketik lain dari sidik kunci yang terdaftar. Tanyakan sekali lagi; bila tetap berbeda, tolak kunci ini.")
	}
	if _, err := tx.Exec(ctx, `
		UPDATE secret_recipient SET state = 'ended', ended_by = $2, ended_at = $3, reason = 'diganti kunci baru'
		WHERE institution_id = $1 AND state = 'confirmed'`, k.InstitutionID, by.Name, by.At.UTC()); err != nil {
		return k, fmt.Errorf("cardsecret: ending: %w", err)
	}
	if err := tx.ExecOne(ctx, `UPDATE secret_recipient SET state = 'confirmed', confirmed_by = $2, confirmed_at = $3 WHERE id = $1 AND state = 'offered'`,
		id, by.Name, by.At.UTC()); err != nil {
		return k, fmt.Errorf("cardsecret: confirming: %w", err)
	}
	return noted(ctx, tx, id, by, "confirm")
}

// Decline refuses an offered key: the office could not make sure whose it is. Errors:
// form.Faults, ErrNotFound, ErrOver.
func Decline(ctx context.Context, tx *postgres.Tx, id, reason string, by Who) (Key, error) {
	return end(ctx, tx, id, Offered, Declined, reason, by)
}

// Withdraw takes an offered key back. Errors: form.Faults, ErrNotFound, ErrOver.
func Withdraw(ctx context.Context, tx *postgres.Tx, id, reason string, by Who) (Key, error) {
	return end(ctx, tx, id, Offered, Withdrawn, reason, by)
}

// GiveUp ends a key that is in force without another one, such as one that is known to
// others: no card is written for its institution until another is confirmed. Errors:
// form.Faults, ErrNotFound, ErrOver.
func GiveUp(ctx context.Context, tx *postgres.Tx, id, reason string, by Who) (Key, error) {
	return end(ctx, tx, id, Confirmed, Ended, reason, by)
}

const maxReason = 2000

func end(ctx context.Context, tx *postgres.Tx, id, from, to, reason string, by Who) (Key, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case Private(reason):
		return Key{}, form.One("/reason", "private_key", privateText)
	case reason == "":
		return Key{}, form.One("/reason", "missing", "Alasan wajib diisi.")
	case utf8.RuneCountInString(reason) > maxReason:
		return Key{}, form.One("/reason", "too_long", "Alasan paling panjang 2.000 karakter.")
	}
	if _, err := GetKey(ctx, tx, id, ""); err != nil {
		return Key{}, err
	}
	err := tx.ExecOne(ctx, `UPDATE secret_recipient SET state = $3, ended_by = $4, ended_at = $5, reason = $6 WHERE id = $1 AND state = $2`,
		id, from, to, by.Name, by.At.UTC(), reason)
	if errors.Is(err, postgres.ErrStale) {
		return Key{}, ErrOver
	}
	if err != nil {
		return Key{}, fmt.Errorf("cardsecret: %s: %w", to, err)
	}
	return noted(ctx, tx, id, by, map[string]string{Declined: "decline", Withdrawn: "withdraw", Ended: "end"}[to])
}

func offered(ctx context.Context, tx *postgres.Tx, id string) (Key, error) {
	k, err := oneKey(ctx, tx, ErrNotFound, `WHERE k.id = $1 FOR UPDATE OF k`, id)
	if err == nil && k.State != Offered {
		err = ErrOver
	}
	return k, err
}

// noted returns the key as it is now, with its audit row in the same transaction.
func noted(ctx context.Context, tx *postgres.Tx, id string, by Who, action string) (Key, error) {
	k, err := GetKey(ctx, tx, id, "")
	if err != nil {
		return k, err
	}
	detail := map[string]any{"institution": k.InstitutionID, "edition": k.Edition, "recipient": k.Recipient, "fingerprint": k.Fingerprint, "state": k.State}
	if k.Reason != "" {
		detail["reason"] = k.Reason
	}
	return k, audit.Record(ctx, tx, audit.Entry{Actor: by.Name, Action: "secret_recipient." + action, Subject: k.ID, Detail: detail})
}
