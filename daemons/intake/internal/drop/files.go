package drop

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"dukcapil.go.id/sifilma/pkg/filetype"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	mediaXLSX  = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	maxEntries = 256 // of an archive
)

// checkFile looks whether a file is what it must be. What it finds goes to
// faults; the error is this machine's.
func (in *intake) checkFile(f *File) error {
	if workbook(f.Kind) {
		if f.Size > 0 {
			return in.checkXLSX(f)
		}
		in.faults.add(f.Pointer, string(filetype.Empty), "Berkas "+fileLabels[f.Kind]+" kosong.")
		return nil
	}
	kind, err := in.work.Check(f.Content(), f.Size, filetype.PDF, filetype.JPEG, filetype.PNG)
	var refused *filetype.Error
	switch {
	case errors.As(err, &refused):
		in.faults.add(f.Pointer, string(refused.Code), refused.Sentence(fileLabels[f.Kind]))
		return nil
	case err != nil:
		return &spoolError{err}
	}
	f.MediaType = string(kind)
	f.Name = kind.Rename(f.Name)
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
		detail := validation.Refusal(refused)
		if f.Kind == need.FileList {
			detail = refused.Sentence("Daftar alat")
		}
		in.faults.add(f.Pointer, string(refused.Code), detail)
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
