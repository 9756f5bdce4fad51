// Package paperoffice sets up an office whose cards are personalised, for tests
// of what follows: papers and the handover.
package paperoffice

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice/seed"
)

// At is the office time of all that paperoffice does.
var At = seed.At

// Begun is when the first card was claimed.
var Begun = seed.Begun

// Plan is what the office has done.
type Plan = seed.Plan

// Request is one request of the office, in progress until Finish.
type Request = seed.Request

// Office is a database with one request, all of whose cards are through.
type Office struct {
	Database *harness.Database
	DB       *postgres.DB
	Plan     Plan
	requests int
}

// New sets an office up.
func New(t testing.TB, p Plan) *Office {
	t.Helper()
	database := harness.NewDatabase(t)
	o := &Office{Database: database, DB: database.Open(t, ""), Plan: p.Filled()}
	require.NoError(t, seed.Prepare(t.Context(), o.DB, p))
	return o
}

// SeedSignatories gives the posts their officials.
func (o *Office) SeedSignatories(t testing.TB) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { return seed.Signatories(ctx, tx, o.Plan) })
}

// Request adds a request in progress with all its cards through.
func (o *Office) Request(t testing.TB) (r Request) {
	t.Helper()
	o.requests++
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = seed.Insert(ctx, tx, o.Plan, o.requests)
		return err
	})
	return r
}

// Finish makes the request done and rings request.done.
func (o *Office) Finish(t testing.TB, r Request) {
	t.Helper()
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error { return seed.Finish(ctx, tx, r) })
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
func As(role machine.Role, reason string) request.Change { return seed.As(role, reason) }

// Must runs fn in a transaction that has to succeed.
func (o *Office) Must(t testing.TB, fn func(ctx context.Context, tx *postgres.Tx) error) {
	t.Helper()
	require.NoError(t, o.DB.InTx(t.Context(), fn))
}
