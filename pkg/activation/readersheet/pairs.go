package readersheet

import (
	"io"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/form"
)

// PairsFile is the name of the template of pairs, PairsSheet its sheet.
const (
	PairsFile  = "templat-pasangan-reader.xlsx"
	PairsSheet = "Pasangan Reader"
)

var pairs = book{
	sheet: PairsSheet, title: "PASANGAN KARTU SAM DAN READER", name: "Daftar pasangan", root: "/pairs", most: activation.MostPairs, blank: templateRows,
	empty: "Daftar pasangan ini kosong. Isi satu baris untuk setiap kartu SAM.", columns: []column{columns[1], columns[0]},
}

// WritePairs writes the workbook of pairs with these, and room for more.
func WritePairs(w io.Writer, of []activation.Pair) error {
	lines := make([]activation.Line, len(of))
	for i, p := range of {
		lines[i] = activation.Line{SAM: p.SAM, Reader: p.Reader}
	}
	return pairs.write(w, lines, nil)
}

// ReadPairs reads pairs of cards and readers, as Read reads readers: the lines of what is
// returned say no more. Point takes faults of pairs, such as at /pairs/0/sam_serial.
func ReadPairs(r io.ReaderAt, size int64) (Content, form.Faults, error) { return pairs.get(r, size) }

// Pairs are the rows of a workbook of pairs.
func (c Content) Pairs() (all []activation.Pair) {
	for _, l := range c.Lines {
		all = append(all, activation.Pair{SAM: l.SAM, Reader: l.Reader})
	}
	return all
}
