package api

import (
	"html/template"
	"path"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// field is one field of the form as its template shows it.
type field struct {
	ID, Name, Label, Hint string
	Value, Fault          string
	Type                  string
	Required, Numeric     bool
	Long, Many            bool
	Accept                string
}

// id turns a name such as lines/0/lembaga into one that a link can point at.
func id(name string) string { return strings.ReplaceAll(name, "/", "-") }

func (p formPage) field(name, label string) field {
	return field{ID: id(name), Name: name, Label: label, Value: p.Typed[name], Fault: p.Fault(name), Type: "text", Required: true}
}

const scanTypes = ".pdf,.jpg,.jpeg,.png"

var fieldFuncs = template.FuncMap{
	"input": func(p formPage, name, label, hint string, required bool) field {
		f := p.field(name, label)
		f.Hint, f.Required = hint, required
		return f
	},
	"number": func(p formPage, name, label, hint string) field {
		f := p.field(name, label)
		f.Hint, f.Numeric = hint, true
		return f
	},
	"date": func(p formPage, name, label string) field {
		f := p.field(name, label)
		f.Type = "date"
		return f
	},
	"long": func(p formPage, name, label string) field {
		f := p.field(name, label)
		f.Long, f.Required = true, false
		return f
	},
	"scan": func(p formPage, name, label string, many bool) field {
		f := p.field(name, label)
		f.Accept, f.Many = scanTypes, many
		f.Hint = "PDF, JPG, atau PNG, paling besar " + terbilang.FormatInt(p.Limits.Scan>>20) + " MB."
		for i := 0; many && f.Fault == "" && i < p.Limits.Orders; i++ {
			f.Fault = p.Fault(path.Join(name, strconv.Itoa(i)))
		}
		return f
	},
	"workbook": func(p formPage, name, label string) field {
		f := p.field(name, label)
		f.Accept = ".xlsx"
		f.Hint = "Buku kerja Excel (.xlsx), paling besar " + terbilang.FormatInt(p.Limits.CardList>>20) + " MB dan " +
			terbilang.FormatInt(int64(p.Limits.Cards)) + " kartu."
		return f
	},
	"at":        func(list string, i int, name string) string { return path.Join(list, strconv.Itoa(i), name) },
	"rows":      func(n int) []struct{} { return make([]struct{}, n) },
	"ordinal":   func(i int) int { return i + 1 },
	"mostLines": func() int { return drop.MaxLines },
	"functions": func() []string { return samFunctions },
	"place":     func(pointer string) string { return "f-" + id(strings.Trim(pointer, "/")) },
	"advice":    validation.Advice,
	// A link leads only to what the form has.
	"inForm": func(pointer string) bool {
		top, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
		return slices.Contains(pointedAt, top)
	},
}

// pointedAt are the fields that findings point at.
var pointedAt = []string{"card_count", "machine_type", "pks_number", "lines", "purchase_orders", "card_list"}

var samFunctions = []string{"R", "Rekam", "Cetak"}
