package smartcard

import (
	"testing"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/require"
)

// TestASlotThatLooksEmptyAtFirstIsRoused: the process before may have died with a
// card in hand, and pcscd then calls the slot empty though the card is there.
func TestASlotThatLooksEmptyAtFirstIsRoused(t *testing.T) {
	t.Parallel()
	var told []Kind
	s := &slot{report: func(m message) error { told = append(told, m.Event); return nil }}
	const counted = 7 << 16
	require.NoError(t, s.observe(scard.StateEmpty|counted, nil))
	for range maxRouse {
		require.True(t, s.overlooked())
	}
	require.False(t, s.overlooked(), "not for ever: it may be empty indeed")

	require.NoError(t, s.away(errReaderUnavailable))
	require.NoError(t, s.observe(scard.StateEmpty|counted, nil))
	require.True(t, s.overlooked())
	require.NoError(t, s.observe(scard.StatePresent|counted, []byte{0x3B}))
	require.False(t, s.overlooked(), "it is seen now")
	require.NoError(t, s.observe(scard.StateEmpty|8<<16, nil))
	require.False(t, s.overlooked(), "a removal that was counted")
	require.Equal(t, []Kind{ReaderReady, ReaderAway, ReaderReady, Inserted, Removed}, told)
}

// TestACounterThatIsNeverToldIsCaughtUpWith: pcscd counted since its start and told
// no change; what the handle shows makes the card a new one, once.
func TestACounterThatIsNeverToldIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	var told []Kind
	s := &slot{report: func(m message) error { told = append(told, m.Event); return nil }}
	require.NoError(t, s.catchUp(1, nil), "nothing is in the slot yet")
	require.NoError(t, s.observe(scard.StatePresent, []byte{0x3B}))
	require.NoError(t, s.catchUp(1, []byte{0x3B}))
	require.NoError(t, s.catchUp(1, []byte{0x3B}))
	require.NoError(t, s.observe(scard.StatePresent|1<<16, []byte{0x3B}), "the watcher comes after all")
	seq, count := s.current()
	require.Equal(t, [2]uint64{2, 1}, [2]uint64{seq, uint64(count)})
	require.Equal(t, []Kind{ReaderReady, Inserted, Removed, Inserted}, told)
}
