package drop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	_ "image/jpeg" // reads the size of a scan
	_ "image/png"  // reads the size of a scan
	"io"

	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Media types of the files that are taken.
const (
	mediaPDF  = "application/pdf"
	mediaJPEG = "image/jpeg"
	mediaPNG  = "image/png"
	mediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

const (
	maxEntries   = 256    // of an archive
	maxPixels    = 20_000 // width or height of a picture
	pdfTailBytes = 2048
)

// checkFile looks whether a file is what it must be: the first bytes and a light
// look at the structure. What it finds goes to faults; the error is this
// machine's.
func (in *intake) checkFile(f *File) error {
	if f.Size == 0 {
		in.faults.add(f.Pointer, "empty", "Berkas "+fileLabels[f.Kind]+" kosong.")
		return nil
	}
	if workbook(f.Kind) {
		return in.checkXLSX(f)
	}
	head, err := f.slice(0, 8)
	if err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("%PDF-")):
		f.MediaType = mediaPDF
		return in.checkPDF(f)
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		f.MediaType = mediaJPEG
		in.checkPicture(f)
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		f.MediaType = mediaPNG
		in.checkPicture(f)
	default:
		in.faults.add(f.Pointer, "wrong_type", "Berkas "+fileLabels[f.Kind]+" harus berupa PDF, JPG, atau PNG; isinya bukan salah satunya.")
	}
	return nil
}

// slice returns up to n bytes from an offset.
func (f *File) slice(at, n int64) ([]byte, error) {
	b := make([]byte, min(n, max(0, f.Size-at)))
	if _, err := f.Content().ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, &spoolError{err}
	}
	return b, nil
}

// checkPDF wants the parts by which a reader finds its way from the end: a
// truncated upload lacks them. The content is never unpacked here.
func (in *intake) checkPDF(f *File) error {
	tail, err := f.slice(max(0, f.Size-pdfTailBytes), pdfTailBytes)
	if err != nil {
		return err
	}
	end := bytes.LastIndex(tail, []byte("%%EOF"))
	if end < 0 || !bytes.Contains(tail[:end], []byte("startxref")) {
		in.faults.add(f.Pointer, "damaged", "Berkas "+fileLabels[f.Kind]+" berawalan PDF tetapi tidak utuh: bagian akhirnya tidak ada.")
	}
	return nil
}

func (in *intake) checkPicture(f *File) {
	config, _, err := image.DecodeConfig(f.Content())
	switch {
	case err != nil:
		in.faults.add(f.Pointer, "damaged", "Gambar "+fileLabels[f.Kind]+" tidak dapat dibaca.")
	case config.Width < 1 || config.Height < 1 || config.Width > maxPixels || config.Height > maxPixels:
		in.faults.add(f.Pointer, "dimensions", "Ukuran gambar "+fileLabels[f.Kind]+" tidak wajar.")
	}
}

// checkXLSX opens the workbook without reading its sheets.
func (in *intake) checkXLSX(f *File) error {
	f.MediaType = mediaXLSX
	entries, err := f.zipEntries()
	if err != nil {
		return err
	}
	var refused *xlsx.Error
	if entries > maxEntries {
		refused = &xlsx.Error{Code: xlsx.TooLarge}
	} else if _, err = xlsx.Open(f.Content(), f.Size, validation.ListLimits); err != nil && !errors.As(err, &refused) {
		return &spoolError{err}
	}
	if refused != nil {
		in.faults.add(f.Pointer, string(refused.Code), validation.Refusal(refused))
	}
	return nil
}

// zipEntries returns how many entries the archive says it has, so that a huge
// directory is refused before it is read into memory; 0 when there is none, and
// too many for the 64-bit form, which no card list needs.
func (f *File) zipEntries() (int, error) {
	const size = 22 // APPNOTE.TXT 4.3.16
	at := max(0, f.Size-size-0xffff)
	tail, err := f.slice(at, size+0xffff)
	if err != nil {
		return 0, err
	}
	end := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if end < 0 || len(tail)-end < size {
		return 0, nil
	}
	entries := int(binary.LittleEndian.Uint16(tail[end+10:]))
	directory := int64(binary.LittleEndian.Uint32(tail[end+12:]))
	if entries == 0xffff || directory > maxEntries*1024 {
		return maxEntries + 1, nil
	}
	return entries, nil
}
