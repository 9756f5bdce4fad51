// Package vpcd puts virtual chips into the slots of the vpcd driver
// (vsmartcard): the driver listens, a card connects. Connecting is inserting,
// closing is removing.
package vpcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// Backoff between attempts to reach a driver that is not there.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// Errors of Insert and Remove.
var (
	ErrOccupied = errors.New("vpcd: a card is in the slot")
	ErrEmpty    = errors.New("vpcd: the slot is empty")
)

// Slot is one reader slot. Its goroutine is Run.
type Slot struct {
	name, address string
	log           zerolog.Logger
	wake          chan struct{} // one waiting insertion

	mu      sync.Mutex
	current *insertion
	changed chan struct{} // closed and replaced at each change
}

// insertion is one stay of one chip in the slot.
type insertion struct {
	chip *card.Chip
	ctx  context.Context // ends when the card is to leave
	out  context.CancelFunc
	done chan struct{} // closed when the connection is gone
	seen bool          // the driver has spoken to the card
}

// NewSlot makes an empty slot for the driver at address (host:port).
func NewSlot(name, address string, log zerolog.Logger) *Slot {
	return &Slot{
		name: name, address: address, log: log.With().Str("reader", name).Logger(),
		wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// Name is the reader's name, as given.
func (s *Slot) Name() string { return s.name }

// Address is the driver's host:port.
func (s *Slot) Address() string { return s.address }

// Insert puts a chip in; the driver is dialled until it is there.
func (s *Slot) Insert(chip *card.Chip) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		return ErrOccupied
	}
	ctx, out := context.WithCancel(context.Background())
	s.current = &insertion{chip: chip, ctx: ctx, out: out, done: make(chan struct{})}
	s.announce()
	s.wake <- struct{}{} // has room: the last insertion was taken before it was done
	return nil
}

// Remove takes the card out and answers when its connection is closed.
func (s *Slot) Remove(ctx context.Context) error {
	s.mu.Lock()
	in := s.current
	s.mu.Unlock()
	if in == nil {
		return ErrEmpty
	}
	in.out()
	select {
	case <-in.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("vpcd: remove from %s: %w", s.name, ctx.Err())
	}
}

// Chip answers the chip in the slot, nil when it is empty, and whether the
// driver has spoken to it since it was last connected.
func (s *Slot) Chip() (chip *card.Chip, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return nil, false
	}
	return s.current.chip, s.current.seen
}

// WaitSeen waits until the driver has spoken to the card in the slot.
func (s *Slot) WaitSeen(ctx context.Context) error {
	for {
		s.mu.Lock()
		in, changed := s.current, s.changed
		seen := in != nil && in.seen
		s.mu.Unlock()
		if in == nil {
			return ErrEmpty
		}
		if seen {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("vpcd: the driver at %s did not take the card: %w", s.address, ctx.Err())
		}
	}
}

func (s *Slot) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Slot) markSeen(in *insertion, seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.seen != seen {
		in.seen = seen
		s.announce()
	}
}

// Run serves insertions one after another until ctx ends.
func (s *Slot) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		s.mu.Lock()
		in := s.current
		s.mu.Unlock()
		s.hold(ctx, in)
		in.out()
		s.mu.Lock()
		s.current = nil
		s.announce()
		s.mu.Unlock()
		close(in.done)
	}
}

// hold keeps one card connected until it is taken out or torn out.
func (s *Slot) hold(run context.Context, in *insertion) {
	ctx, cancel := context.WithCancel(run)
	defer cancel()
	defer context.AfterFunc(in.ctx, cancel)()
	retry := firstRetry
	for ctx.Err() == nil {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err == nil {
			in.chip.Reset()
			heard, torn := s.serve(ctx, conn, in)
			s.markSeen(in, false)
			in.chip.Reset()
			if torn {
				s.log.Info().Msg("card torn out")
				return
			}
			if heard {
				retry = firstRetry
			}
		}
		pause(ctx, retry)
		retry = min(retry*2, lastRetry)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
