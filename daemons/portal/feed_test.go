package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

var feedAddress = regexp.MustCompile(`http://[^/]+(/kalender/permohonan/[A-Za-z0-9_-]{43}\.ics)`)

var feedSeen = regexp.MustCompile(`name="lama" value="([0-9a-f-]*)"`)

// subscribe makes a feed on a request's page and returns its path.
func (o *office) subscribe(who, ticket string) string {
	o.t.Helper()
	seen := feedSeen.FindStringSubmatch(o.want(200, nil, who, http.MethodGet, "/permohonan/"+ticket, nil).Body.String())
	require.NotNil(o.t, seen)
	d, _ := o.post(200, who, "/langganan/"+ticket, "lama", seen[1])
	m := feedAddress.FindStringSubmatch(d.text)
	require.NotNil(o.t, m, d.text)
	return m[1]
}

// feed is what a calendar gets, its lines unfolded.
func (o *office) feed(path string) (*httptest.ResponseRecorder, string) {
	o.t.Helper()
	w := o.want(200, nil, "", http.MethodGet, path, nil)
	require.Equal(o.t, "text/calendar; charset=utf-8", w.Header().Get("Content-Type"))
	return w, strings.ReplaceAll(w.Body.String(), "\r\n ", "")
}

func TestACalendarFollowsARequest(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(12)
	path := o.subscribe("produsen", r.Ticket)
	_, text := o.feed(path)
	require.Contains(t, text, "SUMMARY:Permohonan "+r.Ticket+" diajukan\r\n", "a calendar is never empty")
	require.Contains(t, text, "DTSTART;VALUE=DATE:20261123\r\nDTEND;VALUE=DATE:20261124\r\n")

	v := o.accept(r)
	o.plan(10)
	w, text := o.feed(path)
	tag := w.Header().Get("ETag")
	require.Contains(t, text, "UID:"+v.ID+"-personalisasi@sifilma\r\n")
	require.Contains(t, text, "SEQUENCE:0\r\nDTSTART;VALUE=DATE:20261124\r\nDTEND;VALUE=DATE:20261126\r\nSUMMARY:Personalisasi 12 kartu SAM\\, "+r.Ticket+"\r\n")
	require.Contains(t, text, "DESCRIPTION:Perkiraan personalisasi: 24 s.d. 25 November 2026.\\nKeadaan: ")
	require.Contains(t, text, "STATUS:TENTATIVE\r\n")
	require.NotContains(t, text, "PT ", "no names")
	require.NotContains(t, text, r.Title)
	require.Equal(t, 304, o.ask("", http.MethodGet, path, nil, "If-None-Match", tag).Code)

	// A holiday moves it: the same event, later, with its cause.
	o.clock.Set(o.clock.Now().Add(3600e9))
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: clock.MustParseDate("2026-11-24"), Kind: workday.National, Name: "Hari uji", Decree: "SKB"},
			capacity.Why{Actor: "kasubdit", Reason: "mendadak", OfficeAt: o.clock.Now()})
		return err
	})
	o.plan(10)
	w, text = o.feed(path)
	require.NotEqual(t, tag, w.Header().Get("ETag"))
	require.Contains(t, text, "UID:"+v.ID+"-personalisasi@sifilma\r\n")
	require.Contains(t, text, "SEQUENCE:1\r\nDTSTART;VALUE=DATE:20261125\r\nDTEND;VALUE=DATE:20261127\r\n")
	require.Contains(t, text, "DTSTAMP:20261123T030000Z\r\n")
	require.Contains(t, text, "Semula dijanjikan 24 s.d. 25 November 2026\\; bergeser karena uji.")

	o.want(200, nil, "kasubdit", http.MethodPost, v1+"/requests/"+r.Ticket+"/hold", map[string]any{"reason": "rahasia kantor"}, ifMatch(o.see(r.Ticket).Version)...)
	_, text = o.feed(path)
	require.Contains(t, text, "SEQUENCE:2\r\n")
	require.NotContains(t, text, "rahasia", "the office's reasons are its own")
}

func TestAFeedEnds(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	mine, office := o.subscribe("produsen", r.Ticket), o.subscribe("persuratan", r.Ticket)
	again := o.subscribe("produsen", r.Ticket)
	gone := func(path string) { o.problem(404, "", http.MethodGet, path, nil) }
	gone(mine) // a new address ends the old one
	o.feed(again)
	gone("/kalender/permohonan/" + strings.Repeat("A", 43) + ".ics")

	var ids []string
	require.NoError(t, o.db.Select(t.Context(), &ids, `SELECT id FROM request_feed WHERE revoked_at IS NULL ORDER BY id`))
	require.Len(t, ids, 2)
	persuratan, produsen := ids[0], ids[1]
	revoke := "/langganan/" + r.Ticket + "/cabut"
	o.post(404, "produsen", revoke, "alamat", persuratan)
	o.post(404, foreigner, revoke, "alamat", produsen)
	require.NotContains(t, o.page(200, "produsen", "/permohonan/"+r.Ticket).text, "orang lain")
	require.Contains(t, o.page(200, "operator", "/permohonan/"+r.Ticket).text, "Alamat langganan orang lain (2)")
	o.post(303, "operator", revoke, "alamat", persuratan) // a keeper ends anybody's
	gone(office)
	require.Equal(t, []string{"feed.make", "feed.revoke"}, o.deeds(persuratan))

	// It is as good as its account.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE account SET active = false WHERE username = 'produsen'`)
		return err
	})
	gone(again)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE account SET active = true, institution_id = (SELECT institution_id FROM account WHERE username = $1) WHERE username = 'produsen'`, foreigner)
		return err
	})
	gone(again) // that account may not see the request any more
}

// TestLoadingAgainKeepsTheAddress: the browser sends the form of the shown address
// again, or asks for it; the address lives, and the answer is a page.
func TestLoadingAgainKeepsTheAddress(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	o.clock.Set(o.clock.Now().AddDate(0, 0, 7))
	path := o.subscribe("produsen", r.Ticket)
	d, _ := o.post(409, "produsen", "/langganan/"+r.Ticket, "lama", "")
	require.Contains(t, d.text, "tetap berlaku")
	o.feed(path)
	page := o.page(200, "produsen", "/permohonan/"+r.Ticket)
	require.Contains(t, page.text, "Alamat langganan Anda dibuat 30 November 2026.", "by the clock of everything else")
	w := o.want(303, nil, "produsen", http.MethodGet, "/langganan/"+r.Ticket, nil)
	require.Equal(t, "/permohonan/"+r.Ticket+"#langganan", w.Header().Get("Location"))
	o.page(404, foreigner, "/langganan/"+r.Ticket)

	second := o.subscribe("produsen", r.Ticket) // asked for on purpose
	o.feed(second)
	o.problem(404, "", http.MethodGet, path, nil)
}

// TestACalendarNamesTheDaysThatAreWorked: an event lasts from the first to the last,
// and others have the days between.
func TestACalendarNamesTheDaysThatAreWorked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(30)
	v := o.accept(r)
	path := o.subscribe("produsen", r.Ticket)
	o.plan(10) // 24 to 26 November 2026
	_, text := o.feed(path)
	require.NotContains(t, text, "Dikerjakan pada")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: v.ID, Day: clock.MustParseDate("2026-12-02"), Cards: 10},
			capacity.Why{Actor: "kasubdit", Reason: "uji", OfficeAt: o.clock.Now()})
		return err
	})
	o.plan(10)
	_, text = o.feed(path)
	require.Contains(t, text, "DTSTART;VALUE=DATE:20261124\r\nDTEND;VALUE=DATE:20261203\r\n")
	require.Contains(t, text, "Dikerjakan pada 24 s.d. 25 November 2026\\; 2 Desember 2026.")
}

func TestStrangersWaitAtTheWindow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	status := 0
	for range 200 {
		if status = o.ask("", http.MethodGet, "/kalender/permohonan/x.ics", nil).Code; status == 429 {
			break
		}
		require.Equal(t, 404, status)
	}
	require.Equal(t, 429, status)
	w := o.ask("", http.MethodGet, "/kalender/permohonan/x.ics", nil)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	o.machine.Advance(60e9)
	require.Equal(t, 404, o.ask("", http.MethodGet, "/kalender/permohonan/x.ics", nil).Code)
}

func TestAFeedByAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	at := v1 + "/requests/" + r.Ticket + "/calendar-feed"
	o.problem(404, "produsen", http.MethodGet, at, nil)
	var made struct{ Address string }
	o.want(201, &made, "produsen", http.MethodPost, at, nil)
	path := feedAddress.FindStringSubmatch(made.Address)[1]
	o.feed(path)
	o.want(200, nil, "produsen", http.MethodGet, at, nil)
	o.problem(404, "operator", http.MethodGet, at, nil)
	o.problem(404, foreigner, http.MethodPost, at, nil)
	o.want(204, nil, "produsen", http.MethodDelete, at, nil)
	o.problem(404, "produsen", http.MethodDelete, at, nil)
	o.problem(404, "", http.MethodGet, path, nil)
}
