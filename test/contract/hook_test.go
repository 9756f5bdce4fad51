package contract_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/contract"
)

// witness is a test that remembers that it failed.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Helper()           {}
func (w *witness) Error(args ...any) { w.said = append(w.said, fmt.Sprint(args...)) }
func (w *witness) Errorf(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

const (
	accepted = `{"id":"019aa1f0-3c5b-7c41-9d0e-6a1f1f0c7a01","ticket":"PSAM-2026-000123-2","status_url":"/api/v1/requests/x","submission":1}`
	filled   = `{"kind":"rekam_cetak","title":"a","sam_function":"R","card_count":1,"machine_type":"m",
		"letter":{"sender":"a","post":"b","number":"c","date":"2026-11-20","subject":"d"}}`
)

// exchange is what a test sent and a handler answered.
type exchange struct {
	daemon, method, path string
	form                 []string // parts of a drop: name, content
	header               []string
	status               int
	answer               string
	media                string
	gives                []string // headers of the answer
}

func drop(parts ...string) exchange {
	return exchange{
		daemon: "intake", method: http.MethodPost, path: "/api/v1/requests", form: parts,
		header: []string{"Authorization", "Bearer x", "Idempotency-Key", "k"}, status: 202, answer: accepted, gives: []string{"Location", "/x"},
	}
}

func read(status int, answer string, gives ...string) exchange {
	return exchange{
		daemon: "portal", method: http.MethodGet, path: "/api/v1/me", header: []string{"Cookie", "sifilma_session=x"},
		status: status, answer: answer, gives: gives,
	}
}

func (e exchange) with(change func(*exchange)) exchange { change(&e); return e }

func problem(status int, code string) string {
	return fmt.Sprintf(`{"type":"urn:sifilma:problem:%s","title":"t","status":%d}`, code, status)
}

const me = `{"username":"a","name":"b","role":"operator","role_label":"c","institution":null,"institution_id":null,"must_change_password":false}`

func TestWhatIsNotDescribedIsNoticed(t *testing.T) {
	t.Parallel()
	whole := []string{"request", filled, "letter", "%PDF", "card_list", "PK"}
	for name, c := range map[string]struct {
		exchange
		says string // empty: nothing
	}{
		"an answer as described":      {read(200, me), ""},
		"a field more":                {read(200, strings.Replace(me, `{`, `{"secret":1,`, 1)), "secret"},
		"a field less":                {read(200, `{"username":"a"}`), "role"},
		"another type":                {read(200, strings.Replace(me, `null`, `7`, 1)), "institution"},
		"another media type":          {read(200, me).with(func(e *exchange) { e.media = "text/plain" }), "text/plain"},
		"another status":              {read(418, me), "status is not supported"},
		"a header more":               {read(200, me, "ETag", `"1"`), "Etag"},
		"a known problem":             {read(401, problem(401, "unauthenticated"), "WWW-Authenticate", "x"), ""},
		"a problem without header":    {read(401, problem(401, "unauthenticated")), "WWW-Authenticate"},
		"an unknown code":             {read(401, problem(401, "nonesuch"), "WWW-Authenticate", "x"), "at /type"},
		"a code of another operation": {read(401, problem(401, "login-refused"), "WWW-Authenticate", "x"), "login-refused"},
		"a code of another status":    {read(500, problem(500, "conflict")), "conflict"},
		"an unknown field code": {read(500, strings.Replace(problem(500, "internal"), `}`,
			`,"errors":[{"pointer":"/a","code":"nonesuch","detail":"d"}]}`, 1)), "nonesuch"},
		"no session, and taken": {read(200, me).with(func(e *exchange) { e.header = nil }), "session"},
		"an unknown parameter":  {read(200, me).with(func(e *exchange) { e.path += "?x=1" }), `"x"`},
		"the other daemon's":    {read(200, me).with(func(e *exchange) { e.daemon = "intake" }), "status is not supported"},
		"no such address":       {read(404, problem(404, "not-found")).with(func(e *exchange) { e.path = "/api/v1/none" }), ""},
		"no such method":        {read(405, problem(405, "method-not-allowed"), "Allow", "GET").with(func(e *exchange) { e.method = "PUT" }), ""},
		"a page":                {read(200, me).with(func(e *exchange) { e.path = "/masuk" }), ""},
		"a drop":                {drop(whole...), ""},
		"a drop, part missing":  {drop(whole[:4]...), "card_list"},
		"a drop, part unknown":  {drop(append(whole, "virus", "x")...), "virus"},
		"a drop, part twice":    {drop(append(whole, "letter", "x")...), "twice"},
		"a drop, many orders":   {drop(append(whole, "purchase_order", "1", "purchase_order", "2")...), ""},
		"a drop, large letter":  {drop("request", filled, "letter", strings.Repeat("a", 3<<20+1), "card_list", "PK"), "bytes"},
		"a drop, field unknown": {drop("request", strings.Replace(filled, `{`, `{"x":1,`, 1), "letter", "%PDF", "card_list", "PK"), "request"},
		"a drop without key":    {drop(whole...).with(func(e *exchange) { e.header = e.header[:2] }), "Idempotency-Key"},
		"a wrong drop, refused": {drop(whole[:2]...).with(func(e *exchange) {
			e.status, e.answer, e.gives = 422, problem(422, "unprocessable"), nil
		}), ""},
	} {
		for way, send := range map[string]func(*testing.T, testing.TB, exchange){"handler": throughHandler, "transport": throughTransport} {
			w := &witness{TB: t}
			send(t, w, c.exchange)
			if c.says == "" {
				require.Empty(t, w.said, "%s, %s", name, way)
				continue
			}
			require.Len(t, w.said, 1, "%s, %s", name, way)
			require.Contains(t, w.said[0], c.says, "%s, %s", name, way)
		}
	}
}

func (e exchange) asks(t *testing.T, base string) *http.Request {
	t.Helper()
	var body io.Reader = http.NoBody
	media := ""
	if e.form != nil {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i+1 < len(e.form); i += 2 {
			require.NoError(t, w.WriteField(e.form[i], e.form[i+1]))
		}
		require.NoError(t, w.Close())
		body, media = &b, w.FormDataContentType()
	}
	r, err := http.NewRequestWithContext(t.Context(), e.method, base+e.path, body)
	require.NoError(t, err)
	if media != "" {
		r.Header.Set("Content-Type", media)
	}
	for i := 0; i+1 < len(e.header); i += 2 {
		r.Header.Set(e.header[i], e.header[i+1])
	}
	return r
}

func (e exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // as a handler that takes it
	media := e.media
	if media == "" {
		media = "application/json"
		if e.status >= 400 {
			media = "application/problem+json"
		}
	}
	w.Header().Set("Content-Type", media)
	for i := 0; i+1 < len(e.gives); i += 2 {
		w.Header().Set(e.gives[i], e.gives[i+1])
	}
	w.WriteHeader(e.status)
	_, _ = io.WriteString(w, e.answer) // the client may be gone
}

func throughHandler(t *testing.T, judge testing.TB, e exchange) {
	t.Helper()
	w := httptest.NewRecorder()
	contract.Handler(judge, e.daemon, e).ServeHTTP(w, e.asks(t, ""))
	require.Equal(t, e.status, w.Code)
	require.Equal(t, e.answer, w.Body.String())
}

func throughTransport(t *testing.T, judge testing.TB, e exchange) {
	t.Helper()
	server := httptest.NewServer(e)
	defer server.Close()
	client := &http.Client{Transport: contract.Transport(judge, e.daemon, server.Client().Transport)}
	res, err := client.Do(e.asks(t, server.URL))
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, e.answer, string(answer), "the caller gets what was answered")
}

func TestRoutesAreCompared(t *testing.T) {
	t.Parallel()
	r := chi.NewRouter()
	nothing := func(http.ResponseWriter, *http.Request) {}
	r.Get("/masuk", nothing)
	r.Get("/api/v1/secret", nothing)
	r.With(web.Pages).Get("/api/v1/me", nothing)
	w := &witness{TB: t}
	contract.Routes(w, "portal", r)
	said := strings.Join(w.said, "\n")
	require.Contains(t, said, "portal serves GET /api/v1/secret,")
	require.Contains(t, said, "portal does not serve POST /api/v1/session,")
	require.NotContains(t, said, "/masuk")
	require.NotContains(t, said, "/api/v1/me,")
	require.NotContains(t, said, "/readyz")
}
