// Package feed keeps the addresses at which people subscribe to the dates of a
// request with their own calendars. It writes the table request_feed.
//
// Calendars ask without a login, so the address holds a secret: 256 random bits, of
// which only the hash is kept. It is as good as the account that made it, for as long
// as that may be used and may see the request.
package feed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrNotFound says that there is no such feed, or none that is still open.
var ErrNotFound = errors.New("feed: not found")

// ErrStale says that another address was made or ended since somebody looked.
var ErrStale = errors.New("feed: not the address that was seen")

// Feed is an open address, without its secret.
type Feed struct {
	ID        string    `db:"id"`
	RequestID string    `db:"request_id"`
	AccountID string    `db:"account_id"`
	Username  string    `db:"username"` // of the account
	CreatedAt time.Time `db:"created_at"`
}

const selectFeed = `
	SELECT f.id, f.request_id, f.account_id, a.username, f.created_at
	FROM request_feed f JOIN account a ON a.id = f.account_id WHERE f.revoked_at IS NULL AND `

// Make opens an address of a request for an account and returns its secret, once. The
// one that the account had for this request ends: whoever lost it makes another. seen
// is the id of that one as whoever asks has seen it, empty for none; nil asks for no
// such care. by is the user name, now the time of the office clock. Error: ErrStale.
func Make(ctx context.Context, tx *postgres.Tx, requestID, accountID string, seen *string, by string, now time.Time) (id, token string, err error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", "", fmt.Errorf("feed: random: %w", err)
	}
	token = base64.RawURLEncoding.EncodeToString(random)
	made, err := uuid.NewV7()
	if err != nil {
		return "", "", fmt.Errorf("feed: id: %w", err)
	}
	// Two that are made at once wait for each other here.
	if _, err := tx.Exec(ctx, `SELECT FROM account WHERE id = $1 FOR NO KEY UPDATE`, accountID); err != nil {
		return "", "", fmt.Errorf("feed: locking the account: %w", err)
	}
	if seen != nil {
		var open string
		if err := tx.Get(ctx, &open, `
			SELECT coalesce((SELECT id::text FROM request_feed WHERE request_id = $1 AND account_id = $2 AND revoked_at IS NULL), '')`, requestID, accountID); err != nil {
			return "", "", fmt.Errorf("feed: reading the old one: %w", err)
		}
		if open != *seen {
			return "", "", ErrStale
		}
	}
	if _, err := tx.Exec(ctx, `
		UPDATE request_feed SET revoked_at = $3, revoked_by = $4 WHERE request_id = $1 AND account_id = $2 AND revoked_at IS NULL`,
		requestID, accountID, now.UTC(), by); err != nil {
		return "", "", fmt.Errorf("feed: ending the old one: %w", err)
	}
	sum := sha256.Sum256([]byte(token))
	if _, err := tx.Exec(ctx, `
		INSERT INTO request_feed (id, request_id, account_id, token_sha256, created_at) VALUES ($1, $2, $3, $4, $5)`,
		made.String(), requestID, accountID, sum[:], now.UTC()); err != nil {
		return "", "", fmt.Errorf("feed: writing: %w", err)
	}
	return made.String(), token, nil
}

// ByToken returns the open feed with this secret. Error: ErrNotFound.
func ByToken(ctx context.Context, rd postgres.Reader, token string) (f Feed, err error) {
	sum := sha256.Sum256([]byte(token))
	return one(rd.Get(ctx, &f, selectFeed+`f.token_sha256 = $1`, sum[:]), f)
}

func one(err error, f Feed) (Feed, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return Feed{}, ErrNotFound
	}
	if err != nil {
		return Feed{}, fmt.Errorf("feed: reading: %w", err)
	}
	return f, nil
}

// List returns the open feeds of a request, oldest first; a non-empty accountID
// limits the answer to that account's.
func List(ctx context.Context, rd postgres.Reader, requestID, accountID string) ([]Feed, error) {
	list := []Feed{}
	if err := rd.Select(ctx, &list, selectFeed+`f.request_id = $1 AND ($2 = '' OR f.account_id::text = $2) ORDER BY f.id`, requestID, accountID); err != nil {
		return nil, fmt.Errorf("feed: list: %w", err)
	}
	return list, nil
}

// Revoke ends an address at once and for ever. A non-empty accountID knows only that
// account's. Error: ErrNotFound.
func Revoke(ctx context.Context, tx *postgres.Tx, requestID, id, accountID, by string, now time.Time) error {
	n, err := tx.Exec(ctx, `
		UPDATE request_feed SET revoked_at = $4, revoked_by = $5
		WHERE id = $1 AND request_id = $2 AND ($3 = '' OR account_id::text = $3) AND revoked_at IS NULL`, id, requestID, accountID, now.UTC(), by)
	if err != nil {
		return fmt.Errorf("feed: revoking: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// EndAll ends every address, such as after a restore, which may bring back some that
// were ended.
func EndAll(ctx context.Context, tx *postgres.Tx, by string, now time.Time) error {
	if _, err := tx.Exec(ctx, `UPDATE request_feed SET revoked_at = $1, revoked_by = $2 WHERE revoked_at IS NULL`, now.UTC(), by); err != nil {
		return fmt.Errorf("feed: ending all: %w", err)
	}
	return nil
}
