package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

var (
	// ErrUnrecovered says that the database was restored and nobody has said yet which
	// revocation list was the last one: a new one could leave out what was revoked since.
	ErrUnrecovered = errors.New("release: the database was restored, and the last published revocation list is not given; sifilma restored -revocations gives it")
	// ErrNotRestored says that there is nothing to recover from.
	ErrNotRestored = errors.New("release: the database was never restored")
	// ErrKeyBack says that the list revokes a key which the restored key book still trusts:
	// people revoke it there first.
	ErrKeyBack = errors.New("release: the key book has a key in use that the list revokes; sifilma keys revoke revokes it")
	// ErrNoReason says that a statement wants who says it, and why.
	ErrNoReason = errors.New("release: who says so, and why?")
)

// lists keeps whoever publishes, and whoever says that the database was restored, from
// passing each other.
func lockLists(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('revocation_list', 0))`); err != nil {
		return fmt.Errorf("release: lock of the lists: %w", err)
	}
	return nil
}

// newestRestoration is the one that has to be answered for: what was published before an
// earlier one is in the list that is asked for, too.
const newestRestoration = `SELECT id FROM restoration ORDER BY raised_at DESC, id DESC LIMIT 1`

// Recovered says whether a new list can be published. Error: ErrUnrecovered.
func Recovered(ctx context.Context, rd postgres.Reader) error {
	var waits bool
	if err := rd.Get(ctx, &waits, `
		SELECT EXISTS (SELECT FROM (`+newestRestoration+`) r WHERE NOT EXISTS (SELECT FROM revocation_recovery c WHERE c.restoration_id = r.id))`); err != nil {
		return fmt.Errorf("release: restorations: %w", err)
	}
	if waits {
		return ErrUnrecovered
	}
	return nil
}

// Floor is the number of the last list that was given after a restore: the next one has a
// higher one. 0 for none.
func Floor(ctx context.Context, rd postgres.Reader) (number int64, err error) {
	if err := rd.Get(ctx, &number, `SELECT coalesce(max(number), 0) FROM revocation_recovery`); err != nil {
		return 0, fmt.Errorf("release: recovered lists: %w", err)
	}
	return number, nil
}

// Carried is a revocation that a restore took out of the database. It stays on every list
// until people have repeated it.
type Carried struct {
	Number string    `db:"manifest_serial" json:"manifest_serial"`
	State  string    `db:"state" json:"state"` // manifest.Revoked or manifest.Suspended
	Since  time.Time `db:"since" json:"since"`
	Reason string    `db:"reason" json:"reason"`
	// Ticket and Line are of the reader that the database knows by this manifest; empty
	// and 0 when it was made after the moment, and cannot be revoked again.
	Ticket string `db:"ticket" json:"ticket"`
	Line   int    `db:"line" json:"line"`
}

// CarriedRevocations are those that nobody has repeated, by their numbers.
func CarriedRevocations(ctx context.Context, rd postgres.Reader) ([]Carried, error) {
	all := []Carried{}
	if err := rd.Select(ctx, &all, `
		SELECT c.manifest_serial, c.state, c.since, c.reason, coalesce(t.ticket, '') AS ticket, coalesce(a.line, 0) AS line
		FROM carried_revocation c LEFT JOIN activation a ON a.manifest_serial = c.manifest_serial LEFT JOIN activation_letter t ON t.id = a.letter_id
		WHERE c.settled_at IS NULL ORDER BY c.manifest_serial`); err != nil {
		return nil, fmt.Errorf("release: carried revocations: %w", err)
	}
	return all, nil
}

// stands says whether an entry of the database's own says at least what another one does.
func stands(own manifest.Entry, other string) bool {
	return own.State == manifest.Revoked || other == manifest.Suspended
}

// With adds carried revocations to the database's own entries. repeated are those that
// own ones stand for now, see Settle.
func With(own []manifest.Entry, carried []Carried) (all []manifest.Entry, repeated []string) {
	place := make(map[string]int, len(own))
	for i, e := range own {
		place[e.Number] = i
	}
	all = append(all, own...)
	for _, c := range carried {
		e := manifest.Entry{Number: c.Number, State: c.State, At: c.Since.Unix(), Reason: c.Reason}
		switch i, is := place[c.Number]; {
		case !is:
			all = append(all, e)
		case stands(own[i], c.State):
			repeated = append(repeated, c.Number)
		default:
			all[i] = e
		}
	}
	return all, repeated
}

// Settle notes that the database's own entries stand for carried ones on the list that is
// published in this transaction.
func Settle(ctx context.Context, tx *postgres.Tx, repeated []string, at time.Time) error {
	if len(repeated) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE carried_revocation SET settled_at = $2 WHERE manifest_serial = ANY ($1) AND settled_at IS NULL`,
		pq.Array(repeated), at.UTC()); err != nil {
		return fmt.Errorf("release: settling carried revocations: %w", err)
	}
	return nil
}

// Statement is who says something after a restore, and why.
type Statement struct {
	By, Reason string
	At         time.Time
}

// Recovery is what a given list changed.
type Recovery struct {
	List    *manifest.List
	Carried []Carried // entries of it that the database lacks
	// Lifted are manifests that the database has on its list and the given one has not:
	// they were let go after the moment, and are on the next list again.
	Lifted []string
}

// Recover takes the list that was published last before a restore, as a reader or a web
// server has kept it. What it names and the database does not is carried from now on. keys
// are those of the key book. Nothing needs to be trusted but the signature. A list that
// turns up later is taken, too. Errors: ErrNotRestored, ErrNoReason without a name, ErrKeyBack,
// manifest.ErrListOld for one that is older than the database's, those of
// manifest.OpenList.
func Recover(ctx context.Context, tx *postgres.Tx, token []byte, keys sealed.Keys, s Statement) (r Recovery, err error) {
	if err := lockLists(ctx, tx); err != nil {
		return r, err
	}
	last, err := Latest(ctx, tx)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return r, err
	}
	floor, err := Floor(ctx, tx)
	if err != nil {
		return r, err
	}
	if r.List, err = manifest.OpenList(keys, token, max(floor, last.Number)); err != nil {
		return r, err
	}
	id, err := state(ctx, tx, r.List.Number, string(token), s)
	if err != nil {
		return r, err
	}
	if err := carryKeys(ctx, tx, id, r.List.Keys); err != nil {
		return r, err
	}
	rows, err := activation.RevocationList(ctx, tx)
	if err != nil {
		return r, err
	}
	own := make(map[string]manifest.Entry, len(rows))
	for _, a := range rows {
		own[a.ManifestSerial] = EntryOf(a)
		if _, is := r.List.Find(a.ManifestSerial); !is {
			r.Lifted = append(r.Lifted, a.ManifestSerial)
		}
	}
	for _, e := range r.List.Entries {
		if have, is := own[e.Number]; is && stands(have, e.State) {
			continue
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO carried_revocation (recovery_id, manifest_serial, state, since, reason) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (manifest_serial) WHERE settled_at IS NULL DO UPDATE SET state = 'revoked' WHERE excluded.state = 'revoked'`,
			id, e.Number, e.State, time.Unix(e.At, 0).UTC(), e.Reason); err != nil {
			return r, fmt.Errorf("release: carrying a revocation: %w", err)
		}
	}
	if r.Carried, err = CarriedRevocations(ctx, tx); err != nil {
		return r, err
	}
	return r, audit.Record(ctx, tx, audit.Entry{Actor: s.By, Action: "revocations.recovered", Subject: fmt.Sprint(r.List.Number), Detail: map[string]any{
		"reason": s.Reason, "entries": len(r.List.Entries), "carried": len(r.Carried), "key": r.List.KeyID,
	}})
}

// carryKeys keeps revoked keys of a given list that the book does not know.
func carryKeys(ctx context.Context, tx *postgres.Tx, recovery string, keys []manifest.KeyEntry) error {
	for _, k := range keys {
		var revoked []bool
		if err := tx.Select(ctx, &revoked, `SELECT revoked_at IS NOT NULL FROM master_key WHERE key_id = $1`, k.KeyID); err != nil {
			return fmt.Errorf("release: key of a list: %w", err)
		}
		if len(revoked) == 1 && !revoked[0] {
			return fmt.Errorf("%w: %s, %s", ErrKeyBack, k.KeyID, k.Reason)
		}
		if len(revoked) == 1 {
			continue
		}
		if _, err := tx.Exec(ctx, `INSERT INTO carried_key (key_id, recovery_id, since, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (key_id) DO NOTHING`,
			k.KeyID, recovery, time.Unix(k.At, 0).UTC(), k.Reason); err != nil {
			return fmt.Errorf("release: carrying a revoked key: %w", err)
		}
	}
	return nil
}

// RevokedKeys are the keys that every list names, by their ids: those that the book has
// revoked, and those that a restore took out of it.
func RevokedKeys(ctx context.Context, rd postgres.Reader) ([]manifest.KeyEntry, error) {
	var rows []struct {
		KeyID  string    `db:"key_id"`
		Since  time.Time `db:"since"`
		Reason string    `db:"reason"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT key_id, revoked_at AS since, revoked_reason AS reason FROM master_key WHERE revoked_at IS NOT NULL
		UNION ALL
		SELECT key_id, since, reason FROM carried_key c WHERE NOT EXISTS (SELECT FROM master_key k WHERE k.key_id = c.key_id AND k.revoked_at IS NOT NULL)
		ORDER BY key_id`); err != nil {
		return nil, fmt.Errorf("release: revoked keys: %w", err)
	}
	var keys []manifest.KeyEntry
	for _, r := range rows {
		keys = append(keys, manifest.KeyEntry{KeyID: r.KeyID, At: r.Since.Unix(), Reason: r.Reason})
	}
	return keys, nil
}

// RecoverNone takes somebody's word that no list was published after the moment. Errors:
// ErrNotRestored, ErrNoReason.
func RecoverNone(ctx context.Context, tx *postgres.Tx, s Statement) error {
	if err := lockLists(ctx, tx); err != nil {
		return err
	}
	if strings.TrimSpace(s.Reason) == "" {
		return ErrNoReason
	}
	id, err := state(ctx, tx, 0, "", s)
	if err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{Actor: s.By, Action: "revocations.none_since", Subject: id, Detail: map[string]any{"reason": s.Reason}})
}

// state keeps what somebody says about the newest restore.
func state(ctx context.Context, tx *postgres.Tx, number int64, token string, s Statement) (id string, err error) {
	if strings.TrimSpace(s.By) == "" {
		return "", ErrNoReason
	}
	var restoration string
	err = tx.Get(ctx, &restoration, newestRestoration)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotRestored
	}
	if err != nil {
		return "", fmt.Errorf("release: restorations: %w", err)
	}
	made, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("release: id: %w", err)
	}
	id = made.String()
	if err := tx.ExecOne(ctx, `
		INSERT INTO revocation_recovery (id, restoration_id, number, token, said_by, reason, said_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, restoration, number, token, s.By, s.Reason, s.At.UTC()); err != nil {
		return "", fmt.Errorf("release: recovery: %w", err)
	}
	return id, nil
}

// EntryOf is a revocation as the list names it.
func EntryOf(r activation.Revocation) manifest.Entry {
	state := manifest.Revoked
	if r.State == activation.Suspended {
		state = manifest.Suspended
	}
	return manifest.Entry{Number: r.ManifestSerial, State: state, At: r.Since.Unix(), Reason: activation.CauseLabels[r.Cause]}
}
