package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// get reads a path as the client with a key.
func (o *office) get(t *testing.T, key, path string) reply {
	t.Helper()
	return o.do(t, http.MethodGet, path, nil, map[string]string{"Authorization": "Bearer " + o.keys[key]})
}

func into[T any](t *testing.T, r reply) (v T) {
	t.Helper()
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	require.NoError(t, json.Unmarshal(r.body, &v), string(r.body))
	return v
}

// give drops a good request with this reference and title.
func (o *office) give(t *testing.T, key, reference, title string) reply {
	t.Helper()
	p := whole(t)
	p.form["reference"], p.form["title"] = reference, title
	r := o.send(t, drops, p, reference, map[string]string{"Authorization": "Bearer " + o.keys[key]})
	require.Equal(t, http.StatusAccepted, r.status, string(r.body))
	return r
}

// returned has a request returned for a reason.
func (o *office) returned(t *testing.T, id, reason string) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Return, request.Change{
			Actor: machine.Actor{Name: "validator", Role: request.Validator}, Reason: reason, OfficeAt: morning,
		})
		return err
	}))
}

func TestListIsOnesOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var tickets []string
	for i := range 5 {
		tickets = append([]string{o.give(t, "produsen", fmt.Sprint("ref-", i), fmt.Sprint("Judul ", i)).Ticket}, tickets...)
	}
	foreign := o.give(t, "other", "ref-0", "Judul lain")
	o.returned(t, o.give(t, "produsen", "ref-5", "Judul 5").ID, "Sel B2.")

	var seen []string
	address := drops + "?limit=2&state=submitted&totals=true"
	for address != "" {
		r := o.get(t, "read only", address)
		page := into[report.Page](t, r)
		require.Equal(t, 5, page.Total)
		require.Equal(t, 6, page.All)
		require.Equal(t, map[machine.State]int{request.Submitted: 5, request.Returned: 1}, page.Counts)
		for _, one := range page.Requests {
			seen = append(seen, one.Ticket)
		}
		address = ""
		if page.Next != nil {
			link := r.header.Get("Link")
			require.Contains(t, link, *page.Next)
			address = drops + strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		}
	}
	require.Equal(t, tickets, seen, "newest first, each once")

	found := into[report.Page](t, o.get(t, "produsen", drops+"?search=JUDUL+3"))
	require.Len(t, found.Requests, 1)
	require.Equal(t, tickets[1], found.Requests[0].Ticket)
	require.Nil(t, found.Totals)
	require.Empty(t, into[report.Page](t, o.get(t, "produsen", drops+"?kind=rekam_cetak")).Requests)
	require.Empty(t, into[report.Page](t, o.get(t, "produsen", drops+"?search="+foreign.Ticket)).Requests)

	r := o.get(t, "produsen", drops+"?limit=0&after=x&state=lain&kind=lain&totals=1")
	require.Equal(t, http.StatusBadRequest, r.status)
	require.Equal(t, map[string]string{"/limit": "out_of_range", "/after": "wrong_type", "/state": "unknown_value",
		"/kind": "unknown_value", "/totals": "unknown_value"}, r.pointers())
}

func TestReadingARequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.give(t, "produsen", "ref", "Judul")
	v := into[report.Request](t, o.get(t, "read only", r.StatusURL))
	require.Len(t, v.Files, 4)
	require.Equal(t, "PT Bank Contoh", v.Lines[0].Lembaga)

	for _, f := range v.Files {
		got := o.get(t, "read only", r.StatusURL+"/files/"+f.ID)
		require.Equal(t, http.StatusOK, got.status)
		want := pdf
		if f.Kind == request.FileCardList {
			want = sheet(t, 3)
		}
		require.True(t, bytes.Equal(want, got.body), f.Kind)
		require.Contains(t, got.header.Get("Content-Disposition"), f.Name)
	}
	history := into[struct{ Timeline []report.Event }](t, o.get(t, "produsen", r.StatusURL+"/history"))
	require.Len(t, history.Timeline, 1)
	require.Equal(t, request.Submit, history.Timeline[0].Verb)

	empty := into[report.Sheet](t, o.get(t, "produsen", r.StatusURL+"/cards"))
	require.Empty(t, empty.Listed)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardlist.Store(ctx, tx, r.ID, []cardlist.Row{{Row: 1, Serial: "SAM-000000", Line: 1}})
		return err
	}))
	require.Len(t, into[report.Sheet](t, o.get(t, "produsen", r.StatusURL+"/cards")).Listed, 1)
	chip := into[report.ChipAnswer](t, o.get(t, "read only", "/api/v1/chips/sam-000000")).Chip
	require.Equal(t, []string{r.Ticket, "Dalam daftar; permohonan diajukan"}, []string{chip.Request.Ticket, chip.StateLabel})
	for _, key := range []string{"other", "produsen"} { // another's, and none
		gone := o.get(t, key, map[string]string{"other": "/api/v1/chips/SAM-000000", "produsen": "/api/v1/chips/SAM-000001"}[key])
		require.Equal(t, http.StatusNotFound, gone.status)
		require.Equal(t, report.NoChip, gone.Problem.Detail)
	}

	require.Equal(t, http.StatusNotFound, o.get(t, "produsen", r.StatusURL+"/files/x").status)
	require.Equal(t, http.StatusNotFound, o.get(t, "produsen", r.StatusURL+"/files/"+r.ID).status)
}

// What another institution asks for is not there, by whatever address and verb,
// and its answer does not tell a ticket that exists from one that does not.
func TestNobodyLearnsOfAnothersRequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.give(t, "produsen", "ref", "Judul")
	o.returned(t, r.ID, "Rahasia.")
	v := into[report.Request](t, o.get(t, "produsen", r.StatusURL))
	walked := 0
	require.NoError(t, chi.Walk(o.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !strings.Contains(route, "{ticket}") {
			return nil
		}
		walked++
		ask := func(ticket string) reply {
			path := strings.NewReplacer("{ticket}", ticket, "{id}", v.Files[0].ID).Replace(route)
			header := map[string]string{"Authorization": "Bearer " + o.keys["other"], "If-Match": `"2"`}
			if method == http.MethodPost {
				return o.send(t, path, whole(t), "k", header)
			}
			return o.do(t, method, path, nil, header)
		}
		there, nowhere := ask(r.Ticket), ask(request.NewTicket(2026, 999))
		require.Equal(t, http.StatusNotFound, there.status, "%s %s: %s", method, route, there.body)
		require.Equal(t, nowhere.status, there.status)
		require.Equal(t, nowhere.Problem.Detail, there.Problem.Detail)
		require.NotContains(t, string(there.body), "Rahasia")
		return nil
	}))
	require.GreaterOrEqual(t, walked, 6)
	require.Equal(t, 1, o.count(t, "request"))
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.give(t, "produsen", "ref", "Judul")
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardlist.Store(ctx, tx, r.ID, []cardlist.Row{{Row: 1, Serial: "SAM-000000", Line: 1}})
		return err
	}))
	cancel := func(key, version, body string) reply {
		header := map[string]string{"Authorization": "Bearer " + o.keys[key], "If-Match": version}
		if body != "" {
			header["Content-Type"] = "application/json"
		}
		return o.do(t, http.MethodPost, r.StatusURL+"/cancellation", strings.NewReader(body), header)
	}
	require.Equal(t, http.StatusForbidden, cancel("read only", `"1"`, "").status)
	require.Equal(t, http.StatusPreconditionRequired, cancel("produsen", "", "").status)
	require.Equal(t, http.StatusPreconditionFailed, cancel("produsen", `"7"`, "").status)
	require.Equal(t, http.StatusBadRequest, cancel("produsen", `"1"`, `{"alasan":1}`).status)
	require.Equal(t, 1, o.count(t, "live_serial"))

	done := cancel("produsen", `"1"`, `{"reason":"Salah kirim."}`)
	v := into[report.Request](t, done)
	require.Equal(t, request.Cancelled, v.State)
	require.Equal(t, "Salah kirim.", v.Reason)
	require.Equal(t, `"2"`, done.header.Get("ETag"))
	require.Zero(t, o.count(t, "live_serial"), "the serials are free again")
	late := cancel("produsen", `"2"`, "")
	require.Equal(t, http.StatusConflict, late.status)
	require.Equal(t, "urn:sifilma:problem:illegal-step", late.Type)
	var types []string
	require.NoError(t, o.db.Select(t.Context(), &types, `SELECT type FROM outbox ORDER BY id`))
	require.Equal(t, []string{"request.submitted", "request.cancelled"}, types)
	require.Equal(t, 2, o.count(t, "audit"))
}
