package web

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/trace"
)

type callKey struct{}

// call is what is known of a request besides what net/http knows.
type call struct {
	id     string // UUIDv7
	caller string // trace id that the client sent, or empty
	outage *outage
	// told says that the log has the outage for which this call is refused.
	told bool
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil {
		return &call{outage: &outage{}}
	}
	return c
}

// RequestID returns the id of the request (UUIDv7), or "" outside of one.
func RequestID(ctx context.Context) string { return callOf(ctx).id }

// TraceParent returns the W3C traceparent of the request, or "".
func TraceParent(ctx context.Context) string { return trace.From(ctx) }

func identify(lg zerolog.Logger) func(http.Handler) http.Handler {
	away := &outage{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			parent := r.Header.Get(trace.Header)
			c := &call{id: uuid.Must(uuid.NewV7()).String(), caller: trace.ID(parent), outage: away}
			w.Header().Set("X-Request-Id", c.id)
			ctx := context.WithValue(r.Context(), callKey{}, c)
			ctx = lg.With().Str("request_id", c.id).Logger().WithContext(ctx)
			ctx = trace.ContextWith(ctx, trace.Child(parent))
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// outage says once that requests are refused because something is away, however
// many are: the readiness checks tell what it is and when it is back.
type outage struct {
	mu   sync.Mutex
	last time.Time // of the last refusal
}

// outageOver is how long no request must have been refused for the next refusal
// to be another outage.
const outageOver = time.Minute

// begins notes a refusal and reports whether it is the first of an outage.
func (o *outage) begins() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	first := now.Sub(o.last) > outageOver
	o.last = now
	return first
}

// refused logs that a call is refused because something is away.
func refused(ctx context.Context, err error) {
	c := callOf(ctx)
	if c.told = !c.outage.begins(); c.told {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("a dependency is away")
		return
	}
	zerolog.Ctx(ctx).Warn().Err(err).Msg("a dependency is away; requests that need it are refused, and only this one is logged")
}

// access logs what changes something and what fails, and counts every request by
// route. The rest, pages that look again and again, is logged at level debug. The
// query is never logged: it may hold secrets.
func access(reg prometheus.Registerer) func(http.Handler) http.Handler {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sifilma_http_request_seconds", Help: "Duration of HTTP requests by route, method and status.",
		Buckets: []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	}, []string{"route", "method", "status"})
	if reg != nil {
		reg.MustRegister(seconds)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				status := ww.Status()
				if status == 0 {
					status = http.StatusOK
				}
				route := "unknown"
				if rc := chi.RouteContext(r.Context()); rc != nil && rc.RoutePattern() != "" {
					route = rc.RoutePattern()
				}
				took := time.Since(start)
				seconds.WithLabelValues(route, method(r.Method), strconv.Itoa(status)).Observe(took.Seconds())
				c := callOf(r.Context())
				line := zerolog.Ctx(r.Context()).WithLevel(level(r.Method, status, c.told))
				if c.caller != "" && c.caller != trace.ID(trace.From(r.Context())) {
					line.Str("caller_trace_id", c.caller) // the request that is concerned has a trace of its own
				}
				line.Str("method", r.Method).Str("route", route).
					Str("path", shownPath(r)).Int("status", status).Int("bytes", ww.BytesWritten()).
					Dur("took_ms", took).Str("remote", ClientIP(r)).Msg("http request")
			}()
			next.ServeHTTP(ww, r)
		})
	}
}

// shownPath is the path as it may be logged: a token in it is a secret, and a key that
// people look for may be the PCID of a card.
func shownPath(r *http.Request) string {
	if rc := chi.RouteContext(r.Context()); rc != nil && (rc.URLParam("token") != "" || rc.URLParam("key") != "") {
		return rc.RoutePattern()
	}
	return r.URL.Path
}

// level is that of a request's line in the log.
func level(method string, status int, told bool) zerolog.Level {
	switch {
	case status == http.StatusServiceUnavailable && told:
		return zerolog.DebugLevel
	case status >= http.StatusInternalServerError:
		return zerolog.WarnLevel
	case status >= http.StatusBadRequest:
		return zerolog.InfoLevel
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}

// method keeps invented methods from making metric series.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
