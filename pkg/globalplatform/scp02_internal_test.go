package globalplatform

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/vectors"
)

func desKey(t *testing.T, value []byte) *SoftwareKey {
	k, err := NewSoftwareDESKey(value)
	require.NoError(t, err)
	return k
}

func hexOf(b []byte) string { return fmt.Sprintf("%X", b) }

func TestPublishedSessionKeysOfSCP02(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.SessionKey](t, "scp02-keycard-derive")
	c := &scp02{sequence: v.Sequence}
	got, err := desKey(t, v.Static).EncryptCBC(t.Context(), c.sessionData([2]byte(v.Constant)))
	require.NoError(t, err)
	require.Equal(t, v.Key.String(), hexOf(got))

	v = vectors.One[vectors.SessionKey](t, "scp02-gppro-sessionkey-kcv")
	static := desKey(t, v.Static)
	c = &scp02{sequence: v.Sequence, static: StaticKeys{DEK: static}}
	for constant, want := range map[[2]byte]vectors.Hex{scp02SENC: v.KCV.ENC, scp02SMAC: v.KCV.MAC, scp02SRMAC: v.KCV.RMAC, scp02SDEK: v.KCV.DEK} {
		key, err := static.Derive(t.Context(), c.sessionData(constant))
		require.NoError(t, err)
		kcv, err := key.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, want.String(), hexOf(kcv), "constant %X", constant)
	}
	dek, err := c.dataKey(t.Context())
	require.NoError(t, err)
	kcv, err := dek.KCV(t.Context())
	require.NoError(t, err)
	require.Equal(t, v.KCV.DEK.String(), hexOf(kcv))

	for _, v := range vectors.Load[vectors.Exchange](t, "scp02-pysim-cmac", "scp02-kaoh-getstatus-cmac", "scp02-keycard-session") {
		static, err := SoftwareDESKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		u, err := ParseInitializeUpdate(v.Answer)
		require.NoError(t, err)
		require.Equal(t, v.Parsed.CardChallenge.String(), hexOf(u.CardChallenge))
		c := &scp02{static: static}
		host := v.HostChallenge
		_, err = c.agree(t.Context(), u, host, nil)
		require.NoError(t, err)
		dek, err := c.dataKey(t.Context())
		require.NoError(t, err)
		for i, k := range []Key{c.enc, c.mac, c.rmac, dek} {
			want := []vectors.Hex{v.Computed.ENC, v.Computed.MAC, v.Computed.RMAC, v.Computed.DEK}[i]
			require.Equal(t, want.String(), hexOf(k.(*SoftwareKey).value), "%s key %d", v.ID, i)
		}
	}
}

func TestPublishedCryptogramsOfSCP02(t *testing.T) {
	t.Parallel()
	all := vectors.One[vectors.Cryptograms](t, "scp02-keycard-hostcryptogram").Cases
	all = append(all, vectors.One[vectors.Cryptogram](t, "scp02-keycard-cryptogram"))
	require.Len(t, all, 3)
	for _, v := range all {
		c := &scp02{enc: desKey(t, v.ENC)}
		if len(v.Host) > 0 {
			require.Equal(t, v.Host.String(), hexOf(c.cryptogram(v.CardChallenge, v.HostChallenge)))
		} else {
			require.Equal(t, v.Card.String(), hexOf(c.cryptogram(v.HostChallenge, v.CardChallenge)))
		}
	}
}

func TestPublishedMACChainOfSCP02(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.CommandChain](t, "scp02-keycard-wrapper")
	c := &scp02{options: SCP02Option15, level: LevelCMAC, mac: desKey(t, v.MAC)}
	for i, step := range v.Steps {
		plain, err := ParseCommand(step.Plain)
		require.NoError(t, err)
		got, err := c.wrap(plain)
		require.NoError(t, err)
		require.Equal(t, step.Wrapped.String(), hexOf(got), "command %d", i)
	}
}

func TestPublishedRetailMAC(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.RetailMAC](t, "retail-mac-keycard")
	key := desKey(t, v.Key)
	require.Equal(t, v.MAC.String(), hexOf(retailMAC(single(key), key.block, make([]byte, 8), pad80(v.Data, 8))))
}
