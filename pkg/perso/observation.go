package perso

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Source says how a station knows what it says of a card.
type Source string

// Sources.
const (
	FromCard    Source = "card"    // a reader has read it, and has written nothing
	FromJournal Source = "journal" // the station's journal was told when it was written
)

// SourceLabels are the Indonesian names of the sources.
var SourceLabels = map[Source]string{FromCard: "kartu dibaca", FromJournal: "jurnal stasiun"}

// Finding is what a station found on a card whose result is not known.
type Finding struct {
	Proposal Decision       // what the card allows; empty while it was not read
	Observed map[string]any // no secrets
	Reader   string         // that the card is in
	Source   Source         // FromCard when empty
}

// where are the words of a finding that tell how far the writing came, and not what is
// on the card.
var where = []string{"step", "last_step"}

// Reading is the fingerprint of what was read, in hexadecimal: two alike say the same.
// Empty when nothing was.
func (f Finding) Reading() (string, error) {
	if f.Proposal == "" {
		return "", nil
	}
	said := maps.Clone(f.Observed)
	maps.DeleteFunc(said, func(key string, _ any) bool { return slices.Contains(where, key) })
	body, err := json.Marshal([]any{f.Proposal, said}) // keys are in their order
	if err != nil {
		return "", fmt.Errorf("perso: encoding: %w", err)
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}

// Observation is what a station said once of a card whose result was not known. It is
// kept as it was said.
type Observation struct {
	ID          string          `db:"id" json:"id"`
	CardID      string          `db:"card_id" json:"-"`
	CardState   machine.State   `db:"card_state" json:"card_state"`
	CardVersion int64           `db:"card_version" json:"-"`
	Source      Source          `db:"source" json:"source"`
	Station     string          `db:"station" json:"station"`
	Reader      string          `db:"reader" json:"reader"`
	Proposal    Decision        `db:"proposal" json:"proposal"`
	Reading     string          `db:"reading" json:"reading"`
	Observed    json.RawMessage `db:"observed" json:"observed"`
	Contradicts bool            `db:"contradicts" json:"contradicts"`
	At          time.Time       `db:"office_at" json:"at"` // office time
}

// Observe keeps what a station found on a card that is in doubt already. It is no
// step; the newest finding counts, and what was decided on another one, and is not
// carried out, is void. postgres.ErrStale when the card has moved on.
func Observe(ctx context.Context, tx *postgres.Tx, h Hand, f Finding, ch Change) (Hand, error) {
	c, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, h.Card.ID)
	if err != nil {
		return Hand{}, err
	}
	if c.State != InDoubt || c.Version != h.Card.Version || c.Attempt != h.Attempt.Number {
		return Hand{}, postgres.ErrStale
	}
	if h, err = hand(ctx, tx, c, selectAttempt); err != nil { // another station may have read it since
		return Hand{}, err
	}
	w := &walk{tx: tx, card: c, change: ch}
	return h, w.observe(ctx, &h, f)
}

// observe makes a finding the present one of a card in doubt, and evidence.
func (w *walk) observe(ctx context.Context, h *Hand, f Finding) error {
	body, err := encode(f.Observed)
	if err != nil {
		return err
	}
	reading, err := f.Reading()
	if err != nil {
		return err
	}
	// Where the writing stopped is known from then on, however often the card is read.
	if err := w.tx.Get(ctx, &h.Attempt.Observed, `
		UPDATE perso_attempt SET proposal=$2, reading=$3, observed=
		    (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(observed) WHERE key IN ('step', 'last_step')) || $4::jsonb
		WHERE id=$1 RETURNING observed`, h.Attempt.ID, string(f.Proposal), reading, string(body)); err != nil {
		return fmt.Errorf("perso: finding: %w", err)
	}
	was := h.Attempt.Reading
	h.Attempt.Proposal, h.Attempt.Reading = f.Proposal, reading
	if reading == "" {
		return nil
	}
	if _, err := w.witness(ctx, *h, f, false); err != nil || reading == was {
		return err
	}
	return w.void(ctx)
}

// void takes their force from decisions on this doubt that were made on another reading
// of the card, and puts that into the audit.
func (w *walk) void(ctx context.Context) error {
	var gone []Resolution
	if err := w.tx.Select(ctx, &gone, `
		UPDATE card_resolution SET voided_at=$3 WHERE card_id=$1 AND card_version=$2 AND voided_at IS NULL
		RETURNING `+resolutionColumns, w.card.ID, w.card.Version, w.change.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("perso: decisions that are void: %w", err)
	}
	for _, r := range gone {
		if err := w.note(ctx, "card.resolution.void", map[string]any{"decision": r.Decision, "decided_by": r.DecidedBy}); err != nil {
			return err
		}
	}
	return nil
}

// witness keeps what a station says as evidence. Of the same contradiction once.
func (w *walk) witness(ctx context.Context, h Hand, f Finding, contradicts bool) (kept bool, err error) {
	body, err := encode(f.Observed)
	if err != nil {
		return false, err
	}
	reading, err := f.Reading()
	if err != nil {
		return false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return false, fmt.Errorf("perso: observation id: %w", err)
	}
	source := f.Source
	if source == "" {
		source = FromCard
	}
	n, err := w.tx.Exec(ctx, `
		INSERT INTO card_observation (id, card_id, attempt_id, card_version, card_state, source, station, reader, proposal, reading, observed, contradicts, office_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)
		ON CONFLICT (attempt_id, source, reading) WHERE contradicts DO NOTHING`,
		id.String(), w.card.ID, h.Attempt.ID, w.card.Version, string(w.card.State), string(source), w.change.Actor.Name, f.Reader,
		string(f.Proposal), reading, string(body), contradicts, w.change.OfficeAt.UTC())
	if err != nil {
		return false, fmt.Errorf("perso: observation: %w", err)
	}
	return n == 1, nil
}

// Observations are what stations said of a card, the newest first.
func Observations(ctx context.Context, r postgres.Reader, cardID string, most int) ([]Observation, error) {
	var all []Observation
	if err := r.Select(ctx, &all, `
		SELECT id, card_id, card_state, card_version, source, station, reader, proposal, reading, observed, contradicts, office_at
		FROM card_observation WHERE card_id = $1 ORDER BY id DESC LIMIT $2`, cardID, most); err != nil {
		return nil, fmt.Errorf("perso: observations: %w", err)
	}
	return all, nil
}

// finals are the states in which a late result comes too late.
var finals = []machine.State{Spoiled, Reduced, Failed}

// Contradict keeps, as evidence that asks for people, what a reader shows of a card
// whose fate is decided for good, against the decision. It changes nothing else; again
// is no error. known says that it was kept before. postgres.ErrStale when the card is
// not, or not any more, in such a state.
func Contradict(ctx context.Context, tx *postgres.Tx, cardID string, f Finding, ch Change) (known bool, err error) {
	c, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, cardID)
	if err != nil {
		return false, err
	}
	if !slices.Contains(finals, c.State) || c.Attempt == 0 {
		return false, postgres.ErrStale
	}
	h, err := hand(ctx, tx, c, selectAttempt)
	if err != nil {
		return false, err
	}
	w := &walk{tx: tx, card: c, change: ch}
	return w.contradict(ctx, h, f)
}

func (w *walk) contradict(ctx context.Context, h Hand, f Finding) (known bool, err error) {
	kept, err := w.witness(ctx, h, f, true)
	if err != nil || !kept {
		return true, err
	}
	return false, w.note(ctx, "card.contradiction", map[string]any{
		"state": w.card.State, "proposal": f.Proposal, "source": f.Source, "attempt": h.Attempt.Number,
	})
}

// Taken is what became of a late result.
type Taken string

// What a late result comes to.
const (
	TakenClear       Taken = "clear"       // accepted: the card is clear
	TakenFinding     Taken = "finding"     // kept: the card is in doubt, and known better
	TakenContradicts Taken = "contradicts" // refused and kept as evidence: people must look
	TakenNothing     Taken = "nothing"     // known already, or not this station's to say
)

// Late is what a station's journal knows of an attempt, after the office has stopped
// waiting for it.
type Late struct {
	Attempt string         // id
	Proven  bool           // read back, opened, secured; else the card refused
	Detail  map[string]any // where the journal says so; no secrets
}

// TakeLate takes a late result of the attempt that a card was last written by. Proven,
// it is accepted while the card is in doubt, or waits for a station to verify it, also
// when one of two people has decided otherwise: whoever reads the card finds the same.
// Against what was decided for good, or read from the card since, it changes nothing
// and is kept as evidence. Error: ErrNotFound.
func TakeLate(ctx context.Context, tx *postgres.Tx, late Late, ch Change) (h Hand, taken Taken, err error) {
	var cardID string
	err = tx.Get(ctx, &cardID, `SELECT card_id FROM perso_attempt WHERE id = $1`, late.Attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return h, TakenNothing, ErrNotFound
	}
	if err != nil {
		return h, TakenNothing, fmt.Errorf("perso: late result: %w", err)
	}
	c, err := getCard(ctx, tx, `WHERE id = $1 FOR UPDATE`, cardID)
	if err != nil {
		return h, TakenNothing, err
	}
	if h, err = hand(ctx, tx, c, selectAttempt); err != nil || h.Attempt.ID != late.Attempt {
		return h, TakenNothing, err
	}
	f := Finding{Proposal: DecideSpoil, Observed: late.Detail, Source: FromJournal, Reader: h.Attempt.Reader}
	if late.Proven {
		f.Proposal = DecideComplete
	}
	w := &walk{tx: tx, card: c, change: ch}
	waits := c.State == InDoubt || c.State == Written
	switch {
	case late.Proven && waits && (h.Attempt.Proposal == "" || h.Attempt.Proposal == DecideComplete):
		if _, err := w.witness(ctx, h, f, false); err != nil {
			return h, TakenNothing, err
		}
		h, err = Finish(ctx, tx, h, late.Detail, ch)
		return h, TakenClear, err
	case late.Proven && (waits || slices.Contains(finals, c.State)):
		known, err := w.contradict(ctx, h, f)
		if err != nil || known {
			return h, TakenNothing, err
		}
		return h, TakenContradicts, nil
	case !late.Proven && c.State == InDoubt && h.Attempt.Proposal == "":
		return h, TakenFinding, w.observe(ctx, &h, f)
	}
	return h, TakenNothing, nil
}

// Unsettled returns those of the attempts whose cards are in doubt, wait to be
// verified, or were given up: what a journal knows of them may be news.
func Unsettled(ctx context.Context, r postgres.Reader, ids []string) (open []string, err error) {
	if err := r.Select(ctx, &open, `
		SELECT a.id::text FROM perso_attempt a JOIN card c ON c.id = a.card_id AND c.attempt = a.attempt
		WHERE a.id = ANY ($1::uuid[]) AND c.state IN ('in_doubt', 'written', 'failed', 'spoiled', 'reduced') ORDER BY a.id`, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: attempts to settle: %w", err)
	}
	return open, nil
}
