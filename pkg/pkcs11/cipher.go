package pkcs11

import (
	"context"
	"fmt"

	p11 "github.com/miekg/pkcs11"
)

// CMAC is the CMAC of data under the key's cipher (SP 800-38B), one block. Needs
// UseMAC.
func (k *Key) CMAC(ctx context.Context, data []byte) ([]byte, error) {
	mechanism := uint(p11.CKM_AES_CMAC)
	if k.algorithm == DES {
		mechanism = p11.CKM_DES3_CMAC
	}
	var out []byte
	err := k.with(ctx, "CMAC", func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) (err error) {
		if err = m.SignInit(s, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, h); err != nil {
			return err
		}
		out, err = m.Sign(s, data)
		return err
	})
	return out, err
}

// EncryptECB encrypts whole blocks one by one. Needs UseEncrypt.
func (k *Key) EncryptECB(ctx context.Context, plain []byte) ([]byte, error) {
	return k.encrypt(ctx, "encrypt ECB", k.ecb(), plain)
}

// EncryptCBC encrypts whole blocks with a zero IV and without padding, as
// GlobalPlatform does for AES data under a key encryption key and for the session
// keys of SCP02. Needs UseEncrypt.
func (k *Key) EncryptCBC(ctx context.Context, plain []byte) ([]byte, error) {
	return k.encrypt(ctx, "encrypt CBC", k.cbc(), plain)
}

func (k *Key) ecb() *p11.Mechanism {
	if k.algorithm == DES {
		return p11.NewMechanism(p11.CKM_DES3_ECB, nil)
	}
	return p11.NewMechanism(p11.CKM_AES_ECB, nil)
}

func (k *Key) cbc() *p11.Mechanism {
	if k.algorithm == DES {
		return p11.NewMechanism(p11.CKM_DES3_CBC, make([]byte, k.block()))
	}
	return p11.NewMechanism(p11.CKM_AES_CBC, make([]byte, k.block()))
}

func (k *Key) encrypt(ctx context.Context, what string, mechanism *p11.Mechanism, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain)%k.block() != 0 {
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

// WrapCBC is the value of other encrypted under k inside the token: CBC, zero
// IV, no padding. Needs UseWrap on k and a transient key as other (stored keys
// do not leave the token, not even wrapped). AES keys of 24 bytes are not whole
// AES blocks and cannot be wrapped so: ErrKeyUse. ErrMechanism when the token
// has no such wrapping.
func (k *Key) WrapCBC(ctx context.Context, other *Key) ([]byte, error) {
	return k.wrap(ctx, k.cbc(), other)
}

// WrapECB is WrapCBC block by block, as SCP02 loads DES keys. SoftHSM cannot do
// it: ErrMechanism.
func (k *Key) WrapECB(ctx context.Context, other *Key) ([]byte, error) {
	return k.wrap(ctx, k.ecb(), other)
}

func (k *Key) wrap(ctx context.Context, mechanism *p11.Mechanism, other *Key) ([]byte, error) {
	if other.token != k.token {
		return nil, fmt.Errorf("wrap: %w: keys of two tokens", ErrKeyUse)
	}
	if other.size%k.block() != 0 {
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
		out, err = m.WrapKey(s, []*p11.Mechanism{mechanism}, wrapping, inner)
		return err
	})
	return out, err
}

// KCV is the key check value of GlobalPlatform: the first three bytes of the
// encryption of a block of 01 for AES, of 00 for DES (GPC 2.3.1 B.6). Needs
// UseEncrypt.
func (k *Key) KCV(ctx context.Context) ([]byte, error) {
	block := make([]byte, k.block())
	if k.algorithm == AES {
		for i := range block {
			block[i] = 0x01
		}
	}
	out, err := k.EncryptECB(ctx, block)
	if err != nil {
		return nil, err
	}
	return out[:3], nil
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
