package perso_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func beat(t *testing.T, o *persotest.Office, station string, inHand ...string) (s perso.Standing) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = perso.Beat{Station: station, StartedAt: time.Now(), Readers: 2, InHand: inHand}.Put(ctx, tx)
		return err
	})
	return s
}

func stand(o *persotest.Office, station string, w perso.Wish) (s perso.Standing, err error) {
	w.OfficeAt = persotest.OfficeAt
	err = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		s, err = perso.Stand(ctx, tx, station, w)
		return err
	})
	return s, err
}

// later lets time pass since all that was heard.
func later(t *testing.T, o *persotest.Office, minutes int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`, `UPDATE station SET heard_at = heard_at - make_interval(mins => $1)`,
			`UPDATE history SET at = at - make_interval(mins => $1)`,
			`UPDATE perso_attempt SET claimed_at = claimed_at - make_interval(mins => $1), writing_at = writing_at - make_interval(mins => $1)`} {
			var args []any
			if q[0] == 'U' {
				args = append(args, minutes)
			}
			if _, err := tx.Exec(ctx, q, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAStationStaysAsPeopleWantIt: who wanted it and why is kept, what is so already
// changes nothing, and no beat takes it back.
func TestAStationStaysAsPeopleWantIt(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	require.Equal(t, perso.Running, beat(t, o, "uji-1").Mode)
	var faults form.Faults
	_, err := stand(o, "uji-1", perso.Wish{Mode: perso.Paused, By: " ", Reason: "x"})
	require.ErrorAs(t, err, &faults)
	_, err = stand(o, "uji-1", perso.Wish{Mode: perso.Draining, By: "Sari"})
	require.ErrorAs(t, err, &faults)
	_, err = stand(o, "uji-1", perso.Wish{Mode: "away", By: "Sari", Reason: "x"})
	require.Error(t, err)

	s, err := stand(o, "uji-1", perso.Wish{Mode: perso.Paused, By: " Sari ", Reason: "ganti kotak"})
	require.NoError(t, err)
	require.Equal(t, "Dijeda", s.Label)
	again, err := stand(o, "uji-1", perso.Wish{Mode: perso.Paused, By: "Budi", Reason: "lain"})
	require.NoError(t, err)
	require.Equal(t, "Sari", again.By, "it is hers still")
	s = beat(t, o, "uji-1")
	require.Equal(t, perso.Paused, s.Mode)
	require.Equal(t, "ganti kotak", s.Reason)
	require.True(t, persotest.OfficeAt.Equal(*s.At))
	_, err = stand(o, "uji-1", perso.Wish{Mode: perso.Running, By: "Budi"})
	require.NoError(t, err)
	require.Equal(t, perso.Running, beat(t, o, "uji-1").Mode)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'station.paused' AND actor = 'Sari' AND subject = 'uji-1'`))
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'station.running' AND actor = 'Budi'`))
	require.Equal(t, 2, count(t, o, `SELECT count(*) FROM audit WHERE action LIKE 'station.%'`))
	// Nobody stops it without a name and a reason, not in SQL either.
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE station SET mode = 'paused', mode_reason = ''`)
		return err
	})
	require.True(t, postgres.IsCheck(err, "station_held_for_a_reason"), "%v", err)
	// One may be stopped before it was ever started.
	_, err = stand(o, "uji-2", perso.Wish{Mode: perso.Draining, By: "Sari", Reason: "belum dipakai"})
	require.NoError(t, err)
	rows, err := perso.Stations(t.Context(), o.DB)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.False(t, rows[0].Silent)
	require.True(t, rows[1].Silent)
	require.Equal(t, perso.Draining, beat(t, o, "uji-2").Mode)
}

// TestAPauseAndABeginningCardWaitForEachOther: once a pause is committed no card is
// begun; one that was let through before is seen to its end.
func TestAPauseAndABeginningCardWaitForEachOther(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	beat(t, o, "uji-1")
	asked, finish := make(chan struct{}), make(chan struct{})
	begun := make(chan error, 1)
	go func() {
		begun <- o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.StandingOf(ctx, tx, "uji-1")
			close(asked)
			<-finish
			return err
		})
	}()
	<-asked
	beat(t, o, "uji-1") // waits for nobody
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := o.DB.InTx(short, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Stand(ctx, tx, "uji-1", perso.Wish{Mode: perso.Paused, By: "Sari", Reason: "x", OfficeAt: persotest.OfficeAt})
		return err
	})
	require.Error(t, err, "a card is being begun")
	close(finish)
	require.NoError(t, <-begun)
	_, err = stand(o, "uji-1", perso.Wish{Mode: perso.Paused, By: "Sari", Reason: "x"})
	require.NoError(t, err)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		s, err := perso.StandingOf(ctx, tx, "uji-1")
		require.Equal(t, perso.Paused, s.Mode)
		none, nerr := perso.StandingOf(ctx, tx, "never heard of")
		require.NoError(t, nerr)
		require.Equal(t, perso.Running, none.Mode)
		return err
	})
}

// TestASilentStationIsToldFromABusyOne: a card that a beating station says it works on
// is left to it, however long; one that it does not have, or of a station that has
// fallen silent, can be taken away.
func TestASilentStationIsToldFromABusyOne(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	h := run(t, o, o.Serials[0], begin)
	station := h.Attempt.Station
	abandoned := func() bool {
		rows, err := perso.List(t.Context(), o.DB, o.RequestID)
		require.NoError(t, err)
		troubled, err := perso.Troubled(t.Context(), o.DB, o.RequestID, 10)
		require.NoError(t, err)
		require.Equal(t, rows[0].Abandoned, len(troubled) == 1)
		return rows[0].Abandoned
	}
	beat(t, o, station, h.Card.ID)
	later(t, o, 300)
	beat(t, o, station, h.Card.ID)
	require.False(t, abandoned(), "it says that it works on the card")
	require.ErrorIs(t, propose(o, h.Card, perso.DecideDoubt, ani), perso.ErrStationHeard)
	later(t, o, 9)
	require.False(t, abandoned())
	later(t, o, 2)
	require.True(t, abandoned(), "it is silent")
	require.Equal(t, 10*time.Minute, perso.StationSilence)
	beat(t, o, station, h.Card.ID)
	require.False(t, abandoned(), "it is back")
	beat(t, o, station)
	require.True(t, abandoned(), "it is there and does not have the card")
	run(t, o, o.Serials[1]) // however busy it is with others
	require.True(t, abandoned())
	require.NoError(t, propose(o, h.Card, perso.DecideDoubt, ani))
	beat(t, o, station, h.Card.ID) // the card comes back between the two
	require.ErrorIs(t, confirm(o, h.Card.ID, budi), perso.ErrStationHeard)
}

func TestHowFarAStationsDayIs(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	run(t, o, o.Serials[0], begin, finish)
	run(t, o, o.Serials[1], begin, doubt(""))
	h := run(t, o, o.Serials[2], begin)
	d, err := perso.DayOf(t.Context(), o.DB, h.Attempt.Station, clock.DateOf(persotest.OfficeAt))
	require.NoError(t, err)
	require.Equal(t, perso.StationDay{Day: clock.DateOf(persotest.OfficeAt), Capacity: 250, Planned: 4, Waiting: 2, Clear: 1, InDoubt: 1, Own: 1}, d)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return perso.Lay(ctx, tx, h, perso.Blame{Cause: "uji", Lot: true}, perso.Change{Actor: perso.StationActor(h.Attempt.Station), OfficeAt: persotest.OfficeAt})
	})
	d, err = perso.DayOf(t.Context(), o.DB, h.Attempt.Station, clock.DateOf(persotest.OfficeAt))
	require.NoError(t, err)
	require.Equal(t, 2, d.Held, "people have to look at the lot first")
	d, err = perso.DayOf(t.Context(), o.DB, "another", clock.DateOf(persotest.OfficeAt).AddDays(-1))
	require.NoError(t, err)
	require.Zero(t, d.Planned+d.Waiting+d.Clear)
}
