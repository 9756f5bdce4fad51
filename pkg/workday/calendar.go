// Package workday counts hari kerja: Monday to Friday, without the national
// holidays and the joint leave (cuti bersama) of the ministers' joint decree.
//
// All arithmetic is on civil dates in Asia/Jakarta, never on instants. The
// functions are pure over a table of holidays: the table of record is in the
// database, where staff change it; configs/holidays.yaml is its first content.
// Rules: Perpres 21/2023 and users.md B.1.
package workday

import (
	"iter"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// Kind says why a date is off.
type Kind string

const (
	// National is a libur nasional.
	National Kind = "national"
	// JointLeave is a cuti bersama.
	JointLeave Kind = "joint_leave"
)

// Holiday is one day off of the table.
type Holiday struct {
	Date clock.Date `json:"date"`
	Kind Kind       `json:"kind"`
	Name string     `json:"name"`
	// Decree is the joint decree (SKB) that fixes the day.
	Decree string `json:"decree"`
	// Confirmed is false while nobody compared the day with the decree itself.
	Confirmed bool `json:"confirmed"`
}

// Calendar answers questions about hari kerja. It does not change after New
// and may be shared between goroutines.
type Calendar struct {
	holidays map[clock.Date]Holiday
	// years tells for each year with an entry whether all its days are confirmed.
	years map[int]bool
}

// New makes a calendar of a table. Of two entries on one date the national
// holiday is kept, else the first.
func New(holidays []Holiday) *Calendar {
	c := &Calendar{
		holidays: make(map[clock.Date]Holiday, len(holidays)),
		years:    make(map[int]bool),
	}
	for _, h := range holidays {
		confirmed, known := c.years[h.Date.Year]
		c.years[h.Date.Year] = h.Confirmed && (confirmed || !known)
		if kept, taken := c.holidays[h.Date]; taken && (kept.Kind == National || h.Kind != National) {
			continue
		}
		c.holidays[h.Date] = h
	}
	return c
}

// Holiday returns the table's entry for a date, if there is one. Weekends have none of their own.
func (c *Calendar) Holiday(d clock.Date) (Holiday, bool) {
	h, ok := c.holidays[d]
	return h, ok
}

// IsWorkday reports whether d is a hari kerja.
func (c *Calendar) IsWorkday(d clock.Date) bool {
	switch d.Weekday() {
	case time.Saturday, time.Sunday:
		return false
	}
	_, off := c.holidays[d]
	return !off
}

// Next is the first hari kerja after d.
func (c *Calendar) Next(d clock.Date) clock.Date {
	return c.Add(d, 1)
}

// OnOrAfter is d itself when it is a hari kerja, else the next one.
func (c *Calendar) OnOrAfter(d clock.Date) clock.Date {
	for !c.IsWorkday(d) {
		d = d.AddDays(1)
	}
	return d
}

// Add counts n hari kerja from d. The day of the event is day 0: the first
// counted day is the next hari kerja, and Add(d, 0) is d even on an off day.
// A negative n counts back.
func (c *Calendar) Add(d clock.Date, n int) clock.Date {
	step := 1
	if n < 0 {
		step, n = -1, -n
	}
	for n > 0 {
		d = d.AddDays(step)
		if c.IsWorkday(d) {
			n--
		}
	}
	return d
}

// Between is the number of hari kerja passed from the event day (day 0) to the
// other day inclusive, so that Between(d, Add(d, n)) is n. It is negative when
// "to" lies before "from".
func (c *Calendar) Between(from, to clock.Date) int {
	if to.Before(from) {
		return -c.Between(to, from)
	}
	n := 0
	for d := from; d != to; {
		d = d.AddDays(1)
		if c.IsWorkday(d) {
			n++
		}
	}
	return n
}

// Workdays yields the hari kerja on or after d, in order, without end.
func (c *Calendar) Workdays(d clock.Date) iter.Seq[clock.Date] {
	return func(yield func(clock.Date) bool) {
		for d := c.OnOrAfter(d); yield(d); {
			d = c.Next(d)
		}
	}
}

// HasYear reports whether the table knows the year at all. Without it only
// weekends are off, and estimates in that year are guesses to warn about.
func (c *Calendar) HasYear(year int) bool {
	_, known := c.years[year]
	return known
}

// Confirmed reports whether all entries of the year were compared with the decree.
func (c *Calendar) Confirmed(year int) bool {
	return c.years[year]
}

// Missing lists the years from..to, inclusive, that the table does not know.
func (c *Calendar) Missing(from, to int) []int {
	var years []int
	for year := from; year <= to; year++ {
		if !c.HasYear(year) {
			years = append(years, year)
		}
	}
	return years
}

// Year lists the year's entries in order of date.
func (c *Calendar) Year(year int) []Holiday {
	var list []Holiday
	for d, h := range c.holidays {
		if d.Year == year {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b Holiday) int { return a.Date.Compare(b.Date) })
	return list
}
