package sealed_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/sealed"
)

const purpose = "test-paper"

var moment = time.Date(2026, 11, 23, 2, 30, 0, 0, time.UTC)

// signer is a key outside of any token, as the tests of a produsen would make it.
func signer(t testing.TB) (*sealed.Signer, *ecdsa.PrivateKey, sealed.Keys) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s, err := sealed.NewSigner(&private.PublicKey, func(_ context.Context, digest []byte) ([]byte, error) { return raw(private, digest) })
	require.NoError(t, err)
	keys, err := sealed.NewKeys(&private.PublicKey)
	require.NoError(t, err)
	return s, private, keys
}

func raw(private *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out, nil
}

func header() sealed.Header {
	return sealed.Header{Type: purpose, Number: "MF-2026-000001", Format: "json/1", IssuedAt: moment.Unix(), NotBefore: moment.Unix(), Expires: moment.AddDate(1, 0, 0).Unix()}
}

// named are the errors that a changed file may end in.
var named = []error{sealed.ErrForm, sealed.ErrKey, sealed.ErrSignature, sealed.ErrContent, sealed.ErrPurpose}

func requireNamed(t *testing.T, err error, where ...any) {
	t.Helper()
	for _, n := range named {
		if errors.Is(err, n) {
			return
		}
	}
	require.Fail(t, "no named error", "%v %v", err, where)
}

// flips calls do with the bytes changed at each place, bit by bit and to other characters
// of a token, put back afterwards.
func flips(whole []byte, do func(changed []byte, at int)) {
	b := bytes.Clone(whole)
	for i, was := range b {
		for _, now := range []byte{was ^ 1, was ^ 2, was ^ 4, was ^ 8, was ^ 16, was ^ 32, was ^ 64, was ^ 128, 0, ' ', '\n', '\r', '=', '.', 'A', '_'} {
			if now != was {
				b[i] = now
				do(b, i)
			}
		}
		b[i] = was
	}
}

func TestATokenChangedInAnyByteFails(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	payload := []byte(`{"reader":"RD-1"}`)
	token, err := s.SignDetached(t.Context(), header(), payload)
	require.NoError(t, err)
	h, err := keys.OpenDetached(purpose, token, payload)
	require.NoError(t, err)
	require.Equal(t, "MF-2026-000001", h.Number)
	flips(token, func(changed []byte, at int) {
		_, err := keys.OpenDetached(purpose, changed, payload)
		requireNamed(t, err, at, string(changed))
	})
	flips(payload, func(changed []byte, at int) {
		_, err := keys.OpenDetached(purpose, token, changed)
		require.ErrorIs(t, err, sealed.ErrContent, at)
	})
	for i := range len(token) + 1 { // added and missing bytes
		for _, more := range []string{" ", "\n", "\r\n", "=", "A", ".", "\x00"} {
			_, err := keys.OpenDetached(purpose, []byte(string(token[:i])+more+string(token[i:])), payload)
			requireNamed(t, err, i, more)
		}
		if i < len(token) {
			_, err := keys.OpenDetached(purpose, append(bytes.Clone(token[:i]), token[i+1:]...), payload)
			requireNamed(t, err, i)
			_, err = keys.OpenDetached(purpose, token[:i], payload)
			requireNamed(t, err, i)
		}
	}
	_, err = keys.OpenDetached("another", token, payload)
	require.ErrorIs(t, err, sealed.ErrPurpose)
}

func TestAPayloadInsideIsCoveredToo(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	token, err := s.Sign(t.Context(), header(), []byte("isi"))
	require.NoError(t, err)
	_, payload, err := keys.Open(purpose, token)
	require.NoError(t, err)
	require.Equal(t, "isi", string(payload))
	flips(token, func(changed []byte, at int) {
		_, _, err := keys.Open(purpose, changed)
		requireNamed(t, err, at)
	})
	_, err = keys.OpenDetached(purpose, token, []byte("isi"))
	require.ErrorIs(t, err, sealed.ErrForm, "a payload of its own is not overlooked")
}

// signedAs signs any header text with the true key: what a careless or other signer could
// have made, and what this one never makes.
func signedAs(t *testing.T, private *ecdsa.PrivateKey, head string, payload []byte) []byte {
	t.Helper()
	enc := base64.RawURLEncoding
	input := enc.EncodeToString([]byte(head)) + "." + enc.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	rs, err := raw(private, digest[:])
	require.NoError(t, err)
	if s := new(big.Int).SetBytes(rs[32:]); s.Cmp(new(big.Int).Rsh(elliptic.P256().Params().N, 1)) > 0 {
		s.Sub(elliptic.P256().Params().N, s).FillBytes(rs[32:])
	}
	first, _, _ := strings.Cut(input, ".")
	return []byte(first + ".." + enc.EncodeToString(rs))
}

func TestOnlyOneFormOfAHeaderIsAccepted(t *testing.T) {
	t.Parallel()
	s, private, keys := signer(t)
	payload := []byte("isi")
	token, err := s.SignDetached(t.Context(), header(), payload)
	require.NoError(t, err)
	encoded, _, _ := strings.Cut(string(token), ".")
	head, err := base64.RawURLEncoding.DecodeString(encoded)
	require.NoError(t, err)
	good := string(head)
	_, err = keys.OpenDetached(purpose, signedAs(t, private, good, payload), payload)
	require.NoError(t, err, "the helper signs as the signer does")
	with := func(old, now string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, now, 1)
	}
	for name, h := range map[string]string{
		"no algorithm":           with(`"alg":"ES256"`, `"alg":"none"`),
		"a shared secret":        with(`"alg":"ES256"`, `"alg":"HS256"`),
		"another curve":          with(`"alg":"ES256"`, `"alg":"ES384"`),
		"lower case":             with(`"alg":"ES256"`, `"alg":"es256"`),
		"crit":                   with(`{`, `{"crit":["b64"],"b64":false,`),
		"unknown member":         with(`{`, `{"x":1,`),
		"a key in it":            with(`{`, `{"jwk":{},`),
		"an address of keys":     with(`{`, `{"jku":"https://example.test/k",`),
		"member twice":           with(`"no":"MF-2026-000001"`, `"no":"MF-2026-000002","no":"MF-2026-000001"`),
		"member in another case": with(`"kid"`, `"KID"`),
		"white space":            with(`,"typ"`, `, "typ"`),
		"a line after it":        good + "\n",
		"two values":             good + good,
		"escaped letter":         with(`MF-`, `\u004dF-`),
		"time as 1e9":            with(`"iat":1795401000`, `"iat":1.795401e9`),
		"null":                   with(`"fmt":"json/1"`, `"fmt":null`),
		"empty number":           with(`"no":"MF-2026-000001"`, `"no":""`),
		"control character":      with(`MF-`, `MF\u0007-`),
		"exp before nbf":         with(`"exp":`, `"exp":1,"x":`),
		"an array":               `[` + good + `]`,
		"nothing":                ``,
	} {
		_, err := keys.OpenDetached(purpose, signedAs(t, private, h, payload), payload)
		require.ErrorIs(t, err, sealed.ErrForm, name)
	}
	_, err = keys.OpenDetached(purpose, signedAs(t, private, with(keys.IDs()[0], "x"), payload), payload)
	require.ErrorIs(t, err, sealed.ErrKey)
}

func TestTheSecondSignatureOfECDSAIsRefused(t *testing.T) {
	t.Parallel()
	s, private, keys := signer(t)
	token, err := s.SignDetached(t.Context(), header(), []byte("isi"))
	require.NoError(t, err)
	parts := strings.Split(string(token), ".")
	rs, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	n := elliptic.P256().Params().N
	high := new(big.Int).Sub(n, new(big.Int).SetBytes(rs[32:]))
	digest := sha256.Sum256([]byte(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte("isi"))))
	require.True(t, ecdsa.Verify(&private.PublicKey, digest[:], new(big.Int).SetBytes(rs[:32]), high), "to ECDSA it is a signature as good as the first")
	high.FillBytes(rs[32:])
	_, err = keys.OpenDetached(purpose, []byte(parts[0]+".."+base64.RawURLEncoding.EncodeToString(rs)), []byte("isi"))
	require.ErrorIs(t, err, sealed.ErrSignature)
	for _, zero := range [][]byte{make([]byte, 64), append(bytes.Clone(rs[:32]), make([]byte, 32)...), append(make([]byte, 32), rs[32:]...)} {
		_, err = keys.OpenDetached(purpose, []byte(parts[0]+".."+base64.RawURLEncoding.EncodeToString(zero)), []byte("isi"))
		require.ErrorIs(t, err, sealed.ErrSignature)
	}
}

func TestWrongKeyAndValidity(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	_, _, others := signer(t)
	token, err := s.SignDetached(t.Context(), header(), nil)
	require.NoError(t, err)
	_, err = others.OpenDetached(purpose, token, nil)
	require.ErrorIs(t, err, sealed.ErrKey)
	// Another key under the id of the first one fails by the signature.
	forged := sealed.Keys{s.KeyID(): others[others.IDs()[0]]}
	_, err = forged.OpenDetached(purpose, token, nil)
	require.ErrorIs(t, err, sealed.ErrSignature)
	h, err := keys.OpenDetached(purpose, token, nil)
	require.NoError(t, err)
	require.ErrorIs(t, h.ValidAt(moment.Add(-time.Second)), sealed.ErrNotYet)
	require.NoError(t, h.ValidAt(moment))
	require.NoError(t, h.ValidAt(h.Until().Add(-time.Nanosecond)))
	require.ErrorIs(t, h.ValidAt(h.Until()), sealed.ErrExpired)
}

func TestASignerThatGivesNonsenseIsFoundOut(t *testing.T) {
	t.Parallel()
	s, private, _ := signer(t)
	_, other, _ := signer(t)
	for name, sign := range map[string]func(context.Context, []byte) ([]byte, error){
		"another key": func(_ context.Context, d []byte) ([]byte, error) { return raw(other, d) },
		"short":       func(context.Context, []byte) ([]byte, error) { return make([]byte, 63), nil },
		"away":        func(context.Context, []byte) ([]byte, error) { return nil, io.ErrUnexpectedEOF },
	} {
		bad, err := sealed.NewSigner(&private.PublicKey, sign)
		require.NoError(t, err)
		_, err = bad.Sign(t.Context(), header(), nil)
		require.Error(t, err, name)
	}
	h := header()
	h.Expires = h.NotBefore
	_, err := s.Sign(t.Context(), h, nil)
	require.ErrorIs(t, err, sealed.ErrForm)
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	s, private, keys := signer(t)
	_, _, other := signer(t)
	j, err := sealed.NewJWK(s.Public())
	require.NoError(t, err)
	one, err := json.Marshal(j)
	require.NoError(t, err)
	k, err := other[other.IDs()[0]].JWK()
	require.NoError(t, err)
	set, err := json.MarshalIndent(map[string]any{"keys": []sealed.JWK{j, k}}, "", "  ")
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for name, file := range map[string][]byte{"one": one, "pem": text} {
		got, err := sealed.ParseKeys(file)
		require.NoError(t, err, name)
		require.Equal(t, keys.IDs(), got.IDs(), name)
	}
	got, err := sealed.ParseKeys(set)
	require.NoError(t, err)
	require.Len(t, got, 2)

	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	for name, file := range map[string][]byte{
		"nothing": nil, "text": []byte("kunci"), "empty set": []byte(`{"keys":[]}`),
		"private JWK":  bytes.Replace(one, []byte(`{`), []byte(`{"d":"AAAA",`), 1),
		"private PEM":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		"other curve":  bytes.Replace(one, []byte("P-256"), []byte("P-384"), 1),
		"other kid":    bytes.Replace(one, []byte(j.KeyID), []byte(k.KeyID), 1),
		"not on curve": bytes.Replace(one, []byte(j.Y), []byte(k.Y), 1),
	} {
		_, err := sealed.ParseKeys(file)
		require.ErrorIs(t, err, sealed.ErrForm, name)
	}
}

// TestThumbprintOfRFC holds KeyID against a key whose thumbprint is computed by hand from
// RFC 7638 section 3: the key of RFC 7515 appendix A.3, its members in order, no spaces.
func TestThumbprintOfRFC(t *testing.T) {
	t.Parallel()
	j := sealed.JWK{Type: "EC", Curve: "P-256", X: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", Y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
	public, err := j.Public()
	require.NoError(t, err)
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`))
	require.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), sealed.KeyID(public))
}

func bundle(t testing.TB, s *sealed.Signer, files ...sealed.File) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, sealed.WriteBundle(t.Context(), &out, s, header(), "dua berkas", files))
	return out.Bytes()
}

func open(keys sealed.Keys, b []byte) (*sealed.Bundle, error) {
	return keys.OpenBundle(bytes.NewReader(b), int64(len(b)))
}

func TestABundleOpensHereAndWithAnyZipProgram(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	files := []sealed.File{{"a.json", []byte(`{}`)}, {"sub/kosong.txt", nil}}
	whole := bundle(t, s, files...)
	b, err := open(keys, whole)
	require.NoError(t, err)
	require.Equal(t, "MF-2026-000001", b.Header.Number)
	require.Equal(t, "dua berkas", b.Index.About)
	require.Len(t, b.Index.Members, 2)
	z, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	require.NoError(t, err)
	require.Len(t, z.File, 3)
	for i, f := range files {
		got, err := b.Read(f.Name)
		require.NoError(t, err)
		require.Equal(t, string(f.Data), string(got))
		r, err := z.File[i+1].Open()
		require.NoError(t, err)
		got, err = io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, string(f.Data), string(got))
		require.Equal(t, "2026-11-23 09:30:00", z.File[i+1].Modified.Format(time.DateTime))
	}
	_, err = b.Read("lain")
	require.ErrorIs(t, err, sealed.ErrForm)
}

func TestABundleChangedInAnyByteFails(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	_, _, others := signer(t)
	whole := bundle(t, s, sealed.File{Name: "a.json", Data: []byte(`{"a":1}`)}, sealed.File{Name: "b/c.txt", Data: []byte("PK\x05\x06 isi")})
	_, err := open(others, whole)
	require.ErrorIs(t, err, sealed.ErrKey)
	flips(whole, func(changed []byte, at int) {
		_, err := open(keys, changed)
		requireNamed(t, err, at)
	})
	for i := range len(whole) + 1 {
		_, err := open(keys, append(append(bytes.Clone(whole[:i]), 0), whole[i:]...))
		requireNamed(t, err, i)
		if i < len(whole) {
			_, err := open(keys, append(bytes.Clone(whole[:i]), whole[i+1:]...))
			requireNamed(t, err, i)
			_, err = open(keys, whole[:i])
			requireNamed(t, err, i)
			_, err = open(keys, whole[i:])
			if i > 0 {
				requireNamed(t, err, i)
			}
		}
	}
	// Two bundles in one file, either way round.
	second := bundle(t, s)
	_, err = open(keys, append(bytes.Clone(whole), second...))
	requireNamed(t, err)
	_, err = open(keys, append(bytes.Clone(second), whole...))
	requireNamed(t, err)
}

// TestASealedZipOfAnotherFormFails takes what the true key has signed, and is still not a
// bundle: the seal alone does not make one.
func TestASealedZipOfAnotherFormFails(t *testing.T) {
	t.Parallel()
	s, _, keys := signer(t)
	h := header()
	h.Type = sealed.BundlePurpose
	good := bundle(t, s, sealed.File{Name: "a.txt", Data: []byte("isi")})
	reseal := func(body []byte) []byte {
		sum := sha256.Sum256(body)
		token, err := s.Sign(t.Context(), h, []byte(`{"sha256":"`+hexOf(sum[:])+`"}`))
		require.NoError(t, err)
		return append(bytes.Clone(body), token...)
	}
	tokenAt := bytes.LastIndex(good, []byte("PK\x05\x06")) + 22
	_, err := open(keys, reseal(good[:tokenAt]))
	require.NoError(t, err, "resealed as it was")
	flips(good[:tokenAt], func(changed []byte, at int) {
		if at%5 != 0 { // each has a signature of its own
			return
		}
		_, err := open(keys, reseal(changed))
		requireNamed(t, err, at)
	})
	slack := append([]byte("x"), good[:tokenAt]...)
	_, err = open(keys, reseal(slack))
	requireNamed(t, err)
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

func TestABundleRefusesNamesThatDoNotUnpackSafely(t *testing.T) {
	t.Parallel()
	s, _, _ := signer(t)
	for _, name := range []string{"", "../a", "/a", "a/../b", "a//b", "a\\b", ".rahasia", "a/", "nama baru", sealed.IndexName, strings.Repeat("a", 101), "ä"} {
		err := sealed.WriteBundle(t.Context(), io.Discard, s, header(), "", []sealed.File{{Name: name}})
		require.ErrorIs(t, err, sealed.ErrForm, name)
	}
	err := sealed.WriteBundle(t.Context(), io.Discard, s, header(), "", []sealed.File{{Name: "a"}, {Name: "a"}})
	require.ErrorIs(t, err, sealed.ErrForm)
}

func FuzzOpen(f *testing.F) {
	s, _, keys := signer(f)
	var whole bytes.Buffer
	if err := sealed.WriteBundle(context.Background(), &whole, s, header(), "", []sealed.File{{Name: "a", Data: []byte("isi")}}); err != nil {
		f.Fatal(err)
	}
	token, err := s.Sign(context.Background(), header(), []byte("isi"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(token)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := open(keys, b); err == nil && !bytes.Equal(b, whole.Bytes()) {
			t.Error("another file is taken for a bundle")
		}
		if _, _, err := keys.Open(purpose, b); err == nil && !bytes.Equal(b, token) {
			t.Error("other bytes are taken for a token")
		}
		_, _ = sealed.ParseKeys(b)
	})
}
