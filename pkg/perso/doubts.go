package perso

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Next is what has to be done next about a card whose result is not known.
type Next string

// What is done next, in the order of a card's way out of its doubt.
const (
	NextDeclare Next = "declare" // two people take it away from a station that is gone
	NextRead    Next = "read"    // put it into any reader, to be read
	NextDecide  Next = "decide"  // the first person decides
	NextConfirm Next = "confirm" // the second person confirms
	NextResume  Next = "resume"  // put it into a reader; the station writes the rest
	NextVerify  Next = "verify"  // put it into a reader; the station makes the last check
)

// NextLabels are what has to be done next, as people read it.
var NextLabels = map[Next]string{
	NextDeclare: "Nyatakan meragukan, bila stasiunnya tidak akan melanjutkan",
	NextRead:    "Masukkan kartu ke pembaca stasiun mana pun supaya dibaca",
	NextDecide:  "Orang pertama memutuskan",
	NextConfirm: "Orang kedua mengonfirmasi",
	NextResume:  "Masukkan kartu ke pembaca stasiun; penulisannya dilanjutkan",
	NextVerify:  "Masukkan kartu ke pembaca stasiun; pemeriksaan akhirnya dijalankan",
}

// DoubtRow is a card whose result is not known, with all that is known of it.
type DoubtRow struct {
	CardRow   `json:"card"`
	RequestID string     `db:"request_id" json:"request_id"`
	Ticket    string     `db:"ticket" json:"ticket"`
	Applicant string     `db:"applicant" json:"applicant"` // name of the institution
	Chip      string     `db:"chip_id" json:"chip"`
	Station   string     `db:"station" json:"station"`      // that has written it, or was about to
	Reader    string     `db:"reader" json:"reader"`        // of this station
	Since     time.Time  `db:"since" json:"since"`          // office time of its last step
	LastStep  string     `db:"last_step" json:"last_step"`  // of the profile, that ended well or did not; empty if nobody knows
	ReadAt    *time.Time `db:"read_at" json:"read_at"`      // office time; null while it was not read
	ReadBy    string     `db:"read_by" json:"read_by"`      // station
	ReadIn    string     `db:"read_in" json:"read_in"`      // reader
	ReadHow   Source     `db:"read_source" json:"read_how"` // empty while it was not read
	Next      Next       `db:"-" json:"next"`               // what has to be done
	NextLabel string     `db:"-" json:"next_label"`
	Counted   bool       `db:"counted" json:"-"`
	ByProfile string     `db:"profile" json:"profile"` // that it is written by: a station of this one can finish it
}

// next says what has to be done about a card.
func (d *DoubtRow) next() Next {
	switch s := d.Resolution; {
	case d.State != InDoubt && !slices.Contains(abandonable, d.State):
		return ""
	case s != nil && s.ConfirmedBy == nil:
		return NextConfirm
	case d.State == Written && d.Counted && !d.Abandoned:
		return NextVerify
	case d.State != InDoubt && d.Abandoned:
		return NextDeclare
	case d.State != InDoubt:
		return ""
	case s != nil && s.Decision == DecideResume:
		return NextResume
	case d.Proposal == "":
		return NextRead
	}
	return NextDecide
}

// doubtful says that nobody knows a card's result, of c and its attempt a; $1 is the
// Silence. It begins with what card_doubtful is an index of.
const doubtful = `c.state IN ('in_doubt','claimed','writing','written') AND (c.state = 'in_doubt' OR c.state = 'written' AND a.counted OR NOT ` + heard + `
	OR EXISTS (SELECT FROM card_resolution s WHERE s.card_id = c.id AND s.card_version = c.version AND s.confirmed_by IS NULL AND s.voided_at IS NULL))`

// CountDoubts is how many cards Doubts has, and how many late results contradict what
// was decided and wait for an answer.
func CountDoubts(ctx context.Context, r postgres.Reader) (doubts, contradictions int, err error) {
	if err := r.Get(ctx, &doubts, `
		SELECT count(*) FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt WHERE `+doubtful, Silence.Seconds()); err != nil {
		return 0, 0, fmt.Errorf("perso: counting doubts: %w", err)
	}
	contradictions, err = CountContradictions(ctx, r)
	return doubts, contradictions, err
}

// DoubtOf returns a card with all that is known of its result, also when nothing is in
// doubt any more. Error: ErrNotFound.
func DoubtOf(ctx context.Context, r postgres.Reader, cardID string) (DoubtRow, error) {
	rows, err := doubts(ctx, r, []string{cardID})
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return DoubtRow{}, err
	}
	return rows[0], nil
}

// Doubts are the cards of all requests whose result is not known, the oldest doubt
// first: those in doubt, those that people took as finished and no station has verified
// yet, and those that a station which is not heard of has in its hand. all is how many
// there are.
func Doubts(ctx context.Context, r postgres.Reader, most int) (rows []DoubtRow, all int, err error) {
	var found []struct {
		ID  string `db:"id"`
		All int    `db:"n"`
	}
	// A written card of a station that is at work is none of these: it becomes clear with
	// the same commit.
	if err := r.Select(ctx, &found, `
		SELECT c.id, count(*) OVER () AS n FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt
		WHERE `+doubtful+`
		ORDER BY (SELECT h.office_at FROM history h WHERE h.machine = 'card' AND h.subject = c.id AND h.version = c.version), c.id LIMIT $2`, Silence.Seconds(), most); err != nil {
		return nil, 0, fmt.Errorf("perso: cards in doubt: %w", err)
	}
	if len(found) == 0 {
		return nil, 0, nil
	}
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	rows, err = doubts(ctx, r, ids)
	return rows, found[0].All, err
}

// doubts reads these cards, in the order of the ids.
func doubts(ctx context.Context, r postgres.Reader, ids []string) (rows []DoubtRow, err error) {
	query := strings.Replace(rowsOf, "FROM card c", `,
	       c.request_id, q.ticket, i.name AS applicant, coalesce(c.chip_id, '') AS chip_id, coalesce(a.station, '') AS station,
	       coalesce(a.reader, '') AS reader, coalesce(a.profile, '') AS profile,
	       coalesce(a.counted, false) AS counted,
	       coalesce((SELECT h.office_at FROM history h WHERE h.machine = 'card' AND h.subject = c.id AND h.version = c.version), a.claimed_at) AS since,
	       coalesce(nullif(a.observed ->> 'step', ''), a.observed ->> 'last_step', '') AS last_step,
	       o.office_at AS read_at, coalesce(o.station, '') AS read_by, coalesce(o.reader, '') AS read_in, coalesce(o.source, '') AS read_source
	FROM card c`, 1) + `
	JOIN request q ON q.id = c.request_id JOIN institution i ON i.id = q.institution_id
	LEFT JOIN LATERAL (SELECT * FROM card_observation x WHERE x.card_id = c.id AND x.attempt_id = a.id ORDER BY x.id DESC LIMIT 1) o ON true
	WHERE c.id = ANY ($1::uuid[]) ORDER BY array_position($1::uuid[], c.id)`
	if err := r.Select(ctx, &rows, query, pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: doubts: %w", err)
	}
	valid, void, err := presentResolutions(ctx, r, `c.id = ANY ($1::uuid[])`, pq.Array(ids))
	if err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	var silent []string
	if err := r.Select(ctx, &silent, `
		SELECT c.id FROM card c WHERE c.id = ANY ($2::uuid[]) AND c.state IN ('claimed','writing','written') AND NOT `+heard, Silence.Seconds(), pq.Array(ids)); err != nil {
		return nil, fmt.Errorf("perso: listening for stations: %w", err)
	}
	for _, id := range silent {
		gone[id] = true
	}
	for i := range rows {
		d := &rows[i]
		d.StateLabel, d.Abandoned = Machine.Label(d.State), gone[d.ID]
		d.decided(valid, void)
		d.Next = d.next()
		d.NextLabel = NextLabels[d.Next]
	}
	return rows, nil
}

// Contradiction is a result that came after the card's fate was decided for good, and
// says otherwise.
type Contradiction struct {
	Observation `json:"observation"`
	RequestID   string        `db:"request_id" json:"request_id"`
	Ticket      string        `db:"ticket" json:"ticket"`
	Serial      string        `db:"serial" json:"serial"`
	Chip        string        `db:"chip_id" json:"chip"`
	Card        string        `db:"card" json:"card_id"`
	State       machine.State `db:"state" json:"state"` // of the card now
	StateLabel  string        `db:"-" json:"state_label"`
}

// Contradictions are the late results that contradict what was decided, and that nobody
// has answered; the oldest first.
func Contradictions(ctx context.Context, r postgres.Reader, most int) ([]Contradiction, error) {
	var all []Contradiction
	if err := r.Select(ctx, &all, `
		SELECT o.id, o.card_id, o.card_id AS card, o.card_state, o.card_version, o.source, o.station, o.reader, o.proposal, o.reading, o.observed,
		       o.contradicts, o.office_at, c.request_id, q.ticket, c.serial, coalesce(c.chip_id, '') AS chip_id, c.state
		FROM card_observation o JOIN card c ON c.id = o.card_id JOIN request q ON q.id = c.request_id
		WHERE o.contradicts AND NOT EXISTS (SELECT FROM contradiction_answer a WHERE a.observation_id = o.id)
		ORDER BY o.id LIMIT $1`, most); err != nil {
		return nil, fmt.Errorf("perso: contradictions: %w", err)
	}
	for i := range all {
		all[i].StateLabel = Machine.Label(all[i].State)
	}
	return all, nil
}

// CountContradictions is how many late results contradict what was decided, and wait
// for an answer.
func CountContradictions(ctx context.Context, r postgres.Reader) (n int, err error) {
	if err := r.Get(ctx, &n, `
		SELECT count(*) FROM card_observation o WHERE o.contradicts
		   AND NOT EXISTS (SELECT FROM contradiction_answer a WHERE a.observation_id = o.id)`); err != nil {
		return 0, fmt.Errorf("perso: counting contradictions: %w", err)
	}
	return n, nil
}

// ErrAnswered says that a contradiction was answered already.
var ErrAnswered = errors.New("perso: the contradiction was answered already")

// AnswerContradiction says what was done about a late result that contradicts what was
// decided: where the card is now, for instance. The card's fate stays. Whoever may
// decide on cards in doubt may say so. Errors: ErrNotFound, ErrAnswered,
// ErrReasonMissing, *machine.RoleError.
func AnswerContradiction(ctx context.Context, tx *postgres.Tx, observationID string, ch Change) error {
	if err := Machine.MayEver(SpoilVerb, ch.Actor.Role); err != nil {
		return err
	}
	if ch.Reason = strings.TrimSpace(ch.Reason); ch.Reason == "" {
		return ErrReasonMissing
	}
	var of []struct {
		CardID    string `db:"card_id"`
		RequestID string `db:"request_id"`
	}
	if err := tx.Select(ctx, &of, `
		SELECT o.card_id, c.request_id FROM card_observation o JOIN card c ON c.id = o.card_id WHERE o.id = $1 AND o.contradicts`, observationID); err != nil {
		return fmt.Errorf("perso: contradiction: %w", err)
	}
	if len(of) == 0 {
		return ErrNotFound
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO contradiction_answer (observation_id, answered_by, reason, office_at) VALUES ($1,$2,$3,$4) ON CONFLICT DO NOTHING`,
		observationID, ch.Actor.Name, ch.Reason, ch.OfficeAt.UTC())
	if err != nil {
		return fmt.Errorf("perso: answering: %w", err)
	}
	if n == 0 {
		return ErrAnswered
	}
	return audit.Record(ctx, tx, audit.Entry{
		Actor: ch.Actor.Name, Action: "card.contradiction.answer", Subject: of[0].CardID, Request: of[0].RequestID,
		Detail: map[string]any{"observation": observationID, "reason": ch.Reason},
	})
}
