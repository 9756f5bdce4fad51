package harness

import (
	_ "embed" // the driver's source
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dukcapil.go.id/sifilma/deploy/local"
)

//go:embed pullable/driver.c
var pullableDriver string

// Hub is a pcscd of one test, with readers that can be pulled out of it and put back.
// Nobody else uses them: PCSCLITE_CSOCK_NAME is to be its Socket for whoever shall. The
// driver of virtual readers knows no such thing, so another one stands before it and
// reaches no reader while that is pulled. pcscd then calls the reader unavailable to all
// its clients, as it does when a real one is unplugged. It goes on listing it: only the
// kernel's word about a USB device takes a reader off the list of pcscd 1.9.
type Hub struct {
	Lease
	home string
	cmd  *exec.Cmd
}

// hubPort is the first port of its readers, in a network namespace of its own.
const hubPort = 35963

// NewHub starts a pcscd with n readers; it ends with the test.
func NewHub(t testing.TB, n int) *Hub {
	t.Helper()
	home, err := os.MkdirTemp("", "hub") // a short path: it holds a socket
	if err != nil {
		t.Fatal(err)
	}
	h := &Hub{home: home}
	t.Cleanup(func() {
		if h.cmd != nil {
			_ = h.cmd.Process.Kill()
			_ = h.cmd.Wait()
		}
		_ = os.RemoveAll(home)
	})
	sockets, readers := filepath.Join(home, "run"), filepath.Join(home, "readers")
	for _, d := range []string{sockets, readers} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var conf strings.Builder
	for i := range n {
		r := local.Reader{Name: fmt.Sprintf("Virtual PCD %c 00 00", 'A'+i), Driver: i + 1, Port: hubPort + 2*i}
		library := h.build(t, r)
		fmt.Fprintf(&conf, "FRIENDLYNAME \"Virtual PCD %c\"\nDEVICENAME /dev/null:0x%04X\nLIBPATH %s\nCHANNELID 0x%04X\n\n", 'A'+i, r.Port, library, r.Port)
		h.Readers = append(h.Readers, r)
	}
	if err := os.WriteFile(filepath.Join(readers, "hub"), []byte(conf.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h.cmd = local.PCSCCommand(sockets, readers)
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		t.Fatalf("a pcscd for the test: %v", err)
	}
	h.Socket = local.PCSCSocket(sockets)
	h.enter = func(cmd *exec.Cmd) error { return local.InNamespaceOf(h.cmd.Process.Pid, cmd) }
	for began := time.Now(); ; wait(t) {
		var d net.Dialer
		c, err := d.DialContext(t.Context(), "unix", h.Socket)
		if err == nil {
			_ = c.Close()
			return h
		}
		if time.Since(began) > databaseTimeout {
			t.Fatalf("the pcscd of the test: %v", err)
		}
	}
}

// build makes the driver of one reader: the real one keeps its contexts in static
// memory, so that each has a copy of its own.
func (h *Hub) build(t testing.TB, r local.Reader) (library string) {
	t.Helper()
	original, err := local.VPCDLibrary()
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(h.home, fmt.Sprintf("vpcd-%d.so", r.Driver))
	if err := os.WriteFile(own, code, 0o500); err != nil { //nolint:gosec // a library is executable
		t.Fatal(err)
	}
	library = filepath.Join(h.home, fmt.Sprintf("pullable-%d.so", r.Driver))
	cc := exec.Command("cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-I/usr/include/PCSC", "-x", "c", "-",
		"-DREAL="+strconv.Quote(own), "-DPULLED="+strconv.Quote(h.flag(r.Name)), "-o", library, "-ldl")
	cc.Stdin = strings.NewReader(pullableDriver)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("the driver of a reader: %v\n%s", err, out)
	}
	return library
}

func (h *Hub) flag(reader string) string {
	return filepath.Join(h.home, "pulled-"+strings.ReplaceAll(reader, " ", "_"))
}

// Pull pulls a reader out; a card in it stays in it.
func (h *Hub) Pull(t testing.TB, reader string) {
	t.Helper()
	if err := os.WriteFile(h.flag(reader), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Plug puts it back.
func (h *Hub) Plug(t testing.TB, reader string) {
	t.Helper()
	if err := os.Remove(h.flag(reader)); err != nil {
		t.Fatal(err)
	}
}
