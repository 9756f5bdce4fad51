package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestPulledInAnyOrder pulls all that a station needs, and brings it back, in some of
// the orders that there are; the long test takes many.
func TestPulledInAnyOrder(t *testing.T) { pulledInAnyOrder(t, pulling{rounds: 3}) }

// need is something outside the station that can be pulled.
type need struct {
	name       string
	pull, back func()
	says       string // on the station's page, while it is away
	unready    string // in what /readyz answers; empty where others can work on
}

// ordersOf returns each order in which n things can be taken.
func ordersOf(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, rest := range ordersOf(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(rest), at, n-1))
		}
	}
	return all
}

// pulling is how things are pulled.
type pulling struct {
	rounds int
	dead   bool // half of the networks let nothing through, and say nothing
}

// pulledInAnyOrder has two cards in the middle of being written, pulls the HSM token,
// one of the readers, the network to the broker and the one to the database, and
// brings them back, so many times; of the 24 orders for each none comes twice before all
// came. The same process goes on by itself. A card whose own reader was pulled may be in
// doubt: then two people decide, as the station proposes. That is all that hands may do
// until it is clear.
func pulledInAnyOrder(t *testing.T, plan pulling) {
	seed := rand.Uint64()
	if text := os.Getenv("SIFILMA_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("SIFILMA_SEED=%d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	hub := harness.NewHub(t, 2)
	h := newHallAt(t, 2*plan.rounds, hub.Lease)
	h.before = func() []string { return []string{"PCSCLITE_CSOCK_NAME=" + hub.Socket} }
	h.recordKeys()
	h.start()
	away := filepath.Join(t.TempDir(), "away") // of the token
	t.Cleanup(func() { _ = os.Rename(away, h.hsm.Dir) })
	cut := func(line *harness.Relay) func() {
		if plan.dead && draw.IntN(2) == 0 {
			return line.Blackhole
		}
		return line.Cut
	}
	orders := ordersOf(4)
	outs, backs := slices.Clone(orders), slices.Clone(orders)
	decided := 0
	for round := range plan.rounds {
		serials, ids := h.Serials[2*round:2*round+2], h.CardIDs[2*round:2*round+2]
		pulled := draw.IntN(2)
		needs := []need{
			{"token", func() { require.NoError(t, os.Rename(h.hsm.Dir, away)) }, func() { require.NoError(t, os.Rename(away, h.hsm.Dir)) }, "HSM: tidak tersedia", "hsm"},
			{"reader", func() { hub.Pull(t, hub.Readers[pulled].Name) }, func() { hub.Plug(t, hub.Readers[pulled].Name) }, "Pembaca kartu tidak terhubung (" + hub.Readers[pulled].Name + ")", ""},
			{"network", cut(h.bells), h.bells.Resume, "RabbitMQ: tidak tersedia", "rabbitmq"},
			{"database", cut(h.network), h.network.Resume, "Basis data: tidak tersedia", "postgres"},
		}
		for i, serial := range serials { // while the keys can be asked for
			h.make(serial, card.Fault{SlowMS: 60})
			require.NoError(t, h.sam.Insert(t.Context(), hub.Readers[i].Name, serial))
		}
		for _, serial := range serials {
			h.untilHeard(serial, 4+draw.IntN(20))
			require.NotEqual(t, perso.Clear, h.Card(t, serial).State)
		}
		if round%len(orders) == 0 {
			draw.Shuffle(len(outs), func(i, j int) { outs[i], outs[j] = outs[j], outs[i] })
			draw.Shuffle(len(backs), func(i, j int) { backs[i], backs[j] = backs[j], backs[i] })
		}
		out, back := outs[round%len(orders)], backs[round%len(orders)]
		var order []string
		for _, n := range out {
			order = append(order, needs[n].name)
			needs[n].pull()
			if !plan.dead && draw.IntN(2) == 0 { // a silent network is noticed long after the cards are done
				h.says(needs[n])
			}
		}
		for _, n := range out {
			h.says(needs[n])
		}
		order = append(order, "back:")
		for _, n := range back {
			order = append(order, needs[n].name)
			needs[n].back()
			if draw.IntN(2) == 0 {
				h.saysNot(needs[n])
			}
		}
		t.Log(strings.Join(order, " "))
		require.Eventually(t, func() bool { code, _ := h.ready(); return code == http.StatusOK }, patience, patienceStep)
		for i := range serials {
			decided += h.clears(hub.Readers[i].Name, serials[i], ids[i], i == pulled)
		}
		for _, n := range needs {
			h.saysNot(n)
		}
	}
	t.Logf("rounds=%d doubts decided=%d", plan.rounds, decided)
	require.NoError(t, h.station.Process.Signal(syscall.Signal(0)), "the process that was started")
	h.judge()
	h.settled()
}

// untilHeard waits until a chip has had so many commands.
func (h *hall) untilHeard(serial string, commands int) {
	h.t.Helper()
	heard := []int{0}
	require.Eventually(h.t, func() bool {
		_, chips, err := h.sam.List(h.t.Context())
		if err != nil {
			return false
		}
		for _, c := range chips {
			if c.ID == serial {
				heard[0] = c.Commands
			}
		}
		return heard[0] >= commands
	}, patience, patienceStep, "chip %s heard %v commands", serial, &heard)
}

// page is the technician's page.
func (h *hall) page() string {
	res, err := http.Get("http://" + h.address + "/")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

// says waits until the station says, to people and to machines, that something is away.
func (h *hall) says(n need) {
	h.t.Helper()
	last := []string{""}
	require.Eventually(h.t, func() bool {
		code, body := h.ready()
		last[0] = body
		return strings.Contains(h.page(), n.says) && (n.unready == "" || code == http.StatusServiceUnavailable && strings.Contains(body, n.unready))
	}, patience, patienceStep, "nobody is told that the %s is away: %q", n.name, &last)
}

// saysNot waits until it says so no more.
func (h *hall) saysNot(n need) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return !strings.Contains(h.page(), n.says) }, patience, patienceStep, "the %s is back", n.name)
}

// clears waits until the card in a reader is clear without anybody's help, but for a
// doubt where there may be one; then it takes the card out. It returns how many doubts
// were decided.
func (h *hall) clears(reader, serial, id string, mayDoubt bool) (decided int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), cardLimit)
	defer cancel()
	for {
		c := h.Card(h.t, serial)
		s, known := h.slot(reader)
		require.NoError(h.t, ctx.Err(), "card %s is %s; the reader shows %+v", serial, c.State, s)
		require.False(h.t, ended(c.State) && c.State != perso.Clear, "card %s is %s: %s", serial, c.State, c.Reason)
		if c.State == perso.Clear && known && s.Instruction == "ambil" { // it is clear now, or was before it was pulled
			break
		}
		if c.State == perso.InDoubt && known && s.Outcome == "in_doubt" {
			require.True(h.t, mayDoubt, "card %s is in doubt, and its reader was there all the time: %s", serial, s.Reason)
			hand, err := perso.Reload(ctx, h.DB, id)
			require.NoError(h.t, err)
			stands, err := perso.Resolved(ctx, h.DB, hand.Card)
			require.NoError(h.t, err)
			if d := hand.Attempt.Proposal; d != "" && stands == "" {
				require.NotEqual(h.t, perso.DecideSpoil, d)
				ok, err := h.decideAs(ctx, d, hand.Card)
				require.NoError(h.t, err)
				if ok {
					decided++
				}
			}
		}
		pause(ctx)
	}
	require.NoError(h.t, h.sam.Remove(ctx, reader))
	h.waitFor(reader, "an empty slot", func(s line.ReaderStatus) bool { return s.Instruction == "masukkan" })
	return decided
}
