package validation_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/register"
	"dukcapil.go.id/sifilma/pkg/register/registertest"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// However many rows there are, each comes back with its own texts, the empty
// and the long ones too.
func TestRowsComeBackAsTheyStand(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 255, 256, 257, 1500} {
		rows := make([]cardlist.Row, n)
		for i := range rows {
			rows[i] = cardlist.Row{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", i)}
			if i%3 == 0 {
				rows[i].ReaderSerial, rows[i].Remarks = fmt.Sprintf("R-%d", i), strings.Repeat("é", i%1000)
			}
			if i%5 == 0 {
				rows[i].Kind = "SAM"
			}
		}
		var b bytes.Buffer
		require.NoError(t, cardlist.WriteSheet(&b, rows))
		list, err := validation.ReadList(bytes.NewReader(b.Bytes()), int64(b.Len()))
		require.NoError(t, err)
		require.Empty(t, list.Faults)
		var got []cardlist.Row
		for i, row := range list.Rows() {
			require.Equal(t, i+2, row.At)
			require.Equal(t, row, list.Row(i))
			got = append(got, row.Row)
		}
		require.Equal(t, rows, got)
		require.Equal(t, n, list.Len())
	}
}

// Serials are looked up piece by piece; none falls between the pieces.
func TestEveryPieceOfALongListIsLookedUp(t *testing.T) {
	t.Parallel()
	db := office(t)
	const n = 4001
	var entries []register.Entry
	for i, row := range []int{0, 1999, 2000, 2001, 3999, 4000} {
		entries = append(entries, register.Entry{Row: i + 1, Serial: fmt.Sprintf("SAM-%06d", row), ReaderSerial: fmt.Sprintf("R-%06d", row), Produsen: "PT Produsen Lain"})
	}
	registertest.Put(t, db, entries...)
	found := good(t, n).check(t, db)
	require.Len(t, found, 2)
	var got []string
	for _, f := range found {
		got = append(got, f.Code+" "+strings.Join(f.Cells, " "))
	}
	require.Equal(t, []string{"serial_personalised B2 B2001:B2003 B4001:B4002", "reader_serial_issued C2 C2001:C2003 C4001:C4002"}, got)
}
