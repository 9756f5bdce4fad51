package pkcs11

import (
	"context"
	"fmt"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// Usage says what a key may do; the token enforces it.
type Usage uint8

// Usages, to be combined.
const (
	UseMAC     Usage = 1 << iota // CMAC, and so diversification
	UseEncrypt                   // encryption, decryption, sealing, key check value
	UseWrap                      // wrapping other keys
)

// Key is an AES key in the token, known by its label or, for transient keys, by
// its handle. Its value is never shown.
type Key struct {
	token     *Token
	label     string
	size      int // bytes
	transient bool

	mu     sync.Mutex
	conn   *connection // in which handle is valid
	handle p11.ObjectHandle
	closed bool
}

// Label is the key's label, empty for transient keys.
func (k *Key) Label() string { return k.label }

// Size is the key's length in bytes: 16, 24 or 32.
func (k *Key) Size() int { return k.size }

// FindKey finds the AES key with this label. ErrKeyNotFound when there is none;
// ErrConfig when there are several.
func (t *Token) FindKey(ctx context.Context, label string) (*Key, error) {
	k := &Key{token: t, label: label}
	err := t.do(ctx, "key "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		handle, size, err := find(m, c, s, label)
		k.conn, k.handle, k.size = c, handle, size
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func find(m *p11.Ctx, c *connection, s p11.SessionHandle, label string) (p11.ObjectHandle, int, error) {
	handles, err := search(m, s, label)
	if err != nil {
		return 0, 0, err
	}
	if len(handles) == 0 {
		// SoftHSM shows an empty token after its directory has vanished.
		if _, err := m.GetTokenInfo(c.slot); err != nil {
			return 0, 0, lost(err)
		}
		return 0, 0, ErrKeyNotFound
	}
	if len(handles) > 1 {
		return 0, 0, fmt.Errorf("%w: several keys labelled %q", ErrConfig, label)
	}
	attributes, err := m.GetAttributeValue(s, handles[0], []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE_LEN, nil)})
	if err != nil {
		return 0, 0, err
	}
	return handles[0], int(ulong(attributes[0].Value)), nil
}

// ulong reads a CK_ULONG, which comes in the machine's (little-endian) order.
func ulong(b []byte) uint64 {
	var n uint64
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}

func search(m *p11.Ctx, s p11.SessionHandle, label string) ([]p11.ObjectHandle, error) {
	if err := m.FindObjectsInit(s, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_TOKEN, true),
		p11.NewAttribute(p11.CKA_LABEL, label),
	}); err != nil {
		return nil, err
	}
	handles, _, err := m.FindObjects(s, 2)
	if e := m.FindObjectsFinal(s); err == nil {
		err = e
	}
	return handles, err
}

// GenerateAES makes a key of 128, 192 or 256 bits that never leaves the token
// (sensitive, not extractable). ErrKeyExists when the label is taken.
func (t *Token) GenerateAES(ctx context.Context, label string, bits int, usage Usage) (*Key, error) {
	if bits%8 != 0 {
		return nil, fmt.Errorf("%w: AES key of %d bits", ErrKeyUse, bits)
	}
	return t.store(ctx, label, bits/8, usage, func(m *p11.Ctx, s p11.SessionHandle, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
		return m.GenerateKey(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_GEN, nil)},
			append(attributes, p11.NewAttribute(p11.CKA_VALUE_LEN, bits/8)))
	})
}

// ImportAES stores a key value that came from outside (key ceremony, tests).
// The key does not leave the token again. The caller zeroises value.
func (t *Token) ImportAES(ctx context.Context, label string, value []byte, usage Usage) (*Key, error) {
	return t.store(ctx, label, len(value), usage, func(m *p11.Ctx, s p11.SessionHandle, attributes []*p11.Attribute) (p11.ObjectHandle, error) {
		return m.CreateObject(s, append(attributes, p11.NewAttribute(p11.CKA_VALUE, value)))
	})
}

func (t *Token) store(ctx context.Context, label string, size int, usage Usage,
	create func(*p11.Ctx, p11.SessionHandle, []*p11.Attribute) (p11.ObjectHandle, error),
) (*Key, error) {
	if label == "" {
		return nil, fmt.Errorf("%w: a stored key needs a label", ErrConfig)
	}
	if err := validSize(size); err != nil {
		return nil, err
	}
	k := &Key{token: t, label: label, size: size}
	err := t.do(ctx, "key "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		// Two key ceremonies at once on one label are kept apart in this process
		// by the anchor; across processes FindKey reports the ambiguity.
		c.making.Lock()
		defer c.making.Unlock()
		taken, err := search(m, s, label)
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			return ErrKeyExists
		}
		attributes := append(template(true, usage), p11.NewAttribute(p11.CKA_LABEL, label),
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
	if err := validSize(len(value)); err != nil {
		return nil, err
	}
	k := &Key{token: t, size: len(value), transient: true}
	err := t.do(ctx, "transient key", func(m *p11.Ctx, c *connection, _ p11.SessionHandle) error {
		// Session objects die with the session that made them: that is the
		// anchor, which lives as long as the login.
		c.making.Lock()
		defer c.making.Unlock()
		handle, err := m.CreateObject(c.anchor, append(template(false, usage),
			p11.NewAttribute(p11.CKA_EXTRACTABLE, true), p11.NewAttribute(p11.CKA_VALUE, value)))
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

func validSize(size int) error {
	if size != 16 && size != 24 && size != 32 {
		return fmt.Errorf("%w: AES key of %d bytes", ErrKeyUse, size)
	}
	return nil
}

func template(token bool, usage Usage) []*p11.Attribute {
	return []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY),
		p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_AES),
		p11.NewAttribute(p11.CKA_TOKEN, token),
		p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true),
		p11.NewAttribute(p11.CKA_SIGN, usage&UseMAC != 0),
		p11.NewAttribute(p11.CKA_VERIFY, usage&UseMAC != 0),
		p11.NewAttribute(p11.CKA_ENCRYPT, usage&UseEncrypt != 0),
		p11.NewAttribute(p11.CKA_DECRYPT, usage&UseEncrypt != 0),
		p11.NewAttribute(p11.CKA_WRAP, usage&UseWrap != 0),
		p11.NewAttribute(p11.CKA_UNWRAP, false),
		p11.NewAttribute(p11.CKA_DERIVE, false),
	}
}

// Close destroys a transient key in the token and forgets the handle of any
// other. It may be called twice.
func (k *Key) Close() error {
	k.mu.Lock()
	done := k.closed
	k.closed = true
	c, handle := k.conn, k.handle
	k.mu.Unlock() // never held while waiting for the module
	if done || !k.transient {
		return nil
	}
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return nil // the object died with its session
	}
	c.transient--
	c.mu.Unlock()
	m := k.token.module
	defer m.addKeys(-1) // only after the object is gone may the library restart
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !m.ready || m.life != c.life {
		return nil
	}
	c.making.Lock()
	defer c.making.Unlock()
	if err := m.ctx.DestroyObject(c.anchor, handle); err != nil && !gone(err) {
		return name("destroy transient key", err)
	}
	return nil
}

// in gives the key's handle in this connection. A stored key is looked up again
// after the token was away; a transient one is lost.
func (k *Key) in(m *p11.Ctx, c *connection, s p11.SessionHandle) (p11.ObjectHandle, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return 0, ErrClosed
	case k.conn == c:
		return k.handle, nil
	case k.transient:
		return 0, fmt.Errorf("%w: the transient key was lost with the connection", ErrTokenGone)
	}
	handle, size, err := find(m, c, s, k.label)
	if err != nil {
		return 0, err
	}
	k.conn, k.handle, k.size = c, handle, size
	return handle, nil
}
