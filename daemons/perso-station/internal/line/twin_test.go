package line_test

import (
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
)

// TestAStationOfTheSameNameStarts: another machine is given the name of a station that
// has a card in hand, and settles what it takes for its own. The card is written once
// and comes to a good end.
func TestAStationOfTheSameNameStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t, 24)
	for i, serial := range b.Serials {
		b.reader.mu.Lock()
		b.reader.hook = func(n int) (lose, after bool) {
			if n == 7+i {
				book, err := journal.Open(filepath.Join(t.TempDir(), "twin.journal"))
				if err != nil {
					t.Error(err)
					return false, false
				}
				twin := line.New(line.Parts{
					Station: "uji-1", DB: b.DB, Profile: "gp-scp03-sam", Token: b.token, Journal: book,
					Office: clock.NewFixedOffice(persotest.OfficeAt), Log: zerolog.Nop(),
				})
				if err := twin.Reconcile(t.Context()); err != nil {
					t.Error(err)
				}
				_ = book.Close()
			}
			return false, false
		}
		b.reader.mu.Unlock()
		chip := b.chip(serial)
		b.reader.insert(chip)
		b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" && s.Serial == serial })
		b.judge(chip, serial)
		require.Equal(t, perso.Clear, b.Card(t, serial).State)
		b.removeCard()
	}
	b.numbersAreUnique()
}
