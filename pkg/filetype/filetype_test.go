package filetype_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/test/spoiled"
)

var all = []filetype.Kind{filetype.PDF, filetype.JPEG, filetype.PNG}

func check(b []byte) (filetype.Kind, error) {
	return filetype.Check(bytes.NewReader(b), int64(len(b)), all...)
}

func TestPapers(t *testing.T) {
	t.Parallel()
	for _, p := range spoiled.Papers(t) {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			kind, err := check(p.Body)
			if p.Code == "" {
				require.NoError(t, err)
				require.Equal(t, p.Kind, string(kind))
				return
			}
			var refused *filetype.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, p.Code, string(refused.Code), err)
			sentence := refused.Sentence("surat permohonan")
			require.Contains(t, sentence, "surat permohonan")
			require.True(t, strings.HasSuffix(sentence, "."), sentence)
		})
	}
}

// Whatever a file makes of it, a check takes little more memory than the file.
func TestMemoryOfACheck(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	var before, after runtime.MemStats
	for _, p := range spoiled.Papers(t) {
		_, _ = check(p.Body) // the pools grow to their sizes
		runtime.ReadMemStats(&before)
		_, _ = check(p.Body)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(100<<20), p.Name)
	}
}

// What ends early is refused, wherever it ends. (A PDF that was saved again, or
// that has another enclosed, holds a whole one before its end.)
func TestEveryCutIsSeen(t *testing.T) {
	t.Parallel()
	for _, p := range spoiled.Papers(t) {
		if p.Code != "" || len(p.Body) > 40<<10 || strings.Contains(p.Name, "behind it") || p.Name == "PDF saved again" || p.Name == "PDF with a PDF enclosed" {
			continue
		}
		for cut := 0; cut < len(p.Body)-1; cut += 1 + len(p.Body)/100 {
			_, err := check(p.Body[:cut])
			var refused *filetype.Error
			require.ErrorAs(t, err, &refused, "%s, cut at %d of %d", p.Name, cut, len(p.Body))
		}
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	sentence := func(b string, allowed ...filetype.Kind) string {
		_, err := filetype.Check(strings.NewReader(b), int64(len(b)), allowed...)
		var refused *filetype.Error
		require.ErrorAs(t, err, &refused)
		require.NotEmpty(t, refused.Error())
		return refused.Sentence("surat")
	}
	require.Equal(t, "Berkas surat kosong.", sentence("", all...))
	require.Equal(t, "Berkas surat harus berupa PDF, JPG, atau PNG; isinya gambar TIFF.", sentence("II*\x00", all...))
	require.Equal(t, "Berkas surat harus berupa PDF atau JPG; isinya teks.", sentence("é", all[:2]...))
	require.Equal(t, "Berkas surat harus berupa PDF; isinya PNG.", sentence("\x89PNG\r\n\x1a\n", filetype.PDF))
	require.Equal(t, "Berkas surat harus berupa PDF; isinya bukan.", sentence("\x00\x01", filetype.PDF))
	require.Equal(t, "Berkas surat harus berupa PDF; isinya gambar WebP.", sentence("RIFF\x01\x02\x03\x04WEBP", filetype.PDF))
}

// A fault of the machine is not the sender's.
func TestFaultOfTheMachine(t *testing.T) {
	t.Parallel()
	_, err := filetype.Check(failing{}, 10, all...)
	require.ErrorIs(t, err, io.ErrClosedPipe)
	var refused *filetype.Error
	require.False(t, errors.As(err, &refused))
	_, err = filetype.Check(failing{}, 1<<30, all...)
	require.False(t, errors.As(err, &refused))
	require.Error(t, err)
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

// BenchmarkCheck: 8 KB and 3 MB of each kind.
func BenchmarkCheck(b *testing.B) {
	for _, p := range spoiled.Scans(b) {
		b.Run(p.Name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p.Body)))
			for b.Loop() {
				if _, err := check(p.Body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What makes a reader look at the same bytes over and over is refused in about the
// time of a few readings; without a bound each of these takes minutes.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	fill := func(piece string) string { return strings.Repeat(piece, size/len(piece)) }
	for name, middle := range map[string]string{
		"texts without an end":        fill("1 0 obj<"),
		"trailers without an end":     fill("trailer<"),
		"a comment behind each":       fill("1 0 obj<</Length 1>>%"),
		"streams without an end":      fill("1 0 obj<</Type/ObjStm/N 1/First 1>>stream\n"),
		"numbers in a row":            fill("1 0 obj 1 2 "),
		"brackets":                    fill("1 0 obj[[[[[[[["),
		"a comment over all of it":    "%" + fill("1 0 obj "),
		"names that never end":        "1 0 obj<<" + fill("/A"),
		"a text over all of it":       "1 0 obj(" + fill("(a"),
		"the same object many times":  fill("1 0 obj<</Type/Catalog/Pages 1 0 R>>endobj "),
		"many catalogs without pages": fill("2 0 obj<</Type/Catalog>>endobj "),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := check([]byte("%PDF-1.7\n" + middle + "\nstartxref\n9\n%%EOF\n"))
			var refused *filetype.Error
			require.ErrorAs(t, err, &refused)
		})
	}
}
