package perso_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	clerk = persotest.Person("operator", request.Operator, "")
	boss  = persotest.Person("kasubdit", request.Kasubdit, "")
)

func in(o *persotest.Office, fn func(ctx context.Context, tx *postgres.Tx) error) error {
	return o.DB.InTx(context.Background(), fn)
}

func generate(o *persotest.Office, ch perso.Change) (n int, err error) {
	err = in(o, func(ctx context.Context, tx *postgres.Tx) error {
		n, err = perso.Generate(ctx, tx, o.RequestID, ch)
		return err
	})
	return n, err
}

func wipe(o *persotest.Office, reason string) error {
	return in(o, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.Wipe(ctx, tx, o.RequestID, persotest.Person("operator", request.Operator, reason))
		return err
	})
}

func enter(o *persotest.Office, ch perso.Change, entries ...perso.Entry) (n int, err error) {
	err = in(o, func(ctx context.Context, tx *postgres.Tx) error {
		n, err = perso.Enter(ctx, tx, o.RequestID, entries, ch)
		return err
	})
	return n, err
}

func waiting(t *testing.T, o *persotest.Office) (ids []string) {
	t.Helper()
	all, err := perso.HandResults(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids
}

func second(o *persotest.Office, ch perso.Change, ids ...string) error {
	return in(o, func(ctx context.Context, tx *postgres.Tx) error { return perso.Confirm(ctx, tx, o.RequestID, ids, ch) })
}

func retract(o *persotest.Office, ch perso.Change, ids ...string) error {
	return in(o, func(ctx context.Context, tx *postgres.Tx) error { return perso.Retract(ctx, tx, o.RequestID, ids, ch) })
}

func states(t *testing.T, o *persotest.Office) (all []machine.State) {
	t.Helper()
	for _, s := range o.Serials {
		all = append(all, o.Card(t, s).State)
	}
	return all
}

// A manual order from its numbers to its last card: the machine, the counters and the
// messages are those of a station's.
func TestAManualOrderFromItsNumbersToItsEnd(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	o.Manual(t)
	n, err := generate(o, clerk)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []machine.State{perso.Numbered, perso.Numbered, perso.Numbered}, states(t, o))
	require.Equal(t, 6, count(t, o, `SELECT count(*) FROM card_number n JOIN card c ON c.id = n.card_id AND n.value IN (c.pcid, c.manifest_no)`))
	_, err = generate(o, clerk)
	require.ErrorIs(t, err, perso.ErrNothingToNumber)

	_, err = claim(o, identity(o.Serials[0]), "s1")
	why, _ := perso.RefusedFor(err)
	require.Equal(t, perso.ByHand, why, "a station never takes a card of a manual order")

	n, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear}, perso.Entry{CardID: o.CardIDs[1], Result: perso.Failed, Reason: "Chip mati"},
		perso.Entry{CardID: o.CardIDs[2], Result: perso.Clear})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	again, err := enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear})
	require.NoError(t, err)
	require.Zero(t, again, "the same once more is no other result")
	require.Equal(t, []machine.State{perso.Claimed, perso.Claimed, perso.Claimed}, states(t, o))
	_, err = claim(o, identity(o.Serials[0]), "s1")
	why, _ = perso.RefusedFor(err)
	require.Equal(t, perso.ByHand, why)
	left, state := o.Remaining(t)
	require.Equal(t, 3, left)
	require.Equal(t, "released", state)

	ids := waiting(t, o)
	require.ErrorIs(t, second(o, clerk, ids...), perso.ErrSamePerson)
	require.Error(t, second(o, persotest.Person("direktur", request.Direktur, ""), ids...))
	require.NoError(t, second(o, boss, ids...))
	require.ErrorIs(t, second(o, boss, ids...), perso.ErrNoHandResult)
	require.Equal(t, []machine.State{perso.Clear, perso.Failed, perso.Clear}, states(t, o))
	failed := o.Card(t, o.Serials[1])
	require.Equal(t, "Chip mati", failed.Reason)
	require.NotEmpty(t, failed.PCID, "its numbers stay its own, burnt")
	left, state = o.Remaining(t)
	require.Zero(t, left)
	require.Equal(t, "closed", state)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM outbox WHERE type = 'workorder.finished'`))
	require.Equal(t, 3, count(t, o, `SELECT count(*) FROM history WHERE machine = 'card' AND verb IN ('clear','fail') AND actor = 'kasubdit' AND detail->>'entered_by' = 'operator'`))
	require.Equal(t, 3, count(t, o, `SELECT count(*) FROM audit WHERE action IN ('card.clear','card.failed')`))
	tally, err := perso.Counts(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, perso.Tally{Total: 3, Clear: 2, Failed: 1, AwaitingReplacement: 1}, tally)

	// At the close of the day the sum closes, as of a station's order.
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		end, err := capacity.CloseDays(ctx, tx, clock.DateOf(persotest.OfficeAt), persotest.OfficeAt, persotest.OfficeAt)
		require.Equal(t, 2, end.Balance.Clear)
		require.Equal(t, 1, end.Balance.Failed)
		require.Zero(t, end.Balance.Difference)
		return err
	})
}

func TestNumbersAreWipedBeforeTheFirstResultOnly(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	o.Manual(t)
	require.ErrorIs(t, wipe(o, "salah"), perso.ErrNothingToWipe)
	_, err := generate(o, clerk)
	require.NoError(t, err)
	first := o.Card(t, o.Serials[0])
	require.ErrorIs(t, wipe(o, " "), perso.ErrReasonMissing)
	require.NoError(t, wipe(o, "salah urut"))
	c := o.Card(t, o.Serials[0])
	require.Equal(t, perso.Listed, c.State)
	require.Empty(t, c.PCID+c.ManifestNo)
	require.False(t, c.ByHand)
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM history WHERE verb = 'wipe' AND detail->>'pcid' = $1 AND reason = 'salah urut'`, first.PCID))

	_, err = generate(o, clerk)
	require.NoError(t, err)
	require.Zero(t, count(t, o, `SELECT count(*) FROM card WHERE pcid = $1 OR manifest_no = $2`, first.PCID, first.ManifestNo), "burnt")
	require.Equal(t, 8, count(t, o, `SELECT count(*) FROM card_number`))

	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[1], Result: perso.Clear})
	require.NoError(t, err)
	require.ErrorIs(t, wipe(o, "salah"), perso.ErrHasResult)
	require.NoError(t, retract(o, boss, waiting(t, o)...))
	require.Equal(t, perso.Numbered, o.Card(t, o.Serials[1]).State)
	require.Empty(t, waiting(t, o))
	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[1], Result: perso.Failed, Reason: "retak"})
	require.NoError(t, err, "another result after the first was taken back")
	require.NoError(t, second(o, boss, waiting(t, o)...))
	require.ErrorIs(t, wipe(o, "salah"), perso.ErrHasResult)
}

// On a station order people give neither numbers nor results, whoever writes the SQL.
func TestStationOrdersTakeNothingByHand(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 3, 3)
	_, err := generate(o, clerk)
	require.ErrorIs(t, err, perso.ErrStationMode)
	require.ErrorIs(t, wipe(o, "x"), perso.ErrStationMode)
	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear})
	require.ErrorIs(t, err, perso.ErrStationMode)

	h := run(t, o, o.Serials[0])
	exec := func(q string, args ...any) error {
		return in(o, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q, args...)
			return err
		})
	}
	const attempt = `INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, by_hand)
		VALUES (gen_random_uuid(), $1, 9, $2, '', '', '', '', '', true)`
	require.True(t, postgres.IsCheck(exec(attempt, o.CardIDs[1], o.OrderID), "perso_attempt_of_its_mode"))
	require.True(t, postgres.IsCheck(exec(`UPDATE card SET state = 'clear', version = version + 1 WHERE id = $1`, h.Card.ID), "card_result_by_two"))
	require.True(t, postgres.IsCheck(exec(`UPDATE work_order SET mode = 'manual'`), "work_order_mode_kept"))
	require.True(t, postgres.IsCheck(exec(`UPDATE card SET by_hand = true WHERE id = $1`, o.CardIDs[1]), "card_by_hand"))
}

// What two people have to do, one cannot do by SQL either.
func TestAResultByHandIsTwoPeoplesInSQLToo(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	o.Manual(t)
	_, err := generate(o, clerk)
	require.NoError(t, err)
	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear})
	require.NoError(t, err)
	exec := func(q string, args ...any) error {
		return in(o, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q, args...)
			return err
		})
	}
	for _, to := range []string{"clear", "failed"} {
		require.True(t, postgres.IsCheck(exec(`UPDATE card SET state = $2, version = version + 1 WHERE id = $1`, o.CardIDs[0], to), "card_result_by_two"), to)
	}
	require.True(t, postgres.IsCheck(exec(`UPDATE card SET pcid = repeat('A', 32) WHERE id = $1`, o.CardIDs[1]), "card_numbers_kept"))
	require.True(t, postgres.IsCheck(exec(`UPDATE card SET state = 'writing', version = version + 1 WHERE id = $1`, o.CardIDs[0]), "card_by_hand"))
	require.True(t, postgres.IsCheck(exec(`UPDATE hand_result SET confirmed_by = 'operator', confirmed_at = now()`), "hand_result_two_people"))
	require.True(t, postgres.IsCheck(exec(`UPDATE hand_result SET result = 'failed', reason = 'x'`), "hand_result_kept"))
	require.True(t, postgres.IsCheck(exec(`DELETE FROM hand_result`), "hand_result_kept"))
	require.True(t, postgres.IsCheck(exec(`INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256)
		VALUES (gen_random_uuid(), $1, 9, $2, 's', 'r', 'c', 'p', '')`, o.CardIDs[1], o.OrderID), "perso_attempt_of_its_mode"), "a station's attempt at a manual order")
}

// All that is wrong is named, and nothing is taken.
func TestWrongEntriesAreNamedAndNothingIsTaken(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 5, 2)
	o.Manual(t)
	const own = "ABCDEF0123456789ABCDEF0123456789"
	numbered := perso.Entry{CardID: o.CardIDs[0], PCID: strings.ToLower(own), ManifestNo: "ki-1"}
	n, err := enter(o, clerk, numbered)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, own, o.Card(t, o.Serials[0]).PCID)
	require.Equal(t, "KI-1", o.Card(t, o.Serials[0]).ManifestNo)
	_, err = enter(o, clerk, numbered)
	require.NoError(t, err, "the same numbers again")

	_, err = enter(o, clerk,
		perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear}, // right, and yet not taken
		perso.Entry{CardID: o.CardIDs[0], Result: "maybe"},
		perso.Entry{CardID: o.OrderID, Result: perso.Clear},
		perso.Entry{CardID: o.CardIDs[1], Result: perso.Failed},
		perso.Entry{CardID: o.CardIDs[2], Result: perso.Clear},
		perso.Entry{CardID: o.CardIDs[3], PCID: own, ManifestNo: "ki 2"},
		perso.Entry{CardID: o.CardIDs[4], PCID: own, ManifestNo: "KI-1"})
	var wrong perso.EntryFaults
	require.ErrorAs(t, err, &wrong)
	var got []string
	for _, f := range wrong {
		got = append(got, string(rune('0'+f.Index))+" "+f.Field+" "+f.Code)
	}
	require.Equal(t, []string{"1 card repeated", "1 result unknown_value", "2 card unknown_value", "3 reason missing", "4 result not_numbered",
		"5 manifest_no wrong_form", "6 pcid in_use", "6 manifest_no in_use"}, got)
	require.Empty(t, waiting(t, o))
	require.Equal(t, perso.Numbered, o.Card(t, o.Serials[0]).State)

	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], PCID: pcid(1, 1), ManifestNo: "KI-1"})
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, "differs", wrong[0].Code)

	// More results than the released orders have room for.
	_, err = generate(o, clerk)
	require.NoError(t, err)
	_, err = enter(o, clerk, perso.Entry{CardID: o.CardIDs[0], Result: perso.Clear}, perso.Entry{CardID: o.CardIDs[1], Result: perso.Clear},
		perso.Entry{CardID: o.CardIDs[2], Result: perso.Clear})
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong, 1)
	require.Equal(t, "no_order", wrong[0].Code)
	require.Empty(t, waiting(t, o))
}

// However many press the button at once, each card has one pair of numbers and one
// result.
func TestManyHandsAtOnce(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	o.Manual(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _, _ = generate(o, clerk) })
	}
	wg.Wait()
	require.Equal(t, 8, count(t, o, `SELECT count(*) FROM card_number`))
	var entries []perso.Entry
	for _, id := range o.CardIDs {
		entries = append(entries, perso.Entry{CardID: id, Result: perso.Clear})
	}
	for range 4 {
		wg.Go(func() { _, _ = enter(o, clerk, entries...) })
	}
	wg.Wait()
	ids := waiting(t, o)
	require.Len(t, ids, 4)
	done := make(chan error, 4)
	for range 4 {
		wg.Go(func() { done <- second(o, boss, ids...) })
	}
	wg.Wait()
	close(done)
	good := 0
	for err := range done {
		if err == nil {
			good++
		} else {
			require.ErrorIs(t, err, perso.ErrNoHandResult)
		}
	}
	require.Equal(t, 1, good)
	left, state := o.Remaining(t)
	require.Zero(t, left)
	require.Equal(t, "closed", state)
}
