package globalplatform_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/test/vectors"
	"dukcapil.go.id/sifilma/test/vectors/replay"
)

func TestPublishedSCP03(t *testing.T) {
	t.Parallel()
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp03-pysim-aes128_11", "scp03-pysim-aes128_03", "scp03-pysim-aes128_33", "scp03-pysim-aes192_11", "scp03-pysim-aes192_33",
		"scp03-pysim-aes256_11", "scp03-pysim-aes256_03", "scp03-kaoh-delete", "scp03-kaoh-mutual", "scp03-kaoh-aes192") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			keys, err := gp.SoftwareKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
			require.NoError(t, err)
			replay.Exchange(t, v, keys, gp.OpenOptions{})
		})
	}
}

func TestPublishedSCP02(t *testing.T) {
	t.Parallel()
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp02-pysim-cmac", "scp02-kaoh-getstatus-cmac", "scp02-keycard-session", "scp02-kaoh-install-cdec") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			keys, err := gp.SoftwareDESKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
			require.NoError(t, err)
			replay.Exchange(t, v, keys, gp.OpenOptions{Protocol: gp.SCP02})
		})
	}
}

// One of the published cards makes its challenge as i=55 says, from the AID of
// its issuer security domain. The others draw it.
func TestPublishedPseudoRandomChallengeOfSCP02(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.Exchange](t, "scp02-keycard-session")
	keys, err := gp.SoftwareDESKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
	require.NoError(t, err)
	replay.Exchange(t, v, keys, gp.OpenOptions{Protocol: gp.SCP02, Options: gp.SCP02Option55, AID: isd})

	v = vectors.One[vectors.Exchange](t, "scp02-kaoh-getstatus-cmac")
	card := &answers{give: []string{v.Answer.String() + "9000"}}
	_, err = gp.OpenSession(t.Context(), card, keys, gp.OpenOptions{
		Protocol: gp.SCP02, Options: gp.SCP02Option55, AID: isd, SecurityLevel: gp.LevelCMAC,
	})
	require.ErrorIs(t, err, gp.ErrCardChallenge)
	require.Len(t, card.heard, 1)
}

func TestPublishedCMAC(t *testing.T) {
	t.Parallel()
	check := func(make func([]byte) (*gp.SoftwareKey, error), all []vectors.CMAC) {
		for _, v := range all {
			key, err := make(v.Key)
			require.NoError(t, err)
			for _, c := range v.Cases {
				got, err := key.CMAC(t.Context(), c.Message)
				require.NoError(t, err)
				require.Equal(t, c.MAC.String(), vectors.Hex(got).String(), "%s, %d bytes", v.ID, c.Len)
			}
		}
	}
	check(gp.NewSoftwareKey, vectors.Load[vectors.CMAC](t, "aes-cmac-128", "aes-cmac-192", "aes-cmac-256"))
	check(gp.NewSoftwareDESKey, vectors.Load[vectors.CMAC](t, "tdes-cmac-2tdea"))
}

func TestPublishedKCV(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, c := range vectors.One[vectors.KCV](t, "kcv").Cases {
		seen[c.Alg]++
		make := gp.NewSoftwareKey
		if c.Alg == "3DES" {
			make = gp.NewSoftwareDESKey
		}
		key, err := make(c.Key)
		require.NoError(t, err)
		got, err := key.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.KCV.String(), vectors.Hex(got).String())
	}
	require.Equal(t, map[string]int{"AES": 4, "3DES": 1}, seen)
}
