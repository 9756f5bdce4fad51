package need_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

var at = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func as(role machine.Role, reason string) need.Change {
	return need.Change{Actor: machine.Actor{Name: string(role), Role: role}, Reason: reason, OfficeAt: at}
}

// office is a database with one lembaga and two produsen.
type office struct {
	*postgres.DB
	lembaga, produsen, other string
	made                     int
}

func open(t *testing.T) *office {
	t.Helper()
	o := &office{DB: harness.DB(t)}
	require.NoError(t, machine.Sync(t.Context(), o.DB, need.Machine))
	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for id, in := range map[*string]institution.Institution{
			&o.lembaga:  {Kind: institution.Lembaga, Name: "PT Bank Contoh"},
			&o.produsen: {Kind: institution.Produsen, Name: "PT Produsen Contoh"},
			&o.other:    {Kind: institution.Produsen, Name: "PT Produsen Lain"},
		} {
			in, err := institution.Ensure(ctx, tx, in)
			if err != nil {
				return err
			}
			*id = in.ID
		}
		for _, code := range []string{"uji", "lain"} {
			if err := institution.SeedMachineType(ctx, tx, institution.MachineType{Code: code, Name: code, SAMPattern: ".*", ReaderPattern: ".*"}); err != nil {
				return err
			}
		}
		return nil
	}))
	return o
}

func (o *office) form() need.Form {
	o.made++
	return need.Form{Reference: fmt.Sprint("AKT-", o.made), Produsen: "pt produsen contoh", Title: "Perso", Quantity: 10, MachineType: "uji", Remarks: "segera"}
}

func (o *office) create(t *testing.T, f need.Form) (n need.Need, err error) {
	t.Helper()
	err = o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		n, err = need.Create(ctx, tx, o.lembaga, f, nil, as(need.Lembaga, ""))
		return err
	})
	return n, err
}

func (o *office) take(t *testing.T, n need.Need, verb machine.Verb, c need.Change) (next need.Need, err error) {
	t.Helper()
	err = o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		next, err = need.Take(ctx, tx, n, verb, c)
		return err
	})
	return next, err
}

func (o *office) approved(t *testing.T) need.Need {
	t.Helper()
	n, err := o.create(t, o.form())
	require.NoError(t, err)
	n, err = o.take(t, n, need.Approve, as(need.Produsen, ""))
	require.NoError(t, err)
	return n
}

func (o *office) claims(n need.Need) need.Claims {
	return need.Claims{ProdusenID: o.produsen, MachineType: "uji", Lines: []need.Claim{{Number: n.Number, Lembaga: "PT Bank Contoh", Quantity: 10}}}
}

func TestCreateReadsBack(t *testing.T) {
	t.Parallel()
	o := open(t)
	f := o.form()
	n, err := o.create(t, f)
	require.NoError(t, err)
	require.Regexp(t, `^PLP-2026-000001-[0-9]$`, n.Number)
	got, err := need.ByNumber(t.Context(), o, n.Number, o.produsen)
	require.NoError(t, err)
	require.Equal(t, "PT Produsen Contoh", got.Produsen)
	require.Equal(t, "PT Bank Contoh", got.Lembaga)
	require.Equal(t, f.Quantity, got.Quantity)
	for who, want := range map[string]error{o.lembaga: nil, "": nil, o.other: need.ErrNotFound} {
		_, err = need.ByNumber(t.Context(), o, n.Number, who)
		require.ErrorIs(t, err, want)
		list, err := need.List(t.Context(), o, need.Filter{InstitutionID: who})
		require.NoError(t, err)
		require.Len(t, list, map[bool]int{true: 1, false: 0}[want == nil])
		counts, err := need.Count(t.Context(), o, need.Filter{InstitutionID: who})
		require.NoError(t, err)
		require.Len(t, counts, len(list))
	}

	_, err = o.create(t, f)
	require.ErrorIs(t, err, need.ErrReferenceUsed)
	f = o.form()
	f.Produsen = "PT Bank Contoh"
	_, err = o.create(t, f)
	require.ErrorIs(t, err, need.ErrUnknownProdusen, "a lembaga makes no readers")
	f = o.form()
	f.MachineType = "tidak ada"
	_, err = o.create(t, f)
	require.ErrorIs(t, err, need.ErrUnknownMachineType)

	f = o.form()
	o.disuse(t, func(ctx context.Context, tx *postgres.Tx) error {
		m, err := institution.MachineTypeByCode(ctx, tx, f.MachineType)
		if err == nil {
			_, err = institution.SetMachineTypeActive(ctx, tx, m.Code, m.Version, false)
		}
		return err
	})
	_, err = o.create(t, f)
	require.ErrorIs(t, err, need.ErrInactiveMachineType)
	o.disuse(t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.ByName(ctx, tx, f.Produsen)
		if err == nil {
			_, err = institution.SetActive(ctx, tx, in.ID, in.Version, false)
		}
		return err
	})
	_, err = o.create(t, f)
	require.ErrorIs(t, err, need.ErrInactiveProdusen)
}

func (o *office) disuse(t *testing.T, f func(context.Context, *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.InTx(t.Context(), f))
}

func TestReturnedComesBackUnderItsNumber(t *testing.T) {
	t.Parallel()
	o := open(t)
	first := o.form()
	n, err := o.create(t, first)
	require.NoError(t, err)
	for _, verb := range []machine.Verb{need.Return, need.Reject} {
		_, err = o.take(t, n, verb, as(need.Produsen, ""))
		require.ErrorIs(t, err, need.ErrReasonMissing)
	}
	n, err = o.take(t, n, need.Return, as(need.Produsen, "jumlah keliru"))
	require.NoError(t, err)
	f := o.form()
	f.Quantity = 7
	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		n, err = need.Correct(ctx, tx, n, need.Resubmit, need.Correction{Form: f}, as(need.Lembaga, ""))
		return err
	}))
	got, err := need.ByNumber(t.Context(), o, n.Number, o.lembaga)
	require.NoError(t, err)
	require.Equal(t, 7, got.Quantity)
	require.Equal(t, first.Reference, got.Reference, "its own number stays")
	require.Equal(t, need.Submitted, got.State)
	require.Equal(t, 2, got.Submission)
	require.EqualValues(t, 3, got.Version)
}

// No order of verbs leads to a state that the table does not have, whoever tries,
// and SQL refuses what Go would.
func TestOnlyTheTablesStepsAreTaken(t *testing.T) {
	t.Parallel()
	o := open(t)
	verbs := []machine.Verb{need.Edit, need.Approve, need.Return, need.Reject, need.Cancel, need.Resubmit, need.Bundle, need.Release}
	rapid.Check(t, func(rt *rapid.T) {
		n, err := o.create(t, o.form())
		require.NoError(rt, err)
		for range rapid.IntRange(1, 4).Draw(rt, "steps") {
			verb := rapid.SampledFrom(verbs).Draw(rt, "verb")
			role := rapid.SampledFrom([]machine.Role{need.Lembaga, need.Produsen, "operator"}).Draw(rt, "role")
			may := need.Machine.May(n.State, verb, role)
			if verb == need.Bundle || verb == need.Release {
				continue // they go with a request
			}
			next, err := o.take(t, n, verb, as(role, "sebab"))
			if may != nil {
				require.Equal(rt, may, err)
				continue
			}
			require.NoError(rt, err)
			step, err := need.Machine.Find(n.State, verb)
			require.NoError(rt, err)
			require.Equal(rt, step.To, next.State)
			n = next
		}
		for _, state := range append(need.Machine.States(), "nowhere") {
			err := o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
				return tx.ExecOne(ctx, `UPDATE need SET state=$2, version=version+1, title=title WHERE id=$1`, n.ID, string(state))
			})
			legal := state == n.State
			for _, s := range need.Machine.Steps {
				legal = legal || s.From == n.State && s.To == state
			}
			if !legal {
				require.Equal(rt, "legal_transition", postgres.Constraint(err), "%s to %s", n.State, state)
				continue
			}
			if state == need.Bundled {
				require.Equal(rt, "need_check1", postgres.Constraint(err), "no request has it")
				continue
			}
			require.NoError(rt, err)
			return
		}
	})
}

func TestWhatWasApprovedStaysAsItIs(t *testing.T) {
	t.Parallel()
	o := open(t)
	n := o.approved(t)
	for _, change := range []string{"quantity = 11", "machine_type = 'lain'", "title = 'x'", "remarks = 'x'", "submission = 9",
		"reference = 'x'", "number = 'x'", "produsen_id = lembaga_id", "created_by = 'x'"} {
		err := o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE need SET `+change+` WHERE id=$1`, n.ID)
		})
		require.Contains(t, []string{"need_fixed", "need_check"}, postgres.Constraint(err), change)
	}
}

func TestClaimsAreJudged(t *testing.T) {
	t.Parallel()
	o := open(t)
	good := o.approved(t)
	asked, err := o.create(t, o.form())
	require.NoError(t, err)
	judge := func(c need.Claims) (faults []need.Fault) {
		require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			refused, err := need.Judge(ctx, tx, []need.Claims{c})
			require.Len(t, refused, 1)
			if e := (*need.RefusedError)(nil); errors.As(refused[0], &e) {
				require.False(t, e.Busy())
				faults = e.Faults
			}
			return err
		}))
		looked, err := need.Look(t.Context(), o, c)
		require.NoError(t, err)
		require.Equal(t, faults, looked, "the check before sending says the same")
		return faults
	}
	require.Empty(t, judge(o.claims(good)))
	for code, edit := range map[string]func(*need.Claims){
		need.FaultUnknown: func(c *need.Claims) { c.ProdusenID = o.other },
		need.FaultMachine: func(c *need.Claims) { c.MachineType = "lain" },
		need.FaultLembaga: func(c *need.Claims) { c.Lines[0].Lembaga = "PT Bank Lain" },
		need.FaultTooMany: func(c *need.Claims) { c.Lines[0].Quantity = 11 },
		need.FaultState:   func(c *need.Claims) { c.Lines[0].Number = asked.Number },
		need.FaultRepeat:  func(c *need.Claims) { c.Lines = append([]need.Claim{c.Lines[0]}, c.Lines...) },
	} {
		c := o.claims(good)
		edit(&c)
		faults := judge(c)
		require.Len(t, faults, 1, code)
		require.Equal(t, code, faults[0].Code)
	}
	fewer := o.claims(good)
	fewer.Lines[0].Quantity, fewer.Lines[0].Lembaga = 3, "  pt bank  CONTOH "
	require.Empty(t, judge(fewer))
	o.disuse(t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.ByName(ctx, tx, "PT Bank Contoh")
		if err == nil {
			in.Name = "PT Bank Contoh Nusantara"
			_, err = institution.Change(ctx, tx, in)
		}
		return err
	})
	require.Empty(t, judge(fewer), "written before the change of name")
	fewer.Lines[0].Lembaga = "PT Bank Contoh Nusantara"
	require.Empty(t, judge(fewer))
	missing := o.claims(good)
	missing.Lines[0].Number = "PLP-2026-999999-0"
	require.Equal(t, need.FaultUnknown, judge(missing)[0].Code)
}

// Two transactions claim one need: the second is not kept waiting, and is told
// that somebody has it.
func TestAClaimWaitsForNobody(t *testing.T) {
	t.Parallel()
	o := open(t)
	n := o.approved(t)
	holds, done := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			_, err := need.Judge(ctx, tx, []need.Claims{o.claims(n)})
			close(holds)
			<-done
			return err
		})
	})
	<-holds
	err := o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		refused, err := need.Judge(ctx, tx, []need.Claims{o.claims(n)})
		if err != nil {
			return err
		}
		return refused[0]
	})
	close(done)
	wg.Wait()
	var e *need.RefusedError
	require.ErrorAs(t, err, &e)
	require.True(t, e.Busy())
}

// A stranger who names a need learns nothing, and holds nobody up.
func TestAStrangersClaimHoldsNothing(t *testing.T) {
	t.Parallel()
	o := open(t)
	n := o.approved(t)
	require.NoError(t, o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		foreign := o.claims(n)
		foreign.ProdusenID = o.other
		refused, err := need.Judge(ctx, tx, []need.Claims{foreign})
		require.NoError(t, err)
		var why *need.RefusedError
		require.ErrorAs(t, refused[0], &why)
		require.Equal(t, need.FaultUnknown, why.Faults[0].Code)
		return o.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { // beside it
			refused, err := need.Judge(ctx, tx, []need.Claims{o.claims(n)})
			require.NoError(t, err)
			require.NoError(t, refused[0])
			return nil
		})
	}))
}
