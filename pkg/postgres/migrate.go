package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"sort"
	"strconv"
	"time"
)

const (
	// migrateLock is the advisory lock of Migrate; the number only has to be ours.
	migrateLock    = 0x51F1_1A00
	migrateTimeout = 2 * time.Minute
)

type migration struct {
	version int
	name    string
	sum     string
	sql     string
}

var migrationName = regexp.MustCompile(`^(\d{4})_[a-z0-9_]+\.sql$`)

// Migrate brings the schema to the newest version of files, as the owner of the
// database. It waits for the server to appear, within ctx or two minutes; several
// may run at once. Each file NNNN_name.sql runs in one transaction. It refuses to
// go on when a file that was applied has changed or vanished, when versions have a
// gap, and when the database is newer than the files.
func Migrate(ctx context.Context, ownerURL string, files fs.FS) error {
	return MigrateAs(ctx, Config{URL: ownerURL, ApplicationName: "sifilma-migrate"}, files)
}

// MigrateAs is Migrate for an owner whose password is in a file.
func MigrateAs(ctx context.Context, owner Config, files fs.FS) error {
	all, err := readMigrations(files)
	if err != nil {
		return err
	}
	c, err := newConnector(owner, false)
	if err != nil {
		return err
	}
	db := sql.OpenDB(c)
	defer func() { _ = db.Close() }()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, migrateTimeout)
		defer cancel()
	}
	if err := waitFor(ctx, db.PingContext); err != nil {
		return fmt.Errorf("postgres: migrate: the server does not answer: %w", err)
	}
	cn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	defer func() { _ = cn.Close() }()
	if _, err := cn.ExecContext(ctx, `SET lock_timeout = 0`); err != nil { // another one may be at it for long
		return fmt.Errorf("postgres: migrate: %w", err)
	}
	if _, err := cn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(migrateLock)); err != nil {
		return fmt.Errorf("postgres: migrate: lock: %w", err)
	}
	defer func() { // closing the session would do it too
		_, _ = cn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(migrateLock))
	}()
	for _, q := range []string{
		`CREATE TABLE IF NOT EXISTS schema_migration (
			version    int PRIMARY KEY,
			name       text NOT NULL,
			sha256     text NOT NULL,
			applied_at timestamptz NOT NULL)`,
		`GRANT SELECT ON schema_migration TO PUBLIC`, // every daemon checks the version
	} {
		if _, err := cn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("postgres: migrate: %w", err)
		}
	}
	done, err := compareApplied(ctx, cn, all)
	if err != nil {
		return err
	}
	for _, m := range all[done:] {
		if err := m.apply(ctx, cn); err != nil {
			return fmt.Errorf("postgres: migration %s: %w", m.name, err)
		}
	}
	return nil
}

// LatestVersion returns the version of the newest migration in files.
func LatestVersion(files fs.FS) (int, error) {
	all, err := readMigrations(files)
	return len(all), err
}

// readMigrations reads NNNN_name.sql from the root of files, or from its folder
// "migrations" when the root has none.
func readMigrations(files fs.FS) ([]migration, error) {
	dir := "."
	names, err := fs.Glob(files, "*.sql")
	if err == nil && len(names) == 0 {
		dir = "migrations"
		names, err = fs.Glob(files, "migrations/*.sql")
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("postgres: there are no migrations")
	}
	sort.Strings(names)
	var all []migration
	for i, file := range names {
		base := path.Base(file)
		match := migrationName.FindStringSubmatch(base)
		if match == nil {
			return nil, fmt.Errorf("postgres: migration file %q is not named NNNN_name.sql", path.Join(dir, base))
		}
		version, _ := strconv.Atoi(match[1]) // four digits
		if version != i+1 {
			return nil, fmt.Errorf("postgres: migration %q should have number %04d: versions have a gap or a double", base, i+1)
		}
		b, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("postgres: migration %q: %w", base, err)
		}
		sum := sha256.Sum256(b)
		all = append(all, migration{version, base, hex.EncodeToString(sum[:]), string(b)})
	}
	return all, nil
}

// compareApplied compares what the database has with the files and returns how
// many are applied.
func compareApplied(ctx context.Context, cn *sql.Conn, all []migration) (int, error) {
	rows, err := cn.QueryContext(ctx, `SELECT version, name, sha256 FROM schema_migration ORDER BY version`)
	if err != nil {
		return 0, fmt.Errorf("postgres: migrate: %w", err)
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var have migration
		if err := rows.Scan(&have.version, &have.name, &have.sum); err != nil {
			return 0, fmt.Errorf("postgres: migrate: %w", err)
		}
		switch {
		case n >= len(all):
			return 0, fmt.Errorf("postgres: the database has migration %s, which is newer than this program", have.name)
		case have.version != all[n].version:
			return 0, fmt.Errorf("postgres: the database lacks migration %s but has %s", all[n].name, have.name)
		case have.sum != all[n].sum:
			return 0, fmt.Errorf("postgres: migration %s was changed after it was applied (as %s)", all[n].name, have.name)
		}
		n++
	}
	return n, rows.Err()
}

func (m migration) apply(ctx context.Context, cn *sql.Conn) error {
	tx, err := cn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // a no-op after Commit
	if err := execScript(ctx, cn, m.sql); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO schema_migration (version, name, sha256, applied_at)
		VALUES ($1, $2, $3, $4)`, m.version, m.name, m.sum, time.Now().UTC())
	if err != nil {
		return err
	}
	return tx.Commit()
}

// execScript runs several statements at once, which a prepared statement cannot.
func execScript(ctx context.Context, cn *sql.Conn, script string) error {
	return cn.Raw(func(dc any) error { return dc.(*conn).script(ctx, script) })
}
