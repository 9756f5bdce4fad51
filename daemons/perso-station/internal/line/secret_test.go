package line_test

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// file is the file of a card's newest attempt.
func (b *bench) file(serial string) (body []byte) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Get(context.Background(), &body, `
		SELECT s.body FROM card_secret s JOIN perso_attempt a ON a.id = s.attempt_id JOIN card c ON c.id = a.card_id AND c.attempt = a.attempt
		WHERE c.serial = $1 AND s.edition = 1`, serial))
	return body
}

// usable takes a card as a reader of the produsen does: with what is in its file, and
// nothing else.
func (b *bench) usable(chip *card.Chip, serial string, id age.Identity) {
	b.t.Helper()
	c, err := cardsecret.Open(b.file(serial), id)
	require.NoError(b.t, err)
	now := b.Card(b.t, serial)
	require.Equal(b.t, []string{serial, chip.State().ChipID, now.ManifestNo, now.PCID}, []string{c.Serial, c.ChipID, c.ManifestNo, c.PCID})
	pcid, err := hex.DecodeString(c.PCID)
	require.NoError(b.t, err)
	require.Len(b.t, c.Secret, 32)
	open := make([]byte, 37)
	copy(open, []byte{0x00, 0xF0, 0x00, 0x00, 0x20}) // card-perso.md A4
	subtle.XORBytes(open[5:21], pcid, c.Secret[:16])
	subtle.XORBytes(open[21:], pcid, c.Secret[16:])
	chip.Reset()
	require.Equal(b.t, []byte{0x90, 0x00}, chip.Transmit(open).Data)
	open[36] ^= 1
	require.NotEqual(b.t, []byte{0x90, 0x00}, chip.Transmit(open).Data, "any text would have opened it")
}

// TestTheProdusenCanUseWhatItIsHanded: the file that is made when a card is written opens
// the card, with the produsen's key or the office's escrow key, of all kinds of card.
func TestTheProdusenCanUseWhatItIsHanded(t *testing.T) {
	t.Parallel()
	for _, breed := range breeds {
		t.Run(breed.name, func(t *testing.T) {
			t.Parallel()
			b := breed.bench(t, 1)
			serial := b.Serials[0]
			chip := breed.chip(b, serial)
			require.Equal(t, "clear", b.outcome(chip).Outcome)
			b.removeCard()
			b.usable(chip, serial, b.Recipient)
			b.usable(chip, serial, b.Escrow)
			_, err := cardsecret.Open(b.file(serial), cardsecrettest.New(t))
			require.ErrorAs(t, err, new(*age.NoIdentityMatchError), "anybody's key")
		})
	}
}

// TestACardThatGetsClearLaterHasItsFile: whatever ended the station, the file was there
// with the intent, and the card that is proven or resumed afterwards is the one that it
// opens. A key that was changed meanwhile has no part in it.
func TestACardThatGetsClearLaterHasItsFile(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"the first write": 12, "the content": 16, "the keys": 19, "the proof": 26} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 1)
			serial := b.Serials[0]
			chip := b.chip(serial)
			b.reader.hook = func(n int) (lose, after bool) { return n == at, true }
			require.Equal(t, "in_doubt", b.outcome(chip).Outcome)
			b.reader.mu.Lock()
			b.reader.hook = nil
			b.reader.mu.Unlock()
			before := b.file(serial)
			b.removeCard()
			b.stop()
			b.start()
			cardsecrettest.Register(t, b.DB, b.institution(), persotest.OfficeAt)
			b.settle(chip, serial)
			b.removeCard()
			require.Equal(t, perso.Clear, b.Card(t, serial).State)
			require.Equal(t, before, b.file(serial))
			b.usable(chip, serial, b.Recipient)
			require.Equal(t, 1, b.count(`SELECT count(*) FROM card_secret`))
		})
	}
}

func (b *bench) institution() (id string) {
	b.t.Helper()
	require.NoError(b.t, b.DB.Get(context.Background(), &id, `SELECT institution_id FROM request WHERE id = $1`, b.RequestID))
	return id
}

// giveUp ends the produsen's key.
func (b *bench) giveUp() {
	b.t.Helper()
	b.Must(b.t, func(ctx context.Context, tx *postgres.Tx) error {
		k, err := cardsecret.KeyOf(ctx, tx, b.institution())
		if err == nil {
			_, err = cardsecret.GiveUp(ctx, tx, k.ID, "diketahui orang lain", cardsecret.Who{Name: "pic", At: persotest.OfficeAt})
		}
		return err
	})
}

// TestNobodysCardIsNotWritten: without a key of the produsen, or of the office, a card
// waits untouched, with no number used and no try counted; it goes on as soon as there is
// one, for that one.
func TestNobodysCardIsNotWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.giveUp()
	chip := b.chip(b.Serials[0])
	got := b.outcome(chip)
	require.Equal(t, perso.WhyLabels[perso.NoRecipient], got.Reason)
	require.Empty(t, b.accepted(chip.State().ChipID))
	require.Equal(t, perso.Listed, b.Card(t, b.Serials[0]).State)
	require.Zero(t, b.failures(chip))
	next := cardsecrettest.Register(t, b.DB, b.institution(), persotest.OfficeAt)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.removeCard()
	b.usable(chip, b.Serials[0], next)

	b.replica(`UPDATE escrow_key SET ended_at = now()`)
	chip = b.chip(b.Serials[1])
	require.Equal(t, perso.WhyLabels[perso.NoEscrow], b.outcome(chip).Reason)
	require.Empty(t, b.accepted(chip.State().ChipID))
	escrow := cardsecrettest.Escrow(t, b.DB, persotest.OfficeAt)
	b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	b.removeCard()
	b.usable(chip, b.Serials[1], escrow)
}

// TestAKeyThatIsGivenUpUnderTheCard: between the claim and the intent. The card is given
// back unwritten, as often as it happens, and no try of a good chip is used up by it.
func TestAKeyThatIsGivenUpUnderTheCard(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	chip := b.chip(b.Serials[0])
	for range 3 {
		b.reader.mu.Lock()
		b.reader.hook = func(n int) (lose, after bool) {
			if n == 9 { // it was claimed, and is authenticated
				b.giveUp()
				b.reader.hook = nil
			}
			return false, false
		}
		b.reader.mu.Unlock()
		require.Equal(t, perso.WhyLabels[perso.NoRecipient], b.outcome(chip).Reason)
		b.removeCard()
		require.Equal(t, perso.Numbered, b.Card(t, b.Serials[0]).State)
		require.Empty(t, b.accepted(chip.State().ChipID))
		require.Zero(t, b.failures(chip))
		require.Zero(t, b.count(`SELECT count(*) FROM card_secret`))
		b.Recipient = cardsecrettest.Register(t, b.DB, b.institution(), persotest.OfficeAt)
	}
	require.Equal(t, "clear", b.outcome(chip).Outcome)
	b.removeCard()
	b.usable(chip, b.Serials[0], b.Recipient)
}
