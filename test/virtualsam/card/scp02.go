package card

// The bits of the SCP02 parameter i that this chip can have (GPC 2.3.1 table
// E-1); explicit initiation, the MAC on the modified command and three keys are
// always.
const (
	optionAlways  = 0x05
	optionICV     = 0x10 // ICV encryption
	optionRMAC    = 0x20
	optionPseudo  = 0x40 // pseudo-random card challenge
	maxSequence02 = 0x7FFF
)

// scp02 is one SCP02 session (GPC 2.3.1 appendix E).
type scp02 struct {
	sessionState
	enc, mac, rmac, dek []byte
	i                   byte
	host, sequence      []byte
	challenge           []byte
	chain               [desBlock]byte // last C-MAC
	begun               bool           // chain is a C-MAC: the first vector is plain zero
	answered            [desBlock]byte // last R-MAC
	request             []byte         // the open command that the next R-MAC covers
}

// newSCP02 makes the session keys (E.4.1) and, with i&40, the card challenge
// (E.4.2.3); otherwise random is the challenge.
func newSCP02(keys Keys, generation int, i byte, sequence, aid, host, random []byte) *scp02 {
	key := func(static []byte, constant byte, first byte) []byte {
		in := make([]byte, 16)
		in[0], in[1] = first, constant
		copy(in[2:], sequence)
		return desCBC(static, in)
	}
	c := &scp02{
		sessionState: sessionState{keyset: generation},
		i:            i, host: host, sequence: sequence, challenge: random,
		mac: key(keys.MAC, 0x01, 0x01), rmac: key(keys.MAC, 0x02, 0x01),
		dek: key(keys.DEK, 0x81, 0x01), enc: key(keys.ENC, 0x82, 0x01),
	}
	if i&optionPseudo != 0 {
		whole := finalMAC(c.mac, [desBlock]byte{}, aid)
		c.challenge = whole[:6]
	}
	return c
}

func (c *scp02) state() *sessionState { return &c.sessionState }

// answer is what INITIALIZE UPDATE tells after the key version (table E-8).
func (c *scp02) answer(spoil bool) []byte {
	cryptogram := fullMAC(c.enc, c.host, c.sequence, c.challenge)
	if spoil {
		cryptogram[7] ^= 0xFF
	}
	out := append([]byte{0x02}, c.sequence...)
	return append(append(out, c.challenge...), cryptogram...)
}

// authenticate looks at the cryptogram first (6300, as a wrong key shows
// itself), then at the MAC (6982). The MAC starts both chains (E.3.2).
func (c *scp02) authenticate(cmd command) uint16 {
	if !equal(cmd.data[:8], fullMAC(c.enc, c.sequence, c.challenge, c.host)) {
		return swAuthFailed
	}
	if !c.verify(cmd, cmd.data[:8], cmd.data[8:]) {
		return swSecurity
	}
	c.answered = c.chain
	return swOK
}

// verify checks the C-MAC of an open command and moves the chain on (E.4.4).
func (c *scp02) verify(cmd command, plain, sent []byte) bool {
	start := c.chain
	if c.begun && c.i&optionICV != 0 {
		singleDES(c.mac[:8]).Encrypt(start[:], start[:])
	}
	mac := finalMAC(c.mac, start, cmd.header(len(plain)+macLength), plain)
	if !equal(mac[:], sent) {
		return false
	}
	c.chain, c.begun = mac, true
	return true
}

// unwrap decrypts first: the MAC is over the open data (E.4.6).
func (c *scp02) unwrap(cmd command) (command, bool) {
	cut := len(cmd.data) - macLength
	if cut < 0 {
		return command{}, false
	}
	plain, sent := cmd.data[:cut], cmd.data[cut:]
	if c.level&levelCDEC != 0 && cut > 0 {
		if cut%desBlock != 0 {
			return command{}, false
		}
		var ok bool
		if plain, ok = unpad80(desUnCBC(c.enc, plain)); !ok {
			return command{}, false
		}
	}
	if !c.verify(cmd, plain, sent) {
		return command{}, false
	}
	cmd.data = plain
	bare := cmd
	bare.cla &^= secureMessaging
	c.request = append(bare.header(len(plain)), plain...)
	return cmd, true
}

// wrap makes the R-MAC over command, length, data and status (E.4.5). An error
// moves the chain too, but goes out bare: a Java Card application cannot send
// data with an exception.
func (c *scp02) wrap(data []byte, sw uint16) []byte {
	if !good(sw) {
		data = nil
	}
	c.answered = finalMAC(c.rmac, c.answered, c.request, []byte{byte(len(data))}, data, statusBytes(sw))
	if !good(sw) {
		return statusBytes(sw)
	}
	out := append(append([]byte(nil), data...), c.answered[:]...)
	return append(out, statusBytes(sw)...)
}

// decrypt undoes the encryption of sensitive data, under the session DEK (E.4.7).
func (c *scp02) decrypt(data []byte) ([]byte, bool) {
	if len(data) == 0 || len(data)%desBlock != 0 {
		return nil, false
	}
	return desUnECB(c.dek, data), true
}
