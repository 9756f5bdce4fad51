package validation_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// mark hands a list back with findings, and opens what comes of it.
func mark(t *testing.T, list []byte, found []validation.Finding) *excelize.File {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, validation.Mark(&out, bytes.NewReader(list), int64(len(list)), "PSAM-2026-000001-1", 1, found))
	return reopen(t, out.Bytes())
}

func reopen(t *testing.T, file []byte) *excelize.File {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, book.Close()) })
	return book
}

func saved(t *testing.T, book *excelize.File) []byte {
	t.Helper()
	b, err := book.WriteToBuffer()
	require.NoError(t, err)
	return b.Bytes()
}

// fill is the colour of a cell; empty is none.
func fill(t *testing.T, book *excelize.File, sheet, cell string) string {
	t.Helper()
	id, err := book.GetCellStyle(sheet, cell)
	require.NoError(t, err)
	style, err := book.GetStyle(id)
	require.NoError(t, err)
	if len(style.Fill.Color) == 0 || style.Fill.Pattern != 1 {
		return ""
	}
	return style.Fill.Color[0]
}

// comments are the texts by cell, each after its author.
func comments(t *testing.T, book *excelize.File, sheet string) map[string]string {
	t.Helper()
	list, err := book.GetComments(sheet)
	require.NoError(t, err)
	texts := map[string]string{}
	for _, c := range list {
		text := c.Text
		for _, run := range c.Paragraph {
			text += run.Text
		}
		_, twice := texts[c.Cell]
		require.False(t, twice, c.Cell)
		texts[c.Cell] = c.Author + "|" + text
	}
	return texts
}

func TestAListIsHandedBackMarkedCorrectedAndSentAgain(t *testing.T) {
	t.Parallel()
	db := office(t)
	s := good(t, 12)
	// What is theirs: another sheet, colours, widths, a comment, a name.
	_, err := s.book.NewSheet("Gudang")
	require.NoError(t, err)
	require.NoError(t, s.book.SetCellValue("Gudang", "C3", 3.25))
	require.NoError(t, s.book.SetCellFormula("Gudang", "C4", "C3*2"))
	require.NoError(t, s.book.SetColWidth(cardlist.Sheet, "B", "B", 41.5))
	green, err := s.book.NewStyle(&excelize.Style{Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"00B050"}}, Font: &excelize.Font{Bold: true}})
	require.NoError(t, err)
	require.NoError(t, s.book.SetCellStyle(cardlist.Sheet, "D5", "D5", green))
	require.NoError(t, s.book.AddComment(cardlist.Sheet, excelize.Comment{Cell: "C7", Author: "Gudang", Text: "Cek fisik."}))
	require.NoError(t, s.book.AddComment(cardlist.Sheet, excelize.Comment{Cell: "D7", Author: "Gudang", Text: "Lama."}))
	require.NoError(t, s.book.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Area", RefersTo: "Gudang!$A$1:$C$4", Scope: "Gudang"}))
	// What is wrong: with holes, twice in one cell, a cell that is not there, and
	// one that they have a comment on.
	for _, cell := range []string{"B3", "B4", "B6"} {
		s.set(t, cell, "salah")
	}
	s.set(t, "C7", "")
	s.set(t, "C8", "\u200bR-000006")
	s.r.CardCount, s.r.Lines[0].Quantity = 13, 13

	list := saved(t, s.book)
	found := s.check(t, db)
	var codes []string
	for _, f := range found {
		codes = append(codes, fmt.Sprintf("%s %v", f.Code, []string(f.Cells)))
	}
	require.Equal(t, []string{"invisible_characters [C8]", "serial_form [B3:B4 B6]", "serial_repeated [B4 B6]", "reader_serial_missing [C7]",
		"card_count []", "po_too_small []"}, codes)

	book := mark(t, list, found)
	require.Equal(t, []string{"Temuan", cardlist.Sheet, cardlist.Guide, "Gudang"}, book.GetSheetList())
	require.Zero(t, book.GetActiveSheetIndex())
	for _, cell := range []string{"B3", "B4", "B6", "C7"} {
		require.Equal(t, "FFB8C1", fill(t, book, cardlist.Sheet, cell), cell)
	}
	require.Equal(t, "FFE9A6", fill(t, book, cardlist.Sheet, "C8"))
	require.Equal(t, "00B050", fill(t, book, cardlist.Sheet, "D5"))
	for _, cell := range []string{"B2", "B5", "B7", "C6", "A3", "E3"} {
		require.Empty(t, fill(t, book, cardlist.Sheet, cell), cell)
	}
	id, err := book.GetCellStyle(cardlist.Sheet, "B3")
	require.NoError(t, err)
	style, err := book.GetStyle(id)
	require.NoError(t, err)
	require.Equal(t, 49, style.NumFmt, "a marked cell is still text")

	said := comments(t, book, cardlist.Sheet)
	require.Len(t, said, 6)
	require.Equal(t, "SI-FILMA|SI-FILMA:\nBentuk No. Seri Kartu SAM tidak sesuai dengan Jenis Mesin GSX-01. "+
		"Contoh yang benar: SAM-000001, SAM-000002, SAM-000003. "+
		"Cocokkan dengan nomor yang tercetak pada kartu, dan pastikan Jenis Mesin pada isian sudah benar.", said["B3"])
	require.Equal(t, 3, strings.Count(said["B4"], "\n")+1, "two findings on one cell are one comment: %s", said["B4"])
	require.Contains(t, said["B4"], "No. Seri Kartu SAM SALAH sudah ada di sel B3.")
	require.Equal(t, "Gudang|Cek fisik.\n\nSI-FILMA:\nNo. Seri Reader kosong. Isi No. Seri Reader yang memakai kartu pada baris ini.", said["C7"])
	require.Equal(t, "Gudang|Lama.", said["D7"])

	page, err := book.GetRows("Temuan")
	require.NoError(t, err)
	require.Equal(t, "Temuan pemeriksaan SI-FILMA", page[0][0])
	require.Equal(t, []string{"No.", "Tingkat", "Tempat", "Temuan", "Yang perlu dilakukan", "Kode"}, page[5])
	require.Equal(t, []string{"1", "Kesalahan", "Jumlah Kartu SAM", "Jumlah Kartu SAM yang diajukan 13, sedangkan daftar kartu berisi 12.",
		"Samakan Jumlah Kartu SAM pada isian dengan banyaknya kartu dalam daftar.", "card_count"}, page[6])
	require.Equal(t, "Daftar!B3:B4", page[8][2])
	has, link, err := book.GetCellHyperLink("Temuan", "C9")
	require.NoError(t, err)
	require.True(t, has)
	require.Equal(t, "'Daftar'!B3:B4", link)

	width, err := book.GetColWidth(cardlist.Sheet, "B")
	require.NoError(t, err)
	require.InDelta(t, 41.5, width, 0.01)
	formula, err := book.GetCellFormula("Gudang", "C4")
	require.NoError(t, err)
	require.Equal(t, "C3*2", formula)
	scopes := map[string]string{}
	for _, n := range book.GetDefinedName() {
		scopes[n.Name] = n.Scope
	}
	require.Equal(t, map[string]string{"_xlnm.Print_Titles": cardlist.Sheet, "_xlnm.Print_Area": "Gudang"}, scopes)

	// They correct all but one in place and send the file again.
	for cell, value := range map[string]string{"B3": "SAM-900003", "B4": "SAM-900004", "C7": "R-900007", "C8": "R-000006"} {
		require.NoError(t, book.SetCellValue(cardlist.Sheet, cell, value))
	}
	again := &submission{r: s.r, book: book}
	again.r.CardCount, again.r.Lines[0].Quantity = 12, 12
	second := saved(t, book)
	found = again.check(t, db)
	require.Len(t, found, 1)
	require.Equal(t, validation.Cells{"B6"}, found[0].Cells)

	book = mark(t, second, found)
	require.Equal(t, []string{"Temuan", cardlist.Sheet, cardlist.Guide, "Gudang"}, book.GetSheetList())
	for _, cell := range []string{"B3", "B4", "C7", "C8"} {
		require.Empty(t, fill(t, book, cardlist.Sheet, cell), cell)
	}
	require.Equal(t, "FFB8C1", fill(t, book, cardlist.Sheet, "B6"))
	said = comments(t, book, cardlist.Sheet)
	require.Len(t, said, 3)
	require.Equal(t, "Gudang|Cek fisik.", said["C7"])
	require.Equal(t, "Gudang|Lama.", said["D7"])
	require.True(t, strings.HasPrefix(said["B6"], "SI-FILMA|SI-FILMA:\n"))
	page, err = book.GetRows("Temuan")
	require.NoError(t, err)
	require.Len(t, page, 7, "nothing of the first list of findings is left")

	// And then all of it is right.
	require.NoError(t, book.SetCellValue(cardlist.Sheet, "B6", "SAM-900006"))
	again.book = book
	require.Empty(t, again.check(t, db))
}

// with adds parts to a workbook, each a name and its content.
func with(t *testing.T, workbook []byte, parts ...any) []byte {
	t.Helper()
	from, err := zip.NewReader(bytes.NewReader(workbook), int64(len(workbook)))
	require.NoError(t, err)
	var out bytes.Buffer
	to := zip.NewWriter(&out)
	for _, f := range from.File {
		require.NoError(t, to.Copy(f))
	}
	for i := 0; i < len(parts); i += 2 {
		w, err := to.Create(parts[i].(string))
		require.NoError(t, err)
		_, err = w.Write(parts[i+1].([]byte))
		require.NoError(t, err)
	}
	require.NoError(t, to.Close())
	return out.Bytes()
}

func TestAListThatCannotBeOpenedIsNotHandedBack(t *testing.T) {
	t.Parallel()
	whole := saved(t, good(t, 3).book)
	large := with(t, whole, "xl/media/peta.bin", make([]byte, 19<<20), "xl/media/foto.bin", make([]byte, 19<<20), "xl/media/cap.bin", make([]byte, 4<<20))
	read, err := validation.ReadList(bytes.NewReader(large), int64(len(large)))
	require.NoError(t, err)
	require.Equal(t, 3, read.Len(), "it is read all the same")
	for name, list := range map[string][]byte{"cut": whole[:len(whole)/2], "text": []byte("No.,Seri\n"), "empty": nil, "large": large} {
		var out bytes.Buffer
		err := validation.Mark(&out, bytes.NewReader(list), int64(len(list)), "T", 1, []validation.Finding{{Code: "x", Severity: validation.Error}})
		var unmarkable *validation.UnmarkableError
		require.ErrorAs(t, err, &unmarkable, name)
		require.True(t, strings.HasPrefix(unmarkable.Detail, "Daftar kartu "), name)
		require.Equal(t, name == "large", strings.Contains(unmarkable.Detail, "terlalu besar untuk ditandai"), unmarkable.Detail)
		require.Zero(t, out.Len(), name)
	}
	require.False(t, validation.Markable([]validation.Finding{{Code: "list_" + string(xlsx.Encrypted)}}))
	require.False(t, validation.Markable(nil))
	require.True(t, validation.Markable([]validation.Finding{{Code: "list_no_sheet"}}))
}

// TestAListWithoutItsSheetIsHandedBackWithItsFindings: there is no cell to mark.
func TestAListWithoutItsSheetIsHandedBackWithItsFindings(t *testing.T) {
	t.Parallel()
	s := good(t, 3)
	require.NoError(t, s.book.SetSheetName(cardlist.Sheet, "Temuan")) // a name that is ours, a sheet that is not
	list := s.list(t)
	book := mark(t, saved(t, s.book), list.Faults)
	require.Equal(t, []string{"Temuan 2", "Temuan"}, book.GetSheetList()[:2])
	page, err := book.GetRows("Temuan 2")
	require.NoError(t, err)
	require.Equal(t, []string{"1", "Kesalahan", "Daftar kartu", "Lembar \"Daftar\" tidak ada dalam daftar kartu. Gunakan templat.",
		"Salin daftar ke templat, lalu kirim ulang.", "list_no_sheet"}, page[6])
}

// status is a line of what the kernel knows of this process's memory, in MB.
func status(b *testing.B, line string) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(text), line+":")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	require.NoError(b, err)
	return kib / 1024
}

// BenchmarkMark also tells the peak-MB of one marking: by how much the largest
// resident memory of the process is above that before.
func BenchmarkMark(b *testing.B) {
	for _, c := range []struct{ rows, wrong, more int }{{250, 250, 0}, {5000, 500, 0}, {20_000, 500, 0}, {20_000, 20_000, 0}, {20_000, 20_000, 11}} {
		b.Run(fmt.Sprintf("%d-of-%d-with-%d-columns", c.wrong, c.rows, 5+c.more), func(b *testing.B) {
			var list bytes.Buffer
			rows := make([]cardlist.Row, c.rows)
			for i := range rows {
				rows[i] = cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i), Kind: "SAM"}
			}
			require.NoError(b, cardlist.WriteSheet(&list, rows))
			if c.more > 0 {
				book, err := excelize.OpenReader(&list)
				require.NoError(b, err)
				for i := range rows {
					for j := range c.more {
						require.NoError(b, book.SetCellInt(cardlist.Sheet, xlsx.Cell{Row: i + 2, Col: 6 + j}.Ref(), int64(j)))
					}
				}
				require.NoError(b, book.Write(&list))
				require.NoError(b, book.Close())
			}
			f := validation.Finding{Code: "serial_form", Severity: validation.Error, Pointer: "daftar!Daftar!B2", Detail: "500 sel (B2): bentuk salah."}
			for i := range c.wrong {
				f.Cells = append(f.Cells, fmt.Sprintf("B%d", 2+i*(c.rows/c.wrong)))
			}
			once := func() {
				var out bytes.Buffer
				require.NoError(b, validation.Mark(&out, bytes.NewReader(list.Bytes()), int64(list.Len()), "T", 1, []validation.Finding{f}))
				b.ReportMetric(float64(out.Len()), "file-bytes")
			}
			debug.FreeOSMemory()
			require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600)) // forgets the peak so far
			before := status(b, "VmRSS")
			once()
			peak := status(b, "VmHWM") - before
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
			b.ReportMetric(peak, "peak-MB")
		})
	}
}

func TestTheLongestListIsReadMarkedAndReadAgain(t *testing.T) {
	t.Parallel()
	rows := make([]cardlist.Row, validation.MaxRows+1)
	for i := range rows {
		rows[i] = cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i), ReaderSerial: fmt.Sprintf("R-%06d", i), Kind: "SAM", Remarks: "Loket"}
	}
	var list bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&list, rows))
	read, err := validation.ReadList(bytes.NewReader(list.Bytes()), int64(list.Len()))
	require.NoError(t, err)
	require.True(t, read.Unreadable)
	require.Equal(t, "list_too_large", read.Faults[0].Code)
	require.Contains(t, read.Faults[0].Detail, "Paling banyak 20.000 kartu, 32 lembar")

	list.Reset()
	require.NoError(t, cardlist.WriteSheet(&list, rows[:validation.MaxRows]))
	read, err = validation.ReadList(bytes.NewReader(list.Bytes()), int64(list.Len()))
	require.NoError(t, err)
	require.Empty(t, read.Faults)
	require.Equal(t, validation.MaxRows, read.Len())

	// Every serial is wrong, and every other one twice.
	every := validation.Finding{Code: "serial_form", Severity: validation.Error, Detail: "20000 sel (B2:B20001): bentuk salah.", Cells: validation.Cells{"B2:B20001"}}
	other := validation.Finding{Code: "serial_in_use", Severity: validation.Error, Detail: "10000 sel (B2): sudah tercatat."}
	for row := 2; row <= validation.MaxRows+1; row += 2 {
		other.Cells = append(other.Cells, fmt.Sprintf("B%d", row))
	}
	var out bytes.Buffer
	require.NoError(t, validation.Mark(&out, bytes.NewReader(list.Bytes()), int64(list.Len()), "T", 1, []validation.Finding{every, other}))
	require.Less(t, int64(out.Len()), validation.ListLimits.FileBytes/2)
	read, err = validation.ReadList(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.Empty(t, read.Faults)
	require.Equal(t, validation.MaxRows, read.Len())
	book := reopen(t, out.Bytes())
	said := comments(t, book, cardlist.Sheet)
	require.Len(t, said, 2000, "more comments than this nobody reads")
	require.Equal(t, 3, strings.Count(said["B2"], "\n")+1)
	require.Contains(t, said, "B4", "the first cells of ranges come before others")
	require.NotContains(t, said, "B3")
	require.NotContains(t, said, "B20001")
	for _, cell := range []string{"B2", "B3", "B20000", "B20001"} {
		require.Equal(t, "FFB8C1", fill(t, book, cardlist.Sheet, cell))
	}
	page, err := book.GetRows("Temuan")
	require.NoError(t, err)
	require.Equal(t, "Sel yang bertanda pada lembar Daftar: 2.000 sel memuat komentar, 18.000 sel lain hanya diberi warna dan dijelaskan pada lembar ini. "+
		"Klik tempatnya untuk menuju sel itu.", page[2][0])
	require.Equal(t, "dan 9.800 rentang lain", page[len(page)-1][2], "the list of places is bounded")
}
