package globalplatform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	gp "dukcapil.go.id/sifilma/pkg/globalplatform"
)

func TestEveryLevelCarriesDataBothWays(t *testing.T) {
	t.Parallel()
	for _, level := range []gp.SecurityLevel{
		gp.LevelAuthenticated, gp.LevelCMAC, gp.LevelCMACCDEC, gp.LevelCMACRMAC, gp.LevelCMACCDECRMAC, gp.LevelFull,
	} {
		t.Run(fmt.Sprintf("%02X", byte(level)), func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			c.respond = func(in gp.Command) ([]byte, uint16) {
				if in.P1 == 0xEE {
					return nil, 0x6A80
				}
				return bytes.Repeat(in.Data, 2)[:min(2*len(in.Data), 200)], 0x9000
			}
			s := c.session(level)
			require.Equal(t, level, s.Level())
			for _, n := range []int{0, 1, 15, 16, 17, s.MaxData()} {
				data := bytes.Repeat([]byte{0x80}, n)
				r, err := s.Send(t.Context(), gp.Command{Name: "ECHO", CLA: 0x80, INS: 0xE2, Data: data, Ne: gp.MaxNe})
				require.NoError(t, err)
				require.Equal(t, min(2*n, 200), len(r.Data))
				require.True(t, bytes.Equal(data, c.plain[len(c.plain)-1].Data))
				// A refusal in between does not end the session.
				_, err = s.Send(t.Context(), gp.Command{Name: "REFUSED", CLA: 0x80, INS: 0xE2, P1: 0xEE})
				sw, ok := gp.StatusOf(err)
				require.True(t, ok)
				require.Equal(t, gp.SWWrongData, sw)
			}
			_, err := s.Send(t.Context(), gp.Command{Name: "LONG", CLA: 0x80, INS: 0xE2, Data: make([]byte, s.MaxData()+1)})
			require.ErrorIs(t, err, gp.ErrCommand)
			_, err = s.Send(t.Context(), gp.Command{Name: "AFTER", CLA: 0x80, INS: 0xE2})
			require.NoError(t, err, "a command that was never sent does not count")
		})
	}
}

// What goes wrong before EXTERNAL AUTHENTICATE must not cost the card one of
// its attempts.
func TestCardIsVerifiedBeforeExternalAuthenticate(t *testing.T) {
	t.Parallel()
	wrong := bytes.Repeat([]byte{0x43}, 16)
	for name, one := range map[string]struct {
		damage  func(*card, *gp.OpenOptions)
		keys    []byte
		want    error
		failure bool
	}{
		"wrong keys, challenge tells":  {keys: wrong, want: gp.ErrCardChallenge, failure: true},
		"wrong keys, cryptogram tells": {keys: wrong, damage: func(_ *card, o *gp.OpenOptions) { o.AID = nil }, want: gp.ErrCardCryptogram, failure: true},
		"random challenge, wrong keys": {keys: wrong, damage: func(c *card, _ *gp.OpenOptions) { c.i = 0x60 }, want: gp.ErrCardCryptogram, failure: true},
		"another AID":                  {damage: func(_ *card, o *gp.OpenOptions) { o.AID = isd[:7] }, want: gp.ErrCardChallenge, failure: true},
		"changed cryptogram": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func(a []byte) ([]byte, error) { a[28] ^= 1; return a, nil }
		}, want: gp.ErrCardCryptogram, failure: true},
		"another key version": {damage: func(c *card, _ *gp.OpenOptions) { c.version = 0x31 }, want: gp.ErrKeyVersion},
		"no R-ENC on card":    {damage: func(c *card, _ *gp.OpenOptions) { c.i = 0x30 }, want: gp.ErrSecurityLevel},
		"no R-MAC on card": {damage: func(c *card, o *gp.OpenOptions) {
			c.i, o.SecurityLevel = 0x10, gp.LevelCMACRMAC
		}, want: gp.ErrSecurityLevel},
		"S16": {damage: func(c *card, _ *gp.OpenOptions) { c.i = 0x71 }, want: gp.ErrProtocol},
		"SCP02": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func(a []byte) ([]byte, error) { a[11] = 0x02; return a, nil }
		}, want: gp.ErrProtocol},
		"short answer": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func(a []byte) ([]byte, error) { return a[len(a)-10:], nil }
		}, want: gp.ErrMalformed},
		"blocked card": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func([]byte) ([]byte, error) { return []byte{0x69, 0x83}, nil }
		}, want: gp.ErrBlocked, failure: true},
		"card gone": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func([]byte) ([]byte, error) { return nil, nil }
		}, want: gp.ErrOutcomeUnknown},
		"transport": {damage: func(c *card, _ *gp.OpenOptions) {
			c.corrupt = func([]byte) ([]byte, error) { return nil, errCable }
		}, want: errCable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			o := gp.OpenOptions{KeyVersion: 0x30, SecurityLevel: gp.LevelFull, AID: isd}
			keys := c.keys()
			if one.keys != nil {
				var err error
				keys, err = gp.SoftwareKeys(one.keys, one.keys, one.keys)
				require.NoError(t, err)
			}
			if one.damage != nil {
				one.damage(c, &o)
			}
			_, err := gp.OpenSession(t.Context(), c, keys, o)
			require.ErrorIs(t, err, one.want)
			require.Equal(t, one.failure, gp.IsAuthenticationFailure(err))
			require.Len(t, c.heard, 1, "only INITIALIZE UPDATE was sent")
		})
	}
}

func TestHostRefused(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	c.corrupt = func(a []byte) ([]byte, error) {
		if len(c.heard) == 2 {
			return []byte{0x63, 0x00}, nil
		}
		return a, nil
	}
	_, err := gp.OpenSession(t.Context(), c, c.keys(), gp.OpenOptions{KeyVersion: 0x30, SecurityLevel: gp.LevelFull, AID: isd})
	require.ErrorIs(t, err, gp.ErrHostRefused)
	require.True(t, gp.IsAuthenticationFailure(err))
	sw, _ := gp.StatusOf(err)
	require.Equal(t, gp.SWWrongHostCryptogram, sw)
}

func TestHooksFrameTheAuthentication(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	var order []string
	mark := func(what string, fail error) func() error {
		return func() error {
			order = append(order, fmt.Sprintf("%s after %d commands", what, len(c.heard)))
			return fail
		}
	}
	o := gp.OpenOptions{KeyVersion: 0x30, SecurityLevel: gp.LevelFull, AID: isd, BeforeAuthenticate: mark("counted", nil), Authenticated: mark("cleared", nil)}
	_, err := gp.OpenSession(t.Context(), c, c.keys(), o)
	require.NoError(t, err)
	require.Equal(t, []string{"counted after 0 commands", "cleared after 2 commands"}, order)

	full := errors.New("disk full")
	silent := newCard(t)
	o.BeforeAuthenticate = func() error { return full }
	_, err = gp.OpenSession(t.Context(), silent, silent.keys(), o)
	require.ErrorIs(t, err, full)
	require.Empty(t, silent.heard, "the card hears nothing before the counter is kept")

	o.BeforeAuthenticate, o.Authenticated = nil, func() error { return full }
	_, err = gp.OpenSession(t.Context(), newCard(t), c.keys(), o)
	require.ErrorIs(t, err, full)
}

func TestKeysAreChosenByWhatTheCardSays(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	var asked []byte
	source := sourceFunc(func(kdd []byte, version byte) (gp.StaticKeys, error) {
		asked = append(bytes.Clone(kdd), version)
		return c.keys(), nil
	})
	_, err := gp.OpenSession(t.Context(), c, source, gp.OpenOptions{SecurityLevel: gp.LevelFull, AID: isd})
	require.NoError(t, err)
	require.Equal(t, append(make([]byte, 10), 0x30), asked)

	_, err = gp.OpenSession(t.Context(), c, gp.StaticKeys{}, gp.OpenOptions{SecurityLevel: gp.LevelFull, AID: isd})
	require.ErrorIs(t, err, gp.ErrKey)
	_, err = gp.OpenSession(t.Context(), c, c.keys(), gp.OpenOptions{SecurityLevel: 0x02})
	require.ErrorIs(t, err, gp.ErrSecurityLevel)
}

type sourceFunc func(kdd []byte, version byte) (gp.StaticKeys, error)

func (f sourceFunc) KeysFor(_ context.Context, kdd []byte, version byte) (gp.StaticKeys, error) {
	return f(kdd, version)
}

// After a fault in mid-air nobody knows what the card did, and the session
// must not go on.
func TestUnknownOutcomeEndsTheSession(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func([]byte) ([]byte, error){
		"empty answer":     func([]byte) ([]byte, error) { return nil, nil },
		"one byte":         func([]byte) ([]byte, error) { return []byte{0x90}, nil },
		"transport":        func([]byte) ([]byte, error) { return nil, errCable },
		"changed data":     func(a []byte) ([]byte, error) { a[0] ^= 1; return a, nil },
		"changed MAC":      func(a []byte) ([]byte, error) { a[len(a)-3] ^= 1; return a, nil },
		"changed status":   func(a []byte) ([]byte, error) { a[len(a)-2], a[len(a)-1] = 0x63, 0x10; return a, nil },
		"MAC missing":      func([]byte) ([]byte, error) { return []byte{0x90, 0x00}, nil },
		"error with data":  func(a []byte) ([]byte, error) { a[len(a)-2] = 0x6A; return a, nil },
		"answer never end": func([]byte) ([]byte, error) { return []byte{0x61, 0x00}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			c.respond = func(gp.Command) ([]byte, uint16) { return []byte("some data"), 0x9000 }
			s := c.session(gp.LevelFull)
			c.corrupt = corrupt
			_, err := s.Send(t.Context(), gp.Command{Name: "WRITE", CLA: 0x80, INS: 0xE2, Data: []byte("secret")})
			require.ErrorIs(t, err, gp.ErrOutcomeUnknown)
			_, known := gp.StatusOf(err)
			require.False(t, known, "an unknown outcome is not a refusal")
			require.NotContains(t, err.Error(), "secret")
			sent := len(c.heard)
			_, err = s.Send(t.Context(), gp.Command{Name: "MORE", CLA: 0x80, INS: 0xE2})
			require.ErrorIs(t, err, gp.ErrSessionOver)
			require.NotErrorIs(t, err, gp.ErrOutcomeUnknown)
			require.Len(t, c.heard, sent)
		})
	}
}

func TestCancelledBeforeSendingIsNotUnknown(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	s := c.session(gp.LevelFull)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Send(ctx, gp.Command{Name: "WRITE", CLA: 0x80, INS: 0xE2})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, gp.ErrOutcomeUnknown)
	_, err = s.Send(t.Context(), gp.Command{Name: "WRITE", CLA: 0x80, INS: 0xE2})
	require.NoError(t, err, "nothing was sent, the session lives")
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	k, err := gp.NewSoftwareKey([]byte("0123456789ABCDEF"))
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, "card key", fmt.Sprintf(verb, k))
	}
}
