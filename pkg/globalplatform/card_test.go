package globalplatform_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/globalplatform"
)

var isd = []byte{0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00}

// card is the card's side of SCP03 in a few lines, for faults and for levels
// without published vectors. Its key derivation and messaging are written
// anew; only CMAC, proved by the vectors, is shared.
type card struct {
	t       *testing.T
	enc     []byte // all three static keys are this one, as on many test cards
	i       byte
	version byte
	state   byte

	level         byte
	sEnc, sMAC    []byte
	sRMAC, chain  []byte
	counter       uint64
	host, own     []byte
	authenticated bool

	heard   [][]byte                 // raw commands
	plain   []globalplatform.Command // opened commands after authentication
	respond func(globalplatform.Command) ([]byte, uint16)
	corrupt func(answer []byte) ([]byte, error) // last word on every answer
}

func newCard(t *testing.T) *card {
	return &card{t: t, enc: bytes.Repeat([]byte{0x42}, 16), i: 0x70, version: 0x30, state: 0x07}
}

func (c *card) keys() globalplatform.StaticKeys {
	k, err := globalplatform.SoftwareKeys(c.enc, c.enc, c.enc)
	require.NoError(c.t, err)
	return k
}

func (c *card) mac(key, data []byte) []byte {
	k, err := globalplatform.NewSoftwareKey(key)
	require.NoError(c.t, err)
	out, err := k.CMAC(context.Background(), data)
	require.NoError(c.t, err)
	return out
}

func (c *card) kdf(key []byte, constant byte, bits uint16, with []byte) []byte {
	in := append(make([]byte, 11), constant, 0, byte(bits>>8), byte(bits), 1)
	return c.mac(key, append(in, with...))[:bits/8]
}

func (c *card) Transmit(_ context.Context, raw []byte) ([]byte, error) {
	c.heard = append(c.heard, raw)
	answer := c.answer(raw)
	if c.corrupt != nil {
		return c.corrupt(answer)
	}
	return answer, nil
}

func (c *card) answer(raw []byte) []byte {
	in, err := globalplatform.ParseCommand(raw)
	require.NoError(c.t, err)
	switch in.INS {
	case 0xC0:
		return []byte{0x90, 0x00}
	case 0x50:
		c.host = in.Data
		seq := []byte{0, 0, 7}
		c.own = c.kdf(c.enc, 0x02, 64, append(bytes.Clone(seq), isd...))
		both := append(bytes.Clone(c.host), c.own...)
		c.sEnc, c.sMAC, c.sRMAC = c.kdf(c.enc, 0x04, 128, both), c.kdf(c.enc, 0x06, 128, both), c.kdf(c.enc, 0x07, 128, both)
		out := append(make([]byte, 10), c.version, 0x03, c.i)
		out = append(append(out, c.own...), c.kdf(c.sMAC, 0x00, 64, both)...)
		if c.i&0x10 != 0 {
			out = append(out, seq...)
		}
		return append(out, 0x90, 0x00)
	case 0x82:
		want := c.kdf(c.sMAC, 0x01, 64, append(bytes.Clone(c.host), c.own...))
		c.chain = c.mac(c.sMAC, append(make([]byte, 16), raw[:len(raw)-8]...))
		if !bytes.Equal(in.Data[:8], want) || !bytes.Equal(in.Data[8:], c.chain[:8]) {
			return []byte{0x63, 0x00}
		}
		c.level, c.authenticated, c.counter = in.P1, true, 0
		return []byte{0x90, 0x00}
	}
	return c.secure(in, raw)
}

func (c *card) secure(in globalplatform.Command, raw []byte) []byte {
	if c.authenticated && c.level&0x01 != 0 {
		c.counter++
		end := 5 + len(in.Data) - 8
		c.chain = c.mac(c.sMAC, append(bytes.Clone(c.chain), raw[:end]...))
		require.Equal(c.t, c.chain[:8], in.Data[len(in.Data)-8:], "C-MAC")
		in.Data, in.CLA = in.Data[:len(in.Data)-8], in.CLA&^0x04
		if c.level&0x02 != 0 && len(in.Data) > 0 {
			opened := c.cbc(0x00, in.Data, false)
			in.Data = opened[:bytes.LastIndexByte(opened, 0x80)]
		}
	}
	c.plain = append(c.plain, in)
	data, sw := c.process(in)
	out := binary.BigEndian.AppendUint16(nil, sw)
	if !c.authenticated || c.level&0x10 == 0 || sw != 0x9000 {
		return append(data, out...)
	}
	if c.level&0x20 != 0 && len(data) > 0 {
		padded := append(bytes.Clone(data), 0x80)
		for len(padded)%16 != 0 {
			padded = append(padded, 0)
		}
		data = c.cbc(0x80, padded, true)
	}
	rmac := c.mac(c.sRMAC, append(append(bytes.Clone(c.chain), data...), out...))[:8]
	return append(append(bytes.Clone(data), rmac...), out...)
}

func (c *card) cbc(first byte, data []byte, encrypt bool) []byte {
	block, err := aes.NewCipher(c.sEnc)
	require.NoError(c.t, err)
	iv := make([]byte, 16)
	iv[0] = first
	binary.BigEndian.PutUint64(iv[8:], c.counter)
	block.Encrypt(iv, iv)
	out := make([]byte, len(data))
	if encrypt {
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, data)
	} else {
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	}
	return out
}

func (c *card) process(in globalplatform.Command) ([]byte, uint16) {
	if c.respond != nil {
		return c.respond(in)
	}
	switch in.INS {
	case 0xF2:
		return append(append([]byte{0xE3, 0x0E, 0x4F, 0x08}, isd...), 0x9F, 0x70, 0x01, c.state), 0x9000
	case 0xF0:
		c.state = in.P2
		return nil, 0x9000
	}
	return nil, 0x9000
}

func (c *card) session(level globalplatform.SecurityLevel) *globalplatform.Session {
	s, err := globalplatform.OpenSession(c.t.Context(), c, c.keys(), globalplatform.OpenOptions{
		KeyVersion: 0x30, SecurityLevel: level, AID: isd,
	})
	require.NoError(c.t, err)
	c.t.Cleanup(s.Close)
	return s
}

var errCable = errors.New("cable pulled")
