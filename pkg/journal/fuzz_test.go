package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// FuzzScan feeds arbitrary bytes as a journal: it is refused with a line number,
// or every byte of it is accounted for, and then it can be extended and has the
// same lines and one more.
func FuzzScan(f *testing.F) {
	var whole []byte
	var head Head
	for i, data := range []string{`{"pcid":"0001"}`, "", `["a", null]`} {
		line, hash, err := encode(Entry{
			Seq: uint64(i + 1), At: time.Unix(int64(i), 0).UTC(), Kind: "k", Card: "c", Data: json.RawMessage(data),
		}, head)
		if err != nil {
			f.Fatal(err)
		}
		whole = append(whole, line...)
		head = Head{Seq: uint64(i + 1), Hash: hash}
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte("\n"))
	f.Add(append(bytes.Clone(whole), make([]byte, 40)...))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := uint64(0)
		count := func(Entry) error { lines++; return nil }
		s, err := scan(bytes.NewReader(text), count)
		if err != nil {
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) || corrupt.Line != lines+1 {
				t.Fatalf("refused after %d lines: %v", lines, err)
			}
			return
		}
		if s.head.Seq != lines || s.size+int64(len(s.torn)) != int64(len(text)) {
			t.Fatalf("%d lines, %d bytes: %+v", lines, len(text), s)
		}
		line, _, err := encode(Entry{Seq: lines + 1, Kind: "more"}, s.head)
		if err != nil {
			t.Fatal(err)
		}
		lines = 0
		longer, err := scan(bytes.NewReader(append(bytes.Clone(text[:s.size]), line...)), count)
		if err != nil || lines != s.head.Seq+1 || len(longer.torn) != 0 {
			t.Fatalf("%d lines after %d: %v", lines, s.head.Seq, err)
		}
	})
}
