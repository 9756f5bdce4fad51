package smartcard_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/smartcard"
)

// pcscdScript puts the working directory in the place where pcscd always makes
// its socket, in fresh mount and network namespaces.
const pcscdScript = `set -e
if ! mkdir -p /run/pcscd 2>/dev/null; then
  mount -t tmpfs tmpfs /run
  mkdir -p /run/pcscd
fi
mount --bind . /run/pcscd
ip link set lo up
exec pcscd --foreground --error --config "$1"
`

// ownHost is a pcscd of this test's own, which it may kill.
type ownHost struct {
	home  string
	cmd   *exec.Cmd
	place place
}

func newOwnHost(t *testing.T) *ownHost {
	t.Helper()
	// Not t.TempDir: the path of a socket is limited to 107 bytes.
	home, err := os.MkdirTemp("", "pcsc")
	require.NoError(t, err)
	h := &ownHost{home: home}
	t.Cleanup(func() { h.kill(t); require.NoError(t, os.RemoveAll(home)) })
	for _, dir := range []string{"run", "readers"} {
		require.NoError(t, os.Mkdir(filepath.Join(home, dir), 0o700))
	}
	drivers, err := filepath.Glob("/usr/lib/pcsc/drivers/serial/libifdvpcd.so*")
	require.NoError(t, err)
	require.NotEmpty(t, drivers, "package vsmartcard-vpcd is not installed")
	const port = 0x8C7B
	conf := fmt.Sprintf("FRIENDLYNAME \"Virtual PCD Uji\"\nDEVICENAME /dev/null:0x%X\nLIBPATH %s\nCHANNELID 0x%X\n", port, drivers[0], port)
	require.NoError(t, os.WriteFile(filepath.Join(home, "readers", "vpcd"), []byte(conf), 0o600))
	h.place = place{name: "Virtual PCD Uji 00 00", port: port, socket: filepath.Join(home, "run", "pcscd.comm"), command: h.command}
	return h
}

func (h *ownHost) start(t *testing.T) {
	t.Helper()
	args := []string{"--mount", "--net"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	h.cmd = exec.Command("unshare", append(args, "--", "/bin/sh", "-c", pcscdScript, "pcscd", filepath.Join(h.home, "readers"))...)
	h.cmd.Dir = filepath.Join(h.home, "run")
	h.cmd.Stderr = os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, h.cmd.Start())
}

// kill ends pcscd without giving it a chance to say goodbye.
func (h *ownHost) kill(t *testing.T) {
	t.Helper()
	if h.cmd == nil {
		return
	}
	require.NoError(t, h.cmd.Process.Kill())
	require.Error(t, h.cmd.Wait())
	h.cmd = nil
}

func (h *ownHost) command(ctx context.Context, t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	enter := []string{"--target", strconv.Itoa(h.cmd.Process.Pid), "--net"}
	if os.Geteuid() != 0 {
		enter = append(enter, "--user", "--preserve-credentials")
	}
	return exec.CommandContext(ctx, "nsenter", append(append(enter, "--", name), args...)...)
}

func TestPCSCDRestarts(t *testing.T) {
	t.Parallel()
	h := newOwnHost(t)
	r := h.place.start(t) // before there is a pcscd
	_, err := r.Connect(t.Context())
	require.Error(t, err)
	for round := range uint64(2) {
		h.start(t)
		next(t, r, smartcard.ReaderReady)
		var asked bytes.Buffer
		chip := h.place.insert(t, atr1, func(c *virtualCard, command []byte) []byte {
			asked.Write(command)
			return obedient(c, command)
		})
		require.Equal(t, round+1, next(t, r, smartcard.Inserted).Seq)
		card := connect(t, r)
		_, err := card.Transmit(t.Context(), command)
		require.NoError(t, err)

		h.kill(t)
		_, err = card.Transmit(t.Context(), command)
		require.Error(t, err)
		_, err = card.Transmit(t.Context(), command)
		require.ErrorIs(t, err, smartcard.ErrCardGone)
		next(t, r, smartcard.Removed)
		next(t, r, smartcard.ReaderAway)
		_, err = r.Connect(t.Context())
		require.ErrorIs(t, err, smartcard.ErrCardGone)
		chip.remove()
		require.Equal(t, command, asked.Bytes())
	}
	h.start(t)
	next(t, r, smartcard.ReaderReady)
}
