// Package stock keeps the book of the blanks (blangko) that produsen leave with the
// office: what came in after a request was registered, what was drawn for tests, what
// went back, and which failed and spoiled cards were destroyed under a berita acara
// (features.md N35, N36; card-perso.md C7). It writes the tables blank_movement,
// destruction and destroyed_card.
//
// The book has only what nothing else tells. What came with a request is its fact
// blanks_counted; what became of each listed card is the card's state. A Balance is
// made of all three, and its sum closes: received is unused, in hand, clear, failed,
// spoiled, in doubt, reduced, spare, test and returned together.
package stock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// MaxQuantity bounds one line of the book: more is a slip of the hand.
const MaxQuantity = 10_000

// Verbs of the book.
const (
	ReceiveVerb machine.Verb = "receive"
	TestVerb    machine.Verb = "test"
	ReturnVerb  machine.Verb = "return"
	ReverseVerb machine.Verb = "reverse"
	DestroyVerb machine.Verb = "destroy"
	VoidVerb    machine.Verb = "void"
	AttestVerb  machine.Verb = "attest"
	SheetVerb   machine.Verb = "sheet"
)

// Words are the verbs as people read them. The book has no states.
var Words = &machine.Table{Name: "blank", Verbs: map[machine.Verb]string{
	ReceiveVerb: "Catat penerimaan blangko", TestVerb: "Catat kartu uji", ReturnVerb: "Catat pengembalian blangko",
	ReverseVerb: "Batalkan pencatatan blangko", DestroyVerb: "Susun berita acara kartu rusak", VoidVerb: "Batalkan berita acara kartu rusak",
	AttestVerb: "Susun tanda terima blangko", SheetVerb: "Susun lembar harian",
}}

var roles = map[machine.Verb][]machine.Role{
	ReceiveVerb: {request.Persuratan, request.Operator, request.Kasubdit}, TestVerb: {request.Operator, request.Kasubdit},
	ReturnVerb: {request.Persuratan, request.Operator, request.Kasubdit}, ReverseVerb: {request.Operator, request.Kasubdit},
	DestroyVerb: {request.Operator, request.Kasubdit}, VoidVerb: {request.Operator},
	AttestVerb: {request.Persuratan, request.Operator, request.Kasubdit}, SheetVerb: {request.Persuratan, request.Operator, request.Kasubdit},
}

// May says whether a role does a verb: nil or a *machine.RoleError.
func May(verb machine.Verb, role machine.Role) error {
	if slices.Contains(roles[verb], role) {
		return nil
	}
	return &machine.RoleError{Machine: Words.Name, Verb: verb, Role: role}
}

// Kind is what a line of the book tells.
type Kind string

// Kinds of lines.
const (
	Receipt Kind = "receipt" // blanks came in after the request was registered
	Test    Kind = "test"    // blanks were drawn to be test cards
	Return  Kind = "return"  // blanks went back to the produsen
)

// KindLabels are the kinds as people read them.
var KindLabels = map[Kind]string{Receipt: "Penerimaan", Test: "Kartu uji", Return: "Pengembalian"}

var kindVerbs = map[Kind]machine.Verb{Receipt: ReceiveVerb, Test: TestVerb, Return: ReturnVerb}

// Source is which of the blanks in the office go.
type Source string

// Sources of blanks.
const (
	Spare   Source = "spare"   // came in beyond the card list
	Reduced Source = "reduced" // of cards that a letter took off before they were presented
	Listed  Source = "list"    // of a request that ended before its cards were made
)

// SourceLabels are the sources as people read them.
var SourceLabels = map[Source]string{
	Spare: "Blangko cadangan", Reduced: "Blangko kartu yang dikurangi", Listed: "Blangko permohonan yang ditolak atau dibatalkan",
}

var (
	// ErrTooFew says that there are not as many blanks; see TooFewError.
	ErrTooFew = errors.New("stock: not as many blanks")
	// ErrNotOpen says that no blanks come in for a request that is not registered yet,
	// for they are counted then, or that has ended.
	ErrNotOpen = errors.New("stock: request takes no blanks in")
	// ErrNotFound says that there is no such line or berita acara.
	ErrNotFound = errors.New("stock: not found")
	// ErrReversed says that a line was taken back before, or takes one back itself.
	ErrReversed = errors.New("stock: line is taken back already")
)

// TooFewError is an ErrTooFew that says how many there are.
type TooFewError struct {
	Source Source
	Have   int
}

// Error makes it an error.
func (e *TooFewError) Error() string { return fmt.Sprintf("stock: only %d of %s", e.Have, e.Source) }

// Unwrap is ErrTooFew.
func (e *TooFewError) Unwrap() error { return ErrTooFew }

// Entry is what people write into the book.
type Entry struct {
	Kind     Kind
	Source   Source // of a Return; else Spare
	Quantity int    // from 1 to MaxQuantity
	Happened clock.Date
	Party    string // who brought or took them; empty for a Test
}

// Movement is a line of the book. It is never changed.
type Movement struct {
	ID        string     `db:"id" json:"id"`
	RequestID string     `db:"request_id" json:"-"`
	Ordinal   int64      `db:"ordinal" json:"ordinal"`
	Kind      Kind       `db:"kind" json:"kind"`
	Source    Source     `db:"source" json:"source"`
	Quantity  int        `db:"quantity" json:"quantity"`
	Happened  clock.Date `db:"happened" json:"happened"`
	Party     string     `db:"party" json:"party"`
	Reason    string     `db:"reason" json:"reason"`
	Reverses  *string    `db:"reverses" json:"reverses"`   // the line that it takes back
	Reversed  bool       `db:"reversed" json:"reversed"`   // another line takes it back
	BookedBy  string     `db:"booked_by" json:"booked_by"` // user name
	OfficeAt  time.Time  `db:"office_at" json:"office_at"` // on whose day it is booked
}

const selectMovement = `SELECT id, request_id, ordinal, kind, source, quantity, happened, party, reason, reverses, booked_by, office_at,
	EXISTS (SELECT FROM blank_movement r WHERE r.reverses = m.id) AS reversed FROM blank_movement m `

// Movements returns the book of a request, oldest line first.
func Movements(ctx context.Context, rd postgres.Reader, requestID string) ([]Movement, error) {
	list := []Movement{}
	if err := rd.Select(ctx, &list, selectMovement+`WHERE request_id = $1 ORDER BY ordinal`, requestID); err != nil {
		return nil, fmt.Errorf("stock: reading the book: %w", err)
	}
	return list, nil
}

// Version is that of a request's book: how many lines it has.
func Version(ctx context.Context, rd postgres.Reader, requestID string) (v int64, err error) {
	if err = rd.Get(ctx, &v, `SELECT coalesce(max(ordinal), 0) FROM blank_movement WHERE request_id = $1`, requestID); err != nil {
		return 0, fmt.Errorf("stock: version of the book: %w", err)
	}
	return v, nil
}

// Pools are the blanks of a request that are in the office and in no card's place.
type Pools struct {
	Spare   int `db:"spare"`
	Reduced int `db:"reduced"`
	Listed  int `db:"list"`
}

func (p Pools) of(s Source) int {
	return map[Source]int{Spare: p.Spare, Reduced: p.Reduced, Listed: p.Listed}[s]
}

// PoolsOf counts them.
func PoolsOf(ctx context.Context, rd postgres.Reader, requestID string) (p Pools, err error) {
	if err = rd.Get(ctx, &p, `SELECT spare, reduced, list FROM blank_pools($1)`, requestID); err != nil {
		return p, fmt.Errorf("stock: counting blanks: %w", err)
	}
	return p, nil
}

// takesIn are the states of a request in which blanks come in by the book: before, they
// are counted with the list.
var takesIn = []machine.State{request.Registered, request.Approved, request.Accepted, request.Scheduled, request.InProgress, request.Held}

// Open says whether blanks come in by the book in a state of a request.
func Open(s machine.State) bool { return slices.Contains(takesIn, s) }

// Book writes a line for a request whose book had seen lines; c.Reason is why. Errors:
// *machine.RoleError, request.ErrNotFound, postgres.ErrStale, ErrNotOpen, *TooFewError.
func Book(ctx context.Context, tx *postgres.Tx, requestID string, seen int64, e Entry, c request.Change) (Movement, error) {
	verb := kindVerbs[e.Kind]
	if err := May(verb, c.Actor.Role); err != nil {
		return Movement{}, err
	}
	r, err := request.Lock(ctx, tx, requestID) // two who book see each other's lines
	if err != nil {
		return Movement{}, err
	}
	if e.Kind == Receipt && !Open(r.State) {
		return Movement{}, ErrNotOpen
	}
	if e.Kind != Return {
		e.Source = Spare
	}
	if e.Kind != Receipt {
		pools, err := PoolsOf(ctx, tx, requestID)
		if err != nil {
			return Movement{}, err
		}
		if have := pools.of(e.Source); have < e.Quantity {
			return Movement{}, &TooFewError{e.Source, max(0, have)}
		}
	}
	return write(ctx, tx, requestID, seen, e, "", verb, c)
}

// Reverse takes a line back by a line of its own, booked today. Errors: those of Book,
// ErrNotFound, ErrReversed, and *TooFewError when what came in has gone since.
func Reverse(ctx context.Context, tx *postgres.Tx, requestID, movementID string, seen int64, c request.Change) (Movement, error) {
	if err := May(ReverseVerb, c.Actor.Role); err != nil {
		return Movement{}, err
	}
	if _, err := request.Lock(ctx, tx, requestID); err != nil {
		return Movement{}, err
	}
	var m Movement
	err := tx.Get(ctx, &m, selectMovement+`WHERE id = $1 AND request_id = $2`, movementID, requestID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return m, ErrNotFound
	case err != nil:
		return m, fmt.Errorf("stock: reading a line: %w", err)
	case m.Reversed || m.Reverses != nil:
		return m, ErrReversed
	}
	if m.Kind == Receipt {
		pools, err := PoolsOf(ctx, tx, requestID)
		if err != nil {
			return m, err
		}
		if pools.Spare < m.Quantity {
			return m, &TooFewError{Spare, max(0, pools.Spare)}
		}
	}
	return write(ctx, tx, requestID, seen, Entry{m.Kind, m.Source, m.Quantity, clock.DateOf(c.OfficeAt), m.Party}, m.ID, ReverseVerb, c)
}

// ReceiveReplacements books the blanks that were put in the places of failed cards and
// had not been booked before: whoever types a blank's serial has it in hand. The
// replacements are listed already, in the same transaction, under the request's lock.
func ReceiveReplacements(ctx context.Context, tx *postgres.Tx, requestID string, c request.Change) error {
	pools, err := PoolsOf(ctx, tx, requestID)
	if err != nil || pools.Spare >= 0 {
		return err
	}
	version, err := Version(ctx, tx, requestID)
	if err != nil {
		return err
	}
	c.Reason = "Diterima bersama pendaftaran kartu pengganti."
	_, err = write(ctx, tx, requestID, version, Entry{Receipt, Spare, -pools.Spare, clock.DateOf(c.OfficeAt), "produsen"}, "", ReceiveVerb, c)
	return err
}

func write(ctx context.Context, tx *postgres.Tx, requestID string, seen int64, e Entry, reverses string, verb machine.Verb, c request.Change) (m Movement, err error) {
	version, err := Version(ctx, tx, requestID)
	if err != nil {
		return m, err
	}
	if version != seen {
		return m, postgres.ErrStale
	}
	id, err := uuid.NewV7()
	if err != nil {
		return m, fmt.Errorf("stock: id: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO blank_movement (id, request_id, ordinal, kind, source, quantity, happened, party, reason, reverses, booked_by, office_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,nullif($10, '')::uuid,$11,$12)`,
		id.String(), requestID, version+1, string(e.Kind), string(e.Source), e.Quantity, e.Happened, e.Party, c.Reason, reverses,
		c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return m, fmt.Errorf("stock: writing a line: %w", err)
	}
	if err := tx.Get(ctx, &m, selectMovement+`WHERE id = $1`, id.String()); err != nil {
		return m, fmt.Errorf("stock: reading a line: %w", err)
	}
	detail := map[string]any{"kind": e.Kind, "source": e.Source, "quantity": e.Quantity, "happened": e.Happened, "party": e.Party, "reason": c.Reason}
	if reverses != "" {
		detail["reverses"] = reverses
	}
	return m, audit.Record(ctx, tx, audit.Entry{
		Actor: c.Actor.Name, Action: "blank." + string(verb), Subject: m.ID, Request: requestID, Detail: detail,
	})
}
