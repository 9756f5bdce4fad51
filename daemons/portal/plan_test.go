package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// scheduled plays the scheduler: it obeys what was ordered and plans anew.
func (o *office) scheduled(cause string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		calendar, err := capacity.Calendar(ctx, tx)
		if err != nil {
			return err
		}
		in := capacity.PlanInput{Calendar: calendar, OfficeAt: o.clock.Now(), Cause: cause}
		if _, err := capacity.Obey(ctx, tx, in); err != nil {
			return err
		}
		_, err = capacity.Replan(ctx, tx, in)
		return err
	})
}

// cardsByDay is where the plan has a request's cards.
func (o *office) cardsByDay(ticket string) map[string]int {
	o.t.Helper()
	var v planning.Plan
	o.want(200, &v, "operator", http.MethodGet, "/api/v1/requests/"+ticket+"/plan", nil)
	days := map[string]int{}
	for _, d := range v.Days {
		days[d.Day.String()] += d.Cards
	}
	return days
}

func TestAPlaceInThePlanIsDecided(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	path := "/api/v1/requests/" + v.Ticket
	require.Equal(t, map[string]int{"2026-11-24": 30}, o.cardsByDay(v.Ticket))

	var plan planning.Plan
	w := o.want(200, &plan, "persuratan", http.MethodGet, path+"/plan", nil)
	require.Len(t, plan.Ahead, 10)
	require.True(t, plan.Open)
	require.Equal(t, w.Header().Get("ETag"), ifMatch(plan.Version)[1])
	o.problem(403, "produsen", http.MethodGet, path+"/plan", nil)
	o.problem(404, "operator", http.MethodGet, "/api/v1/requests/PSAM-2026-999999-9/plan", nil)

	pin := map[string]any{"day": "2026-11-26", "pin": true, "reason": "pelantikan"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur", "operator"} {
		o.problem(403, who, http.MethodPost, path+"/placements", pin, ifMatch(plan.Version)...)
	}
	o.problem(428, "kasubdit", http.MethodPost, path+"/placements", pin)
	o.problem(412, "kasubdit", http.MethodPost, path+"/placements", pin, ifMatch(plan.Version+1)...)
	require.Equal(t, map[string]string{"/day": "not_a_workday", "/cards": "out_of_range", "/reason": "missing"}, codes(
		o.problem(422, "kasubdit", http.MethodPost, path+"/placements", map[string]any{"day": "2026-11-28", "cards": 31, "reason": " "}, ifMatch(plan.Version)...)))
	seen := plan.Version
	o.want(200, &plan, "kasubdit", http.MethodPost, path+"/placements", pin, ifMatch(seen)...)
	o.scheduled("penempatan kartu diatur petugas")
	require.Equal(t, map[string]int{"2026-11-26": 30}, o.cardsByDay(v.Ticket))
	o.problem(412, "kasubdit", http.MethodPost, path+"/placements", pin, ifMatch(seen)...)

	o.want(200, &plan, "kasubdit", http.MethodPost, path+"/placements", map[string]any{"day": "2026-12-01", "cards": 10, "reason": "dipecah"}, ifMatch(plan.Version)...)
	require.Len(t, plan.Placements, 2)
	o.scheduled("penempatan kartu diatur petugas")
	require.Equal(t, map[string]int{"2026-11-26": 20, "2026-12-01": 10}, o.cardsByDay(v.Ticket))

	at := "/api/v1/placements/" + plan.Placements[0].ID + "/removal"
	o.problem(403, "operator", http.MethodPost, at, map[string]any{"reason": "x"}, ifMatch(1)...)
	o.problem(412, "kasubdit", http.MethodPost, at, map[string]any{"reason": "x"}, ifMatch(2)...)
	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "kasubdit", http.MethodPost, at, map[string]any{"reason": ""}, ifMatch(1)...)))
	o.want(204, nil, "kasubdit", http.MethodPost, at, map[string]any{"reason": "tidak jadi"}, ifMatch(1)...)
	o.problem(404, "kasubdit", http.MethodPost, at, map[string]any{"reason": "x"}, ifMatch(1)...)
	o.scheduled("penempatan kartu diatur petugas")
	require.Equal(t, map[string]int{"2026-11-24": 20, "2026-12-01": 10}, o.cardsByDay(v.Ticket))
	require.Contains(t, o.see(v.Ticket).Estimate.Cause, "penempatan kartu diatur petugas")
	var deeds []string
	require.NoError(t, o.db.Select(t.Context(), &deeds, `SELECT action FROM audit WHERE request_id = $1 AND action LIKE 'plan.%' ORDER BY id`, v.ID))
	require.Equal(t, []string{"plan.pin", "plan.split", "plan.unplace"}, deeds)
	o.problem(409, "kasubdit", http.MethodPost, "/api/v1/requests/"+o.drop(1).Ticket+"/placements", pin, ifMatch(seen)...)
}

func TestTodayIsOrderedAbout(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	today := clock.Today(o.clock).String()
	path, day := "/api/v1/requests/"+v.Ticket, "/api/v1/days/"+today
	why := map[string]any{"reason": "listrik padam"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur", "operator"} {
		o.problem(403, who, http.MethodPost, path+"/release-now", why)
		o.problem(403, who, http.MethodPost, day+"/closing", why)
		o.problem(403, who, http.MethodPost, day+"/reopening", why)
	}
	o.problem(403, "produsen", http.MethodGet, day+"/commands", nil)
	require.Equal(t, map[string]string{"/cards": "out_of_range", "/reason": "missing"},
		codes(o.problem(422, "kasubdit", http.MethodPost, path+"/release-now", map[string]any{"cards": -1, "reason": ""})))
	var c capacity.Command
	o.want(202, &c, "kasubdit", http.MethodPost, path+"/release-now", map[string]any{"cards": 12, "reason": "mendesak"})
	require.Nil(t, c.DoneAt)
	o.scheduled("perintah petugas")
	require.Equal(t, map[string]int{today: 12, "2026-11-24": 18}, o.cardsByDay(v.Ticket))

	o.problem(409, "kasubdit", http.MethodPost, "/api/v1/days/2026-11-24/closing", why)
	o.problem(404, "kasubdit", http.MethodPost, day+"/closing", map[string]any{"ticket": "PSAM-2026-999999-9", "reason": "x"})
	o.want(202, nil, "kasubdit", http.MethodPost, day+"/closing", why)
	o.scheduled("perintah petugas")
	o.want(202, nil, "kasubdit", http.MethodPost, day+"/reopening", map[string]any{"ticket": v.Ticket, "reason": "listrik menyala"})
	o.scheduled("perintah petugas")
	var orders planning.Day
	o.want(200, &orders, "operator", http.MethodGet, day+"/commands", nil)
	require.Len(t, orders.Commands, 3)
	require.Equal(t, []string{"1 perintah kerja dibuka kembali; 12 kartu dapat dikerjakan hari ini.", "1 perintah kerja ditutup; 12 kartu belum selesai dan dijadwalkan kembali.", "12 kartu dilepas untuk hari ini."},
		[]string{orders.Commands[0].Outcome, orders.Commands[1].Outcome, orders.Commands[2].Outcome})
	require.Equal(t, v.Ticket, *orders.Commands[0].Ticket)
	require.Nil(t, orders.Commands[1].Ticket)
	require.Equal(t, []string{"plan.release_now", "day.close", "day.reopen"}, o.deeds(today))
	var plan planning.Plan
	o.want(200, &plan, "operator", http.MethodGet, path+"/plan", nil)
	require.Len(t, plan.Commands, 3)

	var held report.Request
	o.want(200, &held, "kasubdit", http.MethodPost, path+"/hold", map[string]any{"reason": "ditahan"}, ifMatch(o.see(v.Ticket).Version)...)
	require.Equal(t, machine.State(request.Held), held.State)
	o.problem(409, "kasubdit", http.MethodPost, path+"/release-now", why)
}

func TestStationsDowntimesAreKept(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(30))
	o.scheduled("permohonan ini diterima")
	const at = "/api/v1/downtimes"
	form := map[string]any{"station": "Stasiun 2", "from": "2026-11-24", "to": "2026-11-25", "cards": 240, "reason": "pembaca diperbaiki"}
	for _, who := range []string{"produsen", "persuratan", "dirjen", "direktur"} {
		o.problem(403, who, http.MethodPost, at, form)
	}
	o.problem(403, "produsen", http.MethodGet, at, nil)
	require.Equal(t, map[string]string{"/station": "missing", "/from": "in_past", "/to": "in_past", "/cards": "out_of_range", "/reason": "missing"},
		codes(o.problem(422, "operator", http.MethodPost, at, map[string]any{"from": "2026-11-20", "to": "2026-11-20"})))
	var d capacity.Downtime
	w := o.want(201, &d, "operator", http.MethodPost, at, form)
	one := at + "/" + d.ID
	require.Equal(t, []string{`"1"`, one}, []string{w.Header().Get("ETag"), w.Header().Get("Location")})
	require.Equal(t, []string{"station.downtime_changed"}, o.rung(o.lastChange()))
	o.scheduled("jadwal henti stasiun berubah")
	require.Equal(t, map[string]int{"2026-11-24": 10, "2026-11-25": 10, "2026-11-26": 10}, o.cardsByDay(v.Ticket))
	require.Equal(t, "Stasiun 2 berhenti 24 November 2026 sampai 25 November 2026, 240 kartu per hari berkurang", o.calendar("operator", "2026").Changes[0].Text)

	form["to"] = "2026-11-24"
	o.problem(428, "operator", http.MethodPut, one, form)
	o.problem(412, "operator", http.MethodPut, one, form, ifMatch(2)...)
	o.want(200, &d, "kasubdit", http.MethodPut, one, form, ifMatch(1)...)
	o.scheduled("jadwal henti stasiun berubah")
	require.Equal(t, map[string]int{"2026-11-24": 10, "2026-11-25": 20}, o.cardsByDay(v.Ticket))
	var list struct{ Downtimes []capacity.Downtime }
	o.want(200, &list, "persuratan", http.MethodGet, at, nil)
	require.Equal(t, []capacity.Downtime{d}, list.Downtimes)
	o.want(200, &list, "persuratan", http.MethodGet, at+"?from=2026-11-25", nil)
	require.Empty(t, list.Downtimes)
	o.want(200, nil, "persuratan", http.MethodGet, one, nil)
	o.want(204, nil, "operator", http.MethodPost, one+"/removal", map[string]any{"reason": "salah catat"}, ifMatch(2)...)
	o.problem(404, "operator", http.MethodGet, one, nil)
	require.Equal(t, []string{"downtime.create", "downtime.change", "downtime.remove"}, o.deeds(d.ID))
}
