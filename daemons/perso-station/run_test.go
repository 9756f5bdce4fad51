package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// PostgreSQL answers but writes nothing, its disk is full, while an earlier run
// has left a claim. The station tries again without hurry and says so once.
func TestSettlingOnAFullDisk(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Claim(ctx, tx, perso.Identity{Serial: o.Serials[0], ChipID: "AABBCCDD"},
			persotest.Place(t, o.DB, "uji-1"),
			perso.Change{Actor: perso.StationActor("uji-1"), OfficeAt: persotest.OfficeAt})
		return err
	})
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, statement := range []string{
			`CREATE SEQUENCE tries`, // which no rollback takes back
			`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				PERFORM nextval('tries');
				RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
			END $$`,
			`CREATE TRIGGER full_disk BEFORE UPDATE ON card FOR EACH ROW EXECUTE FUNCTION full_disk()`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	book, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	defer func() { _ = book.Close() }()
	var out harness.SyncedLog
	log := zerolog.New(&out)
	work := line.New(line.Parts{Station: "uji-1", DB: o.DB, Journal: book,
		Office: clock.NewFixedOffice(persotest.OfficeAt), Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- run(ctx, o.DB, work, nil, log) }()
	tries := func() (n int64) {
		require.NoError(t, o.DB.Get(t.Context(), &n, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries`))
		return n
	}
	require.Eventually(t, func() bool { return tries() >= 3 }, time.Minute, 10*time.Millisecond)
	took, n := time.Since(began), tries()
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Equal(t, 1, bytes.Count([]byte(out.String()), []byte("does not let earlier cards be settled")))
	require.LessOrEqual(t, n, 3+int64(took/firstWait), "tries in %v", took)
}
