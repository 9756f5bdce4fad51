package pkcs11

import (
	"context"
	"crypto/aes"
	"encoding/binary"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// CMAC is the AES-CMAC of data (SP 800-38B), 16 bytes. Needs UseMAC.
func (k *Key) CMAC(ctx context.Context, data []byte) ([]byte, error) {
	var out []byte
	err := k.with(ctx, "CMAC", func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) (err error) {
		if err = m.SignInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_CMAC, nil)}, h); err != nil {
			return err
		}
		out, err = m.Sign(s, data)
		return err
	})
	return out, err
}

// EncryptECB encrypts whole blocks one by one. Needs UseEncrypt.
func (k *Key) EncryptECB(ctx context.Context, plain []byte) ([]byte, error) {
	return k.encrypt(ctx, "encrypt ECB", p11.NewMechanism(p11.CKM_AES_ECB, nil), plain)
}

// EncryptCBC encrypts whole blocks with a zero IV and without padding, as
// GlobalPlatform does for data under a key encryption key. Needs UseEncrypt.
func (k *Key) EncryptCBC(ctx context.Context, plain []byte) ([]byte, error) {
	return k.encrypt(ctx, "encrypt CBC", zeroIV(), plain)
}

func zeroIV() *p11.Mechanism { return p11.NewMechanism(p11.CKM_AES_CBC, make([]byte, aes.BlockSize)) }

func (k *Key) encrypt(ctx context.Context, what string, mechanism *p11.Mechanism, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%s: %w: %d bytes are not whole blocks", what, ErrKeyUse, len(plain))
	}
	var out []byte
	err := k.with(ctx, what, func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) (err error) {
		if err = m.EncryptInit(s, []*p11.Mechanism{mechanism}, h); err != nil {
			return err
		}
		out, err = m.Encrypt(s, plain)
		return err
	})
	return out, err
}

// WrapCBC is the value of other encrypted under k inside the token: AES-CBC,
// zero IV, no padding. Needs UseWrap on k and a transient key as other (stored
// keys do not leave the token, not even wrapped). Keys of 24 bytes are not
// whole blocks and cannot be wrapped so: ErrKeyUse.
func (k *Key) WrapCBC(ctx context.Context, other *Key) ([]byte, error) {
	if other.token != k.token {
		return nil, fmt.Errorf("wrap: %w: keys of two tokens", ErrKeyUse)
	}
	if other.size%aes.BlockSize != 0 {
		return nil, fmt.Errorf("wrap: %w: a key of %d bytes is not whole blocks", ErrKeyUse, other.size)
	}
	var out []byte
	err := k.token.do(ctx, "wrap", func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		wrapping, err := k.in(m, c, s)
		if err != nil {
			return err
		}
		inner, err := other.in(m, c, s)
		if err != nil {
			return err
		}
		out, err = m.WrapKey(s, []*p11.Mechanism{zeroIV()}, wrapping, inner)
		return err
	})
	return out, err
}

// KCV is the key check value of GlobalPlatform for AES: the first three bytes
// of the encryption of sixteen bytes 01 (GPC 2.3.1 B.6). Needs UseEncrypt.
func (k *Key) KCV(ctx context.Context) ([]byte, error) {
	ones := make([]byte, aes.BlockSize)
	for i := range ones {
		ones[i] = 0x01
	}
	out, err := k.EncryptECB(ctx, ones)
	if err != nil {
		return nil, err
	}
	return out[:3], nil
}

// Purposes of a diversified card key in KDF3.
const (
	PurposeENC byte = 0x01
	PurposeMAC byte = 0x02
	PurposeDEK byte = 0x03
)

// KDF3 diversifies a master key for one card, as GlobalPlatformPro's "kdf3"
// does: SP 800-108 counter mode with AES-CMAC over
// i || 000000 || purpose || 00 || diversification, i from 01. Size is the length
// wanted in bytes: 16, 24 or 32. The result comes out into memory, for one
// card; the caller zeroises it. The master key needs UseMAC and stays inside.
func (k *Key) KDF3(ctx context.Context, purpose byte, diversification []byte, size int) ([]byte, error) {
	if err := validSize(size); err != nil {
		return nil, err
	}
	out := make([]byte, 0, 2*aes.BlockSize)
	for i := byte(1); len(out) < size; i++ {
		block, err := k.CMAC(ctx, append([]byte{i, 0, 0, 0, purpose, 0}, diversification...))
		if err != nil {
			Zeroise(out)
			return nil, err
		}
		out = append(out, block...)
		Zeroise(block)
	}
	Zeroise(out[size:])
	return out[:size], nil
}

func (k *Key) with(ctx context.Context, what string, fn func(*p11.Ctx, p11.SessionHandle, p11.ObjectHandle) error) error {
	return k.token.do(ctx, what, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		handle, err := k.in(m, c, s)
		if err != nil {
			return err
		}
		return fn(m, s, handle)
	})
}

// Bind makes one unambiguous byte string of the names a sealed secret belongs
// to, such as card id and attempt: two different lists never give the same.
func Bind(names ...string) []byte {
	var out []byte
	for _, n := range names {
		out = binary.BigEndian.AppendUint32(out, uint32(len(n)))
		out = append(out, n...)
	}
	return out
}

// A sealed secret: version, check value of the sealing key, nonce, ciphertext
// with tag. Version and check value are authenticated with the binding.
const (
	sealVersion = 0x01
	sealHeader  = 1 + 3
	sealNonce   = 12
	sealTag     = 16
)

// SealSecret encrypts a secret for keeping, under a key of 32 bytes in the
// token (AES-256-GCM, nonce from the token's generator). The binding (see Bind)
// is not stored and must be the same at opening. Needs UseEncrypt.
func (k *Key) SealSecret(ctx context.Context, plain, binding []byte) ([]byte, error) {
	if k.size != 32 {
		return nil, fmt.Errorf("seal: %w: not a key of 256 bits", ErrKeyUse)
	}
	kcv, err := k.KCV(ctx)
	if err != nil {
		return nil, err
	}
	nonce, err := k.token.Random(ctx, sealNonce)
	if err != nil {
		return nil, err
	}
	header := append([]byte{sealVersion}, kcv...)
	var out []byte
	err = k.with(ctx, "seal", func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) error {
		params := p11.NewGCMParams(nonce, append(append([]byte(nil), header...), binding...), sealTag*8)
		defer params.Free()
		if err := m.EncryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, h); err != nil {
			return err
		}
		sealed, err := m.Encrypt(s, plain)
		if err != nil {
			return err
		}
		// Some tokens insist on a nonce of their own and write it back.
		if own := params.IV(); len(own) == sealNonce {
			nonce = own
		}
		out = append(append(header, nonce...), sealed...)
		return nil
	})
	return out, err
}

// OpenSecret undoes SealSecret: ErrSealed when the key, the binding or the
// bytes are not those of sealing. The caller zeroises the result.
func (k *Key) OpenSecret(ctx context.Context, sealed, binding []byte) ([]byte, error) {
	if len(sealed) < sealHeader+sealNonce+sealTag || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w: form", ErrSealed)
	}
	kcv, err := k.KCV(ctx)
	if err != nil {
		return nil, err
	}
	if string(kcv) != string(sealed[1:sealHeader]) {
		return nil, fmt.Errorf("%w: sealed under another key", ErrSealed)
	}
	var out []byte
	err = k.with(ctx, "open sealed secret", func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) error {
		params := p11.NewGCMParams(sealed[sealHeader:sealHeader+sealNonce],
			append(append([]byte(nil), sealed[:sealHeader]...), binding...), sealTag*8)
		defer params.Free()
		if err := m.DecryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, h); err != nil {
			return err
		}
		opened, err := m.Decrypt(s, sealed[sealHeader+sealNonce:])
		switch code(err) {
		case p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, p11.CKR_GENERAL_ERROR, p11.CKR_FUNCTION_FAILED:
			// SoftHSM answers a wrong tag with a general error. Only a token
			// that is still there may speak about the data.
			if _, e := m.GetTokenInfo(k.slot()); e != nil {
				return lost(err)
			}
			return ErrSealed
		}
		out = opened
		return err
	})
	return out, err
}

func (k *Key) slot() uint {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.conn.slot
}
