// Package persotest sets up an office with a released work order for tests of
// the personalisation line.
package persotest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
)

// OfficeAt is the office time of all that persotest does.
var OfficeAt = time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC)

// Office is a database with one request in production and one released work
// order for all its cards.
type Office struct {
	DB        *postgres.DB
	Database  *harness.Database
	RequestID string
	OrderID   string
	Serials   []string // of the cards, in list order
	CardIDs   []string
	Recipient *age.X25519Identity // of the produsen
	Escrow    *age.X25519Identity // of the office; of no use to anybody outside a test
}

// New sets an office up with n enlisted cards and an order for quantity of them.
func New(t testing.TB, n, quantity int) *Office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := &Office{DB: database.Open(t, ""), Database: database, RequestID: newID(t), OrderID: newID(t)}
	ctx := context.Background()
	require.NoError(t, machine.Sync(ctx, o.DB, request.Machine, capacity.Machine, perso.Machine))
	Recipes(t, o.DB)
	for i := range n {
		o.Serials = append(o.Serials, fmt.Sprintf("SAM%08d", i+1))
		o.CardIDs = append(o.CardIDs, newID(t))
	}
	institution := newID(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		// The request's own way to production is not what is tested here.
		for _, q := range []struct {
			query string
			args  []any
		}{
			{`SET LOCAL session_replication_role = replica`, nil},
			{`INSERT INTO institution (id, kind, name) VALUES ($1, 'produsen', 'Produsen Contoh')`, []any{institution}},
			{`INSERT INTO machine_type (code, name, uses_reader, sam_pattern, reader_pattern)
			  VALUES ('TEST', 'Mesin uji', false, '^SAM[0-9]{8}$', '') ON CONFLICT DO NOTHING`, nil},
			{`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
			                       letter_sender, letter_post, letter_number, letter_date, letter_subject, state,
			                       disposition_date, created_by, created_at)
			  VALUES ($1, $2, 'reader', $3, 'R-1', 'Permohonan uji', 'R', $4, 'TEST', 'x', 'x', 'x', '2026-02-01', 'x',
			          'in_progress', '2026-03-01', 'uji', $5)`,
				[]any{o.RequestID, request.NewTicket(2026, 1), institution, n, OfficeAt}},
			{`INSERT INTO capacity_day (day, capacity) VALUES ('2026-03-02', 250)`, nil},
			{`INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state, released_at)
			  VALUES ($1, $2, '2026-03-02', int4range(1, $3::int + 1), 250, $3, 'released', $4)`,
				[]any{o.OrderID, o.RequestID, quantity, OfficeAt}},
		} {
			if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
				return fmt.Errorf("%s: %w", q.query, err)
			}
		}
		for i, id := range o.CardIDs {
			if _, err := tx.Exec(ctx, `INSERT INTO listed_card (id, request_id, row, serial) VALUES ($1,$2,$3,$4)`,
				id, o.RequestID, i+1, o.Serials[i]); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO live_serial (serial, request_id, card_id) VALUES ($1,$2,$3)`,
				o.Serials[i], o.RequestID, id); err != nil {
				return err
			}
		}
		enlisted, err := perso.Enlist(ctx, tx, o.RequestID, machine.Actor{Name: "kasubdit", Role: request.Kasubdit}, OfficeAt)
		if err == nil && enlisted != n {
			err = fmt.Errorf("%d of %d cards enlisted", enlisted, n)
		}
		return err
	})
	o.Recipient, o.Escrow = cardsecrettest.Register(t, o.DB, institution, OfficeAt), cardsecrettest.Escrow(t, o.DB, OfficeAt)
	return o
}

func newID(t testing.TB) string {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id.String()
}

// Must runs fn in a transaction that has to succeed.
func (o *Office) Must(t testing.TB, fn func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.DB.InTx(context.Background(), fn))
}

// Card reads the card with a serial.
func (o *Office) Card(t testing.TB, serial string) perso.Card {
	t.Helper()
	var id string
	require.NoError(t, o.DB.Get(context.Background(), &id, `SELECT id FROM card WHERE serial=$1 AND state <> 'reduced'`, serial))
	c, err := perso.Get(context.Background(), o.DB, id)
	require.NoError(t, err)
	return c
}

// Remaining is what the work order has left, and its state.
func (o *Office) Remaining(t testing.TB) (remaining int, state string) {
	t.Helper()
	var row struct {
		Remaining int    `db:"remaining"`
		State     string `db:"state"`
	}
	require.NoError(t, o.DB.Get(context.Background(), &row, `SELECT remaining, state FROM work_order WHERE id=$1`, o.OrderID))
	return row.Remaining, row.State
}

// Person is somebody of the office at OfficeAt.
func Person(name string, role machine.Role, reason string) perso.Change {
	return perso.Change{Actor: machine.Actor{Name: name, Role: role}, Reason: reason, OfficeAt: OfficeAt}
}

// Resolve has two people decide on a card in doubt.
func (o *Office) Resolve(t testing.TB, cardID string, d perso.Decision) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		c, err := perso.Get(ctx, tx, cardID)
		if err != nil {
			return err
		}
		_, err = perso.ProposeResolution(ctx, tx, perso.Seen{ID: c.ID, Version: c.Version}, d, Person("operator", request.Operator, "diputuskan dalam uji"))
		return err
	})
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		seen, err := perso.OpenDecision(ctx, tx, cardID)
		if err != nil {
			return err
		}
		_, err = perso.ConfirmResolution(ctx, tx, seen, Person("kasubdit", request.Kasubdit, ""))
		return err
	})
}

// Manual makes the request and its order manual, as if that had been decided before
// the order was released.
func (o *Office) Manual(t testing.TB) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`SET LOCAL session_replication_role = replica`,
			`INSERT INTO order_mode (request_id, mode, reason, set_by, set_at) SELECT id, 'manual', 'uji', 'kasubdit', now() FROM request`,
			`UPDATE work_order SET mode = 'manual'`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
}
