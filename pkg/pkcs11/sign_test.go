package pkcs11_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
)

func signs(t *testing.T, k *pkcs11.SigningKey, text string) {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	rs, err := k.Sign(t.Context(), digest[:])
	require.NoError(t, err)
	require.Len(t, rs, pkcs11.SignatureSize)
	require.True(t, ecdsa.Verify(k.Public(), digest[:], new(big.Int).SetBytes(rs[:32]), new(big.Int).SetBytes(rs[32:])))
}

func TestAKeyPairSignsAndStaysInside(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	token := open(t, harness.HSM(t), 4)
	_, err := token.FindSigning(ctx, "manifest-signing")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
	made, err := token.GenerateSigning(ctx, "manifest-signing")
	require.NoError(t, err)
	found, err := token.FindSigning(ctx, "manifest-signing")
	require.NoError(t, err)
	require.True(t, made.Public().Equal(found.Public()))
	kept, err := found.Kept(ctx)
	require.NoError(t, err)
	require.True(t, kept)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				digest := sha256.Sum256([]byte("isi"))
				if rs, err := found.Sign(ctx, digest[:]); err != nil || !ecdsa.Verify(found.Public(), digest[:], new(big.Int).SetBytes(rs[:32]), new(big.Int).SetBytes(rs[32:])) {
					t.Errorf("signing beside others: %v", err)
				}
			}
		})
	}
	all.Wait()
	_, err = found.Sign(ctx, []byte("not a digest"))
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)

	// Labels are one space: neither kind of key takes the other's.
	_, err = token.GenerateSigning(ctx, "manifest-signing")
	require.ErrorIs(t, err, pkcs11.ErrKeyExists)
	_, err = token.GenerateAES(ctx, "aes", 256, pkcs11.UseEncrypt)
	require.NoError(t, err)
	_, err = token.GenerateSigning(ctx, "aes")
	require.ErrorIs(t, err, pkcs11.ErrKeyExists)
	_, err = token.FindSigning(ctx, "aes")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
	_, err = token.FindKey(ctx, "manifest-signing")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)

	second, err := token.GenerateSigning(ctx, "manifest-signing.v2")
	require.NoError(t, err)
	require.False(t, second.Public().Equal(found.Public()))
	labels, err := token.SigningLabels(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"manifest-signing", "manifest-signing.v2"}, labels)
	labels, err = token.Labels(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"aes"}, labels)
}

// TestAKeyPairSurvivesTheTokensAbsence is not parallel, as its neighbours in token_test.go.
func TestAKeyPairSurvivesTheTokensAbsence(t *testing.T) {
	ctx := t.Context()
	h := harness.HSM(t)
	token := open(t, h, 2)
	k, err := token.GenerateSigning(ctx, "manifest-signing")
	require.NoError(t, err)
	away := filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.Rename(h.Dir, away))
	digest := sha256.Sum256(nil)
	_, err = k.Sign(ctx, digest[:])
	require.ErrorIs(t, err, pkcs11.ErrTokenGone)
	require.NoError(t, os.Rename(away, h.Dir))
	signs(t, k, "back again")

	// Another token of the same name is not taken for it.
	require.NoError(t, os.Rename(h.Dir, away))
	other := h.Double(t)
	require.NoError(t, token.Reopen(ctx))
	_, err = k.Sign(ctx, digest[:])
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
	stranger, err := token.GenerateSigning(ctx, "manifest-signing")
	require.NoError(t, err)
	signs(t, stranger, "of its own")
	_, err = k.Sign(ctx, digest[:])
	require.ErrorIs(t, err, pkcs11.ErrConfig)
	require.NoError(t, os.RemoveAll(other.Dir))
	require.NoError(t, os.Rename(away, h.Dir))
}
