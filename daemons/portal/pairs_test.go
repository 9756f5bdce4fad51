package main

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

func pairsForm(t *testing.T, list []byte, fields map[string]string) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	for name, value := range fields {
		require.NoError(t, w.WriteField(name, value))
	}
	part, err := w.CreateFormFile("list", map[bool]string{true: "", false: "pasangan.xlsx"}[list == nil])
	require.NoError(t, err)
	_, err = part.Write(list)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

// Pairs of cards whose list named no reader come by form and by workbook: looked at first,
// then recorded, each with its source; a produsen sees its own only.
func TestPairsByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(3)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // a list that left two readers open
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `WITH open AS (UPDATE listed_card SET reader_serial = '' WHERE serial <> $1 RETURNING id) DELETE FROM live_reader WHERE card_id IN (SELECT id FROM open)`, cards[0].Serial)
		return err
	})
	const path = "/aktivasi/pasangan"
	require.Equal(t, 403, o.ask("lembaga", http.MethodGet, path, nil).Code)
	require.Equal(t, 403, o.ask("kasubdit", http.MethodGet, path+"/catat", nil).Code)
	require.Contains(t, o.want(200, nil, "produsen", http.MethodGet, "/aktivasi", nil).Body.String(), path)
	page := o.want(200, nil, "produsen", http.MethodGet, path+"?belum=1", nil).Body.String()
	require.NotContains(t, page, cards[0].Serial)
	require.Contains(t, page, "Belum berpasangan")
	require.NotContains(t, o.want(200, nil, foreigner, http.MethodGet, path, nil).Body.String(), cards[0].Serial)

	rows := map[string]string{"baris": "3", "pairs/0/sam_serial": cards[1].Serial, "pairs/0/reader_serial": "", "pairs/2/sam_serial": "TAK<ADA>", "pairs/2/reader_serial": "r-9"}
	more := map[string]string{"tambah": "1"}
	for name, value := range rows {
		more[name] = value
	}
	require.Contains(t, o.want(200, nil, "produsen", http.MethodPost, path+"/catat", pairsForm(t, nil, more)).Body.String(), `name="pairs/6/sam_serial"`)
	page = o.want(422, nil, "produsen", http.MethodPost, path+"/catat", pairsForm(t, nil, rows)).Body.String()
	require.Contains(t, page, `<a href="#pairs-0-reader_serial">Pasangan 1: Nomor seri reader wajib diisi.`)
	require.Contains(t, page, "TAK&lt;ADA&gt;")
	rows["pairs/0/reader_serial"] = "R-BARU-1"
	page = o.want(422, nil, "produsen", http.MethodPost, path+"/catat", pairsForm(t, nil, rows)).Body.String()
	require.Contains(t, page, "Pasangan 2: Kartu SAM TAK&lt;ADA&gt; tidak tercatat")
	delete(rows, "pairs/2/sam_serial")
	delete(rows, "pairs/2/reader_serial")
	require.Equal(t, 422, o.ask(foreigner, http.MethodPost, path+"/catat", pairsForm(t, nil, rows)).Code, "another's card")
	page = o.want(200, nil, "produsen", http.MethodPost, path+"/catat", pairsForm(t, nil, rows)).Body.String()
	require.Contains(t, page, "Catat 1 pasangan")
	var list report.PairPage
	o.want(200, &list, "produsen", http.MethodGet, "/api/v1/reader-pairs?unpaired=true", nil)
	require.Len(t, list.Pairs, 2, "a look records nothing")
	sent := url.Values{"sumber": {"form"}, "isi": {cards[1].Serial + "\tR-BARU-1"}}
	o.want(303, nil, "produsen", http.MethodPost, path+"/simpan", sent.Encode())
	require.Equal(t, 422, o.ask(foreigner, http.MethodPost, path+"/simpan", sent.Encode()).Code)

	template := o.want(200, nil, "produsen", http.MethodGet, "/api/v1/reader-pairs/template.xlsx", nil).Body.Bytes()
	o.problem(403, "lembaga", http.MethodGet, "/api/v1/reader-pairs/template.xlsx", nil)
	book := func(pairs ...[2]string) []byte {
		f, err := excelize.OpenReader(bytes.NewReader(template))
		require.NoError(t, err)
		for i, p := range pairs {
			require.NoError(t, f.SetSheetRow(readersheet.PairsSheet, fmt.Sprintf("B%d", i+3), &[]any{p[0], p[1]}))
		}
		var b bytes.Buffer
		require.NoError(t, f.Write(&b))
		require.NoError(t, f.Close())
		return b.Bytes()
	}
	page = o.want(422, nil, "operator", http.MethodPost, path+"/catat", pairsForm(t, book([2]string{cards[2].Serial, "R-BARU-1"}, [2]string{cards[1].Serial, ""}), nil)).Body.String()
	require.Contains(t, page, "Lembar Pasangan Reader, sel C4: Nomor seri reader wajib diisi.")
	page = o.want(422, nil, "operator", http.MethodPost, path+"/catat", pairsForm(t, book([2]string{cards[2].Serial, "R-BARU-1"}), nil)).Body.String()
	require.Contains(t, page, "sel C3: Reader R-BARU-1 sudah tercatat")
	page = o.want(200, nil, "operator", http.MethodPost, path+"/catat", pairsForm(t, book([2]string{cards[2].Serial, "R-BARU-2"}, [2]string{cards[1].Serial, "R-BARU-3"}), nil)).Body.String()
	require.Contains(t, page, "1 kartu di antaranya kini tercatat dengan reader lain")
	sent = url.Values{"sumber": {"excel"}, "isi": {cards[2].Serial + "\tR-BARU-2\r\n" + cards[1].Serial + "\tR-BARU-3"}}
	w := o.want(303, nil, "operator", http.MethodPost, path+"/simpan", sent.Encode())
	require.Equal(t, path+"?sudah=2", w.Header().Get("Location"))
	o.want(200, &list, "operator", http.MethodGet, "/api/v1/reader-pairs?search="+strings.ToLower("r-baru"), nil)
	require.Len(t, list.Pairs, 2)
	for _, one := range list.Pairs {
		require.Equal(t, []string{"excel", "Impor Excel"}, []string{string(one.Source), one.SourceLabel})
		require.NotEmpty(t, one.ToldBy)
	}
	o.want(200, &list, "produsen", http.MethodGet, "/api/v1/reader-pairs", nil)
	require.Len(t, list.Pairs, 3)
	require.Equal(t, []string{"list", ""}, []string{string(list.Pairs[2].Source), list.Pairs[0].ToldBy})
	o.want(200, &list, foreigner, http.MethodGet, "/api/v1/reader-pairs", nil)
	require.Empty(t, list.Pairs)
	o.problem(403, "lembaga", http.MethodGet, "/api/v1/reader-pairs", nil)
	o.problem(400, "operator", http.MethodGet, "/api/v1/reader-pairs?unpaired=x", nil)
}
