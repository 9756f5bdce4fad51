// Package yearsheet is the calendar of a year as an Excel workbook: the days off
// and the days with a capacity of their own, written for people to change, read
// back cell by cell, and compared with the calendar as it stands. It writes
// nothing to the database; capacity.Edit does.
package yearsheet

import (
	"strconv"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// The sheets of the workbook.
const (
	HolidaySheet  = "Libur"
	CapacitySheet = "Kapasitas"
	Guide         = "Petunjuk"
)

// Headers of the columns of both sheets, in the order in which they are written.
const (
	HeaderDate      = "Tanggal"
	HeaderWeekday   = "Hari"
	HeaderKind      = "Jenis"
	HeaderName      = "Nama hari libur"
	HeaderDecree    = "Dasar"
	HeaderConfirmed = "Dicocokkan"
	HeaderCards     = "Jumlah kartu"
	HeaderReason    = "Alasan"
)

var (
	holidayHeaders  = []string{HeaderDate, HeaderWeekday, HeaderKind, HeaderName, HeaderDecree, HeaderConfirmed}
	capacityHeaders = []string{HeaderDate, HeaderWeekday, HeaderCards, HeaderReason}
)

// headersOf are the columns of a sheet.
var headersOf = map[string][]string{HolidaySheet: holidayHeaders, CapacitySheet: capacityHeaders}

// Words of the column HeaderConfirmed.
const (
	confirmedYes = "sudah"
	confirmedNo  = "belum"
)

// Limits of a workbook that is read: a year has 366 days.
var Limits = xlsx.Limits{
	FileBytes: 5 << 20, UnzippedBytes: 32 << 20, PartBytes: 16 << 20, Entries: 200, Sheets: 20, Rows: 2_000, Columns: 100, CellBytes: 8 << 10,
}

// Content is what a workbook says.
type Content struct {
	Year int `json:"year"`
	// HasHolidays and HasCapacity tell which sheets there were: of one that there was
	// not nothing is missing.
	HasHolidays bool         `json:"has_holidays"`
	HasCapacity bool         `json:"has_capacity"`
	Holidays    []HolidayRow `json:"holidays"`
	Capacity    []SettingRow `json:"capacity"`
	// Columns are the letters of the columns by sheet and header, to name cells by.
	Columns map[string]map[string]string `json:"columns"`
}

// HolidayRow is a day off with its row on the sheet, counted from 1.
type HolidayRow struct {
	Row int `json:"row"`
	workday.Holiday
}

// SettingRow is a day with a capacity of its own with its row on the sheet.
type SettingRow struct {
	Row      int        `json:"row"`
	Day      clock.Date `json:"day"`
	Capacity int        `json:"cards"`
	Reason   string     `json:"reason"`
}

// Fault is what is wrong with a workbook or with one of its cells.
type Fault struct {
	Sheet string // empty for the workbook itself
	Cell  string // such as B17; empty for the sheet itself
	Code  string // stable, English
	// Detail is an Indonesian sentence: what is wrong and what to do.
	Detail string
}

// Pointer names the place as card lists do: "sheet!Libur!B17", or "/sheet".
func (f Fault) Pointer() string {
	switch {
	case f.Sheet == "":
		return "/sheet"
	case f.Cell == "":
		return "sheet!" + f.Sheet
	}
	return "sheet!" + f.Sheet + "!" + f.Cell
}

// cell names the cell of a row under a header.
func (c Content) cell(sheet, header string, row int) string {
	letters := c.Columns[sheet][header]
	if letters == "" {
		letters = "A"
	}
	return letters + strconv.Itoa(row)
}

// label is a kind of holiday as the sheet has it.
func label(k workday.Kind) string { return capacity.KindLabels[k] }
