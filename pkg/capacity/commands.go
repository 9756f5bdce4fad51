package capacity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

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

// ErrCommandWaits says that an order of the same kind, for another number of cards,
// waits for the scheduler.
var ErrCommandWaits = errors.New("capacity: an order of the same kind waits")

// Give keeps a command for the scheduler. It is about today. One that is given again
// while it waits, by whomever, is the one that waits; then fresh is false. Errors:
// form.Faults, request.ErrNotFound, ErrNotPlannable, ErrCommandWaits.
func Give(ctx context.Context, tx *postgres.Tx, c Command, w Why) (given Command, fresh bool, err error) {
	var faults form.Faults
	c.Day = w.today()
	switch {
	case CommandLabels[c.Verb] == "":
		faults.Add("/verb", "unknown_value", "Perintah ini tidak dikenal.")
	case c.Verb == ReleaseNow && c.RequestID == nil:
		faults.Add("/ticket", "missing", "Sebutkan permohonan yang dilepas.")
	case c.Cards < 0 || c.Cards > 0 && c.Verb != ReleaseNow:
		faults.Add("/cards", "out_of_range", "Jumlah kartu paling sedikit 1. Kosongkan untuk semua kartu yang tersisa.")
	case c.Cards > mostCards:
		faults.Add("/cards", "out_of_range", "Jumlah kartu paling banyak %s. Kosongkan untuk semua kartu yang tersisa.", count(mostCards))
	}
	calendar, err := Calendar(ctx, tx)
	if err != nil {
		return c, false, err
	}
	if !calendar.IsWorkday(c.Day) {
		faults.Add("/day", "not_a_workday", "Hari ini bukan hari kerja.")
	}
	if err := together(errors.Join(faults.Err(), w.check())); err != nil {
		return c, false, err
	}
	if c.RequestID != nil {
		r, err := request.Lock(ctx, tx, *c.RequestID)
		if err != nil {
			return c, false, err
		}
		if !plannableState(r) {
			return c, false, ErrNotPlannable
		}
		c.Ticket = &r.Ticket
	}
	id, err := uuid.NewV7()
	if err != nil {
		return c, false, fmt.Errorf("capacity: id: %w", err)
	}
	c.ID, c.Reason, c.By, c.OrderedAt = id.String(), w.Reason, w.Actor, w.OfficeAt.UTC()
	return c.keep(ctx, tx)
}

// keep writes the command, or finds the one that waits.
func (c Command) keep(ctx context.Context, tx *postgres.Tx) (given Command, fresh bool, err error) {
	for range 3 { // the one that waits may be obeyed between the two looks
		n, err := tx.Exec(ctx, `INSERT INTO day_command (id, verb, day, request_id, cards, reason, ordered_by, ordered_at)
			VALUES ($1, $2, $3, $4, nullif($5, 0), $6, $7, $8) ON CONFLICT (day, verb, request_id) WHERE done_at IS NULL DO NOTHING`,
			c.ID, string(c.Verb), c.Day, c.RequestID, c.Cards, c.Reason, c.By, c.OrderedAt)
		if err != nil {
			return c, false, fmt.Errorf("capacity: keeping a command: %w", err)
		}
		if n == 1 {
			return c, true, nil
		}
		var waits *Command
		switch err := get(ctx, tx, &waits, selectCommand+`
			WHERE day = $1 AND verb = $2 AND request_id IS NOT DISTINCT FROM $3 AND done_at IS NULL`, c.Day, string(c.Verb), c.RequestID); {
		case err != nil:
			return c, false, fmt.Errorf("capacity: reading the command that waits: %w", err)
		case waits != nil && waits.Cards == c.Cards:
			return *waits, false, nil
		case waits != nil:
			return *waits, false, ErrCommandWaits
		}
	}
	return c, false, postgres.ErrStale
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

// reopen lets orders of today go on with what still waits of their cards: others may
// have been released again meanwhile, reduced, or spoilt.
func (c Command) reopen(ctx context.Context, tx *postgres.Tx, in PlanInput) (string, error) {
	orders, err := c.ofDay(ctx, tx, `(state = 'closing' OR state = 'closed' AND remaining > 0)
		AND EXISTS (SELECT FROM request r WHERE r.id = request_id AND r.state IN ('accepted','scheduled','in_progress'))
		AND mode = coalesce((SELECT m.mode FROM order_mode m WHERE m.request_id = work_order.request_id), 'station')`)
	if err != nil {
		return "", err
	}
	if len(orders) == 0 {
		return "Tidak ada perintah kerja hari ini yang masih bersisa.", nil
	}
	waiting, err := c.waiting(ctx, tx, orders)
	if err != nil {
		return "", err
	}
	opened, left := 0, 0
	for _, o := range orders {
		if o.State == Closed {
			n := min(o.Remaining, waiting[o.RequestID])
			if n <= 0 {
				continue
			}
			waiting[o.RequestID] -= n
			if err := reopenFor(ctx, tx, o, n); err != nil {
				return "", err
			}
			o.Quantity, o.Remaining = o.Quantity-o.Remaining+n, n
		} else { // closing: those in hand are its own, the others only as far as they wait
			n := max(0, min(o.Returned, waiting[o.RequestID]))
			waiting[o.RequestID] -= n
			if err := tx.ExecOne(ctx, `UPDATE work_order SET slots = int4range(lower(slots), upper(slots) - $2::int), returned = $3 WHERE id = $1`,
				o.ID, o.Returned-n, n); err != nil {
				return "", fmt.Errorf("capacity: reopening: %w", err)
			}
			o.Quantity, o.Returned = o.Quantity-o.Returned+n, n
		}
		if err := move(ctx, tx, o, verbReopen, scheduler, in.OfficeAt); err != nil {
			return "", err
		}
		opened, left = opened+1, left+o.Remaining+o.Returned
	}
	if opened == 0 {
		return "Tidak dibuka kembali: kartunya sudah dilepas lagi, dikurangi, atau tidak menunggu lagi.", nil
	}
	return fmt.Sprintf("%s perintah kerja dibuka kembali; %s kartu dapat dikerjakan hari ini.", count(opened), count(left)), nil
}

// waiting counts the cards that wait of the requests that have orders.
func (c Command) waiting(ctx context.Context, tx *postgres.Tx, orders []WorkOrder) (map[string]int, error) {
	var ids []string
	for _, o := range orders {
		if !slices.Contains(ids, o.RequestID) {
			ids = append(ids, o.RequestID)
		}
	}
	list, err := queue(ctx, tx, c.Day, ids)
	if err != nil {
		return nil, err
	}
	cards := make(map[string]int, len(list))
	for _, w := range list {
		cards[w.RequestID] = w.Cards
	}
	return cards, nil
}

// reopenFor prepares a closed order to go on with n cards. The places of the others
// are free again; the day's balance is drawn up anew when it closes.
func reopenFor(ctx context.Context, tx *postgres.Tx, o WorkOrder, n int) error {
	if _, err := tx.Exec(ctx, `DELETE FROM day_balance WHERE work_order_id = $1`, o.ID); err != nil {
		return fmt.Errorf("capacity: reopening: %w", err)
	}
	if n == o.Remaining {
		return nil
	}
	if err := tx.ExecOne(ctx, `UPDATE work_order SET slots = int4range(lower(slots), upper(slots) - $2::int), remaining = $3 WHERE id = $1`,
		o.ID, o.Remaining-n, n); err != nil {
		return fmt.Errorf("capacity: reopening: %w", err)
	}
	return nil
}

// release gives a request room today: of its order of the day, if that waits for the
// morning, and of cards of later days as far as today has slots. With a number of
// cards it releases so many and no more; what is left of the order of the day waits
// for the morning as before.
func (c Command) release(ctx context.Context, tx *postgres.Tx, in PlanInput) (string, error) {
	planned, err := c.ofDay(ctx, tx, `state = 'planned'`)
	if err != nil {
		return "", err
	}
	waiting, err := queue(ctx, tx, c.Day, []string{*c.RequestID})
	if err != nil {
		return "", err
	}
	if len(waiting) == 0 {
		return "Tidak dilaksanakan: permohonan tidak sedang diproduksi.", nil
	}
	due := sum(planned)
	want := due + waiting[0].Cards
	if c.Cards > 0 {
		want = min(want, c.Cards)
	}
	if want <= 0 {
		return "Tidak ada kartu permohonan ini yang masih menunggu.", nil
	}
	orders, err := firstOf(ctx, tx, planned, want)
	if err != nil {
		return "", err
	}
	if more := want - sum(orders); more > 0 {
		added, err := extra(ctx, tx, c.Day, *c.RequestID, more)
		if err != nil {
			return "", err
		}
		orders = append(orders, added...)
	}
	if len(orders) == 0 {
		return "Tidak dilaksanakan: kapasitas hari ini sudah terpakai seluruhnya.", nil
	}
	if err := releaseOrders(ctx, tx, orders, in.OfficeAt); err != nil {
		return "", err
	}
	return c.released(sum(orders), want, due), nil
}

// released says what came of a release: so many cards of those that could be wanted;
// due were planned for today.
func (c Command) released(n, want, due int) string {
	switch {
	case c.Cards > n && n == want:
		return fmt.Sprintf("%s dari %s kartu dilepas untuk hari ini; hanya sebanyak itu yang masih menunggu.", count(n), count(c.Cards))
	case c.Cards > n:
		return fmt.Sprintf("%s dari %s kartu dilepas untuk hari ini; kapasitas hari ini tidak memuat lebih banyak.", count(n), count(c.Cards))
	case due > n:
		return fmt.Sprintf("%s kartu dilepas untuk hari ini; %s kartu lagi tetap dilepas menurut jadwal hari ini.", count(n), count(due-n))
	}
	return fmt.Sprintf("%s kartu dilepas untuk hari ini.", count(n))
}

// firstOf takes the first n cards of planned orders, and cuts the order in two that
// holds the last of them.
func firstOf(ctx context.Context, tx *postgres.Tx, planned []WorkOrder, n int) (first []WorkOrder, err error) {
	for _, o := range planned {
		if n <= 0 {
			break
		}
		if o.Quantity > n {
			if err := cut(ctx, tx, o, n); err != nil {
				return nil, err
			}
			o.Quantity, o.Remaining = n, n
		}
		n -= o.Quantity
		first = append(first, o)
	}
	return first, nil
}

// cut leaves a planned order n cards and makes one of the others, which stays planned.
func cut(ctx context.Context, tx *postgres.Tx, o WorkOrder, n int) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("capacity: order id: %w", err)
	}
	if err := tx.ExecOne(ctx, `UPDATE work_order SET slots = int4range(lower(slots), lower(slots) + $2::int), remaining = $2 WHERE id = $1`, o.ID, n); err != nil {
		return fmt.Errorf("capacity: cutting an order: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO work_order (id, request_id, day, capacity, slots, remaining, mode, state)
		SELECT $2, request_id, day, capacity, int4range(upper(slots), upper(slots) + $3::int), $3, mode, 'planned' FROM work_order WHERE id = $1`,
		o.ID, id.String(), o.Quantity-n); err != nil {
		return fmt.Errorf("capacity: cutting an order: %w", err)
	}
	return nil
}

// extra makes orders of a request for as many cards as the day has free slots,
// wherever they lie in the day, at most want.
func extra(ctx context.Context, tx *postgres.Tx, day clock.Date, requestID string, want int) ([]WorkOrder, error) {
	size, err := readSizes(ctx, tx, day)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO capacity_day (day, capacity) VALUES ($1, $2) ON CONFLICT (day) DO NOTHING`, day, size.on(day)); err != nil {
		return nil, fmt.Errorf("capacity: writing today: %w", err)
	}
	var today struct {
		Capacity int `db:"capacity"`
		Free     int `db:"free"`
	}
	// The places of an order that was taken back are free, but for the cards that were
	// made under it: the day has no more of them.
	if err := tx.Get(ctx, &today, `
		SELECT d.capacity, d.capacity - coalesce((
		       SELECT sum(CASE WHEN o.state = 'revoked' THEN o.quantity - o.remaining - o.reduced ELSE o.quantity END)
		       FROM work_order o WHERE o.day = d.day), 0) AS free
		FROM capacity_day d WHERE d.day = $1`, day); err != nil {
		return nil, fmt.Errorf("capacity: reading today: %w", err)
	}
	var taken []struct {
		From int `db:"from_slot"`
		To   int `db:"to_slot"`
	}
	if err := tx.Select(ctx, &taken, `
		SELECT lower(slots) AS from_slot, upper(slots) AS to_slot FROM work_order WHERE day = $1 AND state <> 'revoked' ORDER BY 1`, day); err != nil {
		return nil, fmt.Errorf("capacity: reading the slots of today: %w", err)
	}
	var spans []Span
	var begins []int64
	want = min(want, today.Free)
	next := 1
	fill := func(end int) {
		if n := min(want, end-next); n > 0 {
			spans = append(spans, Span{RequestID: requestID, Day: day, From: next, To: next + n})
			begins = append(begins, int64(next))
			want -= n
		}
	}
	for _, t := range taken {
		fill(t.From)
		next = t.To
	}
	fill(today.Capacity + 1)
	if err := insertOrders(ctx, tx, spans, Days{Capacity: func(clock.Date) int { return today.Capacity }}); err != nil {
		return nil, err
	}
	var orders []WorkOrder
	if err := tx.Select(ctx, &orders, selectOrder+`WHERE day = $1 AND request_id = $2 AND state = 'planned' AND lower(slots) = ANY ($3::int[]) ORDER BY id`,
		day, requestID, pq.Array(begins)); err != nil {
		return nil, fmt.Errorf("capacity: reading the new orders: %w", err)
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
