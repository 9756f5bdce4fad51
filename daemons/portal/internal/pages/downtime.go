package pages

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const downtimePath = calendarPath + "/henti-stasiun"

// Days that the list of downtimes looks back and ahead.
const (
	downtimeBack  = 90
	downtimeAhead = 5 * 366
)

func (p *Pages) mountDowntimes(inside chi.Router) {
	inside.Get(downtimePath, p.handle(explained(p.downtimes)))
	for path, e := range map[string]editor{
		downtimePath + "/baru": p.newDowntime(), downtimePath + "/{id}": p.editDowntime(), downtimePath + "/{id}/akhiri": p.endDowntime(),
		downtimePath + "/{id}/hapus": p.downtimeRemoval(),
	} {
		inside.Get(path, p.handle(explained(p.present(e))))
		inside.Post(path, p.handle(explained(p.saveDay(e))))
	}
}

// downtimes lists when stations stand still, what is over last.
func (p *Pages) downtimes(w http.ResponseWriter, r *http.Request) error {
	who, today := signin.Account(r), p.desk.Today()
	list, err := p.planDesk().Downtimes(r.Context(), who, today.AddDays(-downtimeBack), today.AddDays(downtimeAhead))
	if err != nil {
		return err
	}
	mine := planning.MayDowntime(who.Role)
	heads := []string{"Stasiun", "Hari", "Kartu per hari", "Alasan", "Keadaan"}
	now := rowsTable{Caption: "Sekarang dan yang akan datang", Empty: "tidak ada; semua stasiun bekerja.", Heads: heads}
	over := rowsTable{Caption: "Sudah lewat, " + strconv.Itoa(downtimeBack) + " hari terakhir", Empty: "tidak ada.", Heads: heads}
	for _, d := range list {
		state := tag{wait, "Akan datang"}
		row := []cell{{Text: d.Station}, {Text: terbilang.FormatPeriod(d.From, d.To)}, {Text: number(d.Cards)}, {Text: d.Reason}}
		switch {
		case d.To.Before(today):
			over.Rows = append(over.Rows, append(row, cell{Tag: tag{"", "Selesai"}}))
			continue
		case !d.From.After(today):
			state = tag{bad, "Berhenti"}
		}
		if mine {
			row[0].Path = downtimePath + "/" + d.ID
		}
		now.Rows = append(now.Rows, append(row, cell{Tag: state}))
	}
	body := rowsBody{Crumbs: calendarCrumbs, Lead: "Hari-hari ketika sebuah stasiun tidak bekerja. Kapasitas hari itu berkurang, dan rencana disusun ulang dengan sendirinya.", Tables: []rowsTable{now, over}}
	if mine {
		body.Links = []crumb{{"Catat henti stasiun", downtimePath + "/baru"}}
	}
	if keptNow(r) {
		body.Notice = "Perubahan tersimpan. Rencana disusun ulang dengan sendirinya."
	}
	p.show(w, r, http.StatusOK, "rows", "Henti stasiun", body)
	return nil
}

var downtimeCrumbs = append(calendarCrumbs[:1:1], crumb{"Henti stasiun", downtimePath})

func downtimeKept() string { return downtimePath + "?" + justKept() }

func downtimeFields(d capacity.Downtime) []field {
	cards := ""
	if d.Cards > 0 {
		cards = strconv.Itoa(d.Cards)
	}
	return []field{
		{Name: "station", Label: "Stasiun", Kind: "text", Value: d.Station, Longest: 80, Hint: "Seperti pegawai menyebutnya, misalnya Stasiun 2."},
		{Name: "from", Label: "Hari pertama", Kind: "date", Value: d.From.String()},
		{Name: "to", Label: "Hari terakhir", Kind: "date", Value: d.To.String()},
		{Name: "cards", Label: "Kartu per hari yang tidak dapat dikerjakan", Kind: "text", Mode: "numeric", Value: cards, Hint: "Sebanyak yang biasa dikerjakan stasiun itu sehari."},
		planReason,
	}
}

func typedDowntime(r *http.Request) capacity.Downtime {
	return capacity.Downtime{Station: r.PostForm.Get("station"), From: typedDate(r, "from"), To: typedDate(r, "to"), Cards: typedCards(r), Version: seenVersion(r)}
}

func downtimeKeepers(r *http.Request) error {
	if !planning.MayDowntime(signin.Account(r).Role) {
		return planning.ErrNotDowntime
	}
	return nil
}

func (p *Pages) newDowntime() editor {
	return editor{"Catat henti stasiun",
		func(r *http.Request) (formBody, error) {
			return formBody{Crumbs: downtimeCrumbs, Action: downtimePath + "/baru", Submit: "Catat", Lead: replanned, Fields: downtimeFields(capacity.Downtime{})}, downtimeKeepers(r)
		},
		func(r *http.Request) (string, error) {
			_, err := p.planDesk().AddDowntime(r.Context(), signin.Account(r), typedDowntime(r), r.PostForm.Get("reason"))
			return downtimeKept(), err
		}}
}

// downtimeIn is the one in the address, for those who may change it.
func (p *Pages) downtimeIn(r *http.Request) (capacity.Downtime, error) {
	if err := downtimeKeepers(r); err != nil {
		return capacity.Downtime{}, err
	}
	id, err := rowOf(r)
	if err != nil {
		return capacity.Downtime{}, err
	}
	return p.planDesk().Downtime(r.Context(), signin.Account(r), id)
}

func (p *Pages) editDowntime() editor {
	return editor{"Ubah henti stasiun",
		func(r *http.Request) (formBody, error) {
			d, err := p.downtimeIn(r)
			at := downtimePath + "/" + d.ID
			also := []crumb{{"Hapus henti ini", at + "/hapus"}}
			if d.From.Before(p.desk.Today()) {
				also = []crumb{{"Akhiri henti ini", at + "/akhiri"}}
			}
			return formBody{Crumbs: downtimeCrumbs, Action: at, Submit: "Simpan", Version: d.Version, Lead: replanned, Facts: []fact{{"Alasan terakhir", d.Reason}},
				Fields: downtimeFields(d), Also: also}, err
		},
		func(r *http.Request) (string, error) {
			d, err := p.downtimeIn(r)
			if err == nil {
				now := typedDowntime(r)
				now.ID = d.ID
				_, err = p.planDesk().ChangeDowntime(r.Context(), signin.Account(r), now, r.PostForm.Get("reason"))
			}
			return downtimeKept(), err
		}}
}

// endDowntime shortens one that has begun: the station works again.
func (p *Pages) endDowntime() editor {
	return editor{"Akhiri henti stasiun",
		func(r *http.Request) (formBody, error) {
			d, err := p.downtimeIn(r)
			return formBody{Crumbs: downtimeCrumbs, Action: downtimePath + "/" + d.ID + "/akhiri", Submit: "Akhiri", Version: d.Version,
				Lead:   sentenceCase(d.Name()) + " berhenti " + terbilang.FormatPeriod(d.From, d.To) + ". Sesudah hari terakhirnya kapasitas kembali penuh.",
				Fields: []field{{Name: "to", Label: "Hari terakhir stasiun berhenti", Kind: "date", Value: p.desk.Today().String(), Hint: "Paling cepat hari ini, karena rencana hari ini sudah tetap."}, planReason}}, err
		},
		func(r *http.Request) (string, error) {
			d, err := p.downtimeIn(r)
			if err == nil {
				d.To, d.Version = typedDate(r, "to"), seenVersion(r)
				_, err = p.planDesk().ChangeDowntime(r.Context(), signin.Account(r), d, r.PostForm.Get("reason"))
			}
			return downtimeKept(), err
		}}
}

func (p *Pages) downtimeRemoval() editor {
	return editor{"Hapus henti stasiun",
		func(r *http.Request) (formBody, error) {
			d, err := p.downtimeIn(r)
			return formBody{Crumbs: downtimeCrumbs, Action: downtimePath + "/" + d.ID + "/hapus", Submit: "Hapus", Version: d.Version,
				Lead:    sentenceCase(d.Text()) + ".",
				Warning: "Setelah dihapus, kapasitas hari-hari itu kembali penuh. Yang sudah mulai tidak dapat dihapus; akhiri saja.",
				Fields:  []field{planReason}}, err
		},
		func(r *http.Request) (string, error) {
			d, err := p.downtimeIn(r)
			if err == nil {
				err = p.planDesk().RemoveDowntime(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("reason"))
			}
			return downtimeKept(), err
		}}
}
