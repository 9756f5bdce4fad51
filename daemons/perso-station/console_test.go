package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/console"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/contract"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// call asks the station something, and holds the answer to its description.
func (h *hall) call(method, path, body string) (status int, answer []byte) {
	h.t.Helper()
	q, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.address+path, strings.NewReader(body))
	require.NoError(h.t, err)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Transport: contract.Transport(h.t, "perso-station", http.DefaultTransport)}
	res, err := client.Do(q)
	require.NoError(h.t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	require.NoError(h.t, err)
	return res.StatusCode, answer
}

func (h *hall) view() (v console.View) {
	h.t.Helper()
	status, answer := h.call(http.MethodGet, "/api/v1/station", "")
	require.Equal(h.t, http.StatusOK, status, "%s", answer)
	require.NoError(h.t, json.Unmarshal(answer, &v))
	return v
}

// order runs the program as people at the station do.
func (h *hall) order(args ...string) (code int, says string) {
	h.t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "-config", h.config)...)
	cmd.Env = append(os.Environ(), roleVariable+"=station")
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestPeopleAtTheStation: paused before it ever ran, let go on, paused and killed,
// drained; a failure with its trace, a lamp; and nothing of a key or CONF in what it
// says or keeps.
func TestPeopleAtTheStation(t *testing.T) {
	h := newHall(t, 3, 1)
	told := filepath.Join(t.TempDir(), "lamp")
	h.console = map[string]any{"signal": []string{"/bin/sh", "-c", `echo "$1|$2" >> "$0"`, told}, "signal_timeout": "1m"}
	h.writeConfig()
	reader := h.lease.Readers[0].Name
	ctx := t.Context()

	code, says := h.order("-pause", "-by", "Sari")
	require.Equal(t, 2, code, says)
	require.Contains(t, says, "Alasan wajib diisi")
	code, says = h.order("-pause", "-by", "Sari", "-reason", "belum ada petugas")
	require.Equal(t, 0, code, says)
	require.Equal(t, "uji-1: dijeda, Sari\n", says)
	h.start()
	h.make(h.Serials[0], card.Fault{})
	require.NoError(t, h.sam.Insert(ctx, reader, h.Serials[0]))
	paused := "Stasiun dijeda oleh Sari: belum ada petugas"
	h.waitFor(reader, "the card to wait", func(s line.ReaderStatus) bool { return s.Reason == paused })
	require.Equal(t, perso.Listed, h.Card(t, h.Serials[0]).State)
	v := h.view()
	require.Equal(t, perso.Paused, v.Standing.Mode)
	require.Equal(t, "tunggu", v.Readers[0].Word)
	require.Equal(t, h.Serials[0], v.Readers[0].Serial)
	status, answer := h.call(http.MethodPost, "/api/v1/station/resume", `{"by": "Budi"}`)
	require.Equal(t, http.StatusOK, status, "%s", answer)
	require.Equal(t, "clear", h.waitFor(reader, "clear", outcome).Outcome)
	require.NoError(t, h.sam.Remove(ctx, reader))

	// Killed while it is paused, and started by a machine: it is paused still.
	status, _ = h.call(http.MethodPost, "/api/v1/station/pause", `{"by": "Sari", "reason": "belum ada petugas"}`)
	require.Equal(t, http.StatusOK, status)
	h.kill()
	h.make(h.Serials[1], card.Fault{})
	require.NoError(t, h.sam.Insert(ctx, reader, h.Serials[1]))
	h.start()
	h.waitFor(reader, "the card to wait", func(s line.ReaderStatus) bool { return s.Reason == paused })
	require.Equal(t, perso.Listed, h.Card(t, h.Serials[1]).State)
	form := url.Values{"by": {"Budi"}}
	res, err := http.PostForm("http://"+h.address+"/lanjut", form)
	require.NoError(t, err)
	page, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, string(page), "Bekerja")
	require.Equal(t, "clear", h.waitFor(reader, "clear", outcome).Outcome)
	require.Eventually(t, func() bool { v = h.view(); return v.Day != nil && v.Day.Clear == 2 }, patience, patienceStep)
	require.Equal(t, 2, v.Day.Own)
	require.Equal(t, 1, v.Day.Waiting)
	require.Equal(t, 250, v.Day.Capacity)
	require.Equal(t, 1, v.Pace.LastHour)
	require.NoError(t, h.sam.Remove(ctx, reader))

	// Drained: nothing is in hand, and no card is spoken to until it goes on.
	code, says = h.order("-drain", "-by", "Sari", "-reason", "HSM dicabut")
	require.Equal(t, 0, code, says)
	require.Eventually(t, func() bool { return h.view().Drained }, patience, patienceStep)
	h.make(h.Serials[2], card.Fault{VanishAtStep: card.StepPutKey, Executed: true})
	require.NoError(t, h.sam.Insert(ctx, reader, h.Serials[2]))
	h.waitFor(reader, "the card to wait", func(s line.ReaderStatus) bool { return s.Reason == "Stasiun dikosongkan oleh Sari: HSM dicabut" })
	code, says = h.order("-resume", "-by", "Budi")
	require.Equal(t, 0, code, says)
	require.Eventually(t, func() bool { return h.Card(t, h.Serials[2]).State == perso.InDoubt }, patience, patienceStep)
	require.Eventually(t, func() bool { v = h.view(); return len(v.Failures) > 0 }, patience, patienceStep)
	failure := v.Failures[0]
	require.Equal(t, h.Serials[2], failure.Serial)
	require.Equal(t, "in_doubt", failure.Outcome)
	lost := -1
	for i, x := range failure.Trace {
		if x.Fault != "" && lost < 0 {
			lost = i
		}
	}
	require.Positive(t, lost)
	require.Equal(t, "keys", failure.Trace[lost].Step)
	require.Equal(t, "84D8", failure.Trace[lost].Header[:4], "PUT KEY")
	require.Equal(t, "outcome_unknown", failure.Trace[lost].Fault)

	rows, err := perso.Stations(ctx, h.DB)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.False(t, rows[0].Silent)
	require.Equal(t, "Budi", rows[0].By)
	require.Equal(t, 1, rows[0].Readers)
	var orders int
	require.NoError(t, h.DB.Get(ctx, &orders, `SELECT count(*) FROM audit WHERE action LIKE 'station.%' AND subject = 'uji-1' AND actor IN ('Sari', 'Budi')`))
	require.Equal(t, 6, orders)
	h.noSecrets(string(page)) // while it shows the failure's trace
	require.NoError(t, h.station.Process.Signal(os.Interrupt))
	require.NoError(t, h.station.Wait())
	lamp, err := os.ReadFile(told)
	require.NoError(t, err)
	for _, word := range []string{"tunggu", "masukkan", "ambil"} {
		require.Contains(t, string(lamp), word+"|"+reader+"\n")
	}
	require.True(t, strings.HasSuffix(string(lamp), "tunggu|"+reader+"\n"), "it goes out with the station")

	kept, err := filepath.Glob(filepath.Join(filepath.Dir(h.config), "station", "*"))
	require.NoError(t, err)
	require.Len(t, kept, 2, "the journal and the failures")
	h.noSecrets(string(page), string(lamp))
}
