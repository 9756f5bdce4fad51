package pkcs11

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	p11 "github.com/miekg/pkcs11"
)

// DeriveECB makes, inside the token, a transient key of the same cipher whose
// value is EncryptECB(data) (CKM_DES3_ECB_ENCRYPT_DATA, CKM_AES_ECB_ENCRYPT_DATA):
// it never comes out. Needs UseDerive. On a token without that mechanism the
// value is in memory for a moment, and UseEncrypt is needed too.
func (k *Key) DeriveECB(ctx context.Context, data []byte, usage Usage) (*Key, error) {
	mechanism := uint(p11.CKM_AES_ECB_ENCRYPT_DATA)
	if k.algorithm == DES {
		mechanism = p11.CKM_DES3_ECB_ENCRYPT_DATA
	}
	return k.derive(ctx, mechanism, nil, data, usage, k.EncryptECB)
}

// DeriveCBC is DeriveECB by EncryptCBC: the session keys of SCP02.
func (k *Key) DeriveCBC(ctx context.Context, data []byte, usage Usage) (*Key, error) {
	mechanism := uint(p11.CKM_AES_CBC_ENCRYPT_DATA)
	if k.algorithm == DES {
		mechanism = p11.CKM_DES3_CBC_ENCRYPT_DATA
	}
	return k.derive(ctx, mechanism, make([]byte, k.block()), data, usage, k.EncryptCBC)
}

func (k *Key) derive(ctx context.Context, mechanism uint, iv, data []byte, usage Usage,
	outside func(context.Context, []byte) ([]byte, error),
) (*Key, error) {
	if len(data)%k.block() != 0 {
		return nil, fmt.Errorf("derive: %w: %d bytes are not whole blocks", ErrKeyUse, len(data))
	}
	out, err := k.token.transient(ctx, k.algorithm, len(data), usage,
		func(m *p11.Ctx, c *connection, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
			handle, err := k.in(m, c, c.anchor)
			if err != nil {
				return 0, err
			}
			if k.algorithm == AES {
				attributes = append(attributes, p11.NewAttribute(p11.CKA_VALUE_LEN, len(data)))
			}
			parameter, unpin := encryptData(iv, data)
			defer unpin()
			return m.DeriveKey(c.anchor, []*p11.Mechanism{p11.NewMechanism(mechanism, parameter)}, handle, attributes)
		})
	if !errors.Is(err, ErrMechanism) {
		return out, err
	}
	value, err := outside(ctx, data)
	if err != nil {
		return nil, err
	}
	defer Zeroise(value)
	return k.token.importTransient(ctx, k.algorithm, value, usage)
}

// encryptData is the parameter of the ..._ENCRYPT_DATA mechanisms as C lays it
// out: the IV if there is one, a pointer to the data, its length as CK_ULONG. The
// data is public and stays where it is until unpin.
func encryptData(iv, data []byte) (parameter []byte, unpin func()) {
	var pin runtime.Pinner
	pin.Pin(&data[0])
	out := append([]byte(nil), iv...)
	out = binary.NativeEndian.AppendUint64(out, uint64(uintptr(unsafe.Pointer(&data[0])))) //nolint:gosec // the one structure of PKCS#11 here that points to other memory
	return binary.NativeEndian.AppendUint64(out, uint64(len(data))), pin.Unpin
}
