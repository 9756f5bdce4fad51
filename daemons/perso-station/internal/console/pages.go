package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
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
	assets  map[string]asset // by the name in their address
}

type asset struct {
	mediaType string
	content   []byte
}

func newPages(c *Console) *pages {
	p := &pages{console: c, assets: map[string]asset{}}
	addresses := p.readAssets()
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
		"asset": func(name string) (string, error) {
			if addresses[name] == "" {
				return "", fmt.Errorf("no asset %q", name)
			}
			return addresses[name], nil
		},
	}).ParseFS(files, "templates/*.html"))
	return p
}

var (
	outcomeLabels = map[string]string{"clear": "Berhasil", "failed": "Gagal", "in_doubt": "Meragukan", "refused": "Ditolak"}
	faultLabels   = map[string]string{
		"outcome_unknown": "jawaban tidak diketahui", "card_gone": "kartu tidak ada lagi", "reader_gone": "pembaca tidak ada lagi",
		"time_out": "waktu habis", "other": "tidak ada jawaban",
	}
)

// readAssets names each file by its content, so that browsers may keep it for ever.
func (p *pages) readAssets() map[string]string {
	types := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	addresses := map[string]string{}
	entries, err := fs.ReadDir(files, "static")
	if err != nil {
		panic(err) // embedded
	}
	for _, e := range entries {
		content, err := fs.ReadFile(files, path.Join("static", e.Name()))
		if err != nil {
			panic(err) // embedded
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext) + "." + hex.EncodeToString(sum[:6]) + ext
		p.assets[name] = asset{types[ext], content}
		addresses[e.Name()] = "/static/" + name
	}
	return addresses
}

func (p *pages) mount(r chi.Router) {
	r.Get("/static/{name}", p.static)
	r.Get(roomPath, func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, http.StatusOK, "room", room{View: p.console.View()})
	})
	r.Get(screenPath, func(w http.ResponseWriter, r *http.Request) { p.show(w, r, http.StatusOK, "screen", p.console.View()) })
	for path, mode := range map[string]perso.Mode{"/jeda": perso.Paused, "/kosongkan": perso.Draining, "/lanjut": perso.Running} {
		r.Post(path, p.order(mode))
	}
}

func (p *pages) static(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[chi.URLParam(r, "name")]
	if !ok {
		web.WriteProblem(w, r, *web.NotFound("Tidak ada berkas pada alamat ini."))
		return
	}
	w.Header().Set("Content-Type", a.mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.content) // the client may be gone
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
