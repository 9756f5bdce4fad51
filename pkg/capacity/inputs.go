package capacity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// PlanInput is what a replanning needs to know besides the database.
type PlanInput struct {
	Calendar *workday.Calendar
	OfficeAt time.Time
	// Cause is why the plan may move, in Indonesian; it is kept with each
	// estimate that moves.
	Cause string
	// Own are the causes of the requests that have one of their own, by id.
	Own map[string]string
}

// Waiting is a request in production and its cards that wait for a place, which may
// be none.
type Waiting struct {
	RequestID   string        `db:"id"`
	Ticket      string        `db:"ticket"`
	Disposition clock.Date    `db:"disposition_date"`
	State       machine.State `db:"state"`
	Cards       int           `db:"cards"`
	Parts       []Part        `db:"-"`
}

// Inputs are what the plan is made of.
type Inputs struct {
	Queue []Waiting // of all requests in production, in no order
	Days  Days
	// Frozen is the day that has begun, whose orders stay, whether or not they are
	// released.
	Frozen clock.Date

	begun   bool // today
	planned []plannedDay
}

// Demands are the requests of the queue with cards that wait.
func (in Inputs) Demands() []Demand {
	demands := make([]Demand, 0, len(in.Queue))
	for _, w := range in.Queue {
		if w.Cards > 0 {
			demands = append(demands, Demand{RequestID: w.RequestID, Disposition: w.Disposition, Ticket: w.Ticket, Cards: w.Cards, Parts: w.Parts})
		}
	}
	return demands
}

// Load reads the inputs of the plan as they are now, and changes nothing.
func Load(ctx context.Context, rd postgres.Reader, in PlanInput) (inputs Inputs, err error) {
	if err := inputs.readDays(ctx, rd, in); err != nil {
		return inputs, err
	}
	if inputs.Queue, err = queue(ctx, rd, inputs.Frozen, nil); err != nil {
		return inputs, err
	}
	// A part of a day that became a holiday binds on the hari kerja after it.
	from := inputs.Days.First
	for !in.Calendar.IsWorkday(from.AddDays(-1)) {
		from = from.AddDays(-1)
	}
	return inputs, addParts(ctx, rd, inputs.Queue, from)
}

// queue reads the requests in production, or some of them, with their cards that
// wait for a place: neither finished nor already covered by an order that is
// released, or will be today. Cards in doubt or failed wait for people instead.
func queue(ctx context.Context, rd postgres.Reader, frozen clock.Date, only []string) ([]Waiting, error) {
	var list []Waiting
	which, args := ``, []any{frozen}
	if only != nil { // another text, for another plan
		which, args = `AND id = ANY ($2::uuid[])`, append(args, pq.Array(only))
	}
	if err := rd.Select(ctx, &list, `
		WITH r AS MATERIALIZED (
		    SELECT id, ticket, disposition_date, state FROM request
		    WHERE state IN ('accepted','scheduled','in_progress') `+which+`),
		line AS (
		    SELECT c.request_id, count(*) AS n FROM r JOIN card c ON c.request_id = r.id
		    WHERE c.state IN ('listed','bound','numbered','claimed','writing','written','verified')
		      AND NOT (c.attempt > 0 AND `+counted+`) GROUP BY c.request_id),
		covered AS (
		    SELECT o.request_id, sum(o.remaining) AS n FROM r JOIN work_order o ON o.request_id = r.id
		    WHERE o.state IN ('released','closing') OR o.state = 'planned' AND o.day = $1 GROUP BY o.request_id)
		SELECT r.*, coalesce(line.n, 0) - coalesce(covered.n, 0) AS cards
		FROM r LEFT JOIN line ON line.request_id = r.id LEFT JOIN covered ON covered.request_id = r.id`, args...); err != nil {
		return nil, fmt.Errorf("capacity: reading the queue: %w", err)
	}
	return list, nil
}

// sizes is the capacity of days from a day on, as people set them.
type sizes struct {
	usual Parameters
	set   map[clock.Date]int
	down  []Downtime
	begun bool // today
}

// begun says of day $2 whether it has begun: the plan of a day may still move until
// its release, which may be late; until orders of it were released by hand; or until
// people ended it before that. The run of a release that is under way has no effects
// yet.
const begun = `(EXISTS (SELECT FROM schedule_run WHERE job = '` + JobRelease + `' AND effects <> '{}'
	    AND window_start >= $2::date::timestamp AT TIME ZONE 'Asia/Jakarta' AND window_start < ($2::date + 1)::timestamp AT TIME ZONE 'Asia/Jakarta')
	OR EXISTS (SELECT FROM work_order WHERE day = $2::date AND state IN ('released','closing','closed'))
	OR EXISTS (SELECT FROM day_command WHERE day = $2::date AND verb = '` + string(CloseEarly) + `' AND done_at IS NOT NULL))`

// readSizes reads the capacity of the days from a day on, which may be today.
func readSizes(ctx context.Context, rd postgres.Reader, from clock.Date) (sizes, error) {
	return readSizesOn(ctx, rd, from, from)
}

// readSizesOn reads the capacity of the days from a day on, and whether today has
// begun, all at once.
func readSizesOn(ctx context.Context, rd postgres.Reader, from, today clock.Date) (s sizes, err error) {
	var rows []struct {
		Kind  string      `db:"kind"`
		From  *clock.Date `db:"from_day"`
		To    *clock.Date `db:"to_day"`
		Cards int         `db:"cards"`
		More  *string     `db:"more"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT 'usual' AS kind, NULL::date AS from_day, NULL::date AS to_day, usual AS cards,
		       CASE WHEN ramadan_on THEN ramadan::text END AS more FROM plan_parameter
		UNION ALL SELECT 'set', day, NULL, capacity, NULL FROM capacity_setting WHERE day >= $1
		UNION ALL SELECT 'down', from_day, to_day, cards, station FROM station_downtime WHERE to_day >= $1
		UNION ALL SELECT 'begun', NULL, NULL, 0, NULL WHERE `+begun, from, today); err != nil {
		return s, fmt.Errorf("capacity: reading the days' capacity: %w", err)
	}
	s.usual, s.set = Parameters{Usual: DefaultCapacity}, make(map[clock.Date]int)
	for _, r := range rows {
		switch r.Kind {
		case "set":
			s.set[*r.From] = r.Cards
		case "down":
			s.down = append(s.down, Downtime{Station: *r.More, From: *r.From, To: *r.To, Cards: r.Cards})
		case "begun":
			s.begun = true
		default:
			s.usual = Parameters{Usual: r.Cards, RamadanOn: r.More != nil}
			if r.More != nil {
				if err := json.Unmarshal([]byte(*r.More), &s.usual.Ramadan); err != nil {
					return s, fmt.Errorf("capacity: reading Ramadan: %w", err)
				}
			}
		}
	}
	return s, nil
}

// on is the capacity of a day: what people set or the usual one, less what stations
// that stand still would have done.
func (s sizes) on(day clock.Date) int {
	n, ok := s.set[day]
	if !ok {
		n = s.usual.On(day)
	}
	for _, d := range s.down {
		if !day.Before(d.From) && !day.After(d.To) {
			n -= d.Cards
		}
	}
	return max(n, 0)
}

// plannedDay is a day that was planned before.
type plannedDay struct {
	Day      clock.Date
	Capacity int // that it was planned with
	Frozen   int // first slot behind the orders that stay; 0: there are none
	Next     int // first slot behind all orders
}

// readPlanned reads the days from a day on that were planned before. They come as four
// columns: hundreds of rows cost more to take apart than to find.
func readPlanned(ctx context.Context, rd postgres.Reader, from clock.Date) ([]plannedDay, error) {
	var all struct {
		Days     pq.StringArray `db:"days"`
		Capacity pq.Int64Array  `db:"capacity"`
		Frozen   pq.Int64Array  `db:"frozen"`
		Next     pq.Int64Array  `db:"next"`
	}
	if err := rd.Get(ctx, &all, `
		SELECT array_agg(day::text) AS days, array_agg(capacity) AS capacity, array_agg(frozen) AS frozen, array_agg(next) AS next
		FROM (SELECT d.day, d.capacity, coalesce(max(upper(o.slots)) FILTER (WHERE o.state <> 'planned'), 0) AS frozen,
		             coalesce(max(upper(o.slots)), 0) AS next
		      FROM capacity_day d LEFT JOIN work_order o ON o.day = d.day AND o.state <> 'revoked'
		      WHERE d.day >= $1 GROUP BY d.day) AS one`, from); err != nil {
		return nil, fmt.Errorf("capacity: reading planned days: %w", err)
	}
	planned := make([]plannedDay, len(all.Days))
	for i, text := range all.Days {
		day, err := clock.ParseDate(text)
		if err != nil {
			return nil, fmt.Errorf("capacity: reading planned days: %w", err)
		}
		planned[i] = plannedDay{Day: day, Capacity: int(all.Capacity[i]), Frozen: int(all.Frozen[i]), Next: int(all.Next[i])}
	}
	return planned, nil
}

// readDays reads what the planner may use, from today on, or from the next hari kerja
// when today has begun; and what is planned there by now.
func (in *Inputs) readDays(ctx context.Context, rd postgres.Reader, now PlanInput) error {
	today := clock.DateOf(now.OfficeAt)
	size, err := readSizes(ctx, rd, today)
	if err != nil {
		return err
	}
	in.begun = size.begun
	in.Frozen = clock.Date{Year: 1, Month: time.January, Day: 1} // before every plan
	if size.begun && now.Calendar.IsWorkday(today) {             // on a day that turned out to be none, nothing planned stays
		in.Frozen = today
	}
	in.Days = Days{Calendar: now.Calendar, First: in.first(now.Calendar, today)}
	if in.planned, err = readPlanned(ctx, rd, in.Days.First); err != nil {
		return err
	}
	frozen := make(map[clock.Date]int)
	for _, p := range in.planned {
		if p.Frozen > 0 {
			frozen[p.Day] = p.Frozen
		}
	}
	in.Days.Taken = frozen
	// A day never has less than what is released on it.
	in.Days.Capacity = func(day clock.Date) int { return max(size.on(day), frozen[day]-1) }
	return nil
}

// first is the first day of a calendar that may still be planned.
func (in *Inputs) first(calendar *workday.Calendar, today clock.Date) clock.Date {
	if in.begun {
		return calendar.Next(today)
	}
	return calendar.OnOrAfter(today)
}

// DayLoad is how full a hari kerja is.
type DayLoad struct {
	Day      clock.Date `json:"day"`
	Capacity int        `json:"capacity"`
	Used     int        `json:"used"` // slots of orders that were not taken back
}

// Free is what of the day nobody has.
func (d DayLoad) Free() int { return max(0, d.Capacity-d.Used) }

// Ahead says how full the next n hari kerja are, today first.
func Ahead(ctx context.Context, rd postgres.Reader, in PlanInput, n int) ([]DayLoad, error) {
	today := clock.DateOf(in.OfficeAt)
	size, err := readSizes(ctx, rd, today)
	if err != nil {
		return nil, err
	}
	var rows []DayLoad
	if err := rd.Select(ctx, &rows, `
		SELECT d.day, d.capacity, coalesce(sum(o.quantity), 0) AS used
		FROM capacity_day d LEFT JOIN work_order o ON o.day = d.day AND o.state <> 'revoked'
		WHERE d.day >= $1 GROUP BY d.day, d.capacity`, today); err != nil {
		return nil, fmt.Errorf("capacity: reading the days ahead: %w", err)
	}
	known := make(map[clock.Date]DayLoad, len(rows))
	for _, r := range rows {
		known[r.Day] = r
	}
	list := make([]DayLoad, 0, n)
	for day := range in.Calendar.Workdays(today) {
		if len(list) == n {
			break
		}
		one := known[day]
		if day != today || !size.begun || one.Capacity == 0 { // a day that has begun stays as it was planned
			one.Capacity = max(size.on(day), one.Used)
		}
		one.Day = day
		list = append(list, one)
	}
	return slices.Clip(list), nil
}
