package globalplatform

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/vectors"
)

func desKey(t *testing.T, value []byte) *SoftwareKey {
	k, err := NewSoftwareDESKey(value)
	require.NoError(t, err)
	return k
}

func hexOf(b []byte) string { return fmt.Sprintf("%X", b) }

func TestPublishedSessionKeysOfSCP02(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.SessionKey](t, "scp02-keycard-derive")
	c := &scp02{sequence: v.Sequence}
	got, err := desKey(t, v.Static).EncryptCBC(t.Context(), c.sessionData([2]byte(v.Constant)))
	require.NoError(t, err)
	require.Equal(t, v.Key.String(), hexOf(got))

	v = vectors.One[vectors.SessionKey](t, "scp02-gppro-sessionkey-kcv")
	static := desKey(t, v.Static)
	c = &scp02{sequence: v.Sequence, static: StaticKeys{DEK: static}}
	for constant, want := range map[[2]byte]vectors.Hex{scp02SENC: v.KCV.ENC, scp02SMAC: v.KCV.MAC, scp02SRMAC: v.KCV.RMAC, scp02SDEK: v.KCV.DEK} {
		key, err := static.Derive(t.Context(), c.sessionData(constant))
		require.NoError(t, err)
		kcv, err := key.KCV(t.Context())
		require.NoError(t, err)
		require.Equal(t, want.String(), hexOf(kcv), "constant %X", constant)
	}
	dek, err := c.dataKey(t.Context())
	require.NoError(t, err)
	kcv, err := dek.KCV(t.Context())
	require.NoError(t, err)
	require.Equal(t, v.KCV.DEK.String(), hexOf(kcv))

	for _, v := range vectors.Load[vectors.Exchange](t, "scp02-pysim-cmac", "scp02-kaoh-getstatus-cmac", "scp02-keycard-session") {
		static, err := SoftwareDESKeys(v.StaticKeys.ENC, v.StaticKeys.MAC, v.StaticKeys.DEK)
		require.NoError(t, err)
		u, err := ParseInitializeUpdate(v.Answer)
		require.NoError(t, err)
		require.Equal(t, v.Parsed.CardChallenge.String(), hexOf(u.CardChallenge))
		c := &scp02{static: static}
		host := v.HostChallenge
		_, err = c.agree(t.Context(), u, host, nil)
		require.NoError(t, err)
		dek, err := c.dataKey(t.Context())
		require.NoError(t, err)
		for i, k := range []Key{c.enc, c.mac, c.rmac, dek} {
			want := []vectors.Hex{v.Computed.ENC, v.Computed.MAC, v.Computed.RMAC, v.Computed.DEK}[i]
			require.Equal(t, want.String(), hexOf(k.(*SoftwareKey).value), "%s key %d", v.ID, i)
		}
	}
}

func TestPublishedCryptogramsOfSCP02(t *testing.T) {
	t.Parallel()
	all := vectors.One[vectors.Cryptograms](t, "scp02-keycard-hostcryptogram").Cases
	all = append(all, vectors.One[vectors.Cryptogram](t, "scp02-keycard-cryptogram"))
	require.Len(t, all, 3)
	for _, v := range all {
		c := &scp02{enc: desKey(t, v.ENC)}
		if len(v.Host) > 0 {
			require.Equal(t, v.Host.String(), hexOf(c.cryptogram(v.CardChallenge, v.HostChallenge)))
		} else {
			require.Equal(t, v.Card.String(), hexOf(c.cryptogram(v.HostChallenge, v.CardChallenge)))
		}
	}
}

func TestPublishedMACChainOfSCP02(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.CommandChain](t, "scp02-keycard-wrapper")
	c := &scp02{options: SCP02Option15, level: LevelCMAC, mac: desKey(t, v.MAC)}
	for i, step := range v.Steps {
		plain, err := ParseCommand(step.Plain)
		require.NoError(t, err)
		got, err := c.wrap(plain)
		require.NoError(t, err)
		require.Equal(t, step.Wrapped.String(), hexOf(got), "command %d", i)
	}
}

func TestPublishedRetailMAC(t *testing.T) {
	t.Parallel()
	v := vectors.One[vectors.RetailMAC](t, "retail-mac-keycard")
	key := desKey(t, v.Key)
	require.Equal(t, v.MAC.String(), hexOf(retailMAC(single(key), key.block, make([]byte, 8), pad80(v.Data, 8))))
}

// Even a card that knows the keys must not send data with an error.
func TestErrorOfSCP02HasNoData(t *testing.T) {
	t.Parallel()
	c := &scp02{level: LevelCMACRMAC, options: 0x35, rmac: desKey(t, []byte("0123456789ABCDEF")), asked: []byte{0x80, 0xCA, 0, 0x66, 0}}
	for _, data := range []string{"", "x"} {
		in := append(append([]byte(nil), c.asked...), byte(len(data)))
		in = append(append(in, data...), 0x6A, 0x80)
		mac := retailMAC(single(c.rmac), c.rmac.block, c.ricv[:], pad80(in, 8))
		before := c.ricv
		r, err := c.unwrap(Response{Data: append([]byte(data), mac...), SW: SWWrongData})
		if data == "" {
			require.NoError(t, err, "a card that can may send the MAC of an error")
			require.Equal(t, Response{Data: []byte{}, SW: SWWrongData}, r)
			continue
		}
		require.ErrorIs(t, err, ErrResponseMAC)
		require.Equal(t, before, c.ricv)
	}
}

// With R-MAC every command asks for an answer, or the MAC could not come.
func TestCommandsOfSCP02AskForTheMAC(t *testing.T) {
	t.Parallel()
	for level, want := range map[SecurityLevel]int{LevelCMAC: 0, LevelCMACRMAC: MaxNe} {
		c := &scp02{level: level, options: 0x35, mac: desKey(t, []byte("0123456789ABCDEF"))}
		raw, err := c.wrap(Command{CLA: 0x80, INS: 0xF0, P1: 0x80, P2: 0x07})
		require.NoError(t, err)
		sent, err := ParseCommand(raw)
		require.NoError(t, err)
		require.Equal(t, want, sent.Ne)
	}
}

func TestClosedSessionHasNoKeys(t *testing.T) {
	t.Parallel()
	static, err := SoftwareDESKeys([]byte("0123456789ABCDEF"), []byte("123456789ABCDEF0"), []byte("23456789ABCDEF01"))
	require.NoError(t, err)
	two := &scp02{static: static, enc: desKey(t, make16(1)), mac: desKey(t, make16(2)), rmac: desKey(t, make16(3)), sequence: []byte{0, 1}}
	dek, err := two.dataKey(t.Context())
	require.NoError(t, err)
	three := &scp03{}
	three.enc, three.mac, three.rmac = fuzzKeys(t, NewSoftwareKey)
	made := []*SoftwareKey{two.enc, two.mac, two.rmac, dek.(*SoftwareKey), three.enc, three.mac, three.rmac}
	for _, c := range []secureChannel{two, three, &scp02{}, &scp03{}} {
		s := &Session{open: true, channel: c}
		s.Close()
		s.Close()
		_, err := s.Send(t.Context(), Command{})
		require.ErrorIs(t, err, ErrSessionOver)
	}
	for _, k := range made {
		require.Equal(t, make([]byte, 16), k.value)
	}
	kcv, err := static.DEK.KCV(t.Context())
	require.NoError(t, err)
	again, err := desKey(t, []byte("23456789ABCDEF01")).KCV(t.Context())
	require.NoError(t, err)
	require.Equal(t, again, kcv, "static keys are their owner's")
}

func make16(b byte) []byte {
	return []byte{b, b + 16, b, b + 16, b, b + 16, b, b + 16, b + 32, b, b + 32, b, b + 32, b, b + 32, b}
}

func TestCardDataNamesChannelsOnly(t *testing.T) {
	t.Parallel()
	oid := func(arcs ...byte) []byte {
		return append(append([]byte{0x06, byte(len(gpOID) + 1 + len(arcs))}, gpOID...), append([]byte{0x04}, arcs...)...)
	}
	wrap := func(tag byte, inner []byte) []byte { return append([]byte{tag, byte(len(inner))}, inner...) }
	for name, one := range map[string]struct {
		objects []byte
		want    []ChannelOption
	}{
		"two":           {append(wrap(0x64, oid(0x02, 0x15)), wrap(0x64, oid(0x03, 0x70))...), []ChannelOption{{SCP02, 0x15}, {SCP03, 0x70}}},
		"in one object": {wrap(0x64, append(oid(0x02, 0x55), oid(0x03, 0x10)...)), []ChannelOption{{SCP02, 0x55}, {SCP03, 0x10}}},
		"no i":          {wrap(0x64, oid(0x02)), nil},
		"long arc":      {wrap(0x64, oid(0x02, 0x81, 0x15)), nil},
		"more arcs":     {wrap(0x64, oid(0x02, 0x15, 0x01)), nil},
		"another tag":   {wrap(0x63, oid(0x02, 0x15)), nil},
		"another owner": {wrap(0x64, []byte{0x06, 0x03, 0x2A, 0x02, 0x15}), nil},
	} {
		got, err := ParseCardData(wrap(0x66, wrap(0x73, one.objects)))
		require.NoError(t, err, name)
		require.Equal(t, one.want, got, name)
	}
	_, err := ParseCardData(wrap(0x66, nil))
	require.ErrorIs(t, err, ErrMalformed)
}
