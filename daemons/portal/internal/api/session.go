package api

import (
	"errors"
	"net/http"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
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

const (
	daysShown = 30
	daysMost  = 366
)

func (a *API) days(w http.ResponseWriter, r *http.Request) error {
	if report.Outside(signin.Account(r)) {
		return web.Forbidden("Papan kapasitas hanya untuk pegawai Ditjen Dukcapil.")
	}
	from, err := dateParam(r, "from", clock.Today(a.office))
	if err != nil {
		return err
	}
	to, err := dateParam(r, "to", from.AddDays(daysShown))
	if err != nil {
		return err
	}
	if to.Before(from) || from.DaysUntil(to) > daysMost {
		return web.BadRequest("Rentang tanggal paling panjang satu tahun.",
			web.FieldError{Pointer: "/to", Code: "out_of_range", Detail: "Tanggal akhir harus antara tanggal awal dan setahun sesudahnya."})
	}
	days, err := capacity.Board(r.Context(), a.db, from, to)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"days": days})
	return nil
}

func dateParam(r *http.Request, name string, fallback clock.Date) (clock.Date, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	d, err := clock.ParseDate(text)
	if err != nil {
		return d, web.BadRequest("Tanggal pada alamat tidak dapat dibaca.",
			web.FieldError{Pointer: "/" + name, Code: "wrong_type", Detail: "Tulis tanggal sebagai TTTT-BB-HH."})
	}
	return d, nil
}
