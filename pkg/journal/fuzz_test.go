package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dukcapil.go.id/sifilma/pkg/journal"
)

// FuzzOpen feeds arbitrary bytes as a journal: it is refused with a line
// number, or it opens, and then it can be extended and opens again with the
// same lines and one more.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	seed := filepath.Join(dir, "seed")
	j, err := journal.Open(seed)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if err := j.Append(e); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte("\n"))
	f.Add(append(bytes.Clone(whole), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(path)
		if err != nil {
			var corrupt *journal.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Line == 0 {
				t.Fatalf("refused without a line: %v", err)
			}
			return
		}
		before := count(t, j)
		if uint64(before) != j.Head().Seq {
			t.Fatalf("%d lines, head %d", before, j.Head().Seq)
		}
		if err := j.Append(journal.Entry{Kind: "fuzz"}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if j, err = journal.Open(path); err != nil {
			t.Fatal(err)
		}
		if j.Torn() != 0 || count(t, j) != before+1 {
			t.Fatalf("torn %d, %d lines after %d", j.Torn(), count(t, j), before)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func count(t *testing.T, j *journal.Journal) int {
	n := 0
	if err := j.Replay(func(journal.Entry) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}
