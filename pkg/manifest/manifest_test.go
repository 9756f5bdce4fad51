package manifest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

var (
	issued = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	inUse  = time.Date(2027, 1, 5, 3, 0, 0, 0, time.UTC)
)

func signer(t testing.TB) (*sealed.Signer, sealed.Keys) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s, err := sealed.NewSigner(&private.PublicKey, func(_ context.Context, digest []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	})
	require.NoError(t, err)
	keys, err := sealed.NewKeys(&private.PublicKey)
	require.NoError(t, err)
	return s, keys
}

func facts(n int) manifest.Facts {
	return manifest.Facts{
		Number: fmt.Sprintf("MF/2026/%06d", n), Reader: fmt.Sprintf("RDR-%04d", n), SAM: fmt.Sprintf("SAM%07d", n), SAMOrigin: "NA-1", PCID: fmt.Sprintf("PC%06d", n),
		Producer: "PT Pembaca <Nusantara> & Rekan", Institution: "Bank Contoh", ReaderType: "KR-100", Place: "Jl. Merdeka 1, Jakarta", Region: "31.71",
		Mode: manifest.Online, ValidFrom: "2026-12-01", ValidUntil: "2031-11-30",
	}
}

func issue(t testing.TB, s *sealed.Signer, n int) manifest.Manifest {
	t.Helper()
	m, err := manifest.Issue(t.Context(), s, manifest.JSON{}, facts(n), issued)
	require.NoError(t, err)
	return m
}

func list(t testing.TB, s *sealed.Signer, number int64, entries ...manifest.Entry) []byte {
	t.Helper()
	token, err := manifest.List{Number: number, IssuedAt: issued, NextUpdate: issued.AddDate(0, 6, 0), Entries: entries}.Sign(t.Context(), s)
	require.NoError(t, err)
	return token
}

// known are all errors in which a changed file may end.
var known = []error{
	sealed.ErrForm, sealed.ErrKey, sealed.ErrSignature, sealed.ErrContent, sealed.ErrPurpose, manifest.ErrMismatch, manifest.ErrFacts,
}

func requireKnown(t *testing.T, err error, at int) {
	t.Helper()
	for _, k := range known {
		if errors.Is(err, k) {
			return
		}
	}
	require.Fail(t, "no known error", "byte %d: %v", at, err)
}

func flips(whole []byte, do func(changed []byte, at int)) {
	b := bytes.Clone(whole)
	for i, was := range b {
		for _, now := range []byte{was ^ 1, was ^ 2, was ^ 16, was ^ 32, was ^ 128, 0, ' ', '\n'} {
			if now != was {
				b[i] = now
				do(b, i)
			}
		}
		b[i] = was
	}
}

func TestAManifestChangedInAnyByteFails(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	m := issue(t, s, 1)
	v := manifest.Verifier{Keys: keys}
	got, err := v.Verify(m.Payload, m.JWS, inUse)
	require.NoError(t, err)
	require.Equal(t, facts(1), *got.Facts)
	require.False(t, got.Listed)
	require.NotContains(t, string(m.Payload), `\u003c`, "names stay as they are written")
	flips(m.Payload, func(changed []byte, at int) {
		_, err := v.Verify(changed, m.JWS, inUse)
		requireKnown(t, err, at)
	})
	flips(m.JWS, func(changed []byte, at int) {
		_, err := v.Verify(m.Payload, changed, inUse)
		requireKnown(t, err, at)
	})
	other := issue(t, s, 2)
	_, err = v.Verify(other.Payload, m.JWS, inUse)
	require.ErrorIs(t, err, sealed.ErrContent, "the payload of another manifest")
}

func TestKeyTimeAndRevocation(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	_, others := signer(t)
	m := issue(t, s, 1)
	_, err := manifest.Verifier{Keys: others}.Verify(m.Payload, m.JWS, inUse)
	require.ErrorIs(t, err, sealed.ErrKey)
	v := manifest.Verifier{Keys: keys}
	first := time.Date(2026, 11, 30, 17, 0, 0, 0, time.UTC) // midnight in Jakarta
	last := time.Date(2031, 11, 30, 17, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]error{
		first.Add(-time.Second): sealed.ErrNotYet, first: nil, last.Add(-time.Second): nil, last: sealed.ErrExpired,
	} {
		_, err := v.Verify(m.Payload, m.JWS, at)
		require.ErrorIs(t, err, want, at)
	}
	for state, want := range map[string]error{manifest.Revoked: manifest.ErrRevoked, manifest.Suspended: manifest.ErrRevoked} {
		l, err := manifest.OpenList(keys, list(t, s, 3, manifest.Entry{Number: m.Number, State: state, At: inUse.Unix(), Reason: "pembaca hilang"}), 3)
		require.NoError(t, err)
		v.List = l
		got, err := v.Verify(m.Payload, m.JWS, inUse.AddDate(0, 0, -1))
		require.ErrorIs(t, err, want, "whatever the moment: a wrong clock brings none back")
		require.ErrorContains(t, err, "pembaca hilang")
		require.True(t, got.Listed)
		n := issue(t, s, 2)
		_, err = v.Verify(n.Payload, n.JWS, inUse)
		require.NoError(t, err, "another is not touched")
		_, err = v.Verify(n.Payload, n.JWS, l.NextUpdate)
		require.ErrorIs(t, err, manifest.ErrListStale)
	}
}

func TestAListIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	token := list(t, s, 7, manifest.Entry{Number: "B", State: manifest.Revoked}, manifest.Entry{Number: "A", State: manifest.Suspended})
	l, err := manifest.OpenList(keys, token, 0)
	require.NoError(t, err)
	require.EqualValues(t, 7, l.Number)
	require.Equal(t, "A", l.Entries[0].Number, "sorted")
	_, err = manifest.OpenList(keys, token, 8)
	require.ErrorIs(t, err, manifest.ErrListOld)
	flips(token, func(changed []byte, at int) {
		_, err := manifest.OpenList(keys, changed, 0)
		requireKnown(t, err, at)
	})
	_, err = manifest.List{Number: 1, IssuedAt: issued, NextUpdate: issued.Add(time.Hour), Entries: []manifest.Entry{
		{Number: "A", State: manifest.Revoked}, {Number: "A", State: manifest.Suspended},
	}}.Sign(t.Context(), s)
	require.ErrorIs(t, err, sealed.ErrForm, "one number twice")
	for _, bad := range []manifest.List{
		{IssuedAt: issued, NextUpdate: issued.Add(time.Hour)},
		{Number: 1, IssuedAt: issued, NextUpdate: issued},
		{Number: 1, IssuedAt: issued, NextUpdate: issued.Add(time.Hour), Entries: []manifest.Entry{{Number: "A", State: "gone"}}},
	} {
		_, err := bad.Sign(t.Context(), s)
		require.ErrorIs(t, err, sealed.ErrForm)
	}
	// A manifest is not a list, and a list is not a manifest.
	m := issue(t, s, 1)
	_, err = manifest.OpenList(keys, m.JWS, 0)
	require.Error(t, err)
	full, err := s.Sign(t.Context(), sealed.Header{Type: manifest.Purpose, Number: "1", Format: manifest.ListFormat, IssuedAt: 1, NotBefore: 1, Expires: 2}, []byte(`{"revoked":[]}`))
	require.NoError(t, err)
	_, err = manifest.OpenList(keys, full, 0)
	require.ErrorIs(t, err, sealed.ErrPurpose)
}

func TestHeaderAndPayloadMustAgree(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	f := facts(1)
	payload, err := manifest.JSON{}.Make(f)
	require.NoError(t, err)
	from, until, err := f.Validity()
	require.NoError(t, err)
	good := sealed.Header{Type: manifest.Purpose, Number: f.Number, Format: "json/1", IssuedAt: 1, NotBefore: from.Unix(), Expires: until.Unix()}
	for name, damage := range map[string]func(h *sealed.Header, p *[]byte){
		"number":        func(h *sealed.Header, _ *[]byte) { h.Number = "MF/2026/000002" },
		"begin":         func(h *sealed.Header, _ *[]byte) { h.NotBefore -= 86400 },
		"end":           func(h *sealed.Header, _ *[]byte) { h.Expires += 86400 },
		"no end":        func(h *sealed.Header, _ *[]byte) { h.Expires = 0 },
		"unknown field": func(_ *sealed.Header, p *[]byte) { *p = bytes.Replace(*p, []byte(`{`), []byte(`{"x":1,`), 1) },
		"white space":   func(_ *sealed.Header, p *[]byte) { *p = append(*p, '\n') },
		"field twice":   func(_ *sealed.Header, p *[]byte) { *p = bytes.Replace(*p, []byte(`{`), []byte(`{"number":"a",`), 1) },
	} {
		h, p := good, bytes.Clone(payload)
		damage(&h, &p)
		token, err := s.SignDetached(t.Context(), h, p)
		require.NoError(t, err)
		_, err = manifest.Verifier{Keys: keys}.Verify(p, token, inUse)
		require.ErrorIs(t, err, manifest.ErrMismatch, name)
	}
	h := good
	h.Format = "log/9" // of a driver that the verifier does not have
	token, err := s.SignDetached(t.Context(), h, []byte{0, 1, 2})
	require.NoError(t, err)
	got, err := manifest.Verifier{Keys: keys}.Verify([]byte{0, 1, 2}, token, inUse)
	require.NoError(t, err)
	require.Nil(t, got.Facts, "opaque, and held by its signature")
}

func TestFactsAreChecked(t *testing.T) {
	t.Parallel()
	s, _ := signer(t)
	for name, damage := range map[string]func(*manifest.Facts){
		"no number": func(f *manifest.Facts) { f.Number = "" }, "no reader": func(f *manifest.Facts) { f.Reader = "" },
		"line break": func(f *manifest.Facts) { f.Place = "a\nb" }, "mode": func(f *manifest.Facts) { f.Mode = "keduanya" },
		"date": func(f *manifest.Facts) { f.ValidFrom = "2026-2-1" }, "no such day": func(f *manifest.Facts) { f.ValidUntil = "2027-02-29" },
		"backwards": func(f *manifest.Facts) { f.ValidUntil = "2026-11-30" }, "long": func(f *manifest.Facts) { f.Producer = strings.Repeat("a", 801) },
	} {
		f := facts(1)
		damage(&f)
		_, err := manifest.Issue(t.Context(), s, manifest.JSON{}, f, issued)
		require.ErrorIs(t, err, manifest.ErrFacts, name)
	}
}

func delivery(t testing.TB, s *sealed.Signer, keys sealed.Keys, n int, entries ...manifest.Entry) []byte {
	t.Helper()
	d := manifest.Delivery{Number: "SM-2026-0001", About: "Manifest untuk PT Pembaca", Issued: issued, List: list(t, s, 5, entries...), Keys: keys}
	for i := range n {
		d.Manifests = append(d.Manifests, issue(t, s, i+1))
	}
	var out bytes.Buffer
	require.NoError(t, d.Write(t.Context(), &out, s))
	return out.Bytes()
}

func TestADeliveryChangedInAnyByteFails(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	whole := delivery(t, s, keys, 2, manifest.Entry{Number: "MF/2026/000002", State: manifest.Revoked, At: 1, Reason: "dicabut"})
	v := manifest.Verifier{Keys: keys}
	got, err := v.OpenDelivery(bytes.NewReader(whole), int64(len(whole)), inUse)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 2)
	require.NoError(t, got.Manifests[0].Err)
	require.Equal(t, "MF/2026/000001", got.Manifests[0].Number)
	require.Equal(t, "manifest/00001-MF_2026_000001.json", got.Manifests[0].Name)
	require.ErrorIs(t, got.Manifests[1].Err, manifest.ErrRevoked)
	b := bytes.Clone(whole)
	for i := range b {
		for _, bit := range []byte{1, 0x10, 0x20, 0x80} {
			b[i] ^= bit
			_, err := v.OpenDelivery(bytes.NewReader(b), int64(len(b)), inUse)
			requireKnown(t, err, i)
			b[i] ^= bit
		}
	}
}

func TestTheNewerListCounts(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	whole := delivery(t, s, keys, 1)
	for number, want := range map[int64]error{4: nil, 6: manifest.ErrRevoked} {
		l, err := manifest.OpenList(keys, list(t, s, number, manifest.Entry{Number: "MF/2026/000001", State: manifest.Revoked}), 0)
		require.NoError(t, err)
		got, err := manifest.Verifier{Keys: keys, List: l}.OpenDelivery(bytes.NewReader(whole), int64(len(whole)), inUse)
		require.NoError(t, err)
		require.ErrorIs(t, got.Manifests[0].Err, want, number)
	}
	got, err := manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(whole), int64(len(whole)), inUse.AddDate(1, 0, 0))
	require.NoError(t, err)
	require.ErrorIs(t, got.Manifests[0].Err, manifest.ErrListStale)
}

func TestABundleThatHoldsWhatItShouldNotFails(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	stranger, _ := signer(t)
	m, foreign := issue(t, s, 1), issue(t, stranger, 2)
	fixed := []sealed.File{{Name: manifest.GuideFile}, {Name: manifest.KeysFile}, {Name: manifest.ListFile, Data: list(t, s, 1)}}
	pair := func(m manifest.Manifest, name string) []sealed.File {
		return []sealed.File{{Name: "manifest/" + name + ".json", Data: m.Payload}, {Name: "manifest/" + name + ".jws", Data: m.JWS}}
	}
	good := append(fixed[:3:3], pair(m, "a")...)
	for name, files := range map[string][]sealed.File{
		"a stranger's manifest": append(good[:5:5], pair(foreign, "b")...),
		"half a pair":           good[:4],
		"an extra file":         append(good[:5:5], sealed.File{Name: "manifest/x.json"}, sealed.File{Name: "manifest/y.jws"}),
		"outside of the folder": append(good[:5:5], sealed.File{Name: "x.json", Data: m.Payload}, sealed.File{Name: "x.jws", Data: m.JWS}),
		"no list":               fixed[:2],
	} {
		var out bytes.Buffer
		h := sealed.Header{Number: "1", Format: manifest.DeliveryFormat, IssuedAt: 1, NotBefore: 1}
		require.NoError(t, sealed.WriteBundle(t.Context(), &out, s, h, "", files))
		_, err := manifest.Verifier{Keys: keys}.OpenDelivery(bytes.NewReader(out.Bytes()), int64(out.Len()), inUse)
		requireKnown(t, err, 0)
		require.Error(t, err, name)
	}
}

func TestManyAreIssuedAtOnceAllOrNone(t *testing.T) {
	t.Parallel()
	s, keys := signer(t)
	var all []manifest.Facts
	for n := range 25 {
		all = append(all, facts(n+1))
	}
	got, err := manifest.IssueAll(t.Context(), s, manifest.JSON{}, all, issued, 4)
	require.NoError(t, err)
	for i, m := range got {
		v, err := manifest.Verifier{Keys: keys}.Verify(m.Payload, m.JWS, inUse)
		require.NoError(t, err)
		require.Equal(t, all[i], *v.Facts)
	}
	all[17].Mode = ""
	_, err = manifest.IssueAll(t.Context(), s, manifest.JSON{}, all, issued, 4)
	require.ErrorIs(t, err, manifest.ErrFacts)
	require.ErrorContains(t, err, all[17].Number)
	none, err := manifest.IssueAll(t.Context(), s, manifest.JSON{}, nil, issued, 4)
	require.NoError(t, err)
	require.Empty(t, none)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = manifest.IssueAll(ended, s, manifest.JSON{}, all[:3], issued, 4)
	require.ErrorIs(t, err, context.Canceled)
}
