// Package filetype tells what an uploaded paper is by its first bytes and its
// structure: a PDF whose pages can be reached, or a JPEG or PNG that holds every
// pixel it promises. The name and media type that the sender gave play no part.
//
// It reads what strangers send, on the way of every upload, so all of it is
// bounded: the file is held once, nothing is unpacked beyond a budget, and a
// picture is decoded as far as its last pixel without being kept. The standard
// decoders hold the whole picture (240 MB and more for a progressive A4 page of
// 600 dpi), and pdfcpu, which takes broken files well, unpacks whatever it
// finds: 300 KB of PDF cost it 1.3 GB. Hence the walks of this package, which
// look for what a reader needs and for nothing else.
package filetype

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
)

// Kind is a kind of file that is taken.
type Kind string

// The kinds, by their media types.
const (
	PDF  Kind = "application/pdf"
	JPEG Kind = "image/jpeg"
	PNG  Kind = "image/png"
)

// endings are the names that files of a kind end with; the first is given to
// those that end as another kind does.
var endings = map[Kind][]string{PDF: {".pdf"}, JPEG: {".jpg", ".jpeg", ".jpe"}, PNG: {".png"}}

// Rename gives the name of a file of this kind that ends as another kind does,
// or as none of them, the right ending: people's programs go by it.
func (k Kind) Rename(name string) string {
	ending := path.Ext(name)
	if len(endings[k]) == 0 || slices.Contains(endings[k], strings.ToLower(ending)) {
		return name
	}
	for _, others := range endings {
		if slices.Contains(others, strings.ToLower(ending)) {
			return strings.TrimSuffix(name, ending) + endings[k][0]
		}
	}
	return name + endings[k][0]
}

// Code is a stable name for why a file was refused. It is part of the API.
type Code string

// Why a file is refused.
const (
	Empty       Code = "empty"
	WrongType   Code = "wrong_type"  // none of the kinds that are taken; Looks says what it seems to be
	Damaged     Code = "damaged"     // cut short or broken
	Encrypted   Code = "encrypted"   // a PDF under a password or with restrictions
	NoPages     Code = "no_pages"    // a PDF without a page
	Dimensions  Code = "dimensions"  // a picture of no size, or too large to be a paper
	Unsupported Code = "unsupported" // a JPEG coded in a way that hardly any program reads
	TooMuch     Code = "too_much"    // the files of a drop cost too much together; see Work
)

// Limits of a picture. A page of F4 scanned at 600 dpi has 39.6 million pixels.
const (
	MaxSide   = 20_000     // pixels of width or height
	MaxPixels = 40_000_000 // pixels of the whole
)

// MaxBytes is the largest file that Check looks at, which it holds in memory: a
// daemon whose configuration lets larger ones in could not say what they are.
const MaxBytes = 16 << 20

// Error is a refused file.
type Error struct {
	Code Code
	// Kind is what the first bytes promise; empty for WrongType and Empty.
	Kind Kind
	// Looks is what a file of the wrong type seems to be, in Indonesian; may be empty.
	Looks string
	// Allowed are the kinds that were asked for.
	Allowed []Kind
	// Detail is for the log and the developer.
	Detail string
}

// Error says why in English, for logs.
func (e *Error) Error() string {
	text := "filetype: " + string(e.Code)
	if e.Kind != "" {
		text += " " + string(e.Kind)
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// fault is how the walks of the kinds report what they found.
type fault struct {
	code   Code
	detail string
}

func (f *fault) Error() string { return string(f.code) + ": " + f.detail }

func damaged(format string, args ...any) error {
	return &fault{Damaged, fmt.Sprintf(format, args...)}
}

// files holds the files being checked; grown to the largest seen, they serve again.
var files = sync.Pool{New: func() any { return new([]byte) }}

// Check reads a file of size bytes and returns which of the allowed kinds it
// is. A file that is refused gives *Error; other errors are of the reading.
// It holds the file in memory, besides a few MB at most: callers bound how many
// checks run at a time.
func Check(r io.ReaderAt, size int64, allowed ...Kind) (Kind, error) {
	return NewWork().Check(r, size, allowed...)
}

func (w *Work) check(r io.ReaderAt, size int64, allowed []Kind) (Kind, error) {
	if size == 0 {
		return "", &Error{Code: Empty, Allowed: allowed}
	}
	if size > MaxBytes {
		return "", fmt.Errorf("filetype: a file of %d bytes, at most %d are looked at", size, MaxBytes)
	}
	held := files.Get().(*[]byte)
	defer files.Put(held)
	if int64(cap(*held)) < size {
		*held = make([]byte, size)
	}
	b := (*held)[:size]
	if n, err := r.ReadAt(b, 0); int64(n) < size {
		return "", fmt.Errorf("filetype: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	kind := sniff(b)
	if !slices.Contains(allowed, kind) {
		return "", &Error{Code: WrongType, Looks: looks(b, kind), Allowed: allowed}
	}
	var err error
	switch kind {
	case PDF:
		err = checkPDF(b, w)
	case JPEG:
		err = checkJPEG(b, w)
	case PNG:
		err = checkPNG(b, w)
	}
	var f *fault
	if errors.As(err, &f) {
		return kind, &Error{Code: f.code, Kind: kind, Detail: f.detail, Allowed: allowed}
	}
	return kind, err
}

// checkSize judges the size that a picture says it has, before anything of it
// is decoded.
func checkSize(width, height int) error {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide || width*height > MaxPixels {
		return &fault{Dimensions, fmt.Sprintf("%d by %d pixels", width, height)}
	}
	return nil
}
