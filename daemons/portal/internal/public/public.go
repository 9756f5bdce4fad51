// Package public is what the portal answers without a login: how long the queue is,
// whether a paper is the office's, and the dates of a request to calendars that know
// its secret address. Whoever asks too often waits.
package public

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/gate"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/feed"
	"dukcapil.go.id/sifilma/pkg/ical"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// perNetwork are the calls a minute that one network may make: an office's calendars
// together, behind one address.
const perNetwork = 120

// Window answers strangers.
type Window struct {
	db     *postgres.DB
	office clock.Office
	clock  clock.Machine
	gate   *gate.Gate
	hours  workday.OfficeHours
	page   string // the portal as browsers see it; empty where that is not known

	prospects prospects
}

// New returns a window. What is sent after the hours counts as sent the next hari
// kerja; page is the portal's public address, or empty.
func New(db *postgres.DB, office clock.Office, machine clock.Machine, hours workday.OfficeHours, page string) *Window {
	return &Window{db: db, office: office, clock: machine, hours: hours, gate: gate.New(machine, perNetwork), page: strings.TrimRight(page, "/")}
}

const feedPath = "/kalender/permohonan/"

// Mount adds the routes.
func (p *Window) Mount(root chi.Router) {
	root.With(p.limited).Get(feedPath+"{token}.ics", web.Handle(p.dates))
	root.With(p.limited).Get("/api/v1/outlook", web.Handle(p.outlook))
	root.With(p.limited).Get("/api/v1/verifications/{token}", web.Handle(p.verification))
	p.mountManifests(root)
}

// limited lets one network ask so often.
func (p *Window) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.Wait(r); err != nil {
			web.WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// keep is how long a calendar may use an answer without asking again.
const keep = 15 * time.Minute

// dates answers a calendar that subscribes to a request.
func (p *Window) dates(w http.ResponseWriter, r *http.Request) error {
	c, err := report.Dates(r.Context(), p.db, chi.URLParam(r, "token"), p.page)
	if err != nil {
		return unknown(err)
	}
	var text bytes.Buffer
	if err := ical.Write(&text, c); err != nil {
		return err
	}
	sum := sha256.Sum256(text.Bytes())
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, max-age="+strconv.Itoa(int(keep/time.Second)))
	h.Set("X-Robots-Tag", "noindex")
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "text/calendar; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	_, _ = w.Write(text.Bytes()) // the client may be gone
	return nil
}

// Address is where calendars find a feed, as whoever asks reaches the portal.
func (p *Window) Address(r *http.Request, token string) string {
	page := p.page
	if page == "" {
		page = "http://" + r.Host // a local run without TLS
	}
	return page + feedPath + token + ".ics"
}

// Feeds are the open feeds of a request that somebody may end: their own, for keepers
// everybody's.
func (p *Window) Feeds(ctx context.Context, who identity.Account, requestID string) ([]feed.Feed, error) {
	return feed.List(ctx, p.db, requestID, own(who))
}

// Open makes a feed of a request that whoever asks has been shown, and returns its
// secret.
func (p *Window) Open(ctx context.Context, who identity.Account, requestID string, seen *string) (token string, err error) {
	err = p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		id, made, err := feed.Make(ctx, tx, requestID, who.ID, seen, who.Username, p.office.Now())
		if err != nil {
			return err
		}
		token = made
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "feed.make", Subject: id, Detail: map[string]any{"request": requestID}})
	})
	return token, err
}

// Close ends a feed. Error: report.ErrNotFound.
func (p *Window) Close(ctx context.Context, who identity.Account, requestID, id string) error {
	return unknown(p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := feed.Revoke(ctx, tx, requestID, id, own(who), who.Username, p.office.Now()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: who.Username, Action: "feed.revoke", Subject: id, Detail: map[string]any{"request": requestID}})
	}))
}
