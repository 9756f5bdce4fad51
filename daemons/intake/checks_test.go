package main

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

const checks = "/api/v1/checks"

type checkAnswer struct {
	Acceptable bool
	Errors     []web.FieldError
	Findings   []validation.Finding
	Cards      *int
}

// codes maps the places of errors and findings to what they are.
func (a checkAnswer) codes() map[string]string {
	m := map[string]string{}
	for _, e := range a.Errors {
		m[e.Pointer] = e.Code
	}
	for _, f := range a.Findings {
		m[f.Pointer] = f.Code
	}
	return m
}

func (o *office) check(t *testing.T, path string, p *parcel) checkAnswer {
	t.Helper()
	return into[checkAnswer](t, o.send(t, path, p, ""))
}

func TestCheckBeforeSending(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		lembaga, err := institution.ByName(ctx, tx, "PT Bank Contoh")
		if err != nil {
			return err
		}
		return institution.EnsurePKS(ctx, tx, institution.PKS{
			Number: "PKS/1", InstitutionID: lembaga.ID, ValidFrom: clock.Date{Year: 2026, Month: 1, Day: 1},
			ValidTo: clock.Date{Year: 2027, Month: 1, Day: 1}, State: "in_force",
		})
	}))
	good := o.check(t, checks, whole(t))
	require.True(t, good.Acceptable, "%+v", good)
	require.Empty(t, good.codes())
	require.Equal(t, 3, *good.Cards)

	p := whole(t)
	p.form["card_count"], p.form["title"], p.form["pks_number"] = 4, "", "PKS/2"
	p.set("letter", []byte("bukan PDF"))
	var list bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&list, []cardlist.Row{{Row: 1, Serial: "SAM-000001", ReaderSerial: "R-000001"}, {Row: 2, Serial: "SALAH", ReaderSerial: "R-000002"}}))
	p.set("card_list", list.Bytes())
	bad := o.check(t, checks, p)
	require.False(t, bad.Acceptable)
	require.Equal(t, map[string]string{
		"/title": "missing", "/letter": "wrong_type", "/card_count": "card_count", "/pks_number": "pks_unknown",
		"daftar!Daftar!B3": "serial_form", "/lines": "lines_count", "/purchase_orders": "po_too_small",
	}, bad.codes(), "all at once: what the intake refuses and what the validator finds")

	p = whole(t)
	p.form["machine_type"], p.form["pks_number"], p.form["lines"] = "a\x00", "b\x00", slices.Repeat([]any{map[string]any{}}, 20_000)
	odd := o.check(t, checks, p).codes()
	require.Equal(t, "bad_character", odd["/machine_type"])
	require.Equal(t, "bad_character", odd["/pks_number"])
	require.Equal(t, "too_many", odd["/lines"])

	p = whole(t)
	p.form["machine_type"] = "X"
	p.set("card_list", []byte("bukan buku kerja"))
	require.Equal(t, map[string]string{"/machine_type": "unknown_value", "/card_list": "plain_text"}, o.check(t, checks, p).codes())
	o.nothing(t)

	first := o.send(t, drops, whole(t), "k-1")
	require.Equal(t, http.StatusAccepted, first.status)
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := cardlist.Store(ctx, tx, first.ID, []cardlist.Row{{Row: 1, Serial: "SAM-000001", Line: 1}})
		return err
	}))
	require.Equal(t, map[string]string{"/reference": "used", "daftar!Daftar!B3": "serial_in_use"}, o.check(t, checks, whole(t)).codes())

	r := o.send(t, checks+"?ticket="+first.Ticket, whole(t), "")
	require.Equal(t, http.StatusConflict, r.status, "nobody has returned it")
	require.Equal(t, "urn:sifilma:problem:not-returned", r.Type)
	o.returned(t, first.ID, "Sel B2.")
	require.True(t, o.check(t, checks+"?ticket="+first.Ticket, whole(t)).Acceptable, "its own serials and reference are no obstacle")
	p = whole(t)
	p.form["reference"] = "lain"
	require.Equal(t, map[string]string{"/reference": "fixed"}, o.check(t, checks+"?ticket="+first.Ticket, p).codes())
	other := o.send(t, checks+"?ticket="+first.Ticket, whole(t), "", map[string]string{"Authorization": "Bearer " + o.keys["other"]})
	require.Equal(t, http.StatusNotFound, other.status)

	require.Equal(t, 1, o.count(t, "request"))
	require.Equal(t, 4, o.count(t, "blob"), "nothing of a check is kept")
	require.Equal(t, 1, o.count(t, "idempotency"))
}

func TestCheckOfWhatCannotBeTaken(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	body, contentType := whole(t).body(t)
	for name, c := range map[string]struct {
		body        []byte
		contentType string
		key         string
		status      int
	}{
		"JSON":        {[]byte(`{}`), "application/json", "produsen", http.StatusUnsupportedMediaType},
		"cut":         {body[:len(body)-200], contentType, "produsen", http.StatusBadRequest},
		"a lembaga's": {body, contentType, "lembaga", http.StatusForbidden},
		"reads only":  {body, contentType, "read only", http.StatusForbidden},
	} {
		r := o.do(t, http.MethodPost, checks, bytes.NewReader(c.body), map[string]string{
			"Authorization": "Bearer " + o.keys[c.key], "Content-Type": c.contentType,
		})
		require.Equal(t, c.status, r.status, "%s: %s", name, r.body)
	}
	none := whole(t)
	none.form = nil
	require.Equal(t, map[string]string{"/request": "missing"}, o.check(t, checks, none).codes())
	o.nothing(t)
}

// What rests on a form that cannot be read, or on a field that has a fault of its
// own, is not said.
func TestACheckSaysNothingThatRestsOnAFault(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	p := whole(t)
	p.form = nil
	p.parts = append(p.parts, part{name: "request", content: []byte(`{"kind": "reader",`)})
	require.Equal(t, map[string]string{"/request": "bad_json"}, o.check(t, checks, p).codes())

	list, err := excelize.OpenReader(bytes.NewReader(sheet(t, 3)))
	require.NoError(t, err)
	require.NoError(t, list.SetCellFormula(cardlist.Sheet, "B3", `"SAM-000009"`))
	b, err := list.WriteToBuffer()
	require.NoError(t, err)
	p.set("card_list", b.Bytes())
	p.set("letter", []byte("bukan surat"))
	broken := o.check(t, checks, p)
	require.Equal(t, map[string]string{"/request": "bad_json", "/letter": "wrong_type", "daftar!Daftar!B3": "formula"}, broken.codes(),
		"the files can be looked at all the same")
	require.Equal(t, 3, *broken.Cards)

	p = whole(t)
	p.form["card_count"], p.form["kind"] = "tiga", "apa"
	require.Equal(t, map[string]string{"/card_count": "wrong_type", "/kind": "unknown_value"}, o.check(t, checks, p).codes())
	p = whole(t)
	p.form["lines"].([]any)[0].(map[string]any)["quantity"] = "tiga"
	require.Equal(t, map[string]string{"/lines/0/quantity": "wrong_type"}, o.check(t, checks, p).codes())
	o.nothing(t)
}

// A drop that is refused hears all at once, as its check would.
func TestARefusalNamesAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	require.Equal(t, http.StatusAccepted, o.send(t, drops, whole(t), "k-1").status)
	p := whole(t)
	p.form["machine_type"] = "tiada"
	p.form["letter"].(map[string]any)["date"] = "2099-01-01"
	p.form["lines"].([]any)[0].(map[string]any)["need"] = "PLP-2026-000123-8"
	want := map[string]string{"/letter/date": "in_future", "/machine_type": "unknown_value", "/reference": "used", "/lines/0/need": "unknown_value"}
	refused := o.send(t, drops, p, "k-2")
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	require.Equal(t, want, refused.pointers())
	require.Contains(t, refused.Detail, "Ada 4 hal")
	require.Equal(t, want, o.check(t, checks, p).codes())
	p.form["letter"].(map[string]any)["date"] = "2026-11-20"
	delete(want, "/letter/date")
	require.Equal(t, want, o.send(t, drops, p, "k-2").pointers(), "the master data alone")

	p = whole(t)
	p.form = nil
	p.parts = append(p.parts, part{name: "request", content: []byte(`[`)})
	require.Equal(t, map[string]string{"/request": "bad_json"}, o.send(t, drops, p, "k-3").pointers())

	n := ask("AKT-1")
	n.form["quantity"], n.form["produsen"], n.form["machine_type"] = 0, "PT Tiada", "tiada"
	require.Equal(t, map[string]string{"/quantity": "missing", "/produsen": "unknown_value", "/machine_type": "unknown_value"},
		o.send(t, needs, n, "n-1", o.as("lembaga")).pointers())
	n.form["machine_type"] = ""
	require.Equal(t, map[string]string{"/quantity": "missing", "/produsen": "unknown_value", "/machine_type": "missing"},
		o.send(t, needs, n, "n-2", o.as("lembaga")).pointers())
	require.Equal(t, 1, o.count(t, "request"))
	require.Zero(t, o.count(t, "need"))
}
