package api

import (
	"context"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// requestVerbs are the sub-resources that move a request.
var requestVerbs = map[string]machine.Verb{
	"approval": request.Approve, "rejection": request.Reject, "acceptance": request.Accept, "return": request.Return,
	"hold": request.Hold, "release": request.Release, "cancellation": request.Cancel,
}

// first is what a verb wants to be true, and to stay true until its transaction
// ends.
var first = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error{
	request.Accept: func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error {
		if r.State != request.Approved || r.Kind == request.KindRekamCetak { // which has no readers and no PKS (features.md N11)
			return nil
		}
		return institution.HoldPKS(ctx, tx, r.PKSNumber, clock.DateOf(c.OfficeAt))
	},
}

// follow is what else a verb does, in the same transaction.
var follow = map[machine.Verb]func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error{
	request.Accept: func(ctx context.Context, tx *postgres.Tx, r request.Request, c request.Change) error {
		_, err := perso.Enlist(ctx, tx, r.ID, c.Actor, c.OfficeAt)
		return err
	},
	request.Return: freeSerials, request.Reject: freeSerials, request.Cancel: freeSerials,
}

func freeSerials(ctx context.Context, tx *postgres.Tx, r request.Request, _ request.Change) error {
	return cardlist.Free(ctx, tx, r.ID)
}

const maxReason = 2000 // characters

func (a *API) listRequests(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	page, err := report.List(r.Context(), a.db, signin.Account(r), q)
	if err != nil {
		return err
	}
	web.SetNext(w, r, page.Next)
	web.WriteJSON(w, r, http.StatusOK, page)
	return nil
}

func badParameters(bad []report.BadParameter) error {
	var errors []web.FieldError
	for _, p := range bad {
		errors = append(errors, web.FieldError{Pointer: "/" + p.Name, Code: p.Code, Detail: p.Detail})
	}
	return web.BadRequest("Parameter pada alamat tidak benar.", errors...)
}

func (a *API) getRequest(w http.ResponseWriter, r *http.Request) error {
	v, err := report.Load(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r))
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// mayEver says whether a role has a verb in any state at all.
func mayEver(t *machine.Table, verb machine.Verb, role machine.Role) error {
	for _, s := range t.Steps {
		if s.Verb == verb && slices.Contains(s.Roles, role) {
			return nil
		}
	}
	return &machine.RoleError{Machine: t.Name, Verb: verb, Role: role}
}

// take answers a verb of the request: If-Match, one transaction, and the request
// as it then stands.
func (a *API) take(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		seen, err := scoped(r.Context(), a.db, r)
		if err != nil {
			return err
		}
		if err := mayEver(request.Machine, verb, signin.Account(r).Role); err != nil {
			return err
		}
		version, err := web.MatchVersion(r)
		if err != nil {
			return err
		}
		reason, err := readReason(r)
		if err != nil {
			return err
		}
		c := a.change(r, reason)
		err = a.db.InTx(r.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			now, err := scoped(ctx, tx, r)
			if err != nil {
				return err
			}
			if now.Version != version {
				return postgres.ErrStale
			}
			if before := first[verb]; before != nil {
				if err := before(ctx, tx, now, c); err != nil {
					return err
				}
			}
			next, err := request.Take(ctx, tx, now, verb, c)
			if err != nil {
				return err
			}
			if more := follow[verb]; more != nil {
				if err := more(ctx, tx, next, c); err != nil {
					return err
				}
			}
			return note(ctx, tx, c, "request."+string(verb), next.ID, next.ID,
				map[string]any{"from": now.State, "to": next.State, "version": next.Version})
		})
		if err != nil {
			return err
		}
		return a.showRequest(w, r, seen.ID)
	}
}

func readReason(r *http.Request) (string, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &in); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(in.Reason) > maxReason {
		return "", invalid("/reason", "too_long", "Alasan paling panjang 2.000 karakter.")
	}
	return in.Reason, nil
}
