// Package paperoffice sets up an office whose cards are personalised, for tests
// of what follows: papers and the handover.
package paperoffice

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

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
	"dukcapil.go.id/sifilma/test/harness"
)

// At is the office time of all that paperoffice does: Monday 23 November 2026,
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

// Office is a database with one request, all of whose cards are through.
type Office struct {
	Database *harness.Database
	DB       *postgres.DB
	Plan     Plan
	requests int
}

// Request is one request of the office, in progress until Finish.
type Request struct {
	ID      string
	Ticket  string
	Serials []string // of the clear cards in the order of the list
}

// New sets an office up.
func New(t testing.TB, p Plan) *Office {
	t.Helper()
	if len(p.Lembaga) == 0 {
		p.Lembaga = []string{"PT Bank Contoh Nusantara"}
	}
	p.Produsen, p.Signer = or(p.Produsen, "PT Produsen Contoh"), or(p.Signer, "Pejabat Contoh")
	p.Kind, p.Function = or(p.Kind, request.KindReader), or(p.Function, "R")
	database := harness.NewDatabase(t)
	o := &Office{Database: database, DB: database.Open(t, ""), Plan: p}
	require.NoError(t, machine.Sync(t.Context(), o.DB, request.Machine, capacity.Machine, perso.Machine, letter.Machine, handover.Machine, template.Machine,
		activation.LetterMachine, activation.Machine, release.Machine))
	templates, err := template.FromProgram()
	require.NoError(t, err)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if err := institution.SeedMachineType(ctx, tx, institution.MachineType{Code: "uji", Name: "Uji", SAMPattern: ".*", ReaderPattern: ".*"}); err != nil {
			return err
		}
		if err := template.Ship(ctx, tx, templates, template.Change{OfficeAt: At}); err != nil {
			return err
		}
		if p.NoSignatories {
			return nil
		}
		return o.seedSignatories(ctx, tx)
	})
	return o
}

// SeedSignatories gives the posts their officials.
func (o *Office) SeedSignatories(t testing.TB) {
	t.Helper()
	o.Must(t, o.seedSignatories)
}

func (o *Office) seedSignatories(ctx context.Context, tx *postgres.Tx) error {
	for code, post := range map[string]string{
		letter.Dirjen:        "Direktur Jenderal Kependudukan dan Pencatatan Sipil",
		letter.DirekturFPDDK: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan",
	} {
		if err := letter.SeedSignatory(ctx, tx, letter.Signatory{
			PostCode: code, Name: o.Plan.Signer, NIP: "197001011995031001", Post: post, ValidFrom: clock.MustParseDate("2025-01-01"),
		}); err != nil {
			return err
		}
	}
	return nil
}

// Request adds a request in progress with all its cards through.
func (o *Office) Request(t testing.TB) Request {
	t.Helper()
	o.requests++
	n, p := o.requests, o.Plan
	r := Request{ID: newID(t), Ticket: request.NewTicket(2026, int64(n))}
	var produsen institution.Institution
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		produsen, err = institution.Ensure(ctx, tx, institution.Institution{
			Kind: institution.Produsen, Name: p.Produsen, Address: "Jl. Contoh Industri No. 1, Jakarta Selatan",
			Representative: "Wakil Produsen Contoh", Post: "PIC Produsen",
		})
		return err
	})
	total := p.Cards + p.Failed
	ids, serials := make([]string, total), make([]string, total)
	for i := range total {
		ids[i], serials[i] = newID(t), fmt.Sprintf("SAM%02d%06d", n, i+1)
		if i < p.Cards-p.Failed || i >= p.Cards { // the first Cards rows are the list, its last Failed rows failed; then their replacements
			r.Serials = append(r.Serials, serials[i])
		}
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
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
			         '367100' || $5::text || lpad(row::text, 24, '0'), 'M-2026-' || $5::text || lpad(row::text, 6, '0'),
			         CASE WHEN failed THEN 'Kartu menolak penulisan (jawaban kartu 6581)' ELSE '' END, $6
			  FROM (SELECT *, row > $3::int - $4::int AND row <= $3::int AS failed FROM listed_card WHERE request_id = $1) AS l`,
				[]any{r.ID, newID(t), p.Cards, p.Failed, fmt.Sprintf("%02d", n), At.Add(-2 * time.Hour)}},
			{`INSERT INTO history (id, machine, subject, request_id, version, from_state, verb, to_state, actor, role, office_at)
			  SELECT gen_random_uuid(), 'card', id, $1, 1, 'numbered', 'claim', 'claimed', 'perso-1', 'perso-station', $2
			  FROM card WHERE request_id = $1`, []any{r.ID, Begun}},
		} {
			if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
				return fmt.Errorf("%s: %w", q.query, err)
			}
		}
		return nil
	})
	return r
}

// Finish makes the request done and rings request.done.
func (o *Office) Finish(t testing.TB, r Request) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		now, err := request.Lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, now, request.Finish, As(request.Scheduler, ""))
		return err
	})
}

// Done adds a request that is done.
func (o *Office) Done(t testing.TB) Request {
	t.Helper()
	r := o.Request(t)
	o.Finish(t, r)
	return r
}

// Open prepares a handover.
func (o *Office) Open(t testing.TB, r Request, quantity int) (h handover.Handover) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		h, err = handover.Open(ctx, tx, r.ID, quantity, As(request.Operator, ""))
		return err
	})
	return h
}

// As is somebody in a role at the office time At.
func As(role machine.Role, reason string) request.Change {
	return request.Change{Actor: machine.Actor{Name: string(role), Role: role}, Reason: reason, OfficeAt: At}
}

// Must runs fn in a transaction that has to succeed.
func (o *Office) Must(t testing.TB, fn func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.DB.InTx(t.Context(), fn))
}

func newID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id.String()
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
