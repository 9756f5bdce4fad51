package drop

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeStrict reads one JSON object into dst, a pointer to a struct, and names
// every key that dst does not have and every value of the wrong type by its JSON
// pointer (RFC 6901). encoding/json stops at the first, takes keys in any letter
// case, and knows no pointers. Where a value is at fault, dst keeps its zero.
func decodeStrict(b []byte, dst any, f *faults) {
	bad := func(detail string) {
		f.broken = true
		f.add("/"+formPart, "bad_json", detail)
	}
	if !utf8.Valid(b) {
		bad("Bagian \"request\" harus berupa JSON dengan pengodean UTF-8.")
		return
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			bad("Bagian \"request\" bukan JSON yang benar (bita ke-" + strconv.FormatInt(syntax.Offset, 10) + ").")
		} else {
			bad("Bagian \"request\" bukan JSON yang utuh.")
		}
		return
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		bad("Ada isi lain setelah nilai JSON pada bagian \"request\".")
		return
	}
	if _, ok := tree.(map[string]any); !ok {
		bad("Bagian \"request\" harus berupa objek JSON.")
		return
	}
	if name, twice := repeated(b); twice {
		bad("Isian \"" + printable(name, 60) + "\" tertulis dua kali. Hapus salah satunya.")
		return
	}
	fit(tree, reflect.ValueOf(dst).Elem(), "", f)
}

// repeated names a key that stands twice in an object of b, which is JSON: of two
// values one would count, and nobody said which.
func repeated(b []byte) (name string, twice bool) {
	type level struct {
		keys  map[string]bool // of an object; nil in an array
		value bool            // the next token is the value of a key
	}
	var open []level
	for dec := json.NewDecoder(bytes.NewReader(b)); ; {
		token, err := dec.Token()
		if err != nil {
			return "", false
		}
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:len(open)-1]
			continue
		}
		if n := len(open) - 1; n >= 0 && open[n].keys != nil {
			if key, _ := token.(string); !open[n].value {
				if open[n].keys[key] {
					return key, true
				}
				open[n].keys[key] = true
			}
			open[n].value = !open[n].value
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		}
	}
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// fit puts a JSON value into v. null counts as absent.
func fit(value any, v reflect.Value, pointer string, f *faults) {
	if value == nil {
		return
	}
	wrong := func(want string) {
		f.add(pointer, "wrong_type", "Isian ini harus berupa "+want+".")
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s, ok := value.(string); !ok || text.UnmarshalText([]byte(strings.TrimSpace(s))) != nil {
			wrong("tanggal yang benar dengan bentuk TTTT-BB-HH, misalnya 2026-01-31")
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			wrong("teks")
			return
		}
		v.SetString(s)
	case reflect.Int:
		number, ok := value.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if !ok || err != nil || n > math.MaxInt32 || n < math.MinInt32 {
			wrong("bilangan bulat")
			return
		}
		v.SetInt(n)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			wrong("true atau false")
			return
		}
		v.SetBool(b)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			wrong("larik (daftar)")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list), len(list)))
		for i, item := range list {
			fit(item, v.Index(i), pointer+"/"+strconv.Itoa(i), f)
		}
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			wrong("objek")
			return
		}
		fitObject(object, v, pointer, f)
	default:
		panic("drop: form has a field of kind " + v.Kind().String()) // a fault of this program
	}
}

func fitObject(object map[string]any, v reflect.Value, pointer string, f *faults) {
	fields := map[string]int{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("json")] = i
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names) // the same faults in the same order each time
	for _, name := range names {
		at := pointer + "/" + pointerEscape.Replace(name)
		if i, ok := fields[name]; ok {
			fit(object[name], v.Field(i), at, f)
		} else {
			f.add(pointer+"/"+pointerEscape.Replace(printable(name, 60)), "unknown_field", "Isian ini tidak dikenal.")
		}
	}
}
