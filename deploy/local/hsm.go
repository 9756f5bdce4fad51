package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HSM is a SoftHSM token. Its users need SOFTHSM2_CONF set to Config.
type HSM struct {
	Module    string `json:"module"` // PKCS#11 library
	Config    string `json:"config"`
	Label     string `json:"label"`
	PINFile   string `json:"pin_file"`
	SOPINFile string `json:"so_pin_file"`
	Ready     bool   `json:"ready"`
}

func (s *Services) startHSM(ctx context.Context) error {
	if err := s.runHSM(ctx); err != nil {
		return fmt.Errorf("SoftHSM: %w", err)
	}
	return nil
}

func (s *Services) runHSM(ctx context.Context) error {
	home := filepath.Join(s.Data, "softhsm")
	pin, pinFile, err := s.secret("hsm-pin", digits, 12)
	if err != nil {
		return err
	}
	soPIN, soPINFile, err := s.secret("hsm-so-pin", digits, 12)
	if err != nil {
		return err
	}
	made := filepath.Join(home, "complete")
	hsm, err := NewTokenStore(home)
	if err != nil {
		return err
	}
	hsm.Label, hsm.PINFile, hsm.SOPINFile, hsm.Ready = "sifilma", pinFile, soPINFile, true
	if _, err := os.Stat(made); errors.Is(err, os.ErrNotExist) {
		s.logf("SoftHSM: menyiapkan token")
		tokens := filepath.Join(home, "tokens")
		if err := errors.Join(os.RemoveAll(tokens), os.Mkdir(tokens, 0o700)); err != nil {
			return err
		}
		if err := hsm.InitToken(ctx, soPIN, pin); err != nil {
			return err
		}
		if err := os.WriteFile(made, nil, 0o600); err != nil {
			return err
		}
	}
	s.logf("SoftHSM: siap")
	return s.update(func() { s.HSM = hsm })
}

// NewTokenStore makes (or finds) a SoftHSM configuration with a token directory
// of its own in dir.
func NewTokenStore(dir string) (HSM, error) {
	module, err := softhsmModule()
	if err != nil {
		return HSM{}, err
	}
	tokens := filepath.Join(dir, "tokens")
	if err := os.MkdirAll(tokens, 0o700); err != nil {
		return HSM{}, err
	}
	conf := "directories.tokendir = " + tokens + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
	config := filepath.Join(dir, "softhsm2.conf")
	if err := writeAtomic(config, conf); err != nil {
		return HSM{}, err
	}
	return HSM{Module: module, Config: config}, nil
}

// CopyTo puts a copy of the token, with the same keys, into a token store in dir,
// in the place of what was there. SoftHSM writes its files in place, at each login
// too: a process killed in that moment leaves an empty file and no token. One that
// may be killed uses a copy of its own, made anew before each start.
func (h HSM) CopyTo(dir string) (HSM, error) {
	own, err := NewTokenStore(dir)
	if err != nil {
		return HSM{}, err
	}
	tokens := filepath.Join(dir, "tokens")
	err = errors.Join(os.RemoveAll(tokens), os.Mkdir(tokens, 0o700),
		os.CopyFS(tokens, os.DirFS(filepath.Join(filepath.Dir(h.Config), "tokens"))))
	if err != nil {
		return HSM{}, fmt.Errorf("SoftHSM: %w", err)
	}
	own.Label, own.PINFile, own.SOPINFile, own.Ready = h.Label, h.PINFile, h.SOPINFile, h.Ready
	return own, nil
}

// InitToken creates the token h.Label. softhsm2-util takes PINs as arguments,
// which every user of the machine could read, or from a terminal: it gets one.
func (h HSM) InitToken(ctx context.Context, soPIN, pin string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	host, terminal, err := openTerminal()
	if err != nil {
		return err
	}
	defer func() { _ = host.Close() }()
	cmd := exec.CommandContext(ctx, "softhsm2-util", "--init-token", "--free", "--label", h.Label)
	cmd.Env = append(baseEnv(), "SOFTHSM2_CONF="+h.Config)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	_ = terminal.Close()
	if err != nil {
		return fmt.Errorf("softhsm2-util: %w", err)
	}
	said := answerPrompts(host, []string{soPIN, soPIN, pin, pin})
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("softhsm2-util: %w: %s", err, lastLine(said))
	}
	return nil
}

// answerPrompts types the next answer whenever a prompt for a PIN stands at the
// end of the output, and returns the output (terminals in this mode do not echo).
func answerPrompts(terminal *os.File, answers []string) string {
	var all, line bytes.Buffer
	buf := make([]byte, 256)
	for {
		n, err := terminal.Read(buf)
		all.Write(buf[:n])
		line.Write(buf[:n])
		if len(answers) > 0 && bytes.HasSuffix(bytes.TrimRight(line.Bytes(), " "), []byte("PIN:")) {
			line.Reset()
			_, _ = terminal.WriteString(answers[0] + "\n")
			answers = answers[1:]
		}
		if err != nil { // EIO: the other side is closed
			return all.String()
		}
	}
}

// openTerminal opens a pseudo terminal pair without echo.
func openTerminal() (host, terminal *os.File, err error) {
	host, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(host.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		_ = host.Close()
		return nil, nil, err
	}
	if mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS); err == nil {
		mode.Lflag &^= unix.ECHO
		_ = unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, mode)
	}
	return host, terminal, nil
}

func softhsmModule() (string, error) {
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0], nil
		}
	}
	return "", errors.New("libsofthsm2.so tidak ditemukan; jalankan deploy/local/install.sh")
}
