// Package form checks what people type into forms, and gathers what is wrong by
// field, so that they learn everything at once.
package form

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is what is wrong with one field.
type Fault struct {
	Pointer string // RFC 6901, such as /name
	Code    string // stable, English
	Detail  string // an Indonesian sentence: what is wrong and what to do
}

// Faults are an error as soon as there is one; see Err.
type Faults []Fault

// Error makes Faults an error.
func (f Faults) Error() string {
	texts := make([]string, len(f))
	for i, one := range f {
		texts[i] = one.Pointer + " " + one.Code
	}
	return "form: " + strings.Join(texts, ", ")
}

// Err is nil when nothing is wrong.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Add notes a fault.
func (f *Faults) Add(pointer, code, detail string, args ...any) {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	*f = append(*f, Fault{pointer, code, detail})
}

// One is a single fault as an error.
func One(pointer, code, detail string) error { return Faults{{pointer, code, detail}} }

// Need wants a text of one line that is not empty, and takes the spaces around it
// away. longest is in characters; label is the name of the field on the form.
func (f *Faults) Need(pointer, label string, text *string, longest int) {
	if f.May(pointer, label, text, longest); *text == "" {
		f.Add(pointer, "missing", "%s wajib diisi.", label)
	}
}

// May is Need for a field that may stay empty.
func (f *Faults) May(pointer, label string, text *string, longest int) {
	f.text(pointer, label, text, longest, "")
}

// Lines is May for a field of several lines.
func (f *Faults) Lines(pointer, label string, text *string, longest int) {
	*text = strings.ReplaceAll(*text, "\r\n", "\n") // as browsers send it
	f.text(pointer, label, text, longest, "\n")
}

func (f *Faults) text(pointer, label string, text *string, longest int, allowed string) {
	*text = strings.TrimSpace(*text)
	switch {
	case !utf8.ValidString(*text) || strings.ContainsFunc(*text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Cf) && !strings.ContainsRune(allowed, r)
	}):
		f.Add(pointer, "bad_character", "%s berisi karakter yang tidak dapat dipakai. Ketik ulang isian ini.", label)
	case utf8.RuneCountInString(*text) > longest:
		f.Add(pointer, "too_long", "%s paling panjang %d karakter.", label, longest)
	}
}

// Mail wants an e-mail address, or nothing.
func (f *Faults) Mail(pointer, label string, text *string) {
	if f.May(pointer, label, text, 254); *text == "" {
		return
	}
	if a, err := mail.ParseAddress(*text); err != nil || a.Address != *text {
		f.Add(pointer, "wrong_form", "%s harus berupa alamat surel seperti nama@contoh.go.id.", label)
	}
}

// Phone wants a telephone number, or nothing.
func (f *Faults) Phone(pointer, label string, text *string) {
	if f.May(pointer, label, text, 30); *text == "" {
		return
	}
	digits, strange := 0, false
	for _, r := range *text {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case !strings.ContainsRune("+-() .", r):
			strange = true
		}
	}
	switch {
	case strange:
		f.Add(pointer, "wrong_form", "%s hanya berisi angka, spasi, dan tanda + - ( ).", label)
	case digits < 5:
		f.Add(pointer, "too_short", "%s sekurangnya 5 angka.", label)
	}
}
