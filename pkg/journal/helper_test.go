package journal_test

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"dukcapil.go.id/sifilma/pkg/journal"
)

// TestHelperAppend is the body of a process of its own for
// TestFailedWriteBreaksTheJournal: it appends with a limit on the file size,
// which fails a write half way like a full disk. Without the environment it has
// nothing to do.
func TestHelperAppend(t *testing.T) {
	path := os.Getenv("JOURNAL_HELPER")
	if path == "" {
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit, err := strconv.ParseUint(os.Getenv("JOURNAL_LIMIT"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	kept, broken := 0, 0
	for range 3 {
		switch err := j.Append(journal.Entry{Kind: "helper", Card: "chip-02"}); {
		case err == nil:
			kept++
		case errors.Is(err, journal.ErrBroken):
			broken++
		default:
			t.Fatal(err)
		}
	}
	fmt.Printf("kept %d broken %d\n", kept, broken)
}
