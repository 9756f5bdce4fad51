package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

const (
	roleVariable = "PERSO_STATION_TEST_ROLE"
	patience     = 40 * time.Second
	patienceStep = 20 * time.Millisecond
)

// TestMain is the station itself when a test has asked for it, and then the
// child process of a reader when the station asks for that.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "station" {
		main()
		return
	}
	os.Exit(m.Run())
}

// hall is a real station with real readers and virtual chips.
type hall struct {
	*persotest.Office
	t       *testing.T
	lease   harness.Lease
	hsm     harness.Token
	token   *pkcs11.Token
	sam     *client.Client
	config  string
	address string
	network *harness.Relay // between the station and PostgreSQL
	bells   *harness.Relay // and RabbitMQ
	journal string         // the station's own
	used    int            // of its cards; see fresh
	tokens  string         // where the station's own copy of the token is, if it has one; see ownToken
	station *exec.Cmd
	before  func() []string // of each start, if set: more of its environment
	log     *buffer
	console map[string]any // of the configuration
	masters map[string][]byte
	broker  *harness.Vhost
	// temp is where the station puts temporary files, and held keeps all that were there.
	temp, held string
}

// buffer is a log that two processes write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newHall(t *testing.T, cards, readers int) *hall {
	t.Helper()
	return newHallAt(t, cards, harness.Readers(t, readers))
}

func newHallAt(t *testing.T, cards int, lease harness.Lease) *hall {
	t.Helper()
	h := &hall{t: t, lease: lease, hsm: harness.HSM(t), Office: persotest.New(t, cards, cards), log: &buffer{}, masters: map[string][]byte{}}
	h.holdTemp()
	token, err := pkcs11.Open(pkcs11.Config{Module: h.hsm.Module, TokenLabel: h.hsm.Label, PINFile: h.hsm.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { _ = token.Close() })
	h.token = token
	for _, label := range []string{"sam-transport-master", "sam-final-master", "sam-secret-wrap"} {
		value := make([]byte, 32)
		_, _ = rand.Read(value)
		h.masters[label] = value
		_, err := token.ImportAES(t.Context(), label, value, pkcs11.UseMAC|pkcs11.UseEncrypt|pkcs11.UseWrap)
		require.NoError(t, err)
	}
	h.startChips()
	h.writeConfig()
	return h
}

// startChips runs the virtual chips where the readers' ports are.
func (h *hall) startChips() {
	h.t.Helper()
	dir, err := os.MkdirTemp("", "sam") // a short path: it holds a socket
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := filepath.Join(dir, "virtualsam")
	out, err := exec.Command("go", "build", "-o", program, "dukcapil.go.id/sifilma/test/virtualsam").CombinedOutput()
	require.NoError(h.t, err, string(out))
	args := []string{"-attached", "-control", filepath.Join(dir, "s"), "-write-log", filepath.Join(dir, "writes.jsonl")}
	for _, r := range h.lease.Readers {
		args = append(args, "-reader", fmt.Sprintf("%s=127.0.0.1:%d", r.Name, r.Port))
	}
	cmd := h.lease.Command(context.Background(), h.t, program, args...)
	cmd.Stderr = h.log
	leash, err := cmd.StdinPipe() // a test that is timed out leaves no card in a reader
	require.NoError(h.t, err)
	require.NoError(h.t, cmd.Start())
	h.t.Cleanup(func() {
		_ = leash.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(h.t, func() bool {
		h.sam, err = client.Dial(h.t.Context(), filepath.Join(dir, "s"))
		return err == nil
	}, patience, 10*time.Millisecond)
	h.t.Cleanup(func() { _ = h.sam.Close() })
}

func (h *hall) writeConfig() {
	h.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h.t, err)
	h.address = listener.Addr().String()
	require.NoError(h.t, listener.Close())
	dir := h.t.TempDir()
	h.config = filepath.Join(dir, "perso-station.yaml")
	clockFile := filepath.Join(dir, "clock")
	require.NoError(h.t, os.WriteFile(clockFile, []byte(persotest.OfficeAt.Format(time.RFC3339)+"\n"), 0o600))
	db := h.Database.Config(h.t, "sifilma_perso_station") // with the rights of production
	h.network = harness.Proxy(h.t, h.Database.Address())
	db.URL = strings.Replace(db.URL, h.Database.Address(), h.network.Address(), 1)
	h.broker = harness.NewVhost(h.t)
	h.bells = harness.Proxy(h.t, h.broker.Address())
	broker := h.broker.ConfigVia("perso-station", h.bells.Address())
	h.journal = filepath.Join(dir, "station", "journal.jsonl")
	var names []string
	for _, r := range h.lease.Readers {
		names = append(names, r.Name)
	}
	settings := map[string]any{ // JSON is YAML
		"http": map[string]any{"addr": h.address}, "office_clock": "file:" + clockFile, "station": "uji-1",
		"postgres":   map[string]any{"url": db.URL, "password_file": db.PasswordFile},
		"rabbit":     map[string]any{"url": broker.URL, "password_file": broker.PasswordFile, "name": "perso-station"},
		"token":      map[string]any{"module": h.hsm.Module, "token_label": h.hsm.Label, "pin_file": h.hsm.PINFile},
		"production": false, "journal": h.journal, "readers": names, "look": "100ms",
	}
	if h.console != nil {
		settings["console"] = h.console
	}
	body, err := json.Marshal(settings)
	require.NoError(h.t, err)
	require.NoError(h.t, os.WriteFile(h.config, body, 0o600))
}

// start starts the station's process and waits until it is ready.
func (h *hall) start() {
	h.t.Helper()
	h.launch()
	h.answers("/readyz")
}

// launch starts the station's process.
func (h *hall) launch() {
	h.t.Helper()
	cmd := exec.Command(os.Args[0], "-config", h.config)
	cmd.Env = append(os.Environ(), roleVariable+"=station", "TMPDIR="+h.temp)
	if h.before != nil {
		cmd.Env = append(cmd.Env, h.before()...)
	}
	cmd.Stderr = h.log
	require.NoError(h.t, cmd.Start())
	h.station = cmd
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if h.t.Failed() {
			h.t.Log(h.log.String())
		}
	})
}

// answers waits until the station says OK at a path.
func (h *hall) answers(path string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		response, err := http.Get("http://" + h.address + path)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, patience, 20*time.Millisecond, "the station does not get to %s", path)
}

// kill ends the station at once; its children die with it.
func (h *hall) kill() {
	h.t.Helper()
	require.NoError(h.t, h.station.Process.Kill())
	_ = h.station.Wait() // says that it was killed
}

// slot is what the station says of a reader.
func (h *hall) slot(name string) (line.ReaderStatus, bool) {
	response, err := http.Get("http://" + h.address + "/api/v1/status")
	if err != nil {
		return line.ReaderStatus{}, false
	}
	defer func() { _ = response.Body.Close() }()
	var status struct {
		Values struct {
			Station string              `json:"station"`
			Readers []line.ReaderStatus `json:"readers"`
		} `json:"values"`
	}
	if json.NewDecoder(response.Body).Decode(&status) != nil || status.Values.Station != "uji-1" {
		return line.ReaderStatus{}, false
	}
	for _, r := range status.Values.Readers {
		if r.Name == name {
			return r, true
		}
	}
	return line.ReaderStatus{}, false
}

func (h *hall) waitFor(reader, what string, good func(line.ReaderStatus) bool) line.ReaderStatus {
	h.t.Helper()
	var last line.ReaderStatus
	require.Eventually(h.t, func() bool {
		var ok bool
		last, ok = h.slot(reader)
		return ok && good(last)
	}, patience, 10*time.Millisecond, "waiting for %s; last: %+v", what, &last)
	return last
}

func (h *hall) make(serial string, fault card.Fault) {
	h.t.Helper()
	master, err := h.token.FindKey(h.t.Context(), "sam-transport-master")
	require.NoError(h.t, err)
	var keys [3]control.Secret
	for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
		value, err := master.KDF3(h.t.Context(), purpose, card.SeedChipID(serial), 16)
		require.NoError(h.t, err)
		keys[i] = control.Secret(hex.EncodeToString(value))
	}
	require.NoError(h.t, h.sam.Make(h.t.Context(), control.Make{
		ID: serial, Serial: serial, Seed: serial, KVN: "30", ENC: keys[0], MAC: keys[1], DEK: keys[2], Fault: fault,
	}))
}

func outcome(s line.ReaderStatus) bool { return s.Outcome != "" }

// TestStationWithRealReaders runs the whole station as a process of its own on
// pcscd, with the database rights of production: cards in both readers at once,
// one of them there before the station; a card pulled in the middle; a kill in
// the middle of a card.
func TestStationWithRealReaders(t *testing.T) {
	h := newHall(t, 4, 2)
	first, second := h.lease.Readers[0].Name, h.lease.Readers[1].Name
	ctx := t.Context()
	h.make(h.Serials[0], card.Fault{})
	h.make(h.Serials[1], card.Fault{})
	require.NoError(t, h.sam.Insert(ctx, second, h.Serials[1])) // in the slot at start
	h.start()
	require.NoError(t, h.sam.Insert(ctx, first, h.Serials[0]))
	for reader, serial := range map[string]string{first: h.Serials[0], second: h.Serials[1]} {
		got := h.waitFor(reader, "clear", outcome)
		require.Equal(t, "clear", got.Outcome, got.Reason)
		require.Equal(t, "ambil", got.Instruction)
		require.Equal(t, serial, got.Serial)
		require.Equal(t, perso.Clear, h.Card(t, serial).State)
		require.NoError(t, h.sam.Remove(ctx, reader))
		h.waitFor(reader, "an empty slot", func(s line.ReaderStatus) bool { return s.Instruction == "masukkan" })
	}

	// Pulled after the keys went on, before the answer came.
	h.make(h.Serials[2], card.Fault{VanishAtStep: card.StepPutKey, Executed: true})
	require.NoError(t, h.sam.Insert(ctx, first, h.Serials[2]))
	require.Eventually(t, func() bool { return h.Card(t, h.Serials[2]).State == perso.InDoubt }, patience, 10*time.Millisecond)
	_ = h.sam.Remove(ctx, first) // the slot may be empty already
	h.waitFor(first, "an empty slot", func(s line.ReaderStatus) bool { return s.Instruction == "masukkan" })
	require.NoError(t, h.sam.Insert(ctx, first, h.Serials[2]))
	h.decide(h.CardIDs[2])
	got := h.waitFor(first, "clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	require.Equal(t, h.Serials[2], got.Serial)

	// Killed while a slow card is being written.
	h.make(h.Serials[3], card.Fault{SlowMS: 100})
	require.NoError(t, h.sam.Insert(ctx, second, h.Serials[3]))
	h.waitFor(second, "the middle of the card", func(s line.ReaderStatus) bool { return s.Step == "secret" || s.Step == "keys" })
	h.kill()
	require.Equal(t, perso.Writing, h.Card(t, h.Serials[3]).State)
	h.start()
	h.decide(h.CardIDs[3])
	got = h.waitFor(second, "clear", func(s line.ReaderStatus) bool { return s.Outcome == "clear" })
	require.Equal(t, h.Serials[3], got.Serial)

	h.judge()
	done, err := perso.Complete(ctx, h.DB, h.RequestID)
	require.NoError(t, err)
	require.True(t, done)
	h.noSecrets()
}

// decide waits for the station's finding on a card in its slot, and has two
// people follow it.
func (h *hall) decide(cardID string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		hand, err := perso.Reload(h.t.Context(), h.DB, cardID)
		return err == nil && hand.Card.State == perso.InDoubt && hand.Attempt.Proposal == perso.DecideResume
	}, patience, 10*time.Millisecond, "no finding")
	h.Resolve(h.t, cardID, perso.DecideResume)
}

// account is what a chip says was done to it.
type account struct {
	contents map[card.Step]map[string]bool // distinct digests of what it took
	keys     int                           // keysets that it took
	refusals int                           // authentications that failed
}

// accounts reads the chips' own account, by serial.
func (h *hall) accounts() map[string]*account {
	h.t.Helper()
	lines, err := h.sam.Log(h.t.Context(), 0)
	require.NoError(h.t, err)
	all := map[string]*account{}
	for _, serial := range h.Serials {
		all[serial] = &account{contents: map[card.Step]map[string]bool{}}
	}
	for _, l := range lines {
		a := all[l.Serial]
		if a == nil {
			continue // of no listed card
		}
		if l.Step == card.StepAuthFailed {
			a.refusals++
		}
		if !l.Accepted() {
			continue
		}
		if a.contents[l.Step] == nil {
			a.contents[l.Step] = map[string]bool{}
		}
		a.contents[l.Step][l.Digest] = true
		if l.Step == card.StepPutKey {
			a.keys++
		}
	}
	return all
}

// judge holds the chips' own account against the database.
func (h *hall) judge() {
	h.t.Helper()
	for serial, a := range h.accounts() {
		require.Equal(h.t, 1, a.keys, serial)
		for _, step := range []card.Step{card.StepMarker, card.StepPCID, card.StepManifest} {
			require.Len(h.t, a.contents[step], 1, "%s %s", serial, step)
		}
		require.Equal(h.t, perso.Clear, h.Card(h.t, serial).State)
	}
}
