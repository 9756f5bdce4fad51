package line

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/daemons/perso-station/internal/sam"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// resumable makes a finding spoil when nothing more can be written to the card, whatever
// is on it: the chip must not be authenticated any more, or the card's CONF cannot be
// opened.
func (t *task) resumable(ctx context.Context, found *perso.Finding) error {
	n, err := perso.AuthenticationFailures(context.WithoutCancel(ctx), t.line.DB, t.look.ChipID)
	if err != nil {
		return err
	}
	lacks := profile.Step("")
	if n >= perso.MaxAuthentications || t.line.mayTry(t.look.ChipID) != nil {
		lacks = profile.Authenticate
	} else if !t.lacksKeys(ctx) && errors.Is(t.unseal(ctx), pkcs11.ErrSealed) { // an HSM that is away says nothing
		lacks = profile.Secret
	}
	if lacks != "" {
		found.Proposal = perso.DecideSpoil
		found.Observed["proof"] = string(lacks)
	}
	return nil
}

// observe keeps what the card in doubt shows: once in each insertion, and when it is
// not what was kept last.
func (t *task) observe(ctx context.Context, found perso.Finding) error {
	reading, err := found.Reading()
	if err != nil {
		return err
	}
	if t.told == t.telling(reading) && t.hand.Attempt.Reading == reading {
		return nil
	}
	err = t.record(ctx, perso.InDoubt, func(ctx context.Context, tx *postgres.Tx) (perso.Hand, error) {
		return perso.Observe(ctx, tx, t.hand, found, t.line.change(""))
	})
	if err == nil {
		t.told = t.telling(reading)
	}
	return err
}

// telling names a reading of the card in the doubt that it is in.
func (t *task) telling(reading string) string {
	return fmt.Sprintf("%s/%d/%s", t.hand.Card.ID, t.hand.Card.Version, reading)
}

// blind is the verdict on a card in doubt that says which chip it is and refuses to show
// more, as cause says: nothing can be told of it, and giving it up is all that is left.
func (t *task) blind(ctx context.Context, look sam.Look, cause error) (v verdict, is bool) {
	if cause == nil || look.ChipID == "" || !t.unfit(cause) {
		return verdict{}, false
	}
	work := context.WithoutCancel(ctx)
	h, err := perso.FindChip(work, t.line.DB, look.ChipID)
	if err != nil || h.Card.State != perso.InDoubt {
		return verdict{}, false
	}
	// Another plan may know better how to ask.
	plan, err := perso.PlanOf(work, t.line.DB, h, clock.Today(t.line.Office))
	if err != nil || !plan.Same(t.kit.plan) || !t.line.hold(h.Card.ID) {
		return verdict{}, false
	}
	defer t.line.letGo(h.Card.ID)
	look.Serial = h.Card.Serial
	t.hand, t.look, t.log, t.guard = h, look, naming(t.log, h.Card), &guard{line: t.line, chip: look.ChipID}
	return t.shown(ctx, perso.Finding{
		Proposal: perso.DecideSpoil, Reader: t.reader.Name(), Observed: map[string]any{"unreadable": reason("Kartu menolak dibaca", cause)},
	}), true
}

// givenUp looks at a card whose fate is decided for good. It is never touched again;
// when it turns out to be finished, that is kept and people must look.
func (t *task) givenUp(ctx context.Context, why error) verdict {
	if t.hand.Attempt.Number == 0 {
		return t.refusedBy(why)
	}
	if err := t.turn(ctx); postgres.Foreign(err) {
		return t.away(err)
	} else if err != nil {
		return t.refusedBy(why)
	}
	found := t.finding(t.look)
	if found.Proposal != perso.DecideComplete {
		return t.refusedBy(why)
	}
	var known bool
	err := t.line.DB.InTx(context.WithoutCancel(ctx), func(ctx context.Context, tx *postgres.Tx) (err error) {
		known, err = perso.Contradict(ctx, tx, t.hand.Card.ID, found, t.line.change(""))
		return err
	})
	if err != nil {
		return t.away(err)
	}
	return t.contradicted(known)
}

// finished is the verdict on a card that is clear already, as why says: it is good if
// what was written to it is on it. A blank that has the same names as a good card, or a
// chip that lies, is none.
func (t *task) finished(ctx context.Context, why error) verdict {
	if t.hand.Attempt.ProfileID == "" { // by hand: what is on it nobody here knows
		return t.refusedBy(why)
	}
	if err := t.turn(ctx); err != nil {
		return t.turned(err)
	}
	if t.look.Judge(t.kit.profile, t.job()) == sam.Finished {
		return t.refusedBy(why)
	}
	v := verdict{view: t.show(view{
		State: setAside, Outcome: outcomeRefused, Reason: "Kartu ini tercatat berhasil, padahal isinya lain; jangan dipakai, serahkan kepada petugas",
	})}
	t.said(v)
	return v
}

// takenOff is the verdict on a card that was taken off its request, as why says.
func (t *task) takenOff(ctx context.Context, why error) (v verdict, is bool) {
	var refusal *perso.Refusal
	if !errors.As(why, &refusal) || refusal.Why != perso.SetAside || refusal.CardID == "" {
		return verdict{}, false
	}
	h, err := perso.Reload(context.WithoutCancel(ctx), t.line.DB, refusal.CardID)
	if err != nil {
		return t.away(err), true
	}
	if h.Card.ChipID != t.look.ChipID {
		return verdict{}, false
	}
	t.hand, t.log = h, naming(t.log, h.Card)
	return t.givenUp(ctx, why), true
}

// contradicted is the verdict on a card that is finished and was given up for good.
func (t *task) contradicted(known bool) verdict {
	if !known {
		t.log.Error().Str("state", string(t.hand.Card.State)).Msg("a finished card was given up; people must look")
	}
	return verdict{view: t.show(view{State: setAside, Outcome: outcomeRefused, Reason: "Kartu ini selesai ditulis, padahal sudah dinyatakan " +
		strings.ToLower(perso.Machine.Label(t.hand.Card.State)) + "; jangan dipakai, serahkan kepada petugas"})}
}
