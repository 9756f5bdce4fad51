package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/spoiled"
)

// What is spoiled is the sender's fault also through the whole of the intake:
// each is refused with its one reason, none is an answer of 500.
func TestSpoiledFilesOverHTTP(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, p := range spoiled.Papers(t) {
		if p.Code == "" {
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
		if s.Refused == "" {
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
