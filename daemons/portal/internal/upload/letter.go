package upload

import (
	"mime"
	"mime/multipart"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Bounds of a letter that comes with the rows it is about.
const (
	// MaxPicked is how many rows one letter may name: more than any request has cards
	// that were not made yet on a usual day, and few enough to be looked through.
	MaxPicked = 5000
	maxPick   = 64 // bytes of the name of a row
	// MaxLetterBody is the largest body that ReadLetter takes, in bytes. A row is a
	// part of its own, with its head.
	MaxLetterBody = maxLetter + bodySpare + MaxPicked*(maxPick+256)
	maxLong       = 1 << 20 // bytes of the rows typed one a line, or of the JSON of readers
	// MaxListedLetterBody is the largest body that ReadListedLetter takes, in bytes.
	MaxListedLetterBody = maxLetter + maxSheet + maxLong + bodySpare
)

// Letter is a form with the scan of a letter and the rows that were picked. Close it.
type Letter struct {
	*Parcel
	Picked []string
}

// ReadLetter takes in a form with these fields, of which those of lines may have
// several lines, a letter (PDF, JPG or PNG) in the part scan, and any number of parts
// pick, each with a row. What is wrong with the letter is returned as faults beside
// the form, which holds the rest then; other errors are a *web.Problem, or a fault of
// this machine.
func (s *Spool) ReadLetter(r *http.Request, fields, lines []string, scan, pick string) (*Letter, form.Faults, error) {
	l := &Letter{}
	return s.letter(r, l, expected{fields: fields, lines: lines, picks: pick, picked: &l.Picked}, scan, "")
}

// ReadListedLetter is ReadLetter for a form in which the rows are typed into the field
// long, or stand in a workbook (XLSX) in the part sheet.
func (s *Spool) ReadListedLetter(r *http.Request, fields, lines []string, scan, long, sheet string) (*Letter, form.Faults, error) {
	return s.letter(r, &Letter{}, expected{fields: fields, lines: lines, long: long}, scan, sheet)
}

func (s *Spool) letter(r *http.Request, l *Letter, parts expected, scan, sheet string) (*Letter, form.Faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	l.Parcel = &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults form.Faults
	soft := taking(func(e web.FieldError) { faults.Add(e.Pointer, e.Code, "%s", e.Detail) })
	parts.files = map[string]wanted{
		scan: {limit: maxLetter, check: (*File).checkLetter, soft: soft, large: "Pindaian surat paling besar 3 MB. Pindai dengan resolusi lebih rendah."},
	}
	if sheet != "" {
		parts.files[sheet] = wanted{limit: maxSheet, check: (*File).checkSheet, soft: soft, large: "Daftar paling besar 5 MB."}
	}
	if err := s.fill(r.Context(), l.Parcel, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		l.Close()
		return nil, nil, err
	}
	return l, faults, nil
}
