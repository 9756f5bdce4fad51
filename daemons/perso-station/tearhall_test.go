package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/readers"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
)

// Profiles of the tear test.
const (
	scp03 = "gp-scp03-sam"
	scp02 = "gp-scp02-sam"
	plain = "iso7816-raw"
)

var tearProfiles = []string{scp03, scp02, plain}

const desTransport = "des-transport"

// writesBy puts a shipped profile in force for the hall's cards, as its next edition
// and with the keys and the list that it needs. A command has so much time that a test
// can hold one on a busy machine, and a lot needs nobody to look at its first card.
func (h *hall) writesBy(profile string) {
	h.t.Helper()
	file, err := configs.Profile(profile)
	require.NoError(h.t, err)
	require.Contains(h.t, string(file), `"command": "10s"`)
	persotest.Approve(h.t, h.DB, recipe.Profile, strings.NewReplacer(
		`"version": 1`, `"version": 2`, `"version": 2`, `"version": 3`,
		`"command": "10s"`, `"command": "1m"`, `"card": "2m"`, `"card": "5m"`, `"first_card": true`, `"first_card": false`).Replace(string(file)))
	keyCode := "ktpel"
	switch profile {
	case scp02:
		keyCode = "ktpel-des"
		h.desKeys(keyCode)
	case plain:
		h.Must(h.t, func(ctx context.Context, tx *postgres.Tx) error {
			for _, serial := range h.Serials {
				if _, err := tx.Exec(ctx, `UPDATE listed_card SET uid = $2 WHERE serial = $1`,
					serial, strings.ToUpper(hex.EncodeToString(card.SeedChipID(serial)))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	persotest.Approve(h.t, h.DB, recipe.SAMType,
		fmt.Sprintf(`{"code": "sam-ktpel", "version": 2, "name": "SAM uji", "default": true, "uses": [], "profile": %q, "key_code": %q}`, profile, keyCode))
}

// desKeys puts masters of triple DES into the token, and a Kode Kunci of them in force.
func (h *hall) desKeys(keyCode string) {
	h.t.Helper()
	for _, label := range []string{desTransport, "des-final"} {
		value := make([]byte, 16)
		_, _ = rand.Read(value)
		_, err := h.token.ImportDES(h.t.Context(), label, value, pkcs11.UseDerive|pkcs11.UseEncrypt)
		require.NoError(h.t, err)
	}
	keys, err := configs.KeyCode("ktpel")
	require.NoError(h.t, err)
	persotest.Approve(h.t, h.DB, recipe.KeyCode, strings.NewReplacer(
		`"ktpel"`, strconv.Quote(keyCode), "sam-transport-master", desTransport, "sam-final-master", "des-final").Replace(string(keys)))
}

// makeFor makes a blank that a profile is for.
func (h *hall) makeFor(profile, serial string, fault card.Fault) {
	h.t.Helper()
	if profile == scp03 {
		h.make(serial, fault)
		return
	}
	m := control.Make{ID: serial, Serial: serial, Seed: serial, Protocol: "FF", Fault: fault}
	if profile == scp02 {
		master, err := h.token.FindKey(h.t.Context(), desTransport)
		require.NoError(h.t, err)
		var keys [3]control.Secret
		for i, purpose := range []byte{pkcs11.PurposeENC, pkcs11.PurposeMAC, pkcs11.PurposeDEK} {
			value, err := master.Diversify(h.t.Context(), pkcs11.EMVCPS, purpose, card.SeedChipID(serial))
			require.NoError(h.t, err)
			keys[i] = control.Secret(hex.EncodeToString(value))
		}
		m.KVN, m.Protocol, m.I, m.ENC, m.MAC, m.DEK = "30", "02", "55", keys[0], keys[1], keys[2]
	}
	require.NoError(h.t, h.sam.Make(h.t.Context(), m))
}

// chip is the chip of a card as it is behind its contacts.
func (h *hall) chip(serial string) control.Chip {
	h.t.Helper()
	_, chips, err := h.sam.List(h.t.Context())
	require.NoError(h.t, err)
	i := slices.IndexFunc(chips, func(c control.Chip) bool { return c.ID == serial })
	require.GreaterOrEqual(h.t, i, 0, serial)
	return chips[i]
}

// heldOrClear waits until the chip holds a command; false when it came through.
func (h *hall) heldOrClear(serial string) (held bool) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		held = h.chip(serial).Held
		return held || h.Card(h.t, serial).State == perso.Clear
	}, patience, 5*time.Millisecond, "card %s is neither held nor clear", serial)
	return held
}

// walk brings a good card through the station command by command, and returns what the
// chip took by each; empty for nothing.
func (h *hall) walk(profile, reader, serial string) (script []card.Step) {
	h.t.Helper()
	ctx := h.t.Context()
	next := card.Fault{HoldAtAPDU: 1, Executed: true}
	h.makeFor(profile, serial, next)
	require.NoError(h.t, h.sam.Insert(ctx, reader, serial))
	for seen := 0; h.heldOrClear(serial); {
		lines, err := h.sam.Log(ctx, seen)
		require.NoError(h.t, err)
		seen += len(lines)
		var took card.Step
		for _, l := range lines {
			require.True(h.t, l.Accepted())
			took = l.Step
		}
		script = append(script, took)
		require.NoError(h.t, h.sam.Fault(ctx, serial, next))
		require.NoError(h.t, h.sam.Release(ctx, serial))
	}
	h.waitFor(reader, "clear", outcome)
	require.NoError(h.t, h.sam.Remove(ctx, reader))
	return script
}

// stepTo lets a card that holds each command go on until the station is at a step.
func (h *hall) stepTo(reader, serial, step string) {
	h.t.Helper()
	for h.heldOrClear(serial) {
		if s, known := h.slot(reader); known && s.Step == step {
			return
		}
		require.NoError(h.t, h.sam.Fault(h.t.Context(), serial, card.Fault{HoldAtAPDU: 1}))
		require.NoError(h.t, h.sam.Release(h.t.Context(), serial))
	}
	require.Fail(h.t, "the card came through", "before step %s", step)
}

// killChild kills the child process of a reader, and returns when it is gone.
func (h *hall) killChild(reader string) {
	h.t.Helper()
	pid := h.childOf(reader)
	require.Positive(h.t, pid, "no child process for %s", reader)
	require.NoError(h.t, syscall.Kill(pid, syscall.SIGKILL))
	require.Eventually(h.t, func() bool { return h.childOf(reader) != pid }, patience, 5*time.Millisecond, "the child does not go")
}

// childOf is the station's child process for a reader, 0 if there is none.
func (h *hall) childOf(reader string) (pid int) {
	h.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(h.t, err)
	for _, path := range all {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid; a name may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(h.station.Process.Pid) {
			continue
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if err == nil && bytes.HasSuffix(args, []byte("\x00"+readers.ChildFlag+"\x00"+reader+"\x00")) {
			pid, err = strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(h.t, err)
			return pid
		}
	}
	return 0
}

// tokenAway pulls the station's token; what it returns puts it back.
func (h *hall) tokenAway() (back func()) {
	h.t.Helper()
	here, away := filepath.Join(h.tokens, filepath.Base(h.hsm.Dir)), filepath.Join(h.t.TempDir(), "away")
	require.NoError(h.t, os.Rename(here, away))
	return func() { require.NoError(h.t, os.Rename(away, here)) }
}

// restart ends the station as it should be ended, and starts it again.
func (h *hall) restart() {
	h.t.Helper()
	require.NoError(h.t, h.station.Process.Signal(syscall.SIGTERM))
	require.NoError(h.t, h.station.Wait())
	h.start()
}
