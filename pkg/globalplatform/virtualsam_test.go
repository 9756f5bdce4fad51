package globalplatform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
	chip "dukcapil.go.id/sifilma/test/virtualsam/card"
)

// The virtual SAM is the other end: it shares no code with this package and is
// held to the published vectors by itself. What has no published vector (R-MAC
// of SCP02, PUT KEY under DES) must at least be read alike by both.

// sam is a virtual SAM as a Transmitter. heard are its commands.
type sam struct {
	sam   *chip.Chip
	heard [][]byte
	// change may spoil an answer.
	change func(answer []byte) []byte
}

func (s *sam) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	s.heard = append(s.heard, bytes.Clone(raw))
	a := s.sam.Transmit(raw)
	if a.Fate == chip.Empty {
		return nil, nil // as PC/SC drivers do
	}
	if a.Fate != chip.Answered {
		return nil, errors.New("card does not answer")
	}
	if s.change != nil {
		return s.change(a.Data), nil
	}
	return a.Data, nil
}

type unwritten struct{}

func (unwritten) Record(chip.Entry) error { return nil }

func chipKeys(n int) chip.Keys {
	return chip.Keys{
		ENC: bytes.Repeat([]byte{0x10, 0x21}, n/2), MAC: bytes.Repeat([]byte{0x32, 0x43}, n/2), DEK: bytes.Repeat([]byte{0x54, 0x65}, n/2),
	}
}

func newSAM(t *testing.T, cfg chip.Config) *sam {
	t.Helper()
	cfg.ChipID, cfg.Serial, cfg.KVN, cfg.Keys = chip.SeedChipID(t.Name()), "SAM-1", 0x20, chipKeys(16)
	c, err := chip.New(cfg, unwritten{})
	require.NoError(t, err)
	return &sam{sam: c}
}

func desKeys(t *testing.T, k chip.Keys) gp.StaticKeys {
	t.Helper()
	keys, err := gp.SoftwareDESKeys(k.ENC, k.MAC, k.DEK)
	require.NoError(t, err)
	return keys
}

func openSCP02(t *testing.T, s *sam, i byte, level gp.SecurityLevel) *gp.Session {
	t.Helper()
	session, err := gp.OpenSession(t.Context(), s, desKeys(t, chipKeys(16)), gp.OpenOptions{
		Protocol: gp.SCP02, Options: i, KeyVersion: 0x20, SecurityLevel: level, AID: isd,
	})
	require.NoError(t, err)
	t.Cleanup(session.Close)
	return session
}

func TestSCP02CarriesDataBothWays(t *testing.T) {
	t.Parallel()
	for _, i := range []byte{0x05, 0x15, 0x45, 0x55, 0x35, 0x75} {
		for _, level := range []gp.SecurityLevel{gp.LevelAuthenticated, gp.LevelCMAC, gp.LevelCMACCDEC, gp.LevelCMACRMAC, gp.LevelCMACCDECRMAC} {
			if level&0x10 != 0 && i&0x20 == 0 {
				continue
			}
			t.Run(fmt.Sprintf("i=%02X level %02X", i, byte(level)), func(t *testing.T) {
				t.Parallel()
				s := newSAM(t, chip.Config{Protocol: chip.SCP02, I: i})
				session := openSCP02(t, s, i, level)
				require.Equal(t, gp.SCP02, session.Card().Protocol)
				require.Equal(t, i, session.Card().I)
				for range 3 {
					cin, err := gp.ReadCIN(t.Context(), session)
					require.NoError(t, err)
					require.Equal(t, "SAM-1", string(cin))
					// A refusal in between does not end the session.
					_, err = gp.GetData(t.Context(), session, 0xDF03)
					sw, _ := gp.StatusOf(err)
					require.Equal(t, gp.SWSecurityNotSatisfied, sw)
					status, err := gp.GetStatus(t.Context(), session)
					require.NoError(t, err)
					require.Equal(t, gp.OPReady, status.LifeCycle)
				}
				long := make([]byte, session.MaxData()+1)
				_, err := session.Send(t.Context(), gp.Command{Name: "LONG", CLA: 0x80, INS: 0xE2, Data: long})
				require.ErrorIs(t, err, gp.ErrCommand)
				_, err = session.Send(t.Context(), gp.Command{Name: "FULL", CLA: 0x80, INS: 0xE2, Data: long[1:]})
				sw, _ := gp.StatusOf(err)
				require.Contains(t, []gp.SW{gp.SWWrongP1P2, gp.SWSecurityNotSatisfied}, sw, "read, and refused for what it is")
				if level == gp.LevelAuthenticated {
					return // no writes
				}
				changed, err := gp.SetStatus(t.Context(), session, gp.Initialized)
				require.NoError(t, err)
				require.True(t, changed)
				secret := bytes.Repeat([]byte{0x5E}, 32)
				require.NoError(t, session.StoreData(t.Context(),
					gp.DGI{ID: 0xDF02, Value: secret[:16]}, gp.DGI{ID: 0xDF03, Value: secret, Encrypt: true}))
				pcid, err := gp.GetValue(t.Context(), session, 0xDF02)
				require.NoError(t, err)
				require.Equal(t, secret[:16], pcid)
				_, err = gp.Plain(s).Send(t.Context(), gp.Command{Name: "OPEN SAM", INS: 0xF0, Data: make([]byte, 32)})
				require.NoError(t, err, "the card has decrypted CONF: PCID xor CONF is zero")
			})
		}
	}
}

func TestSCP02ReplacesKeys(t *testing.T) {
	t.Parallel()
	s := newSAM(t, chip.Config{Protocol: chip.SCP02, I: 0x55})
	session := openSCP02(t, s, 0x55, gp.LevelCMACCDEC)
	fresh := desKeys(t, chip.Keys{ENC: []byte("first new key ha"), MAC: []byte("second new key h"), DEK: []byte("third new key ha")})
	check, err := session.PutKeys(t.Context(), 0x20, 0x21, fresh)
	require.NoError(t, err)
	want, err := fresh.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, check)
	session.Close()

	info, err := gp.ReadKeyInformation(t.Context(), gp.Plain(newPlain(t, s)))
	require.NoError(t, err)
	require.Equal(t, gp.KeyInfo{ID: 1, Version: 0x21, Components: []gp.KeyComponent{{Type: gp.KeyTypeDES, Length: 16}}}, info[0])
	o := gp.OpenOptions{Protocol: gp.SCP02, Options: 0x55, KeyVersion: 0x21, SecurityLevel: gp.LevelCMAC, AID: isd}
	session, err = gp.OpenSession(t.Context(), s, fresh, o)
	require.NoError(t, err)
	n, err := gp.ReadSequenceCounter(t.Context(), session)
	require.NoError(t, err)
	require.EqualValues(t, 1, n, "counted from zero with the new keys")

	// The card's word on the new keys is not taken for granted.
	s.sam.SetFault(chip.Fault{WrongKCV: true})
	_, err = session.PutKeys(t.Context(), 0x21, 0x22, fresh)
	require.ErrorIs(t, err, gp.ErrKCV)
}

// newPlain selects the security domain, which ends the session on the card.
func newPlain(t *testing.T, s *sam) *sam {
	t.Helper()
	_, err := gp.Select(t.Context(), s, nil)
	require.NoError(t, err)
	return s
}

// What goes wrong before EXTERNAL AUTHENTICATE must not cost the card one of
// its attempts.
func TestSCP02CardIsVerifiedBeforeExternalAuthenticate(t *testing.T) {
	t.Parallel()
	spoil := func(at int) func([]byte) []byte {
		return func(a []byte) []byte { a[at] ^= 0x01; return a }
	}
	for name, one := range map[string]struct {
		i       byte
		change  func([]byte) []byte
		adjust  func(*gp.OpenOptions, *gp.StaticKeys)
		want    error
		failure bool
		heard   int
	}{
		"wrong keys": {i: 0x15, adjust: func(_ *gp.OpenOptions, k *gp.StaticKeys) { k.ENC = k.DEK }, want: gp.ErrCardCryptogram, failure: true, heard: 1},
		"wrong keys, challenge tells": {i: 0x55, adjust: func(_ *gp.OpenOptions, k *gp.StaticKeys) { k.MAC = k.DEK },
			want: gp.ErrCardChallenge, failure: true, heard: 1},
		"another AID":                       {i: 0x55, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.AID = isd[:7] }, want: gp.ErrCardChallenge, failure: true, heard: 1},
		"challenge taken for pseudo-random": {i: 0x15, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.Options = 0x55 }, want: gp.ErrCardChallenge, failure: true, heard: 1},
		"changed cryptogram":                {i: 0x15, change: spoil(27), want: gp.ErrCardCryptogram, failure: true, heard: 1},
		"changed sequence":                  {i: 0x15, change: spoil(13), want: gp.ErrCardCryptogram, failure: true, heard: 1},
		"changed challenge":                 {i: 0x15, change: spoil(15), want: gp.ErrCardCryptogram, failure: true, heard: 1},
		"another version":                   {i: 0x15, change: spoil(10), want: gp.ErrKeyVersion, heard: 1},
		"short":                             {i: 0x15, change: func(a []byte) []byte { return append(a[:27], 0x90, 0x00) }, want: gp.ErrMalformed, heard: 1},
		"SCP03 answers":                     {i: 0x15, change: func(a []byte) []byte { a[11] = 0x03; return a }, want: gp.ErrProtocol, heard: 1},
		"AES keys": {i: 0x15, adjust: func(_ *gp.OpenOptions, k *gp.StaticKeys) {
			*k, _ = gp.SoftwareKeys(make([]byte, 16), make([]byte, 16), make([]byte, 16))
		}, want: gp.ErrKey, heard: 1},
		"three DES keys": {i: 0x15, adjust: func(_ *gp.OpenOptions, k *gp.StaticKeys) {
			*k, _ = gp.SoftwareDESKeys(make([]byte, 24), make([]byte, 24), make([]byte, 24))
		}, want: gp.ErrKey, heard: 1},
		"mixed keys": {i: 0x15, adjust: func(_ *gp.OpenOptions, k *gp.StaticKeys) {
			k.MAC, _ = gp.NewSoftwareKey(make([]byte, 16))
		}, want: gp.ErrKey, heard: 1},
		"no R-MAC": {i: 0x15, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.SecurityLevel = gp.LevelCMACRMAC }, want: gp.ErrSecurityLevel},
		"no R-ENC": {i: 0x75, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.SecurityLevel = gp.LevelFull }, want: gp.ErrSecurityLevel},
		"implicit": {i: 0x15, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.Options = 0x1A }, want: gp.ErrProtocol},
		"SCP01":    {i: 0x15, adjust: func(o *gp.OpenOptions, _ *gp.StaticKeys) { o.Protocol = 0x01 }, want: gp.ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSAM(t, chip.Config{Protocol: chip.SCP02, I: one.i})
			s.change = one.change
			keys := desKeys(t, chipKeys(16))
			o := gp.OpenOptions{Protocol: gp.SCP02, Options: one.i, KeyVersion: 0x20, SecurityLevel: gp.LevelCMAC, AID: isd}
			if one.adjust != nil {
				one.adjust(&o, &keys)
			}
			_, err := gp.OpenSession(t.Context(), s, keys, o)
			require.ErrorIs(t, err, one.want)
			require.Equal(t, one.failure, gp.IsAuthenticationFailure(err))
			require.Len(t, s.heard, one.heard)
			require.Zero(t, s.sam.State().AuthFailures)
		})
	}
}

// Nobody talks a host that wants SCP03 down to SCP02.
func TestProtocolIsNotTheCardsChoice(t *testing.T) {
	t.Parallel()
	s := newSAM(t, chip.Config{Protocol: chip.SCP02})
	_, err := gp.OpenSession(t.Context(), s, desKeys(t, chipKeys(16)), gp.OpenOptions{KeyVersion: 0x20, SecurityLevel: gp.LevelCMAC})
	require.ErrorIs(t, err, gp.ErrProtocol)
	require.Len(t, s.heard, 1)
}

// With R-MAC an answer that was touched is an unknown outcome.
func TestSCP02AnswersAreVerified(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func([]byte) []byte{
		"data":          func(a []byte) []byte { a[0] ^= 1; return a },
		"MAC":           func(a []byte) []byte { a[len(a)-3] ^= 1; return a },
		"status":        func(a []byte) []byte { a[len(a)-2], a[len(a)-1] = 0x63, 0x10; return a },
		"no MAC":        func([]byte) []byte { return []byte{0x90, 0x00} },
		"MAC cut":       func(a []byte) []byte { return append(a[:5], 0x90, 0x00) },
		"error, data":   func(a []byte) []byte { a[len(a)-2], a[len(a)-1] = 0x6A, 0x80; return a },
		"error, no MAC": func([]byte) []byte { return append(make([]byte, 8), 0x6A, 0x80) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSAM(t, chip.Config{Protocol: chip.SCP02, I: 0x75})
			session := openSCP02(t, s, 0x75, gp.LevelCMACCDECRMAC)
			s.change = change
			_, err := gp.ReadCIN(t.Context(), session)
			require.ErrorIs(t, err, gp.ErrOutcomeUnknown)
			require.ErrorIs(t, err, gp.ErrResponseMAC)
			sent := len(s.heard)
			_, err = gp.ReadCIN(t.Context(), session)
			require.ErrorIs(t, err, gp.ErrSessionOver)
			require.Len(t, s.heard, sent)
		})
	}
}

func TestCardTellsItsChannel(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		cfg  chip.Config
		want gp.ChannelOption
	}{
		{chip.Config{Protocol: chip.SCP02, I: 0x55}, gp.ChannelOption{Protocol: gp.SCP02, I: 0x55}},
		{chip.Config{}, gp.ChannelOption{Protocol: gp.SCP03, I: 0x70}},
	} {
		got, err := gp.ReadSecureChannels(t.Context(), gp.Plain(newSAM(t, one.cfg)))
		require.NoError(t, err)
		require.Equal(t, []gp.ChannelOption{one.want}, got)
	}
}
