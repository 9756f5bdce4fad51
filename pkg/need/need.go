// Package need keeps what a lembaga pengguna asks a produsen for (permintaan
// lembaga, features.md C01 to C18): the produsen approves, returns or rejects it,
// and a request of the produsen's to Ditjen Dukcapil bundles what is approved. It
// writes the tables need, need_file and need_card.
//
// What always holds:
//   - a need is bundled in at most one request, and that request has a line that
//     names it;
//   - whoever bundles it is the produsen that it names, for the same machine type
//     and lembaga and for no more than its quantity;
//   - what was approved is what is bundled: a need changes only until the produsen
//     has decided, and each time in a new version, so that nobody decides on what
//     they have not seen.
package need

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/checkdigit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/trace"
)

var (
	// ErrNotFound says that there is no such need, or none that the asker may
	// know of.
	ErrNotFound = errors.New("need: not found")
	// ErrReferenceUsed says that the lembaga has used its number before.
	ErrReferenceUsed = errors.New("need: reference used before")
	// ErrUnknownMachineType says that the machine type is not in the master data.
	ErrUnknownMachineType = errors.New("need: unknown machine type")
	// ErrUnknownProdusen says that no produsen has this name.
	ErrUnknownProdusen = errors.New("need: unknown produsen")
	// ErrInactiveMachineType says that the machine type is no longer asked for.
	ErrInactiveMachineType = errors.New("need: inactive machine type")
	// ErrInactiveProdusen says that the produsen no longer takes part.
	ErrInactiveProdusen = errors.New("need: inactive produsen")
	// ErrListDiffers says that the list that a correction keeps is for another
	// quantity or machine type.
	ErrListDiffers = errors.New("need: the list is of another quantity or machine type")
	// ErrReasonMissing says that a verb wants a reason.
	ErrReasonMissing = errors.New("need: reason missing")
)

// Kinds of file of a need.
const (
	FileLetter = "letter"
	FileList   = "list" // Excel daftar alat
)

const numberKind = "PLP"

// ParseNumber returns a No. Permintaan such as PLP-2026-000123-8 as it is written
// by us; ok is false if it cannot be one of ours.
func ParseNumber(s string) (number string, ok bool) { return checkdigit.Parse(numberKind, s) }

// Form is what a lembaga fills in.
type Form struct {
	// Reference is the lembaga's own number (No. Aktivasi), unique for it.
	Reference string `json:"reference" db:"reference"`
	// Produsen is the name of the produsen that is asked (Produsen Dituju).
	Produsen    string `json:"produsen" db:"produsen"`
	Title       string `json:"title" db:"title"`
	Quantity    int    `json:"quantity" db:"quantity"`
	MachineType string `json:"machine_type" db:"machine_type"`
	Remarks     string `json:"remarks" db:"remarks"`
}

// File is a file that came with a submission.
type File struct {
	Kind       string `json:"kind" db:"kind"`
	Submission int    `json:"submission" db:"submission"`
	BlobID     string `json:"-" db:"blob_id"`
	Name       string `json:"name" db:"name"`
	Rows       int    `json:"-" db:"rows"` // that were read of a list
	// Cards are those rows, where the file is new.
	Cards []Card `json:"-" db:"-"`
}

// Need is a lembaga's request as it stands.
type Need struct {
	ID         string `db:"id"`
	Number     string `db:"number"` // No. Permintaan
	LembagaID  string `db:"lembaga_id"`
	Lembaga    string `db:"lembaga"`
	ProdusenID string `db:"produsen_id"`
	Form
	State       machine.State `db:"state"`
	Version     int64         `db:"version"`
	Submission  int           `db:"submission"`
	RequestID   *string       `db:"request_id"` // the request that bundles it
	CreatedBy   string        `db:"created_by"`
	CreatedAt   time.Time     `db:"created_at"`
	TraceParent string        `db:"traceparent"`
}

// Change is who takes a step, why, and at what office time.
type Change struct {
	Actor    machine.Actor
	Reason   string
	OfficeAt time.Time
}

// Create writes a submitted need of a lembaga. Errors: ErrReferenceUsed,
// ErrUnknownMachineType, ErrInactiveMachineType, ErrUnknownProdusen,
// ErrInactiveProdusen; they leave the transaction aborted.
func Create(ctx context.Context, tx *postgres.Tx, lembagaID string, f Form, files []File, c Change) (Need, error) {
	step, err := Machine.Step("", Submit, c.Actor.Role)
	if err != nil {
		return Need{}, err
	}
	asked, err := produsenOf(ctx, tx, f)
	if err != nil {
		return Need{}, err
	}
	if err := usable(ctx, tx, f.MachineType); err != nil {
		return Need{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Need{}, fmt.Errorf("need: id: %w", err)
	}
	var n int64
	if err := tx.Get(ctx, &n, `SELECT nextval('need_number')`); err != nil {
		return Need{}, fmt.Errorf("need: number: %w", err)
	}
	f.Produsen = asked.Name
	made := Need{
		ID: id.String(), Number: checkdigit.Number(numberKind, c.OfficeAt.In(clock.Jakarta).Year(), n), LembagaID: lembagaID,
		ProdusenID: asked.ID, Form: f, State: Submitted, Version: 1, Submission: 1, CreatedBy: c.Actor.Name,
		CreatedAt: c.OfficeAt.UTC(), TraceParent: trace.From(ctx),
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO need (id, number, lembaga_id, produsen_id, reference, title, quantity, machine_type, remarks, state,
		                  created_by, created_at, traceparent)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13)`,
		made.ID, made.Number, lembagaID, asked.ID, f.Reference, f.Title, f.Quantity, f.MachineType, f.Remarks,
		string(made.State), made.CreatedBy, made.CreatedAt, made.TraceParent)
	if err != nil {
		return Need{}, known(err, "inserting")
	}
	if err := putFiles(ctx, tx, made, files); err != nil {
		return Need{}, err
	}
	return made, announce(ctx, tx, taken{made, step, c, nil})
}

// Unusable are the errors for which Create would refuse the produsen and the machine
// type of a form.
func Unusable(ctx context.Context, rd postgres.Reader, f Form) (errs []error) {
	if _, err := produsenOf(ctx, rd, f); err != nil {
		errs = append(errs, err)
	}
	if err := usable(ctx, rd, f.MachineType); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// produsenOf finds the produsen that a form names.
func produsenOf(ctx context.Context, rd postgres.Reader, f Form) (institution.Institution, error) {
	in, err := institution.ByName(ctx, rd, f.Produsen)
	if errors.Is(err, institution.ErrNotFound) || err == nil && in.Kind != institution.Produsen {
		return in, ErrUnknownProdusen
	}
	if err == nil && !in.Active {
		return in, ErrInactiveProdusen
	}
	return in, err
}

// known turns a constraint's refusal into what it means.
func known(err error, doing string) error {
	switch postgres.Constraint(err) {
	case "need_lembaga_id_reference_key":
		return ErrReferenceUsed
	case "need_machine_type_fkey":
		return ErrUnknownMachineType
	}
	return fmt.Errorf("need: %s: %w", doing, err)
}

// Take moves a need by a verb of one of its two sides: a compare-and-set on state
// and version and a row in the timeline, in the caller's transaction. Errors:
// *machine.IllegalError, *machine.RoleError, ErrReasonMissing, postgres.ErrStale.
func Take(ctx context.Context, tx *postgres.Tx, n Need, verb machine.Verb, c Change) (Need, error) {
	step, err := Machine.Step(n.State, verb, c.Actor.Role)
	if err != nil {
		return Need{}, err
	}
	if (verb == Return || verb == Reject) && c.Reason == "" {
		return Need{}, ErrReasonMissing
	}
	next := n
	next.State = step.To
	next.Version++
	if err := tx.ExecOne(ctx, `UPDATE need SET state=$4, version=version+1 WHERE id=$1 AND state=$2 AND version=$3`,
		n.ID, string(n.State), n.Version, string(step.To)); err != nil {
		return Need{}, fmt.Errorf("need: %s: %w", verb, err)
	}
	return next, announce(ctx, tx, taken{next, step, c, nil})
}

// taken is a step that a need has taken.
type taken struct {
	after Need
	step  machine.Step
	Change
	detail map[string]any
}

// announce writes the timeline rows. They are the need's own: no request's
// timeline shows them, since its people may be others.
func announce(ctx context.Context, tx *postgres.Tx, all ...taken) error {
	var records []machine.Record
	for _, t := range all {
		records = append(records, machine.Record{
			Subject: t.after.ID, Version: t.after.Version, Step: t.step, Actor: t.Actor, Reason: t.Reason, Detail: t.detail,
			OfficeAt: t.OfficeAt, TraceParent: t.after.TraceParent,
		})
	}
	return Machine.Write(ctx, tx, records...)
}

// SkipNumbers leaves out the next n numbers: after a restore they may have been
// given already. It wants the owner of the schema.
func SkipNumbers(ctx context.Context, tx *postgres.Tx, n int64) (from, to int64, err error) {
	if err := tx.Get(ctx, &from, `SELECT nextval('need_number')`); err != nil {
		return 0, 0, fmt.Errorf("need: numbers: %w", err)
	}
	to = from + n - 1
	if _, err := tx.Exec(ctx, `SELECT setval('need_number', $1)`, to); err != nil {
		return 0, 0, fmt.Errorf("need: numbers: %w", err)
	}
	return from, to, nil
}

const selectNeed = `
	SELECT n.id, n.number, n.lembaga_id, l.name AS lembaga, n.produsen_id, p.name AS produsen, n.reference, n.title, n.quantity,
	       n.machine_type, n.remarks, n.state, n.version, n.submission, n.request_id, n.created_by, n.created_at, n.traceparent
	FROM need n JOIN institution l ON l.id = n.lembaga_id JOIN institution p ON p.id = n.produsen_id `

// within narrows to what an institution may know of: its own needs and those that
// it is asked for. An empty id is the office's own people, who see all.
const within = ` ($1 = '' OR n.lembaga_id::text = $1 OR n.produsen_id::text = $1) `

// ByNumber returns the need with this number as an institution may know of it.
func ByNumber(ctx context.Context, rd postgres.Reader, number, institutionID string) (Need, error) {
	number, ok := ParseNumber(number)
	if !ok {
		return Need{}, ErrNotFound
	}
	return one(ctx, rd, selectNeed+`WHERE`+within+`AND n.number = $2`, institutionID, number)
}

// Lock is ByNumber for change in this transaction: others wait.
func Lock(ctx context.Context, tx *postgres.Tx, number, institutionID string) (Need, error) {
	number, ok := ParseNumber(number)
	if !ok {
		return Need{}, ErrNotFound
	}
	return one(ctx, tx, selectNeed+`WHERE`+within+`AND n.number = $2 FOR UPDATE OF n`, institutionID, number)
}

func one(ctx context.Context, rd postgres.Reader, query string, args ...any) (Need, error) {
	var n Need
	err := rd.Get(ctx, &n, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return Need{}, ErrNotFound
	}
	if err != nil {
		return Need{}, fmt.Errorf("need: reading: %w", err)
	}
	return n, nil
}

// Filter narrows a list. Zero values do not narrow.
type Filter struct {
	InstitutionID string
	States        []machine.State
	Search        string // in number, reference, title and the names of both sides
	After         string // the id of a need: only those that come behind it in the list
	Limit, Offset int    // Limit 0 means 50
}

const whereFilter = `WHERE` + within + `
	  AND (cardinality($2::text[]) = 0 OR n.state = ANY ($2))
	  AND ($3 = '' OR strpos(lower(n.number || ' ' || n.reference || ' ' || n.title || ' ' || l.name || ' ' || p.name), lower($3)) > 0)`

func (f Filter) args() []any {
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	return []any{f.InstitutionID, pq.Array(states), f.Search}
}

// List returns needs, newest first.
func List(ctx context.Context, rd postgres.Reader, f Filter) ([]Need, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	var list []Need
	err := rd.Select(ctx, &list, selectNeed+whereFilter+`
		  AND ($4 = '' OR n.id < nullif($4, '')::uuid) ORDER BY n.id DESC LIMIT $5 OFFSET $6`, append(f.args(), f.After, limit, f.Offset)...)
	if err != nil {
		return nil, fmt.Errorf("need: list: %w", err)
	}
	return list, nil
}

// Count returns how many needs List would find in each state without its limit and
// wherever it begins; the filter's own states do not narrow it.
func Count(ctx context.Context, rd postgres.Reader, f Filter) (map[machine.State]int, error) {
	var rows []struct {
		State machine.State `db:"state"`
		N     int           `db:"n"`
	}
	f.States = nil
	if err := rd.Select(ctx, &rows, `
		SELECT n.state, count(*) AS n FROM need n JOIN institution l ON l.id = n.lembaga_id JOIN institution p ON p.id = n.produsen_id `+
		whereFilter+` GROUP BY n.state`, f.args()...); err != nil {
		return nil, fmt.Errorf("need: counting: %w", err)
	}
	counts := map[machine.State]int{}
	for _, row := range rows {
		counts[row.State] = row.N
	}
	return counts, nil
}
