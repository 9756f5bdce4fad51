package main

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"

	"strings"
)

// TestWhoBringsBlanksGetsAReceipt: of the count at registration and of a later arrival,
// as it was then.
func TestWhoBringsBlanksGetsAReceipt(t *testing.T) {
	t.Parallel()
	o, v, at := vault(t)
	who := map[string]any{"brought_by": "Dedi Kurir", "post": "PIC Produsen"}
	for _, other := range []string{"produsen", "dirjen", "direktur"} {
		o.problem(403, other, http.MethodPost, at+"/blanks/attestations", who)
	}
	o.problem(404, foreigner, http.MethodPost, at+"/blanks/attestations", who)
	var pointers []string
	for _, e := range o.problem(422, "persuratan", http.MethodPost, at+"/blanks/attestations", map[string]any{}).Errors {
		pointers = append(pointers, e.Pointer+" "+e.Code)
	}
	require.Equal(t, []string{"/brought_by missing", "/post missing"}, pointers)
	p := o.problem(422, "persuratan", http.MethodPost, at+"/blanks/attestations", map[string]any{"brought_by": "Dedi", "post": "PIC", "movement": "01a20750-287c-795e-88ce-730a5ed85783"})
	require.Equal(t, "unknown_value", p.Errors[0].Code)

	o.want(200, nil, "persuratan", http.MethodPost, at+"/blanks/attestations", who)
	_, version := o.blanks(at)
	var later blanks.View
	o.want(200, &later, "persuratan", http.MethodPost, at+"/blanks/receipts", line(), version...)
	who["movement"] = later.Movements[0].ID
	o.want(200, nil, "operator", http.MethodPost, at+"/blanks/attestations", who)
	var ids []string
	require.NoError(t, o.db.Select(t.Context(), &ids, `SELECT id FROM asked_paper WHERE request_id = $1 ORDER BY id`, v.ID))
	require.Len(t, ids, 2)
	day := clock.DateOf(morning)
	var first, second letter.BlankCount
	a, err := letter.AskedFor(t.Context(), o.db, ids[0], &first)
	require.NoError(t, err)
	require.Equal(t, day, a.Dated)
	require.Equal(t, letter.BlankCount{BroughtOn: day, BroughtBy: letter.Signature{Name: "Dedi Kurir", Post: "PIC Produsen"}, ReceivedBy: first.ReceivedBy, Quantity: 5, Listed: 5}, first)
	require.Equal(t, letter.PostOf(request.Persuratan), first.ReceivedBy.Post)
	_, err = letter.AskedFor(t.Context(), o.db, ids[1], &second)
	require.NoError(t, err)
	require.Equal(t, []any{3, 0, "cadangan", later.Movements[0].ID}, []any{second.Quantity, second.Listed, second.Explanation, second.MovementID})

	// The generator makes it; then it stands with the blanks and waits for its scan.
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		d, _, err := letter.Make(ctx, tx, letter.Draft{Kind: letter.BlankReceipt, SubjectID: ids[0], RequestID: v.ID, Dated: day, Numbering: "{urut}"}, c)
		if err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "x.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		_, err = letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String()}, c)
		return err
	})
	now, _ := o.blanks(at)
	require.Len(t, now.Receipts, 1)
	require.Equal(t, []any{"1", letter.AwaitingSignature, []string{"pdf"}}, []any{now.Receipts[0].Number, now.Receipts[0].State, now.Receipts[0].Formats})
	o.want(200, nil, "operator", http.MethodGet, "/api/v1/documents/"+now.Receipts[0].ID+"/files/pdf", nil)
	o.problem(404, foreigner, http.MethodGet, "/api/v1/documents/"+now.Receipts[0].ID+"/files/pdf", nil)
}

// TestTheDaySheetIsPrinted: with what was written by whom, the blanks and the sealed
// head of the audit chain, which it keeps.
func TestTheDaySheetIsPrinted(t *testing.T) {
	t.Parallel()
	o, v, _ := vault(t)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // a doubt of the station that a person settled, and a card of the station
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
			SELECT gen_random_uuid(), 'card', c.id, c.request_id, e.version, 'writing', e.verb, e.state, e.actor, 'operator', $2::timestamptz
			FROM listed_card c JOIN (VALUES (4, 101, 'doubt', 'in_doubt', 'perso-1'), (4, 102, 'clear', 'clear', 'operator'), (5, 101, 'clear', 'clear', 'perso-1'))
			     AS e (row, version, verb, state, actor) ON e.row = c.row WHERE c.request_id = $1`, v.ID, o.clock.Now())
		return err
	})
	sealer := audit.NewSealer(o.db, 0)
	for n := 1; n > 0; {
		var err error
		n, err = sealer.SealOnce(t.Context())
		require.NoError(t, err)
	}
	head, err := audit.HeadOf(t.Context(), o.db)
	require.NoError(t, err)
	day := clock.DateOf(morning)
	for _, who := range []string{"produsen", "dirjen"} {
		o.problem(403, who, http.MethodPost, "/api/v1/blanks/sheets", map[string]any{"day": day.String()})
	}
	require.Equal(t, "in_future", o.problem(422, "operator", http.MethodPost, "/api/v1/blanks/sheets", map[string]any{"day": "2026-11-24"}).Errors[0].Code)
	require.Equal(t, "missing", o.problem(422, "operator", http.MethodPost, "/api/v1/blanks/sheets", map[string]any{}).Errors[0].Code)
	var sheet blanks.Sheet
	o.want(200, &sheet, "operator", http.MethodPost, "/api/v1/blanks/sheets", map[string]any{"day": day.String()})
	require.Len(t, sheet.Papers, 1)
	require.Empty(t, sheet.Papers[0].ID, "it is being made")

	asked, err := letter.AskedOn(t.Context(), o.db, letter.DaySheet, day)
	require.NoError(t, err)
	require.Len(t, asked, 1)
	var facts letter.DayFacts
	_, err = letter.AskedFor(t.Context(), o.db, asked[0].ID, &facts)
	require.NoError(t, err)
	require.Equal(t, head.Seq, facts.HeadSeq)
	require.Equal(t, hex.EncodeToString(head.Hash[:]), facts.HeadHash)
	require.Zero(t, facts.Unsealed)
	require.Len(t, facts.Blanks, 1)
	require.Equal(t, []any{v.Ticket, 0, 5, 0}, []any{facts.Blanks[0].Ticket, facts.Blanks[0].Opening, facts.Blanks[0].Received, facts.Blanks[0].Difference})
	written := map[string]letter.WrittenCards{}
	for _, w := range facts.Written {
		require.Equal(t, v.Ticket, w.Ticket)
		written[w.Station] = w
	}
	require.Equal(t, 1, written["perso-1"].Clear)
	require.Zero(t, written["perso-1"].InDoubt, "it was settled on the day")
	require.Equal(t, 1, written["Operator KI"].Clear, "%v", written)

	// It is of no request, in force when printed, and the office's own.
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	var d letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.DaySheet, SubjectID: asked[0].ID, Dated: day}, c); err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "lembar-harian-2026-11-23.pdf", "application/pdf", strings.NewReader("%PDF"))
		if err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String()}, c)
		return err
	})
	require.Equal(t, letter.Issued, d.State)
	require.Nil(t, d.Number)
	path := "/api/v1/documents/" + d.ID + "/files/pdf"
	o.want(200, nil, "kasubdit", http.MethodGet, path, nil)
	o.problem(404, "produsen", http.MethodGet, path, nil)
	for _, ending := range []string{"/replacement", "/voiding"} { // another one is asked for instead
		o.problem(409, "operator", http.MethodPost, "/api/v1/documents/"+d.ID+ending, map[string]any{"reason": "salah"})
	}
	require.Contains(t, o.ask("operator", http.MethodGet, "/blangko", nil).Body.String(), path)
}

// TestBlankPapersAreAskedForOnPages too.
func TestBlankPapersAreAskedForOnPages(t *testing.T) {
	t.Parallel()
	o, v, _ := vault(t)
	at := "/permohonan/" + v.Ticket + "/buku-blangko"
	require.Contains(t, o.ask("operator", http.MethodGet, at, nil).Body.String(), at+"/tanda-terima")
	require.Contains(t, o.ask("operator", http.MethodGet, at+"/tanda-terima", nil).Body.String(), "Yang dihitung saat pendaftaran")
	require.Contains(t, o.fillIn(422, "operator", at+"/tanda-terima", url.Values{"post": {"PIC Produsen"}}), "Nama yang menyerahkan")
	w := o.want(303, nil, "operator", http.MethodPost, at+"/tanda-terima", url.Values{"brought_by": {"Dedi Kurir"}, "post": {"PIC Produsen"}}.Encode())
	require.Contains(t, o.page(200, "operator", w.Header().Get("Location")).text, "Tanda terima sedang disusun")
	require.Contains(t, o.ask("operator", http.MethodGet, "/blangko", nil).Body.String(), "/blangko/cetak?hari=2026-11-23")
	o.fillIn(303, "operator", "/blangko/cetak", url.Values{"day": {"2026-11-23"}})
	require.Contains(t, o.ask("operator", http.MethodGet, "/blangko", nil).Body.String(), "Disusun")
	var n int
	require.NoError(t, o.db.Get(t.Context(), &n, `SELECT count(*) FROM asked_paper`))
	require.Equal(t, 2, n)
}

// TestOneReceiptForTheSameBlanks: a double click, or two at once, make one paper; another
// name for the same blanks is told of the paper that is there, until that one is voided.
func TestOneReceiptForTheSameBlanks(t *testing.T) {
	t.Parallel()
	o, v, at := vault(t)
	who := map[string]any{"brought_by": "Dedi Kurir", "post": "PIC Produsen"}
	const clicks = 4
	require.Equal(t, map[int]int{200: clicks}, atOnce(clicks, func(int) int {
		return o.ask("persuratan", http.MethodPost, at+"/blanks/attestations", who).Code
	}))
	require.Equal(t, 1, o.count("asked_paper"))
	p := o.problem(422, "operator", http.MethodPost, at+"/blanks/attestations", map[string]any{"brought_by": "Orang Lain", "post": "PIC Produsen"})
	require.Equal(t, map[string]string{"/brought_by": "paper_exists"}, codes(p))
	require.Contains(t, p.Errors[0].Detail, "Dedi Kurir (PIC Produsen)")

	_, version := o.blanks(at) // what comes later is something else
	var later blanks.View
	o.want(200, &later, "persuratan", http.MethodPost, at+"/blanks/receipts", line(), version...)
	who["movement"] = later.Movements[0].ID
	require.Equal(t, map[int]int{200: clicks}, atOnce(clicks, func(int) int {
		return o.ask("operator", http.MethodPost, at+"/blanks/attestations", who).Code
	}))
	require.Equal(t, 2, o.count("asked_paper"))

	// The first is voided for good: then another name can stand on a new one.
	var first string
	require.NoError(t, o.db.Get(t.Context(), &first, `SELECT id FROM asked_paper ORDER BY id LIMIT 1`))
	c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
	var made letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		made, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.BlankReceipt, SubjectID: first, RequestID: v.ID, Dated: clock.DateOf(morning), Numbering: "{urut}"}, c)
		return err
	})
	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+made.ID+"/voiding", map[string]any{"reason": "nama keliru", "again": false}, ifMatch(made.Version)...)
	o.want(200, nil, "operator", http.MethodPost, at+"/blanks/attestations", map[string]any{"brought_by": "Orang Lain", "post": "PIC Produsen"})
	require.Equal(t, 3, o.count("asked_paper"))
}

// TestDaySheetsAreListed: one that nobody makes yet and one whose PDF waits say so, and the
// file is there once it is made.
func TestDaySheetsAreListed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	now := o.clock.Now()
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/blanks/sheets", map[string]any{"day": clock.DateOf(morning).String()})
	all, err := letter.AskedOn(t.Context(), o.db, letter.DaySheet, clock.DateOf(morning))
	require.NoError(t, err)
	require.Len(t, all, 1)
	asked := all[0]
	seen := func() blanks.PrintedSheet {
		var list struct{ Sheets []blanks.PrintedSheet }
		o.want(200, &list, "dirjen", http.MethodGet, "/api/v1/blanks/sheets", nil)
		require.Len(o.t, list.Sheets, 1)
		return list.Sheets[0]
	}
	o.problem(403, "produsen", http.MethodGet, "/api/v1/blanks/sheets", nil)
	o.page(403, "produsen", "/blangko/lembar")
	require.Contains(o.t, o.page(200, "operator", "/blangko").hrefs(), "/blangko/lembar")
	require.Equal(o.t, "sedang disusun, biasanya kurang dari satu menit", seen().Waits)
	o.clock.Set(now.Add(time.Hour))
	page := o.page(200, "operator", "/blangko/lembar")
	require.Contains(o.t, page.text, "Senin, 23 November 2026 "+request.RoleLabels[request.Operator]+" 23 November", "people have names, not accounts")
	require.Contains(o.t, page.text, "menunggu penyusun naskah (document-generator), lebih lama daripada biasanya")
	var d letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.DaySheet, SubjectID: asked.ID, Dated: asked.Dated}, plays)
		return err
	})
	require.Contains(o.t, seen().Waits, "menunggu PDF-nya, lebih lama daripada biasanya")
	o.printed(d, []byte("%PDF-1.7 lembar"))
	s := seen()
	require.Equal(o.t, []any{"", d.ID, letter.Issued}, []any{s.Waits, s.ID, s.State})
	require.Contains(o.t, o.page(200, "operator", "/blangko/lembar").hrefs(), "/api/v1/documents/"+d.ID+"/files/pdf")
}
