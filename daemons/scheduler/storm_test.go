package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/test/harness"
)

// stormVariable holds the configuration of a process that is a scheduler and no test.
const stormVariable = "STORM_SCHEDULER"

func TestMain(m *testing.M) {
	if path := os.Getenv(stormVariable); path != "" {
		if err := os.Unsetenv(stormVariable); err != nil { // it is no setting
			panic(err)
		}
		os.Exit(daemon.Run("scheduler", []string{"-config", path}, io.Discard, os.Stderr, nil, defaults, wire))
	}
	os.Exit(m.Run())
}

// victim is a scheduler that is killed and started again.
type victim struct {
	harness.Daemon
	config string
	cmd    *exec.Cmd
	log    bytes.Buffer
}

func (v *victim) start(t *testing.T) {
	t.Helper()
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), stormVariable + "=" + v.config}
	v.cmd.Stderr = &v.log
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, v.cmd.Start())
}

func (v *victim) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, v.cmd.Process.Kill())
	_ = v.cmd.Wait() // it was killed
}

// storm is an office with two schedulers under a hail of kills.
type storm struct {
	*persotest.Office
	t       *testing.T
	rng     *rand.Rand
	fleet   []*victim
	waiting []string // serials that nobody has presented
	kills   int
}

// The storm's office: twenty cards a day, and about as many asked for.
const stormCapacity = 20

func newStorm(t *testing.T, seed uint64, began time.Time) *storm {
	t.Helper()
	s := &storm{Office: persotest.New(t, 3, 3), t: t, rng: rand.New(rand.NewPCG(seed, 11))}
	s.waiting = slices.Clone(s.Serials)
	vhost := harness.NewVhost(t)
	for range 2 {
		v := &victim{Daemon: harness.Daemon{
			Postgres: s.Database.Config(t, "sifilma_scheduler"), Rabbit: vhost.Config("scheduler"),
			More: fmt.Sprintf("planner: {capacity: %d}\nsweeper: {every: 1s}", stormCapacity),
		}}
		v.config = v.WriteConfig(t, began)
		v.start(t)
		s.fleet = append(s.fleet, v)
	}
	t.Cleanup(func() {
		for _, v := range s.fleet {
			v.kill(t)
			if t.Failed() {
				t.Logf("log of a scheduler:\n%s", v.log.Bytes()[max(0, v.log.Len()-6000):])
			}
		}
	})
	return s
}

// step moves the clocks, of one scheduler sometimes later than that of the other,
// and kills one or both while they work.
func (s *storm) step(at time.Time) {
	s.t.Helper()
	for i, v := range s.fleet {
		late := time.Duration(0)
		if i == 1 && s.rng.IntN(4) == 0 {
			late = time.Minute // its clock is behind
		}
		v.Step(s.t, at.Add(-late))
	}
	for range s.rng.IntN(3) {
		// Some moments later, told by how often the database answers.
		for range s.rng.IntN(400) {
			var one int
			require.NoError(s.t, s.DB.Get(s.t.Context(), &one, `SELECT 1`))
		}
		for i, v := range s.fleet {
			if i == s.kills%2 || s.rng.IntN(5) == 0 { // sometimes both
				v.kill(s.t)
				v.start(s.t)
			}
		}
		s.kills++
	}
}

// undone finds what a job's window has not done on a day.
var undone = map[string]string{
	capacity.JobReplan:  `SELECT FROM work_order WHERE day < $3 AND state = 'planned'`,
	capacity.JobRelease: `SELECT FROM work_order WHERE day = $3 AND state = 'planned'`,
	capacity.JobClose:   `SELECT FROM work_order WHERE day <= $3 AND state = 'released'`,
}

// ran waits until a job's window was run; at the moment at which it has, its effects
// are there. Sometimes this moment is the last of both schedulers.
func (s *storm) ran(job string, window time.Time) {
	s.t.Helper()
	var now struct {
		Ran    bool `db:"ran"`
		Undone bool `db:"undone"`
	}
	require.Eventually(s.t, func() bool {
		require.NoError(s.t, s.DB.Get(s.t.Context(), &now, `
			SELECT EXISTS (SELECT FROM schedule_run WHERE job = $1 AND window_start = $2) AS ran, EXISTS (`+undone[job]+`) AS undone`,
			job, window.UTC(), clock.DateOf(window)))
		return now.Ran
	}, patience, time.Millisecond, "%s of %s", job, window)
	require.False(s.t, now.Undone, "%s of %s was run without its effects", job, window)
	if s.rng.IntN(3) == 0 {
		for _, v := range s.fleet {
			v.kill(s.t)
			v.start(s.t)
		}
		s.kills++
	}
}

// accept adds a request, as the portal would: with its bell.
func (s *storm) accept(day clock.Date) {
	s.t.Helper()
	id, serials := s.Accepted(s.t, 1+s.rng.IntN(2*stormCapacity), day)
	s.waiting = append(s.waiting, serials...)
	s.Must(s.t, func(ctx context.Context, tx *postgres.Tx) error {
		return outbox.Put(ctx, tx, outbox.Message{Type: rabbit.RequestAccepted, Subject: id, Version: 1, Request: id})
	})
}

// present puts cards into the reader in the order of chance: some fail, and some
// are not brought that day.
func (s *storm) present(at time.Time) {
	s.t.Helper()
	s.rng.Shuffle(len(s.waiting), func(i, j int) { s.waiting[i], s.waiting[j] = s.waiting[j], s.waiting[i] })
	station := perso.Change{Actor: perso.StationActor("perso-uji"), OfficeAt: at}
	left := s.waiting[:0]
	for _, serial := range s.waiting {
		if s.rng.IntN(10) == 0 {
			left = append(left, serial)
			continue
		}
		err := s.DB.InTx(s.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial},
				persotest.Place(s.t, s.DB, "perso-uji"), station)
			if err != nil {
				return err
			}
			var state machine.State
			if err := tx.Get(ctx, &state, `SELECT state FROM work_order WHERE id = $1`, h.Attempt.WorkOrderID); err != nil {
				return err
			}
			require.Equal(s.t, capacity.Released, state, "claimed in an order that is not open")
			if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}}, station); err != nil {
				return err
			}
			if s.rng.IntN(40) == 0 {
				_, err = perso.Fail(ctx, tx, h, perso.Change{Actor: station.Actor, OfficeAt: at, Reason: "uji"})
				return err
			}
			_, err = perso.Finish(ctx, tx, h, nil, station)
			return err
		})
		var refused *perso.Refusal
		if errors.As(err, &refused) {
			left = append(left, serial) // not today
			continue
		}
		require.NoError(s.t, err)
	}
	s.waiting = left
}

// TestTwoSchedulersInAKillStorm steps two schedulers through weeks, killing them
// whenever they work, and missing nights: the effects of each window happen once,
// no day is above its capacity, nothing is released twice, and nothing is claimed
// in a closed order.
func TestTwoSchedulersInAKillStorm(t *testing.T) {
	t.Parallel()
	const seed = 1
	first := clock.MustParseDate("2026-03-03")
	s := newStorm(t, seed, first.At(0, 30))
	var calendar *workday.Calendar
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		calendar, err = capacity.Calendar(ctx, tx)
		return err
	})
	day, nights := first, 0
	for n := range stormDays {
		if n == stormDays/2 {
			// Nobody is there for three nights.
			for _, v := range s.fleet {
				v.kill(t)
			}
			day = day.AddDays(3)
			for _, v := range s.fleet {
				v.Step(t, day.At(0, 30))
				v.start(t)
			}
		}
		s.accept(day)
		s.step(day.At(1, 1))
		s.ran(capacity.JobReplan, day.At(1, 0))
		s.step(day.At(7, 31))
		s.ran(capacity.JobRelease, day.At(7, 30))
		if calendar.IsWorkday(day) {
			s.present(day.At(9, 0))
		}
		s.step(day.At(16, 1))
		s.ran(capacity.JobClose, day.At(16, 0))
		eventually(t, s.Office, 0, `SELECT count(*) FROM work_order WHERE day <= $1 AND state IN ('released','closing')`, day)
		nights++
		for day = day.AddDays(1); !calendar.IsWorkday(day); day = day.AddDays(1) { // weekends pass
		}
	}
	t.Logf("seed=%d days=%d kills=%d", seed, nights, s.kills)
	require.Positive(t, s.kills)

	none := func(what, query string, args ...any) {
		t.Helper()
		var rows []string
		require.NoError(t, s.DB.Select(t.Context(), &rows, query, args...))
		require.Empty(t, rows, what)
	}
	none("windows are missing or too many", `
		SELECT format('%s: %s of %s', job, count(*), 1 + (max(window_start)::date - min(window_start)::date)) FROM schedule_run
		GROUP BY job HAVING count(*) <> 1 + (max(window_start)::date - min(window_start)::date)`)
	none("released or closed twice", `
		SELECT subject::text FROM history WHERE machine = 'work_order' AND verb IN ('release','close','settle','finish')
		GROUP BY subject, verb HAVING count(*) > 1`)
	none("days above their capacity", `
		SELECT day::text FROM work_order WHERE state <> 'revoked' GROUP BY day, capacity HAVING sum(quantity) > capacity`)
	none("more cards were written on a day than it holds", `
		SELECT o.day::text FROM perso_attempt a JOIN work_order o ON o.id = a.work_order_id GROUP BY o.day, o.capacity HAVING count(*) > o.capacity`)
	none("days that do not balance", `SELECT day::text FROM day_balance WHERE difference <> 0`)
	none("closed orders without a balance", `
		SELECT o.id::text FROM work_order o WHERE o.state = 'closed' AND NOT EXISTS (SELECT FROM day_balance b WHERE b.work_order_id = o.id)`)
	none("cards that wait without a place", `
		SELECT r.ticket FROM request r WHERE r.state IN ('accepted','scheduled','in_progress')
		AND (SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state IN ('listed','bound','numbered'))
		 <> (SELECT coalesce(sum(o.remaining), 0) FROM work_order o WHERE o.request_id = r.id AND o.state IN ('planned','released'))`)
	var days, released int
	require.NoError(t, s.DB.Get(t.Context(), &days, `SELECT count(DISTINCT day) FROM work_order WHERE state = 'closed'`))
	require.NoError(t, s.DB.Get(t.Context(), &released, `SELECT count(*) FROM history WHERE machine = 'work_order' AND verb = 'release'`))
	require.GreaterOrEqual(t, days, stormDays*3/4, "days on which cards were written")
	require.Positive(t, released)
}
