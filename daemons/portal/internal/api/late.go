package api

import (
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// lateRequests answers with the requests that are late or soon will be.
func (a *API) lateRequests(w http.ResponseWriter, r *http.Request) error {
	q, bad := report.ParseLateQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	list, err := report.Late(r.Context(), a.db, signin.Account(r), q, a.office.Now())
	if err != nil {
		return err
	}
	web.SetNext(w, r, list.Next)
	web.WriteJSON(w, r, http.StatusOK, list)
	return nil
}

// lateActivations answers with the letters for activation that are late or soon will be.
func (a *API) lateActivations(w http.ResponseWriter, r *http.Request) error {
	statuses, bad := report.ParseLateActivationQuery(r.URL.Query())
	if len(bad) > 0 {
		return badParameters(bad)
	}
	list, err := report.LateActivationsOf(r.Context(), a.db, signin.Account(r), statuses, a.office.Now())
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, list)
	return nil
}
