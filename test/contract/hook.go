package contract

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
)

func load(t testing.TB) *Document {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatalf("schema/openapi.yaml: %v", err)
	}
	return d
}

func (d *Document) judge(t testing.TB, daemon string, x exchange) {
	t.Helper()
	if err := d.check(daemon, x); err != nil {
		t.Errorf("%s %s answered %d, which schema/openapi.yaml does not describe: %v\n%.2000s",
			x.request.Method, x.request.URL.Path, x.status, err, x.answer)
	}
}

// Handler returns h with every exchange held to the document; daemon is the
// x-served-by of h.
func Handler(t testing.TB, daemon string, h http.Handler) http.Handler {
	t.Helper()
	d := load(t)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Helper()
		var sent bytes.Buffer
		seen := r.Clone(r.Context())
		if r.Body != nil {
			if _, err := io.Copy(&sent, r.Body); err != nil {
				t.Errorf("reading the test's own request: %v", err)
			}
			r.Body = io.NopCloser(bytes.NewReader(sent.Bytes()))
		}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		x := exchange{request: seen, status: answer.Code, header: answer.Header(), answer: answer.Body.Bytes()}
		if boundary := boundaryOf(seen.Header); boundary != "" {
			x.parts = readParts(bytes.NewReader(sent.Bytes()), boundary)
		} else {
			x.body = sent.Bytes()
		}
		d.judge(t, daemon, x)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // a recorder takes all
	})
}

// Transport returns base with every exchange held to the document. Bodies pass
// as they are, in the same pieces and at the same speed.
func Transport(t testing.TB, daemon string, base http.RoundTripper) http.RoundTripper {
	t.Helper()
	return &transport{t: t, daemon: daemon, base: base, doc: load(t)}
}

type transport struct {
	t      testing.TB
	daemon string
	base   http.RoundTripper
	doc    *Document
}

// CloseIdleConnections lets a client close those of the transport beneath.
func (tr *transport) CloseIdleConnections() {
	if c, ok := tr.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip sends a request and checks what came of it. A connection that broke
// says nothing.
func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	tap := &tap{header: r.Header}
	if r.Body != nil && r.Body != http.NoBody {
		sent.Body = tap.on(r.Body)
		if r.GetBody != nil {
			sent.GetBody = func() (io.ReadCloser, error) {
				again, err := r.GetBody()
				if err != nil {
					return nil, err
				}
				return tap.on(again), nil
			}
		}
	}
	res, err := tr.base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(answer), failing{err}))
	if err != nil {
		return res, nil // the caller meets the same error where it reads
	}
	x := exchange{request: r, status: res.StatusCode, header: res.Header, answer: answer}
	if res.StatusCode < 300 {
		x.body, x.parts = tap.result()
	}
	tr.doc.judge(tr.t, tr.daemon, x)
	return res, nil
}

// failing ends a body with an error, nil being its proper end.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// tap looks at a body that passes. A form is read as it goes by, so that a large
// one takes no memory; the client may send a body twice, and the last one counts.
type tap struct {
	header http.Header

	mu   sync.Mutex
	last *passing
}

type passing struct {
	io.ReadCloser
	body  bytes.Buffer // of what is no form
	pipe  *io.PipeWriter
	parts chan *parts
}

func (tp *tap) on(body io.ReadCloser) io.ReadCloser {
	p := &passing{ReadCloser: body}
	if boundary := boundaryOf(tp.header); boundary != "" {
		reader, writer := io.Pipe()
		p.pipe, p.parts = writer, make(chan *parts, 1)
		go func() {
			p.parts <- readParts(reader, boundary)
			_, _ = io.Copy(io.Discard, reader) // the body goes on, whatever it is
		}()
	}
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.last = p
	return p
}

// Read passes a piece on.
func (p *passing) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.pipe != nil {
		_, _ = p.pipe.Write(b[:n]) // its reader reads to the end
		if err != nil {
			_ = p.pipe.Close()
		}
	} else {
		p.body.Write(b[:n])
	}
	return n, err
}

// Close ends the form, also when the body was not read to its end.
func (p *passing) Close() error {
	if p.pipe != nil {
		_ = p.pipe.Close()
	}
	return p.ReadCloser.Close()
}

// result is what passed last, when the request was answered with success and the
// body so is whole.
func (tp *tap) result() ([]byte, *parts) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if tp.last == nil {
		return nil, nil
	}
	if tp.last.parts != nil {
		return nil, <-tp.last.parts
	}
	return tp.last.body.Bytes(), nil
}

// Routes fails the test when a daemon serves what the document does not describe
// or the other way around.
func Routes(t testing.TB, daemon string, router chi.Routes) {
	t.Helper()
	d := load(t)
	written, served := map[string]bool{}, map[string]bool{}
	for path, item := range d.Paths.Map() {
		for method, o := range item.Operations() {
			if slices.Contains(Words(o.Extensions, "x-served-by"), daemon) {
				written[method+" "+path] = true
			}
		}
	}
	if err := chi.Walk(router, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if described(pattern) {
			served[method+" "+strings.TrimSuffix(pattern, "/*")] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		has, lacks map[string]bool
		says       string
	}{{served, written, "%s serves %s, which schema/openapi.yaml does not describe"}, {written, served, "%s does not serve %s, which schema/openapi.yaml describes"}} {
		for route := range one.has {
			if !one.lacks[route] {
				t.Errorf(one.says, daemon, route)
			}
		}
	}
}
