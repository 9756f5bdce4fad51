package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/web"
)

const home = "/permohonan"

type loginBody struct {
	Username, Next, Notice, Error string
	// Onward is where whoever has just signed in goes on at the intake. It is a link:
	// browsers follow a form to our own origin only, and the intake may have another.
	Onward string
}

func (p *Pages) loginForm(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	next := p.nextPath(q.Get("lanjut"))
	if _, err := p.door.Who(r); err == nil {
		if onward := p.onward(next); onward != "" {
			next = onward
		}
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // nextPath kept it on this site, or it is the intake of our configuration
		return
	}
	body := loginBody{Next: next}
	switch {
	case q.Get("keluar") != "":
		body.Notice = "Anda sudah keluar."
	case q.Get("berakhir") != "":
		body.Notice = "Sesi Anda telah berakhir. Masuk kembali untuk melanjutkan."
	case q.Get("lanjut") != "":
		body.Notice = "Masuk dahulu untuk melanjutkan."
	}
	p.show(w, r, http.StatusOK, "login", "Masuk", body)
}

func (p *Pages) login(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(r); err != nil {
		p.fail(w, r, err)
		return
	}
	body := loginBody{Username: r.PostForm.Get("username"), Next: p.nextPath(r.PostForm.Get("lanjut"))}
	_, err := p.door.Enter(w, r, body.Username, r.PostForm.Get("password"))
	switch {
	case err == nil && p.onward(body.Next) != "":
		body.Onward = p.onward(body.Next)
		p.show(w, r, http.StatusOK, "login", "Anda sudah masuk", body)
	case err == nil:
		http.Redirect(w, r, body.Next, http.StatusSeeOther)
	case errors.Is(err, signin.ErrRefused):
		body.Error = "Nama pengguna atau kata sandi salah."
		p.show(w, r, http.StatusUnprocessableEntity, "login", "Masuk", body)
	case errors.Is(err, signin.ErrExpired):
		body.Error = signin.Expired
		p.show(w, r, http.StatusUnprocessableEntity, "login", "Masuk", body)
	case errors.Is(err, signin.ErrTooMany):
		body.Error = "Terlalu banyak percobaan masuk yang gagal. Coba lagi dalam 15 menit."
		w.Header().Set("Retry-After", fmt.Sprint(int(signin.RetryAfter()/time.Second)))
		p.show(w, r, http.StatusTooManyRequests, "login", "Masuk", body)
	default:
		p.fail(w, r, api.Explain(err))
	}
}

// parseForm reads what was typed.
func parseForm(r *http.Request) error {
	err := r.ParseForm()
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		return web.BadRequest("Isian tidak dapat dibaca. Kembali, lalu coba lagi.")
	}
	return err
}

func (p *Pages) logout(w http.ResponseWriter, r *http.Request) {
	if err := p.door.Leave(w, r); err != nil {
		p.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/masuk?keluar=1", http.StatusSeeOther)
}

// filing is the page of the intake on which people fill requests in.
const filing = "/pengajuan"

// nextPath is where somebody goes on after signing in: within this site, or to
// filing at the intake.
func (p *Pages) nextPath(text string) string {
	if p.onward(text) != "" {
		return text
	}
	return localPath(text)
}

// onward is the address at the intake that a path such as /pengajuan?tiket=... means,
// or nothing.
func (p *Pages) onward(text string) string {
	u, err := url.Parse(text)
	if err != nil || p.intake == "" || u.IsAbs() || u.Host != "" || u.User != nil || u.Path != filing {
		return ""
	}
	return p.intake + u.RequestURI()
}

// localPath keeps a return address within this site.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, home) && u.Path != shelfPath ||
		strings.ContainsAny(text, "\\\r\n") {
		return home
	}
	return u.RequestURI()
}
