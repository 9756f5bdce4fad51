package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountMasterData adds the routes of what requests rest on.
func (a *API) mountMasterData(r chi.Router) {
	r.Get("/institutions", handle(a.listInstitutions))
	r.Post("/institutions", handle(a.createInstitution))
	r.Get("/institutions/{id}", handle(a.getInstitution))
	r.Put("/institutions/{id}", handle(a.changeInstitution))
	r.Post("/institutions/{id}/deactivation", handle(a.setInstitutionActive(false)))
	r.Post("/institutions/{id}/activation", handle(a.setInstitutionActive(true)))
	r.Get("/pks", handle(a.listPKS))
	r.Post("/pks", handle(a.createPKS))
	r.Get("/pks/{id}", handle(a.getPKS))
	r.Put("/pks/{id}", handle(a.changePKS))
	r.Post("/pks/{id}/withdrawal", handle(a.withdrawPKS))
	r.Post("/pks/{id}/reinstatement", handle(a.reinstatePKS))
	r.Post("/pks/{id}/readers-resumption", handle(a.resumePKSReaders))
	r.Get("/machine-types", handle(a.listMachineTypes))
	r.Post("/machine-types", handle(a.createMachineType))
	r.Get("/machine-types/{code}", handle(a.getMachineType))
	r.Put("/machine-types/{code}", handle(a.changeMachineType))
	r.Post("/machine-types/{code}/deactivation", handle(a.setMachineTypeActive(false)))
	r.Post("/machine-types/{code}/activation", handle(a.setMachineTypeActive(true)))
	r.Get("/signatories", handle(a.listSignatories))
	r.Post("/signatories", handle(a.appointSignatory))
	r.Post("/signatories/{id}/ending", handle(a.endTerm))
	r.Get("/accounts", handle(a.listPeople))
	r.Post("/accounts", handle(a.createPerson))
	r.Get("/accounts/{id}", handle(a.getPerson))
	r.Put("/accounts/{id}", handle(a.changePerson))
	r.Post("/accounts/{id}/deactivation", handle(a.setPersonActive(false)))
	r.Post("/accounts/{id}/activation", handle(a.setPersonActive(true)))
	r.Post("/accounts/{id}/password-reset", handle(a.resetPassword))
	r.Get("/account-changes", handle(a.listChanges))
	r.Get("/account-changes/{id}", handle(a.getChange))
	r.Post("/account-changes/{id}/confirmation", handle(a.confirmChange))
	r.Post("/account-changes/{id}/refusal", handle(a.refuseChange))
	r.Get("/api-keys", handle(a.listKeys))
	r.Post("/api-keys", handle(a.makeKey))
	r.Post("/api-keys/{id}/revocation", handle(a.revokeKey))
}

const (
	rowsDefault = 50
	rowsMost    = 100
)

// listParams are the parameters that every list has (users.md E6).
type listParams struct {
	values url.Values
	search string
	after  string // the id in the mark; empty for the beginning
	limit  int
	bad    []report.BadParameter
}

func readList(r *http.Request) *listParams {
	p := &listParams{values: r.URL.Query(), limit: rowsDefault}
	p.search = strings.TrimSpace(p.values.Get("search"))
	if len(p.search) > 200 || !utf8.ValidString(p.search) || strings.ContainsRune(p.search, 0) {
		p.fault("search", "too_long", "Kata pencarian paling panjang 200 bita dan berupa teks biasa.")
	}
	if text := p.values.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > rowsMost {
			p.fault("limit", "out_of_range", "Jumlah baris antara 1 dan 100.")
		}
		p.limit = n
	}
	if text := p.values.Get("after"); text != "" {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		id, uerr := uuid.FromBytes(raw)
		if err != nil || uerr != nil {
			p.fault("after", "wrong_type", "Penanda halaman ini bukan yang diberikan pada halaman sebelumnya.")
		}
		p.after = id.String()
	}
	return p
}

func (p *listParams) fault(name, code, detail string) {
	p.bad = append(p.bad, report.BadParameter{Name: name, Code: code, Detail: detail})
}

// one is a parameter with one of the known values, or empty.
func (p *listParams) one(name string, known ...string) string {
	text := p.values.Get(name)
	for _, k := range append(known, "") {
		if text == k {
			return text
		}
	}
	p.fault(name, "unknown_value", "Nilai ini tidak dikenal.")
	return ""
}

// flag is a parameter that is true, false, or not given.
func (p *listParams) flag(name string) *bool {
	switch p.one(name, "true", "false") {
	case "true":
		return new(true)
	case "false":
		return new(false)
	}
	return nil
}

// id is a parameter that is the id of a row, or empty.
func (p *listParams) id(name string) string {
	text := p.values.Get(name)
	if text == "" {
		return ""
	}
	id, err := uuid.Parse(text)
	if err != nil {
		p.fault(name, "wrong_type", "Isi dengan UUID.")
	}
	return id.String()
}

func (p *listParams) err() error {
	if len(p.bad) > 0 {
		return badParameters(p.bad)
	}
	return nil
}

// writeList answers a list that was read with one row more than is shown, which
// tells whether there are more.
func writeList[T, V any](w http.ResponseWriter, r *http.Request, p *listParams, name string, rows []T, id func(T) string, show func(T) V) {
	var next *string
	if len(rows) > p.limit {
		rows = rows[:p.limit]
		u := uuid.MustParse(id(rows[len(rows)-1])) // the database's own
		next = new(base64.RawURLEncoding.EncodeToString(u[:]))
	}
	shown := make([]V, len(rows))
	for i, row := range rows {
		shown[i] = show(row)
	}
	web.SetNext(w, r, next)
	web.WriteJSON(w, r, http.StatusOK, map[string]any{name: shown, "next": next})
}

// same shows a row as it is.
func same[T any](row T) T { return row }

// created answers with a new row.
func created(w http.ResponseWriter, r *http.Request, at string, version int64, v any) {
	w.Header().Set("Location", "/api/v1/"+at)
	web.SetVersion(w, version)
	web.WriteJSON(w, r, http.StatusCreated, v)
}

func shown(w http.ResponseWriter, r *http.Request, version int64, v any) {
	web.SetVersion(w, version)
	web.WriteJSON(w, r, http.StatusOK, v)
}

// versioned is the row and version of a change.
func versioned(r *http.Request) (id string, version int64, err error) {
	if id, err = rowID(r); err != nil {
		return "", 0, err
	}
	version, err = web.MatchVersion(r)
	return id, version, err
}

// institutionForm is what is typed of an institution.
type institutionForm struct {
	Kind           string `json:"kind"`
	Name           string `json:"name"`
	Address        string `json:"address"`
	Representative string `json:"representative"`
	Post           string `json:"post"`
	Email          string `json:"email"`
	Phone          string `json:"phone"`
}

func (f institutionForm) row() institution.Institution {
	return institution.Institution{
		Kind: f.Kind, Name: f.Name, Address: f.Address, Representative: f.Representative, Post: f.Post, Email: f.Email, Phone: f.Phone,
	}
}

func (a *API) listInstitutions(w http.ResponseWriter, r *http.Request) error {
	p := readList(r)
	f := institution.Filter{Active: p.flag("active"), Search: p.search, After: p.after, Limit: p.limit + 1}
	if kind := p.one("kind", institution.Kinds...); kind != "" {
		f.Kinds = []string{kind}
	}
	if err := p.err(); err != nil {
		return err
	}
	list, err := a.desk.Institutions(r.Context(), signin.Account(r), f)
	if err != nil {
		return err
	}
	writeList(w, r, p, "institutions", list, func(i institution.Institution) string { return i.ID }, same)
	return nil
}

func (a *API) createInstitution(w http.ResponseWriter, r *http.Request) error {
	var in institutionForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	made, err := a.desk.CreateInstitution(r.Context(), signin.Account(r), in.row())
	if err != nil {
		return err
	}
	created(w, r, "institutions/"+made.ID, made.Version, made)
	return nil
}

func (a *API) getInstitution(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	v, err := a.desk.Institution(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	shown(w, r, v.Version, v)
	return nil
}

func (a *API) changeInstitution(w http.ResponseWriter, r *http.Request) error {
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	var in institutionForm
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	row := in.row()
	row.ID, row.Version = id, version
	made, err := a.desk.ChangeInstitution(r.Context(), signin.Account(r), row)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

func (a *API) setInstitutionActive(active bool) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, version, err := versioned(r)
		if err != nil {
			return err
		}
		if err := decode(r, &struct{}{}); err != nil {
			return err
		}
		made, err := a.desk.SetInstitutionActive(r.Context(), signin.Account(r), id, version, active)
		if err != nil {
			return err
		}
		shown(w, r, made.Version, made)
		return nil
	}
}

// pksForm is what is typed of a PKS.
type pksForm struct {
	Number        string     `json:"number"`
	InstitutionID string     `json:"institution_id"`
	ValidFrom     clock.Date `json:"valid_from"`
	ValidTo       clock.Date `json:"valid_to"`
}

func (f pksForm) row() (institution.PKS, error) {
	id, err := uuid.Parse(f.InstitutionID)
	if err != nil {
		return institution.PKS{}, invalid("/institution_id", "unknown_value", "Pilih lembaga pengguna yang terdaftar.")
	}
	return institution.PKS{Number: f.Number, InstitutionID: id.String(), ValidFrom: f.ValidFrom, ValidTo: f.ValidTo}, nil
}
