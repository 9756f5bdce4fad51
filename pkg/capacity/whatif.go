package capacity

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Hypotheses are what somebody supposes of the days from tomorrow on. Nothing of it
// is written anywhere.
type Hypotheses struct {
	// Usual is another number of cards of a usual day.
	Usual *int `json:"usual"`
	// Days have another number of cards.
	Days []DaysSupposed `json:"days"`
	// Extra requests come in.
	Extra []RequestSupposed `json:"extra_requests"`
	// Holidays are off as well; Workdays are not off any more, unless they are of a
	// weekend.
	Holidays []clock.Date `json:"holidays"`
	Workdays []clock.Date `json:"workdays"`
	// Downtimes take cards away from each of their days.
	Downtimes []DaysSupposed `json:"downtimes"`
	// Held are the tickets of requests that wait until somebody lets them go on.
	Held []string `json:"hold"`
}

// DaysSupposed is a number of cards on each of the days From..To, both included.
type DaysSupposed struct {
	From  clock.Date `json:"from"`
	To    clock.Date `json:"to"` // zero: one day
	Cards *int       `json:"cards"`
}

// RequestSupposed is a request that does not exist.
type RequestSupposed struct {
	Cards       int        `json:"cards"`
	Disposition clock.Date `json:"disposition_date"` // zero: today
}

// Period is the days of a request's personalisation.
type Period struct {
	Start  clock.Date `json:"start"`
	Finish clock.Date `json:"finish"`
}

// Shift is where a request stands, and where it would; nil where it has no place.
type Shift struct {
	RequestID string
	Ticket    string
	Before    *Period
	After     *Period
	// Later is by how many hari kerja, of the days supposed, it would finish later;
	// less than 0 is earlier.
	Later int
}

// Moves says whether anything would change for the request.
func (s Shift) Moves() bool {
	if s.Before == nil || s.After == nil {
		return s.Before != s.After
	}
	return *s.Before != *s.After
}

// Supposed is what the plan would be.
type Supposed struct {
	Shifts []Shift  // of every request in production, in the order of their ranks
	Extra  []Period // of Hypotheses.Extra, in their order
	// LastBefore and LastAfter are the last days with cards; nil when no card is
	// planned.
	LastBefore, LastAfter *clock.Date
}

// What can be supposed at once.
const (
	mostSupposed = 50
	longestSpan  = 366     // days
	mostExtra    = 100_000 // cards of all extra requests together
	longestPlan  = 10_000  // hari kerja that the plan would take
)

// WhatIf makes the plan as it would be, by the planner's own function, and compares it
// with the one that the same inputs give without the hypotheses. It reads only.
// Error: form.Faults.
func WhatIf(ctx context.Context, rd postgres.Reader, in PlanInput, h Hypotheses) (s Supposed, err error) {
	today := clock.DateOf(in.OfficeAt)
	if err := h.Check(today); err != nil {
		return s, err
	}
	inputs, err := Load(ctx, rd, in)
	if err != nil {
		return s, err
	}
	size, err := readSizes(ctx, rd, inputs.Days.First)
	if err != nil {
		return s, err
	}
	fixed, err := fixedPlaces(ctx, rd, inputs.Frozen)
	if err != nil {
		return s, err
	}
	holidays, err := readHolidays(ctx, rd)
	if err != nil {
		return s, err
	}
	then := inputs
	if then.Queue, err = h.hold(inputs.Queue); err != nil {
		return s, err
	}
	calendar := h.calendar(holidays)
	h.resize(&size)
	then.Days = Days{Calendar: calendar, First: inputs.first(calendar, today), Taken: inputs.Days.Taken,
		Capacity: func(d clock.Date) int { return max(size.on(d), inputs.Days.Taken[d]-1) }}

	extra := h.demands(today)
	if err := h.tooLong(then, extra, size.usual.Usual); err != nil {
		return s, err
	}
	before := newPlan(fixed, Plan(inputs.Demands(), inputs.Days))
	after := newPlan(fixed, Plan(append(then.Demands(), extra...), then.Days))
	s.LastBefore, s.LastAfter = before.last, after.last
	for _, w := range inputs.Queue {
		if !slices.ContainsFunc(then.Queue, func(t Waiting) bool { return t.RequestID == w.RequestID }) {
			delete(after.places, w.RequestID) // what is released of it is taken back as well
		}
	}
	for _, w := range slices.SortedFunc(slices.Values(inputs.Queue), byRank) {
		one := Shift{RequestID: w.RequestID, Ticket: w.Ticket, Before: before.places[w.RequestID], After: after.places[w.RequestID]}
		if one.Before != nil && one.After != nil {
			one.Later = calendar.Between(one.Before.Finish, one.After.Finish)
		}
		s.Shifts = append(s.Shifts, one)
	}
	for _, d := range extra {
		s.Extra = append(s.Extra, *after.places[d.RequestID])
	}
	return s, nil
}

func byRank(a, b Waiting) int {
	if c := a.Disposition.Compare(b.Disposition); c != 0 {
		return c
	}
	return strings.Compare(a.Ticket, b.Ticket)
}

// Check says what cannot be supposed, without looking at the plan, and fills in what
// may be left out; whoever gave the lists sees that in them. Error: form.Faults.
func (h *Hypotheses) Check(today clock.Date) error {
	var faults form.Faults
	ahead := func(pointer string, d clock.Date) {
		if d == today {
			faults.Add(pointer, "frozen", "Rencana hari ini sudah tetap; isi mulai besok.")
			return
		}
		dayAhead(&faults, pointer, d, today)
	}
	if h.Usual != nil && (*h.Usual < 1 || *h.Usual > mostCards) {
		faults.Add("/usual", "out_of_range", "Kapasitas biasa harus antara 1 dan 100.000 kartu.")
	}
	for _, list := range []struct {
		pointer string
		n       int
	}{
		{"/days", len(h.Days)}, {"/downtimes", len(h.Downtimes)}, {"/extra_requests", len(h.Extra)}, {"/holidays", len(h.Holidays)},
		{"/hold", len(h.Held)}, {"/workdays", len(h.Workdays)},
	} {
		if list.n > mostSupposed {
			faults.Add(list.pointer, "too_many", "Paling banyak %d pengandaian dari tiap jenis.", mostSupposed)
		}
	}
	if len(faults) > 0 {
		return faults
	}
	for name, list := range map[string][]DaysSupposed{"/days/": h.Days, "/downtimes/": h.Downtimes} {
		for i := range list {
			at, d := name+strconv.Itoa(i), &list[i]
			ahead(at+"/from", d.From)
			if d.To.IsZero() {
				d.To = d.From
			}
			if d.To.Before(d.From) || d.From.DaysUntil(d.To) >= longestSpan {
				faults.Add(at+"/to", "out_of_range", "Hari terakhir harus pada atau setelah hari pertama, paling jauh setahun sesudahnya.")
			}
			if d.Cards == nil || *d.Cards < 0 || *d.Cards > mostCards {
				faults.Add(at+"/cards", "out_of_range", "Isi jumlah kartu per hari, dari 0 sampai 100.000.")
			}
		}
	}
	total := 0
	for i := range h.Extra {
		at, one := "/extra_requests/"+strconv.Itoa(i), &h.Extra[i]
		if total += max(0, min(one.Cards, mostExtra+1)); one.Cards < 1 || total > mostExtra {
			faults.Add(at+"/cards", "out_of_range", "Isi jumlah kartu permohonan tambahan, dari 1 sampai 100.000 bersama-sama.")
		}
		switch {
		case one.Disposition.IsZero():
			one.Disposition = today
		case one.Disposition.Year > today.Year+yearsAhead:
			faults.Add(at+"/disposition_date", "out_of_range", "Tanggal paling jauh lima tahun ke depan.")
		}
	}
	for name, list := range map[string][]clock.Date{"/holidays/": h.Holidays, "/workdays/": h.Workdays} {
		for i, d := range list {
			ahead(name+strconv.Itoa(i), d)
		}
	}
	slices.SortFunc(faults, func(a, b form.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return faults.Err()
}

// tooLong refuses a plan that would take longer than anybody looks ahead: its time
// grows with the days.
func (h Hypotheses) tooLong(in Inputs, extra []Demand, usual int) error {
	cards := 0
	for _, d := range append(in.Demands(), extra...) {
		cards += d.Cards
	}
	if cards/max(usual, 1) <= longestPlan || h.Usual == nil && len(extra) == 0 {
		return nil
	}
	pointer := "/usual"
	if h.Usual == nil {
		pointer = "/extra_requests/0/cards"
	}
	return form.One(pointer, "out_of_range", fmt.Sprintf("Dengan kapasitas biasa %s kartu per hari, %s kartu memerlukan lebih dari %s hari kerja. Besarkan kapasitasnya atau kurangi kartunya.",
		count(usual), count(cards), count(longestPlan)))
}

// hold takes the requests that are supposed to wait out of the queue.
func (h Hypotheses) hold(queue []Waiting) ([]Waiting, error) {
	held := map[string]int{}
	for i, ticket := range h.Held {
		held[strings.ToUpper(strings.TrimSpace(ticket))] = i
	}
	rest := slices.DeleteFunc(slices.Clone(queue), func(w Waiting) bool {
		_, ok := held[w.Ticket]
		delete(held, w.Ticket)
		return ok
	})
	var faults form.Faults
	for _, ticket := range slices.Sorted(maps.Keys(held)) {
		faults.Add("/hold/"+strconv.Itoa(held[ticket]), "unknown_value", "Permohonan ini tidak ada dalam antrean personalisasi.")
	}
	return rest, faults.Err()
}

// calendar is the office's with the days off that are supposed.
func (h Hypotheses) calendar(holidays []workday.Holiday) *workday.Calendar {
	list := slices.DeleteFunc(slices.Clone(holidays), func(x workday.Holiday) bool { return slices.Contains(h.Workdays, x.Date) })
	for _, d := range h.Holidays {
		list = append(list, workday.Holiday{Date: d, Kind: workday.National, Name: "pengandaian"})
	}
	return workday.New(list)
}

// resize gives days the capacity that is supposed.
func (h Hypotheses) resize(s *sizes) {
	if h.Usual != nil {
		s.usual.Usual = *h.Usual
	}
	for _, span := range h.Days {
		for d := span.From; !d.After(span.To); d = d.AddDays(1) {
			s.set[d] = *span.Cards
		}
	}
	for _, span := range h.Downtimes {
		s.down = append(s.down, Downtime{From: span.From, To: span.To, Cards: *span.Cards})
	}
}

// demands are the requests that are supposed to come. Of one disposition date they
// rank behind those that there are.
func (h Hypotheses) demands(today clock.Date) []Demand {
	list := make([]Demand, len(h.Extra))
	for i, one := range h.Extra {
		name := fmt.Sprintf("~%04d", i)
		list[i] = Demand{RequestID: name, Ticket: name, Disposition: one.Disposition, Cards: one.Cards}
		if list[i].Disposition.IsZero() {
			list[i].Disposition = today
		}
	}
	return list
}

// fixedPlaces are the days of each request that no replanning changes: those that
// are over, and what is released.
func fixedPlaces(ctx context.Context, rd postgres.Reader, frozen clock.Date) (map[string]Period, error) {
	var rows []struct {
		RequestID string     `db:"request_id"`
		Start     clock.Date `db:"start"`
		Finish    clock.Date `db:"finish"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT o.request_id, min(o.day) AS start, max(o.day) AS finish
		FROM work_order o JOIN request r ON r.id = o.request_id
		WHERE r.state IN ('accepted','scheduled','in_progress') AND o.state <> 'revoked' AND (o.state <> 'planned' OR o.day = $1)
		GROUP BY o.request_id`, frozen); err != nil {
		return nil, fmt.Errorf("capacity: reading fixed orders: %w", err)
	}
	places := make(map[string]Period, len(rows))
	for _, r := range rows {
		places[r.RequestID] = Period{r.Start, r.Finish}
	}
	return places, nil
}

// plan is where requests stand in a plan.
type plan struct {
	places map[string]*Period
	last   *clock.Date // with cards
}

func newPlan(fixed map[string]Period, spans []Span) plan {
	p := plan{places: make(map[string]*Period, len(fixed))}
	put := func(requestID string, from, to clock.Date) {
		if p.last == nil || to.After(*p.last) {
			p.last = &to
		}
		one := p.places[requestID]
		if one == nil {
			p.places[requestID] = &Period{from, to}
			return
		}
		if from.Before(one.Start) {
			one.Start = from
		}
		if to.After(one.Finish) {
			one.Finish = to
		}
	}
	for id, f := range fixed {
		put(id, f.Start, f.Finish)
	}
	for _, s := range spans {
		put(s.RequestID, s.Day, s.Day)
	}
	return p
}
