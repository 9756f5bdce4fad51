package upload

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/spoiled"
)

const boundary = "batas"

func read(t testing.TB, s *Spool, body []byte) (*Parcel, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	p, faults, err := s.ReadScan(r, "signed_on")
	if err == nil && len(faults) > 0 {
		p.Close()
		return nil, web.Unprocessable("uji")
	}
	return p, err
}

func body(t testing.TB, scan []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.SetBoundary(boundary))
	require.NoError(t, w.WriteField("signed_on", " 2026-11-23 "))
	part, err := w.CreateFormFile("scan", "../../etc/passwd")
	require.NoError(t, err)
	_, err = part.Write(scan)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

var whole = spoiled.PDF()

func TestScanLeavesNoFileBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := NewSpool(dir, 1<<10)
	require.NoError(t, err)
	f, err := read(t, s, body(t, whole))
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "it has no name even while it is in use")
	require.Equal(t, "2026-11-23", f.Fields["signed_on"])
	for range 2 { // a transaction may run again
		content, err := io.ReadAll(f.Files[ScanPart].Content())
		require.NoError(t, err)
		require.Equal(t, whole, content)
	}
	f.Close()
}

func TestTornBodyIsRefused(t *testing.T) {
	t.Parallel()
	s, err := NewSpool(t.TempDir(), 1<<10)
	require.NoError(t, err)
	good := body(t, whole)
	for cut := range len(good) - 6 { // the last dashes and line end are not missed
		_, err := read(t, s, good[:cut])
		var p *web.Problem
		require.ErrorAs(t, err, &p, "cut at %d", cut)
	}
}

func TestFullDiskIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	s, err := NewSpool(t.TempDir(), 1<<10)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(s.dir))
	_, err = read(t, s, body(t, whole))
	var p *web.Problem
	require.Error(t, err)
	require.False(t, errors.As(err, &p), "%v", err)
}

func FuzzRead(f *testing.F) {
	f.Add(body(f, whole))
	f.Add([]byte("--" + boundary + "\r\nContent-Disposition: form-data; name=\"scan\"\r\n\r\n%PDF-"))
	s, err := NewSpool(f.TempDir(), 1<<10)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		form, err := read(t, s, b)
		if err == nil {
			form.Close()
			return
		}
		var p *web.Problem
		if !errors.As(err, &p) || p.Status >= 500 {
			t.Fatal(err)
		}
	})
}
