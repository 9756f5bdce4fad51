package line

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// States of a slot, as the status shows them.
const (
	empty    = "empty"
	working  = "working"
	take     = "take"      // finished: take the card out
	setAside = "set_aside" // take it out and put it apart
	wait     = "wait"      // something is away; leave the card
	refused  = "refused"
	awaited  = "scan" // its printed serial is to be scanned
)

// Outcomes of a card, as the status shows them.
const (
	outcomeClear   = "clear"
	outcomeFailed  = "failed"
	outcomeInDoubt = "in_doubt"
	outcomeRefused = "refused"
)

// instructions tell the feeder's hand what to do.
var instructions = map[string]string{
	empty: "masukkan", working: "tunggu", wait: "tunggu", take: "ambil", setAside: "sisihkan", refused: "sisihkan",
	awaited: "pindai",
}

// view is what a slot shows.
type view struct {
	State   string
	Serial  string
	Chip    string
	Outcome string
	Reason  string
	CardID  string
	Step    string
	Dead    bool
}

// ReaderStatus is one slot in the station's status.
type ReaderStatus struct {
	Name        string    `json:"name"`
	State       string    `json:"state"`
	Instruction string    `json:"instruction"` // masukkan, tunggu, ambil, sisihkan, pindai
	Serial      string    `json:"serial"`
	Chip        string    `json:"chip"`
	Outcome     string    `json:"outcome"` // clear, failed, in_doubt, refused, or empty
	Reason      string    `json:"reason"`
	CardID      string    `json:"card_id"`
	Step        string    `json:"step"`
	Dead        bool      `json:"dead"` // refused, for it is known as failed or spoiled: nobody will ever use it
	Since       time.Time `json:"since"`
	Count       uint64    `json:"count"` // of views shown: tells two like ones apart
	Last        *Last     `json:"last"`  // outcome of the card before, for whoever looks late
}

// Last is the outcome of the card that left a slot.
type Last struct {
	Serial  string    `json:"serial"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	CardID  string    `json:"card_id"`
	At      time.Time `json:"at"`
}

type slot struct {
	name string
	to   Observer // of what it shows; may be nil

	mu    sync.Mutex
	view  view
	since time.Time
	count uint64
	last  *Last
}

func (s *slot) show(v view) {
	if s.change(v) && s.to != nil {
		s.to.Shown(s.status())
	}
}

func (s *slot) change(v view) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v == s.view {
		return false
	}
	if old := s.view; old.Outcome != "" && v.State == empty {
		s.last = &Last{Serial: old.Serial, Outcome: old.Outcome, Reason: old.Reason, CardID: old.CardID, At: s.since}
	}
	s.view, s.since = v, time.Now().UTC()
	s.count++
	return true
}

func (s *slot) shown() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

// amend changes part of what is shown.
func (s *slot) amend(f func(v *view)) {
	v := s.shown()
	f(&v)
	s.show(v)
}

func (s *slot) status() ReaderStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	return ReaderStatus{
		Name: s.name, State: v.State, Instruction: instructions[v.State], Serial: v.Serial, Chip: v.Chip, Outcome: v.Outcome,
		Reason: v.Reason, CardID: v.CardID, Step: v.Step, Dead: v.Dead, Since: s.since, Count: s.count, Last: s.last,
	}
}

func (l *Line) slot(name string) *slot {
	s := &slot{name: name, to: l.Observer}
	s.show(view{State: wait, Reason: "Pembaca kartu sedang disiapkan"})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots = append(l.slots, s)
	slices.SortFunc(l.slots, func(a, b *slot) int { return strings.Compare(a.name, b.name) })
	return s
}

func (l *Line) remove(s *slot) {
	l.mu.Lock()
	l.slots = slices.DeleteFunc(l.slots, func(other *slot) bool { return other == s })
	l.mu.Unlock()
	if l.Observer != nil {
		l.Observer.Gone(s.name)
	}
}

// Readers returns what each slot shows, by name of the reader.
func (l *Line) Readers() []ReaderStatus {
	l.mu.Lock()
	slots := slices.Clone(l.slots)
	l.mu.Unlock()
	out := make([]ReaderStatus, len(slots))
	for i, s := range slots {
		out[i] = s.status()
	}
	return out
}
