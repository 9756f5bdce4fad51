package capacity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Why is who changes a day, when, and the reason.
type Why struct {
	Actor    string
	Reason   string
	OfficeAt time.Time
}

func (w Why) today() clock.Date { return clock.DateOf(w.OfficeAt) }

func (w *Why) check() error {
	var faults form.Faults
	if faults.Lines("/reason", "Alasan", &w.Reason, longestReason); w.Reason == "" {
		faults.Add("/reason", "missing", "Alasan wajib diisi; alasan ini tercatat bersama perubahannya.")
	}
	return faults.Err()
}

// together makes one list of joined faults.
func together(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var all form.Faults
	for _, one := range joined.Unwrap() {
		var faults form.Faults
		if !errors.As(one, &faults) {
			return err
		}
		all = append(all, faults...)
	}
	return all
}

// note keeps the change of a day and rings the planner.
func (w Why) note(ctx context.Context, tx *postgres.Tx, kind string, day clock.Date, before, after any) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("capacity: id: %w", err)
	}
	texts := [2]*string{}
	for i, v := range []any{before, after} {
		if v == nil {
			continue
		}
		body, err := json.Marshal(v)
		if err != nil {
			return err
		}
		texts[i] = new(string(body))
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO day_change (id, day, kind, before, after, reason, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id.String(), day, kind, texts[0], texts[1], w.Reason, w.Actor, w.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("capacity: keeping the change of %s: %w", day, err)
	}
	return outbox.Put(ctx, tx, outbox.Message{Type: kindMessages[kind], Subject: id.String(), Version: 1})
}

// The messages that a change of the plan's inputs rings.
const (
	calendarChanged = "calendar.changed"
	capacityChanged = "capacity.changed"
	downtimeChanged = "station.downtime_changed"
)

// Kinds of changes.
const (
	kindHoliday   = "holiday"
	kindCapacity  = "capacity"
	kindPlacement = "placement"
	kindDowntime  = "downtime"
)

var kindMessages = map[string]string{
	kindHoliday: calendarChanged, kindCapacity: capacityChanged, kindPlacement: capacityChanged, kindDowntime: downtimeChanged,
}

// Setting is the number of cards that people set for a day.
type Setting struct {
	Day      clock.Date `db:"day" json:"day"`
	Capacity int        `db:"capacity" json:"capacity"`
	Reason   string     `db:"reason" json:"reason"`
	Version  int64      `db:"version" json:"version"`
}

const (
	mostCards       = 100_000 // of a day; the schema has it too
	selectSetting   = `SELECT day, capacity, reason, version FROM capacity_setting `
	capacityMissing = "Isi jumlah kartu per hari, dari 0 sampai 100.000. Nol berarti tidak ada personalisasi pada hari itu."
)

// Settings lists the days from..to, inclusive, that have a number of their own.
func Settings(ctx context.Context, rd postgres.Reader, from, to clock.Date) ([]Setting, error) {
	list := []Setting{}
	if err := rd.Select(ctx, &list, selectSetting+`WHERE day BETWEEN $1 AND $2 ORDER BY day`, from, to); err != nil {
		return nil, fmt.Errorf("capacity: reading the days' capacity: %w", err)
	}
	return list, nil
}

// GetSetting reads the number of a day. Error: ErrNoEntry.
func GetSetting(ctx context.Context, rd postgres.Reader, day clock.Date) (s Setting, err error) {
	err = rd.Get(ctx, &s, selectSetting+`WHERE day = $1`, day)
	if errors.Is(err, sql.ErrNoRows) {
		return s, ErrNoEntry
	}
	if err != nil {
		return s, fmt.Errorf("capacity: reading the capacity of %s: %w", day, err)
	}
	return s, nil
}

// checkCards wants a number of cards that a day can have.
func checkCards(faults *form.Faults, n int) {
	if n < 0 || n > mostCards {
		faults.Add("/capacity", "out_of_range", capacityMissing)
	}
}

// CheckSetting says what is wrong with what a setting says of its day, whenever
// that is, and takes spaces around its reason away.
func CheckSetting(s *Setting) form.Faults {
	var faults form.Faults
	checkCards(&faults, s.Capacity)
	if faults.Lines("/reason", "Alasan", &s.Reason, longestReason); s.Reason == "" {
		faults.Add("/reason", "missing", "Alasan wajib diisi.")
	}
	return faults
}

// CheckAhead says in Indonesian why a day's entry cannot be changed any more, or
// not yet; a capacity cannot be changed on its own day either.
func CheckAhead(day, today clock.Date, ofCapacity bool) form.Faults {
	var faults form.Faults
	if ofCapacity {
		plannable(&faults, day, today)
	} else {
		dayAhead(&faults, "/date", day, today)
	}
	return faults
}

// Set gives a day a number of cards of its own, as of the version in s (0 for a day
// that has none). Today's plan is frozen, so the day lies ahead. Errors: form.Faults,
// postgres.ErrStale.
func Set(ctx context.Context, tx *postgres.Tx, s Setting, w Why) (Setting, error) {
	var faults form.Faults
	plannable(&faults, s.Day, w.today())
	checkCards(&faults, s.Capacity)
	if err := errors.Join(faults.Err(), w.check()); err != nil {
		return s, together(err)
	}
	s.Reason = w.Reason
	before, err := lockSetting(ctx, tx, s.Day, s.Version)
	if errors.Is(err, ErrNoEntry) && s.Version == 0 {
		n, err := tx.Exec(ctx, `INSERT INTO capacity_setting (day, capacity, reason) VALUES ($1, $2, $3) ON CONFLICT (day) DO NOTHING`,
			s.Day, s.Capacity, s.Reason)
		if err != nil {
			return s, fmt.Errorf("capacity: setting the capacity of %s: %w", s.Day, err)
		}
		if n == 0 {
			return s, postgres.ErrStale
		}
		s.Version = 1
		return s, w.note(ctx, tx, kindCapacity, s.Day, nil, s)
	}
	if errors.Is(err, ErrNoEntry) {
		return s, postgres.ErrStale
	}
	if err != nil || before == s {
		return s, err
	}
	s.Version++
	if err := tx.ExecOne(ctx, `UPDATE capacity_setting SET capacity = $2, reason = $3, version = $4 WHERE day = $1`,
		s.Day, s.Capacity, s.Reason, s.Version); err != nil {
		return s, fmt.Errorf("capacity: setting the capacity of %s: %w", s.Day, err)
	}
	return s, w.note(ctx, tx, kindCapacity, s.Day, before, s)
}

// Unset gives a day the usual number of cards again. Errors: ErrNoEntry,
// form.Faults, postgres.ErrStale.
func Unset(ctx context.Context, tx *postgres.Tx, day clock.Date, version int64, w Why) error {
	var faults form.Faults
	plannable(&faults, day, w.today())
	if err := errors.Join(faults.Err(), w.check()); err != nil {
		return together(err)
	}
	before, err := lockSetting(ctx, tx, day, version)
	if err != nil {
		return err
	}
	if err := tx.ExecOne(ctx, `DELETE FROM capacity_setting WHERE day = $1`, day); err != nil {
		return fmt.Errorf("capacity: unsetting the capacity of %s: %w", day, err)
	}
	return w.note(ctx, tx, kindCapacity, day, before, nil)
}

func lockSetting(ctx context.Context, tx *postgres.Tx, day clock.Date, version int64) (s Setting, err error) {
	err = tx.Get(ctx, &s, selectSetting+`WHERE day = $1 FOR UPDATE`, day)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s, ErrNoEntry
	case err != nil:
		return s, fmt.Errorf("capacity: locking the capacity of %s: %w", day, err)
	case s.Version != version:
		return s, postgres.ErrStale
	}
	return s, nil
}

// DayChange is what was done to a day.
type DayChange struct {
	ID        string     `db:"id" json:"id"`
	Day       clock.Date `db:"day" json:"day"`
	Kind      string     `db:"kind" json:"kind"` // holiday, capacity, placement or downtime
	Before    *string    `db:"before" json:"-"`
	After     *string    `db:"after" json:"-"`
	Reason    string     `db:"reason" json:"reason"`
	ChangedBy string     `db:"changed_by" json:"changed_by"`
	ChangedAt time.Time  `db:"changed_at" json:"changed_at"`
	// Text says it in Indonesian, without the reason.
	Text string `db:"-" json:"text"`
}

const selectChanges = `SELECT id, day, kind, before::text, after::text, reason, changed_by, changed_at FROM day_change `

// DayChanges lists the newest changes of days from..to, at most limit: those of the
// calendar and of capacities. Placements are told with their request.
func DayChanges(ctx context.Context, rd postgres.Reader, from, to clock.Date, limit int) ([]DayChange, error) {
	list := []DayChange{}
	if err := rd.Select(ctx, &list, selectChanges+`WHERE day BETWEEN $1 AND $2 AND kind <> 'placement' ORDER BY id DESC LIMIT $3`, from, to, limit); err != nil {
		return nil, fmt.Errorf("capacity: reading changes of days: %w", err)
	}
	for i := range list {
		var err error
		if list[i].Text, err = list[i].words(false); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// CauseOf says in Indonesian which change of a day an announcement is of, for the
// estimates that it moves, which their produsen reads: what changed, but not the
// reason and of which station, which is the office's own. It is empty when there is no
// such change.
func CauseOf(ctx context.Context, rd postgres.Reader, changeID string) (string, error) {
	var c DayChange
	err := rd.Get(ctx, &c, selectChanges+`WHERE id = $1`, changeID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("capacity: reading a change of a day: %w", err)
	}
	return c.words(true)
}

// words says what was changed, such as "18 Agustus 2025 menjadi cuti bersama
// (Cuti bersama HUT RI)"; outside asks for the words for eyes outside.
func (c DayChange) words(outside bool) (string, error) {
	day := terbilang.FormatDate(c.Day)
	switch c.Kind {
	case kindPlacement:
		return "penempatan kartu diatur petugas", nil // whose, is not for other eyes
	case kindDowntime:
		return downtimeWords(c, outside)
	case kindCapacity:
		if c.After == nil {
			return "kapasitas " + day + " kembali seperti biasa", nil
		}
		var s Setting
		if err := json.Unmarshal([]byte(*c.After), &s); err != nil {
			return "", fmt.Errorf("capacity: change %s: %w", c.ID, err)
		}
		return fmt.Sprintf("kapasitas %s menjadi %s kartu", day, terbilang.FormatInt(int64(s.Capacity))), nil
	}
	if c.After == nil {
		return day + " bukan hari libur lagi", nil
	}
	var h Holiday
	if err := json.Unmarshal([]byte(*c.After), &h); err != nil {
		return "", fmt.Errorf("capacity: change %s: %w", c.ID, err)
	}
	return fmt.Sprintf("%s menjadi %s (%s)", day, strings.ToLower(KindLabels[h.Kind]), h.Name), nil
}
