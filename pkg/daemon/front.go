package daemon

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/web"
)

// front answers the addresses of the frame itself and passes the rest on to the
// daemon's router, once that is open.
type front struct {
	env  *Env
	addr string
	app  atomic.Pointer[chi.Router]
	own  chi.Router
}

// retryStart is what clients are told to wait while the daemon starts.
const retryStart = 2 * time.Second

func newFront(e *Env) *front {
	f := &front{env: e, own: web.NewRouter(web.Options{
		// Probes come every few seconds, and health logs each change once.
		Log: e.Log.Level(max(e.Log.GetLevel(), zerolog.ErrorLevel)),
	})}
	f.own.Get("/livez", func(w http.ResponseWriter, r *http.Request) {
		web.WriteJSON(w, r, http.StatusOK, map[string]string{"status": "ok"})
	})
	f.own.Get("/readyz", f.readyz)
	f.own.With(f.guard).Get("/api/v1/status", f.status)
	f.own.With(f.guard).Method(http.MethodGet, "/metrics", promhttp.HandlerFor(e.gatherers(), promhttp.HandlerOpts{}))
	return f
}

// open starts to serve the daemon's own routes.
func (f *front) open(app chi.Router) { f.app.Store(&app) }

// ServeHTTP serves the frame's addresses and the daemon's.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez", "/readyz", "/metrics", "/api/v1/status":
		f.own.ServeHTTP(w, r)
		return
	}
	if app := f.app.Load(); app != nil {
		(*app).ServeHTTP(w, r)
		return
	}
	web.WriteProblem(w, r, *web.Unavailable(retryStart))
}

func (f *front) readyz(w http.ResponseWriter, r *http.Request) {
	ready, phase, findings := f.env.health.run(r.Context())
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	if phase == "" {
		phase = "running"
	}
	web.WriteJSON(w, r, status, map[string]any{"ready": ready, "state": phase, "checks": findings})
}

func (f *front) status(w http.ResponseWriter, r *http.Request) {
	p := f.env.Status.page(r.Context())
	ready, _, findings := f.env.health.run(r.Context())
	p.Ready = ready
	p.OfficeTime = f.env.Office.Now()
	p.Checks = map[string]any{}
	for n, v := range findings {
		p.Checks[n] = v
	}
	web.WriteJSON(w, r, http.StatusOK, p)
}

// guard lets in this machine itself and whoever has the status token.
func (f *front) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case bearer && f.env.token != "" && same(token, f.env.token), !bearer && web.Local(r):
			next.ServeHTTP(w, r)
		case bearer || f.env.token != "":
			web.WriteProblem(w, r, *web.Unauthorized("Token status diperlukan."))
		default:
			web.WriteProblem(w, r, *web.Forbidden("Alamat ini hanya untuk mesin ini sendiri."))
		}
	})
}

// same compares in constant time; hashing hides the length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
