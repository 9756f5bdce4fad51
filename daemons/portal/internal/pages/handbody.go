package pages

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/byhand"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/web"
)

// handsPerPage are the cards of a page that wait for a result.
const handsPerPage = 50

// mostWaiting are the results of a page that wait for their second person: a day's.
const mostWaiting = 250

// handRow is a card whose result can be typed.
type handRow struct {
	perso.HandCard
	Result, Typed string // as typed
	Error         string
	ReasonError   string
}

// handDone is a result that waits.
type handDone struct {
	perso.HandCard
	Tag    tag
	Own    bool // of whoever looks
	Chosen bool
}

// handBody is the page of a request that is personalised by hand.
type handBody struct {
	byhand.View
	Manual               bool
	Says                 string // how its cards are made
	Notice               string
	Trouble              *trouble
	Wrong                []rowsTable // cells of a workbook
	Bare, Numbered       int         // cards without numbers, and with numbers and no result
	Finished             int
	Waiting              []handDone
	More                 int // results that wait beyond those
	All                  bool
	Rows                 []handRow
	Page, Last           int
	Previous, Next, Here string
	ModeFields           []field
	WipeFields           []field
	SheetFields          []field

	sent string // the form that is shown again
}

// Title is the page's.
func (b *handBody) Title() string { return "Pengerjaan manual" }

// At is the address of the page.
func (b *handBody) At() string { return home + "/" + b.Ticket + handPath }

func (p *Pages) handBody(r *http.Request) (*handBody, error) {
	who := signin.Account(r)
	v, err := p.hands().Look(r.Context(), who, chi.URLParam(r, "ticket"))
	if err != nil {
		return nil, err
	}
	b := &handBody{View: v, Manual: v.Mode.Mode == capacity.ModeManual, Page: 1}
	if v.Mode.At != nil {
		if err := p.named(r.Context(), &v.Mode.By); err != nil {
			return nil, err
		}
	}
	b.Says = modeSentence(v.Mode)
	b.sort(who.Username)
	var people []*string
	for i := range b.Waiting {
		people = append(people, &b.Waiting[i].HandCard.Waiting.EnteredBy)
	}
	if err := p.named(r.Context(), people...); err != nil {
		return nil, err
	}
	b.turn(r.URL.Query().Get("halaman"))
	other := capacity.ModeManual
	if b.Manual {
		other = capacity.ModeStation
	}
	b.ModeFields = []field{
		{Name: "versi", Kind: "hidden", Value: strconv.FormatInt(v.Mode.Version, 10)}, {Name: "mode", Kind: "hidden", Value: other},
		{Name: "reason", Form: "cara", Label: "Alasan", Kind: "textarea", Longest: 2000, Hint: "Dibaca pegawai Ditjen Dukcapil saja."},
	}
	b.WipeFields = []field{{Name: "reason", Form: "hapus", Label: "Alasan", Kind: "textarea", Longest: 2000}}
	b.SheetFields = []field{{Name: "sheet", Form: "impor", Label: "Buku kerja Excel", Kind: "file", Value: ".xlsx", Hint: "Paling besar 5 MB, seperti yang diekspor dari halaman ini."}}
	return b, nil
}

// sort puts the cards where the page has them.
func (b *handBody) sort(me string) {
	for _, c := range b.Cards {
		switch {
		case c.Waiting != nil && len(b.Waiting) == mostWaiting:
			b.More++
		case c.Waiting != nil:
			d := handDone{HandCard: c, Tag: tag{good, perso.Machine.Label(perso.Clear)}, Own: c.Waiting.EnteredBy == me}
			if c.Waiting.Result == perso.Failed {
				d.Tag = tag{bad, perso.Machine.Label(perso.Failed)}
			}
			b.Waiting = append(b.Waiting, d)
		case c.State == perso.Numbered:
			b.Numbered++
			b.Rows = append(b.Rows, handRow{HandCard: c})
		case c.State == perso.Listed || c.State == perso.Bound:
			b.Bare++
		default:
			b.Finished++
		}
	}
}

// turn keeps the rows of one page.
func (b *handBody) turn(asked string) {
	b.Last = max(1, (len(b.Rows)+handsPerPage-1)/handsPerPage)
	if n, err := strconv.Atoi(asked); err == nil {
		b.Page = min(max(n, 1), b.Last)
	}
	at := func(n int) string { return b.At() + "?halaman=" + strconv.Itoa(n) }
	if b.Page > 1 {
		b.Previous = at(b.Page - 1)
	}
	if b.Page < b.Last {
		b.Next = at(b.Page + 1)
	}
	if b.Last > 1 {
		b.Here = "?halaman=" + strconv.Itoa(b.Page)
	}
	from := (b.Page - 1) * handsPerPage
	b.Rows = b.Rows[from:min(from+handsPerPage, len(b.Rows))]
}

// blame puts what is wrong where it was typed.
func (b *handBody) blame(problem *web.Problem) {
	cells := rowsTable{Caption: "Yang perlu diperbaiki", Heads: []string{"Tempat", "Penjelasan"}}
	var fields []*field
	for _, list := range [][]field{b.ModeFields, b.WipeFields, b.SheetFields} {
		for i := range list {
			fields = append(fields, &list[i])
		}
	}
	for _, e := range problem.Errors {
		if place, ok := cellOf(e.Pointer); ok {
			cells.Rows = append(cells.Rows, []cell{{Text: place}, {Text: e.Detail}})
			continue
		}
		one := fault{Detail: e.Detail}
		for i := range b.Rows {
			row := &b.Rows[i]
			switch e.Pointer {
			case "/result_" + row.ID:
				row.Error, one.Anchor = e.Detail, "result_"+row.ID
			case "/reason_" + row.ID:
				row.ReasonError, one.Anchor = e.Detail, "reason_"+row.ID
			}
		}
		if one.Anchor == "" {
			one.Anchor = b.anchor(fields, e)
		}
		b.Trouble.Faults = append(b.Trouble.Faults, one)
	}
	switch {
	case len(cells.Rows) > 0:
		b.Wrong = []rowsTable{cells}
		b.Trouble.Faults = append(b.Trouble.Faults, fault{Detail: "Tidak ada yang diambil dari Excel itu. Perbaiki sel berikut pada berkas Anda, simpan, lalu kirim kembali."})
	case len(b.Trouble.Faults) == 0:
		b.Trouble.Faults = []fault{{Detail: problem.Detail}}
	}
}

// anchor finds the field of a fault among forms of which one was sent.
func (b *handBody) anchor(fields []*field, e web.FieldError) string {
	for _, f := range fields {
		if "/"+f.Name == e.Pointer && f.Kind != "hidden" && f.Form == b.sent {
			f.Error = e.Detail
			return f.ID()
		}
	}
	return ""
}

// cellOf words the place of a cell, such as sheet!Data Personalisasi!E7.
func cellOf(pointer string) (place string, ok bool) {
	parts := strings.Split(pointer, "!")
	switch {
	case parts[0] != "sheet":
		return "", false
	case len(parts) == 3:
		return "Lembar " + parts[1] + ", sel " + parts[2], true
	}
	return "Lembar " + parts[len(parts)-1], true
}

// retype puts what was typed where it was.
func (b *handBody) retype(r *http.Request) {
	for i := range b.Rows {
		row := &b.Rows[i]
		row.Result, row.Typed = typedText(r, "result_"+row.ID), typedText(r, "reason_"+row.ID)
	}
	for i := range b.Waiting {
		b.Waiting[i].Chosen = slices.Contains(r.PostForm["results"], b.Waiting[i].HandCard.Waiting.ID)
	}
	for _, list := range [][]field{b.ModeFields, b.WipeFields} {
		for i := range list {
			if f := &list[i]; f.Kind != "hidden" && f.Form == b.sent {
				f.Value = r.PostForm.Get(f.Name)
			}
		}
	}
}

// Sent is the form that is shown again; empty for none.
func (b *handBody) Sent() string { return b.sent }
