package smartcard

import (
	"context"
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

func (c *scriptedCard) ActiveProtocol() scard.Protocol    { return c.protocol }
func (c *scriptedCard) BeginTransaction() error           { return c.beginErr }
func (c *scriptedCard) Transmit(b []byte) ([]byte, error) { return c.transmit(b) }
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
