package capacity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// CommandVerb is what a command has done with a day's orders.
type CommandVerb string

// Verbs of commands.
const (
	ReleaseNow CommandVerb = "release" // cards of a request may be personalised today
	CloseEarly CommandVerb = "close"   // today ends now, for one request or all
	Reopen     CommandVerb = "reopen"  // today goes on, with the cards that were not presented
)

// CommandLabels are the Indonesian names of the verbs.
var CommandLabels = map[CommandVerb]string{ReleaseNow: "Lepas sekarang", CloseEarly: "Tutup lebih awal", Reopen: "Buka kembali"}

// Command is an order about the day that has begun. People give it; the scheduler,
// which alone writes work orders, obeys it once, within a tick, and says what came
// of it.
type Command struct {
	ID        string      `db:"id" json:"id"`
	Verb      CommandVerb `db:"verb" json:"verb"`
	Day       clock.Date  `db:"day" json:"day"`
	RequestID *string     `db:"request_id" json:"-"` // nil: all of the day
	Ticket    *string     `db:"ticket" json:"ticket"`
	Cards     int         `db:"cards" json:"cards"` // of ReleaseNow; 0: all that remain
	Reason    string      `db:"reason" json:"reason"`
	By        string      `db:"ordered_by" json:"ordered_by"`
	OrderedAt time.Time   `db:"ordered_at" json:"ordered_at"`
	DoneAt    *time.Time  `db:"done_at" json:"done_at"`
	Outcome   string      `db:"outcome" json:"outcome"` // an Indonesian sentence; empty until it is done
}

const selectCommand = `SELECT id, verb, day, request_id, (SELECT r.ticket FROM request r WHERE r.id = request_id) AS ticket,
	coalesce(cards, 0) AS cards, reason, ordered_by, ordered_at, done_at, coalesce(outcome, '') AS outcome FROM day_command `

// Give keeps a command for the scheduler. It is about today. Errors: form.Faults,
// request.ErrNotFound, ErrNotPlannable.
func Give(ctx context.Context, tx *postgres.Tx, c Command, w Why) (Command, error) {
	var faults form.Faults
	c.Day = w.today()
	switch {
	case CommandLabels[c.Verb] == "":
		faults.Add("/verb", "unknown_value", "Perintah ini tidak dikenal.")
	case c.Verb == ReleaseNow && c.RequestID == nil:
		faults.Add("/ticket", "missing", "Sebutkan permohonan yang dilepas.")
	case c.Cards < 0 || c.Cards > 0 && c.Verb != ReleaseNow:
		faults.Add("/cards", "out_of_range", "Jumlah kartu paling sedikit 1. Kosongkan untuk semua kartu yang tersisa.")
	}
	calendar, err := Calendar(ctx, tx)
	if err != nil {
		return c, err
	}
	if !calendar.IsWorkday(c.Day) {
		faults.Add("/day", "not_a_workday", "Hari ini bukan hari kerja.")
	}
	if err := together(errors.Join(faults.Err(), w.check())); err != nil {
		return c, err
	}
	if c.RequestID != nil {
		r, err := request.Lock(ctx, tx, *c.RequestID)
		if err != nil {
			return c, err
		}
		if !plannableState(r) {
			return c, ErrNotPlannable
		}
		c.Ticket = &r.Ticket
	}
	id, err := uuid.NewV7()
	if err != nil {
		return c, fmt.Errorf("capacity: id: %w", err)
	}
	c.ID, c.Reason, c.By, c.OrderedAt = id.String(), w.Reason, w.Actor, w.OfficeAt.UTC()
	if _, err := tx.Exec(ctx, `INSERT INTO day_command (id, verb, day, request_id, cards, reason, ordered_by, ordered_at)
		VALUES ($1, $2, $3, $4, nullif($5, 0), $6, $7, $8)`,
		c.ID, string(c.Verb), c.Day, c.RequestID, c.Cards, c.Reason, c.By, c.OrderedAt); err != nil {
		return c, fmt.Errorf("capacity: keeping a command: %w", err)
	}
	return c, nil
}

// Commands lists those of a day, newest first.
func Commands(ctx context.Context, rd postgres.Reader, day clock.Date) ([]Command, error) {
	list := []Command{}
	if err := rd.Select(ctx, &list, selectCommand+`WHERE day = $1 ORDER BY id DESC`, day); err != nil {
		return nil, fmt.Errorf("capacity: reading commands: %w", err)
	}
	return list, nil
}

// Pending says whether a command waits, or an order is closing: whether Obey and
// Settle have anything to look at.
func Pending(ctx context.Context, rd postgres.Reader) (pending bool, err error) {
	if err := rd.Get(ctx, &pending, `
		SELECT EXISTS (SELECT FROM day_command WHERE done_at IS NULL) OR EXISTS (SELECT FROM work_order WHERE state = 'closing')`); err != nil {
		return false, fmt.Errorf("capacity: looking for commands and closing orders: %w", err)
	}
	return pending, nil
}

// Obey does what was ordered and not done yet, oldest first, and returns how many
// it did. The plan must be made anew afterwards. A command of a day that is over is
// answered and not done.
func Obey(ctx context.Context, tx *postgres.Tx, in PlanInput) (int, error) {
	if err := Lock(ctx, tx); err != nil { // under it, nobody else obeys
		return 0, err
	}
	var list []Command
	if err := tx.Select(ctx, &list, selectCommand+`WHERE done_at IS NULL ORDER BY id`); err != nil {
		return 0, fmt.Errorf("capacity: reading commands: %w", err)
	}
	for _, c := range list {
		outcome, err := c.obey(ctx, tx, in)
		if err != nil {
			return 0, err
		}
		if err := tx.ExecOne(ctx, `UPDATE day_command SET done_at = $2, outcome = $3 WHERE id = $1 AND done_at IS NULL`,
			c.ID, in.OfficeAt.UTC(), outcome); err != nil {
			return 0, fmt.Errorf("capacity: answering a command: %w", err)
		}
	}
	return len(list), nil
}

func (c Command) obey(ctx context.Context, tx *postgres.Tx, in PlanInput) (outcome string, err error) {
	today := clock.DateOf(in.OfficeAt)
	switch {
	case c.Day != today:
		return "Tidak dilaksanakan: harinya sudah lewat.", nil
	case !in.Calendar.IsWorkday(today):
		return "Tidak dilaksanakan: hari ini bukan hari kerja.", nil
	}
	switch c.Verb {
	case CloseEarly:
		return c.close(ctx, tx, in)
	case Reopen:
		return c.reopen(ctx, tx, in)
	}
	return c.release(ctx, tx, in)
}

// ofDay reads a day's orders in a state, of the command's request or of all.
func (c Command) ofDay(ctx context.Context, tx *postgres.Tx, more string) ([]WorkOrder, error) {
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`
		WHERE day = $1 AND ($2::uuid IS NULL OR request_id = $2) AND `+more+` ORDER BY id FOR UPDATE`, c.Day, c.RequestID); err != nil {
		return nil, fmt.Errorf("capacity: reading orders: %w", err)
	}
	return orders, nil
}

func (c Command) close(ctx context.Context, tx *postgres.Tx, in PlanInput) (string, error) {
	orders, err := c.ofDay(ctx, tx, `state = 'released'`)
	if err != nil {
		return "", err
	}
	left := 0
	for _, o := range orders {
		left += o.Remaining
		if err := move(ctx, tx, o, verbClose, scheduler, in.OfficeAt); err != nil {
			return "", err
		}
	}
	// What was planned for today and is not released yet is not released any more.
	planned, err := c.ofDay(ctx, tx, `state = 'planned'`)
	if err != nil {
		return "", err
	}
	for _, o := range planned {
		left += o.Remaining
		if err := move(ctx, tx, o, verbRevoke, scheduler, in.OfficeAt); err != nil {
			return "", err
		}
	}
	if len(orders)+len(planned) == 0 {
		return "Tidak ada perintah kerja yang terbuka hari ini.", nil
	}
	if _, err := Settle(ctx, tx, in.OfficeAt); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s perintah kerja ditutup; %s kartu belum selesai dan dijadwalkan kembali.",
		count(len(orders)+len(planned)), count(left)), nil
}

func (c Command) reopen(ctx context.Context, tx *postgres.Tx, in PlanInput) (string, error) {
	orders, err := c.ofDay(ctx, tx, `state = 'closed' AND remaining > 0
		AND EXISTS (SELECT FROM request r WHERE r.id = request_id AND r.state = 'in_progress')`)
	if err != nil {
		return "", err
	}
	left := 0
	for _, o := range orders {
		left += o.Remaining
		if _, err := tx.Exec(ctx, `DELETE FROM day_balance WHERE work_order_id = $1`, o.ID); err != nil {
			return "", fmt.Errorf("capacity: reopening: %w", err)
		}
		if err := move(ctx, tx, o, verbReopen, scheduler, in.OfficeAt); err != nil {
			return "", err
		}
	}
	if len(orders) == 0 {
		return "Tidak ada perintah kerja hari ini yang masih bersisa.", nil
	}
	return fmt.Sprintf("%s perintah kerja dibuka kembali; %s kartu dapat dikerjakan hari ini.", count(len(orders)), count(left)), nil
}

// release gives a request room today: its order of the day, if that waits for the
// morning, and cards of later days as far as today has slots.
func (c Command) release(ctx context.Context, tx *postgres.Tx, in PlanInput) (string, error) {
	orders, err := c.ofDay(ctx, tx, `state = 'planned'`)
	if err != nil {
		return "", err
	}
	released := 0
	for _, o := range orders {
		released += o.Quantity
	}
	waiting, err := queue(ctx, tx, c.Day, []string{*c.RequestID})
	if err != nil {
		return "", err
	}
	if len(waiting) == 0 {
		return "Tidak dilaksanakan: permohonan tidak sedang diproduksi.", nil
	}
	want := waiting[0].Cards
	if c.Cards > 0 {
		want = min(want, c.Cards-released)
	}
	if want > 0 {
		more, err := extra(ctx, tx, c.Day, *c.RequestID, want)
		if err != nil {
			return "", err
		}
		orders, released = append(orders, more...), released+sum(more)
	}
	if len(orders) == 0 && want > 0 {
		return "Tidak dilaksanakan: kapasitas hari ini sudah terpakai seluruhnya.", nil
	}
	if len(orders) == 0 {
		return "Tidak ada kartu permohonan ini yang masih menunggu.", nil
	}
	if err := releaseOrders(ctx, tx, orders, in.OfficeAt); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s kartu dilepas untuk hari ini.", count(released)), nil
}

// extra makes an order of a request for as many cards as the day has free slots,
// at most want.
func extra(ctx context.Context, tx *postgres.Tx, day clock.Date, requestID string, want int) ([]WorkOrder, error) {
	size, err := readSizes(ctx, tx, day)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO capacity_day (day, capacity) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING`, day, size.on(day)); err != nil {
		return nil, fmt.Errorf("capacity: writing today: %w", err)
	}
	var have DayLoad
	if err := tx.Get(ctx, &have, `
		SELECT d.day, d.capacity, coalesce((SELECT max(upper(o.slots)) - 1 FROM work_order o WHERE o.day = d.day AND o.state <> 'revoked'), 0) AS used
		FROM capacity_day d WHERE d.day = $1`, day); err != nil {
		return nil, fmt.Errorf("capacity: reading today: %w", err)
	}
	n := min(want, have.Free())
	if n <= 0 {
		return nil, nil
	}
	days := Days{Capacity: func(clock.Date) int { return have.Capacity }}
	if err := insertOrders(ctx, tx, []Span{{RequestID: requestID, Day: day, From: have.Used + 1, To: have.Used + 1 + n}}, days); err != nil {
		return nil, err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`WHERE day = $1 AND request_id = $2 AND lower(slots) = $3 AND state = 'planned'`,
		day, requestID, have.Used+1); err != nil {
		return nil, fmt.Errorf("capacity: reading the new order: %w", err)
	}
	return orders, nil
}

func sum(orders []WorkOrder) (n int) {
	for _, o := range orders {
		n += o.Quantity
	}
	return n
}

func count(n int) string { return terbilang.FormatInt(int64(n)) }
