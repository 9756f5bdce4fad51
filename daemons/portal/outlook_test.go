package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// outlook asks as a stranger, after whatever was kept is stale.
func (o *office) outlook(query string) (v report.Outlook) {
	o.t.Helper()
	o.machine.Advance(time.Minute)
	w := o.want(200, &v, "", http.MethodGet, v1+"/outlook"+query, nil)
	require.Equal(o.t, "public, max-age=10", w.Header().Get("Cache-Control"))
	return v
}

// decreedOn gives a year a calendar.
func (o *office) decreedOn(day string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.SeedHolidays(ctx, tx, []workday.Holiday{{Date: clock.MustParseDate(day), Kind: workday.National, Name: "Hari uji", Decree: "SKB", Confirmed: true}})
	})
}

func course(start, finish, ready string) *report.Course {
	return &report.Course{Start: clock.MustParseDate(start), Finish: clock.MustParseDate(finish), Ready: clock.MustParseDate(ready)}
}

// TestTheOutlookOfTheFAQ is features.md K05 and K06: nothing queued takes 8 hari
// kerja at best; behind 500 cards, 250 are made on the third day, 10 hari kerja in all.
func TestTheOutlookOfTheFAQ(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreedOn("2026-12-25")
	v := o.outlook("?cards=250")
	require.Equal(t, course("2026-11-30", "2026-11-30", "2026-12-03"), v.Earliest, "Monday 23 November: 4 days until the disposition, 1 at work, 3 of papers and handover")
	require.Equal(t, course("2026-12-04", "2026-12-04", "2026-12-11"), v.Latest, "8 + 1 + 5")
	require.Equal(t, &report.FreeDay{Day: clock.MustParseDate("2026-11-24"), Free: 250}, v.NextFree)
	require.Zero(t, v.Queue)
	require.Zero(t, v.UnknownYear)

	o.tx(func(ctx context.Context, tx *postgres.Tx) error { // their lists do not matter here
		for range 2 {
			r := o.drop(1)
			if _, err := tx.Exec(ctx, `UPDATE request SET card_count = 250 WHERE id = $1`, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
	v = o.outlook("?cards=250")
	require.Equal(t, report.Work{Requests: 2, Cards: 500}, v.InProcess)
	calendar, err := capacity.Calendar(t.Context(), o.db)
	require.NoError(t, err)
	require.Equal(t, course("2026-12-02", "2026-12-02", "2026-12-07"), v.Earliest)
	require.Equal(t, 10, calendar.Between(clock.Today(o.clock), v.Earliest.Ready))
	require.Equal(t, "2026-12-03", o.outlook("?cards=251").Earliest.Finish.String(), "the 251st moves on")
}

func TestTheOutlookStandsBehindThePlan(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreedOn("2026-12-25")
	o.accept(o.drop(7))
	o.accept(o.drop(43))
	o.plan(10) // 50 cards: full until Monday the 30th
	v := o.outlook("")
	require.Equal(t, report.Work{Requests: 2, Cards: 50}, v.Queue)
	require.Equal(t, &report.FreeDay{Day: clock.MustParseDate("2026-12-01"), Free: 10}, v.NextFree)
	require.Equal(t, "2026-12-01", v.Earliest.Start.String())
	require.Equal(t, 1, v.Cards)
	require.Equal(t, "2026-12-02", o.outlook("?cards=11").Earliest.Finish.String())
	// Read once for all who ask within some seconds.
	o.accept(o.drop(10))
	o.plan(10)
	o.want(200, &v, "", http.MethodGet, v1+"/outlook", nil)
	require.Equal(t, 50, v.Queue.Cards)
	require.Equal(t, 60, o.outlook("").Queue.Cards)
	// After the office has closed, today is over.
	o.clock.Set(clock.Today(o.clock).At(20, 0))
	require.Equal(t, "2026-12-02", o.outlook("").Earliest.Start.String())
}

// TestTheOutlookSaysWhatItDoesNotKnow: a year without a calendar, a line that stands
// still for ever, and what cannot be asked.
func TestTheOutlookSaysWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.Equal(t, 2026, o.outlook("").UnknownYear)
	o.decreedOn("2026-12-25")
	require.Equal(t, 2027, o.outlook("?cards=20000").UnknownYear)
	d := o.page(200, "", "/?kartu=20000")
	require.Contains(t, d.text, "Hari libur tahun 2027 belum ditetapkan")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := capacity.AddDowntime(ctx, tx, capacity.Downtime{Station: "stasiun-1", From: clock.MustParseDate("2026-11-24"), To: clock.MustParseDate("2027-11-22"), Cards: 250},
			capacity.Why{Actor: "kasubdit", Reason: "pindah gedung", OfficeAt: o.clock.Now()})
		return err
	})
	v := o.outlook("")
	require.Equal(t, "2027-11-23", v.NextFree.Day.String())
	require.Equal(t, 2027, v.UnknownYear)
	for _, bad := range []string{"cards=0", "cards=x", "cards=20001", "kartu=1"} {
		o.problem(400, "", http.MethodGet, v1+"/outlook?"+bad, nil)
	}
	for range 200 {
		if o.ask("", http.MethodGet, v1+"/outlook", nil).Code == 429 {
			return
		}
	}
	require.Fail(t, "strangers may ask without end")
}

func TestTheFrontPageTellsOfTheQueue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.decreedOn("2026-12-25")
	v := o.accept(o.drop(7))
	o.plan(10)
	d := o.page(200, "", "/")
	require.Contains(t, d.text, "Ajukan hari ini: personalisasi 1 kartu dimulai antara 30 November dan 4 Desember 2026.")
	require.Contains(t, d.text, "7 kartu dari 1 permohonan")
	require.Contains(t, d.text, "Selasa, 24 November 2026, masih muat 3 kartu")
	require.NotContains(t, d.text, v.Ticket)
	require.NotContains(t, d.text, "PT Produsen")
	d = o.page(200, "", "/?kartu=1.000")
	require.Contains(t, d.text, "personalisasi 1.000 kartu")
	d = o.page(200, "produsen", "/?kartu=banyak")
	require.Contains(t, d.text, "Jumlah kartu harus antara 1 dan 20.000.")
	require.Equal(t, "banyak", d.value("kartu"))
}
