package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/spoiled"
)

// What is spoiled is the sender's fault also through the whole of the intake: one
// of each reason, and every bomb, is refused with its one reason and no answer of
// 500. The whole table goes through the reader of drops in its own package.
func TestSpoiledFilesOverHTTP(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	seen := map[string]bool{"": true} // accepted
	skip := func(name, code string) bool {
		known := seen[code]
		seen[code] = true
		return known && (code == "" || !strings.HasPrefix(name, "bomb"))
	}
	for _, p := range spoiled.Papers(t) {
		if skip(p.Name, p.Code) {
			continue
		}
		drop := whole(t)
		body := p.Body
		if body == nil {
			body = []byte{}
		}
		drop.set("letter", body)
		r := o.send(t, drops, drop, "k")
		require.Equal(t, http.StatusUnprocessableEntity, r.status, "%s: %s", p.Name, r.body)
		require.Equal(t, map[string]string{"/letter": p.Code}, r.pointers(), p.Name)
	}
	for _, s := range spoiled.Sheets(t) {
		if skip(s.Name, s.Refused) {
			continue
		}
		drop := whole(t)
		body := s.Body
		if body == nil {
			body = []byte{}
		}
		drop.set("card_list", body)
		r := o.send(t, drops, drop, "k")
		require.Equal(t, http.StatusUnprocessableEntity, r.status, "%s: %s", s.Name, r.body)
		require.Equal(t, map[string]string{"/card_list": s.Refused}, r.pointers(), s.Name)
	}
	o.nothing(t)
}
