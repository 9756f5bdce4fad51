package pages

import (
	"net/http"
	"net/url"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/request"
)

const selfTitle = "Profil saya"

// office is where people work who are of no institution.
const office = "Ditjen Dukcapil"

func placeOf(a identity.Account) string {
	if a.Institution != nil {
		return *a.Institution
	}
	return office
}

// photoAddress shows an account's photo at the API.
func photoAddress(of string, photo *string) string {
	if photo == nil {
		return ""
	}
	return "/api/v1/" + of + "/photo"
}

func selfBody(p identity.Profile) formBody {
	b := formBody{
		Action: selfPath, Submit: "Simpan profil", Version: p.Version, Upload: true, Picture: photoAddress("me", p.Photo),
		Facts: []fact{{"Nama pengguna", p.Username}, {"Nama lembaga", placeOf(p.Account)}, {"Peran", request.RoleLabels[p.Role]}},
		Lead:  "Nama pengguna, lembaga, dan peran hanya dapat diubah oleh Ditjen Dukcapil.",
		Fields: []field{
			{Name: "name", Label: "Nama profil", Kind: "text", Value: p.Name, Complete: "name"},
			{Name: "email", Label: "Surel (email)", Kind: "email", Value: p.Email, Optional: true, Complete: "email"},
			{Name: "address", Label: "Alamat", Kind: "textarea", Value: p.Address, Optional: true, Complete: "street-address"},
			{Name: "phone", Label: "No. telepon", Kind: "tel", Value: p.Phone, Optional: true, Complete: "tel"},
			{Name: "photo", Label: "Foto profil", Kind: "file", Value: ".jpg,.jpeg,.png,image/jpeg,image/png", Optional: true,
				Hint: "JPG atau PNG, paling besar 1 MB. Hanya Anda, Operator KI, dan Kasubdit KI yang dapat melihatnya."},
		},
	}
	if p.Photo != nil {
		b.Fields = append(b.Fields, field{Name: "remove_photo", Label: "Foto yang sekarang", Kind: "checkboxes", Options: []option{{"ya", "Hapus foto", false}}})
	}
	return b
}

func (p *Pages) selfForm(w http.ResponseWriter, r *http.Request) error {
	profile, err := p.desk.Profile(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	body := selfBody(profile)
	if r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Profil Anda tersimpan."
	}
	p.show(w, r, http.StatusOK, "form", selfTitle, body)
	return nil
}

func (p *Pages) changeSelf(w http.ResponseWriter, r *http.Request) error {
	now, err := p.desk.Profile(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	parcel, faults, err := p.spool.ReadPhoto(r, []string{"versi", "name", "email", "phone", "remove_photo"}, []string{"address"}, "photo")
	if err == nil {
		defer parcel.Close()
		r.PostForm = url.Values{}
		for name, value := range parcel.Fields {
			r.PostForm.Set(name, value)
		}
		err = p.saveSelf(r, parcel, faults)
	} else if r.PostForm == nil {
		r.PostForm = url.Values{"name": {now.Name}, "email": {now.Email}, "address": {now.Address}, "phone": {now.Phone}} // nothing could be read
	}
	if err != nil {
		return p.again(w, r, selfTitle, selfBody(now), err)
	}
	http.Redirect(w, r, selfPath+"?tersimpan=1", http.StatusSeeOther)
	return nil
}

// saveSelf says all that is wrong at once, also of the photo.
func (p *Pages) saveSelf(r *http.Request, parcel *upload.Parcel, faults form.Faults) error {
	to := identity.Profile{
		Account: identity.Account{Name: r.PostForm.Get("name"), Version: seenVersion(r)},
		Contact: identity.Contact{Email: r.PostForm.Get("email"), Address: r.PostForm.Get("address"), Phone: r.PostForm.Get("phone")},
	}
	if err := append(to.Check(), faults...).Err(); err != nil {
		return err
	}
	_, err := p.desk.ChangeProfile(r.Context(), signin.Account(r), masterdata.ProfileChange{
		To: to, Photo: parcel.Files["photo"], Remove: r.PostForm.Get("remove_photo") != "",
	})
	return err
}
