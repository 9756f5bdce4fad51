package harness

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/schema"
)

const (
	databaseTimeout = time.Minute
	templateLock    = 0x51F1_1A01 // advisory lock of whoever makes the template
	keptTemplates   = 3
)

// Database is a database of one test.
type Database struct {
	Name     string
	postgres local.Postgres
}

// DB returns an open pool on a fresh, migrated database as its owner.
func DB(t testing.TB) *postgres.DB {
	t.Helper()
	return NewDatabase(t).Open(t, "")
}

// NewDatabase creates a fresh, migrated database.
func NewDatabase(t testing.TB) *Database {
	t.Helper()
	return createDatabase(t, func(ctx context.Context, admin *sql.Conn) (string, error) { return template(ctx, t, admin) })
}

// NewEmptyDatabase creates a fresh database without any schema.
func NewEmptyDatabase(t testing.TB) *Database {
	t.Helper()
	return createDatabase(t, func(context.Context, *sql.Conn) (string, error) { return "template1", nil })
}

func createDatabase(t testing.TB, from func(context.Context, *sql.Conn) (string, error)) *Database {
	t.Helper()
	d := &Database{Name: freshName(), postgres: Services(t).Postgres}
	err := asAdmin(d.postgres, func(ctx context.Context, admin *sql.Conn) error {
		dropOrphans(ctx, admin)
		for tries := 0; ; tries++ {
			source, err := from(ctx, admin)
			if err != nil {
				return err
			}
			// The schema is small: copying it through the log beats the two checkpoints of FILE_COPY.
			_, err = admin.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(d.Name)+
				" TEMPLATE "+pq.QuoteIdentifier(source)+" STRATEGY wal_log")
			var gone *pq.Error
			if tries < 3 && errors.As(err, &gone) && gone.Code == "3D000" {
				continue // tests of another state of the schema took the template away just now
			}
			return err
		}
	})
	if err != nil {
		t.Fatalf("creating a database for the test: %v", err)
	}
	t.Cleanup(func() {
		err := asAdmin(d.postgres, func(ctx context.Context, admin *sql.Conn) error {
			_, err := admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(d.Name)+" WITH (FORCE)")
			return err
		})
		if err != nil {
			t.Errorf("removing the database of the test: %v", err)
		}
	})
	return d
}

// Config says how to connect: as the owner when role is empty, else as that
// role, which must exist and is given a password on this call.
func (d *Database) Config(t testing.TB, role string) postgres.Config {
	t.Helper()
	if role == "" {
		return postgres.Config{URL: d.postgres.RoleURL(d.Name, d.postgres.User, ""), PasswordFile: d.postgres.PasswordFile}
	}
	file, err := d.allowLogin(role)
	if err != nil {
		t.Fatalf("login of role %s: %v", role, err)
	}
	return postgres.Config{URL: d.postgres.RoleURL(d.Name, role, ""), PasswordFile: file}
}

// URL is the connection URL with the password, for programs that take no
// password file; role as for Config.
func (d *Database) URL(t testing.TB, role string) string {
	t.Helper()
	c := d.Config(t, role)
	password, err := os.ReadFile(c.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	if role == "" {
		role = d.postgres.User
	}
	return d.postgres.RoleURL(d.Name, role, strings.TrimSpace(string(password)))
}

// Address is the host:port of the server, for a Proxy.
func (d *Database) Address() string { return fmt.Sprintf("%s:%d", d.postgres.Host, d.postgres.Port) }

// Open returns a pool that is closed when the test ends; role as for Config.
func (d *Database) Open(t testing.TB, role string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(d.Config(t, role))
	if err != nil {
		t.Fatalf("opening the database of the test: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// allowLogin gives role its password for this test run. The password follows
// from the run's own secret, so that test processes side by side agree on it.
func (d *Database) allowLogin(role string) (passwordFile string, err error) {
	secret, err := os.ReadFile(d.postgres.PasswordFile)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(role))
	password := hex.EncodeToString(mac.Sum(nil)[:16])
	file := filepath.Join(filepath.Dir(d.postgres.PasswordFile), "role-"+role)
	if text, err := os.ReadFile(file); err != nil || string(text) != password {
		if err := replaceFile(file, password); err != nil {
			return "", err
		}
	}
	return file, asAdmin(d.postgres, func(ctx context.Context, admin *sql.Conn) error {
		return underLock(ctx, admin, func() error {
			_, err := admin.ExecContext(ctx, "ALTER ROLE "+pq.QuoteIdentifier(role)+" LOGIN PASSWORD "+pq.QuoteLiteral(password))
			return err
		})
	})
}

func replaceFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// asAdmin runs do on a connection of its own to the server's own database. It
// leaves no pool open, for the sake of tests that look for leaked goroutines.
func asAdmin(p local.Postgres, do func(context.Context, *sql.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	dsn, err := p.URL("postgres")
	if err != nil {
		return err
	}
	pool, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, conn)
}

func underLock(ctx context.Context, admin *sql.Conn, do func() error) error {
	if _, err := admin.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return err
	}
	err := do()
	_, unlockErr := admin.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(templateLock))
	return errors.Join(err, unlockErr)
}

// template returns the name of the database that holds the present schema, made
// once per state of the migrations.
func template(ctx context.Context, t testing.TB, admin *sql.Conn) (string, error) {
	name, err := templateName()
	if err != nil {
		return "", err
	}
	if there, err := exists(ctx, admin, name); there || err != nil {
		return name, err
	}
	err = underLock(ctx, admin, func() error {
		if there, err := exists(ctx, admin, name); there || err != nil {
			return err
		}
		dropOldTemplates(ctx, admin)
		return makeTemplate(ctx, t, admin, name)
	})
	return name, err
}

// makeTemplate migrates under another name first, so that a half-made template
// is never taken for a whole one.
func makeTemplate(ctx context.Context, t testing.TB, admin *sql.Conn, name string) error {
	raw := freshName()
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+pq.QuoteIdentifier(raw)); err != nil {
		return err
	}
	url, err := Services(t).Postgres.URL(raw)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, url, schema.Migrations()); err != nil {
		_, _ = admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(raw)+" WITH (FORCE)")
		return err
	}
	for _, q := range []string{
		"ALTER DATABASE " + pq.QuoteIdentifier(raw) + " ALLOW_CONNECTIONS false",
		"ALTER DATABASE " + pq.QuoteIdentifier(raw) + " RENAME TO " + pq.QuoteIdentifier(name),
	} {
		if _, err := admin.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func templateName() (string, error) {
	sum := sha256.New()
	files := schema.Migrations()
	err := fs.WalkDir(files, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", path, len(text), text)
		return err
	})
	return "template_" + hex.EncodeToString(sum.Sum(nil)[:8]), err
}

func exists(ctx context.Context, admin *sql.Conn, name string) (there bool, err error) {
	err = admin.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there)
	return there, err
}

func databases(ctx context.Context, admin *sql.Conn, like string) ([]string, error) {
	rows, err := admin.QueryContext(ctx, "SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY oid DESC", like)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// dropOldTemplates keeps a few: binaries built before a change of the schema may
// still be running.
func dropOldTemplates(ctx context.Context, admin *sql.Conn) {
	names, err := databases(ctx, admin, `template\_%`)
	if err != nil || len(names) < keptTemplates {
		return
	}
	for _, name := range names[keptTemplates-1:] {
		_, _ = admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name))
	}
}

var dropOrphansOnce sync.Once

func dropOrphans(ctx context.Context, admin *sql.Conn) {
	dropOrphansOnce.Do(func() {
		names, err := databases(ctx, admin, `t\_%`)
		if err != nil {
			return
		}
		for _, name := range names {
			if orphan(name) {
				_, _ = admin.ExecContext(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(name)+" WITH (FORCE)")
			}
		}
	})
}
