package card

// Data groupings of the SAM.
const (
	dgiMarker   = 0xDF01
	dgiPCID     = 0xDF02
	dgiCONF     = 0xDF03
	dgiManifest = 0xDF04
)

const (
	maxStoreBuffer = 1024
	maxManifest    = 64
)

// storeBuffer is a STORE DATA sequence under way.
type storeBuffer struct {
	next    int // block number expected
	pending []byte
}

// storeData takes DGIs in blocks numbered from 00. Every rejected block sends
// the sequence back to block 0 (GPC 2.3.1 s.11.11.2.2); groupings complete
// before it stay written, as nothing makes STORE DATA atomic.
func (c *Chip) storeData(cmd command) uint16 {
	sw := c.storeBlock(cmd)
	if sw != swOK || cmd.p1&0x80 != 0 {
		c.store = storeBuffer{}
	}
	return sw
}

func (c *Chip) storeBlock(cmd command) uint16 {
	if !c.mayWrite(true) {
		return swSecurity
	}
	encryption := cmd.p1 & 0x60
	if cmd.p1&0x18 != 0x08 || encryption == 0x40 || cmd.p1&0x06 != 0 || int(cmd.p2) != c.store.next {
		return swWrongP1P2
	}
	c.store.next++
	if len(c.store.pending)+len(cmd.data) > maxStoreBuffer {
		return swMemoryFull
	}
	c.store.pending = append(c.store.pending, cmd.data...)
	for {
		id, value, rest, ok := cutDGI(c.store.pending)
		if !ok {
			break
		}
		// 01: the application decides, and this one wants CONF encrypted.
		encrypted := encryption == 0x60 || (encryption == 0x20 && id == dgiCONF)
		if sw := c.storeDGI(id, value, encrypted); sw != swOK {
			return sw
		}
		c.store.pending = rest
	}
	if cmd.p1&0x80 != 0 && len(c.store.pending) > 0 {
		return swWrongData
	}
	return swOK
}

// cutDGI takes one complete grouping off: id of two bytes, length of one byte
// or FF and two bytes, value.
func cutDGI(b []byte) (id int, value, rest []byte, ok bool) {
	if len(b) < 3 {
		return 0, nil, b, false
	}
	length, at := int(b[2]), 3
	if length == 0xFF {
		if len(b) < 5 {
			return 0, nil, b, false
		}
		length, at = int(b[3])<<8|int(b[4]), 5
	}
	if len(b) < at+length {
		return 0, nil, b, false
	}
	return int(b[0])<<8 | int(b[1]), b[at : at+length], b[at+length:], true
}

func (c *Chip) storeDGI(id int, value []byte, encrypted bool) uint16 {
	if encrypted {
		// Padding is arbitrary bytes, so a text of free length has no end.
		plain, ok := c.session.decrypt(value)
		if !ok || id == dgiManifest {
			return swWrongData
		}
		value = plain
	}
	value = append([]byte(nil), value...)
	entry := Entry{Length: len(value)}
	var place *[]byte
	valid := false
	switch id {
	case dgiMarker:
		entry.Step, place, valid = StepMarker, &c.marker, len(value) == 16
	case dgiPCID:
		entry.Step, place, valid = StepPCID, &c.pcid, len(value) == 16
	case dgiCONF:
		entry.Step, place, valid = StepCONF, &c.conf, len(value) == 32
	case dgiManifest:
		entry.Step, place, valid = StepManifest, &c.manifest, printable(value)
	default:
		return swNotFound
	}
	if id != dgiCONF {
		entry.Digest = digest(value)
	} else {
		c.keep("CONF", value)
	}
	if !valid {
		return c.refused(entry, swWrongData)
	}
	if id == dgiMarker && len(c.marker) > 0 && !equal(c.marker, value) {
		return c.refused(entry, swConditions)
	}
	return c.write(entry, func() { *place = value })
}

func printable(text []byte) bool {
	for _, b := range text {
		if b < 0x20 || b > 0x7E {
			return false
		}
	}
	return len(text) > 0 && len(text) <= maxManifest
}
