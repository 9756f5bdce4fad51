package line

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/keyring"
	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// verdict is what a look at a card came to.
type verdict struct {
	view
	sight
	again     bool // look again on a bell
	reconnect bool // the connection is of no more use
	nobodys   bool // no list has it: a feeder need not wait for the office
}

// task is the work on one card in one insertion.
type task struct {
	*runner
	log      zerolog.Logger // names the card as soon as it is known
	kit      *kit           // what the card is looked at and written by
	dialogue *sam.Card
	look     sam.Look
	hand     perso.Hand
	guard    *guard
	secret   []byte // CONF in clear; cleared at the end
}

// serve identifies the card and does what its state asks for.
func (r *runner) serve(ctx context.Context) (v verdict) {
	l := r.line
	t := &task{runner: r, log: r.log}
	defer func() {
		if p := recover(); p != nil {
			v = t.panicked(p)
		}
	}()
	t.dialogue = sam.Open(r.card, nil, nil) // until it is known how to look
	defer t.end()
	if v, ok := t.recognise(ctx); !ok {
		return v
	}
	if r.slot.shown().Chip != t.look.ChipID { // else it waits, and still shows what for
		r.slot.show(view{State: working, Serial: t.look.Serial, Chip: t.look.ChipID})
	}
	t.log = naming(r.log, t.hand.Card)
	if !l.hold(t.hand.Card.ID) {
		return t.refuse(perso.InOtherHands)
	}
	defer l.letGo(t.hand.Card.ID)
	if c := t.hand.Card; perso.Claimable(c) == nil || slices.Contains(onTheLine, c.State) {
		if err := t.turn(ctx); err != nil {
			return t.turned(err)
		}
	}
	own := t.hand.Attempt.Station == l.Station
	switch c := t.hand.Card; c.State {
	case perso.Claimed:
		if !own {
			return t.refuse(perso.InOtherHands)
		}
		// Nothing was written: the intent would have been committed.
		if v, ok := t.release(ctx, "klaim lama dilepas", false); !ok {
			return v
		}
		return t.personalise(ctx)
	case perso.Writing:
		if !own {
			return t.refuse(perso.InOtherHands)
		}
		return t.recover(ctx)
	case perso.Written, perso.Verified, perso.InDoubt:
		return t.recover(ctx)
	default:
		err := perso.Claimable(c)
		switch c.State {
		case perso.Failed, perso.Spoiled:
			return t.givenUp(ctx, err)
		case perso.Clear:
			return t.finished(ctx, err)
		}
		if err != nil {
			return t.refusedBy(err)
		}
		return t.personalise(ctx)
	}
}

// panicked is the verdict on a card that this program has an error with: the cards in
// the other readers are not to be left in doubt for it. What became of this one is not
// known here; the database says that it was begun, if it was, and it is read when it is
// seen again.
func (t *task) panicked(p any) verdict {
	text := fmt.Sprintf("%T", p) // whatever else it holds is not for logs
	var err runtime.Error
	if e, is := p.(runtime.Error); is {
		err = e
	}
	t.log.Error().Err(err).Str("panic", text).Bytes("stack", debug.Stack()).Msg("panic while serving a card; it is set aside")
	return verdict{view: t.show(view{State: setAside, Reason: "Kesalahan program pada kartu ini; sisihkan, hubungi petugas"}), reconnect: true}
}

// onTheLine are the states of cards that were begun and are not settled.
var onTheLine = []machine.State{perso.Claimed, perso.Writing, perso.Written, perso.Verified, perso.InDoubt}

// naming has a logger name a card, by the trace of its request.
func naming(log zerolog.Logger, c perso.Card) zerolog.Logger {
	named := log.With().Str("request", c.RequestID).Str("card", c.ID).Str("serial", c.Serial)
	return named.Ctx(trace.ContextWith(context.Background(), c.TraceParent)).Logger()
}

// busy shows that the card is worked on, at a step.
func (t *task) busy(step string) {
	t.slot.show(t.show(view{State: working, Step: step}))
}

// end forgets the keys and the secret of the card.
func (t *task) end() {
	clear(t.secret)
	t.dialogue.Close()
}

// cardTime bounds a stretch of talking to the card. It does not end when the
// station is asked to stop: the card in hand is finished.
func (t *task) cardTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), t.kit.profile.Timeouts.Card.Duration())
}

// show completes a view with what is known of the card.
func (t *task) show(v view) view {
	v.Serial, v.Chip, v.CardID = t.look.Serial, t.look.ChipID, t.hand.Card.ID
	return v
}

// unreadable is the verdict on a card that could not even be looked at: nothing
// was written to it now.
func (t *task) unreadable(err error) verdict {
	t.log.Warn().Err(err).Msg("card cannot be identified")
	if t.unfit(err) {
		return verdict{view: view{State: refused, Outcome: outcomeRefused, Reason: reason("Bukan kartu SAM yang dikenal", err)}}
	}
	return verdict{view: view{State: wait, Reason: "Kartu tidak terbaca"}, again: true, reconnect: true}
}

// unfit says of an error of a look that the card answered and is none that can be looked
// at so: it refuses, or says what no such card says. Looking again shows no more.
func (t *task) unfit(err error) bool {
	kind := t.classify(err)
	return kind == faultRefused || kind == faultLot || errors.Is(err, globalplatform.ErrMalformed)
}

// refusedBy turns a *perso.Refusal, or a fault of the database, into a verdict.
func (t *task) refusedBy(err error) verdict {
	if !errors.As(err, new(*perso.Refusal)) {
		return t.away(err)
	}
	v := t.refusing(err)
	t.said(v)
	return v
}

func (t *task) refuse(why perso.Why) verdict { return t.refusedBy(&perso.Refusal{Why: why}) }

// refusing is the verdict of a refusal that is not given yet.
func (t *task) refusing(err error) verdict {
	var refusal *perso.Refusal
	errors.As(err, &refusal)
	v := verdict{view: t.show(view{State: refused, Outcome: outcomeRefused, Reason: perso.WhyLabels[refusal.Why]})}
	if v.CardID == "" {
		v.CardID = refusal.CardID
	}
	v.Dead = t.hand.Card.State == perso.Failed || t.hand.Card.State == perso.Spoiled
	v.nobodys = refusal.Why == perso.Unlisted || refusal.Why == perso.SerialUnknown || refusal.Why == perso.SerialTwice
	switch refusal.Why {
	case perso.Unlisted, perso.NotScheduled, perso.RequestHeld, perso.InOtherHands, perso.NoRecipe, perso.NoNumbers, perso.RecipeGone, perso.OtherRecipe, perso.OtherProfile,
		perso.LotStopped, perso.FirstCardWaits, perso.SerialUnknown, perso.SerialTwice, perso.KeysMissing, perso.TestCardDue,
		perso.NoRecipient, perso.NoEscrow:
		v.again = true // the office may think otherwise in a moment
	case perso.ScanAwaited:
		v.State, v.Outcome, v.again = awaited, "", true
	case perso.AlreadyDone:
		v.State = take // it is a good card
	}
	return v
}

// said counts a refusal that is given, once.
func (t *task) said(v verdict) {
	if v.view != t.slot.shown() && v.State != awaited {
		t.log.Info().Str("presented", v.Serial).Str("why", v.Reason).Msg("card refused")
		t.line.count(outcomeRefused)
	}
}

// away is the verdict while something of ours does not answer; the card waits.
func (t *task) away(err error) verdict {
	var held *Held
	if errors.As(err, &held) {
		return verdict{view: t.show(view{State: wait, Reason: held.Text}), again: true}
	}
	text := "Sistem sedang tidak tersedia; kartu menunggu"
	switch {
	case errors.Is(err, daemon.ErrDiskLow), errors.Is(err, journal.ErrFull):
		text = "Penyimpanan stasiun hampir penuh; kartu menunggu, hubungi petugas"
	case errors.Is(err, keyring.ErrWrongKey):
		text = "Kunci di HSM bukan yang tercatat; kartu menunggu, hubungi petugas"
	case errors.Is(err, ErrChanged):
		text = "Basis data baru dipulihkan; kartu menunggu"
	case !postgres.Foreign(err) && t.classify(err) != faultAway:
		text = "Kesalahan sistem; hubungi petugas"
	}
	v := t.show(view{State: wait, Reason: text})
	if v != t.slot.shown() { // else it is said already
		t.log.Warn().Err(err).Msg("holding: a part of the station does not answer")
	}
	return verdict{view: v, again: true}
}

// room says whether the journal can be expected to take all that a card will
// need; it is asked before a card is begun, never for one in hand.
func (l *Line) room() error { return errors.Join(l.Disk.Refuse(), l.Journal.Ready()) }

// guard keeps the failure counter of one chip around each authentication.
type guard struct {
	line    *Line
	chip    string
	prepaid bool // the next try was counted in the claim already
	pending bool // counted, and not known to have succeeded
	count   int  // that the pending try made
	noted   bool // the pending try is in the journal
	passed  bool // succeeded; the next record, or the next try, clears the counter
}

func (g *guard) sam() sam.Guard { return sam.Guard{Before: g.before, After: g.after} }

func (g *guard) before(ctx context.Context) error {
	if err := g.line.mayTry(g.chip); err != nil {
		return err
	}
	if err := g.pay(ctx); err != nil {
		return err
	}
	if err := g.line.tried(g.chip); err != nil {
		return errors.Join(errAway, err)
	}
	g.noted = true
	return nil
}

// pay counts the next try in the database.
func (g *guard) pay(ctx context.Context) error {
	if g.prepaid {
		g.prepaid = false
		return nil
	}
	err := g.line.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if g.passed {
			if err := perso.ClearAuthentications(ctx, tx, g.chip, g.line.Office.Now()); err != nil {
				return err
			}
		}
		g.count, err = perso.CountAuthentication(ctx, tx, g.chip, g.line.Office.Now())
		return err
	})
	switch {
	case err == nil:
		g.pending, g.passed = true, false
	case errors.Is(err, postgres.ErrCommitUnknown):
		g.pending = true // to be taken back, if it was counted
		return errors.Join(errAway, err)
	case !errors.Is(err, perso.ErrAuthenticationStopped):
		return errors.Join(errAway, err)
	}
	return err
}

func (g *guard) after(context.Context) error {
	g.pending, g.noted, g.passed = false, false, true
	g.line.passed(g.chip)
	return nil
}

// settle brings the counter up to date in the transaction of the next record.
// untried says that what was counted did not become a try.
func (g *guard) settle(ctx context.Context, tx *postgres.Tx, untried bool) error {
	switch {
	case g.passed:
		return perso.ClearAuthentications(ctx, tx, g.chip, g.line.Office.Now())
	case g.pending && untried:
		return perso.UncountAuthentication(ctx, tx, g.chip, g.count)
	}
	return nil
}

// settled notes that a record with what settle did is committed.
func (g *guard) settled(untried bool) {
	if untried && g.pending && g.noted {
		g.line.untried(g.chip)
	}
	if g.passed || untried {
		g.pending, g.noted, g.passed = false, false, false
	}
}

// pause shows that the card waits, until a bell or for a moment. It fails when
// the station is asked to stop.
func (r *runner) pause(ctx context.Context, text string) error {
	bell := r.line.ringing()
	r.slot.amend(func(v *view) { v.State, v.Reason = wait, text })
	timer := r.line.Machine.NewTimer(r.line.Look)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-bell:
	case <-timer.C():
	}
	r.slot.amend(func(v *view) { v.State, v.Reason = working, "" })
	return nil
}
