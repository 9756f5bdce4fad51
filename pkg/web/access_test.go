package web

import (
	"database/sql/driver"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/trace"
)

// logged are the lines of a log at or above level info.
func logged(t *testing.T, out *buffer) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line["level"] != "debug" {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestOnlyChangesAndFaultsAreLogged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		status int
		level  any // nil when it is not logged
	}{
		"a page that looks again":     {http.MethodGet, http.StatusOK, nil},
		"a page that moved":           {http.MethodGet, http.StatusSeeOther, nil},
		"a change":                    {http.MethodPost, http.StatusAccepted, "info"},
		"a change by DELETE":          {http.MethodDelete, http.StatusNoContent, "info"},
		"a page that may not be seen": {http.MethodGet, http.StatusForbidden, "info"},
		"a page that failed":          {http.MethodGet, http.StatusInternalServerError, "warn"},
	} {
		r, out := newRouter(0)
		r.MethodFunc(c.method, "/x", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) })
		ask(r, c.method, "/x", "")
		lines := logged(t, out)
		if c.level == nil {
			require.Empty(t, lines, name)
			continue
		}
		require.Len(t, lines, 1, name)
		require.Equal(t, c.level, lines[0]["level"], name)
	}
}

func TestAnOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	r, out := newRouter(0)
	r.Post("/x", Handle(func(http.ResponseWriter, *http.Request) error { return driver.ErrBadConn }))
	for range 50 {
		require.Equal(t, http.StatusServiceUnavailable, ask(r, http.MethodPost, "/x", "").Code)
	}
	lines := logged(t, out)
	require.Len(t, lines, 2, "what is away, and the request that met it")
	require.Contains(t, lines[0]["message"], "a dependency is away")
	require.Equal(t, "http request", lines[1]["message"])
}

func TestACallJoinsTheTraceOfItsRequest(t *testing.T) {
	t.Parallel()
	own, caller := trace.New(), trace.New()
	r, out := newRouter(0)
	r.Post("/x", func(w http.ResponseWriter, r *http.Request) {
		trace.Join(r.Context(), own)
		WriteProblem(w, r, *Conflict("sudah"))
	})
	require.Equal(t, trace.ID(own), problemOf(t, ask(r, http.MethodPost, "/x", "", "traceparent", caller)).TraceID)
	lines := logged(t, out)
	require.Equal(t, trace.ID(own), lines[0]["trace_id"])
	require.Equal(t, trace.ID(caller), lines[0]["caller_trace_id"])
}

// TestSecretsInTheAddressAreNotLogged: whoever reads the log can use neither a token
// nor a number that people looked for.
func TestSecretsInTheAddressAreNotLogged(t *testing.T) {
	t.Parallel()
	r, out := newRouter(0)
	for _, route := range []string{"/x/{token}.ics", "/y/{key}"} {
		r.Get(route, Handle(func(http.ResponseWriter, *http.Request) error { return NotFound("tidak ada") }))
	}
	ask(r, http.MethodGet, "/x/rahasia.ics", "")
	ask(r, http.MethodGet, "/y/rahasia", "")
	lines := logged(t, out)
	require.Len(t, lines, 2)
	require.Equal(t, "/x/{token}.ics", lines[0]["path"])
	require.Equal(t, "/y/{key}", lines[1]["path"])
}

// TestATextOfTheAddressIsAsItWasMeant: with escapes chi hands it over as it stands.
func TestATextOfTheAddressIsAsItWasMeant(t *testing.T) {
	t.Parallel()
	r, _ := newRouter(0)
	var got string
	r.Get("/x/{key}", func(_ http.ResponseWriter, r *http.Request) { got = PathText(r, "key") })
	for path, want := range map[string]string{"/x/M-1": "M-1", "/x/M%2F2026%2F1": "M/2026/1", "/x/a%20b": "a b", "/x/a%2Fb%20c%25": "a/b c%", "/x/100%25": "100%"} {
		ask(r, http.MethodGet, path, "")
		require.Equal(t, want, got, path)
	}
}
