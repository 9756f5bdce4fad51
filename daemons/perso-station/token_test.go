package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// recordKeys puts the station's keys into the book, as a ceremony does.
func (h *hall) recordKeys() {
	h.t.Helper()
	for _, label := range []string{"sam-transport-master", "sam-final-master", "sam-secret-wrap"} {
		key, err := h.token.FindKey(h.t.Context(), label)
		require.NoError(h.t, err)
		kcv, err := key.KCV(h.t.Context())
		require.NoError(h.t, err)
		h.Must(h.t, func(ctx context.Context, tx *postgres.Tx) error {
			_, err := keybook.Record(ctx, tx, keybook.Entry{
				Label: label, Algorithm: "AES", Bits: 256, KCV: fmt.Sprintf("%X", kcv), Origin: keybook.Generated,
				TokenLabel: h.hsm.Label, TokenSerial: "1", Place: "uji", RecordedBy: "uji", OfficeAt: persotest.OfficeAt,
			})
			return err
		})
	}
}

// ready is what /readyz answers.
func (h *hall) ready() (code int, body string) {
	response, err := http.Get("http://" + h.address + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// The token is pulled from a station that runs, with a card in the middle in each of two
// real readers, twice over. The line waits and says so; with the token back it goes on:
// the same process, no hand, no card in doubt, no failed authentication.
func TestTokenPulledFromARunningStation(t *testing.T) {
	h := newHall(t, 4, 2)
	h.recordKeys()
	h.start()
	away := filepath.Join(t.TempDir(), "away")
	for round := range 2 {
		slots := map[string]string{h.lease.Readers[0].Name: h.Serials[2*round], h.lease.Readers[1].Name: h.Serials[2*round+1]}
		for _, serial := range slots { // while the keys can be asked for
			h.make(serial, card.Fault{SlowMS: 150})
		}
		for reader, serial := range slots {
			require.NoError(t, h.sam.Insert(t.Context(), reader, serial))
		}
		for reader := range slots {
			h.waitFor(reader, "a card on the line", func(s line.ReaderStatus) bool { return s.Step != "" })
		}
		require.NoError(t, os.Rename(h.hsm.Dir, away))
		for reader := range slots {
			h.waitFor(reader, "waiting", func(s line.ReaderStatus) bool {
				return s.State == "wait" && strings.Contains(s.Reason, "jangan ambil kartu")
			})
		}
		require.Eventually(t, func() bool {
			code, body := h.ready()
			return code == http.StatusServiceUnavailable && strings.Contains(body, "HSM token is not reachable")
		}, patience, 20*time.Millisecond)
		require.NoError(t, os.Rename(away, h.hsm.Dir))
		for reader, serial := range slots {
			got := h.waitFor(reader, "clear", outcome)
			require.Equal(t, "clear", got.Outcome, got.Reason)
			require.Equal(t, perso.Clear, h.Card(t, serial).State)
			require.NoError(t, h.sam.Remove(t.Context(), reader))
			h.waitFor(reader, "an empty slot", func(s line.ReaderStatus) bool { return s.Instruction == "masukkan" })
		}
		require.Eventually(t, func() bool { code, _ := h.ready(); return code == http.StatusOK }, patience, 20*time.Millisecond)
	}
	require.NoError(t, h.station.Process.Signal(syscall.Signal(0)), "the process that was started")
	var failed, doubts int
	require.NoError(t, h.DB.Get(t.Context(), &failed, `SELECT coalesce(sum(failures), 0) FROM chip_authentication`))
	require.Zero(t, failed)
	require.NoError(t, h.DB.Get(t.Context(), &doubts, `SELECT count(*) FROM history WHERE machine = 'card' AND to_state = 'in_doubt'`))
	require.Zero(t, doubts)
	h.judge()
	h.noSecrets()
}
