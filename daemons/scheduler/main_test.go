package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestDefaultConfigurationIsValid(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := daemon.Run("scheduler", []string{"-check-config", "-config", harness.Shipped(t, "scheduler")}, &out, &errs, nil, defaults, wire)
	require.Zero(t, code, errs.String())
}

func TestBadConfigurationIsNamed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"planner: {release: \"every morning\"}": "release",
		"planner: {capacity: 0}":                "capacity",
		"planner: {tick: 10ms}":                 "tick",
		"stages: {sweep: dawn}":                 "stages: sweep",
		"stages: {every: 10ms}":                 "every",
		"stages: {decision: {min: 6}}":          "decision: min 6 and max 5",
		"planer: {}":                            "planer",
	} {
		path := t.TempDir() + "/scheduler.yaml"
		require.NoError(t, os.WriteFile(path, []byte("http: {addr: \"127.0.0.1:0\"}\nrabbit: {url: amqp://x}\npostgres: {url: postgres://x}\n"+text), 0o600))
		var errs bytes.Buffer
		code := daemon.Run("scheduler", []string{"-check-config", "-config", path}, io.Discard, &errs, nil, defaults, wire)
		require.NotZero(t, code, text)
		require.Contains(t, errs.String(), want)
	}
}

func startScheduler(t *testing.T, o *persotest.Office, n int) []*harness.Daemon {
	t.Helper()
	vhost := harness.NewVhost(t)
	var fleet []*harness.Daemon
	for range n {
		d := &harness.Daemon{Postgres: o.Database.Config(t, "sifilma_scheduler"), Rabbit: vhost.Config("scheduler")}
		d.Start(t, persotest.OfficeAt, func(args []string, log io.Writer, signals <-chan os.Signal) int {
			return daemon.Run("scheduler", args, io.Discard, log, signals, defaults, wire)
		})
		fleet = append(fleet, d)
	}
	return fleet
}

const patience = time.Minute

func eventually(t *testing.T, o *persotest.Office, want int, query string, args ...any) {
	t.Helper()
	require.Eventually(t, func() bool {
		var got int
		require.NoError(t, o.DB.Get(t.Context(), &got, query, args...))
		return got == want
	}, patience, patience/600, query)
}

// personalise brings a card from the reader to clear.
func personalise(t *testing.T, o *persotest.Office, serial string) {
	t.Helper()
	personaliseAt(t, o, serial, persotest.OfficeAt)
}

func personaliseAt(t *testing.T, o *persotest.Office, serial string, at time.Time) {
	t.Helper()
	station := perso.Change{Actor: perso.StationActor("perso-uji"), OfficeAt: at}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial},
			persotest.Place(t, o.DB, "perso-uji"), station)
		if err != nil {
			return err
		}
		if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}}, station); err != nil {
			return err
		}
		_, err = perso.Finish(ctx, tx, h, nil, station)
		return err
	})
}

// TestDaysOfARequest takes a request through the clock of two schedulers: a day
// ends with one card not presented, which is planned anew, released on the next
// morning, and finishes the request. Nothing happens twice.
func TestDaysOfARequest(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	fleet := startScheduler(t, o, 2)
	step := func(at time.Time) {
		for _, d := range fleet {
			d.Step(t, at)
		}
	}
	monday := clock.MustParseDate("2026-03-02")
	personalise(t, o, o.Serials[0])
	personalise(t, o, o.Serials[1])
	step(monday.At(16, 0))
	eventually(t, o, 1, `SELECT count(*) FROM work_order WHERE day = $1 AND state = 'closed' AND remaining = 1`, monday)
	eventually(t, o, 1, `SELECT count(*) FROM work_order WHERE day = $1 AND state = 'planned' AND quantity = 1`, monday.AddDays(1))
	step(monday.AddDays(1).At(7, 30))
	eventually(t, o, 1, `SELECT count(*) FROM work_order WHERE day = $1 AND state = 'released'`, monday.AddDays(1))
	personaliseAt(t, o, o.Serials[2], monday.AddDays(1).At(8, 0))
	eventually(t, o, 1, `SELECT count(*) FROM request WHERE id = $1 AND state = 'done'`, o.RequestID)

	// Each step once, and sealed into the audit chain in the end.
	eventually(t, o, 1, `SELECT count(*) FROM history WHERE subject = $1 AND verb = 'finish'`, o.RequestID)
	eventually(t, o, 1, `SELECT count(*) FROM schedule_run WHERE job = 'release' AND window_start = $1`, monday.AddDays(1).At(7, 30).UTC())
	eventually(t, o, 0, `SELECT count(*) FROM audit WHERE seq IS NULL`)
	eventually(t, o, 0, `SELECT count(*) FROM outbox WHERE sent_at IS NULL`)
	for _, d := range fleet {
		require.NotContains(t, d.Log(), "scheduled work failed")
	}
}

// TestHeldRequestLosesItsOrders: the orders of a held request are taken back, and
// it is not planned while it is held.
func TestHeldRequestLosesItsOrders(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	startScheduler(t, o, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, o.RequestID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Hold, request.Change{
			Actor: machine.Actor{Name: "kasubdit", Role: request.Kasubdit}, Reason: "uji", OfficeAt: persotest.OfficeAt,
		})
		return err
	})
	eventually(t, o, 1, `SELECT count(*) FROM work_order WHERE request_id = $1 AND state = 'revoked'`, o.RequestID)
	eventually(t, o, 0, `SELECT count(*) FROM work_order WHERE request_id = $1 AND state IN ('planned','released')`, o.RequestID)
}
