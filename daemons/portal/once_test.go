package main

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every page has the script that keeps a form from being sent twice, and it is served.
func TestFormsAreSentOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, path := range []string{"/aktivasi", "/penomoran", "/manifest"} {
		page := o.want(200, nil, "operator", http.MethodGet, path, nil).Body.String()
		at := regexp.MustCompile(`<script src="([^"]*sekali[^"]*)" defer>`).FindStringSubmatch(page)
		require.Len(t, at, 2, path)
		script := o.want(200, nil, "operator", http.MethodGet, at[1], nil)
		require.Contains(t, script.Header().Get("Content-Type"), "javascript")
		require.Contains(t, script.Body.String(), `addEventListener("submit"`)
	}
}
