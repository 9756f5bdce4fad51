package capacity

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// ErrNotPlannable says that a request is not in production: it has no place in the
// plan yet, or none any more.
var ErrNotPlannable = errors.New("capacity: the request is not in production")

// Placement is where people want cards of a request: on a day, ahead of the queue
// (pin), or not before one (move). With a number of cards it splits the request;
// the others stay where the rank puts them. Once its day is over it binds nobody.
type Placement struct {
	ID        string     `db:"id" json:"id"`
	RequestID string     `db:"request_id" json:"-"`
	Ticket    string     `db:"ticket" json:"ticket"`
	Pin       bool       `db:"pin" json:"pin"`
	Day       clock.Date `db:"day" json:"day"`
	Cards     int        `db:"cards" json:"cards"` // 0: all that remain
	Reason    string     `db:"reason" json:"reason"`
	By        string     `db:"placed_by" json:"placed_by"`
	Version   int64      `db:"version" json:"version"`
}

const selectPlacement = `SELECT id, request_id, (SELECT r.ticket FROM request r WHERE r.id = request_id) AS ticket,
	pin, day, coalesce(cards, 0) AS cards, reason, placed_by, version FROM placement `

// Verb names in Indonesian what people did.
func (p Placement) Verb() string {
	switch {
	case p.Pin && p.Cards == 0:
		return "Dikunci"
	case p.Pin:
		return "Dipecah dan dikunci"
	case p.Cards == 0:
		return "Digeser"
	}
	return "Dipecah"
}

// Text says it in Indonesian, such as "100 kartu mulai 7 Desember 2026".
func (p Placement) Text() string {
	cards := "semua kartu yang tersisa"
	if p.Cards > 0 {
		cards = terbilang.FormatInt(int64(p.Cards)) + " kartu"
	}
	if p.Pin {
		return cards + " pada " + terbilang.FormatDate(p.Day)
	}
	return cards + " paling cepat " + terbilang.FormatDate(p.Day)
}

// Placements lists what people decided about a request's place, by day.
func Placements(ctx context.Context, rd postgres.Reader, requestID string) ([]Placement, error) {
	list := []Placement{}
	if err := rd.Select(ctx, &list, selectPlacement+`WHERE request_id = $1 ORDER BY day, id`, requestID); err != nil {
		return nil, fmt.Errorf("capacity: reading placements: %w", err)
	}
	return list, nil
}

// addParts adds what people decided about the places of requests, as far as it binds
// a plan that begins on the day first.
func addParts(ctx context.Context, rd postgres.Reader, list []Waiting, first clock.Date) error {
	at := make(map[string]int, len(list))
	ids := make([]string, len(list))
	for i, w := range list {
		at[w.RequestID], ids[i] = i, w.RequestID
	}
	var rows []Placement
	if err := rd.Select(ctx, &rows, selectPlacement+`WHERE request_id = ANY ($1::uuid[]) AND day >= $2 ORDER BY id`, pq.Array(ids), first); err != nil {
		return fmt.Errorf("capacity: reading placements: %w", err)
	}
	for _, p := range rows {
		w := &list[at[p.RequestID]]
		w.Parts = append(w.Parts, Part{Day: p.Day, Cards: p.Cards, Pin: p.Pin})
	}
	return nil
}

// mostParts bounds the placements of a request whose days are not over.
const mostParts = 20

// Place decides about the place of a request. All that remain can be placed once:
// placing them again takes the earlier decision's place, as does another number of
// cards on the same day. The day is a hari kerja that lies ahead, and not before the disposition.
// Errors: form.Faults, request.ErrNotFound, ErrNotPlannable.
func Place(ctx context.Context, tx *postgres.Tx, p Placement, w Why) (Placement, error) {
	r, err := request.Lock(ctx, tx, p.RequestID)
	if err != nil {
		return p, err
	}
	if !plannableState(r) {
		return p, ErrNotPlannable
	}
	where, args := `request_id = $1 AND cards IS NULL`, []any{p.RequestID}
	switch {
	case p.Day.IsZero(): // refused below
		where, args = `false`, nil
	case p.Cards > 0:
		where, args = `request_id = $1 AND cards IS NOT NULL AND day = $2 AND pin = $3`, append(args, p.Day, p.Pin)
	}
	var before *Placement
	if err := get(ctx, tx, &before, selectPlacement+`WHERE `+where+` FOR UPDATE`, args...); err != nil {
		return p, fmt.Errorf("capacity: reading placements: %w", err)
	}
	if err := checkPlace(ctx, tx, r, p, before, &w); err != nil {
		return p, err
	}
	if before != nil && before.Pin == p.Pin && before.Day == p.Day && before.Cards == p.Cards {
		return *before, nil
	}
	p.Ticket, p.Reason, p.By = r.Ticket, w.Reason, w.Actor
	if before != nil {
		p.ID, p.Version = before.ID, before.Version+1
		if err := tx.ExecOne(ctx, `UPDATE placement SET pin = $2, day = $3, cards = nullif($4, 0), reason = $5, placed_by = $6, version = $7 WHERE id = $1`,
			p.ID, p.Pin, p.Day, p.Cards, p.Reason, p.By, p.Version); err != nil {
			return p, fmt.Errorf("capacity: placing %s: %w", p.Ticket, err)
		}
		return p, w.note(ctx, tx, kindPlacement, p.Day, *before, p)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return p, fmt.Errorf("capacity: id: %w", err)
	}
	p.ID, p.Version = id.String(), 1
	if _, err := tx.Exec(ctx, `INSERT INTO placement (id, request_id, pin, day, cards, reason, placed_by) VALUES ($1, $2, $3, $4, nullif($5, 0), $6, $7)`,
		p.ID, p.RequestID, p.Pin, p.Day, p.Cards, p.Reason, p.By); err != nil {
		return p, fmt.Errorf("capacity: placing %s: %w", p.Ticket, err)
	}
	return p, w.note(ctx, tx, kindPlacement, p.Day, nil, p)
}

func plannableState(r request.Request) bool {
	return r.State == request.Accepted || r.State == request.Scheduled || r.State == request.InProgress
}

// checkPlace says what is wrong with a placement; before is the one whose place it
// takes, or nil.
func checkPlace(ctx context.Context, tx *postgres.Tx, r request.Request, p Placement, before *Placement, w *Why) error {
	var faults form.Faults
	if plannable(&faults, p.Day, w.today()); len(faults) == 0 {
		calendar, err := Calendar(ctx, tx)
		if err != nil {
			return err
		}
		switch {
		case !calendar.IsWorkday(p.Day):
			faults.Add("/day", "not_a_workday", "Tanggal ini bukan hari kerja.")
		case r.DispositionDate != nil && p.Day.Before(*r.DispositionDate):
			faults.Add("/day", "before_disposition", "Kartu tidak dapat dijadwalkan sebelum disposisinya.")
		}
	}
	var parts int
	if err := tx.Get(ctx, &parts, `SELECT count(*) FROM placement WHERE request_id = $1 AND day >= $2`, r.ID, w.today()); err != nil {
		return fmt.Errorf("capacity: counting placements: %w", err)
	}
	switch {
	case p.Cards < 0:
		faults.Add("/cards", "out_of_range", "Jumlah kartu paling sedikit 1. Kosongkan untuk semua kartu yang tersisa.")
	case p.Cards > r.CardCount:
		faults.Add("/cards", "out_of_range", "Permohonan ini hanya memiliki %s kartu.", terbilang.FormatInt(int64(r.CardCount)))
	case parts >= mostParts && (before == nil || before.Day.Before(w.today())):
		faults.Add("/cards", "too_many", "Satu permohonan paling banyak dipecah menjadi %d bagian.", mostParts)
	}
	return together(errors.Join(faults.Err(), w.check()))
}

// Unplace takes a decision back: the cards go where their rank puts them. Errors:
// ErrNoEntry, form.Faults, postgres.ErrStale.
func Unplace(ctx context.Context, tx *postgres.Tx, id string, version int64, w Why) (p Placement, err error) {
	if err := w.check(); err != nil {
		return p, err
	}
	err = tx.Get(ctx, &p, selectPlacement+`WHERE id = $1 FOR UPDATE`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p, ErrNoEntry
	case err != nil:
		return p, fmt.Errorf("capacity: reading placement: %w", err)
	case p.Version != version:
		return p, postgres.ErrStale
	}
	if err := tx.ExecOne(ctx, `DELETE FROM placement WHERE id = $1`, id); err != nil {
		return p, fmt.Errorf("capacity: unplacing %s: %w", p.Ticket, err)
	}
	return p, w.note(ctx, tx, kindPlacement, p.Day, p, nil)
}

// get reads one row, or leaves dest nil when there is none.
func get[T any](ctx context.Context, rd postgres.Reader, dest **T, query string, args ...any) error {
	var row T
	err := rd.Get(ctx, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	*dest = &row
	return err
}
