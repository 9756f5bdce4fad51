package pkcs11

import (
	"context"
	"fmt"
	"math/bits"

	p11 "github.com/miekg/pkcs11"
)

// GenerateAES makes a key of 128, 192 or 256 bits that never leaves the token
// (sensitive, not extractable). ErrKeyExists when the label is taken.
func (t *Token) GenerateAES(ctx context.Context, label string, bits int, usage Usage) (*Key, error) {
	return t.generate(ctx, label, AES, bits, usage)
}

// GenerateDES is GenerateAES for a triple DES key of 128 bits (two keys) or 192
// bits (three keys), parity bits counted.
func (t *Token) GenerateDES(ctx context.Context, label string, bits int, usage Usage) (*Key, error) {
	return t.generate(ctx, label, DES, bits, usage)
}

func (t *Token) generate(ctx context.Context, label string, algorithm Algorithm, bits int, usage Usage) (*Key, error) {
	if bits%8 != 0 {
		return nil, fmt.Errorf("%w: %s key of %d bits", ErrKeyUse, algorithm, bits)
	}
	return t.store(ctx, label, algorithm, bits/8, usage, func(m *p11.Ctx, s p11.SessionHandle, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
		mechanism := uint(p11.CKM_AES_KEY_GEN)
		switch {
		case algorithm == AES:
			attributes = append(attributes, p11.NewAttribute(p11.CKA_VALUE_LEN, bits/8))
		case bits == 128:
			mechanism = p11.CKM_DES2_KEY_GEN
		default:
			mechanism = p11.CKM_DES3_KEY_GEN
		}
		return m.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, attributes)
	})
}

// ImportAES stores a key value that came from outside (key ceremony, tests).
// The key does not leave the token again. The caller zeroises value.
func (t *Token) ImportAES(ctx context.Context, label string, value []byte, usage Usage) (*Key, error) {
	return t.importKey(ctx, label, AES, value, usage)
}

// ImportDES is ImportAES for a triple DES key of 16 or 24 bytes. Parity bits
// mean nothing to the cipher; the token gets them odd, as some insist.
func (t *Token) ImportDES(ctx context.Context, label string, value []byte, usage Usage) (*Key, error) {
	value = oddParity(value)
	defer Zeroise(value)
	return t.importKey(ctx, label, DES, value, usage)
}

func (t *Token) importKey(ctx context.Context, label string, algorithm Algorithm, value []byte, usage Usage) (*Key, error) {
	return t.store(ctx, label, algorithm, len(value), usage, func(m *p11.Ctx, s p11.SessionHandle, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
		return m.CreateObject(s, append(attributes, p11.NewAttribute(p11.CKA_VALUE, value)))
	})
}

// oddParity is a copy of a DES key in which every byte has an odd number of ones.
func oddParity(value []byte) []byte {
	out := make([]byte, len(value))
	for i, b := range value {
		out[i] = b&0xFE | byte(bits.OnesCount8(b&0xFE)+1)&1
	}
	return out
}

func (t *Token) store(ctx context.Context, label string, algorithm Algorithm, size int, usage Usage,
	create func(*p11.Ctx, p11.SessionHandle, []*p11.Attribute) (p11.ObjectHandle, error),
) (*Key, error) {
	if label == "" {
		return nil, fmt.Errorf("%w: a stored key needs a label", ErrConfig)
	}
	if err := algorithm.check(size); err != nil {
		return nil, err
	}
	k := &Key{token: t, label: label, algorithm: algorithm, size: size}
	err := t.do(ctx, "key "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		// Two key ceremonies at once on one label are kept apart in this process
		// only; across processes FindKey reports the ambiguity.
		t.module.objects.Lock()
		defer t.module.objects.Unlock()
		taken, err := search(m, s, label)
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			return ErrKeyExists
		}
		attributes := append(k.template(usage), p11.NewAttribute(p11.CKA_LABEL, label),
			p11.NewAttribute(p11.CKA_EXTRACTABLE, false))
		k.conn = c
		k.handle, err = create(m, s, attributes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// TransientAES puts a key for one card into the token as a session object. It
// is extractable, so that another key may wrap it, yet sensitive, so that it
// never comes out in clear. Close destroys it; so does losing the token. The
// caller zeroises value.
func (t *Token) TransientAES(ctx context.Context, value []byte, usage Usage) (*Key, error) {
	return t.importTransient(ctx, AES, value, usage)
}

// TransientDES is TransientAES for a triple DES key of 16 or 24 bytes, with odd
// parity as ImportDES.
func (t *Token) TransientDES(ctx context.Context, value []byte, usage Usage) (*Key, error) {
	value = oddParity(value)
	defer Zeroise(value)
	return t.importTransient(ctx, DES, value, usage)
}

func (t *Token) importTransient(ctx context.Context, algorithm Algorithm, value []byte, usage Usage) (*Key, error) {
	return t.transient(ctx, algorithm, len(value), usage,
		func(m *p11.Ctx, c *connection, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
			return m.CreateObject(c.anchor, append(attributes, p11.NewAttribute(p11.CKA_VALUE, value)))
		})
}

// transient makes a session object. Those die with the session that made them:
// that is the anchor, which lives as long as the login.
func (t *Token) transient(ctx context.Context, algorithm Algorithm, size int, usage Usage,
	create func(*p11.Ctx, *connection, []*p11.Attribute) (p11.ObjectHandle, error),
) (*Key, error) {
	if err := algorithm.check(size); err != nil {
		return nil, err
	}
	k := &Key{token: t, algorithm: algorithm, size: size, transient: true}
	err := t.do(ctx, "transient key", func(m *p11.Ctx, c *connection, _ p11.SessionHandle) error {
		c.making.Lock()
		defer c.making.Unlock()
		handle, err := create(m, c, append(k.template(usage), p11.NewAttribute(p11.CKA_EXTRACTABLE, true)))
		if err != nil {
			return err
		}
		k.conn, k.handle = c, handle
		c.mu.Lock()
		if !c.dead {
			c.transient++
			t.module.addKeys(1)
		}
		c.mu.Unlock()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (k *Key) template(usage Usage) []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, k.algorithm.keyType(k.size)),
		p11.NewAttribute(p11.CKA_TOKEN, !k.transient),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true),
		p11.NewAttribute(p11.CKA_SIGN, usage&UseMAC != 0),
		p11.NewAttribute(p11.CKA_VERIFY, usage&UseMAC != 0),
		p11.NewAttribute(p11.CKA_ENCRYPT, usage&UseEncrypt != 0),
		p11.NewAttribute(p11.CKA_DECRYPT, usage&UseEncrypt != 0),
		p11.NewAttribute(p11.CKA_WRAP, usage&UseWrap != 0),
		p11.NewAttribute(p11.CKA_UNWRAP, false),
		p11.NewAttribute(p11.CKA_DERIVE, usage&UseDerive != 0),
	}
}
