package main

import (
	"context"
	"testing"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// TestPapersThatCannotBeDraftedStandBeforeNoOther, however many: the post that signs them
// is vacant, and the sheet of the day wants none.
func TestPapersThatCannotBeDraftedStandBeforeNoOther(t *testing.T) {
	t.Parallel()
	o := signingOffice{paperoffice.New(t, paperoffice.Plan{Cards: 1, NoSignatories: true}), harness.HSM(t)}
	o.key(t, 1)
	r := o.Request(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at)
			SELECT ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, $1, n, $2, 1, $3 FROM generate_series(1, 150) n`,
			r.ID, string(handover.Prepared), paperoffice.At.UTC())
		return err
	})
	sheet := o.sheet(t, o.sealed(t))
	run(t, o.Office, o.config()+"\ndesk: {look: 1s}", "127.0.0.1:0")
	o.printed(t, sheet)
}
