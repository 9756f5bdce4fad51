package pages

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// handoverEnd is the last part of the address of a request's handovers.
const handoverEnd = "/serah-terima"

// mountHandovers adds the pages of handovers.
func (p *Pages) mountHandovers(inside chi.Router) {
	all := home + "/{ticket}" + handoverEnd
	at := all + "/{id}"
	inside.Get(at, p.handle(explained(p.handover)))
	inside.Get(at+"/label", p.handle(explained(p.labels)))
	p.mountPrints(inside)
	for path, e := range map[string]editor{
		all + "/baru": p.newHandover(), at + "/janji": p.appointment(), at + "/pindai": p.tray(), at + "/penerimaan": p.countForm(),
		at + "/selisih/{shortage}": p.shortageForm(), at + "/tutup": p.closing(), at + "/batal": p.takeBack(),
	} {
		inside.Get(path, p.handle(explained(p.present(e))))
		inside.Post(path, p.handle(explained(p.saveDay(e))))
	}
	inside.Get(at+"/penyerahan", p.handle(explained(p.present(p.delivery().editor()))))
	inside.With(web.BodyLimit(p.spool.MaxBody()), web.Slow(letterTime)).Post(at+"/penyerahan", p.handle(explained(p.saveScan(p.delivery()))))
}

// handoverOf is the handover of the address as whoever asks may see it.
func (p *Pages) handoverOf(r *http.Request) (v *report.Handover, at string, err error) {
	id, err := rowOf(r)
	if err != nil {
		return nil, "", err
	}
	v, err = report.LoadHandover(r.Context(), p.db, id, signin.Account(r))
	if err == nil && !strings.EqualFold(v.Ticket, chi.URLParam(r, "ticket")) {
		err = report.ErrNotFound
	}
	if err != nil {
		return nil, "", err
	}
	return v, home + "/" + v.Ticket + handoverEnd + "/" + v.ID, nil
}

// onHandover is handoverOf for a form of a verb.
func (p *Pages) onHandover(r *http.Request, verb machine.Verb) (v *report.Handover, at string, err error) {
	if v, at, err = p.handoverOf(r); err == nil {
		role := signin.Account(r).Role
		if err = handover.Machine.MayEver(verb, role); err == nil {
			err = handover.Machine.May(v.State, verb, role)
		}
	}
	return v, at, err
}

func handoverTitle(v *report.Handover) string { return fmt.Sprintf("Serah terima ke-%d", v.Ordinal) }

func handoverCrumbs(v *report.Handover, at string) []crumb {
	return append(blankCrumbs(v.Ticket), crumb{handoverTitle(v), at})
}

// inOffice says that the cards of a handover have not changed hands.
func inOffice(v *report.Handover) bool {
	return v.State == handover.Prepared || v.State == handover.BASTDrafted
}

// handover shows a handover: whose cards, what was scanned, what was counted, and what
// comes next.
func (p *Pages) handover(w http.ResponseWriter, r *http.Request) error {
	v, at, err := p.handoverOf(r)
	if err != nil {
		return err
	}
	who := signin.Account(r)
	body := rowsBody{Crumbs: blankCrumbs(v.Ticket), Summary: handoverSummary(v), Tables: []rowsTable{countTable(v)}}
	if v.State == handover.Cancelled {
		return p.takenBack(w, r, v, body)
	}
	state, err := p.stateOf(r, v.Ticket)
	if err != nil {
		return err
	}
	if len(v.Shortages) > 0 {
		body.Tables = append(body.Tables, shortageTable(v, at, handover.MaySettle(who.Role) == nil))
	}
	if !report.Outside(who) {
		body.Tables = append(body.Tables, trayTable(v))
	}
	secrets, taken := secretRows(v)
	body.Summary = append(body.Summary, secrets...)
	if !inOffice(v) {
		body.Tables = append(body.Tables, taken)
	}
	if !inOffice(v) && v.Secrets.Files > 0 && counter.MaySecrets(who.Role) == nil {
		body.Links = append(body.Links, crumb{"Unduh rahasia kartu", at + "/rahasia"})
	}
	for _, l := range []struct {
		verb        machine.Verb
		label, path string
	}{
		{handover.VerbDeliver, "Catat penyerahan", "/penyerahan"}, {handover.VerbReceive, "Catat jumlah diterima", "/penerimaan"}, {handover.VerbClose, "Tutup serah terima", "/tutup"},
	} {
		if slices.Contains(v.Offers, l.verb) && (l.verb != handover.VerbDeliver || handover.MayLeave(state) == nil) {
			body.Links = append(body.Links, crumb{l.label, at + l.path})
		}
	}
	if inOffice(v) && who.Role == request.Operator {
		body.Links = append(body.Links, crumb{"Pindai kartu ke baki", at + "/pindai"}, crumb{"Tetapkan janji", at + "/janji"}, crumb{"Label baki", at + "/label"},
			crumb{"Batalkan serah terima ini", at + "/batal"})
	}
	if v.BAST != nil {
		body.Links = append(body.Links, crumb{"Naskah BAST", home + "/" + v.Ticket + papersEnd + "/" + v.BAST.ID})
	}
	body.Links = append(body.Links, crumb{printsTitle, home + "/" + v.Ticket + handoverEnd})
	if inOffice(v) {
		if err := p.missingBAST(r, v, &body); err != nil {
			return err
		}
	}
	body.Lead = said(nextWords(v, state), body.Lead, partWords(v, state))
	if keptNow(r) {
		body.Notice = "Tersimpan."
		if r.URL.Query().Has(cardKey) {
			body.Notice = scannedNotice(r, v)
		}
	}
	p.show(w, r, http.StatusOK, "rows", handoverTitle(v), body)
	return nil
}

// missingBAST says on the page of a handover why its cards cannot be handed over yet.
func (p *Pages) missingBAST(r *http.Request, v *report.Handover, body *rowsBody) error {
	switch {
	case v.BAST != nil && v.BAST.AwaitsNumber:
		body.Lead = "BAST menunggu nomor dari persuratan; sesudah itu kartu dapat diserahkan."
	case v.State == handover.Prepared || v.BAST == nil && !report.Outside(signin.Account(r)):
		body.Lead = "BAST sedang disusun; sesudah itu kartu dapat diserahkan."
	}
	if v.BAST != nil || report.Outside(signin.Account(r)) {
		return nil
	}
	void, err := letter.HeldBy(r.Context(), p.db, letter.BAST, v.ID)
	if errors.Is(err, letter.ErrNotFound) {
		return nil
	}
	if err == nil {
		body.Lead = "BAST dibatalkan dan tidak disusun sampai diminta; sebelum itu kartu belum dapat diserahkan."
		body.Links = append(body.Links, crumb{"BAST yang dibatalkan", home + "/" + v.Ticket + papersEnd + "/" + void})
	}
	return err
}

func handoverSummary(v *report.Handover) []pair {
	list := []pair{{"Status", v.StateLabel}, {"Jumlah kartu", number(v.Quantity) + " keping"}}
	if v.AppointedAt != nil {
		list = append(list, pair{"Janji pengambilan", terbilang.FormatDateTime(*v.AppointedAt) + "\n" + v.AppointmentNote})
	}
	if inOffice(v) && v.Scanned > 0 {
		list = append(list, pair{"Sudah dipindai", number(v.Scanned) + " dari " + number(v.Quantity)})
	}
	if v.DeliveredOn != nil {
		list = append(list, pair{"Diserahkan", terbilang.FormatDate(*v.DeliveredOn) + "\nkepada " + v.Representative + ", " + v.RepresentativePost})
	}
	if v.ReceivedOn != nil {
		list = append(list, pair{"Jumlah diterima", number(*v.Received) + " keping, dicatat " + terbilang.FormatDate(*v.ReceivedOn)})
	}
	return list
}

func lembagaOf(v *report.Handover, line int) string {
	for _, l := range v.Lines {
		if l.Line == line && l.Lembaga != "" {
			return l.Lembaga
		}
	}
	return "Baris " + strconv.Itoa(line)
}

func countTable(v *report.Handover) rowsTable {
	t := rowsTable{Caption: "Menurut lembaga pengguna", Heads: []string{"Lembaga pengguna", "Diserahkan", "Jumlah diterima", "Selisih"}, Numbers: []int{1, 2, 3}}
	if v.DeliveredOn == nil {
		t.Heads[1] = "Kartu"
	}
	for _, l := range v.Lines {
		received, short := "–", "–"
		if l.Received != nil {
			received, short = number(*l.Received), number(l.Quantity-*l.Received)
		}
		t.Rows = append(t.Rows, []cell{{Text: lembagaOf(v, l.Line)}, {Text: number(l.Quantity)}, {Text: received}, {Text: short}})
	}
	return t
}

func outcomeLabel(code string) string {
	for _, o := range handover.OutcomeLabels {
		if o.Code == code {
			return o.Label
		}
	}
	return code
}

func shortageTable(v *report.Handover, at string, may bool) rowsTable {
	t := rowsTable{Caption: "Kekurangan yang dicatat produsen", Heads: []string{"Lembaga pengguna", "Kurang", "Dicatat", "Tindak lanjut"}, Numbers: []int{1}}
	for _, s := range v.Shortages {
		follow := cell{Tag: tag{wait, "Belum ditindaklanjuti"}}
		switch {
		case s.Outcome != nil:
			follow = cell{Text: outcomeLabel(*s.Outcome) + ": " + s.Finding + " (" + terbilang.FormatDateTime(*s.SettledAt) + ")"}
		case may:
			follow = cell{Text: "Catat tindak lanjut", Path: at + "/selisih/" + s.ID}
		}
		t.Rows = append(t.Rows, []cell{{Text: lembagaOf(v, s.Line)}, {Text: number(s.Missing)}, {Text: terbilang.FormatDateTime(s.NotedAt)}, follow})
	}
	return t
}

func trayTable(v *report.Handover) rowsTable {
	t := rowsTable{Caption: "Isi baki", Long: len(v.Cards) > trayShown, Heads: []string{"No. seri kartu SAM", "Lembaga pengguna"}}
	shown := inOffice(v) || v.Scanned > 0 // else it was counted by hand
	if shown {
		t.Heads = append(t.Heads, "Dipindai")
	}
	for _, c := range v.Cards {
		row := []cell{{Text: c.Serial}, {Text: lembagaOf(v, c.Line)}}
		switch {
		case c.Scanned:
			row = append(row, cell{Tag: tag{good, "Sudah"}})
		case shown:
			row = append(row, cell{Text: "belum"})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func handoverKept(at string) string { return at + "?" + justKept() }

// newHandover prepares a handover.
func (p *Pages) newHandover() editor {
	return editor{"Siapkan serah terima",
		func(r *http.Request) (formBody, error) {
			who := signin.Account(r)
			of, err := report.Load(r.Context(), p.db, chi.URLParam(r, "ticket"), who, p.office.Now())
			if err != nil {
				return formBody{}, err
			}
			if err := handover.Machine.MayEver(handover.VerbPrepare, who.Role); err != nil {
				return formBody{}, err
			}
			g := of.Handing
			return formBody{
				Crumbs: blankCrumbs(of.Ticket), Action: home + "/" + of.Ticket + handoverEnd + "/baru", Submit: "Siapkan serah terima", Version: int64(len(of.Handovers)) + 1,
				Lead: said("Kartu yang berhasil diambil menurut urutan daftarnya. Yang belum ikut diserahkan lewat serah terima berikutnya. BAST disusun segera sesudah ini.", lettersLater(of.State)),
				Facts: []fact{
					{"Seluruhnya", number(g.Total) + " keping"}, {"Kartu berhasil", number(of.Cards.Clear) + " keping"},
					{"Sudah dalam serah terima", number(of.Cards.Clear-g.Ready) + " keping"}, {"Siap diserahkan", number(g.Ready) + " keping"},
				},
				Fields: []field{{Name: "quantity", Label: "Jumlah kartu", Kind: "text", Mode: "numeric", Value: strconv.Itoa(max(0, g.Ready)), Hint: "Dalam keping. Kosongkan untuk semua yang siap."}},
			}, handover.MayLeave(of.State)
		},
		func(r *http.Request) (string, error) {
			quantity := 0
			if text := typedText(r, "quantity"); text != "" {
				var err error
				if quantity, err = strconv.Atoi(text); err != nil || quantity < 1 {
					quantity = -1
				}
			}
			ticket := chi.URLParam(r, "ticket")
			opened, err := p.counter().Open(r.Context(), signin.Account(r), ticket, quantity, int(seenVersion(r)))
			return handoverKept(home + "/" + ticket + handoverEnd + "/" + opened.ID), err
		}}
}

// appointment says when the produsen is expected.
func (p *Pages) appointment() editor {
	return editor{"Tetapkan janji pengambilan",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.onHandover(r, handover.VerbDeliver)
			if v != nil && inOffice(v) && signin.Account(r).Role == request.Operator {
				err = nil // also before the BAST is there
			}
			if err != nil {
				return formBody{}, err
			}
			body := formBody{
				Crumbs: handoverCrumbs(v, at), Action: at + "/janji", Submit: "Simpan janji", Version: v.Version,
				Lead: "Kapan wakil produsen datang ke loket. Produsen melihatnya pada halaman permohonannya. Kosongkan tanggal dan jam untuk meniadakan janji.",
				Fields: []field{
					{Name: "day", Label: "Tanggal", Kind: "date", Optional: true}, {Name: "hour", Label: "Jam (WIB)", Kind: "time", Optional: true},
					{Name: "note", Label: "Catatan", Kind: "textarea", Longest: 2000, Optional: true, Value: v.AppointmentNote, Hint: "Dibaca produsen: loket, yang harus dibawa."},
				},
			}
			if v.AppointedAt != nil {
				body.Fields[0].Value, body.Fields[1].Value = clock.DateOf(*v.AppointedAt).String(), v.AppointedAt.In(clock.Jakarta).Format("15:04")
			}
			return body, nil
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			return handoverKept(at), p.counter().Appoint(r.Context(), signin.Account(r), v.ID, seenVersion(r), r.PostForm.Get("day"), r.PostForm.Get("hour"), r.PostForm.Get("note"))
		}}
}

// tray takes what a scanner types.
func (p *Pages) tray() editor {
	return editor{"Pindai kartu ke baki",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return formBody{}, err
			}
			switch {
			case v.State == handover.Cancelled:
				return formBody{}, handover.ErrTakenBack
			case !inOffice(v):
				return formBody{}, handover.ErrGone
			}
			return formBody{
				Crumbs: handoverCrumbs(v, at), Action: at + "/pindai", Submit: "Catat pindaian", Notice: scannedNotice(r, v),
				Lead: "Pindai tiap kartu sebelum masuk baki. Bila satu saja dipindai, semuanya harus dipindai sebelum baki diserahkan; kartu yang bukan milik serah terima ini ditolak.",
				Facts: []fact{
					{"Sudah dipindai", number(v.Scanned) + " dari " + number(v.Quantity)},
					{"Label baki", v.Ticket + " · ke-" + strconv.Itoa(v.Ordinal) + " · " + number(v.Quantity) + " keping"},
				},
				Fields: []field{
					{Name: "method", Label: "Yang dipindai", Kind: "select", Options: []option{{handover.Barcode, "Nomor seri tercetak (barcode)", true}, {handover.Chip, "Chip (chip id)", false}}},
					{Name: "keys", Label: "Kartu", Kind: "textarea", Rows: 10, Hint: "Satu per baris, seperti yang diketik pemindai."},
				},
			}, handover.Machine.MayEver(handover.VerbDeliver, signin.Account(r).Role)
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			keys := strings.Fields(r.PostForm.Get("keys"))
			scanned, err := p.counter().Scan(r.Context(), signin.Account(r), v.ID, r.PostForm.Get("method"), keys)
			if err == nil && scanned < v.Quantity {
				at += "/pindai" // the next ones
			}
			return at + "?" + justScanned(keys), err
		}}
}

// delivery records that the cards and the signed BAST changed hands.
func (p *Pages) delivery() scanEditor {
	return scanEditor{"Catat penyerahan",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.onHandover(r, handover.VerbDeliver)
			if err == nil {
				err = p.counter().MayDeliver(r.Context(), signin.Account(r), v.ID)
			}
			if err != nil {
				return formBody{}, err
			}
			return formBody{
				Crumbs: handoverCrumbs(v, at), Upload: true, Action: at + "/penyerahan", Submit: "Catat penyerahan", Version: v.Version,
				Lead:  "Kartu dan BAST yang ditandatangani kedua pihak berpindah tangan; BAST terbit sejak itu. Periksa kartu identitas dan surat tugas wakil produsen.",
				Facts: []fact{{"Jumlah kartu", number(v.Quantity) + " keping"}},
				Fields: []field{
					{Name: "representative_of", Label: "Orang yang mengambil mewakili", Kind: "select", Options: optionsOf(handover.Whose)},
					{Name: "representative", Label: "Nama wakil produsen", Kind: "text", Longest: 200},
					{Name: "representative_post", Label: "Jabatan wakil produsen", Kind: "text", Longest: 200},
					{Name: "delivered_on", Label: "Tanggal penyerahan", Kind: "date", Value: p.desk.Today().String()},
					scanField("Pindaian BAST bertanda tangan kedua pihak"),
				},
			}, nil
		},
		func(r *http.Request, scan *upload.File, wrong form.Faults) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			return handoverKept(at), p.counter().Deliver(r.Context(), signin.Account(r), v.ID, seenVersion(r), counter.Delivery{
				Representative: r.PostForm.Get("representative"), Post: r.PostForm.Get("representative_post"), Of: r.PostForm.Get("representative_of"), On: r.PostForm.Get("delivered_on"),
			}, scan, wrong)
		}}
}

// countForm records what the produsen counted (features.md G05 to G08).
func (p *Pages) countForm() editor {
	return editor{"Catat jumlah diterima",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.onHandover(r, handover.VerbReceive)
			if err != nil {
				return formBody{}, err
			}
			body := formBody{
				Crumbs: handoverCrumbs(v, at), Action: at + "/penerimaan", Submit: "Submit penerimaan", Version: v.Version,
				Lead: "Hitung kartunya, lalu isi jumlah yang benar-benar diterima. Bila kurang dari yang diserahkan, kekurangannya dicatat dan ditindaklanjuti.",
			}
			for _, l := range v.Lines {
				body.Fields = append(body.Fields, field{
					Name: "received_" + strconv.Itoa(l.Line), Label: "Jumlah diterima: " + lembagaOf(v, l.Line), Kind: "text", Mode: "numeric", Value: "0",
					Hint: "Diserahkan " + number(l.Quantity) + " keping.",
				})
			}
			return body, nil
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			var counts []handover.Count
			for _, l := range v.Lines {
				n, err := strconv.Atoi(typedText(r, "received_"+strconv.Itoa(l.Line)))
				if err != nil {
					n = -1
				}
				counts = append(counts, handover.Count{Line: l.Line, Received: n})
			}
			return handoverKept(at), p.counter().Receive(r.Context(), signin.Account(r), v.ID, seenVersion(r), counts)
		}}
}

// shortageForm says what became of cards that were missing.
func (p *Pages) shortageForm() editor {
	return editor{"Catat tindak lanjut kekurangan",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return formBody{}, err
			}
			i := slices.IndexFunc(v.Shortages, func(s handover.Shortage) bool { return s.ID == chi.URLParam(r, "shortage") })
			if i < 0 {
				return formBody{}, report.ErrNotFound
			}
			s := v.Shortages[i]
			return formBody{
				Crumbs: handoverCrumbs(v, at), Action: at + "/selisih/" + s.ID, Submit: "Simpan tindak lanjut",
				Lead:   "Jumlah yang dicatat produsen tidak berubah; yang ditambahkan adalah apa yang kemudian diketahui.",
				Facts:  []fact{{"Lembaga pengguna", lembagaOf(v, s.Line)}, {"Kurang", number(s.Missing) + " keping"}},
				Fields: []field{{Name: "outcome", Label: "Hasil", Kind: "select", Options: optionsOf(handover.OutcomeLabels)}, {Name: "finding", Label: "Temuan", Kind: "textarea", Longest: 2000}},
			}, handover.MaySettle(signin.Account(r).Role)
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			return handoverKept(at), p.counter().Settle(r.Context(), signin.Account(r), v.ID, chi.URLParam(r, "shortage"), r.PostForm.Get("outcome"), r.PostForm.Get("finding"))
		}}
}

// closing ends a handover.
func (p *Pages) closing() editor {
	return editor{"Tutup serah terima",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.onHandover(r, handover.VerbClose)
			if err != nil {
				return formBody{}, err
			}
			return formBody{
				Crumbs: handoverCrumbs(v, at), Action: at + "/tutup", Submit: "Tutup serah terima", Version: v.Version,
				Lead:  "Serah terima yang ditutup tidak berubah lagi. Semua kekurangan harus sudah ditindaklanjuti.",
				Facts: []fact{{"Diserahkan", number(v.Quantity) + " keping"}, {"Diterima", number(*v.Received) + " keping"}},
			}, nil
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			return handoverKept(at), p.counter().Close(r.Context(), signin.Account(r), v.ID, seenVersion(r))
		}}
}
