// Package identity knows who is asking: people by user name and password in a
// session, produsen's software by an API key. It writes the tables account, account_change,
// login_attempt, known_browser, session and api_key.
package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
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
	// ErrLocked says that there were too many attempts on a name: from the same
	// place, or from everywhere. It is said of names that are nobody's too.
	ErrLocked = errors.New("identity: locked")
	// ErrNoSession says that a session does not exist or has ended.
	ErrNoSession = errors.New("identity: no session")
)

// Bounds of a session (users.md D.3).
const (
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

// SetAccount is SetAccountBy for whoever sets an office up.
func SetAccount(ctx context.Context, db *postgres.DB, a Account, password string) error {
	return SetAccountBy(ctx, db, a, password, "sifilma")
}

// SetAccountBy creates an account, or gives an existing one of that user name a new
// name, role, institution and password, lets it in again, and ends its sessions. It asks for no
// second keeper: it is for whoever has the database itself, named by, such as for
// an office's first accounts. MustChange of a says whether the password is to be
// changed at the first login. Error: form.Faults.
func SetAccountBy(ctx context.Context, db *postgres.DB, a Account, password, by string) error {
	hash, err := hashed(ctx, func() (string, error) { return argon2id.CreateHash(password, hashParams) })
	if err != nil {
		return fmt.Errorf("identity: hashing: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("identity: id: %w", err)
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := a.checkNew(ctx, tx); err != nil {
			return err
		}
		var made struct {
			ID      string `db:"id"`
			Version int64  `db:"version"`
		}
		err := tx.Get(ctx, &made, `
			INSERT INTO account (id, username, name, role, institution_id, password_hash, must_change) VALUES ($1,$2,$3,$4,$5,$6,$7)
			ON CONFLICT (username) DO UPDATE SET name=excluded.name, role=excluded.role,
			       institution_id=excluded.institution_id, password_hash=excluded.password_hash,
			       active=true, must_change=excluded.must_change, password_expires_at=NULL, version=account.version+1
			RETURNING id, version`,
			id.String(), a.Username, a.Name, string(a.Role), a.InstitutionID, hash, a.MustChange)
		if err != nil {
			return fmt.Errorf("identity: writing account: %w", err)
		}
		if err := endSessionsOf(ctx, tx, made.ID, ""); err != nil {
			return err
		}
		if err := unlock(ctx, tx, a.Username); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: by, Action: "account.set", Subject: made.ID, Detail: map[string]any{
			"username": a.Username, "name": a.Name, "role": a.Role, "institution_id": a.InstitutionID, "must_change": a.MustChange, "version": made.Version,
		}})
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
// are measured by it. Names that are nobody's cost the same time and get the same
// answers as others. Errors: ErrRefused, ErrLocked; ErrExpired, which only whoever
// has the right password learns.
func Authenticate(ctx context.Context, db *postgres.DB, l Login, now time.Time) (Account, error) {
	tried, err := countAttempt(ctx, db, l, now)
	if errors.Is(err, ErrLocked) {
		return Account{}, err
	}
	if err != nil {
		return Account{}, fmt.Errorf("identity: counting: %w", err)
	}
	a, err := judge(ctx, db, l, tried, now)
	if err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrExpired) { // it was not judged
		back := db.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) error { return tried.forget(ctx, tx, false) })
		return Account{}, errors.Join(err, back)
	}
	return a, err
}

// judge compares an attempt that was counted.
func judge(ctx context.Context, db *postgres.DB, l Login, tried attempt, now time.Time) (Account, error) {
	var row struct {
		Account
		Hash    string     `db:"password_hash"`
		Active  bool       `db:"active"`
		Expires *time.Time `db:"password_expires_at"`
	}
	err := db.Get(ctx, &row, `
		SELECT `+accountColumns+`, a.password_hash, `+activeAccount+` AS active, a.password_expires_at
		FROM account a LEFT JOIN institution i ON i.id = a.institution_id WHERE a.username = $1`, strings.ToLower(l.Username))
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("identity: reading account: %w", err)
	}
	hash := row.Hash
	if !known {
		if hash, err = dummyHash(); err != nil {
			return Account{}, fmt.Errorf("identity: hashing: %w", err)
		}
	}
	match, err := hashed(ctx, func() (bool, error) { return argon2id.ComparePasswordAndHash(l.Password, hash) })
	if err != nil {
		return Account{}, fmt.Errorf("identity: comparing: %w", err)
	}
	good := match && known && row.Active
	expired := good && row.Expires != nil && !now.Before(*row.Expires)
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		switch {
		case expired: // no guess, so it is not counted; nor does it clear what others guessed
			if err := tried.forget(ctx, tx, false); err != nil {
				return err
			}
			return audit.Record(ctx, tx, audit.Entry{
				Actor: row.Username, Action: "session.refuse", Subject: row.ID, Detail: map[string]any{"from": l.From, "expired": true},
			})
		case good:
			return tried.forget(ctx, tx, true)
		case !known:
			return tried.idle(ctx, tx)
		}
		actor := l.Signed
		if actor == "" {
			actor = stranger // whoever tried it is not shown to be the account's person
		}
		return audit.Record(ctx, tx, audit.Entry{
			Actor: actor, Action: "session.refuse", Subject: row.ID, Detail: map[string]any{"from": l.From, "locked": tried.locked, "known_browser": !tried.global},
		})
	})
	if err != nil {
		return Account{}, fmt.Errorf("identity: noting: %w", err)
	}
	switch {
	case !good:
		return Account{}, ErrRefused
	case expired:
		return Account{}, ErrExpired
	}
	return row.Account, nil
}

// stranger is the actor of an attempt to sign in that failed.
const stranger = "stranger"

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

// PruneSessions deletes the sessions that ended more than an hour ago, the counts
// of attempts that are over and the browsers that are known no more, and returns
// how many.
func PruneSessions(ctx context.Context, db *postgres.DB, now time.Time) (gone int64, err error) {
	earlier := now.Add(-time.Hour)
	for _, over := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM session WHERE ctid = ANY (ARRAY(SELECT ctid FROM session WHERE expires_at < $2 OR seen_at < $3 LIMIT $1))`,
			[]any{pruneChunk, earlier.UTC(), earlier.Add(-SessionIdle).UTC()}},
		{`DELETE FROM login_attempt WHERE ctid = ANY (ARRAY(SELECT ctid FROM login_attempt WHERE ends_at < $2 LIMIT $1))`,
			[]any{pruneChunk, earlier.UTC()}},
		{`DELETE FROM known_browser WHERE ctid = ANY (ARRAY(SELECT ctid FROM known_browser WHERE seen_at < $2 LIMIT $1))`,
			[]any{pruneChunk, now.Add(-BrowserLife).UTC()}},
	} {
		for n := int64(pruneChunk); n == pruneChunk; gone += n {
			if err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
				n, err = tx.Exec(ctx, over.query, over.args...)
				return err
			}); err != nil {
				return gone, fmt.Errorf("identity: pruning sessions: %w", err)
			}
		}
	}
	return gone, nil
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
