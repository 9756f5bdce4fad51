package spoiled

import (
	"strings"
	"testing"
)

// packages are lists whose parts are odd, missing or not theirs.
func packages(t testing.TB) []Sheet {
	good := plain(t)
	change := func(name string, by func(string) string) []byte {
		return changed(t, good, map[string]func(string) string{name: by})
	}
	gone := func(name string) []byte { return change(name, to("")) }
	external := changed(t, good, map[string]func(string) string{
		"xl/externalLinks/externalLink1.xml": to(`<externalLink xmlns="x"/>`),
		bookRels: swap(`</Relationships>`, `<Relationship Id="rId70" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/externalLink" `+
			`Target="externalLinks/externalLink1.xml"></Relationship><Relationship Id="rId71" TargetMode="External" `+
			`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink" Target="http://contoh.invalid/"></Relationship></Relationships>`),
	})
	moved := changed(t, change(sheetPart, to("")), map[string]func(string) string{
		"daftar/lembar.xml": to(inline(sheetHead, sheetTail)),
		bookRels:            swap("worksheets/sheet1.xml", "../daftar/lembar.xml", "/xl/../daftar", "/daftar"),
	})
	remote := change(bookRels, func(s string) string {
		return strings.Replace(s, "worksheets/sheet1.xml", "../../../../etc/passwd", 1)
	})
	macro := changed(t, good, map[string]func(string) string{
		"xl/vbaProject.bin": to("\xd0\xcf\x11\xe0"),
		typesPart:           swap("spreadsheetml.sheet.main", "SAVE", "openxmlformats-officedocument.spreadsheetml.sheet.main", "ms-excel.sheet.macroEnabled.main"),
	})
	const office = "vnd.openxmlformats-officedocument.spreadsheetml.sheet.main"
	return []Sheet{
		{Name: "external links", Body: external, Cards: three},
		{Name: "sheet outside of its folder", Body: moved, Cards: three},
		{Name: "absolute paths", Body: change(bookRels, swap(`Target="worksheets/`, `Target="/xl/worksheets/`)), Cards: three},
		{Name: "path that leads out of the file", Body: remote, Found: []string{"list_damaged /card_list"}},
		{Name: "entry that leads out of the file", Body: change("../../etc/passwd", to("root")), Cards: three},
		{Name: "no styles", Body: gone(stylesPart), Cards: three},
		{Name: "no shared strings", Body: gone(stringsPart), Found: []string{"list_damaged /card_list"}},
		{Name: "no sheet", Body: gone(sheetPart), Found: []string{"list_damaged /card_list"}},
		{Name: "no workbook", Body: gone(bookPart), Refused: "damaged"},
		{Name: "no relations of the workbook", Body: gone(bookRels), Refused: "no_sheet"},
		{Name: "no relations", Body: gone(rootRels), Refused: "not_workbook"},
		{Name: "no content types", Body: gone(typesPart), Refused: "not_workbook"},
		{Name: "workbook of bad XML", Body: change(bookPart, swap("</sheets>", "</sheet>")), Refused: "damaged"},
		{Name: "workbook of no sheets", Body: change(bookPart, to("<workbook/>")), Refused: "no_sheet"},
		{Name: "content types of bad XML", Body: change(typesPart, to("<Types")), Refused: "damaged"},
		{Name: "relations that break off", Body: change(rootRels, func(s string) string { return s[:len(s)/2] }), Refused: "damaged"},
		{Name: "styles of bad XML", Body: change(stylesPart, to("<styleSheet>")), Found: []string{"list_damaged /card_list"}},
		{Name: "content type of the sheet missing", Body: change(typesPart, swap(`PartName="/xl/worksheets/sheet1.xml"`, `PartName="/xl/x.xml"`)), Cards: three},
		{Name: "content type of the workbook wrong", Body: change(typesPart, swap(office, "xml")), Refused: "not_workbook"},
		{Name: "template called workbook", Body: change(typesPart, swap("sheet.main", "template.main")), Cards: three},
		{Name: "macro-enabled", Body: macro, Refused: "macro"},
		{Name: "macros under the type of a plain workbook", Body: change("xl/vbaProject.bin", to("x")), Refused: "macro"},
		{Name: "macro-enabled by its type alone", Body: change(typesPart, swap(office, "vnd.ms-excel.sheet.macroEnabled.main")), Refused: "macro"},
		{Name: "binary workbook", Body: change(typesPart, swap(office, "vnd.ms-excel.sheet.binary.macroEnabled.main")), Refused: "binary"},
		{Name: "Word document", Body: change(typesPart, swap(office, "vnd.openxmlformats-officedocument.wordprocessingml.document.main")), Refused: "not_workbook"},
		{Name: "thirty-three sheets", Body: change(bookPart, func(s string) string {
			begin, end := strings.Index(s, "<sheet "), strings.Index(s, "</sheets>")
			return s[:begin] + strings.Repeat(s[begin:end], 33) + s[end:]
		}), Refused: "too_large"},
	}
}
