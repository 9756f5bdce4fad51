package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// requestVerbs are the sub-resources that move a request.
var requestVerbs = map[string]machine.Verb{
	"approval": request.Approve, "rejection": request.Reject, "acceptance": request.Accept, "return": request.Return,
	"hold": request.Hold, "release": request.Release, "cancellation": request.Cancel,
}

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
	v, err := report.Load(r.Context(), a.db, chi.URLParam(r, "ticket"), signin.Account(r), a.office.Now())
	if err != nil {
		return err
	}
	web.SetVersion(w, v.Version)
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// take answers a verb of the request: If-Match, one transaction, and the request
// as it then stands.
func (a *API) take(verb machine.Verb) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		seen, err := scoped(r.Context(), a.db, r)
		if err != nil {
			return err
		}
		who := signin.Account(r)
		if err := request.Machine.MayEver(verb, who.Role); err != nil {
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
		if _, err := a.decide.Take(r.Context(), who, seen.Ticket, verb, version, reason); err != nil {
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
	return in.Reason, decisions.CheckReason(in.Reason)
}
