package rabbit

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	anID      = "0199aa00-0000-7000-8000-000000000001"
	aSubject  = "0199aa00-0000-7000-8000-000000000002"
	aRequest  = "0199aa00-0000-7000-8000-000000000003"
	aValidKey = RequestSubmitted
)

func anEvent() Event {
	return Event{
		ID: anID, Type: aValidKey, Subject: aSubject, Request: aRequest, Version: 7,
		Time: time.Date(2026, 9, 14, 2, 0, 0, 123456000, time.UTC),
		Data: map[string]any{"day": "2026-09-14", "count": 250.0, "late": true, "note": nil},
	}
}

func TestEnvelopeCarriesTheEvent(t *testing.T) {
	t.Parallel()
	large := anEvent()
	large.Version = math.MaxInt64 // would not survive a float
	bare := anEvent()
	bare.Request, bare.Data = "", map[string]any{}
	for _, want := range []Event{anEvent(), large, bare} {
		body, err := want.Encode("portal")
		require.NoError(t, err)
		got, err := decode(want.Type, body)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.NoError(t, want.Validate())
	}
}

func TestEnvelopeIsCloudEvents(t *testing.T) {
	t.Parallel()
	body, err := anEvent().Encode("portal")
	require.NoError(t, err)
	require.JSONEq(t, `{"specversion": "1.0", "id": "`+anID+`", "source": "/sifilma/portal",
		"type": "request.submitted", "subject": "`+aSubject+`", "time": "2026-09-14T02:00:00.123456Z",
		"datacontenttype": "application/json",
		"data": {"version": 7, "request": "`+aRequest+`", "day": "2026-09-14", "count": 250, "late": true, "note": null}}`, string(body))
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	t.Parallel()
	change := func(path string, value any) func(map[string]any) {
		return func(m map[string]any) {
			parent := m
			if field, ok := strings.CutPrefix(path, "data."); ok {
				parent, path = m["data"].(map[string]any), field
			}
			if value == nil {
				delete(parent, path)
				return
			}
			parent[path] = value
		}
	}
	for name, spoil := range map[string]func(map[string]any){
		"other version of the format": change("specversion", "0.3"),
		"no id":                       change("id", nil),
		"id is no uuid":               change("id", "17"),
		"subject is no uuid":          change("subject", "request 17"),
		"no subject":                  change("subject", nil),
		"type is not the routing key": change("type", RequestAccepted),
		"time is no time":             change("time", "yesterday"),
		"foreign source":              change("source", "/elsewhere"),
		"other content":               change("datacontenttype", "text/plain"),
		"more than the envelope":      change("state", "done"),
		"no data":                     change("data", nil),
		"no version":                  change("data.version", nil),
		"version is text":             change("data.version", "7"),
		"version is negative":         change("data.version", -1),
		"version beyond 64 bit":       change("data.version", json.Number("9223372036854775808")),
		"request is no uuid":          change("data.request", "x"),
		"state in the data":           change("data.card", map[string]any{"serial": "1"}),
		"list in the data":            change("data.cards", []any{"1"}),
		"long text in the data":       change("data.note", strings.Repeat("x", 201)),
		"number beyond a float":       change("data.count", json.Number("1e999")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := anEvent().Encode("portal")
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, json.Unmarshal(body, &m))
			spoil(m)
			body, err = json.Marshal(m)
			require.NoError(t, err)
			_, err = decode(aValidKey, body)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "\n")
		})
	}
	for _, body := range []string{"", "null", "[]", "{", "{}", `"x"`, "{} {}"} {
		_, err := decode(aValidKey, []byte(body))
		require.Error(t, err, body)
	}
}

func TestUnknownTypeIsRefused(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"request.renamed", "envelope", ""} {
		e := anEvent()
		e.Type = kind
		require.ErrorContains(t, e.Validate(), "no schema", kind)
	}
}

func TestDataMayNotHideTheVersion(t *testing.T) {
	t.Parallel()
	for _, reserved := range []string{"version", "request"} {
		e := anEvent()
		e.Data = map[string]any{reserved: 1}
		require.ErrorContains(t, e.Validate(), reserved)
	}
}

// FuzzDecode: whatever arrives is an event that encodes again, or an error.
func FuzzDecode(f *testing.F) {
	body, err := anEvent().Encode("portal")
	require.NoError(f, err)
	f.Add(body)
	f.Add([]byte(`{"data":{"version":1e400}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := decode(aValidKey, body)
		if err != nil {
			return
		}
		again, err := e.Encode("portal")
		require.NoError(t, err)
		back, err := decode(aValidKey, again)
		require.NoError(t, err)
		require.Equal(t, e.Version, back.Version)
		require.Equal(t, e.Subject, back.Subject)
	})
}
