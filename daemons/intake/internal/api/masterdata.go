package api

import (
	"net/http"
	"slices"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// listMachineTypes answers with the machine types that a new request may name.
func (a *API) listMachineTypes(w http.ResponseWriter, r *http.Request) error {
	if bad := report.Unknown(r.URL.Query()); len(bad) > 0 {
		return badQuery(bad)
	}
	types, err := institution.MachineTypes(r.Context(), a.db)
	if err != nil {
		return err
	}
	types = slices.DeleteFunc(types, func(m institution.MachineType) bool { return !m.Active })
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"machine_types": types})
	return nil
}

// mostPKS bounds the answer; an institution has one agreement at a time.
const mostPKS = 1000

// ownPKS is an agreement as the institution that has it sees it.
type ownPKS struct {
	Number      string     `json:"number"`
	Institution string     `json:"institution"`
	ValidFrom   clock.Date `json:"valid_from"`
	ValidTo     clock.Date `json:"valid_to"`
	Status      string     `json:"status"` // today
	StatusLabel string     `json:"status_label"`
}

// listPKS answers with the client's own agreements, the newest first. Whoever has
// none hears of none: another's are not told from what does not exist.
func (a *API) listPKS(w http.ResponseWriter, r *http.Request) error {
	if bad := report.Unknown(r.URL.Query()); len(bad) > 0 {
		return badQuery(bad)
	}
	today := clock.Today(a.office)
	list, err := institution.ListPKS(r.Context(), a.db, institution.PKSFilter{
		InstitutionID: client(r.Context()).InstitutionID, Day: today, Limit: mostPKS,
	})
	if err != nil {
		return err
	}
	own := make([]ownPKS, len(list))
	for i, p := range list {
		status := p.On(today)
		own[i] = ownPKS{
			Number: p.Number, Institution: p.Institution, ValidFrom: p.ValidFrom, ValidTo: p.ValidTo,
			Status: status, StatusLabel: institution.PKSLabels[status],
		}
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"pks": own, "next": nil})
	return nil
}
