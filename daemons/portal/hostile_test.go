package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
)

// TestWhoTakesABundleHasANameThatCanBeRead: it stands on record for ever.
func TestWhoTakesABundleHasANameThatCanBeRead(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(1))
	o.acceptReaders(&v)
	s.manifests()
	var r manifests.View
	var all manifests.Overview
	o.want(200, &all, "kasubdit", http.MethodGet, releases, nil)
	o.want(201, &r, "kasubdit", http.MethodPost, releases, map[string]any{"produsen_id": all.Waiting[0].ProdusenID, "manifests": 1})
	s.bundles()
	p := o.problem(422, "produsen", http.MethodPost, releases+"/"+r.Number+"/receipt", map[string]any{"receiver": "Wakil\u202eContoh", "receiver_post": "PIC\u200b"})
	require.Equal(t, map[string]string{"/receiver": "bad_character", "/receiver_post": "bad_character"}, codes(p))
}
