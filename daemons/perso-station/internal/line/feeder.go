package line

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Feeder moves the cards of one reader. Without one a person does.
type Feeder interface {
	// Next puts the next card into the reader.
	Next(ctx context.Context) error
	// Bin takes the card out of the reader and into a bin.
	Bin(ctx context.Context, b Bin) error
}

// Bin is where a card goes.
type Bin string

// Bins.
const (
	GoodBin   Bin = "good"
	RejectBin Bin = "reject"
	DoubtBin  Bin = "doubt"
)

// binOf says where a card goes that a verdict is given on; empty while it stays, for
// the office, a person or a part of the station is waited for.
func (v verdict) binOf() Bin {
	switch {
	case v.Outcome == outcomeInDoubt, v.State == setAside && v.Outcome == "": // of which nobody can tell
		return DoubtBin
	case v.State == take:
		return GoodBin
	case v.State == setAside, v.State == refused && (!v.again || v.nobodys):
		return RejectBin
	}
	return ""
}

// feeding is what a runner knows of its feeder.
type feeding struct {
	paused error // the feeder has failed; a person is to look
	binned bool  // the card in the slot was given to a bin
	empty  bool  // the slot is, and no card was asked for
}

// left notes that the card has gone from the slot. One that no bin was asked for may
// have been torn, or be stuck where the reader does not see it: nothing is pushed after
// it.
func (r *runner) left(ctx context.Context) {
	switch {
	case r.feeder == nil || r.feeding.paused != nil:
	case !r.feeding.binned:
		r.fed(errors.New("line: the card left without a bin"), "Kartu keluar sendiri dari pembaca")
	default:
		r.feeding = feeding{empty: true}
		r.feed(ctx)
	}
}

// feed asks for the next card, once for an empty slot, and not while people want no
// card to be spoken to.
func (r *runner) feed(ctx context.Context) {
	if r.feeder == nil || r.feeding.paused != nil || !r.feeding.empty || ctx.Err() != nil || r.line.untouched() != nil {
		return
	}
	r.feeding.empty = false
	r.fed(r.feeder.Next(context.WithoutCancel(ctx)), "Pengumpan tidak memberi kartu berikutnya")
}

// bin has the card taken away that a verdict is given on. What became of the card is
// recorded before: if the station ends now, the card is known when it is seen again.
func (r *runner) bin(ctx context.Context, v verdict) {
	b := v.binOf()
	if r.feeder == nil || r.feeding.paused != nil || b == "" {
		return
	}
	r.drop() // the card is free to be moved
	if r.fed(r.feeder.Bin(context.WithoutCancel(ctx), b), "Pengumpan tidak memindahkan kartu") {
		r.feeding.binned = true
		r.log.Info().Str("bin", string(b)).Msg("card binned")
	}
}

// fed pauses the reader when its feeder has failed: a card may be stuck, and the next
// one must not be pushed onto it. It goes on when somebody puts in a card by hand.
func (r *runner) fed(err error, what string) bool {
	if err == nil {
		return true
	}
	r.log.Error().Err(err).Msg("the feeder has failed; the reader is paused")
	r.feeding.paused = fmt.Errorf("%s: %w", what, err)
	r.line.feederAlarm(r.reader.Name(), r.feeding.paused)
	r.slot.show(view{State: wait, Reason: what + "; periksa pengumpan, lalu masukkan satu kartu dengan tangan"})
	return false
}

// byHand ends a pause: somebody stands at the reader and has put a card in.
func (r *runner) byHand() {
	if r.feeding.paused != nil {
		r.log.Info().Msg("a card was put in by hand; the feeder is used again")
		r.line.feederAlarm(r.reader.Name(), nil)
	}
	r.feeding = feeding{}
}

func (l *Line) feederAlarm(reader string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.jams, reader)
	value := 0.0
	if err != nil {
		l.jams[reader], value = err, 1
	}
	l.jammed.WithLabelValues(reader).Set(value)
}

// CheckFeeders is the readyz check of the feeders: none has failed.
func (l *Line) CheckFeeders(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var readers []string
	for name := range l.jams {
		readers = append(readers, name)
	}
	slices.Sort(readers)
	var found []error
	for _, name := range readers {
		found = append(found, fmt.Errorf("line: feeder of %s: %w", name, l.jams[name]))
	}
	return errors.Join(found...)
}
