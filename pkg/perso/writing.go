package perso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Intent is what will be written, committed before the first write: enough to
// resume with the same content, and nothing secret in clear.
type Intent struct {
	Sealed []byte         // the card's secrets, wrapped by the HSM
	Public map[string]any // hashes and key versions, for people and for the check at resuming
}

// BeginWriting commits the intent of a claimed card. From its commit on the
// card may have changed, and only reading it can tell.
func BeginWriting(ctx context.Context, tx *postgres.Tx, h Hand, in Intent, ch Change) (Hand, error) {
	if len(in.Sealed) == 0 {
		return Hand{}, errors.New("perso: intent without sealed secrets")
	}
	public, err := encode(in.Public)
	if err != nil {
		return Hand{}, err
	}
	w := &walk{tx: tx, card: h.Card, change: ch}
	if err := w.take(ctx, WriteVerb, nil, ``); err != nil {
		return Hand{}, err
	}
	if err := tx.ExecOne(ctx, `
		UPDATE perso_attempt SET sealed=$2, intent=$3, writing_at=now() WHERE id=$1 AND sealed IS NULL`,
		h.Attempt.ID, in.Sealed, string(public)); err != nil {
		return Hand{}, fmt.Errorf("perso: intent: %w", err)
	}
	h.Card, h.Attempt.Sealed, h.Attempt.Intent = w.card, in.Sealed, public
	return h, w.done(ctx)
}

// Finish records that a card was proven good: read back, opened once, secured.
// It walks from writing, written or in_doubt to clear, each step with its own
// version and row of the timeline, and takes the card off its work order.
func Finish(ctx context.Context, tx *postgres.Tx, h Hand, proof map[string]any, ch Change) (Hand, error) {
	w := &walk{tx: tx, card: h.Card, change: ch}
	if w.card.State != Writing { // it was in doubt, and nothing is wrong with its lot
		if _, err := tx.Exec(ctx, `UPDATE perso_attempt SET cause='' WHERE id=$1 AND cause<>''`, h.Attempt.ID); err != nil {
			return Hand{}, fmt.Errorf("perso: cause: %w", err)
		}
	}
	if w.card.State == InDoubt {
		if err := w.take(ctx, CompleteVerb, proof, ``); err != nil {
			return Hand{}, err
		}
	}
	if w.card.State == Writing {
		if err := w.take(ctx, FinishVerb, nil, ``); err != nil {
			return Hand{}, err
		}
	}
	if err := w.take(ctx, VerifyVerb, proof, ``); err != nil {
		return Hand{}, err
	}
	if err := w.take(ctx, ClearVerb, nil, `, finished_at=$6, reason=''`, ch.OfficeAt.UTC()); err != nil {
		return Hand{}, err
	}
	w.card.Reason = ""
	return w.end(ctx, h, "clear")
}

// FinishFound is Finish of a card that was proven when it was seen again: what was found
// is kept as evidence.
func FinishFound(ctx context.Context, tx *postgres.Tx, h Hand, f Finding, proof map[string]any, ch Change) (Hand, error) {
	w := &walk{tx: tx, card: h.Card, change: ch}
	if _, err := w.witness(ctx, h, f, false); err != nil {
		return Hand{}, err
	}
	return Finish(ctx, tx, h, proof, ch)
}

// Fail records that a card certainly did not become a SAM: its numbers are
// burnt and it waits for a replacement. The reason is shown to people.
func Fail(ctx context.Context, tx *postgres.Tx, h Hand, ch Change) (Hand, error) {
	w := &walk{tx: tx, card: h.Card, change: ch}
	if err := w.take(ctx, FailVerb, nil, `, finished_at=$6, reason=$7`, ch.OfficeAt.UTC(), ch.Reason); err != nil {
		return Hand{}, err
	}
	w.card.Reason = ch.Reason
	return w.end(ctx, h, "failed")
}

// Doubt records that nobody knows what is on the card. The card takes its place
// in the work order with it: it left the line.
func Doubt(ctx context.Context, tx *postgres.Tx, h Hand, f Finding, ch Change) (Hand, error) {
	w := &walk{tx: tx, card: h.Card, change: ch}
	if err := w.take(ctx, DoubtVerb, f.Observed, `, reason=$6`, ch.Reason); err != nil {
		return Hand{}, err
	}
	w.card.Reason = ch.Reason
	if err := w.observe(ctx, &h, f); err != nil {
		return Hand{}, err
	}
	return w.end(ctx, h, "in_doubt")
}

// Resume takes up the writing of a card in doubt, after two people decided so
// about this very doubt, on the reading of the card that still counts (ErrNotResolved
// otherwise): same attempt, same numbers, same secrets. The attempt is then the station's that resumes it: were it still
// another's, that one would call it in doubt at its next start, in the middle of
// the writing.
func Resume(ctx context.Context, tx *postgres.Tx, h Hand, ch Change) (Hand, error) {
	// A reading, which may void the decision, is kept under the same lock.
	if _, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, h.Card.ID); err != nil {
		return Hand{}, err
	}
	decision, err := Resolved(ctx, tx, h.Card)
	if err != nil {
		return Hand{}, err
	}
	if decision != DecideResume {
		return Hand{}, ErrNotResolved
	}
	w := &walk{tx: tx, card: h.Card, change: ch}
	if err := w.take(ctx, ResumeVerb, nil, `, reason=''`); err != nil {
		return Hand{}, err
	}
	w.card.Reason = ""
	if err := tx.ExecOne(ctx, `
		UPDATE perso_attempt SET outcome='', proposal='', reading='', cause='', ended_at=NULL, station=$2 WHERE id=$1`, h.Attempt.ID, ch.Actor.Name); err != nil {
		return Hand{}, fmt.Errorf("perso: resuming: %w", err)
	}
	h.Card, h.Attempt.Outcome, h.Attempt.Proposal, h.Attempt.Reading, h.Attempt.Station = w.card, "", "", "", ch.Actor.Name
	return h, w.done(ctx)
}

// end closes the attempt, takes the card off its work order unless that was
// done when it got in doubt, and puts its fate into the audit. A card whose
// doubt was counted tells the scheduler by card.resolved that it is settled.
func (w *walk) end(ctx context.Context, h Hand, outcome string) (Hand, error) {
	h.Card, h.Attempt.Outcome = w.card, outcome
	if err := endAttempt(ctx, w.tx, h.Attempt.ID, outcome); err != nil {
		return Hand{}, err
	}
	// A decision that waits for its second person is overtaken by what happened.
	first, err := w.tx.Exec(ctx, `
		WITH overtaken AS (UPDATE card_resolution SET voided_at=$3 WHERE card_id=$2 AND confirmed_by IS NULL AND voided_at IS NULL)
		UPDATE perso_attempt SET counted=true WHERE id=$1 AND NOT counted`, h.Attempt.ID, w.card.ID, w.change.OfficeAt.UTC())
	if err != nil {
		return Hand{}, fmt.Errorf("perso: counting: %w", err)
	}
	h.Attempt.Counted = true
	detail := map[string]any{
		"attempt": h.Attempt.Number, "station": h.Attempt.Station, "chip": h.Attempt.ChipID, "manifest_no": w.card.ManifestNo,
	}
	if w.change.Reason != "" {
		detail["reason"] = w.change.Reason
	}
	if first == 1 {
		err := capacity.CountDown(ctx, w.tx, h.Attempt.WorkOrderID, w.change.Actor, w.change.OfficeAt)
		if errors.Is(err, postgres.ErrStale) {
			// The order was taken back under the card's feet. What happened to the
			// card is true all the same.
			detail["work_order"] = "not open any more"
		} else if err != nil {
			return Hand{}, err
		}
	} else if outcome != "in_doubt" {
		w.ring(resolvedMessage)
	}
	if err := w.note(ctx, "card."+outcome, detail); err != nil {
		return Hand{}, err
	}
	return h, w.done(ctx)
}

func encode(m map[string]any) (json.RawMessage, error) {
	if len(m) == 0 {
		return json.RawMessage("{}"), nil
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("perso: encoding: %w", err)
	}
	return body, nil
}
