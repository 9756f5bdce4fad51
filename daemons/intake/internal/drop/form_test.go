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
