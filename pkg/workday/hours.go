package workday

import (
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// TimeOfDay is a wall-clock time in minutes after midnight WIB.
type TimeOfDay int

// String writes the Indonesian form, "07.30".
func (t TimeOfDay) String() string {
	return fmt.Sprintf("%02d.%02d", int(t)/60, int(t)%60)
}

// MarshalText writes the Indonesian form.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads "07.30" or "07:30".
func (t *TimeOfDay) UnmarshalText(b []byte) error {
	for _, layout := range []string{"15.04", "15:04"} {
		if at, err := time.Parse(layout, string(b)); err == nil {
			*t = TimeOfDay(at.Hour()*60 + at.Minute())
			return nil
		}
	}
	return fmt.Errorf("workday: %q is not a time of day of the form 07.30", b)
}

// Shift is when the office is open. Friday's break is longer and so is its day.
// Closing times of zero mean that the whole day counts.
type Shift struct {
	Opens        TimeOfDay `json:"opens" yaml:"opens"`
	Closes       TimeOfDay `json:"closes" yaml:"closes"`
	FridayCloses TimeOfDay `json:"friday_closes" yaml:"friday_closes"`
}

// Span is a range of dates, both ends included.
type Span struct {
	From clock.Date `json:"from" yaml:"from"`
	To   clock.Date `json:"to" yaml:"to"`
	Name string     `json:"name" yaml:"name"`
	// Confirmed is false while the Ministry of Religion has not fixed the dates.
	Confirmed bool `json:"confirmed" yaml:"confirmed"`
}

// Contains reports whether d lies in the span.
func (s Span) Contains(d clock.Date) bool {
	return !d.Before(s.From) && !d.After(s.To)
}

// OfficeHours are the hours of Perpres 21/2023: 37.5 a week, 32.5 in Ramadan.
// The zero value lets every hour of a hari kerja count.
type OfficeHours struct {
	Regular Shift `json:"regular"`
	Ramadan Shift `json:"ramadan"`
	// Fasts are the months of Ramadan.
	Fasts []Span `json:"fasts"`
}

// InRamadan reports whether d lies in one of the fasting months.
func (h OfficeHours) InRamadan(d clock.Date) bool {
	for _, fast := range h.Fasts {
		if fast.Contains(d) {
			return true
		}
	}
	return false
}

// On gives the opening and closing time of a date.
func (h OfficeHours) On(d clock.Date) (opens, closes TimeOfDay) {
	shift := h.Regular
	if h.InRamadan(d) {
		shift = h.Ramadan
	}
	if d.Weekday() == time.Friday && shift.FridayCloses > 0 {
		return shift.Opens, shift.FridayCloses
	}
	return shift.Opens, shift.Closes
}

// ReceivedOn is the hari kerja on which something that came in at t counts as
// received: the civil date itself, or the next hari kerja when t is after
// closing time or on an off day (users.md B.1). What comes before opening time
// counts the same day.
func (c *Calendar) ReceivedOn(t time.Time, hours OfficeHours) clock.Date {
	d := clock.DateOf(t)
	if !c.IsWorkday(d) {
		return c.Next(d)
	}
	_, closes := hours.On(d)
	if closes > 0 && t.After(d.At(int(closes)/60, int(closes)%60)) {
		return c.Next(d)
	}
	return d
}
