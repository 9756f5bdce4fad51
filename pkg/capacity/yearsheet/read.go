package yearsheet

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	headerWithin = 10  // rows with content above the header at most
	mostFaults   = 200 // that are told; whoever has more has another file
)

// Read reads a workbook of size bytes as the calendar of a year. What is wrong with
// it comes as faults, in the order of its cells, and content is then of no use; an
// error is a fault of this machine.
func Read(r io.ReaderAt, size int64, year int) (Content, []Fault, error) {
	s := &reader{content: Content{Year: year, Columns: map[string]map[string]string{}}}
	err := s.read(r, size)
	var refused *xlsx.Error
	if errors.As(err, &refused) {
		return s.content, []Fault{{Code: string(refused.Code), Detail: refused.Sentence("Buku kerja ini")}}, nil
	}
	if err != nil {
		return s.content, nil, fmt.Errorf("yearsheet: %w", err)
	}
	return s.content, inOrder(s.faults), nil
}

// reader reads one workbook.
type reader struct {
	content Content
	faults  []Fault

	book   *xlsx.Workbook
	sheet  string // as it is called in the workbook
	known  string // as it is called here
	header xlsx.Header
}

func (s *reader) read(r io.ReaderAt, size int64) (err error) {
	if s.book, err = xlsx.Open(r, size, Limits); err != nil {
		return err
	}
	found := 0
	for _, name := range []string{HolidaySheet, CapacitySheet} {
		i := slices.IndexFunc(s.book.Sheets(), func(sheet xlsx.Sheet) bool { return strings.EqualFold(clean(sheet.Name), name) })
		if i < 0 {
			continue
		}
		found++
		sheet := s.book.Sheets()[i]
		s.sheet, s.known = sheet.Name, name
		if sheet.Hidden {
			s.fault("", "sheet_hidden", "Lembar %s disembunyikan. Tampilkan lembar itu, atau hapus bila tidak dipakai.", name)
			continue
		}
		if err := s.readSheet(); err != nil {
			return err
		}
	}
	if found == 0 {
		s.faults = append(s.faults, Fault{Code: "no_sheet", Detail: fmt.Sprintf(
			"Buku kerja ini tidak berisi lembar %s maupun %s. Unduh dahulu Excel kalender, ubah, lalu kirim berkas itu.", HolidaySheet, CapacitySheet)})
	}
	return nil
}

func (s *reader) fault(cell, code, detail string, args ...any) {
	if len(s.faults) < mostFaults {
		s.faults = append(s.faults, Fault{s.known, cell, code, fmt.Sprintf(detail, args...)})
	}
}

func (s *reader) readSheet() error {
	var err error
	s.header, err = s.book.FindHeader(s.sheet, headerWithin, headersOf[s.known]...)
	var lacks *xlsx.HeaderError
	if errors.As(err, &lacks) {
		if len(lacks.Missing) > 0 {
			s.fault("", "header_missing", "Lembar %s tidak memiliki kepala kolom %s. Kembalikan kepala kolom seperti pada berkas yang diunduh.",
				s.known, strings.Join(lacks.Missing, ", "))
		}
		if len(lacks.Twice) > 0 {
			s.fault("", "header_twice", "Lembar %s memiliki lebih dari satu kolom %s. Sisakan satu.", s.known, strings.Join(lacks.Twice, ", "))
		}
		return nil
	}
	if err != nil {
		return err
	}
	columns := map[string]string{}
	for _, name := range headersOf[s.known] {
		columns[name] = xlsx.ColumnName(s.header.Column(name))
	}
	s.content.Columns[s.known] = columns
	layout, err := s.book.Layout(s.sheet)
	if err != nil {
		return err
	}
	s.oddColumns(layout)
	var hidden []int
	row := s.holiday
	if s.known == CapacitySheet {
		row, s.content.HasCapacity = s.setting, true
	} else {
		s.content.HasHolidays = true
	}
	for r, err := range s.book.Rows(s.sheet) {
		if err != nil {
			return err
		}
		if r.Number <= s.header.Row || s.blank(r) {
			continue
		}
		if _, found := slices.BinarySearch(layout.HiddenRows, r.Number); found {
			hidden = append(hidden, r.Number)
			continue
		}
		if !s.odd(r) {
			row(r)
		}
	}
	if len(hidden) > 0 {
		s.fault(columns[HeaderDate]+strconv.Itoa(hidden[0]), "hidden", "Ada baris tersembunyi yang berisi: baris %s. Hapus saringan dan tampilkan semua baris, supaya yang diimpor sama dengan yang terlihat.",
			xlsx.Shortened(xlsx.Ranges("", hidden)))
	}
	return nil
}

// oddColumns refuses columns that nobody sees, and merged cells from the header on:
// their content stands in one of them only.
func (s *reader) oddColumns(layout xlsx.Layout) {
	for _, name := range headersOf[s.known] {
		at := s.header.Column(name)
		if slices.ContainsFunc(layout.HiddenColumns, func(c [2]int) bool { return c[0] <= at && at <= c[1] }) {
			s.fault(xlsx.ColumnName(at)+strconv.Itoa(s.header.Row), "hidden", "Kolom %s (%s) tersembunyi. Tampilkan kolom itu.", xlsx.ColumnName(at), name)
		}
	}
	for _, area := range layout.Merged {
		if area.ToRow < s.header.Row || area.FromCol == area.ToCol && area.FromRow == area.ToRow {
			continue
		}
		s.fault(xlsx.ColumnName(area.FromCol)+strconv.Itoa(area.FromRow), "merged", "Sel %s digabung. Pisahkan kembali (Unmerge), satu hari satu baris.", shorten(area.Ref))
	}
}

// blank says that a row has nothing in the columns that are read; the name of the
// day alone is nothing.
func (s *reader) blank(r xlsx.Row) bool {
	for _, name := range headersOf[s.known] {
		c := s.header.Cell(r, name)
		if name != HeaderWeekday && (c.Formula || clean(c.Text) != "") {
			return false
		}
	}
	return true
}

// odd refuses cells that hold no value of their own.
func (s *reader) odd(r xlsx.Row) (odd bool) {
	for _, name := range headersOf[s.known] {
		switch c := s.header.Cell(r, name); {
		case c.Formula:
			s.fault(c.Ref(), "formula", "Sel ini berisi rumus. Ganti dengan isinya (Tempel Khusus: Nilai).")
			odd = true
		case c.Kind == xlsx.Fault:
			s.fault(c.Ref(), "cell_error", "Sel ini berisi galat Excel %s. Isi dengan nilai yang benar.", shorten(c.Text))
			odd = true
		}
	}
	return odd
}

// day reads the date of a row; ok is false when it told why there is none.
func (s *reader) day(r xlsx.Row) (d clock.Date, ok bool) {
	c := s.header.Cell(r, HeaderDate)
	if c.Kind == xlsx.Empty || clean(c.Text) == "" {
		s.fault(c.Ref(), "missing", "Tanggal wajib diisi. %s", howDates)
		return d, false
	}
	d, detail := dateOf(c)
	if detail != "" {
		s.fault(c.Ref(), "wrong_form", "%s", detail)
		return d, false
	}
	if d.Year != s.content.Year {
		s.fault(c.Ref(), "wrong_year", "%s bukan tanggal tahun %d. Satu buku kerja memuat satu tahun; impor tahun lain dari kalender tahun itu.",
			terbilang.FormatDate(d), s.content.Year)
		return d, false
	}
	name := s.header.Cell(r, HeaderWeekday)
	if detail := weekdayDiffers(name, d); detail != "" {
		s.fault(name.Ref(), "weekday_differs", "%s", detail)
		return d, false
	}
	return d, true
}

// kinds of holidays by what people write.
var kinds = func() map[string]workday.Kind {
	m := map[string]workday.Kind{}
	for k, label := range capacity.KindLabels {
		m[strings.ToLower(label)] = k
	}
	return m
}()

// answers of the column HeaderConfirmed; nothing is no.
var answers = map[string]bool{confirmedYes: true, "ya": true, "true": true, "1": true, confirmedNo: false, "tidak": false, "false": false, "0": false, "": false}

func (s *reader) holiday(r xlsx.Row) {
	day, ok := s.day(r)
	h := HolidayRow{Row: r.Number, Holiday: workday.Holiday{Date: day}}
	kind := s.header.Cell(r, HeaderKind)
	if h.Kind = kinds[strings.ToLower(clean(kind.Text))]; h.Kind == "" {
		s.fault(kind.Ref(), "unknown_value", "Jenis “%s” tidak dikenal. Tulis %s atau %s.", shorten(clean(kind.Text)), label(workday.National), label(workday.JointLeave))
		ok = false
	}
	h.Name, h.Decree = clean(s.header.Cell(r, HeaderName).Text), clean(s.header.Cell(r, HeaderDecree).Text)
	answer := s.header.Cell(r, HeaderConfirmed)
	known := false
	if h.Confirmed, known = answers[strings.ToLower(clean(answer.Text))]; !known {
		s.fault(answer.Ref(), "unknown_value", "“%s” tidak dikenal. Tulis %s atau %s.", shorten(clean(answer.Text)), confirmedYes, confirmedNo)
		ok = false
	}
	for _, f := range capacity.CheckHoliday(&h.Holiday) {
		if header := holidayFields[f.Pointer]; header != "" {
			s.fault(s.header.Cell(r, header).Ref(), f.Code, "%s", f.Detail)
			ok = false
		}
	}
	if ok {
		s.content.Holidays = append(s.content.Holidays, h)
	}
}

// Columns by the fields that capacity checks.
var (
	holidayFields = map[string]string{"/name": HeaderName, "/decree": HeaderDecree}
	settingFields = map[string]string{"/capacity": HeaderCards, "/reason": HeaderReason}
)

// grouped is a number with dots between its thousands.
var grouped = regexp.MustCompile(`^\d{1,3}(\.\d{3})+$`)

func (s *reader) setting(r xlsx.Row) {
	day, ok := s.day(r)
	row := SettingRow{Row: r.Number, Day: day, Reason: lines(s.header.Cell(r, HeaderReason).Text)}
	cards := s.header.Cell(r, HeaderCards)
	text := clean(cards.Text)
	if cards.Kind == xlsx.Text && grouped.MatchString(text) {
		text = strings.ReplaceAll(text, ".", "")
	}
	n, err := strconv.Atoi(text)
	if err != nil || cards.Kind != xlsx.Number && cards.Kind != xlsx.Text {
		n = -1
	}
	checked := capacity.Setting{Day: day, Capacity: n, Reason: row.Reason}
	for _, f := range capacity.CheckSetting(&checked) {
		s.fault(s.header.Cell(r, settingFields[f.Pointer]).Ref(), f.Code, "%s", f.Detail)
		ok = false
	}
	if row.Capacity = n; ok {
		s.content.Capacity = append(s.content.Capacity, row)
	}
}

// lines is clean for a text that may have several lines.
func lines(text string) string {
	parts := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	return strings.TrimSpace(strings.Join(parts, "\n"))
}

// inOrder sorts faults by sheet and cell, those of the workbook first.
func inOrder(faults []Fault) []Fault {
	place := func(f Fault) (col, row int) {
		if f.Cell == "" {
			return 0, 0
		}
		col, row, _ = xlsx.ParseRef(f.Cell) // 0, 0 where it is none
		return col, row
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		acol, arow := place(a)
		bcol, brow := place(b)
		return cmp.Or(-cmp.Compare(a.Sheet, b.Sheet), cmp.Compare(arow, brow), cmp.Compare(acol, bcol)) // Libur before Kapasitas
	})
	return faults
}
