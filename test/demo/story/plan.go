package story

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/test/demo/people"
)

const (
	// near is how many hari kerja the office clock is moved on without more ado;
	// the requests of others would all be late after months.
	near = 5
	// pinWithin is how long the planner has to obey a pin.
	pinWithin = 15 * time.Second
	// mostRefusals is how often a card that the station refuses is put in again, each
	// time after refusalRest: the station may only have been quicker than the office.
	mostRefusals = 5
	refusalRest  = 2 * time.Second
)

// schedule is the plan of one request. What others have on the board says nothing of
// when its cards may come.
type schedule struct {
	Ticket  string `json:"ticket"`
	Version int64  `json:"version"`
	Days    []struct {
		Day       clock.Date `json:"day"`
		State     string     `json:"state"`
		Remaining int        `json:"remaining"`
	} `json:"days"`
	Ahead []struct {
		Day      clock.Date `json:"day"`
		Capacity int        `json:"capacity"`
	} `json:"ahead"`
}

// begun says whether the request has an order of this day that waits for cards.
func (s schedule) begun(day clock.Date) bool {
	for _, d := range s.Days {
		if d.Day == day && d.State == "released" && d.Remaining > 0 {
			return true
		}
	}
	return false
}

// next is the first day from this one on for which its cards are planned.
func (s schedule) next(today clock.Date) (day clock.Date, any bool) {
	for _, d := range s.Days {
		if d.State == "planned" && d.Remaining > 0 && !d.Day.Before(today) && (!any || d.Day.Before(day)) {
			day, any = d.Day, true
		}
	}
	return day, any
}

// soon are the next hari kerja, as the office's own calendar has them, on which cards
// are personalised.
func (s schedule) soon(today clock.Date) (days []clock.Date) {
	for _, d := range s.Ahead {
		if d.Day.After(today) && d.Capacity > 0 && len(days) < near {
			days = append(days, d.Day)
		}
	}
	return days
}

func (p *play) plan(ctx context.Context, ticket string) (s schedule, err error) {
	_, err = p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/requests/" + ticket + "/plan"}, &s)
	return s, err
}

// pinned is the last day for which the play has had its cards put, and since when.
type pinned struct {
	day   clock.Date
	since time.Time
}

// await moves the office clock to the next day of the request. A day far ahead is
// brought nearer instead, as staff do: the Kasubdit pins the cards.
func (p *play) await(ctx context.Context, s schedule) (bool, error) {
	today := clock.Today(p.office)
	day, any := s.next(today)
	if !any {
		return false, nil // not planned yet
	}
	if soon := s.soon(today); len(soon) > 0 && day.After(soon[len(soon)-1]) {
		switch {
		case p.pinned.day != soon[0]:
			return p.pin(ctx, s, soon[0], day)
		case time.Since(p.pinned.since) < pinWithin:
			return false, nil // the planner obeys in a moment
		}
	}
	return p.stepTo(day.At(7, 31), "hari personalisasi "+s.Ticket+" menurut rencananya"), nil
}

func (p *play) pin(ctx context.Context, s schedule, day, planned clock.Date) (bool, error) {
	_, err := p.staff["kasubdit"].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/requests/" + s.Ticket + "/placements",
		Header: map[string]string{"If-Match": strconv.Quote(strconv.FormatInt(s.Version, 10))},
		JSON:   map[string]any{"day": day, "pin": true, "reason": "peragaan: antrean di depannya panjang"}}, nil)
	if err != nil && !people.Is(err, http.StatusUnprocessableEntity) {
		return false, err
	}
	p.pinned = pinned{day, time.Now()}
	if err != nil { // this day takes no pin: the clock has to go to the planned one
		p.pinned.since = time.Time{}
		return true, nil
	}
	p.out.Say("  Antrean panjang: %s baru terjadwal %s. Kasubdit KI menguncinya pada %s, supaya jam kantor tidak melompat sejauh itu.",
		s.Ticket, terbilang.FormatDate(planned), terbilang.FormatDate(day))
	return true, nil
}

// refusals are the cards that the station did not take, by serial.
type refusals map[string]refusal

type refusal struct {
	times int
	last  time.Time
}

// note remembers a refusal. Error: this card is refused again and again.
func (r refusals) note(serial, reason string, now time.Time) error {
	r[serial] = refusal{r[serial].times + 1, now}
	if n := r[serial].times; n >= mostRefusals {
		return fmt.Errorf("stasiun menolak kartu %s sampai %d kali (%s); kartu tidak dimasukkan lagi", serial, n, reason)
	}
	return nil
}

// may says whether the card may be put in now.
func (r refusals) may(serial string, now time.Time) bool {
	one, ok := r[serial]
	return !ok || now.Sub(one.last) >= refusalRest
}
