package line_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/smartcard"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

const keyUse = pkcs11.UseMAC | pkcs11.UseEncrypt | pkcs11.UseWrap

// bench is a station with one slot and an office around it.
type bench struct {
	*persotest.Office
	t       testing.TB
	token   *pkcs11.Token
	profile *profile.Profile
	journal string
	station string       // name of it; uji-1 when empty
	disk    *daemon.Disk // nil: never low
	line    *line.Line
	book    *journal.Journal // the station's own
	pool    *postgres.DB     // likewise
	reader  *fakeReader
	writes  *writelog.Log
	stop    func()
	crash   func()            // ends the station as a crash does
	attend  func(*fakeReader) // gives it one more reader
	network *harness.Relay
	broker  *harness.Relay // nil until the station speaks to one
	pinFile string
	hsm     harness.Token
	held    atomic.Int64 // lines in the log that say so
	watcher line.Observer
	orders  line.Orders
	feeder  func(string) line.Feeder
	tests   *regexp.Regexp // of test cards; nil for none
	look    time.Duration  // how often a waiting card is looked at; 10 ms when 0
}

// newBench makes an office with n cards and starts a station.
func newBench(t testing.TB, n int) *bench {
	t.Helper()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	p, err := profile.Parse(file)
	require.NoError(t, err)
	file, err = configs.KeyCode("ktpel")
	require.NoError(t, err)
	keys, err := profile.ParseKeyCode(file)
	require.NoError(t, err)
	p.Use(keys)
	h := harness.HSM(t)
	token, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { _ = token.Close() })
	for _, label := range []string{p.Keys.Transport.Master, p.Keys.Final.Master, p.Keys.SecretWrap} {
		value := make([]byte, 32)
		_, _ = rand.Read(value)
		_, err := token.ImportAES(t.Context(), label, value, keyUse)
		require.NoError(t, err)
	}
	writes, err := writelog.Open("")
	require.NoError(t, err)
	b := &bench{
		Office: persotest.New(t, n, n), t: t, token: token, profile: p,
		journal: filepath.Join(t.TempDir(), "station.journal"), writes: writes, pinFile: h.PINFile, hsm: h,
	}
	b.network = harness.Proxy(t, b.Database.Address())
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start starts the station on a pool of its own; what an earlier one left is
// settled first.
func (b *bench) start() {
	b.t.Helper()
	require.NoError(b.t, b.begin())
}

// reconcile is the start of a station that begins no card.
func (b *bench) reconcile() error {
	b.t.Helper()
	err := b.begin()
	b.stop()
	return err
}

func (b *bench) begin() error {
	b.t.Helper()
	book, err := journal.Open(b.journal)
	require.NoError(b.t, err)
	cfg := b.Database.Config(b.t, "")
	cfg.URL = strings.Replace(cfg.URL, b.Database.Address(), b.network.Address(), 1)
	db, err := postgres.Open(cfg)
	require.NoError(b.t, err)
	b.book, b.pool = book, db
	b.line = line.New(line.Parts{
		Station: cmp.Or(b.station, "uji-1"), DB: db, Profile: "gp-scp03-sam", Token: b.token, Journal: book, Disk: b.disk,
		Office: clock.NewFixedOffice(persotest.OfficeAt), Log: zerolog.New(zerolog.NewTestWriter(b.t)).Hook(zerolog.HookFunc(b.listen)),
		Look: b.lookEvery(), Observer: b.watcher, Orders: b.orders, TestCards: b.tests, Feeder: b.feeder,
	})
	unsettled := b.line.Reconcile(b.t.Context())
	b.reader = newFakeReader("Pembaca Uji 00 00")
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	work := b.line
	b.attend = func(r *fakeReader) { served.Go(func() { work.Serve(ctx, r) }) }
	b.attend(b.reader)
	b.crash = func() {
		_ = book.Close() // nothing more is kept of it, here
		_ = db.Close()   // or there
		cancel()
	}
	b.stop = sync.OnceFunc(func() {
		cancel()
		served.Wait()
		_ = book.Close()
		_ = db.Close()
	})
	return unsettled
}

func (b *bench) listen(_ *zerolog.Event, _ zerolog.Level, message string) {
	if strings.HasPrefix(message, "holding") {
		b.held.Add(1)
	}
}

// keys is the keyset of a chip under one of the masters.
func (b *bench) keys(master string, kdd []byte) card.Keys {
	b.t.Helper()
	key, err := b.token.FindKey(b.t.Context(), master)
	require.NoError(b.t, err)
	var out [3][]byte
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		out[i], err = key.KDF3(b.t.Context(), purpose, kdd, b.profile.Keys.Bytes)
		require.NoError(b.t, err)
	}
	return card.Keys{ENC: out[0], MAC: out[1], DEK: out[2]}
}

// chip makes a blank with a printed serial.
func (b *bench) chip(serial string, adjust ...func(*card.Config)) *card.Chip {
	b.t.Helper()
	id := card.SeedChipID(serial)
	cfg := card.Config{ChipID: id, Serial: serial, KVN: 0x30, Keys: b.keys(b.profile.Keys.Transport.Master, id)}
	for _, f := range adjust {
		f(&cfg)
	}
	c, err := card.New(cfg, b.writes)
	require.NoError(b.t, err)
	return c
}

// waitFor waits until the slot shows something.
func (b *bench) waitFor(what string, good func(line.ReaderStatus) bool) line.ReaderStatus {
	b.t.Helper()
	return b.waitForIn(b.reader.name, what, good)
}

// waitForIn is waitFor of the slot of any reader.
func (b *bench) waitForIn(reader, what string, good func(line.ReaderStatus) bool) (last line.ReaderStatus) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		all := b.line.Readers()
		i := slices.IndexFunc(all, func(s line.ReaderStatus) bool { return s.Name == reader })
		if i < 0 {
			return false
		}
		last = all[i]
		return good(last)
	}, patience, 2*time.Millisecond, "waiting for %s", what)
	return last
}

// patience is how long a machine that has much else to do may take.
const patience = time.Minute

// outcome inserts a chip and waits for what the station says of it.
func (b *bench) outcome(c *card.Chip) line.ReaderStatus {
	b.t.Helper()
	b.reader.insert(c)
	return b.waitFor("an outcome", func(s line.ReaderStatus) bool { return s.Outcome != "" })
}

func (b *bench) removeCard() {
	b.t.Helper()
	b.reader.remove()
	b.waitFor("an empty slot", func(s line.ReaderStatus) bool { return s.State == "empty" })
}

// fakeReader is a reader with a virtual chip in it, without PC/SC.
type fakeReader struct {
	name   string
	events chan smartcard.Event

	mu    sync.Mutex
	seq   uint64
	chip  *card.Chip
	apdus int // commands since the insertion
	// hook, if set, is called before each command with its number; true loses
	// the answer and, unless after, the command too.
	hook func(n int) (lose, after bool)
	// instead, if set, answers a command by its number in the chip's place.
	instead func(n int) []byte
	// refuse are the errors of the next connections, in turn.
	refuse []error
}

func newFakeReader(name string) *fakeReader {
	r := &fakeReader{name: name, events: make(chan smartcard.Event, 1024)}
	r.events <- smartcard.Event{Kind: smartcard.ReaderReady}
	return r
}

func (r *fakeReader) Name() string                   { return r.name }
func (r *fakeReader) Events() <-chan smartcard.Event { return r.events }

func (r *fakeReader) insert(c *card.Chip) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.Reset()
	r.seq++
	r.chip, r.apdus = c, 0
	r.events <- smartcard.Event{Kind: smartcard.Inserted, Seq: r.seq, ATR: []byte{0x3B, 0x80, 0x01, 0x81}}
}

func (r *fakeReader) remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone()
}

func (r *fakeReader) gone() {
	if r.chip == nil {
		return
	}
	r.chip.Reset()
	r.chip = nil
	r.events <- smartcard.Event{Kind: smartcard.Removed, Seq: r.seq}
}

// commands is how many commands the present insertion has had.
func (r *fakeReader) commands() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.apdus
}

func (r *fakeReader) Connect(context.Context) (line.Card, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chip == nil {
		return nil, smartcard.ErrCardGone
	}
	if len(r.refuse) > 0 {
		err := r.refuse[0]
		r.refuse = r.refuse[1:]
		return nil, err
	}
	return &fakeCard{reader: r, seq: r.seq}, nil
}

type fakeCard struct {
	reader *fakeReader
	seq    uint64
	dead   bool
}

func (c *fakeCard) Close(reset bool) error { return nil }

func (c *fakeCard) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := c.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.dead || r.chip == nil || r.seq != c.seq {
		return nil, smartcard.ErrCardGone
	}
	r.apdus++
	if r.hook != nil {
		if lose, after := r.hook(r.apdus); lose {
			if after {
				r.chip.Transmit(command)
			}
			c.dead = true
			return nil, smartcard.ErrOutcomeUnknown
		}
	}
	if r.instead != nil {
		if said := r.instead(r.apdus); said != nil {
			return said, nil
		}
	}
	answer := r.chip.Transmit(command)
	switch answer.Fate {
	case card.Answered:
		return answer.Data, nil
	case card.Vanish:
		r.gone()
	case card.Mute:
		// The child is killed and a new one finds the card again.
		chip := r.chip
		r.gone()
		r.events <- smartcard.Event{Kind: smartcard.Quarantined}
		r.events <- smartcard.Event{Kind: smartcard.ReaderReady}
		r.seq++
		r.chip, r.apdus = chip, 0
		r.events <- smartcard.Event{Kind: smartcard.Inserted, Seq: r.seq}
	}
	c.dead = true
	return nil, fmt.Errorf("%w: answer of 0 bytes", smartcard.ErrOutcomeUnknown)
}

func (b *bench) lookEvery() time.Duration { return cmp.Or(b.look, 10*time.Millisecond) }

// marker is an attempt's id as a chip shows it.
func marker(attemptID string) string { return strings.ToUpper(strings.ReplaceAll(attemptID, "-", "")) }
