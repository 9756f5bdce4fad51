// Package letter keeps the office's papers: which exist, their numbers, who
// signs them, their files and whether they are issued. It writes the tables
// document, document_counter, document_numbering, document_hold, signing, signatory and portal_address.
package letter

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	// ErrNotFound says that there is no such paper.
	ErrNotFound = errors.New("letter: not found")
	// ErrNoSignatory says that nobody holds the post on that day.
	ErrNoSignatory = errors.New("letter: no signatory for the post")
	// ErrReasonMissing says that a verb wants a reason.
	ErrReasonMissing = errors.New("letter: reason missing")
)

// Document is a paper.
type Document struct {
	ID        string          `db:"id"`
	Kind      string          `db:"kind"`
	SubjectID string          `db:"subject_id"` // the request, the handover of a BAST, the destruction of a berita acara kartu rusak, the acceptance of an activation_reply, or the Asked
	RequestID string          `db:"request_id"` // empty for a paper of readers and for a DaySheet
	State     machine.State   `db:"state"`
	Version   int64           `db:"version"`
	Number    *string         `db:"number"`
	Dated     *clock.Date     `db:"dated"`
	Signatory json.RawMessage `db:"signatory"`
	DOCX      *string         `db:"docx_blob"`
	PDF       *string         `db:"pdf_blob"`
	XLSX      *string         `db:"xlsx_blob"`
	Scan      *string         `db:"scan_blob"`
	SignedOn  *clock.Date     `db:"signed_on"`
	CreatedAt time.Time       `db:"created_at"`
	// Token stands on the paper: who has it may ask for the paper's state.
	Token string `db:"verification_token"`
	// Signed are the Signatures as they are printed, once the files are made.
	Signed json.RawMessage `db:"signatures"`
	// AwaitsNumber says that persuratan has to type its number.
	AwaitsNumber bool `db:"awaits_number"`
	// Replaces is the paper in force whose place this one takes by being issued.
	Replaces *string `db:"replaces"`
	// ReplacementAsked says that it is to be replaced; until then it is in force.
	ReplacementAsked bool `db:"replacement_asked"`
	// Electronic says that Scan is a PDF that was signed with certificates.
	Electronic bool `db:"electronic"`
	// TraceParent is that of the request.
	TraceParent string `db:"traceparent"`
}

// File returns the blob of one of the paper's files: docx, pdf, xlsx or scan.
func (d Document) File(format string) (blobID string, ok bool) {
	p := map[string]*string{"docx": d.DOCX, "pdf": d.PDF, "xlsx": d.XLSX, "scan": d.Scan}[format]
	if p == nil {
		return "", false
	}
	return *p, true
}

// Formats lists the files that the paper has.
func (d Document) Formats() []string {
	var have []string
	for _, f := range []string{"docx", "pdf", "xlsx", "scan"} {
		if _, ok := d.File(f); ok {
			have = append(have, f)
		}
	}
	return have
}

// Signer is the official whose name the paper carries, as it was when drafted.
func (d Document) Signer() (Signatory, error) {
	var s Signatory
	err := json.Unmarshal(d.Signatory, &s)
	return s, err
}

// Signatures are whose signatures the paper wants, as printed; none before its files
// are made.
func (d Document) Signatures() ([]Signature, error) {
	list := []Signature{}
	err := json.Unmarshal(d.Signed, &list)
	return list, err
}

const selectDocument = `SELECT id, kind, subject_id, coalesce(request_id::text, '') AS request_id, state, version, number, dated, signatory, docx_blob, pdf_blob,
	xlsx_blob, scan_blob, signed_on, created_at, verification_token, signatures, awaits_number, replaces, replacement_asked, electronic,
	coalesce((SELECT r.traceparent FROM request r WHERE r.id = document.request_id), '') AS traceparent FROM document `

func one(ctx context.Context, rd postgres.Reader, query string, args ...any) (Document, error) {
	var d Document
	err := rd.Get(ctx, &d, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("letter: reading: %w", err)
	}
	return d, nil
}

// Get returns a paper.
func Get(ctx context.Context, rd postgres.Reader, id string) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE id = $1`, id)
}

// Living returns the paper of a kind that is neither void nor replaced; of two, one of
// which is to replace the other, the one in force.
func Living(ctx context.Context, rd postgres.Reader, kind, subjectID string) (Document, error) {
	return one(ctx, rd, selectDocument+`WHERE kind = $1 AND subject_id = $2 AND state NOT IN ('void','replaced') AND (replaces IS NULL OR state = 'issued')`, kind, subjectID)
}

// List returns the papers of a request, oldest first.
func List(ctx context.Context, rd postgres.Reader, requestID string) ([]Document, error) {
	var list []Document
	if err := rd.Select(ctx, &list, selectDocument+`WHERE request_id = $1 ORDER BY id`, requestID); err != nil {
		return nil, fmt.Errorf("letter: list: %w", err)
	}
	return list, nil
}

// Waiting returns the papers whose files are still to be made, oldest first, without
// some, by id.
func Waiting(ctx context.Context, rd postgres.Reader, without []string, limit int) ([]Document, error) {
	var list []Document
	if err := rd.Select(ctx, &list, selectDocument+`WHERE state IN ('drafted','numbered') AND NOT awaits_number AND id <> ALL ($2::uuid[]) ORDER BY id LIMIT $1`,
		limit, pq.Array(append([]string{}, without...))); err != nil {
		return nil, fmt.Errorf("letter: waiting: %w", err)
	}
	return list, nil
}

// Draft is a paper to be made.
type Draft struct {
	Kind      string
	SubjectID string
	RequestID string
	Dated     clock.Date
	// Numbering is the number's template, in which {urut} is the counter and
	// {tahun} the year; empty for a paper without a number. Papers with one
	// template share its counter, so that numbers are unique and gap-free.
	Numbering string
	// Typed says that persuratan types the number; the paper waits for it.
	Typed bool
	// Replaces is the paper in force that is to be replaced, or empty.
	Replaces string
}

// Make drafts a paper and numbers it, unless its number is typed; made says so. Asked
// again for the same subject it returns the paper that lives already, or replaces.
func Make(ctx context.Context, tx *postgres.Tx, n Draft, c request.Change) (d Document, made bool, err error) {
	there := func() (Document, error) {
		if n.Replaces != "" {
			return replacing(ctx, tx, n.Replaces)
		}
		return Living(ctx, tx, n.Kind, n.SubjectID)
	}
	if d, err = there(); !errors.Is(err, ErrNotFound) {
		return d, false, err
	}
	signatory, err := signatoryFor(ctx, tx, n.Kind, n.Dated)
	if err != nil {
		return d, false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, false, fmt.Errorf("letter: id: %w", err)
	}
	token, err := newToken()
	if err != nil {
		return d, false, err
	}
	rows, err := tx.Exec(ctx, `
		INSERT INTO document (id, kind, subject_id, request_id, state, dated, signatory, created_at, verification_token, awaits_number, replaces)
		VALUES ($1,$2,$3,nullif($4, '')::uuid,'drafted',$5,$6,$7,$8,$9,nullif($10, '')::uuid) ON CONFLICT DO NOTHING`,
		id.String(), n.Kind, n.SubjectID, n.RequestID, n.Dated, string(signatory), c.OfficeAt.UTC(), token, n.Typed, n.Replaces)
	if err != nil {
		return d, false, fmt.Errorf("letter: drafting: %w", err)
	}
	if rows == 0 { // somebody else drafted it meanwhile
		d, err = there()
		return d, false, err
	}
	if d, err = Get(ctx, tx, id.String()); err != nil {
		return d, false, err
	}
	step, err := Machine.Find("", verbDraft)
	if err != nil {
		return d, false, err
	}
	if err := record(ctx, tx, d, step, c); err != nil || n.Numbering == "" || n.Typed {
		return d, err == nil, err
	}
	d, err = number(ctx, tx, d, n.Numbering, c)
	return d, err == nil, err
}

// Files are the blobs of a paper that has been made.
type Files struct {
	DOCX, PDF, XLSX string
	TemplateSHA256  []byte
	Signatures      []Signature // as printed, in the order of the paper
}

// Attach adds the files of a numbered paper, which then waits for its
// signature; a result list or a day sheet is issued at once. postgres.ErrStale says that the
// paper has moved meanwhile: its files are not needed any more.
func Attach(ctx context.Context, tx *postgres.Tx, d Document, f Files, c request.Change) (Document, error) {
	verb := verbAwait
	if d.Kind == ResultList || d.Kind == DaySheet {
		verb = VerbIssue
		if err := takePlace(ctx, tx, d, c); err != nil {
			return d, err
		}
	}
	signatures, err := json.Marshal(append([]Signature{}, f.Signatures...))
	if err != nil {
		return d, fmt.Errorf("letter: signatures: %w", err)
	}
	return move(ctx, tx, d, verb, c, `docx_blob = nullif($5, '')::uuid, pdf_blob = nullif($6, '')::uuid,
		xlsx_blob = nullif($7, '')::uuid, template_sha256 = $8, signatures = $9`, f.DOCX, f.PDF, f.XLSX, f.TemplateSHA256, string(signatures))
}

// Issue records the signed scan of a paper: it is in force from then on, and what it
// replaces is not. Errors: *ScanUsedError, ErrSigningOpen, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func Issue(ctx context.Context, tx *postgres.Tx, d Document, scanBlob string, signedOn clock.Date, c request.Change) (Document, error) {
	if err := Machine.May(d.State, VerbIssue, c.Actor.Role); err != nil {
		return d, err
	}
	if err := scanOwn(ctx, tx, d, scanBlob); err != nil {
		return d, err
	}
	if err := takePlace(ctx, tx, d, c); err != nil {
		return d, err
	}
	if d, err := move(ctx, tx, d, VerbIssue, c, `scan_blob = $5, signed_on = $6`, scanBlob, signedOn); err != nil {
		return d, err
	}
	if err := byPen(ctx, tx, d, c); err != nil {
		return d, err
	}
	return Get(ctx, tx, d.ID)
}

// Cancel voids a paper that is not issued. Its number stays used. Another one is drafted
// in its place. Errors: ErrReasonMissing, ErrSigningOpen, *machine.RoleError, *machine.IllegalError,
// postgres.ErrStale.
func Cancel(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) (Document, error) {
	return cancel(ctx, tx, d, true, c)
}

// CancelForGood is Cancel, after which no other one is drafted until DraftAgain. The
// paper that a void replacement was to replace stays in force.
func CancelForGood(ctx context.Context, tx *postgres.Tx, d Document, c request.Change) (Document, error) {
	return cancel(ctx, tx, d, false, c)
}

func cancel(ctx context.Context, tx *postgres.Tx, d Document, again bool, c request.Change) (Document, error) {
	if err := May(d, VerbVoid, c.Actor.Role); err != nil {
		return d, err
	}
	if c.Reason == "" {
		return d, ErrReasonMissing
	}
	void, err := move(ctx, tx, d, VerbVoid, c, `signed_on = NULL`)
	if err == nil {
		err = noneOpen(ctx, tx, d.ID)
	}
	if err == nil && !again {
		err = hold(ctx, tx, d, c)
	}
	return void, err
}

// move takes one step by compare-and-set; set adds columns, its arguments count
// from $5.
func move(ctx context.Context, tx *postgres.Tx, d Document, verb machine.Verb, c request.Change, set string, args ...any) (Document, error) {
	step, err := Machine.Find(d.State, verb)
	if err != nil {
		return d, err
	}
	all := append([]any{d.ID, string(d.State), d.Version, string(step.To)}, args...)
	if err := tx.ExecOne(ctx, `UPDATE document SET state = $4, version = version + 1, `+set+`
		WHERE id = $1 AND state = $2 AND version = $3`, all...); err != nil {
		return d, fmt.Errorf("letter: %s: %w", verb, err)
	}
	moved, err := Get(ctx, tx, d.ID)
	if err != nil {
		return d, err
	}
	return moved, record(ctx, tx, moved, step, c)
}

func record(ctx context.Context, tx *postgres.Tx, d Document, step machine.Step, c request.Change) error {
	detail := map[string]any{"kind": d.Kind, "label": KindLabels[d.Kind]}
	if d.Number != nil {
		detail["number"] = *d.Number
	}
	return Machine.Write(ctx, tx, machine.Record{
		Subject: d.ID, Request: d.RequestID, Version: d.Version, Step: step, Actor: c.Actor, Reason: c.Reason,
		Detail: detail, OfficeAt: c.OfficeAt, TraceParent: d.TraceParent,
	})
}
