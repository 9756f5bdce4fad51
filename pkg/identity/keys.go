package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Bounds of the API keys of an institution (users.md E9).
const (
	LiveKeys     = 2   // of one purpose: the old and the new one while software is changed over
	MostLiveKeys = 10  // of all purposes together
	LongestLife  = 366 // days
	mostNetworks = 50
)

var (
	// ErrLiveKeys says that an institution has as many live keys of a purpose as it
	// may have.
	ErrLiveKeys = errors.New("identity: too many live keys of this purpose")
	// ErrMostLiveKeys says the same of all purposes together.
	ErrMostLiveKeys = errors.New("identity: too many live keys of an institution")
)

// States of a key, derived from its dates.
const (
	KeyLive    = "live"
	KeyExpired = "expired"
	KeyRevoked = "revoked"
)

// Key is an API key as people see it: all but its secret.
type Key struct {
	ID            string         `db:"id" json:"id"`
	InstitutionID string         `db:"institution_id" json:"institution_id"`
	Institution   string         `db:"institution" json:"institution"`
	Label         string         `db:"label" json:"label"` // what it is for
	Scopes        pq.StringArray `db:"scopes" json:"scopes"`
	Networks      pq.StringArray `db:"networks" json:"networks"`
	CreatedAt     time.Time      `db:"created_at" json:"created_at"`
	CreatedBy     string         `db:"created_by" json:"created_by"`
	ExpiresAt     time.Time      `db:"expires_at" json:"expires_at"`
	RevokedAt     *time.Time     `db:"revoked_at" json:"revoked_at"`
	RevokedBy     string         `db:"revoked_by" json:"revoked_by"`
	LastUsedAt    *time.Time     `db:"last_used_at" json:"last_used_at"`
	LastUsedFrom  string         `db:"last_used_from" json:"last_used_from"`
}

// State is what the key is at a time of the machine clock.
func (k Key) State(now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return KeyRevoked
	case !now.Before(k.ExpiresAt):
		return KeyExpired
	}
	return KeyLive
}

// selectKey is for the people of institution $1, or for the office where that is
// empty. Who at the office made or revoked a key is the office's own affair.
const selectKey = `
	SELECT k.id, k.institution_id, i.name AS institution, k.label, k.scopes, k.networks::text[] AS networks, k.created_at,
	       CASE WHEN $1 = '' OR EXISTS (SELECT FROM account a WHERE a.username = k.created_by AND a.institution_id = k.institution_id)
	            THEN k.created_by ELSE '' END AS created_by,
	       k.expires_at, k.revoked_at,
	       CASE WHEN $1 = '' OR EXISTS (SELECT FROM account a WHERE a.username = k.revoked_by AND a.institution_id = k.institution_id)
	            THEN k.revoked_by ELSE '' END AS revoked_by,
	       k.last_used_at, k.last_used_from
	FROM api_key k JOIN institution i ON i.id = k.institution_id
	WHERE ($1 = '' OR k.institution_id::text = $1) AND `

// Keys returns API keys, newest first; those behind the one with the id after,
// unless that is empty. A non-empty institutionID limits the answer to that
// institution's.
func Keys(ctx context.Context, rd postgres.Reader, institutionID, after string, limit int) ([]Key, error) {
	list := []Key{}
	err := rd.Select(ctx, &list, selectKey+`
		($2 = '' OR k.id < $2) ORDER BY k.id DESC LIMIT $3`, institutionID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("identity: list of API keys: %w", err)
	}
	return list, nil
}

// LiveKeysOf returns the keys that are live and were made by the person of that
// user name, newest first: they go on when the person may not.
func LiveKeysOf(ctx context.Context, rd postgres.Reader, username string, now time.Time) ([]Key, error) {
	list := []Key{}
	if err := rd.Select(ctx, &list, selectKey+`
		k.created_by = $2 AND k.revoked_at IS NULL AND k.expires_at > $3 ORDER BY k.id DESC`, "", username, now.UTC()); err != nil {
		return nil, fmt.Errorf("identity: keys of a person: %w", err)
	}
	return list, nil
}

// GetKey returns the key with this id, as far as institutionID may know of it; see
// Keys. Error: ErrNotFound.
func GetKey(ctx context.Context, rd postgres.Reader, id, institutionID string) (Key, error) {
	var key Key
	err := rd.Get(ctx, &key, selectKey+`k.id = $2`, institutionID, id)
	if errors.Is(err, sql.ErrNoRows) {
		return key, ErrNotFound
	}
	if err != nil {
		return key, fmt.Errorf("identity: reading API key: %w", err)
	}
	return key, nil
}

// NewKey is an API key to be made.
type NewKey struct {
	InstitutionID string
	Label         string
	Scopes        []string
	Networks      []string // addresses or networks in CIDR form; none means anywhere
	Expires       time.Time
	By            string
}

// MakeKey makes a key of the form filma_<id>_<secret> (users.md E9). The text is
// returned once; only the hash of its secret is kept. Errors: form.Faults,
// ErrLiveKeys, ErrMostLiveKeys.
func MakeKey(ctx context.Context, tx *postgres.Tx, n NewKey, now time.Time) (key Key, text string, err error) {
	if err := n.check(now); err != nil {
		return key, "", err
	}
	// The institution's row is locked, so that two keys made at once count each
	// other.
	var owner struct {
		Kind   string `db:"kind"`
		Active bool   `db:"active"`
	}
	err = tx.Get(ctx, &owner, `SELECT kind, active FROM institution WHERE id = $1 FOR NO KEY UPDATE`, n.InstitutionID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return key, "", form.One("/institution_id", "unknown_value", "Pilih lembaga yang terdaftar.")
	case err != nil:
		return key, "", fmt.Errorf("identity: institution of a key: %w", err)
	case owner.Kind == institution.Reseller:
		return key, "", form.One("/institution_id", "wrong_kind", "Reseller tidak memakai layanan ini; pilih produsen, lembaga, atau dinas.")
	case !owner.Active:
		return key, "", form.One("/institution_id", "inactive", "Lembaga ini sudah dinonaktifkan.")
	}
	var live struct {
		OfLabel int `db:"of_label"`
		All     int `db:"all_of_them"`
	}
	if err := tx.Get(ctx, &live, `
		SELECT count(*) FILTER (WHERE lower(label) = lower($2)) AS of_label, count(*) AS all_of_them FROM api_key
		WHERE institution_id = $1 AND revoked_at IS NULL AND expires_at > $3`,
		n.InstitutionID, n.Label, now.UTC()); err != nil {
		return key, "", fmt.Errorf("identity: counting keys: %w", err)
	}
	switch {
	case live.OfLabel >= LiveKeys:
		return key, "", ErrLiveKeys
	case live.All >= MostLiveKeys:
		return key, "", ErrMostLiveKeys
	}
	return insertKey(ctx, tx, n)
}

func insertKey(ctx context.Context, tx *postgres.Tx, n NewKey) (key Key, text string, err error) {
	id, err := uuid.NewV7()
	if err != nil {
		return key, "", fmt.Errorf("identity: id: %w", err)
	}
	hidden, err := secret()
	if err != nil {
		return key, "", err
	}
	name := hex.EncodeToString(id[:])
	sum := sha256.Sum256([]byte(hidden))
	if _, err := tx.Exec(ctx, `
		INSERT INTO api_key (id, institution_id, label, secret_sha256, scopes, networks, expires_at, created_by)
		VALUES ($1,$2,$3,$4,$5,$6::text[]::cidr[],$7,$8)`,
		name, n.InstitutionID, n.Label, sum[:], pq.Array(n.Scopes), pq.Array(append([]string{}, n.Networks...)), n.Expires.UTC(), n.By); err != nil {
		return key, "", fmt.Errorf("identity: writing API key: %w", err)
	}
	if err := tx.Get(ctx, &key, selectKey+`k.id = $2`, "", name); err != nil {
		return key, "", fmt.Errorf("identity: reading API key: %w", err)
	}
	return key, "filma_" + name + "_" + hidden, nil
}

// check says what is wrong with a key to be made, and brings its parts into the
// form in which they are stored.
func (n *NewKey) check(now time.Time) error {
	var faults form.Faults
	if n.InstitutionID == "" {
		faults.Add("/institution_id", "missing", "Pilih lembaga pemilik kunci.")
	}
	faults.Need("/label", "Keperluan", &n.Label, 100)
	switch {
	case len(n.Scopes) == 0:
		faults.Add("/scopes", "missing", "Pilih sekurangnya satu cakupan.")
	case slices.ContainsFunc(n.Scopes, func(s string) bool { return !slices.Contains(Scopes, s) }):
		faults.Add("/scopes", "unknown_value", "Cakupan yang ada: %s.", strings.Join(Scopes, ", "))
	}
	n.Scopes = slices.Compact(slices.Sorted(slices.Values(n.Scopes)))
	switch {
	case n.Expires.IsZero():
		faults.Add("/expires_on", "missing", "Tanggal berakhir wajib diisi.")
	case !n.Expires.After(now):
		faults.Add("/expires_on", "in_past", "Tanggal berakhir tidak boleh sebelum hari ini.")
	case n.Expires.Sub(now) > LongestLife*24*time.Hour:
		faults.Add("/expires_on", "too_late", "Kunci berlaku paling lama setahun. Buat kunci baru sebelum yang lama berakhir.")
	}
	if len(n.Networks) > mostNetworks { // before any of them is looked at
		faults.Add("/networks", "too_many", "Paling banyak %d alamat atau jaringan.", mostNetworks)
		return faults.Err()
	}
	var networks []string
	for _, text := range n.Networks {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := network(text)
		if err != nil {
			faults.Add("/networks", "wrong_form", "“%s” bukan alamat IP atau jaringan seperti 203.0.113.7 atau 203.0.113.0/24.", text)
			continue
		}
		if !slices.Contains(networks, p.String()) {
			networks = append(networks, p.String())
		}
	}
	n.Networks = networks
	return faults.Err()
}

// network reads an address or a network; bits below the mask are taken away.
func network(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("identity: %q is no address", text)
		}
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("identity: %q is no network", text)
	}
	return p.Masked(), nil
}

// RevokeKey ends a key at once and for ever. A non-empty institutionID knows only
// that institution's keys. Errors: ErrNotFound, ErrAlready.
func RevokeKey(ctx context.Context, tx *postgres.Tx, id, institutionID, by string, now time.Time) (Key, error) {
	var key Key
	err := tx.Get(ctx, &key, selectKey+`k.id = $2 FOR NO KEY UPDATE OF k`, institutionID, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return key, ErrNotFound
	case err != nil:
		return key, fmt.Errorf("identity: reading API key: %w", err)
	case key.RevokedAt != nil:
		return key, ErrAlready
	}
	at := now.UTC()
	key.RevokedAt, key.RevokedBy = &at, by
	if err := tx.ExecOne(ctx, `UPDATE api_key SET revoked_at=$2, revoked_by=$3 WHERE id=$1`, id, at, by); err != nil {
		return key, fmt.Errorf("identity: revoking: %w", err)
	}
	return key, nil
}
