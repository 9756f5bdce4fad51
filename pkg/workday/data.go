package workday

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// Data is the content of a holiday file.
type Data struct {
	Holidays []Holiday
	Hours    OfficeHours
}

// Calendar is the calendar of the file's holidays.
func (d Data) Calendar() *Calendar { return New(d.Holidays) }

// file is the layout of configs/holidays.yaml: a year names its decree once.
type file struct {
	OfficeHours struct {
		Regular Shift `yaml:"regular"`
		Ramadan Shift `yaml:"ramadan"`
	} `yaml:"office_hours"`
	Ramadan []Span `yaml:"ramadan"`
	Years   []struct {
		Year      int    `yaml:"year"`
		Decree    string `yaml:"decree"`
		Confirmed bool   `yaml:"confirmed"`
		Days      []struct {
			Date   clock.Date `yaml:"date"`
			Kind   Kind       `yaml:"kind"`
			Name   string     `yaml:"name"`
			Decree string     `yaml:"decree"` // a later decree that changed the year's list
		} `yaml:"days"`
	} `yaml:"years"`
}

// Parse reads a holiday file and refuses unknown keys, unknown kinds, days
// without a name or decree, days outside their year and days given twice.
func Parse(b []byte) (Data, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	var f file
	if err := decoder.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Data{}, fmt.Errorf("workday: holiday file: %w", err)
	}
	data := Data{Hours: OfficeHours{Regular: f.OfficeHours.Regular, Ramadan: f.OfficeHours.Ramadan, Fasts: f.Ramadan}}
	for _, fast := range f.Ramadan {
		if fast.From.IsZero() || fast.To.Before(fast.From) {
			return Data{}, fmt.Errorf("workday: holiday file: Ramadan %q from %s to %s is no span", fast.Name, fast.From, fast.To)
		}
	}
	seen := make(map[clock.Date]bool)
	for _, year := range f.Years {
		for _, day := range year.Days {
			h := Holiday{Date: day.Date, Kind: day.Kind, Name: day.Name, Decree: day.Decree, Confirmed: year.Confirmed}
			if h.Decree == "" {
				h.Decree = year.Decree
			}
			switch {
			case h.Date.Year != year.Year:
				return Data{}, fmt.Errorf("workday: holiday file: %s stands under the year %d", h.Date, year.Year)
			case h.Kind != National && h.Kind != JointLeave:
				return Data{}, fmt.Errorf("workday: holiday file: %s has the unknown kind %q", h.Date, h.Kind)
			case h.Name == "" || h.Decree == "":
				return Data{}, fmt.Errorf("workday: holiday file: %s has no name or no decree", h.Date)
			case seen[h.Date]:
				return Data{}, fmt.Errorf("workday: holiday file: %s is given twice", h.Date)
			}
			seen[h.Date] = true
			data.Holidays = append(data.Holidays, h)
		}
	}
	return data, nil
}
