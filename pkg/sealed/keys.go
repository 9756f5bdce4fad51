package sealed

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// coordinate is the length in bytes of a coordinate of P-256, and of r and s.
const coordinate = 32

// b64 is base64url without padding (RFC 7515 section 2).
var b64 = base64.RawURLEncoding.Strict()

// unbase64 decodes the one encoding that there is of some bytes: Go's decoder skips line
// breaks.
func unbase64(text string) ([]byte, error) {
	raw, err := b64.DecodeString(text)
	if err != nil || b64.EncodeToString(raw) != text {
		return nil, fmt.Errorf("%w: not base64url", ErrForm)
	}
	return raw, nil
}

// KeyID is the thumbprint of a P-256 public key (RFC 7638, SHA-256): the "kid" of what it
// signs. Empty for a key of another curve.
func KeyID(public *ecdsa.PublicKey) string {
	x, y, err := coordinates(public)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return b64.EncodeToString(sum[:])
}

func coordinates(public *ecdsa.PublicKey) (x, y string, err error) {
	if public == nil || public.Curve != elliptic.P256() {
		return "", "", fmt.Errorf("%w: not a P-256 key", ErrForm)
	}
	point, err := public.Bytes() // 04 || x || y
	if err != nil || len(point) != 1+2*coordinate {
		return "", "", fmt.Errorf("%w: not a point of P-256", ErrForm)
	}
	return b64.EncodeToString(point[1 : 1+coordinate]), b64.EncodeToString(point[1+coordinate:]), nil
}

// JWK is a public key as a JSON Web Key (RFC 7517, RFC 7518 section 6.2).
type JWK struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	KeyID     string `json:"kid,omitempty"`
	// Expires and Revoked tell of the key's life, see Key, in the words of OpenID
	// Federation 1.0 (historical keys), which other readers of a JWK pass over.
	Expires *int64         `json:"exp,omitempty"` // seconds since 1970; nil while it is in use
	Revoked *JWKRevocation `json:"revoked,omitempty"`
}

// NewJWK describes a P-256 public key. Error: ErrForm for any other key.
func NewJWK(public *ecdsa.PublicKey) (JWK, error) {
	x, y, err := coordinates(public)
	if err != nil {
		return JWK{}, err
	}
	return JWK{Type: "EC", Curve: "P-256", X: x, Y: y, Use: "sig", Algorithm: alg, KeyID: KeyID(public)}, nil
}

// Public is the key itself. Error: ErrForm.
func (j JWK) Public() (*ecdsa.PublicKey, error) {
	if j.Type != "EC" || j.Curve != "P-256" || j.Use != "" && j.Use != "sig" || j.Algorithm != "" && j.Algorithm != alg {
		return nil, fmt.Errorf("%w: not a P-256 key for ES256", ErrForm)
	}
	x, err := unbase64(j.X)
	if err != nil {
		return nil, err
	}
	y, err := unbase64(j.Y)
	if err != nil {
		return nil, err
	}
	if len(x) != coordinate || len(y) != coordinate {
		return nil, fmt.Errorf("%w: a coordinate of P-256 has 32 bytes", ErrForm)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, fmt.Errorf("%w: not a point of P-256", ErrForm)
	}
	if j.KeyID != "" && j.KeyID != KeyID(public) {
		return nil, fmt.Errorf("%w: kid is not the thumbprint of the key", ErrForm)
	}
	return public, nil
}

// keyFileMost bounds a key file in bytes.
const keyFileMost = 1 << 20

// ParseKeys reads a file of public keys: one JWK, a JWK Set (RFC 7517 section 5), or PEM
// with PUBLIC KEY (RFC 7468 section 13) or CERTIFICATE blocks. Of a certificate only the
// key counts. A JWK may say that the key has ended or was revoked, see Key. Error: ErrForm,
// also when the file holds a private key, which must not be here, or no key.
func ParseKeys(file []byte) (Keys, error) {
	if len(file) > keyFileMost {
		return nil, fmt.Errorf("%w: a key file of %d bytes", ErrForm, len(file))
	}
	var found []Key
	var err error
	if bytes.Contains(file, []byte("-----BEGIN ")) {
		found, err = fromPEM(file)
	} else {
		found, err = fromJSON(file)
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: no public key in the file", ErrForm)
	}
	return Collect(found...)
}

func fromPEM(file []byte) (found []Key, err error) {
	for {
		block, rest := pem.Decode(file)
		if block == nil {
			return found, nil
		}
		var public any
		switch {
		case block.Type == "PUBLIC KEY":
			public, err = x509.ParsePKIXPublicKey(block.Bytes)
		case block.Type == "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				public = c.PublicKey
			}
		case strings.Contains(block.Type, "PRIVATE"):
			return nil, fmt.Errorf("%w: the file holds a private key", ErrForm)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s block: %v", ErrForm, block.Type, err) //nolint:errorlint // the form is what is told
		}
		if public != nil {
			key, ok := public.(*ecdsa.PublicKey)
			if !ok {
				return nil, fmt.Errorf("%w: not a P-256 key", ErrForm)
			}
			found = append(found, Key{Public: key})
		}
		file = rest
	}
}

func fromJSON(file []byte) (found []Key, err error) {
	var set struct {
		JWK
		D    json.RawMessage `json:"d"`
		Keys []struct {
			JWK
			D json.RawMessage `json:"d"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(file, &set); err != nil {
		return nil, fmt.Errorf("%w: neither PEM nor a JSON Web Key", ErrForm)
	}
	if err := once(file); err != nil {
		return nil, err
	}
	private := set.D != nil
	all := []JWK{set.JWK}
	if set.Keys != nil {
		all = nil
		for _, k := range set.Keys {
			private = private || k.D != nil
			all = append(all, k.JWK)
		}
	}
	if private {
		return nil, fmt.Errorf("%w: the file holds a private key", ErrForm)
	}
	for _, j := range all {
		key, err := j.key()
		if err != nil {
			return nil, err
		}
		found = append(found, key)
	}
	return found, nil
}
