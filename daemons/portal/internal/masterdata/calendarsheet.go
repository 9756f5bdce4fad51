package masterdata

import (
	"bytes"
	"context"
	"slices"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/capacity/yearsheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

// Import is what a workbook comes to beside the calendar, or came to.
type Import struct {
	Year    int   `json:"year"`
	Version int64 `json:"version"` // of the calendar that it was compared with, or that it made
	Applied bool  `json:"applied"`
	Same    int   `json:"same"` // entries that are as in the calendar
	Past    int   `json:"past"` // entries that the workbook lacks and that are history
	// Changes are what it would do, or did; Missing are entries that it lacks and that
	// stay unless they are chosen.
	Changes []yearsheet.Change `json:"changes"`
	Missing []yearsheet.Change `json:"missing"`
	Faults  []yearsheet.Fault  `json:"-"`
}

func imported(v int64, d yearsheet.Difference, year int) Import {
	list := func(of []yearsheet.Change) []yearsheet.Change {
		if of == nil {
			return []yearsheet.Change{}
		}
		return of
	}
	return Import{Year: year, Version: v, Same: d.Same, Past: d.Past, Changes: list(d.Changes), Missing: list(d.Missing), Faults: d.Faults}
}

// SheetFaults are what is wrong with a workbook as faults of a form.
func SheetFaults(faults []yearsheet.Fault) error {
	var all form.Faults
	for _, f := range faults {
		all.Add(f.Pointer(), f.Code, "%s", f.Detail)
	}
	return all.Err()
}

// CalendarSheet writes the calendar of a year as a workbook and returns the version
// that it is of. The office's own reasons stay in the office.
func (d *Desk) CalendarSheet(ctx context.Context, who identity.Account, year int) (book []byte, version int64, err error) {
	t, err := capacity.YearTable(ctx, d.db, year)
	if err != nil {
		return nil, 0, err
	}
	if report.Outside(who) {
		for i := range t.Settings {
			t.Settings[i].Reason = ""
		}
	}
	var b bytes.Buffer
	if err := yearsheet.Write(&b, t, d.Today()); err != nil {
		return nil, 0, err
	}
	return b.Bytes(), t.Version, nil
}

// compare says what a workbook would change in a calendar.
func (d *Desk) compare(who identity.Account, c yearsheet.Content, t capacity.Table, gone yearsheet.Removal) (yearsheet.Difference, error) {
	diff := yearsheet.Compare(c, t, yearsheet.Who{Today: d.Today(), Capacity: MaySetCapacity(who.Role)}, gone)
	var faults form.Faults
	for _, chosen := range []struct {
		pointer, kind string
		days          []clock.Date
	}{{"/remove_holidays", yearsheet.Holiday, gone.Holidays}, {"/remove_capacity", yearsheet.Capacity, gone.Capacity}} {
		for _, day := range chosen.days {
			if !slices.ContainsFunc(diff.Missing, func(m yearsheet.Change) bool { return m.Kind == chosen.kind && m.Day == day }) {
				faults.Add(chosen.pointer, "unknown_value", "%s tidak dapat dihapus: hari itu masih ada pada buku kerja, tidak tercatat pada kalender, atau sudah tetap.", day)
			}
		}
	}
	return diff, faults.Err()
}

// CompareSheet says what a workbook would change, with what is wrong with it.
// Errors: ErrForbidden, form.Faults for removals that cannot be.
func (d *Desk) CompareSheet(ctx context.Context, who identity.Account, c yearsheet.Content, gone yearsheet.Removal) (Import, error) {
	if !May(who.Role) {
		return Import{}, ErrForbidden
	}
	t, err := capacity.YearTable(ctx, d.db, c.Year)
	if err != nil {
		return Import{}, err
	}
	diff, err := d.compare(who, c, t, gone)
	return imported(t.Version, diff, c.Year), err
}

// ImportSheet changes the calendar as a workbook says, as of the version that was
// seen: all of it or nothing, with one audit row per day. A workbook that is as the
// calendar writes nothing. Errors: ErrForbidden, form.Faults, postgres.ErrStale.
func (d *Desk) ImportSheet(ctx context.Context, who identity.Account, c yearsheet.Content, seen int64, gone yearsheet.Removal, reason string) (made Import, err error) {
	if !May(who.Role) {
		return Import{}, ErrForbidden
	}
	err = d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		t, err := capacity.LockYear(ctx, tx, c.Year)
		if err != nil {
			return err
		}
		if t.Version != seen {
			return postgres.ErrStale
		}
		diff, err := d.compare(who, c, t, gone)
		if err != nil {
			return err
		}
		if err := SheetFaults(diff.Faults); err != nil {
			return err
		}
		if err := capacity.Edit(ctx, tx, t, diff.Edition(), d.why(who, reason)); err != nil {
			return err
		}
		if err := audit.Record(ctx, tx, entries(who, diff.Changes, reason)...); err != nil {
			return err
		}
		if t.Version, err = capacity.YearVersion(ctx, tx, c.Year); err != nil {
			return err
		}
		made = imported(t.Version, diff, c.Year)
		made.Applied = true
		return nil
	})
	return made, err
}

// actions are what the audit calls a change, by its kind.
var actions = map[string]map[yearsheet.Action]string{
	yearsheet.Holiday:  {yearsheet.Add: "holiday.create", yearsheet.Alter: "holiday.change", yearsheet.Remove: "holiday.remove"},
	yearsheet.Capacity: {yearsheet.Add: "capacity.set", yearsheet.Alter: "capacity.set", yearsheet.Remove: "capacity.unset"},
}

func entries(who identity.Account, changes []yearsheet.Change, reason string) []audit.Entry {
	list := make([]audit.Entry, len(changes))
	for i, c := range changes {
		list[i] = audit.Entry{Actor: who.Username, Action: actions[c.Kind][c.Action], Subject: c.Day.String(), Detail: map[string]any{"import": c, "reason": reason}}
	}
	return list
}
