// Package api is the HTTP surface of the intake: produsen's software drops
// requests here and reads what became of them.
package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Config of the intake's surface.
type Config struct {
	// PublicURL is how clients reach the intake, such as
	// https://sifilma.example/intake, without a slash at the end; empty keeps
	// addresses relative.
	PublicURL string `yaml:"public_url"`
	// PortalURL is the portal's origin as browsers see it, where people sign in;
	// empty is a local run without TLS.
	PortalURL string `yaml:"portal_url"`
	// RatePerSecond and RateBurst bound the requests of one API key.
	RatePerSecond float64 `yaml:"rate_per_second"`
	RateBurst     int     `yaml:"rate_burst"`
	// Uploads is how many drops are taken in at the same time; one client has at
	// most a quarter of them, and at least one.
	Uploads int `yaml:"uploads"`
	// UploadTime bounds the reading of one drop.
	UploadTime time.Duration `yaml:"upload_time"`
	// KeepAnswers is how long an answer can be asked for again by its
	// Idempotency-Key.
	KeepAnswers time.Duration `yaml:"keep_answers"`
	// DropsPerCommit is how many small drops one transaction takes at most; with 1
	// each has its own.
	DropsPerCommit int `yaml:"drops_per_commit"`
	// CommitsAtOnce is how many such transactions run at once: with two the
	// database works on one while the other is on its way.
	CommitsAtOnce int `yaml:"commits_at_once"`
	// AnswerTime is how long a client waits for the database before he is asked to
	// come again.
	AnswerTime time.Duration `yaml:"answer_time"`
}

// Defaults are the values of the configuration as delivered.
func Defaults() Config {
	return Config{
		RatePerSecond: 5, RateBurst: 20, Uploads: 64, UploadTime: 2 * time.Minute, KeepAnswers: 7 * 24 * time.Hour,
		DropsPerCommit: 100, CommitsAtOnce: 2, AnswerTime: 10 * time.Second,
	}
}

// Validate checks the section.
func (c Config) Validate() error {
	switch {
	case c.RatePerSecond <= 0 || c.RateBurst < 1:
		return errors.New("rate_per_second and rate_burst must be above 0")
	case c.Uploads < 1:
		return errors.New("uploads must be above 0")
	case c.UploadTime < time.Second:
		return errors.New("upload_time is under 1s")
	case c.KeepAnswers < time.Hour:
		return errors.New("keep_answers is under 1h")
	case c.DropsPerCommit < 1:
		return errors.New("drops_per_commit must be above 0")
	case c.CommitsAtOnce < 1:
		return errors.New("commits_at_once must be above 0")
	case c.AnswerTime <= 0:
		return errors.New("answer_time must be above 0")
	}
	return nil
}

// API serves the intake.
type API struct {
	cfg      Config
	limits   drop.Limits
	db       *postgres.DB
	drops    *drop.Reader
	disk     *daemon.Disk
	writer   *commit.Writer
	marker   *validation.Marker
	office   clock.Office
	machine  clock.Machine
	template []byte
	slots    chan struct{}
	judging  chan struct{} // bounds the memory and time of card lists that are checked
	// perClient are the places of each client, chan struct{} by institution.
	perClient sync.Map
	limiters  limiters
	sameSite  func(http.Handler) http.Handler
	counted   *prometheus.CounterVec

	keys         recent[[sha256.Size]byte, identity.Client] // by the hash of the key's text
	machineTypes recent[string, struct{}]
	misused      recent[string, struct{}] // ids of keys whose use from elsewhere is on record
}

// New makes the surface; disk is the spool's, registry may be nil.
func New(cfg Config, limits drop.Limits, db *postgres.DB, spool *drop.Spool, disk *daemon.Disk, office clock.Office, machine clock.Machine,
	registry prometheus.Registerer) (*API, error) {
	var template bytes.Buffer
	if err := cardlist.WriteSheet(&template, nil); err != nil {
		return nil, err
	}
	sameSite, err := web.CrossOrigin()
	if err != nil {
		return nil, err
	}
	a := &API{
		sameSite: sameSite,
		cfg:      cfg, limits: limits, db: db, drops: drop.NewReader(spool, limits), disk: disk, office: office, machine: machine,
		writer: commit.New(commit.Config{PublicURL: cfg.PublicURL, DropsPerCommit: cfg.DropsPerCommit, CommitsAtOnce: cfg.CommitsAtOnce, Patience: cfg.AnswerTime},
			db, office, machine, registry),
		marker:   validation.NewMarker(1),
		template: template.Bytes(), slots: make(chan struct{}, cfg.Uploads), judging: make(chan struct{}, judgedAtOnce), limiters: newLimiters(cfg),
		counted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sifilma_intake_drops_total", Help: "Drops by their result.",
		}, []string{"result"}),
	}
	if registry != nil {
		registry.MustRegister(a.counted)
	}
	return a, nil
}

// Mount puts the routes on r.
func (a *API) Mount(r chi.Router) {
	r.With(web.Pages).Get("/", web.Handle(a.page))
	r.Get("/intake.css", a.style)
	r.Get("/intake.js", a.script)
	r.Get("/favicon.ico", a.icon)
	r.Group(func(r chi.Router) {
		r.Use(web.Pages, a.person)
		r.Get("/pengajuan", a.asPage(a.form))
		r.Get("/terkirim", a.asPage(a.sent))
		r.With(a.sameSite, web.Slow(a.cfg.UploadTime), web.BodyLimit(a.limits.Whole), a.room, a.slot).Post("/pengajuan", a.asPage(a.typed))
	})
	r.Get("/api/v1/templates/card-list.xlsx", a.cardList)
	r.Group(func(r chi.Router) {
		r.Use(a.authenticate(identity.ScopeRequestRead, a.checkNow))
		r.Get("/api/v1/requests", web.Handle(a.list))
		r.Get("/api/v1/requests/{ticket}", web.Handle(a.show))
		r.Get("/api/v1/requests/{ticket}/history", web.Handle(a.history))
		r.Get("/api/v1/requests/{ticket}/cards", web.Handle(a.cards))
		r.Get("/api/v1/chips/{key}", web.Handle(a.chip))
		r.With(web.Slow(a.cfg.UploadTime)).Get("/api/v1/requests/{ticket}/files/{id}", web.Handle(a.file))
		r.Get("/api/v1/machine-types", web.Handle(a.listMachineTypes))
		r.Get("/api/v1/pks", web.Handle(a.listPKS))
		r.Get("/api/v1/needs", web.Handle(a.listNeeds))
		r.Get("/api/v1/needs/{number}", web.Handle(a.showNeed))
		r.Get("/api/v1/needs/{number}/cards", web.Handle(a.needCards))
		r.With(web.Slow(a.cfg.UploadTime)).Get("/api/v1/needs/{number}/files/{id}", web.Handle(a.needFile))
		r.Get("/api/v1/activations", web.Handle(a.listActivations))
		r.Get("/api/v1/activations/{ticket}", web.Handle(a.showActivation))
		r.With(web.Slow(markTime)).Get("/api/v1/requests/{ticket}/card-list/marked", web.Handle(a.marked))
	})
	for path, verb := range needVerbs {
		r.With(a.authenticate(identity.ScopeRequestWrite, a.checkNow)).Post("/api/v1/needs/{number}/"+path, web.Handle(a.moveNeed(verb)))
	}
	r.With(a.authenticate(identity.ScopeRequestWrite, a.checkNow)).Post("/api/v1/requests/{ticket}/cancellation", web.Handle(a.cancel))
	r.Group(func(r chi.Router) {
		r.Use(web.Slow(a.cfg.UploadTime), web.BodyLimit(a.limits.Whole))
		r.With(a.authenticate(identity.ScopeRequestWrite, a.checkNow), a.room, a.slot).Post("/api/v1/checks", web.Handle(a.check))
		drops := r.With(a.authenticate(identity.ScopeRequestWrite, a.checkSoon), a.room, a.slot)
		drops.Post("/api/v1/requests", web.Handle(a.submit))
		drops.Post("/api/v1/requests/{ticket}/resubmission", web.Handle(a.resubmit))
		drops.Post("/api/v1/needs", web.Handle(a.submitNeed))
		drops.Post("/api/v1/activations", web.Handle(a.submitActivation))
		drops.Put("/api/v1/needs/{number}", web.Handle(a.correctNeed(need.Edit, "change of ")))
		drops.Post("/api/v1/needs/{number}/resubmission", web.Handle(a.correctNeed(need.Resubmit, "resubmission of ")))
	})
}

// InHand is what the status page shows of the drops that are being taken in.
func (a *API) InHand(context.Context) (any, error) {
	return map[string]int{"now": len(a.slots), "most": cap(a.slots), "to_write": a.writer.Waiting()}, nil
}

// room refuses drops before anything is read of them while the spool's disk is
// low: those in hand have the reserve to be finished in.
func (a *API) room(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.disk.Low() {
			a.counted.WithLabelValues("disk_low").Inc()
			a.refuse(w, r, drop.NoRoom())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a machine with JSON and a person with a page.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, p *web.Problem) {
	if account(r.Context()).ID != "" {
		a.refusePerson(w, r, p)
		return
	}
	web.WriteProblem(w, r, *p)
}

// Write writes the drops that are taken in, until ctx ends.
func (a *API) Write(ctx context.Context) error { return a.writer.Run(ctx) }

// slotWait is how long a drop waits for a place before it is sent away.
const slotWait = 5 * time.Second

// slot bounds the drops in hand, and with them disk, memory and connections. One
// client gets a part of the places: however slowly it sends, others come in.
func (a *API) slot(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), slotWait)
		defer cancel()
		own := a.own(client(r.Context()).InstitutionID)
		for _, place := range []struct {
			slots  chan struct{}
			answer func(time.Duration) *web.Problem
		}{{own, web.TooMany}, {a.slots, web.Unavailable}} {
			select {
			case place.slots <- struct{}{}:
			case <-ctx.Done():
				a.counted.WithLabelValues("busy").Inc()
				a.refuse(w, r, place.answer(slotWait))
				return
			}
			defer func() { <-place.slots }()
		}
		next.ServeHTTP(w, r)
	})
}

// ownPart is the part of all places that one client may have.
const ownPart = 4

// own are the places of one client. Only known clients have some, so that their
// number is bounded.
func (a *API) own(institutionID string) chan struct{} {
	fresh := make(chan struct{}, max(1, cap(a.slots)/ownPart))
	slots, _ := a.perClient.LoadOrStore(institutionID, fresh)
	return slots.(chan struct{})
}

func (a *API) cardList(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	h.Set("Content-Disposition", `attachment; filename="Template_Card.xlsx"`)
	h.Set("Content-Length", strconv.Itoa(len(a.template)))
	_, _ = w.Write(a.template) // the client may be gone
}
