package main

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/prints"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// What is ticked is printed: the BAST of a handover once, a list for each lembaga; by
// page and by API, and to the produsen only what has gone out.
func TestWhatIsTickedIsPrinted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(4))
	o.produce(v, 0)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // the second half is of another lembaga
		if _, err := tx.Exec(ctx, `INSERT INTO request_line (request_id, line, lembaga, quantity) VALUES ($1, 2, 'Koperasi Contoh', 2)`, v.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE listed_card SET line = 2 WHERE request_id = $1 AND row > 2`, v.ID)
		return err
	})
	home, at := "/permohonan/"+v.Ticket+"/serah-terima", "/api/v1/requests/"+v.Ticket+"/handover-prints"
	require.Contains(t, o.page(200, "produsen", home).text, "Belum ada serah terima.")
	var first, second report.Handover
	o.want(201, &first, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", map[string]any{"quantity": 3})
	o.want(201, &second, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	o.draftBAST(first, v.ID)

	var seen struct{ Rows []prints.Row }
	o.want(200, &seen, "operator", http.MethodGet, at, nil)
	require.Len(t, seen.Rows, 3)
	require.Equal(t, []int{2, 1, 1}, []int{seen.Rows[0].Quantity, seen.Rows[1].Quantity, seen.Rows[2].Quantity})
	require.Equal(t, "Koperasi Contoh", seen.Rows[1].Lembaga)
	require.True(t, seen.Rows[0].BAST)
	require.False(t, seen.Rows[2].BAST, "not made yet")
	rows := func(n ...int) string {
		q := url.Values{}
		for _, i := range n {
			q.Add("row", seen.Rows[i].Key)
		}
		return "?" + q.Encode()
	}
	p := o.problem(422, "operator", http.MethodGet, at+"/bast", nil)
	require.Equal(t, "missing", p.Errors[0].Code)
	p = o.problem(422, "operator", http.MethodGet, at+"/bast"+rows(0, 2), nil)
	require.Contains(t, p.Errors[0].Detail, "serah terima ke-2 belum dapat dicetak")
	p = o.problem(422, "operator", http.MethodGet, at+"/list?row=lain.1", nil)
	require.Equal(t, "unknown", p.Errors[0].Code)
	o.problem(404, "operator", http.MethodGet, at+"/surat"+rows(0), nil)

	w := o.want(200, nil, "operator", http.MethodGet, at+"/bast"+rows(0, 1), nil)
	require.Equal(t, pdf, w.Body.Bytes(), "one BAST for both")
	require.Contains(t, w.Header().Get("Content-Disposition"), "bast-"+v.Ticket+"-1.pdf")
	w = o.want(200, nil, "operator", http.MethodGet, at+"/list"+rows(0, 1, 2), nil)
	require.Equal(t, "application/zip", w.Header().Get("Content-Type"))
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	require.NoError(t, err)
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	require.Equal(t, []string{"serah-terima-1/baris-1/receive-report-23112026.xlsx", "serah-terima-1/baris-2/receive-report-23112026.xlsx",
		"serah-terima-2/baris-2/receive-report-23112026.xlsx"}, names)

	// To the produsen: what was handed over, with what it counted.
	o.want(200, &seen, "produsen", http.MethodGet, at, nil)
	require.False(t, seen.Rows[0].BAST || seen.Rows[0].List)
	o.problem(422, "produsen", http.MethodGet, at+"/list"+rows(0), nil)
	delivery := newForm(t, signedScan(first.ID), "representative", "PIC", "representative_post", "PIC", "representative_of", "produsen", "delivered_on", "2026-11-23")
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/handovers/"+first.ID+"/delivery", delivery)
	o.want(200, nil, "produsen", http.MethodPost, "/api/v1/handovers/"+first.ID+"/receipt", map[string]any{"lines": []map[string]int{{"line": 1, "received": 1}, {"line": 2, "received": 1}}})
	page := o.page(200, "produsen", home)
	require.Contains(t, page.text, "PT Bank Contoh Nusantara Ke-1 2 1")
	require.Contains(t, page.text, "belum ada")
	w = o.want(200, nil, "produsen", http.MethodGet, home+"?cetak=list&list="+seen.Rows[0].Key, nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), "receive-report-23112026.xlsx")
	book, err := xlsx.Open(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()), xlsx.DefaultLimits())
	require.NoError(t, err)
	var texts []string
	for row, err := range book.Rows("Data Receive") {
		require.NoError(t, err)
		for _, c := range row.Cells {
			texts = append(texts, c.Text)
		}
	}
	require.Subset(t, texts, []string{"LAPORAN HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH", "(PT BANK CONTOH NUSANTARA)", "Serah terima ke-1: 2 keping, jumlah diterima 1 keping", "No. PCID", "Berhasil"})
	require.NotContains(t, texts, "3", "the other lembaga's is not in it")
	w = o.want(200, nil, "produsen", http.MethodGet, home+"?cetak=bast&bast="+seen.Rows[0].Key, nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), "bertanda-tangan")
	require.Contains(t, o.page(422, "produsen", home+"?cetak=bast").text, "Centang sekurangnya satu baris.")

	reply := o.makeLetter(v.ID)
	require.Contains(t, o.page(200, "operator", home).hrefs(), "/api/v1/documents/"+reply.ID+"/files/docx")
	require.NotContains(t, o.page(200, "produsen", home).text, "Cetak Surat Balasan", "not in force")
}
