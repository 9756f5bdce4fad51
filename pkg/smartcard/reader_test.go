package smartcard_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/smartcard"
)

func connect(t *testing.T, r *smartcard.Reader) *smartcard.Card {
	t.Helper()
	card, err := r.Connect(t.Context())
	require.NoError(t, err)
	return card
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	next(t, r, smartcard.ReaderReady)
	_, err := r.Connect(t.Context())
	require.ErrorIs(t, err, smartcard.ErrCardGone)

	chip := p.insert(t, atr1, obedient)
	e := next(t, r, smartcard.Inserted)
	require.Equal(t, uint64(1), e.Seq)
	require.Equal(t, atr1, e.ATR)
	require.False(t, e.Mute)
	card := connect(t, r)
	require.Equal(t, uint64(1), card.Seq())
	require.Equal(t, atr1, card.ATR())
	require.Equal(t, 1, card.Protocol())
	answer, err := card.Transmit(t.Context(), command)
	require.NoError(t, err)
	require.Equal(t, append(slices.Clone(command), 0x90, 0x00), answer)
	_, err = card.Transmit(t.Context(), command[:3])
	require.ErrorIs(t, err, smartcard.ErrBadCommand)
	require.Equal(t, [][]byte{command}, chip.received())

	// Closed with a reset and opened again: the same insertion.
	require.NoError(t, card.Close(true))
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone)
	again := connect(t, r)
	require.Equal(t, uint64(1), again.Seq())
	long := append([]byte{0x80, 0xE2, 0x00, 0x00, 0x00, 0x01, 0x00}, make([]byte, 256)...)
	answer, err = again.Transmit(t.Context(), long)
	require.NoError(t, err)
	require.Len(t, answer, len(long)+2)
	require.NoError(t, again.Close(false))

	chip.remove()
	require.Equal(t, uint64(1), next(t, r, smartcard.Removed).Seq)
	p.insert(t, atr2, obedient)
	e = next(t, r, smartcard.Inserted)
	require.Equal(t, uint64(2), e.Seq)
	require.Equal(t, atr2, e.ATR)
	card = connect(t, r)
	require.Equal(t, uint64(2), card.Seq())
	require.NoError(t, card.Close(true))
}

func TestCardInSlotAtStart(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	p.insert(t, atr1, obedient)
	r := p.start(t)
	next(t, r, smartcard.ReaderReady)
	require.Equal(t, atr1, next(t, r, smartcard.Inserted).ATR)
	_, err := connect(t, r).Transmit(t.Context(), command)
	require.NoError(t, err)
}

func TestCardVanishesDuringCommand(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	chip := p.insert(t, atr1, vanishing)
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	_, err := card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrOutcomeUnknown)
	require.Len(t, chip.received(), 1)
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone)
	next(t, r, smartcard.Removed)
	_, err = r.Connect(t.Context())
	require.ErrorIs(t, err, smartcard.ErrCardGone)
}

func TestMuteCardKillsItsProcessOnly(t *testing.T) {
	t.Parallel()
	both := places(t, 2)
	p, q := both[0], both[1]
	short := func(o *smartcard.Options) { o.TransmitTimeout = 400 * time.Millisecond }
	r, other := p.start(t, short), q.start(t, short)
	chip := p.insert(t, atr1, mute)
	q.insert(t, atr2, obedient)
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	next(t, other, smartcard.Inserted, smartcard.ReaderReady)
	card, neighbour := connect(t, r), connect(t, other)

	_, err := card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrOutcomeUnknown)
	_, err = neighbour.Transmit(t.Context(), command)
	require.NoError(t, err)
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrReaderGone)
	require.NoError(t, card.Close(true))
	require.Equal(t, uint64(1), next(t, r, smartcard.Removed).Seq)
	require.NotZero(t, next(t, r, smartcard.Quarantined).Wait)
	next(t, r, smartcard.ReaderReady)

	require.Len(t, chip.received(), 1)
	chip.remove()
	next(t, r, smartcard.Removed, smartcard.Inserted)
	p.insert(t, atr2, obedient)
	e := next(t, r, smartcard.Inserted)
	require.Equal(t, atr2, e.ATR)
	card = connect(t, r)
	require.Equal(t, e.Seq, card.Seq())
	_, err = card.Transmit(t.Context(), command)
	require.NoError(t, err)
	_, err = neighbour.Transmit(t.Context(), command)
	require.NoError(t, err)
}

// A card that takes the place of another never gets a command that was meant
// for it.
func TestSwappedCardGetsNothing(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	first := p.insert(t, atr1, obedient)
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	_, err := card.Transmit(t.Context(), command)
	require.NoError(t, err)

	first.remove()
	second := p.insert(t, atr1, obedient)
	next(t, r, smartcard.Removed)
	e := next(t, r, smartcard.Inserted)
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone)
	fresh := connect(t, r)
	require.Equal(t, e.Seq, fresh.Seq())
	require.NotEqual(t, card.Seq(), fresh.Seq())
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone, "the old handle stays dead beside the new one")
	require.NoError(t, card.Close(true), "and cannot harm it")
	require.Empty(t, second.received())
	_, err = fresh.Transmit(t.Context(), command)
	require.NoError(t, err)
	require.Len(t, second.received(), 1)
}

// The same while commands are being sent, with hands faster than pcscd looks.
func TestFastSwapDuringCommands(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	first := p.insert(t, atr1, obedient)
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	first.remove()
	second := p.insert(t, atr1, obedient)
	_, err := card.Transmit(t.Context(), command)
	require.Error(t, err)
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone)
	require.Empty(t, second.received())
	require.Eventually(t, func() bool {
		fresh, err := r.Connect(t.Context())
		if err != nil {
			return false
		}
		_, err = fresh.Transmit(t.Context(), command)
		return err == nil
	}, patience, 50*time.Millisecond)
	require.NotEmpty(t, second.received())
	_, err = card.Transmit(t.Context(), command)
	require.ErrorIs(t, err, smartcard.ErrCardGone)
}

func TestReaderHeldByAnother(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	p.insert(t, atr1, obedient)
	r := p.start(t)
	rival := p.start(t, func(o *smartcard.Options) { o.BusyTimeout = 300 * time.Millisecond })
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	next(t, rival, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	_, err := rival.Connect(t.Context())
	require.ErrorIs(t, err, smartcard.ErrReaderBusy)
	require.NoError(t, card.Close(false))
	connect(t, rival)
}

// A cancelled context holds a command back, but does not tear one in flight.
func TestCancelDoesNotTear(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	reached, goOn := make(chan struct{}, 1), make(chan struct{})
	chip := p.insert(t, atr1, func(c *virtualCard, command []byte) []byte {
		reached <- struct{}{}
		<-goOn
		return obedient(c, command)
	})
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
		close(goOn)
	}()
	_, err := card.Transmit(ctx, command)
	require.NoError(t, err)
	_, err = card.Transmit(ctx, command)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, chip.received(), 1)
}

// The deadline of the context ends a command like the time-out does.
func TestDeadlineEndsCommand(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	r := p.start(t)
	chip := p.insert(t, atr1, mute)
	next(t, r, smartcard.Inserted, smartcard.ReaderReady)
	card := connect(t, r)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := card.Transmit(ctx, command)
	require.ErrorIs(t, err, smartcard.ErrOutcomeUnknown)
	<-ctx.Done()
	_, err = card.Transmit(ctx, command)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	next(t, r, smartcard.Quarantined, smartcard.Removed)
	chip.remove()
}

func TestReadersAreListed(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	smartcard.WatchReaders(ctx, func(names []string) {
		if got = names; slices.Contains(names, p.name) {
			cancel()
		}
	})
	require.Contains(t, got, p.name)
	require.True(t, slices.IsSorted(got))
	for _, name := range got {
		require.True(t, smartcard.IsVirtual(name), name)
	}
}

// The reader's process does not outlive a killed supervisor.
func TestProcessDiesWithSupervisor(t *testing.T) {
	t.Parallel()
	p := places(t, 1)[0]
	p.insert(t, atr1, obedient)
	supervisor := exec.Command(os.Args[0], p.name)
	supervisor.Env = append(os.Environ(), roleVariable+"=supervisor", "PCSCLITE_CSOCK_NAME="+p.socket)
	out, err := supervisor.StdoutPipe()
	require.NoError(t, err)
	// Both processes hold this pipe: it ends when both are gone.
	held, holder, err := os.Pipe()
	require.NoError(t, err)
	supervisor.Stderr = holder
	require.NoError(t, supervisor.Start())
	require.NoError(t, holder.Close())
	line := make([]byte, len("ready\ninserted\n"))
	_, err = io.ReadFull(out, line)
	require.NoError(t, err)
	require.NoError(t, supervisor.Process.Kill())
	require.Error(t, supervisor.Wait())
	require.NoError(t, held.SetReadDeadline(time.Now().Add(patience)))
	left, err := io.ReadAll(held)
	require.NoError(t, err)
	require.Empty(t, string(left))
	require.NoError(t, held.Close())
}
