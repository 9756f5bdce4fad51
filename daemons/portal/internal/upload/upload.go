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
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	// ScanPart is the part that ReadScan takes the scan from.
	ScanPart   = "scan"
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

// MaxBody is the largest body that ReadScan takes, in bytes. It has room for a scan that
// is too large, so that the form can say so at its field.
func (s *Spool) MaxBody() int64 { return 2*s.maxScan + bodySpare }

// ReadScan takes in a form with these fields and a scan (PDF) in the part "scan". What
// is wrong with the scan, also that there is none, is returned as faults beside the form,
// which holds the rest then; other errors are a *web.Problem, or a fault of this machine.
func (s *Spool) ReadScan(r *http.Request, fields ...string) (*Parcel, form.Faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	p := &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults form.Faults
	soft := taking(func(e web.FieldError) { faults.Add(e.Pointer, e.Code, "%s", e.Detail) })
	parts := expected{fields: fields, files: map[string]wanted{ScanPart: {
		limit: s.maxScan, check: (*File).checkScan, soft: soft, large: fmt.Sprintf("Pindaian paling besar %d MB. Pindai dengan resolusi lebih rendah.", s.maxScan>>20),
	}}}
	if err := s.fill(r.Context(), p, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		p.Close()
		return nil, nil, err
	}
	if p.Files[ScanPart] == nil && len(faults) == 0 {
		faults.Add("/"+ScanPart, "missing", "Pindaian bertanda tangan (PDF) wajib dilampirkan.")
	}
	return p, faults, nil
}

// checkScan looks whether the scan is a whole PDF.
func (f *File) checkScan(pointer string) error {
	kind, err := filetype.Check(f.file, f.size, filetype.PDF)
	var refused *filetype.Error
	switch {
	case errors.As(err, &refused):
		return fault(pointer, string(refused.Code), refused.Sentence("pindaian"))
	case err != nil:
		return fmt.Errorf("upload: spool: %w", err)
	}
	f.MediaType, f.Name = string(kind), kind.Rename(f.Name)
	return nil
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
