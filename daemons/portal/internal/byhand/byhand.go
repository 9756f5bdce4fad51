// Package byhand is the desk of cards that are personalised by hand in another tool:
// how a request's cards are made, their numbers, their Excel, and their results, each
// step one transaction of the office's function. The API and the pages share it.
package byhand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/handsheet"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
)

// maxReason bounds a reason, in characters.
const maxReason = 2000

// Desk is where cards are personalised by hand.
type Desk struct {
	db     *postgres.DB
	office clock.Office
}

// New returns the desk.
func New(db *postgres.DB, office clock.Office) *Desk { return &Desk{db: db, office: office} }

// View is a request at the desk.
type View struct {
	ID     string               `json:"-"`
	Ticket string               `json:"ticket"`
	Mode   capacity.RequestMode `json:"mode"`
	Cards  []perso.HandCard     `json:"cards"`
}

// May says whether a role works at the desk.
func May(role machine.Role) bool { return perso.MayByHand(role) }

// find reads the request with this ticket for somebody who works at the desk. Errors:
// request.ErrNotFound, *machine.RoleError.
func (d *Desk) find(ctx context.Context, rd postgres.Reader, who identity.Account, ticket string) (request.Request, error) {
	r, err := request.ByTicket(ctx, rd, ticket, report.Scope(who))
	trace.Join(ctx, r.TraceParent)
	if err == nil {
		err = perso.Machine.MayEver(perso.EnterVerb, who.Role)
	}
	return r, err
}

// Look reads a request. Errors as of find.
func (d *Desk) Look(ctx context.Context, who identity.Account, ticket string) (v View, err error) {
	err = d.db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		r, err := d.find(ctx, rd, who, ticket)
		if err != nil {
			return err
		}
		v.ID, v.Ticket = r.ID, r.Ticket
		if v.Mode, err = capacity.ModeOf(ctx, rd, r.ID); err != nil {
			return err
		}
		v.Cards, err = perso.HandCards(ctx, rd, r.ID)
		return err
	})
	return v, err
}

// do takes one step with a request and reads it again.
func (d *Desk) do(ctx context.Context, who identity.Account, ticket, reason string,
	step func(ctx context.Context, tx *postgres.Tx, requestID string, ch request.Change) error) (View, error) {
	r, err := d.find(ctx, d.db, who, ticket)
	if err != nil {
		return View{}, err
	}
	if utf8.RuneCountInString(reason) > maxReason {
		return View{}, form.One("/reason", "too_long", "Alasan paling panjang 2.000 karakter.")
	}
	ch := request.Change{Actor: who.Actor(), Reason: strings.TrimSpace(reason), OfficeAt: d.office.Now()}
	if err := d.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error { return step(ctx, tx, r.ID, ch) }); err != nil {
		return View{}, err
	}
	return d.Look(ctx, who, r.Ticket)
}

// SetMode decides how the cards of a request are made that are not released yet; seen
// is the version of the decision that was seen. Errors: as of find and
// capacity.SetMode.
func (d *Desk) SetMode(ctx context.Context, who identity.Account, ticket, mode string, seen int64, reason string) (View, error) {
	return d.do(ctx, who, ticket, reason, func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		_, err := capacity.SetMode(ctx, tx, id, mode, seen, ch)
		return err
	})
}

// Generate gives each card its numbers that has none. Errors: as of find and
// perso.Generate.
func (d *Desk) Generate(ctx context.Context, who identity.Account, ticket string) (View, error) {
	return d.do(ctx, who, ticket, "", func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		_, err := perso.Generate(ctx, tx, id, ch)
		return err
	})
}

// Wipe takes all numbers away. Errors: as of find and perso.Wipe.
func (d *Desk) Wipe(ctx context.Context, who identity.Account, ticket, reason string) (View, error) {
	return d.do(ctx, who, ticket, reason, func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		_, err := perso.Wipe(ctx, tx, id, ch)
		return err
	})
}

// Enter takes the first person's results. What is wrong comes as form.Faults, at
// /results/N/field. Errors: as of find and perso.Enter.
func (d *Desk) Enter(ctx context.Context, who identity.Account, ticket string, entries []perso.Entry) (View, error) {
	v, err := d.enter(ctx, who, ticket, entries)
	var wrong perso.EntryFaults
	if !errors.As(err, &wrong) {
		return v, err
	}
	var faults form.Faults
	for _, f := range wrong {
		faults.Add(fmt.Sprintf("/results/%d/%s", f.Index, f.Field), f.Code, "%s", f.Detail)
	}
	return v, faults
}

func (d *Desk) enter(ctx context.Context, who identity.Account, ticket string, entries []perso.Entry) (View, error) {
	return d.do(ctx, who, ticket, "", func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		if len(entries) == 0 {
			return form.One("/results", "missing", "Isi hasil sekurangnya satu kartu.")
		}
		_, err := perso.Enter(ctx, tx, id, entries, ch)
		return err
	})
}

// Confirm is the second person's word on results. Errors: as of find and
// perso.Confirm.
func (d *Desk) Confirm(ctx context.Context, who identity.Account, ticket string, results []string) (View, error) {
	return d.settle(ctx, who, ticket, results, perso.Confirm)
}

// Retract takes results back that wait. Errors: as of find and perso.Retract.
func (d *Desk) Retract(ctx context.Context, who identity.Account, ticket string, results []string) (View, error) {
	return d.settle(ctx, who, ticket, results, perso.Retract)
}

func (d *Desk) settle(ctx context.Context, who identity.Account, ticket string, results []string,
	step func(ctx context.Context, tx *postgres.Tx, requestID string, ids []string, ch request.Change) error) (View, error) {
	return d.do(ctx, who, ticket, "", func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		if len(results) == 0 {
			return form.One("/results", "missing", "Pilih sekurangnya satu hasil.")
		}
		return step(ctx, tx, id, results, ch)
	})
}

// Sheet writes the request's cards as a workbook. Errors as of find.
func (d *Desk) Sheet(ctx context.Context, who identity.Account, ticket string) (book []byte, name string, err error) {
	v, err := d.Look(ctx, who, ticket)
	if err != nil {
		return nil, "", err
	}
	var b bytes.Buffer
	err = handsheet.Write(&b, v.Ticket, v.Cards)
	return b.Bytes(), handsheet.FileName(v.Ticket), err
}

// errNotWhole takes back what was entered of a workbook that has faults elsewhere.
var errNotWhole = errors.New("byhand: the workbook has other faults")

// Import takes what a workbook says that the office does not know yet: all of it or
// nothing. entered is how many cards it was about. What is wrong in its cells comes at
// once, as form.Faults, at places such as sheet!Data Personalisasi!E7. Errors: as of find
// and perso.Enter.
func (d *Desk) Import(ctx context.Context, who identity.Account, ticket string, book io.ReaderAt, size int64) (v View, entered int, err error) {
	if v, err = d.Look(ctx, who, ticket); err != nil {
		return v, 0, err
	}
	content, wrong, err := handsheet.Read(book, size)
	if err != nil {
		return v, 0, err
	}
	entries, rows, more := content.Entries(v.Cards)
	wrong = append(wrong, more...)
	if len(entries) == 0 {
		return v, 0, sheetFaults(wrong)
	}
	had := v
	v, err = d.do(ctx, who, ticket, "", func(ctx context.Context, tx *postgres.Tx, id string, ch request.Change) error {
		if _, err := perso.Enter(ctx, tx, id, entries, ch); err != nil || len(wrong) == 0 {
			return err
		}
		return errNotWhole
	})
	var faults perso.EntryFaults
	if errors.As(err, &faults) {
		wrong = append(wrong, content.Faults(faults, rows)...)
	}
	if len(wrong) > 0 && (errors.Is(err, errNotWhole) || len(faults) > 0) {
		return had, 0, sheetFaults(wrong)
	}
	return v, len(entries), err
}

func sheetFaults(faults []handsheet.Fault) error {
	handsheet.Sort(faults)
	var all form.Faults
	for _, f := range faults {
		all.Add(f.Pointer(), f.Code, "%s", f.Detail)
	}
	return all.Err()
}
