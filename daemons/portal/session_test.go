package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/contract"
)

const password = "kata sandi yang panjang"

func (o *office) hire(username string) {
	o.t.Helper()
	require.NoError(o.t, identity.SetAccount(o.t.Context(), o.db,
		identity.Account{Username: username, Name: "Petugas", Role: request.Operator}, password))
}

// passOn posts JSON as a proxy on this machine passes it on.
func (o *office) passOn(path string, body any, header ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(o.t, err)
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(text))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	contract.Handler(o.t, "portal", o.router).ServeHTTP(w, r)
	return w
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
	o.machine.Advance(identity.LockFor + time.Second)
	o.want(204, nil, "", http.MethodPost, "/api/v1/session", login("petugas", password))
	o.problem(400, "", http.MethodPost, "/api/v1/session", map[string]any{"username": "petugas", "sandi": "x"})
	o.problem(400, "", http.MethodPost, "/api/v1/session", login("petugas\x00", password))
	for _, username := range []string{"%00", "%ff"} { // what PostgreSQL would choke on
		o.want(422, nil, "", http.MethodPost, "/masuk", "username="+username+"&password=x")
	}
	// Whose account it is, did not do it: it is the subject.
	var refused []struct {
		Actor, From string
		Locked      bool
	}
	require.NoError(t, o.db.Select(t.Context(), &refused, `
		SELECT actor, detail->>'from' AS from, (detail->>'locked')::bool AS locked FROM audit
		WHERE subject = $1 AND action = 'session.refuse' ORDER BY id`, o.idOf("petugas")))
	require.Len(t, refused, identity.MaxFailures)
	for i, r := range refused {
		require.Equal(t, "stranger", r.Actor)
		require.Equal(t, "192.0.2.1", r.From)
		require.Equal(t, i == identity.MaxFailures-1, r.Locked)
	}
}

// Wrong passwords from one place every quarter of an hour kept the Dirjen out for
// good.
func TestNobodyIsLockedOutByOthers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	enter := func(status int, browser *http.Cookie, from, secret string) *httptest.ResponseRecorder {
		t.Helper()
		header := []string{"X-Forwarded-For", from}
		if browser != nil {
			header = append(header, "Cookie", browser.String())
		}
		r := o.passOn("/api/v1/session", login("petugas", secret), header...)
		require.Equal(t, status, r.Code, r.Body)
		return r
	}
	cookies := enter(204, nil, "198.51.100.1", password).Result().Cookies()
	require.Len(t, cookies, 2)
	browser := cookies[1]
	require.Equal(t, "sifilma_browser", browser.Name)
	require.True(t, browser.HttpOnly)
	require.Equal(t, int(identity.BrowserLife/time.Second), browser.MaxAge)
	var kept int
	require.NoError(t, o.db.Get(t.Context(), &kept, `SELECT count(*) FROM known_browser WHERE position(convert_to($1, 'UTF8') IN token_sha256) = 0`, browser.Value))
	require.Equal(t, 1, kept, "only as its hash")

	for range identity.MaxFailures {
		enter(401, nil, "2001:db8::1", "salah")
	}
	enter(429, nil, "2001:db8::2", password) // the same /64
	enter(204, nil, "2001:db8:0:1::1", password)
	enter(204, browser, "2001:db8::3", password)
	enter(429, &http.Cookie{Name: browser.Name, Value: "terka"}, "2001:db8::3", password)

	// From very many networks: nobody gets in, but who was in before.
	for i := 0; ; i++ {
		w := o.passOn("/api/v1/session", login("petugas", "salah"), "X-Forwarded-For", fmt.Sprintf("10.0.%d.1", i/4))
		if w.Code == 429 {
			require.InDelta(t, identity.MaxEverybody-identity.MaxFailures, i, 1)
			break
		}
		require.Equal(t, 401, w.Code)
	}
	enter(429, nil, "198.51.100.1", password)
	enter(204, browser, "198.51.100.1", password)
	for range identity.MaxFailures {
		enter(401, browser, "198.51.100.1", "salah")
	}
	enter(429, browser, "198.51.100.1", password)
	o.machine.Advance(identity.EverybodyFor + time.Second)
	enter(204, nil, "198.51.100.1", password)
}

// The queue itself is tested where it is.
func TestTooManyPasswordsAtOnceAreAskedToWait(t *testing.T) {
	t.Parallel()
	var p *web.Problem
	require.ErrorAs(t, api.Explain(fmt.Errorf("comparing: %w", identity.ErrBusy)), &p)
	require.Equal(t, http.StatusServiceUnavailable, p.Status)
	require.Positive(t, p.RetryAfter)
	require.Contains(t, p.Detail, "Coba lagi")
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
