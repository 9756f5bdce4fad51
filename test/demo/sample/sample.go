// Package sample makes the files of a sample request: letter, purchase order,
// PKS, card list, and scans of signed papers.
package sample

import (
	"bytes"
	"fmt"

	"codeberg.org/go-pdf/fpdf"
	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/xuri/excelize/v2"
)

// PDF is a page with a title and lines of text.
func PDF(title string, lines ...string) ([]byte, error) {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.AddPage()
	doc.SetFont("Helvetica", "B", 14)
	doc.Cell(0, 10, title)
	doc.Ln(14)
	doc.SetFont("Helvetica", "", 11)
	for _, l := range lines {
		doc.MultiCell(0, 6, l, "", "L", false)
	}
	var b bytes.Buffer
	err := doc.Output(&b)
	return b.Bytes(), err
}

// Signed is a paper with a mark across it, in the place of a scan with wet
// signatures.
func Signed(pdf []byte, by string) ([]byte, error) {
	var b bytes.Buffer
	err := api.AddWatermarks(bytes.NewReader(pdf), &b, nil, signature("Ditandatangani: "+by), nil)
	if err != nil {
		return nil, fmt.Errorf("sample: marking: %w", err)
	}
	return b.Bytes(), nil
}

func signature(text string) *model.Watermark {
	wm, err := api.TextWatermark(text, "font:Helvetica, points:16, scale:1 abs, rot:0, pos:bc, off:0 60, fillcol:#1A3C8B, op:0.8", true, false, 0)
	if err != nil {
		panic(err) // the description above is constant
	}
	return wm
}

// Card is a row of the list.
type Card struct{ Serial, Reader string }

// CardList is the XLSX with the sheet "Daftar" (features.md N20).
func CardList(machine string, cards []Card) ([]byte, error) {
	f := excelize.NewFile()
	defer func() { _ = f.Close() }()
	if err := f.SetSheetName("Sheet1", "Daftar"); err != nil {
		return nil, err
	}
	rows := [][]any{{"No.", "No. Seri Kartu SAM", "No. Seri Reader", "Jenis", "Keterangan"}}
	for i, c := range cards {
		rows = append(rows, []any{i + 1, c.Serial, c.Reader, machine, ""})
	}
	for i, row := range rows {
		if err := f.SetSheetRow("Daftar", fmt.Sprintf("A%d", i+1), &row); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	err := f.Write(&b)
	return b.Bytes(), err
}
