package capacity

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Size is the number of cards of a day that is a hari kerja.
type Size struct {
	Capacity int
	// Why it is not the usual one: what people gave as their reason, and stations that
	// stand still. It is the office's own.
	Why string
}

// Sizes returns the number of cards of each of the days from..to: of those that are
// over, and of today once it has begun, what they were planned with.
func Sizes(ctx context.Context, rd postgres.Reader, from, to, today clock.Date) (map[clock.Date]Size, error) {
	s, err := readSizesOn(ctx, rd, from, today)
	if err != nil {
		return nil, err
	}
	settings, err := Settings(ctx, rd, from, to)
	if err != nil {
		return nil, err
	}
	var planned []struct {
		Day      clock.Date `db:"day"`
		Capacity int        `db:"capacity"`
	}
	if err := rd.Select(ctx, &planned, `SELECT day, capacity FROM capacity_day WHERE day BETWEEN $1 AND $2 AND day <= $3`, from, to, today); err != nil {
		return nil, fmt.Errorf("capacity: reading planned days: %w", err)
	}
	sizes := make(map[clock.Date]Size, from.DaysUntil(to)+1)
	for d := from; !d.After(to); d = d.AddDays(1) {
		sizes[d] = Size{s.on(d), s.why(d)}
	}
	for _, one := range settings {
		size := sizes[one.Day]
		size.Why = strings.Join(append([]string{one.Reason}, s.stops(one.Day)...), "; ")
		sizes[one.Day] = size
	}
	for _, p := range planned {
		if p.Day == today && !s.begun {
			continue
		}
		size := sizes[p.Day]
		size.Capacity = p.Capacity
		sizes[p.Day] = size
	}
	return sizes, nil
}

// why says why a day that people set no number for has not the usual one.
func (s sizes) why(day clock.Date) string {
	var list []string
	if s.usual.On(day) != s.usual.Usual {
		list = append(list, "jam kerja bulan Ramadan")
	}
	return strings.Join(append(list, s.stops(day)...), "; ")
}

// stops are the downtimes of a day in words.
func (s sizes) stops(day clock.Date) (list []string) {
	for _, d := range s.down {
		if !day.Before(d.From) && !day.After(d.To) {
			list = append(list, d.Text())
		}
	}
	return list
}
