package stock_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

var today = clock.DateOf(persotest.OfficeAt)

var operator = persotest.Person("operator", request.Operator, "uji")

// counted is an office with n cards whose blanks were counted.
func counted(t *testing.T, n int) *persotest.Office {
	t.Helper()
	o := persotest.New(t, n, n)
	count(t, o, o.RequestID, n)
	return o
}

func count(t *testing.T, o *persotest.Office, requestID string, n int) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO request_fact (request_id, fact, detail, actor, office_at)
			VALUES ($1, 'blanks_counted', jsonb_build_object('count', $2::int), 'persuratan', $3)
			ON CONFLICT (request_id, fact) DO UPDATE SET detail = excluded.detail`, requestID, n, persotest.OfficeAt.Add(-time.Hour))
		return err
	})
}

func book(o *persotest.Office, seen int64, e stock.Entry, c request.Change) (m stock.Movement, err error) {
	if e.Happened.IsZero() {
		e.Happened = today
	}
	if e.Party == "" {
		e.Party = "Kurir"
	}
	err = o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
		m, err = stock.Book(ctx, tx, o.RequestID, seen, e, c)
		return err
	})
	return m, err
}

func now(t *testing.T, o *persotest.Office) stock.Balance {
	t.Helper()
	b, err := stock.Of(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	return b
}

func number(t *testing.T, o *persotest.Office, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, o.DB.Get(t.Context(), &n, query, args...))
	return n
}

// fail has a station make failed cards of the first n.
func fail(t *testing.T, o *persotest.Office, n int) {
	t.Helper()
	place := persotest.Place(t, o.DB, "s1")
	at := perso.Change{Actor: perso.StationActor("s1"), Reason: "Kartu menolak", OfficeAt: persotest.OfficeAt}
	for _, serial := range o.Serials[:n] {
		o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
			h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial}, place, at)
			if err != nil {
				return err
			}
			_, err = perso.Fail(ctx, tx, h, at)
			return err
		})
	}
}

func TestWhoBooksWhat(t *testing.T) {
	t.Parallel()
	o := counted(t, 2)
	everybody := []machine.Role{request.Produsen, request.Dinas, request.Lembaga, request.Persuratan, request.Dirjen, request.Direktur, request.Kasubdit, request.Operator, request.Station}
	for kind, may := range map[stock.Kind][]machine.Role{
		stock.Receipt: {request.Persuratan, request.Kasubdit, request.Operator}, stock.Test: {request.Kasubdit, request.Operator},
		stock.Return: {request.Persuratan, request.Kasubdit, request.Operator},
	} {
		for _, role := range everybody {
			_, err := book(o, 0, stock.Entry{Kind: kind, Source: stock.Spare, Quantity: 9999}, persotest.Person("x", role, "uji"))
			var wrong *machine.RoleError
			allowed := false
			for _, one := range may {
				allowed = allowed || one == role
			}
			if !allowed {
				require.ErrorAs(t, err, &wrong, "%s by %s", kind, role)
				continue
			}
			if kind == stock.Receipt {
				require.NoError(t, err)
				require.NoError(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { // as if it were not
					if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
						return err
					}
					_, err := tx.Exec(ctx, `DELETE FROM blank_movement`)
					return err
				}))
				continue
			}
			require.ErrorIs(t, err, stock.ErrTooFew, "%s by %s", kind, role)
		}
	}
	require.Equal(t, 3, number(t, o, `SELECT count(*) FROM audit WHERE action = 'blank.receive' AND request_id = $1 AND detail->>'reason' = 'uji'`, o.RequestID))
}

func TestTheBookIsOfWhatWasSeen(t *testing.T) {
	t.Parallel()
	o := counted(t, 2)
	m, err := book(o, 0, stock.Entry{Kind: stock.Receipt, Quantity: 4}, operator)
	require.NoError(t, err)
	_, err = book(o, 0, stock.Entry{Kind: stock.Receipt, Quantity: 4}, operator)
	require.ErrorIs(t, err, postgres.ErrStale, "the form was sent twice")
	require.Equal(t, 6, now(t, o).Received)
	_, err = book(o, 1, stock.Entry{Kind: stock.Test, Quantity: 3}, operator)
	require.NoError(t, err)
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stock.Reverse(ctx, tx, o.RequestID, m.ID, 2, operator)
		return err
	})
	require.ErrorIs(t, err, stock.ErrTooFew, "three of the four are test cards by now")
	for _, q := range []string{`UPDATE blank_movement SET quantity = 1`, `DELETE FROM blank_movement`} {
		require.ErrorContains(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), "never changed", q)
	}
}

func TestNothingIsTakenThatIsNotThere(t *testing.T) {
	t.Parallel()
	o := counted(t, 3)
	_, err := book(o, 0, stock.Entry{Kind: stock.Receipt, Quantity: 2}, operator)
	require.NoError(t, err)
	insert := func(kind, source string, quantity int) error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO blank_movement (id, request_id, ordinal, kind, source, quantity, happened, party, reason, booked_by, office_at)
				SELECT $1, $2, max(ordinal) + 1, $3, $4, $5, '2026-03-02', 'x', 'x', 'x', now() FROM blank_movement WHERE request_id = $2`, uuid.NewString(), o.RequestID, kind, source, quantity)
			return err
		})
	}
	for _, source := range []string{"spare", "reduced", "list"} {
		require.True(t, postgres.IsCheck(insert("return", source, 3), "blanks_are_there"), source)
	}
	require.True(t, postgres.IsCheck(insert("test", "spare", 3), "blanks_are_there"))
	require.Error(t, insert("test", "reduced", 1))
	require.Error(t, insert("receipt", "spare", 0))
	// Nor is a card put on the list in the place of another for which no blank came.
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO listed_card (id, request_id, row, serial, replaces)
			SELECT gen_random_uuid(), request_id, row + 100, serial || '-x', id FROM listed_card WHERE request_id = $1`, o.RequestID)
		return err
	})
	require.True(t, postgres.IsCheck(err, "blanks_are_there"), "three replacements of two blanks: %v", err)
	require.Equal(t, stock.Balance{Received: 5, Unused: 3, Spare: 2}, buckets(now(t, o)))
}

// TestTheLastBlankIsTakenOnce: by people who see the same book at once.
func TestTheLastBlankIsTakenOnce(t *testing.T) {
	t.Parallel()
	o := counted(t, 1)
	_, err := book(o, 0, stock.Entry{Kind: stock.Receipt, Quantity: 1}, operator)
	require.NoError(t, err)
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() { _, errs[i] = book(o, 1, stock.Entry{Kind: stock.Test, Quantity: 1}, operator) })
	}
	all.Wait()
	took := 0
	for _, err := range errs {
		if err == nil {
			took++
		}
	}
	require.Equal(t, 1, took, "%v", errs)
	require.Equal(t, stock.Balance{Received: 2, Unused: 1, Test: 1}, buckets(now(t, o)))
}

func TestARequestThatEndedGivesItsBlanksBack(t *testing.T) {
	t.Parallel()
	o := counted(t, 3)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`, `DELETE FROM card`, `UPDATE request SET state = 'registered'`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	require.Equal(t, stock.Balance{Received: 3, Unused: 3}, buckets(now(t, o)), "they wait with it")
	_, err := book(o, 0, stock.Entry{Kind: stock.Return, Source: stock.Listed, Quantity: 3}, operator)
	require.ErrorIs(t, err, stock.ErrTooFew)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, o.RequestID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Reject, persotest.Person("dirjen", request.Dirjen, "uji"))
		return err
	})
	require.Equal(t, stock.Balance{Received: 3, Spare: 3}, buckets(now(t, o)))
	_, err = book(o, 0, stock.Entry{Kind: stock.Receipt, Quantity: 1}, operator)
	require.ErrorIs(t, err, stock.ErrNotOpen)
	_, err = book(o, 0, stock.Entry{Kind: stock.Return, Source: stock.Listed, Quantity: 3}, operator)
	require.NoError(t, err)
	require.Equal(t, stock.Balance{Received: 3, Returned: 3}, buckets(now(t, o)))
}

// TestAMissingBlankIsAnAlarm: what was counted is compared with the cards.
func TestAMissingBlankIsAnAlarm(t *testing.T) {
	t.Parallel()
	o := counted(t, 3)
	scheduler := o.Database.Open(t, "sifilma_scheduler") // which raises it
	wrong, err := stock.Unbalanced(t.Context(), scheduler)
	require.NoError(t, err)
	require.Empty(t, wrong)
	count(t, o, o.RequestID, 4)
	require.Equal(t, 1, now(t, o).Difference)
	wrong, err = stock.Unbalanced(t.Context(), scheduler)
	require.NoError(t, err)
	require.Len(t, wrong, 1)
	require.Equal(t, o.RequestID, wrong[0].RequestID)
	sheet, err := stock.OnDay(t.Context(), o.DB, today)
	require.NoError(t, err)
	require.Equal(t, 1, sheet[0].Difference)
}

func destroy(o *persotest.Office, d stock.Destruction, c request.Change, ids ...string) (stock.Destruction, error) {
	d.Destroyed, d.Method = today, "dipotong melalui chip"
	if d.First.Name == "" {
		d.First, d.Second = stock.Signer{Name: "Pelaksana", Post: "Operator"}, stock.Signer{Name: "Saksi", Post: "Kasubdit KI"}
	}
	var made stock.Destruction
	err := o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = stock.Destroy(ctx, tx, o.RequestID, d, ids, c)
		return err
	})
	return made, err
}

func TestACardStandsInOneBeritaAcara(t *testing.T) {
	t.Parallel()
	o := counted(t, 4)
	fail(t, o, 3)
	_, err := destroy(o, stock.Destruction{}, operator)
	require.ErrorIs(t, err, stock.ErrNoCards)
	_, err = destroy(o, stock.Destruction{First: stock.Signer{Name: "Ani", Post: "x"}, Second: stock.Signer{Name: "ANI", Post: "y"}}, operator, o.CardIDs[0])
	require.ErrorIs(t, err, stock.ErrOnePerson)
	var wrong *machine.RoleError
	_, err = destroy(o, stock.Destruction{}, persotest.Person("x", request.Persuratan, "x"), o.CardIDs[0])
	require.ErrorAs(t, err, &wrong)
	var unfit *stock.UnfitError
	_, err = destroy(o, stock.Destruction{}, operator, o.CardIDs[0], o.CardIDs[3])
	require.ErrorAs(t, err, &unfit, "one of them has not failed")
	require.Equal(t, []stock.Unfit{{CardID: o.CardIDs[3], Why: "bukan kartu gagal atau rusak dari permohonan ini"}}, unfit.Cards)
	require.Zero(t, number(t, o, `SELECT (SELECT count(*) FROM destruction) + (SELECT count(*) FROM outbox WHERE type = 'cards.destroyed')`))

	first, err := destroy(o, stock.Destruction{}, operator, o.CardIDs[1], o.CardIDs[0])
	require.NoError(t, err)
	require.Equal(t, []string{o.Serials[0], o.Serials[1]}, []string{first.Cards[0].Serial, first.Cards[1].Serial}, "in the order of the list")
	require.Equal(t, "Kartu menolak", first.Cards[0].Cause)
	require.Equal(t, today, *first.Cards[0].Day)
	require.Equal(t, 1, number(t, o, `SELECT count(*) FROM outbox WHERE type = 'cards.destroyed' AND subject = $1 AND request_id = $2`, first.ID, o.RequestID))
	require.Equal(t, 1, number(t, o, `SELECT count(*) FROM audit WHERE action = 'blank.destroy' AND subject = $1`, first.ID))
	_, err = destroy(o, stock.Destruction{}, operator, o.CardIDs[1], o.CardIDs[2])
	require.ErrorAs(t, err, &unfit)
	require.Equal(t, "sudah tercantum dalam berita acara lain", unfit.Cards[0].Why)
	require.Equal(t, stock.Balance{Received: 4, Unused: 1, Failed: 3, Destroyed: 2}, buckets(now(t, o)))

	for _, q := range []string{
		`INSERT INTO destroyed_card (card_id, destruction_id, was, cause) SELECT '` + o.CardIDs[3] + `', id, 'failed', '' FROM destruction`,
		`UPDATE destruction SET first_name = 'Lain'`, `DELETE FROM destroyed_card`, `UPDATE destroyed_card SET cause = 'x'`, `DELETE FROM destruction`,
	} {
		require.Error(t, o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, q)
			return err
		}), q)
	}
	void := func() error {
		return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := stock.Void(ctx, tx, first.ID, operator)
			return err
		})
	}
	require.NoError(t, void())
	require.ErrorIs(t, void(), stock.ErrVoid)
	second, err := destroy(o, stock.Destruction{}, operator, o.CardIDs[:3]...)
	require.NoError(t, err)
	require.Equal(t, 2, second.Ordinal)
	require.Equal(t, 3, now(t, o).Destroyed)
	list, err := stock.Destructions(t.Context(), o.DB, o.RequestID)
	require.NoError(t, err)
	require.Equal(t, []int{2, 3}, []int{len(list[0].Cards), len(list[1].Cards)}, "a void one still tells what it was of")
	require.NotNil(t, list[0].VoidedAt)
}

// TestDrawnUpAtOnce: two people choose the same cards at once; one of them is told.
func TestDrawnUpAtOnce(t *testing.T) {
	t.Parallel()
	o := counted(t, 2)
	fail(t, o, 2)
	var all sync.WaitGroup
	errs := make([]error, 5)
	for i := range errs {
		all.Go(func() { _, errs[i] = destroy(o, stock.Destruction{}, operator, o.CardIDs...) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		var unfit *stock.UnfitError
		require.ErrorAs(t, err, &unfit)
	}
	require.Equal(t, 1, won)
	require.Equal(t, 2, number(t, o, `SELECT count(*) FROM destroyed_card`))
}

// TestHandedOverIsClear: also for whoever writes SQL.
func TestHandedOverIsClear(t *testing.T) {
	t.Parallel()
	o := counted(t, 2)
	fail(t, o, 1)
	for _, id := range o.CardIDs {
		err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO transition VALUES ('handover', '', 'prepare', 'prepared', true) ON CONFLICT DO NOTHING`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `WITH h AS (INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at)
				VALUES (gen_random_uuid(), $1, 1, 'prepared', 1, now()) RETURNING id) INSERT INTO handover_card SELECT $2, id FROM h`, o.RequestID, id)
			return err
		})
		require.True(t, postgres.IsCheck(err, "handover_card_clear"), "%v", err)
	}
}
