package pkcs11

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"sync"

	p11 "github.com/miekg/pkcs11"
)

// SigningKey is a P-256 key pair in the token, known by its label. The private key never
// comes out; it signs and does nothing else.
type SigningKey struct {
	token  *Token
	label  string
	public *ecdsa.PublicKey

	mu     sync.Mutex
	conn   *connection // in which handle is valid
	handle p11.ObjectHandle
}

// p256 is the OBJECT IDENTIFIER of the curve in DER (RFC 5480 section 2.1.1.1): CKA_EC_PARAMS.
var p256 = []byte{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07}

// SignatureSize is the length in bytes of a signature: r and s, 32 bytes each.
const SignatureSize = 64

// GenerateSigning makes a P-256 key pair whose private half never leaves the token
// (sensitive, not extractable). ErrKeyExists when the label is taken, by whatever key.
func (t *Token) GenerateSigning(ctx context.Context, label string) (*SigningKey, error) {
	if label == "" {
		return nil, fmt.Errorf("%w: a stored key needs a label", ErrConfig)
	}
	err := t.do(ctx, "key pair "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		c.making.Lock() // as in store
		defer c.making.Unlock()
		for _, class := range []uint{p11.CKO_SECRET_KEY, p11.CKO_PRIVATE_KEY, p11.CKO_PUBLIC_KEY} {
			taken, err := searchClass(m, s, class, label)
			if err != nil {
				return err
			}
			if len(taken) > 0 {
				return ErrKeyExists
			}
		}
		id, err := m.GenerateRandom(s, 16) // what ties the two halves for other tools
		if err != nil {
			return err
		}
		_, _, err = m.GenerateKeyPair(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_EC_KEY_PAIR_GEN, nil)},
			[]*p11.Attribute{
				p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_EC),
				p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
				p11.NewAttribute(p11.CKA_EC_PARAMS, p256), p11.NewAttribute(p11.CKA_VERIFY, true),
			},
			[]*p11.Attribute{
				p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_EC),
				p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
				p11.NewAttribute(p11.CKA_PRIVATE, true), p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
				p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_DECRYPT, false), p11.NewAttribute(p11.CKA_UNWRAP, false), p11.NewAttribute(p11.CKA_DERIVE, false),
			})
		return err
	})
	if err != nil {
		return nil, err
	}
	return t.FindSigning(ctx, label)
}

// FindSigning finds the key pair with this label and has it sign once, so that the public
// key is known to belong to the private one. Errors: ErrKeyNotFound; ErrKeyUse for a key
// of another kind; ErrConfig when there are several, or the halves do not belong together.
func (t *Token) FindSigning(ctx context.Context, label string) (*SigningKey, error) {
	k := &SigningKey{token: t, label: label}
	err := t.do(ctx, "key pair "+label, func(m *p11.Ctx, c *connection, s p11.SessionHandle) (err error) {
		if k.handle, err = findOne(m, c, s, p11.CKO_PRIVATE_KEY, label); err != nil {
			return err
		}
		k.conn = c
		public, err := findOne(m, c, s, p11.CKO_PUBLIC_KEY, label)
		if err != nil {
			return err
		}
		k.public, err = point(m, s, public)
		return err
	})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte("key pair " + label))
	rs, err := k.Sign(ctx, digest[:])
	if err != nil {
		return nil, err
	}
	if !ecdsa.Verify(k.public, digest[:], new(big.Int).SetBytes(rs[:SignatureSize/2]), new(big.Int).SetBytes(rs[SignatureSize/2:])) {
		return nil, fmt.Errorf("%w: the public key %q does not belong to the private one", ErrConfig, label)
	}
	return k, nil
}

// findOne is the one object of a class with this label.
func findOne(m *p11.Ctx, c *connection, s p11.SessionHandle, class uint, label string) (p11.ObjectHandle, error) {
	handles, err := searchClass(m, s, class, label)
	switch {
	case err != nil:
		return 0, err
	case len(handles) > 1:
		return 0, fmt.Errorf("%w: several keys labelled %q", ErrConfig, label)
	case len(handles) == 0:
		if _, err := m.GetTokenInfo(c.slot); err != nil { // as in find
			return 0, lost(err)
		}
		return 0, ErrKeyNotFound
	}
	return handles[0], nil
}

// point reads a public key: CKA_EC_POINT is an OCTET STRING that holds the uncompressed
// point (PKCS#11 v2.40 current mechanisms, section 2.3.3).
func point(m *p11.Ctx, s p11.SessionHandle, handle p11.ObjectHandle) (*ecdsa.PublicKey, error) {
	got, err := m.GetAttributeValue(s, handle, []*p11.Attribute{
		p11.NewAttribute(p11.CKA_KEY_TYPE, nil), p11.NewAttribute(p11.CKA_EC_PARAMS, nil), p11.NewAttribute(p11.CKA_EC_POINT, nil),
	})
	if code(err) == p11.CKR_ATTRIBUTE_TYPE_INVALID {
		return nil, fmt.Errorf("%w: not a P-256 key", ErrKeyUse)
	}
	if err != nil {
		return nil, err
	}
	if ulong(got[0].Value) != p11.CKK_EC || !bytes.Equal(got[1].Value, p256) {
		return nil, fmt.Errorf("%w: not a P-256 key", ErrKeyUse)
	}
	var raw []byte
	if rest, err := asn1.Unmarshal(got[2].Value, &raw); err != nil || len(rest) > 0 {
		raw = got[2].Value // some tokens leave the OCTET STRING out
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the token's public key is no point of P-256", ErrConfig)
	}
	return public, nil
}

// Label is the key's label.
func (k *SigningKey) Label() string { return k.label }

// Public is the public key.
func (k *SigningKey) Public() *ecdsa.PublicKey { return k.public }

// Sign signs a SHA-256 digest (CKM_ECDSA): r and s, 32 bytes each.
func (k *SigningKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if len(digest) != sha256.Size {
		return nil, fmt.Errorf("sign: %w: a digest of %d bytes", ErrKeyUse, len(digest))
	}
	var out []byte
	err := k.token.do(ctx, "sign", func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		handle, err := k.in(m, c, s)
		if err != nil {
			return err
		}
		if err := m.SignInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDSA, nil)}, handle); err != nil {
			return err
		}
		if out, err = m.Sign(s, digest); err == nil && len(out) != SignatureSize {
			err = fmt.Errorf("%w: a signature of %d bytes", ErrKeyUse, len(out))
		}
		return err
	})
	return out, err
}

// Kept is Key.Kept of the private key.
func (k *SigningKey) Kept(ctx context.Context) (kept bool, err error) {
	err = k.token.do(ctx, "attributes", func(m *p11.Ctx, c *connection, s p11.SessionHandle) error {
		handle, err := k.in(m, c, s)
		if err != nil {
			return err
		}
		kept, err = isKept(m, s, handle)
		return err
	})
	return kept, err
}

// in gives the private key's handle in this connection; it is looked up again after the
// token was away.
func (k *SigningKey) in(m *p11.Ctx, c *connection, s p11.SessionHandle) (p11.ObjectHandle, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn == c {
		return k.handle, nil
	}
	public, err := findOne(m, c, s, p11.CKO_PUBLIC_KEY, k.label)
	if err != nil {
		return 0, err
	}
	now, err := point(m, s, public)
	if err != nil {
		return 0, err
	}
	if !now.Equal(k.public) {
		return 0, fmt.Errorf("%w: %q is another key pair now", ErrConfig, k.label)
	}
	handle, err := findOne(m, c, s, p11.CKO_PRIVATE_KEY, k.label)
	if err != nil {
		return 0, err
	}
	k.conn, k.handle = c, handle
	return handle, nil
}

// SigningLabels are the labels of all private keys stored in the token, sorted.
func (t *Token) SigningLabels(ctx context.Context) (labels []string, err error) {
	err = t.do(ctx, "labels", func(m *p11.Ctx, c *connection, s p11.SessionHandle) (err error) {
		labels, err = allLabels(m, c, s, p11.CKO_PRIVATE_KEY)
		return err
	})
	slices.Sort(labels)
	return labels, err
}
