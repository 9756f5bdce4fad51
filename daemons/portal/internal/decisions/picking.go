package decisions

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Parts of a form in which cards are named by their serials: typed, or in a workbook.
const (
	SerialsPart = "serials"
	ListPart    = "list"
	CountPart   = "count"
)

// rowSpan is how rows of a list are typed: 1-50.
var rowSpan = regexp.MustCompile(`^(\d{1,9})\s*(?:-|–|s\.d\.|S\.D\.)\s*(\d{1,9})$`)

// mention is a card, or several, as somebody named them, and where.
type mention struct{ at, text string }

// Pick finds the cards of a request that a letter's form names: its serials, one a
// line or in a workbook, and rows of its list as 1-50. Their number is compared with
// the one that the letter says, for a range is quickly mistyped. What is wrong is said
// at its line or row of the workbook; more is what is known to be wrong already.
// Errors: request.ErrNotFound, and faults of the machine.
func (d *Desk) Pick(ctx context.Context, who identity.Account, ticket string, l *upload.Letter, n *Reduction, more form.Faults) (wrong form.Faults, err error) {
	of, err := d.find(ctx, d.db, who, ticket)
	if err != nil {
		return nil, err
	}
	mentions, at, wrong, err := mentioned(l, more)
	if err != nil || wrong != nil {
		return wrong, err
	}
	var serials []string
	var ranges []perso.Rows
	for _, m := range mentions {
		serials = append(serials, cardlist.Normalise(m.text))
		if span := rowSpan.FindStringSubmatch(m.text); span != nil {
			first, _ := strconv.Atoi(span[1]) // the form leaves no other digits
			last, _ := strconv.Atoi(span[2])
			ranges = append(ranges, perso.Rows{First: first, Last: last})
		}
	}
	found, err := perso.FindListed(ctx, d.db, of.ID, serials, ranges)
	if err != nil {
		return nil, err
	}
	picked := picking{n: n, pointer: "/" + at, bySerial: map[string]perso.Named{}, byRow: map[int]perso.Named{}}
	for _, c := range found {
		picked.bySerial[c.Serial], picked.byRow[c.Row] = c, c
	}
	n.Places = map[string]string{}
	for _, m := range mentions {
		picked.take(m)
	}
	wrong = picked.wrong
	if len(wrong) == 0 && len(n.Cards) > upload.MaxPicked {
		wrong.Add("/"+at, "too_many", "Ini %s kartu; satu surat pengurangan paling banyak %s.", terbilang.FormatInt(int64(len(n.Cards))), terbilang.FormatInt(upload.MaxPicked))
	}
	if says := strings.ReplaceAll(l.Fields[CountPart], ".", ""); len(wrong) == 0 && says != strconv.Itoa(len(n.Cards)) {
		if count, err := strconv.Atoi(says); err != nil || count < 1 {
			wrong.Add("/"+CountPart, "missing", "Isi jumlah kartu menurut surat, paling sedikit 1. Daftar ini berisi %s kartu.", terbilang.FormatInt(int64(len(n.Cards))))
		} else {
			wrong.Add("/"+CountPart, "differs", "Daftar ini berisi %s kartu, surat menyebut %s. Periksa daftar dan suratnya.",
				terbilang.FormatInt(int64(len(n.Cards))), terbilang.FormatInt(int64(count)))
		}
	}
	return wrong, nil
}

// mostFaults are as many as somebody mends before sending again.
const mostFaults = 20

// Shortened leaves the first faults out of very many, and says how many more there are.
func Shortened(all form.Faults) form.Faults {
	if len(all) <= mostFaults {
		return all
	}
	short := append(form.Faults{}, all[:mostFaults]...)
	short.Add(all[mostFaults].Pointer, "more", "Masih ada %s kesalahan lain.", terbilang.FormatInt(int64(len(all)-mostFaults)))
	return short
}

// mentioned are the cards as they were named, and in which part of the form.
func mentioned(l *upload.Letter, more form.Faults) (all []mention, part string, wrong form.Faults, err error) {
	book, text := l.Files[ListPart], l.Fields[SerialsPart]
	for _, f := range more {
		if f.Pointer == "/"+ListPart { // said already
			return nil, ListPart, form.Faults{}, nil
		}
	}
	switch {
	case book != nil && text != "":
		wrong.Add("/"+SerialsPart, "ambiguous", "Ketik nomornya atau pilih Excel, salah satu saja.")
		return nil, SerialsPart, wrong, nil
	case book != nil:
		all, wrong, err = inBook(book)
		return all, ListPart, wrong, err
	}
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, mention{"Baris " + strconv.Itoa(i+1), line})
		}
	}
	if all == nil {
		wrong.Add("/"+SerialsPart, "missing", "Ketik sekurangnya satu nomor seri, atau pilih Excel.")
	}
	return all, SerialsPart, wrong, nil
}

// inBook are the cells of a workbook that name cards: those below the heading of the
// card list's column of serials, or all of the first column.
func inBook(f *upload.File) (all []mention, wrong form.Faults, err error) {
	refuse := func(err error) ([]mention, form.Faults, error) {
		var refused *xlsx.Error
		if !errors.As(err, &refused) {
			return nil, nil, err
		}
		wrong.Add("/"+ListPart, string(refused.Code), "%s", refused.Sentence("Excel"))
		return nil, wrong, nil
	}
	content := f.Content()
	book, err := xlsx.Open(content, content.Size(), validation.ListLimits)
	if err != nil {
		return refuse(err)
	}
	for _, sheet := range book.Sheets() {
		if sheet.Hidden {
			continue
		}
		column, below := 1, 0
		header, err := book.FindHeader(sheet.Name, 20, cardlist.HeaderSerial)
		var lacking *xlsx.HeaderError
		switch {
		case err == nil:
			column, below = header.Column(cardlist.HeaderSerial), header.Row
		case !errors.As(err, &lacking):
			return refuse(err)
		}
		for row, err := range book.Rows(sheet.Name) {
			if err != nil {
				return refuse(err)
			}
			cell := row.Cell(column)
			if row.Number <= below || strings.TrimSpace(cell.Text) == "" {
				continue
			}
			if cell.Lossy || cell.Masked || cell.Kind == xlsx.Date {
				wrong.Add("/"+ListPart, "not_text", "Sel %s: Excel menyimpan isinya sebagai angka atau tanggal, sehingga nomornya tidak utuh. Tulis sebagai teks.", cell.Ref())
				continue
			}
			all = append(all, mention{"Sel " + cell.Ref(), strings.TrimSpace(cell.Text)})
		}
		break // of several sheets the first
	}
	if all == nil && wrong == nil {
		wrong.Add("/"+ListPart, "empty", "Excel ini tidak berisi nomor seri, baik di bawah kepala kolom “%s” maupun pada kolom A lembar pertama.", cardlist.HeaderSerial)
	}
	return all, wrong, nil
}

// picking gathers the cards that are named.
type picking struct {
	n        *Reduction
	pointer  string
	bySerial map[string]perso.Named
	byRow    map[int]perso.Named
	wrong    form.Faults
}

func (p *picking) take(m mention) {
	if c, ok := p.bySerial[cardlist.Normalise(m.text)]; ok {
		p.add(m, c)
		return
	}
	span := rowSpan.FindStringSubmatch(m.text)
	if span == nil {
		hint := ""
		if _, err := strconv.Atoi(m.text); err == nil && len(m.text) < 6 {
			hint = fmt.Sprintf(" Nomor urut daftar ditulis sebagai rentang, seperti %s-%s.", m.text, m.text)
		}
		p.wrong.Add(p.pointer, "unknown", "%s: nomor seri “%s” tidak ada pada permohonan ini.%s", m.at, m.text, hint)
		return
	}
	first, _ := strconv.Atoi(span[1])
	last, _ := strconv.Atoi(span[2])
	if first > last {
		p.wrong.Add(p.pointer, "wrong_form", "%s: rentang “%s” terbalik; tulis nomor urut yang kecil dahulu.", m.at, m.text)
		return
	}
	// Rows are numbered from one without gaps: the list ends where one is lacking.
	for row := first; row <= last; row++ {
		c, ok := p.byRow[row]
		if !ok {
			p.wrong.Add(p.pointer, "unknown", "%s: nomor urut %s pada “%s” tidak ada pada daftar permohonan ini.", m.at, terbilang.FormatInt(int64(row)), m.text)
			return
		}
		p.add(m, c)
	}
}

func (p *picking) add(m mention, c perso.Named) {
	if before, again := p.n.Places[c.ID]; again {
		p.wrong.Add(p.pointer, "repeated", "%s: kartu %s sudah disebut pada %s.", m.at, c.Serial, strings.ToLower(before[:1])+before[1:])
		return
	}
	p.n.Places[c.ID] = m.at
	p.n.Cards = append(p.n.Cards, perso.Seen{ID: c.ID, Version: c.Version})
}
