package api

import (
	"errors"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) startSession(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	_, err := a.door.Enter(w, r, in.Username, in.Password)
	switch {
	case errors.Is(err, signin.ErrRefused):
		w.Header().Set("WWW-Authenticate", `Cookie realm="SI-FILMA"`)
		return web.Unauthorized("Nama pengguna atau kata sandi salah.").WithCode("login-refused")
	case errors.Is(err, signin.ErrExpired):
		w.Header().Set("WWW-Authenticate", `Cookie realm="SI-FILMA"`)
		return web.Unauthorized(signin.Expired).WithCode("password-expired")
	case errors.Is(err, signin.ErrTooMany):
		return tooManyLogins()
	case err != nil:
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func tooManyLogins() error {
	p := web.TooMany(signin.RetryAfter()).WithCode("too-many-logins")
	p.Detail = "Terlalu banyak percobaan masuk yang gagal. Coba lagi dalam 15 menit."
	return p
}

// changePassword gives whoever asks another password (features.md A16).
func (a *API) changePassword(w http.ResponseWriter, r *http.Request) error {
	var in signin.NewPassword
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	if err := a.door.ChangePassword(r, in); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) endSession(w http.ResponseWriter, r *http.Request) error {
	if err := a.door.Leave(w, r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) me(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	web.WriteJSON(w, r, http.StatusOK, struct {
		Username    string       `json:"username"`
		Name        string       `json:"name"`
		Role        machine.Role `json:"role"`
		RoleLabel   string       `json:"role_label"`
		Institution *string      `json:"institution"`
		// InstitutionID leads to the institution's data and keys.
		InstitutionID *string `json:"institution_id"`
		MustChange    bool    `json:"must_change_password"`
	}{who.Username, who.Name, who.Role, request.RoleLabels[who.Role], who.Institution, who.InstitutionID, who.MustChange})
	return nil
}
