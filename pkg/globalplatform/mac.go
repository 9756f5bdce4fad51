package globalplatform

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/subtle"
)

// cmac is CMAC (NIST SP 800-38B) for keys that are in memory: session keys,
// and static keys in tests.
func cmac(block cipher.Block, message []byte) []byte {
	n := block.BlockSize()
	k1 := make([]byte, n)
	block.Encrypt(k1, k1)
	double(k1)
	k2 := append([]byte(nil), k1...)
	double(k2)

	full := len(message) / n
	tail := message[full*n:]
	last := make([]byte, n)
	if len(tail) == 0 && full > 0 {
		full--
		subtle.XORBytes(last, message[full*n:], k1)
	} else {
		copy(last, tail)
		last[len(tail)] = 0x80
		subtle.XORBytes(last, last, k2)
	}
	mac := make([]byte, n)
	for i := range full {
		subtle.XORBytes(mac, mac, message[i*n:(i+1)*n])
		block.Encrypt(mac, mac)
	}
	subtle.XORBytes(mac, mac, last)
	block.Encrypt(mac, mac)
	clear(k1)
	clear(k2)
	return mac
}

// double multiplies by x in GF(2^128) or GF(2^64) without branching on the
// key-dependent top bit.
func double(b []byte) {
	reduction := byte(0x87)
	if len(b) == des.BlockSize {
		reduction = 0x1B
	}
	top := b[0] >> 7
	last := len(b) - 1
	for i := range last {
		b[i] = b[i]<<1 | b[i+1]>>7
	}
	b[last] = b[last]<<1 ^ (reduction & -top)
}

// cbc encrypts whole blocks.
func cbc(block cipher.Block, iv, plain []byte) []byte {
	out := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, plain)
	return out
}

// cbcMAC is the last block of cbc: full triple DES MAC (GPC 2.3.1 B.1.2.1).
func cbcMAC(block cipher.Block, iv, padded []byte) []byte {
	out := cbc(block, iv, padded)
	return out[len(out)-block.BlockSize():]
}

// retailMAC is single DES plus final triple DES MAC (GPC 2.3.1 B.1.2.2, ISO
// 9797-1 algorithm 3): single is the cipher of the key's first half, triple that
// of the whole key.
func retailMAC(single, triple cipher.Block, iv, padded []byte) []byte {
	const n = des.BlockSize
	if head := padded[:len(padded)-n]; len(head) > 0 {
		iv = cbcMAC(single, iv, head)
	}
	return cbc(triple, iv, padded[len(padded)-n:])
}

// pad80 is ISO 9797-1 padding method 2 to whole blocks; it always adds at least
// one byte (GPC 2.3.1 B.1.3, Amendment D 4.1.4).
func pad80(data []byte, block int) []byte {
	out := make([]byte, (len(data)/block+1)*block)
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
