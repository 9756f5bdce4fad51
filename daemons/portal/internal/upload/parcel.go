package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Sizes of files that people send with a form, in bytes (features.md N37).
const (
	maxLetter = 3 << 20
	maxSheet  = 5 << 20
	// MaxParcel is the largest body that ReadParcel takes.
	MaxParcel = maxLetter + maxSheet + bodySpare

	maxName = 120 // characters of a file's name
)

// File is a file of a parcel, found to be what it must be.
type File struct {
	Name, MediaType string
	SHA256          [sha256.Size]byte
	size            int64
	file            *os.File
}

// Content reads the file from its beginning; it may be called again.
func (f *File) Content() *io.SectionReader { return io.NewSectionReader(f.file, 0, f.size) }

// Parcel is a form with files, each in a part of its own name. Close it.
type Parcel struct {
	Fields map[string]string
	Files  map[string]*File
}

// Close gives the space of the files back; of no parcel there is none.
func (p *Parcel) Close() {
	if p == nil {
		return
	}
	for _, f := range p.Files {
		_ = f.file.Close() // it has no name: nothing can be lost
	}
}

// ReadParcel takes in a form with these fields, a letter (PDF, JPG or PNG) and a
// sheet (XLSX) in the parts of these names. A file that was not chosen is not
// there. The error is a *web.Problem, or a fault of this machine; beside one that is
// about the files alone comes the parcel with its fields, so that a page can show
// them again.
func (s *Spool) ReadParcel(r *http.Request, fields []string, letter, sheet string) (*Parcel, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	p := &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults []web.FieldError
	take := taking(func(e web.FieldError) { faults = append(faults, e) })
	parts := expected{fields: fields, files: map[string]wanted{
		letter: {limit: maxLetter, check: (*File).checkLetter, soft: take, large: "Surat paling besar 3 MB. Pindai dengan resolusi lebih rendah."},
		sheet:  {limit: maxSheet, check: (*File).checkSheet, soft: take, large: "Daftar paling besar 5 MB."},
	}}
	if err := s.fill(r.Context(), p, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		p.Close()
		return nil, err
	}
	if len(faults) > 0 {
		return p, web.Unprocessable("Ada berkas yang tidak dapat diterima. Pilih berkas yang benar, lalu kirim kembali.", faults...)
	}
	return p, nil
}

// taking gives what is wrong with a file to take, and passes on what is not the
// file's own.
func taking(take func(web.FieldError)) func(error) error {
	return func(err error) error {
		var problem *web.Problem
		if !errors.As(err, &problem) || len(problem.Errors) == 0 {
			return err
		}
		for _, e := range problem.Errors {
			take(e)
		}
		return nil
	}
}

// expected are the parts that a form may have, by their names.
type expected struct {
	fields, lines []string // lines may have several
	long          string   // the one that may have as many as a letter may name rows, or empty
	files         map[string]wanted
	picks         string    // of the parts that may come again and again, or empty
	picked        *[]string // theirs
}

// wanted is a file of a form.
type wanted struct {
	limit int64 // bytes
	check func(f *File, pointer string) error
	large string            // said when it is larger, instead of refusing the whole body
	soft  func(error) error // takes what is wrong with the file, and passes on what is not its own
}

func (s *Spool) fill(ctx context.Context, p *Parcel, mr *multipart.Reader, parts expected) error {
	for {
		part, err := mr.NextRawPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it says that the body ended before its last boundary
			return nil
		}
		if err != nil {
			return unreadable(err)
		}
		name := part.FormName()
		_, again := p.Fields[name]
		file, isFile := parts.files[name]
		switch {
		case again || p.Files[name] != nil:
			return fault("/"+name, "repeated", "Bagian ini hanya boleh dikirim satu kali.")
		case isFile:
			if err = s.attach(ctx, p, part, file); err != nil && file.soft != nil {
				err = file.soft(err)
			}
		case parts.picks != "" && name == parts.picks:
			err = parts.pick(part)
		case slices.Contains(parts.fields, name):
			p.Fields[name], err = field(part, name, "")
		case parts.long != "" && name == parts.long:
			p.Fields[name], err = fieldWithin(part, name, "\r\n\t", maxLong)
		case slices.Contains(parts.lines, name):
			p.Fields[name], err = field(part, name, "\r\n\t")
		default:
			return fault("/"+name, "unknown_part", "Bagian ini tidak dikenal.")
		}
		if err != nil {
			return err
		}
	}
}

// pick takes one more row.
func (e expected) pick(part *multipart.Part) error {
	row, err := field(io.LimitReader(part, maxPick+1), e.picks, "")
	switch {
	case err != nil:
		return err
	case len(row) > maxPick:
		return fault("/"+e.picks, "too_long", "Isian ini terlalu panjang.")
	case len(*e.picked) == MaxPicked:
		return fault("/"+e.picks, "too_many", fmt.Sprintf("Paling banyak %d kartu sekaligus.", MaxPicked))
	}
	*e.picked = append(*e.picked, row)
	return nil
}

func (s *Spool) attach(ctx context.Context, p *Parcel, part *multipart.Part, want wanted) error {
	file, err := os.CreateTemp(s.dir, spoolFiles) // mode 0600
	if err != nil {
		return fmt.Errorf("upload: spool: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return fmt.Errorf("upload: spool: %w", err)
	}
	name := part.FormName()
	f := &File{Name: plainName(part.FileName(), name), file: file}
	p.Files[name] = f
	sum := sha256.New()
	if f.size, err = io.Copy(io.MultiWriter(&disk{file}, sum), io.LimitReader(part, want.limit+1)); err != nil {
		return unreadable(err)
	}
	sum.Sum(f.SHA256[:0])
	switch {
	case f.size == 0 && part.FileName() == "": // a browser's way to say that none was chosen
		_ = file.Close()
		delete(p.Files, name)
		return nil
	case f.size == 0:
		return fault("/"+name, "empty", "Berkas ini kosong.")
	case f.size > want.limit && want.large != "":
		return fault("/"+name, "too_large", want.large)
	case f.size > want.limit:
		return web.TooLarge(want.limit)
	}
	done, err := s.Turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	return want.check(f, "/"+name)
}

// plainName keeps what is useful of the name that a file had at the sender's.
func plainName(given, part string) string {
	name := path.Base(strings.ReplaceAll(given, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxName {
		name = string(runes[:maxName])
	}
	if name = strings.TrimSpace(name); name == "" || name == "." || name == "/" {
		return part
	}
	return name
}

func (f *File) checkLetter(pointer string) error {
	kind, err := filetype.Check(f.file, f.size, filetype.PDF, filetype.JPEG, filetype.PNG)
	var refused *filetype.Error
	switch {
	case errors.As(err, &refused):
		return fault(pointer, string(refused.Code), refused.Sentence("surat"))
	case err != nil:
		return fmt.Errorf("upload: spool: %w", err)
	}
	f.MediaType = string(kind)
	f.Name = kind.Rename(f.Name)
	return nil
}

func (f *File) checkSheet(pointer string) error {
	f.MediaType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	_, err := xlsx.Open(f.file, f.size, validation.ListLimits)
	var refused *xlsx.Error
	switch {
	case errors.As(err, &refused):
		return fault(pointer, string(refused.Code), refused.Sentence("Daftar ini"))
	case err != nil:
		return fmt.Errorf("upload: spool: %w", err)
	}
	return nil
}
