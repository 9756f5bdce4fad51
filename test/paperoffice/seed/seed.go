// Package seed writes what an office has done before its papers are made: requests whose
// cards are all through. Package paperoffice uses it in tests, the benches as it is.
package seed

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// At is the office time of all that seed does: Monday 23 November 2026,
// 10.00 WIB.
var At = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

// Begun is when the first card was claimed.
var Begun = time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)

// Plan is what the office has done.
type Plan struct {
	Cards  int // clear, replacements included
	Failed int // each replaced by one of Cards
	// Lembaga, Produsen and Signer are names; empty ones get a sample.
	Lembaga  []string
	Produsen string
	Signer   string
	Kind     string
	Function string
	// NoSignatories leaves the posts empty.
	NoSignatories bool
}

// Request is one request of the office, in progress until Finish.
type Request struct {
	ID      string
	Ticket  string
	Serials []string // of the clear cards in the order of the list
}

// Filled has samples where the plan is empty.
func (p Plan) Filled() Plan {
	if len(p.Lembaga) == 0 {
		p.Lembaga = []string{"PT Bank Contoh Nusantara"}
	}
	for text, sample := range map[*string]string{
		&p.Produsen: "PT Produsen Contoh", &p.Signer: "Pejabat Contoh", &p.Kind: request.KindReader, &p.Function: "R",
	} {
		if *text == "" {
			*text = sample
		}
	}
	return p
}

// Prepare writes what requests and papers rest on.
func Prepare(ctx context.Context, db *postgres.DB, p Plan) error {
	if err := machine.Sync(ctx, db, request.Machine, capacity.Machine, perso.Machine, letter.Machine, handover.Machine, template.Machine,
		activation.LetterMachine, activation.Machine, release.Machine); err != nil {
		return err
	}
	templates, err := template.FromProgram()
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		if err := institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "uji", Name: "Uji", SAMPattern: ".*", ReaderPattern: ".*"}); err != nil {
			return err
		}
		if err := template.Ship(ctx, tx, templates, template.Change{OfficeAt: At}); err != nil {
			return err
		}
		if p.NoSignatories {
			return nil
		}
		return Signatories(ctx, tx, p)
	})
}

// Signatories gives the posts their officials.
func Signatories(ctx context.Context, tx *postgres.Tx, p Plan) error {
	for code, post := range map[string]string{
		letter.Dirjen:        "Direktur Jenderal Kependudukan dan Pencatatan Sipil",
		letter.DirekturFPDDK: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan",
	} {
		if err := letter.SeedSignatory(ctx, tx, letter.Signatory{
			PostCode: code, Name: p.Filled().Signer, NIP: "197001011995031001", Post: post, ValidFrom: clock.MustParseDate("2025-01-01"),
		}); err != nil {
			return err
		}
	}
	return nil
}

// Insert adds the nth request, counted from 1, in progress with all its cards through.
func Insert(ctx context.Context, tx *postgres.Tx, p Plan, n int) (Request, error) {
	p = p.Filled()
	id, err := uuid.NewV7()
	if err != nil {
		return Request{}, err
	}
	r := Request{ID: id.String(), Ticket: request.NewTicket(2026, int64(n))}
	produsen, err := institution.Ensure(ctx, tx, institution.Institution{
		Kind: institution.Produsen, Name: p.Produsen, Address: "Jl. Contoh Industri No. 1, Jakarta Selatan",
		Representative: "Wakil Produsen Contoh", Post: "PIC Produsen",
	})
	if err != nil {
		return r, err
	}
	total := p.Cards + p.Failed
	ids, serials := make([]string, total), make([]string, total)
	for i := range total {
		id, err := uuid.NewV7()
		if err != nil {
			return r, err
		}
		ids[i], serials[i] = id.String(), fmt.Sprintf("SAM%02d%06d", n, i+1)
		if i < p.Cards-p.Failed || i >= p.Cards { // the first Cards rows are the list, its last Failed rows failed; then their replacements
			r.Serials = append(r.Serials, serials[i])
		}
	}
	// The way to here is not what is tested.
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`SET LOCAL session_replication_role = replica`, nil},
		{`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
		                       letter_sender, letter_post, letter_number, letter_date, letter_subject, state,
		                       disposition_date, created_by, created_at)
		  VALUES ($1, $2, $3, $4, $2, 'Permohonan uji', $5, $6, 'uji', $7, 'Direktur Utama', '017/PCN/XI/2026', '2026-11-09',
		          'Permohonan Personalisasi Kartu SAM', 'in_progress', '2026-11-12', 'uji', $8)`,
			[]any{r.ID, r.Ticket, p.Kind, produsen.ID, p.Function, p.Cards, p.Produsen, Begun}},
		{`INSERT INTO request_line (request_id, line, lembaga, quantity)
		  SELECT $1, line, name, 1 FROM unnest($2::text[]) WITH ORDINALITY AS l (name, line)`, []any{r.ID, pq.Array(p.Lembaga)}},
		{`INSERT INTO listed_card (id, request_id, row, serial, replaces)
		  SELECT id, $1, row, serial, CASE WHEN row > $4::int THEN ($2::uuid[])[row - $5::int] END
		  FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS c (id, serial, row)`,
			[]any{r.ID, pq.Array(ids), pq.Array(serials), p.Cards, p.Failed}},
		{`INSERT INTO card (id, request_id, serial, state, chip_id, work_order_id, attempt, pcid, manifest_no, reason, finished_at)
		  SELECT id, request_id, serial, CASE WHEN failed THEN 'failed' ELSE 'clear' END, serial, $2, 1,
		         '36710' || lpad($5::text, 3, '0') || lpad(row::text, 24, '0'), 'M-2026-' || $5::text || lpad(row::text, 6, '0'),
		         CASE WHEN failed THEN 'Kartu menolak penulisan (jawaban kartu 6581)' ELSE '' END, $6
		  FROM (SELECT *, row > $3::int - $4::int AND row <= $3::int AS failed FROM listed_card WHERE request_id = $1) AS l`,
			[]any{r.ID, uuid.NewString(), p.Cards, p.Failed, fmt.Sprintf("%02d", n), At.Add(-2 * time.Hour)}},
		{`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
		  SELECT gen_random_uuid(), 'card', id, $1, 1, 'numbered', 'claim', 'claimed', 'perso-1', 'perso-station', $2
		  FROM card WHERE request_id = $1`, []any{r.ID, Begun}},
	} {
		if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
			return r, fmt.Errorf("%s: %w", q.query, err)
		}
	}
	return r, nil
}

// Finish makes the request done and rings request.done.
func Finish(ctx context.Context, tx *postgres.Tx, r Request) error {
	now, err := request.Lock(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	_, err = request.Take(ctx, tx, now, request.Finish, As(request.Scheduler, ""))
	return err
}

// As is somebody in a role at the office time At.
func As(role machine.Role, reason string) request.Change {
	return request.Change{Actor: machine.Actor{Name: string(role), Role: role}, Reason: reason, OfficeAt: At}
}
