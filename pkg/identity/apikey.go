package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Scopes of an API key.
const (
	ScopeRequestRead  = "request:read"
	ScopeRequestWrite = "request:write"
)

// Scopes are all scopes of an API key.
var Scopes = []string{ScopeRequestRead, ScopeRequestWrite}

var (
	// ErrBadKey says that an API key is unknown, wrong, expired or revoked, or that
	// its institution takes no part any more.
	ErrBadKey = errors.New("identity: bad API key")
	// ErrElsewhere says that an API key is good, but not from this address.
	ErrElsewhere = errors.New("identity: API key used from elsewhere")
)

// Client is a produsen's software, known by its API key.
type Client struct {
	KeyID         string `db:"id"`
	InstitutionID string `db:"institution_id"`
	Institution   string `db:"institution"`
	Kind          string `db:"kind"`
	Scopes        []string
	// Networks are those from where the key may be used; none means anywhere.
	Networks []netip.Prefix
}

// From says whether the key may be used from an address.
func (c Client) From(address string) bool {
	if len(c.Networks) == 0 {
		return true
	}
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// May says whether the key has a scope.
func (c Client) May(scope string) bool { return slices.Contains(c.Scopes, scope) }

// Account is the institution as if one of its people asked: what it may see does
// not depend on who asks for it.
func (c Client) Account() Account {
	return Account{Name: c.Institution, Role: machine.Role(c.Kind), InstitutionID: &c.InstitutionID, Institution: &c.Institution}
}

// NewAPIKey makes a key for whoever sets an office up; see MakeKey for what
// people do. The text is returned once; only the hash of its secret is kept.
func NewAPIKey(ctx context.Context, tx *postgres.Tx, institutionID, label string, scopes []string, expires time.Time) (text string, err error) {
	_, text, err = insertKey(ctx, tx, NewKey{InstitutionID: institutionID, Label: label, Scopes: scopes, Expires: expires})
	return text, err
}

// CheckAPIKey returns whose key a text is, for a use from an address. Errors:
// ErrBadKey; ErrElsewhere, with the client.
func CheckAPIKey(ctx context.Context, db *postgres.DB, text, from string, now time.Time) (Client, error) {
	rest, ok := strings.CutPrefix(text, "filma_")
	id, given, found := strings.Cut(rest, "_")
	if !ok || !found {
		return Client{}, ErrBadKey
	}
	var row struct {
		Client
		Hash     []byte         `db:"secret_sha256"`
		Scope    pq.StringArray `db:"scopes"`
		Network  pq.StringArray `db:"networks"`
		LastUsed *time.Time     `db:"last_used_at"`
		LastFrom string         `db:"last_used_from"`
	}
	err := db.Get(ctx, &row, `
		SELECT k.id, k.institution_id, i.name AS institution, i.kind, k.secret_sha256, k.scopes, k.networks::text[] AS networks,
		       k.last_used_at, k.last_used_from
		FROM api_key k JOIN institution i ON i.id = k.institution_id
		WHERE k.id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2 AND i.active`, id, now.UTC())
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
	for _, n := range row.Network {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return Client{}, fmt.Errorf("identity: network of an API key: %w", err)
		}
		row.Networks = append(row.Networks, p)
	}
	if !row.From(from) {
		return row.Client, ErrElsewhere
	}
	if row.LastUsed == nil || now.Sub(*row.LastUsed) > time.Minute || from != row.LastFrom {
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE api_key SET last_used_at=$2, last_used_from=$3 WHERE id=$1`, id, now.UTC(), from)
			return err
		})
		if err != nil {
			return Client{}, fmt.Errorf("identity: noting use: %w", err)
		}
	}
	return row.Client, nil
}

// UsableKeys returns which of the keys, by their ids, have a scope and are
// neither expired nor revoked, of institutions that take part: for whoever checked their texts a moment ago.
func UsableKeys(ctx context.Context, r postgres.Reader, ids []string, scope string, now time.Time) (map[string]bool, error) {
	var found []string
	err := r.Select(ctx, &found, `
		SELECT k.id FROM api_key k JOIN institution i ON i.id = k.institution_id
		WHERE k.id = ANY ($1) AND k.revoked_at IS NULL AND k.expires_at > $2 AND $3 = ANY (k.scopes) AND i.active`,
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
