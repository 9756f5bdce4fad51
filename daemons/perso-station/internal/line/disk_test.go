package line_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/daemon"
)

func waitsForRoom(s line.ReaderStatus) bool {
	return s.State == "wait" && strings.Contains(s.Reason, "Penyimpanan stasiun hampir penuh")
}

// The journal's disk fills up under a card: the card is finished, the next one
// waits untouched, and goes on by itself when there is room.
func TestNoCardIsBegunWhileTheJournalsDiskIsLow(t *testing.T) {
	t.Parallel()
	b := newBench(t, 2)
	b.stop()
	small := t.TempDir()
	reserve := int64(1 << 20)
	mounted := true
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=4m"); err != nil {
		require.ErrorIs(t, err, unix.EPERM)
		mounted, reserve = false, 1<<60 // without that right, a disk that is low from the start
	} else {
		t.Cleanup(func() { require.NoError(t, unix.Unmount(small, unix.MNT_DETACH)) })
	}
	var err error
	b.disk, err = daemon.NewDisk(small, reserve, prometheus.NewRegistry())
	require.NoError(t, err)
	b.journal = filepath.Join(small, "station.journal")
	b.start()
	first, second := b.chip(b.Serials[0]), b.chip(b.Serials[1])
	ballast := filepath.Join(small, "ballast")
	if mounted {
		b.reader.hook = func(int) (lose, after bool) {
			if b.Card(t, b.Serials[0]).State == "writing" && !b.disk.Low() {
				require.NoError(t, os.WriteFile(ballast, make([]byte, 3<<20+1<<19), 0o600))
			}
			return false, false
		}
		got := b.outcome(first)
		require.Equal(t, "clear", got.Outcome, got.Reason)
		require.True(t, b.disk.Low(), "it filled up while the card was written")
		b.reader.hook = nil
		b.judge(first, b.Serials[0])
		b.removeCard()
	}
	b.reader.insert(second)
	b.waitFor("room", waitsForRoom)
	require.Empty(t, b.accepted(second.State().ChipID), "nothing was written")
	require.EqualValues(t, "listed", b.Card(t, b.Serials[1]).State, "nothing was claimed")
	if !mounted {
		return
	}
	require.NoError(t, os.Remove(ballast))
	got := b.waitFor("clear", func(s line.ReaderStatus) bool { return s.Outcome != "" })
	require.Equal(t, "clear", got.Outcome, got.Reason)
	b.judge(second, b.Serials[1])
}
