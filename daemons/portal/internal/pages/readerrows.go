package pages

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/institution"
)

// Rows of readers that are typed into a page. Whoever has more sends a workbook.
const (
	firstRows = 3 // empty ones of a new letter
	moreRows  = 5 // that "Tambah baris" adds
	mostRows  = 50
)

// Names of parts of a form with rows: how many rows it has, and the wish for more.
const (
	rowsField = "baris"
	moreField = "tambah"
)

// rowField is a field of a row, in the order in which a letter says it (features.md J03 to
// J06, N33).
type rowField struct {
	name, label string
	longest     int
	optional    bool
	of          func(l *activation.Line) *string
}

var rowFields = []rowField{
	{"reader_serial", "No. Seri Reader", 64, false, func(l *activation.Line) *string { return &l.Reader }},
	{"sam_serial", "No. Seri Kartu SAM", 64, false, func(l *activation.Line) *string { return &l.SAM }},
	{"origin_no", "Nomor asal SAM", 64, true, func(l *activation.Line) *string { return &l.Origin }},
	{"perso_no", "Nomor SAM hasil perso", 64, false, func(l *activation.Line) *string { return &l.Perso }},
	{"pcid", "PCID", 64, false, func(l *activation.Line) *string { return &l.PCID }},
	{"machine_type", "Jenis reader", 0, false, func(l *activation.Line) *string { return &l.MachineType }},
	{"mode", "Mode", 0, false, func(l *activation.Line) *string { return &l.Mode }},
	{"address", "Alamat penempatan", 200, false, func(l *activation.Line) *string { return &l.Address }},
	{"region", "Wilayah penggunaan", 200, false, func(l *activation.Line) *string { return &l.Region }},
}

const originHint = "Bila kosong, sama dengan No. Seri Kartu SAM."

// originTyped is the nomor asal as somebody types it: only where it is not the serial, so that
// whoever corrects the serial need not correct both.
func originTyped(l activation.Line) string {
	if l.Origin == l.SAM {
		return ""
	}
	return l.Origin
}

// rowName is the name of a field of a row: that of the API, so that a fault finds it.
func rowName(row int, field string) string { return fmt.Sprintf("lines/%d/%s", row, field) }

// rowNames are the names of all fields that a form with rows may have.
func rowNames() []string {
	names := []string{rowsField, moreField}
	for i := range mostRows {
		for _, f := range rowFields {
			names = append(names, rowName(i, f.name))
		}
	}
	return names
}

// typedRows are the readers that were typed, without the rows that were left empty; asked
// says whether the form had rows at all.
func typedRows(value func(name string) string) (lines []activation.Line, asked bool) {
	n, err := strconv.Atoi(value(rowsField))
	if err != nil || n < 0 {
		return nil, false
	}
	lines = []activation.Line{}
	for i := range min(n, mostRows) {
		var l activation.Line
		for _, f := range rowFields {
			*f.of(&l) = strings.TrimSpace(value(rowName(i, f.name)))
		}
		if l != (activation.Line{}) {
			lines = append(lines, l)
		}
	}
	return lines, true
}

// readerTypes are the types that a reader may be of: those in use, and the one that it is.
func readerTypes(types []institution.MachineType, chosen string) (options []option) {
	for _, m := range types {
		if m.UsesReader && (m.Active || m.Code == chosen) {
			options = append(options, option{m.Code, m.Name, m.Code == chosen})
		}
	}
	return options
}

// rows is the part of a form into which readers are typed: these, and some empty ones.
func (p *Pages) rows(r *http.Request, lines []activation.Line, empty int) (field, error) {
	types, err := institution.MachineTypes(r.Context(), p.db)
	if err != nil {
		return field{}, err
	}
	part := field{Name: "lines", Label: "Reader", Kind: "rows"}
	part.Hint = fmt.Sprintf("Satu baris untuk setiap reader; baris yang kosong dilewati. Nomor asal SAM yang kosong sama dengan No. Seri Kartu SAM. Untuk lebih dari %d reader, pakai daftar Excel. %s", mostRows, activation.OnlineDuty)
	for i := range min(len(lines)+empty, mostRows) {
		var l activation.Line
		if i < len(lines) {
			l = lines[i]
		}
		one := fieldRow{Legend: "Reader " + strconv.Itoa(i+1)}
		for _, f := range rowFields {
			value := *f.of(&l)
			cell := field{Name: rowName(i, f.name), Label: f.label, Kind: "text", Value: value, Longest: f.longest, Optional: f.optional}
			switch f.name {
			case "origin_no":
				cell.Value = originTyped(l)
			case "machine_type":
				cell.Kind = "select"
				cell.Options = readerTypes(types, value)
			case "mode":
				cell.Kind = "select"
				for _, code := range []string{activation.Online, activation.Offline} {
					cell.Options = append(cell.Options, option{code, activation.ModeLabels[code], code == value})
				}
			}
			one.Fields = append(one.Fields, cell)
		}
		part.Lines = append(part.Lines, one)
	}
	part.Full = len(part.Lines) == mostRows
	return part, nil
}

// retypeRows puts the rows that were typed into a form, for it to be shown again with room
// for more of them.
func (p *Pages) retypeRows(r *http.Request, body *formBody, lines []activation.Line, empty int) error {
	i := slices.IndexFunc(body.Fields, func(f field) bool { return f.Kind == "rows" })
	if i < 0 {
		return nil
	}
	part, err := p.rows(r, lines, empty)
	body.Fields[i] = part
	return err
}
