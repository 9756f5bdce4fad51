package yearsheet

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// howDates are the ways to write a date, for sentences.
const howDates = "Isi sebagai tanggal Excel, atau ketik seperti 2026-08-17, 17-08-2026, atau 17 Agustus 2026."

var (
	isoDate   = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})$`)
	dayFirst  = regexp.MustCompile(`^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$`)
	namedDate = regexp.MustCompile(`^(\d{1,2})[ -]([\p{L}]+)\.?[ -](\d{4})$`)
	weekday   = regexp.MustCompile(`^(?i:senin|selasa|rabu|kamis|jumat|jum'at|sabtu|minggu),? +`)
)

// months are the Indonesian names and the short forms that Excel and people use.
var months = func() map[string]time.Month {
	m := map[string]time.Month{"agt": time.August, "agst": time.August, "ags": time.August, "nop": time.November, "nopember": time.November, "pebruari": time.February, "peb": time.February}
	for i := time.January; i <= time.December; i++ {
		name := strings.ToLower(terbilang.MonthName(i))
		m[name], m[name[:3]] = i, i
	}
	return m
}()

// dateOf reads the date of a cell. detail says in Indonesian why there is none.
func dateOf(c xlsx.Cell) (d clock.Date, detail string) {
	text := clean(c.Text)
	switch c.Kind {
	case xlsx.Date:
		if d, err := clock.ParseDate(text); err == nil {
			return d, ""
		}
		return d, fmt.Sprintf("Sel ini berisi “%s”, bukan tanggal tanpa jam. %s", text, howDates)
	case xlsx.Number:
		return d, fmt.Sprintf("Sel ini berisi angka %s, bukan tanggal. Beri format Tanggal pada sel ini. %s", text, howDates)
	case xlsx.Text:
		if d, ok := readDate(text); ok {
			return d, ""
		}
		return d, fmt.Sprintf("“%s” bukan tanggal yang ada. %s", shorten(text), howDates)
	}
	return d, "Isi sel ini bukan tanggal. " + howDates
}

// readDate reads a date as people type it; a date of figures has the day first,
// unless the year is.
func readDate(text string) (clock.Date, bool) {
	text = weekday.ReplaceAllString(text, "")
	year, month, day := "", "", ""
	switch {
	case isoDate.MatchString(text):
		m := isoDate.FindStringSubmatch(text)
		year, month, day = m[1], m[2], m[3]
	case dayFirst.MatchString(text):
		m := dayFirst.FindStringSubmatch(text)
		year, month, day = m[3], m[2], m[1]
	case namedDate.MatchString(text):
		m := namedDate.FindStringSubmatch(text)
		n, known := months[strings.ToLower(m[2])]
		if !known {
			return clock.Date{}, false
		}
		year, month, day = m[3], strconv.Itoa(int(n)), m[1]
	default:
		return clock.Date{}, false
	}
	d, err := clock.ParseDate(fmt.Sprintf("%s-%02s-%02s", year, month, day))
	return d, err == nil
}

// weekdayDiffers says in Indonesian that a day's name is not that of its date. A
// slip between day and month shows here; an empty name is none.
func weekdayDiffers(c xlsx.Cell, d clock.Date) string {
	name, right := clean(c.Text), terbilang.DayName(d.Weekday())
	if name == "" || strings.EqualFold(strings.ReplaceAll(name, "'", ""), right) {
		return ""
	}
	return fmt.Sprintf("Tertulis “%s”, sedangkan %s adalah hari %s. Betulkan tanggalnya atau harinya; hari boleh dikosongkan.",
		shorten(name), terbilang.FormatDate(d), right)
}

// clean takes away what is not seen and makes one space of several.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch r {
		case '\u200b', '\u200e', '\u200f', '\ufeff', '\u00ad':
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// shorten keeps a sentence readable that quotes a cell.
func shorten(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
