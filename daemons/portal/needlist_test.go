package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/report"
)

// machines is a lembaga's list of n machines whose cards it does not know yet.
func machines(t *testing.T, n int) []byte {
	t.Helper()
	rows := make([]cardlist.Row, n)
	for i := range rows {
		rows[i] = cardlist.Row{Row: i + 1, ReaderSerial: fmt.Sprintf("GSX-%04d", i+1), Kind: "Reader", Remarks: "Cabang <Bandung>"}
	}
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, rows))
	return b.Bytes()
}

func fieldsOf(reference string, quantity int) []string {
	f := needFields(reference)
	for i := range f {
		if f[i] == "quantity" {
			f[i+1] = strconv.Itoa(quantity)
		}
	}
	return f
}

func TestTheListOfANeed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const n = 230
	var v report.Need
	o.want(201, &v, "lembaga", http.MethodPost, "/api/v1/needs", needFormWith(t, pdf, machines(t, n), fieldsOf("AKT-1", n)...), keyed()...)
	require.Equal(t, n, v.ListRows)
	path, page := "/api/v1/needs/"+v.Number, "/permintaan/"+v.Number

	seen := 0
	for next := path + "/cards?limit=100"; next != ""; {
		var part report.NeedCards
		w := o.want(200, &part, "produsen", http.MethodGet, next, nil)
		require.Equal(t, n, part.Total)
		for _, c := range part.Cards {
			seen++
			require.Equal(t, need.Card{Row: seen, ReaderSerial: fmt.Sprintf("GSX-%04d", seen), Kind: "Reader", Remarks: "Cabang <Bandung>"}, c)
		}
		next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		if next != "" {
			next = path + "/cards" + next
		}
	}
	require.Equal(t, n, seen)
	for _, query := range []string{"after=!", "after=-1", "limit=0", "limit=101"} {
		o.problem(400, "lembaga", http.MethodGet, path+"/cards?"+query, nil)
	}
	for who, status := range map[string]int{"lembaga": 200, "produsen": 200, "operator": 200, "kasubdit": 200, foreigner: 404, otherLembaga: 404} {
		o.want(status, nil, who, http.MethodGet, path+"/cards", nil)
		o.want(status, nil, who, http.MethodGet, page+"/daftar", nil)
	}
	o.want(401, nil, "", http.MethodGet, path+"/cards", nil)

	for _, who := range []string{"lembaga", "produsen", "operator"} {
		for _, at := range []string{"/permintaan", page} {
			require.Contains(t, o.want(200, nil, who, http.MethodGet, at, nil).Body.String(), `<a href="`+page+`/daftar"`, "%s %s", who, at)
		}
	}
	last := o.want(200, nil, "produsen", http.MethodGet, page+"/daftar?halaman=3", nil).Body.String()
	for _, text := range []string{"Baris 201 sampai 230 dari 230.", "GSX-0230", "Cabang &lt;Bandung&gt;", "Halaman 3 dari 3"} {
		require.Contains(t, last, text)
	}
	require.NotContains(t, last, "GSX-0200")
	require.Equal(t, last, o.want(200, nil, "produsen", http.MethodGet, page+"/daftar?halaman=99", nil).Body.String())

	bare := o.asks("AKT-2")
	require.Zero(t, bare.ListRows)
	var none report.NeedCards
	o.want(200, &none, "lembaga", http.MethodGet, "/api/v1/needs/"+bare.Number+"/cards", nil)
	require.Empty(t, none.Cards)
	o.want(404, nil, "lembaga", http.MethodGet, "/permintaan/"+bare.Number+"/daftar", nil)
	require.NotContains(t, o.want(200, nil, "lembaga", http.MethodGet, "/permintaan", nil).Body.String(), "/permintaan/"+bare.Number+"/daftar")
}

// A list that is wrong is refused with what is wrong in it, and nothing is kept.
func TestAWrongListOfANeed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, []cardlist.Row{{Row: 1, Serial: "SAM1", ReaderSerial: "R-1"}, {Row: 2, ReaderSerial: "R-1"}, {Row: 3, Serial: "SAM00001"}}))
	p := o.problem(422, "lembaga", http.MethodPost, "/api/v1/needs", needFormWith(t, pdf, b.Bytes(), fieldsOf("AKT-1", 2)...), keyed()...)
	var got []string
	for _, e := range p.Errors {
		got = append(got, e.Pointer+" "+e.Code)
	}
	require.ElementsMatch(t, []string{
		"daftar!Daftar!B2 serial_form", "daftar!Daftar!C3 reader_serial_repeated", "daftar!Daftar!C4 reader_serial_missing", "/quantity card_count",
	}, got)
	page := o.want(422, nil, "lembaga", http.MethodPost, "/permintaan/baru", needFormWith(t, pdf, b.Bytes(), fieldsOf("AKT-1", 2)...)).Body.String()
	require.Contains(t, page, "No. Seri Reader kosong.")
	require.Contains(t, page, "sedangkan daftar alat berisi 3")
	o.problem(422, "lembaga", http.MethodPost, "/api/v1/needs", needFormWith(t, pdf, pdf, fieldsOf("AKT-1", 2)...), keyed()...)
	var all report.NeedPage
	o.want(200, &all, "lembaga", http.MethodGet, "/api/v1/needs", nil)
	require.Empty(t, all.Needs)
}

func TestANeedIsEditedUntilItIsDecided(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var v report.Need
	o.want(201, &v, "lembaga", http.MethodPost, "/api/v1/needs", needFormWith(t, pdf, machines(t, 2), fieldsOf("AKT-1", 2)...), keyed()...)
	path, page := "/api/v1/needs/"+v.Number, "/permintaan/"+v.Number
	edit := func(more ...string) []string { return append(fieldsOf("diabaikan", 2), more...) }

	o.problem(428, "lembaga", http.MethodPut, path, needForm(t, nil, edit()...))
	o.problem(412, "lembaga", http.MethodPut, path, needForm(t, nil, edit()...), ifMatch(2)...)
	o.problem(403, "produsen", http.MethodPut, path, needForm(t, nil, edit()...), ifMatch(1)...)
	o.problem(404, otherLembaga, http.MethodPut, path, needForm(t, nil, edit()...), ifMatch(1)...)
	o.problem(409, "lembaga", http.MethodPost, path+"/resubmission", needForm(t, nil, edit()...), ifMatch(1)...)
	wrong := o.problem(422, "lembaga", http.MethodPut, path, needForm(t, nil, fieldsOf("", 3)...), ifMatch(1)...)
	require.Equal(t, "differs", wrong.Errors[0].Code, "the list that stays is of 2")
	o.want(200, &v, "lembaga", http.MethodPut, path, needFormWith(t, nil, machines(t, 3), fieldsOf("", 3)...), ifMatch(1)...)
	require.Equal(t, 3, v.ListRows)
	require.Equal(t, "AKT-1", v.Reference)
	require.Len(t, v.Files, 2, "the letter stays")
	require.Equal(t, "Permintaan diubah lembaga: Jumlah kartu, daftar alat", v.Timeline[0].Label)
	o.problem(412, "produsen", http.MethodPost, path+"/approval", nil, ifMatch(1)...)

	shown := o.want(200, nil, "lembaga", http.MethodGet, page+"/ubah", nil).Body.String()
	for _, text := range []string{"Data Permintaan", `name="quantity" type="number" min="1" max="1000000" required value="3"`, `<option value="uji" selected>`, "daftar alat.xlsx", "Simpan perubahan"} {
		require.Contains(t, shown, text)
	}
	for who, status := range map[string]int{"produsen": 403, "operator": 403, otherLembaga: 404, foreigner: 404} {
		o.want(status, nil, who, http.MethodGet, page+"/ubah", nil)
	}
	stale := o.want(412, nil, "lembaga", http.MethodPost, page+"/ubah", needForm(t, nil, edit("versi", "1", "drop_list", "true")...)).Body.String()
	require.Contains(t, stale, `name="versi" value="2"`)
	require.Contains(t, stale, `name="quantity" type="number" min="1" max="1000000" required value="2"`, "what was typed is not lost")
	w := o.want(303, nil, "lembaga", http.MethodPost, page+"/ubah", needForm(t, nil, edit("versi", "2", "drop_list", "true")...))
	require.Equal(t, page+"?sudah=diubah", w.Header().Get("Location"))
	o.want(200, &v, "lembaga", http.MethodGet, path, nil)
	require.Zero(t, v.ListRows)
	require.Len(t, v.Files, 1)

	list := func() string { return o.want(200, nil, "lembaga", http.MethodGet, "/permintaan", nil).Body.String() }
	require.Contains(t, list(), `<a href="`+page+`/ubah"`)
	require.Contains(t, list(), `<a href="`+page+`#batal"`)
	require.NotContains(t, o.want(200, nil, "produsen", http.MethodGet, "/permintaan", nil).Body.String(), "/ubah")
	o.want(200, nil, "produsen", http.MethodPost, path+"/approval", nil, ifMatch(3)...)
	require.NotContains(t, list(), "/ubah", "a decided one is only looked at")
	require.NotContains(t, list(), "#batal")
	o.problem(409, "lembaga", http.MethodPut, path, needForm(t, nil, edit()...), ifMatch(4)...)
	require.Equal(t, page+"?masalah=langkah", o.want(303, nil, "lembaga", http.MethodGet, page+"/ubah", nil).Header().Get("Location"))
	late := o.want(303, nil, "lembaga", http.MethodPost, page+"/ubah", needForm(t, nil, edit("versi", "3")...))
	require.Equal(t, page+"?masalah=langkah", late.Header().Get("Location"))
}
