package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Document is a paper of a request.
type Document struct {
	ID         string        `json:"id"`
	Kind       string        `json:"kind"`
	KindLabel  string        `json:"kind_label"`
	State      machine.State `json:"state"`
	StateLabel string        `json:"state_label"`
	Number     string        `json:"number"`
	Dated      *clock.Date   `json:"dated"`
	SignedOn   *clock.Date   `json:"signed_on"`
	SubjectID  string        `json:"subject_id"` // the request, or the handover of a BAST
	Formats    []string      `json:"formats"`
	// AwaitsNumber says that persuratan has to type its number.
	AwaitsNumber bool `json:"awaits_number"`
	// Replaces is the paper in force whose place it takes by being issued.
	Replaces *string `json:"replaces"`
	// ReplacementAsked says that another is to take its place; until then it is in force.
	ReplacementAsked bool `json:"replacement_asked"`
}

// DocumentFormats are the files of a paper that an account may have: the office
// all, others only papers in force, and never the draft that can be edited.
func DocumentFormats(d letter.Document, outside bool) []string {
	formats := []string{}
	for _, f := range d.Formats() {
		if outside && (f == "docx" || !inForce(d.State)) {
			continue
		}
		formats = append(formats, f)
	}
	return formats
}

// Numberless is what is said of a paper that waits for its number.
const Numberless = "Belum bernomor"

func inForce(s machine.State) bool { return s == letter.Issued || s == letter.Replaced }

func showDocuments(list []letter.Document, outside bool) []Document {
	shown := []Document{}
	for _, d := range list {
		if outside && !inForce(d.State) {
			continue
		}
		one := Document{
			ID: d.ID, Kind: d.Kind, KindLabel: letter.KindLabels[d.Kind], State: d.State,
			StateLabel: letter.Machine.Label(d.State), Dated: d.Dated, SignedOn: d.SignedOn, SubjectID: d.SubjectID,
			Formats: DocumentFormats(d, outside), AwaitsNumber: d.AwaitsNumber && d.State == letter.Drafted, Replaces: d.Replaces, ReplacementAsked: d.ReplacementAsked,
		}
		if one.AwaitsNumber {
			one.StateLabel = Numberless
		}
		if d.Number != nil {
			one.Number = *d.Number
		}
		shown = append(shown, one)
	}
	return shown
}

// Handover is a serah terima.
type Handover struct {
	ID                 string        `json:"id"`
	Ordinal            int           `json:"ordinal"`
	State              machine.State `json:"state"`
	StateLabel         string        `json:"state_label"`
	Version            int64         `json:"version"`
	Quantity           int           `json:"quantity"`
	Received           *int          `json:"received"`
	Representative     string        `json:"representative"`
	RepresentativePost string        `json:"representative_post"`
	DeliveredOn        *clock.Date   `json:"delivered_on"`
	ReceivedOn         *clock.Date   `json:"received_on"`
	CancelledAt        *time.Time    `json:"cancelled_at,omitzero"` // when it was taken back
	CancelReason       string        `json:"cancel_reason,omitzero"`
	CreatedAt          time.Time     `json:"created_at"`

	// Only where one handover is shown by itself.
	Ticket          string              `json:"ticket,omitempty"`
	Offers          []machine.Verb      `json:"offers,omitzero"`
	AppointedAt     *time.Time          `json:"appointed_at,omitzero"`
	AppointmentNote string              `json:"appointment_note,omitzero"`
	Scanned         int                 `json:"scanned,omitzero"` // pieces that were scanned into the tray
	Lines           []handover.Line     `json:"lines,omitzero"`
	Shortages       []handover.Shortage `json:"shortages,omitzero"`
	Secrets         *Secrets            `json:"secrets,omitzero"`
	Cards           []handover.Card     `json:"-"`
	BAST            *Document           `json:"-"`
}

func showHandover(h handover.Handover) Handover {
	return Handover{
		ID: h.ID, Ordinal: h.Ordinal, State: h.State, StateLabel: handover.Machine.Label(h.State), Version: h.Version,
		Quantity: h.Quantity, Received: h.Received, Representative: h.Representative,
		RepresentativePost: h.RepresentativePost, DeliveredOn: h.DeliveredOn, ReceivedOn: h.ReceivedOn, CreatedAt: h.CreatedAt,
		CancelledAt: h.CancelledAt, CancelReason: h.CancelReason,
	}
}

func showHandovers(list []handover.Handover) []Handover {
	shown := []Handover{}
	for _, h := range list {
		shown = append(shown, showHandover(h))
	}
	return shown
}

// LoadHandover reads one handover with its cards. Error: ErrNotFound.
func LoadHandover(ctx context.Context, db *postgres.DB, id string, a identity.Account) (*Handover, error) {
	var v Handover
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		h, err := handover.Get(ctx, rd, id)
		if errors.Is(err, handover.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		r, err := request.Get(ctx, rd, h.RequestID)
		if err != nil {
			return err
		}
		if scope := Scope(a); scope != "" && scope != r.InstitutionID {
			return ErrNotFound
		}
		v = showHandover(h)
		v.Ticket, v.Offers = r.Ticket, append([]machine.Verb{}, handover.Machine.Offers(h.State, a.Role)...)
		v.AppointedAt, v.AppointmentNote = h.AppointedAt, h.AppointmentNote
		cards := handover.Cards
		if h.State == handover.Cancelled {
			cards = handover.TakenBack
		}
		if v.Cards, err = cards(ctx, rd, h.ID); err != nil {
			return err
		}
		for _, c := range v.Cards {
			if c.Scanned {
				v.Scanned++
			}
		}
		if v.Lines, err = handover.Lines(ctx, rd, h.ID); err != nil {
			return err
		}
		if v.Shortages, err = handover.Shortages(ctx, rd, h.ID); err != nil {
			return err
		}
		if v.Secrets, err = secrets(ctx, rd, h.ID); err != nil {
			return err
		}
		v.Lines, v.Shortages = notNil(v.Lines), notNil(v.Shortages)
		bast, err := letter.Living(ctx, rd, letter.BAST, h.ID)
		if errors.Is(err, letter.ErrNotFound) {
			return nil
		}
		if shown := showDocuments([]letter.Document{bast}, Outside(a)); err == nil && len(shown) == 1 {
			v.BAST = &shown[0]
		}
		return err
	})
	return &v, err
}

// PaperTickets are the Kode Tiket that papers belong to, by paper: that of the request, or
// of the letter of readers. A paper of neither has none.
func PaperTickets(ctx context.Context, rd postgres.Reader, ids []string) (map[string]string, error) {
	var rows []struct {
		ID     string `db:"id"`
		Ticket string `db:"ticket"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT d.id, coalesce(r.ticket, l.ticket) AS ticket FROM document d
		LEFT JOIN request r ON r.id = d.request_id
		LEFT JOIN activation_reply y ON d.kind = $2 AND y.id = d.subject_id LEFT JOIN activation_letter l ON l.id = y.letter_id
		WHERE d.id = ANY ($1::uuid[]) AND coalesce(r.ticket, l.ticket) IS NOT NULL`, pq.Array(ids), letter.ActivationReply); err != nil {
		return nil, fmt.Errorf("report: tickets of papers: %w", err)
	}
	tickets := make(map[string]string, len(rows))
	for _, r := range rows {
		tickets[r.ID] = r.Ticket
	}
	return tickets, nil
}
