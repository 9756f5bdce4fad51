package pages

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Paths of what people look after for themselves and their institution.
const (
	passwordPath = "/kata-sandi"
	profilePath  = "/profil" // of the institution
	selfPath     = "/profil-saya"
	keysPath     = "/kunci-api"
)

func (p *Pages) mountOwn(anybody, inside chi.Router) {
	anybody.Get(passwordPath, p.handle(p.passwordForm))
	anybody.Post(passwordPath, p.handle(p.changePassword))
	inside.Get(profilePath, p.handle(p.profileForm))
	inside.Post(profilePath, p.handle(p.changeProfile))
	inside.Get(selfPath, p.handle(p.selfForm))
	inside.With(web.BodyLimit(upload.MaxPhotoBody)).Post(selfPath, p.handle(p.changeSelf))
	inside.Get(keysPath, p.handle(p.keys))
	inside.Get(keysPath+"/baru", p.handle(p.keyForm))
	inside.Post(keysPath, p.handle(p.makeKey))
	inside.Get(keysPath+"/{id}/cabut", p.handle(p.revocationForm))
	inside.Post(keysPath+"/{id}/cabut", p.handle(p.revokeKey))
}

const changeTitle = "Ganti kata sandi"

func passwordBody(who identity.Account) formBody {
	b := formBody{
		Lead: "Setelah diganti, sesi Anda di perangkat lain berakhir.", Action: passwordPath, Submit: "Ganti kata sandi",
		Fields: []field{
			{Name: "old_password", Label: "Kata sandi lama", Kind: "password", Complete: "current-password"},
			{Name: "new_password", Label: "Kata sandi baru", Kind: "password", Complete: "new-password",
				Hint: "Sekurangnya 12 karakter. Beberapa kata yang mudah Anda ingat lebih baik daripada satu kata rumit."},
			{Name: "confirmation", Label: "Ulangi kata sandi baru", Kind: "password", Complete: "new-password"},
		},
	}
	if who.MustChange {
		b.Warning = "Kata sandi Anda sekarang hanya untuk sekali masuk. Ganti dahulu untuk melanjutkan."
	}
	return b
}

func (p *Pages) passwordForm(w http.ResponseWriter, r *http.Request) error {
	p.show(w, r, http.StatusOK, "form", changeTitle, passwordBody(signin.Account(r)))
	return nil
}

func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request) error {
	err := typed(r)
	if err == nil {
		err = p.door.ChangePassword(r, signin.NewPassword{
			Old: r.PostForm.Get("old_password"), New: r.PostForm.Get("new_password"), Confirmation: r.PostForm.Get("confirmation"),
		})
	}
	if err != nil {
		return p.again(w, r, changeTitle, passwordBody(signin.Account(r)), err)
	}
	http.Redirect(w, r, "/?tersimpan=kata-sandi", http.StatusSeeOther)
	return nil
}

const profileTitle = "Profil lembaga"

// ownInstitution is that of whoever asks.
func (p *Pages) ownInstitution(r *http.Request) (institution.Institution, error) {
	who := signin.Account(r)
	if who.InstitutionID == nil {
		return institution.Institution{}, web.Forbidden("Halaman ini untuk orang dari lembaga. Data lembaga dikelola pada Data induk.")
	}
	v, err := p.desk.Institution(r.Context(), who, *who.InstitutionID)
	return v.Institution, err
}

func contactFields(in institution.Institution) []field {
	return []field{
		{Name: "address", Label: "Alamat kantor", Kind: "textarea", Value: in.Address, Optional: true, Hint: "Tercetak pada BAST."},
		{Name: "representative", Label: "Nama wakil", Kind: "text", Value: in.Representative, Optional: true, Hint: "Yang menerima kartu dan menandatangani BAST."},
		{Name: "post", Label: "Jabatan wakil", Kind: "text", Value: in.Post, Optional: true},
		{Name: "email", Label: "Surel", Kind: "email", Value: in.Email, Optional: true, Complete: "email"},
		{Name: "phone", Label: "Nomor telepon", Kind: "tel", Value: in.Phone, Optional: true, Complete: "tel"},
	}
}

func profileBody(in institution.Institution) formBody {
	body := formBody{
		Lead:   in.Name + " (" + institution.KindLabels[in.Kind] + "). Nama lembaga hanya dapat diubah oleh Ditjen Dukcapil.",
		Action: profilePath, Submit: "Simpan", Version: in.Version, Fields: contactFields(in),
	}
	if in.Kind == institution.Produsen || in.Kind == institution.Dinas { // who is handed cards
		body.Also = []crumb{{recipientsName, ownRecipientsPath}}
	}
	return body
}

func (p *Pages) profileForm(w http.ResponseWriter, r *http.Request) error {
	in, err := p.ownInstitution(r)
	if err != nil {
		return err
	}
	body := profileBody(in)
	if r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Perubahan tersimpan."
	}
	p.show(w, r, http.StatusOK, "form", profileTitle, body)
	return nil
}

// contact puts what was typed into an institution.
func contact(r *http.Request, in institution.Institution) institution.Institution {
	in.Address, in.Representative, in.Post = r.PostForm.Get("address"), r.PostForm.Get("representative"), r.PostForm.Get("post")
	in.Email, in.Phone, in.Version = r.PostForm.Get("email"), r.PostForm.Get("phone"), seenVersion(r)
	return in
}

func (p *Pages) changeProfile(w http.ResponseWriter, r *http.Request) error {
	in, err := p.ownInstitution(r)
	if err != nil {
		return err
	}
	if err = typed(r); err == nil {
		_, err = p.desk.ChangeInstitution(r.Context(), signin.Account(r), contact(r, in))
	}
	if err != nil {
		return p.again(w, r, profileTitle, profileBody(in), err)
	}
	http.Redirect(w, r, profilePath+"?tersimpan=1", http.StatusSeeOther)
	return nil
}

var scopeNames = map[string]string{identity.ScopeRequestWrite: "mengirim permohonan", identity.ScopeRequestRead: "membaca permohonan"}

var keyTags = map[string]tag{identity.KeyLive: {good, "Berlaku"}, identity.KeyExpired: {"", "Berakhir"}, identity.KeyRevoked: {bad, "Dicabut"}}

type keyLine struct {
	identity.Key
	Tag        tag
	Live       bool
	ScopeNames []string
	LastDay    string
}

type keysBody struct {
	Keys            []keyLine
	All             bool // of every institution
	Notice, Problem string
	Text            string // of the key just made
	Next            string
}

const keysShown = 50

// keyRows reads the keys of a page.
func (p *Pages) keyRows(r *http.Request, after string) (keysBody, error) {
	who := signin.Account(r)
	body := keysBody{All: !report.Outside(who)}
	list, err := p.desk.Keys(r.Context(), who, "", after, keysShown+1)
	if err != nil {
		return body, err
	}
	if len(list) > keysShown {
		list = list[:keysShown]
		body.Next = keysPath + "?" + url.Values{"sesudah": {list[keysShown-1].ID}}.Encode()
	}
	for _, k := range list {
		state := k.State(p.desk.Now())
		line := keyLine{Key: k, Tag: keyTags[state], Live: state == identity.KeyLive, LastDay: terbilang.FormatDate(clock.DateOf(k.ExpiresAt.Add(-1)))}
		for _, s := range k.Scopes {
			line.ScopeNames = append(line.ScopeNames, scopeNames[s])
		}
		body.Keys = append(body.Keys, line)
	}
	return body, nil
}

func (p *Pages) keys(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	after := ""
	if id, err := uuid.Parse(q.Get("sesudah")); err == nil {
		after = strings.ReplaceAll(id.String(), "-", "")
	}
	body, err := p.keyRows(r, after)
	if err != nil {
		return api.Explain(err)
	}
	if q.Get("dicabut") != "" {
		body.Notice = "Kunci dicabut dan tidak dapat dipakai lagi."
	}
	p.show(w, r, http.StatusOK, "keys", keysTitle, body)
	return nil
}

const (
	keysTitle   = "Kunci API"
	newKeyTitle = "Buat kunci API"
)

func (p *Pages) keyBody(r *http.Request) (formBody, error) {
	who := signin.Account(r)
	body := formBody{
		Crumbs: []crumb{{keysTitle, keysPath}}, Action: keysPath, Submit: "Buat kunci",
		Lead: "Untuk tiap keperluan paling banyak ada dua kunci yang berlaku: yang lama dan penggantinya.",
	}
	if !report.Outside(who) {
		list, err := p.desk.Institutions(r.Context(), who, institution.Filter{Active: new(true), Limit: choicesMost,
			Kinds: []string{institution.Produsen, institution.Lembaga, institution.Dinas}})
		if err != nil {
			return body, err
		}
		body.Fields = append(body.Fields, field{Name: "institution_id", Label: "Lembaga", Kind: "select", Options: choices(list, "")})
	}
	next := clock.DateOf(p.desk.Now()).AddDays(365) // keys live by the clock of the machine
	body.Fields = append(body.Fields,
		field{Name: "label", Label: "Keperluan", Kind: "text", Hint: "Misalnya nama perangkat lunak yang memakainya."},
		field{Name: "scopes", Label: "Cakupan", Kind: "checkboxes", Options: []option{
			{identity.ScopeRequestWrite, "Mengirim dan memperbaiki permohonan", true}, {identity.ScopeRequestRead, "Membaca permohonan", true}}},
		field{Name: "networks", Label: "Alamat yang boleh memakai", Kind: "textarea", Optional: true,
			Hint: "Satu alamat IP atau jaringan per baris, misalnya 203.0.113.7 atau 203.0.113.0/24. Kosong berarti dari mana saja."},
		field{Name: "expires_on", Label: "Berlaku sampai", Kind: "date", Value: next.String(), Hint: "Paling lama setahun."})
	return body, nil
}

// choicesMost bounds the institutions of a selection.
const choicesMost = 1000

func choices(list []institution.Institution, chosen string) []option {
	var all []option
	for _, in := range list {
		all = append(all, option{in.ID, in.Name, in.ID == chosen})
	}
	return all
}

func (p *Pages) keyForm(w http.ResponseWriter, r *http.Request) error {
	if who := signin.Account(r); who.InstitutionID == nil && !masterdata.May(who.Role) {
		return api.Explain(masterdata.ErrForbidden)
	}
	body, err := p.keyBody(r)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "form", newKeyTitle, body)
	return nil
}

func (p *Pages) makeKey(w http.ResponseWriter, r *http.Request) error {
	form, err := p.keyBody(r)
	if err != nil {
		return err
	}
	text := ""
	if err = typed(r); err == nil {
		n := identity.NewKey{
			Label: r.PostForm.Get("label"), Scopes: r.PostForm["scopes"], Networks: strings.Split(r.PostForm.Get("networks"), "\n"),
			Expires: masterdata.EndOf(typedDate(r, "expires_on")),
		}
		if !report.Outside(signin.Account(r)) {
			if id, err := uuid.Parse(r.PostForm.Get("institution_id")); err == nil {
				n.InstitutionID = id.String()
			}
		}
		_, text, err = p.desk.MakeKey(r.Context(), signin.Account(r), n)
	}
	if err != nil {
		return p.again(w, r, newKeyTitle, form, err)
	}
	body, err := p.keyRows(r, "")
	if err != nil {
		return err
	}
	body.Text = text
	p.show(w, r, http.StatusCreated, "keys", keysTitle, body)
	return nil
}

// ownKey is the key in the address, as far as the asker may know of it.
func (p *Pages) ownKey(r *http.Request) (string, error) {
	id, err := rowOf(r)
	return strings.ReplaceAll(id, "-", ""), err
}

func (p *Pages) revocationForm(w http.ResponseWriter, r *http.Request) error {
	id, err := p.ownKey(r)
	if err != nil {
		return err
	}
	key, err := p.desk.Key(r.Context(), signin.Account(r), id)
	if err != nil {
		return api.Explain(err)
	}
	p.show(w, r, http.StatusOK, "form", "Cabut kunci API", formBody{
		Crumbs: []crumb{{keysTitle, keysPath}}, Action: keysPath + "/" + id + "/cabut", Submit: "Cabut kunci",
		Lead:    "Kunci “" + key.Label + "” milik " + key.Institution + ", dibuat " + terbilang.FormatDateTime(key.CreatedAt) + ".",
		Warning: "Perangkat lunak yang memakai kunci ini langsung ditolak. Pencabutan tidak dapat dibatalkan.",
	})
	return nil
}

func (p *Pages) revokeKey(w http.ResponseWriter, r *http.Request) error {
	id, err := p.ownKey(r)
	if err != nil {
		return err
	}
	if _, err := p.desk.RevokeKey(r.Context(), signin.Account(r), id); err != nil {
		return api.Explain(err)
	}
	http.Redirect(w, r, keysPath+"?dicabut=1", http.StatusSeeOther)
	return nil
}
