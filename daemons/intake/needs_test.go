package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

const needs = "/api/v1/needs"

// ask is a lembaga's request to be sent.
func ask(reference string) *parcel {
	return &parcel{
		form: map[string]any{"reference": reference, "produsen": "PT Produsen Contoh", "title": "Perso reader", "quantity": 3,
			"machine_type": "GSX-01", "remarks": "Cabang Bandung"},
		parts: []part{{"letter", "surat.pdf", pdf}},
	}
}

func (o *office) as(key string, more ...string) map[string]string {
	header := map[string]string{"Authorization": "Bearer " + o.keys[key]}
	for i := 0; i+1 < len(more); i += 2 {
		header[more[i]] = more[i+1]
	}
	return header
}

// asks sends a lembaga's request and returns its address.
func (o *office) asks(t *testing.T, reference string) string {
	t.Helper()
	r := o.send(t, needs, ask(reference), "need-"+reference, o.as("lembaga"))
	require.Equal(t, http.StatusCreated, r.status, string(r.body))
	return r.header.Get("Location")
}

// need reads a need as somebody sees it.
func (o *office) need(t *testing.T, path, who string) (v report.Need) {
	t.Helper()
	r := o.do(t, http.MethodGet, path, nil, o.as(who))
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	require.NoError(t, json.Unmarshal(r.body, &v))
	return v
}

// moves has somebody take a verb on a need as it stands.
func (o *office) moves(t *testing.T, path, verb, who, reason string) reply {
	t.Helper()
	version := o.need(t, path, "lembaga").Version
	return o.do(t, http.MethodPost, path+"/"+verb, strings.NewReader(fmt.Sprintf(`{"reason":%q}`, reason)),
		o.as(who, "If-Match", fmt.Sprintf(`"%d"`, version), "Content-Type", "application/json"))
}

// approved makes an approved need and returns its address and number.
func (o *office) approved(t *testing.T, reference string) (path, number string) {
	t.Helper()
	path = o.asks(t, reference)
	r := o.moves(t, path, "approval", "produsen", "")
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	return path, strings.TrimPrefix(path, needs+"/")
}

// bundling is a drop whose one line names a need.
func bundling(t *testing.T, reference, number string) *parcel {
	t.Helper()
	p := whole(t)
	p.form["reference"] = reference
	p.form["lines"] = []any{map[string]any{"lembaga": "PT Bank Contoh", "quantity": 3, "need": number}}
	return p
}

func TestANeedOnItsWay(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	path := o.asks(t, "AKT-1")
	again := o.send(t, needs, ask("AKT-1"), "need-AKT-1", o.as("lembaga"))
	require.Equal(t, http.StatusCreated, again.status)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, path, again.header.Get("Location"))
	used := o.send(t, needs, ask("AKT-1"), "another-key", o.as("lembaga"))
	require.Equal(t, http.StatusConflict, used.status)
	require.Equal(t, map[string]string{"/reference": "used"}, used.pointers())
	require.Equal(t, http.StatusForbidden, o.send(t, needs, ask("AKT-2"), "p", o.as("produsen")).status)

	require.Equal(t, http.StatusUnprocessableEntity, o.moves(t, path, "return", "produsen", " ").status)
	require.Equal(t, http.StatusForbidden, o.moves(t, path, "approval", "lembaga", "").status)
	require.Equal(t, http.StatusOK, o.moves(t, path, "return", "produsen", "Jumlah tidak sesuai PO.").status)
	v := o.need(t, path, "lembaga")
	require.Equal(t, need.Returned, v.State)
	require.Equal(t, "Jumlah tidak sesuai PO.", v.Reason)
	require.Equal(t, http.StatusConflict, o.moves(t, path, "approval", "produsen", "").status)

	p := ask("AKT-1")
	p.form["produsen"] = "PT Produsen Lain"
	fixed := o.send(t, path+"/resubmission", p, "k", o.as("lembaga", "If-Match", `"2"`))
	require.Equal(t, map[string]string{"/produsen": "fixed"}, fixed.pointers())
	p = ask("AKT-1")
	p.form["quantity"] = 2
	p.parts = append(p.parts, part{"list", "alat.xlsx", sheet(t, 2)})
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		in, err := institution.ByName(ctx, tx, "PT Produsen Contoh")
		if err == nil { // the correction says what the request said
			in.Name = "PT Produsen Contoh Indonesia"
			_, err = institution.Change(ctx, tx, in)
		}
		return err
	}))
	require.Equal(t, http.StatusPreconditionFailed, o.send(t, path+"/resubmission", p, "k", o.as("lembaga", "If-Match", `"1"`)).status)
	r := o.send(t, path+"/resubmission", p, "k", o.as("lembaga", "If-Match", `"2"`))
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	require.Equal(t, http.StatusOK, o.moves(t, path, "approval", "produsen", "").status)

	v = o.need(t, path, "produsen")
	require.Equal(t, 2, v.Quantity)
	require.Len(t, v.Files, 2)
	file := o.do(t, http.MethodGet, path+"/files/"+v.Files[0].ID, nil, o.as("produsen"))
	require.Equal(t, http.StatusOK, file.status)
	require.Equal(t, pdf, file.body)
	require.Empty(t, v.Offers, "what is decided is decided")

	number := strings.TrimPrefix(path, needs+"/")
	early := o.send(t, drops, bundling(t, "001", number), "d-1")
	require.Equal(t, map[string]string{"/lines/0/quantity": need.FaultTooMany}, early.pointers())
	check := o.send(t, "/api/v1/checks", bundling(t, "001", number), "")
	require.Equal(t, http.StatusOK, check.status)
	require.Contains(t, string(check.body), `"code":"more_than_asked"`)
	d := bundling(t, "001", number)
	d.form["lines"].([]any)[0].(map[string]any)["quantity"] = 2
	dropped := o.send(t, drops, d, "d-1")
	require.Equal(t, http.StatusAccepted, dropped.status, string(dropped.body))
	seen := o.need(t, path, "lembaga")
	require.Equal(t, need.Bundled, seen.State)
	require.Equal(t, 20, seen.Bundle.Percent)
	require.Equal(t, 2, seen.Bundle.Quantity, "less than was asked for, and the lembaga sees it")
	require.Zero(t, *seen.Bundle.Received)
	raw := o.do(t, http.MethodGet, path, nil, o.as("lembaga"))
	require.NotContains(t, string(raw.body), dropped.Ticket, "the rest of that request is not its business")
	require.Equal(t, dropped.Ticket, o.need(t, path, "produsen").Bundle.Ticket)
	require.Equal(t, http.StatusConflict, o.moves(t, path, "cancellation", "lembaga", "").status)
	other := o.send(t, drops, bundling(t, "002", number), "d-2")
	require.Equal(t, http.StatusUnprocessableEntity, other.status)
	require.Equal(t, map[string]string{"/lines/0/need": need.FaultBundled}, other.pointers())

	var shown report.Request
	r = o.do(t, http.MethodGet, drops+"/"+dropped.Ticket, nil, o.as("produsen"))
	require.NoError(t, json.Unmarshal(r.body, &shown))
	require.Equal(t, "AKT-1", shown.Lines[0].Asked.Reference)
	require.Equal(t, 0, *shown.Lines[0].Received)
	gone := o.do(t, http.MethodPost, drops+"/"+dropped.Ticket+"/cancellation", nil, o.as("produsen", "If-Match", `"1"`))
	require.Equal(t, http.StatusOK, gone.status, string(gone.body))
	require.Equal(t, need.Approved, o.need(t, path, "lembaga").State)
	require.Equal(t, http.StatusConflict, o.moves(t, path, "cancellation", "lembaga", "").status, "a decision stands")
}

// puts has a lembaga change its request as it saw it in a version.
func (o *office) puts(t *testing.T, path string, p *parcel, key, version string) reply {
	t.Helper()
	body, contentType := p.body(t)
	return o.do(t, http.MethodPut, path, bytes.NewReader(body),
		o.as("lembaga", "If-Match", `"`+version+`"`, "Idempotency-Key", key, "Content-Type", contentType))
}

func TestSoftwareEditsANeed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := ask("AKT-1")
	p.parts = append(p.parts, part{"list", "alat.xlsx", sheet(t, 2)})
	wrong := o.send(t, needs, p, "k-1", o.as("lembaga"))
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Equal(t, map[string]string{"/quantity": "card_count"}, wrong.pointers(), "3 are asked for, 2 are listed")
	p.form["quantity"] = 2
	made := o.send(t, needs, p, "k-1", o.as("lembaga"))
	require.Equal(t, http.StatusCreated, made.status, string(made.body))
	path := made.header.Get("Location")
	require.Equal(t, 2, o.need(t, path, "produsen").ListRows)
	var cards report.NeedCards
	r := o.do(t, http.MethodGet, path+"/cards?limit=1", nil, o.as("produsen"))
	require.NoError(t, json.Unmarshal(r.body, &cards))
	require.Equal(t, 2, cards.Total)
	require.Len(t, cards.Cards, 1)
	require.Contains(t, r.header.Get("Link"), "after="+*cards.Next)
	require.Equal(t, http.StatusBadRequest, o.do(t, http.MethodGet, path+"/cards?after=*", nil, o.as("produsen")).status)

	change := ask("")
	change.parts = nil
	change.form["produsen"], change.form["title"] = "", "Judul lain"
	require.Equal(t, map[string]string{"/list": "differs"}, o.puts(t, path, change, "e-1", "1").pointers(), "the list that stays is of 2")
	change.form["quantity"] = 2
	require.Equal(t, http.StatusPreconditionFailed, o.puts(t, path, change, "e-1", "7").status)
	for range 2 { // the answer may have been lost
		r = o.puts(t, path, change, "e-1", "1")
		require.Equal(t, http.StatusOK, r.status, string(r.body))
	}
	require.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
	v := o.need(t, path, "produsen")
	require.Equal(t, "Judul lain", v.Title)
	require.Len(t, v.Files, 2)
	require.EqualValues(t, 2, v.Version)
	change.form["drop_list"] = true
	require.Equal(t, http.StatusUnprocessableEntity, o.puts(t, path, change, "e-1", "2").status, "another content under the same key")
	require.Equal(t, http.StatusOK, o.puts(t, path, change, "e-2", "2").status)
	require.Zero(t, o.need(t, path, "produsen").ListRows)
	require.Equal(t, map[string]string{"/drop_list": "not_used"}, func() map[string]string {
		p := ask("AKT-9")
		p.form["drop_list"] = true
		return o.send(t, needs, p, "k-9", o.as("lembaga")).pointers()
	}())
	require.Equal(t, http.StatusOK, o.moves(t, path, "approval", "produsen", "").status)
	late := o.puts(t, path, change, "e-3", "4")
	require.Equal(t, http.StatusConflict, late.status)
	require.Contains(t, string(late.body), "illegal-step")
}

func TestNeedsAreReadStrictly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, c := range map[string]struct {
		edit    func(*parcel)
		pointer string
		code    string
	}{
		"no letter":        {func(p *parcel) { p.parts = nil }, "/letter", "missing"},
		"letter is text":   {func(p *parcel) { p.set("letter", []byte("halo")) }, "/letter", "wrong_type"},
		"list is a PDF":    {func(p *parcel) { p.parts = append(p.parts, part{"list", "a.xlsx", pdf}) }, "/list", "not_xlsx"},
		"a file too many":  {func(p *parcel) { p.parts = append(p.parts, part{"pks", "a.pdf", pdf}) }, "/pks", "unknown_part"},
		"unknown produsen": {func(p *parcel) { p.form["produsen"] = "PT Bank Contoh" }, "/produsen", "unknown_value"},
		"unknown machine":  {func(p *parcel) { p.form["machine_type"] = "x" }, "/machine_type", "unknown_value"},
		"no quantity":      {func(p *parcel) { p.form["quantity"] = 0 }, "/quantity", "missing"},
		"not a yes or no":  {func(p *parcel) { p.form["drop_list"] = "ya" }, "/drop_list", "wrong_type"},
		"another field":    {func(p *parcel) { p.form["card_count"] = 1 }, "/card_count", "unknown_field"},
	} {
		p := ask("AKT-1")
		c.edit(p)
		r := o.send(t, needs, p, "k", o.as("lembaga"))
		require.Contains(t, []int{400, 422}, r.status, "%s: %s", name, r.body)
		require.Contains(t, r.pointers(), c.pointer, name)
		if c.code != "not_xlsx" {
			require.Equal(t, c.code, r.pointers()[c.pointer], name)
		}
	}
	require.Zero(t, o.count(t, "need"))
	o.nothing(t)
	bad := o.send(t, drops, bundling(t, "001", "PLP-2026-000001-9"), "d")
	require.Contains(t, []string{"wrong_form", need.FaultUnknown}, bad.pointers()["/lines/0/need"])
}

// Every route that names a need answers a stranger as if it did not exist.
func TestAnotherSeesNoNeed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	path, number := o.approved(t, "AKT-1")
	walked := 0
	require.NoError(t, chi.Walk(o.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !strings.Contains(route, "{number}") {
			return nil
		}
		walked++
		at := strings.NewReplacer("{number}", number, "{id}", o.need(t, path, "lembaga").Files[0].ID).Replace(route)
		for _, who := range []string{"other", "dinas"} {
			p := ask("AKT-1")
			body, contentType := p.body(t)
			header := o.as(who, "If-Match", `"2"`)
			if strings.HasSuffix(route, "/resubmission") || method == http.MethodPut {
				header["Content-Type"], header["Idempotency-Key"] = contentType, "x"
			} else {
				body = nil
			}
			r := o.do(t, method, at, bytes.NewReader(body), header)
			require.Equal(t, http.StatusNotFound, r.status, "%s %s as %s: %s", method, at, who, r.body)
		}
		return nil
	}))
	require.Equal(t, 9, walked)
	for who, n := range map[string]int{"lembaga": 1, "produsen": 1, "other": 0, "dinas": 0} {
		for query, want := range map[string]int{"": n, "?status=approved": n, "?status=on_progress": 0, "?search=akt-1": n, "?search=zzz": 0, "?state=approved&totals=true": n} {
			var page report.NeedPage
			r := o.do(t, http.MethodGet, needs+query, nil, o.as(who))
			require.NoError(t, json.Unmarshal(r.body, &page))
			require.Len(t, page.Needs, want, "%s %s", who, query)
		}
	}
	require.Equal(t, http.StatusBadRequest, o.do(t, http.MethodGet, needs+"?status=x", nil, o.as("lembaga")).status)
	foreign := o.send(t, drops, bundling(t, "001", number), "d", o.as("other"))
	require.Equal(t, map[string]string{"/lines/0/need": need.FaultUnknown}, foreign.pointers())
}

func TestTwoDropsForOneNeed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	path, number := o.approved(t, "AKT-1")
	replies := make([]reply, 6)
	var wg sync.WaitGroup
	for i := range replies {
		p := bundling(t, fmt.Sprint("R-", i), number)
		wg.Go(func() { replies[i] = o.send(t, drops, p, fmt.Sprint("k-", i)) })
	}
	wg.Wait()
	won := 0
	for _, r := range replies {
		if r.status == http.StatusAccepted {
			won++
			continue
		}
		require.Equal(t, http.StatusUnprocessableEntity, r.status, string(r.body))
		require.Equal(t, map[string]string{"/lines/0/need": need.FaultBundled}, r.pointers())
	}
	require.Equal(t, 1, won)
	require.Equal(t, 1, o.count(t, "request"))
	require.Equal(t, need.Bundled, o.need(t, path, "lembaga").State)
}

// A drop that breaks or whose connection dies at any of its writes leaves the need
// as it was, or bundled in the one request.
func TestABundlingDropIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	path, number := o.approved(t, "AKT-1")
	p := bundling(t, "001", number)
	for table, at := range map[string]string{"need": `CREATE TRIGGER breaks BEFORE UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION breaks()`,
		"request_line": atInsert, "request": atInsert, "history": atInsert, "audit": atInsert, "idempotency": atInsert} {
		o.breaks(t, table, at, `RAISE EXCEPTION 'broken for the test';`)
		require.Equal(t, http.StatusInternalServerError, o.send(t, drops, p, "k").status, table)
		require.Equal(t, need.Approved, o.need(t, path, "lembaga").State, table)
		require.Zero(t, o.count(t, "request"), table)
		o.mends(t, table)
		o.breaks(t, table, at, `IF nextval('breaks') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;`)
		r := o.send(t, drops, p, "k-"+table)
		for try := 0; r.status == http.StatusServiceUnavailable && try < 5; try++ {
			r = o.send(t, drops, p, "k-"+table)
		}
		require.Equal(t, http.StatusAccepted, r.status, "%s: %s", table, r.body)
		o.mends(t, table)
		require.Equal(t, r.Ticket, o.need(t, path, "produsen").Bundle.Ticket)
		require.Equal(t, 1, o.count(t, "request"))
		o.forget(t, r.Ticket)
	}
}

// mends takes a trigger of breaks back.
func (o *office) mends(t *testing.T, table string) {
	t.Helper()
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `ALTER SEQUENCE breaks RESTART`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DROP TRIGGER breaks ON `+table)
		return err
	}))
}

// forget cancels a request and takes its rows out of the way of the next round.
func (o *office) forget(t *testing.T, ticket string) {
	t.Helper()
	r := o.do(t, http.MethodPost, drops+"/"+ticket+"/cancellation", nil, o.as("produsen", "If-Match", `"1"`))
	require.Equal(t, http.StatusOK, r.status, string(r.body))
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		for _, table := range []string{"request_line", "purchase_order", "request_file", "request"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	}))
}

// A person bundles on the page as software does in a drop.
func TestPeopleNameANeedOnThePage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	o.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	path, number := o.approved(t, "AKT-1")

	wrong := o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"lines/2/need": "PLP-1", "_do": "submit"}))
	require.Equal(t, http.StatusUnprocessableEntity, wrong.status)
	require.Contains(t, string(wrong.body), `<a href="#f-lines-0-need">No. Permintaan lembaga tidak benar`)
	require.Contains(t, string(wrong.body), `name="lines/0/need" type="text" value="PLP-1"`)
	more := o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"lines/2/need": number, "lines/2/quantity": "4", "card_count": "4"}))
	require.Contains(t, string(more.body), `<a href="#f-lines-0-quantity">Jumlah kartu melebihi yang diminta lembaga.`)
	require.Zero(t, o.count(t, "request"))

	form := fill(t).with(map[string]string{"lines/2/need": " " + strings.ToLower(number), "_do": "submit"})
	sent := o.fillIn(t, pic, "/pengajuan", form)
	require.Equal(t, http.StatusSeeOther, sent.status, string(sent.body))
	require.Equal(t, need.Bundled, o.need(t, path, "lembaga").State)
	repeated := o.fillIn(t, pic, "/pengajuan", form)
	require.Equal(t, http.StatusSeeOther, repeated.status, "his own first try has it: %s", repeated.body)
	require.Equal(t, sent.header.Get("Location"), repeated.header.Get("Location"))
	taken := o.fillIn(t, pic, "/pengajuan", fill(t).with(map[string]string{"reference": "002", "lines/2/need": number}))
	require.Contains(t, string(taken.body), `<a href="#f-lines-0-need">Permintaan ini sudah masuk permohonan lain.`)
}
