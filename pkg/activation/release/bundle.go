package release

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Unbundled returns releases whose bundle is not made, oldest first.
func Unbundled(ctx context.Context, rd postgres.Reader, limit int) ([]Release, error) {
	var list []Release
	if err := rd.Select(ctx, &list, selectRelease+`WHERE r.state = 'released' ORDER BY r.id LIMIT $1`, limit); err != nil {
		return nil, fmt.Errorf("release: unbundled: %w", err)
	}
	return list, nil
}

// File is a manifest of a release.
type File struct {
	Number  string    `db:"manifest_serial"`
	Payload uuid.UUID `db:"payload_blob"`
	JWS     string    `db:"jws"`
}

// Files returns the manifests of a release in their order.
func Files(ctx context.Context, rd postgres.Reader, id string) ([]File, error) {
	var files []File
	if err := rd.Select(ctx, &files, `
		SELECT a.manifest_serial, m.payload_blob, m.jws FROM manifest_release_line l
		JOIN activation a ON a.id = l.activation_id JOIN activation_manifest m ON m.activation_id = a.id
		WHERE l.release_id = $1 ORDER BY l.ordinal`, id); err != nil {
		return nil, fmt.Errorf("release: files: %w", err)
	}
	return files, nil
}

// Attach keeps the bundle of a release, sealed with a key, which is then ready to be taken.
// Errors: postgres.ErrStale when it was replaced or bundled meanwhile, *machine.RoleError.
func Attach(ctx context.Context, tx *postgres.Tx, r Release, bundle uuid.UUID, keyID string, c request.Change) error {
	return step(ctx, tx, r, VerbBundle, c, "bundle_blob = $5::uuid, key_id = nullif($6, '')", bundle.String(), keyID)
}

// PublishedList is a revocation list as it was published.
type PublishedList struct {
	Number     int64     `db:"number"`
	KeyID      string    `db:"key_id"`
	Token      string    `db:"token"`  // the signed list, as it is given out
	Sum        []byte    `db:"sha256"` // of what it says, see Sum
	IssuedAt   time.Time `db:"issued_at"`
	NextUpdate time.Time `db:"next_update"`
}

// Sum tells two lists apart by what they say and not by when they were signed.
func Sum(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return sum[:]
}

// Latest returns the list that is in force. Error: ErrNotFound.
func Latest(ctx context.Context, rd postgres.Reader) (l PublishedList, err error) {
	err = rd.Get(ctx, &l, `SELECT number, key_id, token, sha256, issued_at, next_update FROM revocation_list ORDER BY number DESC LIMIT 1`)
	if errors.Is(err, sql.ErrNoRows) {
		return l, ErrNotFound
	}
	if err != nil {
		return l, fmt.Errorf("release: revocation list: %w", err)
	}
	return l, nil
}

// NextNumber is the number of the next list after last, 0 for none. It is not below the
// second of its issue: after the database was restored the numbers go on above those that
// readers have seen, whatever the backup knew.
func NextNumber(last int64, issued time.Time) int64 { return max(last+1, issued.Unix()) }

// Publish keeps a list that follows last. Errors: postgres.ErrStale when another one was
// published meanwhile, ErrUnrecovered.
func Publish(ctx context.Context, tx *postgres.Tx, l PublishedList, last int64) error {
	if err := lockLists(ctx, tx); err != nil {
		return err
	}
	if err := Recovered(ctx, tx); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO revocation_list (number, follows, key_id, token, sha256, issued_at, next_update) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (follows) DO NOTHING`, l.Number, last, l.KeyID, l.Token, l.Sum, l.IssuedAt.UTC(), l.NextUpdate.UTC())
	if err != nil {
		return fmt.Errorf("release: publishing list %d: %w", l.Number, err)
	}
	if n != 1 {
		return fmt.Errorf("release: list after %d: %w", last, postgres.ErrStale)
	}
	return nil
}
