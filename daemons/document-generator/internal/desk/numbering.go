package desk

import (
	"context"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// numbered are the kinds of paper that have numbers.
var numbered = []string{letter.ActivationReply, letter.BAST, letter.BlankReceipt, letter.CompletionLetter, letter.DestructionReport, letter.ReplyLetter}

// ensureNumberings writes down, once, with what each kind begins, so that persuratan
// finds them before the first paper is made.
func (k *Desk) ensureNumberings(ctx context.Context) error {
	if k.known.Load() {
		return nil
	}
	err := k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		for _, kind := range numbered {
			if _, err := letter.EnsureNumbering(ctx, tx, kind, k.template(kind), request.Change{Actor: Self, OfficeAt: k.office.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
	k.known.Store(err == nil)
	return err
}

// waitingMost bounds one look; the next one goes on.
const waitingMost = 100

// numberWaiting numbers the papers that waited for a number when the way of their kind
// was changed to the counter. One that cannot be numbered harms no other.
func (k *Desk) numberWaiting(ctx context.Context, blocked map[string]string) error {
	list, err := letter.TurnedToCounter(ctx, k.db, waitingMost)
	if err != nil {
		return err
	}
	for _, d := range list {
		err := k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			tx.OnCommit(k.db.Bell(BellName).Ring)
			d, now, err := letter.NumberByCounter(ctx, tx, d, request.Change{Actor: Self, OfficeAt: k.office.Now()})
			if err != nil || !now {
				return err
			}
			return audit.Record(ctx, tx, audit.Entry{Actor: Self.Name, Action: "document.numbered", Subject: d.ID, Request: d.RequestID,
				Detail: map[string]any{"kind": d.Kind, "number": *d.Number}})
		})
		if postgres.Foreign(err) {
			return err
		}
		if err != nil {
			blocked[d.Kind+" "+d.SubjectID] = err.Error()
		}
	}
	return nil
}
