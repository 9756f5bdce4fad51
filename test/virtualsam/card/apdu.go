package card

// Status words the chip answers with (ISO 7816-4; GPC 2.3.1 s.11.1.3).
const (
	swOK                uint16 = 0x9000
	swAuthFailed        uint16 = 0x6300
	swMemoryFailure     uint16 = 0x6581
	swWrongLength       uint16 = 0x6700
	swSecurity          uint16 = 0x6982
	swBlocked           uint16 = 0x6983
	swConditions        uint16 = 0x6985
	swWrongData         uint16 = 0x6A80
	swMemoryFull        uint16 = 0x6A84
	swWrongP1P2         uint16 = 0x6A86
	swNotFound          uint16 = 0x6A88
	swUnknownApp        uint16 = 0x6A82
	swUnknownINS        uint16 = 0x6D00
	swUnknownCLA        uint16 = 0x6E00
	swRecordUnavailable uint16 = 0x6F00
)

// Instruction bytes.
const (
	insSelect        = 0xA4
	insGetData       = 0xCA
	insInitUpdate    = 0x50
	insExternalAuth  = 0x82
	insStoreData     = 0xE2
	insPutKey        = 0xD8
	insGetStatus     = 0xF2
	insSetStatusOpen = 0xF0 // SET STATUS with CLA 80, OPEN SAM with CLA 00
	insUID           = 0xF7
)

// secureMessaging is the class bit that announces GlobalPlatform secure
// messaging (GPC 2.3.1 s.11.1.4).
const secureMessaging = 0x04

// command is one parsed short APDU.
type command struct {
	cla, ins, p1, p2 byte
	data             []byte
}

// parse splits a short APDU; Le is not kept, the chip always answers all it has.
func parse(raw []byte) (command, bool) {
	if len(raw) < 4 {
		return command{}, false
	}
	c := command{cla: raw[0], ins: raw[1], p1: raw[2], p2: raw[3]}
	body := raw[4:]
	if len(body) <= 1 { // case 1 and case 2
		return c, true
	}
	lc := int(body[0])
	if lc == 0 || (len(body) != 1+lc && len(body) != 2+lc) {
		return command{}, false
	}
	c.data = append([]byte(nil), body[1:1+lc]...)
	return c, true
}

// header is the four header bytes followed by the given length.
func (c command) header(lc int) []byte {
	return []byte{c.cla, c.ins, c.p1, c.p2, byte(lc)}
}

func statusBytes(sw uint16) []byte { return []byte{byte(sw >> 8), byte(sw)} }

// tlv writes one BER-TLV object with a one-byte or two-byte tag.
func tlv(tag int, value []byte) []byte {
	var out []byte
	if tag > 0xFF {
		out = append(out, byte(tag>>8))
	}
	out = append(out, byte(tag))
	if len(value) > 0x7F {
		out = append(out, 0x81)
	}
	out = append(out, byte(len(value)))
	return append(out, value...)
}
