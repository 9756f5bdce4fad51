package pkcs11_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestInToken gives its parts one token together, each with a login of its own.
// They name their keys after themselves.
func TestInToken(t *testing.T) {
	t.Parallel()
	h := harness.HSM(t)
	for name, part := range map[string]func(*testing.T, *pkcs11.Token){
		"PublishedCMACInToken":       publishedCMACInToken,
		"PublishedKCVInToken":        publishedKCVInToken,
		"PublishedKDF3":              publishedKDF3,
		"PublishedPatterns":          publishedPatterns,
		"PublishedAN10922":           publishedAN10922,
		"PublishedSessionKeysInside": publishedSessionKeysInside,
		"StoredDESKeys":              storedDESKeys,
		"DESParityIsSetInTheToken":   desParityIsSetInTheToken,
		"DerivedKeysStayInside":      derivedKeysStayInside,
		"DiversificationIsRefused":   diversificationIsRefused,
		"ShortInputOfAN10922":        shortInputOfAN10922,
		"DerivesWithoutMechanism":    derivesWithoutMechanism,
		"StoredKeys":                 storedKeys,
		"UsageIsEnforcedByTheToken":  usageIsEnforcedByTheToken,
		"WrapIsEncryptionOfTheValue": wrapIsEncryptionOfTheValue,
		"SealedSecret":               sealedSecret,
		"RandomAndZeroise":           randomAndZeroise,
		"NamesOfTokenAndKeys":        namesOfTokenAndKeys,
		"ManyUsersShareFewSessions":  manyUsersShareFewSessions,
		"CancelledCallDoesNothing":   cancelledCallDoesNothing,
		"ClosedTokenAndKey":          closedTokenAndKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part(t, open(t, h, 0))
		})
	}
}

func storedKeys(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	_, err := token.FindKey(ctx, "master")
	require.ErrorIs(t, err, pkcs11.ErrKeyNotFound)
	for _, bits := range []int{128, 192, 256} {
		label := map[int]string{128: "a", 192: "b", 256: "c"}[bits]
		made, err := token.GenerateAES(ctx, label, bits, pkcs11.UseMAC)
		require.NoError(t, err)
		found, err := token.FindKey(ctx, label)
		require.NoError(t, err)
		require.Equal(t, bits/8, found.Size())
		require.Equal(t, label, found.Label())
		one, err := made.CMAC(ctx, []byte("x"))
		require.NoError(t, err)
		two, err := found.CMAC(ctx, []byte("x"))
		require.NoError(t, err)
		require.Equal(t, one, two)
	}
	_, err = token.GenerateAES(ctx, "a", 128, pkcs11.UseMAC)
	require.ErrorIs(t, err, pkcs11.ErrKeyExists)
	_, err = token.ImportAES(ctx, "a", make([]byte, 16), pkcs11.UseMAC)
	require.ErrorIs(t, err, pkcs11.ErrKeyExists)
	_, err = token.GenerateAES(ctx, "odd", 129, pkcs11.UseMAC)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	_, err = token.GenerateAES(ctx, "short", 64, pkcs11.UseMAC)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	_, err = token.TransientAES(ctx, make([]byte, 17), pkcs11.UseMAC)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
}

func usageIsEnforcedByTheToken(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	mac, err := token.GenerateAES(ctx, "mac", 256, pkcs11.UseMAC)
	require.NoError(t, err)
	encrypt, err := token.GenerateAES(ctx, "encrypt", 256, pkcs11.UseEncrypt)
	require.NoError(t, err)
	wrap, err := token.GenerateAES(ctx, "wrap", 256, pkcs11.UseWrap)
	require.NoError(t, err)
	card, err := token.TransientAES(ctx, make([]byte, 16), pkcs11.UseMAC)
	require.NoError(t, err)

	_, err = mac.EncryptECB(ctx, make([]byte, 16))
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	_, err = encrypt.CMAC(ctx, nil)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	_, err = encrypt.WrapCBC(ctx, card)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	_, err = wrap.WrapCBC(ctx, card)
	require.NoError(t, err)
	_, err = wrap.WrapCBC(ctx, mac)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse, "a stored key does not leave, not even wrapped")
	_, err = encrypt.EncryptCBC(ctx, make([]byte, 15))
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	require.NoError(t, token.Check(ctx), "a misused key costs no connection")
	require.NoError(t, card.Close())
}

func wrapIsEncryptionOfTheValue(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	kek, err := token.GenerateAES(ctx, "kek", 256, pkcs11.UseWrap|pkcs11.UseEncrypt)
	require.NoError(t, err)
	for _, size := range []int{16, 32} {
		value := bytes.Repeat([]byte{0xA5}, size)
		card, err := token.TransientAES(ctx, value, pkcs11.UseMAC)
		require.NoError(t, err)
		wrapped, err := kek.WrapCBC(ctx, card)
		require.NoError(t, err)
		encrypted, err := kek.EncryptCBC(ctx, value)
		require.NoError(t, err)
		require.Equal(t, encrypted, wrapped)
		require.NoError(t, card.Close())
	}
}

func sealedSecret(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	key, err := token.GenerateAES(ctx, "sealed secret", 256, pkcs11.UseEncrypt)
	require.NoError(t, err)
	secret := []byte("thirty-two bytes of card secret!")
	bound := pkcs11.Bind("card", "attempt")

	sealed, err := key.SealSecret(ctx, secret, bound)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), string(secret))
	again, err := key.SealSecret(ctx, secret, bound)
	require.NoError(t, err)
	require.NotEqual(t, sealed, again, "a nonce is never used twice")

	opened, err := key.OpenSecret(ctx, sealed, bound)
	require.NoError(t, err)
	require.Equal(t, secret, opened)

	_, err = key.OpenSecret(ctx, sealed, pkcs11.Bind("card", "other attempt"))
	require.ErrorIs(t, err, pkcs11.ErrSealed)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 0x01
		_, err = key.OpenSecret(ctx, changed, bound)
		require.ErrorIs(t, err, pkcs11.ErrSealed, "byte %d", i)
		_, err = key.OpenSecret(ctx, sealed[:i], bound)
		require.ErrorIs(t, err, pkcs11.ErrSealed, "cut at %d", i)
	}
	other, err := token.GenerateAES(ctx, "sealed secret 2", 256, pkcs11.UseEncrypt)
	require.NoError(t, err)
	_, err = other.OpenSecret(ctx, sealed, bound)
	require.ErrorIs(t, err, pkcs11.ErrSealed)
	require.NoError(t, token.Check(ctx))

	small, err := token.GenerateAES(ctx, "sealed secret, small", 128, pkcs11.UseEncrypt)
	require.NoError(t, err)
	_, err = small.SealSecret(ctx, secret, bound)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
}

func TestBindIsUnambiguous(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, pkcs11.Bind("ab", "c"), pkcs11.Bind("a", "bc"))
	require.NotEqual(t, pkcs11.Bind("a"), pkcs11.Bind("a", ""))
}

func randomAndZeroise(t *testing.T, token *pkcs11.Token) {
	one, err := token.Random(t.Context(), 32)
	require.NoError(t, err)
	two, err := token.Random(t.Context(), 32)
	require.NoError(t, err)
	require.Len(t, one, 32)
	require.NotEqual(t, one, two)
	pkcs11.Zeroise(one)
	require.Equal(t, make([]byte, 32), one)
}

// TestManyMakeAndSearch has keys made while others search: a search that meets an
// object which is only half there would spoil it.
func TestManyMakeAndSearch(t *testing.T) {
	t.Parallel()
	h := harness.HSM(t)
	var group errgroup.Group
	for i := range 4 {
		maker, seeker := open(t, h, 0), open(t, h, 0)
		group.Go(func() error {
			for n := range 25 {
				if _, err := maker.GenerateAES(t.Context(), fmt.Sprintf("crowd %d %d", i, n), 128, pkcs11.UseMAC); err != nil {
					return err
				}
			}
			return nil
		})
		group.Go(func() error {
			for n := range 100 {
				if _, err := seeker.FindKey(t.Context(), fmt.Sprintf("nobody %d %d", i, n)); !errors.Is(err, pkcs11.ErrKeyNotFound) {
					return fmt.Errorf("search: %w", err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}
