package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// make plays the document generator for one paper of a request.
func (o *office) make(kind, subjectID, requestID string) letter.Document {
	o.t.Helper()
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	var d letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		pdfRef, err := blob.Put(ctx, tx, kind+".pdf", "application/pdf", bytes.NewReader(pdf))
		if err != nil {
			return err
		}
		if d, _, err = letter.Make(ctx, tx, letter.Draft{
			Kind: kind, SubjectID: subjectID, RequestID: requestID, Dated: clock.DateOf(o.clock.Now()), Numbering: "400/{urut}/UJI",
		}, c); err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{DOCX: pdfRef.ID.String(), PDF: pdfRef.ID.String(), TemplateSHA256: make([]byte, 32)}, c)
		return err
	})
	return d
}

func (o *office) makeLetter(requestID string) letter.Document {
	o.t.Helper()
	return o.make(letter.ReplyLetter, requestID, requestID)
}

// draftBAST plays the document generator for a handover.
func (o *office) draftBAST(h report.Handover, requestID string) letter.Document {
	o.t.Helper()
	d := o.make(letter.BAST, h.ID, requestID)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		row, err := handover.Get(ctx, tx, h.ID)
		if err != nil {
			return err
		}
		_, err = handover.DraftBAST(ctx, tx, row, request.Change{
			Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now(),
		})
		return err
	})
	return d
}

func TestLetterIsSignedByItsScan(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	path := "/api/v1/documents/" + d.ID
	good := func() *form { return newForm(t, signedScan(d.ID), "signed_on", "2026-11-23") }

	o.refuseOthers(path+"/signature", good(), 1, "persuratan", "operator")
	for name, c := range map[string]struct {
		body    any
		status  int
		pointer string
	}{
		"not multipart":    {map[string]any{}, 415, ""},
		"no scan":          {newForm(t, nil, "signed_on", "2026-11-23"), 422, "/scan"},
		"not a PDF":        {newForm(t, []byte("MZ\x90\x00 and so on"), "signed_on", "2026-11-23"), 422, "/scan"},
		"half a PDF":       {newForm(t, pdf[:20], "signed_on", "2026-11-23"), 422, "/scan"},
		"its own PDF":      {newForm(t, pdf, "signed_on", "2026-11-23"), 422, "/scan"},
		"too large":        {newForm(t, append(bytes.Clone(pdf), make([]byte, 70<<10)...), "signed_on", "2026-11-23"), 422, "/scan"},
		"far too large":    {newForm(t, make([]byte, 1<<20), "signed_on", "2026-11-23"), 413, ""},
		"no date":          {newForm(t, pdf), 422, "/signed_on"},
		"tomorrow":         {newForm(t, pdf, "signed_on", "2026-11-24"), 422, "/signed_on"},
		"before it was":    {newForm(t, pdf, "signed_on", "2026-11-22"), 422, "/signed_on"},
		"NUL in a date":    {newForm(t, pdf, "signed_on", "2026-11-23\x00"), 422, "/signed_on"},
		"year 0":           {newForm(t, pdf, "signed_on", "0000-11-23"), 422, "/signed_on"},
		"no last boundary": {cutForm(t, pdf, "signed_on", "2026-11-23"), 400, ""},
		"an odd field":     {newForm(t, pdf, "signed_on", "2026-11-23", "x", "y"), 422, "/x"},
		"the date twice":   {newForm(t, pdf, "signed_on", "2026-11-23", "signed_on", "2026-11-22"), 422, "/signed_on"},
	} {
		p := o.problem(c.status, "persuratan", http.MethodPost, path+"/signature", c.body)
		if c.pointer != "" {
			require.Equal(t, c.pointer, p.Errors[0].Pointer, name)
		}
	}
	var blobs int
	require.NoError(t, o.db.Get(t.Context(), &blobs, `SELECT count(*) FROM blob`))
	require.Equal(t, 1, blobs, "nothing refused was stored")

	o.problem(404, "produsen", http.MethodGet, path+"/files/pdf", nil)
	var signed report.Request
	o.want(200, &signed, "persuratan", http.MethodPost, path+"/signature", good())
	require.EqualValues(t, "issued", signed.Documents[0].State)
	require.Equal(t, []string{"docx", "pdf", "scan"}, signed.Documents[0].Formats)
	o.problem(409, "persuratan", http.MethodPost, path+"/signature", good())

	w := o.want(200, nil, "produsen", http.MethodGet, path+"/files/scan", nil)
	require.Equal(t, signedScan(d.ID), w.Body.Bytes())
	require.Equal(t, "application/pdf", w.Header().Get("Content-Type"))
	require.Contains(t, w.Header().Get("Content-Disposition"), "attachment")
	require.Contains(t, w.Header().Get("Content-Disposition"), v.Ticket)
	require.Equal(t, "default-src 'none'; sandbox", w.Header().Get("Content-Security-Policy"))
	o.problem(404, "produsen", http.MethodGet, path+"/files/docx", nil)
	o.problem(404, "operator", http.MethodGet, path+"/files/xlsx", nil)
	o.problem(404, "operator", http.MethodGet, path+"/files/exe", nil)
	o.want(200, nil, "operator", http.MethodGet, path+"/files/docx", nil)
}

func TestHandoverClosesTheCircle(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	path := "/api/v1/requests/" + v.Ticket
	o.problem(409, "operator", http.MethodPost, path+"/handovers", nil) // nothing is personalised
	o.produce(v, 0)
	for _, kind := range []string{letter.ReplyLetter, letter.CompletionLetter} {
		d := o.make(kind, v.ID, v.ID)
		o.want(200, nil, "operator", http.MethodPost, "/api/v1/documents/"+d.ID+"/signature", newForm(t, signedScan(d.ID), "signed_on", "2026-11-23"))
	}
	require.Equal(t, 90, o.see(v.Ticket).Percent)

	o.refuseOthers(path+"/handovers", map[string]any{}, 1, "operator")
	o.problem(422, "operator", http.MethodPost, path+"/handovers", map[string]any{"quantity": 0})
	o.problem(422, "operator", http.MethodPost, path+"/handovers", map[string]any{"quantity": 4})
	var first, second report.Handover
	w := o.want(201, &first, "operator", http.MethodPost, path+"/handovers", map[string]any{"quantity": 2})
	require.Equal(t, "/api/v1/handovers/"+first.ID, w.Header().Get("Location"))
	require.Contains(t, o.see(v.Ticket).WaitingFor, request.Operator, "one card is left")
	o.want(201, &second, "operator", http.MethodPost, path+"/handovers", nil)
	require.Equal(t, 1, second.Quantity)
	o.problem(422, "operator", http.MethodPost, path+"/handovers", nil)

	for _, h := range []report.Handover{first, second} {
		at := "/api/v1/handovers/" + h.ID
		delivery := func(fields ...string) *form {
			return newForm(t, signedScan(h.ID), append([]string{"representative_post", "PIC", "representative_of", "produsen", "delivered_on", "2026-11-23"}, fields...)...)
		}
		good := delivery("representative", "PIC Produsen Contoh")
		o.problem(409, "operator", http.MethodPost, at+"/delivery", good) // no BAST yet
		d := o.draftBAST(h, v.ID)
		o.problem(409, "operator", http.MethodPost, "/api/v1/documents/"+d.ID+"/signature", newForm(t, signedScan(d.ID), "signed_on", "2026-11-23"))
		o.refuseOthers(at+"/delivery", good, 1, "operator")
		p := o.problem(422, "operator", http.MethodPost, at+"/delivery", delivery())
		require.Equal(t, "/representative", p.Errors[0].Pointer)
		o.problem(409, "produsen", http.MethodPost, at+"/receipt", map[string]any{"received": h.Quantity})

		var now report.Handover
		o.want(200, &now, "operator", http.MethodPost, at+"/delivery", good)
		require.EqualValues(t, "delivered", now.State)
		bast, err := letter.Get(t.Context(), o.db, d.ID)
		require.NoError(t, err)
		require.EqualValues(t, "issued", bast.State, "delivered and issued are one")

		o.refuseOthers(at+"/receipt", map[string]any{"received": 1}, 1, "produsen")
		o.problem(422, "produsen", http.MethodPost, at+"/receipt", map[string]any{})
		o.problem(422, "produsen", http.MethodPost, at+"/receipt", map[string]any{"received": h.Quantity + 1})
		o.want(200, &now, "produsen", http.MethodPost, at+"/receipt", map[string]any{"received": h.Quantity})
		require.Equal(t, h.Quantity, *now.Received)
		o.refuseOthers(at+"/closure", nil, 1, "kasubdit")
		o.problem(412, "kasubdit", http.MethodPost, at+"/closure", nil, ifMatch(1)...)
		o.want(200, &now, "kasubdit", http.MethodPost, at+"/closure", nil)
		require.EqualValues(t, "closed", now.State)
	}
	end := o.see(v.Ticket)
	require.Equal(t, 100, end.Percent)
	require.Empty(t, end.WaitingFor)
	require.Equal(t, 100, func() int {
		var p report.Page
		o.want(200, &p, "produsen", http.MethodGet, "/api/v1/requests", nil)
		return p.Requests[0].Percent
	}(), "list and page agree")
}
