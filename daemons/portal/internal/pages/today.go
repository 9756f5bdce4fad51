package pages

import (
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const todayPath = calendarPath + "/hari-ini"

// ofAll stands for every request of the day in the forms of orders about it.
const ofAll = "semua"

func (p *Pages) mountToday(inside chi.Router) {
	inside.Get(todayPath, p.handle(explained(p.today)))
	for path, e := range map[string]editor{
		todayPath + "/tutup": p.dayOrder("Tutup hari lebih awal", capacity.CloseEarly, todayPath+"/tutup",
			"Perintah kerja yang terbuka ditutup sekarang: stasiun tidak mengambil kartu baru, kartu yang sedang ditulis diselesaikan, dan yang belum selesai dijadwalkan kembali."),
		todayPath + "/buka": p.dayOrder("Buka kembali hari ini", capacity.Reopen, todayPath+"/buka",
			"Perintah kerja hari ini yang sudah ditutup dan masih bersisa dilanjutkan hari ini juga."),
	} {
		inside.Get(path, p.handle(explained(p.present(e))))
		inside.Post(path, p.handle(explained(p.save(e))))
	}
}

// today shows whose cards are made today and what was ordered about it.
func (p *Pages) today(w http.ResponseWriter, r *http.Request) error {
	who, day := signin.Account(r), p.desk.Today()
	v, err := p.planDesk().Day(r.Context(), who, day)
	if err != nil {
		return err
	}
	t := rowsTable{Caption: "Perintah kerja", Empty: "tidak ada kartu yang dikerjakan hari ini.", Heads: []string{"Permohonan", "Kartu", "Belum selesai", "Keadaan"}}
	for _, d := range v.Placed {
		t.Rows = append(t.Rows, []cell{{Text: d.Ticket, Path: home + "/" + d.Ticket}, {Text: number(d.Cards)}, {Text: number(d.Remaining)}, {Text: d.StateLabel}})
	}
	body := rowsBody{Crumbs: calendarCrumbs, Lead: terbilang.FormatDayDate(day) + ".", Tables: []rowsTable{t, commandTable("Perintah petugas", v.Commands)}}
	if planning.May(who.Role) {
		body.Links = []crumb{{"Tutup hari lebih awal", todayPath + "/tutup"}, {"Buka kembali", todayPath + "/buka"}}
	}
	if r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Perintah tercatat dan dilaksanakan beberapa detik lagi. Muat ulang halaman ini untuk melihat hasilnya."
	}
	p.show(w, r, http.StatusOK, "rows", "Hari ini", body)
	return nil
}

// dayOrder is the form of an order about today, for one of its requests or all.
func (p *Pages) dayOrder(title string, verb capacity.CommandVerb, at, lead string) editor {
	return editor{title,
		func(r *http.Request) (formBody, error) {
			body := formBody{Crumbs: append(calendarCrumbs[:1:1], crumb{"Hari ini", todayPath}), Action: at, Submit: capacity.CommandLabels[verb], Lead: lead}
			if !planning.May(signin.Account(r).Role) {
				return body, planning.ErrForbidden
			}
			v, err := p.planDesk().Day(r.Context(), signin.Account(r), p.desk.Today())
			options := []option{{ofAll, "Semua permohonan hari ini", false}}
			var seen []string
			for _, d := range v.Placed {
				if !slices.Contains(seen, d.Ticket) {
					seen = append(seen, d.Ticket)
					options = append(options, option{d.Ticket, d.Ticket, false})
				}
			}
			body.Fields = []field{{Name: "ticket", Label: "Untuk", Kind: "select", Options: options}, planReason}
			return body, err
		},
		func(r *http.Request) (string, error) {
			ticket := r.PostForm.Get("ticket")
			if ticket == "" {
				return "", form.One("/ticket", "missing", "Pilih satu permohonan, atau semuanya.")
			}
			if ticket == ofAll {
				ticket = ""
			}
			_, err := p.planDesk().Give(r.Context(), signin.Account(r), planning.Order{Verb: verb, Ticket: ticket, Reason: r.PostForm.Get("reason")})
			return todayPath + "?tersimpan=1", err
		}}
}
