package request_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

var at = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func as(role machine.Role, reason ...string) request.Change {
	c := request.Change{Actor: machine.Actor{Name: string(role), Role: role}, OfficeAt: at}
	if len(reason) > 0 {
		c.Reason = reason[0]
	}
	return c
}

func open(t *testing.T) (*postgres.DB, request.New) {
	db := harness.DB(t)
	require.NoError(t, machine.Sync(t.Context(), db, request.Machine))
	n := request.New{Actor: machine.Actor{Name: "pic", Role: request.Produsen}, OfficeAt: at, Form: request.Form{
		Kind: request.KindReader, Reference: "001", Title: "Permohonan", SAMFunction: "R", CardCount: 3, MachineType: "uji",
		Letter: request.Letter{Sender: "PT", Post: "Direktur", Number: "1", Date: clock.MustParseDate("2026-11-20"), Subject: "perso"},
		Lines:  []request.Line{{Lembaga: "A", Quantity: 1}, {Lembaga: "B", Quantity: 2}},
		Orders: []request.PurchaseOrder{{Number: "PO1", From: "A", To: "PT", ReaderCount: 3}},
	}}
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "PT Produsen Contoh"})
		if err != nil {
			return err
		}
		n.InstitutionID = in.ID
		return institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "uji", Name: "Uji", SAMPattern: ".*", ReaderPattern: ".*"})
	}))
	return db, n
}

func create(t *testing.T, db *postgres.DB, n request.New) (r request.Request) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = request.Create(ctx, tx, n)
		return err
	}))
	return r
}

func take(t *testing.T, db *postgres.DB, r request.Request, verb machine.Verb, c request.Change) (request.Request, error) {
	t.Helper()
	var next request.Request
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		next, err = request.Take(ctx, tx, r, verb, c)
		return err
	})
	return next, err
}

func TestCreateReadsBackWhole(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	r := create(t, db, n)
	got, err := request.ByTicket(t.Context(), db, r.Ticket, n.InstitutionID)
	require.NoError(t, err)
	require.Equal(t, n.Form.Letter, got.Letter)
	require.Equal(t, "A dan B", got.LembagaNames())
	require.Len(t, got.Orders, 1)
	_, err = request.ByTicket(t.Context(), db, r.Ticket, "00000000-0000-0000-0000-000000000000")
	require.ErrorIs(t, err, request.ErrNotFound, "another institution's")

	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.Create(ctx, tx, n)
		return err
	})
	require.ErrorIs(t, err, request.ErrReferenceUsed)
	n.Form.Reference, n.Form.MachineType = "002", "tidak ada"
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.Create(ctx, tx, n)
		return err
	})
	require.ErrorIs(t, err, request.ErrUnknownMachineType)

	timeline, err := machine.Timeline(t.Context(), db, r.ID)
	require.NoError(t, err)
	require.Len(t, timeline, 1)
	var bells int
	require.NoError(t, db.Get(t.Context(), &bells, `SELECT count(*) FROM outbox WHERE type='request.submitted' AND subject=$1`, r.ID))
	require.Equal(t, 1, bells)
}

func TestCreateAllIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	all := make([]request.New, 5)
	for i := range all {
		all[i] = n
		all[i].Form.Reference = fmt.Sprint("banyak ", i)
		all[i].Form.Lines = n.Form.Lines[:i%3]
	}
	var made []request.Request
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, err = request.CreateAll(ctx, tx, all)
		return err
	}))
	for i, r := range made {
		got, err := request.ByTicket(t.Context(), db, r.Ticket, "")
		require.NoError(t, err)
		require.Equal(t, r.ID, got.ID)
		require.Equal(t, all[i].Form.Reference, got.Reference)
		require.Len(t, got.Lines, i%3)
		require.Len(t, got.Orders, 1)
		if i > 0 {
			require.Greater(t, r.Ticket, made[i-1].Ticket)
		}
	}
	all[0].Form.Reference = "baru"
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.CreateAll(ctx, tx, all)
		return err
	})
	require.ErrorIs(t, err, request.ErrReferenceUsed)
	for table, want := range map[string]int{"request": 5, "history": 5, "outbox": 5, "purchase_order": 5} {
		var n int
		require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM `+table))
		require.Equal(t, want, n, table)
	}
}

// TestFactsRegisterInAnyOrder states the four facts in each of their orders.
func TestFactsRegisterInAnyOrder(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	facts := []struct {
		name   string
		role   machine.Role
		detail map[string]any
	}{
		{request.FactValidated, request.Validator, nil}, {request.FactLetterReceived, request.Persuratan, nil},
		{request.FactBlanksCounted, request.Operator, map[string]any{"count": 3}}, {request.FactCompared, request.Operator, nil},
	}
	for i := range 24 {
		order := rand.New(rand.NewPCG(uint64(i), 1)).Perm(4)
		n.Form.Reference = fmt.Sprint("urutan ", i)
		r := create(t, db, n)
		for _, k := range order {
			f := facts[k]
			err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				if f.name == request.FactValidated {
					now, err := request.Get(ctx, tx, r.ID)
					if err != nil {
						return err
					}
					if _, err := request.Take(ctx, tx, now, request.Validate, as(request.Validator)); err != nil {
						return err
					}
				}
				_, err := request.State(ctx, tx, r.ID, f.name, f.detail, as(f.role))
				return err
			})
			require.NoError(t, err)
		}
		got, err := request.Get(t.Context(), db, r.ID)
		require.NoError(t, err)
		require.Equal(t, request.Registered, got.State, "order %v", order)
	}
}

func TestFactsAreRefused(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	r := create(t, db, n)
	state := func(name string, detail map[string]any, c request.Change) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := request.State(ctx, tx, r.ID, name, detail, c)
			return err
		})
	}
	require.ErrorIs(t, state(request.FactBlanksCounted, map[string]any{"count": 2}, as(request.Operator)), request.ErrBlanksDiffer)
	var role *machine.RoleError
	require.ErrorAs(t, state(request.FactLetterReceived, nil, as(request.Produsen)), &role)
	require.ErrorIs(t, state(request.FactDisposed, nil, as(request.Direktur)), request.ErrTooLate)
}

func TestStaleAndIllegalStepsChangeNothing(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	r := create(t, db, n)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { _, errs[i] = take(t, db, r, request.Validate, as(request.Validator)) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, postgres.ErrStale)
		}
	}
	require.Equal(t, 1, won, "one of eight may win")

	var illegal *machine.IllegalError
	_, err := take(t, db, r, request.Accept, as(request.Kasubdit))
	require.ErrorAs(t, err, &illegal)

	// SQL refuses the same, whoever asks.
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE request SET state='approved', version=version+1 WHERE id=$1`, r.ID)
		return err
	})
	require.Equal(t, "legal_transition", postgres.Constraint(err))
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE request SET state='cancelled' WHERE id=$1`, r.ID)
		return err
	})
	require.Equal(t, "version_step", postgres.Constraint(err))
}

func TestReturnWantsAReasonAndVoidsFacts(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	r := create(t, db, n)
	r, err := take(t, db, r, request.Validate, as(request.Validator))
	require.NoError(t, err)
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.State(ctx, tx, r.ID, request.FactLetterReceived, nil, as(request.Persuratan))
		return err
	}))
	_, err = take(t, db, r, request.Return, as(request.Operator))
	require.ErrorIs(t, err, request.ErrReasonMissing)
	r, err = take(t, db, r, request.Return, as(request.Operator, "jumlah berbeda"))
	require.NoError(t, err)
	facts, err := request.Facts(t.Context(), db, r.ID)
	require.NoError(t, err)
	require.Empty(t, facts)

	n.Form.CardCount = 4
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.Correct(ctx, tx, r, n.Form, nil, as(request.Produsen))
		return err
	}))
	got, err := request.Get(t.Context(), db, r.ID)
	require.NoError(t, err)
	require.Equal(t, request.Resubmitted, got.State)
	require.Equal(t, 2, got.Submission)
	require.Equal(t, 4, got.CardCount)
}

// A submission may be compared and counted before it is checked. When the check
// sends it back, that says nothing of the next one.
func TestCorrectionVoidsWhatWasStatedBeforeTheCheck(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	r := create(t, db, n)
	state := func() {
		for fact, role := range map[string]machine.Role{
			request.FactLetterReceived: request.Persuratan, request.FactBlanksCounted: request.Persuratan, request.FactCompared: request.Operator,
		} {
			require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := request.State(ctx, tx, r.ID, fact, map[string]any{"count": n.Form.CardCount}, as(role))
				return err
			}))
		}
	}
	stated := func() (names []string) {
		facts, err := request.Facts(t.Context(), db, r.ID)
		require.NoError(t, err)
		for _, f := range facts {
			names = append(names, f.Fact)
		}
		return names
	}
	sendBack := func() {
		var err error
		r, err = take(t, db, r, request.Return, as(request.Validator, "ada kesalahan"))
		require.NoError(t, err)
		require.Equal(t, []string{request.FactLetterReceived}, stated(), "the letter lies in the office all the same")
	}
	correct := func() {
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
			r, err = request.Correct(ctx, tx, r, n.Form, nil, as(request.Produsen))
			return err
		}))
	}
	state()
	sendBack()
	n.Form.CardCount++
	correct()
	require.Equal(t, []string{request.FactLetterReceived}, stated())
	state()
	sendBack()
	n.Form.Number += "/b" // another letter, which nobody has seen
	correct()
	require.Empty(t, stated())
}

func TestTicketFindsTypingErrors(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ticket := request.NewTicket(rapid.IntRange(2020, 2099).Draw(t, "year"), rapid.Int64Range(1, 9_999_999).Draw(t, "number"))
		back, ok := request.ParseTicket(" " + ticket + " ")
		require.True(t, ok)
		require.Equal(t, ticket, back)
		i := rapid.IntRange(5, len(ticket)-1).Draw(t, "place")
		digit := byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		if ticket[i] == '-' || ticket[i] == digit {
			return
		}
		_, ok = request.ParseTicket(ticket[:i] + string(digit) + ticket[i+1:])
		require.False(t, ok, "a wrong digit at %d passed", i)
	})
}

// TestRandomWalkStaysInTheTable takes random verbs by random roles: what Go
// allows SQL allows, and the state is always one of the table.
func TestRandomWalkStaysInTheTable(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	verbs := []machine.Verb{request.Validate, request.Return, request.Resubmit, request.Register, request.Approve, request.Accept,
		request.Schedule, request.Start, request.Finish, request.Reject, request.Cancel, request.Hold, request.Release}
	roles := []machine.Role{request.Produsen, request.Persuratan, request.Dirjen, request.Direktur, request.Kasubdit, request.Operator, request.Validator, request.Scheduler}
	random := rand.New(rand.NewPCG(7, 7))
	n.Form.Reference = "jalan"
	r := create(t, db, n)
	for range 300 {
		if request.Machine.Final(r.State) {
			n.Form.Reference += "x"
			r = create(t, db, n)
		}
		verb, role := verbs[random.IntN(len(verbs))], roles[random.IntN(len(roles))]
		next, err := take(t, db, r, verb, as(role, "uji"))
		if err != nil {
			var illegal *machine.IllegalError
			var wrong *machine.RoleError
			require.True(t, errors.As(err, &illegal) || errors.As(err, &wrong) || errors.Is(err, request.ErrNotDisposed), "%v", err)
			continue
		}
		r = next
	}
}
