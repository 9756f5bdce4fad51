package validation

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// However many lists one institution asks for, the next one of another is not
// behind them.
func TestOneInstitutionDoesNotKeepTheOthersFromMarking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMarker(1)
		var order []string
		finish := make(chan struct{})
		ask := func(institution string) {
			leave, err := m.turn(t.Context(), institution)
			require.NoError(t, err)
			order = append(order, institution)
			<-finish
			leave()
		}
		for _, institution := range []string{"busy", "busy", "busy", "busy", "other", "third"} {
			go ask(institution)
			synctest.Wait()
		}
		for range 6 {
			finish <- struct{}{}
			synctest.Wait()
		}
		require.Equal(t, []string{"busy", "other", "third", "busy", "busy", "busy"}, order)
	})
}

// Who waits in vain is told whether it was for himself or for others, and leaves
// nothing behind.
func TestWaitingForATurnEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := NewMarker(1)
		leave, err := m.turn(t.Context(), "first")
		require.NoError(t, err)
		for institution, own := range map[string]bool{"first": true, "second": false} {
			wait, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := m.turn(wait, institution)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, own, errors.Is(err, ErrOwnTurn), institution)
			cancel()
		}
		leave()
		for _, institution := range []string{"first", "second"} {
			leave, err := m.turn(t.Context(), institution)
			require.NoError(t, err)
			leave()
		}
	})
}
