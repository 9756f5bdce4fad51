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

// TestACardThatAResetHidIsRoused: a reset that found nobody says "empty" after the
// card that came meanwhile was counted. What comes and goes is counted by one each.
func TestACardThatAResetHidIsRoused(t *testing.T) {
	t.Parallel()
	empty := func(count uint32) scard.StateFlag { return scard.StateEmpty | scard.StateFlag(count<<16) }
	present := func(count uint32) scard.StateFlag { return scard.StatePresent | scard.StateFlag(count<<16) }
	for _, c := range []struct {
		name   string
		states []scard.StateFlag
		rouse  bool
	}{
		{"a card that was counted and is not shown", []scard.StateFlag{present(6), empty(7), empty(8)}, true},
		{"one that came and went", []scard.StateFlag{present(7), empty(8), empty(10)}, false},
		{"one that left", []scard.StateFlag{present(7), empty(8)}, false},
		{"one that left, and its successor is not shown", []scard.StateFlag{present(7), empty(9)}, true},
		{"one that pcscd lost", []scard.StateFlag{present(7), empty(7)}, true},
		{"one that pcscd lost, which left", []scard.StateFlag{present(7), empty(7), empty(8)}, false},
		{"one that pcscd lost, whose successor is not shown", []scard.StateFlag{present(7), empty(7), empty(9)}, true},
		{"the counter turns over", []scard.StateFlag{present(0xFFFF), empty(0)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &slot{report: func(message) error { return nil }}
			for _, state := range c.states {
				require.NoError(t, s.observe(state, nil))
			}
			require.Equal(t, c.rouse, s.overlooked())
		})
	}
}
