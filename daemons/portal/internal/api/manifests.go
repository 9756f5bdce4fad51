package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/web"
)

func (a *API) manifestDesk() manifests.Desk { return manifests.Desk{DB: a.db, Office: a.office} }

// mountManifests adds the routes of what leaves the office as manifests.
func (a *API) mountManifests(r chi.Router) {
	r.Get("/manifest-releases", handle(a.listReleases))
	r.Post("/manifest-releases", handle(a.releaseManifests))
	r.Get("/manifest-releases/{number}", handle(a.getRelease))
	r.Post("/manifest-releases/{number}/receipt", handle(a.takeManifests))
	r.With(web.Slow(transfer)).Get("/manifest-releases/{number}/bundle", handle(a.manifestBundle))
	a.mountSigningKeys(r)
	r.Post("/requests/{ticket}/evidence", handle(a.orderEvidence))
	r.With(web.Slow(transfer)).Get("/requests/{ticket}/evidence", handle(a.requestEvidence))
}

func (a *API) listReleases(w http.ResponseWriter, r *http.Request) error {
	o, err := a.manifestDesk().Overview(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, o)
	return nil
}

func (a *API) getRelease(w http.ResponseWriter, r *http.Request) error {
	v, err := a.manifestDesk().Find(r.Context(), signin.Account(r), chi.URLParam(r, "number"))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

// releaseManifests lets all manifests that are ready for a produsen leave the office.
func (a *API) releaseManifests(w http.ResponseWriter, r *http.Request) error {
	if err := release.Machine.MayEver(release.VerbRelease, signin.Account(r).Role); err != nil {
		return err
	}
	var in struct {
		ProdusenID string `json:"produsen_id"`
		Manifests  int    `json:"manifests"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	id, err := uuid.Parse(in.ProdusenID)
	if err != nil {
		return invalid("/produsen_id", "unknown", "Produsen ini tidak dikenal.")
	}
	v, err := a.manifestDesk().Release(r.Context(), signin.Account(r), id.String(), in.Manifests)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/manifest-releases/"+v.Number)
	web.WriteJSON(w, r, http.StatusCreated, v)
	return nil
}

// takeManifests records who of the produsen takes a bundle.
func (a *API) takeManifests(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.manifestDesk().Find(r.Context(), signin.Account(r), chi.URLParam(r, "number")); err != nil {
		return err
	}
	var in struct {
		Receiver     string `json:"receiver"`
		ReceiverPost string `json:"receiver_post"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	v, err := a.manifestDesk().Take(r.Context(), signin.Account(r), chi.URLParam(r, "number"), in.Receiver, in.ReceiverPost)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, v)
	return nil
}

func (a *API) manifestBundle(w http.ResponseWriter, r *http.Request) error {
	blobID, name, err := a.manifestDesk().Fetch(r.Context(), signin.Account(r), chi.URLParam(r, "number"))
	if err != nil {
		return err
	}
	return a.serve(w, r, blobID, name)
}

// orderEvidence has a bundle of evidence made of a request.
func (a *API) orderEvidence(w http.ResponseWriter, r *http.Request) error {
	if err := a.manifestDesk().OrderEvidence(r.Context(), signin.Account(r), chi.URLParam(r, "ticket")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// requestEvidence gives out the newest bundle of evidence of a request.
func (a *API) requestEvidence(w http.ResponseWriter, r *http.Request) error {
	blobID, name, err := a.manifestDesk().FetchEvidence(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	return a.serve(w, r, blobID, name)
}
