package handover_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// place puts cards of a request, and the request, where the line would have them: the way
// there is not what is tested.
func place(t *testing.T, o *paperoffice.Office, queries ...string) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range append([]string{`SET LOCAL session_replication_role = replica`}, queries...) {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

func serials(t *testing.T, o *paperoffice.Office, h handover.Handover) (list []string) {
	t.Helper()
	cards, err := handover.Cards(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	for _, c := range cards {
		list = append(list, c.Serial)
	}
	return list
}

// The rule: cards that are clear are handed over while others of their request are still
// on the line, or wait for somebody; what is not clear, above all what is in doubt, never
// is; what becomes clear later goes into a later handover.
func TestPartsWhileTheLineRuns(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 9})
	r := o.Request(t)
	place(t, o, `UPDATE card c SET state = CASE l.row WHEN 2 THEN 'in_doubt' WHEN 4 THEN 'failed' WHEN 5 THEN 'spoiled' WHEN 6 THEN 'writing' WHEN 7 THEN 'listed' WHEN 8 THEN 'verified' ELSE 'clear' END
		FROM listed_card l WHERE l.id = c.id`)
	operator := paperoffice.As(request.Operator, "")
	first, err := open(t, o, r, 0, operator)
	require.NoError(t, err)
	require.Equal(t, []string{r.Serials[0], r.Serials[2], r.Serials[8]}, serials(t, o, first))
	_, err = open(t, o, r, 0, operator)
	require.ErrorIs(t, err, handover.ErrTooMany, "nothing else is ready")

	first = ready(t, o, first)
	first, err = deliver(t, o, first, "Wakil", operator)
	require.NoError(t, err, "before the request is done")

	place(t, o, `UPDATE card c SET state = 'clear' FROM listed_card l WHERE l.id = c.id AND l.row IN (2, 8)`)
	second, err := open(t, o, r, 1, operator)
	require.NoError(t, err)
	require.Equal(t, r.Serials[1:2], serials(t, o, second))
	place(t, o, `UPDATE card SET state = 'clear'`)
	o.Finish(t, r)
	third, err := open(t, o, r, 0, operator)
	require.NoError(t, err)
	require.Equal(t, []string{r.Serials[3], r.Serials[4], r.Serials[5], r.Serials[6], r.Serials[7]}, serials(t, o, third))
	require.Equal(t, []int{1, 2, 3}, []int{first.Ordinal, second.Ordinal, third.Ordinal})
}

func state(t *testing.T, o *paperoffice.Office, r paperoffice.Request, s machine.State) {
	t.Helper()
	place(t, o, `UPDATE request SET state = '`+string(s)+`', held_from = CASE '`+string(s)+`' WHEN 'held' THEN 'in_progress' END WHERE id = '`+r.ID+`'`)
}

// The rule: cards leave a request that is in progress or done. On hold they stay, whatever
// was prepared, and nobody is told to come; before anything is personalised, and of a
// request that ended without, there is nothing.
func TestWhatMayLeave(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 4})
	r := o.Request(t)
	operator := paperoffice.As(request.Operator, "")
	h := ready(t, o, o.Open(t, r, 2))
	appoint := func(at time.Time) error {
		_, err := try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Appoint(ctx, tx, h, at, "", operator)
		})
		return err
	}
	for _, s := range request.Machine.States() {
		state(t, o, r, s)
		want := handover.ErrNotBegun
		switch s {
		case request.InProgress, request.Done:
			continue
		case request.Held:
			want = handover.ErrOnHold
		}
		_, err := open(t, o, r, 1, operator)
		require.ErrorIs(t, err, want, s)
		_, err = deliver(t, o, h, "Wakil", operator)
		require.ErrorIs(t, err, want, s)
		require.ErrorIs(t, appoint(paperoffice.At.Add(time.Hour)), want, s)
	}
	bast, err := letter.Living(t.Context(), o.DB, letter.BAST, h.ID)
	require.NoError(t, err)
	require.Equal(t, letter.AwaitingSignature, bast.State, "what was refused left nothing")
	state(t, o, r, request.Held)
	require.NoError(t, appoint(time.Time{}), "told not to come")
	state(t, o, r, request.InProgress)
	h, err = handover.Get(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	h, err = deliver(t, o, h, "Wakil", operator)
	require.NoError(t, err)
	state(t, o, r, request.Held)
	h, err = try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
		return handover.Receive(ctx, tx, h, []handover.Count{{Line: 1, Received: 2}}, monday, paperoffice.As(request.Produsen, ""))
	})
	require.NoError(t, err, "what is out is counted")
	require.Equal(t, handover.Received, h.State)
}

// A delivery is not of a day to come, nor of one before the handover was there.
func TestDayOfDelivery(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	h := ready(t, o, o.Open(t, o.Done(t), 0))
	on := func(days int) error {
		_, err := try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
			return handover.Deliver(ctx, tx, h, handover.Delivery{Representative: "Wakil", Post: "PIC", Of: handover.OfProdusen, On: monday.AddDays(days)}, paperoffice.As(request.Operator, ""))
		})
		return err
	}
	require.ErrorIs(t, on(1), handover.ErrFuture)
	require.ErrorIs(t, on(-1), handover.ErrEarly)
}

func cancel(t *testing.T, o *paperoffice.Office, h handover.Handover, c request.Change) (handover.Handover, error) {
	t.Helper()
	return try(t, o, func(ctx context.Context, tx *postgres.Tx) (handover.Handover, error) {
		return handover.Cancel(ctx, tx, h, c)
	})
}

// The rule: until its cards change hands a handover can be taken back, with a reason. Its
// BAST is void and its number used; its cards are free, and which they were is kept; the
// BAST of a later one, which tells of those before it, is made anew. Afterwards it cannot.
func TestTakenBack(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 6})
	r := o.Request(t)
	operator, because := paperoffice.As(request.Operator, ""), paperoffice.As(request.Operator, "salah jumlah")
	first, second := ready(t, o, o.Open(t, r, 2)), ready(t, o, o.Open(t, r, 3))
	_, _, err := scan(t, o, first, operator, r.Serials[0])
	require.NoError(t, err)
	wrong, err := letter.Living(t.Context(), o.DB, letter.BAST, first.ID)
	require.NoError(t, err)
	stale, err := letter.Living(t.Context(), o.DB, letter.BAST, second.ID)
	require.NoError(t, err)

	var role *machine.RoleError
	_, err = cancel(t, o, first, paperoffice.As(request.Kasubdit, "salah jumlah"))
	require.ErrorAs(t, err, &role)
	_, err = cancel(t, o, first, operator)
	require.ErrorIs(t, err, letter.ErrReasonMissing)
	before := first
	first, err = cancel(t, o, first, because)
	require.NoError(t, err)
	require.Equal(t, handover.Cancelled, first.State)
	require.Equal(t, "salah jumlah", first.CancelReason)
	require.True(t, handover.Machine.Final(first.State))
	_, err = cancel(t, o, before, because)
	require.ErrorIs(t, err, postgres.ErrStale, "once")
	for _, id := range []string{wrong.ID, stale.ID} {
		d, err := letter.Get(t.Context(), o.DB, id)
		require.NoError(t, err)
		require.Equal(t, letter.Void, d.State)
		require.NotNil(t, d.Number, "it stays used")
	}
	require.Empty(t, serials(t, o, first))
	had, err := handover.TakenBack(t.Context(), o.DB, first.ID)
	require.NoError(t, err)
	require.Equal(t, []string{r.Serials[0], r.Serials[1]}, []string{had[0].Serial, had[1].Serial})
	require.Equal(t, []bool{true, false}, []bool{had[0].Scanned, had[1].Scanned})
	_, _, err = scan(t, o, first, operator, r.Serials[0])
	require.ErrorIs(t, err, handover.ErrTakenBack)
	owes := func(h handover.Handover) (is bool) {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			is, err = handover.OwesBAST(ctx, tx, h.ID)
			return err
		})
		return is
	}
	require.Equal(t, []bool{false, true}, []bool{owes(first), owes(second)})

	third, err := open(t, o, r, 0, operator)
	require.NoError(t, err)
	require.Equal(t, 3, third.Ordinal, "a number is not used again")
	require.Equal(t, []string{r.Serials[0], r.Serials[1], r.Serials[5]}, serials(t, o, third))
	all, err := handover.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	require.Equal(t, 6, handover.Given(all))
	third, err = deliver(t, o, ready(t, o, third), "Wakil", operator)
	require.NoError(t, err)
	var illegal *machine.IllegalError
	_, err = cancel(t, o, third, because)
	require.ErrorAs(t, err, &illegal, "the cards are gone")
}

// The rule: nothing that was handed over changes, whatever happens to the rest of its
// request; nor does the database let it.
func TestWhatIsHandedOverStays(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 5})
	r := o.Request(t)
	place(t, o, `UPDATE card c SET state = CASE l.row WHEN 3 THEN 'failed' WHEN 4 THEN 'listed' ELSE 'clear' END FROM listed_card l WHERE l.id = c.id`)
	h, err := deliver(t, o, ready(t, o, o.Open(t, r, 2)), "Wakil", paperoffice.As(request.Operator, ""))
	require.NoError(t, err)
	given := func() []handover.Card {
		cards, err := handover.Cards(t.Context(), o.DB, h.ID)
		require.NoError(t, err)
		return cards
	}
	was := given()
	require.Len(t, was, 2)

	var ref string
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		put, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("%PDF"))
		ref = put.ID.String()
		return err
	})
	reduce := func(serial string) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			var seen perso.Seen
			if err := tx.Get(ctx, &seen, `SELECT id, version FROM card WHERE serial = $1`, serial); err != nil {
				return err
			}
			_, err := perso.Reduce(ctx, tx, r.ID, perso.Letter{Number: "1", Date: monday, Signer: "A", SignerPost: "B", ScanBlob: ref},
				[]perso.Seen{seen}, paperoffice.As(request.Kasubdit, "dikurangi"))
			return err
		})
	}
	var unfit *perso.UnfitError
	require.ErrorAs(t, reduce(r.Serials[0]), &unfit, "what is handed over is not taken off")
	require.NoError(t, reduce(r.Serials[3]), "what never was is")
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		var id string
		if err := tx.Get(ctx, &id, `SELECT id FROM card WHERE serial = $1`, r.Serials[2]); err != nil {
			return err
		}
		_, err := perso.RegisterReplacement(ctx, tx, id, "SAM01999999", paperoffice.As(request.Operator, "gagal"))
		return err
	})
	for _, q := range []string{
		`UPDATE handover_card SET handover_id = handover_id`, `DELETE FROM handover_card`,
		`UPDATE handover SET quantity = 1`, `UPDATE handover SET representative = 'X'`, `UPDATE handover SET delivered_on = '2026-11-24'`,
		`UPDATE handover SET state = 'cancelled', version = version + 1, cancelled_at = created_at, cancel_reason = 'x'`,
		`INSERT INTO handover_card (card_id, handover_id) SELECT c.id, '` + h.ID + `' FROM card c WHERE c.serial = '` + r.Serials[4] + `'`,
	} {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		})
		require.Error(t, err, q)
	}
	require.Equal(t, was, given())
	rest, err := open(t, o, r, 0, paperoffice.As(request.Operator, ""))
	require.NoError(t, err)
	require.Equal(t, r.Serials[4:], serials(t, o, rest))
}

// Many prepare, take back and deliver at once, while cards come through and the planner
// locks the request: each card is in one handover at most, and each handover has the cards
// that it says.
func TestHandoversAtOnce(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 40})
	r := o.Request(t)
	place(t, o, `UPDATE card c SET state = 'verified' FROM listed_card l WHERE l.id = c.id AND l.row % 2 = 0`)
	var work sync.WaitGroup
	background := func(fn func(ctx context.Context, tx *postgres.Tx) error) {
		work.Go(func() {
			for range 8 {
				err := o.DB.InTx(context.Background(), fn)
				var illegal *machine.IllegalError
				if err != nil && !errors.Is(err, handover.ErrTooMany) && !errors.Is(err, postgres.ErrStale) && !errors.Is(err, handover.ErrNotFound) && !errors.As(err, &illegal) {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		background(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := handover.Open(ctx, tx, r.ID, 3, paperoffice.As(request.Operator, ""))
			return err
		})
		background(func(ctx context.Context, tx *postgres.Tx) error {
			var id []string
			if err := tx.Select(ctx, &id, `SELECT id FROM handover WHERE state = 'prepared' ORDER BY random() LIMIT 1`); err != nil || len(id) == 0 {
				return err
			}
			h, err := handover.Get(ctx, tx, id[0])
			if err == nil {
				_, err = handover.Cancel(ctx, tx, h, paperoffice.As(request.Operator, "keliru"))
			}
			return err
		})
	}
	background(func(ctx context.Context, tx *postgres.Tx) error { // a station finishes a card
		_, err := tx.Exec(ctx, `UPDATE card SET state = 'clear', version = version + 1
			WHERE id = (SELECT id FROM card WHERE state = 'verified' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)`)
		return err
	})
	background(func(ctx context.Context, tx *postgres.Tx) error { // the planner looks at the request
		_, err := request.Lock(ctx, tx, r.ID)
		return err
	})
	work.Wait()
	var odd []string
	require.NoError(t, o.DB.Select(t.Context(), &odd, `
		SELECT h.id || ' ' || h.state FROM handover h WHERE
		  (SELECT count(*) FROM handover_card x WHERE x.handover_id = h.id) <> CASE h.state WHEN 'cancelled' THEN 0 ELSE h.quantity END
		  OR (SELECT count(*) FROM handover_taken_back x WHERE x.handover_id = h.id) <> CASE h.state WHEN 'cancelled' THEN h.quantity ELSE 0 END`))
	require.Empty(t, odd)
}
