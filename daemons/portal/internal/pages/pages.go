// Package pages are the portal's pages: plain HTML from templates, readable
// without scripts, on a telephone and on paper.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/lots"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/shelf"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/daemons/portal/internal/wording"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/web"
)

//go:embed templates static
var files embed.FS

// Pages serves the pages.
type Pages struct {
	db     *postgres.DB
	office clock.Office
	door   *signin.Door
	spool  *upload.Spool
	intake string // where people fill requests in; empty when it is not known
	sheets map[string]*template.Template
	assets *web.Assets
	desk   *masterdata.Desk
	decide *decisions.Desk
	window *public.Window
	asker  *report.Asker
	signer *counter.Service
}

// New returns the pages; intake is the address of the intake as browsers see it,
// or empty; signer is the service that signs papers, or nil.
func New(db *postgres.DB, office clock.Office, door *signin.Door, spool *upload.Spool, desk *masterdata.Desk, decide *decisions.Desk, window *public.Window, asker *report.Asker, intake string, signer *counter.Service) *Pages {
	p := &Pages{
		db: db, office: office, door: door, spool: spool, intake: intake, desk: desk, decide: decide, window: window, asker: asker, signer: signer,
		sheets: map[string]*template.Template{}, assets: web.NewAssets(files, "static"),
	}
	words := words()
	words["asset"] = p.assets.Address
	for _, name := range []string{
		"landing", "login", "list", "request", "needs", "need", "need-form", "need-cards", "shelf", "lots", "error", "form", "keys", "rows", "secret", "change", "calendar", "calendar-import", "late",
		"board", "board-day", "feed", "what-if", "manual", "doubts", "doubt", "verification", "chip", "chips", "activations", "activation", "pairs-check", "labels", "prints",
	} {
		p.sheets[name] = template.Must(template.New(name+".html").Funcs(words).
			ParseFS(files, "templates/layout.html", "templates/plan-parts.html", "templates/cards.html", "templates/day-parts.html", "templates/feed-parts.html", "templates/rows-parts.html", "templates/chip-parts.html",
				"templates/"+name+".html")) // embedded: parsed in every test
	}
	return p
}

// Mount adds the pages' routes.
func (p *Pages) Mount(root chi.Router) {
	root.NotFound(p.elsewhere(web.NotFound("Tidak ada halaman pada alamat ini. Periksa alamatnya, atau mulai dari beranda.")))
	root.Method(http.MethodGet, web.AssetRoute, p.assets)
	site := root.With(web.Pages, p.recovered)
	site.Get("/", p.landing)
	site.Get("/sam", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusMovedPermanently) })
	p.mountVerification(site)
	site.Get("/masuk", p.loginForm)
	site.Post("/masuk", p.login)
	site.Post("/keluar", p.logout)
	inside := site.With(p.door.Require(p.toLogin))
	p.mountOwn(site.With(p.door.RequireAny(p.toLogin)), inside)
	p.mountData(inside)
	p.mountCalendar(inside)
	p.mountBoard(inside)
	p.mountBlanks(inside)
	p.mountDoubts(inside)
	p.mountChips(inside)
	p.mountFeeds(inside)
	inside.Get("/permohonan", p.handle(p.list))
	inside.Get("/permohonan/{ticket}", p.handle(p.request))
	inside.Get(latePath, p.handle(p.officeOnly(p.late)))
	inside.Get(latePath+"/unduh", p.handle(p.officeOnly(p.lateWorkbook)))
	p.mountActs(inside)
	p.mountPlan(inside)
	p.mountCards(inside)
	p.mountByHand(inside)
	p.mountNeeds(inside)
	p.mountReaders(inside)
	p.mountLots(inside)
	p.mountPapers(inside)
	p.mountTemplates(inside)
	p.mountHandovers(inside)
	p.mountRecipients(inside)
	p.mountManifests(inside)
	p.mountEvidence(inside)
	inside.Get(shelfPath, p.keeper(p.shelf))
	inside.Post(shelfPath+"/ulangi", p.keeper(p.replayType))
	inside.Post(shelfPath+"/{id}/ulangi", p.keeper(p.replayOne))
	inside.Post(shelfPath+"/{id}/tutup", p.keeper(p.layAside))
}

// elsewhere answers an address that is none: programs get a problem, people a
// page.
func (p *Pages) elsewhere(problem *web.Problem) http.HandlerFunc {
	page := web.Pages(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.fail(w, r, problem) }))
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			web.WriteProblem(w, r, *problem)
			return
		}
		page.ServeHTTP(w, r)
	}
}

// toLogin sends whoever has no session to sign in, and back afterwards.
func (p *Pages) toLogin(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, signin.ErrMustChange) {
		http.Redirect(w, r, passwordPath, http.StatusSeeOther)
		return
	}
	if !errors.Is(err, identity.ErrNoSession) {
		p.fail(w, r, err)
		return
	}
	q := url.Values{"lanjut": {r.URL.RequestURI()}}
	if p.door.Had(r) {
		q.Set("berakhir", "1")
	}
	http.Redirect(w, r, "/masuk?"+q.Encode(), http.StatusSeeOther)
}

func (p *Pages) handle(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			p.fail(w, r, err)
		}
	}
}

// recovered answers a panic with a page.
func (p *Pages) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v) // the server's own way to drop a connection
			}
			zerolog.Ctx(r.Context()).Error().Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).Msg("page panicked")
			p.fail(w, r, web.Internal())
		}()
		next.ServeHTTP(w, r)
	})
}

// fail answers with an error page.
func (p *Pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, report.ErrNotFound) {
		err = web.NotFound("Data ini tidak ada, atau bukan milik lembaga Anda. Periksa Kode Tiket, lalu coba kembali.")
	}
	problem := web.ProblemOf(r.Context(), err)
	body := errorBody{Detail: problem.Detail}
	if problem.Status != http.StatusNotFound && signin.Account(r).ID != "" {
		body.Back = wayBack(r.URL.Path)
	}
	if problem.Status >= http.StatusInternalServerError {
		body.Trace = trace.ID(trace.From(r.Context()))
	}
	if problem.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(problem.RetryAfter/time.Second)))
	}
	p.show(w, r, problem.Status, "error", problem.Title, body)
}

// sheet is what every page is made of.
type sheet struct {
	Title     string
	Section   string // of the navigation
	Account   *identity.Account
	RoleLabel string
	Shelf     *shelfLink // for whoever looks after it
	Doubts    *doubtLink // for whoever decides on cards in doubt
	Lots      *shelfLink // the lots that wait, for whoever looks after them
	Keeper    bool       // looks after the master data
	Wording   bool       // looks after the templates of papers, and not after other master data
	Outside   bool       // of an institution
	Office    bool       // of the office
	Chips     bool       // has cards that can be looked for
	Apply     string     // where this account fills a request in, if it may
	Now       time.Time
	Build     string
	Body      any
}

// shelfLink leads to a list and says how many wait there.
type shelfLink struct{ Open int }

// show renders a page whole before it answers, so that a fault in a template
// cannot leave half a page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, name, title string, body any) {
	s := sheet{Title: title, Now: p.office.Now(), Build: daemon.BuildID(), Body: body}
	if a := signin.Account(r); a.ID != "" {
		s.Account, s.RoleLabel = &a, request.RoleLabels[a.Role]
		s.Keeper, s.Outside = masterdata.May(a.Role) && !a.MustChange, report.Outside(a) && !a.MustChange
		s.Wording = wording.May(a.Role) && !s.Keeper && !a.MustChange
		s.Office = !report.Outside(a) && !a.MustChange
		applies := request.Machine.May("", request.Submit, a.Role) == nil
		s.Chips = s.Office || s.Outside && applies
		if p.intake != "" && !a.MustChange && applies {
			s.Apply = p.intake + "/pengajuan"
		}
	}
	switch name {
	case "list", "request", "feed":
		s.Section = "permohonan"
	case "needs", "need", "need-form", "need-cards":
		s.Section = "permintaan"
	case "shelf":
		s.Section = "antrean-gagal"
	default:
		s.Section, _, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	}
	if s.Account != nil && !s.Account.MustChange && shelf.May(s.Account.Role) {
		open, err := rabbit.CountShelf(r.Context(), p.db)
		if err != nil { // the page stands without the number
			zerolog.Ctx(r.Context()).Debug().Err(err).Msg("the shelf cannot be counted")
		}
		s.Shelf = &shelfLink{open}
	}
	if s.Office && perso.Machine.MayEver(perso.SpoilVerb, s.Account.Role) == nil {
		cards, late, err := perso.CountDoubts(r.Context(), p.db)
		if err != nil { // as above
			zerolog.Ctx(r.Context()).Debug().Err(err).Msg("the doubts cannot be counted")
		}
		s.Doubts = &doubtLink{cards + late}
	}
	if s.Account != nil && !s.Account.MustChange && lots.May(s.Account.Role) {
		open, err := perso.CountHolds(r.Context(), p.db)
		if err != nil { // the same
			zerolog.Ctx(r.Context()).Debug().Err(err).Msg("the holds of lots cannot be counted")
		}
		s.Lots = &shelfLink{open}
	}
	var out bytes.Buffer
	if err := p.sheets[name].Execute(&out, s); err != nil {
		zerolog.Ctx(r.Context()).Error().Err(err).Str("page", name).Msg("page cannot be rendered")
		web.WriteProblem(w, r, *web.Internal())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client may be gone
}
