package e2e

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

// TestDemoTwiceAndWhatItLeaves runs the demo, looks at everything that it left
// behind, and runs it again on the same data, behind the requests of others.
func TestDemoTwiceAndWhatItLeaves(t *testing.T) {
	dir := runDir(t)
	held, ended := hold(t, dir)
	first := start(t, dir)
	ticket := first.until(`Kode Tiket\s+(PSAM-\S+)`)[1]
	secrets := first.secrets(ticket)
	first.until(`^Siap: `)
	judge(t, dir, 25)
	first.checkBooks(ticket)
	ended()
	first.searchSecrets(secrets, ticket, held)
	first.checkTrace(ticket)
	before := first.queue(1_500, 1_500) // weeks of work for others, whose cards nobody has
	require.NoError(t, first.stop())
	require.Empty(t, leftovers(t, dir), "processes left behind")

	second := start(t, dir, "-once")
	require.NoError(t, second.wait())
	m := lastLine.FindStringSubmatch(second.text.String())
	require.NotNil(t, m, second.text.String())
	require.NotEqual(t, ticket, m[1])
	require.Equal(t, []string{"25", "25", "5"}, m[2:])
	judge(t, dir, 50)
	require.Contains(t, second.text.String(), "Kasubdit KI menguncinya")
	office, err := clock.OpenOffice("file:" + filepath.Join(dir, "office-clock"))
	require.NoError(t, err)
	require.Less(t, office.Now().Sub(before), 31*24*time.Hour, "the office clock leapt past the others' requests")
	require.Empty(t, leftovers(t, dir), "processes left behind")
}

// judge reads the chips' own write log: no chip written twice, no value on two
// chips, and so many chips secured.
func judge(t *testing.T, dir string, secured int) {
	t.Helper()
	lines, err := writelog.Read(filepath.Join(dir, "virtualsam-writes.jsonl"))
	require.NoError(t, err)
	require.Empty(t, writelog.Judge(lines))
	got := map[string]bool{}
	for _, l := range lines {
		if l.Step == card.StepStatus && l.Accepted() && l.Value == "0F" {
			got[l.Chip] = true
		}
	}
	require.Len(t, got, secured, "chips in state SECURED")
}

// TestKillEachDaemonOnce ends each daemon once, as a power cut would, at a
// moment at which it has work in hand; the demo still ends well.
func TestKillEachDaemonOnce(t *testing.T) {
	t.Parallel()
	dir := runDir(t)
	o := start(t, dir, "-once")
	o.until(`Permohonan PSAM-\S+ masuk`)
	o.kill("intake")
	o.kill("validator")
	o.until(`Terdaftar`)
	o.kill("portal")
	o.until(`Diterima|Terjadwal`)
	o.kill("scheduler")
	o.until(`Personalisasi\s+\[.*\]\s+[5-9]/25`)
	o.kill("perso-station")
	o.until(`Dokumen\s+\[`)
	o.kill("document-generator")
	require.NoError(t, o.wait())
	m := lastLine.FindStringSubmatch(o.text.String())
	require.NotNil(t, m, o.text.String())
	require.Equal(t, []string{"25", "25", "5"}, m[2:])
	judge(t, dir, 25)
	require.Empty(t, leftovers(t, dir), "processes left behind")
}

// TestStoppedOrKilledLeavesNothing stops the run in the middle of the line, then
// kills the next one outright; each time nothing is left running, and the last
// run brings the same request to its end.
func TestStoppedOrKilledLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := runDir(t)
	first := start(t, dir, "-once")
	ticket := first.until(`Permohonan (PSAM-\S+) masuk`)[1]
	first.until(`Personalisasi\s+\[.*\]\s+[3-9]/25`)
	_ = first.stop()
	require.Empty(t, leftovers(t, dir), "processes left behind by Ctrl-C")

	second := start(t, dir, "-once")
	second.until(`Melanjutkan permohonan ` + ticket)
	require.NoError(t, second.cmd.Process.Signal(syscall.SIGKILL))
	_ = second.wait()
	untilNone(t, dir)

	third := start(t, dir, "-once")
	require.NoError(t, third.wait())
	m := lastLine.FindStringSubmatch(third.text.String())
	require.NotNil(t, m, third.text.String())
	require.Equal(t, ticket, m[1])
	require.Equal(t, "25", m[2])
	lines, err := writelog.Read(filepath.Join(dir, "virtualsam-writes.jsonl"))
	require.NoError(t, err)
	require.Empty(t, writelog.Judge(lines))
}

// untilNone waits until the sweeper of a killed run has ended everything.
func untilNone(t *testing.T, dir string) {
	t.Helper()
	require.Eventually(t, func() bool { return len(leftovers(t, dir)) == 0 }, patience, patience/2000, "processes left behind by SIGKILL")
}
