// Package registertest puts entries into the old register for tests of those who
// read it.
package registertest

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
)

// At is when the tests' entries were imported.
var At = time.Date(2026, 1, 5, 2, 0, 0, 0, time.UTC)

// Source is a file with a name, imported by a person of that name.
func Source(file, by string) register.Source {
	return register.Source{SHA256: sha256.Sum256([]byte(file)), File: file, By: by, At: At}
}

// Put imports entries the way the command does.
func Put(t testing.TB, db *postgres.DB, entries ...register.Entry) {
	t.Helper()
	require.NoError(t, db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := register.Begin(ctx, tx)
		if err != nil {
			return err
		}
		if err := in.Add(ctx, entries); err != nil {
			return err
		}
		c, err := in.Compare(ctx)
		if err != nil {
			return err
		}
		require.Empty(t, c.Clashes)
		_, err = in.Store(ctx, Source("register-lama.xlsx", "uji"))
		return err
	}))
}

// Insert writes an entry past all checks but those of the schema.
func Insert(t testing.TB, db *postgres.DB, e register.Entry) error {
	t.Helper()
	return db.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		id := uuid.NewString()
		if _, err := tx.Exec(ctx, `INSERT INTO register_import (id, sha256, file, imported_by, imported_at)
			VALUES ($1, $2, 'x', 'uji', $3)`, id, make([]byte, 32), At); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO register_entry (import_id, sheet, row, serial, pcid, manifest_no, reader_serial, chip_id, produsen, lembaga, remarks)
			VALUES ($1, '', 1, nullif($2, ''), nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, ''), '', '', '')`,
			id, e.Serial, e.PCID, e.ManifestNo, e.ReaderSerial, e.ChipID)
		return err
	})
}
