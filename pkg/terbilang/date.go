package terbilang

import (
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
)

var dayNames = [7]string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}

var monthNames = [12]string{
	"Januari", "Februari", "Maret", "April", "Mei", "Juni",
	"Juli", "Agustus", "September", "Oktober", "November", "Desember",
}

// DayName is the Indonesian name of a weekday, "Senin" to "Minggu".
func DayName(d time.Weekday) string {
	return dayNames[((int(d)%7)+7)%7]
}

// MonthName is the Indonesian name of a month; empty outside January..December.
func MonthName(m time.Month) string {
	if m < time.January || m > time.December {
		return ""
	}
	return monthNames[m-1]
}

// DateInWords is the date of a berita acara:
// "Selasa Tanggal Delapan Bulan Oktober Tahun Dua Ribu Sembilan Belas"
// (features.md G15).
func DateInWords(d clock.Date) string {
	return fmt.Sprintf("%s Tanggal %s Bulan %s Tahun %s",
		DayName(d.Weekday()), NumberTitle(int64(d.Day)), MonthName(d.Month), NumberTitle(int64(d.Year)))
}

// FormatDate is the date of a letter: "21 November 2026".
func FormatDate(d clock.Date) string {
	return fmt.Sprintf("%d %s %d", d.Day, MonthName(d.Month), d.Year)
}

// FormatDayDate adds the weekday: "Sabtu, 21 November 2026".
func FormatDayDate(d clock.Date) string {
	return DayName(d.Weekday()) + ", " + FormatDate(d)
}

// FormatDateTime is an instant in the office's zone with the zone named:
// "21 November 2026 pukul 14.30 WIB".
func FormatDateTime(t time.Time) string {
	t = t.In(clock.Jakarta)
	return fmt.Sprintf("%s pukul %s WIB", FormatDate(clock.DateOf(t)), t.Format("15.04"))
}

// FormatPeriod is a span of dates without saying twice what both ends share:
// "20 s.d. 24 November 2026", "30 November s.d. 2 Desember 2026". Both ends
// equal give the single date.
func FormatPeriod(from, to clock.Date) string {
	switch {
	case from == to:
		return FormatDate(from)
	case from.Year != to.Year:
		return FormatDate(from) + " s.d. " + FormatDate(to)
	case from.Month != to.Month:
		return fmt.Sprintf("%d %s s.d. %s", from.Day, MonthName(from.Month), FormatDate(to))
	default:
		return fmt.Sprintf("%d s.d. %s", from.Day, FormatDate(to))
	}
}
