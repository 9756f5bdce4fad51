package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/shelf"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
)

// fail puts a bell on the shelf as a consumer does, and returns its row.
func (o *office) fail(consumer, kind, requestID string) (id string) {
	o.t.Helper()
	body := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/sifilma/uji","type":%q,"subject":%q,"time":"2026-11-23T02:00:00Z",
		"datacontenttype":"application/json","data":{"version":3,"request":%[3]q}}`, uuid.NewString(), kind, requestID)
	return o.shelve(consumer, kind, requestID, "failed: aturan <b>keliru</b>", body)
}

func (o *office) shelve(consumer, kind, subject, reason, body string) (id string) {
	o.t.Helper()
	id = uuid.NewString()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `
			INSERT INTO shelf (id, consumer, type, subject, reason, payload, attempts, opened_at)
			VALUES ($1, $2, $3, $4, $5, $6::jsonb, 5, now() + (SELECT count(*) FROM shelf) * interval '1 second')`, id, consumer, kind, subject, reason, body)
	})
	return id
}

// bells counts the bells of a type that wait in the outbox for a row.
func (o *office) bells(kind, subject string) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &n, `
		SELECT count(*) FROM outbox WHERE type = $1 AND subject = $2 AND version = 3 AND request_id = subject AND sent_at IS NULL`, kind, subject))
	return n
}

func (o *office) audited(action, subject, actor string) (n int) {
	o.t.Helper()
	require.NoError(o.t, o.db.Get(o.t.Context(), &n, `SELECT count(*) FROM audit WHERE action = $1 AND subject = $2 AND actor = $3`,
		action, subject, actor))
	return n
}

type shelfAnswer struct {
	Entries []shelf.Entry
	Open    int
}

const shelfAt = "/api/v1/shelf"

func TestShelfIsForThoseWhoLookAfterIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.fail("validator", "request.submitted", o.drop(1).ID)
	for _, path := range []string{shelfAt + "/replay", shelfAt + "/" + id + "/replay", shelfAt + "/" + id + "/close"} {
		o.refuseOthers(path, map[string]any{"reason": "x"}, 1, "operator", "kasubdit")
		o.problem(401, "", http.MethodPost, path, nil)
	}
	for _, who := range everybody {
		status, link := 403, "Antrean gagal"
		if who == "operator" || who == "kasubdit" {
			status, link = 200, "Antrean gagal (1)"
		}
		o.want(status, nil, who, http.MethodGet, shelfAt, nil)
		d := o.page(status, who, "/antrean-gagal")
		if status == 200 {
			require.Contains(t, d.text, link)
			require.Contains(t, o.page(200, who, "/permohonan").text, link, "on every page")
		} else {
			require.Contains(t, d.text, "tidak berwenang")
			require.NotContains(t, o.page(200, who, "/permohonan").text, link)
		}
	}
	for _, path := range []string{"/antrean-gagal/ulangi", "/antrean-gagal/" + id + "/ulangi", "/antrean-gagal/" + id + "/tutup"} {
		o.want(403, nil, "persuratan", http.MethodPost, path, "alasan=x&jenis=request.submitted")
	}
	w := o.want(303, nil, "", http.MethodGet, "/antrean-gagal", nil)
	require.Equal(t, "/masuk?lanjut=%2Fantrean-gagal", w.Header().Get("Location"))
	require.Equal(t, "/antrean-gagal", o.want(303, nil, "operator", http.MethodGet, w.Header().Get("Location"), nil).Header().Get("Location"))
	require.Zero(t, o.bells("request.submitted", id))
}

func TestShelvedMessageIsReplayed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	id := o.fail("validator", "request.submitted", r.ID)
	var list shelfAnswer
	o.want(200, &list, "operator", http.MethodGet, shelfAt+"?open=1", nil)
	require.Equal(t, 1, list.Open)
	e := list.Entries[0]
	require.Equal(t, []any{id, r.Ticket, 5, 0, true, "Permohonan diajukan", "Pemeriksaan berkas"},
		[]any{e.ID, e.Ticket, e.Attempts, e.Replays, e.Replayable, e.TypeLabel, e.ConsumerLabel})
	require.Contains(t, e.Reason, "keliru")
	require.JSONEq(t, `{"version": 3, "request": "`+r.ID+`"}`, dataOf(t, e))

	o.want(200, &e, "operator", http.MethodPost, shelfAt+"/"+id+"/replay", nil)
	require.True(t, e.Replayed)
	require.Equal(t, "operator", *e.ClosedBy)
	require.Equal(t, 1, o.bells("request.submitted", r.ID))
	require.Equal(t, 1, o.audited("shelf.replay", id, "operator"))
	require.Equal(t, "urn:sifilma:problem:already-closed", o.problem(409, "kasubdit", http.MethodPost, shelfAt+"/"+id+"/replay", nil).Type)
	o.problem(409, "kasubdit", http.MethodPost, shelfAt+"/"+id+"/close", map[string]any{"reason": "x"})
	require.Equal(t, 1, o.bells("request.submitted", r.ID), "once")

	o.fail("validator", "request.submitted", r.ID) // it failed again
	o.want(200, &list, "kasubdit", http.MethodGet, shelfAt+"?open=1", nil)
	require.Len(t, list.Entries, 1)
	require.Equal(t, 1, list.Entries[0].Replays)
	o.want(200, &list, "kasubdit", http.MethodGet, shelfAt, nil)
	require.Len(t, list.Entries, 2, "without the filter the closed ones too")
	o.problem(400, "kasubdit", http.MethodGet, shelfAt+"?open=apa", nil)
	for _, bad := range []string{uuid.NewString(), "x"} {
		o.problem(404, "operator", http.MethodPost, shelfAt+"/"+bad+"/replay", nil)
		o.problem(404, "operator", http.MethodPost, shelfAt+"/"+bad+"/close", map[string]any{"reason": "x"})
	}
}

func dataOf(t *testing.T, e shelf.Entry) (text string) {
	t.Helper()
	event, err := e.Event()
	require.NoError(t, err)
	return fmt.Sprintf(`{"version": %d, "request": %q}`, event.Version, event.Request)
}

func TestReplayHappensOnceHoweverOftenItIsAskedFor(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	id := o.fail("validator", "request.submitted", r.ID)
	const many = 8
	codes := make([]int, many)
	requests := make([]*http.Request, many)
	for i := range many {
		requests[i] = httptest.NewRequest(http.MethodPost, shelfAt+"/"+id+"/replay", http.NoBody)
		requests[i].AddCookie(o.cookies["operator"])
	}
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			w := httptest.NewRecorder()
			o.router.ServeHTTP(w, requests[i])
			codes[i] = w.Code
		})
	}
	all.Wait()
	require.ElementsMatch(t, []int{200, 409, 409, 409, 409, 409, 409, 409}, codes)
	require.Equal(t, 1, o.bells("request.submitted", r.ID))
	require.Equal(t, 1, o.audited("shelf.replay", id, "operator"))
}

func TestManyAreReplayedAtOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var ids []string
	for range 3 {
		ids = append(ids, o.fail("validator", "request.submitted", o.drop(1).ID))
	}
	other := o.fail("scheduler", "request.accepted", o.drop(1).ID)
	broken := o.shelve("validator", "request.submitted", uuid.NewString(), "invalid: bukan pesan", `{"base64": "AA=="}`)
	gone := uuid.NewString()
	var did struct {
		Replayed int
		Results  []shelf.Result
	}
	o.want(200, &did, "operator", http.MethodPost, shelfAt+"/replay", map[string]any{"ids": []string{broken, ids[0], gone, ids[0]}})
	require.Equal(t, 1, did.Replayed)
	require.Equal(t, []shelf.Result{
		{ID: broken, Outcome: "not_replayable"}, {ID: ids[0], Outcome: "replayed"}, {ID: gone, Outcome: "not_found"}, {ID: ids[0], Outcome: "closed"},
	}, did.Results)
	o.want(200, &did, "kasubdit", http.MethodPost, shelfAt+"/replay", map[string]any{"type": "request.submitted"})
	require.Equal(t, 2, did.Replayed, "what was left of the type, but for what cannot be replayed")
	var list shelfAnswer
	o.want(200, &list, "kasubdit", http.MethodGet, shelfAt+"?open=1", nil)
	require.Equal(t, []string{other, broken}, []string{list.Entries[0].ID, list.Entries[1].ID})
	require.False(t, list.Entries[1].Replayable)
	require.Equal(t, "urn:sifilma:problem:not-replayable", o.problem(409, "operator", http.MethodPost, shelfAt+"/"+broken+"/replay", nil).Type)

	for _, bad := range []map[string]any{
		{}, {"ids": []string{"x"}}, {"type": "request.renamed"}, {"ids": []string{other}, "type": "request.accepted"}, {"ids": make([]string, 501)},
	} {
		o.problem(422, "operator", http.MethodPost, shelfAt+"/replay", bad)
	}
	require.Zero(t, o.audited("shelf.replay", other, "operator"))
}

func TestShelvedMessageIsLaidAside(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	id := o.fail("document-generator", "request.done", r.ID)
	at := shelfAt + "/" + id + "/close"
	o.problem(422, "operator", http.MethodPost, at, nil)
	o.problem(422, "operator", http.MethodPost, at, map[string]any{"reason": " "})
	var e shelf.Entry
	o.want(200, &e, "kasubdit", http.MethodPost, at, map[string]any{"reason": "dibuat dengan tangan"})
	require.Equal(t, []any{"dibuat dengan tangan", "kasubdit", false}, []any{e.Note, *e.ClosedBy, e.Replayed})
	require.Equal(t, 1, o.audited("shelf.close", id, "kasubdit"))
	require.Zero(t, o.bells("request.done", r.ID))
}

func TestShelfPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const at = "/antrean-gagal"
	d := o.page(200, "operator", at)
	require.Contains(t, d.text, "Tidak ada pesan yang gagal.")
	require.NotContains(t, d.text, "Antrean gagal (")
	require.Empty(t, d.all("input", "select"))

	r := o.drop(1)
	id := o.fail("validator", "request.submitted", r.ID)
	broken := o.shelve("station.perso-1", "workorder.released", uuid.NewString(), "dead_letter: delivery_limit", `{"base64": "AA=="}`)
	d = o.page(200, "operator", at)
	for _, part := range []string{
		"Antrean gagal (2)", "2 pesan menunggu", "Permohonan diajukan (1)", "Permohonan diajukan – " + r.Ticket, "failed: aturan <b>keliru</b>",
		"Gagal dikerjakan berulang kali", "Pemeriksaan berkas", "5 kali", "Belum pernah", `"subject": "` + r.ID + `"`,
		"Perintah kerja dilepas", "Stasiun personalisasi perso-1", "Dilepas oleh antrean",
	} {
		require.Contains(t, d.text, part)
	}
	require.NotContains(t, d.text, "Perintah kerja dilepas (", "what cannot be replayed is not offered")
	require.Len(t, d.all("pre"), 2)
	require.Empty(t, d.all("b"))

	follow := func(path, form string) string {
		t.Helper()
		w := o.want(303, nil, "operator", http.MethodPost, at+path, form)
		return o.page(200, "operator", w.Header().Get("Location")).text
	}
	require.Contains(t, follow("/"+id+"/tutup", "alasan=+"), "Alasan wajib diisi")
	require.Contains(t, follow("/"+broken+"/ulangi", ""), "bentuknya tidak dikenal")
	require.Contains(t, follow("/"+id+"/ulangi", ""), "1 pesan dikirim ulang")
	require.Equal(t, 1, o.bells("request.submitted", r.ID))
	require.Contains(t, follow("/"+id+"/ulangi", ""), "sudah ditangani orang lain")
	require.Contains(t, follow("/"+broken+"/tutup", url.Values{"alasan": {"stasiun sudah tidak ada"}}.Encode()), "Pesan ditutup.")
	require.Contains(t, follow("/ulangi", "jenis=request.submitted"), "0 pesan dikirim ulang")
	require.Contains(t, follow("/ulangi", "jenis=apa"), "tidak dikenal")
	o.fail("validator", "request.submitted", r.ID)
	require.Contains(t, o.page(200, "operator", at).text, "Pernah dikirim ulang 1 kali")
	require.Contains(t, follow("/ulangi", "jenis=request.submitted"), "1 pesan dikirim ulang")
	for _, bad := range []string{"/x/ulangi", "/" + uuid.NewString() + "/ulangi", "/" + uuid.NewString() + "/tutup"} {
		require.Contains(t, o.read(o.want(404, nil, "operator", http.MethodPost, at+bad, "alasan=x")).text, "Pesan ini tidak ada.")
	}
	o.want(403, nil, "operator", http.MethodPost, at+"/ulangi", "jenis=request.submitted", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")

	for range 53 {
		o.fail("validator", "request.submitted", o.drop(1).ID)
	}
	d = o.page(200, "operator", at)
	require.Contains(t, d.text, "Permohonan diajukan (53)")
	require.Contains(t, d.text, "3 pesan lain tampil")
	require.Len(t, d.all("pre"), 50)
}

func TestEveryMessageTypeHasAName(t *testing.T) {
	t.Parallel()
	for _, messageType := range rabbit.Types() {
		require.NotEqual(t, messageType, shelf.TypeLabel(messageType))
	}
}
