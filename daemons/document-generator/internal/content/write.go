package content

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
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
	var t current
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error { // one moment for all numbers of the paper
		var err error
		if f, err = gather(ctx, rd, d); err == nil && d.Kind != letter.ResultList {
			t, err = w.template(ctx, rd, d.Kind)
		}
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
		return Paper{Name: report.ResultSheetName(*d.Dated), XLSX: body}, err
	}
	if d.Number == nil && d.Kind != letter.DaySheet {
		return Paper{}, fmt.Errorf("content: paper %s has no number", d.ID)
	}
	if err := printsSignature(d.Kind, t.body); err != nil {
		return Paper{}, err
	}
	p := Paper{Name: fileName(f), TemplateSHA256: t.sum, Signatures: w.signatures(f)}
	if p.DOCX, err = w.fill(t.body, f, draftNote); err != nil {
		return Paper{}, err
	}
	p.Print, err = w.fill(t.body, f, "")
	return p, err
}

// fileName is the kind's name and the ticket, for a berita acara with its ordinal.
func fileName(f facts) string {
	switch f.doc.Kind {
	case letter.ActivationReply:
		return template.Name(f.doc.Kind) + "-" + f.activated.letter.Ticket + "-" + strconv.Itoa(f.activated.reply.Ordinal)
	case letter.DaySheet:
		return template.Name(f.doc.Kind) + "-" + f.sheet.Day.String()
	}
	name := template.Name(f.doc.Kind) + "-" + f.request.Ticket
	switch f.doc.Kind {
	case letter.BAST:
		name += "-" + strconv.Itoa(f.handed.Ordinal)
	case letter.DestructionReport:
		name += "-" + strconv.Itoa(f.destroyed.Ordinal)
	}
	return name
}

// resultList is the Laporan Hasil Personalisasi (features.md G22, G23, N36): every card
// of the list with what became of it.
func resultList(f facts) ([]byte, error) {
	var b bytes.Buffer
	if err := (report.ResultSheet{Produsen: f.produsen.Name, Lembaga: f.request.LembagaNames(), Cards: f.rows}).Write(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
