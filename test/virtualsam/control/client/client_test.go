package client_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
	"dukcapil.go.id/sifilma/test/virtualsam/vpcd"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// world is a server with two slots whose driver is the test itself.
type world struct {
	ctx    context.Context
	path   string
	driver net.Listener
	client *client.Client
}

func start(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var tasks sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		tasks.Wait()
	})
	dir, err := os.MkdirTemp("", "vsam") // t.TempDir can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{ctx: ctx, path: filepath.Join(dir, "control")}
	w.driver, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.driver.Close() })
	lines, err := writelog.Open("")
	require.NoError(t, err)
	address := w.driver.Addr().String()
	slots := []*vpcd.Slot{vpcd.NewSlot("A", address, zerolog.Nop()), vpcd.NewSlot("B", address, zerolog.Nop())}
	for _, slot := range slots {
		tasks.Go(func() { _ = slot.Run(ctx) })
	}
	listener, err := control.Listen(ctx, w.path)
	require.NoError(t, err)
	server := control.NewServer(slots, lines, zerolog.Nop())
	tasks.Go(func() { _ = server.Serve(ctx, listener) })
	w.client, err = client.Dial(ctx, w.path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.client.Close() })
	return w
}

func chip(id string) control.Make {
	key := control.Secret("404142434445464748494A4B4C4D4E4F")
	return control.Make{ID: id, Serial: "SAM-" + id, KVN: "30", ENC: key, MAC: key, DEK: key}
}

func TestLife(t *testing.T) {
	t.Parallel()
	w := start(t)
	require.NoError(t, w.client.Make(w.ctx, chip("1")))
	require.NoError(t, w.client.Make(w.ctx, chip("2")))
	require.ErrorContains(t, w.client.Make(w.ctx, chip("1")), `there is a chip "1"`)
	des := chip("des")
	des.Protocol, des.I = "02", "1A"
	require.ErrorContains(t, w.client.Make(w.ctx, des), "options")
	des.Protocol = "0102"
	require.ErrorContains(t, w.client.Make(w.ctx, des), "protocol is one byte")

	require.NoError(t, w.client.Insert(w.ctx, "A", "1"))
	require.ErrorContains(t, w.client.Insert(w.ctx, "B", "1"), `is in reader "A"`)
	require.ErrorContains(t, w.client.Insert(w.ctx, "0", "2"), "a card is in the slot")
	require.ErrorContains(t, w.client.InsertAndWait(w.ctx, "1", "2", time.Millisecond), "did not take the card")
	require.ErrorContains(t, w.client.Insert(w.ctx, "A", "9"), `no chip "9"`)
	require.ErrorContains(t, w.client.Insert(w.ctx, "2", "1"), `no reader "2"`)

	readers, chips, err := w.client.List(w.ctx)
	require.NoError(t, err)
	require.Equal(t, []control.Reader{
		{Index: 0, Name: "A", Address: w.driver.Addr().String(), ID: "1"},
		{Index: 1, Name: "B", Address: w.driver.Addr().String(), ID: "2"},
	}, readers)
	require.Len(t, chips, 2)
	require.Equal(t, "A", chips[0].Reader)
	require.Equal(t, "01", chips[0].LifeCycle)
	require.Equal(t, "30", chips[0].KVN)
	require.NotEqual(t, chips[0].ChipID, chips[1].ChipID)

	require.NoError(t, w.client.Remove(w.ctx, "A"))
	require.ErrorContains(t, w.client.Remove(w.ctx, "A"), "empty")
	require.NoError(t, w.client.Remove(w.ctx, "B"))
}

func TestInsertAndWait(t *testing.T) {
	t.Parallel()
	w := start(t)
	require.NoError(t, w.client.Make(w.ctx, chip("1")))
	var driver sync.WaitGroup
	driver.Go(func() {
		conn, err := w.driver.Accept()
		if err != nil {
			return
		}
		// A failed authentication, for the log: INITIALIZE UPDATE and a wrong answer to it.
		external := append([]byte{0, 21, 0x84, 0x82, 1, 0, 16}, make([]byte, 16)...)
		_, _ = conn.Write(append([]byte{0, 13, 0x80, 0x50, 0, 0, 8}, make([]byte, 8)...))
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write(external)
		_, _ = conn.Read(make([]byte, 64))
		_ = conn.Close()
	})
	require.NoError(t, w.client.InsertAndWait(w.ctx, "A", "1", patience))
	driver.Wait()
	lines, err := w.client.Log(w.ctx, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	require.Equal(t, card.StepAuthFailed, lines[0].Step)
	require.Equal(t, "6300", lines[0].SW)
	require.Equal(t, "SAM-1", lines[0].Serial)
	_, chips, err := w.client.List(w.ctx)
	require.NoError(t, err)
	require.Equal(t, 1, chips[0].AuthFailures)
	lines, err = w.client.Log(w.ctx, 1)
	require.NoError(t, err)
	require.Empty(t, lines)
}

// A call that is given up costs its connection, not the client.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	require.NoError(t, w.client.Make(w.ctx, chip("1")))
	over, cancel := context.WithCancel(w.ctx)
	cancel()
	require.ErrorIs(t, w.client.InsertAndWait(over, "A", "1", patience), context.Canceled)
	_, chips, err := w.client.List(w.ctx)
	require.NoError(t, err)
	require.Len(t, chips, 1)
	require.NoError(t, w.client.Close())
	_, _, err = w.client.List(w.ctx)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestFault(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := chip("1")
	c.Fault = card.Fault{WrongKCV: true}
	require.NoError(t, w.client.Make(w.ctx, c))
	fault := func() card.Fault {
		_, chips, err := w.client.List(w.ctx)
		require.NoError(t, err)
		return chips[0].Fault
	}
	require.Equal(t, card.Fault{WrongKCV: true}, fault())
	want := card.Fault{MemoryFailureAt: card.StepPCID, VanishAtAPDU: 7, Executed: true}
	require.NoError(t, w.client.Fault(w.ctx, "1", want))
	require.Equal(t, want, fault())
	require.NoError(t, w.client.Fault(w.ctx, "1", card.Fault{}))
	require.Equal(t, card.Fault{}, fault())
	require.Error(t, w.client.Fault(w.ctx, "2", want))
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := chip("1")
	c.ENC, c.MAC, c.DEK = "404142434445464748494a4b4c4d4e4f", "505152535455565758595a5b5c5d5e5f", "606162636465666768696a6b6c6d6e6f"
	require.NoError(t, w.client.Make(w.ctx, c))
	secrets, err := w.client.Secrets(w.ctx, "1")
	require.NoError(t, err)
	require.Equal(t, []control.ChipSecret{
		{Name: "ENC of keyset 0", Value: c.ENC}, {Name: "MAC of keyset 0", Value: c.MAC}, {Name: "DEK of keyset 0", Value: c.DEK},
	}, secrets)
	_, err = w.client.Secrets(w.ctx, "2")
	require.Error(t, err)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	w := start(t)
	require.ErrorContains(t, w.client.Release(w.ctx, "1"), `no chip "1"`)
	c := chip("1")
	c.Fault = card.Fault{HoldAtAPDU: 1, Executed: true}
	require.NoError(t, w.client.Make(w.ctx, c))
	require.ErrorContains(t, w.client.Release(w.ctx, "1"), "holds no command")
	require.NoError(t, w.client.Insert(w.ctx, "A", "1"))
	conn, err := w.driver.Accept()
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte{0, 5, 0x00, 0xF7, 0, 0, 0})
	require.NoError(t, err)
	held := func() bool {
		_, chips, err := w.client.List(w.ctx)
		return err == nil && chips[0].Held
	}
	require.Eventually(t, held, patience, time.Millisecond)
	require.NoError(t, w.client.Release(w.ctx, "1"))
	answer := make([]byte, 14)
	_, err = io.ReadFull(conn, answer)
	require.NoError(t, err)
	require.Equal(t, []byte{0x90, 0x00}, answer[12:])
	require.False(t, held())
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := start(t)
	bad := map[string]func(*control.Make){
		"make needs":       func(m *control.Make) { m.ID = "" },
		"kvn is one byte":  func(m *control.Make) { m.KVN = "3031" },
		"enc is not hex":   func(m *control.Make) { m.ENC = "secretvalue" },
		"16, 24 or 32":     func(m *control.Make) { m.ENC = "00" },
		"differ in length": func(m *control.Make) { m.DEK = "00" },
		"chip_id":          func(m *control.Make) { m.ChipID = "x" },
		"10 bytes":         func(m *control.Make) { m.KDD = "00" },
	}
	for text, spoil := range bad {
		m := chip("1")
		spoil(&m)
		err := w.client.Make(w.ctx, m)
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), "secretvalue")
	}
	_, err := w.client.Do(w.ctx, control.Request{Op: "explode"})
	require.ErrorContains(t, err, "unknown op")

	conn, err := net.Dial("unix", w.path)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("{\"op\":\"make\",\"chip\":{\"enc\":404142}}\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"ok":false`)
	require.NotContains(t, line, "404142")
}

func TestSocket(t *testing.T) {
	t.Parallel()
	w := start(t)
	info, err := os.Stat(w.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	_, err = control.Listen(w.ctx, w.path)
	require.ErrorContains(t, err, "in use")

	// A path left behind by a dead process is free to take.
	dead := w.path + "2"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	require.NoError(t, err)
	listener.SetUnlinkOnClose(false)
	require.NoError(t, listener.Close())
	again, err := control.Listen(w.ctx, dead)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
