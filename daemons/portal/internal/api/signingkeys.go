package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/web"
)

// signingKeyAnswers are the problems that errors about signing keys mean.
var signingKeyAnswers = []answer{
	{manifests.ErrInside, func() error {
		return web.Forbidden("Keadaan kunci penanda tangan manifest hanya untuk pegawai Ditjen Dukcapil.")
	}},
	{activation.ErrKeyInUse, func() error {
		return web.Conflict("Kunci ini belum dihentikan; manifest yang ditandatanganinya tetap berlaku dan tidak diterbitkan ulang.").WithCode("key-in-use")
	}},
	{activation.ErrNoSigningKey, func() error {
		return web.Conflict("Belum ada kunci penanda tangan manifest yang berlaku, sehingga manifest baru tidak dapat ditandatangani. Minta petugas teknis membuat versi berikutnya (sifilma keys generate), lalu coba lagi.").WithCode("no-signing-key")
	}},
	{activation.ErrNothingDue, func() error {
		return web.Conflict("Tidak ada lagi manifest di bawah kunci ini yang dapat diterbitkan ulang; mungkin baru saja diterbitkan ulang.").WithCode("already-so")
	}},
}

// mountSigningKeys adds the routes of what rests on the keys that sign manifests.
func (a *API) mountSigningKeys(r chi.Router) {
	r.Get("/manifest-keys", handle(a.signingKeys))
	r.With(web.Slow(transfer)).Post("/manifest-keys/{key}/reissue", handle(a.reissueManifests)) // as many manifests as a key has signed
}

func (a *API) signingKeys(w http.ResponseWriter, r *http.Request) error {
	k, err := a.manifestDesk().Keys(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, k)
	return nil
}

// reissueManifests replaces all manifests that a given-up key has signed.
func (a *API) reissueManifests(w http.ResponseWriter, r *http.Request) error {
	if err := manifests.MayReissue(signin.Account(r).Role); err != nil {
		return err
	}
	var in struct {
		Readers int    `json:"readers"`
		Reason  string `json:"reason"`
	}
	if err := web.DecodeJSON(r, &in); err != nil {
		return err
	}
	done, err := a.manifestDesk().Reissue(r.Context(), signin.Account(r), chi.URLParam(r, "key"), in.Readers, in.Reason)
	if err != nil {
		return err
	}
	web.WriteJSON(w, r, http.StatusOK, done)
	return nil
}
