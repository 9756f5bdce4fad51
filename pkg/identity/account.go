// Package identity knows who is asking: people by user name and password in a
// session, produsen's software by an API key. It writes the tables account,
// session and api_key.
package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrRefused says that user name and password do not go together, or that
	// the account is not active: which of them, a caller does not learn.
	ErrRefused = errors.New("identity: refused")
	// ErrExpired says that the password is the right one, but one for once that is
	// too old to be used.
	ErrExpired = errors.New("identity: password for once has expired")
	// ErrLocked says that the account is locked for a while after too many
	// wrong passwords.
	ErrLocked = errors.New("identity: account locked")
	// ErrNoSession says that a session does not exist or has ended.
	ErrNoSession = errors.New("identity: no session")
)

// Bounds of a login (users.md D.3).
const (
	MaxFailures = 5                // wrong passwords before the account locks
	LockFor     = 15 * time.Minute // how long it locks
	SessionIdle = 30 * time.Minute // a session ends after so long without use
	SessionMax  = 12 * time.Hour   // and after so long in any case
)

// Account is a person who can sign in.
type Account struct {
	ID            string       `db:"id"`
	Username      string       `db:"username"`
	Name          string       `db:"name"`
	Role          machine.Role `db:"role"`
	InstitutionID *string      `db:"institution_id"`
	Institution   *string      `db:"institution"`
	// MustChange says that the password is one that somebody else knows: nothing
	// else can be done before it is changed (features.md N31).
	MustChange bool  `db:"must_change"`
	Version    int64 `db:"version"`
}

// accountColumns read an Account from account a and institution i.
const accountColumns = `a.id, a.username, a.name, a.role, a.institution_id, i.name AS institution, a.must_change, a.version`

// activeAccount holds for an account that may get in.
const activeAccount = `a.active AND (a.institution_id IS NULL OR i.active)`

// Actor is the account as the timeline names it.
func (a Account) Actor() machine.Actor { return machine.Actor{Name: a.Username, Role: a.Role} }

// hashParams are the floor that OWASP gives for argon2id: 19 MiB, two passes.
// More memory would be a portal's largest need by far.
var hashParams = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// hashing holds the memory of concurrent password checks to what the machine
// has cores for: argon2id takes 19 MiB each.
var hashing = make(chan struct{}, max(1, runtime.NumCPU()))

func hashed[T any](work func() (T, error)) (T, error) {
	hashing <- struct{}{}
	defer func() { <-hashing }()
	return work()
}

// SetAccount creates an account, or gives an existing one of that user name a
// new name, role, institution and password, and ends its sessions.
func SetAccount(ctx context.Context, db *postgres.DB, a Account, password string) error {
	hash, err := hashed(func() (string, error) { return argon2id.CreateHash(password, hashParams) })
	if err != nil {
		return fmt.Errorf("identity: hashing: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("identity: id: %w", err)
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO account (id, username, name, role, institution_id, password_hash) VALUES ($1,$2,$3,$4,$5,$6)
			ON CONFLICT (username) DO UPDATE SET name=excluded.name, role=excluded.role,
			       institution_id=excluded.institution_id, password_hash=excluded.password_hash,
			       failures=0, locked_until=NULL, must_change=false, password_expires_at=NULL, version=account.version+1`,
			id.String(), strings.ToLower(a.Username), a.Name, string(a.Role), a.InstitutionID, hash)
		if err != nil {
			return fmt.Errorf("identity: writing account: %w", err)
		}
		_, err = tx.Exec(ctx, `DELETE FROM session WHERE account_id = (SELECT id FROM account WHERE username = $1)`, strings.ToLower(a.Username))
		return err
	})
}

// dummyHash makes an unknown user name cost as much time as a known one.
var dummyHash = sync.OnceValues(func() (string, error) {
	password, err := secret()
	if err != nil {
		return "", err
	}
	return argon2id.CreateHash(password, hashParams)
})

// Authenticate checks a password. now is machine time: locks and passwords for once
// are measured by it. Errors: ErrRefused, ErrLocked; ErrExpired, which only whoever
// has the right password learns.
func Authenticate(ctx context.Context, db *postgres.DB, username, password string, now time.Time) (Account, error) {
	var row struct {
		Account
		Hash        string     `db:"password_hash"`
		Active      bool       `db:"active"`
		LockedUntil *time.Time `db:"locked_until"`
		Expires     *time.Time `db:"password_expires_at"`
	}
	err := db.Get(ctx, &row, `
		SELECT `+accountColumns+`, a.password_hash, `+activeAccount+` AS active, a.locked_until, a.password_expires_at
		FROM account a LEFT JOIN institution i ON i.id = a.institution_id WHERE a.username = $1`, strings.ToLower(username))
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("identity: reading account: %w", err)
	}
	if known && row.LockedUntil != nil && now.Before(*row.LockedUntil) {
		return Account{}, ErrLocked
	}
	hash := row.Hash
	if !known {
		if hash, err = dummyHash(); err != nil {
			return Account{}, fmt.Errorf("identity: hashing: %w", err)
		}
	}
	match, err := hashed(func() (bool, error) { return argon2id.ComparePasswordAndHash(password, hash) })
	if err != nil {
		return Account{}, fmt.Errorf("identity: comparing: %w", err)
	}
	if !known || !row.Active {
		return Account{}, ErrRefused
	}
	expired := match && row.Expires != nil && !now.Before(*row.Expires)
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if expired { // no guess, so it is not counted; nor does it clear what others guessed
			return audit.Record(ctx, tx, audit.Entry{
				Actor: row.Username, Action: "session.refuse", Subject: row.ID, Detail: map[string]any{"expired": true},
			})
		}
		if match {
			_, err := tx.Exec(ctx, `UPDATE account SET failures=0, locked_until=NULL WHERE id=$1 AND (failures > 0 OR locked_until IS NOT NULL)`, row.ID)
			return err
		}
		var locked bool
		if err := tx.Get(ctx, &locked, `
			UPDATE account SET failures = failures + 1,
			       locked_until = CASE WHEN (failures + 1) % $2 = 0 THEN $3::timestamptz ELSE locked_until END
			WHERE id = $1 RETURNING failures % $2 = 0`, row.ID, MaxFailures, now.Add(LockFor).UTC()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: row.Username, Action: "session.refuse", Subject: row.ID, Detail: map[string]any{"locked": locked},
		})
	})
	if err != nil {
		return Account{}, fmt.Errorf("identity: counting: %w", err)
	}
	switch {
	case !match:
		return Account{}, ErrRefused
	case expired:
		return Account{}, ErrExpired
	}
	return row.Account, nil
}

// StartSession opens a session and returns its token, which is stored only as a
// hash. Error: ErrRefused, when the account was changed since it was
// authenticated: another password, or none any more.
func StartSession(ctx context.Context, db *postgres.DB, a Account, now time.Time) (token string, err error) {
	token, err = secret()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(token))
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		n, err := tx.Exec(ctx, `
			INSERT INTO session (token_sha256, account_id, created_at, seen_at, expires_at)
			SELECT $1, id, $3, $3, $4 FROM account WHERE id = $2 AND active AND version = $5 FOR SHARE`,
			sum[:], a.ID, now.UTC(), now.Add(SessionMax).UTC(), a.Version)
		if err == nil && n == 0 {
			return ErrRefused
		}
		return err
	})
	if errors.Is(err, ErrRefused) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("identity: starting session: %w", err)
	}
	return token, nil
}

// ActiveAccounts returns which of the accounts, by their ids, may get in and have
// a password of their own: for whoever looked at their sessions a moment ago.
func ActiveAccounts(ctx context.Context, r postgres.Reader, ids []string) (map[string]bool, error) {
	var found []string
	if err := r.Select(ctx, &found, `
		SELECT a.id FROM account a LEFT JOIN institution i ON i.id = a.institution_id
		WHERE a.id = ANY ($1::uuid[]) AND `+activeAccount+` AND NOT a.must_change`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("identity: looking at accounts again: %w", err)
	}
	active := make(map[string]bool, len(found))
	for _, id := range found {
		active[id] = true
	}
	return active, nil
}

// SessionCookie is the name of the cookie that holds a session's token. Behind
// HTTPS browsers bind it to the site (RFC 6265bis section 4.1.3.2).
func SessionCookie(secure bool) string {
	if secure {
		return "__Host-sifilma_session"
	}
	return "sifilma_session"
}

// SessionAccount returns whose session a token opens, and keeps the session
// alive: at most one write a minute. Error: ErrNoSession.
func SessionAccount(ctx context.Context, db *postgres.DB, token string, now time.Time) (Account, error) {
	sum := sha256.Sum256([]byte(token))
	var row struct {
		Account
		SeenAt time.Time `db:"seen_at"`
	}
	err := db.Get(ctx, &row, `
		SELECT `+accountColumns+`, s.seen_at
		FROM session s JOIN account a ON a.id = s.account_id LEFT JOIN institution i ON i.id = a.institution_id
		WHERE s.token_sha256 = $1 AND `+activeAccount+` AND s.expires_at > $2 AND s.seen_at > $3`,
		sum[:], now.UTC(), now.Add(-SessionIdle).UTC())
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, ErrNoSession
	}
	if err != nil {
		return Account{}, fmt.Errorf("identity: reading session: %w", err)
	}
	if now.Sub(row.SeenAt) > time.Minute {
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE session SET seen_at=$2 WHERE token_sha256=$1`, sum[:], now.UTC())
			return err
		})
		if err != nil {
			return Account{}, fmt.Errorf("identity: keeping session: %w", err)
		}
	}
	return row.Account, nil
}

// EndSession ends a session; an unknown token is no error.
func EndSession(ctx context.Context, db *postgres.DB, token string) error {
	sum := sha256.Sum256([]byte(token))
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM session WHERE token_sha256=$1`, sum[:])
		return err
	})
}

// PruneSessions deletes the sessions that ended more than an hour ago and
// returns how many.
func PruneSessions(ctx context.Context, db *postgres.DB, now time.Time) (gone int64, err error) {
	now = now.Add(-time.Hour)
	for {
		var n int64
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			n, err = tx.Exec(ctx, `
				DELETE FROM session WHERE ctid = ANY (ARRAY(
					SELECT ctid FROM session WHERE expires_at < $1 OR seen_at < $2 LIMIT $3))`,
				now.UTC(), now.Add(-SessionIdle).UTC(), pruneChunk)
			return err
		})
		if err != nil {
			return gone, fmt.Errorf("identity: pruning sessions: %w", err)
		}
		if gone += n; n < pruneChunk {
			return gone, nil
		}
	}
}

// pruneChunk bounds the rows of one DELETE.
const pruneChunk = 1000

// secret returns 256 random bits as text.
func secret() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("identity: random: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
