package card

import (
	"crypto/subtle"
	"io"
)

// process runs one command through secure messaging and back.
func (c *Chip) process(raw []byte) []byte {
	cmd, ok := parse(raw)
	if !ok {
		return statusBytes(swWrongLength)
	}
	if c.protocol == Plain {
		data, sw := c.plain(cmd)
		return append(data, statusBytes(sw)...)
	}
	if handle := c.outsideSession(cmd); handle != nil {
		data, sw := handle(cmd)
		return append(data, statusBytes(sw)...)
	}
	if c.aborted {
		return statusBytes(swSecurity)
	}
	session := c.session
	if session == nil || !session.state().open {
		if cmd.cla&secureMessaging != 0 {
			return statusBytes(swSecurity)
		}
		data, sw := c.dispatch(cmd)
		return append(data, statusBytes(sw)...)
	}
	if cmd, ok = opened(session, cmd); !ok {
		c.abortSession()
		return statusBytes(swSecurity)
	}
	data, sw := c.dispatch(cmd)
	return sealed(session, data, sw)
}

type handler func(command) ([]byte, uint16)

// outsideSession picks the commands that are not subject to the open session:
// those that end or start one, and the SAM application's own, which the
// security domain does not see.
func (c *Chip) outsideSession(cmd command) handler {
	switch {
	case cmd.cla == 0x00 && cmd.ins == insSelect:
		return c.selectApp
	case cmd.cla == 0x80 && cmd.ins == insInitUpdate:
		return c.initializeUpdate
	case cmd.cla == 0x84 && cmd.ins == insExternalAuth:
		return c.externalAuthenticate
	case cmd.cla == 0x00 && cmd.ins == insSetStatusOpen:
		return c.openSAM
	case cmd.cla == 0x00 && cmd.ins == insUID:
		return c.uidSAM
	}
	return nil
}

func (c *Chip) dispatch(cmd command) ([]byte, uint16) {
	if cmd.cla != 0x00 && cmd.cla != 0x80 {
		return nil, swUnknownCLA
	}
	switch {
	case cmd.ins == insGetData:
		return c.getData(cmd)
	case cmd.ins == insUID:
		return c.uidSAM(cmd)
	case cmd.ins == insSetStatusOpen && cmd.cla == 0x00:
		return c.openSAM(cmd)
	case cmd.cla == 0x00:
		return nil, swUnknownINS
	}
	switch cmd.ins {
	case insGetStatus:
		return c.getStatus(cmd)
	case insSetStatusOpen:
		return nil, c.setStatus(cmd)
	case insStoreData:
		return nil, c.storeData(cmd)
	case insPutKey:
		return c.putKey(cmd)
	case insExternalAuth:
		return nil, swSecurity // without its MAC
	}
	return nil, swUnknownINS
}

// selectApp knows one application, the issuer security domain, by its name, by
// the start of it, or by no name at all.
func (c *Chip) selectApp(cmd command) ([]byte, uint16) {
	if cmd.p1 != 0x04 || cmd.p2 != 0x00 {
		return nil, swWrongP1P2
	}
	n := len(cmd.data)
	if n > len(c.aid) || (n > 0 && n < 5) || !equal(cmd.data, c.aid[:n]) {
		return nil, swUnknownApp
	}
	c.endSession()
	fci := append(tlv(0x84, c.aid), tlv(0xA5, tlv(0x9F65, []byte{0xFF}))...)
	return tlv(0x6F, fci), swOK
}

// initializeUpdate starts a session (GPC 2.3.1 E.5.1, Amendment D s.7.1.1).
func (c *Chip) initializeUpdate(cmd command) ([]byte, uint16) {
	c.endSession()
	last := uint32(0xFFFFFF)
	if c.protocol == SCP02 {
		last = maxSequence02
	}
	switch {
	case c.authFailures >= MaxAuthFailures:
		return nil, swBlocked
	case len(cmd.data) != 8:
		return nil, swWrongLength
	case cmd.p2 != 0x00 || (cmd.p1 != 0x00 && cmd.p1 != c.kvn):
		return nil, swNotFound
	case c.sequence >= last:
		return nil, swConditions
	}
	if c.protocol == SCP02 {
		challenge := make([]byte, 6)
		if _, err := io.ReadFull(c.random, challenge); err != nil {
			return nil, swRecordUnavailable
		}
		c.session = newSCP02(c.keys, c.generation, c.i, c.sequenceBytes(), c.aid, cmd.data, challenge)
	} else {
		c.sequence++ // SCP02 counts sessions that were opened, SCP03 those that were begun
		c.session = newSCP03(c.keys, c.generation, c.i, c.sequenceBytes(), c.aid, cmd.data)
	}
	c.keepSession()
	out := append(append([]byte(nil), c.kdd...), c.kvn)
	return append(out, c.session.answer(c.fault.WrongCryptogram)...), swOK
}

// externalAuthenticate opens the session, or counts a failure (GPC 2.3.1 s.9.6.7).
func (c *Chip) externalAuthenticate(cmd command) ([]byte, uint16) {
	session := c.session
	switch {
	case c.authFailures >= MaxAuthFailures:
		return nil, swBlocked
	case session == nil || session.state().open:
		c.endSession()
		return nil, swConditions
	case !knownLevel(c.protocol, cmd.p1, c.i) || cmd.p2 != 0x00:
		return nil, swWrongP1P2
	case len(cmd.data) != 16:
		return nil, swWrongLength
	}
	sw := session.authenticate(cmd)
	if sw == swOK {
		session.state().open, session.state().level = true, cmd.p1
		c.authFailures = 0
		if c.protocol == SCP02 {
			c.sequence++
		}
		return nil, swOK
	}
	c.endSession()
	c.authFailures++
	return nil, c.refused(Entry{Step: StepAuthFailed, Value: upperHex([]byte{byte(c.authFailures)})}, sw)
}

// mayWrite demands a session with C-MAC. withKeys adds that the keyset which
// opened it is still the chip's own: after PUT KEY the new keys must be shown.
func (c *Chip) mayWrite(withKeys bool) bool {
	if c.session == nil {
		return false
	}
	s := c.session.state()
	return s.open && s.level&levelCMAC != 0 && (!withKeys || s.keyset == c.generation)
}

// sequenceBytes is the counter in the protocol's length.
func (c *Chip) sequenceBytes() []byte {
	if c.protocol == SCP02 {
		return []byte{byte(c.sequence >> 8), byte(c.sequence)}
	}
	return []byte{byte(c.sequence >> 16), byte(c.sequence >> 8), byte(c.sequence)}
}

func (c *Chip) getData(cmd command) ([]byte, uint16) {
	dgi := func(tag int, step Step, value []byte) ([]byte, uint16) {
		if len(value) == 0 {
			return nil, swNotFound
		}
		return tlv(tag, c.fault.told(step, value)), swOK
	}
	switch tag := int(cmd.p1)<<8 | int(cmd.p2); tag {
	case 0x9F7F:
		return tlv(tag, c.cplc()), swOK
	case 0x0045:
		return tlv(0x45, []byte(c.serial)), swOK
	case 0x0066:
		return c.cardData(), swOK
	case 0x00E0:
		var info []byte
		version := c.fault.told(StepPutKey, []byte{c.kvn})[0]
		for id := byte(1); id <= 3; id++ {
			info = append(info, tlv(0xC0, []byte{id, version, c.keyType(), byte(len(c.keys.ENC))})...)
		}
		return tlv(0xE0, info), swOK
	case 0x00C1:
		return tlv(0xC1, c.sequenceBytes()), swOK
	case dgiMarker:
		return dgi(tag, StepMarker, c.marker)
	case dgiPCID:
		return dgi(tag, StepPCID, c.pcid)
	case dgiCONF:
		return nil, swSecurity // never readable, set or not
	case dgiManifest:
		return dgi(tag, StepManifest, c.manifest)
	}
	return nil, swNotFound
}

// cplc is the 42 bytes of Card Production Life Cycle data. The unique part is
// fabricator, fabrication date, serial and batch; the rest is one product's.
func (c *Chip) cplc() []byte {
	out := make([]byte, 42)
	copy(out[0:2], c.id[0:2])                                   // IC fabricator
	copy(out[2:4], []byte{0x53, 0x41})                          // IC type
	copy(out[4:10], []byte{0x56, 0x53, 0x60, 0x01, 0x01, 0x00}) // OS id, date, level
	copy(out[10:12], c.id[2:4])                                 // fabrication date
	copy(out[12:16], c.id[4:8])                                 // IC serial
	copy(out[16:18], c.id[8:10])                                // IC batch
	return out
}

// cardData answers GlobalPlatform 2.3.1 with the chip's protocol and i (GPC 2.3.1 H.2).
func (c *Chip) cardData() []byte {
	oid := func(last ...byte) []byte {
		return tlv(0x06, append([]byte{0x2A, 0x86, 0x48, 0x86, 0xFC, 0x6B}, last...))
	}
	body := oid(0x01)
	body = append(body, tlv(0x60, oid(0x02, 0x02, 0x03, 0x01))...)
	body = append(body, tlv(0x63, oid(0x03))...)
	body = append(body, tlv(0x64, oid(0x04, c.protocol, c.i))...)
	return tlv(0x66, tlv(0x73, body))
}

// getStatus answers for the issuer security domain only (GPC 2.3.1 s.11.4).
func (c *Chip) getStatus(cmd command) ([]byte, uint16) {
	if cmd.p2 != 0x02 {
		return nil, swWrongP1P2
	}
	if cmd.p1 != 0x80 {
		return nil, swNotFound
	}
	if len(cmd.data) < 2 || cmd.data[0] != 0x4F || int(cmd.data[1]) != len(cmd.data)-2 {
		return nil, swWrongData
	}
	if name := cmd.data[2:]; len(name) > len(c.aid) || !equal(name, c.aid[:len(name)]) {
		return nil, swNotFound
	}
	entry := append(tlv(0x4F, c.aid), tlv(0x9F70, c.fault.told(StepStatus, []byte{c.life}))...)
	entry = append(entry, tlv(0xC5, []byte{0x9E, 0xFE, 0x80})...)
	return tlv(0xE3, entry), swOK
}

// setStatus walks 01 to 07 to 0F, one step at a time: the current state and
// the way back are refused (GPC 2.3.1 s.11.10.2.2).
func (c *Chip) setStatus(cmd command) uint16 {
	if !c.mayWrite(false) {
		return swSecurity
	}
	if cmd.p1 != 0x80 {
		return swWrongP1P2
	}
	entry := Entry{Step: StepStatus, Value: upperHex([]byte{cmd.p2}), Digest: digest([]byte{cmd.p2})}
	forward := (c.life == OpReady && cmd.p2 == Initialized) || (c.life == Initialized && cmd.p2 == Secured)
	if !forward {
		return c.refused(entry, swConditions)
	}
	return c.write(entry, func() { c.life = cmd.p2 })
}

// openSAM compares (PCID xor CONF[0:16]) || (PCID xor CONF[16:32]) with what
// the reader sends.
func (c *Chip) openSAM(cmd command) ([]byte, uint16) {
	switch {
	case cmd.p1 != 0x00 || cmd.p2 != 0x00:
		return nil, swWrongP1P2
	case len(cmd.data) != 32:
		return nil, swWrongLength
	case c.pcid == nil || c.conf == nil:
		return nil, swConditions
	case c.openFailures >= MaxOpenFailures:
		return nil, c.refused(Entry{Step: StepOpenSAM}, swBlocked)
	}
	c.keep("what opens it", cmd.data)
	want := make([]byte, 32)
	subtle.XORBytes(want[:16], c.pcid, c.conf[:16])
	subtle.XORBytes(want[16:], c.pcid, c.conf[16:])
	if !equal(cmd.data, want) {
		c.openFailures++
		return nil, c.refused(Entry{Step: StepOpenSAM}, swSecurity)
	}
	c.openFailures = 0
	return nil, c.write(Entry{Step: StepOpenSAM}, func() {})
}

func (c *Chip) uidSAM(cmd command) ([]byte, uint16) {
	if cmd.p1 != 0x00 || cmd.p2 != 0x00 {
		return nil, swWrongP1P2
	}
	return append([]byte(nil), c.id...), swOK
}
