package ceremony_test

import (
	"bytes"
	"crypto/aes"
	"crypto/des" //nolint:gosec // triple DES is what the cards use
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
)

// desk is the people's side of a pseudo terminal.
type desk struct {
	t    *testing.T
	host *os.File
	path string // of the custodians' side

	mu     sync.Mutex
	all    bytes.Buffer
	marked int           // what was seen up to here is answered
	more   chan struct{} // closed and replaced when more was seen
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	host, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	raw, err := host.SyscallConn()
	require.NoError(t, err)
	d := &desk{t: t, host: host, more: make(chan struct{})}
	require.NoError(t, raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
		require.NoError(t, err)
		d.path = "/dev/pts/" + strconv.Itoa(n)
	}))
	keep, err := os.OpenFile(d.path, os.O_RDWR|unix.O_NOCTTY, 0) // so that reading goes on while nobody has it open
	require.NoError(t, err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := host.Read(buf)
			d.mu.Lock()
			d.all.Write(buf[:n])
			close(d.more)
			d.more = make(chan struct{})
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = keep.Close()
		_ = host.Close()
		<-read
	})
	return d
}

func (d *desk) tty() *ceremony.TTY {
	d.t.Helper()
	tty, err := ceremony.OpenTTY(d.path)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = tty.Close() })
	return tty
}

// sees waits until the screen shows a text after what was answered last, and returns
// all that was shown since.
func (d *desk) sees(text string) string {
	d.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		d.mu.Lock()
		now, more := d.all.String()[d.marked:], d.more
		d.mu.Unlock()
		if i := strings.Index(now, text); i >= 0 {
			d.mu.Lock()
			d.marked += i + len(text)
			d.mu.Unlock()
			return now[:i]
		}
		select {
		case <-more:
		case <-deadline:
			require.FailNow(d.t, "the screen does not show "+text, now)
		}
	}
}

func (d *desk) types(text string) {
	d.t.Helper()
	_, err := d.host.WriteString(text + "\n")
	require.NoError(d.t, err)
}

// answers goes through prompts and what is typed at each.
func (d *desk) answers(pairs ...string) {
	d.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		d.sees(pairs[i])
		d.types(pairs[i+1])
	}
}

func (d *desk) screen() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.all.String()
}

// echoes says whether the terminal shows what is typed.
func (d *desk) echoes() bool {
	d.t.Helper()
	f, err := os.OpenFile(d.path, os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(d.t, err)
	defer func() { _ = f.Close() }()
	mode, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	require.NoError(d.t, err)
	return mode.Lflag&unix.ECHO != 0
}

func token(t *testing.T) *pkcs11.Token {
	t.Helper()
	h := harness.HSM(t)
	out, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, out.Close()) })
	return out
}

// paper is a component as a custodian has it on paper.
type paper struct {
	value []byte
	kcv   string
}

func (p paper) text() string {
	digits := strings.ToUpper(hex.EncodeToString(p.value))
	var b strings.Builder
	for i := 0; i < len(digits); i += 4 {
		b.WriteString(digits[i:i+4] + " ")
	}
	return b.String()
}

// of writes a value on paper, with the check value as another program computes it.
func of(t *testing.T, kind string, value []byte) paper {
	t.Helper()
	out := make([]byte, 16)
	if strings.HasPrefix(kind, "aes") {
		c, err := aes.NewCipher(value)
		require.NoError(t, err)
		c.Encrypt(out, bytes.Repeat([]byte{1}, 16))
	} else {
		key := append(bytes.Clone(value), value[:24-len(value)]...)
		c, err := des.NewTripleDESCipher(key) //nolint:gosec // as above
		require.NoError(t, err)
		c.Encrypt(out, make([]byte, 8))
	}
	return paper{value, fmt.Sprintf("%X", out[:3])}
}
