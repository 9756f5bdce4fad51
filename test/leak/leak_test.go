package leak

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// writers are what programs write bytes down with.
var writers = map[string]func([]byte) []byte{
	"raw":       bytes.Clone,
	"hex":       func(b []byte) []byte { return fmt.Appendf(nil, "%x", b) },
	"HEX":       func(b []byte) []byte { return fmt.Appendf(nil, "%X", b) },
	"spaces":    func(b []byte) []byte { return fmt.Appendf(nil, "% x", b) },
	"SPACES":    func(b []byte) []byte { return fmt.Appendf(nil, "% X", b) },
	"colons":    func(b []byte) []byte { return bytes.ReplaceAll(fmt.Appendf(nil, "% x", b), []byte(" "), []byte(":")) },
	"dashes":    func(b []byte) []byte { return bytes.ReplaceAll(fmt.Appendf(nil, "% X", b), []byte(" "), []byte("-")) },
	"base64":    func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
	"base64url": func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) },
	"%v":        func(b []byte) []byte { return fmt.Appendf(nil, "%v", b) },
	"%#v":       func(b []byte) []byte { return fmt.Appendf(nil, "%#v", b) },
	"JSON": func(b []byte) []byte {
		list := make([]int, len(b))
		for i := range b {
			list[i] = int(b[i])
		}
		text, _ := json.Marshal(list)
		return text
	},
	"Python": func(b []byte) []byte { return bytes.ReplaceAll(fmt.Appendf(nil, "%v", b), []byte(" "), []byte(", ")) },
}

func utf16s(text []byte, order binary.AppendByteOrder) (wide []byte) {
	for _, u := range utf16.Encode([]rune(string(text))) {
		wide = order.AppendUint16(wide, u)
	}
	return wide
}

func init() {
	for _, name := range []string{"hex", "HEX", "spaces", "colons", "base64", "base64url"} {
		narrow := writers[name]
		writers[name+" LE"] = func(b []byte) []byte { return utf16s(narrow(b), binary.LittleEndian) }
		writers[name+" BE"] = func(b []byte) []byte { return utf16s(narrow(b), binary.BigEndian) }
	}
}

func searchFor(t testing.TB, key []byte, text string) *Search {
	t.Helper()
	var s Secrets
	require.NoError(t, s.Add("final ENC", key))
	if text != "" {
		require.NoError(t, s.AddText("password", text))
	}
	return NewSearch(&s)
}

// Each eight bytes of a key, in each form, amid more of other bytes in the same form at
// each distance, and half of them is not found.
func TestEveryFormOfEveryWindow(t *testing.T) {
	t.Parallel()
	key := random(32)
	search := searchFor(t, key, "")
	for name, write := range writers {
		for start := range len(key) - window + 1 {
			for before := range 4 {
				amid := func(part []byte) []byte { return bytes.Join([][]byte{random(9 + before), part, random(11)}, nil) }
				search.findings = nil
				search.Text("x", append([]byte("noise "), write(amid(key[start:start+window]))...))
				require.NotEmpty(t, search.findings, "%s of %d after %d", name, start, before)
				require.NotContains(t, fmt.Sprint(search.findings), hex.EncodeToString(key[start:start+2])+hex.EncodeToString(key[start+2:start+4]))
				search.findings = nil
				search.Text("x", write(amid(key[start:start+window/2])))
				require.Empty(t, search.findings, "%s of half of it", name)
			}
		}
	}
	require.Empty(t, search.Closed())
}

func TestTexts(t *testing.T) {
	t.Parallel()
	search := searchFor(t, random(16), "abcdef-ghijkl-mnopqr")
	for _, text := range [][]byte{
		[]byte("password=abcdef-ghijkl-mnopqr"), []byte("bcdef-ghijkl"), utf16s([]byte("ghijkl-mnopqr"), binary.LittleEndian),
		utf16s([]byte("ghijkl-mnopqr"), binary.BigEndian), []byte(base64.StdEncoding.EncodeToString([]byte("user:abcdef-ghijkl-mnopqr"))),
	} {
		search.findings = nil
		search.Text("x", text)
		require.NotEmpty(t, search.findings, "%q", text)
	}
	search.findings = nil
	search.Text("x", []byte("bcdef-ghijk"))
	require.Empty(t, search.findings)
	var s Secrets
	require.Error(t, s.AddText("PIN", "1234567"), "nothing can be said of so short a secret")
	require.Error(t, s.Add("key", nil))
	require.NoError(t, s.AddText("PIN", "12345678"))
	search = NewSearch(&s)
	search.Text("x", []byte("pin 12345678"))
	require.Equal(t, []Finding{{"PIN", "raw bytes", "x", 4, "whole"}}, search.findings)
}

// archive is a zip of one file, stored or deflated.
func archive(t testing.TB, method uint16, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "isi.xml", Method: method})
	require.NoError(t, err)
	_, err = f.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// pdf is a page with a word that stands in two pieces in its deflated stream.
func pdf(t testing.TB, word string) []byte {
	t.Helper()
	var stream bytes.Buffer
	w := zlib.NewWriter(&stream)
	_, err := fmt.Fprintf(w, "BT /F1 10 Tf 40 700 Td [(%s) 0 (%s)] TJ ET", word[:4], word[4:])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return fmt.Appendf(nil, `%%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources <</Font <</F1 5 0 R>>>>>> endobj
4 0 obj <</Length %d /Filter /FlateDecode>> stream
%s
endstream endobj
5 0 obj <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>> endobj
trailer <</Root 1 0 R>>
`, stream.Len(), stream.Bytes())
}

// Each kind of place, with a part of the key in it in a form that suits.
func TestEveryPlace(t *testing.T) {
	t.Parallel()
	key := random(16)
	part := key[3 : 3+window]
	plain := []byte("<t>" + hex.EncodeToString(part) + "</t>")
	deflated := archive(t, zip.Deflate, append(bytes.Repeat([]byte("ruang "), 100), plain...))
	var zipped bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	_, err := gz.Write(plain)
	require.NoError(t, err)
	require.NoError(t, gz.Close())
	large := archive(t, zip.Store, archive(t, zip.Deflate, append(random(700), plain...)))
	var rows bytes.Buffer
	for seq, chunk := range [][]byte{large[300:600], large[:300], large[600:]} { // as a dump may have them: in any order
		_, _ = fmt.Fprintf(&rows, "0197\t%d\t\\\\x%x\n", []int{1, 0, 2}[seq], chunk)
	}
	for name, body := range map[string][]byte{
		"log":                        []byte(`{"level":"debug","apdu":"` + hex.EncodeToString(part) + `"}`),
		"bytea in a dump":            []byte("COPY public.perso_attempt (id, sealed) FROM stdin;\n1\t\\\\x" + hex.EncodeToString(key) + "\n\\.\n"),
		"UTF-16 in bytea":            fmt.Appendf(nil, "1\t\\\\x%x\n", utf16s(plain, binary.LittleEndian)),
		"zip":                        deflated,
		"zip in a zip":               archive(t, zip.Deflate, deflated),
		"zip stored in a zip":        archive(t, zip.Store, deflated),
		"zip amid other bytes":       append(append(random(100), deflated...), random(100)...),
		"zip cut off":                deflated[:len(deflated)-30],
		"zip in a bytea of a dump":   fmt.Appendf(nil, "1\t\\\\x%x\n", deflated),
		"zip over chunks of a dump":  []byte("COPY public.blob_chunk (blob_id, seq, data) FROM stdin;\n" + rows.String() + "\\.\n"),
		"gzip":                       zipped.Bytes(),
		"words of a PDF":             pdf(t, strings.ToUpper(hex.EncodeToString(part))),
		"PDF in a zip in a bytea":    fmt.Appendf(nil, "1\t\\\\x%x\n", archive(t, zip.Deflate, pdf(t, hex.EncodeToString(part)))),
		"message with other headers": append(random(40), append([]byte(base64.StdEncoding.EncodeToString(append([]byte("x"), part...))), random(40)...)...),
	} {
		search := searchFor(t, key, "")
		search.Dump(name, body)
		require.NotEmpty(t, search.Findings(), name)
		require.Empty(t, search.Closed(), name)
		require.NotContains(t, fmt.Sprint(search.Findings()), hex.EncodeToString(part), "the report leaks")
		require.Equal(t, "final ENC", search.Findings()[0].Secret)

		innocent := searchFor(t, random(16), "")
		innocent.Dump(name, body)
		require.Empty(t, innocent.Findings(), name)
	}
}

func TestWhatCannotBeLookedInto(t *testing.T) {
	t.Parallel()
	search := searchFor(t, random(16), "")
	body := archive(t, zip.Deflate, []byte("isi"))
	for range deepest + 1 {
		body = archive(t, zip.Deflate, body)
	}
	search.Text("too deep", body)
	require.Len(t, search.Closed(), 1)
	locked := archive(t, zip.Deflate, []byte("isi"))
	locked[6] |= 1
	search.Text("encrypted", locked)
	require.Len(t, search.Closed(), 2)
	search.Text("no PDF", []byte("%PDF-1.4"))
	require.Len(t, search.Closed(), 3)
}

// Files below a directory, those that are gone by now, and the answer of a server.
func TestFilesAndAnswers(t *testing.T) {
	t.Parallel()
	key := random(16)
	dir, kept := t.TempDir(), t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "secret"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret", "key"), key, 0o600))
	search := searchFor(t, key, "")
	require.NoError(t, search.Dir(dir, "secret"))
	require.Empty(t, search.Findings())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "b", "sesi.tmp"), fmt.Append(nil, key), 0o600))
	require.NoError(t, search.Dir(dir, "secret"))
	require.Len(t, search.Findings(), 1)
	require.Equal(t, filepath.Join(dir, "a", "b", "sesi.tmp"), search.Findings()[0].Place)
	require.Contains(t, search.Looked(), filepath.Join(dir, "a", "b", "sesi.tmp"))

	ctx, stop := context.WithCancel(t.Context())
	ended := Hold(ctx, dir, kept)
	passing := filepath.Join(dir, "a", "passing")
	require.NoError(t, os.WriteFile(passing, key[:window], 0o600))
	held := func() bool { names, _ := filepath.Glob(filepath.Join(kept, "*-passing")); return len(names) == 1 }
	require.Eventually(t, held, 10*time.Second, time.Millisecond)
	require.NoError(t, os.Remove(passing))
	stop()
	<-ended
	search = searchFor(t, key, "")
	require.NoError(t, search.Dir(kept))
	require.Contains(t, fmt.Sprint(search.Findings()), "-passing")

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/body":
			_, _ = w.Write([]byte(hex.EncodeToString(key)))
		case "/header":
			w.Header().Set("X-Note", base64.StdEncoding.EncodeToString(key))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, path := range []string{"/body", "/header"} {
		search = searchFor(t, key, "")
		require.NoError(t, search.Get(t.Context(), server.URL+path))
		require.NotEmpty(t, search.Findings())
	}
	require.Error(t, search.Get(t.Context(), server.URL+"/none"))
}

// BenchmarkSearch looks for the secrets of a day's cards in 16 MiB.
func BenchmarkSearch(b *testing.B) {
	var s Secrets
	for n := range 250 {
		for range 6 {
			require.NoError(b, s.Add(fmt.Sprint("key of ", n), random(16)))
		}
		for range 2 {
			require.NoError(b, s.Add(fmt.Sprint("CONF of ", n), random(32)))
		}
	}
	for name, text := range map[string][]byte{"bytes": random(16 << 20), "hex": []byte(hex.EncodeToString(random(8 << 20)))} {
		b.Run(name, func(b *testing.B) {
			search := NewSearch(&s)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				search.match(name, text)
			}
			require.Empty(b, search.findings)
		})
	}
	b.Run("index", func(b *testing.B) {
		for b.Loop() {
			NewSearch(&s)
		}
	})
}
