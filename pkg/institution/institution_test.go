package institution_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

func TestWhatAPKSIsOnADay(t *testing.T) {
	t.Parallel()
	day := clock.MustParseDate
	p := institution.PKS{State: institution.PKSInForce, ValidFrom: day("2026-01-02"), ValidTo: day("2026-12-30")}
	for on, want := range map[string]string{
		"2026-01-01": institution.PKSNotYet, "2026-01-02": institution.PKSInForce, "2026-12-30": institution.PKSInForce, "2026-12-31": institution.PKSExpired,
	} {
		require.Equal(t, want, p.On(day(on)), on)
		require.Equal(t, want == institution.PKSInForce, p.InForce(day(on)), on)
	}
	p.State = institution.PKSWithdrawn
	require.Equal(t, institution.PKSWithdrawn, p.On(day("2026-12-31")))
}

func TestANameStaysItsOwners(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	tx := func(fn func(ctx context.Context, tx *postgres.Tx) error) error { return db.InTx(ctx, fn) }
	var first institution.Institution
	require.NoError(t, tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		first, err = institution.Create(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT. Bank-Contoh, Tbk"})
		return err
	}))
	require.NoError(t, tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		again := first
		again.Name = "PT BANK CONTOH TBK" // written otherwise, the same name
		first, err = institution.Change(ctx, tx, again)
		return err
	}))
	require.NoError(t, tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		again := first
		again.Name = "PT Bank Nusantara"
		first, err = institution.Change(ctx, tx, again)
		return err
	}))
	for _, name := range []string{"pt bank contoh tbk", "PT. Bank-Contoh, Tbk", "PT BANK NUSANTARA"} {
		in, err := institution.ByName(ctx, db, name)
		require.NoError(t, err, name)
		require.Equal(t, first.ID, in.ID, name)
	}
	names, err := institution.FormerNames(ctx, db, first.ID)
	require.NoError(t, err)
	require.Equal(t, []string{"PT. Bank-Contoh, Tbk"}, names)
	var faults form.Faults
	require.ErrorAs(t, tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := institution.Create(ctx, tx, institution.Institution{Kind: institution.Produsen, Name: "pt.bank.contoh.tbk"})
		return err
	}), &faults)
	require.Equal(t, "/name", faults[0].Pointer)
	_, err = institution.ByName(ctx, db, "...")
	require.ErrorIs(t, err, institution.ErrNotFound)
}

// Setting up again brings back nothing that people took out of use.
func TestAWithdrawnPKSStaysWithdrawn(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	p := institution.PKS{Number: "PKS/1", State: institution.PKSInForce, ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: clock.MustParseDate("2026-12-31")}
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		if err != nil {
			return err
		}
		p.InstitutionID = in.ID
		if err := institution.EnsurePKS(ctx, tx, p); err != nil {
			return err
		}
		made, err := institution.PKSByNumber(ctx, tx, p.Number)
		if err != nil {
			return err
		}
		_, err = institution.WithdrawPKS(ctx, tx, made.ID, made.Version, p.ValidFrom, p.ValidTo, "diakhiri", "operator")
		return err
	}))
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return institution.EnsurePKS(ctx, tx, p) }))
	made, err := institution.PKSByNumber(ctx, db, p.Number)
	require.NoError(t, err)
	require.Equal(t, institution.PKSWithdrawn, made.State)
	err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return institution.HoldPKS(ctx, tx, p.Number, p.ValidTo)
	})
	var lapsed *institution.NotInForceError
	require.ErrorAs(t, err, &lapsed)
	require.NotNil(t, lapsed.PKS)
}

// Of two who withdraw the last two agreements of a lembaga at once, the second knows that
// none is left: what hangs on it, as the readers do, is stopped by one of them.
func TestTheLastOfTwoWithdrawalsIsKnown(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	day, last := clock.MustParseDate("2026-11-23"), clock.MustParseDate("2026-12-31")
	var made [2]institution.PKS
	require.NoError(t, db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.Ensure(ctx, tx, institution.Institution{Kind: institution.Lembaga, Name: "PT Bank Contoh"})
		for i := range made {
			if err == nil {
				err = institution.EnsurePKS(ctx, tx, institution.PKS{Number: fmt.Sprintf("PKS/%d", i), InstitutionID: in.ID, State: institution.PKSInForce,
					ValidFrom: clock.MustParseDate("2026-01-01"), ValidTo: last})
			}
			if err == nil {
				made[i], err = institution.PKSByNumber(ctx, tx, fmt.Sprintf("PKS/%d", i))
			}
		}
		return err
	}))
	covered := func(i int, then func()) (left bool, err error) {
		err = db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			p, err := institution.WithdrawPKS(ctx, tx, made[i].ID, made[i].Version, day, day, "diakhiri", "operator")
			if err != nil {
				return err
			}
			then()
			all, err := institution.Covered(ctx, tx, []string{p.InstitutionID}, day)
			left = all[p.InstitutionID]
			return err
		})
		return left, err
	}
	second := make(chan bool, 1)
	first, err := covered(0, func() {
		go func() {
			left, err := covered(1, func() {})
			second <- left || err != nil
		}()
		require.Eventually(t, func() bool {
			var waiting int
			err := db.Get(ctx, &waiting, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
			return err == nil && (waiting == 1 || len(second) == 1)
		}, 30*time.Second, 10*time.Millisecond)
	})
	require.NoError(t, err)
	require.True(t, first, "the other one is in force still")
	require.False(t, <-second, "none is left")
}
