package globalplatform

import (
	"bytes"
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

func FuzzParseInitializeUpdate(f *testing.F) {
	f.Add(append(append(make([]byte, 10), 0x30, 0x03, 0x70), make([]byte, 19)...))
	f.Add(append(append(make([]byte, 10), 0x30, 0x03, 0x00), make([]byte, 16)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseInitializeUpdate(data)
		if err != nil {
			return
		}
		require.Len(t, u.CardChallenge, 8)
		require.Len(t, u.CardCryptogram, 8)
		require.Equal(t, u.I&iPseudoRandom != 0, len(u.SequenceCounter) == 3)
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

// FuzzUnwrap gives the session answers from anybody (first flag false: they
// must not pass) and from a card that knows the keys and answers nonsense.
func FuzzUnwrap(f *testing.F) {
	f.Add(true, byte(LevelFull), []byte("0123456789ABCDEF"), uint16(OK))
	f.Add(false, byte(LevelFull), []byte("0123456789ABCDEF01234567"), uint16(OK))
	f.Add(true, byte(LevelCMACRMAC), []byte("data"), uint16(0x6310))
	f.Add(true, byte(LevelFull), []byte{}, uint16(0x6985))
	f.Fuzz(func(t *testing.T, genuine bool, level byte, data []byte, sw uint16) {
		s := &Session{level: SecurityLevel(level), open: true, counter: 9}
		var err error
		for i, k := range []*sessionKey{&s.enc, &s.mac, &s.rmac} {
			*k, err = newSessionKey(bytes.Repeat([]byte{byte(i + 1)}, 16))
			require.NoError(t, err)
		}
		r := Response{Data: data, SW: SW(sw)}
		if genuine {
			in := append(append([]byte(nil), s.chain[:]...), data...)
			r.Data = append(append([]byte(nil), data...), cmac(s.rmac.block, append(in, r.SW.SW1(), r.SW.SW2()))[:8]...)
		}
		got, err := s.unwrap("FUZZ", r)
		switch {
		case err != nil:
			require.ErrorIs(t, err, ErrOutcomeUnknown)
		case s.level.has(levelRMAC) && !genuine:
			require.True(t, r.SW != OK && !r.SW.Warning() && len(got.Data) == 0, "an answer without MAC has passed")
		default:
			require.LessOrEqual(t, len(got.Data), len(r.Data))
		}
	})
}
