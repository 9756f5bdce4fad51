package api

import (
	"net/http"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/web"
)

// listSignatories gives who signs, signed and will sign.
func (a *API) listSignatories(w http.ResponseWriter, r *http.Request) error {
	list, err := a.desk.Signatories(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"signatories": list})
	return nil
}

// appointSignatory writes a period of office.
func (a *API) appointSignatory(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	var in struct {
		PostCode  string `json:"post_code"`
		Form      string `json:"form"`
		Name      string `json:"name"`
		NIP       string `json:"nip"`
		Rank      string `json:"rank"`
		Post      string `json:"post"`
		Principal string `json:"principal"`
		Through   string `json:"through"`
		Address   string `json:"address"`
		ValidFrom string `json:"valid_from"`
		ValidTo   string `json:"valid_to"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	s := letter.Signatory{PostCode: in.PostCode, Form: in.Form, Name: in.Name, NIP: in.NIP, Rank: in.Rank, Post: in.Post,
		Principal: in.Principal, Through: in.Through, Address: in.Address}
	var err error
	if s.ValidFrom, err = typedDay("/valid_from", in.ValidFrom); err != nil {
		return err
	}
	last, err := typedDay("/valid_to", in.ValidTo)
	if err != nil {
		return err
	}
	if !last.IsZero() {
		s.ValidTo = &last
	}
	made, err := a.desk.Appoint(r.Context(), signin.Account(r), s)
	if err != nil {
		return err
	}
	web.SetVersion(w, made.Version)
	web.WriteJSON(w, r, http.StatusCreated, made)
	return nil
}

// endTerm ends a period of office.
func (a *API) endTerm(w http.ResponseWriter, r *http.Request) error {
	if !masterdata.May(signin.Account(r).Role) {
		return masterdata.ErrForbidden
	}
	id, version, err := versioned(r)
	if err != nil {
		return err
	}
	var in struct {
		ValidTo string `json:"valid_to"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	last, err := typedDay("/valid_to", in.ValidTo)
	if err != nil {
		return err
	}
	made, err := a.desk.EndTerm(r.Context(), signin.Account(r), id, version, last)
	if err != nil {
		return err
	}
	shown(w, r, made.Version, made)
	return nil
}

// typedDay reads a date; an empty one is none.
func typedDay(pointer, text string) (clock.Date, error) {
	if strings.TrimSpace(text) == "" {
		return clock.Date{}, nil
	}
	d, err := clock.ParseDate(strings.TrimSpace(text))
	if err != nil {
		return d, form.One(pointer, "wrong_type", "Tanggal harus berbentuk TTTT-BB-HH.")
	}
	return d, nil
}
