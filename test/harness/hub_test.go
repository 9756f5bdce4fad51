package harness

import (
	"testing"
	"time"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/require"
)

// A reader that is pulled out is of no use to anybody, the other one goes on, and it
// comes back under its name; in any order.
func TestReadersOfAHubArePulled(t *testing.T) {
	h := NewHub(t, 2)
	t.Setenv("PCSCLITE_CSOCK_NAME", h.Socket)
	a, b := h.Readers[0].Name, h.Readers[1].Name
	here := func(wantA, wantB bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			c, err := scard.EstablishContext()
			if err != nil {
				return false
			}
			defer func() { _ = c.Release() }()
			states := []scard.ReaderState{{Reader: a}, {Reader: b}}
			if c.GetStatusChange(states, 0) != nil {
				return false
			}
			const away = scard.StateUnknown | scard.StateUnavailable
			return (states[0].EventState&away == 0) == wantA && (states[1].EventState&away == 0) == wantB
		}, 20*time.Second, 20*time.Millisecond)
	}
	here(true, true)
	for range 2 {
		h.Pull(t, a)
		here(false, true)
		h.Pull(t, b)
		here(false, false)
		h.Plug(t, b)
		here(false, true)
		h.Plug(t, a)
		here(true, true)
		h.Pull(t, b)
		here(true, false)
		h.Plug(t, b)
		here(true, true)
	}
}
