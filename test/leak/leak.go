// Package leak looks for secrets where none may be: in logs, journals, traces,
// messages, dumps of a database, papers and temporary files, in every form in which a
// program could have written them down, whole or any eight bytes of them, also inside
// archives.
//
// A search that finds nothing proves something only if it can find: its test plants
// each form in each kind of place. What it says names the secret and the place, never
// the value.
package leak

import (
	"bytes"
	"fmt"
	"slices"
)

// window is how much of a secret is too much: eight bytes of a key. Of a text that
// people or configurations hold, whose characters say less, it is twelve.
const (
	window     = 8
	textWindow = 12
)

// Secrets are values that must be found nowhere.
type Secrets struct {
	list  []secret
	known map[string]bool
}

type secret struct {
	name  string
	value []byte
	text  bool // written as it is, not as bytes
}

// windows are the parts of it that must not be found, by where they start.
func (s secret) windows() (size, count int) {
	size = window
	if s.text {
		size = textWindow
	}
	size = min(size, len(s.value))
	return size, len(s.value) - size + 1
}

// Add adds a key or another value of random bytes, of which no eight in a row may be
// found. Values under eight bytes cannot be told from chance.
func (s *Secrets) Add(name string, value []byte) error { return s.add(name, value, false) }

// AddText adds a password, a PIN or another secret that is text, of which no twelve
// characters in a row may be found; a shorter one is looked for as a whole.
func (s *Secrets) AddText(name, value string) error { return s.add(name, []byte(value), true) }

func (s *Secrets) add(name string, value []byte, text bool) error {
	if len(value) < window {
		return fmt.Errorf("leak: %s has %d bytes: too short to be looked for", name, len(value))
	}
	if s.known[string(value)] {
		return nil
	}
	if s.known == nil {
		s.known = map[string]bool{}
	}
	s.known[string(value)] = true
	s.list = append(s.list, secret{name: name, value: bytes.Clone(value), text: text})
	return nil
}

// Len is how many different secrets there are.
func (s *Secrets) Len() int { return len(s.list) }

// Finding is a secret that was found.
type Finding struct {
	Secret string // its name
	Form   string // in which it was written
	Place  string // where; inside of what, after a "!"
	Offset int    // of the first place there
	Part   string // "whole", or which of its bytes
}

func (f Finding) String() string {
	return fmt.Sprintf("%s of %s is in %s at %d, as %s", f.Part, f.Secret, f.Place, f.Offset, f.Form)
}

// Search looks through one place after the other.
type Search struct {
	index    *index
	findings []Finding
	closed   []string
	looked   map[string]int
}

// NewSearch prepares a search for what is in s now.
func NewSearch(s *Secrets) *Search { return &Search{index: newIndex(s.list), looked: map[string]int{}} }

// Findings are the secrets that were found, each once in a form and place.
func (s *Search) Findings() []Finding { return s.findings }

// Closed are places that could not be looked into: a search is over only when there
// are none.
func (s *Search) Closed() []string { return s.closed }

// Looked tells the places that were looked through, by name, with their bytes.
func (s *Search) Looked() map[string]int { return s.looked }

// Text looks through one text and all that is packed in it.
func (s *Search) Text(place string, text []byte) { s.look(place, text, 0) }

func (s *Search) look(place string, text []byte, depth int) {
	s.looked[place] += len(text)
	s.match(place, text)
	if depth == deepest {
		s.closed = append(s.closed, fmt.Sprintf("%s: packed more than %d times", place, deepest))
		return
	}
	s.unpack(place, text, func(name string, inner []byte) { s.look(place+"!"+name, inner, depth+1) })
}

// match keeps what one text holds as it stands; of neighbouring windows only the first.
func (s *Search) match(place string, text []byte) {
	type kind struct {
		secret int32
		form   uint8
	}
	seen := map[kind]bool{}
	s.index.scan(text, func(at int, e entry) {
		k := kind{e.secret, e.form}
		if seen[k] {
			return
		}
		seen[k] = true
		of := s.index.secrets[e.secret]
		size, _ := of.windows()
		f := Finding{Secret: of.name, Form: forms[e.form].name, Place: place, Offset: at, Part: "whole"}
		if size < len(of.value) {
			f.Part = fmt.Sprintf("bytes %d to %d", e.start, int(e.start)+size-1)
		}
		if !slices.Contains(s.findings, f) {
			s.findings = append(s.findings, f)
		}
	})
}
