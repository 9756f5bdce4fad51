package globalplatform_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
)

// answers is a card without secure messaging that gives its answers in turn.
type answers struct {
	give  []string
	heard []string
	err   error
}

func (a *answers) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	a.heard = append(a.heard, hex.EncodeToString(raw))
	if a.err != nil {
		return nil, a.err
	}
	out, err := hex.DecodeString(a.give[0])
	a.give = a.give[1:]
	return out, err
}

func TestExchangeCollectsLongAnswers(t *testing.T) {
	t.Parallel()
	c := &answers{give: []string{"6c03", "0102036102", "040561ff", "069000"}}
	r, err := gp.Exchange(t.Context(), c, gp.Command{CLA: 0x80, INS: 0xCA, Ne: gp.MaxNe})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2, 3, 4, 5, 6}, r.Data)
	require.Equal(t, gp.OK, r.SW)
	require.Equal(t, []string{"80ca000000", "80ca000003", "00c0000002", "00c00000ff"}, c.heard)

	again := &answers{give: []string{"6c03", "6c04"}}
	r, err = gp.Exchange(t.Context(), again, gp.Command{CLA: 0x80, INS: 0xCA, Ne: gp.MaxNe})
	require.NoError(t, err)
	require.Equal(t, gp.SW(0x6C04), r.SW, "repeated once, not for ever")

	gone := &answers{give: []string{"6102", ""}}
	_, err = gp.Exchange(t.Context(), gone, gp.Command{CLA: 0x80, INS: 0xE2})
	require.ErrorIs(t, err, gp.ErrOutcomeUnknown)
}

func TestCommandCases(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"80f22002", "80ca006600", "80f220020a4f0212345c054f9f70c5", "80f28002024f0000"} {
		b, err := hex.DecodeString(raw)
		require.NoError(t, err)
		c, err := gp.ParseCommand(b)
		require.NoError(t, err)
		out, err := c.Bytes()
		require.NoError(t, err)
		require.Equal(t, raw, hex.EncodeToString(out))
	}
	for _, raw := range []string{"", "80f220", "80f220020a4f02", "80f220020000", "80f22002014f0000"} {
		b, err := hex.DecodeString(raw)
		require.NoError(t, err)
		_, err = gp.ParseCommand(b)
		require.ErrorIs(t, err, gp.ErrCommand, raw)
	}
	_, err := gp.Command{Data: make([]byte, 256)}.Bytes()
	require.ErrorIs(t, err, gp.ErrCommand)
}

func TestSelectNamesTheDomain(t *testing.T) {
	t.Parallel()
	c := &answers{give: []string{"6f108408a000000151000000a5049f6501ff9000"}}
	data, err := gp.Select(t.Context(), c, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"00a4040000"}, c.heard)
	aid, err := gp.FCI(data)
	require.NoError(t, err)
	require.Equal(t, isd, aid)

	_, err = gp.Select(t.Context(), &answers{give: []string{"6a82"}}, isd)
	require.True(t, gp.IsNotFound(err))
	require.EqualError(t, err, "SELECT: status 6A82 (application not found)")
}

const cplcHex = "4790" + "5040" + "4091" + "8102" + "3100" + "4128" + "01020304" + "0a0b" +
	"4812" + "4129" + "4812" + "4130" + "0000" + "0000" + "00000000" + "0000" + "0000" + "00000000"

func TestCPLC(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"with tag": "9f7f2a" + cplcHex, "bare": cplcHex} {
		c, err := gp.ReadCPLC(t.Context(), gp.Plain(&answers{give: []string{answer + "9000"}}))
		require.NoError(t, err, name)
		require.Equal(t, "47904128010203040A0B", c.ChipID())
		require.Equal(t, cplcHex, hex.EncodeToString(c.Bytes()))
	}
	_, err := gp.ReadCPLC(t.Context(), gp.Plain(&answers{give: []string{"9f7f02" + "0000" + "9000"}}))
	require.ErrorIs(t, err, gp.ErrMalformed)
	_, err = gp.ReadCPLC(t.Context(), gp.Plain(&answers{give: []string{"6a88"}}))
	require.True(t, gp.IsNotFound(err))
	_, err = gp.ReadCPLC(t.Context(), gp.Plain(&answers{err: errCable}))
	require.False(t, gp.IsNotFound(err))
}

func TestGetData(t *testing.T) {
	t.Parallel()
	c := &answers{give: []string{"e012c00401308810c00402308810c004033088109000", "c103000007" + "9000", "4503aabbcc9000", "df0102beef9000"}}
	ch := gp.Plain(c)
	info, err := gp.ReadKeyInformation(t.Context(), ch)
	require.NoError(t, err)
	require.Equal(t, []byte{0x30}, info.Versions())
	require.True(t, info.Has(0x30))
	require.False(t, info.Has(0x31))
	require.Equal(t, gp.KeyInfo{ID: 3, Version: 0x30, Components: []gp.KeyComponent{{Type: gp.KeyTypeAES, Length: 16}}}, info[2])
	n, err := gp.ReadSequenceCounter(t.Context(), ch)
	require.NoError(t, err)
	require.EqualValues(t, 7, n)
	cin, err := gp.ReadCIN(t.Context(), ch)
	require.NoError(t, err)
	require.Equal(t, []byte{0xAA, 0xBB, 0xCC}, cin)
	marker, err := gp.GetValue(t.Context(), ch, 0xDF01)
	require.NoError(t, err)
	require.Equal(t, []byte{0xBE, 0xEF}, marker)
	require.Equal(t, []string{"80ca00e000", "80ca00c100", "80ca004500", "80cadf0100"}, c.heard)

	_, err = gp.GetValue(t.Context(), gp.Plain(&answers{give: []string{"df0201009000"}}), 0xDF01)
	require.ErrorIs(t, err, gp.ErrMalformed, "another tag than was asked for")
}

func TestExtendedKeyInformation(t *testing.T) {
	t.Parallel()
	raw, err := hex.DecodeString("e00cc00a" + "0130" + "ff880010" + "01000100")
	require.NoError(t, err)
	info, err := gp.ParseKeyInformation(raw)
	require.NoError(t, err)
	require.Equal(t, []gp.KeyComponent{{Type: gp.KeyTypeAES, Length: 16}}, info[0].Components)
}

func TestSetStatusReadsFirst(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		from, to gp.LifeCycle
		changed  bool
		err      error
	}{
		{gp.OPReady, gp.Initialized, true, nil},
		{gp.Initialized, gp.Secured, true, nil},
		{gp.Secured, gp.CardLocked, true, nil},
		{gp.CardLocked, gp.Secured, true, nil},
		{gp.Secured, gp.Terminated, true, nil},
		{gp.Secured, gp.Secured, false, nil},
		{gp.OPReady, gp.Secured, false, gp.ErrTransition},
		{gp.Secured, gp.Initialized, false, gp.ErrTransition},
		{gp.Terminated, gp.Secured, false, gp.ErrTransition},
	} {
		c := newCard(t)
		c.state = byte(one.from)
		changed, err := gp.SetStatus(t.Context(), c.session(gp.LevelFull), one.to)
		require.ErrorIs(t, err, one.err, "%s to %s", one.from, one.to)
		require.Equal(t, one.changed, changed, "%s to %s", one.from, one.to)
		sent := 1
		if changed {
			sent = 2
			require.Equal(t, byte(one.to), c.state)
		}
		require.Len(t, c.plain, sent)
	}
}

// decrypt undoes AES-CBC with a zero IV under the card's static DEK.
func (c *card) decrypt(data []byte) []byte {
	block, err := aes.NewCipher(c.enc)
	require.NoError(c.t, err)
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(out, data)
	return out
}

func TestPutKeys(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 24, 32} {
		enc, mac, dek := bytes.Repeat([]byte{1}, size), bytes.Repeat([]byte{2}, size), bytes.Repeat([]byte{3}, size)
		keys, err := gp.SoftwareKeys(enc, mac, dek)
		require.NoError(t, err)
		check, err := keys.Check(t.Context())
		require.NoError(t, err)
		answer := append([]byte{0x31}, check.ENC[:]...)
		answer = append(append(answer, check.MAC[:]...), check.DEK[:]...)

		c := newCard(t)
		c.respond = func(gp.Command) ([]byte, uint16) { return answer, 0x9000 }
		got, err := c.session(gp.LevelFull).PutKeys(t.Context(), 0x30, 0x31, keys)
		require.NoError(t, err)
		require.Equal(t, check, got)

		in := c.plain[0]
		require.Equal(t, []byte{0x80, 0xD8, 0x30, 0x81}, []byte{in.CLA, in.INS, in.P1, in.P2})
		padded := (size + 15) / 16 * 16
		rest := in.Data[1:]
		require.Equal(t, byte(0x31), in.Data[0])
		for i, want := range [][]byte{enc, mac, dek} {
			block := rest[:3+padded+4]
			rest = rest[len(block):]
			require.Equal(t, []byte{0x88, byte(1 + padded), byte(size)}, block[:3])
			require.Equal(t, want, c.decrypt(block[3 : 3+padded])[:size])
			require.Equal(t, byte(3), block[3+padded])
			require.Equal(t, answer[1+3*i:4+3*i], block[4+padded:])
		}
		require.Empty(t, rest)

		for name, wrong := range map[string][]byte{
			"check value": append(bytes.Clone(answer[:9]), answer[9]^1), "version": append([]byte{0x30}, answer[1:]...), "nothing": nil,
		} {
			c.respond = func(gp.Command) ([]byte, uint16) { return wrong, 0x9000 }
			_, err = c.session(gp.LevelFull).PutKeys(t.Context(), 0x30, 0x31, keys)
			require.ErrorIs(t, err, gp.ErrKCV, name)
		}
		_, err = c.session(gp.LevelFull).PutKeys(t.Context(), 0x30, 0x80, keys)
		require.ErrorIs(t, err, gp.ErrKey)
	}
}

func TestStoreDataSequence(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	s := c.session(gp.LevelFull)
	secret := bytes.Repeat([]byte{0x5E}, 32)
	long := bytes.Repeat([]byte{0x11}, 300)
	require.NoError(t, s.StoreData(t.Context(),
		gp.DGI{ID: 0xDF01, Value: []byte("attempt")}, gp.DGI{ID: 0xDF03, Value: secret, Encrypt: true}, gp.DGI{ID: 0x9000, Value: long}))
	var p1, p2 []byte
	for _, in := range c.plain {
		require.Equal(t, byte(0xE2), in.INS)
		p1, p2 = append(p1, in.P1), append(p2, in.P2)
	}
	require.Equal(t, []byte{0x08, 0x68, 0x08, 0x88}, p1)
	require.Equal(t, []byte{0, 1, 2, 3}, p2)
	require.Equal(t, append([]byte{0xDF, 0x01, 7}, "attempt"...), c.plain[0].Data)
	require.Equal(t, []byte{0xDF, 0x03, 32}, c.plain[1].Data[:3])
	require.Equal(t, secret, c.decrypt(c.plain[1].Data[3:]))
	require.Equal(t, append([]byte{0x90, 0x00, 0xFF, 0x01, 0x2C}, long...), append(bytes.Clone(c.plain[2].Data), c.plain[3].Data...))

	sent := len(c.plain)
	require.ErrorIs(t, s.StoreData(t.Context(), gp.DGI{ID: 1, Value: []byte("odd"), Encrypt: true}), gp.ErrKey)
	require.ErrorIs(t, s.StoreData(t.Context()), gp.ErrCommand)
	require.Len(t, c.plain, sent)

	c.respond = func(in gp.Command) ([]byte, uint16) { return nil, 0x6A84 }
	err := s.StoreData(t.Context(), gp.DGI{ID: 0xDF02, Value: secret}, gp.DGI{ID: 0xDF04, Value: secret})
	sw, _ := gp.StatusOf(err)
	require.Equal(t, gp.SWNotEnoughMemory, sw)
	require.Len(t, c.plain, sent+1, "a sequence stops at the first refusal")
}
