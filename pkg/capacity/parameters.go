package capacity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Parameters are what the scheduler plans with. It keeps them in the database, so
// that whoever reads the plan counts alike.
type Parameters struct {
	// Usual is the number of cards of a day for which people set none.
	Usual int
	// RamadanOn gives the days of Ramadan fewer cards: the shift is shorter
	// (features.md N7).
	RamadanOn bool
	Ramadan   []workday.Span
}

// A day in Ramadan has 6.5 of 7.5 working hours (Perpres 21/2023, users.md B.1).
const ramadanHours, regularHours = 13, 15 // in half hours

// On is the usual number of cards of a day.
func (p Parameters) On(day clock.Date) int {
	if !p.RamadanOn {
		return p.Usual
	}
	for _, fast := range p.Ramadan {
		if fast.Contains(day) {
			return p.Usual * ramadanHours / regularHours
		}
	}
	return p.Usual
}

// SetParameters keeps the parameters. changed is false when they stood so already.
func SetParameters(ctx context.Context, tx *postgres.Tx, p Parameters) (changed bool, err error) {
	if p.Ramadan == nil {
		p.Ramadan = []workday.Span{}
	}
	spans, err := json.Marshal(p.Ramadan)
	if err != nil {
		return false, fmt.Errorf("capacity: encoding Ramadan: %w", err)
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO plan_parameter AS p (usual, ramadan_on, ramadan) VALUES ($1, $2, $3)
		ON CONFLICT (one) DO UPDATE SET usual = excluded.usual, ramadan_on = excluded.ramadan_on, ramadan = excluded.ramadan
		WHERE (p.usual, p.ramadan_on, p.ramadan) IS DISTINCT FROM (excluded.usual, excluded.ramadan_on, excluded.ramadan)`,
		p.Usual, p.RamadanOn, string(spans))
	if err != nil {
		return false, fmt.Errorf("capacity: keeping the plan's parameters: %w", err)
	}
	return n > 0, nil
}

// ReadParameters reads what the scheduler plans with; before it ever ran,
// DefaultCapacity.
func ReadParameters(ctx context.Context, rd postgres.Reader) (Parameters, error) {
	var row struct {
		Usual     int    `db:"usual"`
		RamadanOn bool   `db:"ramadan_on"`
		Ramadan   string `db:"ramadan"`
	}
	err := rd.Get(ctx, &row, `SELECT usual, ramadan_on, ramadan::text AS ramadan FROM plan_parameter`)
	if errors.Is(err, sql.ErrNoRows) {
		return Parameters{Usual: DefaultCapacity}, nil
	}
	if err != nil {
		return Parameters{}, fmt.Errorf("capacity: reading the plan's parameters: %w", err)
	}
	p := Parameters{Usual: row.Usual, RamadanOn: row.RamadanOn}
	if err := json.Unmarshal([]byte(row.Ramadan), &p.Ramadan); err != nil {
		return Parameters{}, fmt.Errorf("capacity: reading Ramadan: %w", err)
	}
	return p, nil
}
