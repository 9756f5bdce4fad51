package validation

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Severities of a finding.
const (
	Error   = "error"   // returns the request
	Warning = "warning" // is shown, and no more
)

// Finding is one thing that the office has to say about a submission.
type Finding struct {
	// Code is stable and English; it is part of the API.
	Code     string `db:"code" json:"code"`
	Severity string `db:"severity" json:"severity"`
	// Pointer is the place: "/card_count" in the form, or a cell or range of the
	// card list such as "daftar!Daftar!B17" (users.md E2).
	Pointer string `db:"pointer" json:"pointer"`
	// Cells are all cells concerned; the pointer goes from the first to the last
	// of them and may have others between. Empty when it concerns no cell.
	Cells Cells `db:"cells" json:"cells"`
	// Detail says in Indonesian what is wrong; what to do is Advice's.
	Detail string `db:"detail" json:"detail"`
}

// MarshalJSON adds what to do about the finding as "advice": it follows from the
// code and is not kept, so that it may be worded better.
func (f Finding) MarshalJSON() ([]byte, error) {
	type kept Finding
	return json.Marshal(struct {
		kept
		Advice string `json:"advice"`
	}{kept(f), Advice(f)})
}

// Errors returns the findings that return a request.
func Errors(all []Finding) []Finding {
	var errors []Finding
	for _, f := range all {
		if f.Severity == Error {
			errors = append(errors, f)
		}
	}
	return errors
}

// Save writes the findings on one submission of a request in place of earlier
// ones.
func Save(ctx context.Context, tx *postgres.Tx, requestID string, submission int, findings []Finding) error {
	if _, err := tx.Exec(ctx, `DELETE FROM finding WHERE request_id = $1 AND submission = $2`, requestID, submission); err != nil {
		return fmt.Errorf("validation: removing earlier findings: %w", err)
	}
	var codes, severities, pointers, details, cells []string
	for _, f := range findings {
		codes, severities = append(codes, f.Code), append(severities, f.Severity)
		pointers, details = append(pointers, f.Pointer), append(details, f.Detail)
		cells = append(cells, "{"+strings.Join(f.Cells, ",")+"}") // unnest takes no ragged arrays
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO finding (request_id, submission, ordinal, code, severity, pointer, detail, cells)
		SELECT $1, $2, ordinality, code, severity, pointer, detail, cells::text[]
		FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
		     AS f (code, severity, pointer, detail, cells, ordinality)`,
		requestID, submission, pq.Array(codes), pq.Array(severities), pq.Array(pointers), pq.Array(details), pq.Array(cells)); err != nil {
		return fmt.Errorf("validation: writing findings: %w", err)
	}
	return nil
}

// Load returns the findings on one submission of a request, in their order.
func Load(ctx context.Context, r postgres.Reader, requestID string, submission int) ([]Finding, error) {
	findings := []Finding{}
	err := r.Select(ctx, &findings, `
		SELECT code, severity, pointer, detail, cells FROM finding
		WHERE request_id = $1 AND submission = $2 ORDER BY ordinal`, requestID, submission)
	if err != nil {
		return nil, fmt.Errorf("validation: reading findings: %w", err)
	}
	return findings, nil
}

// Any says whether there is a finding on a submission of a request.
func Any(ctx context.Context, r postgres.Reader, requestID string, submission int) (some bool, err error) {
	if err := r.Get(ctx, &some, `SELECT EXISTS (SELECT FROM finding WHERE request_id = $1 AND submission = $2)`, requestID, submission); err != nil {
		return false, fmt.Errorf("validation: looking for findings: %w", err)
	}
	return some, nil
}
