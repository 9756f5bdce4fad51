package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/line"
	"dukcapil.go.id/sifilma/deploy/local"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
)

// TestALotUnderKills writes a small lot with a fault in every third card while the
// station is killed again and again; the long test does so with a day's cards.
func TestALotUnderKills(t *testing.T) {
	lotUnderKills(t, lotPlan{cards: 12, readers: 2, faulty: 0.34, ended: 3})
}

// lotPlan is how a lot is disturbed.
type lotPlan struct {
	cards, readers int
	faulty         float64 // share of cards with a fault
	// A station that is ready lives until so many cards have come to their end, while
	// the next are being written, or for so long; whichever is set.
	ended int
	every time.Duration
}

// faults are what a card of a lot can have, of each kind that a line meets.
func faults(draw *rand.Rand) card.Fault {
	steps := []card.Step{card.StepMarker, card.StepStatus, card.StepPCID, card.StepManifest, card.StepCONF, card.StepPutKey}
	step, executed := steps[draw.IntN(len(steps))], draw.IntN(2) == 0
	return []card.Fault{
		{VanishAtStep: step, Executed: executed},
		{MuteAtStep: step, Executed: executed},
		{EmptyAtStep: step, Executed: executed},
		{VanishAtAPDU: 1 + draw.IntN(25), Executed: executed},
		{MemoryFailureAt: step},
		{MemoryFullAt: step},
		{SecurityAt: step},
		{WrongCryptogram: true},
		{WrongKCV: true},
	}[draw.IntN(9)]
}

// lotUnderKills has people feed a lot to all readers of a station that is killed all
// the while. They take a card out when they are told to, put one in again that was in
// doubt or torn out, and decide about doubts as the station proposes; nothing else. In
// the end every card is clear, failed or spoiled, and all accounts agree.
func lotUnderKills(t *testing.T, plan lotPlan) {
	seed := rand.Uint64()
	if text := os.Getenv("SIFILMA_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("SIFILMA_SEED=%d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	h := newHall(t, plan.cards, plan.readers)
	h.ownToken()
	faulty := 0
	for _, serial := range h.Serials {
		var fault card.Fault
		if draw.Float64() < plan.faulty {
			fault = faults(draw)
			faulty++
		}
		h.make(serial, fault)
	}
	h.start()

	var next, verbs atomic.Int64
	over := make(chan struct{}, len(h.Serials))
	feeders, ctx := errgroup.WithContext(t.Context())
	for _, r := range h.lease.Readers {
		feeders.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(h.Serials) {
					return nil
				}
				n, err := h.feed(ctx, r.Name, h.Serials[i], h.CardIDs[i], false)
				if err != nil {
					return fmt.Errorf("card %s in %s: %w", h.Serials[i], r.Name, err)
				}
				verbs.Add(int64(n))
				over <- struct{}{}
			}
		})
	}
	done := make(chan error, 1)
	go func() { done <- feeders.Wait() }()
	var life <-chan time.Time
	if plan.every > 0 {
		ticker := time.NewTicker(plan.every)
		defer ticker.Stop()
		life = ticker.C
	}
	kills, ends := 0, 0
	for {
		select {
		case err := <-done:
			require.NoError(t, err)
			t.Logf("cards=%d faulty=%d kills=%d doubts decided=%d", plan.cards, faulty, kills, verbs.Load())
			require.Positive(t, kills, "the lot was over before the first kill")
			h.settled()
			return
		case <-over:
			if ends++; plan.ended == 0 || ends%plan.ended > 0 || ends == len(h.Serials) {
				continue
			}
		case <-life:
		}
		h.kill()
		kills++
		h.start()
	}
}

// cardLimit is how long a card may take, with all kills.
const cardLimit = 2 * time.Minute

// ownToken gives the station a copy of the token, anew before each start: SoftHSM
// writes in place, and a process that is killed meanwhile leaves no token.
func (h *hall) ownToken() {
	dir := filepath.Join(h.t.TempDir(), "token")
	h.tokens = filepath.Join(dir, "tokens")
	h.before = func() []string {
		own, err := local.HSM{Module: h.hsm.Module, Config: h.hsm.Config, Label: h.hsm.Label, PINFile: h.hsm.PINFile}.CopyTo(dir)
		require.NoError(h.t, err)
		return []string{"SOFTHSM2_CONF=" + own.Config}
	}
}

// feed brings one card, inside the reader or not, to its end, and returns how many
// doubts people decided.
func (h *hall) feed(ctx context.Context, reader, serial, cardID string, inside bool) (decided int, err error) {
	ctx, cancel := context.WithTimeout(ctx, cardLimit)
	defer cancel()
	told := uint64(0)
	var c perso.Card
	var s line.ReaderStatus
	for ctx.Err() == nil {
		if c, err = perso.Get(ctx, h.DB, cardID); err != nil {
			break
		}
		var known bool
		s, known = h.slot(reader)
		switch {
		case ended(c.State) && inside:
			if !known || s.Outcome == "" && s.Instruction != "masukkan" && s.Instruction != "sisihkan" {
				break // the people at the reader are told in a moment
			}
			_ = h.sam.Remove(ctx, reader) // it may have been torn out
			inside = false
		case ended(c.State):
			if known && s.Instruction == "masukkan" {
				return decided, nil
			}
		case !inside:
			if known && s.Instruction == "masukkan" {
				if err := h.sam.Insert(ctx, reader, serial); err != nil {
					return decided, err
				}
				inside = true
			}
		case h.torn(ctx, reader):
			inside = false
		case known && s.Instruction == "sisihkan" && s.Outcome == "": // it holds the reader
			_ = h.sam.Remove(ctx, reader)
			inside = false
		case c.State == perso.InDoubt && known && s.Outcome == "in_doubt":
			hand, err := perso.Reload(ctx, h.DB, cardID)
			if err != nil {
				return decided, err
			}
			if hand.Attempt.Proposal == "" {
				break
			}
			ok, err := h.decideAs(ctx, hand.Attempt.Proposal, hand.Card)
			if err != nil {
				return decided, err
			}
			if ok {
				decided++
			}
		case known && s.Outcome == "refused" && s.Count != told && s.Serial == serial:
			// Set aside with a reason; people put it in once more.
			told = s.Count
			_ = h.sam.Remove(ctx, reader)
			inside = false
		}
		pause(ctx)
	}
	return decided, fmt.Errorf("%w; the card is %s, in the slot: %t; the reader shows %+v", errors.Join(ctx.Err(), err), c.State, inside, s)
}

func pause(ctx context.Context) {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// decideAs has two people follow the station's proposal. When it has looked at the card
// again meanwhile, or taken it up by what was decided before, they look again too.
func (h *hall) decideAs(ctx context.Context, d perso.Decision, c perso.Card) (decided bool, err error) {
	err = h.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := perso.ProposeResolution(ctx, tx, perso.Seen{ID: c.ID, Version: c.Version}, d, persotest.Person("operator", request.Operator, "diputuskan dalam uji")); err != nil {
			return err
		}
		seen, err := perso.OpenDecision(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		_, err = perso.ConfirmResolution(ctx, tx, seen, persotest.Person("kasubdit", request.Kasubdit, ""))
		return err
	})
	if errors.Is(err, postgres.ErrStale) || errors.Is(err, perso.ErrNotInDoubt) {
		return false, nil
	}
	return err == nil, err
}

// torn tells that the reader's slot holds no card any more.
func (h *hall) torn(ctx context.Context, reader string) bool {
	readers, _, err := h.sam.List(ctx)
	if err != nil {
		return false
	}
	for _, r := range readers {
		if r.Name == reader {
			return r.ID == ""
		}
	}
	return false
}

func ended(s machine.State) bool { return s == perso.Clear || s == perso.Failed || s == perso.Spoiled }

// settled holds all accounts of a lot that is over against each other: the cards', the
// order's, the numbers', and the chips' own.
func (h *hall) settled() {
	h.t.Helper()
	ctx := h.t.Context()
	remaining, order := h.Remaining(h.t)
	require.Zero(h.t, remaining)
	require.Equal(h.t, "closed", order)
	tally, err := perso.Counts(ctx, h.DB, h.RequestID)
	require.NoError(h.t, err)
	require.Equal(h.t, len(h.Serials), tally.Clear+tally.Failed+tally.Spoiled, "%+v", tally)

	for serial, a := range h.accounts() {
		require.LessOrEqual(h.t, a.refusals, perso.MaxAuthentications, serial)
		require.LessOrEqual(h.t, a.keys, 1, serial)
		for _, step := range []card.Step{card.StepMarker, card.StepPCID, card.StepManifest} {
			require.LessOrEqual(h.t, len(a.contents[step]), 1, "%s %s: one content for each chip", serial, step)
		}
		if h.Card(h.t, serial).State == perso.Clear {
			require.Equal(h.t, 1, a.keys, serial)
			require.Len(h.t, a.contents[card.StepMarker], 1, serial)
		}
	}
	var doubles int
	require.NoError(h.t, h.DB.Get(ctx, &doubles, `
		SELECT count(*) FROM (SELECT 1 FROM card WHERE pcid IS NOT NULL GROUP BY pcid HAVING count(*) > 1
		            UNION ALL SELECT 1 FROM card WHERE manifest_no IS NOT NULL GROUP BY manifest_no HAVING count(*) > 1) AS d`))
	require.Zero(h.t, doubles)
	h.noSecrets()
}
