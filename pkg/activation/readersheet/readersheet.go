// Package readersheet is the readers of a surat permohonan aktivasi as an Excel workbook:
// a template to be filled in, and what was filled in read back (features.md J03 to J06,
// N33). It looks at the workbook alone; package activation judges what it says.
package readersheet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Sheet is the sheet of the workbook, FileName the name of the template.
const (
	Sheet    = "Daftar Reader"
	FileName = "templat-aktivasi-reader.xlsx"
)

const (
	headerWithin = 10 // rows with content above the header at most
	templateRows = 200
	mostFaults   = 200 // that are told; whoever has more has another file
)

// column is one that is read, with the field of a line that it is.
type column struct {
	header, field string
	width         float64
	set           func(l *activation.Line, text string)
	get           func(l activation.Line) string
}

// book is a kind of workbook.
type book struct {
	sheet, title, name string // name is what people call it
	root               string // where its rows are in a form
	most, blank        int
	empty              string
	columns            []column
}

var readers = book{
	sheet: Sheet, title: "DAFTAR READER YANG DIMOHONKAN AKTIVASINYA", name: "Daftar reader", root: "/lines", most: activation.MostLines, blank: templateRows,
	empty: "Daftar reader ini kosong. Isi satu baris untuk setiap reader.", columns: columns,
}

var columns = []column{
	{"No. Seri Reader", "reader_serial", 22, func(l *activation.Line, s string) { l.Reader = s }, func(l activation.Line) string { return l.Reader }},
	{"No. Seri Kartu SAM", "sam_serial", 22, func(l *activation.Line, s string) { l.SAM = s }, func(l activation.Line) string { return l.SAM }},
	{"Nomor Asal SAM", "origin_no", 22, func(l *activation.Line, s string) { l.Origin = s }, func(l activation.Line) string { return l.Origin }},
	{"Nomor SAM Hasil Perso", "perso_no", 24, func(l *activation.Line, s string) { l.Perso = s }, func(l activation.Line) string { return l.Perso }},
	{"PCID", "pcid", 38, func(l *activation.Line, s string) { l.PCID = s }, func(l activation.Line) string { return l.PCID }},
	{"Jenis Reader", "machine_type", 28, func(l *activation.Line, s string) { l.MachineType = s }, func(l activation.Line) string { return l.MachineType }},
	{"Mode", "mode", 10, func(l *activation.Line, s string) { l.Mode = s }, func(l activation.Line) string { return l.Mode }},
	{"Alamat Penempatan", "address", 40, func(l *activation.Line, s string) { l.Address = s }, func(l activation.Line) string { return l.Address }},
	{"Wilayah Penggunaan", "region", 24, func(l *activation.Line, s string) { l.Region = s }, func(l activation.Line) string { return l.Region }},
}

// Write writes a workbook with these lines and room for more. machineTypes are the names
// that Excel offers in the column Jenis Reader.
func Write(w io.Writer, lines []activation.Line, machineTypes []string) error {
	return readers.write(w, lines, machineTypes)
}

func (b book) write(w io.Writer, lines []activation.Line, machineTypes []string) error {
	table := xlsx.Table{Sheet: b.sheet, Titles: []string{b.title}, Landscape: true, Blank: max(0, b.blank-len(lines)),
		Columns: []xlsx.Column{{Title: "No.", Width: 6, Align: xlsx.Right, Number: true}}}
	for _, c := range b.columns {
		column := xlsx.Column{Title: c.header, Width: c.width}
		switch c.field {
		case "machine_type":
			column.Choices = machineTypes
		case "mode":
			column.Choices = []string{activation.ModeLabels[activation.Online], activation.ModeLabels[activation.Offline]}
		}
		table.Columns = append(table.Columns, column)
	}
	for i, l := range lines {
		row := []string{strconv.Itoa(i + 1)}
		for _, c := range b.columns {
			row = append(row, c.get(l))
		}
		table.Rows = append(table.Rows, row)
	}
	if err := xlsx.WriteTable(w, table); err != nil {
		return fmt.Errorf("readersheet: %w", err)
	}
	return nil
}

// Content is what a workbook says.
type Content struct {
	Lines   []activation.Line
	rows    []int             // of the lines
	letters map[string]string // columns by field
	sheet   string
	root    string
}

// reading is a workbook that is read, and what is wrong with it: at "/list", or at a
// cell such as "list!Daftar Reader!C7".
type reading struct {
	Content
	of    book
	wrong form.Faults
}

func (s *reading) fault(cell, code, detail string, args ...any) {
	if len(s.wrong) < mostFaults {
		at := "/list"
		if cell != "" {
			at = "list!" + s.sheet + "!" + cell
		}
		s.wrong.Add(at, code, "%s", fmt.Sprintf(detail, args...))
	}
}

// Read reads a workbook of size bytes. What is wrong with the workbook itself or with a
// cell comes as faults; an error is a fault of this machine.
func Read(r io.ReaderAt, size int64) (Content, form.Faults, error) {
	return readers.get(r, size)
}

func (b book) get(r io.ReaderAt, size int64) (Content, form.Faults, error) {
	s := &reading{of: b, Content: Content{letters: map[string]string{}, sheet: b.sheet, root: b.root}}
	err := s.read(r, size)
	var refused *xlsx.Error
	if errors.As(err, &refused) {
		return s.Content, form.Faults{{Pointer: "/list", Code: string(refused.Code), Detail: refused.Sentence(b.name)}}, nil
	}
	if err != nil {
		return s.Content, nil, fmt.Errorf("readersheet: %w", err)
	}
	if len(s.Lines) == 0 && len(s.wrong) == 0 {
		s.fault("", "empty", "%s", b.empty)
	}
	return s.Content, s.wrong, nil
}

func (s *reading) read(r io.ReaderAt, size int64) error {
	book, err := xlsx.Open(r, size, xlsx.Limits{})
	if err != nil {
		return err
	}
	sheets := book.Sheets()
	i := slices.IndexFunc(sheets, func(one xlsx.Sheet) bool { return strings.EqualFold(strings.TrimSpace(one.Name), s.of.sheet) })
	if i < 0 && len(sheets) == 1 {
		i = 0
	}
	switch {
	case i < 0:
		s.fault("", "no_sheet", "Buku kerja ini tidak berisi lembar %s. Pakai templatnya.", s.of.sheet)
		return nil
	case sheets[i].Hidden:
		s.fault("", "sheet_hidden", "Lembar %s disembunyikan. Tampilkan lembar itu.", sheets[i].Name)
		return nil
	}
	s.sheet = sheets[i].Name
	var names []string
	for _, c := range s.of.columns {
		names = append(names, c.header)
	}
	header, err := book.FindHeader(s.sheet, headerWithin, names...)
	var lacks *xlsx.HeaderError
	if errors.As(err, &lacks) {
		if len(lacks.Missing) > 0 {
			s.fault("", "header_missing", "Tidak ada kepala kolom %s. Kembalikan kepala kolom seperti pada templat.", strings.Join(lacks.Missing, ", "))
		}
		if len(lacks.Twice) > 0 {
			s.fault("", "header_twice", "Kolom %s ada lebih dari satu. Sisakan satu.", strings.Join(lacks.Twice, ", "))
		}
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range s.of.columns {
		s.letters[c.field] = xlsx.ColumnName(header.Column(c.header))
	}
	return s.lines(book, header)
}

func (s *reading) lines(book *xlsx.Workbook, header xlsx.Header) error {
	layout, err := book.Layout(s.sheet)
	if err != nil {
		return err
	}
	for _, area := range layout.Merged {
		if area.ToRow > header.Row && (area.FromCol != area.ToCol || area.FromRow != area.ToRow) {
			s.fault(xlsx.ColumnName(area.FromCol)+strconv.Itoa(area.FromRow), "merged", "Sel %s digabung. Pisahkan kembali (Unmerge), satu reader satu baris.", area.Ref)
		}
	}
	for r, err := range book.Rows(s.sheet) {
		if err != nil {
			return err
		}
		if r.Number <= header.Row {
			continue
		}
		var line activation.Line
		filled := false
		for _, c := range s.of.columns {
			cell := header.Cell(r, c.header)
			text := strings.Join(strings.Fields(cell.Text), " ")
			filled = filled || text != "" || cell.Formula
			c.set(&line, text)
		}
		if !filled {
			continue
		}
		if _, hidden := slices.BinarySearch(layout.HiddenRows, r.Number); hidden {
			s.fault(s.letters["reader_serial"]+strconv.Itoa(r.Number), "hidden", "Baris ini tersembunyi. Hapus saringan dan tampilkan semua baris.")
		}
		s.odd(header, r)
		if len(s.Lines) > s.of.most { // one more tells that there are too many
			return nil
		}
		s.Lines, s.rows = append(s.Lines, line), append(s.rows, r.Number)
	}
	return nil
}

// odd tells of cells whose content is not what is seen.
func (s *reading) odd(header xlsx.Header, r xlsx.Row) {
	for _, c := range s.of.columns {
		switch cell := header.Cell(r, c.header); {
		case cell.Formula:
			s.fault(cell.Ref(), "formula", "Sel ini berisi rumus. Ganti dengan isinya (Tempel Khusus: Nilai).")
		case cell.Kind == xlsx.Fault:
			s.fault(cell.Ref(), "cell_error", "Sel ini berisi galat Excel. Isi dengan nilai yang benar.")
		case c.field == "pcid" && cell.Kind == xlsx.Number:
			s.fault(cell.Ref(), "wrong_form", "PCID di sel ini disimpan Excel sebagai angka, sehingga digitnya dapat hilang. Beri format Teks pada sel ini, lalu isi lagi.")
		}
	}
}

// Point puts faults of rows, such as at /lines/0/pcid, at the cells that they were read
// from.
func (c Content) Point(wrong form.Faults) form.Faults {
	for i := range wrong {
		rest, ok := strings.CutPrefix(wrong[i].Pointer, c.root)
		if !ok {
			continue
		}
		index, field, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		n, err := strconv.Atoi(index)
		if err != nil || n >= len(c.rows) {
			wrong[i].Pointer = "/list"
			continue
		}
		wrong[i].Pointer = "list!" + c.sheet + "!" + c.letters[field] + strconv.Itoa(c.rows[n])
		if wrong[i].Code == "repeated" { // rows are counted as the sheet does
			wrong[i].Detail = "Nomor seri di sel ini sudah ada pada baris lain."
		}
	}
	return wrong
}
