package globalplatform_test

import (
	"bytes"
	"crypto/des"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	chip "dukcapil.go.id/sifilma/test/virtualsam/card"
)

// Keys of any cipher under a data encryption key of any cipher: type, lengths
// and value are as the specification lays them out.
func TestKeysOfBothCiphersAreLoaded(t *testing.T) {
	t.Parallel()
	value := []byte("0123456789ABCDEFghijklmnopqrstuv")
	two, err := gp.NewSoftwareDESKey(value[:16])
	require.NoError(t, err)
	three, err := gp.NewSoftwareDESKey(value[:24])
	require.NoError(t, err)
	aes, err := gp.NewSoftwareKey(value[:24])
	require.NoError(t, err)
	keys := []gp.Key{two, three, aes}

	// Under AES every key has its length before it and is filled up to 16 bytes.
	c := newCard(t)
	var answer []byte
	c.respond = func(in gp.Command) ([]byte, uint16) { return answer, 0x9000 }
	s := c.session(gp.LevelFull)
	answer = []byte{0x40}
	for _, k := range keys {
		kcv, err := k.KCV(t.Context())
		require.NoError(t, err)
		answer = append(answer, kcv...)
	}
	check, err := s.PutKey(t.Context(), gp.KeyLoad{Replace: 0x00, Version: 0x40, ID: 0x10, Keys: keys})
	require.NoError(t, err)
	require.Equal(t, answer[7:10], check[2][:])
	in := c.plain[0]
	require.Equal(t, []byte{0x80, 0xD8, 0x00, 0x90}, []byte{in.CLA, in.INS, in.P1, in.P2})
	rest := in.Data[1:]
	for i, want := range [][]byte{{0x80, 0x11, 0x10}, {0x80, 0x21, 0x18}, {0x88, 0x21, 0x18}} {
		require.Equal(t, want, rest[:3])
		n := int(want[1]) - 1
		require.Equal(t, value[:want[2]], c.decrypt(rest[3 : 3+n])[:want[2]])
		require.Equal(t, append([]byte{3}, check[i][:]...), rest[3+n:7+n])
		rest = rest[7+n:]
	}
	require.Empty(t, rest)

	answer = append([]byte{0x40}, check[0][:]...)
	_, err = s.PutKey(t.Context(), gp.KeyLoad{Version: 0x40, ID: 0x10, Keys: keys[:1]})
	require.NoError(t, err)
	require.Equal(t, byte(0x10), c.plain[1].P2, "one key is not several")

	// Under the session DEK of SCP02, in the open so that it can be looked at.
	card := newSAM(t, chip.Config{Protocol: chip.SCP02})
	session := openSCP02(t, card, 0x15, gp.LevelAuthenticated)
	sent := len(card.heard)
	_, err = session.PutKey(t.Context(), gp.KeyLoad{Version: 0x40, ID: 0x10, Keys: keys})
	sw, _ := gp.StatusOf(err)
	require.Equal(t, gp.SWSecurityNotSatisfied, sw, "this card takes no keys without C-MAC")
	raw := card.heard[sent]
	require.Equal(t, []byte{0x80, 0xD8, 0x00, 0x90}, raw[:4])
	dek := sessionDEK(t, session.Card().SequenceCounter)
	rest = raw[6 : len(raw)-1]
	for i, want := range [][]byte{{0x80, 0x10}, {0x80, 0x18}, {0x88, 0x19, 0x18}} {
		require.Equal(t, want, rest[:len(want)])
		rest = rest[len(want):]
		size := []int{16, 24, 24}[i]
		for at := 0; at < size; at += 8 {
			dek.Decrypt(rest[at:], rest[at:])
		}
		require.Equal(t, value[:size], rest[:size])
		rest = rest[size+4:]
	}
	require.Empty(t, rest)
}

// sessionDEK is the card's session DEK, made another way.
func sessionDEK(t *testing.T, sequence []byte) interface{ Decrypt(dst, src []byte) } {
	static := chipKeys(16).DEK
	block, err := des.NewTripleDESCipher(append(bytes.Clone(static), static[:8]...))
	require.NoError(t, err)
	one := append(append([]byte{0x01, 0x81}, sequence...), 0, 0, 0, 0)
	block.Encrypt(one, one)
	two := make([]byte, 8)
	block.Encrypt(two, one) // CBC over a block of zeros
	block, err = des.NewTripleDESCipher(append(append(bytes.Clone(one), two...), one...))
	require.NoError(t, err)
	return block
}

func isAny(err error, all ...error) bool {
	for _, one := range all {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

func TestPutKeyRefusesWhatNoCardTakes(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	s := c.session(gp.LevelFull)
	key, err := gp.NewSoftwareKey(make([]byte, 16))
	require.NoError(t, err)
	for name, load := range map[string]gp.KeyLoad{
		"no key":         {Version: 0x30, ID: 0x01},
		"version 00":     {Version: 0x00, ID: 0x01, Keys: []gp.Key{key}},
		"version 80":     {Version: 0x80, ID: 0x01, Keys: []gp.Key{key}},
		"replace 80":     {Replace: 0x80, Version: 0x30, ID: 0x01, Keys: []gp.Key{key}},
		"identifiers":    {Version: 0x30, ID: 0x7F, Keys: []gp.Key{key, key}},
		"identifiers 2":  {Version: 0x30, ID: 0x80, Keys: []gp.Key{key}},
		"too many bytes": {Version: 0x30, ID: 0x01, Keys: []gp.Key{key, key, key, key, key, key, key, key, key, key, key}},
	} {
		_, err := s.PutKey(t.Context(), load)
		require.Error(t, err, name)
		require.True(t, isAny(err, gp.ErrKey, gp.ErrCommand), "%s: %v", name, err)
	}
	require.Empty(t, c.plain)
	_, err = s.PutKeys(t.Context(), 0x30, 0x31, gp.StaticKeys{ENC: key, MAC: key})
	require.ErrorIs(t, err, gp.ErrKey)
}

func TestStoreObjects(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	s := c.session(gp.LevelFull)
	secret, long := bytes.Repeat([]byte{0x5E}, 16), bytes.Repeat([]byte{0x11}, 300)
	require.NoError(t, s.StoreObjects(t.Context(),
		gp.DataObject{Tag: 0x45, Value: []byte("CIN")}, gp.DataObject{Tag: 0xDF8103, Value: secret, Encrypt: true},
		gp.DataObject{Tag: 0x5F50, Value: long}))
	var p1, p2 []byte
	for _, in := range c.plain {
		p1, p2 = append(p1, in.P1), append(p2, in.P2)
	}
	require.Equal(t, []byte{0x10, 0x70, 0x10, 0x90}, p1)
	require.Equal(t, []byte{0, 1, 2, 3}, p2)
	require.Equal(t, append([]byte{0x45, 3}, "CIN"...), c.plain[0].Data)
	require.Equal(t, []byte{0xDF, 0x81, 0x03, 16}, c.plain[1].Data[:4])
	require.Equal(t, secret, c.decrypt(c.plain[1].Data[4:]))
	require.Equal(t, append([]byte{0x5F, 0x50, 0x82, 0x01, 0x2C}, long...), append(bytes.Clone(c.plain[2].Data), c.plain[3].Data...))

	sent := len(c.plain)
	for _, tag := range []uint32{0x00, 0x1F, 0x5F, 0x4F45, 0x5F8150FF} {
		require.ErrorIs(t, s.StoreObjects(t.Context(), gp.DataObject{Tag: tag, Value: secret}), gp.ErrCommand, "tag %X", tag)
	}
	require.Len(t, c.plain, sent)
	require.NoError(t, s.StoreObjects(t.Context(), gp.DataObject{Tag: 0x42, Value: bytes.Repeat([]byte{1}, 0x80)}))
	require.Equal(t, []byte{0x42, 0x81, 0x80}, c.plain[sent].Data[:3])
}

func TestInstallForPersonalization(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	c.respond = func(gp.Command) ([]byte, uint16) { return []byte{0x00}, 0x9000 }
	s := c.session(gp.LevelFull)
	aid := []byte{0xF0, 0x01, 0x02, 0x03, 0x04, 0x05}
	require.NoError(t, gp.InstallForPersonalization(t.Context(), s, aid))
	in := c.plain[0]
	require.Equal(t, []byte{0x80, 0xE6, 0x20, 0x00}, []byte{in.CLA, in.INS, in.P1, in.P2})
	require.Equal(t, "000006f00102030405000000", hex.EncodeToString(in.Data))
	for _, n := range []int{0, 4, 17} {
		require.ErrorIs(t, gp.InstallForPersonalization(t.Context(), s, make([]byte, n)), gp.ErrCommand)
	}
	require.Len(t, c.plain, 1)
}

func TestListEntries(t *testing.T) {
	t.Parallel()
	first := "e31a4f05a0000000019f700107c503a00000cc08a000000151000000"
	second := "e3104f05a0000000029f700103c503000000"
	c := &answers{give: []string{first + "6310", second + "9000"}}
	got, err := gp.ListEntries(t.Context(), gp.Plain(c), gp.ScopeApplications)
	require.NoError(t, err)
	require.Equal(t, []string{"80f24002024f0000", "80f24003024f0000"}, c.heard)
	require.Equal(t, []gp.Entry{
		{AID: []byte{0xA0, 0, 0, 0, 1}, LifeCycle: 0x07, Rights: []byte{0xA0, 0, 0}, Domain: isd},
		{AID: []byte{0xA0, 0, 0, 0, 2}, LifeCycle: 0x03, Rights: []byte{0, 0, 0}},
	}, got)

	got, err = gp.ListEntries(t.Context(), gp.Plain(&answers{give: []string{"6a88"}}), gp.ScopeLoadFiles)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = gp.ListEntries(t.Context(), gp.Plain(&answers{give: []string{"6982"}}), gp.ScopeLoadFiles)
	sw, _ := gp.StatusOf(err)
	require.Equal(t, gp.SWSecurityNotSatisfied, sw)
	_, err = gp.ListEntries(t.Context(), gp.Plain(&answers{give: []string{"e3034f01019000"}}), gp.ScopeLoadFiles)
	require.ErrorIs(t, err, gp.ErrMalformed)

	endless := &answers{}
	for range 100 {
		endless.give = append(endless.give, first+"6310")
	}
	_, err = gp.ListEntries(t.Context(), gp.Plain(endless), gp.ScopeApplications)
	require.ErrorIs(t, err, gp.ErrMalformed)

	set := &answers{give: []string{"9000"}}
	require.NoError(t, gp.SetEntryStatus(t.Context(), gp.Plain(set), isd, gp.DomainPersonalized))
	require.Equal(t, []string{"80f0400f08a000000151000000"}, set.heard)
	require.ErrorIs(t, gp.SetEntryStatus(t.Context(), gp.Plain(set), nil, gp.DomainPersonalized), gp.ErrCommand)
}

// A command the card did not execute for its length goes out once more, as the
// next command of the chain.
func TestSessionAsksAgainWithTheLengthTheCardNames(t *testing.T) {
	t.Parallel()
	for name, stubborn := range map[string]bool{"once": false, "stubborn card": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			c.respond = func(in gp.Command) ([]byte, uint16) {
				if stubborn || in.Ne != 7 {
					return nil, 0x6C07
				}
				return []byte("content"), 0x9000
			}
			s := c.session(gp.LevelFull)
			r, err := s.Send(t.Context(), gp.Command{Name: "READ", CLA: 0x80, INS: 0xCA, Ne: gp.MaxNe})
			if stubborn {
				sw, _ := gp.StatusOf(err)
				require.Equal(t, gp.SW(0x6C07), sw)
			} else {
				require.NoError(t, err)
				require.Equal(t, "content", string(r.Data))
			}
			require.Len(t, c.plain, 2)
		})
	}
}
