package line_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The rows of the tear matrix whose cause strikes the whole station: as many readers as
// a course has commands each have a card in hand, each stopped before another command,
// when something that all need goes away.

// blackout is something that all need.
type blackout struct {
	name string
	// away takes it away; the returned function puts it right.
	away func(b *bench) (right func())
	// harmless: no card comes to an end while it is away, unless it needs it no more; and
	// all are clear afterwards, without a hand.
	harmless bool
}

var (
	databaseGone = blackout{name: "database gone", harmless: true, away: func(b *bench) func() {
		b.network.Cut()
		return b.network.Resume
	}}
	databaseGoneAndStationKilled = blackout{name: "database gone and station killed", away: func(b *bench) func() {
		b.network.Cut()
		return func() {
			b.crash()
			b.stop()
			b.network.Resume()
			b.start()
		}
	}}
	brokerGone = blackout{name: "broker gone", harmless: true, away: func(b *bench) func() {
		b.broker.Cut()
		return func() {
			b.broker.Resume()
			require.Eventually(b.t, func() bool { return b.count(`SELECT count(*) FROM outbox WHERE sent_at IS NULL`) == 0 },
				patience, 5*time.Millisecond, "what was to be said meanwhile is said")
		}
	}}
	tokenGone = blackout{name: "HSM gone", harmless: true, away: func(b *bench) func() {
		away := filepath.Join(b.t.TempDir(), "away")
		require.NoError(b.t, os.Rename(b.hsm.Dir, away))
		return func() { require.NoError(b.t, os.Rename(away, b.hsm.Dir)) }
	}}
)

func TestTearMatrixOfTheStation(t *testing.T) {
	t.Parallel()
	for _, kind := range breeds {
		for _, c := range []blackout{databaseGone, databaseGoneAndStationKilled, brokerGone} {
			t.Run(kind.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				blackoutRow(t, kind, c)
			})
		}
	}
}

// TestTearMatrixOfTheToken is not parallel: the token library is one for the whole
// process.
func TestTearMatrixOfTheToken(t *testing.T) {
	for _, kind := range breeds {
		t.Run(kind.name, func(t *testing.T) { blackoutRow(t, kind, tokenGone) })
	}
}

// held are cards in hand, each stopped before one command.
type held struct {
	chips   []*card.Chip
	readers []*fakeReader
	goOn    chan struct{}
}

// holdAtEach has each card of the bench in a reader of its own, stopped before as many
// commands as are in its course.
func (b *bench) holdAtEach(kind breed) *held {
	b.t.Helper()
	h := &held{goOn: make(chan struct{})}
	var reached sync.WaitGroup
	reached.Add(len(b.Serials))
	for i, serial := range b.Serials {
		reader := newFakeReader(fmt.Sprintf("Pembaca Uji %02d", i+1))
		var once sync.Once
		reader.onEach(func(n int) (lose, after bool) {
			if n == i+1 {
				once.Do(func() {
					reached.Done()
					<-h.goOn
				})
			}
			return false, false
		})
		chip := kind.chip(b, serial)
		h.chips, h.readers = append(h.chips, chip), append(h.readers, reader)
		b.attend(reader)
		reader.insert(chip)
	}
	reached.Wait()
	return h
}

func blackoutRow(t *testing.T, kind breed, c blackout) {
	b := kind.bench(t, kind.commands)
	b.look = 200 * time.Millisecond // many cards wait at once
	b.stop()
	b.start()
	b.connect()
	h := b.holdAtEach(kind)
	right := c.away(b)
	close(h.goOn)
	for i, reader := range h.readers {
		got := b.waitForIn(reader.name, "what the station says of it", func(s line.ReaderStatus) bool {
			return s.Outcome != "" || s.State == "wait" && s.Reason != ""
		})
		if b.Card(t, b.Serials[i]).State != perso.Clear {
			require.Empty(t, got.Outcome, "command %d: nothing is concluded from what is away", i+1)
			require.Equal(t, "tunggu", got.Instruction, "command %d: no card is given out while its result is not recorded", i+1)
		}
	}
	right()
	ends := map[machine.State]int{}
	for i, serial := range b.Serials {
		chip := h.chips[i]
		if c.harmless {
			got := b.waitForIn(h.readers[i].name, "clear, without a hand", func(s line.ReaderStatus) bool { return s.Outcome != "" })
			require.Equal(t, "clear", got.Outcome, "command %d: %s", i+1, got.Reason)
			require.Zero(t, b.failures(chip), "command %d", i+1)
		}
		b.agree(chip, serial, kind)
		ends[b.Card(t, serial).State]++
		if !c.harmless {
			b.finishTorn(chip, serial, i+1)
			b.agree(chip, serial, kind)
		}
	}
	t.Logf("%d cards in hand: %v", len(b.Serials), ends)
	b.numbersAreUnique()
	b.orderAddsUp()
}

// connect gives the bench's station a broker, behind a network that can be cut; it
// speaks to it as the daemon does.
func (b *bench) connect() {
	b.t.Helper()
	vhost := harness.NewVhost(b.t)
	b.broker = harness.Proxy(b.t, vhost.Address())
	broker := rabbit.New(vhost.ConfigVia("perso-station", b.broker.Address()), zerolog.Nop())
	broker.Consume(b.DB, rabbit.StationQueue("uji-1"), b.line.Hear)
	relay := outbox.NewRelay(b.DB, broker, zerolog.Nop())
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = broker.Run(ctx) })
	work.Go(func() { _ = relay.Run(ctx) })
	b.t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	require.Eventually(b.t, func() bool { return broker.Check(b.t.Context()) == nil }, patience, 5*time.Millisecond)
}
