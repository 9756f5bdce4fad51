package line_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/smartcard"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// hostileReader is a second slot of the bench in which something answers that is no
// honest card.
type hostileReader struct {
	*fakeReader

	lies sync.Mutex
	// say answers a command in the chip's place; nil leaves it to the chip.
	say func(command []byte) ([]byte, error)
}

// hostile starts a second slot.
func (b *bench) hostile() *hostileReader {
	b.t.Helper()
	r := &hostileReader{fakeReader: newFakeReader("Pembaca Jahat 01 00")}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	work := b.line
	go func() {
		defer close(done)
		work.Serve(ctx, r)
	}()
	stop := b.stop
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		stop()
	})
	return r
}

// answers has the reader say something from now on.
func (r *hostileReader) answers(say func(command []byte) ([]byte, error)) {
	r.lies.Lock()
	defer r.lies.Unlock()
	r.say = say
}

// Connect implements line.Reader.
func (r *hostileReader) Connect(ctx context.Context) (line.Card, error) {
	c, err := r.fakeReader.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &hostileCard{c, r}, nil
}

type hostileCard struct {
	line.Card
	reader *hostileReader
}

// Transmit implements smartcard.Transmitter.
func (c *hostileCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c.reader.lies.Lock()
	say := c.reader.say
	c.reader.lies.Unlock()
	if say != nil {
		if answer, err := say(command); answer != nil || err != nil {
			return answer, err
		}
	}
	return c.Card.Transmit(ctx, command)
}

// shows waits until the hostile slot shows something.
func (b *bench) shows(r *hostileReader, what string, good func(line.ReaderStatus) bool) (got line.ReaderStatus) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		for _, s := range b.line.Readers() {
			if s.Name == r.Name() {
				got = s
				return good(s)
			}
		}
		return false
	}, 20*time.Second, 2*time.Millisecond, "waiting for %s", what)
	return got
}

// Beginnings of commands.
var (
	getManifest = []byte{0x80, 0xCA, 0xDF, 0x04}
	getCPLC     = []byte{0x80, 0xCA, 0x9F, 0x7F}
	openSAM     = []byte{0x00, 0xF0}
	secure      = []byte{0x84, 0xF0, 0x80, 0x0F}
	initUpdate  = []byte{0x80, 0x50}
	putKey      = []byte{0x84, 0xD8}
)

// is answers commands that begin so.
func is(prefix []byte, answer ...byte) func([]byte) ([]byte, error) {
	return func(command []byte) ([]byte, error) {
		if bytes.HasPrefix(command, prefix) {
			return answer, nil
		}
		return nil, nil
	}
}

// TestWhatACardHoldsCannotHinderItsDoubt: a place that was torn holds any bytes. That
// the card is in doubt is recorded all the same, and what was seen of it.
func TestWhatACardHoldsCannotHinderItsDoubt(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	odd := is(getManifest, 0xDF, 0x04, 0x06, 'S', 'A', 0x00, 0xFF, 0x01, 0x00, 0x90, 0x00)

	// Seen in the middle of the writing: the keys are refused in a way that tells nothing.
	r := b.hostile()
	torn := false
	r.answers(func(command []byte) ([]byte, error) {
		if bytes.HasPrefix(command, putKey) {
			torn = true
			return []byte{0x01, 0x90, 0x00}, nil
		}
		if torn {
			return odd(command)
		}
		return nil, nil
	})
	first := b.chip(b.Serials[0])
	r.insert(first)
	b.shows(r, "an outcome", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Eventually(t, func() bool { return b.proposal(b.Serials[0]) == perso.DecideSpoil }, 10*time.Second, 5*time.Millisecond)

	// Seen when it is put in again.
	r.remove()
	r.answers(nil)
	second := b.chip(b.Serials[1])
	second.SetFault(card.Fault{VanishAtStep: card.StepManifest, Executed: true})
	r.insert(second)
	require.Eventually(t, func() bool { return b.Card(t, b.Serials[1]).State == perso.InDoubt }, 10*time.Second, 5*time.Millisecond)
	r.answers(odd)
	r.insert(second)
	require.Eventually(t, func() bool { return b.proposal(b.Serials[1]) == perso.DecideSpoil }, 10*time.Second, 5*time.Millisecond)
}

// TestOpenSAMIsNotRepeatedWithoutEnd: a card may count wrong ones, and one that never
// answers it says nothing by being asked again. Nobody puts it in again here: the
// station looks at it by itself. People decide then.
func TestOpenSAMIsNotRepeatedWithoutEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	serial := b.Serials[0]
	chip := b.chip(serial)
	r := b.hostile()
	var opened atomic.Int64
	secured := false
	r.answers(func(command []byte) ([]byte, error) {
		switch {
		case bytes.HasPrefix(command, secure): // done, and its answer lost
			secured = true
			chip.Transmit(command)
			return nil, smartcard.ErrOutcomeUnknown
		case secured && bytes.HasPrefix(command, openSAM):
			opened.Add(1)
			return nil, smartcard.ErrOutcomeUnknown
		}
		return nil, nil
	})
	r.insert(chip)
	require.Eventually(t, func() bool { return b.proposal(serial) == perso.DecideSpoil }, 10*time.Second, 5*time.Millisecond,
		"after %d tries", opened.Load())
	asked := opened.Load()
	require.LessOrEqual(t, asked, int64(line.MostOpens))
	for range 3 {
		r.remove()
		r.insert(chip)
		b.shows(r, "the card in doubt", func(s line.ReaderStatus) bool { return s.Outcome == "in_doubt" })
	}
	r.remove()
	b.stop()
	b.start() // what was counted is in the journal
	r = b.hostile()
	r.answers(func(command []byte) ([]byte, error) {
		if bytes.HasPrefix(command, openSAM) {
			opened.Add(1)
		}
		return nil, nil
	})
	r.insert(chip)
	b.shows(r, "the card in doubt", func(s line.ReaderStatus) bool { return s.Outcome == "in_doubt" })
	require.Equal(t, asked, opened.Load())
}

// TestAMalformedCardLeavesTheLine: what answers, and never so that it can be read, is
// no card of ours; a feeder goes on with the next.
func TestAMalformedCardLeavesTheLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.hostile()
	for name, say := range map[string]func([]byte) ([]byte, error){
		"cut off":      is(getCPLC, 0x9F, 0x7F, 0x2A, 0x01, 0x90, 0x00),
		"no end":       func([]byte) ([]byte, error) { return []byte{0x00, 0x61, 0x10}, nil },
		"long lengths": is(getCPLC, 0x9F, 0x7F, 0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x90, 0x00),
		"empty":        func([]byte) ([]byte, error) { return []byte{0x90, 0x00}, nil },
	} {
		r.answers(say)
		r.insert(b.chip(b.Serials[0]))
		got := b.shows(r, name, func(s line.ReaderStatus) bool { return s.State == "refused" })
		require.Equal(t, "sisihkan", got.Instruction, name)
		r.remove()
		b.shows(r, "an empty slot", func(s line.ReaderStatus) bool { return s.State == "empty" })
	}
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[0]).State)
}

// TestATwinOfAClearCardIsNotGood: a blank that says it is a card which is clear already
// has nothing on it.
func TestATwinOfAClearCardIsNotGood(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[0])).Outcome)
	b.removeCard()
	got := b.outcome(b.chip(b.Serials[0])) // another chip with the same names
	require.Equal(t, "set_aside", got.State)
	require.Equal(t, "refused", got.Outcome)
	require.Equal(t, perso.Clear, b.Card(t, b.Serials[0]).State, "the good one is elsewhere")
}

// TestAPanicStaysAtItsReader: an error of this program with one card leaves no other card
// in doubt, and the log says nothing of what was sent.
func TestAPanicStaysAtItsReader(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	r := b.hostile()
	r.answers(func([]byte) ([]byte, error) { panic("uji") })
	r.insert(b.chip("SAM99999999"))
	b.shows(r, "the card to be set aside", func(s line.ReaderStatus) bool { return s.State == "set_aside" })

	// In the middle of the writing, too.
	chip := b.chip(b.Serials[0])
	r.answers(func(command []byte) ([]byte, error) {
		if bytes.HasPrefix(command, putKey) {
			panic("uji")
		}
		return nil, nil
	})
	r.remove()
	r.insert(chip)
	b.shows(r, "the card to be set aside", func(s line.ReaderStatus) bool { return s.State == "set_aside" && s.Serial == b.Serials[0] })
	require.Equal(t, perso.Writing, b.Card(t, b.Serials[0]).State)
	r.answers(nil)
	r.remove()
	r.insert(chip)
	b.shows(r, "the doubt", func(s line.ReaderStatus) bool { return s.Outcome == "in_doubt" })
	require.Equal(t, perso.DecideResume, b.proposal(b.Serials[0]))
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	b.shows(r, "clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, b.Serials[0])
}

// TestAnHSMThatCannotDeriveTouchesNoCard: a master that is there and cannot do its work
// is found out before a chip hears of an authentication, and not once more at each look.
func TestAnHSMThatCannotDeriveTouchesNoCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	value := make([]byte, 32)
	_, _ = rand.Read(value)
	_, err := b.token.ImportAES(t.Context(), "uji-tanpa-mac", value, pkcs11.UseEncrypt)
	require.NoError(t, err)
	file, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	text := strings.NewReplacer(`"version": 1`, `"version": 2`, b.profile.Keys.Transport.Master, "uji-tanpa-mac").Replace(string(file))
	persotest.Approve(t, b.DB, recipe.KeyCode, text)
	var asked atomic.Int64
	r := b.hostile()
	r.answers(func(command []byte) ([]byte, error) {
		if bytes.HasPrefix(command, initUpdate) {
			asked.Add(1)
		}
		return nil, nil
	})
	r.insert(b.chip(b.Serials[0]))
	got := b.shows(r, "the card to wait", func(s line.ReaderStatus) bool { return s.State == "wait" && s.Serial != "" })
	require.Equal(t, "tunggu", got.Instruction)
	require.Never(t, func() bool { return asked.Load() > 0 }, 20*b.lookEvery(), b.lookEvery())
	require.Error(t, b.line.CheckKeys(t.Context()), "readyz says so")
}

// TestARolledBackDatabaseIsNoticedByAStationThatRuns: a machine's snapshot, or a dump,
// brings the database back to before the last card on the same timeline. A station that
// was never stopped gives no number a second time.
func TestARolledBackDatabaseIsNoticedByAStationThatRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	var counters []struct {
		Kind string `db:"kind"`
		Next int64  `db:"next"`
	}
	require.NoError(t, b.DB.Select(t.Context(), &counters, `SELECT kind, next FROM number_counter`))
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[0])).Outcome)
	first := b.Card(t, b.Serials[0])
	b.removeCard()
	b.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`, `DELETE FROM perso_attempt`, `DELETE FROM card_number`,
			`UPDATE card SET state = 'listed', chip_id = NULL, pcid = NULL, manifest_no = NULL, attempt = 0, work_order_id = NULL`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		for _, c := range counters {
			if err := tx.ExecOne(ctx, `UPDATE number_counter SET next = $2 WHERE kind = $1`, c.Kind, c.Next); err != nil {
				return err
			}
		}
		return nil
	})
	chip := b.chip(b.Serials[1])
	b.reader.insert(chip)
	got := b.waitFor("an answer", func(s line.ReaderStatus) bool { return s.Serial != "" && s.State != "working" })
	require.Equal(t, "wait", got.State, "%s", got.Reason)
	require.Contains(t, got.Reason, "dipulihkan")
	require.NotEqual(t, first.PCID, b.Card(t, b.Serials[1]).PCID)
	require.Empty(t, b.accepted(chip.State().ChipID))
	require.ErrorIs(t, b.line.Watch(t.Context()), line.ErrChanged)
	require.ErrorIs(t, b.line.Reconcile(t.Context()), line.ErrOlder)
}
