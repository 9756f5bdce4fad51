package main

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// plan replans as the scheduler does, with so many cards a day.
func (o *office) plan(usual int) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := capacity.SetParameters(ctx, tx, capacity.Parameters{Usual: usual}); err != nil {
			return err
		}
		calendar, err := capacity.Calendar(ctx, tx)
		if err != nil {
			return err
		}
		_, err = capacity.Replan(ctx, tx, capacity.PlanInput{Calendar: calendar, OfficeAt: o.clock.Now(), Cause: "uji"})
		return err
	})
}

// outcomes writes that cards of a request came to these ends under its order of a
// day, as the line leaves it.
func (o *office) outcomes(requestID string, day clock.Date, ends ...string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // the line is tested elsewhere
			return err
		}
		for i, end := range ends {
			counted := end != "" && end != "released"
			if _, err := tx.Exec(ctx, `
				INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, outcome, counted)
				SELECT gen_random_uuid(), l.id, 1, o.id, 'stasiun', 'pembaca', l.serial, 'uji', '', $4, $5
				FROM work_order o JOIN listed_card l ON l.request_id = o.request_id AND l.row = $3 WHERE o.request_id = $1 AND o.day = $2`,
				requestID, day, i+1, end, counted); err != nil {
				return err
			}
			if counted {
				if _, err := tx.Exec(ctx, `UPDATE work_order SET remaining = remaining - 1 WHERE request_id = $1 AND day = $2`, requestID, day); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type dayAnswer struct {
	report.BoardDay
	Requests []report.DayRequest
}

func (o *office) day(who string, d clock.Date) (v dayAnswer) {
	o.t.Helper()
	o.want(200, &v, who, http.MethodGet, v1+"/days/"+d.String(), nil)
	return v
}

func (o *office) days(who, query string) []report.BoardDay {
	o.t.Helper()
	var v struct{ Days []report.BoardDay }
	o.want(200, &v, who, http.MethodGet, v1+"/days"+query, nil)
	return v.Days
}

// runningBoard is an office with two requests: ten cards a day, 7 of the first and 3
// of the second on Tuesday, 5 of the second on Wednesday. Tuesday is at work.
func runningBoard(t *testing.T) (o *office, first, second report.Request, tuesday clock.Date) {
	t.Helper()
	o = newOffice(t)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return capacity.SeedHolidays(ctx, tx, []workday.Holiday{
			{Date: clock.MustParseDate("2026-11-26"), Kind: workday.JointLeave, Name: "Hari uji", Decree: "SKB", Confirmed: true}})
	})
	first, second = o.accept(o.drop(7)), o.accept(o.drop(8))
	o.plan(10)
	tuesday = clock.Today(o.clock).AddDays(1)
	o.clock.Set(tuesday.At(10, 0))
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.ReleaseDay(ctx, tx, tuesday, tuesday.At(7, 30))
		return err
	})
	o.outcomes(first.ID, tuesday, "clear", "clear", "failed", "in_doubt", "spoiled", "", "released")
	return o, first, second, tuesday
}

func TestTheBoardTellsWhatBecameOfADay(t *testing.T) {
	t.Parallel()
	o, first, second, tuesday := runningBoard(t)
	v := o.day("persuratan", tuesday)
	require.Equal(t, []int{10, 10, 0, 5, 2}, []int{v.Capacity, v.Used, v.Free, v.Remaining, v.Orders})
	require.Equal(t, &report.DayResult{Clear: 2, Failed: 1, InDoubt: 1, Spoiled: 1, InHand: 1, Waiting: 4}, v.Result)
	require.Len(t, v.Requests, 2)
	require.Equal(t, report.DayRequest{Ticket: first.Ticket, Institution: "PT Produsen Contoh", Title: first.Title, State: capacity.Released, StateLabel: "Dilepas",
		Planned: 7, Result: report.DayResult{Clear: 2, Failed: 1, InDoubt: 1, Spoiled: 1, InHand: 1, Waiting: 1}}, v.Requests[0])
	require.Equal(t, []any{second.Ticket, 3}, []any{v.Requests[1].Ticket, v.Requests[1].Planned})

	days := o.days("operator", "?from=2026-11-23&to=2026-11-29")
	require.Len(t, days, 7)
	wednesday, thursday, saturday := days[2], days[3], days[5]
	require.Equal(t, []int{10, 5, 5}, []int{wednesday.Capacity, wednesday.Used, wednesday.Free})
	require.Equal(t, []any{false, "Hari uji (cuti bersama)", 0}, []any{thursday.Workday, thursday.Off, thursday.Capacity})
	require.Equal(t, "Akhir pekan", saturday.Off)
	require.True(t, saturday.Known)
	require.False(t, o.days("operator", "?from=2031-01-01&to=2031-01-01")[0].Known)

	// The day ends: a card still in hand keeps its order open, the rest goes back.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.CloseDays(ctx, tx, tuesday, tuesday.At(16, 0), tuesday.At(16, 0))
		return err
	})
	v = o.day("operator", tuesday)
	require.Equal(t, 3, v.Requests[1].Result.Carried, "not presented, back in the queue")
	require.Equal(t, 10, v.Used, "what the day was planned for")
	require.Equal(t, 10, v.Result.Clear+v.Result.Failed+v.Result.InDoubt+v.Result.Spoiled+v.Result.InHand+v.Result.Waiting+v.Result.Carried)
	o.problem(404, "operator", http.MethodGet, v1+"/days/kemarin", nil)
}

// TestTheBoardSaysWhyADayHasLess shows the office what people set, and its reason.
func TestTheBoardSaysWhyADayHasLess(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	day := clock.Today(o.clock).AddDays(2)
	o.want(200, nil, "kasubdit", http.MethodPut, v1+"/days/"+day.String()+"/capacity", map[string]any{"capacity": 120, "reason": "satu pembaca rusak"}, ifMatch(0)...)
	v := o.day("operator", day)
	require.Equal(t, []any{120, 120, "satu pembaca rusak"}, []any{v.Capacity, v.Free, v.Reason})
	v = o.day("produsen", day)
	require.Equal(t, []any{120, ""}, []any{v.Capacity, v.Reason})
	require.Equal(t, capacity.DefaultCapacity, o.day("operator", day.AddDays(1)).Capacity)
}

// TestOutsidersSeeDaysButNotWhose: how full a day is they may know, by name only
// their own.
func TestOutsidersSeeDaysButNotWhose(t *testing.T) {
	t.Parallel()
	o, first, _, tuesday := runningBoard(t)
	for who, n := range map[string]int{"produsen": 2, foreigner: 0, "lembaga": 0} {
		v := o.day(who, tuesday)
		require.Len(t, v.Requests, n, who)
		require.Equal(t, []int{10, 10}, []int{v.Capacity, v.Used}, who)
		require.Nil(t, v.Result, who)
		w := o.want(200, nil, who, http.MethodGet, boardPage, nil)
		require.Equal(t, n > 0, bytes.Contains(w.Body.Bytes(), []byte(first.Ticket)), who)
		require.NotContains(t, w.Body.String(), "gagal", who)
	}
	o.problem(401, "", http.MethodGet, v1+"/days", nil)
}

const boardPage = "/papan"

func TestTheBoardAsAWorkbook(t *testing.T) {
	t.Parallel()
	o, first, second, _ := runningBoard(t)
	rows := func(who string) [][]string {
		w := o.want(200, nil, who, http.MethodGet, v1+"/days.xlsx?from=2026-11-24&to=2026-11-26", nil)
		require.Equal(t, `attachment; filename=papan-2026-11-24-2026-11-26.xlsx`, w.Header().Get("Content-Disposition"))
		f, err := excelize.OpenReader(w.Body)
		require.NoError(t, err)
		defer func() { _ = f.Close() }()
		kind, err := f.GetCellType("Papan", "D4")
		require.NoError(t, err)
		require.Contains(t, []excelize.CellType{excelize.CellTypeNumber, excelize.CellTypeUnset}, kind, "numbers that can be added up")
		day, err := f.GetCellValue("Papan", "A4", excelize.Options{RawCellValue: true})
		require.NoError(t, err)
		require.Equal(t, "46350", day, "a date that can be sorted")
		list, err := f.GetRows("Papan")
		require.NoError(t, err)
		return list[3:]
	}
	list := rows("operator")
	require.Equal(t, []string{"2026-11-24", "Selasa", "", "10", "10", "0", first.Ticket, "PT Produsen Contoh", "Dilepas", "7", "2", "1", "1", "1", "1", "1", "0"}, list[0])
	require.Equal(t, second.Ticket, list[1][6])
	require.Equal(t, []string{"2026-11-26", "Kamis", "Hari uji (cuti bersama)"}, list[3][:3])
	require.Len(t, rows(foreigner), 3, "a row for each day, none for what is not theirs")
	o.problem(400, "operator", http.MethodGet, v1+"/days.xlsx?from=2026-11-24&to=2026-11-01", nil)
}

func TestTheBoardsPages(t *testing.T) {
	t.Parallel()
	o, first, second, tuesday := runningBoard(t)
	d := o.page(200, "operator", boardPage)
	require.Contains(t, d.text, "Hari ini, Selasa, 24 November 2026 10 dari 10 kartu terpakai.")
	require.Contains(t, d.text, "2 berhasil 1 gagal 1 meragukan 1 rusak 1 di stasiun 4 menunggu")
	require.Contains(t, d.text, "Hari uji (cuti bersama)")
	require.Contains(t, d.text, first.Ticket)
	d = o.page(200, "operator", boardPage+"/"+tuesday.AddDays(1).String())
	require.Contains(t, d.text, "5 dari 10 kartu terpakai, 5 kosong.")
	require.Contains(t, d.text, second.Ticket)
	require.NotContains(t, d.text, first.Ticket)
	require.Contains(t, o.page(200, "operator", boardPage+"/2026-11-26").text, "Bukan hari kerja: Hari uji (cuti bersama).")
	d = o.page(200, "produsen", boardPage+"?dari=2026-11-23")
	require.Contains(t, d.text, "Permohonan lembaga Anda")
	require.Contains(t, d.text, "Kembali ke hari ini")
	require.Contains(t, o.page(200, "kasubdit", boardPage+"?dari=2031-01-01").text, "Belum ada penetapan hari libur tahun 2031.")
	o.page(404, "operator", boardPage+"/besok")
}

// TestTheBoardOfARequestTakenBack keeps what had been made under it.
func TestTheBoardOfARequestTakenBack(t *testing.T) {
	t.Parallel()
	o, first, _, tuesday := runningBoard(t)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE perso_attempt SET outcome = 'clear' WHERE outcome = ''`); err != nil {
			return err
		}
		return capacity.RevokeRequest(ctx, tx, first.ID, tuesday.At(11, 0))
	})
	v := o.day("operator", tuesday)
	require.Equal(t, 8, v.Used, "places that the day has spent; the others are free again")
	require.Equal(t, []any{capacity.Closing, 5, 3}, []any{v.Requests[0].State, v.Requests[0].Planned, v.Requests[0].Result.Clear})

	// Formerly such an order was taken back.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		return tx.ExecOne(ctx, `UPDATE work_order SET state = 'revoked', remaining = remaining + returned, returned = 0 WHERE request_id = $1 AND day = $2`, first.ID, tuesday)
	})
	v = o.day("operator", tuesday)
	require.Equal(t, 3, v.Used, "its places are free again")
	require.Equal(t, []any{capacity.Revoked, 5, 3}, []any{v.Requests[0].State, v.Requests[0].Planned, v.Requests[0].Result.Clear})
}
