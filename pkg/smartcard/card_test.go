package smartcard_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ebfe/scard"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/smartcard"
	"dukcapil.go.id/sifilma/test/harness"
)

const (
	roleVariable = "SMARTCARD_TEST_ROLE"
	// patience bounds each wait for something that must come.
	patience = 15 * time.Second
)

// place is a virtual reader and the way into its namespace.
type place struct {
	name    string
	port    int
	socket  string
	command func(ctx context.Context, t testing.TB, name string, args ...string) *exec.Cmd
}

// places leases virtual readers of the test run.
func places(t *testing.T, n int) []place {
	t.Helper()
	lease := harness.Readers(t, n)
	var out []place
	for _, r := range lease.Readers {
		p := place{name: r.Name, port: r.Port, socket: lease.Socket, command: lease.Command}
		p.waitEmpty(t)
		out = append(out, p)
	}
	return out
}

// settle is longer than the pause between two looks of pcscd.
const settle = 600 * time.Millisecond

// waitEmpty waits until pcscd has noticed that the last test's card is gone.
func (p place) waitEmpty(t *testing.T) {
	t.Helper()
	pcsc, err := scard.EstablishContext()
	require.NoError(t, err)
	defer func() { require.NoError(t, pcsc.Release()) }()
	state := []scard.ReaderState{{Reader: p.name}}
	for limit := time.Now().Add(patience); time.Now().Before(limit); {
		err := pcsc.GetStatusChange(state, settle)
		if errors.Is(err, scard.ErrTimeout) && state[0].CurrentState&scard.StateEmpty != 0 {
			return
		}
		if !errors.Is(err, scard.ErrTimeout) {
			require.NoError(t, err)
		}
		state[0].CurrentState = state[0].EventState
	}
	require.FailNow(t, "slot is not empty", p.name)
}

// start runs the supervisor's half for the place, with a child of its own.
func (p place) start(t *testing.T, change ...func(*smartcard.Options)) *smartcard.Reader {
	t.Helper()
	opts := smartcard.Options{
		Name: p.name, Command: []string{os.Args[0], p.name},
		Env:        []string{roleVariable + "=reader", "PCSCLITE_CSOCK_NAME=" + p.socket},
		BackoffMin: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
		Log: zerolog.New(zerolog.NewTestWriter(t)),
	}
	for _, c := range change {
		c(&opts)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := smartcard.StartReader(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() { cancel(); <-r.Done() })
	return r
}

// next waits for an event of one of the kinds; an event of another kind fails
// the test, unless the kinds are given with skip.
func next(t *testing.T, r *smartcard.Reader, kind smartcard.Kind, skip ...smartcard.Kind) smartcard.Event {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e, ok := <-r.Events():
			require.True(t, ok, "events ended before %s", kind)
			t.Logf("event %s seq %d atr %X mute %v %s", e.Kind, e.Seq, e.ATR, e.Mute, e.Detail)
			if e.Kind == kind {
				return e
			}
			require.Contains(t, skip, e.Kind, "waiting for %s", kind)
		case <-limit:
			require.FailNow(t, "no event", "waiting for %s", kind)
		}
	}
}

var (
	// atr1 offers T=1 (TD1 80h, TD2 01h) and ends in its checksum.
	atr1 = []byte{0x3B, 0x80, 0x80, 0x01, 0x01}
	// atr2 is that of another card, with one historical byte.
	atr2 = []byte{0x3B, 0x81, 0x80, 0x01, 0x55, 0x55}
)

// virtualCard is a card in a virtual reader.
type virtualCard struct {
	bridge *exec.Cmd
	gone   sync.WaitGroup
	out    sync.Once

	mu       sync.Mutex
	commands [][]byte
}

// insert puts a card in; answer gets each command and gives the response, or
// nil for a card that does not answer any more.
func (p place) insert(t *testing.T, atr []byte, answer func(c *virtualCard, command []byte) []byte) *virtualCard {
	t.Helper()
	c := &virtualCard{}
	c.bridge = p.command(context.Background(), t, os.Args[0], net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
	c.bridge.Env = append(c.bridge.Environ(), roleVariable+"=bridge")
	toReader, err := c.bridge.StdinPipe()
	require.NoError(t, err)
	fromReader, err := c.bridge.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.bridge.Start())
	c.gone.Go(func() { c.serve(fromReader, toReader, atr, answer) })
	t.Cleanup(c.remove)
	return c
}

// serve speaks the card's side of the vpcd protocol: two bytes of length, then
// a control byte (4 asks for the ATR, the others for nothing) or a command.
func (c *virtualCard) serve(in io.Reader, out io.Writer, atr []byte, answer func(*virtualCard, []byte) []byte) {
	for {
		var length [2]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		var reply []byte
		switch {
		case len(body) == 1 && body[0] == 4:
			reply = atr
		case len(body) == 1:
			continue
		default:
			c.mu.Lock()
			c.commands = append(c.commands, body)
			c.mu.Unlock()
			reply = answer(c, body)
		}
		if reply == nil {
			continue
		}
		if _, err := out.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// received gives the commands that have reached the card.
func (c *virtualCard) received() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commands
}

// remove takes the card out.
func (c *virtualCard) remove() {
	c.out.Do(func() {
		_ = c.bridge.Process.Kill()
		c.gone.Wait()
		_ = c.bridge.Wait()
	})
}

// obedient answers each command with its bytes and 9000.
func obedient(_ *virtualCard, command []byte) []byte {
	return append(append([]byte{}, command...), 0x90, 0x00)
}

// mute does not answer.
func mute(*virtualCard, []byte) []byte { return nil }

// vanishing leaves the slot during the command.
func vanishing(c *virtualCard, _ []byte) []byte {
	_ = c.bridge.Process.Kill()
	return nil
}

// command is an APDU: SELECT, by name, nothing.
var command = []byte{0x00, 0xA4, 0x04, 0x00, 0x00}
