package globalplatform

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// SecurityLevel says what protects commands and responses (Amendment D table
// 7-3).
type SecurityLevel byte

// The security levels of SCP03. R-MAC needs i&20 and R-ENC i&40 on the card.
const (
	LevelAuthenticated SecurityLevel = 0x00
	LevelCMAC          SecurityLevel = 0x01
	LevelCMACCDEC      SecurityLevel = 0x03
	LevelCMACRMAC      SecurityLevel = 0x11
	LevelCMACCDECRMAC  SecurityLevel = 0x13
	LevelFull          SecurityLevel = 0x33 // C-MAC, C-DECRYPTION, R-MAC, R-ENCRYPTION
)

const (
	levelCMAC = 0x01
	levelCDEC = 0x02
	levelRMAC = 0x10
	levelRENC = 0x20
)

func (l SecurityLevel) has(bit SecurityLevel) bool { return l&bit != 0 }

// The bits of the SCP03 parameter i (Amendment D table 5-1).
const (
	iS16          = 0x01
	iPseudoRandom = 0x10
	iRMAC         = 0x20
	iRENC         = 0x40
)

var (
	// ErrCardCryptogram says that the card does not know the static keys, or is not the
	// card it seems to be. EXTERNAL AUTHENTICATE was not sent.
	ErrCardCryptogram = errors.New("card cryptogram does not verify")
	// ErrCardChallenge says that the pseudo-random card challenge does not fit the keys,
	// the sequence counter and the AID. EXTERNAL AUTHENTICATE was not sent.
	ErrCardChallenge = errors.New("card challenge does not verify")
	// ErrHostRefused says that the card refused EXTERNAL AUTHENTICATE.
	ErrHostRefused = errors.New("card refused the host")
	// ErrBlocked says that the card refuses INITIALIZE UPDATE with 6982 or 6983, as cards
	// do that have counted too many failed authentications.
	ErrBlocked = errors.New("card is blocked for authentication")
	// ErrKeyVersion says that the card answered with another key version than was asked.
	ErrKeyVersion = errors.New("card answered with another key version")
	// ErrSecurityLevel says that the level is not one of SCP03, or more than the card can do.
	ErrSecurityLevel = errors.New("security level not possible")
	// ErrProtocol says that the card speaks another secure channel protocol or mode than
	// SCP03 S8.
	ErrProtocol = errors.New("secure channel protocol not supported")
	// ErrResponseMAC says that the response does not verify; it always comes together
	// with ErrOutcomeUnknown.
	ErrResponseMAC = errors.New("response MAC does not verify")
	// ErrSessionOver says that the session was closed, or lost by an earlier fault. A new
	// session is needed; nothing was sent.
	ErrSessionOver = errors.New("secure session is over")
)

// IsAuthenticationFailure tells whether err belongs to the wrong-key cases that
// must be counted per card and per lot: an unfitting card challenge or
// cryptogram, a refused host, or a card that says it is blocked.
func IsAuthenticationFailure(err error) bool {
	return errors.Is(err, ErrCardCryptogram) || errors.Is(err, ErrCardChallenge) ||
		errors.Is(err, ErrHostRefused) || errors.Is(err, ErrBlocked)
}

// OpenOptions says how a session is opened.
type OpenOptions struct {
	KeyVersion    byte // 00 lets the card choose; any other answer is then accepted
	KeyID         byte // P2 of INITIALIZE UPDATE, 00 for SCP03
	SecurityLevel SecurityLevel
	// AID of the selected security domain. Needed to verify the pseudo-random
	// card challenge (i&10) and used for nothing else; without it only the
	// cryptogram is verified.
	AID []byte
	// HostChallenge is the source of the 8 random bytes; nil is crypto/rand.
	HostChallenge io.Reader
	// BeforeAuthenticate runs before INITIALIZE UPDATE. A station commits its
	// failure counter here; an error stops the session before the card hears
	// anything.
	BeforeAuthenticate func() error
	// Authenticated runs after the card answered 9000 to EXTERNAL
	// AUTHENTICATE: the place to clear the counter. An error ends the session.
	Authenticated func() error
}

// InitializeUpdate is the card's answer to INITIALIZE UPDATE (Amendment D
// table 7-2). Nothing in it is secret.
type InitializeUpdate struct {
	Diversification []byte // 10 bytes
	KeyVersion      byte
	Protocol        byte // 03
	I               byte // implementation options
	CardChallenge   []byte
	CardCryptogram  []byte
	SequenceCounter []byte // 3 bytes when i&10, else empty
}

// ParseInitializeUpdate reads the answer of an S8 card.
func ParseInitializeUpdate(data []byte) (InitializeUpdate, error) {
	const fixed = 10 + 3 + 8 + 8
	if len(data) < 13 {
		return InitializeUpdate{}, fmt.Errorf("%w: INITIALIZE UPDATE answer of %d bytes", ErrMalformed, len(data))
	}
	u := InitializeUpdate{KeyVersion: data[10], Protocol: data[11], I: data[12]}
	if u.Protocol != 0x03 {
		return InitializeUpdate{}, fmt.Errorf("%w: SCP%02X", ErrProtocol, u.Protocol)
	}
	if u.I&iS16 != 0 {
		return InitializeUpdate{}, fmt.Errorf("%w: S16 mode", ErrProtocol)
	}
	want := fixed
	if u.I&iPseudoRandom != 0 {
		want += 3
	}
	if len(data) != want {
		return InitializeUpdate{}, fmt.Errorf("%w: INITIALIZE UPDATE answer of %d bytes, i=%02X asks for %d", ErrMalformed, len(data), u.I, want)
	}
	u.Diversification = append([]byte(nil), data[:10]...)
	u.CardChallenge = append([]byte(nil), data[13:21]...)
	u.CardCryptogram = append([]byte(nil), data[21:29]...)
	u.SequenceCounter = append([]byte(nil), data[29:]...)
	return u, nil
}

// supports says whether the card can do level (Amendment D table 5-1).
func (u InitializeUpdate) supports(level SecurityLevel) error {
	switch level {
	case LevelAuthenticated, LevelCMAC, LevelCMACCDEC, LevelCMACRMAC, LevelCMACCDECRMAC, LevelFull:
	default:
		return fmt.Errorf("%w: %02X", ErrSecurityLevel, byte(level))
	}
	if level.has(levelRMAC) && u.I&iRMAC == 0 || level.has(levelRENC) && u.I&iRENC == 0 {
		return fmt.Errorf("%w: %02X with i=%02X", ErrSecurityLevel, byte(level), u.I)
	}
	return nil
}

// OpenSession runs INITIALIZE UPDATE and EXTERNAL AUTHENTICATE (Amendment D
// 7.1) on the selected security domain. The card is verified before EXTERNAL
// AUTHENTICATE is sent. It never tries twice.
func OpenSession(ctx context.Context, t Transmitter, keys KeySource, o OpenOptions) (*Session, error) {
	if err := (InitializeUpdate{I: iRMAC | iRENC}).supports(o.SecurityLevel); err != nil {
		return nil, err
	}
	random := o.HostChallenge
	if random == nil {
		random = rand.Reader
	}
	host := make([]byte, 8)
	if _, err := io.ReadFull(random, host); err != nil {
		return nil, fmt.Errorf("host challenge: %w", err)
	}
	if o.BeforeAuthenticate != nil {
		if err := o.BeforeAuthenticate(); err != nil {
			return nil, fmt.Errorf("before INITIALIZE UPDATE: %w", err)
		}
	}
	answer, err := Plain(t).Send(ctx, Command{
		Name: "INITIALIZE UPDATE", CLA: 0x80, INS: 0x50, P1: o.KeyVersion, P2: o.KeyID, Data: host, Ne: MaxNe,
	})
	if sw, _ := StatusOf(err); sw == SWSecurityNotSatisfied || sw == SWAuthBlocked {
		return nil, fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	if err != nil {
		return nil, err
	}
	u, err := ParseInitializeUpdate(answer.Data)
	if err != nil {
		return nil, err
	}
	if o.KeyVersion != 0 && u.KeyVersion != o.KeyVersion {
		return nil, fmt.Errorf("%w: asked %02X, got %02X", ErrKeyVersion, o.KeyVersion, u.KeyVersion)
	}
	if err := u.supports(o.SecurityLevel); err != nil {
		return nil, err
	}
	static, err := keys.KeysFor(ctx, u.Diversification, u.KeyVersion)
	if err != nil {
		return nil, fmt.Errorf("static keys: %w", err)
	}
	if err := static.valid(); err != nil {
		return nil, err
	}
	s := &Session{t: t, static: static, card: u}
	hostCryptogram, err := s.agree(ctx, host, o.AID)
	if err != nil {
		s.Close()
		return nil, err
	}
	if err := s.externalAuthenticate(ctx, o.SecurityLevel, hostCryptogram); err != nil {
		s.Close()
		return nil, err
	}
	if o.Authenticated != nil {
		if err := o.Authenticated(); err != nil {
			s.Close()
			return nil, fmt.Errorf("after EXTERNAL AUTHENTICATE: %w", err)
		}
	}
	return s, nil
}

// agree derives the session keys, verifies the card and returns the host
// cryptogram (Amendment D 6.2.2).
func (s *Session) agree(ctx context.Context, host, aid []byte) ([]byte, error) {
	u := s.card
	if u.I&iPseudoRandom != 0 && len(aid) > 0 {
		// 6.2.2.1: context is the sequence counter and the AID of the invoker.
		want, err := derive(ctx, s.static.ENC, kdfCardChallenge, 8, append(append([]byte(nil), u.SequenceCounter...), aid...))
		if err != nil {
			return nil, fmt.Errorf("card challenge: %w", err)
		}
		if subtle.ConstantTimeCompare(want, u.CardChallenge) != 1 {
			return nil, ErrCardChallenge
		}
	}
	both := append(append([]byte(nil), host...), u.CardChallenge...)
	n := s.static.ENC.Size()
	for _, k := range []struct {
		to       *sessionKey
		from     Key
		constant byte
	}{{&s.enc, s.static.ENC, kdfSENC}, {&s.mac, s.static.MAC, kdfSMAC}, {&s.rmac, s.static.MAC, kdfSRMAC}} {
		value, err := derive(ctx, k.from, k.constant, n, both)
		if err != nil {
			return nil, fmt.Errorf("session keys: %w", err)
		}
		if *k.to, err = newSessionKey(value); err != nil {
			return nil, err
		}
	}
	card, err := derive(ctx, s.mac, kdfCardCryptogram, 8, both)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(card, u.CardCryptogram) != 1 {
		return nil, ErrCardCryptogram
	}
	return derive(ctx, s.mac, kdfHostCryptogram, 8, both)
}

func (s *Session) externalAuthenticate(ctx context.Context, level SecurityLevel, cryptogram []byte) error {
	command := Command{Name: "EXTERNAL AUTHENTICATE", CLA: 0x80, INS: 0x82, P1: byte(level), Data: cryptogram}
	raw, err := s.sign(command, command.Data)
	if err != nil {
		return err
	}
	r, err := transmitRaw(ctx, s.t, command.Name, raw)
	if err != nil {
		return err
	}
	if r.SW != OK {
		return fmt.Errorf("%w: %w", ErrHostRefused, &StatusError{SW: r.SW, Command: command.Name})
	}
	s.level = level
	s.open = true
	return nil
}

// Card is what the card said of itself in INITIALIZE UPDATE.
func (s *Session) Card() InitializeUpdate { return s.card }

// Level is the security level the session was opened with.
func (s *Session) Level() SecurityLevel { return s.level }
