package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

const uji = "400/{urut}/UJI"

// awaiting is a paper whose number persuratan has to type.
func (o *office) awaiting(kind, subjectID, requestID string) (d letter.Document) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		if _, err = letter.EnsureNumbering(ctx, tx, kind, uji, plays); err != nil {
			return err
		}
		d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: kind, SubjectID: subjectID, RequestID: requestID, Dated: clock.DateOf(morning), Typed: true}, plays)
		return err
	})
	return d
}

// Persuratan finds what waits for a number, types it, and is told which paper has it already.
func TestPersuratanNumbersPapers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.awaiting(letter.ReplyLetter, v.ID, v.ID)
	home := "/permohonan/" + v.Ticket
	paper, at := home+"/naskah/"+d.ID, "/api/v1/documents/"+d.ID+"/number"

	var list struct{ Documents []counter.Waiting }
	o.want(200, &list, "kasubdit", http.MethodGet, "/api/v1/numbering/waiting", nil)
	require.Len(t, list.Documents, 1)
	require.Equal(t, v.Ticket, list.Documents[0].Ticket)
	require.Equal(t, uji, list.Documents[0].Template)
	o.problem(403, "produsen", http.MethodGet, "/api/v1/numbering/waiting", nil)
	o.page(403, "produsen", "/penomoran")
	page := o.page(200, "persuratan", "/penomoran")
	require.Contains(t, page.hrefs(), paper+"/nomor")
	require.Contains(t, o.page(200, "kasubdit", paper).text, "menunggu nomor dari persuratan", "whoever has nothing to do about it is told why it waits")
	both, _ := o.post(422, "persuratan", paper+"/batal", "versi", "1")
	require.Contains(t, both.text, "Alasan wajib diisi.")
	require.Contains(t, both.text, "Pilih apa yang terjadi")
	require.NotContains(t, o.page(200, "operator", "/penomoran").hrefs(), paper+"/nomor")
	seen := o.see(v.Ticket)
	require.Equal(t, report.Numberless, seen.Documents[0].StateLabel)
	require.Contains(t, tasks(seen), "mengisi nomor: Surat balasan permohonan")
	require.Contains(t, o.page(200, "persuratan", "/permohonan?menunggu-saya=1").text, "1 permohonan yang cocok.")

	o.refuseOthers(at, map[string]any{"number": "400/1/UJI", "dated": "2026-11-23"}, 1, "persuratan")
	for pointer, in := range map[string]map[string]any{
		"/number": {"dated": "2026-11-23"}, "/dated": {"number": "400/1/UJI", "dated": "2026-11-24"}, "/unusual": {"number": "470/1/SJ", "dated": "2026-11-23"},
	} {
		require.Equal(t, pointer, o.problem(422, "persuratan", http.MethodPost, at, in).Errors[0].Pointer)
	}
	o.problem(412, "persuratan", http.MethodPost, at, map[string]any{"number": "400/1/UJI", "dated": "2026-11-23"}, ifMatch(7)...)
	other := o.makeCompletion(v.ID) // 400/1/UJI, by the counter
	p := o.problem(422, "persuratan", http.MethodPost, at, map[string]any{"number": *other.Number, "dated": "2026-11-23"})
	require.Equal(t, "number_taken", p.Errors[0].Code)
	require.Contains(t, p.Errors[0].Detail, "Surat keterangan selesai personalisasi tertanggal 23 November 2026 pada permohonan "+v.Ticket)
	p = o.problem(422, "persuratan", http.MethodPost, at, map[string]any{"number": strings.Replace(*other.Number, "/1/", "/001/", 1), "dated": "2026-11-23"})
	require.Contains(t, p.Errors[0].Detail, "Nomor ini sama dengan 400/1/UJI, yang sudah dipakai Surat keterangan selesai personalisasi")

	form, _ := o.post(422, "persuratan", paper+"/nomor", "versi", "1", "number", "470/12/SJ", "dated", "2026-11-23")
	require.Contains(t, form.text, "biasanya berbentuk 400/{urut}/UJI")
	require.Contains(t, form.text, "dengan {urut} diganti nomor urutnya")
	require.Equal(t, "470/12/SJ", form.value("number"))
	o.post(303, "persuratan", paper+"/nomor", "versi", "1", "number", " 470/12/SJ ", "dated", "2026-11-23", "unusual", "1")
	numbered, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Numbered, numbered.State)
	require.Equal(t, "470/12/SJ", *numbered.Number)
	require.Equal(t, []string{"document.number"}, o.deeds(d.ID))
	o.problem(409, "persuratan", http.MethodPost, at, map[string]any{"number": "400/9/UJI", "dated": "2026-11-23"})
	o.page(409, "persuratan", paper+"/nomor")
}

// makeCompletion is a completion letter, made.
func (o *office) makeCompletion(requestID string) letter.Document {
	return o.make(letter.CompletionLetter, requestID, requestID)
}

func tasks(v report.Request) []string {
	var list []string
	for _, w := range v.Waiting {
		list = append(list, w.Task)
	}
	return list
}

// Persuratan says how papers are numbered, and from which number on.
func TestPersuratanSaysHowPapersAreNumbered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const at = "/api/v1/numberings"
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.EnsureNumbering(ctx, tx, letter.BAST, uji, plays)
		return err
	})
	var list struct{ Numberings []counter.Numbering }
	o.want(200, &list, "operator", http.MethodGet, at, nil)
	require.Len(t, list.Numberings, 1)
	require.Equal(t, "counter", list.Numberings[0].Way)
	o.problem(403, "produsen", http.MethodGet, at, nil)
	change := map[string]any{"way": "typed", "template": ""}
	o.problem(403, "operator", http.MethodPut, at+"/bast", change, ifMatch(1)...)
	o.problem(404, "persuratan", http.MethodPut, at+"/surat-cinta", change, ifMatch(1)...)
	o.problem(428, "persuratan", http.MethodPut, at+"/bast", change)
	o.problem(412, "persuratan", http.MethodPut, at+"/bast", change, ifMatch(2)...)
	for pointer, in := range map[string]map[string]any{
		"/way": {"way": "tebak"}, "/template": {"way": "counter", "template": "400/UJI"}, "/last": {"way": "typed", "last": 5},
	} {
		require.Equal(t, pointer, o.problem(422, "persuratan", http.MethodPut, at+"/bast", in, ifMatch(1)...).Errors[0].Pointer)
	}
	var one counter.Numbering
	o.want(200, &one, "persuratan", http.MethodPut, at+"/bast", change, ifMatch(1)...)
	require.Equal(t, "Diisi persuratan dari buku nomor", one.WayLabel)
	require.Equal(t, []string{"numbering.change"}, o.deeds("bast"))

	o.page(403, "operator", "/penomoran/bast")
	require.Contains(t, o.page(200, "persuratan", "/penomoran").hrefs(), "/penomoran/bast")
	o.post(303, "persuratan", "/penomoran/bast", "versi", "2", "way", "counter", "template", uji, "last", "2350")
	d, _ := o.post(422, "persuratan", "/penomoran/bast", "versi", "3", "way", "counter", "template", uji, "last", "12")
	require.Contains(t, d.text, "sudah lebih jauh")
	v := o.accept(o.drop(1))
	require.Equal(t, "400/2351/UJI", *o.make(letter.BAST, v.ID, v.ID).Number)

	// Too high by a slip: it goes back with a reason, and not behind what was given.
	o.post(303, "persuratan", "/penomoran/bast", "versi", "3", "way", "counter", "template", uji, "last", "9999")
	d, _ = o.post(422, "persuratan", "/penomoran/bast", "versi", "4", "way", "counter", "template", uji, "last", "100", "reason", "salah ketik")
	require.Contains(t, d.text, "tidak dapat mundur melewati 2351: nomor 400/2351/UJI sudah diberikan")
	require.Equal(t, "counter_back", o.problem(422, "persuratan", http.MethodPut, at+"/bast", map[string]any{"way": "counter", "template": uji, "last": 2351}, ifMatch(4)...).Errors[0].Code)
	o.want(200, &one, "persuratan", http.MethodPut, at+"/bast", map[string]any{"way": "counter", "template": uji, "last": 2351, "reason": "salah ketik"}, ifMatch(4)...)
	require.Equal(t, 2351, one.Last)
	o.want(200, &one, "persuratan", http.MethodPut, at+"/bast", map[string]any{"way": "counter", "template": uji, "last": 0}, ifMatch(5)...)
	require.Equal(t, 2351, one.Last, "nothing said, nothing set")
}

// A paper in force that is wrong is replaced, by page and API; it counts until then.
func TestAPaperIsReplacedByPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	home := "/permohonan/" + v.Ticket + "/naskah/"
	at := "/api/v1/documents/" + d.ID
	o.problem(409, "persuratan", http.MethodPost, at+"/replacement", map[string]any{"reason": "salah nama"})
	o.want(200, nil, "persuratan", http.MethodPost, at+"/signature", newForm(t, signedScan(at), "signed_on", "2026-11-23"))
	o.problem(403, "produsen", http.MethodPost, at+"/replacement", map[string]any{"reason": "salah nama"})
	form, _ := o.post(422, "persuratan", home+d.ID+"/ganti", "versi", "4")
	require.Contains(t, form.text, "Alasan wajib diisi")
	o.post(303, "persuratan", home+d.ID+"/ganti", "versi", "4", "reason", "salah nama")
	p := o.problem(409, "persuratan", http.MethodPost, at+"/replacement", map[string]any{"reason": "lagi"})
	require.Equal(t, "urn:sifilma:problem:replacement-asked", p.Type)
	require.Contains(t, o.page(200, "persuratan", home+d.ID).text, "berlaku sampai penggantinya terbit")

	next := o.replacement(d)
	require.Contains(t, o.page(200, "persuratan", home+next.ID).text, "Menggantikan "+*d.Number)
	require.Contains(t, tasks(o.see(v.Ticket)), "mengunggah pindaian bertanda tangan: Surat balasan permohonan")
	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+next.ID+"/signature", newForm(t, signedScan(next.ID), "signed_on", "2026-11-23"))
	old, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Replaced, old.State)
	require.Contains(t, o.page(200, "produsen", home+d.ID).text, "Diganti")
	require.Equal(t, []string{"document.issue", "document.ask_replacement"}, o.deeds(d.ID))
}

// replacement plays the document generator for a paper whose replacement was asked for.
func (o *office) replacement(d letter.Document) (next letter.Document) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		next, _, err = letter.Make(ctx, tx, letter.Draft{Kind: d.Kind, SubjectID: d.SubjectID, RequestID: d.RequestID, Dated: clock.DateOf(morning), Numbering: uji, Replaces: d.ID}, plays)
		return err
	})
	return o.printed(next, pdf)
}

// Whoever voids a paper says whether another is made.
func TestAPaperIsVoidedForGood(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	paper := "/permohonan/" + v.Ticket + "/naskah/" + d.ID
	form, _ := o.post(422, "operator", paper+"/batal", "versi", "3", "reason", "tidak perlu")
	require.Contains(t, form.text, "Pilih apa yang terjadi sesudah naskah ini dibatalkan")
	o.post(303, "operator", paper+"/batal", "versi", "3", "reason", "tidak perlu", "again", "tidak")
	held, err := letter.HeldBy(t.Context(), o.db, d.Kind, d.SubjectID)
	require.NoError(t, err)
	require.Equal(t, d.ID, held)
	require.Contains(t, o.page(200, "operator", paper).hrefs(), paper+"/susun-lagi")
	require.NotContains(t, o.page(200, "kasubdit", paper).hrefs(), paper+"/susun-lagi")
	o.problem(403, "kasubdit", http.MethodPost, "/api/v1/documents/"+d.ID+"/redraft", nil)
	o.post(303, "operator", paper+"/susun-lagi")
	_, err = letter.HeldBy(t.Context(), o.db, d.Kind, d.SubjectID)
	require.ErrorIs(t, err, letter.ErrNotFound)
	o.problem(404, "operator", http.MethodPost, "/api/v1/documents/"+d.ID+"/redraft", nil)
	// A handover says why it waits.
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	bast := o.awaiting(letter.BAST, h.ID, v.ID)
	at := "/permohonan/" + v.Ticket + "/serah-terima/" + h.ID
	require.Contains(t, o.page(200, "operator", at).text, "BAST menunggu nomor dari persuratan")
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/documents/"+bast.ID+"/voiding", map[string]any{"reason": "salah", "again": false})
	require.Contains(t, o.page(200, "operator", at).text, "BAST dibatalkan dan tidak disusun sampai diminta")
	second := o.makeLetter(v.ID)
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/documents/"+second.ID+"/voiding", map[string]any{"reason": "salah", "again": false})
	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+second.ID+"/redraft", nil)
}

// A reply to readers belongs to no request; persuratan numbers it all the same.
func TestPersuratanNumbersTheReplyOfReaders(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.activates("1", o.handedOver(1))
	o.acceptReaders(&v)
	var replyID string
	require.NoError(t, o.db.Get(t.Context(), &replyID, `SELECT id FROM activation_reply`))
	d := o.awaiting(letter.ActivationReply, replyID, "")
	var list struct{ Documents []counter.Waiting }
	o.want(200, &list, "kasubdit", http.MethodGet, "/api/v1/numbering/waiting", nil)
	require.Len(t, list.Documents, 1)
	require.Equal(t, v.Ticket, list.Documents[0].Ticket)
	var form string
	for _, path := range o.page(200, "persuratan", "/penomoran").hrefs() {
		if strings.HasSuffix(path, d.ID+"/nomor") {
			form = path
		}
	}
	require.NotEmpty(t, form)
	require.Contains(t, form, v.Ticket)
	o.page(200, "persuratan", form)
	o.post(303, "persuratan", form, "versi", "1", "number", "400/12/UJI", "dated", "2026-11-23")
	numbered, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, "400/12/UJI", *numbered.Number)
}
