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
