package card

import (
	"bytes"
	"encoding/hex"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// unhex is for constants of the tests.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// book is a Recorder that remembers.
type book struct {
	mu      sync.Mutex
	entries []Entry
	fail    error
}

func (b *book) Record(e Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.entries = append(b.entries, e)
	return nil
}

func (b *book) steps() (out []string) {
	for _, e := range b.entries {
		out = append(out, string(e.Step)+" "+e.SW)
	}
	return out
}

var (
	oldKeys = Keys{
		ENC: unhex("404142434445464748494A4B4C4D4E4F"),
		MAC: unhex("505152535455565758595A5B5C5D5E5F"),
		DEK: unhex("606162636465666768696A6B6C6D6E6F"),
	}
	newKeys = Keys{
		ENC: unhex("00112233445566778899AABBCCDDEEFF"),
		MAC: unhex("102132435465768798A9BACBDCEDFE0F"),
		DEK: unhex("2031425364758697A8B9CADBECFD0E1F"),
	}
)

func newChip(t *testing.T) (*Chip, *book) {
	t.Helper()
	log := &book{}
	chip, err := New(Config{ChipID: SeedChipID("a"), Serial: "SAM-0001", KVN: 0x30, Keys: oldKeys}, log)
	require.NoError(t, err)
	return chip, log
}

func send(c *Chip, apdu string) string { return upperHex(c.Transmit(unhex(apdu)).Data) }

// host is the smallest terminal that can hold a session with a chip.
type host struct {
	t       *testing.T
	chip    *Chip
	keys    Keys
	session *scp03 // its own copy of the session
}

func dial(t *testing.T, chip *Chip, keys Keys, level byte) *host {
	t.Helper()
	h := &host{t: t, chip: chip, keys: keys}
	require.Equal(t, "9000", h.authenticate(level))
	return h
}

// authenticate answers the status word of the step that failed.
func (h *host) authenticate(level byte) string {
	challenge := unhex("0102030405060708")
	answer := h.chip.Transmit(append(append(unhex("8050000008"), challenge...), 0)).Data
	if len(answer) == 2 {
		return upperHex(answer)
	}
	require.Len(h.t, answer, 34)
	h.session = newSCP03(h.keys, 0, 0x70, answer[29:32], defaultAID, challenge)
	cryptogram := derive(h.session.mac, deriveHostCryptogram, 8, h.session.context)
	cmd := command{cla: 0x84, ins: 0x82, p1: level, data: cryptogram}
	out := h.chip.Transmit(h.seal(cmd)).Data
	h.session.open, h.session.level = true, level
	return upperHex(out)
}

func (h *host) seal(cmd command) []byte {
	mac := cmac(h.session.mac, h.session.chain[:], cmd.header(len(cmd.data)+8), cmd.data)
	h.session.chain = mac
	return append(append(cmd.header(len(cmd.data)+8), cmd.data...), mac[:8]...)
}

// send protects a plain command as the level asks, checks and opens the answer.
func (h *host) send(apdu []byte) string {
	h.t.Helper()
	cmd, ok := parse(apdu)
	require.True(h.t, ok)
	s := h.session
	if s.level&levelCMAC == 0 {
		return upperHex(h.chip.Transmit(apdu).Data)
	}
	s.counter[blockSize-1]++
	if s.level&levelCDEC != 0 && len(cmd.data) > 0 {
		cmd.data = cbcEncrypt(s.enc, s.icv(false), pad80(cmd.data))
	}
	cmd.cla |= secureMessaging
	answer := h.chip.Transmit(h.seal(cmd)).Data
	if s.level&levelRMAC == 0 || len(answer) <= 2 {
		return upperHex(answer)
	}
	cut := len(answer) - 10
	require.GreaterOrEqual(h.t, cut, 0)
	data, sw := answer[:cut], answer[cut+8:]
	mac := cmac(s.rmac, s.chain[:], data, sw)
	require.True(h.t, bytes.Equal(mac[:8], answer[cut:cut+8]), "R-MAC")
	if s.level&levelRENC != 0 && cut > 0 {
		data, ok = unpad80(cbcDecrypt(s.enc, s.icv(true), data))
		require.True(h.t, ok, "response padding")
	}
	return upperHex(data) + upperHex(sw)
}

// storeDGI writes one grouping in one block of its own.
func (h *host) storeDGI(id int, value []byte, encrypted bool) string {
	p1 := byte(0x88)
	if encrypted {
		p1 = 0xE8
		value = cbcEncrypt(h.keys.DEK, make([]byte, 16), value)
	}
	body := append([]byte{byte(id >> 8), byte(id), byte(len(value))}, value...)
	return h.send(append([]byte{0x80, 0xE2, p1, 0x00, byte(len(body))}, body...))
}

func (h *host) putKey(from, to byte, keys Keys, spoil bool) string {
	body := []byte{to}
	for _, k := range [][]byte{keys.ENC, keys.MAC, keys.DEK} {
		padded := append([]byte(nil), k...)
		for len(padded)%16 != 0 {
			padded = append(padded, 0x55)
		}
		body = append(body, 0x88, byte(len(padded)+1), byte(len(k)))
		body = append(body, cbcEncrypt(h.keys.DEK, make([]byte, 16), padded)...)
		body = append(append(body, 3), keyCheckValue(k)...)
	}
	if spoil {
		body[len(body)-1] ^= 0x01
	}
	return h.send(append([]byte{0x80, 0xD8, from, 0x81, byte(len(body))}, body...))
}
