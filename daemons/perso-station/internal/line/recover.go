package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// recover looks at a card whose writing was begun and not finished by this
// insertion. It writes nothing unless two people decided to resume, on what the card
// shows now. What it shows is kept.
func (t *task) recover(ctx context.Context) verdict {
	found := t.finding(t.look)
	doubt, lacks := t.hand.Card.State == perso.InDoubt, t.lacksKeys(ctx)
	if lacks && !doubt {
		return t.refuse(perso.KeysMissing)
	}
	if found.Proposal == perso.DecideComplete && !lacks {
		proven, v := t.prove(ctx, &found)
		if proven {
			return t.clear(ctx, &found)
		}
		if v != nil && doubt && t.hand.Attempt.Proposal == "" {
			// It cannot be proven now; that it was seen, people may know.
			if err := t.observe(ctx, found); err != nil {
				return t.unrecorded(err)
			}
		}
		if v != nil {
			return *v
		}
	}
	if found.Proposal == perso.DecideResume {
		if err := t.resumable(ctx, &found); err != nil {
			return t.away(err)
		}
	}
	if !doubt {
		text := "Penulisan terputus"
		if t.hand.Card.State == perso.Written {
			text = "Kartu tidak terbukti selesai"
		}
		return t.doubt(ctx, found, text, false)
	}
	return t.shown(ctx, found)
}

// shown goes by what a card in doubt shows now: it is kept, and two people's decision to
// resume is carried out where the card still allows it.
func (t *task) shown(ctx context.Context, found perso.Finding) verdict {
	// Before the decision is asked for: what is read otherwise than it was takes a
	// decision its force.
	if err := t.observe(ctx, found); err != nil {
		return t.unrecorded(err)
	}
	decision, err := perso.Resolved(context.WithoutCancel(ctx), t.line.DB, t.hand.Card)
	if err != nil {
		return t.away(err)
	}
	text := t.hand.Card.Reason
	if decision == perso.DecideResume && found.Proposal == perso.DecideResume {
		if !t.lacksKeys(ctx) {
			return t.resume(ctx)
		}
		text = "Penulisan dilanjutkan di stasiun yang HSM-nya memuat kunci profil " + t.kit.profile.Name
	} else if decision == "" {
		text += ". Usul stasiun: " + strings.ToLower(perso.DecisionLabels[found.Proposal]) + "; menunggu keputusan dua orang"
	}
	v := t.inDoubt(text, false)
	// Reading it once is enough, until somebody decides something.
	v.sight = sight{cardID: t.hand.Card.ID, version: t.hand.Card.Version, decision: decision}
	return v
}

// unseal fetches the card's CONF as the attempt sealed it.
func (t *task) unseal(ctx context.Context) (err error) {
	t.secret, err = t.kit.ring.Unseal(context.WithoutCancel(ctx), t.hand.Attempt.Sealed, t.hand.Card.ID, t.hand.Attempt.ID)
	return err
}

// prove shows by the card itself that it is finished. A verdict means that it
// could not be tried now; a finding that is not proven becomes spoil.
func (t *task) prove(ctx context.Context, found *perso.Finding) (proven bool, v *verdict) {
	if !t.mayOpen() {
		found.Proposal = perso.DecideSpoil
		found.Observed["proof"] = string(profile.OpenSAM)
		return false, nil
	}
	if err := t.line.Journal.Ready(); err != nil { // mends it, if it can be
		away := t.away(err)
		return false, &away
	}
	err := t.kit.ring.Check(context.WithoutCancel(ctx))
	if err == nil {
		err = t.unseal(ctx)
	}
	if err == nil {
		card, cancel := t.cardTime(ctx)
		err = t.dialogue.Prove(card, t.job(), t.guard.sam(), t.opening)
		// The tries may be used up by stations that ended in the middle of one, and
		// nothing be wrong with the card. One that was found wrong stays so.
		if t.classify(err) == faultStopped && t.hand.Attempt.Proposal != perso.DecideSpoil {
			t.log.Warn().Str("card", t.hand.Card.ID).Msg("no authentication is left; the card is proven by OPEN SAM alone")
			err = t.dialogue.Opens(card, t.job(), t.opening)
		}
		cancel()
	}
	if err == nil {
		return true, nil
	}
	t.log.Warn().Err(err).Msg("card looks finished and is not proven")
	switch t.classify(err) {
	case faultAway:
		if t.guard.pending {
			if t.line.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) error {
				return t.guard.settle(ctx, tx, true)
			}) == nil { // counting one too many is the safe side
				t.guard.settled(true)
			}
		}
		away := t.away(err)
		return false, &away
	case faultUnknown:
		return false, &verdict{view: t.show(view{State: wait, Reason: "Kartu terputus saat diperiksa"}), again: true, reconnect: true}
	}
	found.Proposal = perso.DecideSpoil
	found.Observed["proof"] = stepOf(err)
	return false, nil
}

// resume takes the writing up again: same attempt, same numbers, same CONF, and
// only what the card does not show yet.
func (t *task) resume(ctx context.Context) verdict {
	if err := t.unseal(ctx); err != nil {
		if errors.Is(err, pkcs11.ErrSealed) {
			return t.inDoubt("Rahasia kartu tidak dapat dibuka; hanya dapat dinyatakan rusak", false)
		}
		return t.away(err)
	}
	if err := t.line.room(); err != nil {
		return t.away(err)
	}
	err := t.record(ctx, perso.Writing, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		return perso.Resume(ctx, tx, t.hand, t.line.change("keputusan dua orang"))
	})
	if err != nil {
		return t.unrecorded(err)
	}
	if err := t.note(entryResumed, nil); err != nil {
		return t.broken(ctx, err, faultUnknown)
	}
	return t.write(ctx)
}

// Settle is Reconcile, however long people need to say that the database was
// restored.
func (l *Line) Settle(ctx context.Context) error {
	for {
		err := l.Reconcile(ctx)
		if !errors.Is(err, ErrOlder) {
			return err
		}
		if err := clock.Sleep(ctx, l.Machine, l.Look); err != nil {
			return err
		}
	}
}

// Reconcile settles, before any slot is served, what an earlier run of this
// station left behind: claims under which nothing was written are given back; a
// result that the journal knows is recorded; any other begun writing is in
// doubt until its card is seen again. It waits for the database.
func (l *Line) Reconcile(ctx context.Context) error {
	last := map[string]journal.Entry{} // by attempt
	steps := map[string]string{}       // that were done last, by attempt
	tries := map[string]int{}          // authentications of a chip that are not known to have succeeded
	opens := map[string]int{}          // OPEN SAM of proofs that are not known to have succeeded, by attempt
	var begun []string                 // attempts since the last restore that was noticed
	known := map[string]bool{}         // the same
	var epoch int                      // that it was given
	if err := l.Journal.Replay(func(e journal.Entry) error {
		if e.Attempt != "" {
			last[e.Attempt] = e
		}
		countTry(tries, e)
		countOpen(opens, e)
		if e.Kind == entryStep {
			steps[e.Attempt] = stepIn(e)
		}
		switch e.Kind {
		case entryIntent, entryResumed, entryProven: // begun here, or by another station
			if !known[e.Attempt] {
				known[e.Attempt] = true
				begun = append(begun, e.Attempt)
			}
		case entryEpoch:
			begun = nil
			clear(known)
			return json.Unmarshal(e.Data, &epoch)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("line: reading the journal: %w", err)
	}
	l.mu.Lock()
	l.tries, l.opens = tries, opens
	l.mu.Unlock()
	if err := l.outlive(ctx, begun, last, max(epoch, 1)); err != nil {
		return err
	}
	hands, err := perso.Unfinished(ctx, l.DB, l.Station)
	if err != nil {
		return err
	}
	_, _ = l.toLook(ctx) // kept for a time when the database is away; whoever has a card asks again
	for _, h := range hands {
		if err := l.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			return l.settle(ctx, tx, h, last[h.Attempt.ID], steps[h.Attempt.ID])
		}); err != nil {
			return fmt.Errorf("line: settling card %s: %w", h.Card.ID, err)
		}
		log := naming(l.Log, h.Card)
		log.Info().Str("left", string(h.Card.State)).Msg("card left by an earlier run settled")
	}
	return l.late(ctx, begun[max(0, len(begun)-lastBegun):], last)
}

// lastBegun is how many attempts are compared: a restore takes the newest away.
const lastBegun = 1000

// ErrOlder says that the database was restored from before cards that this
// station has written, and that nobody has said so.
var ErrOlder = errors.New("line: the database is older than the station's journal; run `sifilma restored`")

// outlive notices a database that was restored from a backup older than what
// this station has written. An intent is committed before any journal has it, also
// when another station takes the attempt up, so one that only the journal knows is
// proof. Until people have raised the epoch of the numbers, no card is begun:
// papers and tickets must not go on either. Then the office is told what the
// journal knows. The cards themselves say so when they are seen again; see
// forgotten.
func (l *Line) outlive(ctx context.Context, begun []string, last map[string]journal.Entry, noted int) error {
	lost, err := perso.Unknown(ctx, l.DB, begun[max(0, len(begun)-lastBegun):])
	if err != nil {
		return err
	}
	now, err := perso.Epoch(ctx, l.DB)
	if err != nil {
		return err
	}
	if len(lost) > 0 || now < noted {
		raised, err := perso.RestoredEpoch(ctx, l.DB)
		if err != nil {
			return err
		}
		if raised <= noted {
			return l.older(fmt.Errorf("%w (%d attempts, epoch %d)", ErrOlder, len(lost), noted))
		}
	}
	var newest string
	if len(begun) > 0 {
		newest = begun[len(begun)-1]
	}
	if len(lost) == 0 && now == noted {
		return l.compared(now, newest)
	}
	if err := l.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for _, id := range lost {
			e := last[id]
			if err := perso.NoteLost(ctx, tx, perso.LostAttempt{ID: id, ChipID: e.Card, Station: l.Station, Last: e.Kind, At: e.At}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(lost) > 0 {
		l.Log.Warn().Int("attempts", len(lost)).Int("epoch", now).
			Msg("the database was restored from before cards were written; the office knows of them now")
	}
	if err := l.Journal.Append(journal.Entry{Kind: entryEpoch, Data: json.RawMessage(strconv.Itoa(now))}); err != nil {
		return fmt.Errorf("line: noting the epoch: %w", err)
	}
	if len(lost) > 0 {
		newest = "" // may be one of them
	}
	return l.compared(now, newest)
}

// compared keeps with which database the journal agrees, and the newest attempt that both
// know: cards may be begun.
func (l *Line) compared(epoch int, begun string) error {
	l.mu.Lock()
	l.epoch, l.begun = epoch, begun
	l.mu.Unlock()
	return l.older(nil)
}

// ErrChanged says that the database is not the one with which the journal was
// compared: it was restored, or another server took over.
var ErrChanged = errors.New("line: the database has begun a new epoch; the journal must be compared first")

// same is asked in each transaction that begins a card.
func (l *Line) same(ctx context.Context, r postgres.Reader) error {
	l.mu.Lock()
	epoch, begun := l.epoch, l.begun
	l.mu.Unlock()
	now, known, err := perso.EpochAfter(ctx, r, begun)
	if err != nil {
		return err
	}
	if now != epoch || !known {
		return ErrChanged
	}
	return nil
}

// Watch returns ErrChanged when the station must compare its journal again, with
// no card in hand, or the error of ctx when that ends.
func (l *Line) Watch(ctx context.Context) error {
	for {
		if err := clock.Sleep(ctx, l.Machine, l.Look); err != nil {
			return err
		}
		if err := l.same(ctx, l.DB); errors.Is(err, ErrChanged) {
			return err
		}
	}
}

// older keeps for readyz that the database is too old, and logs it once.
func (l *Line) older(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.stale == nil {
		l.Log.Error().Err(err).Msg("no card is begun")
	}
	l.stale = err
	return err
}

// Check is the readyz check of the numbers: they may be given.
func (l *Line) Check(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stale
}

// forgotten settles a card that was written after the moment to which the
// database was restored: its numbers and its secret are known to nobody, so that
// it has failed and can be replaced.
func (t *task) forgotten(ctx context.Context) (v verdict, is bool) {
	id, err := uuid.Parse(t.look.Marker)
	if err != nil {
		return verdict{}, false
	}
	work := context.WithoutCancel(ctx)
	if is, err = perso.Forgotten(work, t.line.DB, id.String()); err != nil {
		return t.away(err), true
	}
	if !is {
		return verdict{}, false
	}
	return t.giveUp(ctx, perso.Identity{Serial: t.look.Serial, ChipID: t.look.ChipID}, t.place(), forgottenText), true
}

const forgottenText = "Kartu ditulis sesudah saat pemulihan basis data; rahasianya tidak ada lagi, gunakan blangko pengganti"
