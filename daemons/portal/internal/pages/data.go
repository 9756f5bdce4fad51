package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/web"
)

// Paths of the master data.
const (
	dataPath         = "/data-induk"
	institutionsPath = dataPath + "/lembaga"
	pksPath          = dataPath + "/pks"
	machinesPath     = dataPath + "/jenis-mesin"
	peoplePath       = dataPath + "/akun"
)

var dataCrumb = crumb{"Data induk", dataPath}

type section struct{ Path, Label, Note string }

type cell struct {
	Text, Path string
	Tag        tag
}

type rowsTable struct {
	Caption, Empty string
	Heads          []string
	Rows           [][]cell
	Numbers        []int // which columns hold numbers
	Serials        bool  // the first column holds serials, which are not broken where there is room
	Long           bool  // it is looked through within the page, which goes on below it
}

// Numeric says that a column holds numbers.
func (t rowsTable) Numeric(column int) bool { return slices.Contains(t.Numbers, column) }

// rowsBody is a page of rows that can be looked through.
type rowsBody struct {
	Crumbs       []crumb
	Lead, Notice string
	Alarm        string // what is wrong and must be looked into at once
	Sections     []section
	Summary      []pair
	Links        []crumb
	Searched     bool
	Path, Search string
	Tables       []rowsTable
	Raw          string // shown as it is
	Next         string
}

// editor is a form with what it is made of and what it does.
type editor struct {
	title string
	body  func(r *http.Request) (formBody, error)
	save  func(r *http.Request) (next string, err error)
}

func (p *Pages) mountData(inside chi.Router) {
	keepers := inside.With(p.onlyKeepers)
	get := func(path string, f func(w http.ResponseWriter, r *http.Request) error) {
		keepers.Get(path, p.handle(explained(f)))
	}
	get(dataPath, p.dataIndex)
	get(institutionsPath, p.institutions)
	get(pksPath, p.listPKS)
	get(pksPath+"/{id}", p.onePKS)
	get(machinesPath, p.machineTypes)
	get(signatoriesPath, p.signatories)
	get(peoplePath, p.people)
	get(peoplePath+"/{id}/kunci", p.keysOf)
	for path, e := range map[string]editor{
		institutionsPath + "/baru": p.newInstitution(), institutionsPath + "/{id}": p.editInstitution(),
		institutionsPath + "/{id}/status": p.institutionStatus(),
		pksPath + "/baru":                 p.newPKS(), pksPath + "/{id}/ubah": p.editPKS(), pksPath + "/{id}/cabut": p.withdrawal(),
		pksPath + "/{id}/berlakukan": p.reinstatement(),
		pksPath + "/{id}/lanjutkan":  p.readersResumption(),
		machinesPath + "/baru":       p.newMachineType(), machinesPath + "/{code}": p.editMachineType(), machinesPath + "/{code}/status": p.machineStatus(),
		signatoriesPath + "/baru": p.appoint(), signatoriesPath + "/{id}/akhiri": p.endTerm(),
		peoplePath + "/{id}": p.editPerson(), peoplePath + "/{id}/status": p.personStatus(),
	} {
		get(path, p.present(e))
		keepers.Post(path, p.handle(explained(p.save(e))))
	}
	p.mountChanges(keepers)
	p.mountRecipes(keepers)
	get(peoplePath+"/baru", p.present(p.newPerson()))
	keepers.Post(peoplePath+"/baru", p.handle(explained(p.makePerson)))
	get(peoplePath+"/{id}/sandi", p.present(p.resetForm()))
	keepers.Post(peoplePath+"/{id}/sandi", p.handle(explained(p.resetPassword)))
}

// explained answers errors of the office in its words.
func explained(f func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := f(w, r); err != nil {
			return api.Explain(err)
		}
		return nil
	}
}

// onlyKeepers wants somebody who looks after the master data.
func (p *Pages) onlyKeepers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !masterdata.May(signin.Account(r).Role) {
			p.fail(w, r, web.Forbidden("Data induk dikelola oleh Operator KI dan Kasubdit KI."))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Pages) present(e editor) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := e.body(r)
		if err != nil {
			return err
		}
		p.show(w, r, http.StatusOK, "form", e.title, body)
		return nil
	}
}

func (p *Pages) save(e editor) func(w http.ResponseWriter, r *http.Request) error {
	return p.saved(e, p.again)
}

// saved is save with what answers a form that was not taken.
func (p *Pages) saved(e editor, again func(w http.ResponseWriter, r *http.Request, title string, body formBody, err error) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := e.body(r)
		if err != nil {
			return err
		}
		next := ""
		if err = typed(r); err == nil {
			next, err = e.save(r)
		}
		if err != nil {
			if v := seenVersion(r); v > 0 {
				body.Version = v // what was typed is about what was seen
			}
			return again(w, r, e.title, body, err)
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
}

func (p *Pages) dataIndex(w http.ResponseWriter, r *http.Request) error {
	p.show(w, r, http.StatusOK, "rows", "Data induk", rowsBody{Lead: "Data yang menjadi dasar tiap permohonan.", Sections: []section{
		{institutionsPath, "Lembaga", "Produsen, lembaga pengguna, dinas, dan reseller"},
		{pksPath, "PKS", "Perjanjian kerja sama lembaga pengguna dengan Ditjen Dukcapil"},
		{machinesPath, "Jenis mesin", "Jenis reader dan bentuk nomor serinya"},
		{signatoriesPath, signatoriesName, "Siapa menandatangani surat dan berita acara, dan sejak kapan"},
		{templatesPath, templatesName, "Berkas Word yang diisi menjadi surat dan berita acara"},
		{recipientsPath, recipientsName, "Untuk kunci siapa rahasia kartu dienkripsi, dan sejak kapan"},
		{recipesPath, recipesName, "Profil, Kode Kunci, jenis SAM, dan pola nomor: dengan apa kartu ditulis"},
		{peoplePath, "Akun", "Orang yang dapat masuk, dan perannya"},
		{keysPath, "Kunci API", "Kunci perangkat lunak tiap lembaga"},
	}})
	return nil
}

const dataShown = 50

// looked is the part of the address of a list that narrows it.
func looked(r *http.Request, path string) (body rowsBody, after string) {
	q := r.URL.Query()
	body = rowsBody{Crumbs: []crumb{dataCrumb}, Searched: true, Path: path, Search: strings.TrimSpace(q.Get("cari"))}
	if len(body.Search) > maxSearch || !utf8.ValidString(body.Search) || strings.ContainsRune(body.Search, 0) {
		body.Search = ""
	}
	if q.Get("tersimpan") != "" {
		body.Notice = "Perubahan tersimpan."
	}
	if id, err := uuid.Parse(q.Get("sesudah")); err == nil {
		after = id.String()
	}
	return body, after
}

// cutRows takes away the row that only tells that there are more, and links to it.
func cutRows[T any](body *rowsBody, rows []T, id func(T) string) []T {
	if len(rows) <= dataShown {
		return rows
	}
	rows = rows[:dataShown]
	q := url.Values{"sesudah": {id(rows[dataShown-1])}}
	if body.Search != "" {
		q.Set("cari", body.Search)
	}
	body.Next = body.Path + "?" + q.Encode()
	return rows
}

func activeTag(active bool) tag {
	if active {
		return tag{good, "Aktif"}
	}
	return tag{"", "Nonaktif"}
}

func (p *Pages) institutions(w http.ResponseWriter, r *http.Request) error {
	body, after := looked(r, institutionsPath)
	list, err := p.desk.Institutions(r.Context(), signin.Account(r), institution.Filter{Search: body.Search, After: after, Limit: dataShown + 1})
	if err != nil {
		return err
	}
	body.Links = []crumb{{"Daftarkan lembaga", institutionsPath + "/baru"}}
	t := rowsTable{Caption: "Lembaga menurut nama", Empty: "tidak ada.", Heads: []string{"Nama", "Jenis", "Wakil", "Status"}}
	for _, in := range cutRows(&body, list, func(i institution.Institution) string { return i.ID }) {
		t.Rows = append(t.Rows, []cell{{Text: in.Name, Path: institutionsPath + "/" + in.ID}, {Text: institution.KindLabels[in.Kind]},
			{Text: in.Representative}, {Tag: activeTag(in.Active)}})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "Lembaga", body)
	return nil
}

var institutionCrumbs = []crumb{dataCrumb, {"Lembaga", institutionsPath}}

func institutionForm(in institution.Institution, action, submit string) formBody {
	kinds := make([]option, len(institution.Kinds))
	for i, k := range institution.Kinds {
		kinds[i] = option{k, institution.KindLabels[k], k == in.Kind}
	}
	return formBody{Crumbs: institutionCrumbs, Action: action, Submit: submit, Version: in.Version, Fields: append([]field{
		{Name: "kind", Label: "Jenis lembaga", Kind: "select", Options: kinds},
		{Name: "name", Label: "Nama lembaga", Kind: "text", Value: in.Name, Hint: "Seperti pada surat dan PO."},
	}, contactFields(in)...)}
}

func typedInstitution(r *http.Request, in institution.Institution) institution.Institution {
	in.Kind, in.Name = r.PostForm.Get("kind"), r.PostForm.Get("name")
	return contact(r, in)
}

func (p *Pages) newInstitution() editor {
	return editor{"Daftarkan lembaga",
		func(*http.Request) (formBody, error) {
			return institutionForm(institution.Institution{}, institutionsPath+"/baru", "Daftarkan"), nil
		},
		func(r *http.Request) (string, error) {
			_, err := p.desk.CreateInstitution(r.Context(), signin.Account(r), typedInstitution(r, institution.Institution{}))
			return institutionsPath + "?tersimpan=1", err
		}}
}

// institutionOf is the institution in the address.
func (p *Pages) institutionOf(r *http.Request) (masterdata.Institution, error) {
	id, err := rowOf(r)
	if err != nil {
		return masterdata.Institution{}, err
	}
	return p.desk.Institution(r.Context(), signin.Account(r), id)
}

func (p *Pages) editInstitution() editor {
	return editor{"Ubah lembaga",
		func(r *http.Request) (formBody, error) {
			in, err := p.institutionOf(r)
			body := institutionForm(in.Institution, institutionsPath+"/"+in.ID, "Simpan")
			body.Fields = body.Fields[1:] // its kind stays
			body.Lead = in.KindLabel + ", " + strings.ToLower(activeTag(in.Active).Text) + "."
			if len(in.FormerNames) > 0 {
				body.Lead += " Nama sebelumnya: " + strings.Join(in.FormerNames, "; ") + "."
			}
			body.Also = []crumb{{toggleLabel(in.Active), institutionsPath + "/" + in.ID + "/status"}}
			return body, err
		},
		func(r *http.Request) (string, error) {
			in, err := p.institutionOf(r)
			if err != nil {
				return "", err
			}
			changed := typedInstitution(r, in.Institution)
			changed.Kind = in.Kind
			_, err = p.desk.ChangeInstitution(r.Context(), signin.Account(r), changed)
			return institutionsPath + "?tersimpan=1", err
		}}
}

func toggleLabel(active bool) string {
	if active {
		return "Nonaktifkan"
	}
	return "Aktifkan kembali"
}

func (p *Pages) institutionStatus() editor {
	return editor{"Ubah status lembaga",
		func(r *http.Request) (formBody, error) {
			in, err := p.institutionOf(r)
			body := formBody{Crumbs: institutionCrumbs, Action: institutionsPath + "/" + in.ID + "/status", Submit: toggleLabel(in.Active), Version: in.Version, Lead: in.Name}
			if in.Active {
				body.Warning = "Akun dan kunci API lembaga ini langsung tidak dapat dipakai. Permohonannya yang masih berjalan tetap diproses."
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			in, err := p.institutionOf(r)
			if err != nil {
				return "", err
			}
			_, err = p.desk.SetInstitutionActive(r.Context(), signin.Account(r), in.ID, seenVersion(r), !in.Active)
			return institutionsPath + "?tersimpan=1", err
		}}
}
