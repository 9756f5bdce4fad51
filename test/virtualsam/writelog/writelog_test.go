package writelog

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

func TestFileRoundTrip(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "write.log")
	for range 2 { // a second run appends
		log, err := Open(path)
		require.NoError(t, err)
		require.NoError(t, log.Record(card.Entry{Chip: "A", Serial: "S", Step: card.StepMarker, Digest: "d", SW: "9000"}))
		require.Len(t, log.Since(0), 1)
		require.Empty(t, log.Since(1))
		require.NoError(t, log.Close())
		require.Error(t, log.Record(card.Entry{}), "closed")
	}
	lines, err := Read(path)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Equal(t, card.StepMarker, lines[1].Step)
	require.True(t, lines[1].Accepted())
	require.False(t, lines[1].Time.IsZero())

	require.NoError(t, os.WriteFile(path, []byte("{\n"), 0o600))
	_, err = Read(path)
	require.ErrorContains(t, err, "line 1")
}

func TestJudge(t *testing.T) {
	t.Parallel()
	line := func(chip string, step card.Step, digest, value, sw string) Line {
		return Line{Entry: card.Entry{Chip: chip, Step: step, Digest: digest, Value: value, SW: sw}}
	}
	good := []Line{
		line("A", card.StepMarker, "m1", "", "9000"),
		line("A", card.StepPCID, "p1", "", "6581"),
		line("A", card.StepPCID, "p1", "", "9000"),
		line("A", card.StepPCID, "p1", "", "9000"), // resumed
		line("A", card.StepCONF, "", "", "9000"),
		line("A", card.StepPutKey, "", "31", "9000"),
		line("A", card.StepStatus, "", "07", "9000"),
		line("A", card.StepStatus, "", "0F", "9000"),
		line("B", card.StepMarker, "m2", "", "9000"),
		line("B", card.StepPutKey, "", "31", "9000"),
	}
	require.Empty(t, Judge(good))
	cases := map[string]Line{
		"second marker":  line("A", card.StepMarker, "m3", "", "9000"),
		"second PCID":    line("A", card.StepPCID, "p2", "", "9000"),
		"keys twice":     line("A", card.StepPutKey, "", "31", "9000"),
		"SECURED twice":  line("A", card.StepStatus, "", "0F", "9000"),
		"PCID elsewhere": line("B", card.StepPCID, "p1", "", "9000"),
	}
	for name, bad := range cases {
		faults := Judge(append(append([]Line(nil), good...), bad))
		require.Len(t, faults, 1, name)
		require.Equal(t, bad, faults[0].Line, name)
		bad.SW = "6982"
		require.Empty(t, Judge(append(append([]Line(nil), good...), bad)), name+", refused")
	}
}
