package line

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/globalplatform"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Kinds of journal entries.
const (
	entryIntent  = "intent"
	entryResumed = "resumed"
	entryStep    = "step"
	entryProven  = "proven"
	entryFailed  = "failed"
	entryDoubt   = "in_doubt"
	entryTry     = "try"     // an authentication of the chip, before it
	entryUntried = "untried" // the chip has not heard of it
	entryOpen    = "open"    // an OPEN SAM that is to prove a card, before it
	entryEpoch   = "epoch"   // of no card: a database older than the journal was met
)

// personalise takes a blank from claim to outcome.
func (t *task) personalise(ctx context.Context) verdict {
	l := t.line
	if !t.look.Fresh(t.kit.profile) {
		if v, is := t.forgotten(ctx); is {
			return v
		}
		return t.refuse(perso.WrongLifeCycle)
	}
	work := context.WithoutCancel(ctx)
	if err := t.kit.ring.Check(work); errors.Is(err, pkcs11.ErrKeyNotFound) {
		return t.refuse(perso.KeysMissing)
	} else if err != nil {
		return t.away(err)
	}
	if err := l.room(); err != nil {
		return t.away(err)
	}
	if err := l.tested(work); err != nil {
		return t.refusedBy(err)
	}
	place := t.place()
	id := perso.Identity{Serial: t.look.Serial, ChipID: t.look.ChipID}
	var claimed perso.Hand
	err := l.DB.InTx(work, func(ctx context.Context, tx *postgres.Tx) (err error) {
		if err := l.same(ctx, tx); err != nil {
			return err
		}
		if err := l.mayBegin(ctx, tx); err != nil {
			return err
		}
		if claimed, err = perso.Claim(ctx, tx, id, place, l.change("")); err != nil {
			return err
		}
		if err := cardsecret.Ready(ctx, tx, claimed.Card.RequestID); err != nil {
			return nobodys(err, claimed.Card)
		}
		if t.kit.profile.Plain() {
			return nil // there is nothing to authenticate
		}
		t.guard.count, err = perso.CountAuthentication(ctx, tx, id.ChipID, l.Office.Now())
		return err
	})
	if errors.Is(err, perso.ErrAuthenticationStopped) {
		return t.giveUp(ctx, id, place, stoppedText)
	}
	if err != nil {
		return t.refusedBy(err)
	}
	t.hand = claimed
	if err := t.dialogue.Fits(t.job()); err != nil {
		return t.unfitting(ctx, err)
	}
	t.busy("")
	if !t.kit.profile.Plain() {
		t.guard.prepaid, t.guard.pending = true, true
		card, cancel := t.cardTime(ctx)
		err = t.dialogue.Authenticate(card, t.kit.profile.Keys.Transport.Version, t.guard.sam())
		cancel()
		if err != nil {
			return t.unclaim(ctx, err)
		}
	}
	sealed, err := t.makeSecret(work)
	if err != nil {
		return t.unclaim(ctx, err)
	}
	if v, ok := t.begin(ctx, sealed); !ok {
		return v
	}
	return t.write(ctx)
}

func (t *task) place() perso.Place {
	l := t.line
	return perso.Place{
		Station: l.Station, Reader: t.reader.Name(), Plan: t.kit.plan, FirstCard: t.kit.profile.Lot.FirstCard,
	}
}

// makeSecret draws and seals the card's CONF.
func (t *task) makeSecret(ctx context.Context) (sealed []byte, err error) {
	if t.secret, err = t.kit.ring.NewSecret(ctx); err != nil {
		return nil, err
	}
	return t.kit.ring.Seal(ctx, t.secret, t.hand.Card.ID, t.hand.Attempt.ID)
}

// begin commits the intent and puts it into the journal: only then may the card
// be written.
func (t *task) begin(ctx context.Context, sealed []byte) (verdict, bool) {
	digest := sha256.Sum256(sealed)
	intent := perso.Intent{Sealed: sealed, Public: map[string]any{
		"profile": t.kit.profile.Label(), "profile_sha256": hex.EncodeToString(t.kit.profile.SHA256),
		"sam_type": t.kit.plan.SAMType.Label(), "key_code": t.kit.plan.KeyCode.Label(),
		"sealed_sha256": hex.EncodeToString(digest[:]), "manifest_no": t.hand.Card.ManifestNo,
	}}
	err := t.record(ctx, perso.Writing, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		if err := t.keepSecret(ctx, tx, intent.Public); err != nil {
			return perso.Hand{}, err
		}
		return perso.BeginWriting(ctx, tx, t.hand, intent, t.line.change(""))
	})
	if errors.As(err, new(*perso.Refusal)) {
		return t.ownerless(ctx, err), false
	}
	if err != nil {
		return t.unrecorded(err), false
	}
	if err := t.note(entryIntent, map[string]any{"sealed_sha256": hex.EncodeToString(digest[:])}); err != nil {
		// The journal could not promise; nothing was written to the card.
		return t.broken(ctx, &sam.StepError{Act: t.kit.profile.Steps[0], Err: err}, faultUnknown), false
	}
	return verdict{}, true
}

// unclaim gives up a claimed card to which nothing was written.
func (t *task) unclaim(ctx context.Context, err error) verdict {
	t.log.Warn().Err(err).Msg("card given back before anything was written")
	switch kind := t.classify(err); kind {
	case faultAway:
		if v, ok := t.release(ctx, "sistem tidak tersedia", true); !ok {
			return v
		}
		return t.away(err)
	case faultKeys, faultStopped:
		n, ferr := perso.AuthenticationFailures(context.WithoutCancel(ctx), t.line.DB, t.look.ChipID)
		if kind == faultStopped || ferr == nil && n >= perso.MaxAuthentications {
			return t.fail(ctx, stoppedText)
		}
		if v, ok := t.releaseFor(ctx, "kunci kartu tidak cocok", false, t.blame(causeKeys, false)); !ok {
			return v
		}
		return verdict{view: t.show(view{State: refused, Outcome: outcomeRefused, Reason: causeKeys})}
	case faultType: // the host ended it; the card has compared nothing
		if v, ok := t.release(ctx, "jenis kartu lain", true); !ok {
			return v
		}
		return t.refuse(perso.WrongType)
	case faultRefused, faultLot:
		if v, ok := t.releaseFor(ctx, reason("kartu menolak", err), true, t.blame(reason("Kartu menolak", err), kind == faultLot)); !ok {
			return v
		}
		return verdict{view: t.show(view{State: refused, Outcome: outcomeRefused, Reason: reason("Kartu menolak", err)})}
	}
	// Counted as failed unless the chip never heard of it: nobody knows.
	if v, ok := t.release(ctx, "kartu terputus sebelum ditulis", t.guard.prepaid); !ok {
		return v
	}
	return verdict{view: t.show(view{State: wait, Reason: "Kartu terputus sebelum ditulis"}), again: true, reconnect: true}
}

// release gives the claim back; untried says that the authentication counted
// with the claim was not one.
func (t *task) release(ctx context.Context, why string, untried bool) (verdict, bool) {
	return t.releaseFor(ctx, why, untried, perso.Blame{})
}

// releaseFor is release of a card that is to blame for it.
func (t *task) releaseFor(ctx context.Context, why string, untried bool, b perso.Blame) (verdict, bool) {
	err := t.recordWith(ctx, perso.Numbered, untried, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		h, err := perso.ReleaseClaim(ctx, tx, t.hand, t.line.change(why))
		if err != nil || b.Cause == "" {
			return h, err
		}
		return h, perso.Lay(ctx, tx, h, b, t.line.change(why))
	})
	if err != nil {
		return t.unrecorded(err), false
	}
	return verdict{}, true
}

// job is what is to be on the card.
func (t *task) job() sam.Job {
	return sam.Job{
		Marker: strings.ToUpper(strings.ReplaceAll(t.hand.Attempt.ID, "-", "")),
		PCID:   t.hand.Card.PCID, Manifest: t.hand.Card.ManifestNo, Secret: t.secret,
	}
}

// write does the steps that the card does not show yet, and records the outcome.
func (t *task) write(ctx context.Context) verdict {
	before := func(a profile.Act) error {
		t.busy(a.Title())
		return nil
	}
	after := func(a profile.Act) error {
		if err := t.note(entryStep, map[string]any{"step": a.Title()}); err != nil {
			// The database has the intent; the card decides the rest.
			t.log.Error().Err(err).Msg("journal does not take the step")
		}
		return nil
	}
	for {
		card, cancel := t.cardTime(ctx)
		err := t.dialogue.Write(card, t.job(), t.look, t.guard.sam(), before, after)
		cancel()
		if err == nil {
			return t.clear(ctx, nil)
		}
		kind := t.classify(err)
		if kind != faultAway {
			return t.broken(ctx, err, kind)
		}
		// Each command so far was answered, and the one that was not sent needs
		// something of ours. The card has not moved: look and go on.
		t.log.Warn().Err(err).Msg("holding in the middle of a card")
		if err := t.hold(ctx); err != nil {
			return t.stopped()
		}
		card, cancel = t.cardTime(ctx)
		look, err := t.dialogue.Look(card)
		cancel()
		if err != nil || look.ChipID != t.look.ChipID || look.Judge(t.kit.profile, t.job()) == sam.Foreign {
			return t.broken(ctx, errors.Join(errors.New("line: card changed while holding"), err), faultUnknown)
		}
		t.look = look
	}
}

// hold waits until HSM and database answer again and the journal takes entries.
func (t *task) hold(ctx context.Context) error {
	for {
		if err := t.pause(ctx, "Sistem sedang tidak tersedia; jangan ambil kartu"); err != nil {
			return err
		}
		work := context.WithoutCancel(ctx)
		if t.line.Journal.Ready() != nil || t.kit.ring.Check(work) != nil || t.line.DB.Check(work) != nil {
			continue
		}
		err := t.line.DB.InTx(work, func(ctx context.Context, tx *postgres.Tx) error { return t.guard.settle(ctx, tx, true) })
		if err == nil {
			t.guard.settled(true)
			return nil
		}
	}
}

// clear records a proven card; found is what was seen of it when it was put in again.
func (t *task) clear(ctx context.Context, found *perso.Finding) verdict {
	if err := t.note(entryProven, nil); err != nil {
		t.log.Error().Err(err).Msg("journal does not take the result")
	}
	proof := map[string]any{"read_back": true, "open_sam": true, "life_cycle": "SECURED"}
	err := t.record(ctx, perso.Clear, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		if found != nil {
			return perso.FinishFound(ctx, tx, t.hand, *found, proof, t.line.change(""))
		}
		return perso.Finish(ctx, tx, t.hand, proof, t.line.change(""))
	})
	if errors.Is(err, postgres.ErrStale) {
		return t.lateProof(ctx, proof)
	}
	if err != nil {
		return t.unrecorded(err)
	}
	t.log.Info().Msg("card is clear")
	t.line.count(outcomeClear)
	return verdict{view: t.show(view{State: take, Outcome: outcomeClear})}
}

// broken records that the dialogue ended before the card was proven.
func (t *task) broken(ctx context.Context, cause error, kind fault) verdict {
	t.log.Warn().Err(cause).Msg("card not finished")
	if kind == faultRefused || kind == faultLot {
		return t.failFor(ctx, reason("Kartu menolak", cause), kind == faultLot)
	}
	// What can be read now is read now; a card that is gone is read when it is
	// seen again.
	found := perso.Finding{Observed: map[string]any{"step": stepOf(cause)}}
	card, cancel := t.cardTime(ctx)
	look, err := t.dialogue.Look(card)
	cancel()
	gone := err != nil || look.ChipID != t.look.ChipID
	if !gone {
		found = t.finding(look)
		found.Observed["step"] = stepOf(cause)
		if kind != faultUnknown {
			found.Proposal = perso.DecideSpoil // the keys on it are not ours to use
		}
	}
	text := reason("Hasil tidak diketahui", cause)
	var b perso.Blame
	if _, answered := globalplatform.StatusOf(cause); answered || errors.Is(cause, globalplatform.ErrKCV) {
		b = t.blame(text, false) // the others of a batch may answer the same
	}
	if err := t.note(entryDoubt, found.Observed); err != nil {
		t.log.Error().Err(err).Msg("journal does not take the doubt")
	}
	return t.doubtFor(ctx, found, text, gone, b)
}

// finding is what a look at an unfinished card allows.
func (t *task) finding(look sam.Look) perso.Finding {
	f := perso.Finding{Observed: look.Detail(), Proposal: perso.DecideSpoil, Reader: t.reader.Name()}
	f.Observed["steps"] = look.Steps(t.kit.profile, t.job())
	switch look.Judge(t.kit.profile, t.job()) {
	case sam.Finished:
		f.Proposal = perso.DecideComplete
	case sam.Partial:
		f.Proposal = perso.DecideResume
	}
	return f
}

func (t *task) doubt(ctx context.Context, f perso.Finding, text string, gone bool) verdict {
	return t.doubtFor(ctx, f, text, gone, perso.Blame{})
}

// doubtFor is doubt of a card that is to blame for it.
func (t *task) doubtFor(ctx context.Context, f perso.Finding, text string, gone bool, b perso.Blame) verdict {
	err := t.record(ctx, perso.InDoubt, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		h, err := perso.Doubt(ctx, tx, t.hand, f, t.line.change(text))
		if err != nil || b.Cause == "" {
			return h, err
		}
		return h, perso.Lay(ctx, tx, h, b, t.line.change(text))
	})
	if err != nil {
		return t.unrecorded(err)
	}
	if reading, err := f.Reading(); err == nil && reading != "" {
		t.told = t.telling(reading)
	}
	t.line.count(outcomeInDoubt)
	return t.inDoubt(text, gone)
}

func (t *task) inDoubt(text string, gone bool) verdict {
	return verdict{
		view: t.show(view{State: setAside, Outcome: outcomeInDoubt, Reason: text}), again: true, reconnect: gone,
	}
}

func (t *task) fail(ctx context.Context, text string) verdict { return t.failFor(ctx, text, false) }

// failFor records a failed card; lot says that the others of its lot would fail too.
func (t *task) failFor(ctx context.Context, text string, lot bool) verdict {
	if err := t.note(entryFailed, map[string]any{"reason": text}); err != nil {
		t.log.Error().Err(err).Msg("journal does not take the failure")
	}
	err := t.record(ctx, perso.Failed, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		h, err := perso.Fail(ctx, tx, t.hand, t.line.change(text))
		if err != nil {
			return h, err
		}
		return h, perso.Lay(ctx, tx, h, t.blame(causeOf(text), lot), t.line.change(text))
	})
	if err != nil {
		return t.unrecorded(err)
	}
	t.line.count(outcomeFailed)
	return verdict{view: t.show(view{State: setAside, Outcome: outcomeFailed, Reason: text})}
}

// record takes steps in the database, waiting for it as long as it is away. A
// commit of unknown outcome is looked up before it is tried again; want is the
// state that shows it was done.
func (t *task) record(ctx context.Context, want machine.State, fn func(context.Context, *postgres.Tx) (perso.Hand, error)) error {
	return t.recordWith(ctx, want, false, fn)
}

func (t *task) recordWith(ctx context.Context, want machine.State, untried bool, fn func(context.Context, *postgres.Tx) (perso.Hand, error)) error {
	work := context.WithoutCancel(ctx)
	for said := false; ; said = true {
		var next perso.Hand
		err := t.line.DB.InTx(work, func(ctx context.Context, tx *postgres.Tx) (err error) {
			if next, err = fn(ctx, tx); err != nil {
				return err
			}
			return t.guard.settle(ctx, tx, untried)
		})
		if err == nil {
			t.hand = next
			t.guard.settled(untried)
			return nil
		}
		if !postgres.Foreign(err) && !errors.Is(err, postgres.ErrStale) {
			return err
		}
		if !said {
			t.log.Warn().Err(err).Msg("waiting for the database to record a card")
		}
		if postgres.Foreign(err) {
			if perr := t.pause(ctx, "Basis data tidak tersedia; jangan ambil kartu"); perr != nil {
				return errors.Join(perr, err)
			}
		}
		fresh, rerr := perso.Reload(work, t.line.DB, t.hand.Card.ID)
		switch {
		case postgres.Foreign(rerr):
			if perr := t.pause(ctx, "Basis data tidak tersedia; jangan ambil kartu"); perr != nil {
				return errors.Join(perr, err, rerr)
			}
			continue
		case rerr != nil: // the card is not there: the database is another one
			return errors.Join(err, rerr)
		case fresh.Card.State == want && fresh.Attempt.ID == t.hand.Attempt.ID && fresh.Card.Version > t.hand.Card.Version:
			t.hand = fresh
			t.guard.settled(untried)
			return nil
		case errors.Is(err, postgres.ErrStale):
			return err
		}
	}
}

// unrecorded is the verdict when a step could not be recorded: the station is
// stopping, or somebody else has moved the card.
func (t *task) unrecorded(err error) verdict {
	t.log.Error().Err(err).Msg("card not recorded; it is read and settled later")
	return verdict{view: t.show(view{State: wait, Reason: "Hasil kartu belum tercatat"}), again: true}
}

// stopped is the verdict when the station stops in the middle of a card: its
// state in the database says so to whoever starts next.
func (t *task) stopped() verdict {
	return verdict{view: t.show(view{State: wait, Reason: "Stasiun berhenti"})}
}

// note appends to the journal: ids, names of steps, hashes.
func (t *task) note(kind string, data map[string]any) error {
	entry := journal.Entry{Kind: kind, Card: t.look.ChipID, Attempt: t.hand.Attempt.ID}
	if data != nil {
		body, err := json.Marshal(data)
		if err != nil {
			return err
		}
		entry.Data = body
	}
	if err := t.line.Journal.Append(entry); err != nil {
		return err
	}
	t.line.mu.Lock()
	defer t.line.mu.Unlock()
	countOpen(t.line.opens, entry)
	if kind == entryIntent || kind == entryResumed {
		t.line.begun = entry.Attempt
	}
	return nil
}
