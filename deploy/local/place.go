package local

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plainPath is what all services take without quoting: Unix sockets end at 107
// bytes, and the scripts of RabbitMQ split paths at spaces.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9_./+-]{1,70}$`)

// placeData decides where the files of the services lie. The run directory
// serves when its path is plain and, for root, when the user postgres can reach
// it (PostgreSQL refuses to run as root, and a clone may lie in a folder of mode
// 0700). Otherwise a directory below /var takes them, found by a link "data" in
// the run directory.
func (s *Services) placeData() error {
	if s.Data != "" {
		if _, err := os.Stat(s.Data); err == nil {
			return nil
		}
	}
	if plainPath.MatchString(s.Dir) && reachable(s.Dir) {
		s.Data = s.Dir
		return nil
	}
	sum := sha256.Sum256([]byte(s.Dir))
	name := hex.EncodeToString(sum[:6])
	var errs error
	for _, base := range []string{"/var/lib/sifilma-run", "/var/tmp/sifilma-run-" + strconv.Itoa(os.Geteuid())} {
		data := filepath.Join(base, name)
		if err := s.useOutside(base, data); err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		s.Data = data
		link := filepath.Join(s.Dir, "data")
		_ = os.Remove(link)
		return os.Symlink(data, link)
	}
	return fmt.Errorf("tidak ada tempat untuk data layanan: %w", errs)
}

// useOutside takes a directory outside the run directory into use. Data found
// there belongs to a run directory that was removed by hand, its passwords with
// it: it is of no use and makes way.
func (s *Services) useOutside(base, data string) error {
	if err := os.MkdirAll(base, 0o755); err != nil { //nolint:gosec // the user postgres passes through
		return err
	}
	info, err := os.Lstat(base)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s milik pihak lain", base)
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.Mkdir(data, 0o755); err != nil { //nolint:gosec // the user postgres passes through
		return err
	}
	if !reachable(data) {
		return fmt.Errorf("%s tidak terjangkau oleh pengguna postgres", data)
	}
	return nil
}

// reachable reports whether the account that runs PostgreSQL can enter dir and
// own a directory in it; it tries rather than reading modes, since ACLs and
// mounts have their say.
func reachable(dir string) bool {
	account, err := postgresAccount()
	if err != nil || account == nil {
		return err == nil
	}
	probe, err := os.MkdirTemp(dir, "probe")
	if err != nil {
		return false
	}
	defer func() { _ = os.RemoveAll(probe) }()
	if os.Chown(probe, int(account.Uid), int(account.Gid)) != nil {
		return false
	}
	cmd := exec.Command("/bin/sh", "-c", `cd "$1" && : > file`, "sh", probe)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	return cmd.Run() == nil
}

// postgresAccount is the account PostgreSQL runs under: the user postgres for
// root, nil (oneself) for everybody else.
func postgresAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil // no switch of account
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("pengguna postgres tidak ada; jalankan deploy/local/install.sh: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}, nil
}

// portBase spreads run directories over 20000 to 31999, below the range from
// which the kernel takes ports for outgoing connections.
func portBase(dir string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(dir))
	return 20000 + int(h.Sum32()%400)*30
}

// FreePorts returns n ports of 127.0.0.1, the first free ones from base on,
// leaving out those in taken. Nobody else who asks here gets them until release:
// those they are for bind them only seconds later.
func FreePorts(base, n int, taken ...int) (ports []int, release func(), err error) {
	var held holds
	for p := base; p < base+500 && p < 65536 && len(ports) < n; p++ {
		if !slices.Contains(taken, p) && held.take(p, portFree) {
			ports = append(ports, p)
		}
	}
	if len(ports) < n {
		held.release()
		return nil, nil, fmt.Errorf("tidak cukup porta bebas mulai %d; ubah dengan SIFILMA_PORT_BASE", base)
	}
	return ports, held.release, nil
}

// holds keep ports from others who choose; they end with this process.
type holds []net.Listener

// take holds a port that is free.
func (h *holds) take(port int, free func(int) bool) bool {
	// An abstract socket is seen exactly as far as the port itself.
	l, err := net.Listen("unix", "@sifilma/port/"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	if !free(port) {
		_ = l.Close()
		return false
	}
	*h = append(*h, l)
	return true
}

func (h *holds) release() {
	for _, l := range *h {
		_ = l.Close()
	}
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// portFreed waits a moment for a port of ours to become free: the threads of a
// killed server can hold its sockets a little longer than it lives.
func portFreed(port int) bool {
	for deadline := time.Now().Add(3 * time.Second); !portFree(port); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// choosePorts gives a port to each service that does not run; one that had a
// port before keeps it when it is still free, so that addresses stay the same.
// They are ours until release.
func (s *Services) choosePorts(base int) (release func(), err error) {
	var want []*int
	var taken []int
	var held holds
	assign := func(running bool, ports ...*int) {
		for _, p := range ports {
			if *p != 0 && (running || held.take(*p, portFreed)) {
				taken = append(taken, *p)
				continue
			}
			want = append(want, p)
		}
	}
	assign(s.Postgres.Process.Alive(), &s.Postgres.Port)
	assign(s.Rabbit.Process.Alive(), &s.Rabbit.Port, &s.Rabbit.HTTPPort, &s.Rabbit.DistPort, &s.Rabbit.EpmdPort)
	free, releaseNew, err := FreePorts(base, len(want), taken...)
	if err != nil {
		held.release()
		return nil, err
	}
	for i, p := range want {
		*p = free[i]
	}
	return func() { held.release(); releaseNew() }, nil
}

// secret returns the random secret of the given name, made on first use and
// kept in a file of mode 0600.
func (s *Services) secret(name string, alphabet string, length int) (value, path string, err error) {
	path = filepath.Join(s.Data, "secret", name)
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		return strings.TrimSpace(string(text)), path, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", "", err
	}
	value = randomText(alphabet, length)
	if err := writeAtomic(path, value+"\n"); err != nil {
		return "", "", err
	}
	return value, path, nil
}

const (
	letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
	digits  = "0123456789"
)

func randomText(alphabet string, length int) string {
	out := make([]byte, 0, length)
	buf := make([]byte, 64)
	limit := 256 - 256%len(alphabet) // reject the rest, so that all letters are equally likely
	for len(out) < length {
		_, _ = rand.Read(buf) // never fails, see crypto/rand
		for _, b := range buf {
			if int(b) < limit && len(out) < length {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}

func writeAtomic(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
