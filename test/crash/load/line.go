package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/workday"
	"dukcapil.go.id/sifilma/test/crash/office"
	"dukcapil.go.id/sifilma/test/demo/hand"
	"dukcapil.go.id/sifilma/test/demo/people"
	virtual "dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
)

const (
	impatient  = 1500 * time.Millisecond // then a hand may take its cards to another station
	tiredAfter = 20 * time.Second        // then a hand takes out a card that nothing happens to
	dayAtMost  = 10 * time.Second        // real time that a day's cards get
)

// feed is the hand at one station.
func (w *World) feed(ctx context.Context, station string) {
	r := w.dice(station)
	since := map[string]time.Time{} // when a reader got its card
	rude := map[string]time.Duration{}
	var away time.Time // since when the station does not answer
	for ctx.Err() == nil {
		acted, err := w.look(ctx, station, r, since, rude)
		switch {
		case err == nil:
			away = time.Time{}
		case ctx.Err() != nil:
		case away.IsZero():
			away = time.Now()
		case time.Since(away) > impatient:
			w.leave(ctx, r, since)
			away = time.Now()
		}
		if err != nil && ctx.Err() == nil {
			_ = office.Pause(ctx, 300*time.Millisecond)
		}
		if !acted {
			_ = office.Pause(ctx, 60*time.Millisecond)
		}
	}
}

func (w *World) look(ctx context.Context, station string, r *rand.Rand, since map[string]time.Time, rude map[string]time.Duration) (acted bool, err error) {
	slots, err := slotsOf(ctx, station)
	if err != nil {
		return false, err
	}
	readers, _, err := w.sam.List(ctx)
	if err != nil {
		return false, err
	}
	held := map[string]bool{}
	for _, rd := range readers {
		held[printed(rd.ID)] = true
	}
	for _, s := range slots {
		at := slices.IndexFunc(readers, func(o control.Reader) bool { return o.Name == s.Name })
		if at < 0 {
			continue
		}
		inside := readers[at].ID
		age := time.Since(since[s.Name])
		switch {
		case inside == "" && s.State == "empty":
			serial := w.pick(r, held)
			if serial == "" {
				continue
			}
			name := serial
			if w.twin(serial) {
				name = w.both(ctx, r, readers, s.Name, serial)
			}
			if err := w.bring(ctx, s.Name, name, serial); err != nil {
				return acted, err
			}
			held[serial], since[s.Name], acted = true, time.Now(), true
			rude[s.Name] = tiredAfter
			if r.IntN(30) == 0 { // taken out early
				rude[s.Name] = time.Duration(100+r.IntN(2500)) * time.Millisecond
			}
		case inside != "" && (s.Serial == printed(inside) && s.May() || s.Outcome == "refused" && s.May() && age > time.Second || age > rude[s.Name]):
			if err := w.sam.Remove(ctx, s.Name); err != nil {
				return acted, err
			}
			acted = true
		}
	}
	return acted, nil
}

func slotsOf(ctx context.Context, station string) ([]hand.Slot, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var status struct {
		Values struct {
			Readers []hand.Slot `json:"readers"`
		} `json:"values"`
	}
	_, err := people.NewProgram(station, "").Do(ctx, people.Call{Method: http.MethodGet, Path: "/api/v1/status"}, &status)
	return status.Values.Readers, err
}

// pick takes a card that is wanted from the heap, any.
func (w *World) pick(r *rand.Rand, held map[string]bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	heap := make([]string, 0, len(w.wanted))
	for s := range w.wanted {
		if !held[s] {
			heap = append(heap, s)
		}
	}
	if len(heap) == 0 {
		return ""
	}
	slices.Sort(heap)
	s := heap[r.IntN(len(heap))]
	delete(w.wanted, s) // the staff see when it is wanted again
	return s
}

// twinMark is in the name of a card that has the printed serial of another.
const twinMark = "#"

// printed is the serial on the body of a card.
func printed(name string) string {
	serial, _, _ := strings.Cut(name, twinMark)
	return serial
}

// twin says whether a serial was printed on two cards.
func (w *World) twin(serial string) bool { return w.dice("kembar "+serial).IntN(20) == 0 }

// both puts one of two cards with the same serial into some other empty reader at
// once, and tells which of them is left for this one. The office must make one of
// them at most.
func (w *World) both(ctx context.Context, r *rand.Rand, readers []control.Reader, here, serial string) (name string) {
	names := []string{serial, serial + twinMark}
	r.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
	for _, other := range readers {
		if other.ID == "" && other.Name != here {
			_ = w.bring(ctx, other.Name, names[1], serial) // somebody else may have been quicker
			break
		}
	}
	return names[0]
}

func (w *World) bring(ctx context.Context, reader, name, serial string) (err error) {
	w.makes.Lock()
	if name == serial {
		err = w.maker.Make(ctx, serial, w.fault(serial))
	} else {
		err = w.maker.Twin(ctx, name, serial)
	}
	w.makes.Unlock()
	if err != nil {
		return err
	}
	return w.sam.Insert(ctx, reader, name)
}

// leave takes cards out of readers whose station does not answer; the staff see
// that they are wanted, and any hand brings them again.
func (w *World) leave(ctx context.Context, r *rand.Rand, since map[string]time.Time) {
	readers, _, err := w.sam.List(ctx)
	if err != nil {
		return
	}
	for _, rd := range readers {
		if _, mine := since[rd.Name]; mine && rd.ID != "" && r.IntN(2) == 0 {
			_ = w.sam.Remove(ctx, rd.Name) // it may be gone by itself
		}
	}
}

// fault is what is wrong with a chip: most are good.
func (w *World) fault(serial string) virtual.Fault {
	r := w.dice("chip " + serial)
	steps := []virtual.Step{virtual.StepMarker, virtual.StepPCID, virtual.StepCONF, virtual.StepManifest, virtual.StepPutKey, virtual.StepStatus,
		virtual.StepOpenSAM}
	step, done := steps[r.IntN(len(steps))], r.IntN(2) == 0
	switch n := r.IntN(100); {
	case n < 4:
		return virtual.Fault{MemoryFailureAt: step}
	case n < 7:
		return virtual.Fault{MemoryFullAt: step}
	case n < 12:
		return virtual.Fault{VanishAtAPDU: 1 + r.IntN(40), Executed: done}
	case n < 16:
		return virtual.Fault{VanishAtStep: step, Executed: done}
	case n < 18:
		return virtual.Fault{MuteAtStep: step, Executed: done}
	case n < 19:
		return virtual.Fault{MuteAtAPDU: 1 + r.IntN(40)}
	case n < 21:
		return virtual.Fault{WrongKCV: true}
	case n < 23:
		return virtual.Fault{WrongCryptogram: true}
	case n < 27:
		return virtual.Fault{SlowMS: 40}
	}
	return virtual.Fault{}
}

// days let the office's time pass: orders are released in the morning, cards are
// made, the day is closed in the afternoon.
func (w *World) days(ctx context.Context) {
	r := w.dice("hari")
	body, err := configs.Holidays()
	if err != nil {
		panic(err) // embedded
	}
	data, err := workday.Parse(body)
	if err != nil {
		panic(err) // shipped
	}
	calendar := data.Calendar()
	operator := w.staffOf(r)["operator"]
	for ctx.Err() == nil {
		today := calendar.Add(clock.Today(w.clock), 1+int(w.skip.Swap(0)))
		w.step(today.At(7, 31))
		began := time.Now()
		_ = office.Pause(ctx, 2*time.Second)
		for time.Since(began) < dayAtMost && ctx.Err() == nil && w.remaining(ctx, operator, today) {
			_ = office.Pause(ctx, 500*time.Millisecond)
		}
		for _, at := range [][2]int{{10, 0}, {14, 0}, {16, 1}, {18, 0}} {
			w.step(today.At(at[0], at[1]))
			_ = office.Pause(ctx, time.Duration(300+r.IntN(900))*time.Millisecond)
		}
	}
}

func (w *World) step(t time.Time) {
	if err := clock.StepOffice(w.of.OfficeClock, t); err != nil {
		w.surprise("jam kantor: %v", err)
	}
}

// Skip lets so many working days pass at once, from the next evening on.
func (w *World) Skip(days int) { w.skip.Add(int64(days)) }

// remaining says whether cards are still to be made today, as far as anyone can
// tell.
func (w *World) remaining(ctx context.Context, operator *people.Client, today clock.Date) bool {
	var board struct {
		Days []day `json:"days"`
	}
	if err := get(ctx, operator, fmt.Sprintf("/api/v1/days?from=%s&to=%s", today, today), &board); err != nil {
		return true
	}
	return slices.ContainsFunc(board.Days, func(d day) bool { return d.Day == today && d.Remaining > 0 })
}
