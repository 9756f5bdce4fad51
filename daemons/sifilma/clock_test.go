package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// TestAPersonSaysThatTheClockIsRight: a clock that was years ahead released what is
// planned. The word of a person, with a reason, makes good what was done ahead.
func TestAPersonSaysThatTheClockIsRight(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 20, 5)
	tuesday := clock.DateOf(persotest.OfficeAt).AddDays(1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		calendar, err := capacity.Calendar(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: calendar, OfficeAt: persotest.OfficeAt, Cause: "uji"}); err != nil {
			return err
		}
		if _, err := capacity.ReleaseDay(ctx, tx, tuesday, tuesday.At(7, 30)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO schedule_run (job, window_start, effects) VALUES ('release', $1, '{"released": 1}'), ('close', $2, '{"closed": 1}')`,
			tuesday.At(7, 30), clock.MustParseDate("2031-01-02").At(16, 0))
		return err
	})
	path := filepath.Join(t.TempDir(), "jam")
	require.NoError(t, clock.StepOffice(path, persotest.OfficeAt))
	office, err := clock.OpenOffice("file:" + path)
	require.NoError(t, err)

	var out bytes.Buffer
	require.NoError(t, compareClock(t.Context(), o.DB, office, &out))
	require.Contains(t, out.String(), "sudah dijalankan sampai 2031-01-02 16:00:00 WIB")
	require.Contains(t, out.String(), "sifilma clock -right")

	for _, word := range []rightClock{{Reason: "baterai"}, {By: "Admin", Reason: " "}} {
		require.ErrorContains(t, setRight(t.Context(), o.DB, office, word, &out), "sebutkan nama petugas")
	}
	newest, err := capacity.NewestRun(t.Context(), o.DB)
	require.NoError(t, err)
	require.Equal(t, 2031, newest.Year(), "nothing was forgotten without a name and a reason")

	out.Reset()
	require.NoError(t, setRight(t.Context(), o.DB, office, rightClock{By: "Admin", Reason: "baterai jam diganti"}, &out))
	require.Contains(t, out.String(), "2 pekerjaan terjadwal akan dijalankan lagi")
	var ahead int
	require.NoError(t, o.DB.Get(t.Context(), &ahead, `SELECT count(*) FROM work_order WHERE day >= $1 AND state = 'released'`, tuesday))
	require.Zero(t, ahead)
	var entry struct {
		Actor, Reason string
	}
	require.NoError(t, o.DB.Get(t.Context(), &entry, `SELECT actor, detail->>'reason' AS reason FROM audit WHERE action = 'clock.right'`))
	require.Equal(t, "Admin", entry.Actor)
	require.Equal(t, "baterai jam diganti", entry.Reason)

	out.Reset()
	require.NoError(t, compareClock(t.Context(), o.DB, office, &out))
	require.NotContains(t, out.String(), "-right")
	require.WithinDuration(t, persotest.OfficeAt, office.Now(), time.Second)
}
