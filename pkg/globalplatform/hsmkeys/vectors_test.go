package hsmkeys_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/vectors"
)

// TestInToken gives its parts one token together.
func TestInToken(t *testing.T) {
	t.Parallel()
	h := harness.HSM(t)
	hsm, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hsm.Close()) })
	for name, part := range map[string]func(*testing.T, *pkcs11.Token){
		"PublishedSCP03": publishedSCP03InToken,
		"DiversifiedKeysetHasPublishedCheckValues": diversifiedKeysetHasPublishedCheckValues,
		"WrapAgreesWithKeysInMemory":               wrapAgreesWithKeysInMemory,
		"PersonalisesVirtualSAM":                   personalisesVirtualSAM,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, hsm)
		})
	}
}

// The published exchanges with the static keys in the token: the path the
// station takes.
func publishedSCP03InToken(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.SCP03](t, "scp03.json") {
		keys, err := hsmkeys.Load(t.Context(), hsm, v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		vectors.Replay(t, v, keys)
		require.NoError(t, keys.Close())
	}
}

func diversifiedKeysetHasPublishedCheckValues(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.KDF3](t, "kdf3.json") {
		master, err := hsm.ImportAES(t.Context(), v.ID, v.Master, pkcs11.UseMAC)
		require.NoError(t, err)
		keys, err := hsmkeys.Diversify(t.Context(), hsm, master, v.KDD, len(v.Master))
		require.NoError(t, err)
		check, err := keys.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, v.KCV.ENC.String()+"/"+v.KCV.MAC.String()+"/"+v.KCV.DEK.String(), check.String())
		require.NoError(t, keys.Close())
		_, err = keys.Check(t.Context())
		require.ErrorIs(t, err, pkcs11.ErrClosed)
	}
}

// A wrapped key must be what the card decrypts: the same bytes as the same
// keys in memory give.
func wrapAgreesWithKeysInMemory(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.SCP03](t, "scp03.json") {
		inside, err := hsmkeys.Load(t.Context(), hsm, v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		outside, err := globalplatform.SoftwareKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		got, err := inside.DEK.Wrap(t.Context(), inside.ENC)
		if len(v.StaticKeys.ENC) == 24 {
			require.ErrorIs(t, err, pkcs11.ErrKeyUse, "24 bytes are not whole blocks")
		} else {
			require.NoError(t, err)
			want, err := outside.DEK.Wrap(t.Context(), outside.ENC)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err = inside.DEK.Wrap(t.Context(), outside.ENC)
		require.ErrorIs(t, err, globalplatform.ErrKey)
		require.NoError(t, inside.Close())
	}
}
