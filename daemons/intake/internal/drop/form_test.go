package drop

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
)

var today = clock.MustParseDate("2026-11-23")

// Whatever a client writes into the form: it is either at fault at a place that
// the answer names, or every text of it can be stored.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `{"kind":"reader","lines":[{}],"purchase_orders":[null],"letter":{"date":"2026-02-30"}}`,
		`{"card_count":1e3}`, `{"card_count":99999999999999999999}`, `{"title":"\u0000"}`, `{"title":"\ud800"}`, `{"":{"~/":1}}`,
		`{"lines":[[]],"letter":[]}`, `{"kind":1}{}`, "{\"a\":\"\xff\"}", `{"letter":{"date":{}}}`,
	} {
		f.Add(s, "")
	}
	f.Add(`{"kind":"rekam_cetak","reference":"1","title":"a","sam_function":"R","card_count":1,"machine_type":"x",
		"letter":{"sender":"a","post":"b","number":"c","date":"2026-11-20","subject":"d"}}`, "1")
	f.Fuzz(func(t *testing.T, text, reference string) {
		found := &faults{}
		form := decodeForm([]byte(text), found)
		checkForm(&form, found, DefaultLimits(), today, reference)
		for _, e := range found.list {
			require.True(t, e.Pointer == "" || strings.HasPrefix(e.Pointer, "/"), "%q", e.Pointer)
			require.NotEmpty(t, e.Code)
			require.NotEmpty(t, e.Detail)
		}
		if len(found.list) > 0 {
			return
		}
		require.Positive(t, form.CardCount)
		texts := []string{form.Title, form.MachineType, form.PKSNumber, form.Sender, form.Post, form.Number, form.Subject}
		for _, l := range form.Lines {
			texts = append(texts, l.Lembaga)
		}
		for _, s := range texts {
			require.Equal(t, strings.TrimSpace(s), s)
			require.False(t, strings.ContainsFunc(s, unicode.IsControl), "%q", s)
		}
	})
}

// What is only there for machines is no text, and what makes a text read
// otherwise than it is written is refused.
func TestTextsThatLie(t *testing.T) {
	t.Parallel()
	for text, code := range map[string]string{
		"PT Contoh": "", "\u200bPT Contoh\ufeff": "", "Ny. Siti \u2019Aisyah": "",
		"\u200b": "missing", " \ufeff\u2060 ": "missing",
		"PT \u202egnihtemos": "bad_character", "PT \u2067x": "bad_character", "PT \ufffd": "bad_character",
		"PT \uffff": "bad_character", "PT\nContoh": "bad_character",
	} {
		found := &faults{}
		c := &checker{f: found, said: map[string]bool{}}
		c.text(&text, "/title", "Judul", maxLong, true, false)
		if code == "" {
			require.Empty(t, found.list, "%q", text)
			require.NotContains(t, text, "\ufeff")
			continue
		}
		require.Len(t, found.list, 1, "%q", text)
		require.Equal(t, code, found.list[0].Code, "%q", text)
	}
}
