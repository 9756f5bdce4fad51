package content

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Media types of the files.
const (
	MediaDOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	MediaXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	MediaPDF  = "application/pdf"
)

// Paper is a paper as it comes from the desk. A result list has an XLSX only,
// the others a DOCX and the text that becomes the PDF.
type Paper struct {
	Name           string // of the files, without their ending
	DOCX           []byte // the draft for Word
	Print          []byte // the DOCX to be converted to PDF
	XLSX           []byte
	TemplateSHA256 []byte
	Signatures     []letter.Signature // that it wants
}

// Write makes the files of a numbered paper. The same data give the same bytes.
func (w *Writer) Write(ctx context.Context, db *postgres.DB, d letter.Document) (Paper, error) {
	var f facts
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error { // one moment for all numbers of the paper
		var err error
		f, err = gather(ctx, rd, d)
		return err
	})
	if err != nil {
		return Paper{}, err
	}
	if d.Dated == nil {
		return Paper{}, fmt.Errorf("content: paper %s has no date", d.ID)
	}
	if d.Kind == letter.ResultList {
		body, err := resultList(f)
		return Paper{Name: listName(*d.Dated), XLSX: body}, err
	}
	if d.Number == nil && d.Kind != letter.DaySheet {
		return Paper{}, fmt.Errorf("content: paper %s has no number", d.ID)
	}
	t := w.templates[d.Kind]
	p := Paper{Name: fileName(f), TemplateSHA256: t.sha256[:], Signatures: w.signatures(f)}
	if p.DOCX, err = w.fill(f, true); err != nil {
		return Paper{}, err
	}
	p.Print, err = w.fill(f, false)
	return p, err
}

// fileName is the template's name and the ticket, for a berita acara with its ordinal.
func fileName(f facts) string {
	name := templateNames[f.doc.Kind] + "-" + f.request.Ticket
	if f.doc.Kind == letter.DaySheet {
		return templateNames[f.doc.Kind] + "-" + f.sheet.Day.String()
	}
	switch f.doc.Kind {
	case letter.BAST:
		name += "-" + strconv.Itoa(f.handed.Ordinal)
	case letter.DestructionReport:
		name += "-" + strconv.Itoa(f.destroyed.Ordinal)
	}
	return name
}

// listName is the name that the office's lists have (features.md G22).
func listName(d clock.Date) string {
	return fmt.Sprintf("receive-report-%02d%02d%04d", d.Day, int(d.Month), d.Year)
}

// resultList is the Laporan Hasil Personalisasi (features.md G22, G23, N36):
// every card of the list with what became of it.
func resultList(f facts) ([]byte, error) {
	serials := make(map[string]string, len(f.rows))
	for _, c := range f.rows {
		serials[c.ID] = c.Serial
	}
	table := xlsx.Table{
		Sheet: "Data Receive",
		Titles: []string{
			"LAPORAN HASIL PERSONALISASI KARTU SAM " + strings.ToUpper(f.produsen.Name),
			"(" + strings.ToUpper(f.request.LembagaNames()) + ")",
		},
		FirstTitleColumn: 1,
		HeaderRow:        5,
		Columns: []xlsx.Column{
			{Title: "No.", Width: 6, Align: xlsx.Center}, {Title: "No. Seri Kartu SAM", Width: 24},
			{Title: "No. Manifest Kartu SAM", Width: 22}, {Title: "No. PCID", Width: 38}, {Title: "Keterangan", Width: 46},
		},
		Landscape: true,
	}
	for i, c := range f.rows {
		row := []string{strconv.Itoa(i + 1), c.Serial, "", "", remark(c, serials)}
		if c.State == perso.Clear { // numbers of other cards are burnt
			row[2], row[3] = c.ManifestNo, c.PCID
		}
		table.Rows = append(table.Rows, row)
	}
	var b bytes.Buffer
	if err := xlsx.WriteTable(&b, table); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// remark is the Keterangan of a card.
func remark(c perso.CardRow, serials map[string]string) string {
	parts := []string{perso.Machine.Label(c.State)}
	off := ""
	if d := c.Reduction; d != nil {
		off = " dari permohonan menurut surat nomor " + d.LetterNumber + " tanggal " + terbilang.FormatDate(d.LetterDate)
		if d.Was == perso.Listed {
			parts[0] += off
		} else {
			parts = []string{d.WasLabel, "dikurangi" + off}
		}
	}
	if c.Reason != "" && c.State != perso.Clear {
		parts[0] += ": " + c.Reason
	}
	if c.Replaces != nil {
		parts = append(parts, "pengganti "+serials[*c.Replaces])
	}
	if c.ReplacedBy != nil {
		parts = append(parts, "diganti dengan "+serials[*c.ReplacedBy])
	}
	return strings.Join(parts, "; ")
}
