package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// returned is a request that the validator returned with these findings on its
// list.
func (o *office) returned(list []byte, found ...validation.Finding) request.Request {
	o.t.Helper()
	r := o.drop(2)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		file, err := blob.Put(ctx, tx, "daftar.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", bytes.NewReader(list))
		if err != nil {
			return err
		}
		if err := tx.ExecOne(ctx, `INSERT INTO request_file (request_id, kind, submission, blob_id, name) VALUES ($1, 'card_list', 1, $2, 'daftar.xlsx')`,
			r.ID, file.ID); err != nil {
			return err
		}
		if err := validation.Save(ctx, tx, r.ID, 1, found); err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Return, request.Change{
			Actor: machine.Actor{Name: "validator", Role: request.Validator}, OfficeAt: o.clock.Now(), Reason: validation.Summary(found)})
		return err
	})
	return r
}

func TestTheMarkedListHangsOnTheFindings(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var list bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&list, []cardlist.Row{{Row: 1, Serial: "SAM00001"}, {Row: 2, Serial: "X"}}))
	r := o.returned(list.Bytes(),
		validation.Finding{Code: "serial_form", Severity: validation.Error, Pointer: "daftar!Daftar!B3", Cells: validation.Cells{"B3"}, Detail: "Sel B3: bentuk salah."},
		validation.Finding{Code: "po_chain", Severity: validation.Warning, Pointer: "/lines/0/lembaga", Detail: "Rantai PO tidak terlihat."})

	var shown struct {
		Findings []map[string]any `json:"findings"`
	}
	path := "/api/v1/requests/" + r.Ticket
	o.want(200, &shown, "produsen", http.MethodGet, path, nil)
	require.Equal(t, []any{"B3"}, shown.Findings[0]["cells"])
	require.Equal(t, []any{}, shown.Findings[1]["cells"])

	page := o.page(200, "produsen", "/permohonan/"+r.Ticket)
	for _, part := range []string{"Yang perlu diperbaiki", "Kesalahan", "Peringatan", "serial_form", "Daftar kartu, lembar Daftar, sel B3", "Sel B3: bentuk salah.",
		"Cocokkan dengan nomor yang tercetak pada kartu"} {
		require.Contains(t, page.text, part)
	}
	links := page.links(path + "/card-list/marked")
	require.Len(t, links, 1)
	require.Contains(t, textOf(links[0]), "Unduh daftar kartu dengan sel yang ditandai")

	w := o.want(200, nil, "produsen", http.MethodGet, path+"/card-list/marked", nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), "Daftar-Kartu-"+r.Ticket+"-temuan-1.xlsx")
	book, err := excelize.OpenReader(w.Body)
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	comments, err := book.GetComments(cardlist.Sheet)
	require.NoError(t, err)
	require.Len(t, comments, 1)
	require.Equal(t, "B3", comments[0].Cell)

	o.want(200, nil, "operator", http.MethodGet, path+"/card-list/marked", nil)
	o.problem(404, foreigner, http.MethodGet, path+"/card-list/marked", nil)
	o.problem(401, "", http.MethodGet, path+"/card-list/marked", nil)
}

func TestWithoutAListThatOpensNothingIsOffered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	unread := o.returned([]byte("No.,Seri"), validation.Finding{Code: "list_plain_text", Severity: validation.Error, Pointer: "/card_list", Detail: "Daftar kartu berupa teks."})
	path := "/api/v1/requests/" + unread.Ticket + "/card-list/marked"
	require.Empty(t, o.page(200, "produsen", "/permohonan/"+unread.Ticket).links(path))
	require.Equal(t, "urn:sifilma:problem:not-markable", o.problem(409, "produsen", http.MethodGet, path, nil).Type)

	fresh := o.drop(2)
	path = "/api/v1/requests/" + fresh.Ticket + "/card-list/marked"
	require.Equal(t, "urn:sifilma:problem:not-judged-yet", o.problem(409, "produsen", http.MethodGet, path, nil).Type)
	o.validate(fresh.ID)
	require.Equal(t, "urn:sifilma:problem:no-findings", o.problem(409, "produsen", http.MethodGet, path, nil).Type)
}

// links are the links of a page to an address.
func (d *document) links(href string) []*html.Node {
	var found []*html.Node
	for _, a := range d.all("a") {
		if attr(a, "href") == href {
			found = append(found, a)
		}
	}
	return found
}
