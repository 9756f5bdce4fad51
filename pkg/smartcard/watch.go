package smartcard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ebfe/scard"
)

const (
	// statusWait bounds one wait for a change: pcscd does not wake its clients
	// when a reset shows that the card is gone, and a cancel may get lost.
	statusWait = time.Second
	// Pause between tries to find pcscd and the reader again.
	watchPauseMin = 100 * time.Millisecond
	watchPauseMax = 2 * time.Second
	// cancelEvery repeats SCardCancel at the end: one that arrives just
	// before the wait starts is lost.
	cancelEvery = 50 * time.Millisecond
	// maxRouse bounds the tries to make pcscd see a card it overlooks.
	maxRouse = 5
	// pcscdPoll is longer than pcscd takes to look at a slot again by itself
	// (400 ms, PCSCLITE_STATUS_POLL_RATE).
	pcscdPoll = 500 * time.Millisecond
)

var errReaderUnavailable = errors.New("smartcard: reader is not available")

// slot is what the watcher knows of the card slot; the worker reads it to see
// whether its handle is still good.
type slot struct {
	report func(message) error

	mu    sync.Mutex
	ready bool
	seq   uint64 // insertion now in the slot, 0 when empty
	last  uint64 // last insertion number given
	count uint32 // pcscd's event counter at the last look
	mute  bool
	// owed says that pcscd called the slot empty and has not counted the removal.
	owed bool
	// rouse counts down the tries to wake pcscd; see overlooked.
	rouse int
}

// current gives the insertion now in the slot (0: none) and pcscd's counter.
func (s *slot) current() (seq uint64, count uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, s.count
}

// observe takes in one state of the reader and reports what changed. Reports
// are written under the lock, so that no answer can overtake them.
func (s *slot) observe(state scard.StateFlag, atr []byte) error {
	count := uint32(state) >> 16
	present := state&scard.StatePresent != 0
	mute := state&scard.StateMute != 0
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	first := !s.ready
	if first {
		s.ready = true
		err = s.report(message{Event: ReaderReady})
	}
	// A card that left and came back between two looks shows only in the
	// counter. The ATR is no witness: the one after a warm reset may differ.
	same := present == (s.seq != 0) && (!present || count == s.count && mute == s.mute)
	switch {
	case present:
		s.owed, s.rouse = false, 0
	case first: // whoever was here before may have left a card that pcscd overlooks
		s.owed, s.rouse = false, maxRouse
	case count == s.count && s.seq != 0:
		s.owed, s.rouse = true, maxRouse
	case count != s.count: // by one for each coming and going
		in := (s.seq != 0 || s.owed) != ((count-s.count)%2 == 1)
		s.owed, s.rouse = false, 0
		if in { // a card came, and a reset that had just found nobody hid it
			s.rouse = maxRouse
		}
	}
	s.count = count
	if same {
		return err
	}
	err = errors.Join(err, s.leave())
	if present {
		s.last++
		s.seq, s.mute = s.last, mute
		if mute {
			atr = nil
		}
		err = errors.Join(err, s.report(message{Event: Inserted, Seq: s.seq, ATR: atr, Mute: mute}))
	}
	return err
}

// overlooked tells, a limited number of times, that pcscd may be blind to the
// slot. When a card cannot be reset, as after a bad contact, a fast swap or the
// end of the process that held it, pcscd calls the slot empty without counting a
// removal. If it does not count
// one at its next look either, then a card is there, and pcscd will not report
// it before the slot was empty once.
func (s *slot) overlooked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rouse == 0 {
		return false
	}
	s.rouse--
	return true
}

// leave reports the removal of the card, if there is one. Callers hold mu.
func (s *slot) leave() error {
	if s.seq == 0 {
		return nil
	}
	seq := s.seq
	s.seq, s.mute = 0, false
	return s.report(message{Event: Removed, Seq: seq})
}

// away reports that the reader cannot be watched any more; the card in it can
// no longer be known to be the same.
func (s *slot) away(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return nil
	}
	s.ready = false
	return errors.Join(s.leave(), s.report(message{Event: ReaderAway, Detail: cause.Error()}))
}

// watch follows the slot until ctx is done. It is the only caller of
// GetStatusChange in the process, because the binding pins reader names in one
// global table. A report that cannot be written means that the supervisor is
// gone, which the end of the input tells as well.
func (c *child) watch(ctx context.Context) {
	pause := watchPauseMin
	for ctx.Err() == nil {
		seen, err := c.watchSession(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			_ = c.slot.away(err)
		}
		if seen {
			pause = watchPauseMin
		}
		rest(ctx, pause)
		pause = min(2*pause, watchPauseMax)
	}
}

// rest waits for d, or until ctx is done.
func rest(ctx context.Context, d time.Duration) {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
}

// watchSession watches through one PC/SC context until something breaks. seen
// tells whether the reader was there.
func (c *child) watchSession(ctx context.Context) (seen bool, err error) {
	var pcsc pcscContext
	if err := guard(func() (err error) { pcsc, err = c.manager.establish(); return err }); err != nil {
		return false, err
	}
	defer func() { _ = guard(pcsc.Release) }()
	ended := make(chan struct{})
	var canceller sync.WaitGroup
	canceller.Go(func() { cancelUntil(ctx, pcsc, ended) })
	defer canceller.Wait()
	defer close(ended)

	states := []scard.ReaderState{{Reader: c.name, CurrentState: scard.StateUnaware}}
	for ctx.Err() == nil {
		states[0].Atr = nil // or the ATR of a removed card stays in it
		err := guard(func() error { return pcsc.GetStatusChange(states, statusWait) })
		if errors.Is(err, scard.ErrTimeout) {
			if c.slot.overlooked() {
				c.rouse(ctx, pcsc)
			}
			// The library compares only counters that are not 0: until the first event
			// it tells of no card that another has replaced.
			if _, count := c.slot.current(); count == 0 {
				states[0].CurrentState = scard.StateUnaware
			}
			continue
		}
		if err != nil {
			return seen, err
		}
		state := states[0].EventState
		states[0].CurrentState = state &^ scard.StateChanged // or the next call returns at once
		if state&(scard.StateUnknown|scard.StateUnavailable|scard.StateIgnore) != 0 {
			return seen, errReaderUnavailable
		}
		seen = true
		if err := c.slot.observe(state, states[0].Atr); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// rouse resets whatever is in the slot, so that pcscd looks at it again. Whether
// it helped shows in the next state. A card that came just then is shown by the
// reset first; pcscd finds it again by itself, counts it and powers it up once more.
// Nobody may have begun to talk to it by then.
func (c *child) rouse(ctx context.Context, pcsc pcscContext) {
	defer rest(ctx, pcscdPoll)
	_ = guard(func() error {
		card, err := pcsc.connect(c.name, scard.ShareDirect, scard.ProtocolUndefined)
		if err != nil {
			return err
		}
		return card.Disconnect(scard.ResetCard)
	})
}

// cancelUntil breaks the wait on pcsc once ctx is done, until it has ended.
func cancelUntil(ctx context.Context, pcsc pcscContext, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	again := time.NewTicker(cancelEvery)
	defer again.Stop()
	for {
		_ = guard(pcsc.Cancel)
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}
