package capacity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Table is what people entered of a year.
type Table struct {
	Year int
	// Version grows with each change of a day of the year, shipped holidays included.
	Version  int64
	Holidays []Holiday
	Settings []Setting
}

// YearTable reads what people entered of a year. Read outside of the transaction
// of an edition it may be of several moments; Edit finds that out.
func YearTable(ctx context.Context, rd postgres.Reader, year int) (Table, error) {
	t := Table{Year: year}
	var err error
	if t.Version, err = YearVersion(ctx, rd, year); err != nil { // first: what changes meanwhile is of a later version
		return t, err
	}
	if t.Holidays, err = Holidays(ctx, rd, year); err != nil {
		return t, err
	}
	t.Settings, err = Settings(ctx, rd, clock.Date{Year: year, Month: 1, Day: 1}, clock.Date{Year: year, Month: 12, Day: 31})
	return t, err
}

// YearVersion is the version of a year's table. A change writes a row of
// day_change, which nothing takes away, and takes away one holiday at most; a
// shipped holiday comes without such a row. So twice the changes and the holidays
// together only grow.
func YearVersion(ctx context.Context, rd postgres.Reader, year int) (version int64, err error) {
	if err := rd.Get(ctx, &version, `
		SELECT 1 + 2 * (SELECT count(*) FROM day_change WHERE day BETWEEN $1 AND $2 AND kind IN ('holiday', 'capacity')) + (SELECT count(*) FROM holiday WHERE day BETWEEN $1 AND $2)`,
		clock.Date{Year: year, Month: 1, Day: 1}, clock.Date{Year: year, Month: 12, Day: 31}); err != nil {
		return 0, fmt.Errorf("capacity: reading the version of the calendar of %d: %w", year, err)
	}
	return version, nil
}

// LockYear is YearTable for an edition in the same transaction: until it ends
// nobody else changes the entries that it returns, nor brings an edition.
func LockYear(ctx context.Context, tx *postgres.Tx, year int) (Table, error) {
	if err := Lock(ctx, tx); err != nil {
		return Table{}, err
	}
	first, last := clock.Date{Year: year, Month: 1, Day: 1}, clock.Date{Year: year, Month: 12, Day: 31}
	for _, table := range []string{"holiday", "capacity_setting"} {
		if _, err := tx.Exec(ctx, `SELECT FROM `+table+` WHERE day BETWEEN $1 AND $2 ORDER BY day FOR UPDATE`, first, last); err != nil {
			return Table{}, fmt.Errorf("capacity: locking the calendar of %d: %w", year, err)
		}
	}
	return YearTable(ctx, tx, year)
}

// Edition is many changes of days at once. A day is in one list of its kind at
// most.
type Edition struct {
	// Holidays and Settings are entries as they are to be, as of their versions; 0
	// adds one.
	Holidays []Holiday
	Settings []Setting
	// NoHolidays and NoSettings are entries to be removed, as of their versions.
	NoHolidays []Holiday
	NoSettings []Setting
}

// Empty says that there is nothing to change.
func (e Edition) Empty() bool {
	return len(e.Holidays)+len(e.Settings)+len(e.NoHolidays)+len(e.NoSettings) == 0
}

// change is a row of day_change.
type change struct {
	day           clock.Date
	kind          string
	before, after any
}

// Edit changes many days with one reason, in few statements however many there
// are. Each change is kept and rings the planner as a change of one day does; bells
// that come together make one plan. A day's own reason for its capacity is that of
// its Setting. An empty edition writes nothing and needs no reason. Errors:
// form.Faults, postgres.ErrStale.
func Edit(ctx context.Context, tx *postgres.Tx, t Table, e Edition, w Why) error {
	if e.Empty() {
		return nil
	}
	if err := e.check(&w); err != nil {
		return err
	}
	if err := e.checkWorkdays(t); err != nil {
		return err
	}
	changes, err := e.changes(t)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, *postgres.Tx) error{e.removeHolidays, e.putHolidays, e.removeSettings, e.putSettings} {
		if err := step(ctx, tx); err != nil {
			return err
		}
	}
	return w.keep(ctx, tx, changes)
}

// check says what is wrong with an edition.
func (e Edition) check(w *Why) error {
	today := w.today()
	errs := []error{w.check()}
	for i := range e.Holidays {
		errs = append(errs, check(&e.Holidays[i].Holiday, today))
	}
	var faults form.Faults
	for _, h := range e.NoHolidays {
		dayAhead(&faults, "/date", h.Date, today)
	}
	for i := range e.Settings {
		plannable(&faults, e.Settings[i].Day, today)
		faults = append(faults, CheckSetting(&e.Settings[i])...)
	}
	for _, s := range e.NoSettings {
		plannable(&faults, s.Day, today)
	}
	return together(errors.Join(append(errs, faults.Err())...))
}

// checkWorkdays wants that days with a number of cards are hari kerja of the calendar
// that the edition makes.
func (e Edition) checkWorkdays(t Table) error {
	off := map[clock.Date]workday.Holiday{}
	for _, h := range append(slices.Clone(t.Holidays), e.Holidays...) {
		off[h.Date] = h.Holiday
	}
	for _, h := range e.NoHolidays {
		delete(off, h.Date)
	}
	calendar := workday.New(slices.Collect(maps.Values(off)))
	var faults form.Faults
	for _, s := range e.Settings {
		if !calendar.IsWorkday(s.Day) {
			faults.Add("/remove_holidays", "not_a_workday", "Kapasitas %s hanya dapat diatur bila hari itu tidak lagi libur; centang penghapusannya, atau hapus barisnya pada lembar kapasitas.", terbilang.FormatDate(s.Day))
		}
	}
	return faults.Err()
}

// entry is a row of the table: of a day, as of a version (0: there is none yet).
type entry interface {
	on() clock.Date
	seen() int64
}

func (h Holiday) on() clock.Date { return h.Date }
func (h Holiday) seen() int64    { return h.Version }
func (s Setting) on() clock.Date { return s.Day }
func (s Setting) seen() int64    { return s.Version }

// changes are what the edition does to the table, or postgres.ErrStale where it is
// of another.
func (e Edition) changes(t Table) ([]change, error) {
	holidays, err := compare(kindHoliday, t.Holidays, e.Holidays, e.NoHolidays, func(h Holiday) Holiday { h.Version++; return h })
	if err != nil {
		return nil, err
	}
	settings, err := compare(kindCapacity, t.Settings, e.Settings, e.NoSettings, func(s Setting) Setting { s.Version++; return s })
	return append(holidays, settings...), err
}

// compare lists what entries that are put, as raised by a version, and entries that
// are gone do to those of the table.
func compare[E entry](kind string, table, put, gone []E, raised func(E) E) (list []change, err error) {
	now := make(map[clock.Date]E, len(table))
	for _, e := range table {
		now[e.on()] = e
	}
	for _, e := range put {
		before, known := now[e.on()]
		if known != (e.seen() > 0) || known && before.seen() != e.seen() {
			return nil, postgres.ErrStale
		}
		c := change{day: e.on(), kind: kind, after: raised(e)}
		if known {
			c.before = before
		}
		list = append(list, c)
	}
	for _, e := range gone {
		before, known := now[e.on()]
		if !known || before.seen() != e.seen() {
			return nil, postgres.ErrStale
		}
		list = append(list, change{day: e.on(), kind: kind, before: before})
	}
	return list, nil
}

// all wants that a statement met every row that it was for.
func all(ctx context.Context, tx *postgres.Tx, want int, query string, args ...any) error {
	n, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("capacity: changing many days: %w", err)
	}
	if n != int64(want) {
		return postgres.ErrStale
	}
	return nil
}

func (e Edition) putHolidays(ctx context.Context, tx *postgres.Tx) error {
	var days, kinds, names, decrees []string
	var confirmed []bool
	var versions []int64
	for _, h := range e.Holidays {
		days, kinds, names = append(days, h.Date.String()), append(kinds, string(h.Kind)), append(names, h.Name)
		decrees, confirmed, versions = append(decrees, h.Decree), append(confirmed, h.Confirmed), append(versions, h.Version)
	}
	if len(days) == 0 {
		return nil
	}
	return all(ctx, tx, len(days), `
		INSERT INTO holiday AS now (day, kind, name, decree, confirmed, version)
		SELECT day, kind, name, decree, confirmed, version + 1
		FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bool[], $6::bigint[]) AS h (day, kind, name, decree, confirmed, version)
		ON CONFLICT (day) DO UPDATE SET kind = excluded.kind, name = excluded.name, decree = excluded.decree,
		       confirmed = excluded.confirmed, version = excluded.version
		WHERE now.version = excluded.version - 1`,
		pq.Array(days), pq.Array(kinds), pq.Array(names), pq.Array(decrees), pq.Array(confirmed), pq.Array(versions))
}

func (e Edition) removeHolidays(ctx context.Context, tx *postgres.Tx) error {
	var days []string
	var versions []int64
	for _, h := range e.NoHolidays {
		days, versions = append(days, h.Date.String()), append(versions, h.Version)
	}
	if len(days) == 0 {
		return nil
	}
	return all(ctx, tx, len(days), `
		DELETE FROM holiday h USING unnest($1::date[], $2::bigint[]) AS gone (day, version)
		WHERE h.day = gone.day AND h.version = gone.version`, pq.Array(days), pq.Array(versions))
}

func (e Edition) putSettings(ctx context.Context, tx *postgres.Tx) error {
	var days, reasons []string
	var cards, versions []int64
	for _, s := range e.Settings {
		days, reasons = append(days, s.Day.String()), append(reasons, s.Reason)
		cards, versions = append(cards, int64(s.Capacity)), append(versions, s.Version)
	}
	if len(days) == 0 {
		return nil
	}
	return all(ctx, tx, len(days), `
		INSERT INTO capacity_setting AS now (day, capacity, reason, version)
		SELECT day, capacity, reason, version + 1 FROM unnest($1::date[], $2::int[], $3::text[], $4::bigint[]) AS s (day, capacity, reason, version)
		ON CONFLICT (day) DO UPDATE SET capacity = excluded.capacity, reason = excluded.reason, version = excluded.version
		WHERE now.version = excluded.version - 1`,
		pq.Array(days), pq.Array(cards), pq.Array(reasons), pq.Array(versions))
}

func (e Edition) removeSettings(ctx context.Context, tx *postgres.Tx) error {
	var days []string
	var versions []int64
	for _, s := range e.NoSettings {
		days, versions = append(days, s.Day.String()), append(versions, s.Version)
	}
	if len(days) == 0 {
		return nil
	}
	return all(ctx, tx, len(days), `
		DELETE FROM capacity_setting s USING unnest($1::date[], $2::bigint[]) AS gone (day, version)
		WHERE s.day = gone.day AND s.version = gone.version`, pq.Array(days), pq.Array(versions))
}

// keep is note for many changes.
func (w Why) keep(ctx context.Context, tx *postgres.Tx, changes []change) error {
	n := len(changes)
	ids, days, kinds := make([]string, n), make([]string, n), make([]string, n)
	texts := [2][]*string{make([]*string, n), make([]*string, n)}
	bells := make([]outbox.Message, n)
	for i, c := range changes {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("capacity: id: %w", err)
		}
		ids[i], days[i], kinds[i] = id.String(), c.day.String(), c.kind
		bells[i] = outbox.Message{Type: kindMessages[c.kind], Subject: ids[i], Version: 1}
		for j, v := range []any{c.before, c.after} {
			if v == nil {
				continue
			}
			body, err := json.Marshal(v)
			if err != nil {
				return err
			}
			texts[j][i] = new(string(body))
		}
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO day_change (id, day, kind, before, after, reason, changed_by, changed_at)
		SELECT id, day, kind, before, after, $6, $7, $8
		FROM unnest($1::uuid[], $2::date[], $3::text[], $4::jsonb[], $5::jsonb[]) AS c (id, day, kind, before, after)`,
		pq.Array(ids), pq.Array(days), pq.Array(kinds), pq.Array(texts[0]), pq.Array(texts[1]), w.Reason, w.Actor, w.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("capacity: keeping %d changes of days: %w", n, err)
	}
	return outbox.Put(ctx, tx, bells...)
}
