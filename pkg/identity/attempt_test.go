package identity_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/test/harness"
)

// Sixty guesses at once were all judged, for the lock was read before the slow
// hash and written after it.
func TestManyGuessesAtOnceAreFive(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "operator", Name: "Operator KI", Role: "operator"}, "benar sekali"))
	for _, username := range []string{"operator", "tidak-ada"} {
		var judged, locked atomic.Int64
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				_, err := identity.Authenticate(ctx, db, identity.Login{Username: username, Password: "salah", From: "203.0.113.7"}, noon)
				switch {
				case errors.Is(err, identity.ErrRefused):
					judged.Add(1)
				case errors.Is(err, identity.ErrLocked):
					locked.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, identity.MaxFailures, judged.Load(), username)
		require.EqualValues(t, 60-identity.MaxFailures, locked.Load(), username)
	}
}

// A good login forgets what went before, but lifts no lock that others ran into.
func TestWhatAGoodLoginForgets(t *testing.T) {
	t.Parallel()
	database := harness.NewDatabase(t)
	ctx, db := t.Context(), database.Open(t, "")
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "operator", Name: "Operator KI", Role: "operator"}, "benar sekali"))
	try := func(password string) error {
		_, err := identity.Authenticate(ctx, db, identity.Login{Username: "operator", Password: password, From: "203.0.113.7"}, noon)
		return err
	}
	for range 3 {
		for range identity.MaxFailures - 1 {
			require.ErrorIs(t, try("salah"), identity.ErrRefused)
		}
		require.NoError(t, try("benar sekali"))
	}
	var left int
	require.NoError(t, db.Get(ctx, &left, `SELECT coalesce(sum(attempts), 0) FROM login_attempt WHERE source <> '*'`))
	require.Zero(t, left)
	list, err := identity.People(ctx, db, identity.PeopleFilter{Limit: 1})
	require.NoError(t, err)
	require.Nil(t, list[0].LockedUntil)
	for range identity.MaxFailures {
		require.ErrorIs(t, try("salah"), identity.ErrRefused)
	}
	require.ErrorIs(t, try("benar sekali"), identity.ErrLocked)
	list, err = identity.People(ctx, db, identity.PeopleFilter{Limit: 1})
	require.NoError(t, err)
	require.True(t, noon.Add(identity.LockFor).Equal(*list[0].LockedUntil))
	gone, err := identity.PruneSessions(ctx, database.Open(t, "sifilma_scheduler"), noon.Add(2*time.Hour+identity.EverybodyFor))
	require.NoError(t, err)
	require.EqualValues(t, 2, gone)
}

func TestOnlyTheNewestBrowsersAreKnown(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), harness.DB(t)
	require.NoError(t, identity.SetAccount(ctx, db, identity.Account{Username: "operator", Name: "Operator KI", Role: "operator"}, "benar sekali"))
	a, err := identity.Authenticate(ctx, db, identity.Login{Username: "operator", Password: "benar sekali"}, noon)
	require.NoError(t, err)
	planted, err := identity.KnowBrowser(ctx, db, a, "dari orang lain", noon)
	require.NoError(t, err)
	require.NotEqual(t, "dari orang lain", planted)
	for i := range 25 {
		_, err := identity.KnowBrowser(ctx, db, a, fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute))
		require.NoError(t, err)
	}
	var known int
	require.NoError(t, db.Get(ctx, &known, `SELECT count(*) FROM known_browser`))
	require.Equal(t, 20, known)
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for address, network := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "kantor": "kantor",
	} {
		require.Equal(t, network, identity.NetworkOf(address))
	}
}
