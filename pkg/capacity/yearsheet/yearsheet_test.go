package yearsheet_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/capacity/yearsheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
)

var today = clock.MustParseDate("2026-11-23")

func holiday(day string, kind workday.Kind, name string) capacity.Holiday {
	return capacity.Holiday{Version: 3, Holiday: workday.Holiday{Date: clock.MustParseDate(day), Kind: kind, Name: name, Decree: "SKB 1497/2025"}}
}

// table is a calendar with days that are over, today, and days to come.
func table() capacity.Table {
	h := holiday("2026-08-17", workday.National, "Hari Kemerdekaan")
	h.Confirmed = true
	return capacity.Table{Year: 2026, Version: 9,
		Holidays: []capacity.Holiday{h, holiday("2026-12-24", workday.JointLeave, "Cuti bersama  Natal"), holiday("2026-12-25", workday.National, "=Natal\u00a0& \"lain\"")},
		Settings: []capacity.Setting{
			{Day: clock.MustParseDate("2026-11-23"), Capacity: 200, Reason: "hari ini", Version: 1},
			{Day: clock.MustParseDate("2026-12-01"), Capacity: 1250, Reason: "dua baris\nkedua", Version: 2},
		}}
}

func written(t *testing.T, table capacity.Table) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, yearsheet.Write(&b, table, today))
	return b.Bytes()
}

// edited is the calendar's workbook after an edit in Excel.
func edited(t *testing.T, table capacity.Table, edit func(f *excelize.File)) []byte {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(written(t, table)))
	require.NoError(t, err)
	edit(f)
	var b bytes.Buffer
	require.NoError(t, f.Write(&b))
	require.NoError(t, f.Close())
	return b.Bytes()
}

func set(t *testing.T, f *excelize.File, sheet, cell string, value any) {
	t.Helper()
	require.NoError(t, f.SetCellValue(sheet, cell, value))
}

func read(t *testing.T, book []byte, year int) (yearsheet.Content, []yearsheet.Fault) {
	t.Helper()
	c, faults, err := yearsheet.Read(bytes.NewReader(book), int64(len(book)), year)
	require.NoError(t, err)
	return c, faults
}

func compare(t *testing.T, book []byte, now capacity.Table, gone yearsheet.Removal) yearsheet.Difference {
	t.Helper()
	c, faults := read(t, book, now.Year)
	require.Empty(t, faults)
	return yearsheet.Compare(c, now, yearsheet.Who{Today: today, Capacity: true}, gone)
}

func TestARoundTripChangesNothing(t *testing.T) {
	t.Parallel()
	for _, now := range []capacity.Table{table(), {Year: 2031}} {
		d := compare(t, written(t, now), now, yearsheet.Removal{})
		require.Empty(t, d.Faults)
		require.Empty(t, d.Changes)
		require.Empty(t, d.Missing)
		require.True(t, d.Edition().Empty())
		require.Equal(t, len(now.Holidays)+len(now.Settings), d.Same)
	}
	require.Equal(t, written(t, table()), written(t, table()), "the same calendar is the same file")
}

func TestDatesAreReadAsPeopleTypeThem(t *testing.T) {
	t.Parallel()
	want := clock.MustParseDate("2026-12-08")
	for _, text := range []string{"2026-12-08", "2026-12-8", "08-12-2026", "8/12/2026", "08.12.2026", "8 Desember 2026", "08 desember 2026", "8-Des-2026", "Selasa, 8 Desember 2026", " 8\u00a0Desember  2026 "} {
		book := edited(t, table(), func(f *excelize.File) {
			for i, v := range []any{text, "", "libur  NASIONAL", "Hari uji", "SKB 1", "ya"} {
				set(t, f, yearsheet.HolidaySheet, fmt.Sprintf("%c9", 'A'+i), v)
			}
		})
		d := compare(t, book, table(), yearsheet.Removal{})
		require.Empty(t, d.Faults, text)
		require.Len(t, d.Changes, 1, text)
		require.Equal(t, []any{want, yearsheet.Add, "Libur!A9"}, []any{d.Changes[0].Day, d.Changes[0].Action, d.Changes[0].Place}, text)
	}
	for _, text := range []any{"2026-02-30", "31-11-2026", "12/2026", "8 Dezember 2026", "besok", 46000.0, true} {
		book := edited(t, table(), func(f *excelize.File) {
			plain, err := f.NewStyle(&excelize.Style{NumFmt: 1})
			require.NoError(t, err)
			require.NoError(t, f.SetCellStyle(yearsheet.HolidaySheet, "A9", "A9", plain))
			for i, v := range []any{text, "", "Libur nasional", "Hari uji", "SKB 1", "ya"} {
				set(t, f, yearsheet.HolidaySheet, fmt.Sprintf("%c9", 'A'+i), v)
			}
		})
		_, faults := read(t, book, 2026)
		require.Len(t, faults, 1, "%v", text)
		require.Equal(t, "Libur!A9 wrong_form", faults[0].Sheet+"!"+faults[0].Cell+" "+faults[0].Code, "%v", text)
	}
}

func TestWhatAnImportComesTo(t *testing.T) {
	t.Parallel()
	now := table()
	book := edited(t, now, func(f *excelize.File) {
		require.NoError(t, f.RemoveRow(yearsheet.HolidaySheet, 4)) // 25 December
		require.NoError(t, f.RemoveRow(yearsheet.HolidaySheet, 2)) // 17 August, which is over
		set(t, f, yearsheet.HolidaySheet, "D2", "Cuti bersama Hari Natal")
		set(t, f, yearsheet.HolidaySheet, "F2", "sudah")
		require.NoError(t, f.RemoveRow(yearsheet.CapacitySheet, 3))
		set(t, f, yearsheet.CapacitySheet, "A5", "2026-12-02")
		set(t, f, yearsheet.CapacitySheet, "C5", "1.000")
		set(t, f, yearsheet.CapacitySheet, "D5", "mesin kedua")
	})
	d := compare(t, book, now, yearsheet.Removal{Capacity: []clock.Date{clock.MustParseDate("2026-12-01")}})
	require.Empty(t, d.Faults)
	texts := func(list []yearsheet.Change) (out []string) {
		for _, c := range list {
			out = append(out, fmt.Sprintf("%s %s %s %s", c.Day, c.Action, c.Kind, c.Place))
		}
		return out
	}
	require.Equal(t, []string{"2026-12-01 remove capacity ", "2026-12-02 add capacity Kapasitas!A5", "2026-12-24 change holiday Libur!D2"}, texts(d.Changes))
	require.Equal(t, []string{"2026-12-01 remove capacity ", "2026-12-25 remove holiday "}, texts(d.Missing), "only what was chosen goes")
	require.Equal(t, 1, d.Past)
	require.Equal(t, "nama: “Cuti bersama Natal” menjadi “Cuti bersama Hari Natal”; pencocokan: “belum dicocokkan” menjadi “sudah dicocokkan”", d.Changes[2].Text)
	e := d.Edition()
	require.Equal(t, []int{1, 0, 1, 1}, []int{len(e.Holidays), len(e.NoHolidays), len(e.Settings), len(e.NoSettings)})
	require.Equal(t, []int64{3, 0, 2}, []int64{e.Holidays[0].Version, e.Settings[0].Version, e.NoSettings[0].Version})

	operator := yearsheet.Who{Today: today}
	c, _ := read(t, book, 2026)
	d = yearsheet.Compare(c, now, operator, yearsheet.Removal{})
	require.Len(t, d.Faults, 1)
	require.Equal(t, "sheet!Kapasitas!A5", d.Faults[0].Pointer())
	require.Equal(t, "role", d.Faults[0].Code)
	require.Len(t, d.Missing, 1, "the capacity of days is not theirs to remove")
}
