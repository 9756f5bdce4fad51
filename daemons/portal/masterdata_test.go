package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

const v1 = "/api/v1"

func codes(p web.Problem) map[string]string {
	found := map[string]string{}
	for _, e := range p.Errors {
		found[e.Pointer] = e.Code
	}
	return found
}

// idOf is the id of an account.
func (o *office) idOf(username string) (id string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &id, `SELECT id FROM account WHERE username = $1`, username))
	return id
}

func (o *office) deeds(subject string) (actions []string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Select(o.t.Context(), &actions, `SELECT action FROM audit WHERE subject = $1 ORDER BY id`, subject))
	return actions
}

func TestInstitutionsAreLookedAfter(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{"kind": "produsen", "name": "PT. Reader Baru", "email": "pic@contoh.go.id"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, v1+"/institutions", form)
	}
	var in institution.Institution
	w := o.want(201, &in, "operator", http.MethodPost, v1+"/institutions", form)
	require.Equal(t, `"1"`, w.Header().Get("ETag"))
	at := v1 + "/institutions/" + in.ID
	require.Equal(t, at, w.Header().Get("Location"))

	bad := o.problem(422, "kasubdit", http.MethodPost, v1+"/institutions", map[string]any{"kind": "x", "name": " ", "phone": "abc"})
	require.Equal(t, map[string]string{"/kind": "unknown_value", "/name": "missing", "/phone": "wrong_form"}, codes(bad))
	bad = o.problem(422, "operator", http.MethodPost, v1+"/institutions", map[string]any{"kind": "lembaga", "name": "pt reader  BARU"})
	require.Equal(t, map[string]string{"/name": "used"}, codes(bad))
	bad = o.problem(422, "operator", http.MethodPost, v1+"/institutions", map[string]any{"kind": "lembaga", "name": "..."})
	require.Equal(t, map[string]string{"/name": "wrong_form"}, codes(bad))

	form["name"] = "PT Reader Lama"
	o.problem(428, "operator", http.MethodPut, at, form)
	o.problem(404, "produsen", http.MethodGet, at, nil)
	o.problem(404, "produsen", http.MethodPut, at, form, ifMatch(1)...)
	o.problem(403, "dirjen", http.MethodPut, at, form, ifMatch(1)...)
	o.want(200, &in, "operator", http.MethodPut, at, form, ifMatch(1)...)
	o.problem(412, "kasubdit", http.MethodPut, at, form, ifMatch(1)...)
	form["kind"] = "dinas"
	require.Equal(t, map[string]string{"/kind": "fixed"}, codes(o.problem(422, "operator", http.MethodPut, at, form, ifMatch(2)...)))

	var full struct {
		FormerNames []string         `json:"former_names"`
		History     []map[string]any `json:"history"`
	}
	o.want(200, &full, "persuratan", http.MethodGet, at, nil)
	require.Equal(t, []string{"PT. Reader Baru"}, full.FormerNames)
	require.Len(t, full.History, 2)
	found, err := institution.ByName(t.Context(), o.db, "pt reader baru")
	require.NoError(t, err, "the old name still leads to it")
	require.Equal(t, in.ID, found.ID)
	bad = o.problem(422, "operator", http.MethodPost, v1+"/institutions", map[string]any{"kind": "produsen", "name": "PT Reader Baru"})
	require.Equal(t, map[string]string{"/name": "used"}, codes(bad), "nor is it anybody else's")

	// Its own people correct what is about them, and no more.
	own := v1 + "/institutions/" + o.at.ID
	o.want(200, &in, "produsen", http.MethodPut, own, map[string]any{"kind": "dinas", "name": "Nama Lain", "address": "Jl. Baru\r\nJakarta"}, ifMatch(1)...)
	require.Equal(t, "PT Produsen Contoh", in.Name)
	require.Equal(t, "produsen", in.Kind)
	require.Equal(t, "Jl. Baru\nJakarta", in.Address)
	full.History = nil
	o.want(200, &full, "produsen", http.MethodGet, own, nil)
	require.Empty(t, full.History, "it names the office's people")

	var list struct {
		Institutions []institution.Institution `json:"institutions"`
		Next         *string                   `json:"next"`
	}
	o.want(200, &list, "produsen", http.MethodGet, v1+"/institutions", nil)
	require.Len(t, list.Institutions, 1)
	o.want(200, &list, "operator", http.MethodGet, v1+"/institutions?limit=4", nil)
	require.Len(t, list.Institutions, 4)
	after := *list.Next
	o.want(200, &list, "operator", http.MethodGet, v1+"/institutions?limit=4&after="+after, nil)
	require.Len(t, list.Institutions, 1)
	require.Equal(t, "PT Reader Lama", list.Institutions[0].Name)
	o.want(200, &list, "operator", http.MethodGet, v1+"/institutions?search=reader+baru&kind=produsen&active=true", nil)
	require.Len(t, list.Institutions, 1, "found by its former name")
	for _, bad := range []string{"kind=x", "active=1", "after=x", "limit=0", "search=%ff"} {
		o.problem(400, "operator", http.MethodGet, v1+"/institutions?"+bad, nil)
	}

	// One that takes no part any more: nobody of it gets in, its request stays.
	r := o.drop(1)
	o.problem(403, "produsen", http.MethodPost, own+"/deactivation", nil, ifMatch(2)...)
	o.want(200, &in, "kasubdit", http.MethodPost, own+"/deactivation", nil, ifMatch(2)...)
	require.False(t, in.Active)
	o.problem(401, "produsen", http.MethodGet, v1+"/me", nil)
	require.Equal(t, "already-so", o.problem(409, "kasubdit", http.MethodPost, own+"/deactivation", nil, ifMatch(3)...).Type[len("urn:sifilma:problem:"):])
	require.EqualValues(t, "submitted", o.see(r.Ticket).State)
	o.want(200, nil, "kasubdit", http.MethodPost, own+"/activation", nil, ifMatch(3)...)
	o.want(200, nil, "produsen", http.MethodGet, v1+"/me", nil)
	require.Equal(t, []string{"institution.change", "institution.deactivate", "institution.activate"}, o.deeds(o.at.ID))
}

// together runs calls at the same moment and returns their statuses.
func (o *office) together(calls ...func() int) []int {
	o.t.Helper()
	statuses := make([]int, len(calls))
	var ready, done sync.WaitGroup
	ready.Add(len(calls))
	for i, call := range calls {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			statuses[i] = call()
		})
	}
	done.Wait()
	return statuses
}

func TestOfTwoEditorsOneWins(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	at := v1 + "/institutions/" + o.at.ID
	for round := range 5 {
		change := func(who, post string) func() int {
			return func() int {
				return o.ask(who, http.MethodPut, at, map[string]any{"kind": "produsen", "name": "PT Produsen Contoh", "post": post}, ifMatch(int64(round+1))...).Code
			}
		}
		require.ElementsMatch(t, []int{200, 412}, o.together(change("operator", "A"), change("kasubdit", "B")))
	}
	require.Len(t, o.deeds(o.at.ID), 5)
}

type pksView struct {
	ID, Number, Status, State string
	Version                   int64
	ToDecide                  []report.Affected `json:"to_decide"`
	History                   []map[string]any
}

func (o *office) pks() (v pksView) {
	o.t.Helper()
	var list struct{ PKS []pksView }
	o.want(200, &list, "operator", http.MethodGet, v1+"/pks?search=119/1", nil)
	require.Len(o.t, list.PKS, 1)
	return list.PKS[0]
}

// approved brings a new request to the point where Kasubdit accepts it.
func (o *office) approved(edit ...func(*request.Form)) (path string) {
	o.t.Helper()
	r := o.drop(1, edit...)
	path = v1 + "/requests/" + r.Ticket
	o.validate(r.ID)
	for name, f := range facts(1) {
		o.want(200, nil, f.who, http.MethodPost, path+"/"+name, f.body)
	}
	o.want(200, nil, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(o.see(r.Ticket).Version)...)
	o.want(200, nil, "direktur", http.MethodPost, path+"/disposition", nil)
	return path
}

func (o *office) version(path string) int64 {
	o.t.Helper()
	var v report.Request
	o.want(200, &v, "operator", http.MethodGet, path, nil)
	return v.Version
}

func TestPKSStopsNewWork(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	under := o.accept(o.drop(1))
	next := o.approved()
	other := o.approved(func(f *request.Form) { f.Kind, f.PKSNumber = request.KindRekamCetak, "" })
	unknown := o.approved(func(f *request.Form) { f.PKSNumber = "tidak/ada" })
	second := o.approved(func(f *request.Form) {
		f.Lines = append(f.Lines, request.Line{Lembaga: "PT Bank Lain", Quantity: 1})
	})
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, second+"/acceptance", nil, ifMatch(o.version(second))...).Detail,
		"Tidak ada PKS dengan PT Bank Lain yang berlaku pada 23 November 2026.")

	p := o.pks()
	require.Equal(t, "in_force", p.Status)
	at := v1 + "/pks/" + p.ID
	body := map[string]any{"date": "2026-11-23", "reason": "Kerja sama diakhiri"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at+"/withdrawal", body, ifMatch(p.Version)...)
	}
	o.problem(428, "operator", http.MethodPost, at+"/withdrawal", body)
	bad := o.problem(422, "operator", http.MethodPost, at+"/withdrawal", map[string]any{"date": "2026-11-24"}, ifMatch(p.Version)...)
	require.Equal(t, map[string]string{"/date": "in_future", "/reason": "missing"}, codes(bad))
	o.want(200, &p, "operator", http.MethodPost, at+"/withdrawal", body, ifMatch(p.Version)...)
	require.Equal(t, "withdrawn", p.Status)
	require.Len(t, p.ToDecide, 1, "accepted and not finished")
	require.Equal(t, under.Ticket, p.ToDecide[0].Ticket)
	seen := o.see(under.Ticket)
	require.EqualValues(t, "accepted", seen.State, "it is for people to decide")
	require.Contains(t, seen.WaitingFor, request.Kasubdit)

	refused := o.problem(409, "kasubdit", http.MethodPost, next+"/acceptance", nil, ifMatch(o.version(next))...)
	require.Equal(t, "urn:sifilma:problem:pks-not-in-force", refused.Type)
	require.Contains(t, refused.Detail, "PKS nomor “119/1/2026” (berlaku 1 Januari 2026 sampai 31 Desember 2026) sudah dicabut pada 23 November 2026.")
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, unknown+"/acceptance", nil, ifMatch(o.version(unknown))...).Detail, "tidak tercatat")
	o.want(200, nil, "kasubdit", http.MethodPost, other+"/acceptance", nil, ifMatch(o.version(other))...)

	o.problem(422, "kasubdit", http.MethodPost, at+"/reinstatement", map[string]any{}, ifMatch(p.Version)...)
	o.want(200, &p, "kasubdit", http.MethodPost, at+"/reinstatement", map[string]any{"reason": "Pencabutan keliru"}, ifMatch(p.Version)...)
	require.Equal(t, "in_force", p.Status)
	require.Len(t, p.History, 1, "of two, the newer is in the transaction itself")

	lembaga := v1 + "/institutions/" + o.lembaga()
	o.want(200, nil, "operator", http.MethodPost, lembaga+"/deactivation", nil, ifMatch(1)...)
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, next+"/acceptance", nil, ifMatch(o.version(next))...).Detail,
		"PT Bank Contoh Nusantara, lembaga pengguna pada PKS nomor “119/1/2026”, sudah dinonaktifkan.")
	o.want(200, nil, "operator", http.MethodPost, lembaga+"/activation", nil, ifMatch(2)...)
	change := map[string]any{"number": "119/2/2026", "institution_id": o.lembaga(), "valid_from": "2026-01-01", "valid_to": "2026-12-31"}
	require.Equal(t, map[string]string{"/number": "in_use"}, codes(o.problem(422, "operator", http.MethodPut, at, change, ifMatch(p.Version)...)))
	change["number"], change["valid_to"] = "119/1/2026", "2026-11-22"
	o.want(200, &p, "operator", http.MethodPut, at, change, ifMatch(p.Version)...)
	require.Equal(t, "expired", p.Status)
	require.Contains(t, o.problem(409, "kasubdit", http.MethodPost, next+"/acceptance", nil, ifMatch(o.version(next))...).Detail,
		"tidak berlaku pada 23 November 2026 (berlaku 1 Januari 2026 sampai 22 November 2026)")
	require.Equal(t, []string{"pks.withdraw", "pks.reinstate", "pks.change"}, o.deeds(p.ID))

	change["number"] = "119/3/2026"
	o.want(201, &p, "operator", http.MethodPost, v1+"/pks", change)
	require.Equal(t, map[string]string{"/number": "used"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/pks", change)))
	later := map[string]any{"number": "119/4/2026", "institution_id": o.lembaga(), "valid_from": "2027-01-01", "valid_to": "2027-12-31"}
	o.want(201, &p, "operator", http.MethodPost, v1+"/pks", later)
	o.want(200, &p, "operator", http.MethodPost, v1+"/pks/"+p.ID+"/withdrawal", body, ifMatch(p.Version)...)
	require.Equal(t, "withdrawn", p.Status, "before it ever began")
	change["institution_id"], change["valid_to"] = o.at.ID, "2025-01-01"
	require.Equal(t, map[string]string{"/institution_id": "wrong_kind", "/valid_to": "before_start"},
		codes(o.problem(422, "operator", http.MethodPost, v1+"/pks", change)))
	o.problem(404, "produsen", http.MethodGet, v1+"/pks/"+p.ID, nil)
}

func (o *office) lembaga() string {
	o.t.Helper()
	in, err := institution.ByName(o.t.Context(), o.db, "PT Bank Contoh Nusantara")
	require.NoError(o.t, err)
	return in.ID
}

// A withdrawal and an acceptance at the same moment: whichever comes first, the
// withdrawal lists the request or the acceptance is refused.
func TestNoAcceptanceSlipsPastAWithdrawal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for range 6 {
		path, p := o.approved(), o.pks()
		before, version := len(o.underPKS()), o.version(path)
		var withdrawn pksView
		got := o.together(
			func() int {
				return o.ask("kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(version)...).Code
			},
			func() int {
				o.want(200, &withdrawn, "operator", http.MethodPost, v1+"/pks/"+p.ID+"/withdrawal",
					map[string]any{"date": "2026-11-23", "reason": "diakhiri"}, ifMatch(p.Version)...)
				return 200
			})
		if got[0] == 200 {
			before++
		} else {
			require.Equal(t, 409, got[0])
		}
		require.Len(t, withdrawn.ToDecide, before, "acceptance answered %d", got[0])
		o.want(200, nil, "operator", http.MethodPost, v1+"/pks/"+p.ID+"/reinstatement", map[string]any{"reason": "lagi"}, ifMatch(withdrawn.Version)...)
	}
}

func (o *office) underPKS() []report.Affected {
	o.t.Helper()
	list, err := report.UnderPKS(o.t.Context(), o.db, "119/1/2026")
	require.NoError(o.t, err)
	return list
}

func TestMachineTypesTryTheirPatterns(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	form := map[string]any{
		"code": "gsx-02", "name": "GSX-02", "uses_reader": true, "sam_pattern": "SAM[0-9]{5}|S", "sam_examples": []string{"SAM00001", " ", "S"},
		"reader_pattern": "R-[0-9]+", "reader_examples": []string{"R-1"},
	}
	o.problem(403, "produsen", http.MethodPost, v1+"/machine-types", form)
	var m institution.MachineType
	o.want(201, &m, "operator", http.MethodPost, v1+"/machine-types", form)
	require.EqualValues(t, []string{"SAM00001", "S"}, m.SAMExamples)
	require.Equal(t, map[string]string{"/code": "used"}, codes(o.problem(422, "operator", http.MethodPost, v1+"/machine-types", form)))

	at := v1 + "/machine-types/gsx-02"
	for name, c := range map[string]struct {
		field string
		value any
		want  map[string]string
	}{
		"whole":      {"sam_examples", []string{"SAM00001X"}, map[string]string{"/sam_examples": "no_match"}},
		"no example": {"reader_examples", []string{}, map[string]string{"/reader_examples": "missing"}},
		"not RE2":    {"reader_pattern", `(?=x)`, map[string]string{"/reader_pattern": "wrong_form"}},
		"our group":  {"reader_pattern", `a)|(?:R-1`, map[string]string{"/reader_pattern": "wrong_form"}},
		"too long":   {"sam_pattern", strings.Repeat("A", 250), map[string]string{"/sam_pattern": "too_long"}},
		"reader":     {"uses_reader", false, map[string]string{"/uses_reader": "fixed", "/reader_examples": "not_used"}},
		"name":       {"name", "Mesin uji", map[string]string{"/name": "used"}},
	} {
		changed := map[string]any{}
		for k, v := range form {
			changed[k] = v
		}
		changed[c.field] = c.value
		require.Equal(t, c.want, codes(o.problem(422, "kasubdit", http.MethodPut, at, changed, ifMatch(1)...)), name)
	}
	form["name"] = "GSX-02 rev. B"
	o.want(200, &m, "kasubdit", http.MethodPut, at, form, ifMatch(1)...)
	o.problem(412, "operator", http.MethodPut, at, form, ifMatch(1)...)
	o.want(200, &m, "operator", http.MethodPost, at+"/deactivation", nil, ifMatch(2)...)
	require.False(t, m.Active)
	var list struct {
		MachineTypes []institution.MachineType `json:"machine_types"`
	}
	o.want(200, &list, "produsen", http.MethodGet, v1+"/machine-types", nil)
	require.Len(t, list.MachineTypes, 1)
	o.want(200, &list, "operator", http.MethodGet, v1+"/machine-types", nil)
	require.Len(t, list.MachineTypes, 2)
	o.problem(404, "produsen", http.MethodGet, at, nil) // not by its code either
	o.want(200, nil, "produsen", http.MethodGet, v1+"/machine-types/uji", nil)
	for _, code := range []string{"%00", "%ff", "GSX", "a%20b"} {
		o.problem(404, "produsen", http.MethodGet, v1+"/machine-types/"+code, nil)
		o.problem(404, "operator", http.MethodPut, v1+"/machine-types/"+code, form, ifMatch(1)...)
		o.problem(404, "operator", http.MethodPost, v1+"/machine-types/"+code+"/deactivation", nil, ifMatch(1)...)
		o.page(404, "operator", "/data-induk/jenis-mesin/"+code)
	}
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "gsx-02", Name: "lain"})
	}))
	o.want(200, &m, "operator", http.MethodGet, at, nil)
	require.Equal(t, "GSX-02 rev. B", m.Name, "what staff changed stays")
	require.Equal(t, []string{"machine_type.create", "machine_type.change", "machine_type.deactivate"}, o.deeds("gsx-02"))
}
