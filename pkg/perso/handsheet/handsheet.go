// Package handsheet is the cards of a request as an Excel workbook: written for
// whoever personalises with another tool, and read back with the numbers and results
// that they typed (features.md F15, N18). It writes nothing to the database;
// perso.Enter does.
package handsheet

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Sheet is the sheet of the workbook (features.md F12).
const Sheet = "Data Personalisasi"

// Headers of the columns, as the office's own list has them (features.md G23, F16).
const (
	HeaderRow      = "No."
	HeaderSerial   = "No. Seri Kartu SAM"
	HeaderManifest = "No. Manifest Kartu SAM"
	HeaderPCID     = "No. PCID"
	HeaderStatus   = "Status"
	HeaderRemarks  = "Keterangan"
)

// headers are the columns that are read.
var headers = []string{HeaderSerial, HeaderManifest, HeaderPCID, HeaderStatus, HeaderRemarks}

// Words of the column HeaderStatus.
var (
	words  = map[machine.State]string{perso.Clear: "Berhasil", perso.Failed: "Gagal"}
	states = map[string]machine.State{"berhasil": perso.Clear, "clear": perso.Clear, "gagal": perso.Failed, "failed": perso.Failed}
)

// FileName is the name of a request's workbook.
func FileName(ticket string) string { return "data-personalisasi-" + ticket + ".xlsx" }

// Write writes the cards of a request. What waits for its second person stands as it
// was entered.
func Write(w io.Writer, ticket string, cards []perso.HandCard) error {
	rows := make([][]string, len(cards))
	for i, c := range cards {
		result, remarks := c.Result()
		rows[i] = []string{strconv.Itoa(c.Row), c.Serial, c.ManifestNo, c.PCID, words[result], remarks}
	}
	if err := xlsx.WriteTable(w, xlsx.Table{
		Sheet: Sheet, Titles: []string{"DATA PERSONALISASI KARTU SAM", "Permohonan " + ticket}, Rows: rows, Landscape: true,
		Columns: []xlsx.Column{
			{Title: HeaderRow, Width: 6, Align: xlsx.Right, Number: true}, {Title: HeaderSerial, Width: 24}, {Title: HeaderManifest, Width: 24},
			{Title: HeaderPCID, Width: 38}, {Title: HeaderStatus, Width: 12, Choices: []string{words[perso.Clear], words[perso.Failed]}}, {Title: HeaderRemarks, Width: 40},
		},
	}); err != nil {
		return fmt.Errorf("handsheet: %w", err)
	}
	return nil
}

// Row is what the workbook says of a card.
type Row struct {
	Number   int // on the sheet, counted from 1
	Serial   string
	PCID     string
	Manifest string
	Result   machine.State // Clear, Failed, or empty
	Remarks  string
}

// Content is what a workbook says.
type Content struct {
	Rows    []Row
	sheet   string
	columns map[string]string // letters by header
}

// Fault is what is wrong with a workbook or with one of its cells.
type Fault struct {
	Sheet  string // empty for the workbook itself
	Cell   string // such as B17; empty for the sheet itself
	Code   string // stable, English
	Detail string // an Indonesian sentence: what is wrong and what to do
}

// Pointer names the place as card lists do: "sheet!Data Personalisasi!B17", or
// "/sheet".
func (f Fault) Pointer() string {
	switch {
	case f.Sheet == "":
		return "/sheet"
	case f.Cell == "":
		return "sheet!" + f.Sheet
	}
	return "sheet!" + f.Sheet + "!" + f.Cell
}

// Sort puts faults of one workbook in the order of its rows; those of no row come first.
func Sort(faults []Fault) {
	row := func(f Fault) int {
		n, err := strconv.Atoi(strings.TrimLeft(f.Cell, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		if err != nil {
			return 0
		}
		return n
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return row(a) - row(b) })
}

// At is a fault of the cell of a row under a header.
func (c Content) At(row int, header, code, detail string) Fault {
	return Fault{c.sheet, c.columns[header] + strconv.Itoa(row), code, detail}
}

// clean takes away what is not seen and makes one space of several.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\u200b', '\u200e', '\u200f', '\ufeff', '\u00ad':
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}
