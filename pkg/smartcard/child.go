package smartcard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ebfe/scard"
)

// childGrace is how long the child lets an APDU finish after its supervisor
// has gone. pcscd carries a started APDU to its end also without us.
const childGrace = 2 * time.Second

// ServeReader is the body of a reader's child process: it watches the named
// reader, reports what happens in its slot, and carries out the commands that
// arrive on in, until in ends (the supervisor closed it or died) or ctx is
// done. It answers on out, which nothing else may write to. It returns nil
// after a regular end; the process should then exit, because a PC/SC call that
// hangs is left behind.
func ServeReader(ctx context.Context, readerName string, in io.Reader, out io.Writer) error {
	return serveReader(ctx, pcscd{}, readerName, in, out)
}

// child is the state of one reader's process.
type child struct {
	manager resourceManager
	name    string
	out     *frameWriter
	slot    slot

	// Only the worker goroutine uses these.
	link     *link
	sessions uint64
}

// link is an open handle. It is good for one insertion (seq) only.
type link struct {
	session uint64
	seq     uint64
	pcsc    pcscContext
	card    pcscCard
}

func serveReader(ctx context.Context, manager resourceManager, name string, in io.Reader, out io.Writer) error {
	if name == "" {
		return errors.New("smartcard: no reader name")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c := &child{manager: manager, name: name, out: &frameWriter{w: out}}
	c.slot.report = c.out.write

	var watching sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })

	commands := make(chan message)
	input := make(chan error, 1)
	go func() {
		defer close(commands)
		input <- c.readCommands(ctx, in, commands)
	}()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		c.work(commands)
	}()

	var result error
	select {
	case result = <-input:
	case <-ctx.Done():
	case <-worked:
		result = errors.New("smartcard: supervisor does not read any more")
	}
	stop()
	finished := make(chan struct{})
	go func() {
		<-worked
		watching.Wait()
		close(finished)
	}()
	grace := time.NewTimer(childGrace)
	defer grace.Stop()
	select {
	case <-finished:
		return result
	case <-grace.C:
		return errors.Join(result, errors.New("smartcard: left a hanging PC/SC call behind"))
	}
}

// readCommands feeds the worker. The end of the input is a regular end.
func (c *child) readCommands(ctx context.Context, in io.Reader, commands chan<- message) error {
	for {
		m, err := readFrame(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case commands <- m:
		case <-ctx.Done():
			return nil
		}
	}
}

// work carries out commands one after the other and drops the handle at the
// end. It returns early when nobody reads the answers.
func (c *child) work(commands <-chan message) {
	defer c.drop(scard.ResetCard)
	for m := range commands {
		reply := c.execute(m)
		reply.ID = m.ID
		if c.out.write(reply) != nil {
			return
		}
	}
}

func (c *child) execute(m message) message {
	switch m.Op {
	case opConnect:
		return c.connect()
	case opTransmit:
		return c.transmit(m)
	case opDisconnect:
		if c.link != nil && c.link.session == m.Session {
			if m.Reset {
				c.drop(scard.ResetCard)
			} else {
				c.drop(scard.LeaveCard)
			}
		}
		return message{Class: classOK}
	default:
		return message{Class: classRefused, Detail: "unknown operation"}
	}
}

// connect opens a fresh handle, in a context of its own, for the card that the
// watcher has announced, and holds it in a transaction.
func (c *child) connect() message {
	c.drop(scard.ResetCard)
	seq, _ := c.slot.current()
	if seq == 0 {
		return message{Class: classCardGone, Detail: "slot is empty"}
	}
	l := &link{seq: seq}
	c.link = l
	var status *scard.CardStatus
	err := guard(func() (err error) {
		if l.pcsc, err = c.manager.establish(); err != nil {
			return err
		}
		if l.card, err = l.pcsc.connect(c.name, scard.ShareExclusive, scard.ProtocolAny); err != nil {
			return err
		}
		if err = l.card.BeginTransaction(); err != nil {
			return err
		}
		status, err = l.card.Status()
		return err
	})
	if err != nil {
		c.drop(scard.LeaveCard)
		return message{Class: connectClass(err), Detail: err.Error()}
	}
	if p := l.card.ActiveProtocol(); p != scard.ProtocolT0 && p != scard.ProtocolT1 {
		c.drop(scard.LeaveCard)
		return message{Class: classUnusable, Detail: fmt.Sprintf("protocol %d", p)}
	}
	// The upper half of the state counts insertions and removals. When it is
	// ahead of the watcher, this is a card that has not been announced yet.
	now, count := c.slot.current()
	if n := uint32(status.State) >> 16; now != seq || (n != 0 && n != count) {
		c.drop(scard.LeaveCard)
		return message{Class: classCardGone, Detail: "card was changed while connecting"}
	}
	c.sessions++
	l.session = c.sessions
	return message{
		Class: classOK, Session: l.session, Seq: seq,
		ATR: status.Atr, Protocol: uint32(l.card.ActiveProtocol()),
	}
}

// transmit sends one APDU over the open handle. Any fault ends the handle.
func (c *child) transmit(m message) message {
	l := c.link
	if l == nil || l.session != m.Session {
		return message{Class: classCardGone, Detail: "handle is closed"}
	}
	if seq, _ := c.slot.current(); seq != l.seq {
		c.drop(scard.LeaveCard)
		return message{Class: classCardGone, Detail: "card has left the slot"}
	}
	if len(m.Data) < minCommand || len(m.Data) > maxCommand {
		return message{Class: classRefused, Detail: fmt.Sprintf("%d bytes", len(m.Data))}
	}
	var answer []byte
	err := guard(func() (err error) {
		answer, err = l.card.Transmit(m.Data)
		return err
	})
	clear(m.Data)
	switch {
	case err != nil:
		c.drop(scard.ResetCard)
		return message{Class: transmitClass(err), Detail: err.Error()}
	case len(answer) < statusWord:
		// Seen when a card is pulled during an APDU: no error, no bytes.
		c.drop(scard.ResetCard)
		return message{Class: classUnknown, Detail: fmt.Sprintf("answer of %d bytes", len(answer))}
	}
	return message{Class: classOK, Data: answer}
}

// drop closes the handle, if any, and its context. The card is reset only
// while it is still the one the handle was opened for: a reset through an old
// handle would hit its successor.
func (c *child) drop(disposition scard.Disposition) {
	l := c.link
	if l == nil {
		return
	}
	c.link = nil
	if seq, _ := c.slot.current(); seq != l.seq {
		disposition = scard.LeaveCard
	}
	// Errors are of no use here: the handle is given up either way, and the
	// release of its context makes pcscd forget it.
	if l.card != nil {
		_ = guard(func() error { return l.card.Disconnect(disposition) })
	}
	if l.pcsc != nil {
		_ = guard(func() error { return l.pcsc.Release() })
	}
}
