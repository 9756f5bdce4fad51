package sealed

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// alg is the one algorithm (RFC 7518 section 3.4).
const alg = "ES256"

// Header is the protected header of a token (RFC 7515 section 4): all of it is signed.
type Header struct {
	Algorithm string `json:"alg"` // always ES256
	KeyID     string `json:"kid"`
	Type      string `json:"typ"`           // what the token is for
	Number    string `json:"no"`            // of what was signed: of a manifest, a list, a bundle
	Format    string `json:"fmt"`           // of the payload
	IssuedAt  int64  `json:"iat"`           // seconds since 1970 (NumericDate of RFC 7519 section 2)
	NotBefore int64  `json:"nbf"`           // first second of validity
	Expires   int64  `json:"exp,omitempty"` // first second after it; 0 never ends
	SHA256    string `json:"sha256"`        // of the payload, lower-case hexadecimal
}

// Issued is the time of signing as a time.
func (h Header) Issued() time.Time { return time.Unix(h.IssuedAt, 0).UTC() }

// From is the first moment of validity.
func (h Header) From() time.Time { return time.Unix(h.NotBefore, 0).UTC() }

// Until is the first moment after the validity; the zero time when it does not end.
func (h Header) Until() time.Time {
	if h.Expires == 0 {
		return time.Time{}
	}
	return time.Unix(h.Expires, 0).UTC()
}

// ValidAt says whether a moment lies within the validity: ErrNotYet, or ErrExpired from
// the moment Until on (RFC 7519 sections 4.1.4 and 4.1.5).
func (h Header) ValidAt(t time.Time) error {
	switch {
	case t.Before(h.From()):
		return fmt.Errorf("%w: %s is valid from %s", ErrNotYet, h.Number, h.From().Format(time.RFC3339))
	case h.Expires != 0 && !t.Before(h.Until()):
		return fmt.Errorf("%w: %s was valid until %s", ErrExpired, h.Number, h.Until().Format(time.RFC3339))
	}
	return nil
}

// Bounds of a header's texts and times.
const (
	textMost  = 128          // bytes of typ, no and fmt
	latest    = 253402300799 // the last second of the year 9999
	tokenMost = 8 << 20      // bytes of a whole token
)

func (h Header) check() error {
	for name, text := range map[string]string{"typ": h.Type, "no": h.Number, "fmt": h.Format} {
		if text == "" || len(text) > textMost || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("%w: %s must be 1 to %d bytes of printable text", ErrForm, name, textMost)
		}
	}
	for _, at := range []int64{h.IssuedAt, h.NotBefore} {
		if at < 0 || at > latest {
			return fmt.Errorf("%w: a time outside of the years 1970 to 9999", ErrForm)
		}
	}
	if h.Expires != 0 && (h.Expires <= h.NotBefore || h.Expires > latest) {
		return fmt.Errorf("%w: the validity ends before it begins", ErrForm)
	}
	return nil
}

// Signer signs digests with a private key that it alone has, such as a key in an HSM.
type Signer struct {
	public *ecdsa.PublicKey
	id     string
	sign   func(ctx context.Context, digest []byte) ([]byte, error)
}

// NewSigner makes a signer of a P-256 key: sign returns r and s, 32 bytes each, for a
// SHA-256 digest (as CKM_ECDSA of PKCS#11 does). Error: ErrForm for another kind of key.
func NewSigner(public *ecdsa.PublicKey, sign func(ctx context.Context, digest []byte) ([]byte, error)) (*Signer, error) {
	if _, _, err := coordinates(public); err != nil {
		return nil, err
	}
	return &Signer{public, KeyID(public), sign}, nil
}

// KeyID is the id of the signer's key.
func (s *Signer) KeyID() string { return s.id }

// Public is the signer's public key.
func (s *Signer) Public() *ecdsa.PublicKey { return s.public }

// Sign makes a token with its payload inside (RFC 7515 section 7.1). Algorithm, KeyID and
// SHA256 of the header are filled in.
func (s *Signer) Sign(ctx context.Context, h Header, payload []byte) ([]byte, error) {
	head, middle, signature, err := s.parts(ctx, h, payload)
	if err != nil {
		return nil, err
	}
	return []byte(head + "." + middle + "." + signature), nil
}

// SignDetached makes a token without its payload, which is kept beside it (RFC 7515
// appendix F).
func (s *Signer) SignDetached(ctx context.Context, h Header, payload []byte) ([]byte, error) {
	head, _, signature, err := s.parts(ctx, h, payload)
	if err != nil {
		return nil, err
	}
	return []byte(head + ".." + signature), nil
}

func (s *Signer) parts(ctx context.Context, h Header, payload []byte) (head, middle, signature string, err error) {
	sum := sha256.Sum256(payload)
	h.Algorithm, h.KeyID, h.SHA256 = alg, s.id, hex.EncodeToString(sum[:])
	if err := h.check(); err != nil {
		return "", "", "", err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return "", "", "", fmt.Errorf("%w: %w", ErrForm, err)
	}
	head, middle = b64.EncodeToString(raw), b64.EncodeToString(payload)
	digest := sha256.Sum256([]byte(head + "." + middle))
	rs, err := s.sign(ctx, digest[:])
	if err != nil {
		return "", "", "", fmt.Errorf("signing %s: %w", h.Number, err)
	}
	if rs, err = lowS(rs); err != nil {
		return "", "", "", err
	}
	// A signature that does not verify must not leave the house: a token that answers
	// wrongly, or has lost its key to another under the same name, is found here.
	if err := verify(s.public, digest, rs); err != nil {
		return "", "", "", fmt.Errorf("signing %s: what the key gave does not verify: %w", h.Number, err)
	}
	return head, middle, b64.EncodeToString(rs), nil
}

var (
	order     = elliptic.P256().Params().N
	halfOrder = new(big.Int).Rsh(order, 1)
)

// lowS takes, of the two signatures (r, s) and (r, n-s) that verify, the one with the
// smaller s, so that there is one.
func lowS(rs []byte) ([]byte, error) {
	if len(rs) != 2*coordinate {
		return nil, fmt.Errorf("%w: a signature of %d bytes", ErrForm, len(rs))
	}
	out := bytes.Clone(rs)
	if s := new(big.Int).SetBytes(rs[coordinate:]); s.Cmp(halfOrder) > 0 {
		s.Sub(order, s).FillBytes(out[coordinate:])
	}
	return out, nil
}

func verify(public *ecdsa.PublicKey, digest [sha256.Size]byte, rs []byte) error {
	if len(rs) != 2*coordinate {
		return fmt.Errorf("%w: a signature of %d bytes", ErrForm, len(rs))
	}
	r, s := new(big.Int).SetBytes(rs[:coordinate]), new(big.Int).SetBytes(rs[coordinate:])
	if s.Cmp(halfOrder) > 0 || !ecdsa.Verify(public, digest[:], r, s) {
		return ErrSignature
	}
	return nil
}

// Open verifies a token that has its payload inside and was signed for this purpose. It
// does not look at the validity: see Header.ValidAt. Errors: ErrForm, ErrKey,
// ErrSignature, ErrContent, ErrPurpose, ErrKeyRevoked, ErrKeyEnded.
func (k Keys) Open(purpose string, token []byte) (Header, []byte, error) {
	head, middle, signature, err := split(token)
	if err != nil {
		return Header{}, nil, err
	}
	payload, err := unbase64(middle)
	if err != nil {
		return Header{}, nil, err
	}
	h, err := k.judge(purpose, head, middle, signature, payload)
	return h, payload, err
}

// OpenDetached is Open of a token whose payload is kept beside it.
func (k Keys) OpenDetached(purpose string, token, payload []byte) (Header, error) {
	head, middle, signature, err := split(token)
	if err != nil {
		return Header{}, err
	}
	if middle != "" {
		return Header{}, fmt.Errorf("%w: the token has a payload of its own", ErrForm)
	}
	return k.judge(purpose, head, b64.EncodeToString(payload), signature, payload)
}

func split(token []byte) (head, middle, signature string, err error) {
	if len(token) > tokenMost {
		return "", "", "", fmt.Errorf("%w: a token of %d bytes", ErrForm, len(token))
	}
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 {
		return "", "", "", fmt.Errorf("%w: a token has three parts, not %d", ErrForm, len(parts))
	}
	return parts[0], parts[1], parts[2], nil
}

func (k Keys) judge(purpose, head, middle, signature string, payload []byte) (Header, error) {
	h, err := parseHeader(head)
	if err != nil {
		return Header{}, err
	}
	rs, err := unbase64(signature)
	if err != nil {
		return Header{}, err
	}
	key, known := k[h.KeyID]
	if !known || key.Public == nil {
		return Header{}, fmt.Errorf("%w: it is %s, given are %s", ErrKey, h.KeyID, strings.Join(k.IDs(), ", "))
	}
	// The hash is looked at first, because it tells a changed payload from a changed
	// header; what counts is the signature, which covers both.
	sum := sha256.Sum256(payload)
	if hex.EncodeToString(sum[:]) != h.SHA256 {
		return Header{}, fmt.Errorf("%w: SHA-256 of %s", ErrContent, h.Number)
	}
	if err := verify(key.Public, sha256.Sum256([]byte(head+"."+middle)), rs); err != nil {
		return Header{}, err
	}
	if h.Type != purpose {
		return Header{}, fmt.Errorf("%w: %s, not %s", ErrPurpose, h.Type, purpose)
	}
	if err := key.signed(h.Issued()); err != nil {
		return Header{}, fmt.Errorf("%s: %w", h.Number, err)
	}
	return h, nil
}

// parseHeader reads a header in its one form.
func parseHeader(encoded string) (h Header, err error) {
	raw, err := unbase64(encoded)
	if err != nil {
		return h, err
	}
	if err := strictly(raw, &h); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	if h.Algorithm != alg {
		return h, fmt.Errorf("%w: header: algorithm %q", ErrForm, h.Algorithm)
	}
	return h, h.check()
}

// strictly reads JSON that is exactly what Go writes for the value: one order of the
// members, each once, none unknown, no white space.
func strictly(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %v", ErrForm, err) //nolint:errorlint // the form is what is told
	}
	again, err := json.Marshal(into)
	if err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: not in canonical form", ErrForm)
	}
	return nil
}

// Peek reads the header of a token without verifying anything, to tell people what a file
// claims to be. Error: ErrForm.
func Peek(token []byte) (Header, error) {
	head, _, _, err := split(token)
	if err != nil {
		return Header{}, err
	}
	return parseHeader(head)
}
