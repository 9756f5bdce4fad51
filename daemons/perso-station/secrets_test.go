package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/test/leak"
)

// holdTemp gives the station a directory for temporary files, and keeps what passes
// through it.
func (h *hall) holdTemp() {
	h.temp, h.held = h.t.TempDir(), h.t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	ended := leak.Hold(ctx, h.temp, h.held)
	h.t.Cleanup(func() {
		stop()
		<-ended
	})
}

// secrets are what must be found nowhere: every key of every chip and session, every
// CONF with what opens its card, the masters (which only a test can know), the PIN and
// the passwords.
func (h *hall) secrets() *leak.Secrets {
	h.t.Helper()
	s := &leak.Secrets{}
	for label, value := range h.masters {
		require.NoError(h.t, s.Add(label, value))
	}
	require.Len(h.t, h.masters, 3)
	require.NoError(h.t, s.AddChips(h.t.Context(), h.sam))
	confs, err := s.AddCards(h.t.Context(), h.DB, h.token)
	require.NoError(h.t, err)
	require.Positive(h.t, confs, "no card was begun")
	require.NoError(h.t, s.AddText("PIN of the token", h.hsm.PIN))
	require.NoError(h.t, s.AddFile(h.Database.Config(h.t, "sifilma_perso_station").PasswordFile))
	require.NoError(h.t, s.AddFile(h.broker.Config("").PasswordFile))
	return s
}

// noSecrets looks for them in all that the station has said and kept: its log, journal,
// failures with their traces, temporary files, pages and answers while it runs, the
// whole database, and the messages that wait in the broker.
func (h *hall) noSecrets(more ...string) {
	h.t.Helper()
	search := leak.NewSearch(h.secrets())
	text := h.log.String()
	require.Contains(h.t, text, "card is clear")
	search.Text("log", []byte(text))
	for _, serial := range h.Serials { // half of what opens a SAM; the database may have it, the log may not
		if pcid := h.Card(h.t, serial).PCID; pcid != "" {
			require.NotContains(h.t, strings.ToUpper(text), pcid)
		}
	}
	for i, one := range more {
		search.Text([]string{"page", "lamp"}[i], []byte(one))
	}
	for _, dir := range []string{filepath.Dir(h.config), h.temp, h.held} {
		require.NoError(h.t, search.Dir(dir))
	}
	require.Contains(h.t, search.Looked(), filepath.Join(filepath.Dir(h.config), "station", "journal.jsonl"))
	if h.station.ProcessState == nil && h.station.Process.Signal(syscall.Signal(0)) == nil {
		for _, path := range []string{"/", "/layar", "/api/v1/station", "/api/v1/status", "/metrics", "/livez", "/readyz"} {
			require.NoError(h.t, search.Get(h.t.Context(), "http://"+h.address+path))
		}
	}
	require.NoError(h.t, search.Database(h.t.Context(), "pg_dump", h.Database.URL(h.t, "")))
	h.searchMessages(search)
	require.Empty(h.t, search.Findings())
	require.Empty(h.t, search.Closed())
}

// searchMessages reads the messages in all queues, which stay there.
func (h *hall) searchMessages(search *leak.Search) {
	h.t.Helper()
	var queues []struct{ Name string }
	h.broker.API(h.t, http.MethodGet, "queues", "?columns=name", nil, &queues)
	require.NotEmpty(h.t, queues)
	for _, q := range queues {
		var messages []struct {
			Payload    string          `json:"payload"`
			RoutingKey string          `json:"routing_key"`
			Properties json.RawMessage `json:"properties"`
		}
		wish := map[string]any{"count": 1000, "ackmode": "ack_requeue_true", "encoding": "base64"}
		h.broker.API(h.t, http.MethodPost, "queues", "/"+q.Name+"/get", wish, &messages)
		for _, m := range messages {
			payload, err := base64.StdEncoding.DecodeString(m.Payload)
			require.NoError(h.t, err)
			search.Text("queue "+q.Name, append(payload, m.Properties...))
		}
	}
}
