package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

const password = "kata sandi yang panjang"

func (o *office) hire(username string) {
	o.t.Helper()
	require.NoError(o.t, identity.SetAccount(o.t.Context(), o.db,
		identity.Account{Username: username, Name: "Petugas", Role: request.Operator}, password))
}

func login(username, secret string) map[string]string {
	return map[string]string{"username": username, "password": secret}
}

func TestLoginOpensASession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	o.problem(401, "", http.MethodGet, "/api/v1/me", nil)
	w := o.want(204, nil, "", http.MethodPost, "/api/v1/session", login("Petugas", password))
	cookie := w.Result().Cookies()[0]
	require.Equal(t, "sifilma_session", cookie.Name)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	require.Equal(t, "/", cookie.Path)
	o.cookies["petugas"] = cookie
	var me map[string]any
	o.want(200, &me, "petugas", http.MethodGet, "/api/v1/me", nil)
	require.Equal(t, "operator", me["role"])
	require.Equal(t, "Operator KI", me["role_label"])

	w = o.want(204, nil, "petugas", http.MethodPost, "/api/v1/session", login("petugas", password))
	o.problem(401, "petugas", http.MethodGet, "/api/v1/me", nil) // the session before it has ended
	o.cookies["petugas"] = w.Result().Cookies()[0]
	o.machine.Advance(20 * time.Minute)
	o.want(200, nil, "petugas", http.MethodGet, "/api/v1/me", nil)
	o.machine.Advance(identity.SessionIdle + time.Minute)
	o.problem(401, "petugas", http.MethodGet, "/api/v1/me", nil)

	w = o.want(204, nil, "", http.MethodPost, "/api/v1/session", login("petugas", password))
	o.cookies["petugas"] = w.Result().Cookies()[0]
	o.want(204, nil, "petugas", http.MethodDelete, "/api/v1/session", nil)
	o.problem(401, "petugas", http.MethodGet, "/api/v1/me", nil)
	var actions []string
	require.NoError(t, o.db.Select(t.Context(), &actions, `SELECT action FROM audit WHERE actor = 'petugas' ORDER BY id`))
	require.Contains(t, actions, "session.start")
	require.Contains(t, actions, "session.end")
}

func TestGuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	for _, username := range []string{"petugas", "tidak-ada"} {
		for i := range identity.MaxFailures {
			p := o.problem(401, "", http.MethodPost, "/api/v1/session", login(username, "salah"))
			require.Equal(t, "Nama pengguna atau kata sandi salah.", p.Detail, "%s %d", username, i)
		}
		w := o.want(429, nil, "", http.MethodPost, "/api/v1/session", login(username, password))
		require.Equal(t, "900", w.Header().Get("Retry-After"))
		require.NotContains(t, w.Body.String(), username)
	}
	// Elsewhere the account itself is locked, also for the right password.
	o.want(429, nil, "", http.MethodPost, "/api/v1/session", login("petugas", password), "X-Forwarded-For", "203.0.113.9")
	o.machine.Advance(identity.LockFor + time.Second)
	o.want(204, nil, "", http.MethodPost, "/api/v1/session", login("petugas", password))
	o.problem(400, "", http.MethodPost, "/api/v1/session", map[string]any{"username": "petugas", "sandi": "x"})
	o.problem(400, "", http.MethodPost, "/api/v1/session", login("petugas\x00", password))
	for _, username := range []string{"%00", "%ff"} { // what PostgreSQL would choke on
		o.want(422, nil, "", http.MethodPost, "/masuk", "username="+username+"&password=x")
	}
	var locked []bool
	require.NoError(t, o.db.Select(t.Context(), &locked,
		`SELECT (detail->>'locked')::bool FROM audit WHERE actor = 'petugas' AND action = 'session.refuse' ORDER BY id`))
	require.Equal(t, []bool{false, false, false, false, true}, locked)
}

func TestOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	o.problem(403, "persuratan", http.MethodPost, "/api/v1/requests/"+r.Ticket+"/letter", map[string]any{"received_on": "2026-11-23"},
		"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	require.Empty(t, o.see(r.Ticket).Facts)
	w := o.ask("", http.MethodPost, "/masuk", "username=a&password=b", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	require.Equal(t, 403, w.Code)
}

func TestHTTPSBindsTheCookieToTheHost(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	secure := chi.NewRouter()
	secure.Use(func(next http.Handler) http.Handler { return next })
	require.NoError(t, mount(secure, Portal{PublicURL: "https://sifilma.example", MaxScan: 1 << 20}, o.db, o.clock, o.machine))
	r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(`{"username":"petugas","password":"`+password+`"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	secure.ServeHTTP(w, r)
	require.Equal(t, 204, w.Code)
	cookie := w.Result().Cookies()[0]
	require.Equal(t, "__Host-sifilma_session", cookie.Name)
	require.True(t, cookie.Secure)
}

func TestAClosedAccountHasNoSession(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.want(200, nil, "operator", http.MethodGet, "/api/v1/me", nil)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE account SET active = false WHERE username = 'operator'`)
	})
	o.problem(401, "operator", http.MethodGet, "/api/v1/me", nil)
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	var log strings.Builder
	logged := web.NewRouter(web.Options{Log: zerolog.New(&log)})
	require.NoError(t, mount(logged, Portal{MaxScan: 1 << 20}, o.db, o.clock, o.machine))
	o.router = logged
	w := o.want(204, nil, "", http.MethodPost, "/api/v1/session", login("petugas", password))
	o.cookies["petugas"] = w.Result().Cookies()[0]
	o.want(200, nil, "petugas", http.MethodGet, "/api/v1/me", nil)
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), password)
	require.NotContains(t, log.String(), o.cookies["petugas"].Value)
}
