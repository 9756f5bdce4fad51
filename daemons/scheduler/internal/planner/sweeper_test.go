package planner_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/scheduler/internal/planner"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// sweeper is an office whose broker has lost all that was ever sent to it.
type sweeper struct {
	*persotest.Office
	scheduler *postgres.DB
}

func newSweeper(t *testing.T) *sweeper {
	o := persotest.New(t, 1, 1)
	return &sweeper{o, o.Database.Open(t, "sifilma_scheduler")}
}

func (s *sweeper) lose(t *testing.T) {
	t.Helper()
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE outbox SET sent_at = now() - interval '1 hour' WHERE sent_at IS NULL`)
		return err
	})
}

func (s *sweeper) sweep(t *testing.T) int {
	t.Helper()
	n, err := planner.Sweep(t.Context(), s.scheduler, 0)
	require.NoError(t, err)
	return n
}

func (s *sweeper) waiting(t *testing.T) (types []string) {
	t.Helper()
	require.NoError(t, s.DB.Select(t.Context(), &types, `SELECT type FROM outbox WHERE sent_at IS NULL ORDER BY id`))
	return types
}

func TestLostBellOfASubmissionIsRungAgain(t *testing.T) {
	t.Parallel()
	s := newSweeper(t)
	var r request.Request
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		var institution string
		if err := tx.Get(ctx, &institution, `SELECT id FROM institution`); err != nil {
			return err
		}
		r, err = request.Create(ctx, tx, request.New{
			InstitutionID: institution, Actor: machine.Actor{Name: "pic", Role: request.Produsen},
			OfficeAt: persotest.OfficeAt.AddDate(1, 0, 0), // its ticket is of another year
			Form: request.Form{
				Kind: request.KindReader, Reference: "R2", Title: "Uji", SAMFunction: "R", CardCount: 1, MachineType: "TEST",
				Letter: request.Letter{Date: clock.MustParseDate("2026-02-01")}, Lines: []request.Line{{Lembaga: "L", Quantity: 1}},
			},
		})
		return err
	})
	require.Zero(t, s.sweep(t), "its bell is on the way")
	s.lose(t)
	rung, err := planner.Sweep(t.Context(), s.scheduler, time.Hour)
	require.NoError(t, err)
	require.Zero(t, rung, "it is not overdue")
	require.Equal(t, 1, s.sweep(t))
	require.Equal(t, []string{"request.submitted"}, s.waiting(t))
	require.Zero(t, s.sweep(t), "once is enough")

	s.lose(t)
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `
			INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
			VALUES (gen_random_uuid(), 'validator', 'request.submitted', $1, 'uji', '{}', 5, now())`, r.ID)
	})
	require.Zero(t, s.sweep(t), "a person has it")
}

func TestLostBellOfTheLastCardIsRungAgain(t *testing.T) {
	t.Parallel()
	s := newSweeper(t)
	var h perso.Hand
	station := perso.Change{Actor: perso.StationActor("uji"), OfficeAt: persotest.OfficeAt}
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		h, err = perso.Claim(ctx, tx, perso.Identity{Serial: s.Serials[0], ChipID: "CHIP"},
			perso.Place{Station: "uji", Reader: "r", Profile: "p-1", ProfileSHA256: make([]byte, 32), Numbers: persotest.Numbers}, station)
		return err
	})
	s.lose(t)
	require.Zero(t, s.sweep(t), "a card is in hand: nothing to ring for")
	s.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte("x")}, station); err != nil {
			return err
		}
		_, err = perso.Finish(ctx, tx, h, nil, station)
		return err
	})
	require.Zero(t, s.sweep(t), "its bell is on the way")
	s.lose(t)
	require.Equal(t, 1, s.sweep(t))
	require.Equal(t, []string{"workorder.finished"}, s.waiting(t))
}
