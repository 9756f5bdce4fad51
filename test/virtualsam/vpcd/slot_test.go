package vpcd

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// driver plays the listening vpcd driver.
type driver struct {
	t        *testing.T
	listener net.Listener
	conn     *net.TCPConn
}

func listen(t *testing.T, address string) *driver {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	d := &driver{t: t, listener: listener}
	t.Cleanup(func() {
		_ = listener.Close()
		if d.conn != nil {
			_ = d.conn.Close()
		}
	})
	return d
}

func (d *driver) accept() {
	d.t.Helper()
	require.NoError(d.t, d.listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	conn, err := d.listener.Accept()
	require.NoError(d.t, err)
	d.conn = conn.(*net.TCPConn)
	require.NoError(d.t, d.conn.SetNoDelay(false), "the driver leaves Nagle on")
	require.NoError(d.t, d.conn.SetDeadline(time.Now().Add(patience)))
}

// say sends length and body apart, as the driver does.
func (d *driver) say(body ...byte) {
	d.t.Helper()
	_, err := d.conn.Write([]byte{byte(len(body) >> 8), byte(len(body))})
	require.NoError(d.t, err)
	_, err = d.conn.Write(body)
	require.NoError(d.t, err)
}

func (d *driver) ask(body ...byte) []byte {
	d.t.Helper()
	d.say(body...)
	answer, err := readFrame(d.conn)
	require.NoError(d.t, err)
	return answer
}

func start(t *testing.T, address string) *Slot {
	t.Helper()
	slot := NewSlot("Reader", address, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = slot.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return slot
}

func newChip(t *testing.T, seed string) *card.Chip {
	t.Helper()
	log, err := writelog.Open("")
	require.NoError(t, err)
	key := make([]byte, 16)
	chip, err := card.New(card.Config{
		ChipID: card.SeedChipID(seed), Serial: "SAM-" + seed, KVN: 0x30, Keys: card.Keys{ENC: key, MAC: key, DEK: key},
	}, log)
	require.NoError(t, err)
	return chip
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

var uid = []byte{0x00, 0xF7, 0x00, 0x00, 0x00}

func TestTalk(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	slot := start(t, d.listener.Addr().String())
	chip := newChip(t, "a")
	require.NoError(t, slot.Insert(chip))
	require.ErrorIs(t, slot.Insert(chip), ErrOccupied)
	d.accept()
	_, seen := slot.Chip()
	require.False(t, seen, "connected is not yet seen")

	require.Equal(t, chip.ATR(), d.ask(controlATR))
	require.NoError(t, slot.WaitSeen(bounded(t)))
	d.say(controlOn)
	require.Equal(t, append(card.SeedChipID("a"), 0x90, 0x00), d.ask(uid...))

	// A power cycle ends the secure channel: EXTERNAL AUTHENTICATE finds none.
	update := append([]byte{0x80, 0x50, 0, 0, 8}, make([]byte, 9)...)
	require.Len(t, d.ask(update...), 34)
	d.say(controlReset)
	external := append([]byte{0x84, 0x82, 0x01, 0, 16}, make([]byte, 16)...)
	require.Equal(t, []byte{0x69, 0x85}, d.ask(external...))

	require.NoError(t, slot.Remove(bounded(t)))
	_, err := d.conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, slot.Remove(bounded(t)), ErrEmpty)
	require.ErrorIs(t, slot.WaitSeen(bounded(t)), ErrEmpty)

	other := newChip(t, "b")
	require.NoError(t, slot.Insert(other))
	d.accept()
	require.Equal(t, append(card.SeedChipID("b"), 0x90, 0x00), d.ask(uid...))
}

// TestQuick fails when acknowledgements are delayed: 40 exchanges would then
// take 1.7 s.
func TestQuick(t *testing.T) {
	d := listen(t, "127.0.0.1:0")
	slot := start(t, d.listener.Addr().String())
	require.NoError(t, slot.Insert(newChip(t, "a")))
	d.accept()
	began := time.Now()
	for range 40 {
		d.ask(uid...)
	}
	require.Less(t, time.Since(began), 800*time.Millisecond)
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	address := d.listener.Addr().String()
	slot := start(t, address)
	require.NoError(t, slot.Insert(newChip(t, "a")))
	d.accept()
	d.ask(uid...)

	// The driver goes away and comes back; the card is still in the slot.
	require.NoError(t, d.listener.Close())
	require.NoError(t, d.conn.Close())
	again := listen(t, address)
	again.accept()
	require.Equal(t, append(card.SeedChipID("a"), 0x90, 0x00), again.ask(uid...))
}

func TestMute(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	slot := start(t, d.listener.Addr().String())
	chip := newChip(t, "a")
	require.NoError(t, slot.Insert(chip))
	d.accept()
	chip.SetFault(card.Fault{MuteAtAPDU: 1})
	d.say(uid...)
	d.say(uid...)
	require.NoError(t, d.conn.SetReadDeadline(time.Now().Add(150*time.Millisecond)))
	_, err := d.conn.Read(make([]byte, 1))
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "neither an answer nor a closed connection")

	require.NoError(t, d.conn.SetReadDeadline(time.Now().Add(patience)))
	d.say(controlReset)
	d.ask(uid...)
	require.NoError(t, slot.Remove(bounded(t)))
}

func TestVanish(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	slot := start(t, d.listener.Addr().String())
	chip := newChip(t, "a")
	require.NoError(t, slot.Insert(chip))
	d.accept()
	chip.SetFault(card.Fault{VanishAtAPDU: 2})
	d.ask(uid...)
	d.say(uid...)
	_, err := d.conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.Eventually(t, func() bool { in, _ := slot.Chip(); return in == nil }, patience, time.Millisecond)
}

// A card that is taken out while it holds a command, or whose driver goes away then,
// has not executed it; the end of the slot ends the hold.
func TestHold(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	ctx, end := context.WithCancel(context.Background())
	slot := NewSlot("Reader", d.listener.Addr().String(), zerolog.Nop())
	ended := make(chan error, 1)
	go func() { ended <- slot.Run(ctx) }()
	t.Cleanup(end)
	chip := newChip(t, "a")
	update := append([]byte{0x80, 0x50, 0, 0, 8}, make([]byte, 9)...)
	hold := func() {
		t.Helper()
		d.accept()
		chip.SetFault(card.Fault{HoldAtAPDU: 1})
		d.say(update...)
		require.Eventually(t, func() bool { return chip.State().Held }, patience, time.Millisecond)
	}
	require.NoError(t, slot.Insert(chip))
	hold()
	require.NoError(t, slot.Remove(bounded(t)))
	require.False(t, chip.Release(), "the hold is over")

	require.NoError(t, slot.Insert(chip))
	hold()
	require.NoError(t, d.conn.Close())
	d.accept() // the card is in the slot still
	require.False(t, chip.State().Held)
	answer := d.ask(update...)
	require.Equal(t, []byte{0, 0, 1}, answer[29:32], "the sequence counter: the first that was executed")
	require.NoError(t, slot.Remove(bounded(t)))

	require.NoError(t, slot.Insert(chip))
	hold()
	end()
	require.NoError(t, <-ended)
	require.False(t, chip.State().Held)
}

func TestSlow(t *testing.T) {
	t.Parallel()
	d := listen(t, "127.0.0.1:0")
	slot := start(t, d.listener.Addr().String())
	chip := newChip(t, "a")
	require.NoError(t, slot.Insert(chip))
	d.accept()
	chip.SetFault(card.Fault{SlowMS: 120})
	began := time.Now()
	d.ask(uid...)
	require.GreaterOrEqual(t, time.Since(began), 120*time.Millisecond)

	// Removal does not wait for a slow answer.
	chip.SetFault(card.Fault{SlowMS: 3_600_000})
	d.say(uid...)
	require.NoError(t, slot.Remove(bounded(t)))
}
