package request

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// CreateAll is Create for several requests, with as many statements as for one.
// Their tickets rise in their order. An error is that of one of them, without
// saying which, and leaves none.
func CreateAll(ctx context.Context, tx *postgres.Tx, all []New) ([]Request, error) {
	if len(all) == 0 {
		return nil, nil
	}
	step, err := Machine.Find("", Submit)
	if err != nil {
		return nil, err
	}
	var numbers []int64
	if err := tx.Select(ctx, &numbers, `SELECT nextval('ticket_number') FROM generate_series(1, $1::int)`, len(all)); err != nil {
		return nil, fmt.Errorf("request: ticket numbers: %w", err)
	}
	made, each, steps := make([]Request, len(all)), make([]parts, len(all)), make([]taken, len(all))
	for i, n := range all {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("request: id: %w", err)
		}
		made[i] = Request{
			ID: id.String(), Ticket: NewTicket(n.OfficeAt.In(clock.Jakarta).Year(), numbers[i]), InstitutionID: n.InstitutionID,
			Form: n.Form, State: Submitted, Version: 1, Submission: 1, CreatedBy: n.Actor.Name, CreatedAt: n.OfficeAt.UTC(),
			TraceParent: cmp.Or(n.TraceParent, trace.From(ctx)),
		}
		each[i] = parts{made[i].ID, 1, n.Form, n.Files}
		steps[i] = taken{made[i], step, Change{Actor: n.Actor, OfficeAt: n.OfficeAt}}
	}
	if err := insert(ctx, tx, made); err != nil {
		return nil, err
	}
	claims := make([]need.Claims, len(all))
	for i := range made {
		claims[i] = made[i].claims(steps[i].Change)
	}
	needs, err := need.BundleAll(ctx, tx, claims)
	if err != nil {
		return nil, err
	}
	if err := writeParts(ctx, tx, each, needs); err != nil {
		return nil, err
	}
	return made, announce(ctx, tx, steps...)
}

// claims are the needs that the lines of a request name.
func (r *Request) claims(by Change) need.Claims {
	c := r.Form.Claims(r.InstitutionID)
	c.RequestID, c.Ticket, c.By = r.ID, r.Ticket, needChange(by)
	return c
}

// Claims are the needs that the lines of a form name, for a produsen that has sent
// no request with it yet.
func (f *Form) Claims(institutionID string) need.Claims {
	c := need.Claims{ProdusenID: institutionID, MachineType: f.MachineType}
	for i, l := range f.Lines {
		if l.Need != "" {
			c.Lines = append(c.Lines, need.Claim{Line: i, Number: l.Need, Lembaga: l.Lembaga, Quantity: l.Quantity})
		}
	}
	return c
}

func needChange(c Change) need.Change {
	return need.Change{Actor: c.Actor, Reason: c.Reason, OfficeAt: c.OfficeAt}
}

// insert writes the rows of new requests, in the order of their numbers at the
// produsen, so that two batches with the same ones do not wait in a circle.
func insert(ctx context.Context, tx *postgres.Tx, all []Request) error {
	var c columns
	for _, r := range slices.SortedFunc(slices.Values(all), func(a, b Request) int {
		return cmp.Or(cmp.Compare(a.InstitutionID, b.InstitutionID), cmp.Compare(a.Form.Reference, b.Form.Reference))
	}) {
		f := r.Form
		c.add(r.ID, r.Ticket, f.Kind, r.InstitutionID, f.Reference, f.Title, f.SAMFunction, f.CardCount, f.MachineType,
			f.PKSNumber, f.Notes, f.Sender, f.Post, f.Number, f.Date, f.Subject, string(r.State), r.CreatedBy, r.CreatedAt,
			r.TraceParent)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
		                     pks_number, notes, letter_sender, letter_post, letter_number, letter_date, letter_subject,
		                     state, created_by, created_at, traceparent)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::int[],
		                     $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::date[],
		                     $16::text[], $17::text[], $18::text[], $19::timestamptz[], $20::text[])`, c.arrays()...)
	switch postgres.Constraint(err) {
	case "request_institution_id_reference_key":
		return ErrReferenceUsed
	case "request_machine_type_fkey":
		return ErrUnknownMachineType
	}
	if err != nil {
		return fmt.Errorf("request: inserting: %w", err)
	}
	return nil
}

// parts is what a submission has besides the row of its request.
type parts struct {
	id         string
	submission int
	form       Form
	files      []File
}

// writeParts writes what submissions have besides; needs are the ids of the needs
// that their lines name.
func writeParts(ctx context.Context, tx *postgres.Tx, all []parts, needs map[string]string) error {
	var lines, orders, files columns
	for _, p := range all {
		for i, l := range p.form.Lines {
			lines.add(p.id, i+1, l.Lembaga, l.Quantity, l.Remarks, needs[l.Need])
		}
		for i, o := range p.form.Orders {
			orders.add(p.id, i+1, o.Number, o.From, o.To, o.ReaderCount)
		}
		for _, f := range p.files {
			files.add(p.id, f.Kind, p.submission, f.BlobID, f.Name)
		}
	}
	for _, part := range []struct {
		name, statement string
		rows            columns
	}{
		{"lines", `
			INSERT INTO request_line (request_id, line, lembaga, quantity, remarks, need_id)
			SELECT l.request_id, l.line, l.lembaga, l.quantity, l.remarks, nullif(l.need, '')::uuid
			FROM unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::text[], $6::text[])
			     AS l (request_id, line, lembaga, quantity, remarks, need)`, lines},
		{"purchase orders", `
			INSERT INTO purchase_order (request_id, line, number, buyer, seller, reader_count)
			SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::int[])`, orders},
		{"files", `
			INSERT INTO request_file (request_id, kind, submission, blob_id, name)
			SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::uuid[], $5::text[])`, files},
	} {
		if part.rows == nil {
			continue
		}
		if _, err := tx.Exec(ctx, part.statement, part.rows.arrays()...); err != nil {
			return fmt.Errorf("request: %s: %w", part.name, err)
		}
	}
	return nil
}

// columns are rows turned into one array per column, for unnest.
type columns [][]any

func (c *columns) add(row ...any) {
	if *c == nil {
		*c = make(columns, len(row))
	}
	for i, v := range row {
		(*c)[i] = append((*c)[i], v)
	}
}

func (c columns) arrays() []any {
	arrays := make([]any, len(c))
	for i, column := range c {
		arrays[i] = pq.Array(column)
	}
	return arrays
}

// taken is a step that a request has taken.
type taken struct {
	after Request
	step  machine.Step
	Change
}

// announce writes the timeline rows and rings the steps' messages.
func announce(ctx context.Context, tx *postgres.Tx, all ...taken) error {
	var records []machine.Record
	var messages []outbox.Message
	for _, t := range all {
		r := t.after
		records = append(records, machine.Record{
			Subject: r.ID, Request: r.ID, Ticket: r.Ticket, Version: r.Version, Step: t.step,
			Actor: t.Actor, Reason: t.Reason, Detail: t.Detail, OfficeAt: t.OfficeAt, TraceParent: r.TraceParent,
		})
		if t.step.Message != "" {
			messages = append(messages, outbox.Message{
				Type: t.step.Message, Subject: r.ID, Version: r.Version, Request: r.ID, TraceParent: r.TraceParent,
			})
		}
	}
	if err := Machine.Write(ctx, tx, records...); err != nil {
		return err
	}
	return outbox.Put(ctx, tx, messages...)
}
