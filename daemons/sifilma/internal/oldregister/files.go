package oldregister

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// limits bound a workbook: a sheet of Excel's own length fits. The reader holds
// the shared texts of the workbook and one row.
var limits = xlsx.Limits{FileBytes: mostBytes, UnzippedBytes: 2 << 30, PartBytes: 1 << 30, Rows: 1 << 20, Sheets: 256, Entries: 2048}

const mostBytes = 256 << 20

// fileReader reads a file from its beginning, as often as it is asked to.
type fileReader struct {
	file  *os.File
	size  int64
	sheet string // the one to read; empty for all
	skip  skips
	today clock.Date
}

// contents is what a file was found to hold.
type contents struct {
	sheets   []*sheetReader
	left     []string // names of sheets that are not wanted
	unchosen []string // names of sheets beside the one that was chosen
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
		s.judgeOthers()
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
	return &sheetReader{name: name, today: f.today, skip: f.skip, faults: c.faults, warning: c.warnings, take: take}
}

func (f *fileReader) readBook(c *contents, book *xlsx.Workbook, take func(register.Entry) error) error {
	var names []string
	wanted := false
	for _, s := range book.Sheets() {
		names = append(names, s.Name)
		if f.sheet != "" && !strings.EqualFold(strings.TrimSpace(s.Name), strings.TrimSpace(f.sheet)) {
			c.unchosen = append(c.unchosen, s.Name)
			continue
		}
		wanted = true
		if f.skip.sheet(s.Name) {
			c.left = append(c.left, s.Name)
			continue
		}
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
		switch {
		case r.found:
			c.sheets = append(c.sheets, r)
		case r.seen > 0:
			c.faults.file("sheet_unread", s.Name, "lembar ini berisi, tetapi dalam %d baris pertamanya tidak ada kepala kolom nomor yang dikenal, "+
				"sehingga tidak dibaca. %s", headerWithin, renameOrSkip("-skip-sheet", s.Name))
		}
	}
	switch {
	case !wanted:
		c.faults.file("sheet_missing", "", "lembar \"%s\" tidak ada. Lembar dalam berkas ini: %s.", f.sheet, strings.Join(names, ", "))
	case len(c.sheets) == 0 && len(c.left) == 0 && c.faults.none():
		c.noHeader()
	}
	return nil
}

func (c *contents) noHeader() {
	c.faults.file("header_missing", "", "kepala kolom tidak ditemukan dalam %d baris pertama. Daftar perlu sedikitnya satu dari: %s.",
		headerWithin, numberLabels())
}

// notUTF8 says that a text is in another code; which, cannot be told safely.
type notUTF8 string

func (e notUTF8) Error() string { return string(e) }

const saveAsUTF8 = " Di Excel, simpan sebagai \"CSV UTF-8\" atau sebagai buku kerja (.xlsx)."

// readCSV tries both separators on the beginning and reads with the one that
// shows more columns.
func (f *fileReader) readCSV(c *contents, take func(register.Entry) error) error {
	best, columns := ';', 0
	for _, comma := range []rune{';', ','} {
		trial := f.newSheet(&contents{faults: newFaults(), warnings: newFaults()}, "", func(register.Entry) error { return io.EOF })
		_ = f.records(comma, func(row xlsx.Row) error {
			if err := trial.row(row); err != nil || trial.found || trial.seen > headerWithin {
				return io.EOF
			}
			return nil
		})
		if n := len(trial.header.columns); trial.found && n > columns {
			best, columns = comma, n
		}
	}
	r := f.newSheet(c, "", take)
	var broken *csv.ParseError
	var encoding notUTF8
	switch err := f.records(best, r.row); {
	case errors.As(err, &encoding):
		c.faults.file("encoding", "", "%s", string(encoding))
		return nil
	case errors.As(err, &broken):
		c.faults.file("csv", "", "baris %d tidak tersusun sebagai CSV: tanda kutip tidak berpasangan. Perbaiki, atau simpan ulang dari Excel.", broken.Line)
		return nil
	case err != nil:
		return err
	}
	if !r.found {
		c.noHeader()
		return nil
	}
	c.sheets = append(c.sheets, r)
	return nil
}

// records reads a CSV file as rows of text cells. A row has the number of the line
// on which it begins, as Excel counts when no cell has line breaks.
func (f *fileReader) records(comma rune, row func(xlsx.Row) error) error {
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var head [3]byte
	n, err := io.ReadFull(f.file, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if bytes.HasPrefix(head[:n], []byte("\xff\xfe")) || bytes.HasPrefix(head[:n], []byte("\xfe\xff")) {
		return notUTF8("berkas teks ini berkode UTF-16, sedangkan yang dibaca hanya UTF-8." + saveAsUTF8)
	}
	if !bytes.Equal(head[:n], []byte("\xef\xbb\xbf")) {
		if _, err := f.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	in := csv.NewReader(f.file)
	in.Comma, in.FieldsPerRecord, in.ReuseRecord = comma, -1, true
	var cells []xlsx.Cell
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := in.FieldPos(0)
		cells = cells[:0]
		for i, text := range record {
			if !utf8.ValidString(text) {
				return notUTF8(fmt.Sprintf("berkas teks ini tidak berkode UTF-8 (baris %d; biasanya Windows-1252), sehingga hurufnya tidak pasti.", line) + saveAsUTF8)
			}
			if strings.TrimSpace(text) != "" {
				cells = append(cells, xlsx.Cell{Row: line, Col: i + 1, Kind: xlsx.Text, Text: text, Raw: text})
			}
		}
		if len(cells) == 0 {
			continue
		}
		if err := row(xlsx.Row{Number: line, Cells: cells}); err != nil {
			return err
		}
	}
}
