package letter

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Ways in which a kind of paper gets its number (users.md C.1).
const (
	ByCounter = "counter" // the next one of the template's counter, with the draft
	Typed     = "typed"   // by persuratan, from its own book; until then the paper waits
)

// Ways are the ways in the users' words.
var Ways = []struct{ Code, Label string }{
	{ByCounter, "Otomatis menurut pola dan urutan"}, {Typed, "Diisi persuratan dari buku nomor"},
}

var (
	// ErrNoNumbering says that a kind of paper has no number, or none yet.
	ErrNoNumbering = errors.New("letter: no numbering")
	// ErrTemplate says that a template of numbers is none.
	ErrTemplate = errors.New("letter: template of numbers")
	// ErrCounterBack says that a counter goes back for a reason only.
	ErrCounterBack = errors.New("letter: the counter is further")
)

// GivenError says that a counter cannot go back behind a number that it gave, or that was
// left out after a restore because it may be on a paper.
type GivenError struct {
	Last   int    // the highest of these
	Number string // as it stands on the paper; empty for one that was left out
}

func (e *GivenError) Error() string {
	return fmt.Sprintf("letter: number %d is given (%s)", e.Last, e.Number)
}

// TakenError says that a number is on another paper of the same year already.
type TakenError struct{ By Document }

func (e *TakenError) Error() string { return "letter: number taken by " + e.By.Kind + " " + e.By.ID }

// Numbering says how a kind of paper gets its number.
type Numbering struct {
	Kind string `db:"kind"`
	Way  string `db:"way"` // ByCounter or Typed
	// Template has {urut} for the counter and {tahun} for the year. Kinds with one
	// template share its counter. Of typed numbers it is what they usually look like,
	// or empty.
	Template  string    `db:"template"`
	Version   int64     `db:"version"`
	ChangedBy string    `db:"changed_by"`
	ChangedAt time.Time `db:"changed_at"`
}

// CheckTemplate says whether a template can number papers. The error is ErrTemplate with
// what is wrong.
func CheckTemplate(template string) error {
	if strings.Count(template, "{urut}") != 1 {
		return fmt.Errorf("%w: it must hold {urut} once", ErrTemplate)
	}
	if rest := strings.NewReplacer("{urut}", "", "{tahun}", "").Replace(template); strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("%w: only {urut} and {tahun} stand in braces", ErrTemplate)
	}
	return nil
}

// Usual says whether a number looks like those of the template: with an order number,
// which may go on with a letter as inserted ones do (12a, 12.A).
func (n Numbering) Usual(number string, year int) bool {
	if n.Template == "" {
		return true
	}
	pattern := regexp.QuoteMeta(strings.ReplaceAll(n.Template, "{tahun}", strconv.Itoa(year)))
	pattern = strings.Replace(pattern, regexp.QuoteMeta("{urut}"), `0*[1-9][0-9]*(\.?[A-Za-z])?`, 1)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(number)
}

const selectNumbering = `SELECT kind, way, template, version, changed_by, changed_at FROM document_numbering `

// EnsureNumbering returns how a kind of paper gets its number; the first time it is
// written down, by a counter of the template. An empty template is of a kind that has no
// number.
func EnsureNumbering(ctx context.Context, tx *postgres.Tx, kind, template string, c request.Change) (Numbering, error) {
	n, err := GetNumbering(ctx, tx, kind)
	if !errors.Is(err, ErrNoNumbering) || template == "" {
		return n, err
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO document_numbering (kind, way, template, changed_by, changed_at) VALUES ($1,$2,$3,$4,$5) ON CONFLICT DO NOTHING`,
		kind, ByCounter, template, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return n, fmt.Errorf("letter: writing a numbering: %w", err)
	}
	return GetNumbering(ctx, tx, kind)
}

// GetNumbering returns how a kind of paper gets its number. Error: ErrNoNumbering.
func GetNumbering(ctx context.Context, rd postgres.Reader, kind string) (Numbering, error) {
	var n Numbering
	err := rd.Get(ctx, &n, selectNumbering+`WHERE kind = $1`, kind)
	if errors.Is(err, sql.ErrNoRows) {
		return n, ErrNoNumbering
	}
	if err != nil {
		return n, fmt.Errorf("letter: numbering: %w", err)
	}
	return n, nil
}

// Numberings returns how each kind of paper gets its number.
func Numberings(ctx context.Context, rd postgres.Reader) ([]Numbering, error) {
	var list []Numbering
	if err := rd.Select(ctx, &list, selectNumbering+`ORDER BY kind`); err != nil {
		return nil, fmt.Errorf("letter: numberings: %w", err)
	}
	return list, nil
}

// LastNumber is the last number that the counter of a template gave in a year; 0 before
// the first.
func LastNumber(ctx context.Context, rd postgres.Reader, template string, year int) (last int, err error) {
	if err = rd.Get(ctx, &last, `SELECT coalesce((SELECT last FROM document_counter WHERE kind = $1 AND year = $2), 0)`, template, year); err != nil {
		return 0, fmt.Errorf("letter: last number: %w", err)
	}
	return last, nil
}

// ChangeNumbering says from now on how a kind of paper gets its number, as of its
// version. Papers that have a number keep it; those that wait for one are numbered by
// the counter if that is the new way. last, unless 0, is the last number that is used
// already in the year, in whatever book: the counter of the template goes on after it. With
// a reason it may go back, also to 0, so far as no number was given. Errors: ErrTemplate,
// ErrCounterBack, *GivenError, postgres.ErrStale.
func ChangeNumbering(ctx context.Context, tx *postgres.Tx, n Numbering, last, year int, c request.Change) (Numbering, error) {
	if n.Way != Typed || n.Template != "" {
		if err := CheckTemplate(n.Template); err != nil {
			return n, err
		}
	}
	if err := lockNumbers(ctx, tx, year); err != nil {
		return n, err
	}
	if (last > 0 || c.Reason != "") && n.Template != "" {
		now, err := LastNumber(ctx, tx, n.Template, year)
		if err != nil {
			return n, err
		}
		if last < now {
			if err := mayGoBack(ctx, tx, n.Template, last, now, year, c.Reason); err != nil {
				return n, err
			}
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO document_counter (kind, year, last) VALUES ($1,$2,$3) ON CONFLICT (kind, year) DO UPDATE SET last = excluded.last`,
			n.Template, year, last); err != nil {
			return n, fmt.Errorf("letter: setting a counter: %w", err)
		}
	}
	if err := tx.ExecOne(ctx, `
		UPDATE document_numbering SET way = $3, template = $4, version = version + 1, changed_by = $5, changed_at = $6 WHERE kind = $1 AND version = $2`,
		n.Kind, n.Version, n.Way, n.Template, c.Actor.Name, c.OfficeAt.UTC()); err != nil {
		return n, fmt.Errorf("letter: changing a numbering: %w", err)
	}
	return GetNumbering(ctx, tx, n.Kind)
}

// numbersLock is the class of the advisory locks under which numbers of a year are
// given; it only has to be ours.
const numbersLock = 0x0E40

// lockNumbers lets one transaction at a time give numbers of a year, so that what is
// typed and what is counted never meet.
func lockNumbers(ctx context.Context, tx *postgres.Tx, year int) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, numbersLock, year); err != nil {
		return fmt.Errorf("letter: locking the numbers of %d: %w", year, err)
	}
	return nil
}

// ByNumber returns the paper that has a number in a year, void ones too; capitals, spaces
// and leading zeros of the running number do not matter. Error: ErrNotFound.
func ByNumber(ctx context.Context, rd postgres.Reader, number string, year int) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE number_key(number) = number_key($1) AND extract(year FROM dated) = $2 AND NOT number_twin`, number, year)
}

// number gives the next number of the template: the counter's row stays locked until
// this transaction ends, so no number is skipped or given twice. One that somebody typed
// before is stepped over.
func number(ctx context.Context, tx *postgres.Tx, d Document, template string, c request.Change) (Document, error) {
	year := d.Dated.Year
	if err := lockNumbers(ctx, tx, year); err != nil {
		return d, err
	}
	for {
		var last int
		if err := tx.Get(ctx, &last, `
			INSERT INTO document_counter (kind, year, last)
			SELECT $1, $2::int, 1 + coalesce((SELECT max(papers_gap) FROM restoration
				WHERE $2::int BETWEEN extract(year FROM restored_to) AND extract(year FROM raised_at) + 1), 0)
			ON CONFLICT (kind, year) DO UPDATE SET last = document_counter.last + 1 RETURNING last`, template, year); err != nil {
			return d, fmt.Errorf("letter: counting: %w", err)
		}
		text := strings.NewReplacer("{urut}", strconv.Itoa(last), "{tahun}", strconv.Itoa(year)).Replace(template)
		_, err := ByNumber(ctx, tx, text, year)
		switch {
		case errors.Is(err, ErrNotFound):
			return move(ctx, tx, d, verbNumber, c, `number = $5, awaits_number = false`, text)
		case err != nil:
			return d, err
		}
	}
}

// AwaitingNumber returns the papers that wait until persuratan types their numbers,
// oldest first.
func AwaitingNumber(ctx context.Context, rd postgres.Reader, limit int) ([]Document, error) {
	var list []Document
	if err := rd.Select(ctx, &list, selectDocument+`WHERE awaits_number AND state = 'drafted' ORDER BY id LIMIT $1`, limit); err != nil {
		return nil, fmt.Errorf("letter: papers without a number: %w", err)
	}
	return list, nil
}

// TurnedToCounter returns papers that wait for a number although their kind is numbered
// by the counter now, oldest first.
func TurnedToCounter(ctx context.Context, rd postgres.Reader, limit int) ([]Document, error) {
	var list []Document
	if err := rd.Select(ctx, &list, selectDocument+`WHERE awaits_number AND state = 'drafted'
		AND kind IN (SELECT n.kind FROM document_numbering n WHERE n.way = $2) ORDER BY id LIMIT $1`, limit, ByCounter); err != nil {
		return nil, fmt.Errorf("letter: papers whose way of numbering changed: %w", err)
	}
	return list, nil
}

// NumberByCounter numbers a paper that waits for a number, after the way of its kind was
// changed to the counter; numbered says so. A paper that does not wait any more, or whose
// kind is still numbered by hand, is left alone.
func NumberByCounter(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) (_ Document, numbered bool, err error) {
	n, err := GetNumbering(ctx, tx, d.Kind)
	if err != nil || n.Way != ByCounter || !d.AwaitsNumber {
		return d, false, err
	}
	d, err = number(ctx, tx, d, n.Template, c)
	if errors.Is(err, postgres.ErrStale) { // numbered or void by now
		return d, false, nil
	}
	return d, err == nil, err
}

// TypeNumber gives a paper that waits for it the number and the date that persuratan
// typed; it is signed by whoever holds the post on that date. Errors: *TakenError,
// ErrNoSignatory, *machine.IllegalError, *machine.RoleError, postgres.ErrStale.
func TypeNumber(ctx context.Context, tx *postgres.Tx, d Document, text string, dated clock.Date, c request.Change) (Document, error) {
	if err := MayType(d, c.Actor.Role); err != nil {
		return d, err
	}
	if err := lockNumbers(ctx, tx, dated.Year); err != nil {
		return d, err
	}
	other, err := ByNumber(ctx, tx, text, dated.Year)
	if err == nil {
		return d, &TakenError{other}
	}
	if !errors.Is(err, ErrNotFound) {
		return d, err
	}
	signatory, err := signatoryFor(ctx, tx, d.Kind, dated)
	if err != nil {
		return d, err
	}
	return move(ctx, tx, d, VerbTypeNumber, c, `number = $5, dated = $6, signatory = $7, awaits_number = false`, text, dated, string(signatory))
}

// signatoryFor is who signs a kind of paper on a day, as it keeps them. Error:
// ErrNoSignatory.
func signatoryFor(ctx context.Context, rd postgres.Reader, kind string, day clock.Date) ([]byte, error) {
	post, ok := Signers[kind]
	if !ok {
		return []byte("{}"), nil
	}
	s, err := SignatoryOn(ctx, rd, post, day)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("letter: signatory: %w", err)
	}
	return text, nil
}
