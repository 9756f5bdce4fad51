package line_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// onlooker keeps all that the line tells.
type onlooker struct {
	mu    sync.Mutex
	slots []bool
	shown []line.ReaderStatus
	sent  []line.Exchange
	gone  int
}

func (o *onlooker) Slot(_ string, present bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slots = append(o.slots, present)
}

func (o *onlooker) Shown(s line.ReaderStatus) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shown = append(o.shown, s)
}

func (o *onlooker) Sent(_ string, x line.Exchange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent = append(o.sent, x)
}

func (o *onlooker) Gone(string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone++
}

// wishes are what people want of a station, in a test.
type wishes struct {
	mu           sync.Mutex
	begin, touch error
}

func (w *wishes) set(begin, touch error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin, w.touch = begin, touch
}

func (w *wishes) Begin(context.Context, *postgres.Tx) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begin
}

func (w *wishes) Touch() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.touch
}

var stopped = &line.Held{Text: "Stasiun dijeda"}

// restart starts the station of a bench anew, looked at and held.
func (b *bench) restart(o line.Observer, w line.Orders) {
	b.t.Helper()
	b.stop()
	b.watcher, b.orders = o, w
	b.start()
}

func TestAPausedLineBeginsNoCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	w := &wishes{begin: stopped}
	b.restart(nil, w)
	chip := b.chip(b.Serials[0])
	b.reader.insert(chip)
	s := b.waitFor("the card to wait", func(s line.ReaderStatus) bool { return s.Reason == stopped.Text })
	require.Equal(t, "tunggu", s.Instruction)
	require.Equal(t, b.Serials[0], s.Serial, "it was looked at")
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[0]).State)
	require.Empty(t, b.writes.Since(0), "nothing is written")
	require.Zero(t, b.count(`SELECT count(*) FROM perso_attempt`))
	require.Zero(t, b.count(`SELECT count(*) FROM chip_authentication`))
	w.set(nil, nil)
	b.line.Wake()
	require.Equal(t, "clear", b.waitFor("an outcome", func(s line.ReaderStatus) bool { return s.Outcome != "" }).Outcome)
	b.removeCard()

	// What is begun is finished.
	second := b.chip(b.Serials[1])
	b.reader.mu.Lock()
	b.reader.hook = func(n int) (bool, bool) {
		if len(b.writes.Since(0)) > 8 {
			w.set(stopped, stopped)
		}
		return false, false
	}
	b.reader.mu.Unlock()
	require.Equal(t, "clear", b.outcome(second).Outcome)
	b.judge(second, b.Serials[1])
	require.ErrorIs(t, w.Begin(t.Context(), nil), stopped, "it was held in the middle of the card")
}

func TestADrainedLineTouchesNoCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	w := &wishes{begin: stopped, touch: stopped}
	b.restart(nil, w)
	chip := b.chip(b.Serials[0])
	b.reader.insert(chip)
	b.waitFor("the card to wait", func(s line.ReaderStatus) bool { return s.Reason == stopped.Text && s.State == "wait" })
	for range 3 {
		b.line.Wake()
	}
	b.waitFor("the card to wait", func(s line.ReaderStatus) bool { return s.Reason == stopped.Text })
	require.Zero(t, b.reader.commands())
	require.Empty(t, b.line.InHand())

	// A card in doubt waits for its decision to be followed until the line goes on.
	w.set(nil, nil)
	chip.SetFault(card.Fault{VanishAtStep: card.StepPutKey, Executed: true})
	b.line.Wake()
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool {
		return b.Card(t, b.Serials[0]).State == perso.InDoubt && s.State == "empty"
	})
	chip.SetFault(card.Fault{})
	b.reader.insert(chip)
	b.waitFor("a finding", func(line.ReaderStatus) bool { return b.proposal(b.Serials[0]) == perso.DecideResume })
	w.set(stopped, stopped)
	before := b.reader.commands()
	b.Resolve(t, b.CardIDs[0], perso.DecideResume)
	for range 3 {
		b.line.Wake()
	}
	require.Equal(t, perso.InDoubt, b.Card(t, b.Serials[0]).State)
	require.Equal(t, before, b.reader.commands())
	w.set(nil, nil)
	b.line.Wake()
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.judge(chip, b.Serials[0])
}

// secretsOf are what must be found nowhere: the chip's keys, before and after, the CONF,
// and what opens it together with that.
func (b *bench) secretsOf(chip *card.Chip, serial string) map[string][]byte {
	b.t.Helper()
	id := card.SeedChipID(serial)
	transport, final := b.keys(b.profile.Keys.Transport.Master, id), b.keys(b.profile.Keys.Final.Master, id)
	hand, err := perso.Reload(b.t.Context(), b.DB, b.Card(b.t, serial).ID)
	require.NoError(b.t, err)
	wrap, err := b.token.FindKey(b.t.Context(), b.profile.Keys.SecretWrap)
	require.NoError(b.t, err)
	conf, err := wrap.OpenSecret(b.t.Context(), hand.Attempt.Sealed, pkcs11.Bind(hand.Card.ID, hand.Attempt.ID))
	require.NoError(b.t, err)
	pcid, err := hex.DecodeString(hand.Card.PCID)
	require.NoError(b.t, err)
	require.True(b.t, chip.State().HasCONF)
	return map[string][]byte{
		"transport ENC": transport.ENC, "transport MAC": transport.MAC, "transport DEK": transport.DEK,
		"final ENC": final.ENC, "final MAC": final.MAC, "final DEK": final.DEK, "CONF": conf, "PCID": pcid,
	}
}

// TestWhoLooksOnLearnsNoSecret: the onlooker is told of each card, step and command,
// and of no byte that was sent in one.
func TestWhoLooksOnLearnsNoSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	o := &onlooker{}
	b.restart(o, nil)
	good := b.chip(b.Serials[0])
	require.Equal(t, "clear", b.outcome(good).Outcome)
	commands := b.reader.commands()
	b.removeCard()
	require.Len(t, o.sent, commands)
	doubtful := b.chip(b.Serials[1])
	doubtful.SetFault(card.Fault{VanishAtStep: card.StepPutKey, Executed: true})
	b.reader.insert(doubtful)
	b.waitFor("the card to be gone", func(s line.ReaderStatus) bool {
		return b.Card(t, b.Serials[1]).State == perso.InDoubt && s.State == "empty"
	})
	b.stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	require.Equal(t, []bool{false, true, false, true, false}, o.slots)
	require.Equal(t, 1, o.gone)

	steps := map[string]bool{}
	for _, x := range o.sent {
		steps[x.Step] = true
		require.Len(t, x.Header, 8)
		require.GreaterOrEqual(t, x.Sent, 4)
		if x.Fault == "" {
			require.Len(t, x.Status, 4)
		} else {
			require.Empty(t, x.Status)
		}
	}
	for _, s := range b.profile.Steps {
		require.True(t, steps[string(s.Do)], "no command of %s", s.Do)
	}
	require.True(t, steps[""], "the look")
	var lost []line.Exchange
	for _, x := range o.sent {
		if x.Fault != "" {
			lost = append(lost, x)
		}
	}
	require.Len(t, lost, 2, "the command that took the card, and the look after it")
	require.Equal(t, "outcome_unknown", lost[0].Fault)
	require.Equal(t, "keys", lost[0].Step)
	require.Equal(t, "card_gone", lost[1].Fault)

	told, err := json.Marshal([]any{o.sent, o.shown})
	require.NoError(t, err)
	for i, chip := range []*card.Chip{good, doubtful} {
		for name, secret := range b.secretsOf(chip, b.Serials[i]) {
			for n := 0; n+8 <= len(secret); n++ { // each window of eight bytes
				part := secret[n : n+8]
				for _, form := range []string{hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), base64.RawStdEncoding.EncodeToString(secret), string(part)} {
					require.False(t, bytes.Contains(told, []byte(form)), "%s of %s was told", name, b.Serials[i])
				}
			}
		}
	}
}
