package card

// putKey replaces the whole AES keyset in one command, all or nothing
// (GPC 2.3.1 s.11.8; Amendment D s.7.2): P1 the version replaced, P2 81.
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
		if !equal(kcv, keyCheckValue(keys[i])) {
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

// cutKey takes one AES key data field off (Amendment D table 7-10). The size
// of an existing key cannot change.
func (c *Chip) cutKey(b []byte) (key, kcv, rest []byte, ok bool) {
	size := len(c.keys.ENC)
	cipherLength := (size + blockSize - 1) / blockSize * blockSize
	total := 3 + cipherLength + 1 + 3
	if len(b) < total || b[0] != 0x88 || int(b[1]) != 1+cipherLength || int(b[2]) != size || b[3+cipherLength] != 3 {
		return nil, nil, nil, false
	}
	key = decryptSensitive(c.keys.DEK, b[3:3+cipherLength])[:size]
	return key, b[total-3 : total], b[total:], true
}
