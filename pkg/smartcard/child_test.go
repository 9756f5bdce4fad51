package smartcard

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/require"
)

var apdu = []byte{0x00, 0xA4, 0x04, 0x00}

func TestTransmitFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer []byte
		err    error
		panic  bool
		want   class
	}{
		{"answer", []byte{0x6A, 0x82}, nil, false, classOK},
		{"no bytes", nil, nil, false, classUnknown},
		{"one byte", []byte{0x90}, nil, false, classUnknown},
		{"not transacted", nil, scard.ErrNotTransacted, false, classUnknown},
		{"no card", nil, scard.ErrNoSmartcard, false, classUnknown},
		{"reader unavailable", nil, scard.ErrReaderUnavailable, false, classUnknown},
		{"communication error", nil, scard.ErrCommError, false, classUnknown},
		{"pcscd stopped", nil, scard.ErrServiceStopped, false, classUnknown},
		{"no pcscd", nil, scard.ErrNoService, false, classUnknown},
		{"invalid handle", nil, scard.ErrInvalidHandle, false, classUnknown},
		{"foreign error", nil, errors.New("?"), false, classUnknown},
		{"panic", nil, nil, true, classUnknown},
		{"removed before", nil, scard.ErrRemovedCard, false, classCardGone},
		{"reset before", nil, scard.ErrResetCard, false, classCardGone},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			script := newScripted()
			script.transmit = func(b []byte) ([]byte, error) {
				if tc.panic {
					panic("unknown protocol")
				}
				return tc.answer, tc.err
			}
			s := serve(t, script)
			s.insertCard()
			link := s.ask(message{Op: opConnect})
			require.Equal(t, classOK, link.Class)
			reply := s.ask(message{Op: opTransmit, Session: link.Session, Data: apdu})
			require.Equal(t, tc.want, reply.Class)
			require.Equal(t, tc.want == classOK, reply.Data != nil)
			after := s.ask(message{Op: opTransmit, Session: link.Session, Data: apdu})
			if tc.want == classOK {
				require.Equal(t, classOK, after.Class)
				return
			}
			require.Equal(t, classCardGone, after.Class, "a fault ends the handle")
			again := s.ask(message{Op: opConnect})
			require.Equal(t, classOK, again.Class)
			require.NotEqual(t, link.Session, again.Session)
		})
	}
}

func TestConnectFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*scripted)
		want class
	}{
		{"no card", func(s *scripted) { s.connectErr = scard.ErrNoSmartcard }, classCardGone},
		{"held", func(s *scripted) { s.connectErr = scard.ErrSharingViolation }, classBusy},
		{"unresponsive", func(s *scripted) { s.connectErr = scard.ErrUnresponsiveCard }, classUnusable},
		{"protocol", func(s *scripted) { s.connectErr = scard.ErrProtoMismatch }, classUnusable},
		{"raw", func(s *scripted) { s.protocol = scard.ProtocolUndefined }, classUnusable},
		{"reader gone", func(s *scripted) { s.connectErr = scard.ErrReaderUnavailable }, classReaderGone},
		{"no pcscd", func(s *scripted) { s.connectErr = scard.ErrNoService }, classReaderGone},
		{"reset meanwhile", func(s *scripted) { s.beginErr = scard.ErrResetCard }, classCardGone},
		{"swapped unseen", func(s *scripted) { s.statusCount = 3 }, classCardGone},
		{"same count", func(s *scripted) { s.statusCount = 1 }, classOK},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			script := newScripted()
			tc.set(script)
			s := serve(t, script)
			s.insertCard()
			reply := s.ask(message{Op: opConnect})
			require.Equal(t, tc.want, reply.Class, reply.Detail)
			if tc.want != classOK {
				require.Zero(t, reply.Session)
				script.mu.Lock()
				require.Equal(t, script.opened-1, script.released, "only the watcher keeps a context")
				script.mu.Unlock()
			}
		})
	}
}

// The old handle is dropped without touching the new card.
func TestSwapSeenOnlyByCounter(t *testing.T) {
	t.Parallel()
	script := newScripted()
	s := serve(t, script)
	s.insertCard()
	link := s.ask(message{Op: opConnect})
	require.Equal(t, uint64(1), link.Seq)
	s.state(scriptedState{state: 0x00030022, atr: []byte{0x3B, 0x00}})
	require.Equal(t, uint64(1), s.event(Removed).Seq)
	require.Equal(t, uint64(2), s.event(Inserted).Seq)
	script.transmit = func([]byte) ([]byte, error) { panic("must not be sent") }
	require.Equal(t, classCardGone, s.ask(message{Op: opTransmit, Session: link.Session, Data: apdu}).Class)
	script.mu.Lock()
	require.Equal(t, []scard.Disposition{scard.LeaveCard}, script.disposed)
	script.mu.Unlock()
	require.Equal(t, uint64(2), s.ask(message{Op: opConnect}).Seq)
}

func TestWatcherKeepsItsBooks(t *testing.T) {
	t.Parallel()
	script := newScripted()
	s := serve(t, script)
	s.insertCard()
	s.state(scriptedState{state: 0x00010022 | scard.StateInuse, atr: []byte{0x3B, 0x00}}) // only a flag
	s.state(scriptedState{err: scard.ErrTimeout})
	s.state(scriptedState{state: 0x00020092}) // removed; the binding would keep the old ATR
	require.Equal(t, uint64(1), s.event(Removed).Seq)
	require.Equal(t, classCardGone, s.ask(message{Op: opConnect}).Class)
	s.state(scriptedState{state: 0x00030222}) // mute card
	m := s.event(Inserted)
	require.True(t, m.Mute)
	require.Empty(t, m.ATR)
	script.mu.Lock()
	defer script.mu.Unlock()
	require.Zero(t, script.asked[0].CurrentState)
	require.EqualValues(t, 0x00010020, script.asked[1].CurrentState, "without the changed flag")
	for _, a := range script.asked {
		require.Empty(t, a.Atr)
	}
	require.EqualValues(t, 0x00020090, script.asked[4].CurrentState)
}

func TestReaderAndServiceGone(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]scriptedState{
		"reader unknown":     {state: scard.StateUnknown | scard.StateChanged},
		"reader unavailable": {state: scard.StateUnavailable},
		"unknown reader":     {err: scard.ErrUnknownReader},
		"no pcscd":           {err: scard.ErrNoService},
		"pcscd stopped":      {err: scard.ErrServiceStopped},
		"invalid handle":     {err: scard.ErrInvalidHandle},
		"stray cancel":       {err: scard.ErrCancelled},
		"panic":              {panic: "index out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := newScripted()
			script.establishErr = []error{scard.ErrNoService}
			s := serve(t, script)
			s.insertCard()
			s.state(fault)
			require.Equal(t, uint64(1), s.event(Removed).Seq)
			s.event(ReaderAway)
			s.state(scriptedState{state: 0x00010022, atr: []byte{0x3B, 0x00}})
			s.event(ReaderReady)
			require.Equal(t, uint64(2), s.event(Inserted).Seq, "never taken for the same card")
		})
	}
}

// pcscd calls the slot empty after a failed reset; only if it counts no removal
// is there a card to be woken, and not for ever.
func TestOverlookedCardIsRoused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		s := serve(t, script)
		s.insertCard()
		s.state(scriptedState{state: 0x00010012}) // empty, same count
		s.event(Removed)
		for range maxRouse + 3 {
			s.state(scriptedState{err: scard.ErrTimeout})
		}
		s.state(scriptedState{state: 0x00010022, atr: []byte{0x3B, 0x00}})
		require.Equal(t, uint64(2), s.event(Inserted).Seq)
		s.state(scriptedState{state: 0x00020012}) // empty, counted
		s.event(Removed)
		s.state(scriptedState{err: scard.ErrTimeout})
		s.state(scriptedState{err: scard.ErrTimeout})
		script.mu.Lock()
		defer script.mu.Unlock()
		require.Equal(t, maxRouse, script.direct)
	})
}

// After a reset of a slot that looked empty, pcscd has the time to find a card
// that came just then by itself, before anybody hears of it.
func TestARousedSlotIsLeftAloneForALookOfPCSCD(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		s := serve(t, script)
		s.state(scriptedState{state: 0x00000012})
		s.event(ReaderReady)
		began := time.Now()
		s.state(scriptedState{err: scard.ErrTimeout}) // rouses
		s.state(scriptedState{state: 0x00010022, atr: []byte{0x3B, 0x00}})
		require.Equal(t, uint64(1), s.event(Inserted).Seq)
		require.Equal(t, pcscdPoll, time.Since(began))
	})
}

// pcscd's library compares only counters that are not 0: while none was counted
// the watcher looks for itself.
func TestTheFirstChangesAreSeenThoughNobodyTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		script := newScripted()
		s := serve(t, script)
		s.state(scriptedState{state: 0x00000022, atr: []byte{0x3B, 0x00}}) // was there when pcscd started
		s.event(ReaderReady)
		require.Equal(t, uint64(1), s.event(Inserted).Seq)
		s.state(scriptedState{err: scard.ErrTimeout})
		s.state(scriptedState{state: 0x00020020, atr: []byte{0x3B, 0x00}}) // another one by now
		require.Equal(t, uint64(1), s.event(Removed).Seq)
		require.Equal(t, uint64(2), s.event(Inserted).Seq)
		s.state(scriptedState{err: scard.ErrTimeout})
		s.state(scriptedState{err: scard.ErrTimeout})
		script.mu.Lock()
		defer script.mu.Unlock()
		var asked []scard.StateFlag
		for _, a := range script.asked {
			asked = append(asked, a.CurrentState)
		}
		require.Equal(t, []scard.StateFlag{scard.StateUnaware, 0x00000020, scard.StateUnaware, 0x00020020, 0x00020020}, asked[:5])
		require.Zero(t, script.direct)
	})
}

func TestCommandsOutOfPlace(t *testing.T) {
	t.Parallel()
	s := serve(t, newScripted())
	s.insertCard()
	require.Equal(t, classCardGone, s.ask(message{Op: opTransmit, Session: 1, Data: apdu}).Class)
	require.Equal(t, classOK, s.ask(message{Op: opDisconnect, Session: 1}).Class)
	require.Equal(t, classRefused, s.ask(message{Op: "format"}).Class)
	link := s.ask(message{Op: opConnect})
	require.Equal(t, classRefused, s.ask(message{Op: opTransmit, Session: link.Session, Data: apdu[:3]}).Class)
	require.Equal(t, classRefused, s.ask(message{Op: opTransmit, Session: link.Session, Data: make([]byte, maxCommand+1)}).Class)
	require.Equal(t, classOK, s.ask(message{Op: opTransmit, Session: link.Session, Data: make([]byte, maxCommand)}).Class)
	require.Equal(t, classOK, s.ask(message{Op: opDisconnect, Session: link.Session, Reset: true}).Class)
}

func TestChildEndsWithItsInput(t *testing.T) {
	t.Parallel()
	script := newScripted()
	s := serve(t, script)
	s.insertCard()
	require.Equal(t, classOK, s.ask(message{Op: opConnect}).Class)
	require.NoError(t, s.close())
	require.NoError(t, <-s.ended)
	require.Equal(t, []scard.Disposition{scard.ResetCard}, script.disposed)
	require.Equal(t, script.opened, script.released)
}

func TestChildRefusesGarbage(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"too long":  "\xff\xff\xff\xff",
		"empty":     "\x00\x00\x00\x00",
		"cut":       "\x00\x00\x00\x09{",
		"not JSON":  "\x00\x00\x00\x01{",
		"half head": "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := serveReader(t.Context(), newScripted(), "Reader", bytes.NewBufferString(text), io.Discard)
			require.Error(t, err)
		})
	}
	require.Error(t, serveReader(t.Context(), newScripted(), "", bytes.NewReader(nil), io.Discard))
}

func TestIsVirtual(t *testing.T) {
	t.Parallel()
	require.True(t, IsVirtual("Virtual PCD 1 00 00"))
	require.True(t, IsVirtual("virtual pcd"))
	require.False(t, IsVirtual("ACS ACR38U 00 00"))
}

func FuzzReadFrame(f *testing.F) {
	var whole bytes.Buffer
	w := &frameWriter{w: &whole}
	for _, m := range []message{{ID: 1, Op: opTransmit, Session: 2, Data: apdu}, {Event: Inserted, Seq: 1, ATR: apdu}} {
		if err := w.write(m); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(whole.Bytes())
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := bytes.NewReader(text)
		for {
			m, err := readFrame(in)
			if err != nil {
				return
			}
			var out bytes.Buffer
			if err := (&frameWriter{w: &out}).write(m); err != nil {
				continue // re-encoded longer than a frame may be
			}
			again, err := readFrame(&out)
			if err != nil || again.ID != m.ID || !bytes.Equal(again.Data, m.Data) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
	})
}
