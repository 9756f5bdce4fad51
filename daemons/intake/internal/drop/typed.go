package drop

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/request"
)

// Typed is what a person typed into the page's form, by the JSON pointer of each
// field without its first slash, such as "lines/0/lembaga". Rows of lists that
// were left empty are gone, and the others have moved up. Fields of the page's own
// begin with "_".
type Typed map[string]string

const (
	maxTyped      = 600     // fields of a page's form: of all lines and orders that a request may have
	maxTypedBytes = 8 << 10 // of one field
)

// numbers are the fields that hold a number, by their last name.
var numbers = []string{"card_count", "quantity", "reader_count"}

// field takes in one field of a page's form.
func (in *intake) field(part *multipart.Part, name string) error {
	value, err := io.ReadAll(io.LimitReader(part, maxTypedBytes+1))
	if err != nil {
		return err
	}
	switch {
	case len(value) > maxTypedBytes:
		in.faults.add("/"+printable(name, 60), "too_long", "Isian ini terlalu panjang.")
	case !utf8.Valid(value):
		in.faults.add("/"+printable(name, 60), "bad_character", "Isian ini berisi karakter yang tidak dapat dipakai.")
	default:
		// A browser ends lines with CR LF, whatever the person's computer does.
		in.typed[name] = strings.ReplaceAll(string(value), "\r\n", "\n")
	}
	return nil
}

// unchosen says whether a part is a file field in which nothing was chosen, which
// browsers send all the same.
func unchosen(part *multipart.Part) bool {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	name, isFile := params["filename"]
	return err == nil && isFile && name == ""
}

// compose makes the form of what was typed, after all parts are in.
func (in *intake) compose() (err error) {
	for _, list := range []string{"lines", "purchase_orders"} {
		in.typed.compact(list)
	}
	in.form, err = in.typed.form()
	return err
}

// compact takes out the rows of a list in which nothing was typed.
func (t Typed) compact(list string) {
	rows := map[int]map[string]string{}
	for name, value := range t {
		rest, ok := strings.CutPrefix(name, list+"/")
		if !ok {
			continue
		}
		delete(t, name)
		number, field, _ := strings.Cut(rest, "/")
		i, err := strconv.Atoi(number)
		if err != nil || i < 0 || i > maxTyped || strings.TrimSpace(value) == "" {
			continue
		}
		if rows[i] == nil {
			rows[i] = map[string]string{}
		}
		rows[i][field] = value
	}
	for to, i := range slices.Sorted(maps.Keys(rows)) {
		for field, value := range rows[i] {
			t[fmt.Sprintf("%s/%d/%s", list, to, field)] = value
		}
	}
}

// form is what was typed as the JSON of a drop, so that a person's request is
// judged by the same words as a machine's.
func (t Typed) form() ([]byte, error) {
	tree := map[string]any{}
	lists := map[string]map[int]map[string]any{}
	for name, value := range t {
		if strings.HasPrefix(name, "_") || strings.TrimSpace(value) == "" {
			continue
		}
		path := strings.Split(name, "/")
		last := path[len(path)-1]
		var typed any = value
		if slices.Contains(numbers, last) {
			if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil {
				typed = n
			}
		}
		switch len(path) {
		case 1:
			tree[last] = typed
		case 2:
			inner, _ := tree[path[0]].(map[string]any)
			if inner == nil {
				inner = map[string]any{}
				tree[path[0]] = inner
			}
			inner[last] = typed
		case 3:
			i, _ := strconv.Atoi(path[1]) // of no list that compact knows: refused as an unknown field
			if lists[path[0]] == nil {
				lists[path[0]] = map[int]map[string]any{}
			}
			if lists[path[0]][i] == nil {
				lists[path[0]][i] = map[string]any{}
			}
			lists[path[0]][i][last] = typed
		}
	}
	for name, rows := range lists {
		var all []any
		for _, i := range slices.Sorted(maps.Keys(rows)) {
			all = append(all, rows[i])
		}
		tree[name] = all
	}
	return json.Marshal(tree)
}

// Rows is how many rows of a list something was typed in.
func (t Typed) Rows(list string) int {
	n := 0
	for name := range t {
		if rest, ok := strings.CutPrefix(name, list+"/"); ok {
			number, _, _ := strings.Cut(rest, "/")
			if i, err := strconv.Atoi(number); err == nil {
				n = max(n, i+1)
			}
		}
	}
	return n
}

// TypedOf is a form as a person would have typed it, to be corrected.
func TypedOf(f request.Form) Typed {
	t := Typed{
		"kind": f.Kind, "reference": f.Reference, "title": f.Title, "sam_function": f.SAMFunction,
		"card_count": strconv.Itoa(f.CardCount), "machine_type": f.MachineType, "pks_number": f.PKSNumber, "notes": f.Notes,
		"letter/sender": f.Sender, "letter/post": f.Post, "letter/number": f.Number, "letter/date": f.Date.String(),
		"letter/subject": f.Subject,
	}
	for i, l := range f.Lines {
		at := fmt.Sprintf("lines/%d/", i)
		t[at+"lembaga"], t[at+"quantity"], t[at+"remarks"], t[at+"need"] = l.Lembaga, strconv.Itoa(l.Quantity), l.Remarks, l.Need
	}
	for i, o := range f.Orders {
		at := fmt.Sprintf("purchase_orders/%d/", i)
		t[at+"number"], t[at+"from"], t[at+"to"], t[at+"reader_count"] = o.Number, o.From, o.To, strconv.Itoa(o.ReaderCount)
	}
	return t
}
