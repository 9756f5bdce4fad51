package globalplatform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
)

// SecurityLevel says what protects commands and responses (GPC 2.3.1 table
// E-11, Amendment D table 7-3).
type SecurityLevel byte

// The security levels. R-MAC needs i&20 on the card; LevelFull is of SCP03 only
// and needs i&60.
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
	// ErrSecurityLevel says that the level is not one of the protocol, or more than the
	// card can do.
	ErrSecurityLevel = errors.New("security level not possible")
	// ErrProtocol says that the card speaks another secure channel protocol or mode than
	// was asked, or one that this package does not know.
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
	// Protocol that must be spoken, SCP03 when zero. A card that answers with
	// another one is refused, so that nobody talks the host down to a weaker one.
	Protocol Protocol
	// Options is the parameter i of an SCP02 card, which does not tell it in
	// INITIALIZE UPDATE; ReadSecureChannels finds it. SCP02Option15 when zero.
	Options       byte
	KeyVersion    byte // 00 lets the card choose; any other answer is then accepted
	KeyID         byte // P2 of INITIALIZE UPDATE, 00 for both protocols
	SecurityLevel SecurityLevel
	// AID of the selected security domain. Needed to verify a pseudo-random card
	// challenge (i&10 for SCP03, i&40 for SCP02) and used for nothing else;
	// without it only the cryptogram is verified.
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

// complete fills in defaults and refuses what no card could do.
func (o OpenOptions) complete() (OpenOptions, error) {
	if o.Protocol == 0 {
		o.Protocol = SCP03
	}
	if o.HostChallenge == nil {
		o.HostChallenge = rand.Reader
	}
	switch o.Protocol {
	case SCP02:
		if o.Options == 0 {
			o.Options = SCP02Option15
		}
		return o, supportsSCP02(o.Options, o.SecurityLevel)
	case SCP03:
		return o, supportsSCP03(scp03RMAC|scp03RENC, o.SecurityLevel)
	}
	return o, fmt.Errorf("%w: %s", ErrProtocol, o.Protocol)
}

// secureChannel is what the protocols do each in their own way.
type secureChannel interface {
	// agree makes the session keys, verifies the card's answer with them and
	// gives the host cryptogram.
	agree(ctx context.Context, u InitializeUpdate, host, aid []byte) ([]byte, error)
	// sign protects EXTERNAL AUTHENTICATE, by a C-MAC at every level.
	sign(Command) ([]byte, error)
	// wrap protects a command of at most maxData bytes at a level with C-MAC.
	wrap(Command) ([]byte, error)
	// unwrap verifies and opens an answer at a level with R-MAC.
	unwrap(Response) (Response, error)
	maxData() int
	// dataKey encrypts the keys and other secrets that are loaded.
	dataKey(context.Context) (Key, error)
	// forget overwrites the session keys.
	forget()
}

// OpenSession runs INITIALIZE UPDATE and EXTERNAL AUTHENTICATE (GPC 2.3.1 E.5,
// Amendment D 7.1) on the selected security domain. The card is verified before
// EXTERNAL AUTHENTICATE is sent. It never tries twice.
func OpenSession(ctx context.Context, t Transmitter, keys KeySource, o OpenOptions) (*Session, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	host := make([]byte, 8)
	if _, err := io.ReadFull(o.HostChallenge, host); err != nil {
		return nil, fmt.Errorf("host challenge: %w", err)
	}
	if o.BeforeAuthenticate != nil {
		if err := o.BeforeAuthenticate(); err != nil {
			return nil, fmt.Errorf("before INITIALIZE UPDATE: %w", err)
		}
	}
	u, err := initializeUpdate(ctx, t, o, host)
	if err != nil {
		return nil, err
	}
	static, err := keys.KeysFor(ctx, u.Diversification, u.KeyVersion)
	if err != nil {
		return nil, fmt.Errorf("static keys: %w", err)
	}
	if err := static.valid(); err != nil {
		return nil, err
	}
	s := &Session{t: t, card: u, level: o.SecurityLevel}
	if o.Protocol == SCP02 {
		s.channel = &scp02{level: o.SecurityLevel, options: o.Options, static: static}
	} else {
		s.channel = &scp03{level: o.SecurityLevel, static: static}
	}
	if err := s.authenticate(ctx, host, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// initializeUpdate asks the card and refuses an answer of another protocol, key
// version or ability than the session needs.
func initializeUpdate(ctx context.Context, t Transmitter, o OpenOptions, host []byte) (InitializeUpdate, error) {
	answer, err := Plain(t).Send(ctx, Command{
		Name: "INITIALIZE UPDATE", CLA: 0x80, INS: 0x50, P1: o.KeyVersion, P2: o.KeyID, Data: host, Ne: MaxNe,
	})
	if sw, _ := StatusOf(err); sw == SWSecurityNotSatisfied || sw == SWAuthBlocked {
		return InitializeUpdate{}, fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	if err != nil {
		return InitializeUpdate{}, err
	}
	if d := answer.Data; len(d) > 11 && Protocol(d[11]) != o.Protocol {
		return InitializeUpdate{}, fmt.Errorf("%w: asked %s, got %s", ErrProtocol, o.Protocol, Protocol(d[11]))
	}
	u, err := ParseInitializeUpdate(answer.Data)
	if err != nil {
		return InitializeUpdate{}, err
	}
	if o.KeyVersion != 0 && u.KeyVersion != o.KeyVersion {
		return InitializeUpdate{}, fmt.Errorf("%w: asked %02X, got %02X", ErrKeyVersion, o.KeyVersion, u.KeyVersion)
	}
	if u.Protocol == SCP02 {
		u.I = o.Options
		return u, nil
	}
	return u, supportsSCP03(u.I, o.SecurityLevel)
}

// authenticate verifies the card and only then shows the host's cryptogram.
func (s *Session) authenticate(ctx context.Context, host []byte, o OpenOptions) error {
	cryptogram, err := s.channel.agree(ctx, s.card, host, o.AID)
	if err != nil {
		return err
	}
	command := Command{Name: "EXTERNAL AUTHENTICATE", CLA: 0x80, INS: 0x82, P1: byte(o.SecurityLevel), Data: cryptogram}
	raw, err := s.channel.sign(command)
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
	s.open = true
	if o.Authenticated != nil {
		if err := o.Authenticated(); err != nil {
			return fmt.Errorf("after EXTERNAL AUTHENTICATE: %w", err)
		}
	}
	return nil
}
