package hsmkeys_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/vectors"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

func schemesGivePublishedKeysets(t *testing.T, hsm *pkcs11.Token) {
	for scheme, v := range map[hsmkeys.Scheme]vectors.Diversified{
		hsmkeys.KDF3:  vectors.One[vectors.Diversified](t, "div-kdf3-aes256"),
		hsmkeys.EMV:   vectors.One[vectors.Diversified](t, "div-emv"),
		hsmkeys.VISA2: vectors.One[vectors.Diversified](t, "div-visa2"),
	} {
		put := hsm.ImportDES
		if scheme == hsmkeys.KDF3 {
			put = hsm.ImportAES
		}
		master, err := put(t.Context(), "scheme "+string(scheme), v.Master, scheme.MasterUsage())
		require.NoError(t, err)
		keys, err := scheme.Keyset(t.Context(), hsm, master, v.KDD, len(v.Master))
		require.NoError(t, err)
		check, err := keys.Check(t.Context())
		require.NoError(t, err)
		require.Equal(t, v.KCV.ENC.String()+"/"+v.KCV.MAC.String()+"/"+v.KCV.DEK.String(), check.String())
		require.NoError(t, keys.Close())
	}
}

// Every scheme takes a card over: from one keyset to another of the same scheme.
func schemesReplaceKeysOfACard(t *testing.T, hsm *pkcs11.Token) {
	ctx := t.Context()
	for _, one := range []struct {
		scheme hsmkeys.Scheme
		des    bool
		size   int
	}{
		{hsmkeys.KDF3, false, 16}, {hsmkeys.KDF3, false, 24}, {hsmkeys.KDF3, false, 32}, {hsmkeys.EMV, true, 16}, {hsmkeys.VISA2, true, 16},
		{hsmkeys.AN10922, false, 16}, {hsmkeys.AN10922, false, 24}, {hsmkeys.AN10922, false, 32}, {hsmkeys.AN10922, true, 16},
	} {
		name := fmt.Sprintf("%s des=%v %d", one.scheme, one.des, one.size)
		id := card.SeedChipID(name)
		generate, cfg := hsm.GenerateAES, card.Config{ChipID: id, Serial: "S", KVN: 0x20}
		o := gp.OpenOptions{KeyVersion: 0x20, SecurityLevel: gp.LevelFull}
		if one.des {
			generate, cfg.Protocol = hsm.GenerateDES, card.SCP02
			o.Protocol, o.SecurityLevel = gp.SCP02, gp.LevelCMACCDEC
		}
		var keysets [2]*hsmkeys.CardKeys
		for i := range keysets {
			master, err := generate(ctx, fmt.Sprintf("%s master %d", name, i), 8*one.size, one.scheme.MasterUsage())
			require.NoError(t, err, name)
			keysets[i], err = one.scheme.Keyset(ctx, hsm, master, id, one.size)
			require.NoError(t, err, name)
		}
		// The card comes with keys everybody knows and is given the first set, then
		// the second.
		known := make([]byte, one.size)
		for i := range known {
			known[i] = byte(0x40 + i)
		}
		cfg.Keys = card.Keys{ENC: known, MAC: known, DEK: known}
		chip, err := card.New(cfg, &writes{})
		require.NoError(t, err, name)
		bring := hsmkeys.Load
		if one.des {
			bring = hsmkeys.LoadDES
		}
		first, err := bring(ctx, hsm, known, known, known)
		require.NoError(t, err, name)
		all := []*hsmkeys.CardKeys{first, keysets[0], keysets[1]}
		for i, next := range all[1:] {
			o.KeyVersion = byte(0x20 + i)
			s, err := gp.OpenSession(ctx, contacts{chip}, all[i], o)
			require.NoError(t, err, name)
			_, err = s.PutKeys(ctx, o.KeyVersion, o.KeyVersion+1, next.StaticKeys)
			require.NoError(t, err, name)
			s.Close()
		}
		o.KeyVersion = 0x22
		s, err := gp.OpenSession(ctx, contacts{chip}, keysets[1], o)
		require.NoError(t, err, name)
		s.Close()
		for _, k := range all {
			require.NoError(t, k.Close())
		}
	}
}

func schemesRefuseOtherMasters(t *testing.T, hsm *pkcs11.Token) {
	aes, err := hsm.GenerateAES(t.Context(), "scheme aes", 128, pkcs11.UseMAC|pkcs11.UseEncrypt|pkcs11.UseDerive)
	require.NoError(t, err)
	des, err := hsm.GenerateDES(t.Context(), "scheme des", 192, pkcs11.UseMAC|pkcs11.UseEncrypt|pkcs11.UseDerive)
	require.NoError(t, err)
	for _, one := range []struct {
		scheme hsmkeys.Scheme
		master *pkcs11.Key
		size   int
	}{
		{hsmkeys.KDF3, des, 16}, {hsmkeys.KDF3, aes, 8}, {hsmkeys.EMV, aes, 16}, {hsmkeys.EMV, des, 24}, {hsmkeys.VISA2, aes, 16},
		{hsmkeys.AN10922, aes, 32}, {hsmkeys.AN10922, des, 16}, {"", aes, 16}, {"visa", des, 16},
	} {
		_, err := one.scheme.Keyset(t.Context(), hsm, one.master, make([]byte, 10), one.size)
		require.ErrorIs(t, err, pkcs11.ErrKeyUse, "%+v", one)
	}
}
