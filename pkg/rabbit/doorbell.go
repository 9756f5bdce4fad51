package rabbit

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"reflect"
	"strconv"
	"sync"
	"time"

	"dukcapil.go.id/sifilma/schema"
)

// A plain doorbell is an event without Data. Nearly every message is one, and
// Encode writes all of them alike, byte for byte. Such a text is written and read
// here without a detour through JSON documents, which would cost more than the
// rest of a hop. Whatever differs in a single byte is judged by the schema; what
// is taken here the schema takes too (TestPlainDoorbellsAgreeWithTheSchema).

// The constant parts of the text, in its order. The request is optional.
const (
	partID      = `{"specversion":"1.0","id":"`
	partSource  = `","source":"` + sourcePrefix
	partType    = `","type":"`
	partSubject = `","subject":"`
	partTime    = `","time":"`
	partData    = `","datacontenttype":"` + dataMediaType + `","data":{`
	partRequest = `"request":"`
	partVersion = `"version":`
	partEnd     = `}}`

	longestSource = 120 - len(sourcePrefix) // schema: source
	utcTime       = "2006-01-02T15:04:05.999999999Z"
	doorbellSize  = 512 // bytes; most are smaller
)

// plainTypes are the types whose schema says no more than that a message is an
// envelope of this type. One that says more is always asked itself.
var plainTypes = sync.OnceValue(func() map[string]bool {
	plain := map[string]bool{}
	for name := range schemas() {
		text, err := fs.ReadFile(schema.Messages(), name+".json")
		if err != nil {
			panic(err) // it was read a moment ago
		}
		plain[name] = saysNoMore(name, text)
	}
	return plain
})

// saysNoMore compares what a schema demands with what every type demands.
func saysNoMore(name string, text []byte) bool {
	var rules map[string]any
	if json.Unmarshal(text, &rules) != nil {
		return false
	}
	for _, words := range []string{"$schema", "$id", "title", "description"} {
		delete(rules, words)
	}
	return reflect.DeepEqual(rules, map[string]any{
		"allOf":      []any{map[string]any{"$ref": "envelope.json"}},
		"properties": map[string]any{"type": map[string]any{"const": name}},
	})
}

// plain says whether the event is a doorbell that its schema takes.
func (e Event) plain() bool {
	return len(e.Data) == 0 && plainTypes()[e.Type] && isUUID(e.ID) && isUUID(e.Subject) &&
		(e.Request == "" || isUUID(e.Request)) && e.Version >= 0 && plainYear(e.Time.UTC())
}

// appendDoorbell writes the event; the caller has asked plain and isSource.
func (e Event) appendDoorbell(b []byte, source string) []byte {
	b = append(append(b, partID...), e.ID...)
	b = append(append(b, partSource...), source...)
	b = append(append(b, partType...), e.Type...)
	b = append(append(b, partSubject...), e.Subject...)
	b = e.Time.UTC().AppendFormat(append(b, partTime...), utcTime)
	b = append(b, partData...)
	if e.Request != "" {
		b = append(append(append(b, partRequest...), e.Request...), `",`...)
	}
	b = strconv.AppendInt(append(b, partVersion...), e.Version, 10)
	return append(b, partEnd...)
}

// readDoorbell reads what appendDoorbell writes; anything else is not ok.
func readDoorbell(key string, body []byte) (e Event, ok bool) {
	if !plainTypes()[key] {
		return Event{}, false
	}
	r := reader{rest: body, ok: true}
	e.ID = r.after(partID, '"')
	source := r.after(partSource, '"')
	e.Type = r.after(partType, '"')
	e.Subject = r.after(partSubject, '"')
	at := r.after(partTime, '"')
	r.skip(partData)
	if bytes.HasPrefix(r.rest, []byte(partRequest)) {
		e.Request = r.after(partRequest, '"')
		r.skip(`",`)
		r.ok = r.ok && isUUID(e.Request)
	}
	version := r.after(partVersion, '}')
	r.skip(partEnd)
	if !r.ok || len(r.rest) > 0 || e.Type != key || !isUUID(e.ID) || !isUUID(e.Subject) || !isSource(source) {
		return Event{}, false
	}
	var err error
	if e.Version, err = strconv.ParseInt(version, 10, 64); err != nil || e.Version < 0 || strconv.FormatInt(e.Version, 10) != version {
		return Event{}, false
	}
	if e.Time, err = time.Parse(utcTime, at); err != nil || e.Time.Format(utcTime) != at || !plainYear(e.Time) {
		return Event{}, false
	}
	e.Data = map[string]any{}
	return e, true
}

// reader goes through a text from front to back. After a mismatch it is not ok
// and reads nothing more.
type reader struct {
	rest []byte
	ok   bool
}

func (r *reader) skip(part string) {
	if r.ok = r.ok && bytes.HasPrefix(r.rest, []byte(part)); r.ok {
		r.rest = r.rest[len(part):]
	}
}

// after skips a part and reads on to the end mark, which stays.
func (r *reader) after(part string, end byte) string {
	r.skip(part)
	at := bytes.IndexByte(r.rest, end)
	if r.ok = r.ok && at >= 0; !r.ok {
		return ""
	}
	text := string(r.rest[:at])
	r.rest = r.rest[at:]
	return text
}

// isUUID is stricter than the schema: the one form that we write.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// isSource says whether the name of a daemon is as the schema wants it.
func isSource(s string) bool {
	if s == "" || len(s) > longestSource {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if word := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'; !word && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return true
}

// plainYear keeps to years that RFC 3339 can say.
func plainYear(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }
