package apidoc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/web/apidoc"
	"dukcapil.go.id/sifilma/schema"
)

func site(t *testing.T, o apidoc.Options) http.Handler {
	t.Helper()
	d, err := apidoc.New(schema.OpenAPI(), o)
	require.NoError(t, err)
	r := web.NewRouter(web.Options{Log: zerolog.Nop()})
	d.Mount(r)
	return r
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	h := site(t, apidoc.Options{Server: "intake"})
	for path, mediaType := range map[string]string{
		"/api/openapi.yaml": "application/yaml", "/api/openapi.json": "application/json", "/api": "text/html; charset=utf-8",
		"/api/page.css": "text/css; charset=utf-8",
	} {
		w := get(h, path)
		require.Equal(t, http.StatusOK, w.Code, path)
		require.Equal(t, mediaType, w.Header().Get("Content-Type"), path)
		require.Equal(t, "no-cache", w.Header().Get("Cache-Control"), path)
		tag := w.Header().Get("ETag")
		require.NotEmpty(t, tag, path)
		again := get(h, path, "If-None-Match", tag)
		require.Equal(t, http.StatusNotModified, again.Code, path)
		require.Zero(t, again.Body.Len(), path)
		require.Equal(t, http.StatusOK, get(h, path, "If-None-Match", `"another"`).Code, path)
	}
	require.Equal(t, string(schema.OpenAPI()), get(h, "/api/openapi.yaml").Body.String())
	text := get(h, "/api/openapi.json").Body.Bytes()
	var doc struct {
		OpenAPI string
		Paths   map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.Contains(t, doc.Paths, "/api/v1/requests/{ticket}")
	require.Less(t, strings.Index(string(text), `"info"`), strings.Index(string(text), `"components"`), "the order of the file is kept")
}

func TestThePage(t *testing.T) {
	t.Parallel()
	w := get(site(t, apidoc.Options{Server: "intake"}), "/api")
	page := w.Body.String()
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	for _, text := range []string{
		`lang="id"`, "Mulai di sini", "export INTAKE=http://example.com\n", `id="submitRequest"`, "<code>reference-used</code>",
		"dengan cakupan request:write", "paling besar 3 MB", "20.000", "PSAM-2026-000123-8", "Terlalu banyak permintaan",
	} {
		require.Contains(t, page, text)
	}
	for _, text := range []string{"<script", "style=", "<no value>", "{intake}", "{portal}", "ZgotmplZ", "%!"} {
		require.NotContains(t, page, text)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.False(t, ids[m[1]], "id %s is given twice", m[1])
		require.NotContains(t, m[1], " ", "an id has no spaces")
		ids[m[1]] = true
	}
	links := regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1)
	require.Greater(t, len(links), 200)
	for _, m := range links {
		require.True(t, ids[m[1]], "#%s leads nowhere", m[1])
	}
	for _, m := range regexp.MustCompile(`aria-labelledby="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.True(t, ids[m[1]], "%s labels nothing", m[1])
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"#]*)"`).FindAllStringSubmatch(page, -1) {
		require.Contains(t, []string{"api/page.css", "api/openapi.yaml", "api/openapi.json", "./"}, m[1], "addresses stay right behind a proxy's path")
	}
}

func TestAKnownAddressIsShown(t *testing.T) {
	t.Parallel()
	page := get(site(t, apidoc.Options{Server: "intake", PublicURL: "https://filma.example/masuk"}), "/api").Body.String()
	require.Contains(t, page, "export INTAKE=https://filma.example/masuk\n")
	page = get(site(t, apidoc.Options{Server: "portal", PublicURL: "https://filma.example/"}), "/api").Body.String()
	require.Contains(t, page, "export INTAKE=https://sifilma.example/intake\n", "this portal does not know where the intake is")
	require.Contains(t, page, "<code>https://filma.example</code>")
	page = get(site(t, apidoc.Options{Server: "portal", PublicURL: "https://filma.example/",
		Others: map[string]string{"intake": "https://masuk.filma.example/"}}), "/api").Body.String()
	require.Contains(t, page, "export INTAKE=https://masuk.filma.example\n")
	require.Contains(t, page, "<code>https://masuk.filma.example</code>")
}

func TestWhatCannotBeShownIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no YAML":             ":\n\t",
		"another version":     "openapi: 3.0.3",
		"a list of paths":     "openapi: 3.1.0\npaths: [a]",
		"a reference nowhere": "openapi: 3.1.0\npaths: {/a: {get: {responses: {'200': {$ref: '#/components/responses/X'}}}}}",
		"a problem unknown":   "openapi: 3.1.0\npaths: {/a: {get: {x-problems: [nonesuch]}}}",
		"nothing":             "",
	} {
		_, err := apidoc.New([]byte(text), apidoc.Options{})
		require.Error(t, err, name)
	}
}
