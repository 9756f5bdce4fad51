package letter

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Kinds of paper that somebody asks for.
const (
	// BlankReceipt is given to whoever brought blank cards (features.md N35). The two who
	// counted them sign it, whatever post they hold.
	BlankReceipt = "blank_receipt"
	// DaySheet tells what was written on a day, where the blanks are in the evening, and
	// the head of the audit chain. It is of no request, has no number, and is in force
	// when it is printed.
	DaySheet = "day_sheet"
)

// posts are the roles of the office's people as papers name them: written out, where
// pages abbreviate (users.md C.2).
var posts = map[machine.Role]string{
	request.Persuratan: "Petugas Persuratan",
	request.Operator:   "Operator Subdirektorat Keamanan Informasi",
	request.Kasubdit:   "Kepala Subdirektorat Keamanan Informasi",
}

// PostOf is the post under which somebody of a role signs a paper that is signed by
// whoever was there.
func PostOf(role machine.Role) string {
	if post, ok := posts[role]; ok {
		return post
	}
	return request.RoleLabels[role]
}

// BlankCount is what a tanda terima blangko tells.
type BlankCount struct {
	BroughtOn   clock.Date `json:"brought_on"`
	BroughtBy   Signature  `json:"brought_by"`
	ReceivedBy  Signature  `json:"received_by"`
	Quantity    int        `json:"quantity"`
	Listed      int        `json:"listed"`      // cards of the list; 0 for blanks that came in later
	MovementID  string     `json:"movement_id"` // of those; else empty
	Explanation string     `json:"explanation"` // why they came later
}

// WrittenCards are the cards of a request that one station, or one person by hand, had
// in work on a day, by their outcome.
type WrittenCards struct {
	Ticket      string `json:"ticket" db:"ticket"`
	Institution string `json:"institution" db:"institution"`
	Station     string `json:"station" db:"station"`
	Clear       int    `json:"clear" db:"clear"`
	Failed      int    `json:"failed" db:"failed"`
	InDoubt     int    `json:"in_doubt" db:"in_doubt"`
	Spoiled     int    `json:"spoiled" db:"spoiled"`
}

// BlankFlow is what became of the blanks of a request on a day.
type BlankFlow struct {
	Ticket     string `json:"ticket"`
	Opening    int    `json:"opening"`
	Received   int    `json:"received"`
	Used       int    `json:"used"` // in hand, clear, failed, spoiled, in doubt, test or returned
	Closing    int    `json:"closing"`
	Difference int    `json:"difference"`
}

// DayFacts are what a lembar harian tells.
type DayFacts struct {
	Day     clock.Date     `json:"day"`
	Written []WrittenCards `json:"written"`
	Blanks  []BlankFlow    `json:"blanks"`
	// HeadSeq and HeadHash are the sealed end of the audit chain at At; Unsealed rows were
	// written since.
	HeadSeq  int64     `json:"head_seq"`
	HeadHash string    `json:"head_hash"` // SHA-256, hexadecimal
	Unsealed int64     `json:"unsealed"`
	At       time.Time `json:"at"`
	MadeBy   Signature `json:"made_by"`
	KnownBy  Signature `json:"known_by"` // Kasubdit KI; without a name where nobody holds the post
}

// Asked is a paper that somebody asked for. What it tells stays as it was then.
type Asked struct {
	ID        string          `db:"id"`
	Kind      string          `db:"kind"`
	RequestID string          `db:"request_id"` // empty for none
	Dated     clock.Date      `db:"dated"`
	Facts     json.RawMessage `db:"facts"`
	AskedBy   string          `db:"asked_by"`
	OfficeAt  time.Time       `db:"office_at"`
}

const selectAsked = `SELECT id, kind, coalesce(request_id::text, '') AS request_id, dated, facts, asked_by, office_at FROM asked_paper `

// Ask writes down that a paper is wanted, with its facts; the document generator makes
// it, once.
func Ask(ctx context.Context, tx *postgres.Tx, a Asked, facts any, c request.Change) (Asked, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return a, fmt.Errorf("letter: id: %w", err)
	}
	if a.Facts, err = json.Marshal(facts); err != nil {
		return a, fmt.Errorf("letter: facts of a paper: %w", err)
	}
	a.ID, a.AskedBy, a.OfficeAt = id.String(), c.Actor.Name, c.OfficeAt
	if err := tx.ExecOne(ctx, `
		INSERT INTO asked_paper (id, kind, request_id, dated, facts, asked_by, office_at) VALUES ($1,$2,nullif($3,'')::uuid,$4,$5,$6,$7)`,
		a.ID, a.Kind, a.RequestID, a.Dated, string(a.Facts), a.AskedBy, a.OfficeAt.UTC()); err != nil {
		return a, fmt.Errorf("letter: asking for a paper: %w", err)
	}
	return a, nil
}

// AskedFor reads a paper that was asked for and its facts. Error: ErrNotFound.
func AskedFor(ctx context.Context, rd postgres.Reader, id string, facts any) (a Asked, err error) {
	err = rd.Get(ctx, &a, selectAsked+`WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return a, ErrNotFound
	}
	if err != nil {
		return a, fmt.Errorf("letter: asked paper: %w", err)
	}
	if err := json.Unmarshal(a.Facts, facts); err != nil {
		return a, fmt.Errorf("letter: facts of a paper: %w", err)
	}
	return a, nil
}

// AskedOn returns the papers of a kind that were asked for on a day's behalf, oldest
// first.
func AskedOn(ctx context.Context, rd postgres.Reader, kind string, day clock.Date) (list []Asked, err error) {
	if err := rd.Select(ctx, &list, selectAsked+`WHERE kind = $1 AND dated = $2 ORDER BY id`, kind, day); err != nil {
		return nil, fmt.Errorf("letter: asked papers: %w", err)
	}
	return list, nil
}

// May says whether a role can take a step of a paper. A DaySheet is neither void nor
// replaced: whoever wants another one asks for it. Errors: *machine.RoleError,
// *machine.IllegalError.
func May(d Document, verb machine.Verb, role machine.Role) error {
	if err := Machine.May(d.State, verb, role); err != nil {
		return err
	}
	if d.Kind == DaySheet && (verb == VerbVoid || verb == VerbReplace) {
		return &machine.IllegalError{Machine: Machine.Name, From: d.State, Verb: verb}
	}
	return nil
}

// Newest returns the newest paper of a subject, whatever its state. Error: ErrNotFound.
func Newest(ctx context.Context, rd postgres.Reader, kind, subjectID string) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE kind = $1 AND subject_id = $2 ORDER BY id DESC LIMIT 1`, kind, subjectID)
}

// AskedStanding returns the papers of a kind that were asked for on a request's behalf and
// were not taken back, oldest first: what was voided until somebody says otherwise is left
// out. Two who ask at once see each other's only under a lock of the request.
func AskedStanding(ctx context.Context, rd postgres.Reader, kind, requestID string) (list []Asked, err error) {
	if err := rd.Select(ctx, &list, selectAsked+`a
		WHERE kind = $1 AND request_id = $2 AND NOT EXISTS (SELECT FROM document_hold h WHERE h.kind = a.kind AND h.subject_id = a.id) ORDER BY id`, kind, requestID); err != nil {
		return nil, fmt.Errorf("letter: asked papers that stand: %w", err)
	}
	return list, nil
}

// AskedLast returns the papers of a kind that were asked for last, newest first.
func AskedLast(ctx context.Context, rd postgres.Reader, kind string, limit int) (list []Asked, err error) {
	if err := rd.Select(ctx, &list, selectAsked+`WHERE kind = $1 ORDER BY id DESC LIMIT $2`, kind, limit); err != nil {
		return nil, fmt.Errorf("letter: papers that were asked for last: %w", err)
	}
	return list, nil
}
