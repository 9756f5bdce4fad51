package smartcard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/ebfe/scard"
	"github.com/stretchr/testify/require"
)

// scripted stands in for pcscd where the real one cannot be made to fail on
// demand. A test sets the fields; states are handed out one by one.
type scripted struct {
	establishErr []error // first ones fail
	connectErr   error
	beginErr     error
	statusCount  uint32 // upper half of SCardStatus; 0 leaves it out
	protocol     scard.Protocol
	transmit     func([]byte) ([]byte, error)

	states chan scriptedState

	mu        sync.Mutex
	asked     []scard.ReaderState // what GetStatusChange was called with
	disposed  []scard.Disposition
	direct    int
	released  int
	opened    int
	cancelled chan struct{}
}

// scriptedState is one answer of GetStatusChange.
type scriptedState struct {
	state scard.StateFlag
	atr   []byte
	err   error
	panic any
}

func newScripted() *scripted {
	return &scripted{
		protocol: scard.ProtocolT1, states: make(chan scriptedState), cancelled: make(chan struct{}, 100),
		transmit: func([]byte) ([]byte, error) { return []byte{0x90, 0x00}, nil },
	}
}

func (s *scripted) establish() (pcscContext, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.establishErr) > 0 {
		err := s.establishErr[0]
		s.establishErr = s.establishErr[1:]
		return nil, err
	}
	s.opened++
	return &scriptedContext{s}, nil
}

type scriptedContext struct{ *scripted }

func (c *scriptedContext) ListReaders() ([]string, error) { return nil, scard.ErrNoReadersAvailable }

func (c *scriptedContext) GetStatusChange(states []scard.ReaderState, _ time.Duration) error {
	c.mu.Lock()
	c.asked = append(c.asked, states[0])
	c.mu.Unlock()
	select {
	case s := <-c.states:
		if s.panic != nil {
			panic(s.panic)
		}
		if s.err != nil {
			return s.err
		}
		states[0].EventState = s.state
		if len(s.atr) > 0 { // like the binding: an old one stays
			states[0].Atr = s.atr
		}
		return nil
	case <-c.cancelled:
		return scard.ErrCancelled
	}
}

func (c *scriptedContext) Cancel() error {
	select {
	case c.cancelled <- struct{}{}:
	default:
	}
	return nil
}

func (c *scriptedContext) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released++
	return nil
}

func (c *scriptedContext) connect(_ string, mode scard.ShareMode, _ scard.Protocol) (pcscCard, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mode == scard.ShareDirect {
		c.direct++
	}
	if c.connectErr != nil {
		return nil, c.connectErr
	}
	return &scriptedCard{c.scripted}, nil
}

type scriptedCard struct{ *scripted }

func (c *scriptedCard) ActiveProtocol() scard.Protocol         { return c.protocol }
func (c *scriptedCard) BeginTransaction() error                { return c.beginErr }
func (c *scriptedCard) EndTransaction(scard.Disposition) error { return nil }
func (c *scriptedCard) Transmit(b []byte) ([]byte, error)      { return c.transmit(b) }
func (c *scriptedCard) Status() (*scard.CardStatus, error) {
	return &scard.CardStatus{State: scard.State(c.statusCount << 16), Atr: []byte{0x3B, 0x00}}, nil
}

func (c *scriptedCard) Disconnect(d scard.Disposition) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disposed = append(c.disposed, d)
	return nil
}

// session is a running child on a scripted pcscd.
type session struct {
	t      *testing.T
	script *scripted
	in     *frameWriter
	close  func() error
	out    chan message
	ended  chan error
	id     uint64
}

func serve(t *testing.T, script *scripted) *session {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	s := &session{
		t: t, script: script, in: &frameWriter{w: inWrite}, close: inWrite.Close,
		out: make(chan message, 100), ended: make(chan error, 1),
	}
	go func() {
		err := serveReader(context.Background(), script, "Reader", inRead, outWrite)
		_ = outWrite.Close()
		s.ended <- err
	}()
	go func() {
		defer close(s.out)
		for {
			m, err := readFrame(outRead)
			if err != nil {
				return
			}
			s.out <- m
		}
	}()
	t.Cleanup(func() { _ = s.close(); s.drain() })
	return s
}

// drain waits for the end of the child.
func (s *session) drain() {
	for range s.out {
	}
}

func (s *session) state(state scriptedState) {
	s.t.Helper()
	select {
	case s.script.states <- state:
	case <-time.After(5 * time.Second):
		require.FailNow(s.t, "nobody watches")
	}
}

func (s *session) next() message {
	s.t.Helper()
	select {
	case m, ok := <-s.out:
		require.True(s.t, ok, "child has ended")
		return m
	case <-time.After(5 * time.Second):
		require.FailNow(s.t, "no frame")
		return message{}
	}
}

func (s *session) event(kind Kind) message {
	s.t.Helper()
	m := s.next()
	require.Equal(s.t, kind, m.Event, m.Detail)
	return m
}

func (s *session) ask(m message) message {
	s.t.Helper()
	s.id++
	m.ID = s.id
	require.NoError(s.t, s.in.write(m))
	reply := s.next()
	require.Equal(s.t, m.ID, reply.ID)
	return reply
}

// insertCard brings the child to the point where a card is in the slot.
func (s *session) insertCard() {
	s.t.Helper()
	s.state(scriptedState{state: 0x00010022, atr: []byte{0x3B, 0x00}})
	s.event(ReaderReady)
	s.event(Inserted)
}

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

func TestWatchReadersList(t *testing.T) {
	t.Parallel()
	looks := [][]string{{"B", "A"}, {"A", "B"}, {"B"}, {"A", "B"}, nil, {"C"}, {"C"}, {"C"}, {"C", "A"}}
	script := &lister{looks: looks, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got [][]string
	go func() { <-script.done; cancel() }()
	watchReaders(ctx, script, time.Millisecond, func(names []string) { got = append(got, names) })
	require.Equal(t, [][]string{{"A", "B"}, {"A", "B", "C"}, {"C"}, {"A", "C"}}, got)
}

// lister gives lists of readers; between them it fails in each way once.
type lister struct {
	scriptedContext
	mu    sync.Mutex
	looks [][]string
	calls int
	done  chan struct{}
}

func (l *lister) establish() (pcscContext, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.calls == 1 {
		return nil, scard.ErrNoService
	}
	return l, nil
}

func (l *lister) Release() error { return nil }

func (l *lister) ListReaders() ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	switch l.calls % 5 {
	case 0:
		return nil, scard.ErrServiceStopped
	case 3:
		panic("slice bounds out of range")
	}
	if len(l.looks) == 0 {
		select {
		case <-l.done:
		default:
			close(l.done)
		}
		return nil, scard.ErrServiceStopped
	}
	names := l.looks[0]
	l.looks = l.looks[1:]
	if names == nil {
		return nil, scard.ErrNoReadersAvailable
	}
	return names, nil
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
