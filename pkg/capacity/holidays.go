package capacity

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// SeedHolidays adds the shipped holidays that the table does not have yet: what
// staff changed stays.
func SeedHolidays(ctx context.Context, tx *postgres.Tx, holidays []workday.Holiday) error {
	var days, kinds, names, decrees []string
	var confirmed []bool
	for _, h := range holidays {
		days, kinds, names = append(days, h.Date.String()), append(kinds, string(h.Kind)), append(names, h.Name)
		decrees, confirmed = append(decrees, h.Decree), append(confirmed, h.Confirmed)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO holiday (day, kind, name, decree, confirmed)
		SELECT * FROM unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::bool[])
		ON CONFLICT (day) DO NOTHING`,
		pq.Array(days), pq.Array(kinds), pq.Array(names), pq.Array(decrees), pq.Array(confirmed))
	if err != nil {
		return fmt.Errorf("capacity: seeding holidays: %w", err)
	}
	return nil
}

// Calendar reads the office's calendar.
func Calendar(ctx context.Context, rd postgres.Reader) (*workday.Calendar, error) {
	var holidays []workday.Holiday
	if err := rd.Select(ctx, &holidays, `SELECT day AS date, kind, name, decree, confirmed FROM holiday`); err != nil {
		return nil, fmt.Errorf("capacity: reading holidays: %w", err)
	}
	return workday.New(holidays), nil
}
