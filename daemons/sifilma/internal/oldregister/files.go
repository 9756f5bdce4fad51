package oldregister

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// limits bound a workbook: a sheet of Excel's own length fits. The reader holds
// the shared texts of the workbook and one row.
var limits = xlsx.Limits{FileBytes: mostBytes, UnzippedBytes: 2 << 30, PartBytes: 1 << 30, Rows: 1 << 20, Sheets: 256, Entries: 2048}

const mostBytes = 256 << 20

// input is a file, or what stands for one.
type input interface {
	io.ReadSeeker
	io.ReaderAt
}

// fileReader reads a file from its beginning, as often as it is asked to.
type fileReader struct {
	file  input
	size  int64
	sheet string // the one to read; empty for all that have a header
	today clock.Date
}

// contents is what a file was found to hold.
type contents struct {
	sheets   []*sheetReader
	passed   []string // names of sheets without a header
	rows     int
	faults   *faults
	warnings *faults
}

// read hands each row with a number to take. What is wrong with the file is in
// its faults; the error is take's, or the disk's.
func (f *fileReader) read(take func(register.Entry) error) (c contents, err error) {
	c = contents{faults: newFaults(), warnings: newFaults()}
	book, err := xlsx.Open(f.file, f.size, limits)
	var refused *xlsx.Error
	switch {
	case errors.As(err, &refused) && refused.Code == xlsx.PlainText:
		err = f.readCSV(&c, take)
	case errors.As(err, &refused):
		c.refuse("", refused)
		return c, nil
	case err != nil:
		return c, fmt.Errorf("membaca berkas: %w", err)
	default:
		err = f.readBook(&c, book, take)
	}
	if errors.As(err, &refused) {
		c.refuse(refused.Part, refused)
		err = nil
	}
	for _, s := range c.sheets {
		c.rows += s.rows
	}
	if err == nil && c.rows == 0 && c.faults.none() {
		c.faults.file("empty", "", "berkas tidak berisi satu baris pun di bawah kepala kolomnya.")
	}
	return c, err
}

func (c *contents) refuse(part string, e *xlsx.Error) {
	text := e.Sentence("berkas")
	if e.Code == xlsx.NotWorkbook {
		text = "berkas bukan buku kerja Excel (.xlsx) dan bukan CSV."
	}
	if part != "" {
		text += " (" + part + ")"
	}
	c.faults.file("file_"+string(e.Code), "", "%s", text)
}

func (f *fileReader) newSheet(c *contents, name string, take func(register.Entry) error) *sheetReader {
	return &sheetReader{name: name, today: f.today, faults: c.faults, warning: c.warnings, take: take}
}

func (f *fileReader) readBook(c *contents, book *xlsx.Workbook, take func(register.Entry) error) error {
	var names []string
	wanted := false
	for _, s := range book.Sheets() {
		names = append(names, s.Name)
		if f.sheet != "" && !strings.EqualFold(strings.TrimSpace(s.Name), strings.TrimSpace(f.sheet)) {
			continue
		}
		wanted = true
		r := f.newSheet(c, s.Name, take)
		for row, err := range book.Rows(s.Name) {
			if err == nil {
				err = r.row(row)
			}
			if err != nil {
				return err
			}
			if !r.found && r.seen > headerWithin {
				break
			}
		}
		if !r.found {
			c.passed = append(c.passed, s.Name)
			continue
		}
		c.sheets = append(c.sheets, r)
	}
	switch {
	case !wanted:
		c.faults.file("sheet_missing", "", "lembar \"%s\" tidak ada. Lembar dalam berkas ini: %s.", f.sheet, strings.Join(names, ", "))
	case len(c.sheets) == 0:
		c.noHeader()
	}
	return nil
}

func (c *contents) noHeader() {
	c.faults.file("header_missing", "", "kepala kolom tidak ditemukan dalam %d baris pertama. Daftar perlu sedikitnya satu dari: %s.",
		headerWithin, numberLabels())
}
