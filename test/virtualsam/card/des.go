package card

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
	"fmt"
)

const desBlock = des.BlockSize

// tripleDES panics on a bad key length, as newCipher does.
func tripleDES(key []byte) cipher.Block {
	if len(key) != 16 {
		panic(fmt.Sprintf("card: DES key of %d bytes reached the cipher", len(key)))
	}
	block, err := des.NewTripleDESCipher([]byte(string(key) + string(key[:8])))
	if err != nil {
		panic(err)
	}
	return block
}

// singleDES is for half a key.
func singleDES(half []byte) cipher.Block {
	block, err := des.NewCipher(half)
	if err != nil {
		panic(err)
	}
	return block
}

// desPad appends 80 and zeroes up to a full block (GPC 2.3.1 B.1.3).
func desPad(data []byte) []byte {
	out := append(append(make([]byte, 0, len(data)+desBlock), data...), 0x80)
	for len(out)%desBlock != 0 {
		out = append(out, 0)
	}
	return out
}

// fullMAC is CBC-MAC with triple DES and a zero vector over padded data (GPC
// 2.3.1 B.1.2.1).
func fullMAC(key []byte, parts ...[]byte) []byte {
	var message []byte
	for _, p := range parts {
		message = append(message, p...)
	}
	block := tripleDES(key)
	state := make([]byte, desBlock)
	for rest := desPad(message); len(rest) > 0; rest = rest[desBlock:] {
		subtle.XORBytes(state, state, rest[:desBlock])
		block.Encrypt(state, state)
	}
	return state
}

// finalMAC chains single DES with the left half of the key, then decrypts with
// the right and encrypts with the left half (GPC 2.3.1 B.1.2.2).
func finalMAC(key []byte, start [desBlock]byte, parts ...[]byte) (mac [desBlock]byte) {
	var message []byte
	for _, p := range parts {
		message = append(message, p...)
	}
	left := singleDES(key[:8])
	mac = start
	for rest := desPad(message); len(rest) > 0; rest = rest[desBlock:] {
		subtle.XORBytes(mac[:], mac[:], rest[:desBlock])
		left.Encrypt(mac[:], mac[:])
	}
	singleDES(key[8:]).Decrypt(mac[:], mac[:])
	left.Encrypt(mac[:], mac[:])
	return mac
}

// desCBC encrypts whole blocks from a zero vector.
func desCBC(key, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCEncrypter(tripleDES(key), make([]byte, desBlock)).CryptBlocks(out, data)
	return out
}

// desUnCBC decrypts whole blocks from a zero vector.
func desUnCBC(key, data []byte) []byte {
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(tripleDES(key), make([]byte, desBlock)).CryptBlocks(out, data)
	return out
}

// desUnECB decrypts whole blocks one by one.
func desUnECB(key, data []byte) []byte {
	block, out := tripleDES(key), make([]byte, len(data))
	for at := 0; at < len(data); at += desBlock {
		block.Decrypt(out[at:at+desBlock], data[at:at+desBlock])
	}
	return out
}

// desCheckValue is the first three bytes of DES(key, 00*8) (GPC 2.3.1 B.6).
func desCheckValue(key []byte) []byte {
	var block [desBlock]byte
	tripleDES(key).Encrypt(block[:], block[:])
	return block[:3]
}
