package main

import (
	"bytes"
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// judge does to a request what the validator does, and returns what it found.
func (o *office) judge(t *testing.T, ticket string) []validation.Finding {
	t.Helper()
	var found []validation.Finding
	require.NoError(t, o.db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.ByTicket(ctx, tx, ticket, "")
		if err != nil {
			return err
		}
		files, err := request.Files(ctx, tx, r)
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.Kind != request.FileCardList {
				continue
			}
			content, _, err := blob.Open(ctx, tx, uuid.MustParse(f.BlobID))
			if err != nil {
				return err
			}
			raw, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			list, err := validation.ReadList(bytes.NewReader(raw), int64(len(raw)))
			if err != nil {
				return err
			}
			if found, err = validation.Check(ctx, tx, r, list, clock.DateOf(morning)); err != nil {
				return err
			}
		}
		if err := validation.Save(ctx, tx, r.ID, r.Submission, found); err != nil {
			return err
		}
		verb, reason := request.Validate, ""
		if len(validation.Errors(found)) > 0 {
			verb, reason = request.Return, validation.Summary(found)
		}
		_, err = request.Take(ctx, tx, r, verb, request.Change{Actor: machine.Actor{Name: "validator", Role: request.Validator}, OfficeAt: morning, Reason: reason})
		return err
	}))
	return found
}

func (o *office) marked(t *testing.T, ticket, key string) reply {
	t.Helper()
	return o.do(t, http.MethodGet, drops+"/"+ticket+"/card-list/marked", nil, map[string]string{"Authorization": "Bearer " + o.keys[key]})
}

func TestAListComesBackMarkedAndIsSentAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := whole(t)
	p.form["kind"], p.form["machine_type"] = "rekam_cetak", "TANPA"
	p.form["lines"], p.form["purchase_orders"], p.form["pks_number"] = []any{}, []any{}, ""
	p.set("purchase_order", nil)
	p.set("pks", nil)
	sent := o.send(t, drops, p, "k-1") // its readers are wrong for this kind
	require.Equal(t, http.StatusAccepted, sent.status, string(sent.body))

	early := o.marked(t, sent.Ticket, "produsen")
	require.Equal(t, http.StatusConflict, early.status)
	require.Equal(t, "urn:sifilma:problem:not-judged-yet", early.Type)

	found := o.judge(t, sent.Ticket)
	require.Len(t, found, 1)
	require.Equal(t, validation.Cells{"C2:C4"}, found[0].Cells)
	shown := o.do(t, http.MethodGet, drops+"/"+sent.Ticket, nil, map[string]string{"Authorization": "Bearer " + o.keys["read only"]})
	require.Contains(t, string(shown.body), `"pointer":"daftar!Daftar!C2:C4","cells":["C2:C4"]`)

	for name, want := range map[string]int{"other": http.StatusNotFound, "lembaga": http.StatusNotFound} {
		foreign := o.marked(t, sent.Ticket, name)
		require.Equal(t, want, foreign.status, name)
		require.Equal(t, "urn:sifilma:problem:not-found", foreign.Type)
	}
	require.Equal(t, http.StatusUnauthorized, o.do(t, http.MethodGet, drops+"/"+sent.Ticket+"/card-list/marked", nil, nil).status)

	back := o.marked(t, sent.Ticket, "read only")
	require.Equal(t, http.StatusOK, back.status, string(back.body))
	_, params, err := mime.ParseMediaType(back.header.Get("Content-Disposition"))
	require.NoError(t, err)
	require.Equal(t, "Daftar-Kartu-"+sent.Ticket+"-temuan-1.xlsx", params["filename"])
	book, err := excelize.OpenReader(bytes.NewReader(back.body))
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	require.Equal(t, "Temuan", book.GetSheetList()[0])
	comments, err := book.GetComments(cardlist.Sheet)
	require.NoError(t, err)
	require.Len(t, comments, 3)

	// Corrected in place, the same file is the correction.
	for _, cell := range []string{"C2", "C3", "C4"} {
		require.NoError(t, book.SetCellValue(cardlist.Sheet, cell, nil))
	}
	corrected, err := book.WriteToBuffer()
	require.NoError(t, err)
	p.set("card_list", corrected.Bytes())
	seen := o.get(t, "produsen", sent.StatusURL)
	again := o.send(t, drops+"/"+sent.Ticket+"/resubmission", p, "k-2", map[string]string{"If-Match": seen.header.Get("ETag")})
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Empty(t, o.judge(t, sent.Ticket))
	none := o.marked(t, sent.Ticket, "produsen")
	require.Equal(t, http.StatusConflict, none.status)
	require.Equal(t, "urn:sifilma:problem:no-findings", none.Type)
	require.True(t, strings.HasPrefix(none.Detail, "Kiriman terakhir permohonan ini tidak memiliki temuan"), none.Detail)
}

// TestACheckHandsTheListBackMarked: to whoever accepts a workbook, and only when
// there is something to mark.
func TestACheckHandsTheListBackMarked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.pks(t)
	workbook := "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	ask := func(accept string, p *parcel) reply {
		return o.send(t, checks, p, "", map[string]string{"Accept": accept})
	}
	good := ask(workbook, whole(t))
	require.Equal(t, http.StatusOK, good.status)
	require.Equal(t, "application/json", good.header.Get("Content-Type"), "nothing to mark")

	p := whole(t)
	p.form["title"] = ""
	p.set("card_list", sheet(t, 4))
	for _, accept := range []string{"*/*", "application/json", workbook + ";q=0"} {
		require.Equal(t, "application/json", ask(accept, p).header.Get("Content-Type"), accept)
	}
	for _, accept := range []string{workbook, "application/json;q=0.5, " + workbook + ";q=0.9"} {
		marked := ask(accept, p)
		require.Equal(t, http.StatusOK, marked.status)
		require.Equal(t, workbook, marked.header.Get("Content-Type"), accept)
		require.Equal(t, "Accept", marked.header.Get("Vary"))
		require.Contains(t, marked.header.Get("Content-Disposition"), "Daftar-Kartu-temuan.xlsx")
		said := temuan(t, marked.body)
		require.Equal(t, "Pemeriksaan sebelum diajukan: 2 kesalahan harus diperbaiki, 0 peringatan perlu diperiksa.", said[1][0])
		require.Equal(t, "Jumlah Kartu SAM", said[6][2])
		require.Equal(t, []string{"Judul Pengajuan", "Judul Pengajuan wajib diisi."}, said[7][2:4], "what the intake refuses is told too")
	}
	p.set("card_list", []byte("bukan buku kerja"))
	require.Equal(t, "application/json", ask(workbook, p).header.Get("Content-Type"), "no workbook")
	o.nothing(t)

	// On the page it is a button, which sends the file again.
	pic := o.person(t, "pic", "PT Produsen Contoh", request.Produsen)
	f := fill(t)
	f.files[3].content = sheet(t, 4)
	require.NotContains(t, string(o.fillIn(t, pic, "/pengajuan", fill(t)).body), `value="marked"`)
	require.Contains(t, string(o.fillIn(t, pic, "/pengajuan", f).body), `<button type="submit" form="isian" name="_do" value="marked">Unduh daftar yang sudah ditandai</button>`)
	marked := o.fillIn(t, pic, "/pengajuan", f.with(map[string]string{"_do": "marked"}))
	require.Equal(t, http.StatusOK, marked.status)
	require.Equal(t, workbook, marked.header.Get("Content-Type"))
	require.Equal(t, "Jumlah Kartu SAM", temuan(t, marked.body)[6][2])
	f.files = f.files[:3]
	missing := o.fillIn(t, pic, "/pengajuan", f)
	require.Equal(t, http.StatusUnprocessableEntity, missing.status)
	require.Contains(t, string(missing.body), "Berkas daftar kartu wajib dilampirkan.")
	o.nothing(t)
}

// temuan are the rows of the page of findings of a list that was handed back.
func temuan(t *testing.T, file []byte) [][]string {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	rows, err := book.GetRows("Temuan")
	require.NoError(t, err)
	return rows
}

// TestTheTemplateAsItIsSentIn: without cards it is told so, and nothing else.
func TestTheTemplateAsItIsSentIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	template := o.do(t, http.MethodGet, "/api/v1/templates/card-list.xlsx", nil, nil)
	require.Equal(t, http.StatusOK, template.status)
	p := whole(t)
	p.form["kind"], p.form["machine_type"] = "rekam_cetak", "TANPA"
	p.form["lines"], p.form["purchase_orders"], p.form["pks_number"] = []any{}, []any{}, ""
	p.set("purchase_order", nil)
	p.set("pks", nil)
	p.set("card_list", template.body)
	sent := o.send(t, drops, p, "k-1")
	require.Equal(t, http.StatusAccepted, sent.status, string(sent.body))
	found := o.judge(t, sent.Ticket)
	require.Len(t, found, 1)
	require.Equal(t, "list_empty", found[0].Code)
	require.Equal(t, http.StatusOK, o.marked(t, sent.Ticket, "produsen").status)
}
