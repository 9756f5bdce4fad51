package pages

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

type landingBody struct {
	Notice  string
	Outlook *outlookPart // nil while the queue cannot be read
}

// outlookPart is the queue on the front page.
type outlookPart struct {
	Facts  []pair
	Answer string // when a request that is sent today would start
	Also   string
	Typed  string
	Fault  string
	Basis  string
	Notice string
}

// landing is the front page. It stands also while the database is away.
func (p *Pages) landing(w http.ResponseWriter, r *http.Request) {
	if a, err := p.door.Who(r); err == nil {
		r = signin.WithAccount(r, a)
	}
	body := landingBody{}
	if r.URL.Query().Get("tersimpan") == "kata-sandi" {
		body.Notice = "Kata sandi Anda sudah diganti."
	}
	part := outlookPart{Typed: strings.TrimSpace(r.URL.Query().Get("kartu"))}
	cards := 1
	if part.Typed != "" {
		n, whole := terbilang.ParseInt(part.Typed)
		if n, ok := public.ParseCards(strconv.Itoa(n)); whole && ok {
			cards = n
		} else {
			part.Fault = public.CardsRange
		}
	}
	o, err := p.window.Outlook(r.Context(), cards)
	if err != nil {
		zerolog.Ctx(r.Context()).Debug().Err(err).Msg("the queue cannot be shown")
	} else {
		part.tell(o)
		body.Outlook = &part
	}
	p.show(w, r, http.StatusOK, "landing", "Selamat datang di SI-FILMA", body)
}

// tell words an outlook.
func (t *outlookPart) tell(o report.Outlook) {
	load := func(l report.Work) string {
		if l.Requests == 0 {
			return "Tidak ada"
		}
		return number(l.Cards) + " kartu dari " + number(l.Requests) + " permohonan"
	}
	free := "Belum ada dalam jangkauan kalender"
	if o.NextFree != nil {
		free = terbilang.FormatDayDate(o.NextFree.Day) + ", masih muat " + number(o.NextFree.Free) + " kartu"
	}
	t.Facts = []pair{{"Dalam antrean", load(o.Queue)}, {"Sedang diperiksa atau diputuskan", load(o.InProcess)}, {"Hari kerja terdekat yang kosong", free}}
	t.Basis = "Dihitung dari " + hariKerja(o.Before) + " sebelum personalisasi (surat, pemeriksaan, persetujuan, dan disposisi), dari kartu yang sudah dijadwalkan, dan dari permohonan yang masuk lebih dahulu. Ini perkiraan, bukan janji."
	if o.Earliest == nil || o.Latest == nil {
		t.Answer = "Belum ada hari kerja dalam jangkauan kalender yang muat untuk " + number(o.Cards) + " kartu."
		return
	}
	t.Answer = "Ajukan hari ini: personalisasi " + number(o.Cards) + " kartu dimulai " + between(o.Earliest.Start, o.Latest.Start) + "."
	t.Also = "Kartu diserahterimakan " + between(o.Earliest.Ready, o.Latest.Ready) + "."
	if o.UnknownYear != 0 {
		t.Notice = "Hari libur tahun " + strconv.Itoa(o.UnknownYear) + " belum ditetapkan, sehingga tanggal pada tahun itu belum dapat dipastikan."
	}
}

// between says on which of some days: one, such as "sekitar 7 Desember 2026", or one of
// several, such as "antara 7 dan 11 Desember 2026".
func between(from, to clock.Date) string {
	if from == to {
		return "sekitar " + terbilang.FormatDate(from)
	}
	first := terbilang.FormatDate(from)
	switch {
	case from.Year == to.Year && from.Month == to.Month:
		first = strconv.Itoa(from.Day)
	case from.Year == to.Year:
		first = strings.TrimSuffix(first, " "+strconv.Itoa(from.Year))
	}
	return "antara " + first + " dan " + terbilang.FormatDate(to)
}

func hariKerja(s stage.Limit) string {
	return strconv.Itoa(s.Min) + " sampai " + strconv.Itoa(s.Max) + " hari kerja"
}
