package stock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

const destroyedMessage = "cards.destroyed"

var (
	// ErrNoCards says that a berita acara names no card.
	ErrNoCards = errors.New("stock: no card to destroy")
	// ErrOnePerson says that both signers are the same: cards are destroyed by two.
	ErrOnePerson = errors.New("stock: both signers are the same person")
	// ErrVoid says that a berita acara is void already.
	ErrVoid = errors.New("stock: berita acara is void already")
)

// WasLabels are why a card is destroyed, as people read it.
var WasLabels = map[string]string{"failed": "Gagal", "spoiled": "Rusak"}

// Lost is a card of a request that failed or is spoiled, also when it was replaced or
// taken off since. The JSON names are the API.
type Lost struct {
	CardID string `db:"card_id" json:"id"`
	Serial string `db:"serial" json:"serial"`
	Was    string `db:"was" json:"was"` // failed or spoiled
	Cause  string `db:"cause" json:"cause"`
	// Day is that on which it was found lost, by the office's clock.
	Day *clock.Date `db:"day" json:"day"`
	// DestructionID is the berita acara that it stands in.
	DestructionID *string `db:"destruction_id" json:"destruction"`
}

const selectLost = `
	SELECT c.id AS card_id, c.serial, CASE c.state WHEN 'reduced' THEN r.was ELSE c.state END AS was, c.reason AS cause,
	       (SELECT (max(h.office_at) AT TIME ZONE 'Asia/Jakarta')::date FROM history h
	        WHERE h.machine = 'card' AND h.subject = c.id AND h.to_state IN ('failed','spoiled')) AS day,
	       (SELECT d.destruction_id FROM destroyed_card d WHERE d.card_id = c.id AND NOT d.void) AS destruction_id
	FROM card c JOIN listed_card l ON l.id = c.id LEFT JOIN reduced_card r ON r.card_id = c.id
	WHERE c.request_id = $1 AND (c.state IN ('failed','spoiled') OR c.state = 'reduced' AND r.was IN ('failed','spoiled')) `

// LostCards returns the failed and spoiled cards of a request in the order of its list.
func LostCards(ctx context.Context, rd postgres.Reader, requestID string) ([]Lost, error) {
	list := []Lost{}
	if err := rd.Select(ctx, &list, selectLost+`ORDER BY l.row`, requestID); err != nil {
		return nil, fmt.Errorf("stock: lost cards: %w", err)
	}
	return list, nil
}

// Signer is one of the two who destroy cards, as the paper names them.
type Signer struct {
	Name string `json:"name"`
	Post string `json:"post"`
}

// Destruction is a berita acara kartu rusak: failed and spoiled cards of a request that
// two people destroyed. The JSON names are the API.
type Destruction struct {
	ID        string     `json:"id"`
	RequestID string     `json:"-"`
	Ordinal   int        `json:"ordinal"` // of the request's, from 1
	Destroyed clock.Date `json:"destroyed_on"`
	Method    string     `json:"method"` // how, such as "dipotong melalui chip"
	Reason    string     `json:"reason"`
	First     Signer     `json:"first"`
	Second    Signer     `json:"second"`
	DrawnBy   string     `json:"drawn_by"` // user name
	OfficeAt  time.Time  `json:"office_at"`
	VoidedAt  *time.Time `json:"voided_at"`
	Cards     []Lost     `json:"cards"`
}

// Unfit is a card that cannot be destroyed, and why, in Indonesian.
type Unfit struct{ CardID, Serial, Why string }

// UnfitError names every card that stands in the way.
type UnfitError struct{ Cards []Unfit }

// Error makes it an error.
func (e *UnfitError) Error() string {
	var all []string
	for _, c := range e.Cards {
		all = append(all, c.Serial+" "+c.Why)
	}
	return "stock: cannot be destroyed: " + strings.Join(all, ", ")
}

// Destroy draws up a berita acara of cards that failed or are spoiled, all of them or
// none, and rings cards.destroyed, by which the paper is made. A card stands in one
// berita acara only; its serial, chip and numbers stay burnt. Errors: *machine.RoleError,
// ErrNoCards, ErrOnePerson, request.ErrNotFound, *UnfitError.
func Destroy(ctx context.Context, tx *postgres.Tx, requestID string, d Destruction, cardIDs []string, c request.Change) (Destruction, error) {
	if err := May(DestroyVerb, c.Actor.Role); err != nil {
		return d, err
	}
	if len(cardIDs) == 0 {
		return d, ErrNoCards
	}
	if strings.EqualFold(d.First.Name, d.Second.Name) {
		return d, ErrOnePerson
	}
	r, err := request.Lock(ctx, tx, requestID) // one berita acara of a request is drawn up at a time
	if err != nil {
		return d, err
	}
	if d.Cards, err = fit(ctx, tx, requestID, cardIDs); err != nil {
		return d, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, fmt.Errorf("stock: id: %w", err)
	}
	d.ID, d.RequestID, d.Reason, d.DrawnBy, d.OfficeAt = id.String(), requestID, c.Reason, c.Actor.Name, c.OfficeAt.UTC()
	if err := tx.Get(ctx, &d.Ordinal, `
		INSERT INTO destruction (id, request_id, ordinal, destroyed, method, reason, first_name, first_post, second_name, second_post, drawn_by, office_at)
		SELECT $1, $2, count(*) + 1, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM destruction WHERE request_id = $2 RETURNING ordinal`,
		d.ID, requestID, d.Destroyed, d.Method, d.Reason, d.First.Name, d.First.Post, d.Second.Name, d.Second.Post, d.DrawnBy, d.OfficeAt); err != nil {
		return d, fmt.Errorf("stock: berita acara: %w", err)
	}
	ids, was, causes, serials := make([]string, len(d.Cards)), make([]string, len(d.Cards)), make([]string, len(d.Cards)), make([]string, len(d.Cards))
	for i, card := range d.Cards {
		ids[i], was[i], causes[i], serials[i] = card.CardID, card.Was, card.Cause, card.Serial
		d.Cards[i].DestructionID = &d.ID
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO destroyed_card (card_id, destruction_id, was, cause)
		SELECT c.id, $1, c.was, c.cause FROM unnest($2::uuid[], $3::text[], $4::text[]) AS c (id, was, cause)`,
		d.ID, pq.Array(ids), pq.Array(was), pq.Array(causes)); err != nil {
		return d, fmt.Errorf("stock: cards of a berita acara: %w", err)
	}
	if err := audit.Record(ctx, tx, audit.Entry{Actor: c.Actor.Name, Action: "blank.destroy", Subject: d.ID, Request: requestID, Detail: map[string]any{
		"serials": serials, "destroyed_on": d.Destroyed, "method": d.Method, "reason": d.Reason, "first": d.First.Name, "second": d.Second.Name,
	}}); err != nil {
		return d, err
	}
	return d, outbox.Put(ctx, tx, outbox.Message{Type: destroyedMessage, Subject: d.ID, Version: 1, Request: requestID, TraceParent: r.TraceParent})
}

// fit returns the cards with these ids in the order of the list, if each is lost and
// stands in no berita acara. The request is locked: nobody draws another one up.
func fit(ctx context.Context, tx *postgres.Tx, requestID string, cardIDs []string) ([]Lost, error) {
	lost, err := LostCards(ctx, tx, requestID)
	if err != nil {
		return nil, err
	}
	var unfit UnfitError
	var cards []Lost
	found := map[string]bool{}
	for _, card := range lost {
		if !slices.Contains(cardIDs, card.CardID) {
			continue
		}
		found[card.CardID] = true
		if card.DestructionID != nil {
			unfit.Cards = append(unfit.Cards, Unfit{card.CardID, card.Serial, "sudah tercantum dalam berita acara lain"})
		}
		cards = append(cards, card)
	}
	for _, id := range cardIDs {
		if !found[id] {
			unfit.Cards = append(unfit.Cards, Unfit{CardID: id, Why: "bukan kartu gagal atau rusak dari permohonan ini"})
		}
	}
	if len(unfit.Cards) > 0 {
		return nil, &unfit
	}
	return cards, nil
}

// Void takes a berita acara back that was drawn up wrongly; its cards can stand in
// another. The caller voids its paper in the same transaction. Errors:
// *machine.RoleError, ErrNotFound, ErrVoid.
func Void(ctx context.Context, tx *postgres.Tx, id string, c request.Change) (Destruction, error) {
	if err := May(VoidVerb, c.Actor.Role); err != nil {
		return Destruction{}, err
	}
	d, err := GetDestruction(ctx, tx, id)
	if err != nil {
		return d, err
	}
	if _, err := request.Lock(ctx, tx, d.RequestID); err != nil {
		return d, err
	}
	at := c.OfficeAt.UTC()
	n, err := tx.Exec(ctx, `UPDATE destruction SET voided_at = $2 WHERE id = $1 AND voided_at IS NULL`, id, at)
	if err != nil {
		return d, fmt.Errorf("stock: voiding a berita acara: %w", err)
	}
	if n == 0 {
		return d, ErrVoid
	}
	if _, err := tx.Exec(ctx, `UPDATE destroyed_card SET void = true WHERE destruction_id = $1`, id); err != nil {
		return d, fmt.Errorf("stock: voiding a berita acara: %w", err)
	}
	d.VoidedAt = &at
	return d, audit.Record(ctx, tx, audit.Entry{
		Actor: c.Actor.Name, Action: "blank.void", Subject: d.ID, Request: d.RequestID, Detail: map[string]any{"ordinal": d.Ordinal, "reason": c.Reason},
	})
}

type destructionRow struct {
	ID         string     `db:"id"`
	RequestID  string     `db:"request_id"`
	Ordinal    int        `db:"ordinal"`
	Destroyed  clock.Date `db:"destroyed"`
	Method     string     `db:"method"`
	Reason     string     `db:"reason"`
	FirstName  string     `db:"first_name"`
	FirstPost  string     `db:"first_post"`
	SecondName string     `db:"second_name"`
	SecondPost string     `db:"second_post"`
	DrawnBy    string     `db:"drawn_by"`
	OfficeAt   time.Time  `db:"office_at"`
	VoidedAt   *time.Time `db:"voided_at"`
}

const selectDestruction = `SELECT id, request_id, ordinal, destroyed, method, reason, first_name, first_post, second_name, second_post,
	drawn_by, office_at, voided_at FROM destruction `

func (r destructionRow) destruction() Destruction {
	return Destruction{ID: r.ID, RequestID: r.RequestID, Ordinal: r.Ordinal, Destroyed: r.Destroyed, Method: r.Method, Reason: r.Reason,
		First: Signer{r.FirstName, r.FirstPost}, Second: Signer{r.SecondName, r.SecondPost}, DrawnBy: r.DrawnBy, OfficeAt: r.OfficeAt, VoidedAt: r.VoidedAt, Cards: []Lost{}}
}

// GetDestruction returns a berita acara with its cards in the order of the list. Error:
// ErrNotFound.
func GetDestruction(ctx context.Context, rd postgres.Reader, id string) (Destruction, error) {
	var row destructionRow
	err := rd.Get(ctx, &row, selectDestruction+`WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return Destruction{}, ErrNotFound
	}
	if err != nil {
		return Destruction{}, fmt.Errorf("stock: berita acara: %w", err)
	}
	list := []Destruction{row.destruction()}
	err = withCards(ctx, rd, list)
	return list[0], err
}

// Destructions returns the berita acara of a request, oldest first, void ones too.
func Destructions(ctx context.Context, rd postgres.Reader, requestID string) ([]Destruction, error) {
	var rows []destructionRow
	if err := rd.Select(ctx, &rows, selectDestruction+`WHERE request_id = $1 ORDER BY ordinal`, requestID); err != nil {
		return nil, fmt.Errorf("stock: list of berita acara: %w", err)
	}
	list := make([]Destruction, len(rows))
	for i, r := range rows {
		list[i] = r.destruction()
	}
	return list, withCards(ctx, rd, list)
}

// withCards reads the cards of berita acara, as they were when each was drawn up.
func withCards(ctx context.Context, rd postgres.Reader, list []Destruction) error {
	at, ids := map[string]int{}, make([]string, len(list))
	for i, d := range list {
		at[d.ID], ids[i] = i, d.ID
	}
	var cards []Lost
	if err := rd.Select(ctx, &cards, `
		SELECT d.card_id, l.serial, d.was, d.cause, d.destruction_id,
		       (SELECT (max(h.office_at) AT TIME ZONE 'Asia/Jakarta')::date FROM history h
		        WHERE h.machine = 'card' AND h.subject = d.card_id AND h.to_state IN ('failed','spoiled')) AS day
		FROM destroyed_card d JOIN listed_card l ON l.id = d.card_id WHERE d.destruction_id = ANY ($1::uuid[]) ORDER BY l.row`, pq.Array(ids)); err != nil {
		return fmt.Errorf("stock: cards of berita acara: %w", err)
	}
	for _, card := range cards {
		d := &list[at[*card.DestructionID]]
		d.Cards = append(d.Cards, card)
	}
	return nil
}
