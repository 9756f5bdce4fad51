package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
)

// mountProfile adds the routes of what people look after of themselves (features.md
// A17 to A20).
func (a *API) mountProfile(r chi.Router) {
	r.Get("/me/profile", handle(a.profile))
	r.Put("/me/profile", handle(a.changeProfile))
	slow := r.With(web.Slow(transfer))
	slow.Get("/me/photo", handle(a.ownPhoto))
	slow.With(web.BodyLimit(upload.MaxPhotoBody)).Put("/me/photo", handle(a.changePhoto))
	r.Delete("/me/photo", handle(a.removePhoto))
	slow.Get("/accounts/{id}/photo", handle(a.photoOf))
}

// profileView is somebody's own profile as it is shown.
type profileView struct {
	Username    string       `json:"username"`
	Name        string       `json:"name"`
	Role        machine.Role `json:"role"`
	RoleLabel   string       `json:"role_label"`
	Institution *string      `json:"institution"`
	Email       string       `json:"email"`
	Address     string       `json:"address"`
	Phone       string       `json:"phone"`
	Photo       bool         `json:"photo"` // whether there is one
	Version     int64        `json:"version"`
}

func showProfile(w http.ResponseWriter, r *http.Request, p identity.Profile) {
	shown(w, r, p.Version, profileView{
		Username: p.Username, Name: p.Name, Role: p.Role, RoleLabel: request.RoleLabels[p.Role], Institution: p.Institution,
		Email: p.Email, Address: p.Address, Phone: p.Phone, Photo: p.Photo != nil, Version: p.Version,
	})
}

func (a *API) profile(w http.ResponseWriter, r *http.Request) error {
	p, err := a.desk.Profile(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	showProfile(w, r, p)
	return nil
}

func (a *API) changeProfile(w http.ResponseWriter, r *http.Request) error {
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	var in struct {
		Name    string `json:"name"`
		Email   string `json:"email"`
		Address string `json:"address"`
		Phone   string `json:"phone"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	to := identity.Profile{Account: identity.Account{Name: in.Name, Version: version}, Contact: identity.Contact{Email: in.Email, Address: in.Address, Phone: in.Phone}}
	p, err := a.desk.ChangeProfile(r.Context(), signin.Account(r), masterdata.ProfileChange{To: to})
	if err != nil {
		return err
	}
	showProfile(w, r, p)
	return nil
}

// repaint changes nothing but the photo, as of the version that the asker saw.
func (a *API) repaint(w http.ResponseWriter, r *http.Request, version int64, photo *upload.File) error {
	who := signin.Account(r)
	now, err := a.desk.Profile(r.Context(), who)
	if err != nil {
		return err
	}
	if photo == nil && now.Photo == nil {
		return identity.ErrNotFound
	}
	now.Version = version
	p, err := a.desk.ChangeProfile(r.Context(), who, masterdata.ProfileChange{To: now, Photo: photo, Remove: photo == nil})
	if err != nil {
		return err
	}
	showProfile(w, r, p)
	return nil
}

func (a *API) changePhoto(w http.ResponseWriter, r *http.Request) error {
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	parcel, faults, err := a.spool.ReadPhoto(r, nil, nil, "photo")
	if err != nil {
		return err
	}
	defer parcel.Close()
	photo := parcel.Files["photo"]
	if photo == nil && len(faults) == 0 {
		faults.Add("/photo", "missing", "Foto profil (JPG atau PNG) wajib dilampirkan.")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	return a.repaint(w, r, version, photo)
}

func (a *API) removePhoto(w http.ResponseWriter, r *http.Request) error {
	version, err := web.MatchVersion(r)
	if err != nil {
		return err
	}
	return a.repaint(w, r, version, nil)
}

func (a *API) ownPhoto(w http.ResponseWriter, r *http.Request) error {
	return a.servePhoto(w, r, signin.Account(r).ID)
}

func (a *API) photoOf(w http.ResponseWriter, r *http.Request) error {
	id, err := rowID(r)
	if err != nil {
		return err
	}
	return a.servePhoto(w, r, id)
}

// servePhoto sends a photo as a file to keep, as every other file: a page shows it
// by its <img>, and opened by itself it is no page of ours.
func (a *API) servePhoto(w http.ResponseWriter, r *http.Request, id string) error {
	file, err := a.desk.Photo(r.Context(), signin.Account(r), id)
	if err != nil {
		return err
	}
	return a.serve(w, r, file, "")
}
