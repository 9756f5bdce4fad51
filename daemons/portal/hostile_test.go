package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/pkg/esign/bsre"
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
	// The same produsen in capitals is the same one.
	o.post(409, "kasubdit", "/manifest/lepas/"+strings.ToUpper(all.Waiting[0].ProdusenID), "versi", "1")
	s.bundles()
	p := o.problem(422, "produsen", http.MethodPost, releases+"/"+r.Number+"/receipt", map[string]any{"receiver": "Wakil\u202eContoh", "receiver_post": "PIC\u200b"})
	require.Equal(t, map[string]string{"/receiver": "bad_character", "/receiver_post": "bad_character"}, codes(p))
}

// TestPassphrasesLeaveNoCoreDump: a portal through which they pass keeps its memory to
// itself.
func TestPassphrasesLeaveNoCoreDump(t *testing.T) {
	t.Parallel()
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("rahasia\n"), 0o600))
	_, err := Portal{BSrE: bsre.Config{URL: "https://esign.example", Username: "sifilma", PasswordFile: password, Timeout: time.Minute}}.signer()
	require.NoError(t, err)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	require.Zero(t, dumpable)
}
