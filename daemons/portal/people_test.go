package main

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

type personAnswer struct {
	ID, Username, Name, Role, Password string
	Active                             bool
	Version                            int64
	Expires                            *time.Time `json:"password_expires_at"`
}

func problemCode(t string) string { return t[len("urn:sifilma:problem:"):] }

func newWords(old, chosen string) map[string]string {
	return map[string]string{"old_password": old, "new_password": chosen, "confirmation": chosen}
}

// signIn opens a session under a name of the test's own.
func (o *office) signIn(as, username, secret string) {
	o.t.Helper()
	o.cookies[as] = o.want(204, nil, "", http.MethodPost, v1+"/session", login(username, secret)).Result().Cookies()[0]
}

// signInAgain opens a session for somebody whose last one has ended.
func (o *office) signInAgain(username string) {
	o.t.Helper()
	var a identity.Account
	require.NoError(o.t, o.db.Get(o.t.Context(), &a, `SELECT id, version FROM account WHERE username = $1`, username))
	token, err := identity.StartSession(o.t.Context(), o.db, a, o.machine.Now())
	require.NoError(o.t, err)
	o.cookies[username].Value = token
}

func TestAccountsAreLookedAfter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{"username": "pic-baru", "name": "PIC Baru", "role": "produsen", "institution_id": o.at.ID}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, v1+"/accounts", form)
		o.problem(403, who, http.MethodGet, v1+"/accounts", nil)
	}
	bad := o.problem(422, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "A b", "role": "dinas"})
	require.Equal(t, map[string]string{"/username": "wrong_form", "/name": "missing", "/institution_id": "missing"}, codes(bad))
	bad = o.problem(422, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "dinas", "name": "Dinas", "role": "dinas", "institution_id": o.at.ID})
	require.Equal(t, map[string]string{"/institution_id": "wrong_kind"}, codes(bad))
	bad = o.problem(422, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "operator", "name": "X", "role": "operator"})
	require.Equal(t, map[string]string{"/username": "used"}, codes(bad))

	var p personAnswer
	w := o.want(201, &p, "operator", http.MethodPost, v1+"/accounts", form)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.NotEmpty(t, p.Password)
	at := v1 + "/accounts/" + p.ID
	require.NotContains(t, o.want(200, nil, "operator", http.MethodGet, at, nil).Body.String(), p.Password, "shown once")

	// The one-time password opens only the way to another.
	o.signIn("baru", "pic-baru", p.Password)
	require.Equal(t, "password-change-due", problemCode(o.problem(403, "baru", http.MethodGet, v1+"/requests", nil).Type))
	o.want(200, nil, "baru", http.MethodGet, v1+"/me", nil)
	bad = o.problem(422, "baru", http.MethodPost, v1+"/me/password", map[string]string{"old_password": "", "new_password": "pendek", "confirmation": "x"})
	require.Equal(t, map[string]string{"/old_password": "missing", "/new_password": "too_short", "/confirmation": "differs"}, codes(bad))
	require.Equal(t, map[string]string{"/new_password": "too_simple"}, codes(o.problem(422, "baru", http.MethodPost, v1+"/me/password", newWords(p.Password, "aku pic-baru sekali"))))
	require.Equal(t, map[string]string{"/new_password": "unchanged"}, codes(o.problem(422, "baru", http.MethodPost, v1+"/me/password", newWords(p.Password, p.Password))))
	require.Equal(t, map[string]string{"/old_password": "wrong"}, codes(o.problem(422, "baru", http.MethodPost, v1+"/me/password", newWords("bukan ini", password))))
	o.signIn("baru-2", "pic-baru", p.Password)
	o.want(204, nil, "baru", http.MethodPost, v1+"/me/password", newWords(p.Password, password))
	o.want(200, nil, "baru", http.MethodGet, v1+"/requests", nil)
	o.problem(401, "baru-2", http.MethodGet, v1+"/me", nil) // other sessions have ended
	o.problem(401, "", http.MethodPost, v1+"/session", login("pic-baru", p.Password))

	require.NoError(t, o.db.Get(t.Context(), &p.Version, `SELECT version FROM account WHERE id = $1`, p.ID))
	o.problem(428, "operator", http.MethodPost, at+"/password-reset", nil)
	o.problem(412, "operator", http.MethodPost, at+"/password-reset", nil, ifMatch(p.Version-1)...)
	o.want(200, &p, "operator", http.MethodPost, at+"/password-reset", nil, ifMatch(p.Version)...)
	o.problem(401, "baru", http.MethodGet, v1+"/me", nil)
	o.problem(401, "", http.MethodPost, v1+"/session", login("pic-baru", password))
	o.signIn("baru", "pic-baru", p.Password)
	o.want(200, &p, "kasubdit", http.MethodPost, at+"/deactivation", nil, ifMatch(p.Version)...)
	require.False(t, p.Active)
	o.problem(401, "baru", http.MethodGet, v1+"/me", nil)
	o.problem(401, "", http.MethodPost, v1+"/session", login("pic-baru", p.Password))
	require.Equal(t, []string{"account.create", "session.start", "session.refuse", "session.start", "account.password", "session.refuse",
		"account.reset", "session.refuse", "session.start", "account.deactivate"}, o.deeds(p.ID))

	var list struct{ Accounts []personAnswer }
	o.want(200, &list, "operator", http.MethodGet, v1+"/accounts?role=produsen&active=true&limit=1", nil)
	require.Len(t, list.Accounts, 1)
	require.Equal(t, "produsen", list.Accounts[0].Username)
	o.problem(400, "operator", http.MethodGet, v1+"/accounts?role=raja", nil)
}

// A password for once that lies about too long opens nothing; a new one does.
func TestOneTimePasswordsExpire(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var p personAnswer
	o.want(201, &p, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "pic-baru", "name": "PIC Baru", "role": "produsen", "institution_id": o.at.ID})
	at := v1 + "/accounts/" + p.ID
	require.Equal(t, morning.Add(72*time.Hour), p.Expires.UTC())
	o.machine.Advance(72*time.Hour - time.Minute)
	o.signIn("baru", "pic-baru", p.Password)
	o.machine.Advance(time.Minute)
	o.signInAgain("operator")
	o.signInAgain("kasubdit")

	code := func(secret string) string {
		return problemCode(o.problem(401, "", http.MethodPost, v1+"/session", login("pic-baru", secret)).Type)
	}
	require.Equal(t, "login-refused", code("bukan ini"), "it is told to whoever has it only")
	require.Equal(t, "password-expired", code(p.Password))
	d, _ := o.post(422, "", "/masuk", "username", "pic-baru", "password", p.Password)
	require.Contains(t, d.text, "sudah kedaluwarsa. Mintalah kata sandi sekali masuk yang baru kepada Operator KI")
	require.Equal(t, map[string]string{"/old_password": "expired"}, codes(o.problem(422, "baru", http.MethodPost, v1+"/me/password", newWords(p.Password, password))))
	for range identity.MaxFailures { // its owner locks nothing
		require.Equal(t, "password-expired", code(p.Password))
	}
	require.Contains(t, o.page(200, "operator", "/data-induk/akun?cari=pic-baru").text, "Kata sandi kedaluwarsa")
	require.Contains(t, o.page(200, "operator", "/data-induk/akun/"+p.ID).text, "kedaluwarsa sejak 26 November 2026")

	old := p.Password
	o.want(200, &p, "operator", http.MethodPost, at+"/password-reset", nil, ifMatch(p.Version)...)
	require.Equal(t, "login-refused", code(old))
	o.signIn("baru", "pic-baru", p.Password)
	o.want(204, nil, "baru", http.MethodPost, v1+"/me/password", newWords(p.Password, password))
	o.want(200, &p, "operator", http.MethodGet, at, nil)
	require.Nil(t, p.Expires)
	o.machine.Advance(1000 * time.Hour)
	o.signIn("baru", "pic-baru", password)

	// Nor does it open anything for somebody who is shut out.
	o.signInAgain("operator")
	o.want(200, &p, "operator", http.MethodPost, at+"/password-reset", nil, ifMatch(p.Version)...)
	o.want(200, &p, "operator", http.MethodPost, at+"/deactivation", nil, ifMatch(p.Version)...)
	o.machine.Advance(73 * time.Hour)
	require.Equal(t, "login-refused", code(p.Password))
}

func TestNobodyShutsTheOfficeOut(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	of := func(username string) string { return v1 + "/accounts/" + o.idOf(username) }
	require.Equal(t, "own-account", problemCode(o.problem(409, "operator", http.MethodPost, of("operator")+"/deactivation", nil, ifMatch(1)...).Type))
	require.Equal(t, "own-account", problemCode(o.problem(409, "operator", http.MethodPost, of("operator")+"/password-reset", nil, ifMatch(1)...).Type))
	own := map[string]any{"name": "Operator KI", "role": "kasubdit"}
	require.Equal(t, "own-account", problemCode(o.problem(409, "operator", http.MethodPut, of("operator"), own, ifMatch(1)...).Type))
	require.Equal(t, "last-of-role", problemCode(o.problem(409, "operator", http.MethodPost, of("kasubdit")+"/deactivation", nil, ifMatch(1)...).Type))
	require.Equal(t, "last-of-role", problemCode(o.problem(409, "operator", http.MethodPut, of("kasubdit"), map[string]any{"name": "K", "role": "operator"}, ifMatch(1)...).Type))
	o.want(200, nil, "operator", http.MethodPut, of("kasubdit"), map[string]any{"name": "Kasubdit KI baru", "role": "kasubdit"}, ifMatch(1)...)
	o.want(200, nil, "kasubdit", http.MethodGet, v1+"/me", nil) // a name ends no session

	// The last two operators at once: one stays.
	shut := func(whom string) func() int {
		return func() int {
			return o.ask("kasubdit", http.MethodPost, of(whom)+"/deactivation", nil, ifMatch(1)...).Code
		}
	}
	for range 10 {
		require.ElementsMatch(t, []int{200, 409}, o.together(shut("operator"), shut("operator-2")))
		o.tx(func(ctx context.Context, tx *postgres.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE account SET active = true, version = 1 WHERE role = 'operator'`)
			return err
		})
	}

	// Another role is another person: the session ends.
	o.want(200, nil, "kasubdit", http.MethodPut, of("direktur"), map[string]any{"name": "Direktur", "role": "persuratan"}, ifMatch(1)...)
	o.problem(401, "direktur", http.MethodGet, v1+"/me", nil)
}

func TestWrongOldPasswordsLock(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.hire("petugas")
	o.signIn("petugas", "petugas", password)
	for range identity.MaxFailures {
		o.problem(422, "petugas", http.MethodPost, v1+"/me/password", newWords("bukan ini", "kata sandi yang lain"))
	}
	o.problem(429, "petugas", http.MethodPost, v1+"/me/password", newWords(password, "kata sandi yang lain"))
	o.machine.Advance(identity.LockFor + time.Minute)
	o.want(204, nil, "petugas", http.MethodPost, v1+"/me/password", newWords(password, "kata sandi yang lain"))
}

type keyAnswer struct {
	ID, Label, State, Key string
	CreatedBy             string `json:"created_by"`
	RevokedBy             string `json:"revoked_by"`
	Networks              []string
}

func TestAPIKeysOfAnInstitution(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{"label": "Sistem produksi", "scopes": []string{"request:write", "request:read"}, "networks": []string{"203.0.113.9/24", " ", "::ffff:198.51.100.1"}, "expires_on": "2027-03-01"}
	for _, who := range []string{"persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, v1+"/api-keys", form)
		o.problem(403, who, http.MethodGet, v1+"/api-keys", nil)
	}
	bad := o.problem(422, "produsen", http.MethodPost, v1+"/api-keys", map[string]any{"scopes": []string{"all"}, "networks": []string{"kantor", "10.0.0.0/33"}, "expires_on": "2026-11-22"})
	require.Equal(t, map[string]string{"/label": "missing", "/scopes": "unknown_value", "/networks": "wrong_form", "/expires_on": "in_past"}, codes(bad))
	require.Equal(t, map[string]string{"/institution_id": "missing"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/api-keys", form)))
	many := make([]string, 50_000)
	for i := range many {
		many[i] = "x"
	}
	bad = o.problem(422, "produsen", http.MethodPost, v1+"/api-keys", map[string]any{"label": "a", "scopes": []string{"request:read"}, "networks": many, "expires_on": "2027-03-01"})
	require.Equal(t, map[string]string{"/networks": "too_many"}, codes(bad))
	require.Len(t, bad.Errors, 1)
	form["institution_id"] = o.idOf("operator") // no institution's
	require.Equal(t, map[string]string{"/institution_id": "unknown_value"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/api-keys", form)))
	delete(form, "institution_id")

	var k keyAnswer
	w := o.want(201, &k, "produsen", http.MethodPost, v1+"/api-keys", form)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, []string{"203.0.113.0/24", "198.51.100.1/32"}, k.Networks)
	require.Equal(t, "produsen", k.CreatedBy)
	c, err := identity.CheckAPIKey(t.Context(), o.db, k.Key, "203.0.113.77", o.machine.Now())
	require.NoError(t, err)
	require.Equal(t, o.at.ID, c.InstitutionID)
	_, err = identity.CheckAPIKey(t.Context(), o.db, k.Key, "192.0.2.1", o.machine.Now())
	require.ErrorIs(t, err, identity.ErrElsewhere)
	_, err = identity.CheckAPIKey(t.Context(), o.db, k.Key, "203.0.113.77", time.Date(2027, 3, 1, 16, 59, 0, 0, time.UTC))
	require.NoError(t, err, "the whole of its last day")
	_, err = identity.CheckAPIKey(t.Context(), o.db, k.Key, "203.0.113.77", time.Date(2027, 3, 1, 17, 0, 0, 0, time.UTC))
	require.ErrorIs(t, err, identity.ErrBadKey)

	var list struct {
		Keys []keyAnswer `json:"api_keys"`
	}
	w = o.want(200, &list, "produsen", http.MethodGet, v1+"/api-keys", nil)
	require.Len(t, list.Keys, 1)
	require.NotContains(t, w.Body.String(), k.Key[40:], "shown once")
	o.want(200, &list, foreigner, http.MethodGet, v1+"/api-keys?institution_id="+o.at.ID, nil)
	require.Empty(t, list.Keys)
	form["institution_id"] = o.at.ID
	o.problem(404, foreigner, http.MethodPost, v1+"/api-keys", form)
	o.problem(404, foreigner, http.MethodPost, v1+"/api-keys/"+k.ID+"/revocation", nil)

	// Two of a purpose, also when three are made at once.
	another := func() int { return o.ask("operator", http.MethodPost, v1+"/api-keys", form).Code }
	require.ElementsMatch(t, []int{201, 409, 409}, o.together(another, another, another))
	for i := range 4 {
		form["label"] = fmt.Sprintf("keperluan %d", i)
		require.ElementsMatch(t, []int{201, 201, 409, 409}, o.together(another, another, another, another))
	}
	form["label"] = "keperluan yang kesebelas"
	require.Equal(t, "live-keys", problemCode(o.problem(409, "produsen", http.MethodPost, v1+"/api-keys", form).Type))
	o.want(200, &list, "produsen", http.MethodGet, v1+"/api-keys", nil)
	require.Empty(t, list.Keys[0].CreatedBy, "who of the office made it is not told")
	o.want(200, &list, "operator", http.MethodGet, v1+"/api-keys", nil)
	require.Equal(t, "operator", list.Keys[0].CreatedBy)
	for _, other := range list.Keys[:2] {
		o.want(200, nil, "operator", http.MethodPost, v1+"/api-keys/"+other.ID+"/revocation", nil)
	}
	form["label"] = "sistem PRODUKSI" // the same purpose
	require.Equal(t, "live-keys", problemCode(o.problem(409, "produsen", http.MethodPost, v1+"/api-keys", form).Type))
	var revoked keyAnswer
	o.want(200, &revoked, "produsen", http.MethodPost, v1+"/api-keys/"+k.ID+"/revocation", nil)
	require.Equal(t, "revoked", revoked.State)
	require.Equal(t, "produsen", revoked.RevokedBy)
	require.Equal(t, "already-so", problemCode(o.problem(409, "produsen", http.MethodPost, v1+"/api-keys/"+k.ID+"/revocation", nil).Type))
	_, err = identity.CheckAPIKey(t.Context(), o.db, k.Key, "203.0.113.77", o.machine.Now())
	require.ErrorIs(t, err, identity.ErrBadKey)
	o.want(201, nil, "produsen", http.MethodPost, v1+"/api-keys", form)
	require.Equal(t, []string{"api_key.create", "api_key.revoke"}, o.deeds(k.ID))

	// An institution that takes no part: its keys do not get in.
	o.want(201, &k, "produsen", http.MethodPost, v1+"/api-keys", map[string]any{"label": "lain", "scopes": []string{"request:read"}, "expires_on": "2026-12-01"})
	o.want(200, nil, "operator", http.MethodPost, v1+"/institutions/"+o.at.ID+"/deactivation", nil, ifMatch(1)...)
	_, err = identity.CheckAPIKey(t.Context(), o.db, k.Key, "192.0.2.1", o.machine.Now())
	require.ErrorIs(t, err, identity.ErrBadKey)
	usable, err := identity.UsableKeys(t.Context(), o.db, []string{k.ID}, identity.ScopeRequestRead, o.machine.Now())
	require.NoError(t, err)
	require.Empty(t, usable)
}
