package smartcard

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// startShell runs a shell script in the place of a reader's process.
func startShell(t *testing.T, script string, change ...func(*Options)) *Reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	opts := Options{
		Name: "Reader", Command: []string{"/bin/sh", "-c", script}, Stderr: io.Discard, Log: zerolog.Nop(),
		TransmitTimeout: 300 * time.Millisecond, ConnectTimeout: 300 * time.Millisecond,
		BusyTimeout: 200 * time.Millisecond,
		BackoffMin:  5 * time.Millisecond, BackoffMax: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&opts)
	}
	r, err := StartReader(ctx, opts)
	require.NoError(t, err)
	t.Cleanup(func() { cancel(); <-r.Done() })
	return r
}

func await(t *testing.T, r *Reader, kind Kind) Event {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-r.Events():
			require.True(t, ok)
			if e.Kind == kind {
				return e
			}
		case <-limit:
			require.FailNow(t, "no event", string(kind))
		}
	}
}

// oneCommand takes one frame, which arrives in one piece.
const oneCommand = "dd bs=65536 count=1 >/dev/null 2>&1; "

// frame gives a frame for printf of the shell.
func frame(t *testing.T, m message) string {
	t.Helper()
	body, err := json.Marshal(m)
	require.NoError(t, err)
	var text string
	for _, b := range append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...) {
		text += fmt.Sprintf(`\%03o`, b)
	}
	return "printf '" + text + "'; "
}

func TestChildThatNeverWorks(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"missing program": {"./no-such-program"},
		"ends at once":    {"/bin/true"},
		"writes garbage":  {"/bin/sh", "-c", "echo hello; exec cat >/dev/null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startShell(t, "", func(o *Options) {
				o.Command, o.BackoffMin, o.BackoffMax = command, 600*time.Millisecond, time.Second
			})
			first := await(t, r, Quarantined)
			require.Equal(t, 600*time.Millisecond, first.Wait)
			require.NotEmpty(t, first.Detail)
			require.Equal(t, time.Second, await(t, r, Quarantined).Wait, "doubled, up to the most")
			require.Equal(t, time.Second, await(t, r, Quarantined).Wait)
			_, err := r.Connect(t.Context())
			require.ErrorIs(t, err, ErrReaderGone)
		})
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	_, err := StartReader(t.Context(), Options{Name: "Reader"})
	require.Error(t, err)
	_, err = StartReader(t.Context(), Options{Command: []string{"true"}})
	require.Error(t, err)
}

// A child that dies has its card reported as removed, and numbers go on.
func TestInsertionsAreNumberedAcrossChildren(t *testing.T) {
	t.Parallel()
	r := startShell(t, frame(t, message{Event: ReaderReady})+frame(t, message{Event: Inserted, Seq: 1}))
	for seq := uint64(1); seq < 4; seq++ {
		require.Equal(t, seq, await(t, r, Inserted).Seq)
		require.Equal(t, seq, await(t, r, Removed).Seq)
	}
}

// What the child did with a command it got is known only from its answer.
func TestDeathOfChildDuringCommand(t *testing.T) {
	t.Parallel()
	inserted := frame(t, message{Event: Inserted, Seq: 7})
	connected := oneCommand + frame(t, message{ID: 1, Class: classOK, Session: 1, Seq: 7})
	tests := map[string]struct {
		script string
		want   error
	}{
		"dies on the command": {oneCommand, ErrOutcomeUnknown},
		"hangs":               {"exec sleep 60", ErrOutcomeUnknown},
		"garbage":             {oneCommand + "echo garbage; exec sleep 60", ErrOutcomeUnknown},
		"short answer":        {oneCommand + frame(t, message{ID: 2, Class: classOK, Data: []byte{0x90}}) + "exec sleep 60", ErrOutcomeUnknown},
		"strange verdict":     {oneCommand + frame(t, message{ID: 2, Class: "fine"}) + "exec sleep 60", ErrOutcomeUnknown},
		"card gone":           {oneCommand + frame(t, message{ID: 2, Class: classCardGone}) + "exec sleep 60", ErrCardGone},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startShell(t, inserted+connected+tc.script)
			require.Equal(t, uint64(1), await(t, r, Inserted).Seq)
			card, err := r.Connect(t.Context())
			require.NoError(t, err)
			require.Equal(t, uint64(1), card.Seq(), "the number of this Reader, not of the child")
			_, err = card.Transmit(t.Context(), apdu)
			require.ErrorIs(t, err, tc.want)
			for _, other := range []error{ErrOutcomeUnknown, ErrCardGone, ErrReaderGone} {
				if !errors.Is(tc.want, other) {
					require.NotErrorIs(t, err, other)
				}
			}
		})
	}
}

func TestConnectThatHangsSendsNothing(t *testing.T) {
	t.Parallel()
	r := startShell(t, frame(t, message{Event: Inserted, Seq: 1})+"exec sleep 60")
	await(t, r, Inserted)
	_, err := r.Connect(t.Context())
	require.ErrorIs(t, err, ErrReaderGone)
	require.NotErrorIs(t, err, ErrOutcomeUnknown)
	require.Contains(t, await(t, r, Quarantined).Detail, "connect")
}

// A connection that belongs to an insertion that is over is not given out.
func TestConnectToOldInsertion(t *testing.T) {
	t.Parallel()
	r := startShell(t, frame(t, message{Event: Inserted, Seq: 2})+oneCommand+
		frame(t, message{ID: 1, Class: classOK, Session: 1, Seq: 1})+"exec cat >/dev/null")
	await(t, r, Inserted)
	_, err := r.Connect(t.Context())
	require.ErrorIs(t, err, ErrCardGone)
}

// A child that does not end when told to is killed, with all it has started.
func TestStubbornChildIsKilled(t *testing.T) {
	t.Parallel()
	held, holder, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := StartReader(ctx, Options{
		Name: "Reader", Stderr: holder, Log: zerolog.Nop(),
		Command: []string{"/bin/sh", "-c", "sleep 60 & " + frame(t, message{Event: ReaderReady}) + "sleep 60"},
	})
	require.NoError(t, err)
	await(t, r, ReaderReady)
	cancel()
	select {
	case <-r.Done():
	case <-time.After(2 * stopGrace):
		require.FailNow(t, "something that the child has started is still there")
	}
	_, open := <-r.Events()
	require.False(t, open)
	require.NoError(t, holder.Close())
	require.NoError(t, held.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = io.ReadAll(held) // ends when nobody holds the other side
	require.NoError(t, err)
	require.NoError(t, held.Close())
}
