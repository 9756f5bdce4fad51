package yearsheet

import (
	"fmt"
	"io"
	"time"

	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const (
	typeface = "Calibri"
	// dateFormat shows a date as letters do, in Indonesian whatever the program's
	// language is.
	dateFormat = "[$-421]d mmmm yyyy"
	textFormat = 49 // the built-in number format "@", ECMA-376 part 1 section 18.8.30
	// spare are the rows below the entries that are made ready for new ones.
	spare = 40
)

// FileName is the name of the workbook of a year.
func FileName(year int) string { return fmt.Sprintf("Kalender-SI-FILMA-%d.xlsx", year) }

// Write writes the calendar of a year as a workbook. Days that are over are in
// grey; they cannot be changed.
func Write(w io.Writer, t capacity.Table, today clock.Date) (err error) {
	book := excelize.NewFile()
	defer func() {
		if closed := book.Close(); err == nil && closed != nil {
			err = fmt.Errorf("yearsheet: %w", closed)
		}
	}()
	k := &writer{book: book, today: today}
	k.styles()
	k.holidays(t.Holidays)
	k.settings(t.Settings)
	k.guide(t.Year)
	if k.err != nil {
		return fmt.Errorf("yearsheet: %w", k.err)
	}
	if err := book.Write(w); err != nil {
		return fmt.Errorf("yearsheet: %w", err)
	}
	return nil
}

// writer writes until the first error.
type writer struct {
	book  *excelize.File
	today clock.Date
	err   error

	head, wrapped, title int
	// text, date and whole are the styles of cells, those of days that are over second.
	text, date, whole [2]int
}

func (k *writer) do(f func() error) {
	if k.err == nil {
		k.err = f()
	}
}

func (k *writer) style(s excelize.Style) (id int) {
	k.do(func() (err error) { id, err = k.book.NewStyle(&s); return err })
	return id
}

func (k *writer) styles() {
	font := func(colour string, bold bool, size float64) *excelize.Font {
		return &excelize.Font{Family: typeface, Size: size, Bold: bold, Color: colour}
	}
	top := &excelize.Alignment{Vertical: "top", WrapText: true}
	format := dateFormat
	for i, colour := range []string{"000000", "7F7F7F"} {
		k.text[i] = k.style(excelize.Style{NumFmt: textFormat, Font: font(colour, false, 11), Alignment: top})
		k.date[i] = k.style(excelize.Style{CustomNumFmt: &format, Font: font(colour, false, 11), Alignment: &excelize.Alignment{Horizontal: "left", Vertical: "top"}})
		k.whole[i] = k.style(excelize.Style{NumFmt: 3, Font: font(colour, false, 11), Alignment: &excelize.Alignment{Horizontal: "right", Vertical: "top"}})
	}
	k.head = k.style(excelize.Style{
		NumFmt: textFormat, Font: font("000000", true, 11), Alignment: &excelize.Alignment{Vertical: "center", WrapText: true},
		Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}}, Border: []excelize.Border{{Type: "bottom", Style: 1, Color: "404040"}},
	})
	k.title = k.style(excelize.Style{Font: font("000000", true, 14)})
	k.wrapped = k.style(excelize.Style{Font: font("000000", false, 11), Alignment: top})
}

// column is how a column is written.
type column struct {
	header string
	width  float64 // in characters
	style  *[2]int
}

// value is what a cell holds.
type value any

// sheet writes a sheet of entries with the header in row 1.
func (k *writer) sheet(name string, columns []column, over []bool, rows [][]value) {
	for i, c := range columns {
		letters := xlsx.ColumnName(i + 1)
		k.do(func() error { return k.book.SetColWidth(name, letters, letters, c.width) })
		k.do(func() error { return k.book.SetColStyle(name, letters, c.style[0]) })
		k.do(func() error { return k.book.SetCellStr(name, letters+"1", c.header) })
		k.do(func() error { return k.book.SetCellStyle(name, letters+"1", letters+"1", k.head) })
		for n := range rows {
			at := fmt.Sprintf("%s%d", letters, n+2)
			tone := 0
			if over[n] {
				tone = 1
			}
			k.do(func() error { return k.book.SetCellValue(name, at, rows[n][i]) })
			k.do(func() error { return k.book.SetCellStyle(name, at, at, c.style[tone]) })
		}
	}
	k.do(func() error { return k.book.SetRowHeight(name, 1, 22) })
	k.do(func() error {
		return k.book.SetPanes(name, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	})
	k.page(name)
	k.do(func() error {
		return k.book.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: name + "!$1:$1", Scope: name})
	})
}

func (k *writer) page(name string) {
	orientation, paper, width, height, fit := "landscape", 9, 1, 0, true
	k.do(func() error {
		return k.book.SetPageLayout(name, &excelize.PageLayoutOptions{Orientation: &orientation, Size: &paper, FitToWidth: &width, FitToHeight: &height})
	})
	k.do(func() error { return k.book.SetSheetProps(name, &excelize.SheetPropsOptions{FitToPage: &fit}) })
}

// choices offers a list in the cells of a column below the header.
func (k *writer) choices(sheet, letters string, rows int, words ...string) {
	k.do(func() error {
		v := excelize.NewDataValidation(true)
		v.Sqref = fmt.Sprintf("%s2:%s%d", letters, letters, rows+1+spare)
		if err := v.SetDropList(words); err != nil {
			return err
		}
		v.SetError(excelize.DataValidationErrorStyleStop, "Pilihan tidak dikenal", "Pilih salah satu dari daftar.")
		return k.book.AddDataValidation(sheet, v)
	})
}

func midnight(d clock.Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

func (k *writer) holidays(list []capacity.Holiday) {
	k.do(func() error { return k.book.SetSheetName(k.book.GetSheetName(0), HolidaySheet) })
	rows, over := make([][]value, len(list)), make([]bool, len(list))
	for i, h := range list {
		answer := confirmedNo
		if h.Confirmed {
			answer = confirmedYes
		}
		rows[i] = []value{midnight(h.Date), terbilang.DayName(h.Date.Weekday()), label(h.Kind), h.Name, h.Decree, answer}
		over[i] = h.Date.Before(k.today)
	}
	k.sheet(HolidaySheet, []column{
		{HeaderDate, 20, &k.date}, {HeaderWeekday, 10, &k.text}, {HeaderKind, 16, &k.text}, {HeaderName, 44, &k.text}, {HeaderDecree, 56, &k.text},
		{HeaderConfirmed, 13, &k.text},
	}, over, rows)
	k.choices(HolidaySheet, "C", len(list), label(workday.National), label(workday.JointLeave))
	k.choices(HolidaySheet, "F", len(list), confirmedYes, confirmedNo)
}

func (k *writer) settings(list []capacity.Setting) {
	k.do(func() error { _, err := k.book.NewSheet(CapacitySheet); return err })
	rows, over := make([][]value, len(list)), make([]bool, len(list))
	for i, s := range list {
		rows[i] = []value{midnight(s.Day), terbilang.DayName(s.Day.Weekday()), s.Capacity, s.Reason}
		over[i] = !s.Day.After(k.today)
	}
	k.sheet(CapacitySheet, []column{{HeaderDate, 20, &k.date}, {HeaderWeekday, 10, &k.text}, {HeaderCards, 14, &k.whole}, {HeaderReason, 60, &k.text}}, over, rows)
}

// guide adds the sheet that explains the others. Nothing on it is read.
func (k *writer) guide(year int) {
	k.do(func() error { _, err := k.book.NewSheet(Guide); return err })
	k.do(func() error { return k.book.SetColWidth(Guide, "A", "A", 110) })
	for i, text := range append([]string{fmt.Sprintf("Kalender SI-FILMA tahun %d", year), ""}, steps(year, k.today)...) {
		at, style := fmt.Sprintf("A%d", i+1), k.wrapped
		if i == 0 {
			style = k.title
		}
		k.do(func() error { return k.book.SetCellStr(Guide, at, text) })
		k.do(func() error { return k.book.SetCellStyle(Guide, at, at, style) })
		if len(text) > 110 { // not every program makes a row as high as its wrapped text
			k.do(func() error { return k.book.SetRowHeight(Guide, i+1, float64(16*(1+len(text)/110))) })
		}
	}
	k.page(Guide)
}

// steps say how the workbook is changed and sent back.
func steps(year int, today clock.Date) []string {
	return []string{
		fmt.Sprintf("1. Lembar %s memuat hari libur tahun %d; lembar %s memuat hari yang kapasitasnya diatur tersendiri. Satu hari satu baris.", HolidaySheet, year, CapacitySheet),
		"2. Ubah isinya, atau tambahkan baris di bawahnya. Urutan baris bebas. Jangan mengubah nama lembar dan kepala kolom; kolom lain di sebelah kanan tidak dibaca.",
		"3. " + HeaderDate + ": " + howDates,
		"4. " + HeaderWeekday + " boleh dikosongkan; bila diisi harus sesuai dengan tanggalnya.",
		fmt.Sprintf("5. %s: %s atau %s. %s: nomor SKB tiga menteri atau Keppres yang menetapkannya. %s: %s, bila sudah dibandingkan dengan naskah penetapannya; selain itu %s.",
			HeaderKind, label(workday.National), label(workday.JointLeave), HeaderDecree, HeaderConfirmed, confirmedYes, confirmedNo),
		fmt.Sprintf("6. %s: 0 sampai 100.000; nol berarti tidak ada personalisasi pada hari itu. %s wajib diisi. Kapasitas hanya dapat diubah oleh Kasubdit KI, paling cepat untuk besok.", HeaderCards, HeaderReason),
		fmt.Sprintf("7. Baris abu-abu sudah lewat (berkas ini dibuat %s) dan tidak dapat diubah; boleh dihapus dari lembar tanpa akibat.", terbilang.FormatDate(today)),
		"8. Menghapus baris tidak menghapus harinya dari kalender: pratinjau impor menawarkan penghapusannya satu per satu.",
		"9. Jangan memakai rumus, sel gabungan, baris atau kolom tersembunyi, makro, atau kata sandi. Simpan sebagai Buku Kerja Excel (.xlsx).",
		"10. Pada halaman Kalender pilih Impor Excel. Anda melihat dahulu apa yang akan berubah; kalender baru berubah setelah Anda menyetujuinya.",
	}
}
