package line_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

const desTransport = "des-transport"

// desBench is a bench whose request needs SCP02 cards, of triple DES masters.
func desBench(t *testing.T, n int) *bench {
	t.Helper()
	b := newBench(t, n)
	for _, label := range []string{desTransport, "des-final"} {
		value := make([]byte, 16)
		_, _ = rand.Read(value)
		_, err := b.token.ImportDES(t.Context(), label, value, pkcs11.UseDerive|pkcs11.UseEncrypt)
		require.NoError(t, err)
	}
	keys, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	persotest.Approve(t, b.DB, recipe.KeyCode,
		strings.NewReplacer(`"ktpel"`, `"ktpel-des"`, "sam-transport-master", desTransport, "sam-final-master", "des-final").Replace(string(keys)))
	b.ownType("gp-scp02-sam", "ktpel-des", `"first_card": true`, noFirstCard)
	return b
}

// des makes a chip one of SCP02 with keys of the DES masters.
func (b *bench) des(c *card.Config) {
	master, err := b.token.FindKey(b.t.Context(), desTransport)
	require.NoError(b.t, err)
	var out [3][]byte
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		out[i], err = master.Diversify(b.t.Context(), pkcs11.EMVCPS, purpose, c.ChipID)
		require.NoError(b.t, err)
	}
	c.Protocol, c.I, c.Keys = card.SCP02, 0x55, card.Keys{ENC: out[0], MAC: out[1], DEK: out[2]}
}

// The channel of a card is data: with an SCP02 profile of any name, a Kode Kunci of
// triple DES masters and a SAM type that names both, the same station writes SCP02
// cards; and one of the type that is not asked for is refused with nothing written
// and nothing counted.
func TestTheChannelIsOfTheProfile(t *testing.T) {
	t.Parallel()
	b := desBench(t, 2)
	chip := b.chip(b.Serials[0], b.des)
	got := b.outcome(chip)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, "31", chip.State().KVN)
	b.judge(chip, b.Serials[0])
	b.removeCard()

	aes := b.chip(b.Serials[1])
	for range 3 {
		got = b.outcome(aes)
		require.Equal(t, perso.WhyLabels[perso.WrongType], got.Reason)
		b.removeCard()
	}
	plainOne := b.chip(b.Serials[1], plain)
	require.Equal(t, "refused", b.outcome(plainOne).Outcome)
	b.removeCard()
	for _, c := range []*card.Chip{aes, plainOne} {
		require.Empty(t, b.accepted(c.State().ChipID))
		require.Zero(t, c.State().AuthFailures)
	}
	require.Zero(t, b.count(`SELECT coalesce(max(failures), 0) FROM chip_authentication`))
	require.Equal(t, "clear", b.outcome(b.chip(b.Serials[1], b.des)).Outcome, "the right one is not held back")
}

// The faults that end a card of SCP03 end one of SCP02 the same way.
func TestFaultsOfAnSCP02Card(t *testing.T) {
	t.Parallel()
	b := desBench(t, 7)
	for i, step := range []card.Step{card.StepMarker, card.StepStatus, card.StepPCID, card.StepCONF, card.StepPutKey, card.StepOpenSAM} {
		serial := b.Serials[i]
		chip := b.chip(serial, b.des)
		chip.SetFault(card.Fault{MuteAtStep: step, Executed: i%2 == 0})
		b.reader.insert(chip)
		b.waitFor("the doubt to be read", func(s line.ReaderStatus) bool { return b.proposal(serial) != "" && s.Outcome == "in_doubt" })
		require.Equal(t, perso.DecideResume, b.proposal(serial), string(step))
		b.Resolve(t, b.CardIDs[i], perso.DecideResume)
		b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
		b.removeCard()
		b.judge(chip, serial)
	}
	alien := b.chip(b.Serials[6], func(c *card.Config) {
		id := c.ChipID
		c.ChipID = card.SeedChipID("alien")
		b.des(c)
		c.ChipID, c.KDD = id, id
	})
	require.Contains(t, b.outcome(alien).Reason, "Kunci kartu")
	require.Zero(t, alien.State().AuthFailures)
	require.Empty(t, b.accepted(alien.State().ChipID))
}
