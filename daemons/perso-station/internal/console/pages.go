package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

//go:embed templates static
var files embed.FS

// Addresses of the pages.
const (
	roomPath   = "/"
	screenPath = "/layar"
)

// pages are the technician's page and the operator's screen.
type pages struct {
	console *Console
	sheets  *template.Template
	assets  *web.Assets
}

func newPages(c *Console) *pages {
	p := &pages{console: c, assets: web.NewAssets(files, "static")}
	p.sheets = template.Must(template.New("").Funcs(template.FuncMap{ // embedded: parsed in every test
		"num":      func(n int) string { return terbilang.FormatInt(int64(n)) },
		"count":    func(n uint64) string { return terbilang.FormatInt(int64(n)) },
		"clock":    func(t time.Time) string { return t.In(clock.Jakarta).Format("15.04.05") },
		"datetime": terbilang.FormatDateTime,
		"day":      terbilang.FormatDate,
		"iso":      func(t time.Time) string { return t.In(clock.Jakarta).Format(time.RFC3339) },
		"ms": func(micros int64) string {
			return strings.Replace(fmt.Sprintf("%.1f", float64(micros)/1000), ".", ",", 1)
		},
		"outcome": func(s string) string { return outcomeLabels[s] },
		"step":    stepLabel,
		"fault":   func(s string) string { return faultLabels[s] },
		"asset":   p.assets.Address,
	}).ParseFS(files, "templates/*.html"))
	return p
}

var (
	outcomeLabels = map[string]string{"clear": "Berhasil", "failed": "Gagal", "in_doubt": "Meragukan", "refused": "Ditolak", "test": "Kartu uji"}
	faultLabels   = map[string]string{
		"outcome_unknown": "jawaban tidak diketahui", "card_gone": "kartu tidak ada lagi", "reader_gone": "pembaca tidak ada lagi",
		"time_out": "waktu habis", "other": "tidak ada jawaban",
	}
)

func (p *pages) mount(r chi.Router) {
	r.Method(http.MethodGet, web.AssetRoute, p.assets)
	r.Get(roomPath, func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, http.StatusOK, "room", room{View: p.console.View()})
	})
	r.Get(screenPath, func(w http.ResponseWriter, r *http.Request) { p.show(w, r, http.StatusOK, "screen", p.console.View()) })
	for path, mode := range map[string]perso.Mode{"/jeda": perso.Paused, "/kosongkan": perso.Draining, "/lanjut": perso.Running} {
		r.Post(path, p.order(mode))
	}
}

// room is the technician's page. By and Reason are what was typed when Faults say that
// it was not taken.
type room struct {
	View
	By, Reason string
	Faults     []string
}

// Held says whether people hold the station.
func (r room) Held() bool { return r.Standing != nil && r.Standing.Mode != perso.Running }

// Draining says whether nothing is to be begun or touched.
func (r room) Draining() bool { return r.Held() && r.Standing.Mode == perso.Draining }

// order takes a wish by the form.
func (p *pages) order(mode perso.Mode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		wish := perso.Wish{Mode: mode, By: r.PostFormValue("by"), Reason: r.PostFormValue("reason")}
		_, err := p.console.Stand(r.Context(), wish)
		if err == nil {
			http.Redirect(w, r, roomPath, http.StatusSeeOther)
			return
		}
		page := room{View: p.console.View(), By: wish.By, Reason: wish.Reason}
		status := http.StatusUnprocessableEntity
		var faults form.Faults
		if errors.As(err, &faults) {
			for _, f := range faults {
				page.Faults = append(page.Faults, f.Detail)
			}
		} else {
			problem := web.ProblemOf(r.Context(), err)
			status, page.Faults = problem.Status, []string{problem.Detail}
		}
		p.show(w, r, status, "room", page)
	}
}

// show renders a page whole before it answers.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, name string, body any) {
	var out bytes.Buffer
	if err := p.sheets.ExecuteTemplate(&out, name, body); err != nil {
		zerolog.Ctx(r.Context()).Error().Err(err).Str("page", name).Msg("page cannot be rendered")
		web.WriteProblem(w, r, *web.Internal())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client may be gone
}
