package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

var everybody = []string{"produsen", "persuratan", "dirjen", "direktur", "kasubdit", "operator"}

// refuseOthers asserts that nobody but these may do a verb.
func (o *office) refuseOthers(path string, body any, version int64, may ...string) {
	o.t.Helper()
	for _, who := range everybody {
		allowed := false
		for _, m := range may {
			allowed = allowed || m == who
		}
		if !allowed {
			p := o.problem(403, who, http.MethodPost, path, body, ifMatch(version)...)
			require.Contains(o.t, p.Detail, "tidak berwenang", who)
		}
	}
}

func TestEachHumanStepInItsOrder(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(2)
	path := "/api/v1/requests/" + r.Ticket
	o.validate(r.ID)

	v := o.see(r.Ticket)
	require.EqualValues(t, "validated", v.State)
	require.Equal(t, 20, v.Percent)
	require.ElementsMatch(t, []machine.Role{"persuratan", "operator"}, v.WaitingFor)
	p := o.problem(409, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(v.Version)...)
	require.Contains(t, p.Detail, "Lulus pemeriksaan", "it names the present state")

	for name, f := range facts(2) {
		may := []string{f.who}
		if name == "blanks" {
			may = append(may, "operator")
		}
		o.refuseOthers(path+"/"+name, f.body, v.Version, may...)
		o.want(200, &v, f.who, http.MethodPost, path+"/"+name, f.body)
	}
	require.EqualValues(t, "registered", v.State)
	require.Equal(t, 30, v.Percent)
	require.Equal(t, []machine.Role{"dirjen"}, v.WaitingFor)

	o.refuseOthers(path+"/approval", nil, v.Version, "dirjen")
	o.problem(428, "dirjen", http.MethodPost, path+"/approval", nil)
	o.problem(412, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(v.Version-1)...)
	w := o.want(200, &v, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(v.Version)...)
	require.EqualValues(t, "approved", v.State)
	require.Equal(t, ifMatch(v.Version)[1], w.Header().Get("ETag"))
	require.Equal(t, []machine.Role{"direktur"}, v.WaitingFor)

	o.problem(409, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(v.Version)...) // no disposition yet
	o.refuseOthers(path+"/disposition", map[string]any{}, v.Version, "direktur")
	o.want(200, &v, "direktur", http.MethodPost, path+"/disposition", nil)
	require.Equal(t, []machine.Role{"kasubdit"}, v.WaitingFor)
	require.Zero(t, v.Cards.Total)

	o.refuseOthers(path+"/acceptance", nil, v.Version, "kasubdit")
	o.want(200, &v, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(v.Version)...)
	require.EqualValues(t, "accepted", v.State)
	require.Equal(t, 2, v.Cards.Total, "the cards are on the line")
	require.Equal(t, "2026-11-23", v.DispositionOn.String())

	o.refuseOthers(path+"/hold", map[string]any{"reason": "x"}, v.Version, "kasubdit")
	p = o.problem(422, "kasubdit", http.MethodPost, path+"/hold", nil, ifMatch(v.Version)...)
	require.Equal(t, "/reason", p.Errors[0].Pointer)
	o.want(200, &v, "kasubdit", http.MethodPost, path+"/hold", map[string]any{"reason": "menunggu klarifikasi"}, ifMatch(v.Version)...)
	require.EqualValues(t, "held", v.State)
	require.Contains(t, v.Offers, "release")
	o.want(200, &v, "kasubdit", http.MethodPost, path+"/release", nil, ifMatch(v.Version)...)
	require.EqualValues(t, "accepted", v.State)

	var verbs []string
	for _, e := range v.Timeline {
		verbs = append(verbs, string(e.Verb))
		require.NotEmpty(t, e.Label)
		require.NotEmpty(t, e.RoleName, e.Label)
	}
	require.Equal(t, []string{"release", "hold", "accept", "disposed", "approve"}, verbs[:5], "newest first")
	require.Equal(t, "Kasubdit KI", v.Timeline[0].Name)

	var audited []string
	require.NoError(t, o.db.Select(t.Context(), &audited, `SELECT action FROM audit WHERE request_id = $1 ORDER BY id`, r.ID))
	for _, action := range []string{"request.fact.letter_received", "request.approve", "request.accept", "request.hold", "request.release"} {
		require.Contains(t, audited, action)
	}
	var rung []string
	require.NoError(t, o.db.Select(t.Context(), &rung, `SELECT type FROM outbox ORDER BY id`))
	require.Equal(t, []string{"request.submitted", "request.accepted", "request.held", "request.released"}, rung)
}

func TestRefusalsGiveSerialsBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, c := range []struct {
		verb, who, state string
		registered       bool
		body             any
	}{
		{"return", "operator", "returned", false, map[string]any{"reason": "PO tidak terbaca"}},
		{"return", "kasubdit", "returned", true, map[string]any{"reason": "PO tidak terbaca"}},
		{"rejection", "dirjen", "rejected", true, map[string]any{"reason": "tidak sesuai ketentuan"}},
		{"cancellation", "produsen", "cancelled", true, map[string]any{"reason": "tidak jadi"}},
	} {
		r := o.drop(3)
		path := "/api/v1/requests/" + r.Ticket
		o.validate(r.ID)
		if c.registered {
			for name, f := range facts(3) {
				o.want(200, nil, f.who, http.MethodPost, path+"/"+name, f.body)
			}
		}
		o.problem(400, c.who, http.MethodPost, path+"/"+c.verb, map[string]any{"reason": "a\x00b"}, ifMatch(o.see(r.Ticket).Version)...)
		if c.verb != "cancellation" { // the only one that needs no reason
			o.problem(422, c.who, http.MethodPost, path+"/"+c.verb, map[string]any{"reason": " "}, ifMatch(o.see(r.Ticket).Version)...)
		}
		var v report.Request
		o.want(200, &v, c.who, http.MethodPost, path+"/"+c.verb, c.body, ifMatch(o.see(r.Ticket).Version)...)
		require.EqualValues(t, c.state, v.State)
		var live int
		require.NoError(t, o.db.Get(t.Context(), &live, `SELECT count(*) FROM live_serial WHERE request_id = $1`, r.ID))
		require.Zero(t, live, c.verb)
		if c.state == "returned" {
			require.Empty(t, v.Facts, "a correction voids what was stated")
			require.Equal(t, []machine.Role{"produsen"}, v.WaitingFor)
		}
	}
}

// Two people at one request: what the second has on the screen was corrected
// since. The fact is about the correction's forerunner and is not taken.
func TestFactAboutAnEarlierSubmissionIsRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(2)
	o.validate(r.ID)
	seen := o.see(r.Ticket).Version
	path := "/api/v1/requests/" + r.Ticket
	o.want(200, nil, "operator", http.MethodPost, path+"/return", map[string]any{"reason": "PO tidak terbaca"}, ifMatch(seen)...)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		_, err = request.Correct(ctx, tx, now, r.Form, nil, request.Change{
			Actor: machine.Actor{Name: "produsen", Role: request.Produsen}, OfficeAt: o.clock.Now(),
		})
		return err
	})
	compared := func(submission int) map[string]any {
		return map[string]any{"submission": submission, "letter": true, "purchase_orders": true, "pks": true}
	}
	o.problem(412, "operator", http.MethodPost, path+"/comparison", compared(2), ifMatch(seen)...)
	o.problem(412, "operator", http.MethodPost, path+"/comparison", compared(1))
	require.Empty(t, o.see(r.Ticket).Facts)
	o.want(200, nil, "operator", http.MethodPost, path+"/comparison", compared(2), ifMatch(o.see(r.Ticket).Version)...)
}

func TestFactsInAnyOrderRegister(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	orders := [][]string{
		{"letter", "blanks", "comparison", "validate"}, {"validate", "comparison", "blanks", "letter"},
		{"blanks", "validate", "letter", "comparison"}, {"comparison", "letter", "validate", "blanks"},
	}
	for _, order := range orders {
		r := o.drop(1)
		for i, name := range order {
			require.NotEqualValues(t, "registered", o.see(r.Ticket).State, "after %v", order[:i])
			if name == "validate" {
				o.validate(r.ID)
				continue
			}
			f := facts(1)[name]
			o.want(200, nil, f.who, http.MethodPost, "/api/v1/requests/"+r.Ticket+"/"+name, f.body)
		}
		require.EqualValues(t, "registered", o.see(r.Ticket).State, "%v", order)
	}
}

func TestFactsAreChecked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(5)
	path := "/api/v1/requests/" + r.Ticket
	for name, c := range map[string]struct {
		who, fact string
		body      any
		status    int
		pointer   string
	}{
		"letter tomorrow":       {"persuratan", "letter", map[string]any{"received_on": "2026-11-24"}, 422, "/received_on"},
		"letter before letter":  {"persuratan", "letter", map[string]any{"received_on": "2026-11-19"}, 422, "/received_on"},
		"letter without date":   {"persuratan", "letter", map[string]any{}, 422, "/received_on"},
		"letter with bad date":  {"persuratan", "letter", map[string]any{"received_on": "kemarin"}, 400, ""},
		"unknown field":         {"persuratan", "letter", map[string]any{"tanggal": "2026-11-23"}, 400, "/tanggal"},
		"fewer blanks":          {"persuratan", "blanks", map[string]any{"count": 4}, 422, "/count"},
		"no blanks":             {"persuratan", "blanks", map[string]any{}, 422, "/count"},
		"blanks as text":        {"persuratan", "blanks", map[string]any{"count": "5"}, 400, "/count"},
		"comparison not equal":  {"operator", "comparison", map[string]any{"submission": 1, "letter": true, "purchase_orders": false, "pks": true}, 422, "/purchase_orders"},
		"comparison incomplete": {"operator", "comparison", map[string]any{"submission": 1, "letter": true, "purchase_orders": true}, 422, "/pks"},
		"comparison of what":    {"operator", "comparison", map[string]any{"letter": true, "purchase_orders": true, "pks": true}, 422, "/submission"},
		"disposition too early": {"direktur", "disposition", map[string]any{}, 409, ""},
	} {
		p := o.problem(c.status, c.who, http.MethodPost, path+"/"+c.fact, c.body)
		if c.pointer != "" {
			require.Equal(t, c.pointer, p.Errors[0].Pointer, name)
		}
	}
	require.Empty(t, o.see(r.Ticket).Facts)
}

func TestTwoDecideAtOnceAndOneIsTooLate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	path := "/api/v1/requests/" + r.Ticket
	o.validate(r.ID)
	for name, f := range facts(1) {
		o.want(200, nil, f.who, http.MethodPost, path+"/"+name, f.body)
	}
	version := o.see(r.Ticket).Version
	codes := make(chan int, 8)
	for i := range cap(codes) {
		verb := []string{"approval", "rejection"}[i%2]
		go func() {
			codes <- o.ask("dirjen", http.MethodPost, path+"/"+verb, map[string]any{"reason": "diputuskan"}, ifMatch(version)...).Code
		}()
	}
	seen := map[int]int{}
	for range cap(codes) {
		seen[<-codes]++
	}
	require.Equal(t, map[int]int{200: 1, 412: 7}, seen)
}

func TestAwayDatabaseIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		// A lock that is not got in time stands for every fault that will pass.
		if _, err := tx.Exec(ctx, `
			CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'lock_not_available'; END $$`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `CREATE TRIGGER away BEFORE INSERT ON request_fact FOR EACH ROW EXECUTE FUNCTION away()`)
		return err
	})
	w := o.want(503, nil, "persuratan", http.MethodPost, "/api/v1/requests/"+r.Ticket+"/letter", map[string]any{"received_on": "2026-11-23"})
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	require.EqualValues(t, request.Submitted, o.see(r.Ticket).State)
}
