// Package apidoc serves an OpenAPI document: as it is, as JSON, and as a page in
// Indonesian for the people who build against the API. The page is plain HTML
// made from the document, without scripts and without anybody else's files.
package apidoc

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's style
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/web"
)

//go:embed page.css
var style []byte

// Options of New.
type Options struct {
	// Server is the variable in the document's servers that stands for the
	// address of whoever serves the page.
	Server string
	// PublicURL is that address, without a slash at the end; empty takes it from
	// each request.
	PublicURL string
	// Others are the addresses of the other servers by their variables, without a
	// slash at the end. One that is empty or missing is shown as the document has it.
	Others map[string]string
}

// Doc is a document that is served.
type Doc struct {
	options Options
	read    *document
	yaml    file
	json    file
	style   file
	page    *file // nil when the address is not known beforehand
}

// New reads a document: YAML, OpenAPI 3.1. What it cannot show is an error, so
// that a fault shows at the start and not on the page.
func New(text []byte, o Options) (*Doc, error) {
	read, err := readDocument(text)
	if err != nil {
		return nil, fmt.Errorf("apidoc: %w", err)
	}
	asJSON, err := toJSON(text)
	if err != nil {
		return nil, fmt.Errorf("apidoc: %w", err)
	}
	d := &Doc{
		options: o, read: read,
		yaml: newFile("application/yaml", text), json: newFile("application/json", asJSON), style: newFile("text/css; charset=utf-8", style),
	}
	page, err := d.render(o.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("apidoc: %w", err)
	}
	if o.PublicURL != "" {
		d.page = &page
	}
	return d, nil
}

// Mount adds the routes: the page at /api, the document beside it.
func (d *Doc) Mount(r chi.Router) {
	r.Get("/api/openapi.yaml", d.yaml.serve)
	r.Get("/api/openapi.json", d.json.serve)
	r.Get("/api/page.css", d.style.serve)
	r.With(web.Pages).Get("/api", web.Handle(d.servePage))
}

func (d *Doc) servePage(w http.ResponseWriter, r *http.Request) error {
	if d.page != nil {
		d.page.serve(w, r)
		return nil
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	page, err := d.render(scheme + r.Host)
	if err != nil {
		return err
	}
	page.serve(w, r)
	return nil
}

// addresses are those of the servers that are known, by their variables.
func (d *Doc) addresses(base string) map[string]string {
	all := map[string]string{}
	for variable, address := range d.options.Others {
		all[variable] = strings.TrimRight(address, "/")
	}
	all[d.options.Server] = strings.TrimRight(base, "/")
	return all
}

func (d *Doc) render(base string) (file, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d.read.view(d.addresses(base))); err != nil {
		return file{}, err
	}
	return newFile("text/html; charset=utf-8", b.Bytes()), nil
}

// file is an answer that browsers may keep as long as they ask whether it is
// still the same.
type file struct {
	mediaType, tag string
	content        []byte
}

func newFile(mediaType string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{mediaType, `"` + hex.EncodeToString(sum[:16]) + `"`, content}
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content)) // answers If-None-Match
}
