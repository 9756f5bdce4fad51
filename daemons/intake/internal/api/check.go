package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/intake/internal/commit"
	"dukcapil.go.id/sifilma/daemons/intake/internal/drop"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/trace"
	"dukcapil.go.id/sifilma/pkg/validation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// judgedAtOnce is how many card lists are judged at the same time for clients that
// wait for the answer.
const judgedAtOnce = 2

// checked is what would become of a drop.
type checked struct {
	// Acceptable says that the drop would be taken and pass the check.
	Acceptable bool `json:"acceptable"`
	// Errors are what the intake itself would refuse the drop for.
	Errors []web.FieldError `json:"errors"`
	// Findings are what the check would say of it, as far as it could be read.
	Findings []validation.Finding `json:"findings"`
	// Cards is how many rows the card list has; nil when it cannot be read.
	Cards *int `json:"cards"`
}

// check judges a drop by the rules of the intake and of the validator, and keeps
// nothing of it. The parameter ticket names the returned request that the drop
// would correct. Whoever accepts a workbook gets the card list with its findings
// marked in it, when it has some.
func (a *API) check(w http.ResponseWriter, r *http.Request) (err error) {
	result := "check_refused"
	defer func() { a.counted.WithLabelValues(result).Inc() }()
	ctx, c := r.Context(), client(r.Context())
	actor, err := applicant(c)
	if err != nil {
		return err
	}
	is := request.Request{InstitutionID: c.InstitutionID, Institution: c.Institution}
	if ticket := r.URL.Query().Get("ticket"); ticket != "" {
		is, err = request.ByTicket(ctx, a.db, ticket, c.InstitutionID)
		if errors.Is(err, request.ErrNotFound) {
			return noSuchTicket()
		}
		if err != nil {
			return err
		}
		trace.Join(ctx, is.TraceParent)
		if is.State != request.Returned {
			return commit.NotReturned(is)
		}
	}
	d, faults, err := a.drops.Examine(ctx, r, clock.Today(a.office), is.Reference)
	if err != nil {
		return err
	}
	defer d.Close()
	out := checked{Errors: faults, Findings: []validation.Finding{}}
	if !d.Unread {
		if out.Errors, err = a.refusals(ctx, out.Errors, d.Form, c, actor.Role, is, true); err != nil {
			return err
		}
	}
	if err := a.judge(ctx, &out, is, d); err != nil {
		return err
	}
	if out.Errors == nil {
		out.Errors = []web.FieldError{}
	}
	out.Acceptable = len(out.Errors) == 0 && len(validation.Errors(out.Findings)) == 0
	result = "checked"
	w.Header().Set("Vary", "Accept")
	if wantsWorkbook(r) {
		if sent, err := a.sendMarked(w, r, is, d, out); sent || err != nil {
			return err
		}
	}
	web.WriteJSON(w, r, http.StatusOK, out)
	return nil
}

// Markable says whether there is something to mark in the card list of this check.
func (c checked) Markable() bool { return validation.Markable(c.Findings) }

func has(faults []web.FieldError, pointer string) bool {
	return slices.ContainsFunc(faults, func(f web.FieldError) bool { return f.Pointer == pointer })
}

// refusals adds what the intake would say of the form beside the faults found in
// it: master data, and with reference that the No. Pengajuan is used. Whoever then
// writes the drop asks that himself, since it may be his own first try that used it.
func (a *API) refusals(ctx context.Context, faults []web.FieldError, f request.Form, c identity.Client, role machine.Role,
	is request.Request, reference bool) ([]web.FieldError, error) {
	if !has(faults, "/machine_type") {
		var err error
		if faults, err = added(faults, a.known(ctx, f, role, is.MachineType)); err != nil {
			return nil, err
		}
	}
	claims := f.Claims(c.InstitutionID)
	claims.RequestID = is.ID
	needed, err := need.Look(ctx, a.db, claims)
	if err != nil {
		return nil, err
	}
	for _, e := range lineFaults(needed) {
		if !has(faults, e.Pointer) {
			faults = append(faults, e)
		}
	}
	if !reference || is.ID != "" || f.Reference == "" || has(faults, "/reference") {
		return faults, nil
	}
	used, err := request.ReferenceUsed(ctx, a.db, c.InstitutionID, f.Reference)
	if err != nil || !used {
		return faults, err
	}
	return added(faults, a.refusal(ctx, request.ErrReferenceUsed, c, f))
}

// added adds the faults of a refusal where none is known yet; other errors stay.
func added(faults []web.FieldError, refusal error) ([]web.FieldError, error) {
	p := (*web.Problem)(nil)
	if !errors.As(refusal, &p) {
		return faults, refusal
	}
	for _, e := range p.Errors {
		if !has(faults, e.Pointer) {
			faults = append(faults, e)
		}
	}
	return faults, nil
}

// idle says whether a finding says nothing beside the form's own faults: it is about
// a field that has one, or compares with it.
func idle(f validation.Finding, faults []web.FieldError) bool {
	return slices.ContainsFunc(faults, func(e web.FieldError) bool {
		switch f.Code {
		case "lines_count":
			return e.Pointer == "/card_count" || e.Pointer == "/lines" || strings.HasPrefix(e.Pointer, "/lines/")
		case "machine_type_kind":
			return e.Pointer == "/kind" || e.Pointer == f.Pointer
		case "pks_not_in_force":
			return e.Pointer == "/letter/date" || e.Pointer == f.Pointer
		}
		return e.Pointer == f.Pointer
	})
}

// judge adds what the validator would find.
func (a *API) judge(ctx context.Context, out *checked, is request.Request, d *drop.Drop) error {
	file := cardListOf(d)
	if file == nil || has(out.Errors, file.Pointer) {
		return nil
	}
	select {
	case a.judging <- struct{}{}:
		defer func() { <-a.judging }()
	case <-ctx.Done():
		return ctx.Err()
	}
	list, err := validation.ReadList(file.Content(), file.Size)
	if err != nil {
		return err
	}
	if !list.Unreadable {
		n := list.Len()
		out.Cards = &n
	}
	if d.Unread { // the form says nothing that the list could be held against
		out.Findings = append(out.Findings, list.Faults...)
		return nil
	}
	is.Form = d.Form
	if is.ID == "" {
		is.ID = uuid.Nil.String() // no request has it, so that the serials of all are others'
	}
	found, err := validation.Check(ctx, a.db, is, list, clock.Today(a.office))
	if err != nil {
		return err
	}
	for _, f := range found {
		if !idle(f, out.Errors) {
			out.Findings = append(out.Findings, f)
		}
	}
	return nil
}
