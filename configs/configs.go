// Package configs embeds the data that the office edits: the first content of
// the holiday calendar and the Word templates of its letters. README.md is the map.
package configs

import "embed"

// Files holds holidays.yaml, the daemons' configurations (<daemon>.yaml) and
// templates/*.docx and the recipes (profiles, key-codes, sam-types, numbers) under these names.
//
//go:embed *.yaml templates profiles key-codes sam-types numbers
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

// KeyCode is the Kode Kunci of a code, such as "ktpel".
func KeyCode(code string) ([]byte, error) { return Files.ReadFile("key-codes/" + code + ".json") }

// Recipes are the JSON files of a folder: "profiles", "key-codes", "sam-types" or
// "numbers".
func Recipes(folder string) ([][]byte, error) {
	entries, err := Files.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	files := make([][]byte, len(entries))
	for i, e := range entries {
		if files[i], err = Files.ReadFile(folder + "/" + e.Name()); err != nil {
			return nil, err
		}
	}
	return files, nil
}
