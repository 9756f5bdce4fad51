package upload

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

// letterBody is a form with a scan, unless nil, and rows.
func letterBody(t testing.TB, scan []byte, rows ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.SetBoundary(boundary))
	require.NoError(t, w.WriteField("number", " 7 "))
	require.NoError(t, w.WriteField("reason", "satu\r\ndua"))
	for _, row := range rows {
		require.NoError(t, w.WriteField("card", row))
	}
	if scan != nil {
		part, err := w.CreateFormFile("scan", "surat")
		require.NoError(t, err)
		_, err = part.Write(scan)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func readLetter(t testing.TB, s *Spool, body []byte) (*Letter, form.Faults, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
	return s.ReadLetter(r, []string{"number"}, []string{"reason"}, "scan", "card")
}

func TestLetterComesWithItsRows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := NewSpool(dir, 1<<10)
	require.NoError(t, err)
	l, faults, err := readLetter(t, s, letterBody(t, whole, "a:1", "b:2", "a:1"))
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Equal(t, []string{"a:1", "b:2", "a:1"}, l.Picked)
	require.Equal(t, map[string]string{"number": "7", "reason": "satu\r\ndua"}, l.Fields)
	require.Equal(t, "surat.pdf", l.Files["scan"].Name, "by what it is")
	l.Close()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	l, faults, err = readLetter(t, s, letterBody(t, []byte("bukan surat"), "a:1"))
	require.NoError(t, err)
	require.Equal(t, "/scan", faults[0].Pointer, "said beside the form, which is kept")
	require.Equal(t, "7", l.Fields["number"])
	l.Close()
	l, faults, err = readLetter(t, s, letterBody(t, nil))
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Nil(t, l.Files["scan"])

	most := make([]string, MaxPicked)
	for i := range most {
		most[i] = fmt.Sprintf("%036d:%d", i, i)
	}
	full := letterBody(t, whole, most...)
	require.Less(t, len(full), MaxLetterBody-maxLetter, "the largest body has room for them")
	l, _, err = readLetter(t, s, full)
	require.NoError(t, err)
	require.Len(t, l.Picked, MaxPicked)
	l.Close()
	for code, body := range map[string][]byte{
		"too_many": letterBody(t, whole, append(most, "x")...), "too_long": letterBody(t, whole, strings.Repeat("x", maxPick+1)),
		"bad_character": letterBody(t, whole, "a\x00"), "encoding": letterBody(t, whole, "\xff"),
	} {
		_, _, err = readLetter(t, s, body)
		var problem *web.Problem
		require.ErrorAs(t, err, &problem, code)
		require.Equal(t, code, problem.Errors[0].Code)
		require.Equal(t, "/card", problem.Errors[0].Pointer)
	}
}
