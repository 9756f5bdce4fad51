package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// ResultSheet is a Laporan Hasil Personalisasi (features.md G22, G23): of a whole request,
// or of what one lembaga gets in a handover.
type ResultSheet struct {
	Produsen, Lembaga string
	Note              string // a third line below the title, or empty
	Cards             []perso.CardRow
}

// ResultSheetName is the name that the office's lists have, without its ending
// (features.md G22).
func ResultSheetName(d clock.Date) string {
	return fmt.Sprintf("receive-report-%02d%02d%04d", d.Day, int(d.Month), d.Year)
}

// Write writes the list as a workbook. The same cards give the same bytes.
func (s ResultSheet) Write(w io.Writer) error {
	table := xlsx.Table{
		Sheet:            "Data Receive",
		Titles:           []string{"LAPORAN HASIL PERSONALISASI KARTU SAM " + strings.ToUpper(s.Produsen), "(" + strings.ToUpper(s.Lembaga) + ")"},
		FirstTitleColumn: 1,
		HeaderRow:        5,
		Columns: []xlsx.Column{
			{Title: "No.", Width: 6, Align: xlsx.Center}, {Title: "No. Seri Kartu SAM", Width: 24},
			{Title: "No. Manifest Kartu SAM", Width: 22}, {Title: "No. PCID", Width: 38}, {Title: "Keterangan", Width: 46},
		},
		Landscape: true,
	}
	if s.Note != "" {
		table.Titles = append(table.Titles, s.Note)
	}
	for i, c := range s.Cards {
		row := []string{strconv.Itoa(i + 1), c.Serial, "", "", remark(c)}
		if c.State == perso.Clear { // numbers of other cards are burnt
			row[2], row[3] = c.ManifestNo, c.PCID
		}
		table.Rows = append(table.Rows, row)
	}
	return xlsx.WriteTable(w, table)
}

// remark is the Keterangan of a card.
func remark(c perso.CardRow) string {
	parts := []string{perso.Machine.Label(c.State)}
	if d := c.Reduction; d != nil {
		off := " dari permohonan menurut surat nomor " + d.LetterNumber + " tanggal " + terbilang.FormatDate(d.LetterDate)
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
		parts = append(parts, "pengganti "+c.OldSerial)
	}
	if c.ReplacedBy != nil {
		parts = append(parts, "diganti dengan "+c.NewSerial)
	}
	return strings.Join(parts, "; ")
}
