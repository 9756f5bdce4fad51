package scanner_test

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/scanner"
	"dukcapil.go.id/sifilma/pkg/clock"
)

// desk runs one scanner and hands out what it reads.
func desk(t *testing.T, port string) (d *scanner.Desk, scanned <-chan string) {
	t.Helper()
	out := make(chan string, 10)
	p := scanner.Port{Reader: "Pembaca 1", Port: port}
	require.NoError(t, p.Validate())
	d = &scanner.Desk{Ports: []scanner.Port{p}, Clock: clock.Real(), Log: zerolog.Nop(), Scanned: func(reader, text string) {
		if reader == "Pembaca 1" {
			out <- text
		}
	}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return d, out
}

func next(t *testing.T, scanned <-chan string) string {
	t.Helper()
	select {
	case s := <-scanned:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was scanned")
		return ""
	}
}

// A scanner on the network gives lines, however it ends them; what is too long to be a
// serial is dropped whole, and a lost connection comes back.
func TestAScannerOnTheNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	d, scanned := desk(t, "tcp:"+listener.Addr().String())
	conn, err := listener.Accept()
	require.NoError(t, err)
	_, err = conn.Write([]byte("SAM1\r\n\r\n" + strings.Repeat("x", 300) + "\nSAM2\r"))
	require.NoError(t, err)
	require.Equal(t, "SAM1", next(t, scanned))
	require.Equal(t, "SAM2", next(t, scanned))
	require.NoError(t, d.Check(t.Context()))
	require.NoError(t, conn.Close())
	conn, err = listener.Accept()
	require.NoError(t, err)
	_, err = conn.Write([]byte("SAM3\n"))
	require.NoError(t, err)
	require.Equal(t, "SAM3", next(t, scanned))
	require.NoError(t, conn.Close())
}

// One that plays a keyboard types its digits and letters, with shift, and Enter.
func TestAScannerThatPlaysAKeyboard(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "event0")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	_, scanned := desk(t, "keyboard:"+path)
	device, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = device.Close() }()
	key := func(code uint16, value uint32) {
		var event [24]byte
		binary.NativeEndian.PutUint16(event[16:], 1)
		binary.NativeEndian.PutUint16(event[18:], code)
		binary.NativeEndian.PutUint32(event[20:], value)
		_, err := device.Write(event[:])
		require.NoError(t, err)
		var sync [24]byte // EV_SYN after each
		_, err = device.Write(sync[:])
		require.NoError(t, err)
	}
	press := func(code uint16) {
		key(code, 1)
		key(code, 2) // held
		key(code, 0)
	}
	key(42, 1) // shift
	press(31)  // S
	press(30)  // A
	press(50)  // M
	key(42, 0)
	press(12) // -
	press(2)  // 1
	press(11) // 0
	press(28) // Enter
	require.Equal(t, "SAM-10", next(t, scanned))
}

func TestPortsAreChecked(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"", "tcp:host", "keyboard:event0", "COM1"} {
		require.Error(t, scanner.Port{Reader: "R", Port: port}.Validate(), port)
	}
	require.Error(t, scanner.Port{Port: "/dev/ttyUSB0"}.Validate())
	require.Error(t, scanner.Validate([]scanner.Port{{Reader: "R", Port: "/dev/a"}, {Reader: "R", Port: "/dev/b"}}))
	require.Error(t, scanner.Validate([]scanner.Port{{Reader: "R", Port: "/dev/a"}, {Reader: "S", Port: "/dev/a"}}))
	require.NoError(t, scanner.Validate([]scanner.Port{{Reader: "R", Port: "/dev/a"}, {Reader: "S", Port: "tcp:1.2.3.4:5"}}))
	d := scanner.Desk{Ports: []scanner.Port{{Reader: "R", Port: "/dev/a"}}}
	require.NoError(t, d.Check(t.Context()))
}
