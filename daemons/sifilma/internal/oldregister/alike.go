package oldregister

import (
	"fmt"

	"dukcapil.go.id/sifilma/pkg/register"
)

// alike warns of serials that differ from another one only in separators.
func (c *contents) alike(found []register.Likeness) {
	type group struct {
		field register.Field
		other string
		live  bool
	}
	many := map[group]int{}
	for _, one := range found {
		many[group{one.Field, one.Other, one.Live}]++
	}
	headers := map[string]header{}
	for _, s := range c.sheets {
		headers[s.name] = s.header
	}
	for _, one := range found {
		at := column(one.Field)
		named := many[group{one.Field, one.Other, one.Live}] <= mostNamed
		c.warnings.cell("alike", one.Sheet, headers[one.Sheet].letter(at), one.Row, alikeText(one, headers, named))
	}
}

// alikeText says what a serial is like and what to look at; named: with the values.
func alikeText(one register.Likeness, headers map[string]header, named bool) string {
	which, other := labels[column(one.Field)], "nomor lain"
	if named {
		which, other = which+" "+one.Value, one.OtherValue
	}
	place := ""
	switch {
	case one.Live:
		place = "pada permohonan " + one.Other
	case one.Other != "":
		place = "dalam register (berkas " + one.Other + within(one.OtherSheet, fmt.Sprintf("baris %d", one.OtherRow), named) + ")"
	default:
		place = "dalam berkas ini"
		if named {
			place = "di" + within(one.OtherSheet, fmt.Sprintf("sel %s%d", headers[one.OtherSheet].letter(column(one.Field)), one.OtherRow), true)[1:]
		}
	}
	return fmt.Sprintf("%s hanya berbeda tanda pemisahnya dari %s %s. Keduanya tetap masuk; pastikan memang dua nomor yang berlainan, bukan satu nomor yang ditulis dua kali.",
		which, other, place)
}

// within is a place in a file, after a comma; nothing when it is not named.
func within(sheet, at string, named bool) string {
	if !named {
		return ""
	}
	if sheet != "" {
		at = fmt.Sprintf("lembar \"%s\" %s", sheet, at)
	}
	return ", " + at
}
