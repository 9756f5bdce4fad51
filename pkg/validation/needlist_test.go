package validation_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// The list of a lembaga's request is judged as a card list is, but for what a
// lembaga cannot know yet.
func TestListsOfNeeds(t *testing.T) {
	t.Parallel()
	db := office(t)
	for name, c := range map[string]struct {
		f     need.Form
		edit  func(s *submission)
		want  []string
		cards int
	}{
		"good":                  {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, cards: 3},
		"cards not known yet":   {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { s.set(t, "B2", ""); s.set(t, "B4", "") }, cards: 3},
		"a reader is not known": {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { s.set(t, "C3", "") }, want: []string{"reader_serial_missing daftar!Daftar!C3"}},
		"another form": {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { s.set(t, "B3", "x"); s.set(t, "C4", "y") },
			want: []string{"reader_serial_form daftar!Daftar!C4", "serial_form daftar!Daftar!B3"}},
		"twice":       {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { s.set(t, "C4", "R-000000") }, want: []string{"reader_serial_repeated daftar!Daftar!C4"}},
		"too many":    {f: need.Form{Quantity: 2, MachineType: "GSX-01"}, want: []string{"card_count /quantity"}},
		"no readers":  {f: need.Form{Quantity: 3, MachineType: "TANPA"}, edit: func(s *submission) { s.set(t, "B2", "") }, want: []string{"reader_serial_unexpected daftar!Daftar!C2:C4", "serial_missing daftar!Daftar!B2"}},
		"no machine":  {f: need.Form{Quantity: 3, MachineType: "tidak ada"}, cards: 3},
		"no header":   {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { s.set(t, "B1", "x") }, want: []string{"header_missing /list"}},
		"other sheet": {f: need.Form{Quantity: 3, MachineType: "GSX-01"}, edit: func(s *submission) { require.NoError(t, s.book.SetSheetName("Daftar", "Lain")) }, want: []string{"no_sheet /list"}},
	} {
		s := good(t, 3)
		if c.edit != nil {
			c.edit(s)
		}
		b, err := s.book.WriteToBuffer()
		require.NoError(t, err)
		cards, faults, err := validation.NeedList(t.Context(), db, bytes.NewReader(b.Bytes()), int64(b.Len()), c.f)
		require.NoError(t, err)
		var got []string
		for _, f := range faults {
			got = append(got, f.Code+" "+f.Pointer)
			require.NotEmpty(t, f.Detail)
		}
		require.ElementsMatch(t, c.want, got, name)
		if c.want == nil {
			require.Len(t, cards, c.cards, name)
			require.Equal(t, fmt.Sprintf("R-%06d", 1), cards[1].ReaderSerial, name)
		}
	}
	_, faults, err := validation.NeedList(t.Context(), db, bytes.NewReader([]byte("bukan Excel")), 11, need.Form{Quantity: 1, MachineType: "GSX-01"})
	require.NoError(t, err)
	require.Equal(t, "/list", faults[0].Pointer)
}
