package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// firstReaderPort is vpcd's usual port. All reader ports live in the network
// namespace of pcscd, so they meet nobody else's.
const firstReaderPort = 35963

// maxDrivers keeps within the 16 readers of pcscd before 2.5.0; each vpcd driver
// has two slots.
const maxDrivers = 8

// PCSC is the private PC/SC host. Clients reach it through the environment
// variable PCSCLITE_CSOCK_NAME set to Socket.
type PCSC struct {
	Socket  string   `json:"socket"`
	Readers []Reader `json:"readers"`
	Process Process  `json:"process"`
	Ready   bool     `json:"ready"`
}

// Reader is one slot of a virtual reader: a card connects to Port on 127.0.0.1
// inside the network namespace of pcscd (see InReaderNamespace).
type Reader struct {
	Name string `json:"name"` // as PC/SC lists it, such as "Virtual PCD 1 00 00"
	Port int    `json:"port"`
	// Driver counts from 1. The two slots of a driver share one thread of
	// pcscd; use slot 0 of several drivers where readers must not wait for each other.
	Driver int `json:"driver"`
	Slot   int `json:"slot"` // 0 or 1
}

func (p PCSC) running() bool { return p.Ready && p.Process.Alive() }

// Primary lists slot 0 of each driver: readers that work independently.
func (p PCSC) Primary() []Reader {
	var out []Reader
	for _, r := range p.Readers {
		if r.Slot == 0 {
			out = append(out, r)
		}
	}
	return out
}

// plan settles names and ports. pcscd numbers readers by driver: the name of
// driver n's slots ends in n-1 and the slot, both in hexadecimal.
func (p *PCSC) plan(drivers int) error {
	if drivers < 1 || drivers > maxDrivers {
		return fmt.Errorf("jumlah pembaca kartu virtual %d: harus 1 sampai %d", drivers, maxDrivers)
	}
	p.Readers = nil
	for d := 1; d <= drivers; d++ {
		for slot := range 2 {
			p.Readers = append(p.Readers, Reader{
				Name: fmt.Sprintf("Virtual PCD %d 00 %02X", d, slot), Driver: d, Slot: slot,
				Port: firstReaderPort + 2*(d-1) + slot,
			})
		}
	}
	return nil
}

func (s *Services) startPCSC(ctx context.Context) error {
	if err := s.runPCSC(ctx); err != nil {
		return fmt.Errorf("pcscd: %w (lihat %s)", err, s.logFile("pcscd"))
	}
	return nil
}

func (s *Services) runPCSC(ctx context.Context) error {
	if !s.PCSC.Process.Alive() {
		if err := s.spawnPCSC(ctx); err != nil {
			return err
		}
	}
	s.logf("pcscd: menunggu %d pembaca kartu virtual", len(s.PCSC.Primary()))
	if err := await(ctx, s.PCSC.Process, 20*time.Second, s.pingPCSC); err != nil {
		return err
	}
	s.logf("pcscd: siap")
	return s.update(func() { s.PCSC.Ready = true })
}

// namespaceScript runs in the fresh mount and network namespaces, its working
// directory the folder that is to appear as /run/pcscd, where pcscd always puts
// its socket. Where /run/pcscd does not exist and cannot be made, a private /run
// carries it.
const namespaceScript = `set -e
if ! mkdir -p /run/pcscd 2>/dev/null; then
  mount -t tmpfs tmpfs /run
  mkdir -p /run/pcscd
fi
mount --bind . /run/pcscd
ip link set lo up
exec pcscd --foreground --error --config "$1"
`

// PCSCCommand runs a pcscd in namespaces of its own. Its socket comes into socketDir, and
// its readers are those of the files in readersDir (reader.conf(5)).
func PCSCCommand(socketDir, readersDir string) *exec.Cmd {
	args := []string{"--mount", "--net"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	args = append(args, "--", "/bin/sh", "-c", namespaceScript, "pcscd", readersDir)
	cmd := exec.Command("unshare", args...)
	cmd.Dir, cmd.Env = socketDir, baseEnv()
	return cmd
}

// PCSCSocket is the socket of a pcscd that has socketDir.
func PCSCSocket(socketDir string) string { return filepath.Join(socketDir, "pcscd.comm") }

func (s *Services) spawnPCSC(ctx context.Context) error {
	s.sweep(ctx, "pcscd", "")
	home := filepath.Join(s.Data, "pcscd")
	if err := os.RemoveAll(home); err != nil {
		return err
	}
	socketDir, readersDir := filepath.Join(home, "run"), filepath.Join(home, "readers")
	for _, d := range []string{home, socketDir, readersDir} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := s.writeReaders(home, readersDir); err != nil {
		return err
	}
	p, err := s.spawn(PCSCCommand(socketDir, readersDir), "pcscd", s.logFile("pcscd"))
	if err != nil {
		return err
	}
	return s.update(func() {
		s.PCSC.Socket = PCSCSocket(socketDir)
		s.PCSC.Process, s.PCSC.Ready = p, false
	})
}

// writeReaders gives every driver its own copy of the library: vpcd keeps its
// contexts in static memory, so that two readers on one library mix their cards.
func (s *Services) writeReaders(home, readersDir string) error {
	library, err := VPCDLibrary()
	if err != nil {
		return err
	}
	code, err := os.ReadFile(library)
	if err != nil {
		return err
	}
	var conf strings.Builder
	for _, r := range s.PCSC.Primary() {
		own := filepath.Join(home, "libifdvpcd-"+strconv.Itoa(r.Driver)+".so")
		if err := os.WriteFile(own, code, 0o500); err != nil { //nolint:gosec // a library is executable
			return err
		}
		fmt.Fprintf(&conf, "FRIENDLYNAME \"Virtual PCD %d\"\nDEVICENAME /dev/null:0x%04X\nLIBPATH %s\nCHANNELID 0x%04X\n\n",
			r.Driver, r.Port, own, r.Port)
	}
	return os.WriteFile(filepath.Join(readersDir, "vpcd"), []byte(conf.String()), 0o600)
}

// VPCDLibrary finds the driver of virtual readers.
func VPCDLibrary() (string, error) {
	for _, pattern := range []string{"/usr/lib/pcsc/drivers/serial/libifdvpcd.so*", "/usr/lib/*/pcsc/drivers/serial/libifdvpcd.so*"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", errors.New("libifdvpcd.so tidak ditemukan; jalankan deploy/local/install.sh")
}

// pingPCSC asks for the socket and, in pcscd's own namespace, for a listener per slot.
func (s *Services) pingPCSC(ctx context.Context) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", s.PCSC.Socket)
	if err != nil {
		return err
	}
	_ = c.Close()
	table, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PCSC.Process.PID), "net/tcp"))
	if err != nil {
		return err
	}
	for _, r := range s.PCSC.Readers {
		if !listening(string(table), r.Port) {
			return fmt.Errorf("pembaca %s belum menunggu kartu", r.Name)
		}
	}
	return nil
}

// listening reads a table of /proc/net/tcp: local address in the second column,
// state 0A is LISTEN.
func listening(table string, port int) bool {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], suffix) && f[3] == "0A" {
			return true
		}
	}
	return false
}

// InReaderNamespace changes cmd so that it runs inside the network namespace of
// pcscd, where the virtual readers listen. Call it before cmd starts.
func (s *Services) InReaderNamespace(cmd *exec.Cmd) error {
	if !s.PCSC.Process.Alive() {
		return errors.New("pcscd tidak berjalan")
	}
	return InNamespaceOf(s.PCSC.Process.PID, cmd)
}

// InNamespaceOf changes cmd so that it runs inside the network namespace of a process.
func InNamespaceOf(pid int, cmd *exec.Cmd) error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("nsenter (paket util-linux): %w", err)
	}
	args := []string{nsenter, "--target", strconv.Itoa(pid), "--net"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	args = append(args, "--", cmd.Path)
	cmd.Args = append(args, cmd.Args[1:]...)
	cmd.Path = nsenter
	return nil
}

func (s *Services) stopPCSC(ctx context.Context) {
	if p := s.PCSC.Process; p.Alive() {
		s.logf("pcscd: menghentikan")
		end(ctx, p, 3*time.Second, unix.SIGTERM)
	}
	s.sweep(context.WithoutCancel(ctx), "pcscd", "")
	s.save.Lock()
	defer s.save.Unlock()
	s.PCSC.Process, s.PCSC.Ready = Process{}, false
}
