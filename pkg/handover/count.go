package handover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Line is what a handover has for one line of its request.
type Line struct {
	Line     int    `db:"line" json:"line"`
	Lembaga  string `db:"lembaga" json:"lembaga"`
	Quantity int    `db:"quantity" json:"quantity"`
	Received *int   `db:"received" json:"received"` // Jumlah Diterima; nil until it was counted
}

// Lines returns the lines of a handover.
func Lines(ctx context.Context, rd postgres.Reader, handoverID string) ([]Line, error) {
	var lines []Line
	if err := rd.Select(ctx, &lines, `
		SELECT l.line, coalesce(q.lembaga, '') AS lembaga, l.quantity, l.received FROM handover_line l JOIN handover h ON h.id = l.handover_id
		LEFT JOIN request_line q ON q.request_id = h.request_id AND q.line = l.line WHERE l.handover_id = $1 ORDER BY l.line`, handoverID); err != nil {
		return nil, fmt.Errorf("handover: lines: %w", err)
	}
	return lines, nil
}

// Count is what the produsen counted of a line.
type Count struct {
	Line     int `json:"line"`
	Received int `json:"received"`
}

// CountError says that a line was counted wrong: twice, not at all, or more than it has.
type CountError struct {
	Line     int
	Quantity int // of the line; 0 when the handover has none such
}

func (e *CountError) Error() string {
	return fmt.Sprintf("handover: count of line %d, which has %d", e.Line, e.Quantity)
}

// Receive records how many cards the produsen counted, line by line (features.md G06,
// G07). It may be fewer than were handed over (G08): the shortage is kept until it was
// followed up. Errors: *CountError, *machine.RoleError, *machine.IllegalError,
// postgres.ErrStale.
func Receive(ctx context.Context, tx *postgres.Tx, h Handover, counts []Count, on clock.Date, c request.Change) (Handover, error) {
	if err := Machine.May(h.State, VerbReceive, c.Actor.Role); err != nil {
		return h, err
	}
	lines, err := Lines(ctx, tx, h.ID)
	if err != nil {
		return h, err
	}
	counted, told := map[int]int{}, map[int]int{}
	for _, n := range counts {
		if _, twice := counted[n.Line]; twice {
			return h, &CountError{Line: n.Line}
		}
		counted[n.Line], told[n.Line] = n.Received, n.Received
	}
	total := 0
	for _, l := range lines {
		n, is := counted[l.Line]
		if !is || n < 0 || n > l.Quantity {
			return h, &CountError{l.Line, l.Quantity}
		}
		delete(counted, l.Line)
		total += n
	}
	for line := range counted {
		return h, &CountError{Line: line}
	}
	given := h
	if h, err = move(ctx, tx, h, VerbReceive, c, `received = $5, received_on = $6`, total, on); err != nil {
		return given, err // before a line is touched: of two who count at once one is told so
	}
	for _, l := range lines {
		n := told[l.Line]
		if err := tx.ExecOne(ctx, `UPDATE handover_line SET received = $3 WHERE handover_id = $1 AND line = $2`, h.ID, l.Line, n); err != nil {
			return h, fmt.Errorf("handover: counting line %d: %w", l.Line, err)
		}
		if missing := l.Quantity - n; missing > 0 {
			if err := note(ctx, tx, h, l.Line, missing, c); err != nil {
				return h, err
			}
		}
	}
	return h, nil
}

func note(ctx context.Context, tx *postgres.Tx, h Handover, line, missing int, c request.Change) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("handover: id: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO handover_shortage (id, handover_id, line, missing, noted_by, noted_at) VALUES ($1,$2,$3,$4,$5,$6)`,
		id.String(), h.ID, line, missing, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("handover: noting a shortage: %w", err)
	}
	return nil
}

// Outcomes of a shortage.
const (
	Found      = "found"      // the cards turned up and went to the produsen
	Lost       = "lost"       // they are gone
	Miscounted = "miscounted" // the produsen had all of them
)

// OutcomeLabels are the outcomes in the users' words, in their order.
var OutcomeLabels = []struct{ Code, Label string }{
	{Found, "Kartu ditemukan dan sudah diserahkan"}, {Miscounted, "Salah hitung; kartu lengkap"}, {Lost, "Kartu hilang"},
}

var (
	// ErrShortageOpen says that a shortage was not followed up yet.
	ErrShortageOpen = errors.New("handover: a shortage is not followed up")
	// ErrSettled says that a shortage was followed up already.
	ErrSettled = errors.New("handover: shortage settled already")
	// ErrOutcome says that an outcome is none, or that nothing is told of it.
	ErrOutcome = errors.New("handover: outcome or finding missing")
)

// Shortage is what was missing of a line.
type Shortage struct {
	ID         string     `db:"id" json:"id"`
	HandoverID string     `db:"handover_id" json:"-"`
	Line       int        `db:"line" json:"line"`
	Missing    int        `db:"missing" json:"missing"`
	NotedBy    string     `db:"noted_by" json:"-"`
	NotedAt    time.Time  `db:"noted_at" json:"noted_at"`
	Outcome    *string    `db:"outcome" json:"outcome"`
	Finding    string     `db:"finding" json:"finding"`
	SettledBy  *string    `db:"settled_by" json:"-"`
	SettledAt  *time.Time `db:"settled_at" json:"settled_at"`
}

// Shortages returns what was missing of a handover.
func Shortages(ctx context.Context, rd postgres.Reader, handoverID string) ([]Shortage, error) {
	var list []Shortage
	if err := rd.Select(ctx, &list, `
		SELECT id, handover_id, line, missing, noted_by, noted_at, outcome, finding, settled_by, settled_at
		FROM handover_shortage WHERE handover_id = $1 ORDER BY line`, handoverID); err != nil {
		return nil, fmt.Errorf("handover: shortages: %w", err)
	}
	return list, nil
}

// MaySettle says whether a role follows shortages up. The error is a *machine.RoleError.
func MaySettle(role machine.Role) error {
	if role != request.Operator && role != request.Kasubdit {
		return &machine.RoleError{Machine: Machine.Name, Verb: VerbClose, Role: role}
	}
	return nil
}

// Settle says what became of a shortage. The count that the produsen signed stays as it
// was. Errors: ErrOutcome, ErrSettled, *machine.RoleError.
func Settle(ctx context.Context, tx *postgres.Tx, s Shortage, outcome, finding string, c request.Change) error {
	known := false
	for _, o := range OutcomeLabels {
		known = known || o.Code == outcome
	}
	switch {
	case MaySettle(c.Actor.Role) != nil:
		return MaySettle(c.Actor.Role)
	case !known || finding == "":
		return ErrOutcome
	}
	err := tx.ExecOne(ctx, `UPDATE handover_shortage SET outcome = $2, finding = $3, settled_by = $4, settled_at = $5 WHERE id = $1 AND outcome IS NULL`,
		s.ID, outcome, finding, c.Actor.Name, c.OfficeAt.UTC())
	if errors.Is(err, postgres.ErrStale) {
		return ErrSettled
	}
	if err != nil {
		return fmt.Errorf("handover: settling a shortage: %w", err)
	}
	return nil
}
