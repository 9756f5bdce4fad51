package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// ErrReplacementAsked says that a replacement of a paper is on its way already.
var ErrReplacementAsked = errors.New("letter: replacement asked for already")

// MayType says whether a role can type the number of a paper now. Errors:
// *machine.RoleError, *machine.IllegalError.
func MayType(d Document, role machine.Role) error {
	if err := Machine.MayEver(VerbTypeNumber, role); err != nil {
		return err
	}
	if !d.AwaitsNumber {
		return &machine.IllegalError{Machine: Machine.Name, From: d.State, Verb: VerbTypeNumber}
	}
	return Machine.May(d.State, VerbTypeNumber, role)
}

// replacing is the paper that is to take the place of another, or has. Error: ErrNotFound.
func replacing(ctx context.Context, rd postgres.Reader, id string) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE replaces = $1 AND state <> 'void'`, id)
}

// Successor returns the paper that counts in the place of one that does not any more: the
// one in force of its kind and subject, if it was made after it. One that is still to be
// signed takes nobody's place yet. Error: ErrNotFound.
func Successor(ctx context.Context, rd postgres.Reader, d Document) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE kind = $1 AND subject_id = $2 AND state = 'issued' AND id > $3`, d.Kind, d.SubjectID, d.ID)
}

// AskReplacement has a paper in force that is wrong made anew: another is drafted from
// what is true now, with a number of its own. The old one stays in force until the new
// one is. Errors: ErrReasonMissing, ErrReplacementAsked, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func AskReplacement(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) (Document, error) {
	if err := May(d, VerbReplace, c.Actor.Role); err != nil {
		return d, err
	}
	switch {
	case d.ReplacementAsked:
		return d, ErrReplacementAsked
	case c.Reason == "":
		return d, ErrReasonMissing
	}
	return move(ctx, tx, d, VerbReplace, c, `replacement_asked = true`)
}

// takePlace ends the paper that one which is about to be issued replaces, in the same
// transaction: exactly one of them is in force at any time.
func takePlace(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) error {
	if d.Replaces == nil {
		return nil
	}
	old, err := Get(ctx, tx, *d.Replaces)
	if err != nil {
		return err
	}
	_, err = move(ctx, tx, old, verbReplaced, c, `signed_on = signed_on`)
	return err
}

// hold keeps another paper from being drafted in the place of one that was voided. Of a
// replacement, the paper that is in force stays so, and is not replaced.
func hold(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) error {
	if d.Replaces != nil {
		old, err := Get(ctx, tx, *d.Replaces)
		if err != nil {
			return err
		}
		_, err = move(ctx, tx, old, verbKeep, c, `replacement_asked = false`)
		return err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO document_hold (kind, subject_id, document_id, held_by, held_at) VALUES ($1,$2,$3,$4,$5) ON CONFLICT DO NOTHING`,
		d.Kind, d.SubjectID, d.ID, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("letter: holding: %w", err)
	}
	return nil
}

// HeldBy returns the void paper on whose account no other of its kind is drafted for its
// subject. Error: ErrNotFound.
func HeldBy(ctx context.Context, rd postgres.Reader, kind, subjectID string) (documentID string, err error) {
	err = rd.Get(ctx, &documentID, `SELECT document_id FROM document_hold WHERE kind = $1 AND subject_id = $2`, kind, subjectID)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("letter: reading a hold: %w", err)
	}
	return documentID, nil
}

// DraftAgain lets a paper be drafted in the place of a void one, after all. Errors:
// ErrNotFound when nothing holds it, *machine.RoleError.
func DraftAgain(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) error {
	if err := Machine.MayEver(VerbVoid, c.Actor.Role); err != nil {
		return err
	}
	err := tx.ExecOne(ctx, `DELETE FROM document_hold WHERE kind = $1 AND subject_id = $2`, d.Kind, d.SubjectID)
	if errors.Is(err, postgres.ErrStale) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("letter: drafting again: %w", err)
	}
	return nil
}
