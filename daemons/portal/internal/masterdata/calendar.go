package masterdata

import (
	"context"
	"errors"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrNotCapacity says that somebody's role does not set the capacity of days.
var ErrNotCapacity = errors.New("masterdata: the capacity of days is not for this role")

// ErrNotCalendar says that somebody's role does not look after the calendar.
var ErrNotCalendar = errors.New("masterdata: the calendar is not for this role")

// setters of a day's capacity (users.md A.3).
var setters = []machine.Role{request.Kasubdit}

// MaySetCapacity says whether a role sets the capacity of days.
func MaySetCapacity(role machine.Role) bool { return slices.Contains(setters, role) }

// Year is a year of the calendar.
type Year struct {
	Year    int   `json:"year"`
	Version int64 `json:"version"` // grows with each change of a day of the year
	// Known is false while the table has no decree of the year: then only weekends
	// are off, and whatever is planned is a guess.
	Known     bool                 `json:"known"`
	Confirmed bool                 `json:"confirmed"` // every day was compared with the decree
	Workdays  [12]int              `json:"workdays"`  // hari kerja of each month
	Holidays  []capacity.Holiday   `json:"holidays"`
	Capacity  []capacity.Setting   `json:"capacity"` // days with a number of their own
	Changes   []capacity.DayChange `json:"changes"`  // newest first; for the office only
}

// changesShown is how many changes of a year are shown.
const changesShown = 50

// CalendarYear reads a year. The office's own reasons stay in the office.
func (d *Desk) CalendarYear(ctx context.Context, who identity.Account, year int) (v Year, err error) {
	v = Year{Year: year, Changes: []capacity.DayChange{}}
	from, to := clock.Date{Year: year, Month: time.January, Day: 1}, clock.Date{Year: year, Month: time.December, Day: 31}
	if v.Version, err = capacity.YearVersion(ctx, d.db, year); err != nil {
		return v, err
	}
	calendar, err := capacity.Calendar(ctx, d.db)
	if err != nil {
		return v, err
	}
	v.Known, v.Confirmed = calendar.HasYear(year), calendar.Confirmed(year)
	for day := from; !day.After(to); day = day.AddDays(1) {
		if calendar.IsWorkday(day) {
			v.Workdays[day.Month-1]++
		}
	}
	if v.Holidays, err = capacity.Holidays(ctx, d.db, year); err != nil {
		return v, err
	}
	if v.Capacity, err = capacity.Settings(ctx, d.db, from, to); err != nil {
		return v, err
	}
	if report.Outside(who) {
		for i := range v.Capacity {
			v.Capacity[i].Reason = ""
		}
		return v, nil
	}
	v.Changes, err = capacity.DayChanges(ctx, d.db, from, to, changesShown)
	return v, err
}

// Holiday reads the entry of a day. Error: capacity.ErrNoEntry.
func (d *Desk) Holiday(ctx context.Context, day clock.Date) (capacity.Holiday, error) {
	return capacity.GetHoliday(ctx, d.db, day)
}

// DayCapacity reads the number of cards that people set for a day. Error:
// capacity.ErrNoEntry.
func (d *Desk) DayCapacity(ctx context.Context, who identity.Account, day clock.Date) (capacity.Setting, error) {
	s, err := capacity.GetSetting(ctx, d.db, day)
	if report.Outside(who) {
		s.Reason = ""
	}
	return s, err
}

func (d *Desk) why(who identity.Account, reason string) capacity.Why {
	return capacity.Why{Actor: who.Username, Reason: reason, OfficeAt: d.office.Now()}
}

// AddHoliday enters a day off. Errors: ErrForbidden, form.Faults.
func (d *Desk) AddHoliday(ctx context.Context, who identity.Account, h capacity.Holiday, reason string) (made capacity.Holiday, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = capacity.AddHoliday(ctx, tx, h.Holiday, d.why(who, reason))
		return audit.Entry{Action: "holiday.create", Subject: h.Date.String(), Detail: map[string]any{"holiday": made, "reason": reason}}, err
	})
	return made, err
}

// ChangeHoliday changes the entry of a day. Errors: ErrForbidden,
// capacity.ErrNoEntry, form.Faults, postgres.ErrStale.
func (d *Desk) ChangeHoliday(ctx context.Context, who identity.Account, h capacity.Holiday, reason string) (made capacity.Holiday, err error) {
	err = d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = capacity.ChangeHoliday(ctx, tx, h, d.why(who, reason))
		return audit.Entry{Action: "holiday.change", Subject: h.Date.String(), Detail: map[string]any{"holiday": made, "reason": reason}}, err
	})
	return made, err
}

// RemoveHoliday takes an entry away. Errors: as ChangeHoliday.
func (d *Desk) RemoveHoliday(ctx context.Context, who identity.Account, day clock.Date, version int64, reason string) error {
	return d.change(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		err := capacity.RemoveHoliday(ctx, tx, day, version, d.why(who, reason))
		return audit.Entry{Action: "holiday.remove", Subject: day.String(), Detail: map[string]any{"reason": reason}}, err
	})
}

// SetCapacity gives a day a number of cards of its own. Errors: ErrNotCapacity,
// form.Faults, postgres.ErrStale.
func (d *Desk) SetCapacity(ctx context.Context, who identity.Account, s capacity.Setting, reason string) (made capacity.Setting, err error) {
	if !MaySetCapacity(who.Role) {
		return s, ErrNotCapacity
	}
	err = d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		made, err = capacity.Set(ctx, tx, s, d.why(who, reason))
		return audit.Entry{Action: "capacity.set", Subject: s.Day.String(), Detail: map[string]any{"capacity": made.Capacity, "reason": reason}}, err
	})
	return made, err
}

// UnsetCapacity gives a day the usual number again. Errors: ErrNotCapacity,
// capacity.ErrNoEntry, form.Faults, postgres.ErrStale.
func (d *Desk) UnsetCapacity(ctx context.Context, who identity.Account, day clock.Date, version int64, reason string) error {
	if !MaySetCapacity(who.Role) {
		return ErrNotCapacity
	}
	return d.note(ctx, who, func(ctx context.Context, tx *postgres.Tx) (audit.Entry, error) {
		err := capacity.Unset(ctx, tx, day, version, d.why(who, reason))
		return audit.Entry{Action: "capacity.unset", Subject: day.String(), Detail: map[string]any{"reason": reason}}, err
	})
}
