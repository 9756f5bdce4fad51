package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// handedOver makes a request's cards and says that they are with their produsen.
func (o *office) handedOver(n int) []perso.CardRow {
	o.t.Helper()
	v := o.accept(o.drop(n))
	o.produce(v, 0)
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // the counter is tested elsewhere
			return err
		}
		return tx.ExecOne(ctx, `UPDATE handover SET state = 'delivered', delivered_on = '2026-11-23', representative_of = 'produsen' WHERE id = $1`, h.ID)
	})
	var cards struct{ Cards []perso.CardRow }
	o.want(200, &cards, "operator", http.MethodGet, "/api/v1/requests/"+v.Ticket+"/cards", nil)
	return cards.Cards
}

// readerLines are what a lembaga writes of cards and their readers.
func readerLines(cards []perso.CardRow) []map[string]any {
	var lines []map[string]any
	for _, c := range cards {
		lines = append(lines, map[string]any{
			"reader_serial": c.ReaderSerial, "sam_serial": c.Serial, "origin_no": c.Serial, "perso_no": c.ManifestNo, "pcid": c.PCID, "machine_type": "uji",
			"mode": "online", "address": "Jl. Contoh No. 1", "region": "Kota Bandung",
		})
	}
	return lines
}

func readerLetter(number string, lines []map[string]any, more ...any) map[string]any {
	m := map[string]any{
		"produsen": "PT Produsen Contoh", "number": number, "date": "2026-11-20", "subject": "Permohonan aktivasi", "leader": "Pimpinan Contoh", "leader_post": "Direktur Utama",
		"lines": lines,
	}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

// activationForm makes the body of a letter; nil parts are not sent.
func activationForm(t *testing.T, scan []byte, in map[string]any) *form {
	t.Helper()
	return activationSheet(t, scan, nil, in)
}

// activationSheet is activationForm with a workbook of readers.
func activationSheet(t *testing.T, scan, list []byte, in map[string]any) *form {
	t.Helper()
	f := &form{}
	w := multipart.NewWriter(&f.body)
	if in != nil {
		body, err := json.Marshal(in)
		require.NoError(t, err)
		require.NoError(t, w.WriteField("activation", string(body)))
	}
	if scan != nil {
		part, err := w.CreateFormFile("letter", "surat.pdf")
		require.NoError(t, err)
		_, err = part.Write(scan)
		require.NoError(t, err)
	}
	if list != nil {
		part, err := w.CreateFormFile("list", "daftar.xlsx")
		require.NoError(t, err)
		_, err = part.Write(list)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	f.mediaType = w.FormDataContentType()
	return f
}

const activations = "/api/v1/activations"

// judged plays the validator.
func (o *office) judged(v report.ActivationLetter) report.ActivationLetter {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := activation.Judge(ctx, tx, v.ID, request.Change{Actor: machine.Actor{Name: "validator", Role: request.Validator}, OfficeAt: o.clock.Now()})
		return err
	})
	var now report.ActivationLetter
	o.want(200, &now, "operator", http.MethodGet, activations+"/"+v.Ticket, nil)
	return now
}

// activates submits the letter of a lembaga for some cards.
func (o *office) activates(number string, cards []perso.CardRow) (v report.ActivationLetter) {
	o.t.Helper()
	o.want(201, &v, "lembaga", http.MethodPost, activations, activationForm(o.t, pdf, readerLetter(number, readerLines(cards))), keyed()...)
	return o.judged(v)
}

func (o *office) step(status int, who, verb string, v *report.ActivationLetter, body map[string]any) {
	o.t.Helper()
	var now report.ActivationLetter
	var sent any
	if body != nil {
		sent = body
	}
	o.want(status, &now, who, http.MethodPost, activations+"/"+v.Ticket+"/"+verb, sent, ifMatch(v.Version)...)
	if status == 200 {
		*v = now
	}
}

func lineStates(v report.ActivationLetter) string {
	var all []string
	for _, l := range v.Lines {
		all = append(all, string(l.State))
	}
	return strings.Join(all, " ")
}

// From the lembaga's letter to accepted readers, by the hands that it takes, and what each
// of them is told.
func TestReadersThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(3)
	wrong := readerLines(cards)
	wrong[2]["pcid"] = strings.Repeat("0", 32)
	body := activationForm(t, pdf, readerLetter("017/BCN", wrong))
	key := keyed()
	var v, again report.ActivationLetter
	o.problem(403, "operator", http.MethodPost, activations, body, keyed()...)
	o.problem(403, "produsen", http.MethodPost, activations, body, keyed()...)
	o.want(201, &v, "lembaga", http.MethodPost, activations, body, key...)
	w := o.want(201, &again, "lembaga", http.MethodPost, activations, body, key...)
	require.Equal(t, "true", w.Header().Get("Idempotency-Replayed"))
	require.Equal(t, v.Ticket, again.Ticket)
	require.Equal(t, "reference-used", problemCode(o.problem(409, "lembaga", http.MethodPost, activations, body, keyed()...).Type))
	require.NotEmpty(t, v.Lines[0].Duty, "an online reader owes its data balikan")

	v = o.judged(v)
	require.Equal(t, "validated validated returned", lineStates(v))
	require.Equal(t, "pcid", v.Lines[2].Findings[0].Field)
	at := activations + "/" + v.Ticket
	for _, who := range []string{foreigner, otherLembaga} {
		o.problem(404, who, http.MethodGet, at, nil)
	}
	var seen report.ActivationLetter
	for _, who := range []string{"lembaga", "produsen", "dirjen"} {
		o.want(200, &seen, who, http.MethodGet, at, nil)
		require.Len(t, seen.Lines, 3)
	}
	require.Equal(t, pdf, o.want(200, nil, "persuratan", http.MethodGet, at+"/letter", nil).Body.Bytes())

	o.problem(428, "persuratan", http.MethodPost, at+"/registration", nil)
	o.problem(412, "persuratan", http.MethodPost, at+"/registration", map[string]any{"on": "2026-11-23"}, ifMatch(99)...)
	p := o.problem(422, "persuratan", http.MethodPost, at+"/registration", nil, ifMatch(v.Version)...)
	require.Equal(t, map[string]string{"/on": "missing"}, codes(p))
	p = o.problem(422, "persuratan", http.MethodPost, at+"/registration", map[string]any{"on": "2026-11-19"}, ifMatch(v.Version)...)
	require.Equal(t, map[string]string{"/on": "too_early"}, codes(p))
	o.step(200, "persuratan", "registration", &v, map[string]any{"on": "2026-11-21"})
	require.Equal(t, "registered registered returned", lineStates(v))
	require.Equal(t, "2026-11-21", v.ReceivedOn.String())
	p = o.problem(409, "persuratan", http.MethodPost, at+"/registration", map[string]any{"on": "2026-11-22"}, ifMatch(v.Version)...)
	require.Equal(t, "illegal-step", problemCode(p.Type), "nothing is left to register")
	o.step(409, "kasubdit", "acceptance", &v, nil)
	o.step(403, "kasubdit", "approval", &v, nil)
	o.step(200, "dirjen", "approval", &v, nil)
	require.Equal(t, "not-disposed", problemCode(o.problem(409, "kasubdit", http.MethodPost, at+"/acceptance", nil, ifMatch(v.Version)...).Type))
	o.step(200, "direktur", "disposition", &v, map[string]any{"on": "2026-11-23"})
	o.step(200, "kasubdit", "acceptance", &v, map[string]any{"lines": []int{1}})
	require.Equal(t, "accepted approved returned", lineStates(v))
	require.NotEmpty(t, v.Lines[0].ManifestSerial)
	require.Empty(t, v.Lines[1].ManifestSerial)

	var mine report.ActivationLetter
	o.want(200, &mine, "lembaga", http.MethodGet, at, nil)
	require.Contains(t, mine.Offers, activation.VerbResubmit)
	fixed := readerLines(cards)[2]
	fixed["line"] = 3
	o.problem(403, "produsen", http.MethodPost, at+"/resubmission", map[string]any{"lines": []any{fixed}}, ifMatch(mine.Version)...)
	o.want(200, &mine, "lembaga", http.MethodPost, at+"/resubmission", map[string]any{"lines": []any{fixed}}, ifMatch(mine.Version)...)
	v = o.judged(mine)
	require.Equal(t, "accepted approved validated", lineStates(v))
	p = o.problem(422, "persuratan", http.MethodPost, at+"/registration", map[string]any{"on": "2026-11-22"}, ifMatch(v.Version)...)
	require.Equal(t, map[string]string{"/on": "differs"}, codes(p), "said what it is, not that somebody was faster")
	for _, e := range mine.Timeline {
		require.Empty(t, e.Name)
		require.NotEmpty(t, e.Label)
	}
	o.step(200, "persuratan", "registration", &v, nil)
	require.Equal(t, "accepted approved registered", lineStates(v))

	var page report.ActivationPage
	o.want(200, &page, "operator", http.MethodGet, activations+"?state=accepted&search="+strings.ToLower(cards[0].Serial), nil)
	require.Len(t, page.Activations, 1)
	require.Equal(t, map[string]int{"accepted": 1, "approved": 1, "registered": 1}, stringKeys(page.Activations[0].Counts))
	o.want(200, &page, otherLembaga, http.MethodGet, activations, nil)
	require.Empty(t, page.Activations)
	o.problem(400, "operator", http.MethodGet, activations+"?state=x", nil)
}

// All that is wrong with a letter is told at once.
func TestAWrongLetterOfReaders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	lines := []map[string]any{
		{"reader_serial": "R-1", "sam_serial": "SAM00001", "perso_no": "M-1", "pcid": "12", "machine_type": "tidak-ada", "mode": "malam", "address": "", "region": "X"},
		{"reader_serial": "R-1", "sam_serial": "SAM00002", "perso_no": "M-2", "pcid": strings.Repeat("A", 32), "machine_type": "uji", "mode": "offline", "address": "A", "region": "X"},
	}
	p := o.problem(422, "lembaga", http.MethodPost, activations, activationForm(t, nil, readerLetter("1", lines, "produsen", "PT Tidak Ada", "date", "20-11-2026", "leader_post", "")), keyed()...)
	require.Equal(t, map[string]string{
		"/letter": "missing", "/produsen": "unknown_value", "/date": "wrong_type", "/leader_post": "missing", "/lines/0/pcid": "wrong_form", "/lines/0/machine_type": "unknown_value",
		"/lines/0/mode": "unknown_value", "/lines/0/address": "missing", "/lines/1/reader_serial": "repeated",
	}, codes(p))
	o.problem(422, "lembaga", http.MethodPost, activations, activationForm(t, []byte("halo"), readerLetter("1", nil)), keyed()...)
	o.problem(422, "lembaga", http.MethodPost, activations, activationForm(t, pdf, nil), keyed()...)
	o.problem(422, "lembaga", http.MethodPost, activations, activationForm(t, pdf, readerLetter("1", nil, "lain", 1)), keyed()...)
	o.problem(400, "lembaga", http.MethodPost, activations, activationForm(t, pdf, readerLetter("1", nil)))
}

// A produsen prepares, its lembaga submits (features.md N8).
func TestADraftOfReaders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(1)
	in := readerLetter("5", readerLines(cards), "lembaga", "PT Bank Contoh Nusantara", "draft", true)
	var v report.ActivationLetter
	p := o.problem(422, "produsen", http.MethodPost, activations, activationForm(t, nil, readerLetter("5", nil, "lembaga", "x", "draft", true)), keyed()...)
	require.Equal(t, map[string]string{"/lembaga": "unknown_value"}, codes(p))
	o.want(201, &v, "produsen", http.MethodPost, activations, activationForm(t, nil, in), keyed()...)
	require.Equal(t, activation.LetterDrafted, v.State)
	at := activations + "/" + v.Ticket
	o.problem(404, "operator", http.MethodGet, at, nil)
	o.problem(403, "produsen", http.MethodPost, at+"/submission", activationForm(t, pdf, nil), ifMatch(1)...)
	var offered report.ActivationLetter
	o.want(200, &offered, "lembaga", http.MethodGet, at, nil)
	require.Equal(t, []machine.Verb{activation.VerbSubmit}, offered.Offers, "what a produsen prepared is its own until the lembaga submits it")
	o.problem(403, "lembaga", http.MethodPost, at+"/discarding", nil, ifMatch(1)...)
	o.problem(403, "lembaga", http.MethodPut, at, activationForm(t, nil, in), ifMatch(1)...)
	require.Equal(t, 403, o.ask("lembaga", http.MethodGet, "/aktivasi/"+v.Ticket+"/ubah", nil).Code)
	delete(in, "lembaga")
	delete(in, "draft")
	in["notes"] = "Mohon dibaca."
	o.want(200, &v, "produsen", http.MethodPut, at, activationForm(t, nil, in), ifMatch(1)...)
	p = o.problem(422, "lembaga", http.MethodPost, at+"/submission", activationForm(t, nil, nil), ifMatch(2)...)
	require.Equal(t, map[string]string{"/letter": "missing"}, codes(p))
	o.want(200, &v, "lembaga", http.MethodPost, at+"/submission", activationForm(t, pdf, nil), ifMatch(2)...)
	require.Equal(t, "Mohon dibaca.", v.Notes)
	v = o.judged(v)
	require.Equal(t, "validated", lineStates(v))
	o.problem(409, "lembaga", http.MethodPut, at, activationForm(t, nil, in), ifMatch(v.Version)...)

	in["draft"], in["number"] = true, "6"
	o.want(201, &v, "lembaga", http.MethodPost, activations, activationForm(t, nil, in), keyed()...)
	at = activations + "/" + v.Ticket
	for _, path := range []string{at, "/aktivasi/" + v.Ticket, "/aktivasi/" + v.Ticket + "/ubah"} {
		require.Equal(t, 404, o.ask("produsen", http.MethodGet, path, nil).Code, "a lembaga's draft is none of the produsen's that it names: "+path)
	}
	o.problem(404, "produsen", http.MethodPut, at, activationForm(t, nil, in), ifMatch(1)...)
	o.problem(404, "produsen", http.MethodPost, at+"/discarding", nil, ifMatch(1)...)
	var seen report.ActivationPage
	o.want(200, &seen, "produsen", http.MethodGet, activations+"?state=drafted", nil)
	require.Empty(t, seen.Activations)
	require.Equal(t, http.StatusNoContent, o.ask("lembaga", http.MethodPost, at+"/discarding", nil, ifMatch(1)...).Code)
	o.problem(404, "lembaga", http.MethodGet, at, nil)
}

// The reply letter of an acceptance is signed like the others, and given to both sides once
// it is in force.
func TestTheReplyOfReaders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.activates("1", o.handedOver(1))
	for _, s := range []struct{ who, step string }{{"persuratan", "registration"}, {"dirjen", "approval"}, {"direktur", "disposition"}, {"kasubdit", "acceptance"}} {
		require.Equal(t, []string{s.who}, o.whomReadersWaitFor(v.Ticket))
		var body map[string]any
		if s.step == "registration" || s.step == "disposition" {
			body = map[string]any{"on": "2026-11-23"}
		}
		o.step(200, s.who, s.step, &v, body)
	}
	require.Empty(t, o.whomReadersWaitFor(v.Ticket), "the reply and the manifests are being made")
	var replyID string
	require.NoError(t, o.db.Get(t.Context(), &replyID, `SELECT id FROM activation_reply`))
	var d letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		c := request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: o.clock.Now()}
		if d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.ActivationReply, SubjectID: replyID, Dated: clock.DateOf(morning), Numbering: "A-{urut}"}, c); err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", bytes.NewReader(pdf))
		if err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{PDF: ref.ID.String(), Signatures: []letter.Signature{{Name: "Pejabat Contoh", Post: "Pejabat"}}}, c)
		return err
	})
	at := "/api/v1/documents/" + d.ID
	for _, page := range []string{"/", "/permohonan?menunggu-saya=1"} {
		require.Contains(t, o.want(200, nil, "persuratan", http.MethodGet, page, nil).Body.String(), `href="/aktivasi?menunggu-saya=1"`)
	}
	require.Equal(t, []string{"operator", "persuratan"}, o.whomReadersWaitFor(v.Ticket))
	o.want(200, &v, "persuratan", http.MethodGet, activations+"/"+v.Ticket, nil)
	require.Len(t, v.Documents, 1)
	o.problem(404, "lembaga", http.MethodGet, at+"/files/pdf", nil)
	o.want(200, nil, "persuratan", http.MethodGet, at+"/files/pdf", nil)
	o.problem(404, foreigner, http.MethodPost, at+"/signature", newForm(t, signedScan(at), "signed_on", "2026-11-23"))
	o.want(200, &v, "persuratan", http.MethodPost, at+"/signature", newForm(t, signedScan(at), "signed_on", "2026-11-23"))
	require.Equal(t, letter.Issued, v.Documents[0].State)
	require.Empty(t, o.whomReadersWaitFor(v.Ticket))
	for _, who := range []string{"lembaga", "produsen"} {
		w := o.want(200, nil, who, http.MethodGet, at+"/files/scan", nil)
		require.Contains(t, w.Header().Get("Content-Disposition"), v.Ticket)
	}
	o.problem(404, otherLembaga, http.MethodGet, at+"/files/scan", nil)
}

// whomReadersWaitFor are the accounts whose own list has the letter; the page of it and the
// page of requests say the same.
func (o *office) whomReadersWaitFor(ticket string) (whom []string) {
	o.t.Helper()
	for _, who := range []string{"dirjen", "direktur", "kasubdit", "operator", "persuratan", "produsen", "lembaga", otherLembaga, foreigner} {
		own := o.page(200, who, "/aktivasi?menunggu-saya=1")
		mine := slices.Contains(own.hrefs(), "/aktivasi/"+ticket)
		require.Equal(o.t, !mine, strings.Contains(own.text, "Tidak ada surat aktivasi yang menunggu Anda."), who)
		require.Equal(o.t, mine, strings.Contains(o.page(200, who, "/permohonan?menunggu-saya=1").text, "1 surat aktivasi menunggu Anda"), who)
		if mine {
			whom = append(whom, who)
		}
	}
	return whom
}

// acceptReaders takes readers that passed the check through the hands of the office.
func (o *office) acceptReaders(v *report.ActivationLetter) {
	o.t.Helper()
	o.step(200, "persuratan", "registration", v, map[string]any{"on": "2026-11-23"})
	o.step(200, "dirjen", "approval", v, nil)
	o.step(200, "direktur", "disposition", v, map[string]any{"on": "2026-11-23"})
	o.step(200, "kasubdit", "acceptance", v, nil)
}

// Which reader a card went into is recorded by its produsen, or by the office.
func TestPairsThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(1)
	const path = "/api/v1/reader-pairs"
	pair := func(sam, reader string) map[string]any {
		return map[string]any{"pairs": []map[string]string{{"sam_serial": sam, "reader_serial": reader}}}
	}
	o.problem(403, "lembaga", http.MethodPost, path, pair(cards[0].Serial, "X"))
	require.Equal(t, map[string]string{"/pairs/0/sam_serial": "other_pair"}, codes(o.problem(422, "produsen", http.MethodPost, path, pair(cards[0].Serial, "X"))))
	require.Equal(t, map[string]string{"/pairs/0/sam_serial": "unknown_value"}, codes(o.problem(422, foreigner, http.MethodPost, path, pair(cards[0].Serial, "X"))))
	require.Equal(t, map[string]string{"/pairs": "missing"}, codes(o.problem(422, "produsen", http.MethodPost, path, map[string]any{"pairs": []any{}})))
	o.want(200, nil, "produsen", http.MethodPost, path, pair(strings.ToLower(cards[0].Serial), cards[0].ReaderSerial))
}

// Many readers come in a workbook made from the template; what is wrong is told at its
// cells.
func TestReadersInAWorkbook(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	cards := o.handedOver(2)
	template := o.want(200, nil, "lembaga", http.MethodGet, activations+"/template.xlsx", nil).Body.Bytes()
	fill := func(pcid string) []byte {
		f, err := excelize.OpenReader(bytes.NewReader(template))
		require.NoError(t, err)
		for i, c := range cards {
			row := i + 3
			require.NoError(t, f.SetSheetRow(readersheet.Sheet, fmt.Sprintf("B%d", row), &[]any{c.ReaderSerial, c.Serial, "", c.ManifestNo, c.PCID, "Mesin uji", "Offline", "Jl. Contoh", "Kota Bandung"}))
		}
		if pcid != "" {
			require.NoError(t, f.SetCellStr(readersheet.Sheet, "F4", pcid))
		}
		var b bytes.Buffer
		require.NoError(t, f.Write(&b))
		require.NoError(t, f.Close())
		return b.Bytes()
	}
	head := readerLetter("1", nil)
	delete(head, "lines")
	p := o.problem(422, "lembaga", http.MethodPost, activations, activationSheet(t, pdf, fill("12"), head), keyed()...)
	require.Equal(t, map[string]string{"list!Daftar Reader!F4": "wrong_form"}, codes(p))
	p = o.problem(422, "lembaga", http.MethodPost, activations, activationSheet(t, pdf, fill(""), readerLetter("1", readerLines(cards))), keyed()...)
	require.Equal(t, map[string]string{"/list": "twice"}, codes(p))
	var v report.ActivationLetter
	o.want(201, &v, "lembaga", http.MethodPost, activations, activationSheet(t, pdf, fill(""), head), keyed()...)
	require.Equal(t, "validated validated", lineStates(o.judged(v)))
}

// The clock of the four stages: 7 hari kerja at best, 13 at most (features.md N2).
func TestTheClockOfAnActivation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.activates("1", o.handedOver(1))
	told := func() (all []string) {
		o.want(200, &v, "operator", http.MethodGet, activations+"/"+v.Ticket, nil)
		for _, s := range v.Stages {
			all = append(all, fmt.Sprintf("%s %d-%d %d %s", s.Stage, s.Min, s.Max, s.Days, s.Status))
		}
		return all
	}
	require.Equal(t, []string{"letter 2-3 0 on_time", "decision 2-5 0 ahead", "reply 2-3 0 ahead", "manifest 1-2 0 ahead", "total 7-13 0 on_time"}, told())
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE activation_letter SET submitted_at = '2026-11-16T03:00:00Z'`)
	})
	require.Equal(t, "letter 2-3 5 late", told()[0])
	require.Contains(t, o.want(200, nil, "kasubdit", http.MethodGet, "/aktivasi/"+v.Ticket, nil).Body.String(), "Terlambat")
	o.acceptReaders(&v)
	require.Equal(t, []string{"letter 2-3 5 late", "decision 2-5 0 on_time", "reply 2-3 0 on_time", "manifest 1-2 0 ahead", "total 7-13 5 on_time"}, told())
}
