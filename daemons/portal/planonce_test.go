package main

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/pkg/clock"
)

// TestAnOrderAboutTodayIsGivenOnce: a second click, a second person in the same
// second, and a form that is sent again after the scheduler has obeyed.
func TestAnOrderAboutTodayIsGivenOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan baru diterima")
	path, at := "/api/v1/requests/"+v.Ticket+"/release-now", "/permohonan/"+v.Ticket
	today := "/api/v1/days/" + clock.Today(o.clock).String()
	order := map[string]any{"cards": 5, "reason": "mendesak"}
	require.Equal(t, map[int]int{202: 6}, atOnce(6, func(int) int { return o.ask("kasubdit", http.MethodPost, path, order).Code }))
	require.Equal(t, map[int]int{202: 6}, atOnce(6, func(int) int {
		return o.ask("kasubdit", http.MethodPost, today+"/closing", map[string]any{"reason": "listrik padam"}).Code
	}))
	require.Equal(t, 2, o.count("day_command"))
	order["cards"] = 6
	refused := o.problem(409, "kasubdit", http.MethodPost, path, order)
	require.Equal(t, "command-waits", refused.Code())
	o.scheduled("perintah petugas")

	d := o.page(200, "kasubdit", at)
	seen := d.form("rencana/lepas").value("versi")
	_, next := o.post(303, "kasubdit", at+"/rencana/lepas", "versi", seen, "cards", "5", "reason", "mendesak")
	o.post(303, "kasubdit", at+"/rencana/lepas", "versi", seen, "cards", "5", "reason", "mendesak")
	require.Equal(t, 3, o.count("day_command"))
	o.scheduled("perintah petugas")
	require.Contains(t, o.page(200, "kasubdit", next).text, "5 kartu dilepas untuk hari ini.")
	d, _ = o.post(412, "kasubdit", at+"/rencana/lepas", "versi", seen, "cards", "5", "reason", "mendesak")
	require.Contains(t, d.text, "mungkin kiriman Anda sendiri")
	require.Equal(t, 3, o.count("day_command"))
	o.post(303, "kasubdit", at+"/rencana/lepas", "versi", d.form("rencana/lepas").value("versi"), "cards", "5", "reason", "mendesak")
	require.Equal(t, 4, o.count("day_command"))
}

// TestNumbersThatNoColumnHoldsAreFaults, in every field of the plan that is a number.
func TestNumbersThatNoColumnHoldsAreFaults(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.scheduled("permohonan baru diterima")
	path, at := "/api/v1/requests/"+v.Ticket, "/permohonan/"+v.Ticket
	var plan planning.Plan
	o.want(200, &plan, "kasubdit", http.MethodGet, path+"/plan", nil)
	for _, n := range []any{2147483647, 2147483648, 9223372036854775807, -2147483649} {
		for target, body := range map[string]map[string]any{
			path + "/release-now": {"cards": n, "reason": "x"},
			path + "/placements":  {"cards": n, "day": "2026-11-26", "reason": "x"},
			v1 + "/downtimes":     {"station": "s", "from": "2026-11-24", "to": "2026-11-24", "cards": n, "reason": "x"},
			v1 + "/what-if":       {"usual": n},
		} {
			o.problem(422, "kasubdit", http.MethodPost, target, body, ifMatch(plan.Version)...)
		}
		o.problem(422, "kasubdit", http.MethodPut, v1+"/days/2026-11-24/capacity", map[string]any{"capacity": n, "reason": "x"}, ifMatch(0)...)
	}
	for _, n := range []string{"2147483648", "9223372036854775808", "99999999999999999999999", "-1", "0x10", "1e9"} {
		for target, more := range map[string][]string{
			at + "/rencana/lepas":          {"cards", n, "reason", "x"},
			at + "/rencana/pecah":          {"cards", n, "day", "2026-11-26", "reason", "x"},
			"/kalender/henti-stasiun/baru": {"station", "s", "from", "2026-11-24", "to", "2026-11-24", "cards", n, "reason", "x"},
		} {
			o.post(422, "kasubdit", target, append([]string{"versi", o.planVersion(v.Ticket)}, more...)...)
		}
		o.page(422, "kasubdit", "/papan/andai?biasa="+n)
		o.problem(400, "", http.MethodGet, v1+"/outlook?cards="+n, nil)
		o.page(200, "", "/?kartu="+n)
	}
}

// TestPlacementsThatBindNobody are not told as if they did.
func TestPlacementsThatBindNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan baru diterima")
	path, at := "/api/v1/requests/"+v.Ticket, "/permohonan/"+v.Ticket
	var plan planning.Plan
	for _, day := range []string{"2026-11-24", "2026-11-26"} {
		o.want(200, &plan, "kasubdit", http.MethodGet, path+"/plan", nil)
		o.want(200, &plan, "kasubdit", http.MethodPost, path+"/placements", map[string]any{"day": day, "cards": 2, "reason": "uji"}, ifMatch(plan.Version)...)
	}
	inForce := func() (list []bool) {
		o.want(200, &plan, "kasubdit", http.MethodGet, path+"/plan", nil)
		for _, p := range plan.Placements {
			list = append(list, p.InForce)
		}
		return list
	}
	require.Equal(t, []bool{true, true}, inForce())
	require.NotContains(t, o.page(200, "kasubdit", at).text, "tidak berlaku")
	o.clock.Set(morning.AddDate(0, 0, 2))
	require.Equal(t, []bool{false, true}, inForce())
	text := o.page(200, "kasubdit", at).text
	require.Contains(t, text, "2 kartu paling cepat 24 November 2026 (sudah lewat, tidak berlaku lagi)")
	require.NotContains(t, text, "26 November 2026 (")
	o.want(200, nil, "kasubdit", http.MethodPost, path+"/hold", map[string]any{"reason": "ditahan"}, ifMatch(o.see(v.Ticket).Version)...)
	require.Equal(t, []bool{false, false}, inForce())
	require.Contains(t, o.page(200, "kasubdit", at).text, "26 November 2026 (tidak berlaku selama ditahan)")
}

// TestDaysAtTheEndsOfTime are answered, or faults, and never a failure.
func TestDaysAtTheEndsOfTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.scheduled("permohonan baru diterima")
	path := "/api/v1/requests/" + v.Ticket
	var plan planning.Plan
	o.want(200, &plan, "kasubdit", http.MethodGet, path+"/plan", nil)
	for _, day := range []string{"0001-01-01", "9999-11-30", "2032-11-24", "2026-02-30", "10000-01-01", ""} {
		for target, body := range map[string]map[string]any{
			path + "/placements": {"cards": 2, "day": day, "reason": "x"},
			v1 + "/downtimes":    {"station": "s", "from": day, "to": day, "cards": 2, "reason": "x"},
			v1 + "/what-if":      {"holidays": []any{day}, "workdays": []any{day}, "days": []any{map[string]any{"from": day, "to": day, "cards": 1}}},
		} {
			code := o.ask("kasubdit", http.MethodPost, target, body, ifMatch(plan.Version)...).Code
			require.Contains(t, []int{400, 422}, code, "%s %q", target, day)
		}
		if day == "" {
			continue
		}
		for _, target := range []string{"/downtimes?from=" + day, "/downtimes?to=" + day, "/days?from=" + day, "/days/" + day + "/commands", "/days/" + day, "/calendar/" + day[:min(4, len(day))]} {
			require.Less(t, o.ask("kasubdit", http.MethodGet, v1+target, nil).Code, 500, target)
		}
		require.Less(t, o.ask("kasubdit", http.MethodGet, "/papan?dari="+day, nil).Code, 500, day)
		require.Less(t, o.ask("kasubdit", http.MethodGet, "/papan/"+day, nil).Code, 500, day)
	}
}
