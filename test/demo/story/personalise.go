package story

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/test/demo/hand"
	"dukcapil.go.id/sifilma/test/demo/people"
	virtual "dukcapil.go.id/sifilma/test/virtualsam/card"
)

// faults of the sample's faulty cards, by row of the list.
var faults = map[int]virtual.Fault{
	7:  {MemoryFailureAt: virtual.StepCONF},
	19: {MemoryFullAt: virtual.StepManifest},
}

// personalise is what the hand at the readers and the staff beside it do: put
// cards in and take them out as the station says, register replacements of
// failed cards, decide on cards in doubt, and come back on the planned day.
func (p *play) personalise(ctx context.Context, v view) (acted bool, err error) {
	list, err := p.cards(ctx, v.Ticket)
	if err != nil {
		return false, err
	}
	bySerial := map[string]card{}
	for _, c := range list {
		bySerial[c.Serial] = c
	}
	slots, err := hand.Slots(ctx, people.NewProgram(p.Station, ""))
	if err != nil {
		return false, err
	}
	inserted := map[string]bool{}
	for _, s := range slots {
		if s.Serial != "" {
			inserted[s.Serial] = true
		}
	}
	if acted, err = p.decide(ctx, list, inserted); acted || err != nil {
		return acted, err
	}
	plan, err := p.plan(ctx, v.Ticket)
	if err != nil {
		return false, err
	}
	open := plan.begun(clock.Today(p.office))
	var waiting []string
	for _, c := range list {
		if (c.waiting() && open || c.State == "in_doubt") && !inserted[c.Serial] {
			waiting = append(waiting, c.Serial)
		}
	}
	readers, _, err := p.sam.List(ctx)
	if err != nil {
		return false, err
	}
	byName := map[string]hand.Slot{}
	for _, s := range slots {
		byName[s.Name] = s
	}
	//nolint:gosec // the order in which a hand takes cards is no secret
	rand.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
	held := map[string]bool{}
	for _, r := range readers {
		held[r.ID] = true
	}
	waiting = slices.DeleteFunc(waiting, func(s string) bool { return held[s] || !p.turned.may(s, time.Now()) })
	for _, r := range readers {
		slot, known := byName[r.Name]
		switch {
		case r.ID == "" && len(waiting) > 0:
			serial := waiting[0]
			waiting = waiting[1:]
			if err := p.maker.Make(ctx, serial, faults[bySerial[serial].Row]); err != nil {
				return acted, err
			}
			if err := p.sam.Insert(ctx, r.Name, serial); err != nil {
				return acted, err
			}
			acted = true
		case r.ID != "" && known && slot.Serial == r.ID && slot.May() && !(slot.InDoubt() && bySerial[r.ID].State == "in_doubt"),
			r.ID != "" && known && slot.Outcome == "refused" && slot.May():
			if slot.Outcome == "refused" {
				if err := p.turned.note(r.ID, slot.Reason, time.Now()); err != nil {
					return acted, err
				}
			}
			if err := p.sam.Remove(ctx, r.Name); err != nil {
				return acted, err
			}
			acted = true
		}
	}
	empty := !slices.ContainsFunc(slots, func(s hand.Slot) bool { return s.Serial != "" })
	if !acted && !open && empty && v.Cards.Open > 0 {
		return p.await(ctx, plan) // nothing more today: come back when cards are planned
	}
	return acted, nil
}

// decide plays the staff: replacements for failed cards, and the two people who
// resolve a card in doubt.
func (p *play) decide(ctx context.Context, list []card, inserted map[string]bool) (bool, error) {
	post := func(role, id, what string, body any) error {
		_, err := p.staff[role].Do(ctx, people.Call{Method: http.MethodPost, Path: "/api/v1/cards/" + id + "/" + what, JSON: body}, nil)
		return err
	}
	rows := len(list)
	for _, c := range list {
		switch {
		case (c.State == "failed" || c.State == "spoiled") && c.ReplacedBy == "":
			rows++
			serial := fmt.Sprintf("%sR%02d", c.Serial[:len(c.Serial)-3], rows)
			if err := post("operator", c.ID, "replacement", map[string]any{"serial": serial}); err != nil {
				return false, err
			}
			p.out.Say("  Kartu %s gagal (%s); pengganti %s didaftarkan.", c.Serial, strings.TrimSpace(c.Reason), serial)
			return true, nil
		case c.State == "in_doubt" && c.Resolution == nil:
			decision, reason := c.Proposal, "sesuai usul stasiun setelah kartu dibaca"
			if decision == "" && !p.maker.Made(c.Serial) {
				decision, reason = "spoil", "kartu tidak ditemukan lagi"
			}
			if decision == "" {
				continue // the station has still to read it
			}
			if err := post("operator", c.ID, "resolution", map[string]any{"decision": decision, "reason": reason}); err != nil {
				return false, err
			}
			p.out.Say("  Kartu %s dalam keraguan; Operator KI mengusulkan %q.", c.Serial, decision)
			return true, nil
		case c.State == "in_doubt" && c.Resolution != nil && c.Resolution.Open():
			if err := post("kasubdit", c.ID, "resolution/confirmation", map[string]any{}); err != nil {
				return false, err
			}
			return true, nil
		}
	}
	return false, nil
}
