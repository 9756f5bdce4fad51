package hsmkeys_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/vectors"
	"dukcapil.go.id/sifilma/test/vectors/replay"
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
		"PersonalisesVirtualSAMBySCP02":            personalisesVirtualSAMBySCP02,
		"SchemesGivePublishedKeysets":              schemesGivePublishedKeysets,
		"SchemesReplaceKeysOfACard":                schemesReplaceKeysOfACard,
		"SchemesRefuseOtherMasters":                schemesRefuseOtherMasters,
		"PublishedSCP02":                           publishedSCP02InToken,
		"DiversifiedDESKeysetHasCheckValues":       diversifiedDESKeysetHasCheckValues,
		"DESKeysAreWrapped":                        desKeysAreWrapped,
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
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp03-pysim-aes128_11", "scp03-pysim-aes128_03", "scp03-pysim-aes128_33", "scp03-pysim-aes192_11", "scp03-pysim-aes192_33",
		"scp03-pysim-aes256_11", "scp03-pysim-aes256_03", "scp03-kaoh-delete", "scp03-kaoh-mutual", "scp03-kaoh-aes192") {
		keys, err := hsmkeys.Load(t.Context(), hsm, v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		replay.Exchange(t, v, keys, globalplatform.OpenOptions{})
		require.NoError(t, keys.Close())
	}
}

func publishedSCP02InToken(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.Exchange](t,
		"scp02-pysim-cmac", "scp02-kaoh-getstatus-cmac", "scp02-keycard-session", "scp02-kaoh-install-cdec") {
		keys, err := hsmkeys.LoadDES(t.Context(), hsm, v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		replay.Exchange(t, v, keys, globalplatform.OpenOptions{Protocol: globalplatform.SCP02})
		require.NoError(t, keys.Close())
	}
}

func diversifiedKeysetHasPublishedCheckValues(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.Diversified](t, "div-kdf3-aes128", "div-kdf3-aes192", "div-kdf3-aes256") {
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

// The master may only derive: nothing of the keyset is ever outside.
func diversifiedDESKeysetHasCheckValues(t *testing.T, hsm *pkcs11.Token) {
	for pattern, v := range map[pkcs11.Pattern]vectors.Diversified{
		pkcs11.EMVCPS: vectors.One[vectors.Diversified](t, "div-emv"),
		pkcs11.VISA2:  vectors.One[vectors.Diversified](t, "div-visa2"),
	} {
		master, err := hsm.ImportDES(t.Context(), v.ID, v.Master, pkcs11.UseDerive)
		require.NoError(t, err)
		keys, err := hsmkeys.DiversifyDES(t.Context(), master, pattern, v.KDD)
		require.NoError(t, err)
		check, err := keys.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, v.KCV.ENC.String()+"/"+v.KCV.MAC.String()+"/"+v.KCV.DEK.String(), check.String())
		require.NoError(t, keys.Close())
	}
}

// A wrapped key must be what the card decrypts: the same bytes as the same
// keys in memory give.
func wrapAgreesWithKeysInMemory(t *testing.T, hsm *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.Exchange](t, "scp03-pysim-aes128_11", "scp03-pysim-aes192_11", "scp03-pysim-aes256_11") {
		inside, err := hsmkeys.Load(t.Context(), hsm, v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		outside, err := globalplatform.SoftwareKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		got, err := inside.DEK.Wrap(t.Context(), inside.ENC)
		if len(v.StaticKeys.ENC) == 24 {
			require.ErrorIs(t, err, pkcs11.ErrKeyUse, "24 bytes are not whole blocks")
			wrapsMadeKeyOf24Bytes(t, hsm, v)
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

// What can be made again can be wrapped, 24 bytes too.
func wrapsMadeKeyOf24Bytes(t *testing.T, hsm *pkcs11.Token, v vectors.Exchange) {
	made, err := hsmkeys.Make(t.Context(), hsm, pkcs11.AES, func(_ context.Context, purpose byte) ([]byte, error) {
		values := [][]byte{v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK}
		return append([]byte(nil), values[purpose-1]...), nil
	})
	require.NoError(t, err)
	wrapped, err := made.DEK.Wrap(t.Context(), made.ENC)
	require.NoError(t, err)
	require.Len(t, wrapped, 32)
	block, err := aes.NewCipher(v.StaticKeys.DEK)
	require.NoError(t, err)
	cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(wrapped, wrapped)
	require.Equal(t, v.StaticKeys.ENC.String(), vectors.Hex(wrapped[:24]).String())
	require.NoError(t, made.Close())
}

// SoftHSM cannot wrap under DES keys: a key that can be made again is in memory
// for this moment, any other does not come out.
func desKeysAreWrapped(t *testing.T, hsm *pkcs11.Token) {
	v := vectors.One[vectors.Diversified](t, "div-emv")
	master, err := hsm.ImportDES(t.Context(), "wrap master", v.Master, pkcs11.UseDerive|pkcs11.UseEncrypt)
	require.NoError(t, err)
	keys, err := hsmkeys.DiversifyDES(t.Context(), master, pkcs11.EMVCPS, v.KDD)
	require.NoError(t, err)
	memory, err := globalplatform.SoftwareDESKeys(v.Computed.ENC, v.Computed.MAC, v.Computed.DEK)
	require.NoError(t, err)
	data := make([]byte, 16)
	session, err := keys.DEK.Derive(t.Context(), data)
	require.NoError(t, err)
	same, err := memory.DEK.Derive(t.Context(), data)
	require.NoError(t, err)
	got, err := session.Wrap(t.Context(), keys.ENC)
	require.NoError(t, err)
	want, err := same.Wrap(t.Context(), memory.ENC)
	require.NoError(t, err)
	require.Equal(t, want, got)

	loaded, err := hsmkeys.LoadDES(t.Context(), hsm, v.Computed.ENC, v.Computed.MAC, v.Computed.DEK)
	require.NoError(t, err)
	_, err = session.Wrap(t.Context(), loaded.ENC)
	require.ErrorIs(t, err, pkcs11.ErrMechanism)
	require.NoError(t, loaded.Close())
	require.NoError(t, session.(hsmkeys.Key).Close())
	require.NoError(t, keys.Close())
}
