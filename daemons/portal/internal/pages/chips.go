package pages

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const chipsPath = "/chip"

// mountChips adds the search for a card by any of its numbers, and its life.
func (p *Pages) mountChips(inside chi.Router) {
	inside.Get(chipsPath, p.handle(p.findChip))
	inside.Get(chipsPath+"/{key}", p.handle(p.chip))
}

// chipsBody is the search, with what was found where that is not one card.
type chipsBody struct {
	Search  string
	Nothing string // why there is nothing to show
	Summary string
	Tables  []rowsTable
}

// findChip leads from a number that was typed to its card. The number is not in the
// address of the card's page: it may be a PCID.
func (p *Pages) findChip(w http.ResponseWriter, r *http.Request) error {
	typed := strings.TrimSpace(r.URL.Query().Get("cari"))
	if typed == "" {
		p.show(w, r, http.StatusOK, "chips", "Lacak kartu", chipsBody{})
		return nil
	}
	found, err := p.chips(r, typed)
	if errors.Is(err, report.ErrNotFound) {
		return p.noChip(w, r, http.StatusOK, typed)
	}
	if err != nil {
		return err
	}
	if found.Chip != nil {
		http.Redirect(w, r, chipsPath+"/"+found.Chip.ID, http.StatusSeeOther)
		return nil
	}
	return p.manyChips(w, r, typed, found)
}

// chip shows the life of the card that the address names by any number.
func (p *Pages) chip(w http.ResponseWriter, r *http.Request) error {
	key := web.PathText(r, "key")
	found, err := p.chips(r, key)
	switch {
	case errors.Is(err, report.ErrNotFound):
		return p.noChip(w, r, http.StatusNotFound, key)
	case err != nil:
		return err
	case found.Chip == nil:
		return p.manyChips(w, r, key, found)
	}
	body, err := p.chipBody(r, found)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "chip", "Kartu "+found.Chip.Serial, body)
	return nil
}

func (p *Pages) chips(r *http.Request, typed string) (*report.ChipAnswer, error) {
	return report.Chips(r.Context(), p.db, typed, signin.Account(r), clock.DateOf(p.office.Now()))
}

// noChip shows the search again, with what was typed as far as it is text.
func (p *Pages) noChip(w http.ResponseWriter, r *http.Request, status int, typed string) error {
	if len(typed) > maxSearch {
		typed = ""
	}
	p.show(w, r, status, "chips", "Lacak kartu", chipsBody{Search: strings.ToValidUTF8(typed, ""), Nothing: report.NoChip})
	return nil
}

func (p *Pages) manyChips(w http.ResponseWriter, r *http.Request, typed string, found *report.ChipAnswer) error {
	body := chipsBody{Search: typed}
	if found.Total > 0 {
		body.Summary = number(found.Total) + " kartu bernomor ini; pilih salah satu."
		if n := len(found.Matches); n < found.Total {
			body.Summary = number(n) + " kartu terbaru dari " + body.Summary
		}
		body.Tables = append(body.Tables, matchTable(found.Matches, report.Outside(signin.Account(r))))
	} else {
		body.Summary = "Nomor ini tidak ada pada permohonan mana pun dalam sistem ini."
	}
	old, err := p.oldTables(r, found)
	if err != nil {
		return err
	}
	body.Tables = append(body.Tables, old...)
	p.show(w, r, http.StatusOK, "chips", "Lacak kartu", body)
	return nil
}

func matchTable(matches []report.ChipMatch, outside bool) rowsTable {
	t := rowsTable{Caption: "Kartu, terbaru lebih dahulu", Heads: []string{"No. Seri Kartu SAM", "Ditemukan dari", "Keadaan", "No. Seri Reader", "Permohonan"}}
	if !outside {
		t.Heads = append(t.Heads, "Pemohon")
	}
	for _, m := range matches {
		row := []cell{{Text: m.Serial, Path: chipsPath + "/" + m.ID}, {Text: foundBy(m)}, {Tag: cardTag(m.State, m.StateLabel)}, {Text: m.ReaderSerial},
			{Text: m.Ticket + ", " + strings.ToLower(request.Machine.Label(m.RequestState)), Path: home + "/" + m.Ticket}}
		if !outside {
			row = append(row, cell{Text: m.Institution})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func foundBy(m report.ChipMatch) string {
	names := make([]string, len(m.FoundBy))
	for i, by := range m.FoundBy {
		names[i] = report.FoundByLabels[by]
	}
	return strings.Join(names, ", ")
}

// oldTables are what was issued before day one, and what only journals know.
func (p *Pages) oldTables(r *http.Request, found *report.ChipAnswer) ([]rowsTable, error) {
	var tables []rowsTable
	if len(found.Register) > 0 {
		var people []*string
		for i := range found.Register {
			people = append(people, &found.Register[i].CorrectedBy)
		}
		if err := p.named(r.Context(), people...); err != nil {
			return nil, err
		}
		t := rowsTable{Caption: "Register lama: diterbitkan sebelum sistem ini dipakai", Heads: []string{"No. Seri Kartu SAM", "PCID dan No. Manifest", "No. Seri Reader dan id chip",
			"Produsen dan lembaga", "Diterbitkan", "Asal dan keterangan"}}
		for _, e := range found.Register {
			t.Rows = append(t.Rows, registerCells(e))
		}
		tables = append(tables, t)
	}
	if len(found.LostAttempts) > 0 {
		t := rowsTable{Caption: "Hanya diketahui jurnal stasiun: ditulis setelah saat pemulihan basis data", Heads: []string{"Id chip", "Stasiun", "Kata terakhir jurnal", "Saat", "Dicatat"}}
		for _, a := range found.LostAttempts {
			t.Rows = append(t.Rows, []cell{{Text: a.ChipID}, {Text: a.Station}, {Text: journalWord(a.Last)}, {Text: terbilang.FormatDateTime(a.At)}, {Text: terbilang.FormatDateTime(a.NotedAt)}})
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// journalWord words the last that a journal knows of an attempt.
func journalWord(last string) string {
	if word, ok := map[string]string{"intent": "akan ditulis", "step": "sedang ditulis", "proven": "selesai dan terbukti", "failed": "gagal", "in_doubt": "meragukan"}[last]; ok {
		return word
	}
	return last
}

func registerCells(e report.RegisterRow) []cell {
	issued := ""
	if e.IssuedOn != nil {
		issued = terbilang.FormatDate(*e.IssuedOn)
	}
	from := e.File
	if e.Sheet != "" {
		from += ", lembar " + e.Sheet
	}
	from += ", baris " + number(e.Row)
	if e.Edition > 1 {
		from += ", edisi " + number(e.Edition)
	}
	note := e.Remarks
	if !e.Standing {
		note = "tidak berlaku lagi: " + e.Correction
		if e.CorrectedAt != nil {
			note += " (" + e.CorrectedBy + ", " + terbilang.FormatDateTime(*e.CorrectedAt) + ")"
		}
	}
	return []cell{{Text: e.Serial}, {Text: joined(e.PCID, e.ManifestNo)}, {Text: joined(e.ReaderSerial, e.ChipID)}, {Text: joined(e.Produsen, e.Lembaga)}, {Text: issued}, {Text: joined(from, note)}}
}

// joined are those of the texts that say something.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(t string) bool { return t == "" }), "; ")
}
