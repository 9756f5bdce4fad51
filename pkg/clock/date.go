package clock

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
	_ "time/tzdata" // a minimal server has no zone files
)

// Jakarta is the time zone of the office, Asia/Jakarta (WIB, UTC+7).
var Jakarta = mustLoad("Asia/Jakarta")

func mustLoad(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic("clock: embedded time zone data is missing: " + err.Error())
	}
	return loc
}

// dateLayout is ISO 8601, the form of the API, the database and files.
const dateLayout = "2006-01-02"

// Date is a civil date in Asia/Jakarta. Dates compare with ==. The zero Date
// means "no date": it is SQL NULL and the empty text.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// NewDate returns the civil date, normalised as time.Date does (31 April is 1 May).
func NewDate(year int, month time.Month, day int) Date {
	return dateOfUTC(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// DateOf returns the civil date in Asia/Jakarta of the instant t.
func DateOf(t time.Time) Date {
	y, m, d := t.In(Jakarta).Date()
	return Date{y, m, d}
}

// ParseDate reads "2006-01-02" and refuses dates that do not exist; the calendar
// has no year 0000, and PostgreSQL none either.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(dateLayout, s)
	if err != nil || t.Year() < 1 {
		return Date{}, fmt.Errorf("clock: %q is not a date of the form 2006-01-02", s)
	}
	return dateOfUTC(t), nil
}

// MustParseDate is ParseDate for constants and tests; it panics on a bad date.
func MustParseDate(s string) Date {
	d, err := ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func dateOfUTC(t time.Time) Date {
	y, m, d := t.UTC().Date()
	return Date{y, m, d}
}

// utc is midnight UTC of the date: a number line for arithmetic on days.
func (d Date) utc() time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// IsZero reports whether d is "no date".
func (d Date) IsZero() bool { return d == Date{} }

// String returns "2006-01-02", or "" for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.utc().Format(dateLayout)
}

// AddDays returns the date n days later (earlier when n is negative).
func (d Date) AddDays(n int) Date {
	return NewDate(d.Year, d.Month, d.Day+n)
}

// DaysUntil returns the number of days from d to e; negative when e is earlier.
func (d Date) DaysUntil(e Date) int {
	return int(e.utc().Sub(d.utc()) / (24 * time.Hour))
}

// Weekday returns the day of the week.
func (d Date) Weekday() time.Weekday { return d.utc().Weekday() }

// Compare returns -1, 0 or +1 as d is before, equal to or after e.
func (d Date) Compare(e Date) int { return d.utc().Compare(e.utc()) }

// Before reports whether d is earlier than e.
func (d Date) Before(e Date) bool { return d.Compare(e) < 0 }

// After reports whether d is later than e.
func (d Date) After(e Date) bool { return d.Compare(e) > 0 }

// At returns the instant at hour:min WIB on the date, in UTC.
func (d Date) At(hour, minute int) time.Time {
	return time.Date(d.Year, d.Month, d.Day, hour, minute, 0, 0, Jakarta).UTC()
}

// MarshalText gives the ISO form; JSON and YAML use it.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON is UnmarshalText for JSON, with an error that package json completes with
// the name of the field.
func (d *Date) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil || d.UnmarshalText([]byte(text)) != nil {
		return &json.UnmarshalTypeError{Value: string(b), Type: reflect.TypeFor[Date]()}
	}
	return nil
}

// UnmarshalText reads the ISO form; the empty text is "no date".
func (d *Date) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*d = Date{}
		return nil
	}
	parsed, err := ParseDate(string(b))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Value stores the date as SQL date; "no date" is NULL.
func (d Date) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.String(), nil
}

// Scan reads an SQL date or its ISO text; NULL is "no date". The driver gives
// an SQL date as midnight UTC, so its own calendar fields are the date.
func (d *Date) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = Date{}
		return nil
	case time.Time:
		y, m, day := v.Date()
		*d = Date{y, m, day}
		return nil
	case string:
		return d.UnmarshalText([]byte(v))
	case []byte:
		return d.UnmarshalText(v)
	}
	return fmt.Errorf("clock: cannot read a date from %T", src)
}
