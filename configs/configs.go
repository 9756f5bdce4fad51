// Package configs embeds the data that the office edits: the first content of
// the holiday calendar and the Word templates of its letters. README.md is the map.
package configs

import "embed"

// Files holds holidays.yaml, the daemons' configurations (<daemon>.yaml) and
// templates/*.docx and profiles/*.json under these names.
//
//go:embed *.yaml templates profiles
var Files embed.FS

// Holidays is the content of holidays.yaml, for workday.Parse.
func Holidays() ([]byte, error) { return Files.ReadFile("holidays.yaml") }

// Template is the Word template of a name without its ending: "bast",
// "surat-balasan", "surat-keterangan-selesai", "surat-balasan-aktivasi".
func Template(name string) ([]byte, error) {
	return Files.ReadFile("templates/" + name + ".docx")
}

// Profile is the personalisation profile of a name without its ending, such as
// "gp-scp03-sam".
func Profile(name string) ([]byte, error) { return Files.ReadFile("profiles/" + name + ".json") }
