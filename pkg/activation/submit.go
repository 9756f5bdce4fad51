package activation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/checkdigit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// New is a letter to be taken in.
type New struct {
	LembagaID string // whose letter it is
	Form
	Lines []Line // tidy
	Scan  string // blob of the letter with its signature; a draft may have none yet
	Draft bool   // not submitted yet
	By    string `json:"-"` // the institution that writes it
}

// Create takes a letter in: as a draft, or submitted by its lembaga, which rings
// activation.submitted. Errors: *machine.RoleError, ErrNumberUsed, ErrUnknownProdusen,
// ErrUnknownMachineType, ErrNoLines; they leave the transaction aborted.
func Create(ctx context.Context, tx *postgres.Tx, n New, c request.Change) (Letter, error) {
	verb := VerbSubmit
	if n.Draft {
		verb = VerbDraft
	}
	step, err := LetterMachine.Step("", verb, c.Actor.Role)
	if err != nil {
		return Letter{}, err
	}
	asked, err := produsenOf(ctx, tx, n.Produsen)
	if err != nil {
		return Letter{}, err
	}
	if !n.Draft && len(n.Lines) == 0 {
		return Letter{}, ErrNoLines
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Letter{}, fmt.Errorf("activation: id: %w", err)
	}
	var ordinal int64
	if err := tx.Get(ctx, &ordinal, `SELECT nextval('activation_ticket')`); err != nil {
		return Letter{}, fmt.Errorf("activation: ticket: %w", err)
	}
	draft, err := draftOf(n.Lines, n.Draft)
	if err != nil {
		return Letter{}, err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation_letter (id, ticket, lembaga_id, produsen_id, number, dated, subject, leader, leader_post, notes, scan_blob, draft, state,
		                               created_by, created_at, submitted_by, submitted_at, traceparent, prepared_by)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11, '')::uuid, $12, $13, $14, $15, CASE WHEN $17 THEN '' ELSE $14 END,
		       CASE WHEN $17 THEN NULL ELSE $15::timestamptz END, $16, $18`,
		id.String(), checkdigit.Number(ticketKind, c.OfficeAt.In(clock.Jakarta).Year(), ordinal), n.LembagaID, asked.ID, n.Number, n.Date, n.Subject, n.Leader,
		n.LeaderPost, n.Notes, n.Scan, draft, string(step.To), c.Actor.Name, c.OfficeAt.UTC(), trace.From(ctx), n.Draft, n.By); err != nil {
		return Letter{}, known(err, "taking a letter in")
	}
	made, err := Get(ctx, tx, id.String())
	if err != nil {
		return Letter{}, err
	}
	return made, entered(ctx, tx, made, step, n.Lines, c)
}

// own refuses what only whoever prepared a draft does to it: to others it is not theirs,
// whatever their role. The error is a *machine.RoleError.
func (l Letter) own(verb machine.Verb, by string, c request.Change) error {
	if l.State == LetterDrafted && l.PreparedBy != by {
		return &machine.RoleError{Machine: LetterMachine.Name, Verb: verb, Role: c.Actor.Role}
	}
	return nil
}

// Edit changes a draft, for whoever prepared it. What it does not name stays; an empty scan keeps the present one.
// Errors: those of Create, *machine.IllegalError, postgres.ErrStale.
func Edit(ctx context.Context, tx *postgres.Tx, l Letter, n New, c request.Change) (Letter, error) {
	if err := l.own(VerbEdit, n.By, c); err != nil {
		return l, err
	}
	return l.write(ctx, tx, VerbEdit, n, c)
}

// Submit submits a draft as its lembaga has read and completed it, whoever prepared it. Errors: those of Edit.
func Submit(ctx context.Context, tx *postgres.Tx, l Letter, n New, c request.Change) (Letter, error) {
	if len(n.Lines) == 0 {
		return l, ErrNoLines
	}
	return l.write(ctx, tx, VerbSubmit, n, c)
}

func (l Letter) write(ctx context.Context, tx *postgres.Tx, verb machine.Verb, n New, c request.Change) (Letter, error) {
	step, err := LetterMachine.Step(l.State, verb, c.Actor.Role)
	if err != nil {
		return l, err
	}
	asked, err := produsenOf(ctx, tx, n.Produsen)
	if err != nil {
		return l, err
	}
	draft, err := draftOf(n.Lines, verb == VerbEdit)
	if err != nil {
		return l, err
	}
	by, at := "", any(nil)
	if verb == VerbSubmit {
		by, at = c.Actor.Name, c.OfficeAt.UTC()
	}
	if err := tx.ExecOne(ctx, `
		UPDATE activation_letter SET state = $4, version = version + 1, produsen_id = $5, number = $6, dated = $7, subject = $8, leader = $9, leader_post = $10,
		       notes = $11, scan_blob = coalesce(nullif($12, '')::uuid, scan_blob), draft = $13, submitted_by = $14, submitted_at = $15
		WHERE id = $1 AND state = $2 AND version = $3`,
		l.ID, string(l.State), l.Version, string(step.To), asked.ID, n.Number, n.Date, n.Subject, n.Leader, n.LeaderPost, n.Notes, n.Scan, draft, by, at); err != nil {
		return l, known(err, string(verb))
	}
	next, err := Get(ctx, tx, l.ID)
	if err != nil {
		return l, err
	}
	return next, entered(ctx, tx, next, step, n.Lines, c)
}

// Discard throws a draft away, for the institution that prepared it. Errors:
// *machine.RoleError, *machine.IllegalError, postgres.ErrStale.
func Discard(ctx context.Context, tx *postgres.Tx, l Letter, by string, c request.Change) error {
	if err := l.own(VerbDiscard, by, c); err != nil {
		return err
	}
	step, err := LetterMachine.Step(l.State, VerbDiscard, c.Actor.Role)
	if err != nil {
		return err
	}
	if err := tx.ExecOne(ctx, `UPDATE activation_letter SET state = $4, version = version + 1 WHERE id = $1 AND state = $2 AND version = $3`,
		l.ID, string(l.State), l.Version, string(step.To)); err != nil {
		return fmt.Errorf("activation: discarding: %w", err)
	}
	l.State, l.Version = step.To, l.Version+1
	return entered(ctx, tx, l, step, nil, c)
}

// draftOf is what a letter keeps of its lines while it is a draft.
func draftOf(lines []Line, draft bool) (string, error) {
	if !draft {
		return "[]", nil
	}
	body, err := json.Marshal(append([]Line{}, lines...))
	if err != nil {
		return "", fmt.Errorf("activation: draft: %w", err)
	}
	return string(body), nil
}

// entered records a step of a letter, and writes the lines of one that is submitted.
func entered(ctx context.Context, tx *postgres.Tx, l Letter, step machine.Step, of []Line, c request.Change) error {
	if err := LetterMachine.Write(ctx, tx, machine.Record{
		Subject: l.ID, Ticket: l.Ticket, Version: l.Version, Step: step, Actor: c.Actor, Reason: c.Reason,
		Detail: map[string]any{"lines": len(of)}, OfficeAt: c.OfficeAt, TraceParent: l.TraceParent,
	}); err != nil {
		return err
	}
	if l.State != LetterSubmitted {
		return nil
	}
	born, err := Machine.Find("", VerbSubmit)
	if err != nil {
		return err
	}
	ids := make([]string, len(of))
	cols := make([][]string, 9)
	var records []machine.Record
	for i, a := range of {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("activation: id: %w", err)
		}
		ids[i] = id.String()
		for j, v := range a.columns() {
			cols[j] = append(cols[j], v)
		}
		records = append(records, machine.Record{
			Subject: ids[i], Ticket: l.Ticket, Version: 1, Step: born, Actor: c.Actor, OfficeAt: c.OfficeAt, TraceParent: l.TraceParent,
		})
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation (id, letter_id, line, state, reader_serial, sam_serial, origin_no, perso_no, pcid, machine_type, mode, address, region)
		SELECT n.id, $1, n.line, 'submitted', n.reader, n.sam, n.origin, n.perso, n.pcid, n.kind, n.mode, n.address, n.region
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[]) WITH ORDINALITY
		     AS n (id, reader, sam, origin, perso, pcid, kind, mode, address, region, line)`,
		append([]any{l.ID, pq.Array(ids)}, arrays(cols)...)...); err != nil {
		return known(err, "lines")
	}
	if err := Machine.Write(ctx, tx, records...); err != nil {
		return err
	}
	return outbox.Put(ctx, tx, outbox.Message{Type: step.Message, Subject: l.ID, Version: l.Version, TraceParent: l.TraceParent})
}

// columns are a line's values in the order of the table.
func (a Line) columns() [9]string {
	return [9]string{a.Reader, a.SAM, a.Origin, a.Perso, a.PCID, a.MachineType, a.Mode, a.Address, a.Region}
}

func arrays(cols [][]string) []any {
	all := make([]any, len(cols))
	for i, col := range cols {
		all[i] = pq.Array(col)
	}
	return all
}

// produsenOf finds the active produsen of this name.
func produsenOf(ctx context.Context, rd postgres.Reader, name string) (institution.Institution, error) {
	in, err := institution.ByName(ctx, rd, name)
	if errors.Is(err, institution.ErrNotFound) || err == nil && (in.Kind != institution.Produsen || !in.Active) {
		return in, ErrUnknownProdusen
	}
	return in, err
}

// LembagaOf finds the active lembaga pengguna of this name, for a produsen that prepares
// its letter. Error: ErrUnknownLembaga.
func LembagaOf(ctx context.Context, rd postgres.Reader, name string) (institution.Institution, error) {
	in, err := institution.ByName(ctx, rd, name)
	if errors.Is(err, institution.ErrNotFound) || err == nil && (in.Kind != institution.Lembaga || !in.Active) {
		return in, ErrUnknownLembaga
	}
	return in, err
}

// known turns a constraint's refusal into what it means.
func known(err error, doing string) error {
	switch postgres.Constraint(err) {
	case "activation_letter_number":
		return ErrNumberUsed
	case "activation_machine_type_fkey":
		return ErrUnknownMachineType
	case "activation_reader":
		return ErrReaderTaken
	case "activation_not_missing":
		return ErrReaderMissing
	case "activation_card_handed_over":
		return ErrCardNotReady
	}
	return fmt.Errorf("activation: %s: %w", doing, err)
}
