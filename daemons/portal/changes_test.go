package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

type changeAnswer struct {
	ID, Kind, State, Username string
	AccountID                 string `json:"account_id"`
	ProposedBy                string `json:"proposed_by"`
	DecidedBy                 string `json:"decided_by"`
	Account                   *personAnswer
}

// propose demands that a change of an account is only proposed.
func (o *office) propose(who, method, path string, body any, header ...string) changeAnswer {
	o.t.Helper()
	var c changeAnswer
	w := o.want(202, &c, who, method, path, body, header...)
	require.Equal(o.t, "waiting", c.State)
	require.Nil(o.t, c.Account)
	require.NotContains(o.t, w.Body.String(), `"password"`)
	require.Equal(o.t, v1+"/account-changes/"+c.ID, w.Header().Get("Location"))
	return c
}

// confirm is the second keeper's word, and returns the account with its password.
func (o *office) confirm(who string, c changeAnswer) personAnswer {
	o.t.Helper()
	w := o.want(200, &c, who, http.MethodPost, v1+"/account-changes/"+c.ID+"/confirmation", nil)
	require.Equal(o.t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(o.t, "confirmed", c.State)
	require.Equal(o.t, who, c.DecidedBy)
	return *c.Account
}

// unconfirmed demands that somebody may not confirm a change.
func (o *office) unconfirmed(status int, code, who string, c changeAnswer) {
	o.t.Helper()
	require.Equal(o.t, code, problemCode(o.problem(status, who, http.MethodPost, v1+"/account-changes/"+c.ID+"/confirmation", nil).Type))
}

// One keeper made himself an account in each role, took the Dirjen's, and decided
// alone.
func TestOneKeeperIsNotEverybody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	accounts := func() (n int) {
		t.Helper()
		require.NoError(t, o.db.Get(t.Context(), &n, `SELECT count(*) FROM account`))
		return n
	}
	before := accounts()
	for _, role := range []string{"kasubdit", "dirjen", "direktur", "persuratan", "operator"} {
		c := o.propose("operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "palsu-" + role, "name": "Palsu", "role": role})
		o.unconfirmed(403, "same-person", "operator", c)
		o.unconfirmed(403, "other-role", "operator-2", c)
		require.Equal(t, "change-open", problemCode(o.problem(409, "kasubdit", http.MethodPost, v1+"/accounts",
			map[string]any{"username": "palsu-" + role, "name": "Palsu", "role": role}).Type))
	}
	require.Equal(t, before, accounts())
	bad := o.problem(422, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "A b", "name": "", "role": "dirjen", "institution_id": o.at.ID})
	require.Equal(t, map[string]string{"/username": "wrong_form", "/name": "missing", "/institution_id": "not_used"}, codes(bad))
	bad = o.problem(422, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "dirjen", "name": "X", "role": "dirjen"})
	require.Equal(t, map[string]string{"/username": "used"}, codes(bad))

	// The Dirjen's password stays his, and his session goes on.
	dirjen := v1 + "/accounts/" + o.idOf("dirjen")
	o.problem(412, "operator", http.MethodPost, dirjen+"/password-reset", nil, ifMatch(2)...)
	reset := o.propose("operator", http.MethodPost, dirjen+"/password-reset", nil, ifMatch(1)...)
	o.want(200, nil, "dirjen", http.MethodGet, v1+"/me", nil)
	for _, who := range []string{"dirjen", "direktur", "persuratan", "produsen"} {
		o.problem(403, who, http.MethodPost, v1+"/account-changes/"+reset.ID+"/confirmation", nil)
		o.problem(403, who, http.MethodGet, v1+"/account-changes", nil)
	}
	given := o.confirm("kasubdit", reset)
	require.NotEmpty(t, given.Password)
	o.problem(401, "dirjen", http.MethodGet, v1+"/me", nil)
	o.signIn("dirjen", "dirjen", given.Password)
	o.unconfirmed(409, "change-closed", "kasubdit", reset)
	require.NotContains(t, o.want(200, nil, "operator", http.MethodGet, v1+"/account-changes/"+reset.ID, nil).Body.String(), given.Password)
	require.Equal(t, []string{"account.propose", "account.reset", "session.start"}, o.deeds(o.idOf("dirjen")))
	var actor, proposer string
	require.NoError(t, o.db.Get(t.Context(), &actor, `SELECT actor FROM audit WHERE action = 'account.reset'`))
	require.NoError(t, o.db.Get(t.Context(), &proposer, `SELECT detail->>'proposed_by' FROM audit WHERE action = 'account.reset'`))
	require.Equal(t, []string{"kasubdit", "operator"}, []string{actor, proposer})

	// A person of an institution, whose password one keeper knows, comes into the
	// office with another one.
	var pic personAnswer
	o.want(201, &pic, "operator", http.MethodPost, v1+"/accounts", map[string]any{"username": "pic-baru", "name": "PIC", "role": "produsen", "institution_id": o.at.ID})
	come := o.propose("operator", http.MethodPut, v1+"/accounts/"+pic.ID, map[string]any{"name": "PIC", "role": "dirjen"}, ifMatch(1)...)
	moved := o.confirm("kasubdit", come)
	require.Equal(t, "dirjen", moved.Role)
	require.NotEmpty(t, moved.Password)
	o.problem(401, "", http.MethodPost, v1+"/session", login("pic-baru", pic.Password))

	// Back in: two; out: one, as before.
	var gone personAnswer
	o.want(200, &gone, "operator", http.MethodPost, v1+"/accounts/"+o.idOf("direktur")+"/deactivation", nil, ifMatch(1)...)
	back := o.propose("operator", http.MethodPost, v1+"/accounts/"+gone.ID+"/activation", nil, ifMatch(gone.Version)...)
	again := o.confirm("kasubdit", back)
	require.True(t, again.Active)
	require.Empty(t, again.Password)

	var list struct {
		Changes []changeAnswer `json:"account_changes"`
	}
	o.want(200, &list, "operator", http.MethodGet, v1+"/account-changes?state=waiting", nil)
	require.Len(t, list.Changes, 5)
	o.want(200, &list, "operator", http.MethodGet, v1+"/account-changes?limit=6", nil)
	require.Equal(t, "activate", list.Changes[0].Kind)
	require.Len(t, list.Changes, 6)
	o.problem(400, "operator", http.MethodGet, v1+"/account-changes?state=x", nil)
}

func TestAProposedChangeWaitsNotForEver(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{"username": "dirjen-baru", "name": "Dirjen baru", "role": "dirjen"}
	c := o.propose("kasubdit", http.MethodPost, v1+"/accounts", form)
	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/account-changes/"+c.ID+"/refusal", map[string]any{"reason": " "})))
	o.want(200, &c, "operator", http.MethodPost, v1+"/account-changes/"+c.ID+"/refusal", map[string]any{"reason": "Tidak ada surat keputusannya."})
	require.Equal(t, "refused", c.State)
	o.unconfirmed(409, "change-closed", "operator", c)
	require.Equal(t, "change-closed", problemCode(o.problem(409, "operator", http.MethodPost, v1+"/account-changes/"+c.ID+"/refusal", map[string]any{"reason": "x"}).Type))

	c = o.propose("kasubdit", http.MethodPost, v1+"/accounts", form)
	// Whoever proposed it is still somebody who may.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE account SET active = false WHERE username = 'kasubdit'`)
	})
	o.unconfirmed(409, "change-overtaken", "operator", c)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE account SET active = true WHERE username = 'kasubdit'`)
	})
	o.machine.Advance(identity.ChangeLife)
	for _, a := range []string{"kasubdit", "operator"} { // their sessions have ended by now
		o.again(a)
	}
	o.unconfirmed(409, "change-closed", "operator", c)
	c = o.propose("kasubdit", http.MethodPost, v1+"/accounts", form)
	require.ElementsMatch(t, []int{200, 409}, o.together(
		func() int {
			return o.ask("operator", http.MethodPost, v1+"/account-changes/"+c.ID+"/confirmation", nil).Code
		},
		func() int {
			return o.ask("operator", http.MethodPost, v1+"/account-changes/"+c.ID+"/confirmation", nil).Code
		}))

	// What was seen is what is confirmed.
	at := v1 + "/accounts/" + o.idOf("direktur")
	c = o.propose("operator", http.MethodPut, at, map[string]any{"name": "Direktur", "role": "persuratan"}, ifMatch(1)...)
	o.want(200, nil, "operator", http.MethodPut, at, map[string]any{"name": "Direktur lain", "role": "direktur"}, ifMatch(1)...)
	o.unconfirmed(409, "change-overtaken", "kasubdit", c)
	o.problem(404, "kasubdit", http.MethodPost, v1+"/account-changes/"+o.at.ID+"/confirmation", nil)
}

// again gives somebody another session.
func (o *office) again(username string) {
	o.t.Helper()
	p := struct {
		ID      string
		Version int64
	}{}
	require.NoError(o.t, o.db.Get(o.t.Context(), &p, `SELECT id, version FROM account WHERE username = $1`, username))
	token, err := identity.StartSession(o.t.Context(), o.db, identity.Account{ID: p.ID, Version: p.Version}, o.machine.Now())
	require.NoError(o.t, err)
	o.cookies[username] = &http.Cookie{Name: "sifilma_session", Value: token}
}

// Where no keeper of the other role could, one of the same role confirms; and who
// saw somebody's password is not a second person beside them.
func TestWhoSawAPasswordIsNoSecondPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	kasubdit := v1 + "/accounts/" + o.idOf("kasubdit")
	c := o.propose("operator", http.MethodPost, kasubdit+"/password-reset", nil, ifMatch(1)...)
	o.unconfirmed(403, "same-person", "kasubdit", c) // whom it is about
	given := o.confirm("operator-2", c)
	o.signIn("kasubdit", "kasubdit", given.Password)
	o.want(204, nil, "kasubdit", http.MethodPost, v1+"/me/password", newWords(given.Password, password))

	fresh := map[string]any{"username": "dirjen-baru", "name": "Dirjen baru", "role": "dirjen"}
	c = o.propose("kasubdit", http.MethodPost, v1+"/accounts", fresh)
	o.unconfirmed(403, "saw-password", "operator-2", c)
	o.confirm("operator", c)
	c = o.propose("operator-2", http.MethodPost, v1+"/accounts", map[string]any{"username": "dirjen-lain", "name": "Dirjen lain", "role": "dirjen"})
	o.unconfirmed(403, "saw-password", "kasubdit", c)
	o.confirm("operator", c) // no kasubdit could: the other operator

	// Cards in doubt are decided by two people too.
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	path := v1 + "/cards/" + o.doubt(v.ID, perso.DecideSpoil)
	o.want(200, nil, "kasubdit", http.MethodPost, path+"/resolution", map[string]any{"decision": "spoil", "reason": "chip rusak"})
	require.Equal(t, "saw-password", problemCode(o.problem(403, "operator-2", http.MethodPost, path+"/resolution/confirmation", nil).Type))
	o.clock.Advance(identity.PasswordMemory)
	o.want(200, nil, "operator-2", http.MethodPost, path+"/resolution/confirmation", nil)
}

func TestConfirmingOnThePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, next := o.post(303, "operator", "/data-induk/akun/baru", "username", "dirjen-baru", "name", "Dirjen <b>Baru", "role", "dirjen")
	d := o.page(200, "operator", next)
	require.Contains(t, d.text, "belum berlaku")
	require.Contains(t, d.text, "bukan yang mengajukan")
	require.Contains(t, d.text, "Tarik usulan")
	require.NotContains(t, d.text, "Setujui")
	require.Contains(t, o.page(200, "kasubdit", "/data-induk/akun").text, "Menunggu konfirmasi (1)")
	require.Contains(t, o.page(200, "kasubdit", "/data-induk/akun/usulan").text, "dirjen-baru Buat akun operator")
	at, _, _ := strings.Cut(next, "?")
	require.Contains(t, o.page(200, "operator-2", at).text, "dikonfirmasi oleh Kasubdit KI")
	d, _ = o.post(403, "operator", at+"/setujui")
	require.Contains(t, d.text, "bukan yang mengajukan")
	d = o.page(200, "kasubdit", at)
	require.Contains(t, d.text, "Dirjen <b>Baru")
	require.Contains(t, d.text, "Setujui")
	d, _ = o.post(422, "kasubdit", at+"/tolak", "reason", "")
	require.Contains(t, d.text, "Alasan wajib diisi.")
	d, _ = o.post(200, "kasubdit", at+"/setujui")
	once := ""
	for _, n := range d.all("p") {
		if strings.Contains(attr(n, "class"), "secret") {
			once = textOf(n)
		}
	}
	require.Equal(t, 303, o.ask("", http.MethodPost, "/masuk", url.Values{"username": {"dirjen-baru"}, "password": {once}}.Encode()).Code)
	d, _ = o.post(409, "kasubdit", at+"/setujui")
	require.Contains(t, d.text, "sudah diputuskan")
	require.Contains(t, o.page(200, "operator", "/data-induk/akun/usulan").text, "Disetujui kasubdit")

	dirjen := "/data-induk/akun/" + o.idOf("dirjen")
	require.Contains(t, o.page(200, "operator", dirjen+"/sandi").text, "dikonfirmasi oleh pengelola lain")
	_, next = o.post(303, "operator", dirjen+"/sandi", "versi", "1")
	at, _, _ = strings.Cut(next, "?")
	_, next = o.post(303, "operator", at+"/tolak", "reason", "Keliru")
	require.Contains(t, o.page(200, "operator", next).text, "Keputusan tersimpan.")
	o.post(303, "operator", dirjen+"/status", "versi", "1")
	require.Contains(t, o.page(200, "operator", dirjen+"/status").text, "dikonfirmasi oleh pengelola lain")
	_, next = o.post(303, "operator", dirjen+"/status", "versi", "2")
	at, _, _ = strings.Cut(next, "?")
	_, next = o.post(303, "kasubdit", at+"/setujui")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Disetujui")
	_, next = o.post(303, "operator", dirjen, "versi", "3", "name", "Dirjen", "role", "persuratan")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Sebelumnya Direktur Jenderal")
	o.page(404, "kasubdit", "/data-induk/akun/usulan/x")
}

// The table itself wants two people, and decides once.
func TestTheTableWantsTwoPeople(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	c := o.propose("operator", http.MethodPost, v1+"/accounts/"+o.idOf("dirjen")+"/password-reset", nil, ifMatch(1)...)
	for constraint, by := range map[string]string{"account_change_two_people": "operator", "account_change_fixed": "kasubdit"} {
		set := `confirmed_by = (SELECT id FROM account WHERE username = $2), confirmed_at = proposed_at`
		if by == "kasubdit" {
			set += `, username = 'lain'`
		}
		err := o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.ExecOne(ctx, `UPDATE account_change SET `+set+` WHERE id = $1`, c.ID, by)
		})
		require.Equal(t, constraint, postgres.Constraint(err), "%v", err)
	}
}
