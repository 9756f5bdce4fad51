package line_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The channel of a card is data: with an SCP02 profile, a Kode Kunci of triple DES
// masters and a SAM type that names both, the same station writes SCP02 cards.
func TestTheChannelIsOfTheProfile(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	const transport = "des-transport"
	for _, label := range []string{transport, "des-final"} {
		value := make([]byte, 16)
		_, _ = rand.Read(value)
		_, err := b.token.ImportDES(t.Context(), label, value, pkcs11.UseDerive|pkcs11.UseEncrypt)
		require.NoError(t, err)
	}
	file, err := configs.Profile("gp-scp02-sam")
	require.NoError(t, err)
	// As the next edition of the profile that the station works with.
	persotest.Approve(t, b.DB, recipe.Profile, strings.NewReplacer(`"gp-scp02-sam"`, `"gp-scp03-sam"`, `"version": 1`, `"version": 2`).Replace(string(file)))
	keys, err := configs.KeyCode("ktpel")
	require.NoError(t, err)
	persotest.Approve(t, b.DB, recipe.KeyCode,
		strings.NewReplacer(`"version": 1`, `"version": 2`, "sam-transport-master", transport, "sam-final-master", "des-final").Replace(string(keys)))

	chip := b.chip(b.Serials[0], func(c *card.Config) {
		master, err := b.token.FindKey(t.Context(), transport)
		require.NoError(t, err)
		var out [3][]byte
		for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
			out[i], err = master.Diversify(t.Context(), pkcs11.EMVCPS, purpose, c.ChipID)
			require.NoError(t, err)
		}
		c.Protocol, c.I, c.Keys = card.SCP02, 0x55, card.Keys{ENC: out[0], MAC: out[1], DEK: out[2]}
	})
	got := b.outcome(chip)
	require.Equal(t, "clear", got.Outcome, got.Reason)
	require.Equal(t, "31", chip.State().KVN)
}
