// Package handover keeps the serah terima of personalised cards to the
// produsen's representative: which cards, how many were received, and where it
// stands (features.md G01-G12, I19-I21, N25, N26). It writes the tables handover,
// handover_card, handover_line, handover_scan, handover_shortage and handover_taken_back.
//
// A request has as many handovers as it takes, from the first card that is clear on,
// while the others are still on the line: until nothing remains.
package handover

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a handover.
const (
	Prepared    machine.State = "prepared"
	BASTDrafted machine.State = "bast_drafted"
	Delivered   machine.State = "delivered"
	Received    machine.State = "received"
	Closed      machine.State = "closed"
	Cancelled   machine.State = "cancelled" // taken back before its cards changed hands
)

// Verbs of a handover.
const (
	VerbPrepare machine.Verb = "prepare"
	VerbDraft   machine.Verb = "draft_bast"
	VerbDeliver machine.Verb = "deliver"
	VerbReceive machine.Verb = "receive"
	VerbClose   machine.Verb = "close"
	VerbCancel  machine.Verb = "cancel"
)

// Machine is the life of a handover.
var Machine = &machine.Table{
	Name: "handover",
	Steps: []machine.Step{
		{From: "", Verb: VerbPrepare, Roles: []machine.Role{request.Operator}, Guard: "ada kartu berhasil yang belum diserahkan, dan permohonan tidak ditahan", To: Prepared, Message: "handover.opened"},
		{From: Prepared, Verb: VerbDraft, Roles: []machine.Role{request.Generator}, To: BASTDrafted, System: true},
		{From: BASTDrafted, Verb: VerbDeliver, Roles: []machine.Role{request.Operator}, Guard: "BAST ditandatangani kedua pihak, dan permohonan tidak ditahan", To: Delivered},
		{From: Delivered, Verb: VerbReceive, Roles: []machine.Role{request.Produsen, request.Dinas}, To: Received},
		{From: Received, Verb: VerbClose, Roles: []machine.Role{request.Kasubdit}, To: Closed},
		{From: Prepared, Verb: VerbCancel, Roles: []machine.Role{request.Operator}, Guard: "dengan alasan; BAST dibatalkan, kartu bebas lagi", To: Cancelled},
		{From: BASTDrafted, Verb: VerbCancel, Roles: []machine.Role{request.Operator}, Guard: "dengan alasan; BAST dibatalkan, kartu bebas lagi", To: Cancelled},
	},
	Labels: map[machine.State]string{
		Prepared: "Disiapkan", BASTDrafted: "BAST siap ditandatangani", Delivered: "Diserahkan", Received: "Diterima produsen", Closed: "Selesai",
		Cancelled: "Dibatalkan",
	},
	Verbs: map[machine.Verb]string{
		VerbPrepare: "Siapkan serah terima", VerbDraft: "Susun BAST", VerbDeliver: "Serahkan", VerbReceive: "Catat penerimaan", VerbClose: "Tutup",
		VerbCancel: "Batalkan serah terima",
	},
}

var (
	// ErrNotFound says that there is no such handover.
	ErrNotFound = errors.New("handover: not found")
	// ErrNotBegun says that no card of the request is or will be made: its
	// personalisation has not begun, or it was rejected or cancelled before.
	ErrNotBegun = errors.New("handover: nothing of the request is personalised")
	// ErrOnHold says that the request is on hold: its cards do not leave the office.
	ErrOnHold = errors.New("handover: request is on hold")
	// ErrTooMany says that fewer cards than asked for are ready.
	ErrTooMany = errors.New("handover: more than is ready")
	// ErrFuture says that the day of a delivery lies ahead.
	ErrFuture = errors.New("handover: delivered on a day to come")
	// ErrEarly says that it lies before the handover was prepared.
	ErrEarly = errors.New("handover: delivered before it was prepared")
	// ErrNobody says that the representative's name or post is missing.
	ErrNobody = errors.New("handover: representative missing")
	// ErrNotProdusen says that somebody else's person came for the cards: resellers,
	// distributors and lembaga pengguna may not collect them (features.md I20).
	ErrNotProdusen = errors.New("handover: only a representative of the produsen may collect")
)

// Whose person comes for the cards, as people say it.
const (
	OfProdusen = "produsen"
	OfReseller = "reseller"
	OfLembaga  = "lembaga"
)

// Whose are the answers to the question whose person it is.
var Whose = []struct{ Code, Label string }{
	{OfProdusen, "Produsen pemohon"}, {OfReseller, "Reseller atau distributor"}, {OfLembaga, "Lembaga pengguna"},
}

// Handover is one serah terima.
type Handover struct {
	ID                 string        `db:"id"`
	RequestID          string        `db:"request_id"`
	Ordinal            int           `db:"ordinal"`
	State              machine.State `db:"state"`
	Version            int64         `db:"version"`
	Quantity           int           `db:"quantity"`
	Representative     string        `db:"representative"`
	RepresentativePost string        `db:"representative_post"`
	DeliveredOn        *clock.Date   `db:"delivered_on"`
	AppointedAt        *time.Time    `db:"appointed_at"` // when the produsen is expected
	AppointmentNote    string        `db:"appointment_note"`
	Received           *int          `db:"received"`
	ReceivedOn         *clock.Date   `db:"received_on"`
	CancelledAt        *time.Time    `db:"cancelled_at"`
	CancelReason       string        `db:"cancel_reason"`
	CreatedAt          time.Time     `db:"created_at"`
	TraceParent        string        `db:"traceparent"` // of the request
}

const selectHandover = `SELECT id, request_id, ordinal, state, version, quantity, representative, representative_post, delivered_on,
	appointed_at, appointment_note, received, received_on, cancelled_at, cancel_reason, created_at, (SELECT r.traceparent FROM request r WHERE r.id = request_id) AS traceparent FROM handover `

// Get returns a handover.
func Get(ctx context.Context, rd postgres.Reader, id string) (Handover, error) {
	var h Handover
	err := rd.Get(ctx, &h, selectHandover+`WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return h, ErrNotFound
	}
	if err != nil {
		return h, fmt.Errorf("handover: reading: %w", err)
	}
	return h, nil
}

// List returns the handovers of a request in their order.
func List(ctx context.Context, rd postgres.Reader, requestID string) ([]Handover, error) {
	var list []Handover
	if err := rd.Select(ctx, &list, selectHandover+`WHERE request_id = $1 ORDER BY ordinal`, requestID); err != nil {
		return nil, fmt.Errorf("handover: list: %w", err)
	}
	return list, nil
}

// Given is how many cards are in handovers: on their way to the produsen, or there.
func Given(list []Handover) (n int) {
	for _, h := range list {
		if h.State != Cancelled {
			n += h.Quantity
		}
	}
	return n
}

// MayLeave says whether cards of a request in this state can go into a handover and out of
// the office: those that are clear, while others are personalised and when all are. Errors:
// ErrOnHold, ErrNotBegun.
func MayLeave(state machine.State) error {
	switch state {
	case request.InProgress, request.Done:
		return nil
	case request.Held:
		return ErrOnHold
	}
	return ErrNotBegun
}

// Card is a card of a handover as the BAST lists it.
type Card struct {
	ID         string `db:"id"`
	Serial     string `db:"serial"` // nomor asal (features.md G24)
	PCID       string `db:"pcid"`
	ManifestNo string `db:"manifest_no"`
	Line       int    `db:"line"` // of the request: whose card it is
	Scanned    bool   `db:"scanned"`
}

// Cards returns the cards of a handover in the order of the card list.
func Cards(ctx context.Context, rd postgres.Reader, handoverID string) ([]Card, error) {
	var cards []Card
	if err := rd.Select(ctx, &cards, `
		SELECT c.id, c.serial, c.pcid, c.manifest_no, l.line, s.card_id IS NOT NULL AS scanned FROM handover_card h JOIN card c ON c.id = h.card_id
		JOIN listed_card l ON l.id = c.id LEFT JOIN handover_scan s ON s.card_id = h.card_id WHERE h.handover_id = $1 ORDER BY l.row`, handoverID); err != nil {
		return nil, fmt.Errorf("handover: cards: %w", err)
	}
	return cards, nil
}

// Open prepares the handover of the first quantity cards that are clear and not
// handed over yet; 0 takes all of them. The rest, also what is not personalised yet,
// stays for another handover. It rings handover.opened. Errors: ErrNotBegun, ErrOnHold,
// ErrTooMany, *machine.RoleError.
func Open(ctx context.Context, tx *postgres.Tx, requestID string, quantity int, c request.Change) (Handover, error) {
	if err := Machine.May("", VerbPrepare, c.Actor.Role); err != nil {
		return Handover{}, err
	}
	r, err := request.Lock(ctx, tx, requestID) // one handover of a request is opened at a time
	if err != nil {
		return Handover{}, err
	}
	if err := MayLeave(r.State); err != nil {
		return Handover{}, err
	}
	var ready int
	if err := tx.Get(ctx, &ready, `SELECT count(*) `+readyCards, requestID); err != nil {
		return Handover{}, fmt.Errorf("handover: counting: %w", err)
	}
	if quantity == 0 {
		quantity = ready
	}
	if quantity > ready || quantity < 1 {
		return Handover{}, fmt.Errorf("%w: %d ready", ErrTooMany, ready)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Handover{}, fmt.Errorf("handover: id: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO handover (id, request_id, ordinal, state, quantity, created_at)
		SELECT $1, $2, count(*) + 1, 'prepared', $3, $4 FROM handover WHERE request_id = $2`,
		id.String(), requestID, quantity, c.OfficeAt.UTC()); err != nil {
		return Handover{}, fmt.Errorf("handover: preparing: %w", err)
	}
	taken, err := tx.Exec(ctx, `
		INSERT INTO handover_card (card_id, handover_id) SELECT c.id, $2 `+readyCards+` ORDER BY l.row LIMIT $3`,
		requestID, id.String(), quantity)
	if err != nil {
		return Handover{}, fmt.Errorf("handover: taking cards: %w", err)
	}
	if int(taken) != quantity {
		return Handover{}, fmt.Errorf("%w: %d ready", ErrTooMany, taken)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO handover_line (handover_id, line, quantity)
		SELECT h.handover_id, l.line, count(*) FROM handover_card h JOIN listed_card l ON l.id = h.card_id WHERE h.handover_id = $1 GROUP BY 1, 2`,
		id.String()); err != nil {
		return Handover{}, fmt.Errorf("handover: lines: %w", err)
	}
	h, err := Get(ctx, tx, id.String())
	if err != nil {
		return h, err
	}
	step, err := Machine.Find("", VerbPrepare)
	if err != nil {
		return h, err
	}
	return h, record(ctx, tx, h, step, c)
}

const readyCards = `FROM card c JOIN listed_card l ON l.id = c.id
	WHERE c.request_id = $1 AND c.state = 'clear' AND NOT EXISTS (SELECT FROM handover_card h WHERE h.card_id = c.id)`

// DraftBAST notes that the berita acara is ready to be signed.
func DraftBAST(ctx context.Context, tx *postgres.Tx, h Handover, c request.Change) (Handover, error) {
	return move(ctx, tx, h, VerbDraft, c, `quantity = quantity`)
}

// Delivery is who took the cards and when.
type Delivery struct {
	Representative string
	Post           string
	Of             string // whose person: OfProdusen, or it is refused
	On             clock.Date
	ScanBlob       string // the BAST with both signatures
}

// Deliver records that the cards and the signed BAST went to the produsen's
// representative; the BAST is issued in the same transaction. Errors: ErrNobody,
// ErrNotProdusen, ErrFuture, ErrEarly, ErrOnHold, *UnscannedError, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func Deliver(ctx context.Context, tx *postgres.Tx, h Handover, d Delivery, c request.Change) (Handover, error) {
	switch {
	case d.Representative == "" || d.Post == "":
		return h, ErrNobody
	case d.Of != OfProdusen:
		return h, ErrNotProdusen
	case d.On.After(clock.DateOf(c.OfficeAt)):
		return h, ErrFuture
	case d.On.Before(clock.DateOf(h.CreatedAt)):
		return h, ErrEarly
	}
	next, err := move(ctx, tx, h, VerbDeliver, c, `representative = $5, representative_post = $6, representative_of = $7, delivered_on = $8`,
		d.Representative, d.Post, d.Of, d.On)
	if err != nil {
		return h, err
	}
	if err := leaves(ctx, tx, h); err != nil {
		return h, err
	}
	if err := allScanned(ctx, tx, h); err != nil {
		return h, err
	}
	bast, err := letter.Living(ctx, tx, letter.BAST, h.ID)
	if err != nil {
		return h, err
	}
	if _, err := letter.Issue(ctx, tx, bast, d.ScanBlob, d.On, c); err != nil {
		return h, err
	}
	return next, nil
}

// leaves says whether the cards of a handover may leave the office, and keeps it so until
// the transaction ends: a hold waits. The handover's row is locked before the request's,
// as by whoever drafts a BAST.
func leaves(ctx context.Context, tx *postgres.Tx, h Handover) error {
	var state machine.State
	if err := tx.Get(ctx, &state, `SELECT state FROM request WHERE id = $1 FOR SHARE`, h.RequestID); err != nil {
		return fmt.Errorf("handover: holding the request: %w", err)
	}
	return MayLeave(state)
}

// Close ends a handover, once each shortage was followed up. Errors: ErrShortageOpen,
// *machine.RoleError, *machine.IllegalError, postgres.ErrStale.
func Close(ctx context.Context, tx *postgres.Tx, h Handover, c request.Change) (Handover, error) {
	if err := Machine.May(h.State, VerbClose, c.Actor.Role); err != nil {
		return h, err
	}
	shortages, err := Shortages(ctx, tx, h.ID)
	if err != nil {
		return h, err
	}
	for _, s := range shortages {
		if s.Outcome == nil {
			return h, ErrShortageOpen
		}
	}
	return move(ctx, tx, h, VerbClose, c, `quantity = quantity`)
}

func move(ctx context.Context, tx *postgres.Tx, h Handover, verb machine.Verb, c request.Change, set string, args ...any) (Handover, error) {
	step, err := Machine.Step(h.State, verb, c.Actor.Role)
	if err != nil {
		return h, err
	}
	all := append([]any{h.ID, string(h.State), h.Version, string(step.To)}, args...)
	if err := tx.ExecOne(ctx, `UPDATE handover SET state = $4, version = version + 1, `+set+`
		WHERE id = $1 AND state = $2 AND version = $3`, all...); err != nil {
		return h, fmt.Errorf("handover: %s: %w", verb, err)
	}
	next, err := Get(ctx, tx, h.ID)
	if err != nil {
		return h, err
	}
	return next, record(ctx, tx, next, step, c)
}

func record(ctx context.Context, tx *postgres.Tx, h Handover, step machine.Step, c request.Change) error {
	detail := map[string]any{"ordinal": h.Ordinal, "quantity": h.Quantity}
	if h.Received != nil {
		detail["received"] = *h.Received
	}
	if err := Machine.Write(ctx, tx, machine.Record{
		Subject: h.ID, Request: h.RequestID, Version: h.Version, Step: step, Actor: c.Actor, Reason: c.Reason,
		Detail: detail, OfficeAt: c.OfficeAt, TraceParent: h.TraceParent,
	}); err != nil || step.Message == "" {
		return err
	}
	return outbox.Put(ctx, tx, outbox.Message{
		Type: step.Message, Subject: h.ID, Version: h.Version, Request: h.RequestID, TraceParent: h.TraceParent,
	})
}
