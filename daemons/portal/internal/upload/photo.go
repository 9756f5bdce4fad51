package upload

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // the size that a picture says it has
	_ "image/png"
	"mime"
	"mime/multipart"
	"net/http"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Bounds of the photo of a person.
const (
	MaxPhoto     = 1 << 20 // bytes
	maxPhotoSide = 5000    // pixels of width or height: whoever looks at it unpacks it
	// MaxPhotoBody is the largest body that ReadPhoto takes, in bytes. It has room for
	// a picture that is too large, so that the form can say so at its field.
	MaxPhotoBody = 12 << 20
)

// ReadPhoto takes in a form with these fields, of which those of lines may have
// several lines, and a photo (JPG or PNG) in the part of this name. What is wrong
// with the photo is returned as faults beside the form, which holds the rest then;
// other errors are a *web.Problem, or a fault of this machine.
func (s *Spool) ReadPhoto(r *http.Request, fields, lines []string, photo string) (*Parcel, form.Faults, error) {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "multipart/form-data" || params["boundary"] == "" {
		return nil, nil, web.UnsupportedMedia("Kirim isi permintaan sebagai multipart/form-data.")
	}
	p := &Parcel{Fields: map[string]string{}, Files: map[string]*File{}}
	var faults form.Faults
	soft := taking(func(e web.FieldError) { faults.Add(e.Pointer, e.Code, "%s", e.Detail) })
	parts := expected{fields: fields, lines: lines, files: map[string]wanted{photo: {limit: MaxPhoto, check: (*File).checkPhoto, soft: soft, large: "Foto paling besar 1 MB. Perkecil fotonya, lalu pilih kembali."}}}
	if err := s.fill(r.Context(), p, multipart.NewReader(r.Body, params["boundary"]), parts); err != nil {
		p.Close()
		return nil, nil, err
	}
	return p, faults, nil
}

func (f *File) checkPhoto(pointer string) error {
	kind, err := filetype.Check(f.file, f.size, filetype.JPEG, filetype.PNG)
	var refused *filetype.Error
	switch {
	case errors.As(err, &refused) && refused.Code == filetype.Dimensions:
		return photoSide(pointer)
	case errors.As(err, &refused):
		return fault(pointer, string(refused.Code), refused.Sentence("foto profil"))
	case err != nil:
		return fmt.Errorf("upload: spool: %w", err)
	}
	says, _, err := image.DecodeConfig(f.Content())
	switch {
	case err != nil: // a kind that browsers may not show either
		return fault(pointer, string(filetype.Unsupported), "Foto profil memakai jenis gambar yang tidak dapat dibaca. Simpan ulang sebagai JPG atau PNG biasa, lalu pilih kembali.")
	case says.Width > maxPhotoSide || says.Height > maxPhotoSide:
		return photoSide(pointer)
	}
	f.MediaType = string(kind)
	f.Name = kind.Rename(f.Name)
	return nil
}

func photoSide(pointer string) error {
	return fault(pointer, string(filetype.Dimensions), fmt.Sprintf("Lebar dan tinggi foto profil paling besar %d piksel. Perkecil fotonya, lalu pilih kembali.", maxPhotoSide))
}
