package yearsheet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Action is what happens to an entry.
type Action string

// The actions.
const (
	Add    Action = "add"
	Alter  Action = "change"
	Remove Action = "remove"
)

// Change is one difference between a workbook and the calendar.
type Change struct {
	Action Action     `json:"action"`
	Kind   string     `json:"kind"` // holiday or capacity, as in capacity.DayChange
	Day    clock.Date `json:"day"`
	Place  string     `json:"place,omitempty"` // such as Libur!A5; empty for what the workbook lacks
	Text   string     `json:"text"`            // what it comes to, in Indonesian

	holiday capacity.Holiday // as it is to be, or the one to be removed
	setting capacity.Setting
}

// The kinds of entries.
const (
	Holiday  = "holiday"
	Capacity = "capacity"
)

// Removal are the days of the calendar that whoever imports wants removed because
// the workbook lacks them.
type Removal struct{ Holidays, Capacity []clock.Date }

// Who says what the person who imports may change.
type Who struct {
	Today    clock.Date
	Capacity bool // of days
}

// Difference is what an import comes to.
type Difference struct {
	// Changes are what the import would do, by day; removals are those that were
	// chosen.
	Changes []Change
	// Missing are the entries that the workbook lacks and that may be removed.
	Missing []Change
	Same    int // entries of the workbook that are as in the calendar
	Past    int // entries of the calendar that the workbook lacks and that are history
	Faults  []Fault
}

// Count counts the changes of an action.
func (d Difference) Count(a Action) (n int) {
	for _, c := range d.Changes {
		if c.Action == a {
			n++
		}
	}
	return n
}

// Edition is what is to be written.
func (d Difference) Edition() (e capacity.Edition) {
	for _, c := range d.Changes {
		switch {
		case c.Kind == Holiday && c.Action == Remove:
			e.NoHolidays = append(e.NoHolidays, c.holiday)
		case c.Kind == Holiday:
			e.Holidays = append(e.Holidays, c.holiday)
		case c.Action == Remove:
			e.NoSettings = append(e.NoSettings, c.setting)
		default:
			e.Settings = append(e.Settings, c.setting)
		}
	}
	return e
}

// Compare says what a workbook would change in the calendar. A day that is over is
// history: of it nothing may differ, and what the workbook lacks stays. What the
// workbook lacks of days to come stays too, unless gone names it.
func Compare(c Content, t capacity.Table, who Who, gone Removal) Difference {
	d := &comparison{content: c, who: who}
	d.holidays(t, gone.Holidays)
	d.settings(t, gone.Capacity)
	for _, list := range [][]Change{d.Changes, d.Missing} {
		slices.SortStableFunc(list, func(a, b Change) int { return a.Day.Compare(b.Day) })
	}
	d.Faults = inOrder(d.Faults)
	return d.Difference
}

type comparison struct {
	Difference
	content Content
	who     Who
}

func (d *comparison) fault(sheet, header string, row int, code, detail string, args ...any) {
	if len(d.Faults) < mostFaults {
		d.Faults = append(d.Faults, Fault{sheet, d.content.cell(sheet, header, row), code, fmt.Sprintf(detail, args...)})
	}
}

// twice tells of a day that stands in an earlier row as well.
func (d *comparison) twice(sheet string, seen map[clock.Date]int, day clock.Date, row int) bool {
	first, again := seen[day]
	if again {
		d.fault(sheet, HeaderDate, row, "repeated", "%s sudah ada pada sel %s. Sisakan satu baris.", terbilang.FormatDate(day), d.content.cell(sheet, HeaderDate, first))
		return true
	}
	seen[day] = row
	return false
}

// workdays is the calendar as it may become: a holiday that the workbook lacks is still
// one until its removal is chosen, which whoever writes finds out.
func (d *comparison) workdays(t capacity.Table) *workday.Calendar {
	var list []workday.Holiday
	for _, row := range d.content.Holidays {
		list = append(list, row.Holiday)
	}
	if !d.content.HasHolidays {
		for _, h := range t.Holidays {
			list = append(list, h.Holiday)
		}
	}
	return workday.New(list)
}

// off tells of a day that gets a number of cards and is no hari kerja.
func (d *comparison) off(calendar *workday.Calendar, row SettingRow) bool {
	if calendar.IsWorkday(row.Day) {
		return false
	}
	why := "akhir pekan"
	if h, ok := calendar.Holiday(row.Day); ok {
		why = h.Name
	}
	d.fault(CapacitySheet, HeaderDate, row.Row, "not_a_workday", "%s bukan hari kerja (%s); kapasitasnya tidak dapat diatur. Hapus baris ini.", terbilang.FormatDayDate(row.Day), why)
	return true
}

// barred tells why an entry that differs cannot be changed; header is that of its
// first cell that does.
func (d *comparison) barred(sheet, header string, row int, day clock.Date, present string) bool {
	faults := capacity.CheckAhead(day, d.who.Today, sheet == CapacitySheet)
	if sheet == CapacitySheet && !d.who.Capacity {
		d.fault(sheet, header, row, "role", "Kapasitas hari diatur oleh Kasubdit KI. %s Samakan sel ini dengan kalender, atau hapus lembar %s.", present, CapacitySheet)
		return true
	}
	for _, f := range faults {
		d.fault(sheet, header, row, f.Code, "%s %s", f.Detail, present)
	}
	return len(faults) > 0
}

func (d *comparison) place(sheet, header string, row int) string {
	return sheet + "!" + d.content.cell(sheet, header, row)
}

func (d *comparison) holidays(t capacity.Table, gone []clock.Date) {
	seen := map[clock.Date]int{}
	present := map[clock.Date]capacity.Holiday{}
	for _, h := range t.Holidays {
		present[h.Date] = h
	}
	for _, row := range d.content.Holidays {
		if d.twice(HolidaySheet, seen, row.Date, row.Row) || d.badHoliday(&row) {
			continue
		}
		now, known := present[row.Date]
		if !known {
			if !d.barred(HolidaySheet, HeaderDate, row.Row, row.Date, terbilang.FormatDate(row.Date)+" tidak tercatat pada kalender; hapus baris ini.") {
				d.Changes = append(d.Changes, Change{Action: Add, Kind: Holiday, Day: row.Date, Place: d.place(HolidaySheet, HeaderDate, row.Row),
					Text: holidayText(row.Holiday), holiday: capacity.Holiday{Holiday: row.Holiday}})
			}
			continue
		}
		header, differs := holidayDiffers(now.Holiday, row.Holiday)
		if header == "" {
			d.Same++
			continue
		}
		if !d.barred(HolidaySheet, header, row.Row, row.Date, "Pada kalender: "+holidayText(now.Holiday)+". Kembalikan isinya, atau hapus baris ini.") {
			d.Changes = append(d.Changes, Change{Action: Alter, Kind: Holiday, Day: row.Date, Place: d.place(HolidaySheet, header, row.Row),
				Text: differs, holiday: capacity.Holiday{Holiday: row.Holiday, Version: now.Version}})
		}
	}
	if !d.content.HasHolidays {
		return
	}
	for _, h := range t.Holidays {
		if _, there := seen[h.Date]; there {
			continue
		}
		if len(capacity.CheckAhead(h.Date, d.who.Today, false)) > 0 {
			d.Past++
			continue
		}
		d.lacks(Change{Action: Remove, Kind: Holiday, Day: h.Date, Text: holidayText(h.Holiday), holiday: h}, gone)
	}
}

// lacks notes an entry that the workbook lacks, and its removal where it is wanted.
func (d *comparison) lacks(c Change, gone []clock.Date) {
	d.Missing = append(d.Missing, c)
	if slices.Contains(gone, c.Day) {
		d.Changes = append(d.Changes, c)
	}
}

// badHoliday checks a row that may not come from Read.
func (d *comparison) badHoliday(row *HolidayRow) bool {
	if row.Date.Year != d.content.Year {
		d.fault(HolidaySheet, HeaderDate, row.Row, "wrong_year", "Tanggal ini bukan pada tahun %d.", d.content.Year)
		return true
	}
	faults := capacity.CheckHoliday(&row.Holiday)
	for _, f := range faults {
		header := holidayFields[f.Pointer]
		if header == "" {
			header = HeaderKind
		}
		d.fault(HolidaySheet, header, row.Row, f.Code, "%s", f.Detail)
	}
	return len(faults) > 0
}

func (d *comparison) settings(t capacity.Table, gone []clock.Date) {
	seen := map[clock.Date]int{}
	calendar, present := d.workdays(t), map[clock.Date]capacity.Setting{}
	for _, s := range t.Settings {
		present[s.Day] = s
	}
	for _, row := range d.content.Capacity {
		if d.twice(CapacitySheet, seen, row.Day, row.Row) || d.badSetting(&row) {
			continue
		}
		set := capacity.Setting{Day: row.Day, Capacity: row.Capacity, Reason: row.Reason}
		now, known := present[row.Day]
		if !known {
			if !d.barred(CapacitySheet, HeaderDate, row.Row, row.Day, "Pada kalender hari ini memakai kapasitas biasa.") && !d.off(calendar, row) {
				d.Changes = append(d.Changes, Change{Action: Add, Kind: Capacity, Day: row.Day, Place: d.place(CapacitySheet, HeaderDate, row.Row),
					Text: settingText(set), setting: set})
			}
			continue
		}
		header, differs := settingDiffers(now, set)
		if header == "" {
			d.Same++
			continue
		}
		set.Version = now.Version
		if !d.barred(CapacitySheet, header, row.Row, row.Day, "Pada kalender: "+settingText(now)+".") && !d.off(calendar, row) {
			d.Changes = append(d.Changes, Change{Action: Alter, Kind: Capacity, Day: row.Day, Place: d.place(CapacitySheet, header, row.Row), Text: differs, setting: set})
		}
	}
	if !d.content.HasCapacity || !d.who.Capacity {
		return
	}
	for _, s := range t.Settings {
		if _, there := seen[s.Day]; there {
			continue
		}
		if len(capacity.CheckAhead(s.Day, d.who.Today, true)) > 0 {
			d.Past++
			continue
		}
		d.lacks(Change{Action: Remove, Kind: Capacity, Day: s.Day, Text: settingText(s), setting: s}, gone)
	}
}

func (d *comparison) badSetting(row *SettingRow) bool {
	if row.Day.Year != d.content.Year {
		d.fault(CapacitySheet, HeaderDate, row.Row, "wrong_year", "Tanggal ini bukan pada tahun %d.", d.content.Year)
		return true
	}
	set := capacity.Setting{Day: row.Day, Capacity: row.Capacity, Reason: row.Reason}
	faults := capacity.CheckSetting(&set)
	for _, f := range faults {
		d.fault(CapacitySheet, settingFields[f.Pointer], row.Row, f.Code, "%s", f.Detail)
	}
	row.Reason = set.Reason
	return len(faults) > 0
}

func confirmedText(yes bool) string {
	if yes {
		return "sudah dicocokkan"
	}
	return "belum dicocokkan"
}

func holidayText(h workday.Holiday) string {
	return fmt.Sprintf("%s “%s”, dasar %s, %s", strings.ToLower(label(h.Kind)), h.Name, h.Decree, confirmedText(h.Confirmed))
}

func settingText(s capacity.Setting) string {
	return fmt.Sprintf("%s kartu, alasan: %s", terbilang.FormatInt(int64(s.Capacity)), strings.ReplaceAll(s.Reason, "\n", " "))
}

// holidayDiffers names the header of the first cell that differs, and says all that
// does. Spaces that nobody sees are no difference.
func holidayDiffers(a, b workday.Holiday) (header, text string) {
	return differences(
		difference{HeaderKind, "jenis", strings.ToLower(label(a.Kind)), strings.ToLower(label(b.Kind))},
		difference{HeaderName, "nama", clean(a.Name), clean(b.Name)},
		difference{HeaderDecree, "dasar", clean(a.Decree), clean(b.Decree)},
		difference{HeaderConfirmed, "pencocokan", confirmedText(a.Confirmed), confirmedText(b.Confirmed)},
	)
}

func settingDiffers(a, b capacity.Setting) (header, text string) {
	return differences(
		difference{HeaderCards, "jumlah kartu", strconv.Itoa(a.Capacity), strconv.Itoa(b.Capacity)},
		difference{HeaderReason, "alasan", clean(a.Reason), clean(b.Reason)},
	)
}

type difference struct{ header, name, from, to string }

func differences(all ...difference) (header, text string) {
	var parts []string
	for _, one := range all {
		if one.from == one.to {
			continue
		}
		if header == "" {
			header = one.header
		}
		parts = append(parts, fmt.Sprintf("%s: “%s” menjadi “%s”", one.name, one.from, one.to))
	}
	return header, strings.Join(parts, "; ")
}
