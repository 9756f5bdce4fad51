package capacity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// ErrNoEntry says that a day has no entry of its own: it is no holiday of the
// table, or has the usual capacity.
var ErrNoEntry = errors.New("capacity: the day has no entry")

// Holiday is an entry of the calendar as staff see and change it.
type Holiday struct {
	workday.Holiday
	Version int64 `json:"version"`
}

// KindLabels are the Indonesian names of the kinds of holidays.
var KindLabels = map[workday.Kind]string{workday.National: "Libur nasional", workday.JointLeave: "Cuti bersama"}

// SeedHolidays adds the shipped holidays of days that the table never had: what
// staff changed or removed stays so.
func SeedHolidays(ctx context.Context, tx *postgres.Tx, holidays []workday.Holiday) error {
	var days, kinds, names, decrees []string
	var confirmed []bool
	for _, h := range holidays {
		days, kinds, names = append(days, h.Date.String()), append(kinds, string(h.Kind)), append(names, h.Name)
		decrees, confirmed = append(decrees, h.Decree), append(confirmed, h.Confirmed)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO holiday (day, kind, name, decree, confirmed)
		SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bool[]) AS h (day, kind, name, decree, confirmed)
		WHERE NOT EXISTS (SELECT FROM day_change c WHERE c.day = h.day AND c.kind = 'holiday')
		ON CONFLICT (day) DO NOTHING`,
		pq.Array(days), pq.Array(kinds), pq.Array(names), pq.Array(decrees), pq.Array(confirmed))
	if err != nil {
		return fmt.Errorf("capacity: seeding holidays: %w", err)
	}
	return nil
}

// Calendar reads the office's calendar.
func Calendar(ctx context.Context, rd postgres.Reader) (*workday.Calendar, error) {
	holidays, err := readHolidays(ctx, rd)
	if err != nil {
		return nil, err
	}
	return workday.New(holidays), nil
}

func readHolidays(ctx context.Context, rd postgres.Reader) (holidays []workday.Holiday, err error) {
	if err := rd.Select(ctx, &holidays, `SELECT day AS date, kind, name, decree, confirmed FROM holiday`); err != nil {
		return nil, fmt.Errorf("capacity: reading holidays: %w", err)
	}
	return holidays, nil
}

// UnknownYears lists the years that cards are planned in and that have no holiday in
// the table: only their weekends are off, and what is planned there is a guess.
func UnknownYears(ctx context.Context, rd postgres.Reader) ([]int, error) {
	var years []int
	if err := rd.Select(ctx, &years, `
		SELECT extract(year FROM day)::int FROM work_order WHERE state IN ('planned','released','closing')
		EXCEPT SELECT extract(year FROM day)::int FROM holiday ORDER BY 1`); err != nil {
		return nil, fmt.Errorf("capacity: looking for years without a calendar: %w", err)
	}
	return years, nil
}

const selectHolidays = `SELECT day AS date, kind, name, decree, confirmed, version FROM holiday `

// Holidays lists the entries of a year in the order of their dates.
func Holidays(ctx context.Context, rd postgres.Reader, year int) ([]Holiday, error) {
	list := []Holiday{}
	first := clock.Date{Year: year, Month: 1, Day: 1}
	if err := rd.Select(ctx, &list, selectHolidays+`WHERE day BETWEEN $1 AND $2 ORDER BY day`,
		first, clock.Date{Year: year, Month: 12, Day: 31}); err != nil {
		return nil, fmt.Errorf("capacity: reading the holidays of %d: %w", year, err)
	}
	return list, nil
}

// GetHoliday reads the entry of a day. Error: ErrNoEntry.
func GetHoliday(ctx context.Context, rd postgres.Reader, day clock.Date) (h Holiday, err error) {
	err = rd.Get(ctx, &h, selectHolidays+`WHERE day = $1`, day)
	if errors.Is(err, sql.ErrNoRows) {
		return h, ErrNoEntry
	}
	if err != nil {
		return h, fmt.Errorf("capacity: reading the holiday %s: %w", day, err)
	}
	return h, nil
}

// What the calendar can hold. A decree comes at most a few years ahead; what is
// past is history, which nobody changes.
const (
	longestName   = 120
	longestDecree = 200
	longestReason = 500
	yearsAhead    = 5
)

// check says what is wrong with an entry.
func check(h *workday.Holiday, today clock.Date) error {
	var faults form.Faults
	dayAhead(&faults, "/date", h.Date, today)
	return append(faults, CheckHoliday(h)...).Err()
}

// CheckHoliday says what is wrong with what an entry says of its day, whenever
// that is, and takes spaces around its texts away.
func CheckHoliday(h *workday.Holiday) form.Faults {
	var faults form.Faults
	if !slices.Contains([]workday.Kind{workday.National, workday.JointLeave}, h.Kind) {
		faults.Add("/kind", "unknown_value", "Pilih libur nasional atau cuti bersama.")
	}
	faults.Need("/name", "Nama hari libur", &h.Name, longestName)
	faults.Need("/decree", "Dasar (nomor SKB atau Keppres)", &h.Decree, longestDecree)
	return faults
}

// plannable wants a day whose plan is not frozen.
func plannable(faults *form.Faults, day, today clock.Date) {
	if day == today {
		faults.Add("/day", "frozen", "Rencana hari ini sudah tetap. Pilih tanggal mulai besok.")
		return
	}
	dayAhead(faults, "/day", day, today)
}

// workdayOnly wants a hari kerja: on another day there is nothing to decide about.
func workdayOnly(faults *form.Faults, pointer string, day clock.Date, calendar *workday.Calendar) {
	if calendar.IsWorkday(day) {
		return
	}
	why := "akhir pekan"
	if h, ok := calendar.Holiday(day); ok {
		why = h.Name
	}
	faults.Add(pointer, "not_a_workday", "Tanggal ini bukan hari kerja (%s).", why)
}

// dayAhead wants a day that is not over.
func dayAhead(faults *form.Faults, pointer string, day, today clock.Date) {
	switch {
	case day.IsZero():
		faults.Add(pointer, "missing", "Tanggal wajib diisi.")
	case day.Before(today):
		faults.Add(pointer, "in_past", "Hari yang sudah lewat tidak dapat diubah.")
	case day.Year > today.Year+yearsAhead:
		faults.Add(pointer, "out_of_range", "Tanggal paling jauh lima tahun ke depan.")
	}
}

// AddHoliday enters a day off. The planner plans around it as soon as it hears of
// it; orders of the day that are released stay. Errors: form.Faults.
func AddHoliday(ctx context.Context, tx *postgres.Tx, h workday.Holiday, w Why) (Holiday, error) {
	if err := errors.Join(check(&h, w.today()), w.check()); err != nil {
		return Holiday{}, together(err)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO holiday (day, kind, name, decree, confirmed) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (day) DO NOTHING`,
		h.Date, string(h.Kind), h.Name, h.Decree, h.Confirmed)
	if err != nil {
		return Holiday{}, fmt.Errorf("capacity: entering the holiday %s: %w", h.Date, err)
	}
	if n == 0 {
		return Holiday{}, form.One("/date", "in_use", "Tanggal ini sudah tercatat sebagai hari libur. Ubah catatan yang ada.")
	}
	made := Holiday{h, 1}
	return made, w.note(ctx, tx, kindHoliday, h.Date, nil, made)
}

// ChangeHoliday changes the entry of its day as of its version. Errors: ErrNoEntry,
// form.Faults, postgres.ErrStale.
func ChangeHoliday(ctx context.Context, tx *postgres.Tx, h Holiday, w Why) (Holiday, error) {
	if err := errors.Join(check(&h.Holiday, w.today()), w.check()); err != nil {
		return h, together(err)
	}
	before, err := lockHoliday(ctx, tx, h.Date, h.Version)
	if err != nil {
		return h, err
	}
	h.Version = before.Version
	if before == h {
		return h, nil
	}
	h.Version++
	if err := tx.ExecOne(ctx, `UPDATE holiday SET kind = $2, name = $3, decree = $4, confirmed = $5, version = $6 WHERE day = $1`,
		h.Date, string(h.Kind), h.Name, h.Decree, h.Confirmed, h.Version); err != nil {
		return h, fmt.Errorf("capacity: changing the holiday %s: %w", h.Date, err)
	}
	return h, w.note(ctx, tx, kindHoliday, h.Date, before, h)
}

// RemoveHoliday makes a day a hari kerja again, if it is no weekend. Errors:
// ErrNoEntry, form.Faults, postgres.ErrStale.
func RemoveHoliday(ctx context.Context, tx *postgres.Tx, day clock.Date, version int64, w Why) error {
	var faults form.Faults
	dayAhead(&faults, "/date", day, w.today())
	if err := errors.Join(faults.Err(), w.check()); err != nil {
		return together(err)
	}
	before, err := lockHoliday(ctx, tx, day, version)
	if err != nil {
		return err
	}
	if err := tx.ExecOne(ctx, `DELETE FROM holiday WHERE day = $1`, day); err != nil {
		return fmt.Errorf("capacity: removing the holiday %s: %w", day, err)
	}
	return w.note(ctx, tx, kindHoliday, day, before, nil)
}

func lockHoliday(ctx context.Context, tx *postgres.Tx, day clock.Date, version int64) (h Holiday, err error) {
	err = tx.Get(ctx, &h, selectHolidays+`WHERE day = $1 FOR UPDATE`, day)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return h, ErrNoEntry
	case err != nil:
		return h, fmt.Errorf("capacity: locking the holiday %s: %w", day, err)
	case h.Version != version:
		return h, postgres.ErrStale
	}
	return h, nil
}
