package smartcard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Defaults of [Options].
const (
	DefaultTransmitTimeout = 30 * time.Second
	DefaultConnectTimeout  = 10 * time.Second
	DefaultBusyTimeout     = 5 * time.Second
	DefaultBackoffMin      = 500 * time.Millisecond
	DefaultBackoffMax      = 30 * time.Second
)

const (
	// busyPause is the pause between two tries to connect to a held reader:
	// pcscd needs a moment to notice that a killed child is gone.
	busyPause = 100 * time.Millisecond
	// stopGrace is how long a child may take to end by itself when told to.
	stopGrace = childGrace + time.Second
)

// Options of [StartReader].
type Options struct {
	// Name is the PC/SC reader name.
	Name string
	// Command is the argument vector of the child, a program that calls
	// [ServeReader] for the reader on its standard input and output.
	Command []string
	// Env is added to the environment that the child inherits.
	Env []string
	// TransmitTimeout bounds one APDU; 0 means DefaultTransmitTimeout.
	TransmitTimeout time.Duration
	// ConnectTimeout bounds one try to connect, and Close; after it the child
	// is killed. 0 means DefaultConnectTimeout.
	ConnectTimeout time.Duration
	// BusyTimeout is how long Connect waits for a reader that somebody else
	// holds; 0 means DefaultBusyTimeout.
	BusyTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause before a new child. It
	// doubles with each child that did not stay for BackoffMax.
	BackoffMin, BackoffMax time.Duration
	// Stderr takes the child's standard error; nil means os.Stderr.
	Stderr io.Writer
	// Log is told of every child that starts, is killed or dies.
	Log zerolog.Logger
}

// Reader is the supervisor's half of one reader. All methods may be called from
// any goroutine.
type Reader struct {
	opts   Options
	events *eventQueue
	done   chan struct{}

	mu      sync.Mutex
	child   *process // nil while there is none
	lastSeq uint64   // last insertion number given
	inSlot  uint64   // insertion now in the slot, 0 when empty
	away    time.Time
}

// StartReader starts the child of a reader and keeps one running until ctx is
// done. A child that cannot be started is tried again with the usual pause; an
// error is returned only for options that can never work.
//
// Cancel ctx after the last card is closed: an APDU under way gets only a short
// grace.
func StartReader(ctx context.Context, opts Options) (*Reader, error) {
	if opts.Name == "" || len(opts.Command) == 0 {
		return nil, errors.New("smartcard: reader name and child command are needed")
	}
	setDefault(&opts.TransmitTimeout, DefaultTransmitTimeout)
	setDefault(&opts.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&opts.BusyTimeout, DefaultBusyTimeout)
	setDefault(&opts.BackoffMin, DefaultBackoffMin)
	setDefault(&opts.BackoffMax, DefaultBackoffMax)
	opts.BackoffMax = max(opts.BackoffMax, opts.BackoffMin)
	if opts.Stderr == nil {
		opts.Stderr = os.Stderr
	}
	opts.Log = opts.Log.With().Str("reader", opts.Name).Logger()
	r := &Reader{opts: opts, events: newEventQueue(), done: make(chan struct{})}
	go r.supervise(ctx)
	return r, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// Name gives the PC/SC reader name.
func (r *Reader) Name() string { return r.opts.Name }

// Events gives what happens at the reader, in order. Nothing is dropped while
// the reader runs; the channel is closed when it has ended.
func (r *Reader) Events() <-chan Event { return r.events.out }

// Away says since when the reader cannot be used, or pcscd is gone; zero while it can. It
// tells at once what a consumer of Events may be too busy to hear.
func (r *Reader) Away() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away
}

// Done is closed when the reader has ended and its child is gone.
func (r *Reader) Done() <-chan struct{} { return r.done }

// supervise runs one child after the other. The kernel kills a child when the
// thread that started it ends, so this goroutine keeps its thread: then the
// child dies with the supervisor, however that dies.
func (r *Reader) supervise(ctx context.Context) {
	runtime.LockOSThread()
	defer close(r.done)
	defer r.events.end()
	pause := r.opts.BackoffMin
	for ctx.Err() == nil {
		began := time.Now()
		cause := r.runChild(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= r.opts.BackoffMax {
			pause = r.opts.BackoffMin
		}
		r.opts.Log.Warn().Err(cause).Dur("pause", pause).Msg("reader process ended; a new one is started after the pause")
		r.events.put(Event{Kind: Quarantined, Wait: pause, Detail: cause.Error()})
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		pause = min(2*pause, r.opts.BackoffMax)
	}
}

// runChild starts a child and reads its frames until it is gone.
func (r *Reader) runChild(ctx context.Context) error {
	p, err := startProcess(r.opts)
	if err != nil {
		return fmt.Errorf("smartcard: cannot start the reader process: %w", err)
	}
	r.opts.Log.Info().Int("pid", p.pid()).Msg("reader process started")
	r.setChild(p)
	ended := make(chan struct{})
	var stopper sync.WaitGroup
	stopper.Go(func() { p.stopWith(ctx, ended) })
	err = p.readFrames(r.takeEvent)
	r.setChild(nil)
	err = p.reap(err)
	close(ended)
	stopper.Wait()
	r.cardLost()
	return err
}

func (r *Reader) setChild(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.child = p
}

// takeEvent renumbers an event of the child, which counts from 1 in each
// process, and queues it. It returns the number that goes with an insertion.
func (r *Reader) takeEvent(m message) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := Event{Kind: m.Event, ATR: m.ATR, Mute: m.Mute, Detail: m.Detail}
	switch m.Event {
	case ReaderReady:
		r.away = time.Time{}
	case ReaderAway:
		r.away = time.Now()
	case Inserted:
		r.lastSeq++
		r.inSlot = r.lastSeq
		e.Seq = r.inSlot
	case Removed:
		e.Seq = r.inSlot
		r.inSlot = 0
	}
	r.events.put(e)
	return e.Seq
}

// cardLost reports the card in the slot as removed when its child is gone.
func (r *Reader) cardLost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inSlot != 0 {
		r.events.put(Event{Kind: Removed, Seq: r.inSlot, Detail: "reader process ended"})
		r.inSlot = 0
	}
}

// Connect opens the card in the slot exclusively. Which card it is must be read
// from it each time: one that was changed within the half second between two
// looks of pcscd may go unnoticed. While somebody else holds the reader, Connect
// waits, up to BusyTimeout. The errors are ErrCardGone (slot empty, or the card
// was just changed), ErrReaderGone, ErrReaderBusy, ErrCardUnusable and the error
// of ctx.
func (r *Reader) Connect(ctx context.Context) (*Card, error) {
	limit := time.NewTimer(r.opts.BusyTimeout)
	defer limit.Stop()
	for {
		r.mu.Lock()
		p := r.child
		r.mu.Unlock()
		if p == nil {
			return nil, fmt.Errorf("%w: no reader process", ErrReaderGone)
		}
		reply, err := p.call(ctx, message{Op: opConnect}, r.opts.ConnectTimeout)
		if err == nil {
			err = reply.Class.err(reply.Detail)
		}
		if err == nil {
			return &Card{
				reader: r, process: p, session: reply.Session,
				seq: reply.Seq, atr: reply.ATR, protocol: reply.Protocol,
			}, nil
		}
		if errors.Is(err, ErrOutcomeUnknown) {
			// A connect that hangs or is lost sends no command.
			return nil, fmt.Errorf("%w while connecting: %s", ErrReaderGone, err.Error())
		}
		if !errors.Is(err, ErrReaderBusy) {
			return nil, err
		}
		again := time.NewTimer(busyPause)
		select {
		case <-again.C:
		case <-limit.C:
			again.Stop()
			return nil, err
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		}
	}
}

// Card is a connected card. It dies with its insertion, with the first fault,
// or with Close; then Connect again and identify the card anew.
type Card struct {
	reader   *Reader
	process  *process
	session  uint64
	seq      uint64
	atr      []byte
	protocol uint32
}

// Seq gives the insertion (see [Event]) this card belongs to.
func (c *Card) Seq() uint64 { return c.seq }

// ATR gives the answer to reset.
func (c *Card) ATR() []byte { return c.atr }

// Protocol gives the transmission protocol: 0 for T=0, 1 for T=1. GET RESPONSE
// for T=0 is not done here.
func (c *Card) Protocol() int { return int(c.protocol) - 1 }

// Transmit sends one command APDU and gives the answer, which ends in the two
// bytes of the status word. A done ctx is refused before anything is sent. Once
// sent, a command is never abandoned because ctx is cancelled: only its
// deadline, or TransmitTimeout if that is earlier, ends the wait. Then the
// reader's process is killed and the error is ErrOutcomeUnknown. ErrCardGone,
// ErrReaderGone, ErrBadCommand and the error of ctx say that the card did not
// get the command.
func (c *Card) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if len(command) < minCommand || len(command) > maxCommand {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadCommand, len(command))
	}
	reply, err := c.process.call(ctx,
		message{Op: opTransmit, Session: c.session, Data: command}, c.reader.opts.TransmitTimeout)
	if err != nil {
		return nil, err
	}
	if err := reply.Class.err(reply.Detail); err != nil {
		return nil, err
	}
	if len(reply.Data) < statusWord {
		return nil, fmt.Errorf("%w: answer of %d bytes", ErrOutcomeUnknown, len(reply.Data))
	}
	return reply.Data, nil
}

// Close gives the card up; with reset, the card forgets its secure channel.
// Closing a dead card is no error.
func (c *Card) Close(reset bool) error {
	_, err := c.process.call(context.Background(),
		message{Op: opDisconnect, Session: c.session, Reset: reset}, c.reader.opts.ConnectTimeout)
	if errors.Is(err, ErrReaderGone) {
		return nil
	}
	return err
}
