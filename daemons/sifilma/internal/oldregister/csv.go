package oldregister

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// notUTF8 says that a text is in another code; which, cannot be told safely.
type notUTF8 string

func (e notUTF8) Error() string { return string(e) }

// Bounds of a row of a CSV file: a quotation mark that is never closed makes one
// row of all that follows.
const (
	mostRow     = 256 << 10 // bytes
	mostColumns = 16_384    // as Excel
)

// longRow says that a row is beyond the bounds. It holds the last line that was
// read before.
type longRow int

func (e longRow) Error() string {
	return fmt.Sprintf("baris sesudah baris %d lebih panjang dari %d KB atau memuat lebih dari %s kolom, sehingga bukan baris sebuah daftar; "+
		"biasanya ada tanda kutip yang tidak ditutup. Perbaiki, atau simpan ulang dari Excel.", int(e), mostRow>>10, terbilang.FormatInt(mostColumns))
}

// rowLimit fails when one row takes more than mostRow bytes; each row begins with
// grant.
type rowLimit struct {
	from io.Reader
	left int
	line int // that begins the last row
}

func (l *rowLimit) grant(line int) { l.left, l.line = mostRow, line }

func (l *rowLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, longRow(l.line)
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

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
	var long longRow
	switch err := f.records(best, r.row); {
	case errors.As(err, &encoding):
		c.faults.file("encoding", "", "%s", string(encoding))
		return nil
	case errors.As(err, &long):
		c.faults.file("csv", "", "%s", long.Error())
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
	limit := &rowLimit{from: f.file}
	limit.grant(0)
	in := csv.NewReader(limit)
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
		if len(record) > mostColumns {
			return longRow(limit.line)
		}
		limit.grant(line)
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
