package perso_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/numbers"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

func atStation(station, reason string) perso.Change {
	return perso.Change{Actor: perso.StationActor(station), Reason: reason, OfficeAt: persotest.OfficeAt}
}

func chipOf(serial string) string { return "CHIP-" + serial }

func identity(serial string) perso.Identity {
	return perso.Identity{Serial: serial, ChipID: chipOf(serial)}
}

func claim(o *persotest.Office, id perso.Identity, station string) (h perso.Hand, err error) {
	plan, err := recipe.ToLook(context.Background(), o.DB, "gp-scp03-sam")
	if err != nil {
		return h, err
	}
	place := perso.Place{Station: station, Reader: "Pembaca 1", Plan: plan}
	err = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		h, err = perso.Claim(ctx, tx, id, place, atStation(station, ""))
		return err
	})
	return h, err
}

func seen(c perso.Card) perso.Seen { return perso.Seen{ID: c.ID, Version: c.Version} }

type act func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error)

func begin(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
	return perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte("wrapped"), Public: map[string]any{"n": 1}}, atStation("s1", ""))
}

func finish(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
	return perso.Finish(ctx, tx, h, map[string]any{"open_sam": true}, atStation("s1", ""))
}

func fail(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
	return perso.Fail(ctx, tx, h, atStation("s1", "Kartu menolak"))
}

func doubt(p perso.Decision) act {
	return func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Doubt(ctx, tx, h, perso.Finding{Proposal: p, Observed: map[string]any{"marker": ""}}, atStation("s1", "terputus"))
	}
}

func resume(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
	return perso.Resume(ctx, tx, h, atStation("s1", ""))
}

// run claims a card and takes it through acts, each in its own transaction.
func run(t *testing.T, o *persotest.Office, serial string, acts ...act) perso.Hand {
	t.Helper()
	h, err := claim(o, identity(serial), "s1")
	require.NoError(t, err)
	return then(t, o, h, acts...)
}

func then(t *testing.T, o *persotest.Office, h perso.Hand, acts ...act) perso.Hand {
	t.Helper()
	for _, a := range acts {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			h, err = a(ctx, tx, h)
			return err
		})
	}
	return h
}

// try runs one act and returns its error.
func try(o *persotest.Office, h perso.Hand, a act) error {
	return o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := a(ctx, tx, h)
		return err
	})
}

func count(t *testing.T, o *persotest.Office, query string, args ...any) int {
	t.Helper()
	var n int
	require.NoError(t, o.DB.Get(context.Background(), &n, query, args...))
	return n
}

func TestOneCardIsClaimedOnce(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	const runners = 8
	var wg sync.WaitGroup
	errs := make([]error, runners)
	for i := range runners {
		wg.Go(func() { _, errs[i] = claim(o, identity(o.Serials[0]), fmt.Sprintf("s%d", i)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		why, ok := perso.RefusedFor(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, perso.InOtherHands, why)
	}
	require.Equal(t, 1, won)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM perso_attempt`))
	require.Equal(t, 2, count(t, o, `SELECT count(*) FROM card_number`))
	require.Equal(t, perso.Claimed, o.Card(t, o.Serials[0]).State)
}

func TestTwoCardsForOnePlace(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 1)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { _, errs[i] = claim(o, identity(o.Serials[i]), "s1") })
	}
	wg.Wait()
	err := errors.Join(errs...)
	require.Error(t, err)
	require.True(t, errs[0] == nil || errs[1] == nil)
	why, ok := perso.RefusedFor(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, perso.NotScheduled, why)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM card WHERE state = 'listed' AND chip_id IS NULL AND pcid IS NULL`),
		"the refused card is untouched")
}

func TestManyClaimsAtOnceGetDifferentNumbers(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 24, 24)
	var wg sync.WaitGroup
	errs := make([]error, len(o.Serials))
	for i, serial := range o.Serials {
		wg.Go(func() { _, errs[i] = claim(o, identity(serial), fmt.Sprintf("s%d", i%4)) })
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, 24, count(t, o, `SELECT count(DISTINCT pcid) FROM card`))
	require.Equal(t, 24, count(t, o, `SELECT count(DISTINCT manifest_no) FROM card`))
	require.Equal(t, 25, count(t, o, `SELECT next FROM number_counter WHERE kind = 'pcid'`), "no gap without a reason")
}

func TestReasonsOfRefusal(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 8, 8)
	run(t, o, o.Serials[0], begin, finish)
	run(t, o, o.Serials[1], begin, fail)
	run(t, o, o.Serials[2], begin, doubt(perso.DecideResume))
	h := run(t, o, o.Serials[3], begin, doubt(""))
	o.Resolve(t, h.Card.ID, perso.DecideSpoil)
	run(t, o, o.Serials[4])
	before := count(t, o, `SELECT sum(version) FROM card`)
	for name, c := range map[string]struct {
		id  perso.Identity
		why perso.Why
	}{
		"clear":               {identity(o.Serials[0]), perso.AlreadyDone},
		"failed":              {identity(o.Serials[1]), perso.FailedEarlier},
		"in doubt":            {identity(o.Serials[2]), perso.Undecided},
		"spoiled":             {identity(o.Serials[3]), perso.SetAside},
		"claimed":             {identity(o.Serials[4]), perso.InOtherHands},
		"unlisted":            {identity("SAM00009999"), perso.Unlisted},
		"chip of another":     {perso.Identity{Serial: o.Serials[5], ChipID: chipOf(o.Serials[0])}, perso.ChipTaken},
		"serial of another":   {perso.Identity{Serial: o.Serials[0], ChipID: "CHIP-NEW"}, perso.OtherChip},
		"unlisted, chip seen": {perso.Identity{Serial: "SAM00009999", ChipID: chipOf(o.Serials[0])}, perso.ChipTaken},
	} {
		_, err := claim(o, c.id, "s2")
		why, ok := perso.RefusedFor(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, c.why, why, name)
	}
	require.Equal(t, before, count(t, o, `SELECT sum(version) FROM card`), "a refusal writes nothing")
	for state, why := range map[machine.State]perso.Why{request.Held: perso.RequestHeld, request.Scheduled: perso.NotScheduled} {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			return tx.ExecOne(ctx, `UPDATE request SET state=$1, held_from=CASE WHEN $1 = 'held' THEN 'in_progress' END`, string(state))
		})
		_, err := claim(o, identity(o.Serials[6]), "s1")
		got, ok := perso.RefusedFor(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, why, got)
	}
}

func TestReleasedClaimKeepsChipAndNumbers(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	first := run(t, o, o.Serials[0])
	then(t, o, first, func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.ReleaseClaim(ctx, tx, h, atStation("s1", "terputus"))
	})
	second, err := claim(o, identity(o.Serials[0]), "s2")
	require.NoError(t, err)
	require.Equal(t, 2, second.Attempt.Number)
	require.NotEqual(t, first.Attempt.ID, second.Attempt.ID)
	require.Equal(t, first.Card.PCID, second.Card.PCID)
	require.Equal(t, first.Card.ManifestNo, second.Card.ManifestNo)
	// The first attempt is over: whoever still holds it can do nothing.
	require.ErrorIs(t, try(o, first, begin), postgres.ErrStale)
	require.ErrorIs(t, try(o, first, fail), postgres.ErrStale)
}

func TestEveryEndCountsTheCardOnce(t *testing.T) {
	t.Parallel()
	for name, acts := range map[string][]act{
		"clear":          {begin, finish},
		"failed":         {begin, fail},
		"unusable":       {fail},
		"doubt":          {begin, doubt("")},
		"doubt to clear": {begin, doubt(perso.DecideComplete), finish},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := persotest.New(t, 1, 1)
			h := run(t, o, o.Serials[0], acts...)
			remaining, order := o.Remaining(t)
			require.Zero(t, remaining)
			require.Equal(t, "closed", order)
			require.Equal(t, 1, count(t, o, `SELECT count(*) FROM outbox WHERE type = 'workorder.finished'`))
			require.Equal(t, int(h.Card.Version), count(t, o, `SELECT count(*) FROM history WHERE machine = 'card'`),
				"one row of the timeline for each version")
			require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = $1`, "card."+string(h.Card.State)))
		})
	}
}

func TestDoubtIsSettledByTwoPeople(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	ctx := context.Background()
	h := run(t, o, o.Serials[0], begin, doubt(perso.DecideResume))
	propose := func(d perso.Decision, c perso.Change) error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.ProposeResolution(ctx, tx, seen(h.Card), d, c)
			return err
		})
	}
	confirm := func(c perso.Change) error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			decision, err := perso.OpenDecision(ctx, tx, h.Card.ID)
			if err != nil {
				return err
			}
			_, err = perso.ConfirmResolution(ctx, tx, decision, c)
			return err
		})
	}
	ani := persotest.Person("operator-1", request.Operator, "kartu utuh")
	budi := persotest.Person("kasubdit", request.Kasubdit, "")
	var role *machine.RoleError
	require.ErrorAs(t, propose(perso.DecideSpoil, persotest.Person("dirjen", request.Dirjen, "x")), &role)
	require.ErrorIs(t, propose("guess", ani), perso.ErrUnknownDecision)
	require.ErrorIs(t, propose(perso.DecideComplete, ani), perso.ErrNotObserved)
	require.ErrorIs(t, propose(perso.DecideSpoil, persotest.Person("operator-1", request.Operator, "")), perso.ErrReasonMissing)
	require.ErrorIs(t, confirm(budi), perso.ErrNoResolution)
	require.NoError(t, propose(perso.DecideResume, ani))
	require.NoError(t, propose(perso.DecideResume, ani), "the same again is the same")
	require.ErrorIs(t, propose(perso.DecideSpoil, persotest.Person("kasubdit", request.Kasubdit, "ragu")), perso.ErrResolutionOpen)
	require.ErrorIs(t, try(o, h, resume), perso.ErrNotResolved, "one person is not enough")
	require.ErrorIs(t, confirm(ani), perso.ErrSamePerson)
	rows, err := perso.List(ctx, o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, perso.DecideResume, rows[0].Proposal)
	require.Equal(t, "operator-1", rows[0].Resolution.DecidedBy)
	require.NoError(t, confirm(budi))
	require.Equal(t, perso.InDoubt, o.Card(t, o.Serials[0]).State, "the station takes it up")
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM outbox WHERE type = 'card.resolved'`))
	h = then(t, o, h, resume)
	require.Equal(t, perso.Writing, h.Card.State)

	// A second doubt wants a second decision.
	h = then(t, o, h, doubt(perso.DecideResume))
	require.ErrorIs(t, try(o, h, resume), perso.ErrNotResolved)
	require.NoError(t, propose(perso.DecideSpoil, ani))
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		decision, err := perso.OpenDecision(ctx, tx, h.Card.ID)
		if err != nil {
			return err
		}
		return perso.WithdrawResolution(ctx, tx, decision, budi)
	})
	require.ErrorIs(t, confirm(budi), perso.ErrNoResolution)
	require.NoError(t, propose(perso.DecideResume, ani))
	// Read again in between, the card turns out otherwise.
	h = then(t, o, h, func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.Observe(ctx, tx, h, perso.Finding{Proposal: perso.DecideSpoil}, atStation("s2", ""))
	})
	require.ErrorIs(t, confirm(budi), perso.ErrNoResolution, "it is void")
	remaining, _ := o.Remaining(t)
	require.Equal(t, 3, remaining, "one card was counted, once")
	require.NoError(t, propose(perso.DecideSpoil, ani), "a decision that the card no longer allows does not stand in the way")
	require.NoError(t, confirm(budi))
	require.Equal(t, perso.Spoiled, o.Card(t, o.Serials[0]).State)

	clear := run(t, o, o.Serials[1], begin, doubt(perso.DecideComplete))
	o.Resolve(t, clear.Card.ID, perso.DecideComplete)
	require.Equal(t, perso.Written, o.Card(t, o.Serials[1]).State, "proven is not yet: the station verifies")
	fresh, err := perso.Reload(ctx, o.DB, clear.Card.ID)
	require.NoError(t, err)
	require.Equal(t, perso.Clear, then(t, o, fresh, finish).Card.State)
	require.ErrorIs(t, func() error {
		return o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := perso.ProposeResolution(ctx, tx, seen(clear.Card), perso.DecideSpoil, ani)
			return err
		})
	}(), perso.ErrNotInDoubt)
}

// A card whose doubt was settled may wait for the station for days: it neither
// keeps its order open nor asks for a place in the plan.
func TestSettledDoubtHoldsUpNoOrder(t *testing.T) {
	t.Parallel()
	for _, decision := range []perso.Decision{perso.DecideComplete, perso.DecideResume} {
		t.Run(string(decision), func(t *testing.T) {
			t.Parallel()
			o := persotest.New(t, 2, 2)
			h := run(t, o, o.Serials[0], begin, doubt(decision))
			o.Resolve(t, h.Card.ID, decision)
			if decision == perso.DecideResume {
				h = then(t, o, h, resume)
			}
			planner := o.Database.Open(t, "sifilma_scheduler")
			require.NoError(t, planner.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				day := clock.DateOf(persotest.OfficeAt)
				closed, err := capacity.CloseDays(ctx, tx, day, persotest.OfficeAt, persotest.OfficeAt)
				require.Equal(t, 1, closed.Orders)
				require.Equal(t, [3]int{closed.Balance.Planned, closed.Balance.InDoubt, closed.Balance.NotPresented}, [3]int{2, 1, 1}, "the doubt is a bucket of its own")
				require.Zero(t, closed.Balance.Difference)
				if err != nil {
					return err
				}
				calendar, err := capacity.Calendar(ctx, tx)
				if err != nil {
					return err
				}
				_, err = capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: calendar, OfficeAt: persotest.OfficeAt, Cause: "uji"})
				return err
			}))
			require.Equal(t, 1, count(t, o, `SELECT sum(quantity) FROM work_order WHERE state = 'planned'`),
				"only the card that was not presented is carried over")
			fresh, err := perso.Reload(t.Context(), o.DB, h.Card.ID)
			require.NoError(t, err)
			require.Equal(t, perso.Clear, then(t, o, fresh, finish).Card.State)
		})
	}
}

func TestCompleteNeedsEveryReplacement(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	ctx := context.Background()
	complete := func() bool {
		ok, err := perso.Complete(ctx, o.DB, o.RequestID)
		require.NoError(t, err)
		return ok
	}
	require.False(t, complete())
	run(t, o, o.Serials[0], begin, finish)
	require.False(t, complete(), "one card is open")
	h := run(t, o, o.Serials[1], begin, fail)
	require.False(t, complete(), "one card waits for a replacement")
	tally, err := perso.Counts(ctx, o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, perso.Tally{Total: 2, Clear: 1, Failed: 1, AwaitingReplacement: 1}, tally)

	replace := func(cardID, serial string) (id string, err error) {
		err = o.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			id, err = perso.RegisterReplacement(ctx, tx, cardID, serial, persotest.Person("operator-1", request.Operator, "blangko baru"))
			return err
		})
		return id, err
	}
	_, err = replace(o.CardIDs[0], "SAM00000100")
	require.ErrorIs(t, err, perso.ErrNotReplaceable)
	newID, err := replace(h.Card.ID, "sam00000100")
	require.NoError(t, err)
	_, err = replace(h.Card.ID, "SAM00000101")
	require.ErrorIs(t, err, perso.ErrNotReplaceable)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM outbox WHERE type = 'replacement.registered' AND subject = $1`, o.RequestID))
	require.False(t, complete(), "the replacement is open")
	rows, err := perso.List(ctx, o.DB, o.RequestID)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	require.Equal(t, newID, *rows[1].ReplacedBy)
	require.Equal(t, h.Card.ID, *rows[2].Replaces)
	require.Equal(t, "Menunggu", rows[2].StateLabel)
	tally, err = perso.Counts(ctx, o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, perso.Tally{Total: 2, Clear: 1, Failed: 1, Open: 1}, tally)

	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { // the scheduler's part
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE work_order SET state='released', remaining=1`)
	})
	done := run(t, o, "SAM00000100", begin, finish)
	require.NotEqual(t, h.Card.PCID, done.Card.PCID, "the numbers of the failed card are burnt")
	require.True(t, complete())
	id, err := perso.CardRequest(ctx, o.DB, newID)
	require.NoError(t, err)
	require.Equal(t, o.RequestID, id)
}

func TestFullCounterGivesNoNumber(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE number_counter SET next = 1000000 WHERE kind = 'manifest'`)
	})
	_, err := claim(o, identity(o.Serials[0]), "s1")
	require.ErrorIs(t, err, numbers.ErrTemplate)
	require.Equal(t, perso.Listed, o.Card(t, o.Serials[0]).State)
	require.Zero(t, count(t, o, `SELECT count(*) FROM card_number`))
}

// TestIllegalStepsAreImpossibleInSQL: no matter who writes the SQL.
func TestIllegalStepsAreImpossibleInSQL(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	h := run(t, o, o.Serials[0], begin, fail)
	for _, to := range []machine.State{perso.Clear, perso.Writing, perso.Listed, perso.Claimed} {
		err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE card SET state=$2, version=version+1 WHERE id=$1`, h.Card.ID, string(to))
		})
		require.True(t, postgres.IsCheck(err, "legal_transition"), "%s: %v", to, err)
	}
	err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE card_number SET value = 'x'`)
		return err
	})
	require.Error(t, err)
}
