package persotest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Accepted adds a request of the same produsen that was accepted just now, with n
// enlisted cards, and returns its id and their serials.
func (o *Office) Accepted(t testing.TB, n int, disposition clock.Date) (requestID string, serials []string) {
	t.Helper()
	requestID = newID(t)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // how it got here is not tested
			return err
		}
		var count int
		if err := tx.Get(ctx, &count, `SELECT count(*) FROM request`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type,
			                     letter_sender, letter_post, letter_number, letter_date, letter_subject, state,
			                     disposition_date, created_by, created_at)
			SELECT $1, $2, 'reader', institution_id, $3, 'Permohonan uji', 'R', $4, 'TEST', 'x', 'x', 'x', '2026-02-01', 'x',
			       'accepted', $5, 'uji', $6 FROM request WHERE id = $7`,
			requestID, request.NewTicket(2026, int64(count)+1), fmt.Sprint("R-", count+1), n, disposition, OfficeAt, o.RequestID); err != nil {
			return err
		}
		for row := 1; row <= n; row++ {
			serial := fmt.Sprintf("SAM%04d%04d", count, row)
			if _, err := tx.Exec(ctx, `INSERT INTO listed_card (id, request_id, row, serial) VALUES ($1,$2,$3,$4)`, newID(t), requestID, row, serial); err != nil {
				return err
			}
			serials = append(serials, serial)
		}
		enlisted, err := perso.Enlist(ctx, tx, requestID, machine.Actor{Name: "kasubdit", Role: request.Kasubdit}, OfficeAt)
		require.Equal(t, n, enlisted)
		return err
	})
	return requestID, serials
}
