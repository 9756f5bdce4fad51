package pages

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// planBlock is the plan of a request on its page: where its cards are, how full the
// next days are, what people decided, and the forms of those who may decide.
type planBlock struct {
	Says   string
	Hand   *handLink // for those who personalise
	Tables []rowsTable
	Acts   []actForm
}

// planAct is a decision about the place of a request's cards.
type planAct struct {
	path, heading, submit, done, says string
	fields                            []field
	take                              func(d planning.Desk, r *http.Request, ticket string) error
}

// releaseNow is the path of the decision that is an order about today.
const releaseNow = "lepas"

// overtaken says that the plan is not as it was seen.
func (a planAct) overtaken() string {
	if a.path == releaseNow {
		return "Sudah ada perintah untuk hari ini sejak Anda membuka halaman ini, mungkin kiriman Anda sendiri. Lihat hasilnya pada perintah hari ini, lalu kirim lagi bila masih perlu; yang Anda ketik masih ada."
	}
	return "Rencana permohonan ini diatur orang lain sejak Anda membuka halaman ini. Periksa pengaturan yang sekarang, lalu kirim lagi bila masih perlu; yang Anda ketik masih ada."
}

const planAnchor = "rencana"

var (
	planDay    = field{Name: "day", Label: "Hari", Kind: "date", Hint: "Hari kerja, paling cepat besok."}
	planCards  = field{Name: "cards", Label: "Jumlah kartu", Kind: "text", Mode: "numeric"}
	planReason = field{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 500, Hint: "Dibaca pegawai Ditjen Dukcapil saja."}
)

// planActs are the forms in the order of the page.
var planActs = []planAct{
	{
		path: "kunci", heading: "Kunci pada hari", submit: "Kunci", done: "Kartu dikunci pada hari itu.",
		says:   "Semua kartu yang tersisa dikerjakan pada hari itu, mendahului antrean; yang tidak muat menyusul pada hari berikutnya. Permohonan lain dapat bergeser.",
		fields: []field{planDay, planReason}, take: placed(true, false),
	},
	{
		path: "geser", heading: "Geser, mulai paling cepat", submit: "Geser", done: "Kartu tidak dimulai sebelum hari itu.",
		says:   "Kartu yang tersisa tidak dikerjakan sebelum hari itu; urutannya dalam antrean tetap. Hari yang ditinggalkan dipakai permohonan lain.",
		fields: []field{planDay, planReason}, take: placed(false, false),
	},
	{
		path: "pecah", heading: "Pecah permohonan", submit: "Pecah", done: "Permohonan dipecah.",
		says:   "Sebanyak itu kartu dikerjakan mulai hari itu; sisanya tetap menurut antrean.",
		fields: []field{planCards, planDay, {Name: "pin", Label: "Kunci bagian ini pada hari itu, mendahului antrean", Kind: "checkbox"}, planReason}, take: placed(false, true),
	},
	{
		path: releaseNow, heading: "Lepas sekarang", submit: "Lepas sekarang", done: "Perintah tercatat dan dilaksanakan beberapa detik lagi. Muat ulang halaman ini untuk melihat hasilnya.",
		says: "Sebanyak itu kartu dapat dikerjakan stasiun hari ini juga: dahulu yang memang dijadwalkan hari ini, lalu dari hari berikutnya sepanjang hari ini masih ada ruang. Sisanya tetap menurut jadwal.",
		fields: []field{{Name: "cards", Label: "Jumlah kartu", Kind: "text", Mode: "numeric", Optional: true, Hint: "Bila kosong: sebanyak yang muat hari ini."},
			planReason},
		take: func(d planning.Desk, r *http.Request, ticket string) error {
			_, err := d.Give(r.Context(), signin.Account(r),
				planning.Order{Verb: capacity.ReleaseNow, Ticket: ticket, Cards: typedCards(r), Reason: r.PostForm.Get("reason"), Seen: seenVersion(r)})
			return err
		},
	},
}

// typedCards is a number of cards; none is 0, and one that cannot be read is refused
// by the office.
func typedCards(r *http.Request) int {
	text := strings.TrimSpace(r.PostForm.Get("cards"))
	if text == "" {
		return 0
	}
	n, ok := terbilang.ParseInt(text)
	if !ok || n == 0 {
		return -1
	}
	return n
}

// placed makes a placement of what was typed; a split is of some cards.
func placed(pin, split bool) func(d planning.Desk, r *http.Request, ticket string) error {
	return func(d planning.Desk, r *http.Request, ticket string) error {
		p := capacity.Placement{Day: typedDate(r, "day"), Pin: pin}
		if split {
			p.Pin = r.PostForm.Get("pin") != ""
			if p.Cards = typedCards(r); p.Cards == 0 {
				p.Cards = -1 // here, none is not all
			}
		}
		_, err := d.Place(r.Context(), signin.Account(r), ticket, seenVersion(r), p, r.PostForm.Get("reason"))
		var faults form.Faults
		if split && p.Cards < 0 && errors.As(err, &faults) {
			for i := range faults {
				if faults[i].Pointer == "/cards" {
					faults[i].Detail = "Isi jumlah kartu yang dipisahkan, paling sedikit 1."
				}
			}
		}
		return err
	}
}

func (p *Pages) planDesk() planning.Desk { return planning.Desk{DB: p.db, Office: p.office} }

// mountPlan adds the decisions about a request's place. Whoever comes by the address
// of one in another way is led to the page.
func (p *Pages) mountPlan(inside chi.Router) {
	at := home + "/{ticket}/" + planAnchor
	for _, a := range planActs {
		inside.Post(at+"/"+a.path, p.handle(explained(p.takePlan(a))))
		inside.Get(at+"/"+a.path, p.handle(p.toRequest))
	}
	e := p.unplacing()
	inside.Get(at+"/cabut/{id}", p.handle(explained(p.ifStands(p.present(e), ""))))
	inside.Post(at+"/cabut/{id}", p.handle(explained(p.ifStands(p.save(e), "?sudah="+planAnchor+"-cabut"))))
}

// Until the planner has done its work, and afterwards: the page that says it may be
// loaded again, or be looked at by whoever was sent its address.
const (
	replanning  = " Perkiraan yang baru tampil setelah rencana disusun ulang, beberapa detik lagi."
	replanShown = " Rencana sudah disusun ulang; yang tampil di sini perkiraan yang baru."
	obeyed      = "Perintah sudah dilaksanakan; hasilnya ada pada daftar perintah."
)

// planNotice says what was done, by the code in the address, and whether it shows yet.
func (p *Pages) planNotice(r *http.Request, code string) (string, error) {
	done := planDone(code)
	if done == "" {
		return "", nil
	}
	waits, pending := capacity.Waits{}, false
	if err := p.db.View(r.Context(), func(ctx context.Context, rd postgres.Reader) (err error) {
		if waits, err = capacity.WaitsNow(ctx, rd); err != nil {
			return err
		}
		orders, err := capacity.Commands(ctx, rd, p.desk.Today())
		pending = unobeyed(orders)
		return err
	}); err != nil {
		return "", err
	}
	switch {
	case code == planAnchor+"-"+releaseNow && !pending:
		return obeyed, nil
	case code == planAnchor+"-"+releaseNow:
		return done, nil
	case waits.Oldest == 0:
		return done + replanShown, nil
	}
	return done + replanning, nil
}

// unobeyed says that an order waits.
func unobeyed(list []capacity.Command) bool {
	return slices.ContainsFunc(list, func(c capacity.Command) bool { return c.DoneAt == nil })
}

func planDone(code string) string {
	if code == planAnchor+"-cabut" {
		return "Pengaturan dicabut."
	}
	for _, a := range planActs {
		if planAnchor+"-"+a.path != code {
			continue
		}
		return a.done
	}
	return ""
}

// planBlock is nil where there is no plan yet, or none any more, and for people
// outside.
func (p *Pages) planBlock(r *http.Request, v *report.Request) (*planBlock, error) {
	who := signin.Account(r)
	if report.Outside(who) || !slices.Contains([]string{string(request.Accepted), string(request.Scheduled), string(request.InProgress), string(request.Held)}, string(v.State)) {
		return nil, nil
	}
	plan, err := p.planDesk().Plan(r.Context(), who, v.Ticket)
	if err != nil {
		return nil, err
	}
	var people []*string
	for i := range plan.Placements {
		people = append(people, &plan.Placements[i].By)
	}
	for i := range plan.Commands {
		people = append(people, &plan.Commands[i].By)
	}
	if err := p.named(r.Context(), people...); err != nil {
		return nil, err
	}
	mine := planning.May(who.Role)
	hand, err := p.handLink(r, v, who)
	if err != nil {
		return nil, err
	}
	b := &planBlock{Hand: hand, Tables: planTables(plan, p.desk.Today().String(), mine)}
	if !plan.Open {
		b.Says = "Selama ditahan, kartu yang belum dilepas tidak memakai tempat pada hari mana pun; rencananya dapat diatur lagi setelah permohonan dilanjutkan."
		return b, nil
	}
	b.Says = plan.Caveat
	if !mine {
		return b, nil
	}
	for _, a := range planActs {
		f := actForm{act: act{path: planAnchor + "-" + a.path}, Heading: a.heading, Says: []string{a.says}, Submit: a.submit, Version: plan.Version,
			Action: home + "/" + v.Ticket + "/" + planAnchor + "/" + a.path, Fields: slices.Clone(a.fields)}
		if a.path == releaseNow {
			f.Version = plan.Ordered
		}
		for i := range f.Fields {
			f.Fields[i].Form = f.act.path
		}
		b.Acts = append(b.Acts, f)
	}
	return b, nil
}

// planTables show a plan: where the cards are beside the room of the days ahead, and
// what people decided with a way to take it back.
func planTables(plan planning.Plan, today string, mine bool) []rowsTable {
	days := rowsTable{Caption: "Kartu permohonan ini", Empty: "belum mendapat hari.", Heads: []string{"Hari", "Kartu", "Belum selesai", "Keadaan"}, Numbers: []int{1, 2}}
	for _, d := range plan.Days {
		days.Rows = append(days.Rows, []cell{{Text: terbilang.FormatDayDate(d.Day)}, {Text: number(d.Cards)}, {Text: number(d.Remaining)}, {Text: d.StateLabel}})
	}
	ahead := rowsTable{Caption: "Ruang pada hari kerja berikutnya", Heads: []string{"Hari", "Kapasitas", "Terpakai", "Kosong"}, Numbers: []int{1, 2, 3}}
	for _, d := range plan.Ahead {
		name := terbilang.FormatDayDate(d.Day)
		if d.Day.String() == today {
			name += " (hari ini)"
		}
		ahead.Rows = append(ahead.Rows, []cell{{Text: name}, {Text: number(d.Capacity)}, {Text: number(d.Used)}, {Text: number(d.Free())}})
	}
	tables := []rowsTable{days, ahead}
	decided := rowsTable{Caption: "Pengaturan petugas", Heads: []string{"Pengaturan", "Alasan", "Oleh"}}
	if mine {
		decided.Heads = append(decided.Heads, "Tindakan")
	}
	for _, one := range plan.Placements {
		text := one.Verb() + ": " + one.Text()
		switch {
		case one.InForce:
		case one.Day.String() < today:
			text += " (sudah lewat, tidak berlaku lagi)"
		default:
			text += " (tidak berlaku selama ditahan)"
		}
		row := []cell{{Text: text}, {Text: one.Reason}, {Text: one.By}}
		if mine {
			row = append(row, cell{Text: "Cabut", Path: home + "/" + plan.Ticket + "/" + planAnchor + "/cabut/" + one.ID})
		}
		decided.Rows = append(decided.Rows, row)
	}
	if len(decided.Rows) > 0 {
		tables = append(tables, decided)
	}
	if t := commandTable("Perintah hari ini", plan.Commands); len(t.Rows) > 0 {
		tables = append(tables, t)
	}
	return tables
}

// commandTable lists orders about a day with what came of them.
func commandTable(caption string, list []capacity.Command) rowsTable {
	t := rowsTable{Caption: caption, Empty: "tidak ada.", Heads: []string{"Perintah", "Untuk", "Alasan", "Oleh", "Hasil"}}
	for _, c := range list {
		text, of, outcome := capacity.CommandLabels[c.Verb], "Semua permohonan hari itu", c.Outcome
		if c.Cards > 0 {
			text += ", " + number(c.Cards) + " kartu"
		}
		if c.Ticket != nil {
			of = *c.Ticket
		}
		if outcome == "" {
			outcome = "Menunggu dilaksanakan, beberapa detik lagi."
		}
		t.Rows = append(t.Rows, []cell{{Text: text}, {Text: of}, {Text: c.Reason}, {Text: c.By + ", " + terbilang.FormatDateTime(c.OrderedAt)}, {Text: outcome}})
	}
	return t
}

// takePlan answers a form: back to the page, which says what was done, or the page
// once more with what was typed.
func (p *Pages) takePlan(a planAct) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r), p.office.Now())
		if err != nil {
			return err
		}
		if !planning.May(signin.Account(r).Role) {
			return planning.ErrForbidden
		}
		if err = typed(r); err == nil {
			err = a.take(p.planDesk(), r, v.Ticket)
		}
		if err != nil {
			return p.planAgain(w, r, a, v.Ticket, err)
		}
		http.Redirect(w, r, home+"/"+v.Ticket+"?sudah="+planAnchor+"-"+a.path, http.StatusSeeOther) //nolint:gosec // the ticket is the row's, not the address's
		return nil
	}
}

// planAgain is takeAgain for the plan: a plan that others changed meanwhile is shown
// as it is now, with what was typed.
func (p *Pages) planAgain(w http.ResponseWriter, r *http.Request, a planAct, ticket string, err error) error {
	stale := errors.Is(err, postgres.ErrStale)
	problem, err := ofForm(err)
	if err != nil {
		return err
	}
	body, err := p.requestBody(r, ticket)
	if err != nil {
		return err
	}
	body.Notice, body.Trouble = "", &trouble{Heading: "Belum dilakukan: " + lowerFirst(a.heading)}
	fields := fill(slices.Clone(a.fields), r)
	if body.Plan != nil {
		if i := slices.IndexFunc(body.Plan.Acts, func(f actForm) bool { return f.act.path == planAnchor+"-"+a.path }); i >= 0 {
			f := &body.Plan.Acts[i]
			f.Open, fields = true, fill(f.Fields, r)
			if stale {
				body.Trouble.Faults = append(body.Trouble.Faults, fault{f.anchor(), a.overtaken()})
			}
		} else {
			body.Trouble.Typed = typedPairs(fields)
		}
	}
	if !stale {
		body.Trouble.Faults = blame(fields, problem)
	}
	p.showRequest(w, r, problem.Status, body)
	return nil
}

// ifStands leads whoever takes back what was taken back already, such as by sending the
// form twice, to the request.
func (p *Pages) ifStands(do func(w http.ResponseWriter, r *http.Request) error, query string) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := do(w, r)
		if !errors.Is(err, capacity.ErrNoEntry) {
			return err
		}
		v, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), signin.Account(r), p.office.Now())
		if err != nil {
			return err
		}
		http.Redirect(w, r, home+"/"+v.Ticket+query, http.StatusSeeOther) //nolint:gosec // the ticket is the row's, not the address's
		return nil
	}
}

// unplacing takes a decision back.
func (p *Pages) unplacing() editor {
	find := func(r *http.Request) (capacity.Placement, string, error) {
		plan, err := p.planDesk().Plan(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
		if err != nil {
			return capacity.Placement{}, "", err
		}
		if !planning.May(signin.Account(r).Role) {
			return capacity.Placement{}, "", planning.ErrForbidden
		}
		id, err := rowOf(r)
		if err != nil {
			return capacity.Placement{}, "", err
		}
		i := slices.IndexFunc(plan.Placements, func(one planning.Placement) bool { return one.ID == id })
		if i < 0 {
			return capacity.Placement{}, "", capacity.ErrNoEntry
		}
		return plan.Placements[i].Placement, home + "/" + plan.Ticket, nil
	}
	return editor{"Cabut pengaturan rencana",
		func(r *http.Request) (formBody, error) {
			one, at, err := find(r)
			if err == nil {
				err = p.named(r.Context(), &one.By)
			}
			return formBody{Crumbs: []crumb{{"Permohonan", home}, {one.Ticket, at}}, Action: at + "/" + planAnchor + "/cabut/" + one.ID, Submit: "Cabut", Version: one.Version,
				Lead: "Kartu kembali ke tempat menurut antrean. Rencana disusun ulang dengan sendirinya.", Facts: []fact{{one.Verb(), one.Text()}, {"Alasannya", one.Reason}, {"Oleh", one.By}},
				Fields: []field{planReason}}, err
		},
		func(r *http.Request) (string, error) {
			one, at, err := find(r)
			if err == nil {
				err = p.planDesk().Unplace(r.Context(), signin.Account(r), one.ID, seenVersion(r), r.PostForm.Get("reason"))
			}
			return at + "?sudah=" + planAnchor + "-cabut", err
		}}
}
