package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
)

// Cards that are useless, or of which nobody can tell, are not laid among the blanks.
func TestTheBoxOfACard(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		shown line.ReaderStatus
		bin   string
	}{
		{line.ReaderStatus{State: "refused", Instruction: "sisihkan", Outcome: "refused"}, "tolak"},
		{line.ReaderStatus{State: "refused", Instruction: "sisihkan", Outcome: "refused", Dead: true}, "gagal"},
		{line.ReaderStatus{State: "set_aside", Instruction: "sisihkan", Outcome: "failed"}, "gagal"},
		{line.ReaderStatus{State: "set_aside", Instruction: "sisihkan"}, "ragu"}, // it does not answer
		{line.ReaderStatus{State: "take", Instruction: "ambil", Outcome: "refused"}, ""},
		{line.ReaderStatus{State: "empty", Instruction: "masukkan"}, ""},
	} {
		c.shown.Name = reader
		r.show(c.shown)
		require.Equal(t, c.bin, r.view().Readers[0].Bin, "%+v", c.shown)
	}
}
