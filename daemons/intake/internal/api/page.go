package api

import (
	_ "embed" // the page and its style
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.html
var pageText string

//go:embed page.css
var styleText string

//go:embed intake.js
var scriptText string

//go:embed ikon.svg
var iconText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page explains the endpoint to the people who build against it.
func (a *API) page(w http.ResponseWriter, r *http.Request) error {
	base := a.cfg.PublicURL
	if base == "" {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		base = scheme + "://" + r.Host
	}
	var b strings.Builder
	err := pageTemplate.Execute(&b, map[string]any{
		"Base": base, "ScanMB": a.limits.Scan >> 20, "ListMB": a.limits.CardList >> 20, "Cards": thousands(a.limits.Cards),
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // the client may be gone
	return nil
}

// thousands writes a number the Indonesian way: 5.000.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s.%03d", thousands(n/1000), n%1000)
}

func (a *API) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write([]byte(styleText)) // the client may be gone
}

func (a *API) script(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write([]byte(scriptText)) // the client may be gone
}

// icon is at the address where browsers look by themselves, for the pages of others
// too.
func (a *API) icon(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write([]byte(iconText)) // the client may be gone
}
