// Package report is what people see of a request: one read model for the API and
// the pages. It reads a request whole, in few queries and on one snapshot, and
// leaves out what is not for the eyes of whoever asks.
package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// ErrNotFound says that there is no such row, or none that the asker may know
// of.
var ErrNotFound = errors.New("report: not found")

// Machines are the tables of everything that a request's page shows.
var Machines = []*machine.Table{request.Machine, capacity.Machine, perso.Machine, letter.Machine, handover.Machine}

// Scope is the institution whose requests an account sees; empty for the
// office's own people, who see all.
func Scope(a identity.Account) string {
	if a.InstitutionID == nil {
		return ""
	}
	return *a.InstitutionID
}

// Outside says whether an account is not of the office: it is spared the
// office's internals.
func Outside(a identity.Account) bool { return a.InstitutionID != nil }

// Request is a request as it is shown. The JSON names are the API.
type Request struct {
	ID            string        `json:"id"`
	Ticket        string        `json:"ticket"`
	Kind          string        `json:"kind"`
	KindLabel     string        `json:"kind_label"`
	Title         string        `json:"title"`
	Reference     string        `json:"reference"`
	Institution   string        `json:"institution"`
	State         machine.State `json:"state"`
	StateLabel    string        `json:"state_label"`
	Reason        string        `json:"reason"` // why it was returned, rejected, held or cancelled
	Version       int64         `json:"version"`
	Submission    int           `json:"submission"`
	CreatedAt     time.Time     `json:"created_at"`
	Percent       int           `json:"percent"`
	CardCount     int           `json:"card_count"`
	MachineType   string        `json:"machine_type"`
	MachineLabel  string        `json:"machine_type_label"`
	SAMFunction   string        `json:"sam_function"`
	PKSNumber     string        `json:"pks_number"`
	Notes         string        `json:"notes"`
	Letter        Letter        `json:"letter"`
	DispositionOn *clock.Date   `json:"disposition_date"`

	Lines  []Line                  `json:"lines"`
	Orders []request.PurchaseOrder `json:"purchase_orders"`
	Files  []File                  `json:"files"`

	// WaitingFor are the roles that must act next; Waiting says what they have
	// to do.
	WaitingFor []machine.Role `json:"waiting_for"`
	Waiting    []Wait         `json:"waiting"`
	// Offers are the verbs and facts that whoever asks can do now.
	Offers []string `json:"offers"`
	Facts  []Fact   `json:"facts"`
	// Findings are what the validator found in the newest submission.
	Findings  []validation.Finding `json:"findings"`
	Estimate  *capacity.Estimate   `json:"estimate"`
	Cards     perso.Tally          `json:"cards"`
	Documents []Document           `json:"documents"`
	Handovers []Handover           `json:"handovers"`
	// Handing is how far the cards are handed over.
	Handing Handing `json:"handing"`
	// SecretKey is what the secrets of its cards are encrypted for.
	SecretKey SecretKey `json:"secret_key"`
	// Clock is how it stands in time.
	Clock    stage.Clock `json:"clock"`
	Timeline []Event     `json:"timeline"`
}

// Letter is the letter that a request came with.
type Letter struct {
	Sender  string     `json:"sender"`
	Post    string     `json:"post"`
	Number  string     `json:"number"`
	Date    clock.Date `json:"date"`
	Subject string     `json:"subject"`
}

// File is a file that the applicant sent.
type File struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Label string `json:"label"`
	Name  string `json:"name"`
}

var fileLabels = map[string]string{
	request.FileLetter: "Surat permohonan", request.FilePurchaseOrder: "Purchase order (PO)",
	request.FilePKS: "Perjanjian kerja sama (PKS)", request.FileCardList: "Daftar kartu",
}

// Fact is something that was stated of a request.
type Fact struct {
	request.Fact
	Label string    `json:"label"`
	At    time.Time `json:"at" db:"at"`
}

// Load reads the request with this ticket as an account sees it, and as it stands
// in time at a moment of the office's clock. Error: ErrNotFound.
func Load(ctx context.Context, db *postgres.DB, ticket string, a identity.Account, officeAt time.Time) (*Request, error) {
	return load(ctx, db, a, officeAt, func(ctx context.Context, rd postgres.Reader) (request.Request, error) {
		return request.ByTicket(ctx, rd, ticket, Scope(a))
	})
}

// LoadID is Load by the request's id.
func LoadID(ctx context.Context, db *postgres.DB, id string, a identity.Account, officeAt time.Time) (*Request, error) {
	return load(ctx, db, a, officeAt, func(ctx context.Context, rd postgres.Reader) (request.Request, error) {
		r, err := request.Get(ctx, rd, id)
		if err != nil {
			return r, err
		}
		if scope := Scope(a); scope != "" && r.InstitutionID != scope {
			return r, request.ErrNotFound
		}
		return r, r.LoadParts(ctx, rd)
	})
}

func load(ctx context.Context, db *postgres.DB, a identity.Account, officeAt time.Time,
	find func(context.Context, postgres.Reader) (request.Request, error)) (*Request, error) {
	var v *Request
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := find(ctx, rd)
		if errors.Is(err, request.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		trace.Join(ctx, r.TraceParent)
		v, err = assemble(ctx, rd, r, a, officeAt)
		return err
	})
	return v, err
}

// assemble reads everything that belongs to a request.
func assemble(ctx context.Context, rd postgres.Reader, r request.Request, a identity.Account, officeAt time.Time) (*Request, error) {
	v := &Request{
		ID: r.ID, Ticket: r.Ticket, Kind: r.Kind, KindLabel: request.KindLabels[r.Kind], Title: r.Title,
		Reference: r.Reference, Institution: r.Institution, State: r.State, StateLabel: request.Machine.Label(r.State),
		Version: r.Version, Submission: r.Submission, CreatedAt: r.CreatedAt, CardCount: r.CardCount,
		MachineType: r.MachineType, SAMFunction: r.SAMFunction, PKSNumber: r.PKSNumber, Notes: r.Notes,
		Letter:        Letter{Sender: r.Sender, Post: r.Post, Number: r.Number, Date: r.Letter.Date, Subject: r.Subject},
		DispositionOn: r.DispositionDate, Orders: notNil(r.Orders),
		Files: []File{}, WaitingFor: []machine.Role{}, Facts: []Fact{}, Findings: []validation.Finding{},
	}
	outside := Outside(a)
	applicant, err := institution.Get(ctx, rd, r.InstitutionID)
	if err != nil {
		return nil, err
	}
	kind, err := institution.MachineTypeByCode(ctx, rd, r.MachineType)
	if err != nil {
		return nil, err
	}
	v.MachineLabel = kind.Name
	if v.Lines, err = showLines(ctx, rd, r); err != nil {
		return nil, err
	}
	if err := v.readApplication(ctx, rd, r, outside); err != nil {
		return nil, err
	}
	if v.Cards, err = perso.Counts(ctx, rd, r.ID); err != nil {
		return nil, err
	}
	if v.Estimate, err = capacity.EstimateOf(ctx, rd, r.ID); err != nil {
		return nil, err
	}
	documents, err := letter.List(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	handovers, err := handover.List(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	if v.Timeline, err = timeline(ctx, rd, r.ID, v.Facts, outside); err != nil {
		return nil, err
	}
	if v.SecretKey, err = secretKey(ctx, rd, r.InstitutionID); err != nil {
		return nil, err
	}
	v.Reason = reason(v.State, v.Timeline)
	v.Handovers, v.Handing = showHandovers(handovers), handing(v.Cards, handovers)
	v.Documents = showDocuments(documents, outside)
	v.Percent = percent(v, documents, handovers)
	if err := v.readTimes(ctx, rd, r, machine.Role(applicant.Kind), documents, handovers, officeAt); err != nil {
		return nil, err
	}
	for _, w := range v.Waiting {
		v.WaitingFor = appendNew(v.WaitingFor, w.Role)
	}
	v.Waiting, v.Documents, v.Handovers = notNil(v.Waiting), notNil(v.Documents), notNil(v.Handovers)
	v.Offers = offers(v.State, a.Role, outside)
	if outside {
		for i := range v.Facts {
			v.Facts[i].Actor, v.Facts[i].Detail = "", nil
		}
	}
	return v, nil
}

// readTimes reads the clock of a request, who must act next and since when.
func (v *Request) readTimes(ctx context.Context, rd postgres.Reader, r request.Request, applicant machine.Role,
	documents []letter.Document, handovers []handover.Handover, officeAt time.Time) error {
	reckoner, err := stage.NewReckoner(ctx, rd, officeAt)
	if err != nil {
		return err
	}
	clocks, err := reckoner.Clocks(ctx, rd, []string{r.ID})
	if err != nil {
		return err
	}
	all, err := readArrivals(ctx, rd, []request.Request{r})
	if err != nil {
		return err
	}
	v.Clock = clocks[r.ID]
	waiting := waitList(waits(v, applicant, documents, handovers, all[r.ID]))
	if err := waiting.underWithdrawn(ctx, rd, r, all[r.ID]); err != nil {
		return err
	}
	v.Waiting = waiting.reckoned(reckoner)
	return nil
}

// reason is what was said at the step that led to a state in which somebody asks
// why.
func reason(state machine.State, newestFirst []Event) string {
	switch state {
	case request.Returned, request.Rejected, request.Held, request.Cancelled:
		for _, e := range newestFirst {
			if e.Machine == request.Machine.Name {
				return e.Reason
			}
		}
	}
	return ""
}

// readApplication reads what the applicant sent and what was found and stated
// about it.
func (v *Request) readApplication(ctx context.Context, rd postgres.Reader, r request.Request, outside bool) error {
	files, err := request.Files(ctx, rd, r)
	if err != nil {
		return err
	}
	for _, f := range files {
		v.Files = append(v.Files, File{ID: f.BlobID, Kind: f.Kind, Label: fileLabels[f.Kind], Name: f.Name})
	}
	if v.Facts, err = readFacts(ctx, rd, r.ID); err != nil {
		return err
	}
	v.Findings, err = validation.Load(ctx, rd, r.ID, r.Submission)
	return err
}

// readFacts returns what was stated of a request, oldest first.
func readFacts(ctx context.Context, rd postgres.Reader, requestID string) ([]Fact, error) {
	facts := []Fact{}
	if err := rd.Select(ctx, &facts, `
		SELECT fact, detail, actor, office_at, at FROM request_fact WHERE request_id=$1 ORDER BY at, fact`, requestID); err != nil {
		return nil, fmt.Errorf("report: facts: %w", err)
	}
	for i := range facts {
		facts[i].Label = request.FactLabels[facts[i].Fact.Fact]
	}
	return facts, nil
}

// offers are the request's verbs that a role can do in a state, and the facts
// that it can state.
func offers(state machine.State, role machine.Role, outside bool) []string {
	list := []string{}
	for _, verb := range request.Machine.Offers(state, role) {
		if outside && verb == request.Resubmit {
			continue // it goes through the intake, with its files
		}
		list = append(list, string(verb))
	}
	return append(list, request.FactOffers(state, role)...)
}

func appendNew[T comparable](list []T, one T) []T {
	for _, have := range list {
		if have == one {
			return list
		}
	}
	return append(list, one)
}
