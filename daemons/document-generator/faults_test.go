package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestMain lets this test program be the daemon, for tests that kill it.
func TestMain(m *testing.M) {
	if os.Getenv("GENERATOR_UNDER_TEST") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	return address
}

// asked reads one of the daemon's pages; ok is false while it does not answer.
func asked(address, path string, into any) (status int, ok bool) {
	res, err := http.Get("http://" + address + path)
	if err != nil {
		return 0, false
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode, json.NewDecoder(res.Body).Decode(into) == nil
}

type statusPage struct {
	Values struct {
		Waiting struct {
			Count  int
			Papers []struct {
				Kind, Number, Error string
				Failures            int
			}
		}
		Blocked map[string]string
	}
}

// TestPapersWaitForLibreOffice: a missing LibreOffice is seen, and costs
// neither a number nor a message.
func TestPapersWaitForLibreOffice(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	program := filepath.Join(t.TempDir(), "soffice")
	address := freeAddress(t)
	run(t, o, fmt.Sprintf("libreoffice: {soffice: %q}\npress: {retry: 100ms, retry_most: 500ms}", program), address)
	r := o.Done(t)

	require.Eventually(t, func() bool {
		var page statusPage
		_, ok := asked(address, "/api/v1/status", &page)
		return ok && page.Values.Waiting.Count == 2 && page.Values.Waiting.Papers[0].Failures > 1
	}, patience, 50*time.Millisecond, "letters wait; the list needs no LibreOffice")
	var ready map[string]any
	status, _ := asked(address, "/readyz", &ready)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, fmt.Sprint(ready["checks"]), "soffice")
	var shelved int
	require.NoError(t, o.DB.Get(t.Context(), &shelved, `SELECT count(*) FROM shelf`))
	require.Zero(t, shelved)

	// It is installed while the daemon runs.
	installed, err := exec.LookPath("soffice")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nexec "+installed+" \"$@\"\n"), 0o755))
	made := papers(t, o, r, 3)
	require.Equal(t, "400.8.2.15/1/Dukcapil", *made[letter.ReplyLetter].Number)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *made[letter.CompletionLetter].Number)
	require.Eventually(t, func() bool {
		status, _ := asked(address, "/readyz", &ready)
		return status == http.StatusOK
	}, patience, 50*time.Millisecond)
}

// TestPapersWaitWhileTheDiskIsLow: nothing is begun that could not be finished,
// everybody can see it, and who has room makes them.
func TestPapersWaitWhileTheDiskIsLow(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	// More than any disk has: what a full one does is shown where the watch is made.
	address := freeAddress(t)
	run(t, o, "disk_reserve: 1152921504606846976\npress: {poll: 100ms}", address)
	r := o.Done(t)
	var page statusPage
	require.Eventually(t, func() bool {
		_, ok := asked(address, "/api/v1/status", &page)
		return ok && page.Values.Waiting.Count == 3
	}, patience, 50*time.Millisecond, "all papers are drafted and wait")
	var ready map[string]any
	status, _ := asked(address, "/readyz", &ready)
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, fmt.Sprint(ready["checks"]), "disk is low")
	list, err := letter.List(t.Context(), o.DB, r.ID)
	require.NoError(t, err)
	for _, paper := range list {
		require.Empty(t, paper.Formats(), paper.Kind)
	}
	run(t, o, "", freeAddress(t)) // its neighbour on another disk
	papers(t, o, r, 3)
}

// TestPapersWaitForTheirSignatory: a post that nobody holds is seen; what needs
// no signature is made.
func TestPapersWaitForTheirSignatory(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1, NoSignatories: true})
	address := freeAddress(t)
	run(t, o, "desk: {look: 1s}", address)
	r := o.Done(t)
	require.Len(t, papers(t, o, r, 1), 1)
	require.Eventually(t, func() bool {
		var page statusPage
		_, ok := asked(address, "/api/v1/status", &page)
		return ok && len(page.Values.Blocked) == 2
	}, patience, 50*time.Millisecond)
	o.SeedSignatories(t)
	papers(t, o, r, 3)
	var failures int
	require.NoError(t, o.DB.Get(t.Context(), &failures, `SELECT count(*) FROM delivery_attempt`))
	require.Zero(t, failures, "never the message's fault")
}

// TestKilledAtAnyMoment: the daemon is killed while it works, again and again;
// every paper is made once, with numbers without gaps.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 3})
	work := t.TempDir()
	config := surroundings(t, o, fmt.Sprintf("libreoffice: {soffice: soffice, work_dir: %q}", work), "").WriteConfig(t, paperoffice.At)
	var requests []paperoffice.Request
	for _, moment := range []func() bool{
		func() bool { return count(o.DB, `SELECT count(*) FROM document`) > 0 },                        // drafted
		func() bool { return len(running(work)) > 0 },                                                  // LibreOffice is at work
		func() bool { return count(o.DB, `SELECT count(*) FROM document WHERE state = 'issued'`) > 1 }, // the list is attached, the letters may not be
	} {
		daemon := start(t, config)
		requests = append(requests, o.Done(t))
		require.Eventually(t, moment, patience, time.Millisecond)
		require.NoError(t, daemon.Process.Kill())
		require.Error(t, daemon.Wait())
	}
	daemon := start(t, config)
	t.Cleanup(func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	})
	numbers := map[string]bool{}
	for _, r := range requests {
		for _, d := range papers(t, o, r, 3) {
			if d.Number != nil {
				numbers[*d.Number] = true
			}
		}
	}
	require.Len(t, numbers, 6)
	for n := 1; n <= 6; n++ {
		require.True(t, numbers[fmt.Sprintf("400.8.2.15/%d/Dukcapil", n)], n)
	}
	require.Equal(t, 9, count(o.DB, `SELECT count(*) FROM document`))
	require.Equal(t, 9, count(o.DB, `SELECT count(*) FROM audit WHERE action = 'document.made'`))
	homes, err := filepath.Glob(filepath.Join(work, "sifilma-soffice-*"))
	require.NoError(t, err)
	require.Len(t, homes, 3, "the folders of the killed are gone: the living one has two for papers and one for samples")
}

// start runs the daemon as a process of its own.
func start(t *testing.T, config string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-config", config)
	cmd.Env = append(os.Environ(), "GENERATOR_UNDER_TEST=1")
	require.NoError(t, cmd.Start())
	return cmd
}

// TestNothingRunsOnAfterAKill: a LibreOffice that would never end dies with its
// daemon.
func TestNothingRunsOnAfterAKill(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	o.Done(t)
	work := t.TempDir()
	program := filepath.Join(work, "soffice")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nwhile :; do sleep 0.1; done\n"), 0o755))
	daemon := start(t, surroundings(t, o, fmt.Sprintf("libreoffice: {soffice: %q, work_dir: %q}", program, work), "").WriteConfig(t, paperoffice.At))
	t.Cleanup(func() {
		for _, pid := range running(work) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	require.Eventually(t, func() bool { return len(running(work)) > 0 }, patience, time.Millisecond)
	require.NoError(t, daemon.Process.Kill())
	require.Error(t, daemon.Wait())
	require.Eventually(t, func() bool { return len(running(work)) == 0 }, 10*time.Second, time.Millisecond)
}

func count(db *postgres.DB, query string) int {
	var n int
	if err := db.Get(context.Background(), &n, query); err != nil {
		return -1
	}
	return n
}

// running lists the processes that work with a profile below a place.
func running(place string) []int {
	var found []int
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "UserInstallation=file://"+place) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found = append(found, pid)
		}
	}
	return found
}

// TestTwoGeneratorsDoNoHarm: both see the same papers; each is made once.
func TestTwoGeneratorsDoNoHarm(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 2})
	for range 2 {
		run(t, o, "press: {poll: 100ms}\ndesk: {look: 1s}", "127.0.0.1:0")
	}
	r := o.Done(t)
	h := o.Open(t, r, 0)
	papers(t, o, r, 4)
	require.Equal(t, 4, count(o.DB, `SELECT count(*) FROM document`))
	require.Equal(t, 4, count(o.DB, `SELECT count(*) FROM audit WHERE action = 'document.made'`))
	require.Equal(t, 2, count(o.DB, `SELECT count(*) FROM history WHERE machine = 'handover'`), h.ID)
}
