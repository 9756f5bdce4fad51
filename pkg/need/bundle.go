package need

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Claim is a line of a produsen's request that names a need.
type Claim struct {
	Line     int    // of the request, from 0
	Number   string // of the need
	Lembaga  string
	Quantity int
}

// Claims are those of one request.
type Claims struct {
	RequestID   string // empty while there is none yet
	Ticket      string
	ProdusenID  string
	MachineType string
	Lines       []Claim
	By          Change // who claims, where it is done and not only judged
}

// Fault is why a claim is refused.
type Fault struct {
	Line int
	Code string
}

// Codes of faults.
const (
	// FaultUnknown: there is no such need for this produsen; whether another one
	// has it is not told.
	FaultUnknown = "unknown_value"
	FaultRepeat  = "repeated"             // another line of the same request names it
	FaultState   = "not_approved"         // the produsen has not approved it, or never will
	FaultBundled = "bundled"              // another request has it
	FaultMachine = "machine_type_differs" // the request is for another machine type
	FaultLembaga = "lembaga_differs"      // it is another lembaga's
	FaultTooMany = "more_than_asked"      // the line has more than was asked for
	FaultBusy    = "busy"                 // somebody is changing it at this moment
)

// RefusedError says that the needs of one request cannot be bundled in it.
type RefusedError struct{ Faults []Fault }

func (e *RefusedError) Error() string {
	var all []string
	for _, f := range e.Faults {
		all = append(all, fmt.Sprintf("line %d %s", f.Line, f.Code))
	}
	return "need: refused: " + strings.Join(all, ", ")
}

// Busy says that nothing is wrong but that somebody else holds one of the needs:
// in a moment it may be different.
func (e *RefusedError) Busy() bool {
	return !slices.ContainsFunc(e.Faults, func(f Fault) bool { return f.Code != FaultBusy })
}

// held is a need as far as a claim asks. Free says that this transaction holds it.
type held struct {
	Need
	Names pq.StringArray `db:"names"` // that the lembaga has or had
	Free  bool           `db:"free"`
}

// namesOf is the column of the names of a lembaga: a request that was written
// before a change of name still means it.
const namesOf = `array(SELECT name FROM institution_name WHERE institution_id = n.lembaga_id) AS names`

// by says whether a line names the lembaga.
func (h held) by(line Claim) bool {
	return sameName(h.Lembaga, line.Lembaga) ||
		slices.ContainsFunc(h.Names, func(name string) bool { return sameName(name, line.Lembaga) })
}

// hold reads the needs that claims name, and those of a request, and locks them in
// the order of their ids unless another transaction has: it waits for nobody, so
// that a caller that is frozen inside its transaction holds up no others. What is
// addressed to another produsen than the one who claims it stays unlocked: nobody
// holds up strangers. All columns are of the locked row, which may be newer than the
// statement's snapshot.
func hold(ctx context.Context, tx *postgres.Tx, all []Claims, requestID string) (map[string]held, error) {
	wanted := numbers(all)
	var by []string
	for _, one := range all {
		for range one.Lines {
			by = append(by, one.ProdusenID)
		}
	}
	return index(ctx, tx, `
		WITH free AS (
		    SELECT * FROM need WHERE (number, produsen_id) IN (SELECT * FROM unnest($1::text[], $3::uuid[]))
		       OR request_id = nullif($2, '')::uuid ORDER BY id FOR UPDATE SKIP LOCKED)
		SELECT n.id, n.number, n.lembaga_id, l.name AS lembaga, `+namesOf+`, n.produsen_id, coalesce(f.quantity, 0) AS quantity,
		       coalesce(f.machine_type, '') AS machine_type, coalesce(f.state, '') AS state, coalesce(f.version, 0) AS version,
		       f.request_id, n.traceparent, f.id IS NOT NULL AS free
		FROM need n JOIN institution l ON l.id = n.lembaga_id LEFT JOIN free f ON f.id = n.id
		WHERE n.number = ANY ($1) OR n.request_id = nullif($2, '')::uuid`, pq.Array(wanted), requestID, pq.Array(by))
}

// look is hold without a lock, for an answer that binds nobody.
func look(ctx context.Context, rd postgres.Reader, numbers []string) (map[string]held, error) {
	return index(ctx, rd, `
		SELECT n.id, n.number, n.lembaga_id, l.name AS lembaga, `+namesOf+`, n.produsen_id, n.quantity, n.machine_type, n.state, n.version,
		       n.request_id, n.traceparent, true AS free
		FROM need n JOIN institution l ON l.id = n.lembaga_id WHERE n.number = ANY ($1)`, pq.Array(numbers))
}

func index(ctx context.Context, rd postgres.Reader, query string, args ...any) (map[string]held, error) {
	var rows []held
	if err := rd.Select(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("need: looking at claims: %w", err)
	}
	found := make(map[string]held, len(rows))
	for _, row := range rows {
		found[row.Number] = row
	}
	return found, nil
}

func numbers(all []Claims) []string {
	var list []string
	for _, one := range all {
		for _, c := range one.Lines {
			list = append(list, c.Number)
		}
	}
	return list
}

// Look says what is wrong with the claims of one request, as things stand.
func Look(ctx context.Context, rd postgres.Reader, c Claims) ([]Fault, error) {
	if len(c.Lines) == 0 {
		return nil, nil
	}
	found, err := look(ctx, rd, numbers([]Claims{c}))
	if err != nil {
		return nil, err
	}
	return c.faults(found, nil), nil
}

// Judge locks the needs that requests claim and says for each request why it
// cannot have them; nil is that it can, until the end of this transaction. Of two
// requests with one need the first has it. One statement, however many.
func Judge(ctx context.Context, tx *postgres.Tx, all []Claims) ([]error, error) {
	refused := make([]error, len(all))
	wanted := numbers(all)
	if len(wanted) == 0 {
		return refused, nil
	}
	found, err := hold(ctx, tx, all, "")
	if err != nil {
		return nil, err
	}
	gone := map[string]bool{}
	for i, c := range all {
		if faults := c.faults(found, gone); len(faults) > 0 {
			refused[i] = &RefusedError{faults}
			continue
		}
		for _, line := range c.Lines {
			gone[line.Number] = true
		}
	}
	return refused, nil
}

// faults judges the claims of one request. gone are needs that others before it
// have got.
func (c Claims) faults(found map[string]held, gone map[string]bool) []Fault {
	var faults []Fault
	seen := map[string]bool{}
	for _, line := range c.Lines {
		n, ok := found[line.Number]
		mine := n.RequestID != nil && *n.RequestID == c.RequestID
		code := ""
		switch {
		case !ok || n.ProdusenID != c.ProdusenID:
			code = FaultUnknown
		case seen[line.Number]:
			code = FaultRepeat
		case !n.Free:
			code = FaultBusy
		case gone[line.Number], n.State == Bundled && !mine:
			code = FaultBundled
		case n.State != Approved && !mine:
			code = FaultState
		case n.MachineType != c.MachineType:
			code = FaultMachine
		case !n.by(line):
			code = FaultLembaga
		case line.Quantity > n.Quantity:
			code = FaultTooMany
		}
		seen[line.Number] = true
		if code != "" {
			faults = append(faults, Fault{line.Line, code})
		}
	}
	return faults
}

// sameName compares names of institutions as the master data does: letter case,
// punctuation and spaces do not count.
func sameName(a, b string) bool { return strings.EqualFold(nameWords(a), nameWords(b)) }

func nameWords(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), " ")
}

// BundleAll bundles needs in the requests that claim them, with as many statements
// as for one. It returns the ids of all needs by their numbers. The error of one
// request, a *RefusedError, leaves none.
func BundleAll(ctx context.Context, tx *postgres.Tx, all []Claims) (ids map[string]string, err error) {
	wanted := numbers(all)
	if len(wanted) == 0 {
		return nil, nil
	}
	found, err := hold(ctx, tx, all, "")
	if err != nil {
		return nil, err
	}
	step, err := Machine.Find(Approved, Bundle)
	if err != nil {
		return nil, err
	}
	var moves []move
	gone := map[string]bool{}
	ids = make(map[string]string, len(wanted))
	for _, c := range all {
		if faults := c.faults(found, gone); len(faults) > 0 {
			return nil, &RefusedError{faults}
		}
		for _, line := range c.Lines {
			n := found[line.Number].Need
			gone[line.Number], ids[line.Number] = true, n.ID
			if n.State == Approved {
				moves = append(moves, move{n, c})
			}
		}
	}
	return ids, relocate(ctx, tx, step, moves)
}

// Rebundle has a corrected request give back the needs that it no longer claims,
// and bundles the others. It returns the ids of those that it has, by number.
// Error: *RefusedError.
func Rebundle(ctx context.Context, tx *postgres.Tx, c Claims) (ids map[string]string, err error) {
	has, err := hold(ctx, tx, nil, c.RequestID)
	if err != nil {
		return nil, err
	}
	wanted := numbers([]Claims{c})
	var dropped []Need
	for _, n := range has {
		switch {
		case !n.Free:
			return nil, &RefusedError{[]Fault{{0, FaultBusy}}}
		case !slices.Contains(wanted, n.Number):
			dropped = append(dropped, n.Need)
		}
	}
	if err := release(ctx, tx, dropped, c); err != nil {
		return nil, err
	}
	return BundleAll(ctx, tx, []Claims{c})
}

// ReleaseAll gives back what a request has bundled, because it ends. It waits for
// whoever holds one of them: the request's end does not fail for that.
func ReleaseAll(ctx context.Context, tx *postgres.Tx, requestID, ticket string, by Change) error {
	var all []Need
	if err := tx.Select(ctx, &all, `
		SELECT n.id, n.number, n.state, n.version, n.request_id, n.traceparent FROM need n
		WHERE n.request_id = $1 ORDER BY n.id FOR UPDATE`, requestID); err != nil {
		return fmt.Errorf("need: bundled: %w", err)
	}
	return release(ctx, tx, all, Claims{RequestID: requestID, Ticket: ticket, By: by})
}

func release(ctx context.Context, tx *postgres.Tx, all []Need, from Claims) error {
	if len(all) == 0 {
		return nil
	}
	step, err := Machine.Find(Bundled, Release)
	if err != nil {
		return err
	}
	from.By.Reason = "" // it is the request's, and not for the lembaga to read
	moves := make([]move, len(all))
	for i, n := range all {
		moves[i] = move{n, from}
	}
	return relocate(ctx, tx, step, moves)
}

// move is a need on its way into a request or out of it.
type move struct {
	need Need
	with Claims
}

// relocate moves needs into requests or out of them: a compare-and-set on state
// and version of each, timeline and audit, a statement each however many.
func relocate(ctx context.Context, tx *postgres.Tx, step machine.Step, moves []move) error {
	if len(moves) == 0 {
		return nil
	}
	slices.SortFunc(moves, func(a, b move) int { return cmp.Compare(a.need.ID, b.need.ID) })
	var ids, requests []string
	var versions []int64
	steps, receipts := make([]taken, len(moves)), make([]audit.Entry, len(moves))
	for i, m := range moves {
		if step.To == Bundled {
			requests = append(requests, m.with.RequestID)
		} else {
			requests = append(requests, "")
		}
		ids, versions = append(ids, m.need.ID), append(versions, m.need.Version)
		after := m.need
		after.State = step.To
		after.Version++
		steps[i] = taken{after, step, m.with.By, map[string]any{"ticket": m.with.Ticket}}
		receipts[i] = audit.Entry{
			Actor: m.with.By.Actor.Name, Action: "need." + string(step.Verb), Subject: after.ID, Request: m.with.RequestID,
			Detail: map[string]any{"number": after.Number, "ticket": m.with.Ticket, "version": after.Version},
		}
	}
	n, err := tx.Exec(ctx, `
		UPDATE need SET state = $1, version = need.version + 1, request_id = nullif(m.request, '')::uuid
		FROM unnest($3::uuid[], $4::bigint[], $5::text[]) AS m (id, version, request)
		WHERE need.id = m.id AND need.version = m.version AND need.state = $2`,
		string(step.To), string(step.From), pq.Array(ids), pq.Array(versions), pq.Array(requests))
	if err != nil {
		return fmt.Errorf("need: %s: %w", step.Verb, err)
	}
	if n != int64(len(moves)) {
		return fmt.Errorf("need: %s: %w", step.Verb, postgres.ErrStale)
	}
	if err := announce(ctx, tx, steps...); err != nil {
		return err
	}
	return audit.Record(ctx, tx, receipts...)
}
