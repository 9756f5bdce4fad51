package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxLine bounds one line of a journal, in bytes.
const MaxLine = 64 << 10

// Entry is one line of a journal.
type Entry struct {
	// Seq numbers the lines from 1.
	Seq uint64
	// At is when the entry was made, in UTC.
	At time.Time
	// Kind says what happened, in the words of whoever keeps the journal.
	Kind string
	// Card and Attempt identify the chip and the personalisation attempt.
	Card    string
	Attempt string
	// Data is more about it: a JSON value, or nil.
	Data json.RawMessage
}

// CorruptError says where a journal is damaged. Path is empty when the journal
// was read from a stream.
type CorruptError struct {
	Path   string
	Line   uint64
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: %s line %d: %s", e.Path, e.Line, e.Reason)
}

// record is a line as it is written, without the hash at its end.
type record struct {
	Seq     uint64          `json:"seq"`
	Prev    string          `json:"prev"`
	At      time.Time       `json:"at"`
	Kind    string          `json:"kind"`
	Card    string          `json:"card,omitempty"`
	Attempt string          `json:"attempt,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// A line ends in hashMark, the hash in hex, and hashEnd.
const (
	hashMark = `,"hash":"`
	hashEnd  = `"}`
	hashLen  = 2 * sha256.Size
	tailLen  = len(hashMark) + hashLen + len(hashEnd)
)

// origin stands for the hash of the line before the first.
var origin = strings.Repeat("0", hashLen)

func (h Head) prev() string {
	if h.Seq == 0 {
		return origin
	}
	return h.Hash
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// encode gives the line that follows head, with its newline, and its hash.
func encode(e Entry, head Head) (line []byte, hash string, err error) {
	if e.Kind == "" {
		return nil, "", fmt.Errorf("%w: no kind", ErrEntry)
	}
	for _, s := range []string{e.Kind, e.Card, e.Attempt, string(e.Data)} {
		if !utf8.ValidString(s) {
			return nil, "", fmt.Errorf("%w: text is not UTF-8", ErrEntry)
		}
	}
	text, err := json.Marshal(record{
		Seq: e.Seq, Prev: head.prev(), At: e.At,
		Kind: e.Kind, Card: e.Card, Attempt: e.Attempt, Data: e.Data,
	})
	if err != nil {
		// The cause may quote the data.
		return nil, "", fmt.Errorf("%w: not valid JSON", ErrEntry)
	}
	text = text[:len(text)-1] // the closing brace moves behind the hash
	hash = hashOf(text)
	line = append(text, hashMark+hash+hashEnd+"\n"...)
	if len(line) > MaxLine {
		return nil, "", fmt.Errorf("%w: line of %d bytes", ErrEntry, len(line))
	}
	return line, hash, nil
}

// decode checks a line, without its newline, that follows head.
func decode(line []byte, head Head) (Entry, Head, error) {
	cut := len(line) - tailLen
	if cut < 0 || !bytes.HasPrefix(line[cut:], []byte(hashMark)) || !bytes.HasSuffix(line, []byte(hashEnd)) {
		return Entry{}, head, errors.New("not a journal line")
	}
	hash := hashOf(line[:cut])
	if string(line[cut+len(hashMark):len(line)-len(hashEnd)]) != hash {
		return Entry{}, head, errors.New("hash does not fit the line")
	}
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return Entry{}, head, errors.New("not valid JSON")
	}
	if r.Seq != head.Seq+1 {
		return Entry{}, head, fmt.Errorf("number is %d", r.Seq)
	}
	if r.Prev != head.prev() {
		return Entry{}, head, errors.New("chain to the line before is broken")
	}
	if r.Kind == "" {
		return Entry{}, head, errors.New("no kind")
	}
	e := Entry{Seq: r.Seq, At: r.At, Kind: r.Kind, Card: r.Card, Attempt: r.Attempt, Data: r.Data}
	return e, Head{Seq: r.Seq, Hash: hash}, nil
}

// scanResult is what a pass over a journal found.
type scanResult struct {
	head Head
	size int64  // bytes of whole lines
	torn []byte // what follows them: a line that was never finished
}

// scan reads a journal line by line, calling fn for each. A last line without
// newline was never finished. So was a last line with a zero byte, which no line
// has: a block that the file system had no time to write.
func scan(r io.Reader, fn func(Entry) error) (scanResult, error) {
	var s scanResult
	in := bufio.NewReaderSize(r, MaxLine)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			s.torn = bytes.Clone(line)
			return s, nil
		case errors.Is(err, bufio.ErrBufferFull):
			return s, &CorruptError{Line: s.head.Seq + 1, Reason: "line is too long"}
		case err != nil:
			return s, fmt.Errorf("journal: %w", err)
		}
		e, head, err := decode(line[:len(line)-1], s.head)
		if err != nil {
			if bytes.IndexByte(line, 0) >= 0 {
				torn := bytes.Clone(line)
				if _, err := in.ReadByte(); errors.Is(err, io.EOF) {
					s.torn = torn
					return s, nil
				}
			}
			return s, &CorruptError{Line: s.head.Seq + 1, Reason: err.Error()}
		}
		if err := fn(e); err != nil {
			return s, err
		}
		s.head = head
		s.size += int64(len(line))
	}
}

// Verify reads a journal from a stream, without lock, and gives the end of its
// chain. An unfinished last line is passed over; the error is a *CorruptError
// or that of r.
func Verify(r io.Reader) (Head, error) {
	s, err := scan(r, func(Entry) error { return nil })
	return s.head, err
}
