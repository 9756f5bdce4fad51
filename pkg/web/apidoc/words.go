package apidoc

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

var kinds = map[string]string{
	"string": "teks", "integer": "bilangan bulat", "number": "bilangan", "boolean": "true atau false", "object": "objek", "array": "daftar", "null": "null",
}

var formats = map[string]string{
	"date": "tanggal", "date-time": "waktu", "uuid": "UUID", "uri-reference": "alamat",
}

// kindOf says in words of what kind a value is.
func kindOf(s *schema) []word {
	switch {
	case s.Ref != "":
		return []word{{Text: nameOf(s.Ref), Anchor: "skema-" + nameOf(s.Ref)}}
	case len(s.OneOf)+len(s.AnyOf) > 0 && len(s.Properties) == 0:
		var all []word
		for i, one := range append(s.OneOf[:len(s.OneOf):len(s.OneOf)], s.AnyOf...) {
			if i > 0 {
				all = append(all, word{Text: " atau "})
			}
			all = append(all, kindOf(one)...)
		}
		return all
	case s.Media != "":
		return []word{{Text: "berkas"}}
	case s.Const != nil:
		return []word{{Text: fmt.Sprint(s.Const)}}
	}
	var all []word
	for i, t := range s.Type {
		if i > 0 {
			all = append(all, word{Text: " atau "})
		}
		text := kinds[t]
		if f := formats[s.Format]; f != "" && t == "string" {
			text = f
		}
		all = append(all, word{Text: text})
		if t == "array" && s.Items != nil {
			all = append(append(all, word{Text: " "}), kindOf(s.Items)...)
		}
	}
	if all == nil {
		all = []word{{Text: "nilai apa pun"}}
	}
	return all
}

// notesOf says the bounds of a value.
func notesOf(s *schema) []string {
	var all []string
	bound := func(from, to *int64, what string) {
		switch {
		case from != nil && to != nil:
			all = append(all, thousands(*from)+" sampai "+thousands(*to)+what)
		case to != nil:
			all = append(all, "paling banyak "+thousands(*to)+what)
		case from != nil && *from > 0:
			all = append(all, "paling sedikit "+thousands(*from)+what)
		}
	}
	if s.Media == "" { // of a file the description says it in MB
		bound(s.MinLength, s.MaxLength, " karakter")
		bound(s.MinItems, s.MaxItems, " butir")
		bound(s.Minimum, s.Maximum, "")
	}
	if s.Default != nil {
		all = append(all, fmt.Sprintf("%v bila kosong", s.Default))
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			text := fmt.Sprint(v)
			switch label := s.Labels[text]; {
			case v == nil:
				text = "null"
			case text == "":
				text = "kosong"
			case label != "":
				text += " (" + label + ")"
			}
			values = append(values, text)
		}
		all = append(all, "salah satu dari: "+strings.Join(values, ", "))
	}
	return all
}

// thousands writes a number the Indonesian way: 5.000.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s.%03d", thousands(n/1000), n%1000)
}

// example is a value as JSON for people.
func example(n yaml.Node) string {
	text, err := indented(&n)
	if err != nil {
		return err.Error() // the document was read whole: cannot happen
	}
	return strings.TrimSpace(string(text))
}
