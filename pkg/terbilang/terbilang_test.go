package terbilang_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	// users.md C.3, and the edges of each group.
	cases := map[int64]string{
		0: "nol", 1: "satu", 9: "sembilan", 10: "sepuluh", 11: "sebelas", 12: "dua belas",
		19: "sembilan belas", 20: "dua puluh", 21: "dua puluh satu", 99: "sembilan puluh sembilan",
		100: "seratus", 101: "seratus satu", 110: "seratus sepuluh", 111: "seratus sebelas",
		200: "dua ratus", 250: "dua ratus lima puluh",
		999:  "sembilan ratus sembilan puluh sembilan",
		1000: "seribu", 1001: "seribu satu", 1100: "seribu seratus", 1999: "seribu sembilan ratus sembilan puluh sembilan",
		2000: "dua ribu", 2019: "dua ribu sembilan belas", 2026: "dua ribu dua puluh enam",
		10_000: "sepuluh ribu", 11_000: "sebelas ribu", 21_000: "dua puluh satu ribu", 100_000: "seratus ribu",
		101_000:               "seratus satu ribu",
		1_000_000:             "satu juta",
		1_001_000:             "satu juta seribu",
		1_000_001:             "satu juta satu",
		1_000_000_000:         "satu miliar",
		1_000_000_000_000:     "satu triliun",
		-7:                    "minus tujuh",
		1_000_000_000_000_000: "satu kuadriliun",
		math.MinInt64: "minus sembilan kuintiliun dua ratus dua puluh tiga kuadriliun tiga ratus tujuh puluh dua triliun " +
			"tiga puluh enam miliar delapan ratus lima puluh empat juta tujuh ratus tujuh puluh lima ribu delapan ratus delapan",
	}
	for n, want := range cases {
		require.Equal(t, want, terbilang.Number(n), "%d", n)
	}
	require.Equal(t, "Dua Ribu Sembilan Belas", terbilang.NumberTitle(2019))
}

// TestNumberReadsBack gives every number words that only it has.
func TestNumberReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.Int64Range(0, 999_999_999_999_999).Draw(rt, "n")
		require.Equal(rt, n, read(rt, terbilang.Number(n)))
	})
}

// read is a reader of number words written apart from the writer.
func read(t require.TestingT, words string) int64 {
	small := map[string]int64{
		"satu": 1, "dua": 2, "tiga": 3, "empat": 4, "lima": 5, "enam": 6, "tujuh": 7, "delapan": 8, "sembilan": 9,
		"sepuluh": 10, "sebelas": 11, "seratus": 100,
	}
	big := map[string]int64{"ribu": 1e3, "juta": 1e6, "miliar": 1e9, "triliun": 1e12}
	var total, group, last int64
	for _, word := range strings.Fields(words) {
		switch {
		case word == "nol":
		case word == "seribu":
			total += 1000
		case word == "belas":
			group, last = group+10, 0
		case word == "puluh":
			group, last = group+9*last, 0
		case word == "ratus":
			group, last = group+99*last, 0
		case big[word] > 0:
			total, group, last = total+group*big[word], 0, 0
		default:
			value, known := small[word]
			require.True(t, known, "word %q", word)
			group, last = group+value, value
		}
	}
	return total + group
}

func TestFormatInt(t *testing.T) {
	t.Parallel()
	cases := map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1.000", 20_000: "20.000", 1_234_567: "1.234.567",
		-100: "-100", -1000: "-1.000", math.MinInt64: "-9.223.372.036.854.775.808",
	}
	for n, want := range cases {
		require.Equal(t, want, terbilang.FormatInt(n))
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	sample := clock.Date{Year: 2019, Month: time.October, Day: 8}
	require.Equal(t, "Selasa Tanggal Delapan Bulan Oktober Tahun Dua Ribu Sembilan Belas", terbilang.DateInWords(sample))
	today := clock.Date{Year: 2026, Month: time.November, Day: 21}
	require.Equal(t, "Sabtu Tanggal Dua Puluh Satu Bulan November Tahun Dua Ribu Dua Puluh Enam", terbilang.DateInWords(today))
	require.Equal(t, "21 November 2026", terbilang.FormatDate(today))
	require.Equal(t, "Sabtu, 21 November 2026", terbilang.FormatDayDate(today))

	// 18.30 UTC is already the next civil day in Jakarta.
	require.Equal(t, "22 November 2026 pukul 01.30 WIB",
		terbilang.FormatDateTime(time.Date(2026, time.November, 21, 18, 30, 59, 0, time.UTC)))
	require.Equal(t, "21 November 2026 pukul 14.30 WIB",
		terbilang.FormatDateTime(time.Date(2026, time.November, 21, 7, 30, 0, 0, time.UTC)))

	monday := clock.Date{Year: 2026, Month: time.November, Day: 23}
	for i, want := range []string{"Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"} {
		require.Equal(t, want, terbilang.DayName(monday.AddDays(i).Weekday()))
	}
	require.Equal(t, "Mei", terbilang.MonthName(time.May))
	require.Empty(t, terbilang.MonthName(13))
}

func TestFormatPeriod(t *testing.T) {
	t.Parallel()
	day := func(y int, m time.Month, d int) clock.Date { return clock.Date{Year: y, Month: m, Day: d} }
	require.Equal(t, "20 November 2026", terbilang.FormatPeriod(day(2026, 11, 20), day(2026, 11, 20)))
	require.Equal(t, "20 s.d. 24 November 2026", terbilang.FormatPeriod(day(2026, 11, 20), day(2026, 11, 24)))
	require.Equal(t, "30 November s.d. 2 Desember 2026", terbilang.FormatPeriod(day(2026, 11, 30), day(2026, 12, 2)))
	require.Equal(t, "30 Desember 2026 s.d. 4 Januari 2027", terbilang.FormatPeriod(day(2026, 12, 30), day(2027, 1, 4)))
}
