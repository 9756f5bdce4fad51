// Package request keeps the permohonan: what a produsen asks for, where the
// request is, the facts and decisions that moved it there. It writes the tables
// request, request_line, purchase_order, request_file and request_fact.
package request

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Kinds of request (features.md N11).
const (
	KindReader     = "reader"      // KTP-el Reader
	KindRekamCetak = "rekam_cetak" // SAM Rekam Cetak
)

// KindLabels are the Indonesian names of the kinds, as the menus have them.
var KindLabels = map[string]string{KindReader: "KTP-el Reader", KindRekamCetak: "SAM Rekam Cetak"}

var (
	// ErrNotFound says that there is no such request, or none that the asker
	// may know of.
	ErrNotFound = errors.New("request: not found")
	// ErrReferenceUsed says that the institution has used its No. Pengajuan
	// before (features.md N22).
	ErrReferenceUsed = errors.New("request: reference used before")
	// ErrUnknownMachineType says that the machine type is not in the master data.
	ErrUnknownMachineType = errors.New("request: unknown machine type")
)

// Letter is the letter on paper that the request came with (features.md L05).
type Letter struct {
	Sender  string     `json:"sender" db:"letter_sender"`
	Post    string     `json:"post" db:"letter_post"`
	Number  string     `json:"number" db:"letter_number"`
	Date    clock.Date `json:"date" db:"letter_date"`
	Subject string     `json:"subject" db:"letter_subject"`
}

// Line is the part of a request for one lembaga pengguna.
type Line struct {
	Line     int    `json:"line" db:"line"`
	Lembaga  string `json:"lembaga" db:"lembaga"`
	Quantity int    `json:"quantity" db:"quantity"`
	Remarks  string `json:"remarks" db:"remarks"`
	// Need is the number of the lembaga's request (permintaan lembaga) that the
	// line bundles, or empty.
	Need string `json:"need,omitempty" db:"need"`
}

// PurchaseOrder is one PO of the chain from lembaga to produsen (features.md
// I05-I07).
type PurchaseOrder struct {
	Line        int    `json:"line" db:"line"`
	Number      string `json:"number" db:"number"`
	From        string `json:"from" db:"buyer"`
	To          string `json:"to" db:"seller"`
	ReaderCount int    `json:"reader_count" db:"reader_count"`
}

// Kinds of file of a request.
const (
	FileLetter        = "letter"
	FilePurchaseOrder = "purchase_order"
	FilePKS           = "pks"
	FileCardList      = "card_list"
)

// File is a file that came with a submission.
type File struct {
	Kind       string `json:"kind" db:"kind"`
	Submission int    `json:"submission" db:"submission"`
	BlobID     string `json:"-" db:"blob_id"`
	Name       string `json:"name" db:"name"`
}

// Form is what an applicant fills in.
type Form struct {
	Kind        string `json:"kind" db:"kind"`
	Reference   string `json:"reference" db:"reference"`
	Title       string `json:"title" db:"title"`
	SAMFunction string `json:"sam_function" db:"sam_function"`
	CardCount   int    `json:"card_count" db:"card_count"`
	MachineType string `json:"machine_type" db:"machine_type"`
	PKSNumber   string `json:"pks_number" db:"pks_number"`
	Notes       string `json:"notes" db:"notes"`
	Letter      `json:"letter"`
	Lines       []Line          `json:"lines" db:"-"`
	Orders      []PurchaseOrder `json:"purchase_orders" db:"-"`
}

// Request is a permohonan as it stands.
type Request struct {
	ID            string `db:"id"`
	Ticket        string `db:"ticket"`
	InstitutionID string `db:"institution_id"`
	Institution   string `db:"institution"`
	Form
	State           machine.State  `db:"state"`
	HeldFrom        *machine.State `db:"held_from"`
	Version         int64          `db:"version"`
	Submission      int            `db:"submission"`
	DispositionDate *clock.Date    `db:"disposition_date"`
	CreatedBy       string         `db:"created_by"`
	CreatedAt       time.Time      `db:"created_at"`
	// TraceParent is that of the call that made the request; all that happens to
	// the request belongs to its trace.
	TraceParent string `db:"traceparent"`
}

// New is a request to be made.
type New struct {
	InstitutionID string
	Form          Form
	Files         []File // Submission is set by Create
	Actor         machine.Actor
	OfficeAt      time.Time
	// TraceParent of the call that asks for it; empty means the context's.
	TraceParent string
}

// Create writes a submitted request, bundles the needs that its lines name, and
// rings request.submitted. It returns ErrReferenceUsed, ErrUnknownMachineType or
// *need.RefusedError for those; the transaction is not to be committed then.
func Create(ctx context.Context, tx *postgres.Tx, n New) (Request, error) {
	made, err := CreateAll(ctx, tx, []New{n})
	if err != nil {
		return Request{}, err
	}
	return made[0], nil
}

// Correct replaces form and files of a returned request by a new submission
// under the same ticket, and rings request.resubmitted. The No. Pengajuan stays.
// The lembaga's needs are bundled as the new lines say: *need.RefusedError.
func Correct(ctx context.Context, tx *postgres.Tx, r Request, f Form, files []File, c Change) (Request, error) {
	next, err := Take(ctx, tx, r, Resubmit, c)
	if err != nil {
		return Request{}, err
	}
	if f.Letter != r.Letter {
		if err := void(ctx, tx, r.ID, ""); err != nil {
			return Request{}, err
		}
	}
	next.Submission++
	f.Reference = r.Reference
	next.Form = f
	err = tx.ExecOne(ctx, `
		UPDATE request SET kind=$2, title=$3, sam_function=$4, card_count=$5, machine_type=$6, pks_number=$7, notes=$8,
		       letter_sender=$9, letter_post=$10, letter_number=$11, letter_date=$12, letter_subject=$13, submission=$14
		WHERE id=$1`,
		r.ID, f.Kind, f.Title, f.SAMFunction, f.CardCount, f.MachineType, f.PKSNumber, f.Notes,
		f.Sender, f.Post, f.Number, f.Date, f.Subject, next.Submission)
	if postgres.Constraint(err) == "request_machine_type_fkey" {
		return Request{}, ErrUnknownMachineType
	}
	if err != nil {
		return Request{}, fmt.Errorf("request: correcting: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM request_line WHERE request_id=$1`, r.ID); err != nil {
		return Request{}, fmt.Errorf("request: lines: %w", err)
	}
	needs, err := need.Rebundle(ctx, tx, next.claims(c))
	if err != nil {
		return Request{}, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM purchase_order WHERE request_id=$1`, r.ID); err != nil {
		return Request{}, fmt.Errorf("request: purchase orders: %w", err)
	}
	return next, writeParts(ctx, tx, []parts{{r.ID, next.Submission, f, files}}, needs)
}

const selectRequest = `
	SELECT r.id, r.ticket, r.institution_id, i.name AS institution, r.kind, r.reference, r.title, r.sam_function,
	       r.card_count, r.machine_type, r.pks_number, r.notes, r.letter_sender, r.letter_post, r.letter_number,
	       r.letter_date, r.letter_subject, r.state, r.held_from, r.version, r.submission, r.disposition_date,
	       r.created_by, r.created_at, r.traceparent
	FROM request r JOIN institution i ON i.id = r.institution_id `

// Get returns the request with this id, without its lines and orders.
func Get(ctx context.Context, rd postgres.Reader, id string) (Request, error) {
	return one(ctx, rd, selectRequest+`WHERE r.id = $1`, id)
}

// ByTicket returns the request with this Kode Tiket, with its lines and orders.
// A non-empty institutionID limits the answer to that institution's requests.
func ByTicket(ctx context.Context, rd postgres.Reader, ticket, institutionID string) (Request, error) {
	ticket, ok := ParseTicket(ticket)
	if !ok {
		return Request{}, ErrNotFound
	}
	r, err := one(ctx, rd, selectRequest+`WHERE r.ticket = $1 AND ($2 = '' OR r.institution_id::text = $2)`, ticket, institutionID)
	if err != nil {
		return Request{}, err
	}
	return r, r.LoadParts(ctx, rd)
}

// ReferenceUsed says whether an institution has used a No. Pengajuan before
// (features.md N22).
func ReferenceUsed(ctx context.Context, rd postgres.Reader, institutionID, reference string) (used bool, err error) {
	err = rd.Get(ctx, &used, `SELECT EXISTS (SELECT FROM request WHERE institution_id = $1 AND reference = $2)`, institutionID, reference)
	if err != nil {
		return false, fmt.Errorf("request: reference: %w", err)
	}
	return used, nil
}

// Lock returns the request for change in this transaction: others wait.
func Lock(ctx context.Context, tx *postgres.Tx, id string) (Request, error) {
	return one(ctx, tx, selectRequest+`WHERE r.id = $1 FOR UPDATE OF r`, id)
}

func one(ctx context.Context, rd postgres.Reader, query string, args ...any) (Request, error) {
	var r Request
	err := rd.Get(ctx, &r, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return Request{}, ErrNotFound
	}
	if err != nil {
		return Request{}, fmt.Errorf("request: reading: %w", err)
	}
	return r, nil
}

// LoadParts reads the lines and purchase orders.
func (r *Request) LoadParts(ctx context.Context, rd postgres.Reader) error {
	if err := rd.Select(ctx, &r.Lines, `
		SELECT l.line, l.lembaga, l.quantity, l.remarks, coalesce(n.number, '') AS need
		FROM request_line l LEFT JOIN need n ON n.id = l.need_id WHERE l.request_id=$1 ORDER BY l.line`, r.ID); err != nil {
		return fmt.Errorf("request: lines: %w", err)
	}
	if err := rd.Select(ctx, &r.Orders, `
		SELECT line, number, buyer, seller, reader_count FROM purchase_order WHERE request_id=$1 ORDER BY line`, r.ID); err != nil {
		return fmt.Errorf("request: purchase orders: %w", err)
	}
	return nil
}

// LembagaNames are the lembaga pengguna of the request, as a sentence has them.
func (r *Request) LembagaNames() string {
	var names []string
	for _, l := range r.Lines {
		names = append(names, l.Lembaga)
	}
	if len(names) == 0 {
		return r.Institution
	}
	return terbilang.List(names)
}

// Files returns the files of the newest submission.
func Files(ctx context.Context, rd postgres.Reader, r Request) ([]File, error) {
	var files []File
	err := rd.Select(ctx, &files, `
		SELECT kind, submission, blob_id, name FROM request_file WHERE request_id=$1 AND submission=$2 ORDER BY kind, name`,
		r.ID, r.Submission)
	if err != nil {
		return nil, fmt.Errorf("request: files: %w", err)
	}
	return files, nil
}

// Filter narrows a list. Zero values do not narrow.
type Filter struct {
	InstitutionID string
	States        []machine.State
	Kinds         []string
	Search        string   // in ticket, reference and title
	After         string   // the id of a request: only those that come behind it in the list
	Only          []string // ids: none but these; nil does not narrow, empty finds nothing
	Limit, Offset int      // Limit 0 means 50
}

// whereFilter narrows by the arguments that args gives, in $1 to $5.
const whereFilter = `
	WHERE ($1 = '' OR r.institution_id::text = $1)
	  AND (cardinality($2::text[]) = 0 OR r.state = ANY ($2))
	  AND (cardinality($3::text[]) = 0 OR r.kind = ANY ($3))
	  AND ($4 = '' OR strpos(lower(r.ticket || ' ' || r.reference || ' ' || r.title), lower($4)) > 0)
	  AND ($5::uuid[] IS NULL OR r.id = ANY ($5::uuid[]))`

func (f Filter) args() []any {
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	return []any{f.InstitutionID, pq.Array(states), pq.Array(append([]string{}, f.Kinds...)), f.Search, pq.Array(f.Only)}
}

// List returns requests, newest first.
func List(ctx context.Context, rd postgres.Reader, f Filter) ([]Request, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	var list []Request
	err := rd.Select(ctx, &list, selectRequest+whereFilter+`
		  AND ($6 = '' OR r.id < nullif($6, '')::uuid) ORDER BY r.id DESC LIMIT $7 OFFSET $8`,
		append(f.args(), f.After, limit, f.Offset)...)
	if err != nil {
		return nil, fmt.Errorf("request: list: %w", err)
	}
	return list, nil
}
