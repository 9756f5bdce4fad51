package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// on sets the office clock to 10.00 WIB of a day.
func (o *office) on(day string) { o.clock.Set(clock.MustParseDate(day).At(10, 0)) }

// sweep is the scheduler's.
func (o *office) sweep() {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stage.Sweep(ctx, tx, o.clock.Now())
		return err
	})
}

func (o *office) late(who, query string) (l report.LateList) {
	o.t.Helper()
	o.want(200, &l, who, http.MethodGet, v1+"/late-requests"+query, nil)
	return l
}

func tickets(l report.LateList) (list []string) {
	for _, r := range l.Requests {
		list = append(list, r.Ticket)
	}
	return list
}

// tardy leaves a request that is late with the Dirjen, one that is warned of and has
// been returned before, one that is held, and one that is in time. It is Tuesday 1
// December 2026 then.
func (o *office) tardy() (late, warned, held, fine request.Request) {
	o.t.Helper()
	late, held, warned = o.drop(2), o.drop(1), o.drop(1)
	o.validate(late.ID) // on Monday 23 November
	for name, f := range facts(late.CardCount) {
		o.want(200, nil, f.who, http.MethodPost, v1+"/requests/"+late.Ticket+"/"+name, f.body)
	}
	o.accept(held)
	o.want(200, nil, "kasubdit", http.MethodPost, v1+"/requests/"+held.Ticket+"/hold", map[string]any{"reason": "menunggu klarifikasi"}, ifMatch(o.see(held.Ticket).Version)...)
	o.on("2026-11-24")
	o.want(200, nil, "persuratan", http.MethodPost, v1+"/requests/"+warned.Ticket+"/letter", map[string]any{"received_on": "2026-11-24"})
	o.validate(warned.ID)
	o.want(200, nil, "persuratan", http.MethodPost, v1+"/requests/"+warned.Ticket+"/return", map[string]any{"reason": "PO tidak terbaca"}, ifMatch(o.see(warned.Ticket).Version)...)
	o.on("2026-11-27")
	o.resubmit(warned)
	o.want(200, nil, "persuratan", http.MethodPost, v1+"/requests/"+warned.Ticket+"/letter", map[string]any{"received_on": "2026-11-24"})
	o.on("2026-12-01")
	fine = o.drop(1)
	o.sweep()
	return late, warned, held, fine
}

// resubmit is the applicant's correction of a returned request, which changes nothing.
func (o *office) resubmit(r request.Request) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if err := now.LoadParts(ctx, tx); err != nil {
			return err
		}
		_, err = request.Correct(ctx, tx, now, now.Form, nil, request.Change{Actor: machine.Actor{Name: "produsen", Role: request.Produsen}, OfficeAt: o.clock.Now()})
		return err
	})
}

func TestTheLateList(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	late, warned, held, fine := o.tardy()

	l := o.late("operator", "")
	require.Equal(t, []string{late.Ticket, warned.Ticket}, tickets(l))
	require.Equal(t, []report.StageCount{
		{Stage: stage.Letter, Status: stage.OnTime, Requests: 1}, {Stage: stage.Letter, Status: stage.Warning, Requests: 1},
		{Stage: stage.Decision, Status: stage.Late, Requests: 1}, {Stage: stage.Personalisation, Status: stage.OnTime, Requests: 1},
	}, l.Counts)
	k := l.Requests[0].Clock
	require.Equal(t, []any{stage.Decision, stage.Late, 1, 6, 6}, []any{k.Stage, k.Status, k.Over, k.Office, k.Applicant})
	require.Equal(t, "2026-11-30", k.Stages[1].DueOn.String())
	w := l.Requests[0].Waiting[0]
	require.Equal(t, []any{request.Dirjen, 6}, []any{w.Role, w.Days})
	require.True(t, w.Since.Equal(morning), "since it was registered")

	k = l.Requests[1].Clock
	require.Equal(t, []any{stage.Letter, stage.Warning, -1, 2, 6}, []any{k.Stage, k.Status, k.Over, k.Office, k.Applicant})
	require.Equal(t, 2, l.Requests[1].Waiting[0].Days, "since it came back, on Friday")

	require.Equal(t, []string{warned.Ticket}, tickets(o.late("dirjen", "?status=warning")))
	require.Equal(t, []string{late.Ticket}, tickets(o.late("dirjen", "?stage=decision&stage=handover")))
	require.Equal(t, []string{late.Ticket, warned.Ticket, fine.Ticket, held.Ticket}, tickets(o.late("dirjen", "?status=warning&status=late&status=on_time&institution="+o.at.ID)))
	first := o.late("kasubdit", "?limit=1")
	require.Equal(t, []string{late.Ticket}, tickets(first))
	require.Equal(t, []string{warned.Ticket}, tickets(o.late("kasubdit", "?limit=1&after="+*first.Next)))
	require.Equal(t, map[string]string{"/stage": "unknown_value", "/status": "unknown_value", "/institution": "wrong_type", "/x": "unknown_field"},
		codes(o.problem(400, "operator", http.MethodGet, v1+"/late-requests?stage=x&status=ahead&institution=x&x=1", nil)))

	// An applicant sees their own, and others' are not theirs.
	require.Equal(t, []string{late.Ticket, warned.Ticket}, tickets(o.late("produsen", "")))
	require.Empty(t, o.late(foreigner, "?institution="+o.at.ID).Requests)
	require.Empty(t, o.late(foreigner, "").Counts)

	// What was decided since the sweep is no longer late.
	o.want(200, nil, "dirjen", http.MethodPost, v1+"/requests/"+late.Ticket+"/rejection", map[string]any{"reason": "tidak lengkap"}, ifMatch(o.see(late.Ticket).Version)...)
	require.Equal(t, []string{warned.Ticket}, tickets(o.late("operator", "")))
	require.NotContains(t, tickets(o.late("operator", "?status=on_time")), late.Ticket)
	require.Contains(t, tickets(o.late("operator", "?status=on_time")), fine.Ticket)
}

func TestTheLatePage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Contains(t, o.page(200, "operator", "/terlambat").text, "Tidak ada permohonan yang terlambat atau mendekati batas.")
	late, warned, held, _ := o.tardy()
	d := o.page(200, "operator", "/terlambat")
	for _, text := range []string{
		"1 permohonan melewati batas, 1 mendekati batas.", late.Ticket, warned.Ticket, "lewat 1 hari kerja", "sisa 1 hari kerja",
		"Persetujuan dan disposisi: 6 dari 5 hari kerja", "memutuskan permohonan sejak 23 November 2026, 6 hari kerja",
	} {
		require.Contains(t, d.text, text)
	}
	require.NotContains(t, d.text, held.Ticket)
	require.NotContains(t, o.page(200, "operator", "/terlambat?keadaan=warning").text, late.Ticket)
	d = o.page(200, "operator", "/terlambat?setelah="+*o.late("operator", "?limit=1").Next)
	require.Contains(t, d.text, warned.Ticket)
	require.NotContains(t, d.text, late.Ticket)
	require.Contains(t, o.page(200, "operator", "/terlambat?setelah=x&tahap=x&keadaan=x").text, late.Ticket, "what is not known does not narrow")
	d = o.page(200, "operator", "/terlambat?keadaan=on_time&tahap=personalisation")
	require.Contains(t, d.text, held.Ticket)
	require.Contains(t, d.text, "Jam kantor berhenti: permohonan ditahan")
	require.Contains(t, o.page(403, "produsen", "/terlambat").text, "tidak melihat daftar ini")
	require.NotContains(t, o.page(200, "produsen", "/permohonan").text, "Terlambat")

	w := o.want(200, nil, "kasubdit", http.MethodGet, "/terlambat/unduh", nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), "terlambat-2026-12-01.xlsx")
	book, err := xlsx.Open(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()), xlsx.DefaultLimits())
	require.NoError(t, err)
	var cells []string
	for row, err := range book.Rows("Terlambat") {
		require.NoError(t, err)
		cells = append(cells, row.Cell(2).Text)
		if row.Cell(2).Text != late.Ticket {
			continue
		}
		for _, column := range []int{1, 8, 9, 10, 11, 12} {
			require.Equal(t, xlsx.Number, row.Cell(column).Kind, "column %d can be sorted", column)
		}
		require.Equal(t, xlsx.Date, row.Cell(13).Kind)
		require.Equal(t, []string{"6", "5"}, []string{row.Cell(8).Text, row.Cell(9).Text})
	}
	require.NoError(t, book.Close())
	require.Subset(t, cells, []string{"Kode tiket", late.Ticket, warned.Ticket})
	require.NotContains(t, cells, held.Ticket)
}

// TestARequestShowsItsClock: the strip of the stages, the promise in dates, who is
// waited for since when, and the alarm in the office's timeline.
func TestARequestShowsItsClock(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	late, warned, held, fine := o.tardy()
	at := "/permohonan/"
	d := o.page(200, "operator", at+late.Ticket)
	for _, text := range []string{
		"Janji layanan: 8–18 hari kerja.", "Paling cepat selesai 3 Desember 2026, paling lambat 17 Desember 2026.",
		"Jam kantor: 6 hari kerja sejak surat dan permohonan diterima pada 23 November 2026.", "Jam pemohon: 6 hari kerja",
		"memutuskan permohonan sejak 23 November 2026, 6 hari kerja", "Tahap Persetujuan dan disposisi melewati batas: 6 dari 5 hari kerja",
	} {
		require.Contains(t, d.text, text)
	}
	d = o.page(200, "produsen", at+late.Ticket)
	require.Contains(t, d.text, "Janji layanan: 8–18 hari kerja.")
	require.NotContains(t, d.text, "melewati batas: 6 dari 5", "alarms are the office's own business")
	o.page(404, foreigner, at+late.Ticket)
	require.Contains(t, o.page(200, "operator", at+held.Ticket).text, "Sedang berhenti: permohonan ditahan.")
	require.Contains(t, o.page(200, "operator", at+fine.Ticket).text, "Jam kantor belum mulai: menunggu surat fisik dari pemohon.")
	require.Contains(t, o.page(200, "operator", at+warned.Ticket).text, "(pemohon 6)")

	// A page reckons at once what happened since the sweep.
	o.on("2026-12-02")
	v := o.see(warned.Ticket)
	require.Equal(t, []any{stage.Warning, 3}, []any{v.Clock.Status, v.Clock.Office})
	require.Equal(t, time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC), v.Waiting[0].Since.UTC())
}

// TestAClockEnds takes a request through all stages by what people and daemons do, a
// day later each, and sees each stage end on the day on which it did.
func TestAClockEnds(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	o.on("2026-11-24")
	o.produce(v, 0)
	reply, completion := o.makeLetter(v.ID), o.make(letter.CompletionLetter, v.ID, v.ID)
	k := o.see(v.Ticket).Clock
	require.Equal(t, []any{stage.Documents, 1, "2026-11-27"}, []any{k.Stage, k.Office, k.Stages[3].DueOn.String()})
	o.on("2026-11-26")
	for id, signed := range map[string]string{reply.ID: "2026-11-25", completion.ID: "2026-11-26"} {
		o.want(200, nil, "persuratan", http.MethodPost, v1+"/documents/"+id+"/signature", newForm(t, signedScan(id), "signed_on", signed))
	}
	o.on("2026-11-27")
	require.Equal(t, stage.Handover, o.see(v.Ticket).Clock.Stage)
	for _, on := range []string{"2026-11-27", "2026-11-30"} { // in two parts: the last ends it
		o.on(on)
		require.Nil(t, o.see(v.Ticket).Clock.EndedOn)
		var h report.Handover
		o.want(201, &h, "operator", http.MethodPost, v1+"/requests/"+v.Ticket+"/handovers", map[string]any{"quantity": 1})
		o.draftBAST(h, v.ID)
		o.want(200, nil, "operator", http.MethodPost, v1+"/handovers/"+h.ID+"/delivery", newForm(t, signedScan(h.ID),
			"representative", "PIC Produsen Contoh", "representative_post", "Manajer", "representative_of", "produsen", "delivered_on", on))
	}
	k = o.see(v.Ticket).Clock
	require.Equal(t, []any{"2026-11-30", 5, 5, stage.OnTime}, []any{k.EndedOn.String(), k.Office, k.Applicant, k.Status})
	var days []int
	for _, s := range k.Stages {
		days = append(days, s.Office)
	}
	require.Equal(t, []int{0, 0, 1, 2, 2}, days)
	o.sweep()
	require.Empty(t, o.late("operator", "?status=on_time&status=warning&status=late").Requests)
	require.Contains(t, o.page(200, "produsen", "/permohonan/"+v.Ticket).text, "Berakhir 30 November 2026, dalam 5 hari kerja menurut jam kantor.")
}

// TestPapersThatWaitTooLongAreLate: a letter that nobody signs, or to which persuratan gives
// no number, is late with its request, and who must act is told.
func TestPapersThatWaitTooLongAreLate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0) // on Monday 23 November
	o.makeLetter(v.ID)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := letter.Make(ctx, tx, letter.Draft{Kind: letter.CompletionLetter, SubjectID: v.ID, RequestID: v.ID, Dated: clock.MustParseDate("2026-11-23"), Numbering: uji, Typed: true}, plays)
		return err
	})
	o.on("2026-11-27") // on the fourth of three hari kerja
	o.sweep()
	l := o.late("operator", "?status=late")
	require.Equal(t, []string{v.Ticket}, tickets(l))
	require.Equal(t, []any{stage.Documents, stage.Late, 1}, []any{l.Requests[0].Clock.Stage, l.Requests[0].Clock.Status, l.Requests[0].Clock.Over})
	told := map[string]int{}
	for _, w := range l.Requests[0].Waiting {
		told[string(w.Role)+" "+w.Task] = w.Days
	}
	require.Equal(t, 4, told["persuratan mengisi nomor: "+letter.KindLabels[letter.CompletionLetter]], "%v", told)
	require.Equal(t, 4, told["persuratan mengunggah pindaian bertanda tangan: "+letter.KindLabels[letter.ReplyLetter]], "%v", told)
}

// A plan that ends behind the promise is said on both sides, and warned of while there
// is time to change it.
func TestAPlanBehindThePromiseIsWarnedOf(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(5))
	o.scheduled("permohonan baru diterima")
	o.sweep()
	at := "/permohonan/" + v.Ticket
	const says = "Perkiraan melewati janji layanan: personalisasi diperkirakan selesai 4 Januari 2027, sesudah hari terakhir yang dijanjikan, 17 Desember 2026."
	require.NotContains(t, o.page(200, "produsen", at).text, "Perkiraan melewati")
	require.Empty(t, tickets(o.late("operator", "")))

	o.post(303, "kasubdit", at+"/rencana/geser", "versi", o.planVersion(v.Ticket), "day", "2027-01-04", "reason", "menunggu blangko")
	o.scheduled("kapasitas berubah")
	o.sweep()
	for _, who := range []string{"produsen", "operator", "kasubdit"} {
		require.Contains(t, o.page(200, who, at).text, says, who)
	}
	require.Equal(t, []string{v.Ticket}, tickets(o.late("operator", "?status=warning")))
	require.Contains(t, o.page(200, "operator", "/terlambat").text, "perkiraan 4 Januari 2027 melewati janji layanan 17 Desember 2026")

	o.want(200, nil, "kasubdit", http.MethodPost, v1+"/requests/"+v.Ticket+"/hold", map[string]any{"reason": "klarifikasi"}, ifMatch(o.see(v.Ticket).Version)...)
	o.sweep()
	require.NotContains(t, o.page(200, "produsen", at).text, "Perkiraan melewati", "what is held has no estimate")
	require.Empty(t, tickets(o.late("operator", "")))
}
