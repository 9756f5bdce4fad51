package leak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Dir looks through all files below a directory, but for what has one of the names:
// places that are made to hold secrets. Files that go away meanwhile are none.
func (s *Search) Dir(dir string, but ...string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case slices.Contains(but, d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		body, err := os.ReadFile(path) //nolint:gosec // nobody races a search for the files of a test
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			s.Text(path, body)
		}
		return err
	})
}

// Database looks through a dump of a whole PostgreSQL database; the connection URL
// carries the password. Files that the office keeps in it are also put together again.
func (s *Search) Database(ctx context.Context, name, url string) error {
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump")
	if err != nil || len(programs) == 0 {
		return fmt.Errorf("leak: no pg_dump: %w", err)
	}
	var says bytes.Buffer
	cmd := exec.CommandContext(ctx, programs[len(programs)-1], "--dbname="+url)
	cmd.Stderr = &says
	dump, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("leak: pg_dump: %w: %s", err, says.String())
	}
	s.Dump(name, dump)
	return nil
}

// Dump looks through the text of a dump.
func (s *Search) Dump(name string, dump []byte) {
	s.Text(name, dump)
	for id, file := range files(dump) {
		s.Text(name+"!file "+id, file)
	}
}

// files are the contents of the table blob_chunk (blob_id, seq, data) in a dump, put
// together by their ids: what is packed may begin in one row and end in another.
func files(dump []byte) map[string][]byte {
	chunks := map[string]map[int][]byte{}
	inside := false
	for line := range bytes.Lines(dump) {
		switch {
		case bytes.HasPrefix(line, []byte("COPY public.blob_chunk (blob_id, seq, data) FROM stdin;")):
			inside = true
		case bytes.HasPrefix(line, []byte(`\.`)):
			inside = false
		case inside:
			columns := bytes.SplitN(bytes.TrimRight(line, "\n"), []byte("\t"), 3)
			if len(columns) < 3 {
				continue
			}
			seq, err := strconv.Atoi(string(columns[1]))
			digits, ok := bytes.CutPrefix(columns[2], []byte(`\\x`))
			if err != nil || !ok {
				continue
			}
			id := string(columns[0])
			if chunks[id] == nil {
				chunks[id] = map[int][]byte{}
			}
			chunks[id][seq] = unhex(digits)
		}
	}
	whole := map[string][]byte{}
	for id, parts := range chunks {
		var order []int
		for seq := range parts {
			order = append(order, seq)
		}
		slices.Sort(order)
		for _, seq := range order {
			whole[id] = append(whole[id], parts[seq]...)
		}
	}
	return whole
}

// Get looks through an answer of a server, its headers too.
func (s *Search) Get(ctx context.Context, url string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	var answer bytes.Buffer
	if err := res.Header.Write(&answer); err != nil {
		return err
	}
	if _, err := answer.ReadFrom(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("leak: %s: %s", url, res.Status)
	}
	s.Text(url, answer.Bytes())
	return nil
}

// holdEvery is how often a directory is looked at for new files.
const holdEvery = 20 * time.Millisecond

// Hold keeps every file that comes into a directory until ctx ends: it links each into
// another directory of the same file system, where its last content stays when the file
// is removed. What lives for less than a look escapes it. The returned channel is
// closed when it has ended.
func Hold(ctx context.Context, dir, into string) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		held := map[uint64]bool{} // by inode, which is not given anew while it has a link
		ticker := time.NewTicker(holdEvery)
		defer ticker.Stop()
		for {
			_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return nil // gone already, or nothing to read
				}
				info, err := d.Info()
				if err != nil {
					return nil
				}
				inode := info.Sys().(*syscall.Stat_t).Ino
				to := filepath.Join(into, fmt.Sprintf("%d-%s", inode, filepath.Base(path)))
				if !held[inode] && os.Link(path, to) == nil { //nolint:gosec // the files of a test
					held[inode] = true
				}
				return nil
			})
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return ended
}
