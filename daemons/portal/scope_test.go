package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
)

// TestAnotherProdusenSeesNothing walks every route that names a row.
func TestAnotherProdusenSeesNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.produce(v, 0)
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	var cards struct{ Cards []perso.CardRow }
	o.want(200, &cards, "operator", http.MethodGet, "/api/v1/requests/"+v.Ticket+"/cards", nil)
	document := o.makeLetter(v.ID)
	asked := o.asks("AKT-1")
	var readers report.ActivationLetter
	o.want(201, &readers, "lembaga", http.MethodPost, activations, activationForm(t, nil, readerLetter("1", []map[string]any{}, "draft", true)), keyed()...)

	walked := 0
	require.NoError(t, chi.Walk(o.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !strings.Contains(route, "{") || strings.Contains(route, "*") || strings.HasPrefix(route, "/static/") || strings.Contains(route, "{token}") {
			return nil
		}
		id := h.ID
		switch {
		case strings.Contains(route, "/cards/{id}"):
			id = cards.Cards[0].ID
		case strings.Contains(route, "/documents/"):
			id = document.ID
		case strings.Contains(route, "/needs/"):
			id = asked.Files[0].ID
		}
		keepers := strings.Contains(route, "/days/{day}/") || strings.HasPrefix(route, "/kalender/") || method != http.MethodGet && strings.Contains(route, "/holidays/") ||
			strings.Contains(route, "/doubts/") || strings.Contains(route, "/contradictions/") || strings.HasPrefix(route, "/meragukan/") ||
			strings.Contains(route, "/downtimes/") || strings.Contains(route, "/signatories/") || strings.Contains(route, "/secret-recipients/") && !strings.HasSuffix(route, "/ending") || strings.Contains(route, "/numberings/") || strings.HasPrefix(route, "/penomoran/") || strings.Contains(route, "/placements/") || strings.HasSuffix(route, "/{year}/import") ||
			strings.Contains(route, "/accounts/") || strings.Contains(route, "/account-changes/") || strings.Contains(route, "/recipes/") || strings.Contains(route, "/templates/") || strings.HasPrefix(route, "/templat-surat/") || strings.HasPrefix(route, "/data-induk/") || strings.HasPrefix(route, "/manifest/lepas/") || strings.Contains(route, "/manifest-keys/") || strings.HasPrefix(route, "/manifest/kunci/") ||
			method != http.MethodGet && (strings.Contains(route, "/pks/") || strings.Contains(route, "/machine-types/") || strings.HasSuffix(route, "activation"))
		ticket := v.Ticket
		if strings.Contains(route, "/activations/") || strings.HasPrefix(route, "/aktivasi/") {
			ticket = readers.Ticket
		}
		path := strings.NewReplacer("{ticket}", ticket, "{line}", "1", "{number}", asked.Number, "{id}", id, "{format}", "pdf", "{code}", "tidak-ada").Replace(route)
		var body any
		if method == http.MethodPost || method == http.MethodPut {
			body = map[string]any{}
			if strings.HasSuffix(route, "/signature") || strings.HasSuffix(route, "/delivery") {
				body = newForm(t, pdf)
			}
		}
		w := o.ask(foreigner, method, path, body, ifMatch(1)...)
		status := 404
		if strings.Contains(route, "/shelf/") || strings.HasPrefix(route, "/antrean-gagal/") || strings.Contains(route, "/lot-holds/") || strings.HasPrefix(route, "/lot/") || keepers {
			status = 403 // of the office's own, whoever asks and whether or not it is there
		}
		require.Equal(t, status, w.Code, "%s %s: %s", method, path, w.Body)
		require.Equal(t, status, o.ask(otherLembaga, method, path, body, ifMatch(1)...).Code, "%s %s: %s", method, path, w.Body)
		w = o.ask("", method, path, body)
		if strings.HasPrefix(route, "/api/") {
			require.Equal(t, 401, w.Code, "%s %s: %s", method, path, w.Body)
		} else {
			require.Equal(t, 303, w.Code, "%s %s", method, path)
		}
		walked++
		return nil
	}))
	require.Greater(t, walked, 20)

	var list report.Page
	o.want(200, &list, foreigner, http.MethodGet, "/api/v1/requests?totals=true", nil)
	require.Zero(t, list.Total)
	require.Empty(t, list.Requests)
	o.want(200, &list, "produsen", http.MethodGet, "/api/v1/requests?totals=true", nil)
	require.Equal(t, 1, list.Total)

	o.want(200, nil, "operator", http.MethodGet, "/api/v1/days?from=2026-11-01&to=2026-12-01", nil)
	o.problem(400, "operator", http.MethodGet, "/api/v1/days?from=0000-01-01", nil)
}

func TestUnknownRowsAreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, path := range []string{
		"/api/v1/requests/PSAM-2026-000001-0", "/api/v1/requests/x", "/api/v1/handovers/x", "/api/v1/handovers/" + uuid.NewString(),
		"/api/v1/documents/x/files/pdf", "/api/v1/documents/" + uuid.NewString() + "/files/pdf", "/api/v1/nothing",
	} {
		o.problem(404, "operator", http.MethodGet, path, nil)
	}
	o.problem(404, "operator", http.MethodPost, "/api/v1/cards/"+uuid.NewString()+"/replacement", map[string]any{"serial": "SAM00009"})
	o.problem(405, "operator", http.MethodPut, "/api/v1/requests/"+o.drop(1).Ticket, map[string]any{})
}

func TestProdusenIsSparedTheInternals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	o.makeLetter(v.ID)
	var outside report.Request
	o.want(200, &outside, "produsen", http.MethodGet, "/api/v1/requests/"+v.Ticket, nil)
	require.Empty(t, outside.Documents, "no paper before it is in force")
	inside := o.see(v.Ticket)
	require.Len(t, inside.Documents, 1)
	for _, f := range outside.Facts {
		require.Empty(t, f.Actor)
		require.Equal(t, "null", string(f.Detail))
	}
	for _, e := range outside.Timeline {
		if e.Role == "produsen" {
			require.Equal(t, "Produsen", e.Name)
			continue
		}
		require.Empty(t, e.Actor, e.Label)
		require.Empty(t, e.Name, e.Label)
		require.NotEmpty(t, e.RoleName, e.Label)
	}
	require.Less(t, len(outside.Timeline), len(inside.Timeline))
}

func TestListSearchesCountsAndPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first := o.drop(1)
	o.drop(1)
	o.accept(o.drop(2))
	var p report.Page
	o.want(200, &p, "operator", http.MethodGet, "/api/v1/requests?limit=2&totals=true", nil)
	require.Len(t, p.Requests, 2)
	require.Equal(t, 3, p.Total)
	require.Equal(t, 40, p.Requests[0].Percent)
	require.EqualValues(t, map[string]int{"submitted": 2, "accepted": 1}, stringKeys(p.Counts))
	require.NotNil(t, p.Next)
	after := *p.Next
	p = report.Page{}
	o.want(200, &p, "operator", http.MethodGet, "/api/v1/requests?limit=2&after="+after, nil)
	require.Len(t, p.Requests, 1)
	require.Equal(t, first.Ticket, p.Requests[0].Ticket)
	require.Nil(t, p.Next)
	require.Nil(t, p.Totals, "not asked for")
	p = report.Page{}
	o.want(200, &p, "operator", http.MethodGet, "/api/v1/requests?totals=true&state=accepted", nil)
	require.Equal(t, 1, p.Total)
	require.Equal(t, 3, p.All)
	p = report.Page{}
	o.want(200, &p, "operator", http.MethodGet, "/api/v1/requests?totals=true&search="+strings.ToLower(first.Ticket), nil)
	require.Equal(t, 1, p.Total)
	for _, bad := range []string{"limit=0", "limit=101", "limit=x", "after=x", "after=AAAA", "totals=ja", "kind=lain", "state=nothing", "search=" + strings.Repeat("a", 300), "search=%ff", "search=%00"} {
		o.problem(400, "operator", http.MethodGet, "/api/v1/requests?"+bad, nil)
	}
}

func stringKeys[K ~string](m map[K]int) map[string]int {
	out := map[string]int{}
	for k, n := range m {
		out[string(k)] = n
	}
	return out
}
