package card

// Plain is a chip without GlobalPlatform: a memory that READ BINARY and UPDATE BINARY
// reach, and the SAM's own commands. It has no keys.
const Plain byte = 0xFF

// The places of a plain chip's memory.
const (
	placeMarker   = 0x0000 // 16 bytes
	placePCID     = 0x0010 // 16 bytes
	placeCONF     = 0x0020 // 32 bytes, never readable
	placeManifest = 0x0040 // 32 bytes, filled up with 00
	placeState    = 0x0060 // 1 byte: 00 open, 01 closed
)

const (
	insReadBinary   = 0xB0
	insUpdateBinary = 0xD6
)

// plain runs a command of a chip without GlobalPlatform.
func (c *Chip) plain(cmd command) ([]byte, uint16) {
	switch {
	case cmd.cla != 0x00:
		return nil, swUnknownCLA
	case cmd.ins == insSetStatusOpen:
		return c.openSAM(cmd)
	case cmd.ins == insUID:
		return c.uidSAM(cmd)
	case cmd.ins == insReadBinary:
		return c.readBinary(int(cmd.p1)<<8 | int(cmd.p2))
	case cmd.ins == insUpdateBinary:
		return nil, c.updateBinary(int(cmd.p1)<<8|int(cmd.p2), cmd.data)
	}
	return nil, swUnknownINS
}

func (c *Chip) readBinary(offset int) ([]byte, uint16) {
	full := func(n int, step Step, value []byte) ([]byte, uint16) {
		out := make([]byte, n)
		copy(out, value)
		if len(value) > 0 {
			out = c.fault.told(step, out)
		}
		return out, swOK
	}
	switch offset {
	case placeMarker:
		return full(16, StepMarker, c.marker)
	case placePCID:
		return full(16, StepPCID, c.pcid)
	case placeManifest:
		return full(32, StepManifest, c.manifest)
	case placeState:
		return c.fault.told(StepStatus, []byte{c.life}), swOK
	case placeCONF:
		return nil, swSecurity
	}
	return nil, swWrongP1P2
}

func (c *Chip) updateBinary(offset int, value []byte) uint16 {
	value = append([]byte(nil), value...)
	entry := Entry{Length: len(value)}
	var place *[]byte
	n := 0
	switch offset {
	case placeMarker:
		entry.Step, place, n = StepMarker, &c.marker, 16
	case placePCID:
		entry.Step, place, n = StepPCID, &c.pcid, 16
	case placeCONF:
		entry.Step, place, n = StepCONF, &c.conf, 32
	case placeManifest:
		entry.Step, place, n = StepManifest, &c.manifest, 32
	case placeState:
		entry.Step, n = StepStatus, 1
	default:
		return swWrongP1P2
	}
	if offset != placeCONF {
		entry.Digest = digest(value)
	} else {
		c.keep("CONF", value)
	}
	if len(value) != n {
		return c.refused(entry, swWrongLength)
	}
	if c.life != 0 || offset == placeMarker && len(c.marker) > 0 && !equal(c.marker, value) {
		return c.refused(entry, swConditions)
	}
	return c.write(entry, func() {
		switch {
		case place == nil:
			c.life = value[0]
		case place == &c.manifest:
			end := len(value)
			for end > 0 && value[end-1] == 0 {
				end--
			}
			c.manifest = value[:end]
		default:
			*place = value
		}
	})
}
