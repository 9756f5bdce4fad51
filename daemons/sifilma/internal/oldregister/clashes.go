package oldregister

import (
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/register"
)

// mostNamed is how many clashes of one kind are told with their values and
// places; more are told together.
const mostNamed = 5

// clashes makes faults of what the comparison found.
func (c *contents) clashes(found register.Comparison) {
	type group struct {
		kind      register.Kind
		field     register.Field
		other     string
		differing string
	}
	of := func(one register.Clash) group { return group{one.Kind, one.Field, one.Other, one.Differing} }
	many := map[group]int{}
	for _, one := range found.Clashes {
		many[of(one)]++
	}
	headers := map[string]header{}
	for _, s := range c.sheets {
		headers[s.name] = s.header
	}
	for _, one := range found.Clashes {
		at := column(one.Field)
		if one.Differing != "" {
			first, _, _ := strings.Cut(one.Differing, ",")
			at = column(first)
		}
		c.faults.cell(string(one.Kind), one.Sheet, headers[one.Sheet].letter(at), one.Row, clashText(one, headers, many[of(one)] <= mostNamed))
	}
	if found.More {
		c.faults.file("more", "", "masih ada bentrokan lain; baru %d yang pertama dari tiap jenis yang disebut.", register.MostClashes)
	}
}

// clashText says what a row clashes with and what to do; named: with the values.
func clashText(one register.Clash, headers map[string]header, named bool) string {
	label := labels[column(one.Field)]
	which := label
	if named {
		which += " " + one.Value
	}
	switch one.Kind {
	case register.Repeated:
		if !named {
			return label + " sudah ada pada baris sebelumnya dalam berkas ini."
		}
		place := fmt.Sprintf("sel %s%d", headers[one.OtherSheet].letter(column(one.Field)), one.OtherRow)
		if one.OtherSheet != "" {
			place = fmt.Sprintf("lembar \"%s\" %s", one.OtherSheet, place)
		}
		return which + " sudah ada di " + place + "."
	case register.Differs:
		var names []string
		for name := range strings.SplitSeq(one.Differing, ",") {
			names = append(names, labels[column(name)])
		}
		source := "berkas " + one.Other
		if one.OtherSheet != "" {
			source += fmt.Sprintf(", lembar \"%s\"", one.OtherSheet)
		}
		if named {
			source += fmt.Sprintf(", baris %d", one.OtherRow)
		}
		return fmt.Sprintf("%s sudah ada dalam register dengan isi lain (%s, diimpor %s oleh %s). Yang berbeda: %s. "+
			"Pastikan mana yang benar; isi register tidak diubah oleh impor, tetapi oleh sifilma correct.",
			which, source, stamp(one.ImportedAt), one.ImportedBy, strings.Join(names, ", "))
	case register.Issued:
		return fmt.Sprintf("%s sudah diterbitkan oleh sistem ini untuk permohonan %s. Hapus barisnya dari daftar ini.", which, one.Other)
	case register.Live:
	}
	return fmt.Sprintf("%s tercatat pada permohonan %s yang belum selesai di sistem ini. Kembalikan permohonan itu bila nomornya memang sudah "+
		"diterbitkan, lalu ulangi.", which, one.Other)
}

func stamp(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.In(clock.Jakarta).Format("02-01-2006 15.04 WIB")
}
