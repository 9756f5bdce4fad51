package perso

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// MostHandResults bounds how many results are entered, confirmed or withdrawn in one
// go: a few days' capacity.
const MostHandResults = 1000

// LongestReason bounds the reason of a failure, in characters.
const LongestReason = 500

var (
	// ErrNoHandResult says that one of the results does not wait for its second person.
	ErrNoHandResult = errors.New("perso: no such result waits for confirmation")
	// ErrTooMany says that too much is asked in one go.
	ErrTooMany = errors.New("perso: too many at once")
)

// HandResult is what somebody found of a card that was personalised by hand. It takes
// effect when a second person confirms it (features.md N17).
type HandResult struct {
	ID        string        `db:"id" json:"id"`
	CardID    string        `db:"card_id" json:"card"`
	Attempt   int           `db:"attempt" json:"-"`
	Result    machine.State `db:"result" json:"result"` // Clear or Failed
	Reason    string        `db:"reason" json:"reason"`
	EnteredBy string        `db:"entered_by" json:"entered_by"`
	EnteredAt time.Time     `db:"entered_at" json:"entered_at"`
}

// Entry is what somebody says of a card of a manual work order: its result, its
// numbers, or both.
type Entry struct {
	CardID string
	Result machine.State // Clear, Failed, or empty for none yet
	Reason string        // of a failure
	// Numbers that another tool has given; empty where Generate has.
	PCID       string
	ManifestNo string
}

// EntryFault is what is wrong with an entry.
type EntryFault struct {
	Index  int    // of the entry
	Field  string // card, result, reason, pcid or manifest_no
	Code   string
	Detail string // in Indonesian
}

// EntryFaults are all that is wrong with a call: nothing of it was taken.
type EntryFaults []EntryFault

func (f EntryFaults) Error() string { return fmt.Sprintf("perso: %d entries are wrong", len(f)) }

func (f *EntryFaults) add(i int, field, code, format string, args ...any) {
	*f = append(*f, EntryFault{i, field, code, fmt.Sprintf(format, args...)})
}

// Enter takes the first person's results, and numbers that another tool gave, for
// cards of a request in manual mode: all of them or none. A card with a result is in
// people's hands, under a released manual order, until a second person confirms it.
// What is entered already by the same person is no error. It returns how many results
// are new. Errors: as of Generate, EntryFaults, ErrTooMany.
func Enter(ctx context.Context, tx *postgres.Tx, requestID string, entries []Entry, ch Change) (int, error) {
	if len(entries) > MostHandResults {
		return 0, ErrTooMany
	}
	if _, err := manual(ctx, tx, requestID, ch); err != nil {
		return 0, err
	}
	e := &entering{tx: tx, requestID: requestID, entries: entries, change: ch}
	if err := e.lock(ctx); err != nil {
		return 0, err
	}
	e.shape()
	if err := e.number(ctx); err != nil {
		return 0, err
	}
	for i := range entries {
		if err := e.result(ctx, i); err != nil {
			return 0, err
		}
	}
	if len(e.wrong) > 0 {
		slices.SortStableFunc(e.wrong, func(a, b EntryFault) int { return a.Index - b.Index })
		return 0, e.wrong
	}
	if e.entered == 0 && e.numbered == 0 {
		return 0, nil
	}
	return e.entered, noteCards(ctx, tx, requestID, "card.results.enter", ch, map[string]any{"results": e.entered, "numbers": e.numbered})
}

// entering is one call of Enter.
type entering struct {
	tx                *postgres.Tx
	requestID         string
	entries           []Entry
	change            Change
	cards             map[string]Card
	waiting           map[string]HandResult // by card
	wrong             EntryFaults
	entered, numbered int
}

// lock locks the cards of the entries.
func (e *entering) lock(ctx context.Context) error {
	ids := make([]string, 0, len(e.entries))
	for _, one := range e.entries {
		if uuid.Validate(one.CardID) == nil { // another is no card's
			ids = append(ids, one.CardID)
		}
	}
	var cards []Card
	if err := e.tx.Select(ctx, &cards, selectCard+`WHERE request_id = $1 AND id = ANY ($2::uuid[]) ORDER BY id FOR UPDATE`, e.requestID, pq.Array(ids)); err != nil {
		return fmt.Errorf("perso: locking cards: %w", err)
	}
	e.cards = make(map[string]Card, len(cards))
	for _, c := range cards {
		e.cards[c.ID] = c
	}
	all, err := HandResults(ctx, e.tx, e.requestID)
	e.waiting = make(map[string]HandResult, len(all))
	for _, one := range all {
		e.waiting[one.CardID] = one
	}
	return err
}

// shape checks what the entries say, each by itself.
func (e *entering) shape() {
	seen := map[string]bool{}
	for i := range e.entries {
		one := &e.entries[i]
		one.Reason = strings.Join(strings.Fields(one.Reason), " ")
		one.PCID, one.ManifestNo = strings.ToUpper(strings.TrimSpace(one.PCID)), strings.ToUpper(strings.TrimSpace(one.ManifestNo))
		switch _, here := e.cards[one.CardID]; {
		case !here:
			e.wrong.add(i, "card", "unknown_value", "Kartu ini tidak ada dalam permohonan ini.")
		case seen[one.CardID]:
			e.wrong.add(i, "card", "repeated", "Kartu ini disebut dua kali.")
		}
		seen[one.CardID] = true
		switch {
		case one.Result != "" && one.Result != Clear && one.Result != Failed:
			e.wrong.add(i, "result", "unknown_value", "Pilih Berhasil atau Gagal.")
		case one.Result == Failed && one.Reason == "":
			e.wrong.add(i, "reason", "missing", "Alasan wajib diisi untuk kartu yang gagal.")
		case len([]rune(one.Reason)) > LongestReason:
			e.wrong.add(i, "reason", "too_long", "Alasan paling panjang %d karakter.", LongestReason)
		}
	}
}

// faulty says whether something is wrong with an entry.
func (e *entering) faulty(i int) bool {
	return slices.ContainsFunc(e.wrong, func(f EntryFault) bool { return f.Index == i })
}

// result takes the result of one entry.
func (e *entering) result(ctx context.Context, i int) error {
	one := e.entries[i]
	if one.Result == "" || e.faulty(i) {
		return nil
	}
	c := e.cards[one.CardID]
	if w, ok := e.waiting[c.ID]; ok {
		if w.EnteredBy != e.change.Actor.Name || w.Result != one.Result || w.Reason != one.Reason {
			e.wrong.add(i, "result", "in_use", "Kartu %s sudah mempunyai hasil yang menunggu konfirmasi; tarik dahulu hasil itu.", c.Serial)
		}
		return nil
	}
	switch {
	case c.State == Listed || c.State == Bound:
		e.wrong.add(i, "result", "not_numbered", "Kartu %s belum bernomor.", c.Serial)
		return nil
	case c.State != Numbered:
		e.wrong.add(i, "result", "not_open", "Kartu %s berstatus %s; hasilnya tidak diubah.", c.Serial, Machine.Label(c.State))
		return nil
	}
	order, err := capacity.ManualOrder(ctx, e.tx, e.requestID, clock.DateOf(e.change.OfficeAt))
	if errors.Is(err, capacity.ErrNoOrder) {
		e.wrong.add(i, "result", "no_order", "Tidak ada perintah kerja manual yang dilepas dan masih bersisa untuk kartu %s.", c.Serial)
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.open(ctx, c, order, one); err != nil {
		return err
	}
	e.entered++
	return nil
}

// open takes a card into people's hands, with the result that they found.
func (e *entering) open(ctx context.Context, c Card, order capacity.WorkOrder, one Entry) error {
	attemptID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("perso: attempt id: %w", err)
	}
	resultID, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("perso: result id: %w", err)
	}
	ch := e.change
	ch.Reason = one.Reason
	w := &walk{tx: e.tx, card: c, change: ch}
	detail := map[string]any{"result": one.Result, "attempt": c.Attempt + 1, "work_order": order.ID}
	if err := w.take(ctx, EnterVerb, detail, `, work_order_id=$6, attempt=attempt+1, reason='', by_hand=true`, order.ID); err != nil {
		return err
	}
	if err := e.tx.ExecOne(ctx, `
		INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, by_hand)
		VALUES ($1,$2,$3,$4,'','',$5,'','',true)`, attemptID.String(), c.ID, c.Attempt+1, order.ID, c.ChipID); err != nil {
		return fmt.Errorf("perso: opening attempt: %w", err)
	}
	if err := e.tx.ExecOne(ctx, `
		INSERT INTO hand_result (id, card_id, attempt, result, reason, entered_by, entered_at) VALUES ($1,$2,$3,$4,$5,$6,$7)`,
		resultID.String(), c.ID, c.Attempt+1, string(one.Result), one.Reason, ch.Actor.Name, ch.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("perso: entering a result: %w", err)
	}
	return w.done(ctx)
}

const selectHandResult = `
	SELECT h.id, h.card_id, h.attempt, h.result, h.reason, h.entered_by, h.entered_at
	FROM hand_result h JOIN card c ON c.id = h.card_id
	WHERE c.request_id = $1 AND h.confirmed_by IS NULL AND h.withdrawn_by IS NULL `

// HandResults are the results of a request's cards that wait for their second person.
func HandResults(ctx context.Context, r postgres.Reader, requestID string) ([]HandResult, error) {
	all := []HandResult{}
	if err := r.Select(ctx, &all, selectHandResult+`ORDER BY h.card_id`, requestID); err != nil {
		return nil, fmt.Errorf("perso: results by hand: %w", err)
	}
	return all, nil
}

// waitingResults locks the cards of results that wait, in the order of their cards.
func waitingResults(ctx context.Context, tx *postgres.Tx, requestID string, ids []string, ch Change) ([]HandResult, error) {
	if err := Machine.MayEver(EnterVerb, ch.Actor.Role); err != nil {
		return nil, err
	}
	if len(ids) > MostHandResults {
		return nil, ErrTooMany
	}
	for _, id := range ids {
		if uuid.Validate(id) != nil {
			return nil, ErrNoHandResult
		}
	}
	var cards []string
	if err := tx.Select(ctx, &cards, `
		SELECT id FROM card WHERE request_id = $1 AND id IN (SELECT card_id FROM hand_result WHERE id = ANY ($2::uuid[])) ORDER BY id FOR UPDATE`,
		requestID, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: locking cards: %w", err)
	}
	var all []HandResult
	if err := tx.Select(ctx, &all, selectHandResult+`AND h.id = ANY ($2::uuid[]) ORDER BY h.card_id`, requestID, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: results by hand: %w", err)
	}
	if len(all) == 0 || len(all) != len(ids) {
		return nil, ErrNoHandResult
	}
	return all, nil
}

// Confirm is the second person's word on results that wait: all of them or none. The
// cards are clear or failed from then on, and off their orders. Errors:
// *machine.RoleError, ErrNoHandResult, ErrSamePerson, ErrSawPassword, ErrTooMany.
func Confirm(ctx context.Context, tx *postgres.Tx, requestID string, ids []string, ch Change) error {
	all, err := waitingResults(ctx, tx, requestID, ids, ch)
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, one := range all {
		if one.EnteredBy == ch.Actor.Name {
			return ErrSamePerson
		}
		if asked[one.EnteredBy] {
			continue
		}
		asked[one.EnteredBy] = true
		if saw, err := identity.SawPassword(ctx, tx, one.EnteredBy, ch.Actor.Name, ch.OfficeAt); err != nil {
			return err
		} else if saw {
			return ErrSawPassword
		}
	}
	for _, one := range all {
		if err := confirm(ctx, tx, one, ch); err != nil {
			return err
		}
	}
	return nil
}

func confirm(ctx context.Context, tx *postgres.Tx, one HandResult, ch Change) error {
	h, err := handOf(ctx, tx, one)
	if err != nil {
		return err
	}
	if err := tx.ExecOne(ctx, `UPDATE hand_result SET confirmed_by=$2, confirmed_at=$3 WHERE id=$1 AND confirmed_by IS NULL`,
		one.ID, ch.Actor.Name, ch.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("perso: confirming a result: %w", err)
	}
	ch.Reason = one.Reason
	w := &walk{tx: tx, card: h.Card, change: ch}
	detail := map[string]any{"entered_by": one.EnteredBy}
	verb := ClearVerb
	if one.Result == Failed {
		verb = FailVerb
	}
	if err := w.take(ctx, verb, detail, `, finished_at=$6, reason=$7`, ch.OfficeAt.UTC(), one.Reason); err != nil {
		return err
	}
	w.card.Reason = one.Reason
	_, err = w.end(ctx, h, string(one.Result))
	return err
}

// handOf is the locked card of a result with its attempt.
func handOf(ctx context.Context, tx *postgres.Tx, one HandResult) (Hand, error) {
	c, err := Get(ctx, tx, one.CardID)
	if err != nil {
		return Hand{}, err
	}
	if c.Attempt != one.Attempt || c.State != Claimed {
		return Hand{}, postgres.ErrStale
	}
	return hand(ctx, tx, c, selectPublicAttempt)
}

// Retract takes results back that wait, before they are confirmed; whoever may enter
// may do so. The cards keep their numbers. Errors as of Confirm.
func Retract(ctx context.Context, tx *postgres.Tx, requestID string, ids []string, ch Change) error {
	all, err := waitingResults(ctx, tx, requestID, ids, ch)
	if err != nil {
		return err
	}
	for _, one := range all {
		h, err := handOf(ctx, tx, one)
		if err != nil {
			return err
		}
		if err := tx.ExecOne(ctx, `UPDATE hand_result SET withdrawn_by=$2, withdrawn_at=$3 WHERE id=$1 AND withdrawn_by IS NULL`,
			one.ID, ch.Actor.Name, ch.OfficeAt.UTC()); err != nil {
			return fmt.Errorf("perso: withdrawing a result: %w", err)
		}
		if _, err := ReleaseClaim(ctx, tx, h, ch); err != nil {
			return err
		}
	}
	return noteCards(ctx, tx, requestID, "card.results.withdraw", ch, map[string]any{"results": len(all)})
}
