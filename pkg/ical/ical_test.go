package ical_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/ical"
)

func write(t require.TestingT, c ical.Calendar) string {
	var b bytes.Buffer
	require.NoError(t, ical.Write(&b, c))
	return b.String()
}

// unfold reads content lines back by RFC 5545 section 3.1 alone.
func unfold(t require.TestingT, text string) []string {
	require.True(t, strings.HasSuffix(text, "\r\n"))
	require.NotContains(t, strings.ReplaceAll(text, "\r\n", ""), "\n", "each line ends in CRLF")
	require.NotContains(t, strings.ReplaceAll(text, "\r\n", ""), "\r")
	var lines []string
	for _, l := range strings.Split(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		require.LessOrEqual(t, len(l), 75, "octets of a line")
		require.True(t, utf8.ValidString(l), "no character is cut")
		if strings.HasPrefix(l, " ") {
			require.NotEmpty(t, lines)
			lines[len(lines)-1] += l[1:]
			continue
		}
		lines = append(lines, l)
	}
	return lines
}

// plain reads a TEXT back (section 3.3.11).
func plain(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, `;`, `\,`, `,`, `\n`, "\n").Replace(s)
}

func value(lines []string, name string) string {
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, name+":"); ok {
			return v
		}
	}
	return "(none)"
}

var event = ical.Event{
	UID: "1@contoh", Sequence: 2, Changed: time.Date(2026, 11, 24, 3, 4, 5, 0, clock.Jakarta), First: clock.MustParseDate("2026-12-30"),
	Last: clock.MustParseDate("2026-12-31"), Summary: "Personalisasi", Description: "a, b; c\\d\nbaris", URL: "https://contoh.example/x", Status: ical.Tentative,
}

func TestTheFormOfACalendar(t *testing.T) {
	t.Parallel()
	text := write(t, ical.Calendar{Name: "Satu, dua", Product: "-//Uji//Uji//ID", Refresh: time.Hour, Events: []ical.Event{event}})
	require.Equal(t, []string{
		"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Uji//Uji//ID", "CALSCALE:GREGORIAN", `NAME:Satu\, dua`, `X-WR-CALNAME:Satu\, dua`,
		"REFRESH-INTERVAL;VALUE=DURATION:PT60M", "X-PUBLISHED-TTL:PT60M",
		"BEGIN:VEVENT", "UID:1@contoh", "DTSTAMP:20261123T200405Z", "LAST-MODIFIED:20261123T200405Z", "SEQUENCE:2",
		"DTSTART;VALUE=DATE:20261230", "DTEND;VALUE=DATE:20270101", "SUMMARY:Personalisasi", `DESCRIPTION:a\, b\; c\\d\nbaris`,
		"URL:https://contoh.example/x", "STATUS:TENTATIVE", "TRANSP:TRANSPARENT", "END:VEVENT", "END:VCALENDAR",
	}, unfold(t, text))
}

func TestAnyTextComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := event
		e.Description = rapid.StringOfN(rapid.RuneFrom([]rune("ab \\;,:\n\"é漢🂡")), 40, 400, -1).Draw(t, "text")
		lines := unfold(t, write(t, ical.Calendar{Name: "x", Product: "x", Refresh: time.Hour, Events: []ical.Event{e}}))
		require.Equal(t, e.Description, plain(value(lines, "DESCRIPTION")))
	})
}

// TestNothingBreaksOut: what people type cannot end its line, whatever it holds.
func TestNothingBreaksOut(t *testing.T) {
	t.Parallel()
	e := event
	e.Summary = "x\r\nBEGIN:VEVENT\rATTENDEE:a\x00\u0085\xff"
	lines := unfold(t, write(t, ical.Calendar{Name: "x", Product: "x", Refresh: time.Hour, Events: []ical.Event{e}}))
	require.Equal(t, `x\nBEGIN:VEVENTATTENDEE:a`, value(lines, "SUMMARY"))
}
