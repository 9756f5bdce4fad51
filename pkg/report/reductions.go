package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Reductions reads the reductions of a request, oldest first, as an account sees them:
// to eyes outside it was the office that recorded them. Error: ErrNotFound.
func Reductions(ctx context.Context, db *postgres.DB, ticket string, a identity.Account) ([]perso.Reduction, error) {
	var all []perso.Reduction
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := request.ByTicket(ctx, rd, ticket, Scope(a))
		if errors.Is(err, request.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		all, err = perso.Reductions(ctx, rd, r.ID)
		return err
	})
	if Outside(a) {
		for i := range all {
			all[i].DecidedBy = ""
		}
	}
	return notNil(all), err
}

// reduced is a line of the timeline for each reduction; its cards stand in the list.
func reduced(ctx context.Context, rd postgres.Reader, requestID string) ([]Event, error) {
	var rows []struct {
		N        int64        `db:"n"`
		Number   string       `db:"letter_number"`
		Date     clock.Date   `db:"letter_date"`
		Reason   string       `db:"reason"`
		Actor    string       `db:"actor"`
		Role     machine.Role `db:"role"`
		OfficeAt time.Time    `db:"office_at"`
		At       time.Time    `db:"at"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT count(*) AS n, d.letter_number, d.letter_date, d.reason, d.decided_by AS actor, max(h.role) AS role, d.office_at, d.at
		FROM card_reduction d JOIN reduced_card c ON c.reduction_id = d.id
		JOIN history h ON h.request_id = $1 AND h.machine = $2 AND h.verb = $3 AND h.subject = c.card_id
		WHERE d.request_id = $1 GROUP BY d.id ORDER BY d.id`, requestID, perso.Machine.Name, string(perso.ReduceVerb)); err != nil {
		return nil, fmt.Errorf("report: timeline of reductions: %w", err)
	}
	var events []Event
	for _, d := range rows {
		events = append(events, Event{
			At: d.At, OfficeAt: d.OfficeAt, Machine: perso.Machine.Name, Verb: perso.ReduceVerb, Actor: d.Actor, Role: d.Role, Reason: d.Reason,
			Label: fmt.Sprintf("%s kartu dikurangi dari permohonan menurut surat nomor %s tanggal %s", terbilang.FormatInt(d.N), d.Number, terbilang.FormatDate(d.Date)),
		})
	}
	return events, nil
}
