package pages

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const (
	manifestsPath = "/manifest"
	releasesPath  = manifestsPath + "/pelepasan"
)

// activationCrumb is the way back to what manifests are made for.
var activationCrumb = crumb{"Aktivasi reader", readersPath}

func (p *Pages) manifestDesk() manifests.Desk { return manifests.Desk{DB: p.db, Office: p.office} }

// mountManifests adds the pages of what leaves the office as manifests.
func (p *Pages) mountManifests(inside chi.Router) {
	inside.Get(manifestsPath, p.handle(explained(p.manifests)))
	inside.Get(releasesPath+"/{number}", p.handle(explained(p.release)))
	inside.Get(releasesPath+"/{number}/terima", p.handle(explained(p.present(p.takeRelease()))))
	inside.Post(releasesPath+"/{number}/terima", p.handle(explained(p.save(p.takeRelease()))))
	p.mountSigningKeys(inside)
	inside.Get(manifestsPath+"/lepas/{id}", p.handle(explained(p.present(p.makeRelease()))))
	inside.Post(manifestsPath+"/lepas/{id}", p.handle(explained(p.saveDay(p.makeRelease()))))
}

// verifying are the public files that manifests are checked with.
func verifying() []crumb {
	return []crumb{{"Daftar pencabutan terbaru", public.RevocationsPath}, {"Kunci publik", public.KeysPath}}
}

// manifests shows what was released, and to the office what could be.
func (p *Pages) manifests(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	o, err := p.manifestDesk().Overview(r.Context(), who)
	if err != nil {
		return err
	}
	body := rowsBody{
		Crumbs: []crumb{activationCrumb},
		Lead:   "Manifest dipasang pada pembaca KTP-el yang diaktifkan. Satu pelepasan berisi semua manifest yang siap untuk satu produsen; bundelnya bertanda tangan dan dapat diperiksa tanpa jaringan.",
		Links:  verifying(),
	}
	if body.Alarm = keysLost(o.Keys, who.Role); o.ListWaits {
		body.Alarm = strings.TrimSpace(listsWait + " " + body.Alarm)
	}
	if n := r.URL.Query().Get("diterbitkan-ulang"); keptNow(r) && n != "" {
		body.Notice = "Manifest lama dicabut dan diterbitkan ulang. Manifest baru sedang ditandatangani; surat balasannya disusun. Buka lagi halaman ini sebentar lagi, lalu lepas manifest baru itu kepada produsen."
	}
	if t := signingKeysTable(o.Keys, who.Role); len(t.Rows) > 0 {
		body.Tables = append(body.Tables, t)
	}
	if len(o.Revoked) > 0 {
		body.Tables = append(body.Tables, revokedKeysTable(o.Revoked))
	}
	if len(o.Carried) > 0 {
		body.Tables = append(body.Tables, carriedTable(o))
	}
	if len(o.Waiting) > 0 {
		t := rowsTable{Caption: "Siap dilepas", Heads: []string{"Produsen", "Manifest siap", "Belum dilepas", "Tindakan"}, Numbers: []int{1, 2}}
		for _, x := range o.Waiting {
			act := cell{Text: "Menunggu Kasubdit KI"}
			if manifests.MayRelease(who.Role) {
				act = cell{Text: "Lepas manifest", Path: manifestsPath + "/lepas/" + x.ProdusenID}
			}
			if x.Fresh == 0 {
				act = cell{Text: "Sudah dilepas, belum diambil"}
			}
			t.Rows = append(t.Rows, []cell{{Text: x.Produsen}, {Text: number(x.Ready)}, {Text: number(x.Fresh)}, act})
		}
		body.Tables = append(body.Tables, t)
	}
	empty := "Belum ada manifest yang dilepas."
	if who.Role == request.Lembaga { // releases go to produsen, and are theirs to see
		empty = "Manifest diserahkan kepada produsen yang Anda sebut dalam surat. Keadaan setiap reader ada pada halaman surat itu."
	}
	t := rowsTable{Caption: "Pelepasan", Empty: empty, Heads: []string{"Nomor", "Produsen", "Manifest", "Status", "Dilepas", "Diterima oleh"}, Numbers: []int{2}, Serials: true}
	for _, v := range o.Releases {
		t.Rows = append(t.Rows, []cell{
			{Text: v.Number, Path: releasesPath + "/" + v.Number}, {Text: v.Produsen}, {Text: number(v.Manifests)}, {Tag: releaseTag(v)},
			{Text: terbilang.FormatDate(clock.DateOf(v.ReleasedAt))}, {Text: joined(v.Receiver, v.ReceiverPost)},
		})
	}
	body.Tables = append(body.Tables, t)
	p.show(w, r, http.StatusOK, "rows", "Manifest", body)
	return nil
}

func releaseTag(v manifests.View) tag {
	if v.KeyRevoked && v.State != release.Voided {
		return tag{bad, v.StateLabel + "; kuncinya dicabut"}
	}
	tone := map[string]string{string(release.Released): busy, string(release.Bundled): wait, string(release.Delivered): good}[string(v.State)]
	return tag{tone, v.StateLabel}
}

func manifestCrumbs(v manifests.View) []crumb {
	return []crumb{activationCrumb, {"Manifest", manifestsPath}, {v.Number, releasesPath + "/" + v.Number}}
}

// release shows one release.
func (p *Pages) release(w http.ResponseWriter, r *http.Request) error {
	v, err := p.manifestDesk().Find(r.Context(), signin.Account(r), chi.URLParam(r, "number"))
	if err != nil {
		return err
	}
	body := rowsBody{Crumbs: []crumb{activationCrumb, {"Manifest", manifestsPath}}, Summary: []pair{
		{"Nomor", v.Number}, {"Produsen", v.Produsen}, {"Manifest", number(v.Manifests)}, {"Status", v.StateLabel},
		{"Dilepas", terbilang.FormatDate(clock.DateOf(v.ReleasedAt))},
	}}
	if v.DeliveredOn != nil {
		body.Summary = append(body.Summary, pair{"Diterima", terbilang.FormatDate(*v.DeliveredOn) + "\noleh " + v.Receiver + ", " + v.ReceiverPost})
	}
	if v.Bundle {
		body.Summary = append(body.Summary, pair{"Cara memeriksa", "sifilma verify " + v.Number + ".zip -key kunci-publik-dukcapil.json -revocations pencabutan.jws, dengan kunci publik yang Anda terima lewat jalan lain"})
	}
	if v.KeyRevoked && v.State != release.Voided {
		body.Alarm = "Pelepasan ini ditandatangani kunci yang sudah dicabut Ditjen Dukcapil, dan tidak keluar lagi. Jangan dipasang, dan jangan andalkan yang sudah terpasang: penggantinya datang dalam pelepasan lain. Periksa dengan kunci publik yang terbaru."
	}
	switch {
	case v.State == release.Voided:
		body.Lead = "Pelepasan ini diganti dengan yang baru dan tidak diserahkan."
	case v.KeyRevoked && v.State != release.Delivered:
		body.Lead = "Kasubdit KI melepas yang masih berlaku sekali lagi dari halaman Manifest; manifest yang kuncinya dicabut diterbitkan ulang lebih dahulu."
	case v.KeyRevoked:
	case manifests.MayTake(v, signin.Account(r).Role):
		body.Lead = "Sebutkan siapa dari produsen yang menerima bundel ini. Setelah itu bundel dapat diunduh."
		body.Links = append(body.Links, crumb{"Terima bundel", releasesPath + "/" + v.Number + "/terima"})
	case v.State == release.Released:
		body.Lead = "Bundel sedang ditandatangani. Buka lagi halaman ini sebentar lagi."
	}
	if v.Bundle {
		body.Links = append(body.Links, crumb{"Unduh bundel (zip)", "/api/v1/manifest-releases/" + v.Number + "/bundle"})
	}
	body.Links = append(body.Links, verifying()...)
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "rows", "Pelepasan manifest "+v.Number, body)
	return nil
}

// takeRelease names who takes a bundle.
func (p *Pages) takeRelease() editor {
	return editor{"Terima bundel manifest",
		func(r *http.Request) (formBody, error) {
			v, err := p.manifestDesk().Find(r.Context(), signin.Account(r), chi.URLParam(r, "number"))
			if err == nil {
				err = release.Machine.May(v.State, release.VerbDeliver, signin.Account(r).Role)
			}
			return formBody{
				Crumbs: manifestCrumbs(v), Facts: []fact{{"Nomor", v.Number}, {"Produsen", v.Produsen}, {"Manifest", number(v.Manifests)}},
				Lead:   "Nama ini menjadi tanda terima: sejak itu manifest tercatat sudah diserahkan.",
				Action: releasesPath + "/" + v.Number + "/terima", Submit: "Catat penerimaan",
				Fields: []field{
					{Name: "receiver", Label: "Nama penerima dari produsen", Kind: "text", Longest: 200, Complete: "name"},
					{Name: "receiver_post", Label: "Jabatan", Kind: "text", Longest: 200, Complete: "organization-title"},
				},
			}, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.manifestDesk().Take(r.Context(), signin.Account(r), chi.URLParam(r, "number"), r.PostForm.Get("receiver"), r.PostForm.Get("receiver_post"))
			return releasesPath + "/" + v.Number + "?" + justKept(), err
		}}
}

// makeRelease has Kasubdit KI release what is ready for a produsen. The version of its form is
// how many manifests those are.
func (p *Pages) makeRelease() editor {
	return editor{"Lepas manifest",
		func(r *http.Request) (formBody, error) {
			if err := release.Machine.MayEver(release.VerbRelease, signin.Account(r).Role); err != nil {
				return formBody{}, err
			}
			id, err := uuid.Parse(chi.URLParam(r, "id"))
			if err != nil {
				return formBody{}, release.ErrNotFound
			}
			x, err := p.manifestDesk().Ready(r.Context(), id.String())
			return formBody{
				Crumbs: []crumb{activationCrumb, {"Manifest", manifestsPath}}, Facts: []fact{{"Produsen", x.Produsen}, {"Manifest siap", number(x.Ready)}},
				Lead:   "Semua manifest yang siap untuk produsen ini dilepas dalam satu bundel. Bila ada pelepasan sebelumnya yang belum diambil, pelepasan itu diganti.",
				Action: manifestsPath + "/lepas/" + id.String(), Submit: "Lepas manifest",
				Version: int64(x.Ready),
			}, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.manifestDesk().Release(r.Context(), signin.Account(r), chi.URLParam(r, "id"), int(seenVersion(r)))
			if errors.Is(err, release.ErrSame) { // a button that was pressed twice
				v, err = p.openRelease(r, chi.URLParam(r, "id"))
			}
			return releasesPath + "/" + v.Number + "?" + justKept(), err
		}}
}

// openRelease is the release that waits for a produsen now.
func (p *Pages) openRelease(r *http.Request, produsenID string) (manifests.View, error) {
	x, err := p.manifestDesk().Ready(r.Context(), produsenID)
	if err != nil {
		return manifests.View{}, err
	}
	o, err := p.manifestDesk().Overview(r.Context(), signin.Account(r))
	for _, v := range o.Releases {
		if v.Produsen == x.Produsen && (v.State == release.Released || v.State == release.Bundled) {
			return v, err
		}
	}
	return manifests.View{}, cmp.Or(err, release.ErrNotFound)
}
