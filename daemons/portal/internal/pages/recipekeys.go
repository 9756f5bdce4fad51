package pages

import (
	"fmt"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// keyTable says which master keys stand under the labels of a Kode Kunci.
func keyTable(all []masterdata.NamedKey) rowsTable {
	t := rowsTable{Caption: "Kunci induk di HSM menurut buku kunci", Empty: "belum ada.", Heads: []string{"Kegunaan", "Label", "Versi", "Algoritma", "KCV", "Asal", "Tercatat"}}
	for _, k := range all {
		row := []cell{{Text: k.Use}, {Text: k.Label}}
		e := k.Entry
		if e == nil {
			t.Rows = append(t.Rows, append(row, cell{}, cell{}, cell{}, cell{}, cell{Tag: tag{wait, "Belum tercatat"}}))
			continue
		}
		kind := fmt.Sprintf("AES-%d", e.Bits)
		if e.Algorithm == "DES" {
			kind = fmt.Sprintf("%dTDEA", e.Bits/64)
		}
		origin := "dibuat di dalam token"
		if e.Origin == keybook.Components {
			origin = "komponen: " + strings.Join(e.Custodians, ", ")
		}
		noted := cell{Text: terbilang.FormatDateTime(e.OfficeAt) + ", " + e.RecordedBy}
		if e.Retired() {
			noted = cell{Tag: tag{bad, "Dihentikan"}}
		}
		t.Rows = append(t.Rows, append(row, cell{Text: strconv.Itoa(e.Version)}, cell{Text: kind}, cell{Text: e.KCV}, cell{Text: origin}, noted))
	}
	return t
}
