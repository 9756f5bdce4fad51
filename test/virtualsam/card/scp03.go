package card

// Security level bits of EXTERNAL AUTHENTICATE P1 (Amendment D table 7-3).
const (
	levelCMAC = 0x01
	levelCDEC = 0x02
	levelRMAC = 0x10
	levelRENC = 0x20
)

const macLength = 8

// channel is one SCP03 secure channel session, from INITIALIZE UPDATE on.
type channel struct {
	keyset     int // generation of the keyset that opened the session
	context    []byte
	enc, mac   []byte
	rmac       []byte
	challenge  []byte
	cryptogram []byte
	open       bool // EXTERNAL AUTHENTICATE done
	level      byte
	chain      [blockSize]byte // MAC chaining value
	counter    [blockSize]byte // encryption counter, big endian
}

// newChannel derives the session keys, the pseudo-random card challenge and
// the card cryptogram (Amendment D s.6.2.1 and 6.2.2).
func newChannel(keys Keys, generation int, sequence []byte, aid, host []byte) *channel {
	challenge := derive(keys.ENC, deriveCardChallenge, 8, sequence, aid)
	context := append(append([]byte(nil), host...), challenge...)
	c := &channel{
		keyset:    generation,
		context:   context,
		challenge: challenge,
		enc:       derive(keys.ENC, deriveSessionENC, len(keys.ENC), context),
		mac:       derive(keys.MAC, deriveSessionMAC, len(keys.MAC), context),
		rmac:      derive(keys.MAC, deriveSessionRMAC, len(keys.MAC), context),
	}
	c.cryptogram = derive(c.mac, deriveCardCryptogram, 8, context)
	return c
}

// verifyMAC checks the C-MAC at the end of the data field and moves the MAC
// chaining value on (Amendment D s.6.2.4).
func (c *channel) verifyMAC(cmd command) (data []byte, ok bool) {
	if len(cmd.data) < macLength {
		return nil, false
	}
	cut := len(cmd.data) - macLength
	mac := cmac(c.mac, c.chain[:], cmd.header(len(cmd.data)), cmd.data[:cut])
	if !equal(mac[:macLength], cmd.data[cut:]) {
		return nil, false
	}
	c.chain = mac
	return cmd.data[:cut], true
}

// authenticate is the card's half of EXTERNAL AUTHENTICATE: the cryptogram
// first (6300, as a wrong key shows itself), then the MAC (6982).
func (c *channel) authenticate(cmd command) uint16 {
	if !equal(cmd.data[:8], derive(c.mac, deriveHostCryptogram, 8, c.context)) {
		return swAuthFailed
	}
	if _, ok := c.verifyMAC(cmd); !ok {
		return swSecurity
	}
	c.open, c.level = true, cmd.p1
	return swOK
}

// icv is the initial vector of the current command, or of its response
// (Amendment D s.6.2.6 and 6.2.7).
func (c *channel) icv(response bool) []byte {
	block := c.counter
	if response {
		block[0] = 0x80
	}
	newCipher(c.enc).Encrypt(block[:], block[:])
	return block[:]
}

// unwrap takes the secure messaging off a command. Any doubt is ok=false: the
// caller aborts the session.
func (c *channel) unwrap(cmd command) (command, bool) {
	if c.level&levelCMAC == 0 {
		return cmd, cmd.cla&secureMessaging == 0
	}
	if cmd.cla&secureMessaging == 0 {
		return command{}, false
	}
	data, ok := c.verifyMAC(cmd)
	if !ok {
		return command{}, false
	}
	// The counter moves for a command without data too.
	for i := blockSize - 1; i >= 0; i-- {
		c.counter[i]++
		if c.counter[i] != 0 {
			break
		}
	}
	if c.level&levelCDEC != 0 && len(data) > 0 {
		if len(data)%blockSize != 0 {
			return command{}, false
		}
		if data, ok = unpad80(cbcDecrypt(c.enc, c.icv(false), data)); !ok {
			return command{}, false
		}
	}
	cmd.cla &^= secureMessaging
	cmd.data = data
	return cmd, true
}

// wrap protects a response; an error status word goes out bare (Amendment D s.6.2.5).
func (c *channel) wrap(data []byte, sw uint16) []byte {
	warning := sw>>8 == 0x62 || sw>>8 == 0x63
	if c.level&levelRMAC == 0 || (sw != swOK && !warning) {
		return append(append([]byte(nil), data...), statusBytes(sw)...)
	}
	if c.level&levelRENC != 0 && len(data) > 0 {
		data = cbcEncrypt(c.enc, c.icv(true), pad80(data))
	}
	mac := cmac(c.rmac, c.chain[:], data, statusBytes(sw))
	out := append(append([]byte(nil), data...), mac[:macLength]...)
	return append(out, statusBytes(sw)...)
}

// knownLevel tells whether P1 of EXTERNAL AUTHENTICATE is one of table 7-3 and
// within what parameter i offers.
func knownLevel(level, i byte) bool {
	switch level {
	case 0x00, 0x01, 0x03:
		return true
	case 0x11, 0x13:
		return i&0x20 != 0
	case 0x33:
		return i&0x60 == 0x60
	}
	return false
}
