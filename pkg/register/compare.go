package register

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is how a row clashes with something else.
type Kind string

// Kinds of a clash.
const (
	Repeated Kind = "repeated" // the number stands in an earlier row of the file
	Differs  Kind = "differs"  // the register says something else about the number
	Live     Kind = "live"     // a request of this system has the number
	Issued   Kind = "issued"   // this system has personalised the card or given the number
)

// Clash is a row that cannot go into the register.
type Clash struct {
	Kind  Kind   `db:"kind"`
	Field Field  `db:"field"` // the number that is known
	Value string `db:"value"`
	Sheet string `db:"sheet"` // of the row
	Row   int    `db:"row"`

	// Other is what has the number: the name of a file, or the Kode Tiket of a
	// request; empty when it is this file.
	Other      string     `db:"other"`
	OtherState string     `db:"other_state"` // of that request
	OtherSheet string     `db:"other_sheet"`
	OtherRow   int        `db:"other_row"`
	ImportedBy string     `db:"imported_by"`
	ImportedAt *time.Time `db:"imported_at"`
	// Differing are the columns in which a row that Differs says something else.
	Differing string `db:"differing"` // comma between them
}

// Comparison is how an intake stands to itself, to the register and to the
// office's own cards.
type Comparison struct {
	Rows    int
	Known   int // rows that the register has as they are
	Past    int // rows as they were before they were corrected or withdrawn
	Clashes []Clash
	// More says that there are more clashes than those.
	More bool
	// Alike are rows that differ from another serial only in separators. They go in.
	Alike []Likeness
}

// MostClashes bounds the clashes of one kind and number that Compare returns.
const MostClashes = 10_000

// Compare finds the rows that the register has already or had before a correction,
// and those that clash. What the office itself takes meanwhile Store notices.
func (in *Intake) Compare(ctx context.Context) (c Comparison, err error) {
	c.Rows = in.rows
	// The rows came a moment ago: without counts the planner compares them one by one.
	if _, err := in.tx.Exec(ctx, `ANALYZE register_intake`); err != nil {
		return c, fmt.Errorf("register: comparing: %w", err)
	}
	// What the office writes from here on Store looks at: see register_apart in the schema.
	if _, err := in.tx.Exec(ctx, `SELECT set_config('sifilma.register_compared', pg_snapshot_xmin(pg_current_snapshot())::xid::text, true)`); err != nil {
		return c, fmt.Errorf("register: comparing: %w", err)
	}
	if c.Known, err = in.mark(ctx, `known`, met("register_standing"), same); err != nil {
		return c, err
	}
	// Only in its old place is it the row that was corrected: in another file or row
	// the number that was freed may be a card of its own.
	past := same + ` AND i.sheet = e.sheet AND i.row = e.row`
	if c.Past, err = in.mark(ctx, `past`, met("(SELECT * FROM register_entry WHERE NOT standing)"), past); err != nil {
		return c, err
	}
	return c, in.clashes(ctx, &c)
}

// mark sets a column of those rows that meet an entry on a condition, and returns how
// many they are.
func (in *Intake) mark(ctx context.Context, column, met, on string) (int, error) {
	n, err := in.tx.Exec(ctx, `
		UPDATE register_intake SET `+column+` = true WHERE NOT known AND n IN (SELECT i.n FROM `+met+` WHERE `+on+`)`)
	if err != nil {
		return 0, fmt.Errorf("register: comparing with the register: %w", err)
	}
	return int(n), nil
}

// clashes looks at the rows that would go in.
func (in *Intake) clashes(ctx context.Context, c *Comparison) error {
	for _, query := range comparisons() {
		var found []Clash
		if err := in.tx.Select(ctx, &found, query+` LIMIT $1`, MostClashes+1); err != nil {
			return fmt.Errorf("register: comparing: %w", err)
		}
		if len(found) > MostClashes {
			found, c.More = found[:MostClashes], true
		}
		c.Clashes = append(c.Clashes, found...)
	}
	var err error
	if c.Alike, err = in.alike(ctx); err != nil {
		return err
	}
	in.compared = len(c.Clashes) == 0
	return nil
}

// met joins each row i with the entries e, out of those of a table, that have one of
// its numbers: by each number on its own, for an OR over five columns would look at
// every pair.
func met(entries string) string {
	var by []string
	for _, f := range Fields {
		by = append(by, fmt.Sprintf(`SELECT m.n, o.import_id, o.sheet, o.row, o.edition FROM register_intake m JOIN %[2]s o ON o.%[1]s = m.%[1]s`, f, entries))
	}
	return `(` + strings.Join(by, ` UNION `) + `) AS k (n, import_id, sheet, row, edition)
		JOIN register_intake i ON i.n = k.n
		JOIN register_entry e ON e.import_id = k.import_id AND e.sheet = k.sheet AND e.row = k.row AND e.edition = k.edition`
}

// columns are all that an entry tells.
var columns = append(slices.Clone(Fields), "produsen", "lembaga", "issued_on", "remarks")

// told says whether row i tells a column at all.
func told(column Field) string {
	if column == "produsen" || column == "lembaga" || column == "remarks" {
		return fmt.Sprintf(`i.%s <> ''`, column)
	}
	return fmt.Sprintf(`i.%s IS NOT NULL`, column)
}

// same says whether all that row i tells stands in entry e: a row may tell less.
var same = func() string {
	var parts []string
	for _, c := range columns {
		parts = append(parts, fmt.Sprintf(`(%s AND i.%[2]s IS DISTINCT FROM e.%[2]s) IS NOT TRUE`, told(c), c))
	}
	return strings.Join(parts, ` AND `)
}()

// comparisons are the queries that find clashes, each in the order of the rows.
func comparisons() []string {
	var all []string
	for _, f := range Fields {
		all = append(all, fmt.Sprintf(`
			SELECT 'repeated' AS kind, '%[1]s' AS field, i.%[1]s AS value, i.sheet, i.row, '' AS other,
			       o.sheet AS other_sheet, o.row AS other_row, '' AS imported_by, NULL::timestamptz AS imported_at, '' AS differing
			FROM (SELECT %[1]s, min(n) AS n FROM register_intake WHERE %[1]s IS NOT NULL GROUP BY %[1]s HAVING count(*) > 1) AS first
			JOIN register_intake o ON o.n = first.n JOIN register_intake i ON i.%[1]s = first.%[1]s AND i.n > first.n ORDER BY i.n`, f))
	}
	var field, value, differing []string
	for _, f := range Fields {
		field = append(field, fmt.Sprintf(`WHEN i.%[1]s = e.%[1]s THEN '%[1]s'`, f))
		value = append(value, fmt.Sprintf(`WHEN i.%[1]s = e.%[1]s THEN i.%[1]s`, f))
	}
	for _, c := range columns {
		differing = append(differing, fmt.Sprintf(`CASE WHEN %s AND i.%[2]s IS DISTINCT FROM e.%[2]s THEN '%[2]s' END`, told(c), c))
	}
	all = append(all, `
		SELECT 'differs' AS kind, CASE `+strings.Join(field, ` `)+` END AS field, CASE `+strings.Join(value, ` `)+` END AS value,
		       i.sheet, i.row, f.file AS other, e.sheet AS other_sheet, e.row AS other_row, f.imported_by, f.imported_at,
		       concat_ws(',', `+strings.Join(differing, `, `)+`) AS differing
		FROM `+met("register_standing")+` JOIN register_import f ON f.id = e.import_id WHERE NOT i.known AND NOT i.past ORDER BY i.n`)
	for _, other := range []struct{ field, from, issued string }{
		{"serial", `live_serial o ON o.serial = i.serial LEFT JOIN card c ON c.id = o.card_id JOIN request r ON r.id = o.request_id`, `c.state = 'clear'`},
		{"reader_serial", `live_reader o ON o.reader_serial = i.reader_serial LEFT JOIN card c ON c.id = o.card_id
			JOIN request r ON r.id = o.request_id`, `c.state = 'clear'`},
		{"pcid", `card_number o ON o.kind = 'pcid' AND o.value = i.pcid JOIN listed_card l ON l.id = o.card_id JOIN request r ON r.id = l.request_id`, `true`},
		{"manifest_no", `card_number o ON o.kind = 'manifest' AND upper(o.value) = i.manifest_no JOIN listed_card l ON l.id = o.card_id
			JOIN request r ON r.id = l.request_id`, `true`},
		{"chip_id", `card o ON o.chip_id = i.chip_id JOIN request r ON r.id = o.request_id`, `o.state = 'clear'`},
	} {
		all = append(all, fmt.Sprintf(`
			SELECT CASE WHEN %[3]s THEN 'issued' ELSE 'live' END AS kind, '%[1]s' AS field, i.%[1]s AS value, i.sheet, i.row, r.ticket AS other,
			       r.state AS other_state, '' AS other_sheet, 0 AS other_row, '' AS imported_by, NULL::timestamptz AS imported_at, '' AS differing
			FROM register_intake i JOIN %[2]s WHERE NOT i.known AND NOT i.past ORDER BY i.n`, other.field, other.from, other.issued))
	}
	return all
}
