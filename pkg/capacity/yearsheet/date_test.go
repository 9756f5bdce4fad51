package yearsheet

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// FuzzDate: what is read as a date is read as the same one when it is written in
// each of the ways that people are told.
func FuzzDate(f *testing.F) {
	for _, text := range []string{"2026-08-17", "17-08-2026", "17/8/2026", "17 Agustus 2026", "Senin, 17 Agustus 2026", "29 Peb 2028", "0001-1-1", "31-31-2026"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := readDate(clean(text))
		if !ok {
			require.Zero(t, d)
			return
		}
		for _, again := range []string{d.String(), terbilang.FormatDate(d), terbilang.FormatDayDate(d)} {
			same, ok := readDate(again)
			require.True(t, ok && same == d || d.Year < 1000, "%q became %q", text, again)
		}
	})
}
