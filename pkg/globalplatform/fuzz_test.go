package globalplatform

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func seed(f *testing.F, values ...string) {
	f.Helper()
	for _, v := range values {
		f.Add([]byte(v))
	}
}

func FuzzParseTLV(f *testing.F) {
	seed(f, "\x9f\x7f\x02\x01\x02", "\x00\xff\xdf\x01\x81\x01\xaa", "\x5f\x82", "\xe0\x84\x00\x00\x00\x01")
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := ParseTLV(data)
		if err != nil {
			return
		}
		total := 0
		for _, one := range all {
			total += len(one.Value) + 2
		}
		require.LessOrEqual(t, total, len(data))
	})
}

func FuzzParseCPLC(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x47}, cplcLength))
	f.Add(append([]byte{0x9F, 0x7F, cplcLength}, bytes.Repeat([]byte{0x11}, cplcLength)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCPLC(data)
		if err != nil {
			return
		}
		require.Len(t, c.ChipID(), 20)
		require.True(t, bytes.Contains(data, c.Bytes()))
	})
}

func FuzzParseKeyInformation(f *testing.F) {
	seed(f, "\xe0\x06\xc0\x04\x01\x30\x88\x10", "\xe0\x0a\xc0\x08\x01\x30\xff\x88\x00\x10\x01\x00", "\xe0\x05\xc0\x03\x01\x30\x88")
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := ParseKeyInformation(data)
		if err != nil {
			return
		}
		for _, v := range info.Versions() {
			require.True(t, info.Has(v))
		}
		for _, one := range info {
			require.NotEmpty(t, one.Components)
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	seed(f, "\xe3\x0e\x4f\x08\xa0\x00\x00\x01\x51\x00\x00\x00\x9f\x70\x01\x0f", "\xe3\x00", "\xe3\x05\x4f\x00\x9f\x70\x00")
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := ParseStatus(data); err == nil {
			require.NotEmpty(t, s.LifeCycle.String())
		}
		if aid, err := FCI(data); err == nil {
			require.LessOrEqual(t, len(aid), len(data))
		}
	})
}

func FuzzParseEntries(f *testing.F) {
	seed(f, "\xe3\x0e\x4f\x08\xa0\x00\x00\x01\x51\x00\x00\x00\x9f\x70\x01\x0f\xe3\x11\x4f\x05\xa0\x00\x00\x01\x51\x9f\x70\x01\x07\xc5\x03\x00\x00\x00",
		"\xe3\x05\x4f\x00\x9f\x70\x00", "\xe3\x00")
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseEntries(data)
		if err != nil {
			return
		}
		for _, e := range entries {
			require.NotEmpty(t, e.AID)
		}
	})
}

func FuzzParseCardData(f *testing.F) {
	seed(f, "\x66\x0f\x73\x0d\x64\x0b\x06\x09\x2a\x86\x48\x86\xfc\x6b\x04\x02\x15", "\x66\x02\x73\x00", "\x66\x04\x73\x02\x64\x00")
	f.Fuzz(func(t *testing.T, data []byte) {
		channels, err := ParseCardData(data)
		if err != nil {
			return
		}
		require.LessOrEqual(t, 9*len(channels), len(data))
	})
}

func FuzzParseInitializeUpdate(f *testing.F) {
	f.Add(append(append(make([]byte, 10), 0x30, 0x03, 0x70), make([]byte, 19)...))
	f.Add(append(append(make([]byte, 10), 0x30, 0x03, 0x00), make([]byte, 16)...))
	f.Add(append(append(make([]byte, 10), 0x30, 0x02), make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseInitializeUpdate(data)
		if err != nil {
			return
		}
		require.Len(t, u.CardCryptogram, 8)
		if u.Protocol == SCP02 {
			require.Len(t, u.CardChallenge, 6)
			require.Len(t, u.SequenceCounter, 2)
			return
		}
		require.Equal(t, SCP03, u.Protocol)
		require.Len(t, u.CardChallenge, 8)
		require.Equal(t, u.I&scp03PseudoRandom != 0, len(u.SequenceCounter) == 3)
	})
}

func FuzzParseCommand(f *testing.F) {
	seed(f, "\x80\xf2\x20\x02", "\x80\xca\x00\x66\x00", "\x80\xe2\x88\x00\x01\xaa", "\x80\xe2\x88\x00\x01\xaa\x00")
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCommand(raw)
		if err != nil {
			return
		}
		out, err := c.Bytes()
		require.NoError(t, err)
		require.Equal(t, raw, out)
	})
}

// The next two give a session answers from anybody (first flag false: they must
// not pass) and from a card that knows the keys and answers nonsense.

func FuzzUnwrapSCP03(f *testing.F) {
	f.Add(true, byte(LevelFull), []byte("0123456789ABCDEF"), uint16(OK))
	f.Add(false, byte(LevelFull), []byte("0123456789ABCDEF01234567"), uint16(OK))
	f.Add(true, byte(LevelCMACRMAC), []byte("data"), uint16(0x6310))
	f.Add(true, byte(LevelFull), []byte{}, uint16(0x6985))
	f.Fuzz(func(t *testing.T, genuine bool, level byte, data []byte, sw uint16) {
		c := &scp03{level: SecurityLevel(level) | LevelCMACRMAC, counter: 9}
		c.enc, c.mac, c.rmac = fuzzKeys(t, NewSoftwareKey)
		r := Response{Data: data, SW: SW(sw)}
		if genuine {
			in := append(append([]byte(nil), c.chain[:]...), data...)
			r.Data = append(append([]byte(nil), data...), cmac(c.rmac.block, append(in, r.SW.SW1(), r.SW.SW2()))[:8]...)
		}
		judge(t, genuine, r, c)
	})
}

func FuzzUnwrapSCP02(f *testing.F) {
	f.Add(true, []byte("0123456789ABCDEF"), uint16(OK))
	f.Add(false, []byte("0123456789ABCDEF01234567"), uint16(OK))
	f.Add(true, []byte("data"), uint16(0x6310))
	f.Add(true, []byte{}, uint16(0x6985))
	f.Add(false, []byte("01234567"), uint16(0x6985))
	f.Fuzz(func(t *testing.T, genuine bool, data []byte, sw uint16) {
		c := &scp02{level: LevelCMACCDECRMAC, options: 0x75, asked: []byte{0x80, 0xCA, 0, 0x66, 0}}
		c.enc, c.mac, c.rmac = fuzzKeys(t, NewSoftwareDESKey)
		r := Response{Data: data, SW: SW(sw)}
		if genuine {
			in := append(append([]byte(nil), c.asked...), byte(len(data)))
			in = append(append(in, data...), r.SW.SW1(), r.SW.SW2())
			r.Data = append(append([]byte(nil), data...), retailMAC(single(c.rmac), c.rmac.block, make([]byte, 8), pad80(in, 8))...)
		}
		judge(t, genuine, r, c)
	})
}

func fuzzKeys(t *testing.T, make func([]byte) (*SoftwareKey, error)) (enc, mac, rmac *SoftwareKey) {
	for i, k := range []**SoftwareKey{&enc, &mac, &rmac} {
		var err error
		*k, err = make(bytes.Repeat([]byte{byte(2*i + 2), byte(i + 0x40)}, 8))
		require.NoError(t, err)
	}
	return enc, mac, rmac
}

// judge unwraps an answer through a whole session.
func judge(t *testing.T, genuine bool, r Response, c secureChannel) {
	wire := append(append([]byte(nil), r.Data...), r.SW.SW1(), r.SW.SW2())
	s := &Session{t: one(wire), level: LevelCMACRMAC, open: true, channel: echo{c}}
	got, err := s.Transmit(t.Context(), Command{Name: "FUZZ", CLA: 0x80, INS: 0xCA})
	switch {
	case err != nil:
		require.ErrorIs(t, err, ErrOutcomeUnknown)
		require.False(t, s.open)
	case !genuine:
		require.True(t, r.SW != OK && !r.SW.Warning() && len(got.Data) == 0, "an answer without MAC has passed")
	default:
		require.LessOrEqual(t, len(got.Data), len(r.Data))
	}
}

// one is a card that always gives the same answer.
type one []byte

func (o one) Transmit(context.Context, []byte) ([]byte, error) { return o, nil }

// echo sends commands as they are, so that only the answer is looked at.
type echo struct{ secureChannel }

func (echo) wrap(c Command) ([]byte, error) { return c.Bytes() }

// FuzzOpenSession: no answer to INITIALIZE UPDATE of a card that does not know
// the keys leads to EXTERNAL AUTHENTICATE.
func FuzzOpenSession(f *testing.F) {
	f.Add(false, byte(0), append(append(make([]byte, 10), 0x30, 0x03, 0x70), append(make([]byte, 19), 0x90, 0x00)...))
	f.Add(true, byte(0x55), append(append(make([]byte, 10), 0x30, 0x02), append(make([]byte, 16), 0x90, 0x00)...))
	f.Add(true, byte(0x15), []byte{0x69, 0x83})
	f.Add(false, byte(0), []byte{0x61, 0x10})
	f.Fuzz(func(t *testing.T, des bool, options byte, answer []byte) {
		o := OpenOptions{SecurityLevel: LevelCMAC, AID: []byte{0xA0, 0, 0, 1, 0x51}}
		keys, err := SoftwareKeys(make16(1), make16(2), make16(3))
		if des {
			o.Protocol, o.Options = SCP02, options
			keys, err = SoftwareDESKeys(make16(1), make16(2), make16(3))
		}
		require.NoError(t, err)
		c := &mutter{answer: answer}
		_, err = OpenSession(t.Context(), c, keys, o)
		require.Error(t, err)
		require.False(t, c.authenticated)
	})
}

// mutter says the same to everything.
type mutter struct {
	answer        []byte
	authenticated bool
}

func (m *mutter) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	m.authenticated = m.authenticated || raw[1] == 0x82
	return m.answer, nil
}
