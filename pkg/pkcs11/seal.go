package pkcs11

import (
	"context"
	"encoding/binary"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

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
	if k.algorithm != AES || k.size != 32 {
		return nil, fmt.Errorf("seal: %w: not an AES key of 256 bits", ErrKeyUse)
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
