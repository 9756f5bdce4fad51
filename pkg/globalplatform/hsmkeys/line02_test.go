package hsmkeys_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The same for an SCP02 card: EMV CPS keysets, derived inside; the transport
// master can do nothing but derive, so that no card key of it is ever outside.
func personalisesVirtualSAMBySCP02(t *testing.T, hsm *pkcs11.Token) {
	ctx := t.Context()
	aid := []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}
	value := bytes.Repeat([]byte{0x13, 0x57}, 8)
	transport, err := hsm.ImportDES(ctx, "line transport DES", value, pkcs11.UseDerive)
	require.NoError(t, err)
	final, err := hsm.GenerateDES(ctx, "line final DES", 192, pkcs11.UseDerive|pkcs11.UseEncrypt)
	require.NoError(t, err)

	// The maker of the card has the transport key too.
	maker, err := hsm.ImportDES(ctx, "line maker DES", value, pkcs11.UseEncrypt)
	require.NoError(t, err)
	id := card.SeedChipID(t.Name())
	var keys card.Keys
	for purpose, to := range map[byte]*[]byte{pkcs11.PurposeENC: &keys.ENC, pkcs11.PurposeMAC: &keys.MAC, pkcs11.PurposeDEK: &keys.DEK} {
		*to, err = maker.Diversify(ctx, pkcs11.EMVCPS, purpose, id)
		require.NoError(t, err)
	}
	chip, err := card.New(card.Config{ChipID: id, Serial: "SAM-2", KVN: 0x20, Keys: keys, Protocol: card.SCP02, I: 0x55}, &writes{})
	require.NoError(t, err)
	wire := contacts{chip}
	channels, err := gp.ReadSecureChannels(ctx, gp.Plain(wire))
	require.NoError(t, err)
	open := func(version byte, source gp.KeySource) *gp.Session {
		_, err := gp.Select(ctx, wire, aid)
		require.NoError(t, err)
		s, err := gp.OpenSession(ctx, wire, source, gp.OpenOptions{
			Protocol: channels[0].Protocol, Options: channels[0].I, KeyVersion: version, SecurityLevel: gp.LevelCMACCDEC, AID: aid,
		})
		require.NoError(t, err)
		return s
	}

	oldKeys, err := hsmkeys.DiversifyDES(ctx, transport, pkcs11.EMVCPS, id)
	require.NoError(t, err)
	newKeys, err := hsmkeys.DiversifyDES(ctx, final, pkcs11.EMVCPS, id)
	require.NoError(t, err)
	s := open(0x20, oldKeys)
	pcid, conf := bytes.Repeat([]byte{0x1C}, 16), bytes.Repeat([]byte{0x33, 0x44}, 16)
	require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF02, Value: pcid}))
	require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF03, Value: conf, Encrypt: true}))
	check, err := s.PutKeys(ctx, 0x20, 0x21, newKeys.StaticKeys)
	require.NoError(t, err)
	want, err := newKeys.Check(ctx)
	require.NoError(t, err)
	require.Equal(t, want, check)
	s.Close()

	s = open(0x21, newKeys)
	openSAM := make([]byte, 32)
	for i := range openSAM {
		openSAM[i] = pcid[i%16] ^ conf[i]
	}
	_, err = gp.Plain(wire).Send(ctx, gp.Command{Name: "OPEN SAM", INS: 0xF0, Data: openSAM})
	require.NoError(t, err, "the card holds the CONF that was sent")
	s.Close()

	// Keys that only derive cannot be loaded where the token cannot wrap them.
	s = open(0x21, newKeys)
	_, err = s.PutKeys(ctx, 0x21, 0x22, oldKeys.StaticKeys)
	require.ErrorIs(t, err, pkcs11.ErrKeyUse)
	s.Close()
	require.Zero(t, chip.State().AuthFailures)
	require.NoError(t, oldKeys.Close())
	require.NoError(t, newKeys.Close())
	require.NoError(t, hsm.Check(ctx))
}
