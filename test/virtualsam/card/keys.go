package card

// Key types (GPC 2.3.1 table 11-16).
const (
	keyTypeDES = 0x80
	keyTypeAES = 0x88
)

func (c *Chip) keyType() byte {
	if c.protocol == SCP02 {
		return keyTypeDES
	}
	return keyTypeAES
}

func (c *Chip) checkValue(key []byte) []byte {
	if c.protocol == SCP02 {
		return desCheckValue(key)
	}
	return keyCheckValue(key)
}

// putKey replaces the whole keyset in one command, all or nothing (GPC 2.3.1
// s.11.8; Amendment D s.7.2): P1 the version replaced, P2 81.
func (c *Chip) putKey(cmd command) ([]byte, uint16) {
	if !c.mayWrite(true) {
		return nil, swSecurity
	}
	if cmd.p2 != 0x81 || cmd.p1&0x80 != 0 {
		return nil, swWrongP1P2
	}
	if cmd.p1 != c.kvn {
		return nil, swNotFound
	}
	if len(cmd.data) < 1 || cmd.data[0] < 0x01 || cmd.data[0] > 0x7F {
		return nil, swWrongData
	}
	version, rest := cmd.data[0], cmd.data[1:]
	entry := Entry{Step: StepPutKey, Value: upperHex([]byte{version})}
	var keys [3][]byte
	answer := []byte{version}
	for i := range keys {
		var kcv []byte
		var ok bool
		if keys[i], kcv, rest, ok = c.cutKey(rest); !ok {
			return nil, c.refused(entry, swWrongData)
		}
		if !equal(kcv, c.checkValue(keys[i])) {
			return nil, c.refused(entry, swSecurity)
		}
		entry.KCV = append(entry.KCV, upperHex(kcv))
		answer = append(answer, kcv...)
	}
	if len(rest) != 0 {
		return nil, c.refused(entry, swWrongData)
	}
	sw := c.write(entry, func() {
		c.keys = Keys{ENC: keys[0], MAC: keys[1], DEK: keys[2]}
		c.kvn = version
		c.generation++
		c.keepKeys(c.generation, c.keys)
		c.sequence = 0
	})
	if sw != swOK {
		return nil, sw
	}
	if c.fault.WrongKCV {
		answer[len(answer)-1] ^= 0xFF
	}
	return answer, swOK
}

// cutKey takes one key data field off: an AES key with its length before it
// (Amendment D table 7-10), a DES key without (GPC 2.3.1 table 11-71). The size of
// an existing key cannot change.
func (c *Chip) cutKey(b []byte) (key, kcv, rest []byte, ok bool) {
	size := len(c.keys.ENC)
	length, at := (size+blockSize-1)/blockSize*blockSize, 3
	if c.protocol == SCP02 {
		length, at = size, 2
	}
	end := at + length
	if len(b) < end+4 || b[0] != c.keyType() || int(b[1]) != end-2 || at == 3 && int(b[2]) != size || b[end] != 3 {
		return nil, nil, nil, false
	}
	if key, ok = c.session.decrypt(b[at:end]); !ok {
		return nil, nil, nil, false
	}
	return key[:size], b[end+1 : end+4], b[end+4:], true
}
