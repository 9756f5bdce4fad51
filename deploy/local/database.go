package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lib/pq"
)

// EnsureDatabase creates a database unless it exists.
func (p Postgres) EnsureDatabase(ctx context.Context, name string) (err error) {
	url, err := p.URL("postgres")
	if err != nil {
		return err
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var exists bool
	if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists); err != nil || exists {
		return err
	}
	// CREATE DATABASE cannot run in a transaction, and takes no parameters.
	if _, err := db.ExecContext(ctx, `CREATE DATABASE `+pq.QuoteIdentifier(name)); err != nil {
		return fmt.Errorf("membuat basis data %s: %w", name, err)
	}
	return nil
}
