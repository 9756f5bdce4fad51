package rabbit

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestPlainDoorbellsAgreeWithTheSchema: the short way writes the same bytes and
// reads the same event as the long one, for every type.
func TestPlainDoorbellsAgreeWithTheSchema(t *testing.T) {
	t.Parallel()
	id := rapid.StringMatching(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	rapid.Check(t, func(t *rapid.T) {
		e := Event{
			ID: id.Draw(t, "id"), Type: rapid.SampledFrom(Types()).Draw(t, "type"), Subject: id.Draw(t, "subject"),
			Request: rapid.OneOf(rapid.Just(""), id).Draw(t, "request"), Version: rapid.Int64Min(0).Draw(t, "version"),
			Time: time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos")),
			Data: map[string]any{},
		}
		source := rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,109}`).Draw(t, "source")
		require.True(t, e.plain())
		require.True(t, isSource(source))
		long, err := e.encode(source)
		require.NoError(t, err)
		require.Equal(t, string(long), string(e.appendDoorbell(nil, source)))
		got, ok := readDoorbell(e.Type, long)
		require.True(t, ok)
		want, err := decodeAny(e.Type, long)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// TestOtherTextsAreLeftToTheSchema: one byte off the form, and the short way
// takes it only where the schema reads the same event.
func TestOtherTextsAreLeftToTheSchema(t *testing.T) {
	t.Parallel()
	e := anEvent()
	e.Data = nil
	body, err := e.encode("portal")
	require.NoError(t, err)
	odd := []byte{0, ' ', '"', '\\', '{', '}', ',', ':', '0', '9', 'A', 'Z', 'a', 'z', '-', '+', '.', 0x80}
	for at := range body {
		var texts [][]byte
		for _, c := range odd {
			changed := append([]byte{}, body...)
			changed[at] = c
			inserted := append(append(append([]byte{}, body[:at]...), c), body[at:]...)
			texts = append(texts, changed, inserted)
		}
		texts = append(texts, append(append([]byte{}, body[:at]...), body[at+1:]...), body[:at])
		for _, text := range texts {
			got, ok := readDoorbell(e.Type, text)
			if !ok {
				continue
			}
			want, err := decodeAny(e.Type, text)
			require.NoError(t, err, string(text))
			require.Equal(t, want, got)
		}
	}
	for _, text := range []string{string(body) + " ", string(body) + string(body), "", strings.Replace(string(body), `"version":7`, `"version":07`, 1)} {
		_, ok := readDoorbell(e.Type, []byte(text))
		require.False(t, ok, text)
	}
	_, ok := readDoorbell(RequestAccepted, body)
	require.False(t, ok, "another routing key")
}

func TestOnlyPlainEventsTakeTheShortWay(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*Event){
		"with data":        func(e *Event) { e.Data = map[string]any{"day": "2026-09-14"} },
		"id":               func(e *Event) { e.ID = strings.ToUpper(e.ID) },
		"subject":          func(e *Event) { e.Subject = "17" },
		"request":          func(e *Event) { e.Request = "x" },
		"unknown type":     func(e *Event) { e.Type = "request.renamed" },
		"negative version": func(e *Event) { e.Version = -1 },
		"no year":          func(e *Event) { e.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		e := anEvent()
		e.Data = nil
		require.True(t, e.plain(), name)
		spoil(&e)
		require.False(t, e.plain(), name)
	}
	for _, source := range []string{"", "-x", "Portal", "a/b", strings.Repeat("x", 112)} {
		require.False(t, isSource(source), source)
	}
}

func TestASchemaThatSaysMoreIsAsked(t *testing.T) {
	t.Parallel()
	require.False(t, saysNoMore("a.b", []byte(`{"allOf": [{"$ref": "envelope.json"}], "properties": {"type": {"const": "a.b"}, "data": {"required": ["day"]}}}`)))
	require.False(t, saysNoMore("a.b", []byte(`{"allOf": [{"$ref": "envelope.json"}], "properties": {"type": {"const": "a.c"}}}`)))
	require.True(t, saysNoMore("a.b", []byte(`{"title": "T", "allOf": [{"$ref": "envelope.json"}], "properties": {"type": {"const": "a.b"}}}`)))
}

func BenchmarkDoorbell(b *testing.B) {
	e := anEvent()
	e.Data = nil
	body, err := e.encode("portal")
	require.NoError(b, err)
	b.Run("short", func(b *testing.B) {
		for b.Loop() {
			_, _ = decode(e.Type, body)
			_, _ = e.Encode("portal")
		}
	})
	b.Run("long", func(b *testing.B) {
		for b.Loop() {
			_, _ = decodeAny(e.Type, body)
			_, _ = e.encode("portal")
		}
	})
}
