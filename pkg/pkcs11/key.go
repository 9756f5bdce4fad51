package pkcs11

import (
	"context"
	"crypto/aes"
	"crypto/des"
	"fmt"
	"slices"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// Usage says what a key may do; the token enforces it.
type Usage uint8

// Usages, to be combined.
const (
	UseMAC     Usage = 1 << iota // CMAC, and so diversification by it
	UseEncrypt                   // encryption, decryption, sealing, key check value
	UseWrap                      // wrapping other keys
	UseDerive                    // making other keys inside the token
)

// Algorithm is the cipher of a key.
type Algorithm uint8

// Algorithms. DES is always triple DES, with two or three keys; EC is a P-256 key pair
// (SigningKey), which no Key is.
const (
	AES Algorithm = iota
	DES
	EC
)

// String is the name of the cipher.
func (a Algorithm) String() string {
	switch a {
	case DES:
		return "DES"
	case EC:
		return "EC"
	}
	return "AES"
}

// check says whether a key of this many bytes exists.
func (a Algorithm) check(size int) error {
	if a != EC && (size == 16 || size == 24) || size == 32 && a == AES {
		return nil
	}
	return fmt.Errorf("%w: %s key of %d bytes", ErrKeyUse, a, size)
}

// keyType is the CKA_KEY_TYPE of a key of this many bytes.
func (a Algorithm) keyType(size int) uint {
	switch {
	case a == AES:
		return p11.CKK_AES
	case size == 16:
		return p11.CKK_DES2
	}
	return p11.CKK_DES3
}

// Key is an AES or DES key in the token, known by its label or, for transient
// keys, by its handle. Its value is never shown.
type Key struct {
	token     *Token
	label     string
	algorithm Algorithm
	size      int // bytes
	transient bool

	mu     sync.Mutex
	conn   *connection // in which handle is valid
	handle p11.ObjectHandle
	closed bool
}

// Label is the key's label, empty for transient keys.
func (k *Key) Label() string { return k.label }

// Algorithm is the key's cipher.
func (k *Key) Algorithm() Algorithm { return k.algorithm }

// Size is the key's length in bytes: 16, 24 or 32 for AES, 16 or 24 for DES.
func (k *Key) Size() int { return k.size }

// block is the cipher's block in bytes.
func (k *Key) block() int {
	if k.algorithm == DES {
		return des.BlockSize
	}
	return aes.BlockSize
}

// FindKey finds the AES or DES key with this label. ErrKeyNotFound when there is
// none; ErrConfig when there are several.
func (t *Token) FindKey(ctx context.Context, label string) (*Key, error) {
	k := &Key{token: t, label: label}
	err := t.do(ctx, "key "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		handle, algorithm, size, err := t.find(m, c, s, label)
		k.conn, k.handle, k.algorithm, k.size = c, handle, algorithm, size
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

func (t *Token) find(m *p11.Ctx, c *connection, s p11.SessionHandle, label string) (p11.ObjectHandle, Algorithm, int, error) {
	t.module.objects.RLock()
	defer t.module.objects.RUnlock()
	handles, err := search(m, s, label)
	if err != nil {
		return 0, 0, 0, err
	}
	if len(handles) == 0 {
		// SoftHSM shows an empty token after its directory has vanished.
		if _, err := m.GetTokenInfo(c.slot); err != nil {
			return 0, 0, 0, lost(err)
		}
		return 0, 0, 0, ErrKeyNotFound
	}
	if len(handles) > 1 {
		return 0, 0, 0, fmt.Errorf("%w: several keys labelled %q", ErrConfig, label)
	}
	algorithm, size, err := kind(m, s, handles[0])
	return handles[0], algorithm, size, err
}

// kind is the cipher and size of a key. DES keys have no CKA_VALUE_LEN.
func kind(m *p11.Ctx, s p11.SessionHandle, handle p11.ObjectHandle) (Algorithm, int, error) {
	one := func(attribute uint) (uint64, error) {
		got, err := m.GetAttributeValue(s, handle, []*p11.Attribute{p11.NewAttribute(attribute, nil)})
		if err != nil {
			return 0, err
		}
		return ulong(got[0].Value), nil
	}
	is, err := one(p11.CKA_KEY_TYPE)
	if err != nil {
		return 0, 0, err
	}
	switch is {
	case p11.CKK_DES2:
		return DES, 16, nil
	case p11.CKK_DES3:
		return DES, 24, nil
	case p11.CKK_AES:
		size, err := one(p11.CKA_VALUE_LEN)
		return AES, int(size), err
	}
	return 0, 0, fmt.Errorf("%w: neither AES nor triple DES", ErrKeyUse)
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
	return searchClass(m, s, p11.CKO_SECRET_KEY, label)
}

// searchClass finds up to two stored objects of a class with this label.
func searchClass(m *p11.Ctx, s p11.SessionHandle, class uint, label string) ([]p11.ObjectHandle, error) {
	if err := m.FindObjectsInit(s, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, class),
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

// Labels are the labels of all secret keys stored in the token, sorted.
func (t *Token) Labels(ctx context.Context) (labels []string, err error) {
	err = t.do(ctx, "labels", func(m *p11.Ctx, c *connection, s p11.SessionHandle) (err error) {
		labels, err = allLabels(m, c, s, p11.CKO_SECRET_KEY)
		return err
	})
	slices.Sort(labels)
	return labels, err
}

// allLabels are the labels of all stored objects of a class.
func allLabels(m *p11.Ctx, c *connection, s p11.SessionHandle, class uint) (labels []string, err error) {
	if err := m.FindObjectsInit(s, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_TOKEN, true),
	}); err != nil {
		return nil, err
	}
	var all []p11.ObjectHandle
	for {
		some, _, err := m.FindObjects(s, 64)
		if err != nil {
			return nil, err
		}
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	if err := m.FindObjectsFinal(s); err != nil {
		return nil, err
	}
	for _, h := range all {
		got, err := m.GetAttributeValue(s, h, []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, nil)})
		if err != nil {
			return nil, err
		}
		labels = append(labels, string(got[0].Value))
	}
	if len(all) == 0 { // as in find
		if _, err := m.GetTokenInfo(c.slot); err != nil {
			return nil, lost(err)
		}
	}
	return labels, nil
}

// Kept says whether the token keeps the key's value to itself: sensitive, and not
// extractable even wrapped. It asks the token and does not rest on how the key was
// made.
func (k *Key) Kept(ctx context.Context) (kept bool, err error) {
	err = k.with(ctx, "attributes", func(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) (err error) {
		kept, err = isKept(m, s, h)
		return err
	})
	return kept, err
}

func isKept(m *p11.Ctx, s p11.SessionHandle, h p11.ObjectHandle) (bool, error) {
	got, err := m.GetAttributeValue(s, h, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_SENSITIVE, nil), p11.NewAttribute(p11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return false, err
	}
	return ulong(got[0].Value) != 0 && ulong(got[1].Value) == 0, nil
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
	handle, algorithm, size, err := k.token.find(m, c, s, k.label)
	if err != nil {
		return 0, err
	}
	if algorithm != k.algorithm || size != k.size {
		return 0, fmt.Errorf("%w: %q is a key of another kind now", ErrConfig, k.label)
	}
	k.conn, k.handle = c, handle
	return handle, nil
}
