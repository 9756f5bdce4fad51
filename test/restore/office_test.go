//go:build long

package restore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/crash/load"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/harness"
)

const (
	archiveEvery = "'5s'"
	longPatience = 12 * time.Minute // for a hang, not a measure
	lookEvery    = 200 * time.Millisecond
)

// drill is the whole office with an archive, and the people around it.
type drill struct {
	*testing.T
	place *place // of the archive and the scripts
	bin   string
	of    *office.Office
	world *load.World
	began time.Time
}

func (d *drill) say(format string, a ...any) {
	d.Logf("[%6.1f] %s", time.Since(d.began).Seconds(), fmt.Sprintf(format, a...))
}

// await waits until good, which may say what is still missing.
func (d *drill) await(what string, good func() (missing string)) {
	d.Helper()
	missing := ""
	for end := time.Now().Add(longPatience); ; {
		if missing = good(); missing == "" {
			d.say("%s", what)
			return
		}
		select {
		case err := <-d.of.Down():
			require.NoError(d, errors.Join(errors.New("the office ended by itself"), err))
		default:
		}
		require.True(d, time.Now().Before(end), "%s: %s", what, missing)
		require.NoError(d, office.Pause(d.Context(), lookEvery))
	}
}

// open builds the office and starts it with an archive.
func open(t *testing.T) *drill {
	t.Helper()
	root, err := harness.Root()
	require.NoError(t, err)
	d := &drill{T: t, place: newPlace(t), bin: t.TempDir(), began: time.Now()}
	d.place.run(t, nil, "mkdir", "-p", filepath.Join(d.place.dir, "cadangan", "wal"))
	build := exec.Command("go", "build", "-race", "-buildvcs=false", "-o", d.bin+"/", "./daemons/...", "./test/virtualsam")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	base := os.Getenv("SIFILMA_TEST_RUN")
	if base == "" {
		base = filepath.Join(root, ".run", "test")
	}
	dir, err := office.Private(base, "restore")
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			t.Logf("logs are in %s; %v", dir, local.StopDir(ctx, filepath.Join(dir, "crash")))
			return
		}
		require.NoError(t, office.Sweep(dir))
	})
	const seed = 20261121
	d.of, err = office.Open(t.Context(), d.bin, filepath.Join(dir, "crash"), seed, io.Discard)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := d.of.Close(context.Background()); err != nil {
			t.Errorf("closing the office: %v", err)
		}
	})
	d.world, err = load.Enter(t.Context(), d.of, seed)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.world.Close() })

	for name, value := range map[string]string{"archive_mode": "'on'", "archive_timeout": archiveEvery,
		"archive_command": fmt.Sprintf("'%[1]s/wal.sh %%p %%f %[1]s/cadangan/wal'", d.place.dir)} {
		d.script(d.access(), "psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", "ALTER SYSTEM SET "+name+" = "+value)
	}
	require.NoError(t, d.of.Restart(t.Context(), office.Postgres, syscall.SIGINT, 0))
	d.say("the office is open")
	return d
}

// services are the private ones of the office.
func (d *drill) services() *local.Services {
	d.Helper()
	s, err := local.Load(d.of.Dir)
	require.NoError(d, err)
	return s
}

func (d *drill) db() *postgres.DB {
	d.Helper()
	db, err := d.of.DB()
	require.NoError(d, err)
	d.Cleanup(func() { _ = db.Close() })
	return db
}

// work runs the load until the returned function is called.
func (d *drill) work(dropping context.Context) (stop func()) {
	working, rest := context.WithCancel(d.Context())
	var all sync.WaitGroup
	all.Go(func() { d.world.Run(working, dropping) })
	return func() {
		rest()
		all.Wait()
	}
}

// script runs a program of the place as whoever runs the test.
func (d *drill) script(env []string, name string, args ...string) string {
	d.Helper()
	out, err := d.try(env, name, args...)
	require.NoError(d, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return out
}

// try is a script that may fail.
func (d *drill) try(env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = d.place.dir
	cmd.Env = append([]string{"PATH=" + d.place.bin + ":/usr/sbin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + d.place.dir}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// access is the environment of a program that reaches the database as its owner.
func (d *drill) access() []string {
	d.Helper()
	p := d.services().Postgres
	password, err := os.ReadFile(p.PasswordFile)
	require.NoError(d, err)
	return []string{"PGHOST=" + p.Host, "PGPORT=" + strconv.Itoa(p.Port), "PGUSER=" + p.User, "PGDATABASE=sifilma",
		"PGPASSWORD=" + strings.TrimSpace(string(password))}
}

// backup takes one, as often as it takes: one that is cut off says so and leaves
// nothing that could be taken for a backup.
func (d *drill) backup() (folder string) {
	d.Helper()
	journals := []string{}
	for _, name := range []string{"perso-station", "perso-station-2"} {
		path, ok := d.of.Journal(name)
		require.True(d, ok)
		journals = append(journals, filepath.Dir(path))
	}
	env := append(d.access(), "BACKUP_DIR="+d.place.dir+"/cadangan", "BACKUP_JOURNALS="+strings.Join(journals, ":"))
	var all []string
	d.await("a backup is taken", func() string {
		said, err := d.try(env, filepath.Join(d.place.dir, "backup.sh"))
		var bad error
		all, bad = filepath.Glob(d.place.dir + "/cadangan/base/*Z")
		require.NoError(d, bad)
		if err != nil {
			require.Empty(d, all, "%v\n%s", err, said)
			d.say("a backup was cut off: %v", err)
			return said
		}
		require.Contains(d, said, "utuh")
		return ""
	})
	require.Len(d, all, 1)
	return all[0]
}

// lose takes the database away as a broken disk does, with nothing put in order
// before.
func (d *drill) lose() (data string) {
	d.Helper()
	s := d.services()
	s.Postgres.Process.Signal(syscall.SIGQUIT, false)
	d.await("the database is gone", func() string {
		if s.Postgres.Process.Alive() {
			return "it lives"
		}
		return ""
	})
	data = filepath.Join(s.Data, "postgres", "data")
	require.NoError(d, os.Rename(data, data+"-lama"))
	return data
}

// restore brings the database back as it was at a moment.
func (d *drill) restore(backup, data, moment string) {
	d.Helper()
	d.script(nil, filepath.Join(d.place.dir, "restore.sh"), backup, data, moment)
	_, err := local.Start(d.Context(), local.Options{Dir: d.of.Dir})
	require.NoError(d, err)
	db := d.db()
	d.await("the database is restored", func() string {
		var recovering bool
		if err := db.Get(d.Context(), &recovering, `SELECT pg_is_in_recovery()`); err != nil || recovering {
			return fmt.Sprint("recovering, ", err)
		}
		return ""
	})
}

// sifilma runs a command of the restored database's owner.
func (d *drill) sifilma(args ...string) string {
	d.Helper()
	p := d.services().Postgres
	return d.script(nil, filepath.Join(d.bin, "sifilma"), append([]string{"restored", "-url", p.RoleURL("sifilma", p.User, ""),
		"-password-file", p.PasswordFile}, args...)...)
}

var listed = regexp.MustCompile(`(?m)^  chip ([0-9A-Fa-f]+) `)

// reported are the chips on the list for people.
func (d *drill) reported() map[string]bool {
	d.Helper()
	chips := map[string]bool{}
	for _, m := range listed.FindAllStringSubmatch(d.sifilma("-report"), -1) {
		chips[strings.ToUpper(m[1])] = true
	}
	return chips
}

// proven counts the cards that a station finished whose writing it began after
// a moment, by its journal.
func (d *drill) proven(station string, after time.Time) (n int) {
	d.Helper()
	path, ok := d.of.Journal(station)
	require.True(d, ok)
	f, err := os.Open(path)
	require.NoError(d, err)
	defer func() { _ = f.Close() }()
	begun := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		var e struct {
			Kind    string    `json:"kind"`
			Attempt string    `json:"attempt"`
			At      time.Time `json:"at"`
		}
		if json.Unmarshal(s.Bytes(), &e) != nil {
			continue // being written
		}
		switch {
		case e.Kind == "intent" && e.At.After(after):
			begun[e.Attempt] = true
		case e.Kind == "proven" && begun[e.Attempt]:
			n++
		}
	}
	return n
}

// ready is what an instance says of itself.
func (d *drill) ready(daemon string, n int) (ready bool, text string) {
	ctx, cancel := context.WithTimeout(d.Context(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.of.Addresses[daemon][n]+"/readyz", nil)
	require.NoError(d, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return false, err.Error()
	}
	return res.StatusCode == http.StatusOK, string(body)
}
