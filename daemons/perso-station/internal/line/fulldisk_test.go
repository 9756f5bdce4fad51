package line_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
)

// TestAFullDiskIsOutlivedByTheCardInHand: the journal's disk has no byte left in the
// middle of a card. Where the journal must be asked first the card waits, and goes on by
// itself when there is room again, though nobody else has asked the journal to mend.
func TestAFullDiskIsOutlivedByTheCardInHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, 1)
	b.stop()
	small := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", small, "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(small, unix.MNT_DETACH)) })
	b.journal = filepath.Join(small, "station.journal")
	b.start()
	ballast := filepath.Join(small, "ballast")
	full := false
	b.reader.hook = func(int) (lose, after bool) {
		if !full && b.Card(t, b.Serials[0]).State == perso.Writing {
			full = true
			require.ErrorIs(t, os.WriteFile(ballast, make([]byte, 2<<20), 0o600), unix.ENOSPC)
			// What is left of the journal's last page.
			for b.book.Append(journal.Entry{Kind: "uji", Card: strings.Repeat("0", 100)}) == nil {
			}
		}
		return false, false
	}
	chip := b.chip(b.Serials[0])
	b.reader.insert(chip)
	b.waitFor("the card to wait", func(s line.ReaderStatus) bool { return s.State == "wait" && strings.Contains(s.Reason, "jangan ambil") })
	require.Equal(t, perso.Writing, b.Card(t, b.Serials[0]).State)
	require.NoError(t, os.Remove(ballast))
	got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Equal(t, "clear", got.Outcome, got.Reason)
	b.judge(chip, b.Serials[0])
}
