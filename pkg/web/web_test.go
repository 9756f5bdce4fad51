package web

import (
	"bufio"
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRouter(maxBody int64) (chi.Router, *buffer) {
	var out buffer
	return NewRouter(Options{Log: zerolog.New(&out).Hook(trace.Hook{}), MaxBody: maxBody, Metrics: prometheus.NewRegistry()}), &out
}

func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func problemOf(t *testing.T, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	var p Problem
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	require.Equal(t, w.Code, p.Status)
	require.NotEmpty(t, p.Title)
	return p
}

func TestEveryRequestIsIdentifiedAndLogged(t *testing.T) {
	t.Parallel()
	r, out := newRouter(0)
	var ctx context.Context
	r.Get("/cards/{id}", func(w http.ResponseWriter, r *http.Request) {
		ctx = r.Context()
		zerolog.Ctx(ctx).Info().Msg("inside")
		WriteJSON(w, r, http.StatusTeapot, map[string]int{"a": 1})
	})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w := ask(r, http.MethodGet, "/cards/7?token=rahasia", "", "traceparent", parent)
	require.Equal(t, http.StatusTeapot, w.Code)
	require.JSONEq(t, `{"a":1}`, w.Body.String())
	id := uuid.MustParse(w.Header().Get("X-Request-Id"))
	require.EqualValues(t, 7, id.Version())
	require.Equal(t, id.String(), RequestID(ctx))
	require.Equal(t, trace.ID(parent), trace.ID(TraceParent(ctx)))
	require.NotEqual(t, parent, TraceParent(ctx), "a new span of the same trace")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2)
	for _, l := range lines {
		require.Contains(t, l, id.String())
		require.Contains(t, l, trace.ID(parent))
	}
	require.Contains(t, lines[1], `"route":"/cards/{id}"`)
	require.Contains(t, lines[1], `"status":418`)
	require.NotContains(t, out.String(), "rahasia")

	w = ask(r, http.MethodGet, "/cards/7", "", "traceparent", "nonsense")
	require.Equal(t, http.StatusTeapot, w.Code)
	require.True(t, trace.Valid(TraceParent(ctx)))
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	r, _ := newRouter(0)
	ok := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) }
	r.Get("/api", ok)
	r.With(Pages).Get("/page", ok)
	for target, policy := range map[string]string{"/api": "default-src 'none'; base-uri", "/page": "script-src 'self'", "/missing": "default-src 'none'; base-uri"} {
		h := ask(r, http.MethodGet, target, "").Header()
		require.Contains(t, h.Get("Content-Security-Policy"), policy, target)
		require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", h.Get("Cache-Control"))
	}
}

func TestUnknownAddressMethodAndPanicAreProblems(t *testing.T) {
	t.Parallel()
	r, out := newRouter(0)
	r.Get("/x", func(http.ResponseWriter, *http.Request) { panic("kabel putus") })
	require.Equal(t, "urn:sifilma:problem:not-found", problemOf(t, ask(r, http.MethodGet, "/y", "")).Type)
	w := ask(r, http.MethodPost, "/x", "")
	require.Equal(t, http.StatusMethodNotAllowed, problemOf(t, w).Status)
	require.Equal(t, "GET", w.Header().Get("Allow"))
	p := problemOf(t, ask(r, http.MethodGet, "/x", ""))
	require.Equal(t, http.StatusInternalServerError, p.Status)
	require.NotContains(t, p.Detail, "kabel")
	require.Len(t, p.TraceID, 32)
	require.Contains(t, out.String(), "kabel putus")
	require.Contains(t, out.String(), p.TraceID)
}

func TestPanicAfterThePartOfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	r, _ := newRouter(0)
	r.Get("/x", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("boom")
	})
	s := httptest.NewServer(r)
	defer s.Close()
	res, err := s.Client().Get(s.URL + "/x")
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	_, err = io.ReadAll(res.Body)
	require.Error(t, err, "half an answer must not look whole")
}

func TestErrorsBecomeProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"problem":        {fmt.Errorf("wrapped: %w", NotFound("Tidak ada.")), 404},
		"stale":          {fmt.Errorf("wrapped: %w", postgres.ErrStale), 409},
		"database away":  {driver.ErrBadConn, 503},
		"commit unknown": {postgres.ErrCommitUnknown, 503},
		"deadline":       {context.DeadlineExceeded, 503},
		"too large":      {&http.MaxBytesError{Limit: 10 << 20}, 413},
		"bug":            {errors.New("rahasia dapur"), 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, out := newRouter(0)
			r.Get("/", Handle(func(http.ResponseWriter, *http.Request) error { return c.err }))
			w := ask(r, http.MethodGet, "/", "")
			p := problemOf(t, w)
			require.Equal(t, c.status, p.Status)
			require.NotContains(t, w.Body.String(), "rahasia")
			require.True(t, strings.HasPrefix(p.Instance, "urn:uuid:"))
			if c.status == 503 {
				require.Equal(t, "5", w.Header().Get("Retry-After"))
			}
			if c.status == 500 {
				require.Contains(t, out.String(), "rahasia dapur")
			}
		})
	}
}

func TestProblemConstructors(t *testing.T) {
	t.Parallel()
	for status, p := range map[int]*Problem{
		400: BadRequest("x"), 401: Unauthorized("x"), 403: Forbidden("x"), 404: NotFound("x"), 405: MethodNotAllowed(),
		409: Conflict("x"), 412: PreconditionFailed("x"), 413: TooLarge(5 << 20), 415: UnsupportedMedia("x"),
		422: Unprocessable("x", FieldError{"/nomor", "required", "Wajib diisi."}), 428: PreconditionRequired(),
		429: TooMany(1500 * time.Millisecond), 500: Internal(), 503: Unavailable(time.Second),
	} {
		require.Equal(t, status, p.Status)
		require.True(t, strings.HasPrefix(p.Type, "urn:sifilma:problem:"))
		require.NotEmpty(t, p.Detail)
	}
	require.Contains(t, TooLarge(5<<20).Detail, "5 MB")
	require.Contains(t, TooLarge(2048).Detail, "2 KB")
	require.Equal(t, http.StatusBadRequest, ProblemOf(t.Context(), fmt.Errorf("reading: %w", &pq.Error{Code: "22021"})).Status)
	require.Contains(t, TooLarge(10).Detail, "10 bita")
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	WriteProblem(w, r, *TooMany(1500 * time.Millisecond))
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	w = httptest.NewRecorder()
	WriteProblem(w, r, *Unauthorized("x"))
	require.Equal(t, "Bearer", w.Header().Get("WWW-Authenticate"))
	require.Equal(t, "urn:sifilma:problem:queue-frozen", Conflict("x").WithCode("queue-frozen").Type)
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	type line struct {
		Quantity int `json:"quantity"`
	}
	type input struct {
		Name  string `json:"name"`
		Lines []line `json:"lines"`
	}
	const js = "application/json; charset=utf-8"
	for name, c := range map[string]struct {
		mediaType, body string
		status          int
		pointer         string
	}{
		"good":          {js, `{"name":"a","lines":[{"quantity":2}]}`, 200, ""},
		"media type":    {"text/plain", `{}`, 415, ""},
		"no media type": {"", `{}`, 415, ""},
		"unknown field": {js, `{"nama/x":"a"}`, 400, "/nama~1x"},
		"wrong type":    {js, `{"lines":[{"quantity":"2"}]}`, 400, "/lines/quantity"},
		"wrong at top":  {js, `[]`, 400, ""},
		"syntax":        {js, `{"name":}`, 400, ""},
		"cut":           {js, `{"name":"a"`, 400, ""},
		"empty":         {js, ``, 400, ""},
		"NUL":           {js, `{"name":"a\u0000b"}`, 400, "/name"},
		"escaped slash": {js, `{"name":"a\\u0000b"}`, 200, ""},
		"second value":  {js, `{"name":"a"} {}`, 400, ""},
		"too large":     {js, `{"name":"` + strings.Repeat("a", 300) + `"}`, 413, ""},
		"too large end": {js, `{"name":"a"}` + strings.Repeat(" ", 300), 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRouter(200)
			r.Post("/", Handle(func(w http.ResponseWriter, r *http.Request) error {
				var in input
				if err := DecodeJSON(r, &in); err != nil {
					return err
				}
				WriteJSON(w, r, http.StatusOK, in)
				return nil
			}))
			w := ask(r, http.MethodPost, "/", c.body, "Content-Type", c.mediaType)
			require.Equal(t, c.status, w.Code, w.Body.String())
			if c.status == 200 {
				return
			}
			p := problemOf(t, w)
			if c.pointer != "" {
				require.Len(t, p.Errors, 1)
				require.Equal(t, c.pointer, p.Errors[0].Pointer)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	SetVersion(w, 12)
	require.Equal(t, `"12"`, w.Header().Get("ETag"))
	for header, want := range map[string]int{`"12"`: 0, "": 428, "12": 412, "*": 412, `W/"12"`: 412, `"x"`: 412} {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.Header.Set("If-Match", header)
		v, err := MatchVersion(r)
		if want == 0 {
			require.NoError(t, err)
			require.EqualValues(t, 12, v)
			continue
		}
		var p *Problem
		require.ErrorAs(t, err, &p, header)
		require.Equal(t, want, p.Status, header)
	}
}

func TestRouteMayRaiseTheBodyLimit(t *testing.T) {
	t.Parallel()
	r, _ := newRouter(10)
	read := Handle(func(w http.ResponseWriter, r *http.Request) error {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		WriteJSON(w, r, http.StatusOK, len(b))
		return nil
	})
	r.Post("/small", read)
	r.With(BodyLimit(1000), Slow(time.Minute)).Post("/large", read)
	body := strings.Repeat("x", 500)
	require.Equal(t, 413, ask(r, http.MethodPost, "/small", body).Code)
	require.Equal(t, 200, ask(r, http.MethodPost, "/large", body).Code)
	require.Equal(t, 413, ask(r, http.MethodPost, "/large", body+body+body).Code)
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	protect, err := CrossOrigin("https://portal.example")
	require.NoError(t, err)
	_, err = CrossOrigin("portal")
	require.Error(t, err)
	r, _ := newRouter(0)
	r.With(protect).Post("/x", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	require.Equal(t, 204, ask(r, http.MethodPost, "/x", "", "Sec-Fetch-Site", "same-origin").Code)
	require.Equal(t, 204, ask(r, http.MethodPost, "/x", "", "Sec-Fetch-Site", "cross-site", "Origin", "https://portal.example").Code)
	require.Equal(t, 204, ask(r, http.MethodPost, "/x", "").Code, "a program is no browser")
	p := problemOf(t, ask(r, http.MethodPost, "/x", "", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"))
	require.Equal(t, "urn:sifilma:problem:cross-origin", p.Type)
}

func TestClientIPAndLocal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		peer, forwarded, ip string
		local               bool
	}{
		{"127.0.0.1:5", "", "127.0.0.1", true},
		{"[::1]:5", "", "::1", true},
		{"127.0.0.1:5", "198.51.100.1, 203.0.113.9", "203.0.113.9", false},
		{"127.0.0.1:5", "nonsense", "127.0.0.1", false},
		{"203.0.113.7:5", "127.0.0.1", "203.0.113.7", false},
		{"203.0.113.7:5", "", "203.0.113.7", false},
		{"@", "", "@", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		require.Equal(t, c.ip, ClientIP(r))
		require.Equal(t, c.local, Local(r), c)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "127.0.0.1:5"
	r.Header["X-Forwarded-For"] = []string{"198.51.100.1", "203.0.113.9"} // a proxy's own line behind the client's
	require.Equal(t, "203.0.113.9", ClientIP(r))
}

func TestServerCutsSlowHeaders(t *testing.T) {
	t.Parallel()
	s := NewServer(http.NotFoundHandler(), zerolog.Nop())
	require.Equal(t, 5*time.Second, s.ReadHeaderTimeout)
	require.NotZero(t, s.ReadTimeout)
	require.NotZero(t, s.WriteTimeout)
	s.ReadHeaderTimeout = 20 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n"))
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	_, err = bufio.NewReader(c).ReadString('x')
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}

func TestUnwritableAnswerIsAProblem(t *testing.T) {
	t.Parallel()
	r, out := newRouter(0)
	r.Get("/", func(w http.ResponseWriter, r *http.Request) { WriteJSON(w, r, http.StatusOK, func() {}) })
	require.Equal(t, 500, problemOf(t, ask(r, http.MethodGet, "/", "")).Status)
	require.Contains(t, out.String(), "cannot be written")
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(`{"name":"a"}`)
	f.Add(`{"name":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var in struct {
			Name string `json:"name"`
		}
		err := DecodeJSON(r, &in)
		var p *Problem
		if err != nil && (!errors.As(err, &p) || p.Status >= 500) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
