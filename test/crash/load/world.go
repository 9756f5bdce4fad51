// Package load is the work of the office in a crash run: produsen who drop
// requests, staff who decide, sign and hand over, hands at the readers with good
// and bad cards, and the days that pass.
package load

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/demo/hand"
	"dukcapil.go.id/sifilma/test/demo/people"
	"dukcapil.go.id/sifilma/test/virtualsam/control/client"
)

// Drop is a request as its sender knows it: the judge's evidence.
type Drop struct {
	Key, Reference string
	Cards          int
	Faulty         bool              // its list names a serial twice
	Files          map[string]string // digest by kind
	Tickets        []string          // of each 202 that came; one ticket, however often it was sent
	Before         []string          // tickets that a restore took away

	call people.Call // to send it once more
}

// World is everybody around the office.
type World struct {
	of    *office.Office
	seed  uint64
	clock clock.Office
	sam   *client.Client
	maker *hand.ChipMaker
	token *pkcs11.Token
	makes sync.Mutex // the chip maker serves one hand at a time
	skip  atomic.Int64

	mu      sync.Mutex
	drops   []*Drop
	answers []Answer
	open    []*job
	settled int
	wanted  map[string]bool // serials that a hand should bring
	strange []string        // answers that nobody should get
	lost    []*Drop         // to be sent again after a restore
	round   string          // of the dice: another one after each restore
}

// job is a request that somebody may have to act on.
type job struct {
	ticket string
	busy   bool
	over   bool
	last   string // what it looked like, for the report
	vain   bool   // somebody tried to act, and could not
	refuse string // why, if it was not a fault of the machine
	times  int    // so often in a row
	held   bool   // it was on hold once
	faulty bool   // it must be returned, and is cancelled then
	rng    *rand.Rand
}

// Enter makes the people of the office.
func Enter(ctx context.Context, of *office.Office, seed uint64) (*World, error) {
	w := &World{of: of, seed: seed, wanted: map[string]bool{}}
	var err error
	if w.clock, err = clock.OpenOffice("file:" + of.OfficeClock); err != nil {
		return nil, err
	}
	if w.sam, err = client.Dial(ctx, of.VirtualSAM); err != nil {
		return nil, err
	}
	if w.token, err = pkcs11.Open(pkcs11.Config{Module: of.Token.Module, TokenLabel: of.Token.Label, PINFile: of.Token.PINFile}); err != nil {
		return nil, errors.Join(err, w.sam.Close())
	}
	if w.maker, err = hand.NewChipMaker(ctx, w.sam, w.token); err != nil {
		return nil, errors.Join(err, w.sam.Close(), w.token.Close())
	}
	return w, nil
}

// Close lets go of the cards and the token.
func (w *World) Close() error { return errors.Join(w.sam.Close(), w.token.Close()) }

// dice are a worker's own, the same for the same seed.
func (w *World) dice(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return rand.New(rand.NewPCG(w.seed, h.Sum64())) //nolint:gosec // a test that must be repeatable
}

// Run works until ctx ends; drops stop with dropping.
func (w *World) Run(ctx, dropping context.Context) {
	var all sync.WaitGroup
	for i := range producers {
		all.Go(func() { w.produce(ctx, dropping, w.dice(fmt.Sprint("produsen", i)+w.round)) })
	}
	for i := range workers {
		all.Go(func() { w.staff(ctx, i) })
	}
	for _, station := range w.of.Addresses["perso-station"] {
		all.Go(func() { w.feed(ctx, station) })
	}
	all.Go(func() { w.days(ctx) })
	all.Wait()
}

// Drops are all requests that were sent.
func (w *World) Drops() []*Drop {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.drops)
}

// Strange are answers that nobody should have got.
func (w *World) Strange() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.strange)
}

func (w *World) surprise(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strange = append(w.strange, fmt.Sprintf(format, args...))
}

// Rest tells how many requests are at their end, and what the others wait for.
func (w *World) Rest() (settled int, unanswered int, waiting []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range w.open {
		waiting = append(waiting, j.ticket+" "+j.last)
	}
	for _, d := range w.drops {
		if len(d.Tickets) == 0 {
			unanswered++
		}
	}
	return w.settled, unanswered, waiting
}

// Failing are the requests on which somebody tried to act in vain, and what came
// of it.
func (w *World) Failing() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	failing := map[string]string{}
	for _, j := range w.open {
		if j.vain {
			failing[j.ticket] = j.last
		}
	}
	return failing
}

// day is a row of the calendar that the staff see.
type day struct {
	Day       clock.Date `json:"day"`
	Remaining int        `json:"remaining"`
}

// staffOf are people with each role, at either portal.
func (w *World) staffOf(r *rand.Rand) map[string]*people.Client {
	return w.staffAt(r.IntN(len(w.of.Addresses["portal"])))
}

func (w *World) staffAt(portal int) map[string]*people.Client {
	all := map[string]*people.Client{}
	for _, l := range w.of.Cast.Logins {
		all[l.Role] = people.NewPerson(w.of.Addresses["portal"][portal], l.Username, l.Password)
	}
	return all
}

func get(ctx context.Context, c *people.Client, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := c.Do(ctx, people.Call{Method: http.MethodGet, Path: path}, out)
	return err
}
