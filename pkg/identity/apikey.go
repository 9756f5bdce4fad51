package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Scopes of an API key.
const (
	ScopeRequestRead  = "request:read"
	ScopeRequestWrite = "request:write"
)

// ErrBadKey says that an API key is unknown, wrong, expired or revoked.
var ErrBadKey = errors.New("identity: bad API key")

// Client is a produsen's software, known by its API key.
type Client struct {
	KeyID         string `db:"id"`
	InstitutionID string `db:"institution_id"`
	Institution   string `db:"institution"`
	Kind          string `db:"kind"`
	Scopes        []string
}

// May says whether the key has a scope.
func (c Client) May(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Account is the institution as if one of its people asked: what it may see does
// not depend on who asks for it.
func (c Client) Account() Account {
	return Account{Name: c.Institution, Role: machine.Role(c.Kind), InstitutionID: &c.InstitutionID, Institution: &c.Institution}
}

// NewAPIKey makes a key of the form filma_<id>_<secret> (users.md E9). The text
// is returned once; only the hash of its secret is kept.
func NewAPIKey(ctx context.Context, tx *postgres.Tx, institutionID, label string, scopes []string, expires time.Time) (key string, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("identity: id: %w", err)
	}
	text, err := secret()
	if err != nil {
		return "", err
	}
	name := hex.EncodeToString(id[:])
	sum := sha256.Sum256([]byte(text))
	_, err = tx.Exec(ctx, `
		INSERT INTO api_key (id, institution_id, label, secret_sha256, scopes, expires_at) VALUES ($1,$2,$3,$4,$5,$6)`,
		name, institutionID, label, sum[:], pq.Array(scopes), expires.UTC())
	if err != nil {
		return "", fmt.Errorf("identity: writing API key: %w", err)
	}
	return "filma_" + name + "_" + text, nil
}

// CheckAPIKey returns whose key a text is. Error: ErrBadKey.
func CheckAPIKey(ctx context.Context, db *postgres.DB, text string, now time.Time) (Client, error) {
	rest, ok := strings.CutPrefix(text, "filma_")
	id, given, found := strings.Cut(rest, "_")
	if !ok || !found {
		return Client{}, ErrBadKey
	}
	var row struct {
		Client
		Hash     []byte         `db:"secret_sha256"`
		Scope    pq.StringArray `db:"scopes"`
		LastUsed *time.Time     `db:"last_used_at"`
	}
	err := db.Get(ctx, &row, `
		SELECT k.id, k.institution_id, i.name AS institution, i.kind, k.secret_sha256, k.scopes, k.last_used_at
		FROM api_key k JOIN institution i ON i.id = k.institution_id
		WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2`, id, now.UTC())
	if errors.Is(err, sql.ErrNoRows) {
		return Client{}, ErrBadKey
	}
	if err != nil {
		return Client{}, fmt.Errorf("identity: reading API key: %w", err)
	}
	sum := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(sum[:], row.Hash) != 1 {
		return Client{}, ErrBadKey
	}
	row.Scopes = row.Scope
	if row.LastUsed == nil || now.Sub(*row.LastUsed) > time.Minute {
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE api_key SET last_used_at=$2 WHERE id=$1`, id, now.UTC())
			return err
		})
		if err != nil {
			return Client{}, fmt.Errorf("identity: noting use: %w", err)
		}
	}
	return row.Client, nil
}

// UsableKeys returns which of the keys, by their ids, have a scope and are
// neither expired nor revoked: for whoever checked their texts a moment ago.
func UsableKeys(ctx context.Context, r postgres.Reader, ids []string, scope string, now time.Time) (map[string]bool, error) {
	var found []string
	err := r.Select(ctx, &found, `
		SELECT id FROM api_key WHERE id = ANY ($1) AND revoked_at IS NULL AND expires_at > $2 AND $3 = ANY (scopes)`,
		pq.Array(ids), now.UTC(), scope)
	if err != nil {
		return nil, fmt.Errorf("identity: looking at API keys again: %w", err)
	}
	usable := make(map[string]bool, len(found))
	for _, id := range found {
		usable[id] = true
	}
	return usable, nil
}
