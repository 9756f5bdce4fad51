// Package template keeps the Word templates of the office's papers, which staff edit:
// each kind of paper has editions. One person sends an edition in, which is checked; the
// document generator prints a sample of it; another person looks at the sample and
// approves, and papers made from then on use it. Editions of before stay, and can be
// offered again. It writes the table letter_template; the files are in blob.
package template

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	// ErrNotFound says that there is no such edition.
	ErrNotFound = errors.New("template: not found")
	// ErrReasonMissing says that a step wants a reason.
	ErrReasonMissing = errors.New("template: reason missing")
	// ErrNotSampled says that the sample of an edition is not printed yet, so that
	// nobody can have looked at it.
	ErrNotSampled = errors.New("template: no sample yet")
	// ErrSamePerson says that whoever offered an edition cannot approve it.
	ErrSamePerson = errors.New("template: the second person must be another one")
)

// KnownError says that a file is an edition already.
type KnownError struct{ Edition int }

// Error names the edition.
func (e *KnownError) Error() string {
	return fmt.Sprintf("template: the file is edition %d already", e.Edition)
}

// MaxBytes bounds a file that is sent in: as a letter (features.md N37), for a template
// is one without its text.
const MaxBytes = 3 << 20

// States of an edition.
const (
	Offered     machine.State = "offered"     // its sample is to be printed
	Proposed    machine.State = "proposed"    // its sample is there to be looked at
	Unprintable machine.State = "unprintable" // LibreOffice cannot print it
	Active      machine.State = "active"      // papers are made with it
	Superseded  machine.State = "superseded"
	Refused     machine.State = "refused"
)

// Verbs of an edition.
const (
	OfferVerb     machine.Verb = "offer"
	PrintVerb     machine.Verb = "print"
	FailVerb      machine.Verb = "fail"
	ApproveVerb   machine.Verb = "approve"
	RefuseVerb    machine.Verb = "refuse"
	SupersedeVerb machine.Verb = "supersede"
)

// SetUp is the actor under which `sifilma migrate` puts in what came with the program.
// No account has this name.
const SetUp = "sifilma@pemasangan"

const setUpRole machine.Role = "sistem"

var (
	keepers   = []machine.Role{request.Operator, request.Persuratan, request.Kasubdit}
	offerers  = append([]machine.Role{setUpRole}, keepers...)
	approvers = []machine.Role{setUpRole, request.Operator, request.Kasubdit}
	generator = []machine.Role{request.Generator}
)

// Machine is the life of an edition.
var Machine = &machine.Table{
	Name: "letter_template",
	Steps: []machine.Step{
		{From: "", Verb: OfferVerb, Roles: offerers, To: Offered, Guard: "berkas lulus pemeriksaan"},
		{From: Offered, Verb: PrintVerb, Roles: generator, To: Proposed, System: true, Guard: "contoh cetak sudah jadi"},
		{From: Offered, Verb: FailVerb, Roles: generator, To: Unprintable, System: true},
		{From: Offered, Verb: RefuseVerb, Roles: keepers, To: Refused, Guard: "dengan alasan"},
		{From: Offered, Verb: ApproveVerb, Roles: []machine.Role{setUpRole}, To: Active, System: true, Guard: "hanya yang disertakan program, selama belum ada edisi dari pegawai"},
		{From: Proposed, Verb: ApproveVerb, Roles: approvers[1:], To: Active, Guard: "orang lain daripada pengusul"},
		{From: Proposed, Verb: RefuseVerb, Roles: keepers, To: Refused, Guard: "dengan alasan"},
		{From: Active, Verb: SupersedeVerb, Roles: approvers, To: Superseded, System: true, Guard: "edisi lain disetujui"},
		{From: Superseded, Verb: OfferVerb, Roles: keepers, To: Offered},
		{From: Refused, Verb: OfferVerb, Roles: keepers, To: Offered},
		{From: Unprintable, Verb: OfferVerb, Roles: keepers, To: Offered},
	},
	Labels: map[machine.State]string{
		Offered: "Menunggu contoh cetak", Proposed: "Menunggu persetujuan", Unprintable: "Tidak dapat dicetak", Active: "Berlaku",
		Superseded: "Digantikan", Refused: "Ditolak",
	},
	Verbs: map[machine.Verb]string{
		OfferVerb: "Usulkan", PrintVerb: "Cetak contoh", FailVerb: "Nyatakan tidak dapat dicetak", ApproveVerb: "Setujui", RefuseVerb: "Tolak",
		SupersedeVerb: "Gantikan",
	},
}

// Edition is a template in one of its editions.
type Edition struct {
	ID         string        `db:"id" json:"id"`
	Kind       string        `db:"kind" json:"kind"` // of letter.Document
	Edition    int           `db:"edition" json:"edition"`
	FileBlob   string        `db:"file_blob" json:"-"`
	SHA256     []byte        `db:"sha256" json:"-"`
	State      machine.State `db:"state" json:"state"`
	Version    int64         `db:"version" json:"version"` // of the row
	OfferedBy  string        `db:"offered_by" json:"offered_by"`
	Note       string        `db:"note" json:"note"`
	ApprovedBy *string       `db:"approved_by" json:"approved_by"`
	Shipped    bool          `db:"shipped" json:"shipped"`
	SampleBlob *string       `db:"sample_blob" json:"-"`
	// SamplePages is how many pages the sample has; nil while there is none.
	SamplePages *int `db:"sample_pages" json:"sample_pages"`
	// SampleProblem says why there is no sample yet; SampleTries counts what was tried.
	SampleProblem string    `db:"sample_problem" json:"sample_problem"`
	SampleTries   int       `db:"sample_tries" json:"sample_tries"`
	OfferedAt     time.Time `db:"offered_at" json:"offered_at"`
}

// Label names the edition in the office's words.
func (e Edition) Label() string {
	return fmt.Sprintf("%s, edisi %d", letter.KindLabels[e.Kind], e.Edition)
}

const columns = `id, kind, edition, file_blob, sha256, state, version, offered_by, note, approved_by, shipped, sample_blob, sample_pages, sample_problem, sample_tries, offered_at`

func one(ctx context.Context, rd postgres.Reader, where string, args ...any) (Edition, error) {
	var e Edition
	err := rd.Get(ctx, &e, `SELECT `+columns+` FROM letter_template `+where, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return e, ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("template: reading: %w", err)
	}
	return e, nil
}

// Get returns an edition.
func Get(ctx context.Context, rd postgres.Reader, id string) (Edition, error) {
	return one(ctx, rd, `WHERE id = $1`, id)
}

// InForce returns the edition that papers of a kind are made with. Error: ErrNotFound.
func InForce(ctx context.Context, rd postgres.Reader, kind string) (Edition, error) {
	return one(ctx, rd, `WHERE kind = $1 AND state = 'active'`, kind)
}

// OfPaper returns the edition that a paper was made with; ErrNotFound for one whose
// files are not made, that needs no template, or that is older than the editions.
func OfPaper(ctx context.Context, rd postgres.Reader, documentID string) (Edition, error) {
	return one(ctx, rd, `WHERE (kind, sha256) = (SELECT d.kind, d.template_sha256 FROM document d WHERE d.id = $1)`, documentID)
}

// List returns every edition, by kind, newest first; there are few.
func List(ctx context.Context, rd postgres.Reader) ([]Edition, error) {
	all := []Edition{}
	if err := rd.Select(ctx, &all, `SELECT `+columns+` FROM letter_template ORDER BY kind, edition DESC`); err != nil {
		return nil, fmt.Errorf("template: list: %w", err)
	}
	return all, nil
}

// Unsampled returns the editions whose samples are to be printed, oldest first.
func Unsampled(ctx context.Context, rd postgres.Reader) ([]Edition, error) {
	all := []Edition{}
	if err := rd.Select(ctx, &all, `SELECT `+columns+` FROM letter_template WHERE state = 'offered' ORDER BY offered_at, id`); err != nil {
		return nil, fmt.Errorf("template: unsampled: %w", err)
	}
	return all, nil
}
