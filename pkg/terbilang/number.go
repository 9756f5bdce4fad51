// Package terbilang writes whole numbers and civil dates the way official
// Indonesian papers do: numbers in words ("dua ratus lima puluh"), dates in
// words for a berita acara, dates and numbers in digits for letters and pages.
//
// Go's standard library knows no Indonesian locale, so the tables live here.
package terbilang

import (
	"regexp"
	"strconv"
	"strings"
)

var units = [20]string{
	"", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan",
	"sepuluh", "sebelas", "dua belas", "tiga belas", "empat belas", "lima belas",
	"enam belas", "tujuh belas", "delapan belas", "sembilan belas",
}

// scales are the names of the groups of three digits, from the right. An int64
// never has more than seven groups.
var scales = [7]string{"", "ribu", "juta", "miliar", "triliun", "kuadriliun", "kuintiliun"}

// Number writes n in words, lower case and without hyphens or "dan":
// 250 is "dua ratus lima puluh", 101000 is "seratus satu ribu". A negative
// number starts with "minus". Rules: users.md C.3.
func Number(n int64) string {
	if n == 0 {
		return "nol"
	}
	// The unsigned value holds the magnitude of the smallest int64 too.
	magnitude := uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	var groups []int
	for ; magnitude > 0; magnitude /= 1000 {
		groups = append(groups, int(magnitude%1000))
	}
	var words []string
	if n < 0 {
		words = append(words, "minus")
	}
	for i := len(groups) - 1; i >= 0; i-- {
		switch group := groups[i]; {
		case group == 0:
		case i == 1 && group == 1:
			words = append(words, "seribu")
		default:
			words = appendGroup(words, group)
			if i > 0 {
				words = append(words, scales[i])
			}
		}
	}
	return strings.Join(words, " ")
}

// NumberTitle is Number with a capital at each word, as the date sentence of a
// berita acara has it: "Dua Ribu Sembilan Belas".
func NumberTitle(n int64) string {
	return title(Number(n))
}

// FormatInt writes n in digits with a point between the thousands: "1.000".
func FormatInt(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte('.')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// grouped is a number with dots between its thousands, as FormatInt writes it.
var grouped = regexp.MustCompile(`^[1-9][0-9]{0,2}(\.[0-9]{3})+$`)

// List puts names into a sentence: "A", "A dan B", "A, B dan C".
func List(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " dan " + names[last]
}

// ParseInt reads a whole number as people write it, 1000 or 1.000; ok is false for
// anything else, such as 1.5.
func ParseInt(text string) (n int, ok bool) {
	text = strings.TrimSpace(text)
	if grouped.MatchString(text) {
		text = strings.ReplaceAll(text, ".", "")
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// appendGroup appends the words of 1..999.
func appendGroup(words []string, n int) []string {
	switch hundreds := n / 100; {
	case hundreds == 1:
		words = append(words, "seratus")
	case hundreds > 1:
		words = append(words, units[hundreds], "ratus")
	}
	n %= 100
	switch {
	case n == 0:
	case n < 20:
		words = append(words, units[n])
	default:
		words = append(words, units[n/10], "puluh")
		if n%10 > 0 {
			words = append(words, units[n%10])
		}
	}
	return words
}

// title raises the first letter of each word. The words here are plain ASCII.
func title(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		words[i] = strings.ToUpper(word[:1]) + word[1:]
	}
	return strings.Join(words, " ")
}
