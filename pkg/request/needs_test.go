package request_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// asked makes approved needs of a lembaga and a form that bundles them.
func asked(t *testing.T, db *postgres.DB, n request.New, count int) ([]need.Need, request.New) {
	t.Helper()
	require.NoError(t, machine.Sync(t.Context(), db, need.Machine))
	var made []need.Need
	require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		made = nil
		bank, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		if err != nil {
			return err
		}
		for i := range count {
			one, err := need.Create(ctx, tx, bank.ID, need.Form{
				Reference: fmt.Sprint("AKT-", i), Produsen: "PT Produsen Contoh", Title: "Perso", Quantity: 5, MachineType: "uji",
			}, nil, need.Change{Actor: machine.Actor{Name: "bank", Role: need.Lembaga}, OfficeAt: at})
			if err != nil {
				return err
			}
			one, err = need.Take(ctx, tx, one, need.Approve, need.Change{Actor: machine.Actor{Name: "pic", Role: need.Produsen}, OfficeAt: at})
			if err != nil {
				return err
			}
			made = append(made, one)
		}
		return nil
	}))
	n.Form.Lines = nil
	for _, one := range made {
		n.Form.Lines = append(n.Form.Lines, request.Line{Lembaga: "PT Bank Contoh", Quantity: 3, Need: one.Number})
	}
	return made, n
}

// bundledIn is the state of a need and the request that has it.
func bundledIn(t *testing.T, db *postgres.DB, n need.Need) (machine.State, string) {
	t.Helper()
	got, err := need.ByNumber(t.Context(), db, n.Number, "")
	require.NoError(t, err)
	if got.RequestID == nil {
		return got.State, ""
	}
	return got.State, *got.RequestID
}

func TestALineBundlesANeed(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	needs, n := asked(t, db, n, 2)
	n.Form.Lines = append(n.Form.Lines, request.Line{Lembaga: "Lain", Quantity: 1})
	r := create(t, db, n)
	for _, one := range needs {
		state, in := bundledIn(t, db, one)
		require.Equal(t, need.Bundled, state)
		require.Equal(t, r.ID, in)
	}
	got, err := request.ByTicket(t.Context(), db, r.Ticket, "")
	require.NoError(t, err)
	require.Equal(t, []string{needs[0].Number, needs[1].Number, ""}, []string{got.Lines[0].Need, got.Lines[1].Need, got.Lines[2].Need})
	var audited int
	require.NoError(t, db.Get(t.Context(), &audited, `SELECT count(*) FROM audit WHERE action = 'need.bundle' AND request_id = $1`, r.ID))
	require.Equal(t, 2, audited)

	n.Form.Reference = "002"
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := request.Create(ctx, tx, n)
		return err
	})
	var refused *need.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, []need.Fault{{Line: 0, Code: need.FaultBundled}, {Line: 1, Code: need.FaultBundled}}, refused.Faults)
	require.Equal(t, 1, count(t, db, "request"))
}

func TestAnEndedRequestGivesNeedsBack(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	needs, n := asked(t, db, n, 2)
	first := create(t, db, n)
	_, err := take(t, db, first, request.Cancel, as(request.Produsen, "salah"))
	require.NoError(t, err)
	for _, one := range needs {
		state, in := bundledIn(t, db, one)
		require.Equal(t, need.Approved, state)
		require.Empty(t, in)
	}
	n.Form.Reference = "002"
	second := create(t, db, n)
	_, in := bundledIn(t, db, needs[0])
	require.Equal(t, second.ID, in)
	got, err := request.ByTicket(t.Context(), db, first.Ticket, "")
	require.NoError(t, err)
	require.Equal(t, needs[0].Number, got.Lines[0].Need, "what it was made for stays to be read")

	var reasons []string
	require.NoError(t, db.Select(t.Context(), &reasons, `SELECT reason FROM history WHERE machine = 'need' AND verb = 'release'`))
	require.Equal(t, []string{"", ""}, reasons, "why the produsen took it back is not the lembaga's business")
}

func TestACorrectionRebundles(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	needs, n := asked(t, db, n, 3)
	lines := n.Form.Lines
	n.Form.Lines = lines[:2]
	r := create(t, db, n)
	r, err := take(t, db, r, request.Return, as(request.Validator, "temuan"))
	require.NoError(t, err)
	state, _ := bundledIn(t, db, needs[0])
	require.Equal(t, need.Bundled, state, "a request that is returned keeps what it has")

	correct := func(f request.Form) error {
		return db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := request.Correct(ctx, tx, r, f, nil, as(request.Produsen))
			return err
		})
	}
	f := n.Form
	f.Lines = slices.Clone(lines[1:])
	f.Lines[0].Quantity = 6
	var refused *need.RefusedError
	require.ErrorAs(t, correct(f), &refused)
	require.Equal(t, []need.Fault{{Line: 0, Code: need.FaultTooMany}}, refused.Faults, "also of a need that it has")
	f.Lines[0].Quantity = 5
	require.NoError(t, correct(f))
	for i, want := range []machine.State{need.Approved, need.Bundled, need.Bundled} {
		state, _ := bundledIn(t, db, needs[i])
		require.Equal(t, want, state, i)
	}
	var versions []int64
	require.NoError(t, db.Select(t.Context(), &versions, `SELECT version FROM need ORDER BY number`))
	require.Equal(t, []int64{4, 3, 3}, versions, "one that stays takes no step")
}

// Many requests want one need at once: one has it, the others are told.
func TestARaceForANeed(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	needs, n := asked(t, db, n, 2)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		mine := n
		mine.Form.Lines = slices.Clone(n.Form.Lines)
		if i%2 == 1 {
			slices.Reverse(mine.Form.Lines)
		}
		mine.Form.Reference = fmt.Sprint("R-", i)
		wg.Go(func() {
			errs[i] = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				_, err := request.Create(ctx, tx, mine)
				return err
			})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		var refused *need.RefusedError
		require.ErrorAs(t, err, &refused)
	}
	require.LessOrEqual(t, won, 1)
	require.Equal(t, won, count(t, db, "request"))
	_, a := bundledIn(t, db, needs[0])
	_, b := bundledIn(t, db, needs[1])
	require.Equal(t, a, b, "both or none")
	require.Equal(t, won == 1, a != "")
}

// SQL itself refuses a need that is bundled in a request without a line for it.
func TestABundledNeedHasItsLine(t *testing.T) {
	t.Parallel()
	db, n := open(t)
	needs, with := asked(t, db, n, 1)
	without := n
	without.Form.Reference = "tanpa"
	r := create(t, db, without)
	err := db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE need SET state='bundled', version=version+1, request_id=$2 WHERE id=$1`, needs[0].ID, r.ID)
	})
	require.Equal(t, "need_bundled_line", postgres.Constraint(err))
	bundled := create(t, db, with)
	err = db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `DELETE FROM request_line WHERE request_id=$1`, bundled.ID)
	})
	require.Equal(t, "need_bundled_line", postgres.Constraint(err))
}

func count(t *testing.T, db *postgres.DB, table string) (n int) {
	t.Helper()
	require.NoError(t, db.Get(t.Context(), &n, `SELECT count(*) FROM `+table))
	return n
}
