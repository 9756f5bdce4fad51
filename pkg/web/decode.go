package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/pkg/clock"
)

// DecodeJSON reads the body as exactly one JSON value into dst. It refuses another
// media type (415), keys that dst does not have, values of the wrong type, a
// NUL in a text and anything after the value (400 with the pointer of the field), and a body over the
// limit of the route (413).
func DecodeJSON(r *http.Request, dst any) error {
	mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mt != "application/json" {
		return UnsupportedMedia("Kirim isi permintaan sebagai application/json.")
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(dst); err != nil {
		return jsonProblem(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return TooLarge(tooLarge.Limit)
		}
		return BadRequest("Ada isi lain setelah nilai JSON.")
	}
	if at, found := nulIn(reflect.ValueOf(dst)); found {
		return BadRequest("Ada isian dengan karakter NUL, yang tidak dapat disimpan.", FieldError{
			Pointer: pointer(at...), Code: "bad_character", Detail: "Isian ini berisi karakter yang tidak dapat dipakai.",
		})
	}
	return nil
}

// nulIn finds a text with U+0000, which JSON can write and PostgreSQL cannot
// store, and the keys that lead to it.
func nulIn(v reflect.Value) (at []string, found bool) {
	under := func(key string, v reflect.Value) bool {
		if rest, ok := nulIn(v); ok {
			at, found = append([]string{key}, rest...), true
		}
		return found
	}
	switch v.Kind() {
	case reflect.String:
		return nil, strings.ContainsRune(v.String(), 0)
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return nulIn(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.IsExported() && under(name, v.Field(i)) {
				break
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if under(strconv.Itoa(i), v.Index(i)) {
				break
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if under(key.String(), v.MapIndex(key)) {
				break
			}
		}
	}
	return at, found
}

func jsonProblem(err error) error {
	var (
		tooLarge *http.MaxBytesError
		wrong    *json.UnmarshalTypeError
		syntax   *json.SyntaxError
	)
	switch {
	case errors.As(err, &tooLarge):
		return TooLarge(tooLarge.Limit)
	case errors.As(err, &wrong):
		return BadRequest("Ada isian dengan jenis yang salah.", FieldError{
			Pointer: pointer(strings.Split(wrong.Field, ".")...), Code: "wrong_type",
			Detail: wanted(wrong.Type),
		})
	case errors.As(err, &syntax):
		return BadRequest("Isi permintaan bukan JSON yang benar (bita ke-" + strconv.FormatInt(syntax.Offset, 10) + ").")
	case errors.Is(err, io.EOF):
		return BadRequest("Isi permintaan kosong.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return BadRequest("Isi permintaan terpotong.")
	}
	// encoding/json has no type for an unknown key.
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if name, uerr := strconv.Unquote(quoted); uerr == nil {
			return BadRequest("Ada isian yang tidak dikenal.", FieldError{
				Pointer: pointer(name), Code: "unknown_field", Detail: "Isian ini tidak dikenal.",
			})
		}
	}
	// A type's own UnmarshalJSON or UnmarshalText refused a value.
	return BadRequest("Ada isian yang nilainya tidak dapat dibaca.")
}

// wanted says what a value of a type looks like.
func wanted(t reflect.Type) string {
	if t == reflect.TypeFor[clock.Date]() {
		return "Tanggal tidak dikenal. Tulis seperti 2026-08-17."
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "Isi dengan bilangan bulat, seperti 250."
	case reflect.String:
		return "Isi dengan teks."
	case reflect.Bool:
		return "Isi dengan true atau false."
	case reflect.Slice, reflect.Array:
		return "Isi dengan daftar."
	}
	return "Isi dengan objek."
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer writes an RFC 6901 JSON pointer; no parts point at the whole document.
func pointer(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		b.WriteByte('/')
		b.WriteString(pointerEscape.Replace(p))
	}
	return b.String()
}

// MatchVersion reads the version in If-Match: 428 when it is missing, 412 when it
// cannot be the version of a row.
func MatchVersion(r *http.Request) (int64, error) {
	h := strings.TrimSpace(r.Header.Get("If-Match"))
	if h == "" {
		return 0, PreconditionRequired()
	}
	if s, err := strconv.Unquote(h); err == nil {
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			return v, nil
		}
	}
	return 0, PreconditionFailed("Kepala If-Match harus berisi ETag dari jawaban GET, lengkap dengan tanda kutipnya, misalnya If-Match: \"7\".")
}

// PathText is a parameter of the route as it was meant: chi hands it over as it stands in
// an address that has escapes, such as the %2F of a number with a slash.
func PathText(r *http.Request, name string) string {
	text := chi.URLParam(r, name)
	if r.URL.RawPath == "" {
		return text
	}
	if meant, err := url.PathUnescape(text); err == nil {
		return meant
	}
	return text
}
