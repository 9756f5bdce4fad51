package story

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

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

// horizon is how many days ahead the demo looks for planned cards.
const horizon = 60

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
	slots, err := p.slots(ctx)
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
	open, next, err := p.planned(ctx)
	if err != nil {
		return false, err
	}
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
	waiting = slices.DeleteFunc(waiting, func(s string) bool { return held[s] })
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
			if err := p.sam.Remove(ctx, r.Name); err != nil {
				return acted, err
			}
			acted = true
		}
	}
	empty := !slices.ContainsFunc(slots, func(s hand.Slot) bool { return s.Serial != "" })
	if !acted && !open && next != nil && empty && v.Cards.Open > 0 {
		p.stepTo(next.At(7, 31)) // nothing more today: come back when cards are planned
		return true, nil
	}
	return acted, nil
}

func (p *play) slots(ctx context.Context) ([]hand.Slot, error) {
	var status struct {
		Values struct {
			Readers []hand.Slot `json:"readers"`
		} `json:"values"`
	}
	station := people.NewProgram(p.Station, "")
	_, err := station.Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/status"}, &status)
	return status.Values.Readers, err
}

// planned says whether cards may be personalised today, and the next day for
// which some are planned.
func (p *play) planned(ctx context.Context) (today bool, next *clock.Date, err error) {
	now := clock.Today(p.office)
	var board struct {
		Days []struct {
			Day       clock.Date `json:"day"`
			Remaining int        `json:"remaining"`
		} `json:"days"`
	}
	_, err = p.staff["operator"].Do(ctx, people.Call{Method: http.MethodGet,
		Path: fmt.Sprintf("/api/v1/days?from=%s&to=%s", now, now.AddDays(horizon))}, &board)
	if err != nil {
		return false, nil, err
	}
	for _, d := range board.Days {
		if d.Remaining == 0 {
			continue
		}
		if d.Day == now {
			return true, nil, nil
		}
		return false, &d.Day, nil
	}
	return false, nil, nil
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
