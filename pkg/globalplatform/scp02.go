package globalplatform

import (
	"context"
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"fmt"
	"io"
)

// The bits of the SCP02 parameter i (GPC 2.3.1 table E-1).
const (
	scp02ThreeKeys    = 0x01 // three secure channel keys; one base key can be given three times
	scp02Unmodified   = 0x02 // C-MAC on the unmodified APDU
	scp02Explicit     = 0x04
	scp02ICVOverAID   = 0x08
	scp02ICVEncrypted = 0x10
	scp02RMAC         = 0x20
	scp02PseudoRandom = 0x40
)

// The SCP02 options that cards in the field have.
const (
	SCP02Option15 byte = 0x15 // explicit, modified APDU, ICV encryption, three keys, random challenge
	SCP02Option55 byte = 0x55 // the same with a pseudo-random challenge
)

// Constants of the session keys (GPC 2.3.1 E.4.1).
var (
	scp02SMAC  = [2]byte{0x01, 0x01}
	scp02SRMAC = [2]byte{0x01, 0x02}
	scp02SDEK  = [2]byte{0x01, 0x81}
	scp02SENC  = [2]byte{0x01, 0x82}
)

// scp02 is the host's end of an SCP02 session with explicit initiation and the
// C-MAC on the modified APDU.
type scp02 struct {
	level          SecurityLevel
	options        byte
	static         StaticKeys
	sequence       []byte
	enc, mac, rmac *SoftwareKey
	dek            Key // made when it is first needed
	icv            [des.BlockSize]byte
	chained        bool                // icv is a C-MAC; the zero ICV of a session is never encrypted
	ricv           [des.BlockSize]byte // the last R-MAC, at first the C-MAC of EXTERNAL AUTHENTICATE
	asked          []byte              // the plain command that the next R-MAC covers
}

// supportsSCP02 says whether this package speaks these options, and whether a
// card with them can do level (GPC 2.3.1 tables E-1 and E-11).
func supportsSCP02(i byte, level SecurityLevel) error {
	if i&(scp02Explicit|scp02Unmodified|scp02ICVOverAID) != scp02Explicit {
		return fmt.Errorf("%w: SCP02 i=%02X", ErrProtocol, i)
	}
	switch level {
	case LevelAuthenticated, LevelCMAC, LevelCMACCDEC, LevelCMACRMAC, LevelCMACCDECRMAC:
	default:
		return fmt.Errorf("%w: %02X", ErrSecurityLevel, byte(level))
	}
	if level.has(levelRMAC) && i&scp02RMAC == 0 {
		return fmt.Errorf("%w: %02X with SCP02 i=%02X", ErrSecurityLevel, byte(level), i)
	}
	return nil
}

// sessionData is what a static key encrypts to give a session key (GPC 2.3.1
// figure E-2).
func (c *scp02) sessionData(constant [2]byte) []byte {
	out := append(append(make([]byte, 0, 16), constant[:]...), c.sequence...)
	return out[:16]
}

// agree implements secureChannel (GPC 2.3.1 E.4.1 and E.4.2).
func (c *scp02) agree(ctx context.Context, u InitializeUpdate, host, aid []byte) ([]byte, error) {
	if c.static.ENC.Algorithm() != DES || c.static.ENC.Size() != 16 {
		return nil, fmt.Errorf("%w: SCP02 has DES keys of 16 bytes", ErrKey)
	}
	c.sequence = u.SequenceCounter
	for _, k := range []struct {
		to       **SoftwareKey
		from     Key
		constant [2]byte
	}{{&c.enc, c.static.ENC, scp02SENC}, {&c.mac, c.static.MAC, scp02SMAC}, {&c.rmac, c.static.MAC, scp02SRMAC}} {
		value, err := k.from.EncryptCBC(ctx, c.sessionData(k.constant))
		if err != nil {
			return nil, fmt.Errorf("session keys: %w", err)
		}
		*k.to, err = NewSoftwareDESKey(value)
		clear(value)
		if err != nil {
			return nil, err
		}
	}
	if c.options&scp02PseudoRandom != 0 && len(aid) > 0 {
		// E.4.2.3: the left six bytes of a MAC over the AID.
		want := retailMAC(single(c.mac), c.mac.block, make([]byte, des.BlockSize), pad80(aid, des.BlockSize))
		if subtle.ConstantTimeCompare(want[:6], u.CardChallenge) != 1 {
			return nil, ErrCardChallenge
		}
	}
	own := append(append([]byte(nil), u.SequenceCounter...), u.CardChallenge...)
	if subtle.ConstantTimeCompare(c.cryptogram(host, own), u.CardCryptogram) != 1 {
		return nil, ErrCardCryptogram
	}
	return c.cryptogram(own, host), nil
}

// cryptogram authenticates the one who names the other's challenge first (GPC
// 2.3.1 E.4.2.1 and E.4.2.2).
func (c *scp02) cryptogram(first, second []byte) []byte {
	in := append(append([]byte(nil), first...), second...)
	return cbcMAC(c.enc.block, make([]byte, des.BlockSize), pad80(in, des.BlockSize))
}

// single is the single DES cipher of the first half of a key.
func single(k *SoftwareKey) cipher.Block {
	block, err := des.NewCipher(k.value[:des.BlockSize])
	if err != nil {
		panic("globalplatform: the half of a DES key is no DES key")
	}
	return block
}

// maxData implements secureChannel.
func (c *scp02) maxData() int {
	switch {
	case c.level.has(levelCDEC):
		return (255-8)/des.BlockSize*des.BlockSize - 1
	case c.level.has(levelCMAC):
		return 255 - 8
	}
	return 255
}

// wrap implements secureChannel: C-MAC over the plain command (E.4.4), then
// encryption of its data (E.4.6). With R-MAC every command asks for an answer
// (E.4.5).
func (c *scp02) wrap(command Command) ([]byte, error) {
	if c.level.has(levelRMAC) {
		c.asked = append([]byte{command.CLA, command.INS, command.P1, command.P2, byte(len(command.Data))}, command.Data...)
		if command.Ne == 0 {
			command.Ne = MaxNe
		}
	}
	head, mac := c.cmac(command)
	if c.level.has(levelCDEC) && len(command.Data) > 0 {
		command.Data = cbc(c.enc.block, make([]byte, des.BlockSize), pad80(command.Data, des.BlockSize))
		head[4] = byte(len(command.Data) + len(mac))
	}
	return assemble(head, command.Data, mac, command.Ne)
}

// sign implements secureChannel. The C-MAC of EXTERNAL AUTHENTICATE also starts
// the R-MAC chain (E.3.2).
func (c *scp02) sign(command Command) ([]byte, error) {
	head, mac := c.cmac(command)
	c.ricv = c.icv
	return assemble(head, command.Data, mac, command.Ne)
}

// cmac moves the chain on and gives the modified header with the MAC.
func (c *scp02) cmac(command Command) (head, mac []byte) {
	iv := c.icv[:]
	if c.chained && c.options&scp02ICVEncrypted != 0 {
		single(c.mac).Encrypt(iv, iv) // E.3.4
	}
	head = protectedHeader(command)
	in := append(append([]byte(nil), head...), command.Data...)
	mac = retailMAC(single(c.mac), c.mac.block, iv, pad80(in, des.BlockSize))
	c.icv, c.chained = [des.BlockSize]byte(mac), true
	return head, mac
}

// unwrap implements secureChannel: the R-MAC covers the plain command, the
// answer with its length, and the status word (E.4.5). On an error the card
// computes it too; many cards cannot send it then, so there it may be missing.
func (c *scp02) unwrap(r Response) (Response, error) {
	failed := r.SW != OK && !r.SW.Warning()
	bare := failed && len(r.Data) == 0
	if !bare && len(r.Data) < 8 || failed && len(r.Data) > 8 {
		return Response{}, fmt.Errorf("%w: %d bytes with status %04X", ErrResponseMAC, len(r.Data), uint16(r.SW))
	}
	data := r.Data[:max(0, len(r.Data)-8)]
	in := append(append([]byte(nil), c.asked...), byte(len(data)))
	in = append(append(in, data...), r.SW.SW1(), r.SW.SW2())
	mac := retailMAC(single(c.rmac), c.rmac.block, c.ricv[:], pad80(in, des.BlockSize))
	if !bare && subtle.ConstantTimeCompare(mac, r.Data[len(data):]) != 1 {
		return Response{}, ErrResponseMAC
	}
	c.ricv = [des.BlockSize]byte(mac)
	return Response{Data: data, SW: r.SW}, nil
}

// dataKey implements secureChannel: the session DEK (E.4.7).
func (c *scp02) dataKey(ctx context.Context) (Key, error) {
	if c.dek == nil {
		dek, err := c.static.DEK.Derive(ctx, c.sessionData(scp02SDEK))
		if err != nil {
			return nil, fmt.Errorf("session keys: %w", err)
		}
		c.dek = dek
	}
	return c.dek, nil
}

// forget implements secureChannel.
func (c *scp02) forget() {
	forget(c.enc, c.mac, c.rmac)
	if closer, ok := c.dek.(io.Closer); ok {
		_ = closer.Close() // a key that is lost with its token is gone as well
	}
	c.dek = nil
	clear(c.icv[:])
	clear(c.ricv[:])
}
