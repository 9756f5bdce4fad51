package cardlist

import (
	"fmt"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// typeface is that of a new workbook; a style that names none gets another.
const typeface = "Calibri"

// guideColumns explain the columns of the list: name, what to write, must it be
// filled in, example.
var guideColumns = [][]string{
	{HeaderNumber, "Nomor urut. Hanya untuk Anda; tidak diperiksa.", "tidak", "1"},
	{HeaderSerial, "Nomor asal yang tercetak pada kartu SAM, tepat seperti pada kartu.", "ya", "8935000123456789012"},
	{HeaderReaderSerial, "Nomor seri reader yang akan memakai kartu itu. Untuk SAM Rekam Cetak (tidak menggunakan mesin) dikosongkan.",
		"ya, untuk KTP-el Reader", "GSX-000123"},
	{HeaderKind, "Jenis kartu atau reader.", "tidak", "SAM"},
	{HeaderRemarks, "Catatan untuk kartu itu.", "tidak", "Cadangan loket 3"},
	{HeaderUID, "UID chip kartu itu, dalam digit heksadesimal. Tambahkan kolom ini di sebelah kanan hanya bila nomor seri yang tercetak tidak tersimpan di dalam chip.",
		"bila diminta", "4B546015A1B2C3D4E5F6"},
}

// widthOfText is that of the column that explains, in characters.
const widthOfText = 62

// guideSteps say how to fill the list in.
func guideSteps() []string {
	return []string{
		fmt.Sprintf("Isi lembar %s mulai baris 2: satu kartu satu baris, paling banyak %s kartu.", Sheet, terbilang.FormatInt(MostRows)),
		"Jangan mengubah nama lembar dan kepala kolom. Urutan kolom boleh berbeda, dan kolom lain boleh ditambahkan di sebelah kanan.",
		"Nomor seri adalah teks. Sel sudah berformat Teks, sehingga angka nol di depan dan nomor yang panjang tetap utuh.",
		"Bila menempel dari berkas lain, pakai Tempel Khusus: Nilai (Paste Special: Values), supaya format Teks tidak hilang.",
		"Jangan memakai rumus, sel gabungan, makro, atau kata sandi. Simpan sebagai Buku Kerja Excel (.xlsx), paling besar 5 MB.",
		"Satu nomor seri hanya boleh ada satu kali. Nomor yang berulang berwarna merah; baris tanpa nomor seri kartu berwarna kuning.",
		"Banyaknya kartu dalam daftar harus sama dengan Jumlah Kartu SAM pada permohonan.",
		"Bila ada yang salah, berkas Anda dapat diunduh kembali dengan sel yang salah diberi warna dan komentar. Perbaiki langsung pada berkas itu, lalu kirim ulang.",
	}
}

// writeGuide adds the sheet of explanations. Its examples stand here, and not on
// the sheet of the list, so that nobody sends them in.
func writeGuide(book *excelize.File) error {
	if _, err := book.NewSheet(Guide); err != nil {
		return err
	}
	g := guide{book: book}
	for i, width := range []float64{5, 26, widthOfText, 26, 28} {
		letter := string(rune('A' + i))
		if err := book.SetColWidth(Guide, letter, letter, width); err != nil {
			return err
		}
	}
	wrapped := &excelize.Alignment{Vertical: "top", WrapText: true}
	rules := []excelize.Border{
		{Type: "left", Color: "A6A6A6", Style: 1}, {Type: "right", Color: "A6A6A6", Style: 1},
		{Type: "top", Color: "A6A6A6", Style: 1}, {Type: "bottom", Color: "A6A6A6", Style: 1},
	}
	title := g.style(&excelize.Style{Font: &excelize.Font{Bold: true, Size: 14, Family: typeface}})
	heading := g.style(&excelize.Style{Font: &excelize.Font{Bold: true, Size: 12, Family: typeface}})
	step := g.style(&excelize.Style{Alignment: wrapped})
	head := g.style(&excelize.Style{Font: &excelize.Font{Bold: true, Size: 11, Family: typeface}, Border: rules, Alignment: wrapped,
		Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}}})
	cell := g.style(&excelize.Style{Border: rules, Alignment: wrapped})
	example := g.style(&excelize.Style{NumFmt: 49, Border: rules, Alignment: wrapped, Font: &excelize.Font{Italic: true, Color: "7F7F7F", Size: 11, Family: typeface}})

	g.write("A1", title, "Petunjuk pengisian daftar kartu SAM")
	row := 3
	for i, text := range guideSteps() {
		g.write(fmt.Sprintf("A%d", row), step, fmt.Sprintf("%d.", i+1))
		g.write(fmt.Sprintf("B%d", row), step, text)
		g.merge(fmt.Sprintf("B%d", row), fmt.Sprintf("E%d", row))
		row++
	}
	row++
	g.write(fmt.Sprintf("A%d", row), heading, "Kolom pada lembar "+Sheet)
	row++
	for i, text := range []string{"Kolom", "Isi", "Wajib diisi", "CONTOH, jangan disalin"} {
		g.write(fmt.Sprintf("%c%d", 'B'+i, row), head, text)
	}
	for _, c := range guideColumns {
		row++
		// Not every program makes a row as high as its wrapped text.
		g.height(row, 1+utf8.RuneCountInString(c[1])/widthOfText)
		for i, text := range c {
			style := cell
			if i == len(c)-1 {
				style = example
			}
			g.write(fmt.Sprintf("%c%d", 'B'+i, row), style, text)
		}
	}
	if g.err != nil {
		return g.err
	}
	off := false
	if err := book.SetSheetView(Guide, 0, &excelize.ViewOptions{ShowGridLines: &off}); err != nil {
		return err
	}
	orientation, paper, width, height, fit := "landscape", 9, 1, 0, true
	if err := book.SetPageLayout(Guide, &excelize.PageLayoutOptions{Orientation: &orientation, Size: &paper, FitToWidth: &width, FitToHeight: &height}); err != nil {
		return err
	}
	return book.SetSheetProps(Guide, &excelize.SheetPropsOptions{FitToPage: &fit})
}

// guide writes cells until the first error.
type guide struct {
	book *excelize.File
	err  error
}

func (g *guide) style(s *excelize.Style) (id int) {
	if g.err == nil {
		id, g.err = g.book.NewStyle(s)
	}
	return id
}

func (g *guide) write(cell string, style int, text string) {
	if g.err == nil {
		g.err = g.book.SetCellStr(Guide, cell, text)
	}
	if g.err == nil {
		g.err = g.book.SetCellStyle(Guide, cell, cell, style)
	}
}

func (g *guide) height(row, lines int) {
	if g.err == nil {
		g.err = g.book.SetRowHeight(Guide, row, float64(16*lines))
	}
}

func (g *guide) merge(from, to string) {
	if g.err == nil {
		g.err = g.book.MergeCell(Guide, from, to)
	}
}
