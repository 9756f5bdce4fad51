package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/journal"
)

// entries are three lines of one attempt, of different shapes.
var entries = []journal.Entry{
	{Kind: "assigned", Card: "chip-01", Attempt: "a-1", At: time.Date(2025, 3, 3, 1, 2, 3, 4, time.UTC), Data: json.RawMessage(`{"pcid":"0001","profile":3}`)},
	{Kind: "writing", Card: "chip-01", Attempt: "a-1", At: time.Date(2025, 3, 3, 1, 2, 4, 0, time.UTC)},
	{Kind: "verified", Card: "chip-01", At: time.Date(2025, 3, 3, 1, 2, 5, 0, time.UTC), Data: json.RawMessage(`["\u003cbaris\n\u003e", null]`)},
}

// write makes a journal of the given entries and returns its path.
func write(t *testing.T, es ...journal.Entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "station.journal")
	j, err := journal.Open(path)
	require.NoError(t, err)
	for _, e := range es {
		require.NoError(t, j.Append(e))
	}
	require.NoError(t, j.Close())
	return path
}

func replay(t *testing.T, j *journal.Journal) []journal.Entry {
	t.Helper()
	var got []journal.Entry
	require.NoError(t, j.Replay(func(e journal.Entry) error { got = append(got, e); return nil }))
	return got
}

func kinds(es []journal.Entry) []string {
	var out []string
	for _, e := range es {
		out = append(out, e.Kind)
	}
	return out
}

func TestEntriesSurviveReopening(t *testing.T) {
	t.Parallel()
	path := write(t, entries...)
	j, err := journal.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, j.Close()) }()
	require.Zero(t, j.Torn())
	got := replay(t, j)
	require.Len(t, got, len(entries))
	for i, e := range entries {
		require.Equal(t, uint64(i+1), got[i].Seq)
		require.True(t, e.At.Equal(got[i].At))
		require.Equal(t, e.Kind, got[i].Kind)
		require.Equal(t, e.Card, got[i].Card)
		require.Equal(t, e.Attempt, got[i].Attempt)
		if e.Data == nil {
			require.Nil(t, got[i].Data)
		} else {
			require.JSONEq(t, string(e.Data), string(got[i].Data))
		}
	}
	before := j.Head()
	require.Equal(t, uint64(3), before.Seq)
	require.NoError(t, j.Append(journal.Entry{Kind: "secured"}))
	require.Equal(t, uint64(4), j.Head().Seq)
	got = replay(t, j)
	require.WithinDuration(t, time.Now(), got[3].At, time.Minute, "a zero time is filled in")

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	require.Len(t, lines, 4)
	var last struct{ Prev, Hash string }
	require.NoError(t, json.Unmarshal([]byte(lines[3]), &last))
	require.Equal(t, before.Hash, last.Prev)
	require.Equal(t, j.Head().Hash, last.Hash)
	head, err := journal.Verify(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, j.Head(), head)
}

func TestEmptyJournal(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(write(t))
	require.NoError(t, err)
	require.Equal(t, journal.Head{}, j.Head())
	require.Empty(t, replay(t, j))
	require.NoError(t, j.Close())
	require.NoError(t, j.Close())
	require.ErrorIs(t, j.Append(entries[0]), journal.ErrClosed)
	require.ErrorIs(t, j.Replay(func(journal.Entry) error { return nil }), journal.ErrClosed)
}

// A crash during Append leaves the lines before and any part of the new one.
func TestTornAtEveryByte(t *testing.T) {
	t.Parallel()
	path := write(t, entries...)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	var ends []int // offset after each line
	for i, b := range whole {
		if b == '\n' {
			ends = append(ends, i+1)
		}
	}
	dir := t.TempDir()
	for cut := 0; cut <= len(whole); cut++ {
		path := filepath.Join(dir, fmt.Sprintf("cut-%d", cut))
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
		lines, kept := 0, 0
		for _, end := range ends {
			if end <= cut {
				lines, kept = lines+1, end
			}
		}
		j, err := journal.Open(path)
		require.NoErrorf(t, err, "cut at %d", cut)
		require.Equalf(t, int64(cut-kept), j.Torn(), "cut at %d", cut)
		require.Lenf(t, replay(t, j), lines, "cut at %d", cut)
		aside, err := os.ReadFile(path + journal.TornSuffix)
		if cut == kept {
			require.ErrorIs(t, err, os.ErrNotExist)
		} else {
			require.NoError(t, err)
			require.Equal(t, string(whole[kept:cut])+"\n", string(aside))
		}
		require.NoError(t, j.Append(journal.Entry{Kind: "after"}))
		require.NoError(t, j.Close())
		j, err = journal.Open(path)
		require.NoErrorf(t, err, "cut at %d, reopened", cut)
		require.Zero(t, j.Torn())
		got := replay(t, j)
		require.Len(t, got, lines+1)
		require.Equal(t, "after", got[lines].Kind)
		require.NoError(t, j.Close())
	}
}

// A file system may have grown the file without having written the block.
func TestUnwrittenBlockIsTorn(t *testing.T) {
	t.Parallel()
	for name, tail := range map[string]string{
		"zeros":             strings.Repeat("\x00", 300),
		"zeros and newline": `{"seq":4,"prev":"` + strings.Repeat("\x00", 300) + "\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, entries...)
			appendTo(t, path, tail)
			j, err := journal.Open(path)
			require.NoError(t, err)
			require.Equal(t, int64(len(tail)), j.Torn())
			require.Len(t, replay(t, j), 3)
			require.NoError(t, j.Close())
		})
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Every changed byte of a finished line is found, and the line is named.
func TestCorruptionAtEveryByte(t *testing.T) {
	t.Parallel()
	path := write(t, entries...)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	dir := t.TempDir()
	line := uint64(1)
	for i := range whole {
		if i == len(whole)-1 {
			break // the last newline: that is a torn line
		}
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x01
		path := filepath.Join(dir, fmt.Sprintf("flip-%d", i))
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		_, err := journal.Open(path)
		var corrupt *journal.CorruptError
		require.ErrorAsf(t, err, &corrupt, "byte %d", i)
		require.Equalf(t, line, corrupt.Line, "byte %d", i)
		require.Equal(t, path, corrupt.Path)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, damaged, after, "a damaged journal is left as it is")
		if whole[i] == '\n' {
			line++
		}
	}
}

func TestChangedLinesAreRefused(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(write(t, entries...))
	require.NoError(t, err)
	other, err := os.ReadFile(write(t, entries[1], entries[0], entries[2]))
	require.NoError(t, err)
	l := bytes.SplitAfter(whole, []byte("\n"))
	o := bytes.SplitAfter(other, []byte("\n"))
	tests := []struct {
		name string
		text [][]byte
		line uint64
	}{
		{"first removed", [][]byte{l[1], l[2]}, 1},
		{"middle removed", [][]byte{l[0], l[2]}, 2},
		{"swapped", [][]byte{l[0], l[2], l[1]}, 2},
		{"doubled", [][]byte{l[0], l[0], l[1]}, 2},
		{"line of another journal", [][]byte{l[0], o[1], l[2]}, 2},
		{"empty line", [][]byte{l[0], []byte("\n"), l[1]}, 2},
		{"zeros in the middle", [][]byte{l[0], bytes.Repeat([]byte{0}, 40), []byte("\n"), l[1]}, 2},
		{"text after the end", append(bytes.SplitAfter(whole, []byte("\n")), []byte("x\n")), 4},
		{"endless line", [][]byte{l[0], bytes.Repeat([]byte("x"), journal.MaxLine+1)}, 2},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "j")
			require.NoError(t, os.WriteFile(path, bytes.Join(tc.text, nil), 0o600))
			_, err := journal.Open(path)
			var corrupt *journal.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.Equal(t, tc.line, corrupt.Line, err)
		})
	}
}

func TestUnacceptableEntries(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(write(t, entries...))
	require.NoError(t, err)
	defer func() { require.NoError(t, j.Close()) }()
	for name, e := range map[string]journal.Entry{
		"no kind":        {Card: "c"},
		"bad JSON":       {Kind: "k", Data: json.RawMessage(`{"secret":`)},
		"too long":       {Kind: "k", Card: strings.Repeat("x", journal.MaxLine)},
		"not UTF-8":      {Kind: "k", Card: "\xff"},
		"data not UTF-8": {Kind: "k", Data: json.RawMessage("\"\xff\"")},
		"year 10000":     {Kind: "k", At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		err := j.Append(e)
		require.ErrorIs(t, err, journal.ErrEntry, name)
		require.NotContains(t, err.Error(), "secret")
	}
	require.NoError(t, j.Append(journal.Entry{Kind: "next"}))
	require.Equal(t, []string{"assigned", "writing", "verified", "next"}, kinds(replay(t, j)))
}

func TestReplayMayAppendAndStop(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(write(t, entries...))
	require.NoError(t, err)
	defer func() { require.NoError(t, j.Close()) }()
	n := 0
	require.NoError(t, j.Replay(func(journal.Entry) error {
		n++
		return j.Append(journal.Entry{Kind: "again"})
	}))
	require.Equal(t, 3, n, "entries appended during the replay are not replayed")
	stop := errors.New("enough")
	require.ErrorIs(t, j.Replay(func(journal.Entry) error { return stop }), stop)
}

func TestOneStationAtATime(t *testing.T) {
	// Not beside others: a child holds their locks between fork and exec.
	path := write(t, entries...)
	j, err := journal.Open(path)
	require.NoError(t, err)
	_, err = journal.Open(path)
	require.ErrorIs(t, err, journal.ErrLocked)
	// flock is asked by another process, too.
	require.Error(t, exec.Command("flock", "-n", path, "true").Run())
	require.NoError(t, j.Close())
	require.NoError(t, exec.Command("flock", "-n", path, "true").Run())
	j, err = journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Close())
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	_, err := journal.Open(t.TempDir())
	require.Error(t, err)
	_, err = journal.Open(filepath.Join(t.TempDir(), "no", "such", "folder"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A full disk breaks the journal until it is opened again; then it holds what
// was promised.
func TestFailedWriteBreaksTheJournal(t *testing.T) {
	// Not beside others: a child holds their locks between fork and exec.
	path := write(t, entries...)
	run := exec.Command(os.Args[0], "-test.run=TestHelperAppend$")
	info, err := os.Stat(path)
	require.NoError(t, err)
	// The limit cuts the write of the second new line in the middle.
	run.Env = append(os.Environ(), "JOURNAL_HELPER="+path, fmt.Sprintf("JOURNAL_LIMIT=%d", info.Size()+350))
	out, err := run.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "kept 1 broken 2")
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NotZero(t, j.Torn())
	require.Equal(t, []string{"assigned", "writing", "verified", "helper"}, kinds(replay(t, j)))
	require.NoError(t, j.Close())
}

// Where room returns, the journal goes on behind the last good line, and the line
// that was cut off is kept apart.
func TestRoomAgainMendsTheJournal(t *testing.T) {
	// Not beside others: a child holds their locks between fork and exec.
	path := write(t, entries...)
	run := exec.Command(os.Args[0], "-test.run=TestHelperAppend$")
	info, err := os.Stat(path)
	require.NoError(t, err)
	run.Env = append(os.Environ(), "JOURNAL_HELPER="+path, "JOURNAL_MEND=1", fmt.Sprintf("JOURNAL_LIMIT=%d", info.Size()+350))
	out, err := run.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "kept 1 broken 2\nmended")
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.Zero(t, j.Torn())
	require.Equal(t, []string{"assigned", "writing", "verified", "helper", "mended"}, kinds(replay(t, j)))
	require.NoError(t, j.Ready())
	require.NoError(t, j.Close())
	require.ErrorIs(t, j.Ready(), journal.ErrClosed)
	torn, err := os.ReadFile(path + journal.TornSuffix)
	require.NoError(t, err)
	require.NotEmpty(t, torn)
}
