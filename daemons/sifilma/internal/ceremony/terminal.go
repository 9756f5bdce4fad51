package ceremony

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/pkg/pkcs11"
)

// ErrNoTerminal says that nobody sits at a terminal: a ceremony is done by people.
var ErrNoTerminal = errors.New("upacara kunci dikerjakan di terminal, bukan lewat pipa atau berkas")

// Terminal is where custodians sit. Only they see what is said; nothing of it goes to
// standard output.
type Terminal interface {
	Say(format string, args ...any)
	// Ask shows a prompt and reads a line.
	Ask(ctx context.Context, prompt string) (string, error)
	// Secret is Ask without echo. The caller zeroises the line.
	Secret(ctx context.Context, prompt string) ([]byte, error)
	// Clear wipes the screen and what could be scrolled back to.
	Clear()
}

// TTY is a terminal of the system.
type TTY struct{ file *os.File }

// OpenTTY opens a terminal, /dev/tty for the one that the process was started from.
func OpenTTY(path string) (*TTY, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	t := &TTY{file: f}
	if _, err := t.mode(); err != nil {
		_ = f.Close()
		return nil, ErrNoTerminal
	}
	return t, nil
}

// Close closes the terminal.
func (t *TTY) Close() error { return t.file.Close() }

// Say implements Terminal.
func (t *TTY) Say(format string, args ...any) { _, _ = fmt.Fprintf(t.file, format+"\n", args...) }

// Clear implements Terminal: the screen, the lines above it, and to the top.
func (t *TTY) Clear() { _, _ = t.file.WriteString("\x1b[2J\x1b[3J\x1b[H") }

// Ask implements Terminal.
func (t *TTY) Ask(ctx context.Context, prompt string) (string, error) {
	line, err := t.read(ctx, prompt+" ", 0)
	defer pkcs11.Zeroise(line)
	return strings.TrimSpace(string(line)), err
}

// Secret implements Terminal.
func (t *TTY) Secret(ctx context.Context, prompt string) ([]byte, error) {
	return t.read(ctx, prompt+" ", unix.ECHO)
}

// longestLine is more than a key has digits and spaces.
const longestLine = 512

// read reads a line with some modes of the terminal taken away, and puts them back
// however it ends. What was typed before the prompt does not count.
func (t *TTY) read(ctx context.Context, prompt string, without uint32) (line []byte, err error) {
	before, err := t.mode()
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	quiet := *before
	quiet.Lflag &^= without
	quiet.Lflag |= unix.ICANON | unix.ISIG | unix.ECHONL
	if err := t.set(&quiet); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	defer func() { err = errors.Join(err, t.set(before)) }()
	stop := context.AfterFunc(ctx, func() { _ = t.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := t.file.WriteString(prompt); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	line = make([]byte, 0, longestLine)
	one := make([]byte, 1)
	defer pkcs11.Zeroise(one)
	for {
		_, err := t.file.Read(one)
		switch {
		case ctx.Err() != nil:
			pkcs11.Zeroise(line)
			return nil, ctx.Err()
		case errors.Is(err, io.EOF):
			pkcs11.Zeroise(line)
			return nil, ErrGivenUp
		case err != nil:
			pkcs11.Zeroise(line)
			return nil, fmt.Errorf("terminal: %w", err)
		case one[0] == '\n':
			return line, nil
		case len(line) == cap(line):
			pkcs11.Zeroise(line)
			return nil, errors.New("terminal: baris terlalu panjang")
		}
		line = append(line, one[0])
	}
}

func (t *TTY) mode() (m *unix.Termios, err error) {
	e := t.control(func(fd int) { m, err = unix.IoctlGetTermios(fd, unix.TCGETS) })
	return m, errors.Join(e, err)
}

// set changes the mode once all output is out, and forgets what was typed and not read.
func (t *TTY) set(m *unix.Termios) (err error) {
	e := t.control(func(fd int) { err = unix.IoctlSetTermios(fd, unix.TCSETSF, m) })
	return errors.Join(e, err)
}

func (t *TTY) control(f func(fd int)) error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { f(int(fd)) })
}
