package globalplatform

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// The bits of the SCP03 parameter i (Amendment D table 5-1; S16 is of its later
// versions).
const (
	scp03S16          = 0x01
	scp03PseudoRandom = 0x10
	scp03RMAC         = 0x20
	scp03RENC         = 0x40
)

// Derivation constants (Amendment D table 4-1).
const (
	kdfCardCryptogram = 0x00
	kdfHostCryptogram = 0x01
	kdfCardChallenge  = 0x02
	kdfSENC           = 0x04
	kdfSMAC           = 0x06
	kdfSRMAC          = 0x07
)

// derive is the KDF of SP 800-108 in counter mode with AES-CMAC, in the form
// of Amendment D 4.1.5; size is in bytes, at most 32.
func derive(ctx context.Context, key Key, constant byte, size int, context []byte) ([]byte, error) {
	var out []byte
	for counter := byte(1); len(out) < size; counter++ {
		in := make([]byte, 11, 16+len(context))
		in = append(in, constant, 0x00)
		in = binary.BigEndian.AppendUint16(in, uint16(size*8))
		in = append(in, counter)
		in = append(in, context...)
		block, err := key.CMAC(ctx, in)
		if err != nil {
			return nil, err
		}
		out = append(out, block...)
	}
	clear(out[size:])
	return out[:size], nil
}

// scp03 is the host's end of an SCP03 session in S8 mode.
type scp03 struct {
	level          SecurityLevel
	static         StaticKeys
	enc, mac, rmac *SoftwareKey
	chain          [aes.BlockSize]byte // MAC chaining value
	counter        uint64              // encryption counter (Amendment D 6.2.6)
}

// supportsSCP03 says whether a card with these options can do level (Amendment D
// tables 5-1 and 7-3).
func supportsSCP03(i byte, level SecurityLevel) error {
	switch level {
	case LevelAuthenticated, LevelCMAC, LevelCMACCDEC, LevelCMACRMAC, LevelCMACCDECRMAC, LevelFull:
	default:
		return fmt.Errorf("%w: %02X", ErrSecurityLevel, byte(level))
	}
	if level.has(levelRMAC) && i&scp03RMAC == 0 || level.has(levelRENC) && i&scp03RENC == 0 {
		return fmt.Errorf("%w: %02X with i=%02X", ErrSecurityLevel, byte(level), i)
	}
	return nil
}

// agree implements secureChannel (Amendment D 6.2.1 and 6.2.2).
func (c *scp03) agree(ctx context.Context, u InitializeUpdate, host, aid []byte) ([]byte, error) {
	if c.static.ENC.Algorithm() != AES {
		return nil, fmt.Errorf("%w: SCP03 has AES keys", ErrKey)
	}
	if u.I&scp03PseudoRandom != 0 && len(aid) > 0 {
		// 6.2.2.1: context is the sequence counter and the AID of the invoker.
		want, err := derive(ctx, c.static.ENC, kdfCardChallenge, 8, append(append([]byte(nil), u.SequenceCounter...), aid...))
		if err != nil {
			return nil, fmt.Errorf("card challenge: %w", err)
		}
		if subtle.ConstantTimeCompare(want, u.CardChallenge) != 1 {
			return nil, ErrCardChallenge
		}
	}
	both := append(append([]byte(nil), host...), u.CardChallenge...)
	for _, k := range []struct {
		to       **SoftwareKey
		from     Key
		constant byte
	}{{&c.enc, c.static.ENC, kdfSENC}, {&c.mac, c.static.MAC, kdfSMAC}, {&c.rmac, c.static.MAC, kdfSRMAC}} {
		value, err := derive(ctx, k.from, k.constant, k.from.Size(), both)
		if err != nil {
			return nil, fmt.Errorf("session keys: %w", err)
		}
		*k.to, err = NewSoftwareKey(value)
		clear(value)
		if err != nil {
			return nil, err
		}
	}
	card, err := derive(ctx, c.mac, kdfCardCryptogram, 8, both)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(card, u.CardCryptogram) != 1 {
		return nil, ErrCardCryptogram
	}
	return derive(ctx, c.mac, kdfHostCryptogram, 8, both)
}

// maxData implements secureChannel.
func (c *scp03) maxData() int {
	switch {
	case c.level.has(levelCDEC):
		return (255-8)/aes.BlockSize*aes.BlockSize - 1
	case c.level.has(levelCMAC):
		return 255 - 8
	}
	return 255
}

// wrap implements secureChannel: C-DECRYPTION (6.2.6), then C-MAC (6.2.4).
func (c *scp03) wrap(command Command) ([]byte, error) {
	// The counter moves for every command, also one without data.
	c.counter++
	if c.level.has(levelCDEC) && len(command.Data) > 0 {
		command.Data = cbc(c.enc.block, c.icv(0x00), pad80(command.Data, aes.BlockSize))
	}
	return c.sign(command)
}

// sign implements secureChannel: the secure messaging bit and the C-MAC over
// chaining value, header and data as sent (Amendment D 6.2.4).
func (c *scp03) sign(command Command) ([]byte, error) {
	head := protectedHeader(command)
	in := append(append(c.chain[:], head...), command.Data...)
	c.chain = [aes.BlockSize]byte(cmac(c.mac.block, in))
	return assemble(head, command.Data, c.chain[:8], command.Ne)
}

// icv is the encrypted counter that starts a CBC chain: first byte 00 for
// commands, 80 for responses (Amendment D 6.2.6, 6.2.7).
func (c *scp03) icv(first byte) []byte {
	block := make([]byte, aes.BlockSize)
	block[0] = first
	binary.BigEndian.PutUint64(block[8:], c.counter)
	c.enc.block.Encrypt(block, block)
	return block
}

// unwrap implements secureChannel: R-MAC (6.2.5), then R-ENCRYPTION (6.2.7). An
// error status comes without R-MAC and must come without data.
func (c *scp03) unwrap(r Response) (Response, error) {
	if r.SW != OK && !r.SW.Warning() {
		if len(r.Data) != 0 {
			return Response{}, fmt.Errorf("%w: data with an error status", ErrResponseMAC)
		}
		return r, nil
	}
	if len(r.Data) < 8 {
		return Response{}, fmt.Errorf("%w: no MAC in the answer", ErrResponseMAC)
	}
	data, sent := r.Data[:len(r.Data)-8], r.Data[len(r.Data)-8:]
	in := append(append([]byte(nil), c.chain[:]...), data...)
	in = append(in, r.SW.SW1(), r.SW.SW2())
	if subtle.ConstantTimeCompare(cmac(c.rmac.block, in)[:8], sent) != 1 {
		return Response{}, ErrResponseMAC
	}
	if !c.level.has(levelRENC) || len(data) == 0 {
		return Response{Data: data, SW: r.SW}, nil
	}
	if len(data)%aes.BlockSize != 0 {
		return Response{}, fmt.Errorf("%w: encrypted answer of %d bytes", ErrMalformed, len(data))
	}
	opened := make([]byte, len(data))
	cipher.NewCBCDecrypter(c.enc.block, c.icv(0x80)).CryptBlocks(opened, data)
	clean, ok := unpad80(opened)
	if !ok {
		return Response{}, fmt.Errorf("%w: padding of the answer", ErrMalformed)
	}
	return Response{Data: clean, SW: r.SW}, nil
}

// dataKey implements secureChannel: the static DEK (Amendment D 6.2.8).
func (c *scp03) dataKey(context.Context) (Key, error) { return c.static.DEK, nil }

// forget implements secureChannel.
func (c *scp03) forget() {
	forget(c.enc, c.mac, c.rmac)
	clear(c.chain[:])
}
