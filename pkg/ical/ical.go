// Package ical writes calendars that people subscribe to: iCalendar (RFC 5545) with
// the names and refresh interval of RFC 7986, of events that last whole days.
package ical

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// Status of an event (RFC 5545 section 3.8.1.11).
type Status string

// The states of an event.
const (
	Tentative Status = "TENTATIVE"
	Confirmed Status = "CONFIRMED"
	Cancelled Status = "CANCELLED"
)

// Calendar is a feed. RFC 5545 wants at least one event in it.
type Calendar struct {
	Name    string
	Product string // who made it: the PRODID
	// Refresh is how often it is worth asking again.
	Refresh time.Duration
	Events  []Event
}

// Event is something that lasts whole days, First and Last included.
type Event struct {
	// UID names the event for ever and in the whole world.
	UID string
	// Sequence grows with every change that people should notice.
	Sequence int
	// Changed is when the event last changed.
	Changed     time.Time
	First, Last clock.Date
	Summary     string
	Description string
	URL         string // may be empty
	Status      Status
}

// longest is how many octets a line may have without its end (section 3.1).
const longest = 75

// Write writes the calendar. The same calendar gives the same bytes.
func Write(w io.Writer, c Calendar) error {
	var b strings.Builder
	line := func(name, value string) { fold(&b, name+":"+value) }
	text := func(name, value string) { line(name, escape(value)) }
	line("BEGIN", "VCALENDAR")
	line("VERSION", "2.0")
	text("PRODID", c.Product)
	line("CALSCALE", "GREGORIAN")
	text("NAME", c.Name)
	text("X-WR-CALNAME", c.Name)
	refresh := fmt.Sprintf("PT%dM", int(c.Refresh/time.Minute))
	line("REFRESH-INTERVAL;VALUE=DURATION", refresh)
	line("X-PUBLISHED-TTL", refresh)
	for _, e := range c.Events {
		changed := e.Changed.UTC().Format("20060102T150405Z")
		line("BEGIN", "VEVENT")
		text("UID", e.UID)
		line("DTSTAMP", changed)
		line("LAST-MODIFIED", changed)
		line("SEQUENCE", fmt.Sprint(e.Sequence))
		line("DTSTART;VALUE=DATE", date(e.First))
		line("DTEND;VALUE=DATE", date(e.Last.AddDays(1))) // the first day after it
		text("SUMMARY", e.Summary)
		text("DESCRIPTION", e.Description)
		if e.URL != "" {
			line("URL", e.URL)
		}
		line("STATUS", string(e.Status))
		line("TRANSP", "TRANSPARENT") // nobody's time is taken by it
		line("END", "VEVENT")
	}
	line("END", "VCALENDAR")
	_, err := io.WriteString(w, b.String())
	return err
}

func date(d clock.Date) string { return fmt.Sprintf("%04d%02d%02d", d.Year, d.Month, d.Day) }

// escape writes a TEXT (section 3.3.11); what cannot stand in one is left out.
func escape(s string) string {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n") {
		switch {
		case r == '\\' || r == ';' || r == ',':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case unicode.IsControl(r):
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// fold writes a content line, in parts of at most 75 octets that never cut a
// character (section 3.1).
func fold(b *strings.Builder, s string) {
	room := longest
	for len(s) > room {
		cut := room
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		b.WriteString(s[:cut] + "\r\n ")
		s, room = s[cut:], longest-1 // the blank counts
	}
	b.WriteString(s + "\r\n")
}
