package upload

import (
	"mime"
	"mime/multipart"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

// MaxSheetBody is the largest body that ReadSheet takes, in bytes.
const MaxSheetBody = 2*maxSheet + bodySpare

// ReadSheet takes in a form with these fields, of which those of lines may have
// several lines, and a workbook in the part of this name. The workbook is only
// bounded in size: whoever reads it says what is wrong in it, within a Turn. A size
// that is wrong is returned as faults beside the form; other errors are a
// *web.Problem, or a fault of this machine.
func (s *Spool) ReadSheet(r *http.Request, fields, lines []string, sheet string) (*Parcel, form.Faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	p := &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults form.Faults
	soft := taking(func(e web.FieldError) { faults.Add(e.Pointer, e.Code, "%s", e.Detail) })
	unread := func(*File, string) error { return nil }
	parts := expected{fields: fields, lines: lines, files: map[string]wanted{sheet: {limit: maxSheet, check: unread, soft: soft, large: "Buku kerja paling besar 5 MB."}}}
	if err := s.fill(r.Context(), p, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		p.Close()
		return nil, nil, err
	}
	return p, faults, nil
}
