package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/ebfe/scard"
	"golang.org/x/sync/errgroup"
)

const (
	persoReaders = 4
	benchReaders = persoReaders + 1 // one more, of which the station knows nothing
	persoCards   = 6                // of a reader in a round
	persoSlow    = 20               // ms that a card takes for a command

	addedPromise = 60.0 // ms of a card
	fourPromise  = 3.7  // times the cards of one reader
)

// benchPerso has the station write cards through pcscd, and holds the time of a card,
// from its first command to clear, against a bare loop of as many commands to a card
// in another reader.
func benchPerso(ctx context.Context, g *ground) (err error) {
	h, err := newHall(ctx, g, (g.rounds+1)*persoCards*(2+persoReaders))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	if _, err := h.write(ctx, 1, persoCards, 0); err != nil { // its connections and plans are made
		return err
	}
	var one, bare, four, instant, ratio, added result
	for _, r := range []struct {
		to   *result
		name string
	}{{&one, "one"}, {&bare, "bare-loop"}, {&four, "four"}, {&instant, "instant"}, {&ratio, "four-to-one"}, {&added, "added"}} {
		r.to.name = r.name
	}
	for n := range g.rounds {
		alone, err := h.write(ctx, 1, persoCards, persoSlow)
		if err != nil {
			return err
		}
		floor, err := h.loop(ctx, alone.commands, persoSlow)
		if err != nil {
			return err
		}
		together, err := h.write(ctx, persoReaders, persoCards, persoSlow)
		if err != nil {
			return err
		}
		fast, err := h.write(ctx, 1, persoCards, 0)
		if err != nil {
			return err
		}
		one.values, bare.values, four.values = append(one.values, alone.card), append(bare.values, floor), append(four.values, together.card)
		instant.values = append(instant.values, fast.card)
		added.values = append(added.values, alone.card-floor)
		ratio.values = append(ratio.values, together.perHour/alone.perHour)
		fmt.Printf("round perso %d/%d one=%s bare-loop=%s commands=%d four=%s instant=%s cards_per_hour=%.0f four_cards_per_hour=%.0f load=%s\n", n+1, g.rounds,
			figure(alone.card), figure(floor), alone.commands, figure(together.card), figure(fast.card), alone.perHour, together.perHour, load())
	}
	compare(os.Stdout, "perso-card", "ms", one, bare)
	compare(os.Stdout, "perso-added", "ms", added, limit("promise", addedPromise))
	compare(os.Stdout, "perso-four-readers", "times-one", ratio, limit("promise", fourPromise))
	compare(os.Stdout, "perso-four-card", "ms", four, one)
	compare(os.Stdout, "perso-instant", "ms", instant, one)
	return nil
}

// lot is what writing some cards took.
type lot struct {
	card     float64 // ms, median, from the first command to clear
	commands int     // to a card, median
	perHour  float64 // cards of all readers, with the change of cards
}

// write has n cards written in each of some readers at once, each card taken out and
// followed by the next as soon as it is clear.
func (h *hall) write(ctx context.Context, readers, n, slow int) (lot, error) {
	serials := make([][]string, readers)
	for i := range serials {
		for range n {
			serial, err := h.chip(ctx, slow)
			if err != nil {
				return lot{}, err
			}
			serials[i] = append(serials[i], serial)
		}
	}
	clear := make([][]time.Time, readers)
	began := time.Now()
	group, gctx := errgroup.WithContext(ctx)
	for i := range readers {
		group.Go(func() error {
			for _, serial := range serials[i] {
				at, err := h.present(gctx, h.readers[i].Name, serial)
				if err != nil {
					return fmt.Errorf("card %s: %w", serial, err)
				}
				clear[i] = append(clear[i], at)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return lot{}, err
	}
	took := time.Since(began)
	_, chips, err := h.sam.List(ctx)
	if err != nil {
		return lot{}, err
	}
	first, commands := map[string]time.Time{}, map[string]int{}
	for _, c := range chips {
		first[c.ID], commands[c.ID] = c.First, c.Commands
	}
	var ms []float64
	var counts []int
	for i := range serials {
		for j, serial := range serials[i] {
			ms = append(ms, milliseconds(clear[i][j].Sub(first[serial])))
			counts = append(counts, commands[serial])
		}
	}
	slices.Sort(ms)
	slices.Sort(counts)
	return lot{card: ms[len(ms)/2], commands: counts[len(counts)/2], perHour: float64(len(ms)) / took.Hours()}, nil
}

// loop sends so many commands to a card, one after the other, by nothing but the PC/SC
// library, and returns ms from the first one's arrival to the last one's answer.
func (h *hall) loop(ctx context.Context, commands, slow int) (ms float64, err error) {
	reader := h.readers[persoReaders].Name
	id, err := h.make(ctx, fmt.Sprint("bare-", time.Now().UnixNano()), slow)
	if err != nil {
		return 0, err
	}
	if err := h.sam.InsertAndWait(ctx, reader, id, 10*time.Second); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, h.sam.Remove(ctx, reader)) }()
	pcsc, err := scard.EstablishContext()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, pcsc.Release()) }()
	var c *scard.Card
	if err := until(ctx, 20*time.Millisecond, 10*time.Second, "the card", func() (bool, error) {
		var err error
		c, err = pcsc.Connect(reader, scard.ShareExclusive, scard.ProtocolT1)
		return err == nil, nil
	}); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Disconnect(scard.ResetCard)) }()
	began := time.Now()
	for range commands {
		if _, err := c.Transmit([]byte{0x80, 0xCA, 0x00, 0x66, 0x00}); err != nil { // GET DATA, GPC 2.3.1 section 11.3
			return 0, err
		}
	}
	return milliseconds(time.Since(began)), nil
}
