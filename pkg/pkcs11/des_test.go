package pkcs11_test

import (
	"bytes"
	"crypto/des"
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

func storedDESKeys(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	for label, bits := range map[string]int{"two keys": 128, "three keys": 192} {
		made, err := token.GenerateDES(ctx, label, bits, pkcs11.UseEncrypt)
		require.NoError(t, err)
		found, err := token.FindKey(ctx, label)
		require.NoError(t, err)
		require.Equal(t, pkcs11.DES, found.Algorithm())
		require.Equal(t, bits/8, found.Size())
		one, err := made.KCV(ctx)
		require.NoError(t, err)
		two, err := found.KCV(ctx)
		require.NoError(t, err)
		require.Equal(t, one, two)
	}
	_, err := token.GenerateAES(ctx, "two keys", 128, pkcs11.UseEncrypt)
	require.ErrorIs(t, err, pkcs11.ErrKeyExists, "a label is one key, whatever its cipher")
	for _, bits := range []int{64, 129, 256} {
		_, err = token.GenerateDES(ctx, "odd", bits, pkcs11.UseEncrypt)
		require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	}
	_, err = token.TransientDES(ctx, make([]byte, 8), pkcs11.UseEncrypt)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
}

// Some tokens refuse DES keys of wrong parity; SoftHSM does not look. The
// cipher never does.
func desParityIsSetInTheToken(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	value := bytes.Repeat([]byte{0x00, 0x01, 0xFE, 0xFF}, 6)
	before := bytes.Clone(value)
	key, err := token.TransientDES(ctx, value, pkcs11.UseEncrypt)
	require.NoError(t, err)
	require.Equal(t, before, value, "the caller's value is the caller's")
	block, err := des.NewTripleDESCipher(value)
	require.NoError(t, err)
	want := make([]byte, 8)
	block.Encrypt(want, want)
	got, err := key.EncryptECB(ctx, make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, key.Close())
}

// A key that was derived inside is one like any other, and the rules of usage
// hold for it and for the key it was made from.
func derivedKeysStayInside(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	data := bytes.Repeat([]byte{0x5A}, 16)
	for name, generate := range map[string]func(string, pkcs11.Usage) (*pkcs11.Key, error){
		"AES": func(label string, u pkcs11.Usage) (*pkcs11.Key, error) { return token.GenerateAES(ctx, label, 256, u) },
		"DES": func(label string, u pkcs11.Usage) (*pkcs11.Key, error) { return token.GenerateDES(ctx, label, 192, u) },
	} {
		master, err := generate("derives "+name, pkcs11.UseDerive)
		require.NoError(t, err)
		_, err = master.EncryptCBC(ctx, data)
		require.ErrorIs(t, err, pkcs11.ErrKeyUse, "%s: a master that only derives shows nothing", name)
		for mode, derive := range map[string]func() (*pkcs11.Key, error){
			"ECB": func() (*pkcs11.Key, error) { return master.DeriveECB(ctx, data, pkcs11.UseEncrypt) },
			"CBC": func() (*pkcs11.Key, error) { return master.DeriveCBC(ctx, data, pkcs11.UseEncrypt) },
		} {
			key, err := derive()
			require.NoError(t, err, "%s %s", name, mode)
			require.Equal(t, 16, key.Size())
			_, err = key.CMAC(ctx, data)
			require.ErrorIs(t, err, pkcs11.ErrKeyUse)
			require.NoError(t, key.Close())
			_, err = key.EncryptECB(ctx, data)
			require.ErrorIs(t, err, pkcs11.ErrClosed)
		}

		both, err := generate("derives and encrypts "+name, pkcs11.UseDerive|pkcs11.UseEncrypt)
		require.NoError(t, err)
		value, err := both.EncryptCBC(ctx, data)
		require.NoError(t, err)
		put := token.TransientAES
		if name == "DES" {
			put = token.TransientDES
		}
		outside, err := put(ctx, value, pkcs11.UseEncrypt)
		require.NoError(t, err)
		inside, err := both.DeriveCBC(ctx, data, pkcs11.UseEncrypt)
		require.NoError(t, err)
		one, err := outside.EncryptECB(ctx, data)
		require.NoError(t, err)
		two, err := inside.EncryptECB(ctx, data)
		require.NoError(t, err)
		require.Equal(t, one, two, "%s: the same key by both ways", name)
		require.NoError(t, outside.Close())
		require.NoError(t, inside.Close())

		mac, err := generate("does not derive "+name, pkcs11.UseMAC)
		require.NoError(t, err)
		_, err = mac.DeriveCBC(ctx, data, pkcs11.UseEncrypt)
		require.ErrorIs(t, err, pkcs11.ErrKeyUse)
		_, err = both.DeriveCBC(ctx, data[:15], pkcs11.UseEncrypt)
		require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	}
	require.NoError(t, token.Check(ctx))
}

// AN10922 gives no example of a DES key whose input fills less than a block; here
// it is computed by hand.
func shortInputOfAN10922(t *testing.T, token *pkcs11.Token) {
	value := []byte("0123456789ABCDEFghijklmn")
	master, err := token.ImportDES(t.Context(), "short input", value, pkcs11.UseMAC|pkcs11.UseEncrypt)
	require.NoError(t, err)
	block, err := des.NewTripleDESCipher(value)
	require.NoError(t, err)
	subkey := make([]byte, 8)
	block.Encrypt(subkey, subkey)
	for range 2 {
		n := binary.BigEndian.Uint64(subkey)
		binary.BigEndian.PutUint64(subkey, n<<1^0x1B*(n>>63))
	}
	for length := 1; length <= 7; length++ {
		m := bytes.Repeat([]byte{0xC3}, length)
		var want []byte
		for _, constant := range []byte{0x31, 0x32, 0x33} {
			padded := make([]byte, 16)
			copy(padded, append(append([]byte{constant}, m...), 0x80))
			one := padded[:8]
			block.Encrypt(one, one)
			for i := range one {
				one[i] ^= padded[8+i] ^ subkey[i]
			}
			block.Encrypt(one, one)
			want = append(want, one...)
		}
		got, err := master.AN10922(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d bytes", length)
	}
}

// On a token without the mechanism the derived key goes through memory.
func derivesWithoutMechanism(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	data := bytes.Repeat([]byte{0x5A}, 16)
	master, err := token.GenerateDES(ctx, "derives through memory", 128, pkcs11.UseDerive|pkcs11.UseEncrypt)
	require.NoError(t, err)
	inside, err := master.DeriveCBC(ctx, data, pkcs11.UseEncrypt)
	require.NoError(t, err)
	outside, err := master.DeriveWithout(ctx, data, pkcs11.UseEncrypt)
	require.NoError(t, err)
	one, err := inside.KCV(ctx)
	require.NoError(t, err)
	two, err := outside.KCV(ctx)
	require.NoError(t, err)
	require.Equal(t, one, two)
	require.NoError(t, inside.Close())
	require.NoError(t, outside.Close())

	only, err := token.GenerateDES(ctx, "derives inside only", 128, pkcs11.UseDerive)
	require.NoError(t, err)
	_, err = only.DeriveWithout(ctx, data, pkcs11.UseEncrypt)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse, "a master that only derives shows nothing")
}

func TestOddParity(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, b := range pkcs11.OddParity(all) {
		require.Equal(t, 1, bits.OnesCount8(b)%2)
		require.Equal(t, byte(i)&0xFE, b&0xFE)
	}
}

func diversificationIsRefused(t *testing.T, token *pkcs11.Token) {
	ctx := t.Context()
	const all = pkcs11.UseMAC | pkcs11.UseEncrypt | pkcs11.UseDerive | pkcs11.UseWrap
	aes, err := token.GenerateAES(ctx, "aes master", 128, all)
	require.NoError(t, err)
	des, err := token.GenerateDES(ctx, "des master", 128, all)
	require.NoError(t, err)
	kdd := make([]byte, 10)
	for name, call := range map[string]func() error{
		"KDF3 by DES":      func() error { _, err := des.KDF3(ctx, pkcs11.PurposeENC, kdd, 16); return err },
		"EMV by AES":       func() error { _, err := aes.Diversify(ctx, pkcs11.EMVCPS, pkcs11.PurposeENC, kdd); return err },
		"EMV, 9 bytes":     func() error { _, err := des.Diversify(ctx, pkcs11.EMVCPS, pkcs11.PurposeENC, kdd[1:]); return err },
		"no pattern":       func() error { _, err := des.DeriveCard(ctx, 0, pkcs11.PurposeENC, kdd, all); return err },
		"AN10922, nothing": func() error { _, err := aes.AN10922(ctx, nil); return err },
		"AN10922, 32":      func() error { _, err := aes.AN10922(ctx, make([]byte, 32)); return err },
		"AN10922, 16":      func() error { _, err := des.AN10922(ctx, make([]byte, 16)); return err },
		"seal by DES":      func() error { _, err := des.SealSecret(ctx, kdd, nil); return err },
	} {
		require.ErrorIs(t, call(), pkcs11.ErrKeyUse, name)
	}
	for _, m := range []int{1, 15, 16, 31} {
		got, err := aes.AN10922(ctx, make([]byte, m))
		require.NoError(t, err)
		require.Len(t, got, 16)
	}
	card, err := token.TransientDES(ctx, bytes.Repeat([]byte{0x42}, 16), all)
	require.NoError(t, err)
	_, err = des.WrapECB(ctx, card)
	require.ErrorIs(t, err, pkcs11.ErrMechanism, "SoftHSM has no DES wrapping")
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	require.NoError(t, card.Close())
}
