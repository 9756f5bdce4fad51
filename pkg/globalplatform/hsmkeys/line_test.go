package hsmkeys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/globalplatform/hsmkeys"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// contacts joins the virtual SAM, which shares no code with this side, to a
// Transmitter.
type contacts struct{ chip *card.Chip }

func (c contacts) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	a := c.chip.Transmit(raw)
	if a.Fate != card.Answered {
		return nil, errors.New("card does not answer")
	}
	return a.Data, nil
}

type writes struct{ entries []card.Entry }

func (w *writes) Record(e card.Entry) error {
	w.entries = append(w.entries, e)
	return nil
}

// A card is taken from its transport keys to SECURED the way the station does
// it: both keysets diversified from masters that never leave the token, all
// writes under full protection, the new keys proved afterwards.
func personalisesVirtualSAM(t *testing.T, hsm *pkcs11.Token) {
	ctx := t.Context()
	aid := []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}
	for _, size := range []int{16, 32} {
		transport, err := hsm.GenerateAES(ctx, fmt.Sprintf("line transport %d", size), 8*size, pkcs11.UseMAC)
		require.NoError(t, err)
		final, err := hsm.GenerateAES(ctx, fmt.Sprintf("line final %d", size), 8*size, pkcs11.UseMAC)
		require.NoError(t, err)

		id := card.SeedChipID(t.Name())
		var maker card.Keys
		for purpose, to := range map[byte]*[]byte{pkcs11.PurposeENC: &maker.ENC, pkcs11.PurposeMAC: &maker.MAC, pkcs11.PurposeDEK: &maker.DEK} {
			*to, err = transport.KDF3(ctx, purpose, id, size)
			require.NoError(t, err)
		}
		log := &writes{}
		chip, err := card.New(card.Config{ChipID: id, Serial: "SAM-1", KVN: 0x30, Keys: maker}, log)
		require.NoError(t, err)
		wire := contacts{chip}
		open := func(version byte, keys gp.KeySource) *gp.Session {
			s, err := gp.OpenSession(ctx, wire, keys, gp.OpenOptions{KeyVersion: version, SecurityLevel: gp.LevelFull, AID: aid})
			require.NoError(t, err)
			return s
		}

		fci, err := gp.Select(ctx, wire, nil)
		require.NoError(t, err)
		named, err := gp.FCI(fci)
		require.NoError(t, err)
		require.Equal(t, aid, named)
		cplc, err := gp.ReadCPLC(ctx, gp.Plain(wire))
		require.NoError(t, err)
		require.Equal(t, chip.State().ChipID, cplc.ChipID())
		info, err := gp.ReadKeyInformation(ctx, gp.Plain(wire))
		require.NoError(t, err)
		require.True(t, info.Has(0x30))

		oldKeys, err := hsmkeys.Diversify(ctx, hsm, transport, id, size)
		require.NoError(t, err)
		newKeys, err := hsmkeys.Diversify(ctx, hsm, final, id, size)
		require.NoError(t, err)

		s := open(0x30, oldKeys)
		marker, pcid := bytes.Repeat([]byte{0xA7}, 16), bytes.Repeat([]byte{0x1C}, 16)
		conf := bytes.Repeat([]byte{0x33, 0x44}, 16)
		require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF01, Value: marker}))
		changed, err := gp.SetStatus(ctx, s, gp.Initialized)
		require.NoError(t, err)
		require.True(t, changed)
		require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF02, Value: pcid}))
		require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF04, Value: []byte("MN-0001")}))
		require.NoError(t, s.StoreData(ctx, gp.DGI{ID: 0xDF03, Value: conf, Encrypt: true}))
		check, err := s.PutKeys(ctx, 0x30, 0x31, newKeys.StaticKeys)
		require.NoError(t, err)
		s.Close()

		// The new keys are proved, the old ones are gone.
		_, err = gp.Select(ctx, wire, aid)
		require.NoError(t, err)
		s = open(0x31, newKeys)
		for tag, want := range map[uint16][]byte{0xDF01: marker, 0xDF02: pcid, 0xDF04: []byte("MN-0001")} {
			got, err := gp.GetValue(ctx, s, tag)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
		_, err = gp.GetData(ctx, s, 0xDF03)
		require.Error(t, err, "CONF does not come back")
		changed, err = gp.SetStatus(ctx, s, gp.Secured)
		require.NoError(t, err)
		require.True(t, changed)
		changed, err = gp.SetStatus(ctx, s, gp.Secured)
		require.NoError(t, err)
		require.False(t, changed)
		s.Close()

		openSAM := make([]byte, 32)
		for i := range openSAM {
			openSAM[i] = pcid[i%16] ^ conf[i]
		}
		_, err = gp.Plain(wire).Send(ctx, gp.Command{Name: "OPEN SAM", INS: 0xF0, Data: openSAM})
		require.NoError(t, err, "the card holds the CONF that was sent")

		_, err = gp.OpenSession(ctx, wire, oldKeys, gp.OpenOptions{KeyVersion: 0x31, SecurityLevel: gp.LevelFull, AID: aid})
		require.True(t, gp.IsAuthenticationFailure(err))
		require.Zero(t, chip.State().AuthFailures, "the wrong keys cost the card no attempt")
		require.Contains(t, fmt.Sprint(log.entries), check.String()[:6])
		require.NoError(t, oldKeys.Close())
		require.NoError(t, newKeys.Close())
	}
}
