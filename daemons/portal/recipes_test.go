package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

const recipesAPI = "/api/v1/recipes"

// recipeSeen is an edition as the API shows it.
type recipeSeen struct {
	ID          string
	Label       string
	State       string
	Version     int64
	Content     string
	NotBuilt    string `json:"not_built"`
	Before      *string
	SHA256      string
	Shipped     bool
	Authors     []string
	ApprovedBy  *string `json:"approved_by"`
	Differences []struct{ Pointer, Before, After string }
	Timeline    []struct{ Label, Actor, Reason string }
}

// nextProfile is the shipped profile as its second edition, with another time.
func nextProfile(t *testing.T) string {
	t.Helper()
	file, err := configs.Profile("gp-scp03-sam")
	require.NoError(t, err)
	return strings.NewReplacer(`"version": 1`, `"version": 2`, `"card": "2m"`, `"card": "3m"`).Replace(string(file))
}

func newRecipeOffice(t *testing.T) *office {
	t.Helper()
	o := newOffice(t)
	persotest.Recipes(t, o.db)
	return o
}

func TestTwoPeoplePutAProfileInForce(t *testing.T) {
	t.Parallel()
	o := newRecipeOffice(t)
	var list struct{ Recipes []recipeSeen }
	o.want(200, &list, "operator", http.MethodGet, recipesAPI, nil)
	require.Len(t, list.Recipes, 6)
	for _, who := range []string{"produsen", "lembaga", "dirjen", "persuratan"} {
		o.problem(403, who, http.MethodGet, recipesAPI, nil)
		o.problem(403, who, http.MethodPost, recipesAPI, map[string]any{"kind": "profile", "content": "{}"})
	}
	bad := strings.Replace(nextProfile(t), `"bytes": 16`, `"bytes": 8`, 1)
	p := o.problem(422, "operator", http.MethodPost, recipesAPI, map[string]any{"kind": "profile", "content": bad})
	require.Equal(t, map[string]string{"/content/keys/bytes": "unknown_value"}, codes(p))
	require.Contains(t, p.Errors[0].Detail, "/keys/bytes: Harus salah satu dari: 16, 24, 32.")
	p = o.problem(422, "operator", http.MethodPost, recipesAPI, map[string]any{"kind": "profile", "content": strings.Replace(nextProfile(t), `"version": 2`, `"version": 7`, 1)})
	require.Equal(t, map[string]string{"/content/version": "wrong_edition"}, codes(p))
	o.problem(422, "operator", http.MethodPost, recipesAPI, map[string]any{"kind": "colour", "content": "{}"})

	var r recipeSeen
	o.want(201, &r, "operator", http.MethodPost, recipesAPI, map[string]any{"kind": "profile", "content": nextProfile(t), "reason": "kartu lambat"})
	at := recipesAPI + "/" + r.ID
	require.Equal(t, "gp-scp03-sam/2", r.Label)
	require.Equal(t, nextProfile(t), r.Content)
	require.Equal(t, "gp-scp03-sam/1", *r.Before)
	require.Len(t, r.Differences, 1)
	require.Equal(t, struct{ Pointer, Before, After string }{"/timeouts/card", `"2m"`, `"3m"`}, r.Differences[0])
	o.problem(428, "operator", http.MethodPost, at+"/proposal", nil)
	o.problem(412, "operator", http.MethodPost, at+"/proposal", nil, ifMatch(9)...)
	o.problem(409, "kasubdit", http.MethodPost, at+"/approval", nil, ifMatch(1)...)
	longer := strings.Replace(nextProfile(t), `"3m"`, `"4m"`, 1)
	o.want(200, &r, "operator", http.MethodPut, at, map[string]any{"content": longer}, ifMatch(1)...)
	o.want(200, &r, "operator", http.MethodPost, at+"/proposal", nil, ifMatch(r.Version)...)
	require.Equal(t, "proposed", r.State)
	o.problem(409, "operator", http.MethodPut, at, map[string]any{"content": nextProfile(t)}, ifMatch(r.Version)...)
	require.Contains(t, o.problem(403, "operator", http.MethodPost, at+"/approval", nil, ifMatch(r.Version)...).Type, "same-person")
	require.Contains(t, o.problem(403, "operator-2", http.MethodPost, at+"/approval", nil, ifMatch(r.Version)...).Type, "other-role")
	o.problem(422, "kasubdit", http.MethodPost, at+"/refusal", map[string]any{"reason": " "}, ifMatch(r.Version)...)
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, at+"/approval", nil, ifMatch(r.Version)...).Type, "not-tried")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		edition, err := recipe.Get(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		return persotest.Tried(ctx, tx, edition)
	})
	o.want(200, &r, "kasubdit", http.MethodPost, at+"/approval", map[string]any{"reason": "sudah dicoba"}, ifMatch(r.Version)...)
	require.Equal(t, "active", r.State)
	require.Equal(t, "kasubdit", *r.ApprovedBy)
	require.Equal(t, "Setujui", r.Timeline[0].Label)
	require.Equal(t, "sudah dicoba", r.Timeline[0].Reason)
	require.Len(t, r.Timeline, 4)
	o.want(200, &r, "kasubdit", http.MethodPost, at+"/withdrawal", map[string]any{"reason": "kartu rusak"}, ifMatch(r.Version)...)
	require.Equal(t, "withdrawn", r.State)
	o.problem(404, "operator", http.MethodGet, recipesAPI+"/00000000-0000-7000-8000-000000000000", nil)

	o.want(201, &r, "operator", http.MethodPost, recipesAPI, map[string]any{"kind": "key_code", "content": `{"code": "pajak", "version": 1, "name": "Data pajak",
		"transport": {"version": "50", "master": "pajak-transport"}, "final": {"version": "51", "master": "pajak-final"}, "secret_wrap": "pajak-wrap"}`})
	require.Nil(t, r.Before)
	o.want(200, &r, "operator-2", http.MethodPost, recipesAPI+"/"+r.ID+"/discarding", map[string]any{"reason": "salah ketik"}, ifMatch(r.Version)...)
	require.Equal(t, "discarded", r.State)
	for _, one := range list.Recipes {
		if one.Label == "iso7816-raw/2" {
			o.want(200, &r, "operator", http.MethodGet, recipesAPI+"/"+one.ID, nil)
			require.Empty(t, r.NotBuilt)
		}
	}
}

// The same on pages: write, see what is wrong and where, propose, read the
// differences, approve by another one, withdraw.
func TestAProfileOnItsPages(t *testing.T) {
	t.Parallel()
	o := newRecipeOffice(t)
	const at = "/data-induk/personalisasi"
	require.Contains(t, o.page(200, "operator", "/data-induk").text, "Personalisasi")
	list := o.page(200, "operator", at)
	require.Contains(t, list.text, "gp-scp03-sam/1")
	require.Contains(t, list.text, "sifilma@pemasangan")
	require.NotContains(t, list.text, "Menunggu persetujuan")
	for _, path := range []string{at, at + "/baru"} {
		o.page(403, "dirjen", path)
		o.page(403, "produsen", path)
	}
	o.page(404, "operator", at+"/00000000-0000-7000-8000-000000000000")

	for kind, says := range map[string][2]string{"profile": {"serial.from", `"name": "gp-scp03-sam"`}, "key_code": {"secret_wrap", `"code": "ktpel"`},
		"sam_type": {"sam_function", `"default": true`}, "numbers": {"{counter:N}", `"version": 2`}} {
		blank := o.page(200, "operator", at+"/baru?jenis="+kind)
		require.Contains(t, blank.text, says[0], "what stands where is explained")
		require.Contains(t, blank.value("content"), says[1], "nobody begins with an empty page")
	}

	var all struct{ Recipes []recipeSeen }
	o.want(200, &all, "operator", http.MethodGet, recipesAPI, nil)
	first := all.Recipes[1]
	require.Equal(t, "gp-scp03-sam/1", first.Label)
	d := o.page(200, "operator", at+"/baru?jenis=profile&dari="+first.ID)
	require.Contains(t, d.value("content"), `"version": 2`)
	content := strings.Replace(d.value("content"), `"card": "2m"`, `"card": "3m"`, 1)

	bad := strings.Replace(content, `"DF02"`, `"DF2"`, 1)
	d, _ = o.post(422, "operator", at+"/baru?jenis=profile", "content", bad, "reason", "uji")
	require.Contains(t, d.text, "/data/pcid: Bentuknya tidak benar.")
	require.Equal(t, bad, strings.TrimPrefix(d.value("content"), "\n"), "nothing that was typed is lost")
	d, _ = o.post(422, "operator", at+"/baru?jenis=profile", "content", "{", "reason", "uji")
	require.Contains(t, d.text, "bukan satu dokumen JSON yang lengkap")

	_, next := o.post(303, "operator", at+"/baru?jenis=profile", "content", strings.ReplaceAll(content, "\n", "\r\n"), "reason", "kartu lambat")
	d = o.page(200, "operator", next)
	one, _, _ := strings.Cut(next, "?")
	require.Contains(t, d.text, "gp-scp03-sam/2")
	require.Contains(t, d.text, "Perbedaan dari gp-scp03-sam/1")
	require.Contains(t, d.text, "/timeouts/card")
	require.Contains(t, d.text, "Ubah konsep")
	require.NotContains(t, d.text, "Setujui")
	_, next = o.post(303, "operator", one+"/usulkan", "versi", o.page(200, "operator", one+"/usulkan").value("versi"))
	require.Contains(t, o.page(200, "operator", next).text, "belum berlaku")
	require.Contains(t, o.page(200, "kasubdit", at).text, "Menunggu persetujuan")

	offered := func(d *document) bool {
		for _, a := range d.all("a") {
			if strings.HasSuffix(attr(a, "href"), "/setujui") {
				return true
			}
		}
		return false
	}
	require.False(t, offered(o.page(200, "operator", one)), "whoever wrote it is not offered to approve it")
	require.True(t, offered(o.page(200, "kasubdit", one)))
	before := o.page(200, "kasubdit", one+"/setujui")
	require.Contains(t, before.text, "Uji coba terakhir pada kartu uji belum pernah")
	require.Contains(t, before.text, "belum dapat disetujui")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		keys, err := recipe.InForce(ctx, tx, recipe.KeyCode, "ktpel")
		if err != nil {
			return err
		}
		edition, err := recipe.Get(ctx, tx, one[strings.LastIndex(one, "/")+1:])
		if err != nil {
			return err
		}
		for _, passed := range []bool{false, true} {
			if err := recipe.AddTrial(ctx, tx, recipe.Trial{ProfileID: edition.ID, ContentSHA256: edition.SHA256, KeyCodeID: keys.ID, Station: "perso-1", TriedBy: "teknisi", ChipID: "CHIP", Passed: passed,
				Report: []byte(`{"problem": "", "steps": [{"do": "keys", "problem": "kunci ditolak"}]}`), OfficeAt: o.clock.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
	require.Contains(t, o.page(200, "kasubdit", one).text, "keys: kunci ditolak")
	require.Contains(t, o.page(200, "kasubdit", one+"/setujui").text, "berhasil")
	require.NotContains(t, o.page(200, "kasubdit", one+"/setujui").text, "belum dapat disetujui")
	require.Contains(t, o.page(200, "kasubdit", one).text, "teknisi")
	var shown struct{ Trials []struct{ Passed bool } }
	o.want(200, &shown, "kasubdit", http.MethodGet, recipesAPI+one[strings.LastIndex(one, "/"):], nil)
	require.Len(t, shown.Trials, 2)
	require.True(t, shown.Trials[0].Passed)
	version := o.page(200, "kasubdit", one+"/setujui").value("versi")
	d, _ = o.post(403, "operator", one+"/setujui", "versi", version)
	require.Contains(t, d.text, "disetujui oleh orang lain")
	d, _ = o.post(403, "operator-2", one+"/setujui", "versi", version)
	require.Contains(t, d.text, "Kasubdit KI")
	_, next = o.post(303, "kasubdit", one+"/setujui", "versi", version, "reason", "sudah dicoba")
	d = o.page(200, "kasubdit", next)
	require.Contains(t, d.text, "Berlaku")
	require.Contains(t, d.text, "sudah dicoba")
	d, _ = o.post(412, "kasubdit", one+"/tarik", "versi", version, "reason", "x")
	require.Contains(t, d.text, "baru saja diubah")
	version = o.page(200, "kasubdit", one+"/tarik").value("versi")
	d, _ = o.post(422, "kasubdit", one+"/tarik", "versi", version, "reason", " ")
	require.Contains(t, d.text, "Alasan wajib diisi.")
	_, next = o.post(303, "kasubdit", one+"/tarik", "versi", version, "reason", "kartu rusak")
	require.Contains(t, o.page(200, "kasubdit", next).text, "Ditarik")
}
