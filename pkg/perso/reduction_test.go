package perso_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var kasubdit = persotest.Person("kasubdit", request.Kasubdit, "pembeli mengurangi pesanan")

// byLetter takes cards off by a letter with this number and a scan of its own.
func byLetter(o *persotest.Office, number string, ch perso.Change, cards ...perso.Seen) (d perso.Reduction, err error) {
	err = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		scan, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("pindaian"))
		if err != nil {
			return err
		}
		d, err = perso.Reduce(ctx, tx, o.RequestID, perso.Letter{
			Number: number, Date: clock.MustParseDate("2026-03-01"), Signer: "Penanda Tangan", SignerPost: "Direktur", ScanBlob: scan.ID.String(),
		}, cards, ch)
		return err
	})
	return d, err
}

func now(t *testing.T, o *persotest.Office, serials ...string) []perso.Seen {
	t.Helper()
	var all []perso.Seen
	for _, serial := range serials {
		all = append(all, seen(o.Card(t, serial)))
	}
	return all
}

// reserve gives each card a reader, as a list with readers does.
func reserve(t *testing.T, o *persotest.Office) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE listed_card SET reader_serial = 'R-' || serial`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO live_reader (reader_serial, request_id, card_id) SELECT reader_serial, request_id, id FROM listed_card`)
		return err
	})
}

func TestReductionTakesCardsOff(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 5, 5)
	reserve(t, o)
	run(t, o, o.Serials[0], begin, finish)
	run(t, o, o.Serials[1], begin, fail)
	h := run(t, o, o.Serials[2], begin, doubt(""))
	o.Resolve(t, h.Card.ID, perso.DecideSpoil)
	cards := now(t, o, o.Serials[1], o.Serials[2], o.Serials[3])
	d, err := byLetter(o, "07/III/2026", kasubdit, cards...)
	require.NoError(t, err)
	require.Len(t, d.Cards, 3)

	tally, err := perso.Counts(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, perso.Tally{Total: 2, Clear: 1, Open: 1, Reduced: 3}, tally)
	require.Equal(t, 3, count(t, o, `SELECT count(*) FROM card WHERE state = 'reduced' AND finished_at IS NOT NULL`))
	require.Equal(t, 3, count(t, o, `SELECT count(*) FROM history WHERE verb = 'reduce' AND actor = 'kasubdit' AND reason = 'pembeli mengurangi pesanan'`))
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM audit WHERE action = 'card.reduce' AND subject = $1 AND detail->>'letter_number' = '07/III/2026'`, d.ID))
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM outbox WHERE type = 'cards.reduced' AND subject = $1 AND request_id = $2`, d.ID, o.RequestID))

	// The readers are free; so is the serial that no station saw. A burnt chip keeps
	// its serial: no station would take it again.
	taken, err := cardlist.InUse(t.Context(), o.DB, uuid.NewString(), o.Serials, []string{"R-" + o.Serials[1], "R-" + o.Serials[2], "R-" + o.Serials[3], "R-" + o.Serials[4]})
	require.NoError(t, err)
	require.ElementsMatch(t, []cardlist.Taken{
		{Serial: o.Serials[0], Personalised: true}, {Serial: o.Serials[1]}, {Serial: o.Serials[2]}, {Serial: o.Serials[4]}, {ReaderSerial: "R-" + o.Serials[4]},
	}, taken)
	require.Equal(t, 6, count(t, o, `SELECT count(*) FROM card_number`), "numbers of spoiled cards stay burnt")

	all, err := perso.Reductions(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, []perso.ReducedCard{
		{ID: o.CardIDs[1], ReductionID: d.ID, Serial: o.Serials[1], Was: perso.Failed},
		{ID: o.CardIDs[2], ReductionID: d.ID, Serial: o.Serials[2], Was: perso.Spoiled},
		{ID: o.CardIDs[3], ReductionID: d.ID, Serial: o.Serials[3], Was: perso.Listed},
	}, all[0].Cards)
	rows, err := perso.List(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, "Gagal", rows[1].Reduction.WasLabel)
	require.Equal(t, "07/III/2026", rows[1].Reduction.LetterNumber)
	require.Nil(t, rows[0].Reduction)

	for _, serial := range o.Serials[1:4] { // none is taken into a hand again, and the station is told why
		_, err := claim(o, identity(serial), "s1")
		why, _ := perso.RefusedFor(err)
		require.Equal(t, perso.SetAside, why, "%v", err)
	}
	done, err := perso.Complete(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.False(t, done)
	run(t, o, o.Serials[4], begin, finish)
	done, err = perso.Complete(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.True(t, done)
}

func TestReductionIsRefusedWhole(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 8, 8)
	run(t, o, o.Serials[0], begin, finish)
	failed := run(t, o, o.Serials[1], begin, fail)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RegisterReplacement(ctx, tx, failed.Card.ID, "SAM00000099", persotest.Person("operator", request.Operator, ""))
		return err
	})
	run(t, o, o.Serials[2], begin, doubt(""))
	run(t, o, o.Serials[3])
	run(t, o, o.Serials[4], begin)
	then(t, o, run(t, o, o.Serials[5]), func(ctx context.Context, tx *postgres.Tx, h perso.Hand) (perso.Hand, error) {
		return perso.ReleaseClaim(ctx, tx, h, atStation("s1", "dicabut"))
	})
	writes := func() int {
		return count(t, o, `SELECT (SELECT count(*) FROM history) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM audit) +
			(SELECT count(*) FROM blob) + (SELECT count(*) FROM card_reduction) + (SELECT count(*) FROM live_serial)`)
	}
	before := writes()
	_, err := byLetter(o, "1", kasubdit, now(t, o, o.Serials[:7]...)...)
	var unfit *perso.UnfitError
	require.ErrorAs(t, err, &unfit)
	why := map[string]string{}
	for _, c := range unfit.Cards {
		why[c.Serial] = c.Why
	}
	require.Equal(t, map[string]string{
		o.Serials[0]: "sudah berhasil dipersonalisasi", o.Serials[1]: "sudah memiliki kartu pengganti; kurangi penggantinya",
		o.Serials[2]: "meragukan; putuskan dahulu", o.Serials[3]: "sedang diambil stasiun", o.Serials[4]: "sedang ditulis",
		o.Serials[5]: "sudah pernah dipresentasikan di stasiun",
	}, why, "all that stand in the way at once")

	fine := o.Card(t, o.Serials[6])
	for _, role := range []machine.Role{request.Operator, request.Direktur, request.Produsen, request.Station} {
		var wrong *machine.RoleError
		_, err = byLetter(o, "1", persotest.Person("x", role, "x"), seen(fine))
		require.ErrorAs(t, err, &wrong, role)
	}
	_, err = byLetter(o, "1", kasubdit)
	require.ErrorIs(t, err, perso.ErrNoCards)
	_, err = byLetter(o, "1", kasubdit, perso.Seen{ID: uuid.NewString(), Version: 1})
	require.ErrorIs(t, err, perso.ErrNotFound)
	_, err = byLetter(o, "1", kasubdit, perso.Seen{ID: fine.ID, Version: fine.Version + 1})
	require.ErrorIs(t, err, postgres.ErrStale)
	require.Equal(t, before, writes(), "a refusal writes nothing")

	_, err = byLetter(o, "1", kasubdit, now(t, o, o.Serials[6])...)
	require.NoError(t, err)
	require.ErrorContains(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'reduced', version = version + 1 WHERE id = $1`, o.CardIDs[7])
		return err
	}), "without a letter")
	for _, q := range []string{`UPDATE card_reduction SET reason = 'x'`, `DELETE FROM reduced_card`} {
		require.Error(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), q)
	}
}

func TestReductionLeavesACard(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 2)
	run(t, o, o.Serials[0], begin, fail)
	_, err := byLetter(o, "1", kasubdit, now(t, o, o.Serials...)...)
	require.ErrorIs(t, err, perso.ErrNothingLeft)
	_, err = byLetter(o, "1", kasubdit, now(t, o, o.Serials[1])...)
	require.NoError(t, err)
	_, err = byLetter(o, "2", kasubdit, now(t, o, o.Serials[0])...)
	require.ErrorIs(t, err, perso.ErrNothingLeft, "also letter by letter")
}

// A replacement that is reduced takes the card with it that it stood in for.
func TestReplacementIsReduced(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 2, 3)
	run(t, o, o.Serials[0], begin, finish)
	failed := run(t, o, o.Serials[1], begin, fail)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RegisterReplacement(ctx, tx, failed.Card.ID, "SAM00000099", persotest.Person("operator", request.Operator, ""))
		return err
	})
	_, err := byLetter(o, "1", kasubdit, now(t, o, "SAM00000099")...)
	require.NoError(t, err)
	done, err := perso.Complete(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.True(t, done)
}

func TestReductionAndClaimOfOneCard(t *testing.T) {
	t.Parallel()
	t.Run("claim first", func(t *testing.T) {
		t.Parallel()
		o := persotest.New(t, 2, 2)
		card := now(t, o, o.Serials[0])
		run(t, o, o.Serials[0])
		_, err := byLetter(o, "1", kasubdit, card...)
		var unfit *perso.UnfitError
		require.ErrorAs(t, err, &unfit)
		require.Equal(t, "sedang diambil stasiun", unfit.Cards[0].Why, "why, rather than that the page is old")
	})
	t.Run("reduction first", func(t *testing.T) {
		t.Parallel()
		o := persotest.New(t, 2, 2)
		_, err := byLetter(o, "1", kasubdit, now(t, o, o.Serials[0])...)
		require.NoError(t, err)
		_, err = claim(o, identity(o.Serials[0]), "s1")
		why, _ := perso.RefusedFor(err)
		require.Equal(t, perso.SetAside, why)
		require.Zero(t, count(t, o, `SELECT count(*) FROM card_number`))
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		o := persotest.New(t, 9, 9)
		for _, serial := range o.Serials[:8] {
			card := now(t, o, serial)
			var wg sync.WaitGroup
			var claimed, reduced error
			wg.Go(func() { _, claimed = claim(o, identity(serial), "s1") })
			wg.Go(func() { _, reduced = byLetter(o, "surat "+serial, kasubdit, card...) })
			wg.Wait()
			require.NotEqual(t, claimed == nil, reduced == nil, "one of the two has the card: %v / %v", claimed, reduced)
			if claimed != nil {
				why, _ := perso.RefusedFor(claimed)
				require.Equal(t, perso.SetAside, why, "%v", claimed)
			} else {
				var unfit *perso.UnfitError
				require.ErrorAs(t, reduced, &unfit)
			}
		}
		reduced := count(t, o, `SELECT count(*) FROM card WHERE state = 'reduced'`)
		require.Equal(t, 8-reduced, count(t, o, `SELECT count(*) FROM card WHERE state = 'claimed'`))
		require.Equal(t, 9-reduced, count(t, o, `SELECT count(*) FROM live_serial`))
	})
}

func TestTwoReductionsAtOnce(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	both := now(t, o, o.Serials[:2]...)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i, cards := range [][]perso.Seen{{both[0], both[1]}, {both[1], both[0]}} {
		wg.Go(func() { _, errs[i] = byLetter(o, []string{"1", "2"}[i], kasubdit, cards...) })
	}
	wg.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v / %v", errs[0], errs[1])
	var unfit *perso.UnfitError
	require.ErrorAs(t, errors.Join(errs...), &unfit)
	require.Equal(t, "sudah dikurangi", unfit.Cards[0].Why)
	require.Equal(t, 2, count(t, o, `SELECT count(*) FROM history WHERE verb = 'reduce'`))

	// The last two cards: each reduction alone leaves one, both would leave none.
	rest := now(t, o, o.Serials[2:]...)
	for i := range errs {
		wg.Go(func() { _, errs[i] = byLetter(o, "sisa", kasubdit, rest[i]) })
	}
	wg.Wait()
	require.True(t, (errs[0] == nil) != (errs[1] == nil), "%v / %v", errs[0], errs[1])
	require.ErrorIs(t, errors.Join(errs...), perso.ErrNothingLeft)
}

func TestTheSameReductionTwiceIsOne(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 4, 4)
	cards := now(t, o, o.Serials[:2]...)
	_, err := byLetter(o, "1", kasubdit, cards...)
	require.NoError(t, err)
	_, err = byLetter(o, "1", kasubdit, cards...)
	require.ErrorIs(t, err, perso.ErrReducedBefore)
	var unfit *perso.UnfitError
	_, err = byLetter(o, "1", kasubdit, cards[0])
	require.ErrorAs(t, err, &unfit, "not the same cards")
	_, err = byLetter(o, "2", kasubdit, cards...)
	require.ErrorAs(t, err, &unfit, "not the same letter")
	require.Equal(t, 1, count(t, o, `SELECT count(*) FROM card_reduction`))
}
