package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// settle ends what an earlier run left of a card, by the journal's last word on it;
// step is what it had done last.
func (l *Line) settle(ctx context.Context, tx *postgres.Tx, h perso.Hand, last journal.Entry, step string) (err error) {
	switch {
	case h.Card.State == perso.Claimed:
		_, err = perso.ReleaseClaim(ctx, tx, h, l.change("stasiun dimulai ulang"))
	case last.Kind == entryProven:
		_, err = perso.Finish(ctx, tx, h, map[string]any{"journal": last.Seq}, l.change(""))
	case last.Kind == entryFailed:
		var text string
		if text, err = reasonIn(last); err == nil {
			_, err = perso.Fail(ctx, tx, h, l.change(text))
		}
	default:
		var found perso.Finding
		if step != "" {
			found.Observed = map[string]any{"last_step": step}
		}
		_, err = perso.Doubt(ctx, tx, h, found, l.change("Stasiun berhenti saat menulis; kartu belum dibaca kembali"))
	}
	if err != nil || last.Kind == "" || h.Card.State == perso.Claimed || !l.allPassed(h.Attempt.ChipID) {
		return err
	}
	// The station counted a try and ended before it could say that it succeeded. Only it
	// has spoken to the chip since the writing began. Left standing, a few such ends would
	// have used up the tries of a good chip.
	return perso.ClearAuthentications(ctx, tx, h.Attempt.ChipID, l.Office.Now())
}

func reasonIn(e journal.Entry) (string, error) {
	var data struct {
		Reason string `json:"reason"`
	}
	err := json.Unmarshal(e.Data, &data)
	return data.Reason, err
}

// stepIn is the step that an entry tells of; empty if it cannot be read.
func stepIn(e journal.Entry) string {
	var data struct {
		Step string `json:"step"`
	}
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	return data.Step
}

// late tells the office what the journal knows of cards that it has stopped waiting
// for: people took them away while the station was cut off. A proof is accepted, also
// when one of two people has decided otherwise; against what is final it is kept as
// evidence. Each again is no error.
func (l *Line) late(ctx context.Context, attempts []string, last map[string]journal.Entry) error {
	var ended []string
	for _, id := range attempts {
		if kind := last[id].Kind; kind == entryProven || kind == entryFailed {
			ended = append(ended, id)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	open, err := perso.Unsettled(ctx, l.DB, ended)
	if err != nil {
		return err
	}
	for _, id := range open {
		e := last[id]
		news := perso.Late{Attempt: id, Proven: e.Kind == entryProven, Detail: map[string]any{"journal": e.Seq, "said": e.Kind}}
		if !news.Proven {
			if news.Detail["reason"], err = reasonIn(e); err != nil {
				return fmt.Errorf("line: journal line %d: %w", e.Seq, err)
			}
		}
		var h perso.Hand
		var taken perso.Taken
		if err := l.DB.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) (err error) {
			h, taken, err = perso.TakeLate(ctx, tx, news, l.change(""))
			return err
		}); err != nil {
			return fmt.Errorf("line: late result of attempt %s: %w", id, err)
		}
		l.told(h, taken)
	}
	return nil
}

// told logs what became of a late result.
func (l *Line) told(h perso.Hand, taken perso.Taken) {
	log := naming(l.Log, h.Card)
	switch taken {
	case perso.TakenNothing:
	case perso.TakenContradicts:
		log.Error().Str("state", string(h.Card.State)).Msg("a proven result contradicts what was decided; people must look")
	default:
		log.Info().Str("taken", string(taken)).Msg("late result taken")
	}
}

// lateProof tells the office of a card that this dialogue has just proven and that
// people took away meanwhile.
func (t *task) lateProof(ctx context.Context, proof map[string]any) verdict {
	var taken perso.Taken
	err := t.record(ctx, perso.Clear, func(ctx context.Context, tx *postgres.Tx) (h perso.Hand, err error) {
		h, taken, err = perso.TakeLate(ctx, tx, perso.Late{Attempt: t.hand.Attempt.ID, Proven: true, Detail: proof}, t.line.change(""))
		return h, err
	})
	if err != nil {
		return t.unrecorded(err)
	}
	t.line.told(t.hand, taken)
	switch {
	case t.hand.Card.State == perso.Clear:
		t.line.count(outcomeClear)
		return verdict{view: t.show(view{State: take, Outcome: outcomeClear})}
	case taken == perso.TakenContradicts:
		return t.contradicted(true)
	}
	return t.unrecorded(errNotTaken)
}

var errNotTaken = errors.New("line: the proof of the card is not taken")
