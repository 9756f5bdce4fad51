package upload

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/web"
)

// TemplatePart is the part that ReadTemplate takes the Word file from.
const TemplatePart = "file"

// MaxTemplateBody is the largest body that ReadTemplate takes, in bytes. It has room for
// a file that is too large, so that the form can say so at its field.
const MaxTemplateBody = 2*template.MaxBytes + bodySpare

// ReadTemplate takes in a form with these fields, of which the last may have several
// lines, and a Word file, which is only bounded in size: whoever judges it says what is
// wrong in it, within a Turn. A size that is wrong is returned as faults beside the
// form; other errors are a *web.Problem, or a fault of this machine.
func (s *Spool) ReadTemplate(r *http.Request, fields []string, lines string) (*Parcel, form.Faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	p := &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults form.Faults
	soft := taking(func(e web.FieldError) { faults.Add(e.Pointer, e.Code, "%s", e.Detail) })
	unread := func(*File, string) error { return nil }
	parts := expected{fields: fields, lines: []string{lines}, files: map[string]wanted{TemplatePart: {
		limit: template.MaxBytes, check: unread, soft: soft, large: fmt.Sprintf("Berkas templat paling besar %d MB. Kecilkan gambarnya.", template.MaxBytes>>20),
	}}}
	if err := s.fill(r.Context(), p, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		p.Close()
		return nil, nil, err
	}
	return p, faults, nil
}

// Bytes is the whole content of a file; of none there is nothing.
func (f *File) Bytes() ([]byte, error) {
	if f == nil {
		return nil, nil
	}
	return io.ReadAll(f.Content())
}
