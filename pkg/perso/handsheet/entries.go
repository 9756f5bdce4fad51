package handsheet

import (
	"strings"

	"dukcapil.go.id/sifilma/pkg/perso"
)

// Entries are what a workbook says of a request's cards that the office does not know
// yet. row is the row of each entry, for Faults. What is wrong comes as faults, and
// the entries are then those of the other rows.
func (c Content) Entries(cards []perso.HandCard) (entries []perso.Entry, rows []int, faults []Fault) {
	at := make(map[string]perso.HandCard, len(cards))
	for _, card := range cards {
		at[card.Serial] = card
	}
	for _, r := range c.Rows {
		card, here := at[r.Serial]
		if !here {
			faults = append(faults, c.At(r.Number, HeaderSerial, "unknown_value", "Nomor seri ini tidak ada dalam permohonan ini."))
			continue
		}
		one := perso.Entry{CardID: card.ID}
		if r.PCID != card.PCID || !strings.EqualFold(r.Manifest, card.ManifestNo) {
			one.PCID, one.ManifestNo = r.PCID, r.Manifest
		}
		if result, remarks := card.Result(); r.Result != "" && (r.Result != result || r.Remarks != remarks) {
			one.Result, one.Reason = r.Result, r.Remarks
		}
		if one.Result != "" || one.PCID != "" || one.ManifestNo != "" {
			entries, rows = append(entries, one), append(rows, r.Number)
		}
	}
	return entries, rows, faults
}

// columnOf is the column of a field of an entry.
var columnOf = map[string]string{
	"card": HeaderSerial, "result": HeaderStatus, "reason": HeaderRemarks, "pcid": HeaderPCID, "manifest_no": HeaderManifest,
}

// Faults puts what was wrong with entries where whoever typed them finds it.
func (c Content) Faults(wrong perso.EntryFaults, rows []int) []Fault {
	all := make([]Fault, len(wrong))
	for i, f := range wrong {
		all[i] = c.At(rows[f.Index], columnOf[f.Field], f.Code, f.Detail)
	}
	return all
}
