package card

// Secure channel protocols a chip can speak.
const (
	SCP02 byte = 0x02
	SCP03 byte = 0x03
)

// Security level bits of EXTERNAL AUTHENTICATE P1 (GPC 2.3.1 table E-11,
// Amendment D table 7-3).
const (
	levelCMAC = 0x01
	levelCDEC = 0x02
	levelRMAC = 0x10
	levelRENC = 0x20
)

const macLength = 8

// sessionState is what every session has.
type sessionState struct {
	keyset int  // generation of the keyset that opened the session
	open   bool // EXTERNAL AUTHENTICATE done
	level  byte
}

// channel is one secure channel session, from INITIALIZE UPDATE on.
type channel interface {
	state() *sessionState
	// answer is the end of the answer to INITIALIZE UPDATE; spoil makes its
	// cryptogram wrong.
	answer(spoil bool) []byte
	// authenticate is the card's half of EXTERNAL AUTHENTICATE.
	authenticate(cmd command) uint16
	// unwrap opens a command at a level with C-MAC. Any doubt is ok=false: the
	// session is aborted.
	unwrap(cmd command) (command, bool)
	// wrap protects a response at a level with R-MAC.
	wrap(data []byte, sw uint16) []byte
	// decrypt undoes the encryption of keys and other sensitive data; ok=false
	// when it is not whole blocks.
	decrypt(data []byte) (plain []byte, ok bool)
}

// opened takes the secure messaging off a command as the session's level asks.
func opened(c channel, cmd command) (command, bool) {
	protected := cmd.cla&secureMessaging != 0
	if wanted := c.state().level&levelCMAC != 0; protected != wanted {
		return command{}, false
	}
	if !protected {
		return cmd, true
	}
	cmd, ok := c.unwrap(cmd)
	cmd.cla &^= secureMessaging
	return cmd, ok
}

// sealed protects a response as the session's level asks.
func sealed(c channel, data []byte, sw uint16) []byte {
	if c.state().level&levelRMAC == 0 {
		return append(append([]byte(nil), data...), statusBytes(sw)...)
	}
	return c.wrap(data, sw)
}

// good tells that a status word is success or a warning; others go out bare.
func good(sw uint16) bool { return sw == swOK || sw>>8 == 0x62 || sw>>8 == 0x63 }

// knownLevel tells whether P1 of EXTERNAL AUTHENTICATE is one of the protocol's
// and within what parameter i offers.
func knownLevel(protocol, level, i byte) bool {
	switch level {
	case 0x00, 0x01, 0x03:
		return true
	case 0x11, 0x13:
		return i&0x20 != 0
	case 0x33:
		return protocol == SCP03 && i&0x60 == 0x60
	}
	return false
}
