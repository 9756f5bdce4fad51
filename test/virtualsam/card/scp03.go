package card

// scp03 is one SCP03 session (GlobalPlatform Amendment D 1.1.1).
type scp03 struct {
	sessionState
	context    []byte
	enc, mac   []byte
	rmac       []byte
	dek        []byte
	i          byte
	sequence   []byte
	challenge  []byte
	cryptogram []byte
	chain      [blockSize]byte // MAC chaining value
	counter    [blockSize]byte // encryption counter, big endian
}

// newSCP03 derives the session keys, the pseudo-random card challenge and
// the card cryptogram (Amendment D s.6.2.1 and 6.2.2).
func newSCP03(keys Keys, generation int, i byte, sequence, aid, host []byte) *scp03 {
	challenge := derive(keys.ENC, deriveCardChallenge, 8, sequence, aid)
	context := append(append([]byte(nil), host...), challenge...)
	c := &scp03{
		sessionState: sessionState{keyset: generation},
		context:      context,
		i:            i,
		sequence:     sequence,
		challenge:    challenge,
		enc:          derive(keys.ENC, deriveSessionENC, len(keys.ENC), context),
		mac:          derive(keys.MAC, deriveSessionMAC, len(keys.MAC), context),
		rmac:         derive(keys.MAC, deriveSessionRMAC, len(keys.MAC), context),
		dek:          keys.DEK,
	}
	c.cryptogram = derive(c.mac, deriveCardCryptogram, 8, context)
	return c
}

func (c *scp03) state() *sessionState { return &c.sessionState }

// answer is what INITIALIZE UPDATE tells after the key version (Amendment D
// table 7-2).
func (c *scp03) answer(spoil bool) []byte {
	out := append([]byte{0x03, c.i}, c.challenge...)
	out = append(out, c.cryptogram...)
	if spoil {
		out[len(out)-1] ^= 0xFF
	}
	return append(out, c.sequence...)
}

// decrypt undoes the encryption of sensitive data, under the static DEK
// (Amendment D s.6.2.8).
func (c *scp03) decrypt(data []byte) ([]byte, bool) {
	if len(data) == 0 || len(data)%blockSize != 0 {
		return nil, false
	}
	return decryptSensitive(c.dek, data), true
}

// verifyMAC checks the C-MAC at the end of the data field and moves the MAC
// chaining value on (Amendment D s.6.2.4).
func (c *scp03) verifyMAC(cmd command) (data []byte, ok bool) {
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
func (c *scp03) authenticate(cmd command) uint16 {
	if !equal(cmd.data[:8], derive(c.mac, deriveHostCryptogram, 8, c.context)) {
		return swAuthFailed
	}
	if _, ok := c.verifyMAC(cmd); !ok {
		return swSecurity
	}
	return swOK
}

// icv is the initial vector of the current command, or of its response
// (Amendment D s.6.2.6 and 6.2.7).
func (c *scp03) icv(response bool) []byte {
	block := c.counter
	if response {
		block[0] = 0x80
	}
	newCipher(c.enc).Encrypt(block[:], block[:])
	return block[:]
}

// unwrap takes C-MAC and C-DECRYPTION off a command.
func (c *scp03) unwrap(cmd command) (command, bool) {
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
	cmd.data = data
	return cmd, true
}

// wrap protects a response; an error status word goes out bare (Amendment D s.6.2.5).
func (c *scp03) wrap(data []byte, sw uint16) []byte {
	if !good(sw) {
		return statusBytes(sw)
	}
	if c.level&levelRENC != 0 && len(data) > 0 {
		data = cbcEncrypt(c.enc, c.icv(true), pad80(data))
	}
	mac := cmac(c.rmac, c.chain[:], data, statusBytes(sw))
	out := append(append([]byte(nil), data...), mac[:macLength]...)
	return append(out, statusBytes(sw)...)
}
