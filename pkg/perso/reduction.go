package perso

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

const reducedMessage = "cards.reduced"

var (
	// ErrNoCards says that a reduction names no card.
	ErrNoCards = errors.New("perso: no card to reduce")
	// ErrNothingLeft says that a reduction would take every card off a request. A
	// request that was accepted is not ended by a letter about its cards: no paper
	// says what was handed over of it, and what was to be made of nothing.
	ErrNothingLeft = errors.New("perso: the reduction leaves no card")
	// ErrReducedBefore says that this very reduction was recorded already.
	ErrReducedBefore = errors.New("perso: reduced by the same letter already")
)

// Letter is the signed letter by which cards are taken off a request.
type Letter struct {
	Number     string     `db:"letter_number" json:"letter_number"`
	Date       clock.Date `db:"letter_date" json:"letter_date"`
	Signer     string     `db:"signer" json:"signer"`
	SignerPost string     `db:"signer_post" json:"signer_post"`
	ScanBlob   string     `db:"scan_blob" json:"-"`
}

// Reduction is a pengurangan: what a letter took off a request. It is never changed.
type Reduction struct {
	ID        string `db:"id" json:"id"`
	RequestID string `db:"request_id" json:"-"`
	Letter
	Reason    string        `db:"reason" json:"reason"`
	DecidedBy string        `db:"decided_by" json:"decided_by"` // who recorded it; empty for eyes outside
	OfficeAt  time.Time     `db:"office_at" json:"office_at"`
	N         int           `db:"n" json:"-"` // how many cards it took off, all told
	Cards     []ReducedCard `db:"-" json:"cards"`
}

// ReducedCard is a card that a letter took off.
type ReducedCard struct {
	ID          string        `db:"card_id" json:"id"`
	ReductionID string        `db:"reduction_id" json:"-"`
	Serial      string        `db:"serial" json:"serial"`
	Was         machine.State `db:"was" json:"was"` // before: listed, failed or spoiled
}

// Seen is a card as somebody had it before their eyes. The id is as the card's row has
// it.
type Seen struct {
	ID      string
	Version int64
	// Reading is the fingerprint of what was read of a card in doubt, as it was seen;
	// nil where nobody says.
	Reading *string
}

// Unfit is a card that cannot be taken off, and why, in Indonesian.
type Unfit struct{ CardID, Serial, Why string }

// UnfitError names every card that stands in the way of a reduction.
type UnfitError struct{ Cards []Unfit }

// Error makes it an error.
func (e *UnfitError) Error() string {
	var all []string
	for _, c := range e.Cards {
		all = append(all, c.Serial+" "+c.Why)
	}
	return "perso: cannot be reduced: " + strings.Join(all, ", ")
}

// whyUnfit are the reasons by the state of a card.
var whyUnfit = map[machine.State]string{
	Bound: "sudah pernah dipresentasikan di stasiun", Numbered: "sudah pernah dipresentasikan di stasiun",
	Claimed: "sedang diambil stasiun", Writing: "sedang ditulis", Written: "sedang diselesaikan stasiun", Verified: "sedang diselesaikan stasiun",
	Clear: "sudah berhasil dipersonalisasi", InDoubt: "meragukan; putuskan dahulu", Reduced: "sudah dikurangi",
}

// Reduce takes failed, spoiled and never presented cards off a request because of a
// signed letter: all of them or none, in one transaction with the letter, the
// timeline, the audit and cards.reduced, by which the scheduler plans anew and finds
// the request done when nothing is left to do. The readers are free for another
// request; so is the serial of a card that was never presented. The chip of a failed
// card and its numbers stay burnt, and with them its serial.
//
// Errors: *machine.RoleError, ErrNoCards, ErrNotFound, *UnfitError, ErrReducedBefore,
// ErrNothingLeft, postgres.ErrStale when a card is not the one that was seen.
func Reduce(ctx context.Context, tx *postgres.Tx, requestID string, l Letter, seen []Seen, ch Change) (Reduction, error) {
	if err := Machine.MayEver(ReduceVerb, ch.Actor.Role); err != nil {
		return Reduction{}, err
	}
	if len(seen) == 0 {
		return Reduction{}, ErrNoCards
	}
	// The planner's lock before any row: it holds orders while it locks requests, and
	// a claim holds a card while it locks an order.
	if err := capacity.Lock(ctx, tx); err != nil {
		return Reduction{}, err
	}
	r, err := request.Lock(ctx, tx, requestID)
	if err != nil {
		return Reduction{}, err
	}
	cards, err := lockCards(ctx, tx, requestID, seen)
	if err != nil {
		return Reduction{}, err
	}
	if err := fit(ctx, tx, cards, seen, l, ch); err != nil {
		return Reduction{}, err
	}
	t, err := Counts(ctx, tx, requestID)
	if err != nil {
		return Reduction{}, err
	}
	if t.Total <= len(cards) {
		return Reduction{}, ErrNothingLeft
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Reduction{}, fmt.Errorf("perso: reduction id: %w", err)
	}
	one := Reduction{ID: id.String(), RequestID: requestID, Letter: l, Reason: ch.Reason, DecidedBy: ch.Actor.Name, OfficeAt: ch.OfficeAt.UTC()}
	for _, c := range cards {
		one.Cards = append(one.Cards, ReducedCard{ID: c.ID, ReductionID: one.ID, Serial: c.Serial, Was: c.State})
	}
	if err := one.write(ctx, tx); err != nil {
		return Reduction{}, err
	}
	if err := takeOff(ctx, tx, one, cards, ch); err != nil {
		return Reduction{}, err
	}
	return one, outbox.Put(ctx, tx, outbox.Message{Type: reducedMessage, Subject: one.ID, Version: 1, Request: requestID, TraceParent: r.TraceParent})
}

// lockCards locks the cards that were seen, in the order of their ids.
func lockCards(ctx context.Context, tx *postgres.Tx, requestID string, seen []Seen) ([]Card, error) {
	ids := make([]string, 0, len(seen))
	for _, s := range seen {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var cards []Card
	if err := tx.Select(ctx, &cards, selectCard+`WHERE request_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR UPDATE`,
		requestID, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: locking cards: %w", err)
	}
	if len(cards) != len(ids) {
		return nil, ErrNotFound
	}
	return cards, nil
}

// fit says whether each of the cards can be taken off, and is as it was seen.
func fit(ctx context.Context, tx *postgres.Tx, cards []Card, seen []Seen, l Letter, ch Change) error {
	ids := make([]string, len(cards))
	for i, c := range cards {
		ids[i] = c.ID
	}
	if again, err := before(ctx, tx, ids, l, ch.Actor.Name); err != nil || again {
		return errors.Join(err, ErrReducedBefore)
	}
	var replaced []string // looked up after the lock: whoever replaced a card held it
	if err := tx.Select(ctx, &replaced, `SELECT replaces FROM listed_card WHERE replaces = ANY ($1::uuid[])`, pq.Array(ids)); err != nil {
		return fmt.Errorf("perso: looking for replacements: %w", err)
	}
	version := make(map[string]int64, len(seen))
	for _, s := range seen {
		version[s.ID] = s.Version
	}
	var unfit UnfitError
	stale := false
	for _, c := range cards {
		switch err := Machine.May(c.State, ReduceVerb, ch.Actor.Role); {
		case err != nil:
			unfit.Cards = append(unfit.Cards, Unfit{c.ID, c.Serial, whyUnfit[c.State]})
		case slices.Contains(replaced, c.ID):
			unfit.Cards = append(unfit.Cards, Unfit{c.ID, c.Serial, "sudah memiliki kartu pengganti; kurangi penggantinya"})
		case c.Version != version[c.ID]:
			stale = true
		}
	}
	if len(unfit.Cards) > 0 {
		return &unfit
	}
	if stale {
		return postgres.ErrStale
	}
	return nil
}

// before says whether the same person took exactly these cards off by the same
// letter: a form that was sent twice.
func before(ctx context.Context, rd postgres.Reader, ids []string, l Letter, who string) (bool, error) {
	var again bool
	err := rd.Get(ctx, &again, `
		SELECT EXISTS (
			SELECT FROM card_reduction d JOIN reduced_card c ON c.reduction_id = d.id
			WHERE d.letter_number = $2 AND d.letter_date = $3 AND d.signer = $4 AND d.signer_post = $5 AND d.decided_by = $6
			GROUP BY d.id HAVING array_agg(c.card_id ORDER BY c.card_id) = $1::uuid[])`,
		pq.Array(ids), l.Number, l.Date, l.Signer, l.SignerPost, who)
	if err != nil {
		return false, fmt.Errorf("perso: looking for the same letter: %w", err)
	}
	return again, nil
}

func (d Reduction) write(ctx context.Context, tx *postgres.Tx) error {
	if err := tx.ExecOne(ctx, `
		INSERT INTO card_reduction (id, request_id, letter_number, letter_date, signer, signer_post, reason, scan_blob, decided_by, office_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`, d.ID, d.RequestID, d.Number, d.Date, d.Signer, d.SignerPost, d.Reason, d.ScanBlob,
		d.DecidedBy, d.OfficeAt); err != nil {
		return fmt.Errorf("perso: reduction: %w", err)
	}
	ids, was := make([]string, len(d.Cards)), make([]string, len(d.Cards))
	for i, c := range d.Cards {
		ids[i], was[i] = c.ID, string(c.Was)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO reduced_card (card_id, reduction_id, was)
		SELECT c.id, $1, c.was FROM unnest($2::uuid[], $3::text[]) AS c (id, was)`, d.ID, pq.Array(ids), pq.Array(was)); err != nil {
		return fmt.Errorf("perso: cards of a reduction: %w", err)
	}
	return nil
}

// takeOff takes the step with every card of a reduction: a compare-and-set on state
// and version, its line of the timeline, and one row of the audit for all.
func takeOff(ctx context.Context, tx *postgres.Tx, d Reduction, cards []Card, ch Change) error {
	ids, states, serials := make([]string, len(cards)), make([]string, len(cards)), make([]string, len(cards))
	versions := make([]int64, len(cards))
	records := make([]machine.Record, len(cards))
	for i, c := range cards {
		step, err := Machine.Find(c.State, ReduceVerb)
		if err != nil {
			return err
		}
		ids[i], states[i], versions[i], serials[i] = c.ID, string(c.State), c.Version, c.Serial
		records[i] = machine.Record{
			Subject: c.ID, Request: c.RequestID, Version: c.Version + 1, Step: step, Actor: ch.Actor, Reason: ch.Reason,
			Detail: map[string]any{"reduction": d.ID, "letter_number": d.Number}, OfficeAt: ch.OfficeAt, TraceParent: c.TraceParent,
		}
	}
	n, err := tx.Exec(ctx, `
		UPDATE card c SET state = $4, version = c.version + 1, finished_at = coalesce(c.finished_at, $5)
		FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS s (id, state, version)
		WHERE c.id = s.id AND c.state = s.state AND c.version = s.version`,
		pq.Array(ids), pq.Array(states), pq.Array(versions), string(Reduced), ch.OfficeAt.UTC())
	if err != nil {
		return fmt.Errorf("perso: %s: %w", ReduceVerb, err)
	}
	if int(n) != len(cards) {
		return postgres.ErrStale
	}
	if err := Machine.Write(ctx, tx, records...); err != nil {
		return err
	}
	if err := cardlist.FreeCards(ctx, tx, ids); err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Entry{
		Actor: ch.Actor.Name, Action: "card.reduce", Subject: d.ID, Request: d.RequestID,
		Detail: map[string]any{
			"letter_number": d.Number, "letter_date": d.Date, "signer": d.Signer, "signer_post": d.SignerPost, "scan": d.ScanBlob,
			"reason": d.Reason, "serials": serials,
		},
	})
}

// Reductions returns the reductions of a request, oldest first, each with its cards
// in the order of the list.
func Reductions(ctx context.Context, rd postgres.Reader, requestID string) ([]Reduction, error) {
	return ReductionsWithin(ctx, rd, requestID, math.MaxInt32)
}

// ReductionsWithin is Reductions with at most so many cards of each.
func ReductionsWithin(ctx context.Context, rd postgres.Reader, requestID string, most int) ([]Reduction, error) {
	var all []Reduction
	if err := rd.Select(ctx, &all, `
		SELECT id, request_id, letter_number, letter_date, signer, signer_post, reason, scan_blob, decided_by, office_at,
		       (SELECT count(*) FROM reduced_card c WHERE c.reduction_id = d.id) AS n
		FROM card_reduction d WHERE request_id = $1 ORDER BY id`, requestID); err != nil {
		return nil, fmt.Errorf("perso: reductions: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	var cards []ReducedCard
	if err := rd.Select(ctx, &cards, `
		SELECT card_id, reduction_id, serial, was FROM (
			SELECT r.card_id, r.reduction_id, l.serial, r.was, l.row, row_number() OVER (PARTITION BY r.reduction_id ORDER BY l.row) AS nth
			FROM reduced_card r JOIN listed_card l ON l.id = r.card_id WHERE l.request_id = $1) AS c
		WHERE nth <= $2 ORDER BY row`, requestID, most); err != nil {
		return nil, fmt.Errorf("perso: reduced cards: %w", err)
	}
	at := make(map[string]int, len(all))
	for i, d := range all {
		at[d.ID] = i
	}
	for _, c := range cards {
		i := at[c.ReductionID]
		all[i].Cards = append(all[i].Cards, c)
	}
	return all, nil
}
