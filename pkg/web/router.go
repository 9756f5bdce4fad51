package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

const (
	defaultMaxBody = 1 << 20 // bytes

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Options of NewRouter.
type Options struct {
	Log     zerolog.Logger
	MaxBody int64                 // bytes; 0 means 1 MiB. A route may raise it with BodyLimit.
	Metrics prometheus.Registerer // nil for none
}

// NewRouter returns a router that gives every request an id, a trace context, a
// logger in its context (zerolog.Ctx), security headers and a body limit, logs it
// when it changes something or fails, and answers a panic, an unknown address and
// a wrong method with a problem.
func NewRouter(o Options) chi.Router {
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	r := chi.NewRouter()
	r.Use(identify(o.Log), access(o.Metrics), recoverer, secure, BodyLimit(o.MaxBody))
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, *NotFound("Tidak ada apa pun pada alamat ini."))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		allow(w, r)
		WriteProblem(w, r, *MethodNotAllowed())
	})
	return r
}

// allow names the methods of the address, as RFC 9110 section 15.5.6 demands.
func allow(w http.ResponseWriter, r *http.Request) {
	routes := chi.RouteContext(r.Context()).Routes
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), m, r.URL.Path) {
			w.Header().Add("Allow", m)
		}
	}
}

// NewServer returns a server for h with the timeouts of the house; a route may
// extend its own with Slow.
func NewServer(h http.Handler, lg zerolog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(serverLog{lg}, "", 0),
	}
}

type serverLog struct{ log zerolog.Logger }

func (s serverLog) Write(b []byte) (int, error) {
	s.log.Debug().Msg(strings.TrimSpace(string(b)))
	return len(b), nil
}

func recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v) // the server's own way to drop a connection
			}
			zerolog.Ctx(r.Context()).Error().Str("panic", fmt.Sprint(v)).Bytes("stack", debug.Stack()).Msg("handler panicked")
			if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
				panic(http.ErrAbortHandler) // a part of the answer is out: do not let it look whole
			}
			WriteProblem(w, r, *Internal())
		}()
		next.ServeHTTP(w, r)
	})
}

const (
	apiPolicy  = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
		"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", apiPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Pages is middleware for HTML: a strict Content-Security-Policy that allows only
// the site's own scripts, styles, images and fonts, none of them inline.
func Pages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		next.ServeHTTP(w, r)
	})
}

// CrossOrigin is middleware that refuses state-changing requests a browser sends
// from another origin (http.CrossOriginProtection). trusted are origins such as
// "https://portal.example"; a malformed one is an error.
func CrossOrigin(trusted ...string) (func(http.Handler) http.Handler, error) {
	cop := http.NewCrossOriginProtection()
	for _, o := range trusted {
		if err := cop.AddTrustedOrigin(o); err != nil {
			return nil, fmt.Errorf("web: trusted origin %q: %w", o, err)
		}
	}
	cop.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		WriteProblem(w, r, *Forbidden("Permintaan ini dikirim dari situs lain.").WithCode("cross-origin"))
	}))
	return cop.Handler, nil
}

type bodyKey struct{}

// BodyLimit is middleware that lets handlers read at most limit bytes of the body. An
// inner BodyLimit replaces an outer one, up or down.
func BodyLimit(limit int64) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			whole, ok := r.Context().Value(bodyKey{}).(io.ReadCloser)
			if !ok {
				whole = r.Body
				r = r.WithContext(context.WithValue(r.Context(), bodyKey{}, whole))
			}
			r.Body = http.MaxBytesReader(w, whole, limit)
			next.ServeHTTP(w, r)
		})
	}
}

// Slow is middleware for routes that move large files: reading the request and
// writing the answer may each take d instead of the server's timeouts.
func Slow(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Now().Add(d))      // a test recorder has no deadlines
			_ = rc.SetWriteDeadline(time.Now().Add(2 * d)) // reading comes first
			next.ServeHTTP(w, r)
		})
	}
}

// ClientIP returns the address of the client: the last one a proxy on this machine
// put into X-Forwarded-For, else the peer.
func ClientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		// Some proxies add to the line that came, others a line of their own behind it.
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if last := net.ParseIP(strings.TrimSpace(hops[len(hops)-1])); last != nil {
			return last.String()
		}
	}
	return host
}

// Local reports whether the request comes from this machine itself and was not
// passed on by a proxy on it.
func Local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() &&
		r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == "" && r.Header.Get("X-Real-Ip") == ""
}
