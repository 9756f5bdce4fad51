package globalplatform

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// cmac is AES-CMAC (NIST SP 800-38B, RFC 4493) for keys that are in memory:
// session keys, and static keys in tests.
func cmac(block cipher.Block, message []byte) []byte {
	var k1, k2, zero [aes.BlockSize]byte
	block.Encrypt(k1[:], zero[:])
	double(&k1)
	k2 = k1
	double(&k2)

	full := len(message) / aes.BlockSize
	tail := message[full*aes.BlockSize:]
	var last [aes.BlockSize]byte
	if len(tail) == 0 && full > 0 {
		full--
		subtle.XORBytes(last[:], message[full*aes.BlockSize:], k1[:])
	} else {
		copy(last[:], tail)
		last[len(tail)] = 0x80
		subtle.XORBytes(last[:], last[:], k2[:])
	}
	mac := make([]byte, aes.BlockSize)
	for i := range full {
		subtle.XORBytes(mac, mac, message[i*aes.BlockSize:(i+1)*aes.BlockSize])
		block.Encrypt(mac, mac)
	}
	subtle.XORBytes(mac, mac, last[:])
	block.Encrypt(mac, mac)
	clear(k1[:])
	clear(k2[:])
	return mac
}

// double multiplies by x in GF(2^128) without branching on the key-dependent
// top bit.
func double(b *[aes.BlockSize]byte) {
	top := b[0] >> 7
	for i := range aes.BlockSize - 1 {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[aes.BlockSize-1] = b[aes.BlockSize-1]<<1 ^ (0x87 & -top)
}

// pad80 is ISO 9797-1 padding method 2 to a whole number of AES blocks; it
// always adds at least one byte (Amendment D 4.1.4).
func pad80(data []byte) []byte {
	out := make([]byte, (len(data)/aes.BlockSize+1)*aes.BlockSize)
	copy(out, data)
	out[len(data)] = 0x80
	return out
}

// unpad80 undoes pad80; ok is false when there is no padding to undo.
func unpad80(data []byte) (plain []byte, ok bool) {
	for i := len(data) - 1; i >= 0; i-- {
		switch data[i] {
		case 0x00:
			continue
		case 0x80:
			return data[:i], true
		}
		return nil, false
	}
	return nil, false
}
