package pages

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const whatIfPath = boardPath + "/andai"

// supposition is a group of the form: fields that are one hypothesis.
type supposition struct {
	Legend string
	Fields []field
}

type whatIfBody struct {
	Groups []supposition
	Faults []fault
	Answer *whatIfAnswer
}

// whatIfAnswer is the plan as it would be, in words.
type whatIfAnswer struct {
	Lead  string
	Facts []pair
	Moved []movedLine
}

type movedLine struct {
	Ticket, Institution  string
	Before, After, Later string
	Tone                 string
}

// suppositions are the groups of the form with what was typed; each field stands for
// a place in the hypotheses.
func suppositions(r *http.Request) ([]supposition, map[string]string) {
	q := r.URL.Query()
	at := map[string]string{}
	one := func(name, pointer, label, kind, hint string) field {
		at[pointer] = name
		f := field{Name: name, Label: label, Kind: kind, Hint: hint, Value: strings.TrimSpace(q.Get(name))}
		if kind == "text" && name != "tahan" {
			f.Mode = "numeric"
		}
		return f
	}
	return []supposition{
		{"Kapasitas hari", []field{
			one("hari_dari", "/days/0/from", "Dari tanggal", "date", ""), one("hari_sampai", "/days/0/to", "Sampai tanggal", "date", ""),
			one("hari_kartu", "/days/0/cards", "Kartu per hari", "text", ""),
		}},
		{"Stasiun berhenti", []field{
			one("henti_dari", "/downtimes/0/from", "Dari tanggal", "date", ""), one("henti_sampai", "/downtimes/0/to", "Sampai tanggal", "date", ""),
			one("henti_kartu", "/downtimes/0/cards", "Kartu per hari berkurang", "text", ""),
		}},
		{"Permohonan tambahan", []field{
			one("tambah_kartu", "/extra_requests/0/cards", "Jumlah kartu", "text", ""),
			one("tambah_tanggal", "/extra_requests/0/disposition_date", "Tanggal disposisi", "date", "Hari ini bila kosong."),
		}},
		{"Lainnya", []field{
			one("libur", "/holidays/0", "Hari libur baru", "date", ""), one("masuk", "/workdays/0", "Hari libur yang dicabut", "date", ""),
			one("biasa", "/usual", "Kapasitas biasa menjadi", "text", ""), one("tahan", "/hold/0", "Permohonan ditahan", "text", "Kode Tiket."),
		}},
	}, at
}

// supposed reads the form; asked says whether anything was typed. What cannot be read
// is refused by the office.
func supposed(groups []supposition) (h capacity.Hypotheses, asked bool) {
	typed := map[string]string{}
	for _, g := range groups {
		for _, f := range g.Fields {
			typed[f.Name] = f.Value
			asked = asked || f.Value != ""
		}
	}
	date := func(name string) clock.Date {
		d, err := clock.ParseDate(typed[name])
		if err != nil {
			return clock.Date{}
		}
		return d
	}
	cards := func(name string) *int {
		n, err := strconv.Atoi(strings.ReplaceAll(typed[name], ".", "")) // as people write thousands
		if err != nil {
			n = -1
		}
		return &n
	}
	span := func(prefix string) []capacity.DaysSupposed {
		if typed[prefix+"_dari"]+typed[prefix+"_sampai"]+typed[prefix+"_kartu"] == "" {
			return nil
		}
		return []capacity.DaysSupposed{{From: date(prefix + "_dari"), To: date(prefix + "_sampai"), Cards: cards(prefix + "_kartu")}}
	}
	h.Days, h.Downtimes = span("hari"), span("henti")
	if typed["tambah_kartu"]+typed["tambah_tanggal"] != "" {
		h.Extra = []capacity.RequestSupposed{{Cards: *cards("tambah_kartu"), Disposition: date("tambah_tanggal")}}
	}
	if typed["libur"] != "" {
		h.Holidays = []clock.Date{date("libur")}
	}
	if typed["masuk"] != "" {
		h.Workdays = []clock.Date{date("masuk")}
	}
	if typed["biasa"] != "" {
		h.Usual = cards("biasa")
	}
	if typed["tahan"] != "" {
		h.Held = []string{typed["tahan"]}
	}
	return h, asked
}

// whatIf asks what the plan would be. It is a question: nothing changes.
func (p *Pages) whatIf(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return web.Forbidden("Simulasi rencana hanya untuk pegawai Ditjen Dukcapil.")
	}
	groups, at := suppositions(r)
	body := whatIfBody{Groups: groups}
	h, asked := supposed(groups)
	status := http.StatusOK
	if asked {
		v, err := p.asker.Ask(r.Context(), h)
		var faults form.Faults
		switch {
		case errors.As(err, &faults):
			status = http.StatusUnprocessableEntity
			body.point(faults, at)
		case err != nil:
			return err
		default:
			body.Answer = tellWhatIf(v, h)
		}
	}
	p.show(w, r, status, "what-if", "Simulasi rencana", body)
	return nil
}

// point puts what is wrong beside its field.
func (b *whatIfBody) point(faults form.Faults, at map[string]string) {
	for _, one := range faults {
		name := at[one.Pointer]
		b.Faults = append(b.Faults, fault{name, one.Detail})
		for i := range b.Groups {
			for j := range b.Groups[i].Fields {
				if f := &b.Groups[i].Fields[j]; f.Name == name {
					f.Error = one.Detail
				}
			}
		}
	}
}

func tellWhatIf(v *report.WhatIf, h capacity.Hypotheses) *whatIfAnswer {
	a := &whatIfAnswer{Lead: "Tidak ada permohonan yang bergeser.", Facts: []pair{{"Diandaikan", strings.Join(supposedWords(h), "\n")}}}
	if n := len(v.Moved); n > 0 {
		a.Lead = number(n) + " permohonan bergeser, " + number(v.Unmoved) + " tetap."
	}
	day := func(d *clock.Date) string {
		if d == nil {
			return "tidak ada"
		}
		return terbilang.FormatDayDate(*d)
	}
	for i, e := range v.Extra {
		a.Facts = append(a.Facts, pair{"Permohonan tambahan " + number(h.Extra[i].Cards) + " kartu", terbilang.FormatPeriod(e.Start, e.Finish)})
	}
	a.Facts = append(a.Facts, pair{"Hari terakhir yang terisi, rencana sekarang", day(v.LastBefore)}, pair{"Hari terakhir yang terisi, seandainya", day(v.LastAfter)})
	for _, m := range v.Moved {
		line := movedLine{Ticket: m.Ticket, Institution: m.Institution, Before: periodOf(m.Before), After: periodOf(m.After), Later: "menjadi tanpa jadwal", Tone: bad}
		switch {
		case m.After == nil:
		case m.Later > 0:
			line.Later = number(m.Later) + " hari kerja lebih lambat"
		case m.Later < 0:
			line.Later, line.Tone = number(-m.Later)+" hari kerja lebih cepat", good
		default:
			line.Later, line.Tone = "selesai pada hari yang sama", ""
		}
		a.Moved = append(a.Moved, line)
	}
	return a
}

// supposedWords says what was supposed, a line each.
func supposedWords(h capacity.Hypotheses) (list []string) {
	for _, d := range h.Days {
		list = append(list, "kapasitas "+number(*d.Cards)+" kartu per hari, "+terbilang.FormatPeriod(d.From, d.To))
	}
	for _, d := range h.Downtimes {
		list = append(list, "stasiun berhenti "+terbilang.FormatPeriod(d.From, d.To)+", "+number(*d.Cards)+" kartu per hari berkurang")
	}
	for _, e := range h.Extra {
		list = append(list, "permohonan tambahan "+number(e.Cards)+" kartu dengan disposisi "+terbilang.FormatDate(e.Disposition))
	}
	for _, d := range h.Holidays {
		list = append(list, terbilang.FormatDate(d)+" libur")
	}
	for _, d := range h.Workdays {
		list = append(list, terbilang.FormatDate(d)+" tidak libur lagi")
	}
	if h.Usual != nil {
		list = append(list, "kapasitas biasa "+number(*h.Usual)+" kartu per hari")
	}
	for _, ticket := range h.Held {
		list = append(list, "permohonan "+ticket+" ditahan")
	}
	for i := range list {
		list[i] = sentenceCase(list[i])
	}
	return list
}

func periodOf(p *capacity.Period) string {
	if p == nil {
		return "–"
	}
	return terbilang.FormatPeriod(p.Start, p.Finish)
}
