package pkcs11_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/vectors"
)

func publishedCMACInToken(t *testing.T, token *pkcs11.Token) {
	check := func(imports func(context.Context, string, []byte, pkcs11.Usage) (*pkcs11.Key, error), all []vectors.CMAC) {
		for _, v := range all {
			key, err := imports(t.Context(), v.ID, v.Key, pkcs11.UseMAC)
			require.NoError(t, err)
			for _, c := range v.Cases {
				got, err := key.CMAC(t.Context(), c.Message)
				require.NoError(t, err)
				require.Equal(t, c.MAC.String(), vectors.Hex(got).String(), "%s, %d bytes", v.ID, c.Len)
			}
		}
	}
	check(token.ImportAES, vectors.Load[vectors.CMAC](t, "aes-cmac-128", "aes-cmac-192", "aes-cmac-256"))
	check(token.ImportDES, vectors.Load[vectors.CMAC](t, "tdes-cmac-2tdea"))
}

func publishedKCVInToken(t *testing.T, token *pkcs11.Token) {
	seen := map[string]int{}
	for _, c := range vectors.One[vectors.KCV](t, "kcv").Cases {
		seen[c.Alg]++
		put := token.TransientAES
		if c.Alg == "3DES" {
			put = token.TransientDES
		}
		key, err := put(t.Context(), c.Key, pkcs11.UseEncrypt)
		require.NoError(t, err)
		got, err := key.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, c.KCV.String(), vectors.Hex(got).String())
		require.NoError(t, key.Close())
	}
	require.Equal(t, map[string]int{"AES": 4, "3DES": 1}, seen)
}

func publishedKDF3(t *testing.T, token *pkcs11.Token) {
	for _, v := range vectors.Load[vectors.Diversified](t, "div-kdf3-aes128", "div-kdf3-aes192", "div-kdf3-aes256") {
		master, err := token.ImportAES(t.Context(), v.ID, v.Master, pkcs11.UseMAC)
		require.NoError(t, err)
		for purpose, want := range map[byte]vectors.Hex{
			pkcs11.PurposeENC: v.Computed.ENC, pkcs11.PurposeMAC: v.Computed.MAC, pkcs11.PurposeDEK: v.Computed.DEK,
		} {
			got, err := master.KDF3(t.Context(), purpose, v.KDD, len(v.Master))
			require.NoError(t, err)
			require.Equal(t, want.String(), vectors.Hex(got).String(), "%s purpose %d", v.ID, purpose)
		}
	}
}

// EMV CPS and VISA2, both ways: the card key in memory, and inside the token,
// where its check value is all that shows.
func publishedPatterns(t *testing.T, token *pkcs11.Token) {
	for pattern, v := range map[pkcs11.Pattern]vectors.Diversified{
		pkcs11.EMVCPS: vectors.One[vectors.Diversified](t, "div-emv"),
		pkcs11.VISA2:  vectors.One[vectors.Diversified](t, "div-visa2"),
	} {
		master, err := token.ImportDES(t.Context(), v.ID, v.Master, pkcs11.UseEncrypt|pkcs11.UseDerive)
		require.NoError(t, err)
		for purpose, want := range map[byte][2]vectors.Hex{
			pkcs11.PurposeENC: {v.Computed.ENC, v.KCV.ENC}, pkcs11.PurposeMAC: {v.Computed.MAC, v.KCV.MAC}, pkcs11.PurposeDEK: {v.Computed.DEK, v.KCV.DEK},
		} {
			got, err := master.Diversify(t.Context(), pattern, purpose, v.KDD)
			require.NoError(t, err)
			require.Equal(t, want[0].String(), vectors.Hex(got).String(), "%s purpose %d", v.ID, purpose)

			inside, err := master.DeriveCard(t.Context(), pattern, purpose, v.KDD, pkcs11.UseEncrypt)
			require.NoError(t, err)
			kcv, err := inside.KCV(t.Context())
			require.NoError(t, err)
			require.Equal(t, want[1].String(), vectors.Hex(kcv).String(), "%s purpose %d", v.ID, purpose)
			require.NoError(t, inside.Close())
		}
	}
}

func publishedAN10922(t *testing.T, token *pkcs11.Token) {
	const usage = pkcs11.UseMAC | pkcs11.UseEncrypt
	for _, v := range vectors.Load[vectors.AN10922](t, "an10922-aes128", "an10922-aes192", "an10922-aes256", "an10957-short-M") {
		master, err := token.ImportAES(t.Context(), v.ID, v.Master, usage)
		require.NoError(t, err)
		got, err := master.AN10922(t.Context(), v.M)
		require.NoError(t, err)
		require.Equal(t, v.Key.String(), vectors.Hex(got).String(), v.ID)
		require.NotEqual(t, v.Wrong.String(), vectors.Hex(got).String(), v.ID)
	}
	for _, v := range vectors.Load[vectors.AN10922](t, "an10922-2tdea", "an10922-3tdea") {
		master, err := token.ImportDES(t.Context(), v.ID, v.Master, usage)
		require.NoError(t, err)
		got, err := master.AN10922(t.Context(), v.M)
		require.NoError(t, err)
		if len(v.Raw) > 0 {
			require.Equal(t, v.Raw.String(), vectors.Hex(got).String(), v.ID)
		}
		require.Equal(t, withoutParity(v.Version).String(), withoutParity(got).String(), v.ID)
		// The cipher cannot tell the two apart either.
		var kcv [2][]byte
		for i, value := range [][]byte{got, v.Version} {
			key, err := token.TransientDES(t.Context(), value, pkcs11.UseEncrypt)
			require.NoError(t, err)
			kcv[i], err = key.KCV(t.Context())
			require.NoError(t, err)
			require.NoError(t, key.Close())
		}
		require.Equal(t, kcv[0], kcv[1], v.ID)
	}
}

func withoutParity(key []byte) vectors.Hex {
	out := make(vectors.Hex, len(key))
	for i, b := range key {
		out[i] = b & 0xFE
	}
	return out
}

// SCP02 session keys: the static key stays inside, and so can the session key.
func publishedSessionKeysInside(t *testing.T, token *pkcs11.Token) {
	data := func(constant []byte, sequence vectors.Hex) []byte {
		return append(append(append([]byte(nil), constant...), sequence...), make([]byte, 12)...)
	}
	v := vectors.One[vectors.SessionKey](t, "scp02-keycard-derive")
	static, err := token.ImportDES(t.Context(), "static", v.Static, pkcs11.UseEncrypt|pkcs11.UseDerive)
	require.NoError(t, err)
	got, err := static.EncryptCBC(t.Context(), data(v.Constant, v.Sequence))
	require.NoError(t, err)
	require.Equal(t, v.Key.String(), vectors.Hex(got).String())

	v = vectors.One[vectors.SessionKey](t, "scp02-gppro-sessionkey-kcv")
	for constant, want := range map[string]vectors.Hex{"\x01\x82": v.KCV.ENC, "\x01\x01": v.KCV.MAC, "\x01\x81": v.KCV.DEK, "\x01\x02": v.KCV.RMAC} {
		session, err := static.DeriveCBC(t.Context(), data([]byte(constant), v.Sequence), pkcs11.UseEncrypt)
		require.NoError(t, err)
		kcv, err := session.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, want.String(), vectors.Hex(kcv).String())
		require.NoError(t, session.Close())
	}
}
