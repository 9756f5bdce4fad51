package spoiled

import (
	"embed"
	"testing"

	"github.com/stretchr/testify/require"
)

// calc are workbooks that LibreOffice Calc wrote, and what it wrote them from.
//
//go:embed testdata/libreoffice
var calc embed.FS

// Converted are card lists as LibreOffice writes them.
func Converted(t testing.TB) []Sheet {
	read := func(name string) []byte {
		b, err := calc.ReadFile("testdata/libreoffice/" + name)
		require.NoError(t, err)
		return b
	}
	return []Sheet{
		{Name: "LibreOffice: plain list", Body: read("plain.xlsx"), Cards: three},
		{Name: "LibreOffice: rich text", Body: read("rich.xlsx"), Cards: three},
		{Name: "LibreOffice: another sheet hidden", Body: read("hidden.xlsx"), Cards: three},
		{Name: "LibreOffice: list on the second sheet", Body: read("order.xlsx"), Cards: three},
		{Name: "LibreOffice: date for a serial", Body: read("date.xlsx"), Found: []string{"serial_date " + at("B2")}},
		{Name: "LibreOffice: zeros that only the format shows", Body: read("zeros.xlsx"), Found: []string{"serial_numeric " + at("B2")}},
		{Name: "LibreOffice: long number", Body: read("long.xlsx"), Found: []string{"serial_numeric " + at("B2")}},
		{Name: "LibreOffice: truth for a serial, written as 1", Body: read("truth.xlsx"), Cards: []string{"1/R-000001", three[1], three[2]}},
		{Name: "LibreOffice: formula", Body: read("rumus.xlsx"), Found: []string{"formula " + at("B2")}},
		{Name: "LibreOffice: formula with an error", Body: read("salah.xlsx"), Found: []string{"formula " + at("B2")}},
		{Name: "LibreOffice: serials in merged cells", Body: read("merged.xlsx"), Found: []string{"serial_missing " + at("B3:B4")}},
		{Name: "LibreOffice: from CSV, zeros lost", Body: read("Daftar.xlsx"), Cards: []string{three[0], three[1], "12345/R-000003"}},
		{Name: "LibreOffice: XLS called XLSX", Body: read("plain.xls"), Refused: "old_excel"},
		{Name: "LibreOffice: ODS called XLSX", Body: read("plain.ods"), Refused: "open_document"},
	}
}
