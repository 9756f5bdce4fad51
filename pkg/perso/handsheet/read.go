package handsheet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	headerWithin = 10  // rows with content above the header at most
	mostFaults   = 200 // that are told; whoever has more has another file
)

// Read reads a workbook of size bytes. What is wrong with it comes as faults, in the
// order of its cells, and content then holds the other rows, to be checked but not taken;
// an error is a fault of this machine.
func Read(r io.ReaderAt, size int64) (Content, []Fault, error) {
	s := &reader{content: Content{sheet: Sheet, columns: map[string]string{}}, first: map[string]int{}}
	err := s.read(r, size)
	var refused *xlsx.Error
	if errors.As(err, &refused) {
		return s.content, []Fault{{Code: string(refused.Code), Detail: refused.Sentence("Berkas ini")}}, nil
	}
	if err != nil {
		return s.content, nil, fmt.Errorf("handsheet: %w", err)
	}
	return s.content, s.faults, nil
}

// reader reads one workbook.
type reader struct {
	content Content
	faults  []Fault
	book    *xlsx.Workbook
	header  xlsx.Header
	first   map[string]int // rows by serial
}

func (s *reader) fault(cell, code, detail string, args ...any) {
	if len(s.faults) < mostFaults {
		s.faults = append(s.faults, Fault{s.content.sheet, cell, code, fmt.Sprintf(detail, args...)})
	}
}

func (s *reader) read(r io.ReaderAt, size int64) (err error) {
	if s.book, err = xlsx.Open(r, size, xlsx.Limits{}); err != nil {
		return err
	}
	sheets := s.book.Sheets()
	i := slices.IndexFunc(sheets, func(one xlsx.Sheet) bool { return strings.EqualFold(clean(one.Name), Sheet) })
	if i < 0 && len(sheets) == 1 {
		i = 0
	}
	switch {
	case i < 0:
		s.faults = append(s.faults, Fault{Code: "no_sheet", Detail: "Buku kerja ini tidak berisi lembar " + Sheet + ". Ekspor dahulu Excel permohonan ini, isi, lalu kirim berkas itu."})
		return nil
	case sheets[i].Hidden:
		s.fault("", "sheet_hidden", "Lembar %s disembunyikan. Tampilkan lembar itu.", sheets[i].Name)
		return nil
	}
	s.content.sheet = sheets[i].Name
	s.header, err = s.book.FindHeader(s.content.sheet, headerWithin, headers...)
	var lacks *xlsx.HeaderError
	if errors.As(err, &lacks) {
		if len(lacks.Missing) > 0 {
			s.fault("", "header_missing", "Tidak ada kepala kolom %s. Kembalikan kepala kolom seperti pada berkas yang diekspor.", strings.Join(lacks.Missing, ", "))
		}
		if len(lacks.Twice) > 0 {
			s.fault("", "header_twice", "Kolom %s ada lebih dari satu. Sisakan satu.", strings.Join(lacks.Twice, ", "))
		}
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range headers {
		s.content.columns[name] = xlsx.ColumnName(s.header.Column(name))
	}
	return s.rows()
}

func (s *reader) rows() error {
	layout, err := s.book.Layout(s.content.sheet)
	if err != nil {
		return err
	}
	s.odd(layout)
	for r, err := range s.book.Rows(s.content.sheet) {
		if err != nil {
			return err
		}
		if r.Number <= s.header.Row || s.blank(r) {
			continue
		}
		if _, hidden := slices.BinarySearch(layout.HiddenRows, r.Number); hidden {
			s.fault(s.cell(r, HeaderSerial).Ref(), "hidden", "Baris ini tersembunyi. Hapus saringan dan tampilkan semua baris, supaya yang diimpor sama dengan yang terlihat.")
			continue
		}
		s.row(r)
	}
	return nil
}

// odd refuses columns that nobody sees, and merged cells from the header on: their
// content stands in one of them only.
func (s *reader) odd(layout xlsx.Layout) {
	for _, name := range headers {
		at := s.header.Column(name)
		if slices.ContainsFunc(layout.HiddenColumns, func(c [2]int) bool { return c[0] <= at && at <= c[1] }) {
			s.fault(s.content.columns[name]+fmt.Sprint(s.header.Row), "hidden", "Kolom %s tersembunyi. Tampilkan kolom itu.", name)
		}
	}
	for _, area := range layout.Merged {
		if area.ToRow >= s.header.Row && (area.FromCol != area.ToCol || area.FromRow != area.ToRow) {
			s.fault(xlsx.ColumnName(area.FromCol)+fmt.Sprint(area.FromRow), "merged", "Sel %s digabung. Pisahkan kembali (Unmerge), satu kartu satu baris.", area.Ref)
		}
	}
}

func (s *reader) cell(r xlsx.Row, header string) xlsx.Cell { return s.header.Cell(r, header) }

// blank says that a row has nothing in the columns that are read.
func (s *reader) blank(r xlsx.Row) bool {
	return !slices.ContainsFunc(headers, func(name string) bool {
		c := s.cell(r, name)
		return c.Formula || clean(c.Text) != ""
	})
}

func (s *reader) row(r xlsx.Row) {
	before := len(s.faults)
	for _, name := range headers {
		switch c := s.cell(r, name); {
		case c.Formula:
			s.fault(c.Ref(), "formula", "Sel ini berisi rumus. Ganti dengan isinya (Tempel Khusus: Nilai).")
		case c.Kind == xlsx.Fault:
			s.fault(c.Ref(), "cell_error", "Sel ini berisi galat Excel. Isi dengan nilai yang benar.")
		case name == HeaderPCID && c.Kind == xlsx.Number:
			s.fault(c.Ref(), "wrong_form", "PCID di sel ini disimpan Excel sebagai angka, sehingga digitnya dapat hilang. Beri format Teks pada sel ini, lalu isi lagi.")
		}
	}
	text := func(header string) string { return clean(s.cell(r, header).Text) }
	one := Row{Number: r.Number, Serial: cardlist.Normalise(text(HeaderSerial)), PCID: strings.ToUpper(text(HeaderPCID)), Manifest: strings.ToUpper(text(HeaderManifest)), Remarks: text(HeaderRemarks)}
	serial := s.cell(r, HeaderSerial)
	switch first, twice := s.first[one.Serial]; {
	case one.Serial == "":
		s.fault(serial.Ref(), "missing", "Nomor seri kartu wajib diisi.")
	case twice:
		s.fault(serial.Ref(), "repeated", "Nomor seri ini sudah ada pada baris %d.", first)
	default:
		s.first[one.Serial] = r.Number
	}
	if status := text(HeaderStatus); status != "" {
		known := false
		if one.Result, known = states[strings.ToLower(status)]; !known {
			s.fault(s.cell(r, HeaderStatus).Ref(), "unknown_value", "Status tidak dikenal. Tulis Berhasil atau Gagal, atau kosongkan bila kartu belum dikerjakan.")
		}
	}
	if len(s.faults) == before {
		s.content.Rows = append(s.content.Rows, one)
	}
}
