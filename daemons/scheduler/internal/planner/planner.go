// Package planner is what the scheduler does: on a doorbell it plans anew and
// looks whether a request is done; on the ticks of a cron clock it runs the
// windows that are due on the office clock.
package planner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/rabbit"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Config says when the jobs are due, in cron expressions on the office clock
// (Asia/Jakarta), and how many cards a day has.
type Config struct {
	// Capacity is the number of cards of a hari kerja without a value of its
	// own (features.md I13).
	Capacity int `yaml:"capacity"`
	// Ramadan gives the days of Ramadan fewer cards, for their hours are shorter
	// (features.md N7).
	Ramadan bool `yaml:"ramadan"`
	// Replan, Release, Close and Horizon are five-field cron expressions.
	Replan  string `yaml:"replan"`
	Release string `yaml:"release"`
	Close   string `yaml:"close"`
	Horizon string `yaml:"horizon"`
	// Tick is how often the office clock is looked at; at least one second.
	Tick time.Duration `yaml:"tick"`
	// KeepSent is how long sent messages stay in the outbox.
	KeepSent time.Duration `yaml:"keep_sent"`
	// KeepKeys is how long the intake's answers can be asked for again by their
	// idempotency key.
	KeepKeys time.Duration `yaml:"keep_keys"`
}

// Defaults are the office's usual times (users.md B.1: work starts at 07.30).
func Defaults() Config {
	return Config{
		Capacity: capacity.DefaultCapacity, Replan: "0 1 * * *", Release: "30 7 * * *", Close: "0 16 * * *", Horizon: "0 6 * * *",
		Tick: time.Second, KeepSent: 7 * 24 * time.Hour, KeepKeys: 7 * 24 * time.Hour,
	}
}

// Validate checks the section.
func (c Config) Validate() error {
	var errs []error
	for name, expression := range map[string]string{"replan": c.Replan, "release": c.Release, "close": c.Close, "horizon": c.Horizon} {
		if _, err := capacity.ParseSchedule(expression); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	if c.Capacity <= 0 {
		errs = append(errs, errors.New("capacity must be at least 1"))
	}
	if c.Tick < time.Second {
		errs = append(errs, errors.New("tick must be at least 1s"))
	}
	if c.KeepSent < time.Hour {
		errs = append(errs, errors.New("keep_sent must be at least 1h"))
	}
	if c.KeepKeys < 24*time.Hour {
		errs = append(errs, errors.New("keep_keys must be at least 24h"))
	}
	return errors.Join(errs...)
}

// Planner is the scheduler's work.
type Planner struct {
	cfg    Config
	db     *postgres.DB
	office clock.Office
	real   bool // the office clock follows the machine's
	log    zerolog.Logger
	status *daemon.Status
	jobs   []capacity.Job
	fasts  []workday.Span
	// configured and seen are only looked at by the ticks, which never overlap.
	configured bool
	seen       memory
	// ticked is when the last tick ended well, counted from the start: the machine's
	// clock may be set meanwhile. failing says that the last one did not.
	start   time.Time
	ticked  atomic.Int64
	failing atomic.Bool
	looked  atomic.Pointer[look]
	first   sync.Once     // closes begun
	begun   chan struct{} // the office clock was looked at
}

var self = machine.Actor{Name: "scheduler", Role: request.Scheduler}

// New makes a planner, whose ticks run these other jobs too; fasts are the months of
// Ramadan.
func New(cfg Config, db *postgres.DB, office clock.Office, fasts []workday.Span, log zerolog.Logger, status *daemon.Status, others ...capacity.Job) (*Planner, error) {
	p := &Planner{cfg: cfg, db: db, office: office, real: clock.IsReal(office), fasts: fasts, log: log, status: status, jobs: others,
		start: time.Now(), begun: make(chan struct{})}
	p.looked.Store(&look{doubt: errNotLooked})
	moved.WithLabelValues("ahead")
	moved.WithLabelValues("back")
	for _, j := range []struct {
		name, expression string
		do               func(ctx context.Context, tx *postgres.Tx, window, officeAt time.Time) (any, error)
	}{
		{capacity.JobReplan, cfg.Replan, p.replan}, {capacity.JobRelease, cfg.Release, p.release},
		{capacity.JobClose, cfg.Close, p.closeDay}, {capacity.JobHorizon, cfg.Horizon, p.horizon},
	} {
		schedule, err := capacity.ParseSchedule(j.expression)
		if err != nil {
			return nil, err
		}
		p.jobs = append(p.jobs, capacity.Job{Name: j.name, Schedule: schedule, Do: j.do})
	}
	return p, nil
}

// Tick looks at the office clock until ctx ends. cron is only the tick: what is
// due comes from the windows on the office clock, and a window's row makes its
// effects happen once.
func (p *Planner) Tick(ctx context.Context) error {
	// Recover is innermost: outside SkipIfStillRunning a panic would leave the
	// job marked as running for ever (reliability.md E8).
	logger := cron.PrintfLogger(&p.log)
	tick := cron.NewChain(cron.SkipIfStillRunning(cron.DiscardLogger), cron.Recover(logger)).Then(cron.FuncJob(func() { p.once(ctx) }))
	c := cron.New(cron.WithLocation(clock.Jakarta))
	c.Schedule(cron.Every(p.cfg.Tick), tick)
	tick.Run() // at once, and no more than another tick can it end the daemon
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
	return nil
}

func (p *Planner) once(ctx context.Context) {
	ctx = trace.ContextWith(ctx, trace.New()) // of what no request caused
	officeAt := p.office.Now()
	err := p.trust(ctx, officeAt)
	if err == nil {
		err = p.configure(ctx, officeAt)
	}
	ran := 0
	if err == nil {
		ran, err = capacity.RunDue(ctx, p.db, p.jobs, officeAt)
	}
	if err == nil {
		err = p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return p.settle(ctx, tx, officeAt) })
	}
	if err == nil {
		err = p.catch(ctx, officeAt)
	}
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		p.status.Error(err)
		wrong := errors.Is(err, errWrong)
		if !p.failing.Swap(true) || wrong != p.seen.wrong { // people look for another cause
			p.log.Error().Ctx(ctx).Err(err).Msg("scheduled work fails; it is tried again at each tick")
		}
		p.seen.wrong = wrong
		return
	case ran > 0:
		p.log.Info().Ctx(ctx).Int("windows", ran).Time("office", p.office.Now()).Msg("ran scheduled work")
	}
	p.seen.wrong = false
	if p.failing.Swap(false) {
		p.log.Info().Msg("scheduled work succeeds again")
	}
	p.ticked.Store(int64(time.Since(p.start)))
	p.status.Doing("waiting; office clock %s", p.office.Now().In(clock.Jakarta).Format("2006-01-02 15:04"))
}

// configure keeps what this scheduler plans with, once, before its first work. When
// it is another number than before, the plan is made anew.
func (p *Planner) configure(ctx context.Context, officeAt time.Time) error {
	if p.configured {
		return nil
	}
	err := p.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := capacity.Lock(ctx, tx); err != nil {
			return err
		}
		changed, err := capacity.SetParameters(ctx, tx, capacity.Parameters{Usual: p.cfg.Capacity, RamadanOn: p.cfg.Ramadan, Ramadan: p.fasts})
		if err != nil || !changed {
			return err
		}
		_, err = p.plan(ctx, tx, officeAt, "kapasitas biasa diatur")
		return err
	})
	p.configured = err == nil
	return err
}

// Check is the readyz check of the ticks: they came to their end lately.
func (p *Planner) Check(context.Context) error {
	age := time.Since(p.start) - time.Duration(p.ticked.Load())
	if age <= 10*time.Second+3*p.cfg.Tick {
		return nil
	}
	err := fmt.Errorf("no tick has succeeded for %s", age.Round(time.Second))
	if doubt := p.looked.Load().doubt; doubt != nil {
		err = fmt.Errorf("%w: %w", err, doubt)
	}
	return err
}

// settle does what people ordered, and closes the orders of ended days once the
// stations' hands are empty; cards that were not presented are planned again.
func (p *Planner) settle(ctx context.Context, tx *postgres.Tx, officeAt time.Time) error {
	pending, err := capacity.Pending(ctx, tx)
	if err != nil || !pending {
		return err
	}
	in, err := p.input(ctx, tx, officeAt)
	if err != nil {
		return err
	}
	obeyed, err := capacity.Obey(ctx, tx, in)
	if err != nil {
		return err
	}
	closed, err := capacity.Settle(ctx, tx, in.OfficeAt)
	if err != nil || closed.Orders+obeyed == 0 {
		return err
	}
	p.tell(ctx, closed)
	in.Cause = "kartu yang belum dikerjakan dijadwalkan lagi"
	if obeyed > 0 {
		in.Cause = "pekerjaan " + terbilang.FormatDate(clock.DateOf(in.OfficeAt)) + " diatur atas perintah Kasubdit KI"
	}
	_, err = capacity.Replan(ctx, tx, in)
	return err
}

// tell raises the alarm when cards of a day are in no bucket of its balance.
func (p *Planner) tell(ctx context.Context, closed capacity.DayEnd) {
	if b := closed.Balance; b.Difference != 0 {
		p.log.Error().Ctx(ctx).Stringer("day", b.Day).Int("planned", b.Planned).Int("difference", b.Difference).
			Msg("the day's cards do not balance: look at the attempts of its work orders")
	}
}

func (p *Planner) replan(ctx context.Context, tx *postgres.Tx, _, officeAt time.Time) (any, error) {
	return p.plan(ctx, tx, officeAt, "rencana disusun ulang pada malam hari")
}

// release opens the day's work orders. A window of a day that is over releases
// nothing: its orders are planned anew.
func (p *Planner) release(ctx context.Context, tx *postgres.Tx, window, officeAt time.Time) (any, error) {
	day := clock.DateOf(window)
	// What was reopened for overtime ends with its day.
	closed, err := capacity.CloseDays(ctx, tx, day.AddDays(-1), window, officeAt)
	if err != nil {
		return nil, err
	}
	p.tell(ctx, closed)
	if day != clock.DateOf(officeAt) {
		return p.plan(ctx, tx, officeAt, "hari kerja terlewat sebelum kartunya dikerjakan")
	}
	calendar, err := capacity.Calendar(ctx, tx)
	if err != nil {
		return nil, err
	}
	if !calendar.IsWorkday(day) { // it became a holiday after it was planned
		return p.plan(ctx, tx, officeAt, "hari libur baru")
	}
	if closed.Orders > 0 { // their cards may still come on this day
		if _, err := p.plan(ctx, tx, officeAt, "lembur berakhir"); err != nil {
			return nil, err
		}
	}
	released, err := capacity.ReleaseDay(ctx, tx, day, officeAt)
	return map[string]any{"released": released}, err
}

func (p *Planner) closeDay(ctx context.Context, tx *postgres.Tx, window, officeAt time.Time) (any, error) {
	closed, err := capacity.CloseDays(ctx, tx, clock.DateOf(window), window, officeAt)
	if err != nil {
		return nil, err
	}
	p.tell(ctx, closed)
	changes, err := p.plan(ctx, tx, officeAt, "hari kerja berakhir; kartu yang belum dikerjakan dijadwalkan lagi")
	return map[string]any{"closed": closed, "plan": changes}, err
}

// horizon looks for years that cards are planned in and that have no calendar.
func (p *Planner) horizon(ctx context.Context, tx *postgres.Tx, _, _ time.Time) (any, error) {
	years, err := capacity.UnknownYears(ctx, tx)
	if len(years) > 0 {
		p.log.Warn().Ctx(ctx).Ints("years", years).Msg("cards are planned in years whose holidays are not recorded")
	}
	return map[string]any{"unknown_years": years}, err
}

func (p *Planner) input(ctx context.Context, tx *postgres.Tx, officeAt time.Time) (capacity.PlanInput, error) {
	calendar, err := capacity.Calendar(ctx, tx)
	return capacity.PlanInput{Calendar: calendar, OfficeAt: officeAt}, err
}

func (p *Planner) plan(ctx context.Context, tx *postgres.Tx, officeAt time.Time, cause string) (capacity.Changes, error) {
	in, err := p.input(ctx, tx, officeAt)
	if err != nil {
		return capacity.Changes{}, err
	}
	in.Cause = cause
	return capacity.Replan(ctx, tx, in)
}

// Hear answers doorbells. It looks at the rows as they are now, so a bell may
// ring twice or late. While the office clock is in doubt they wait; when it is wrong they
// are let go, for this scheduler may wait for people, and another one may be right: the
// ticks of whoever works find what they told of.
func (p *Planner) Hear(ctx context.Context, tx *postgres.Tx, events []rabbit.Event) error {
	officeAt, err := p.now()
	if errors.Is(err, errWrong) {
		return nil
	}
	if err != nil {
		return rabbit.Hold(err)
	}
	return p.hear(ctx, tx, officeAt, events, slices.ContainsFunc(events, func(e rabbit.Event) bool { return e.Type != rabbit.RequestAccepted }))
}

// hear answers doorbells and, with whole, makes the plan anew with all that is due.
func (p *Planner) hear(ctx context.Context, tx *postgres.Tx, officeAt time.Time, events []rabbit.Event, whole bool) error {
	if err := capacity.Lock(ctx, tx); err != nil { // before any row, always: no deadlock with the ticks
		return err
	}
	if whole {
		due, err := capacity.TakeDue(ctx, tx)
		if err != nil {
			return err
		}
		events = slices.Clone(events)
		for _, d := range due {
			events = append(events, rabbit.Event{Type: d.Bell, Subject: d.Subject, Request: d.RequestID})
		}
	}
	if len(events) == 0 { // a bell was quicker
		return nil
	}
	var why reasons
	seen := make(map[string]bool)
	for _, e := range events {
		if e.Subject+e.Request == "" && slices.ContainsFunc(events, func(o rabbit.Event) bool { return o.Type == e.Type && o.Subject != "" }) {
			continue // another says what was changed
		}
		said, err := causeOf(ctx, tx, e)
		if err != nil {
			return err
		}
		why.add(e.Request, said)
		if e.Type == rabbit.CardsReduced {
			if err := capacity.Shrink(ctx, tx, e.Request, officeAt); err != nil {
				return err
			}
		}
		if e.Request == "" || seen[e.Request] {
			continue
		}
		seen[e.Request] = true
		if err := p.look(ctx, tx, e.Request, officeAt); err != nil {
			return err
		}
	}
	in, err := p.input(ctx, tx, officeAt)
	if err != nil {
		return err
	}
	in.Cause, in.Own = why.others(), why.each()
	if !whole {
		// The common case by far: new requests, which rank last.
		_, ok, err := capacity.Extend(ctx, tx, in, slices.Collect(maps.Keys(seen)))
		if err != nil || ok {
			return err
		}
	}
	_, err = capacity.Replan(ctx, tx, in)
	return err
}

// look does for one request what its state asks for.
func (p *Planner) look(ctx context.Context, tx *postgres.Tx, requestID string, officeAt time.Time) error {
	r, err := request.Lock(ctx, tx, requestID)
	if errors.Is(err, request.ErrNotFound) {
		return nil // another office's database: nothing to do here
	}
	if err != nil {
		return err
	}
	switch r.State {
	case request.Cancelled, request.Rejected:
		if err := capacity.RevokeRequest(ctx, tx, r.ID, officeAt); err != nil {
			return err
		}
		return cardlist.Free(ctx, tx, r.ID)
	case request.Held:
		return capacity.RevokeRequest(ctx, tx, r.ID, officeAt)
	case request.InProgress:
		done, err := perso.Complete(ctx, tx, r.ID)
		if err != nil || !done {
			return err
		}
		_, err = request.Take(ctx, tx, r, request.Finish, request.Change{Actor: self, OfficeAt: officeAt})
		return err
	}
	return nil
}
