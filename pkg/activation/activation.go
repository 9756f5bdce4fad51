// Package activation keeps what follows the handover of the cards: a lembaga pengguna
// asks for its readers to be activated, the office decides, and each reader gets a signed
// manifest (features.md J01 to J15). It writes the tables activation_letter, activation,
// activation_reply, activation_delivery, activation_finding, activation_manifest and
// reader_pairing.
//
// What always holds:
//   - a card and a reader are in at most one living activation, from the check until it is
//     returned, rejected, cancelled or revoked;
//   - a wrong line comes back alone, the others of its letter go on;
//   - whatever is done to lines takes their letter's row first and raises its version, so
//     that of two who act on one letter at once the second is told so;
//   - a manifest's serial is given once, at the acceptance, and never again.
package activation

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/checkdigit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrNotFound says that there is no such letter or line, or none that the asker may
	// know of.
	ErrNotFound = errors.New("activation: not found")
	// ErrNumberUsed says that the lembaga has submitted a letter of this number before.
	ErrNumberUsed = errors.New("activation: letter number used before")
	// ErrUnknownProdusen says that no active produsen has this name.
	ErrUnknownProdusen = errors.New("activation: unknown produsen")
	// ErrUnknownLembaga says that no active lembaga pengguna has this name.
	ErrUnknownLembaga = errors.New("activation: unknown lembaga")
	// ErrUnknownMachineType says that a line names a machine type that is not in the
	// master data.
	ErrUnknownMachineType = errors.New("activation: unknown machine type")
	// ErrReasonMissing says that a verb wants a reason.
	ErrReasonMissing = errors.New("activation: reason missing")
	// ErrNotDisposed says that the Direktur's disposition is not recorded yet.
	ErrNotDisposed = errors.New("activation: no disposition yet")
	// ErrNoPaper says that nobody recorded the letter on paper.
	ErrNoPaper = errors.New("activation: letter on paper not received")
	// ErrReceivedBefore says that another day of the letter on paper is recorded, and lines
	// were registered by it.
	ErrReceivedBefore = errors.New("activation: letter on paper recorded with another day")
	// ErrNoLines says that no line is in a state for the verb, or that none was named.
	ErrNoLines = errors.New("activation: no lines")
	// ErrReaderTaken says that the reader is in another living activation.
	ErrReaderTaken = errors.New("activation: reader is active elsewhere")
	// ErrReaderMissing says that the reader or its card was reported lost or stolen and not
	// found since.
	ErrReaderMissing = errors.New("activation: reader is reported missing")
	// ErrNotMissing says that a line was not reported lost or stolen, or was found already.
	ErrNotMissing = errors.New("activation: reader is not reported missing")
	// ErrCardNotReady says that the card is not clear and handed over.
	ErrCardNotReady = errors.New("activation: card is not clear and handed over")
)

const (
	ticketKind   = "AKTV"
	manifestKind = "MFR"
)

// ParseTicket returns a Kode Tiket such as AKTV-2026-000001-4 as it is written by us; ok
// is false if it cannot be one of ours.
func ParseTicket(s string) (ticket string, ok bool) { return checkdigit.Parse(ticketKind, s) }

// Form is what a lembaga writes in its letter.
type Form struct {
	// Produsen is the name of the produsen that installs the manifests (features.md N9).
	Produsen string     `json:"produsen" db:"produsen"`
	Number   string     `json:"number" db:"number"`
	Date     clock.Date `json:"date" db:"dated"`
	Subject  string     `json:"subject" db:"subject"`
	// Leader and LeaderPost are of whoever signed it: direktur, kepala or pimpinan
	// sederajat (features.md J07).
	Leader     string `json:"leader" db:"leader"`
	LeaderPost string `json:"leader_post" db:"leader_post"`
	Notes      string `json:"notes" db:"notes"`
}

// Line is what the letter says of one reader (features.md J03 to J06, N33). Serials and
// numbers are normalised by Tidy.
type Line struct {
	Reader      string `json:"reader_serial" db:"reader_serial"`
	SAM         string `json:"sam_serial" db:"sam_serial"`
	Origin      string `json:"origin_no" db:"origin_no"` // nomor asal SAM
	Perso       string `json:"perso_no" db:"perso_no"`   // nomor SAM hasil perso: the card's No. Manifest
	PCID        string `json:"pcid" db:"pcid"`
	MachineType string `json:"machine_type" db:"machine_type"` // Jenis
	Mode        string `json:"mode" db:"mode"`
	Address     string `json:"address" db:"address"`
	Region      string `json:"region" db:"region"` // wilayah penggunaan
}

// Letter is a surat permohonan aktivasi as it stands.
type Letter struct {
	ID         string `db:"id"`
	Ticket     string `db:"ticket"`
	LembagaID  string `db:"lembaga_id"`
	Lembaga    string `db:"lembaga"`
	ProdusenID string `db:"produsen_id"`
	Form
	Scan        *string         `db:"scan_blob"`
	Draft       json.RawMessage `db:"draft"` // the lines while it is a draft
	State       machine.State   `db:"state"`
	Version     int64           `db:"version"`
	ReceivedOn  *clock.Date     `db:"received_on"` // the letter on paper
	CreatedBy   string          `db:"created_by"`
	PreparedBy  string          `db:"prepared_by"` // the institution of whoever created it
	CreatedAt   time.Time       `db:"created_at"`
	SubmittedBy string          `db:"submitted_by"`
	SubmittedAt *time.Time      `db:"submitted_at"`
	TraceParent string          `db:"traceparent"`
}

// DraftLines are the lines of a letter that is a draft.
func (l Letter) DraftLines() ([]Line, error) {
	lines := []Line{}
	err := json.Unmarshal(l.Draft, &lines)
	return lines, err
}

// Activation is one line of a letter: a reader.
type Activation struct {
	ID       string `db:"id"`
	LetterID string `db:"letter_id"`
	Ticket   string `db:"ticket"` // of the letter
	Number   int    `db:"line"`   // of the line in its letter, from 1
	Line
	Submission     int            `db:"submission"`
	CardID         *string        `db:"card_id"`
	State          machine.State  `db:"state"`
	Version        int64          `db:"version"`
	SuspendedFrom  *machine.State `db:"suspended_from"`
	Cause          string         `db:"cause"` // why it is suspended or revoked
	DisposedOn     *clock.Date    `db:"disposed_on"`
	AcceptedOn     *clock.Date    `db:"accepted_on"`
	ReplyID        *string        `db:"reply_id"`
	ManifestSerial *string        `db:"manifest_serial"`
	DeliveryID     *string        `db:"delivery_id"`
	InstalledOn    *clock.Date    `db:"installed_on"`
	FoundOn        *clock.Date    `db:"found_on"` // of one that was reported lost or stolen
	Replaces       *string        `db:"replaces"` // the activation in whose reader the card was
	TraceParent    string         `db:"traceparent"`
}

const selectLetter = `
	SELECT a.id, a.ticket, a.lembaga_id, l.name AS lembaga, a.produsen_id, p.name AS produsen, a.number, a.dated, a.subject, a.leader, a.leader_post,
	       a.notes, a.scan_blob, a.draft, a.state, a.version, a.received_on, a.created_by, a.prepared_by, a.created_at, a.submitted_by, a.submitted_at, a.traceparent
	FROM activation_letter a JOIN institution l ON l.id = a.lembaga_id JOIN institution p ON p.id = a.produsen_id `

const selectLines = `
	SELECT a.id, a.letter_id, t.ticket, a.line, a.submission, a.reader_serial, a.sam_serial, a.origin_no, a.perso_no, a.pcid, a.machine_type, a.mode,
	       a.address, a.region, a.card_id, a.state, a.version, a.suspended_from, a.cause, a.disposed_on, a.accepted_on, a.reply_id, a.manifest_serial,
	       a.delivery_id, a.installed_on, a.found_on, a.replaces, t.traceparent
	FROM activation a JOIN activation_letter t ON t.id = a.letter_id `

// within narrows letters to what an institution may know of: its own and those that name it.
// A draft is of whoever prepares it, and of the lembaga that is to submit it (features.md N8):
// the produsen that a lembaga's own draft names sees it once it is submitted. An empty id is
// the office's own people, who see what was submitted.
const within = ` CASE WHEN $1 = '' OR a.state = 'submitted' THEN a.state = 'submitted' AND $1 IN ('', a.lembaga_id::text, a.produsen_id::text)
	WHEN a.state = 'drafted' THEN $1 IN (a.lembaga_id::text, a.prepared_by::text) ELSE false END `

// Get returns the letter with this id.
func Get(ctx context.Context, rd postgres.Reader, id string) (Letter, error) {
	return one[Letter](ctx, rd, selectLetter+`WHERE a.id = $1`, id)
}

// ByTicket returns the letter with this Kode Tiket as an institution may know of it.
func ByTicket(ctx context.Context, rd postgres.Reader, ticket, institutionID string) (Letter, error) {
	ticket, ok := ParseTicket(ticket)
	if !ok {
		return Letter{}, ErrNotFound
	}
	return one[Letter](ctx, rd, selectLetter+`WHERE`+within+`AND a.ticket = $2`, institutionID, ticket)
}

// Lock is ByTicket for change in this transaction: others wait.
func Lock(ctx context.Context, tx *postgres.Tx, ticket, institutionID string) (Letter, error) {
	ticket, ok := ParseTicket(ticket)
	if !ok {
		return Letter{}, ErrNotFound
	}
	return one[Letter](ctx, tx, selectLetter+`WHERE`+within+`AND a.ticket = $2 FOR UPDATE OF a`, institutionID, ticket)
}

// LockID is Lock for whoever has the letter's id.
func LockID(ctx context.Context, tx *postgres.Tx, id string) (Letter, error) {
	return one[Letter](ctx, tx, selectLetter+`WHERE a.id = $1 FOR UPDATE OF a`, id)
}

// Lines returns the lines of a letter in their order.
func Lines(ctx context.Context, rd postgres.Reader, letterID string) ([]Activation, error) {
	return lines(ctx, rd, `WHERE a.letter_id = $1 ORDER BY a.line`, letterID)
}

// GetLine returns the activation with this id.
func GetLine(ctx context.Context, rd postgres.Reader, id string) (Activation, error) {
	return one[Activation](ctx, rd, selectLines+`WHERE a.id = $1`, id)
}

// OfCard returns the activations of a card, oldest first, each with whose letter it is of.
func OfCard(ctx context.Context, rd postgres.Reader, cardID string) ([]Due, error) {
	return due(ctx, rd, `a.card_id = $1 ORDER BY a.id`, cardID)
}

func lines(ctx context.Context, rd postgres.Reader, where string, args ...any) ([]Activation, error) {
	var list []Activation
	if err := rd.Select(ctx, &list, selectLines+where, args...); err != nil {
		return nil, fmt.Errorf("activation: lines: %w", err)
	}
	return list, nil
}

func one[T any](ctx context.Context, rd postgres.Reader, query string, args ...any) (T, error) {
	var v T
	err := rd.Get(ctx, &v, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return v, ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("activation: reading: %w", err)
	}
	return v, nil
}

// Filter narrows a list of letters. Zero values do not narrow.
type Filter struct {
	InstitutionID string
	States        []machine.State // letters with a line in one of these, or drafts by LetterDrafted
	Search        string          // in ticket, number, subject, names, and the serials of lines
	After         string          // the id of a letter: only those that come behind it
	Limit         int             // 0 means 50
	Only          []string        // ids: none but these; nil does not narrow, empty finds nothing
}

// List returns letters, newest first.
func List(ctx context.Context, rd postgres.Reader, f Filter) ([]Letter, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	states := make([]string, len(f.States))
	for i, s := range f.States {
		states[i] = string(s)
	}
	var list []Letter
	if err := rd.Select(ctx, &list, selectLetter+`WHERE`+within+`
		  AND (cardinality($2::text[]) = 0 OR a.state = 'drafted' AND 'drafted' = ANY ($2) OR EXISTS (SELECT FROM activation x WHERE x.letter_id = a.id AND x.state = ANY ($2)))
		  AND ($3 = '' OR strpos(lower(a.ticket || ' ' || a.number || ' ' || a.subject || ' ' || l.name || ' ' || p.name), lower($3)) > 0
		       OR EXISTS (SELECT FROM activation x WHERE x.letter_id = a.id AND upper($3) IN (x.reader_serial, x.sam_serial, x.pcid, x.perso_no, x.manifest_serial)))
		  AND ($4 = '' OR a.id < nullif($4, '')::uuid)
		  AND ($6::uuid[] IS NULL OR a.id = ANY ($6)) ORDER BY a.id DESC LIMIT $5`,
		f.InstitutionID, pq.Array(states), f.Search, f.After, f.Limit, pq.Array(f.Only)); err != nil {
		return nil, fmt.Errorf("activation: list: %w", err)
	}
	return list, nil
}

// Counts returns how many lines each of the letters has in each state.
func Counts(ctx context.Context, rd postgres.Reader, letterIDs []string) (map[string]map[machine.State]int, error) {
	var rows []struct {
		LetterID string        `db:"letter_id"`
		State    machine.State `db:"state"`
		N        int           `db:"n"`
	}
	if err := rd.Select(ctx, &rows, `SELECT letter_id, state, count(*) AS n FROM activation WHERE letter_id = ANY ($1::uuid[]) GROUP BY 1, 2`,
		pq.Array(letterIDs)); err != nil {
		return nil, fmt.Errorf("activation: counting: %w", err)
	}
	counts := map[string]map[machine.State]int{}
	for _, row := range rows {
		if counts[row.LetterID] == nil {
			counts[row.LetterID] = map[machine.State]int{}
		}
		counts[row.LetterID][row.State] = row.N
	}
	return counts, nil
}
