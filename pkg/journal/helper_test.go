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
// the tests of failed writes: it appends with a limit on the file size,
// which fails a write half way like a full disk; then, if asked, it gets room
// again and goes on. Without the environment it has
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
	var free syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: free.Max}); err != nil {
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
	if os.Getenv("JOURNAL_MEND") == "" {
		return
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		t.Fatal(err)
	}
	if err := j.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(journal.Entry{Kind: "mended", Card: "chip-02"}); err != nil {
		t.Fatal(err)
	}
	fmt.Println("mended")
}
