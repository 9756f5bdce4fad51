package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/esign/bsre"
	"dukcapil.go.id/sifilma/pkg/esign/esigntest"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/harness"
)

// TestASignedPaperIsKeptWhenPostgresReturns: the database goes while the service signs. The
// signed PDF is given out once; it is held, kept when the database is back, and nothing is
// signed again meanwhile.
func TestASignedPaperIsKeptWhenPostgresReturns(t *testing.T) {
	t.Parallel()
	o, service := newOffice(t), esigntest.NewBSrE(t)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(service.Password), 0o600))
	relay := harness.Proxy(t, o.database.Address())
	pool := o.database.Config(t, "sifilma_portal")
	pool.URL = strings.Replace(pool.URL, o.database.Address(), relay.Address(), 1)
	db, err := postgres.Open(pool)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	to, err := url.Parse(service.URL)
	require.NoError(t, err)
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ModifyResponse = func(*http.Response) error { // it has signed; its answer comes when the database is away
		relay.Cut()
		return nil
	}
	front := httptest.NewServer(pass)
	t.Cleanup(front.Close)
	o.router = web.NewRouter(web.Options{Log: zerolog.Nop(), MaxBody: 256 << 10})
	cfg := defaults().Portal
	cfg.Spool, cfg.BSrE = t.TempDir(), bsre.Config{URL: front.URL, Username: service.Username, PasswordFile: file, Timeout: esigntest.Patience}
	require.NoError(t, mount(o.router, cfg, db, o.clock, o.machine))

	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	paper, at := "/permohonan/"+v.Ticket+"/naskah/"+d.ID, "/api/v1/documents/"+d.ID+"/electronic-signature"
	in := map[string]any{"nik": "3171012345678901", "passphrase": passphrase}
	p := o.problem(409, "dirjen", http.MethodPost, at, in)
	require.Equal(t, "urn:sifilma:problem:signing-in-doubt", p.Type)
	require.Equal(t, 1, service.Signatures())
	require.Equal(t, []string{"bsre sent"}, o.signings(d.ID))

	require.NoError(t, o.machine.WaitTimers(t.Context(), 1)) // it waits for another try
	relay.Resume()
	require.Equal(t, "urn:sifilma:problem:signing-open", o.problem(409, "dirjen", http.MethodPost, at, in).Type, "never signed twice")
	require.Eventually(t, func() bool {
		o.machine.Advance(5 * time.Second)
		return o.signings(d.ID)[0] == "bsre signed"
	}, 30*time.Second, 20*time.Millisecond)
	kept, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Issued, kept.State)
	require.True(t, kept.Electronic)
	require.Equal(t, "2026-11-23", kept.SignedOn.String())
	require.NotContains(t, o.page(200, "dirjen", paper).text, "hasilnya belum diketahui")
	require.Equal(t, 1, service.Signatures())
}
