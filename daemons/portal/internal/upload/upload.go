// Package upload takes in a form with a scan: a multipart body with a few short
// fields and one PDF, which is spooled to a nameless file before any
// transaction begins.
package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	scanPart   = "scan"
	maxField   = 4 << 10 // bytes of a field
	bodySpare  = 64 << 10
	spoolFiles = "sifilma-scan-*"
)

// Spool is the folder that scans pass through.
type Spool struct {
	dir     string
	maxScan int64
	checks  chan struct{} // bounds the memory of scans that are looked at
}

// NewSpool returns a spool in dir, the system's temporary folder when empty,
// for scans of at most maxScan bytes.
func NewSpool(dir string, maxScan int64) (*Spool, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("upload: %w", err)
		}
	}
	return &Spool{dir: dir, maxScan: maxScan, checks: make(chan struct{}, 2)}, nil
}

// Turn waits until a file may be looked into and returns what to call afterwards: few are at
// the same time, for the memory's sake.
func (s *Spool) Turn(ctx context.Context) (done func(), err error) {
	select {
	case s.checks <- struct{}{}:
		return func() { <-s.checks }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// MaxBody is the largest body that Read takes, in bytes.
func (s *Spool) MaxBody() int64 { return s.maxScan + bodySpare }

// Form is a body that was read. Close it.
type Form struct {
	Fields map[string]string
	Size   int64
	scan   *os.File
}

// Scan reads the PDF from its beginning; it may be called again.
func (f *Form) Scan() io.Reader { return io.NewSectionReader(f.scan, 0, f.Size) }

// Close gives the space of the scan back.
func (f *Form) Close() {
	if f.scan != nil {
		_ = f.scan.Close() // it has no name: nothing can be lost
	}
}

// Read takes a body in. fields are the names of the fields that it may have;
// whether they must be there is the caller's to say. The error is a
// *web.Problem, or a fault of this machine.
func (s *Spool) Read(r *http.Request, fields ...string) (*Form, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	f := &Form{Fields: map[string]string{}}
	if err := s.parts(f, multipart.NewReader(r.Body, params["boundary"]), fields); err != nil {
		f.Close()
		return nil, err
	}
	if err := s.check(r.Context(), f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *Spool) parts(f *Form, mr *multipart.Reader, fields []string) error {
	for {
		part, err := mr.NextRawPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it says that the body ended before its last boundary
			return nil
		}
		if err != nil {
			return unreadable(err)
		}
		name := part.FormName()
		_, again := f.Fields[name]
		switch {
		case again || name == scanPart && f.scan != nil:
			return fault("/"+name, "repeated", "Bagian ini hanya boleh dikirim satu kali.")
		case name == scanPart:
			err = s.spool(f, part)
		case slices.Contains(fields, name):
			f.Fields[name], err = field(part, name, "")
		default:
			return fault("/"+name, "unknown_part", "Bagian ini tidak dikenal.")
		}
		if err != nil {
			return err
		}
	}
}

// field reads a short text; of the control characters it may have those allowed.
func field(part io.Reader, name, allowed string) (string, error) {
	return fieldWithin(part, name, allowed, maxField)
}

// fieldWithin is field for texts of so many bytes.
func fieldWithin(part io.Reader, name, allowed string, most int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(part, most+1))
	switch {
	case err != nil:
		return "", unreadable(err)
	case int64(len(b)) > most:
		return "", fault("/"+name, "too_long", "Isian ini terlalu panjang.")
	case !utf8.Valid(b):
		return "", fault("/"+name, "encoding", "Isian ini bukan teks UTF-8.")
	case bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) }):
		return "", fault("/"+name, "bad_character", "Isian ini berisi karakter yang tidak dapat dipakai.")
	}
	return strings.TrimSpace(string(b)), nil
}

func (s *Spool) spool(f *Form, part io.Reader) error {
	file, err := os.CreateTemp(s.dir, spoolFiles) // mode 0600
	if err != nil {
		return fmt.Errorf("upload: spool: %w", err)
	}
	f.scan = file
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("upload: spool: %w", err)
	}
	to := &disk{file}
	if f.Size, err = io.Copy(to, io.LimitReader(part, s.maxScan+1)); err != nil {
		return unreadable(err)
	}
	if f.Size > s.maxScan {
		return web.TooLarge(s.maxScan)
	}
	return nil
}

// check looks whether the scan is a whole PDF.
func (s *Spool) check(ctx context.Context, f *Form) error {
	if f.scan == nil {
		return fault("/"+scanPart, "missing", "Pindaian bertanda tangan (PDF) wajib dilampirkan.")
	}
	done, err := s.Turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = filetype.Check(f.scan, f.Size, filetype.PDF)
	var refused *filetype.Error
	switch {
	case errors.As(err, &refused):
		return fault("/"+scanPart, string(refused.Code), refused.Sentence("pindaian"))
	case err != nil:
		return fmt.Errorf("upload: spool: %w", err)
	}
	return nil
}

// disk marks errors of writing, to tell them from those of the network.
type disk struct{ f *os.File }

type diskError struct{ err error }

func (e *diskError) Error() string { return "upload: spool: " + e.err.Error() }
func (e *diskError) Unwrap() error { return e.err }

func (d *disk) Write(p []byte) (int, error) {
	n, err := d.f.Write(p)
	if err != nil {
		return n, &diskError{err}
	}
	return n, nil
}

func unreadable(err error) error {
	var full *http.MaxBytesError
	var own *diskError
	switch {
	case errors.As(err, &full):
		return web.TooLarge(full.Limit)
	case errors.As(err, &own):
		return err
	}
	return web.BadRequest("Isi permintaan bukan multipart/form-data yang utuh.")
}

func fault(pointer, code, detail string) error {
	if len(pointer) > 60 {
		pointer = strconv.Quote(pointer[:60])
	}
	return web.Unprocessable("Berkas atau isian belum memenuhi syarat.", web.FieldError{Pointer: pointer, Code: code, Detail: detail})
}
