package card

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"
)

// Derivation constants of SCP03 (GlobalPlatform Amendment D 1.1.1, table 4-1).
const (
	deriveCardCryptogram = 0x00
	deriveHostCryptogram = 0x01
	deriveCardChallenge  = 0x02
	deriveSessionENC     = 0x04
	deriveSessionMAC     = 0x06
	deriveSessionRMAC    = 0x07
)

const blockSize = aes.BlockSize

// newCipher panics on a bad key length: every key that gets here was checked
// when the chip was made or when PUT KEY took it.
func newCipher(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("card: key of %d bytes reached the cipher", len(key)))
	}
	return block
}

// double multiplies by x in GF(2^128) (NIST SP 800-38B s.6.1).
func double(in [blockSize]byte) (out [blockSize]byte) {
	var carry byte
	for i := blockSize - 1; i >= 0; i-- {
		out[i] = in[i]<<1 | carry
		carry = in[i] >> 7
	}
	out[blockSize-1] ^= 0x87 * carry
	return out
}

// cmac is AES-CMAC (NIST SP 800-38B) with the full 16-byte result.
func cmac(key []byte, parts ...[]byte) [blockSize]byte {
	block := newCipher(key)
	var message []byte
	for _, p := range parts {
		message = append(message, p...)
	}
	var mask [blockSize]byte
	block.Encrypt(mask[:], mask[:])
	mask = double(mask)
	if rest := len(message) % blockSize; len(message) == 0 || rest != 0 {
		mask = double(mask)
		message = pad80(message)
	}
	var state [blockSize]byte
	for at := 0; at < len(message); at += blockSize {
		subtle.XORBytes(state[:], state[:], message[at:at+blockSize])
		if at == len(message)-blockSize {
			subtle.XORBytes(state[:], state[:], mask[:])
		}
		block.Encrypt(state[:], state[:])
	}
	return state
}

// derive is the KDF in counter mode of SCP03 (Amendment D s.4.1.5); length in bytes.
func derive(key []byte, constant byte, length int, context ...[]byte) []byte {
	var out []byte
	for counter := byte(1); len(out) < length; counter++ {
		label := make([]byte, 16)
		label[11] = constant
		label[13] = byte(length * 8 >> 8)
		label[14] = byte(length * 8)
		label[15] = counter
		mac := cmac(key, append([][]byte{label}, context...)...)
		out = append(out, mac[:]...)
	}
	return out[:length]
}

// pad80 appends 80 and zeroes up to a full block (Amendment D s.4.1.4); it
// always adds at least one byte.
func pad80(data []byte) []byte {
	out := append(append(make([]byte, 0, len(data)+blockSize), data...), 0x80)
	for len(out)%blockSize != 0 {
		out = append(out, 0)
	}
	return out
}

// unpad80 takes the padding of pad80 off; ok is false when there is none.
func unpad80(data []byte) (plain []byte, ok bool) {
	for i := len(data) - 1; i >= 0 && i >= len(data)-blockSize; i-- {
		switch data[i] {
		case 0x00:
		case 0x80:
			return data[:i], true
		default:
			return nil, false
		}
	}
	return nil, false
}

// cbcEncrypt works on whole blocks.
func cbcEncrypt(key, iv, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCEncrypter(newCipher(key), iv).CryptBlocks(out, data)
	return out
}

// cbcDecrypt works on whole blocks.
func cbcDecrypt(key, iv, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(newCipher(key), iv).CryptBlocks(out, data)
	return out
}

// decryptSensitive undoes the static-DEK encryption of sensitive data:
// AES-CBC with a zero ICV (Amendment D s.6.2.8).
func decryptSensitive(dek, data []byte) []byte {
	return cbcDecrypt(dek, make([]byte, blockSize), data)
}

// keyCheckValue is the first three bytes of AES(key, 01*16) (Amendment D s.7.2.2).
func keyCheckValue(key []byte) []byte {
	var in [blockSize]byte
	for i := range in {
		in[i] = 0x01
	}
	newCipher(key).Encrypt(in[:], in[:])
	return in[:3]
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
