package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) listPKS(w http.ResponseWriter, r *http.Request) error {
	p := readList(r)
	f := institution.PKSFilter{
		InstitutionID: p.id("institution_id"), Search: p.search, After: p.after, Limit: p.limit + 1,
		On: p.one("status", institution.PKSInForce, institution.PKSWithdrawn, institution.PKSExpired, institution.PKSNotYet),
	}
	if err := p.err(); err != nil {
		return err
	}
	list, err := a.desk.ListPKS(r.Context(), signin.Account(r), f)
	if err != nil {
		return err
	}
	writeList(w, r, p, "pks", list, func(p masterdata.PKS) string { return p.ID }, same)
	return nil
}

func (a *API) createPKS(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	var in pksForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	row, err := in.row()
	if err != nil {
		return err
	}
	made, err := a.desk.CreatePKS(r.Context(), signin.Account(r), row)
	if err != nil {
		return err
	}
	created(w, r, "pks/"+made.ID, made.Version, made)
	return nil
}

func (a *API) getPKS(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	v, err := a.desk.PKS(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

// pksVerb answers a change of an agreement.
func (a *API) pksVerb(w http.ResponseWriter, r *http.Request, body any, do func(id string, version int64) (masterdata.PKS, error)) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	if err := decode(r, body); err != nil {
		return err
	}
	made, err := do(id, version)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) changePKS(w http.ResponseWriter, r *http.Request) error {
	var in pksForm
	return a.pksVerb(w, r, &in, func(id string, version int64) (masterdata.PKS, error) {
		row, err := in.row()
		if err != nil {
			return masterdata.PKS{}, err
		}
		row.ID, row.Version = id, version
		return a.desk.ChangePKS(r.Context(), signin.Account(r), row)
	})
}

func (a *API) withdrawPKS(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Date   clock.Date `json:"date"`
		Reason string     `json:"reason"`
	}
	return a.pksVerb(w, r, &in, func(id string, version int64) (masterdata.PKS, error) {
		return a.desk.WithdrawPKS(r.Context(), signin.Account(r), id, version, in.Date, in.Reason)
	})
}

func (a *API) reinstatePKS(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	return a.pksVerb(w, r, &in, func(id string, version int64) (masterdata.PKS, error) {
		return a.desk.ReinstatePKS(r.Context(), signin.Account(r), id, version, in.Reason)
	})
}

// resumePKSReaders resumes the readers that an agreement withdrawn before keeps suspended.
func (a *API) resumePKSReaders(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	return a.pksVerb(w, r, &in, func(id string, version int64) (masterdata.PKS, error) {
		return a.desk.ResumeReaders(r.Context(), signin.Account(r), id, version, in.Reason)
	})
}

// machineForm is what is typed of a machine type; the code of one that exists is
// in the address.
type machineForm struct {
	Code           string   `json:"code"`
	Name           string   `json:"name"`
	UsesReader     bool     `json:"uses_reader"`
	SAMPattern     string   `json:"sam_pattern"`
	ReaderPattern  string   `json:"reader_pattern"`
	SAMExamples    []string `json:"sam_examples"`
	ReaderExamples []string `json:"reader_examples"`
}

func (f machineForm) row() institution.MachineType {
	return institution.MachineType{
		Code: f.Code, Name: f.Name, UsesReader: f.UsesReader, SAMPattern: f.SAMPattern, ReaderPattern: f.ReaderPattern,
		SAMExamples: f.SAMExamples, ReaderExamples: f.ReaderExamples,
	}
}

func (a *API) listMachineTypes(w http.ResponseWriter, r *http.Request) error {
	list, err := a.desk.MachineTypes(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"machine_types": list})
	return nil
}

func (a *API) createMachineType(w http.ResponseWriter, r *http.Request) error {
	var in machineForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.desk.CreateMachineType(r.Context(), signin.Account(r), in.row())
	if err != nil {
		return err
	}
	created(w, r, "machine-types/"+made.Code, made.Version, made)
	return nil
}

func (a *API) getMachineType(w http.ResponseWriter, r *http.Request) error {
	m, err := a.desk.MachineType(r.Context(), signin.Account(r), chi.URLParam(r, "code"))
	if err != nil {
		return err
	}
	shown(w, r, m.Version, m)
	return nil
}

func (a *API) changeMachineType(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	var in machineForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	row := in.row()
	row.Code, row.Version = chi.URLParam(r, "code"), version
	made, err := a.desk.ChangeMachineType(r.Context(), signin.Account(r), row)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) setMachineTypeActive(active bool) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		version, err := web.MatchVersion(r)
		if err != nil {
			return err
		}
		if err := decode(r, &struct{}{}); err != nil {
			return err
		}
		made, err := a.desk.SetMachineTypeActive(r.Context(), signin.Account(r), chi.URLParam(r, "code"), version, active)
		if err != nil {
			return err
		}
		shown(w, r, made.Version, made)
		return nil
	}
}
