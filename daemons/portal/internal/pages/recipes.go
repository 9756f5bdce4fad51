package pages

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const (
	recipesPath = dataPath + "/personalisasi"
	recipesName = "Personalisasi"
)

var recipeCrumbs = []crumb{dataCrumb, {recipesName, recipesPath}}

// recipeAct is a step of an edition as its page offers it.
type recipeAct struct {
	verb                       machine.Verb
	path, title, lead, warning string
	label                      string // of the reason
	optional                   bool
}

var recipeActs = []recipeAct{
	{recipe.ProposeVerb, "usulkan", "Usulkan", "Sesudah diusulkan isinya tidak dapat diubah lagi, dan orang lain diminta menyetujuinya.", "", "Catatan bagi penyetuju", true},
	{recipe.ApproveVerb, "setujui", "Setujui", "Edisi ini berlaku bagi perintah kerja yang belum dimulai. Yang sudah dimulai tetap memakai edisinya sendiri. Pola nomor berlaku seketika bagi kartu yang belum bernomor.",
		"Pastikan isi dan perbedaannya sudah Anda baca, dan bahwa profil sudah dicoba pada kartu uji.", "Dasar persetujuan", true},
	{recipe.RefuseVerb, "tolak", "Tolak atau tarik usulan", "Edisi ini tidak dipakai, dan nomor versinya tidak dipakai lagi.", "", "Alasan", false},
	{recipe.DiscardVerb, "batalkan", "Batalkan konsep", "Konsep ini tidak dipakai, dan nomor versinya tidak dipakai lagi.", "", "Alasan", false},
	{recipe.WithdrawVerb, "tarik", "Tarik", "Tidak ada kartu lagi yang dimulai dengan edisi ini, dan edisi sebelumnya tidak berlaku kembali dengan sendirinya.",
		"Perintah kerja yang sudah dimulai dengan edisi ini berhenti; kartunya yang belum ditulis masuk perintah kerja berikutnya.", "Alasan", false},
}

var recipeTags = map[machine.State]string{
	recipe.Draft: "", recipe.Proposed: wait, recipe.Active: good, recipe.Superseded: "", recipe.Withdrawn: bad, recipe.Refused: bad, recipe.Discarded: "",
}

func recipeTag(s machine.State) tag { return tag{recipeTags[s], recipe.Machine.Label(s)} }

func (p *Pages) mountRecipes(keepers chi.Router) {
	keepers.Get(recipesPath, p.handle(explained(p.recipes)))
	keepers.Get(recipesPath+"/{id}", p.handle(explained(p.oneRecipe)))
	editors := map[string]editor{recipesPath + "/baru": p.newRecipe(), recipesPath + "/{id}/ubah": p.editRecipe()}
	for _, act := range recipeActs {
		editors[recipesPath+"/{id}/"+act.path] = p.recipeStep(act)
	}
	for path, e := range editors {
		keepers.Get(path, p.handle(explained(p.present(e))))
		keepers.Post(path, p.handle(explained(p.save(e))))
	}
}

func (p *Pages) recipes(w http.ResponseWriter, r *http.Request) error {
	all, err := p.desk.Recipes(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	body := rowsBody{Crumbs: []crumb{dataCrumb},
		Lead: "Dengan apa kartu SAM ditulis. Jenis SAM memilih profil dan Kode Kunci bagi kartu sebuah permohonan; pola nomor membentuk PCID dan nomor manifestnya. Tiap edisi disetujui orang kedua sebelum berlaku, dan perintah kerja tidak pernah berganti edisi."}
	for _, k := range recipe.Kinds {
		body.Links = append(body.Links, crumb{"Tulis " + sentenceLower(recipe.KindLabels[k]), recipesPath + "/baru?jenis=" + string(k)})
	}
	waiting := rowsTable{Caption: "Menunggu persetujuan", Empty: "tidak ada.", Heads: []string{"Edisi", "Jenis", "Diusulkan oleh", "Ditulis"}}
	tables := map[recipe.Kind]*rowsTable{}
	for _, k := range recipe.Kinds {
		tables[k] = &rowsTable{Caption: recipe.KindLabels[k], Empty: "belum ada.", Heads: []string{"Edisi", "Keadaan", "Penulis", "Disetujui oleh", "Ditulis"}}
	}
	for _, one := range all {
		at := cell{Text: one.Label(), Path: recipesPath + "/" + one.ID}
		if one.State == recipe.Proposed {
			waiting.Rows = append(waiting.Rows, []cell{at, {Text: recipe.KindLabels[one.Kind]}, {Text: text(one.ProposedBy)}, {Text: terbilang.FormatDateTime(one.WrittenAt)}})
		}
		t := tables[one.Kind]
		t.Rows = append(t.Rows, []cell{at, {Tag: recipeTag(one.State)}, {Text: strings.Join(one.Authors, ", ")}, {Text: text(one.ApprovedBy)}, {Text: terbilang.FormatDateTime(one.WrittenAt)}})
	}
	if len(waiting.Rows) > 0 {
		body.Tables = append(body.Tables, waiting)
	}
	for _, k := range recipe.Kinds {
		body.Tables = append(body.Tables, *tables[k])
	}
	p.show(w, r, http.StatusOK, "rows", recipesName, body)
	return nil
}

// sentenceLower is a name in the middle of a sentence; "Kode Kunci" and "SAM" keep
// their capitals.
func sentenceLower(name string) string {
	if strings.HasPrefix(name, "Kode Kunci") {
		return name
	}
	return strings.ToLower(name[:1]) + name[1:]
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// recipeIn is the edition in the address.
func (p *Pages) recipeIn(r *http.Request) (masterdata.Recipe, error) {
	id, err := rowOf(r)
	if err != nil {
		return masterdata.Recipe{}, err
	}
	return p.desk.Recipe(r.Context(), signin.Account(r), id)
}

func (p *Pages) oneRecipe(w http.ResponseWriter, r *http.Request) error {
	v, err := p.recipeIn(r)
	if err != nil {
		return err
	}
	at := recipesPath + "/" + v.ID
	body := rowsBody{Crumbs: recipeCrumbs, Lead: recipe.KindLabels[v.Kind] + ", " + recipe.Machine.Label(v.State) + ".", Raw: string(v.Content), Summary: []pair{
		{"Penulis", strings.Join(v.Authors, ", ")}, {"Ditulis", terbilang.FormatDateTime(v.WrittenAt)}, {"Diusulkan oleh", text(v.ProposedBy)},
		{"Disetujui oleh", text(v.ApprovedBy)}, {"SHA-256", hex.EncodeToString(v.SHA256)},
	}}
	body.Summary = slices.DeleteFunc(body.Summary, func(p pair) bool { return p.Text == "" })
	if v.NotBuilt != "" {
		body.Summary = append(body.Summary, pair{"Belum dapat dijalankan", v.NotBuilt})
	}
	if r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Perubahan tersimpan."
		if v.State == recipe.Proposed {
			body.Notice = "Usulan tersimpan dan belum berlaku. Mintalah orang lain membukanya pada Data induk, Personalisasi."
		}
	}
	if slices.Contains(v.Offers, recipe.ChangeVerb) {
		body.Links = append(body.Links, crumb{"Ubah konsep", at + "/ubah"})
	}
	for _, act := range recipeActs {
		if slices.Contains(v.Offers, act.verb) {
			body.Links = append(body.Links, crumb{act.title, at + "/" + act.path})
		}
	}
	body.Links = append(body.Links, crumb{"Tulis edisi berikutnya dari isi ini", recipesPath + "/baru?jenis=" + string(v.Kind) + "&dari=" + v.ID})
	if v.Before != nil {
		t := rowsTable{Caption: "Perbedaan dari " + v.Before.Label(), Empty: "isinya sama.", Heads: []string{"Tempat", "Pada " + v.Before.Label(), "Pada " + v.Label()}}
		for _, d := range v.Differences {
			t.Rows = append(t.Rows, []cell{{Text: d.Pointer}, {Text: d.Before}, {Text: d.After}})
		}
		body.Tables = append(body.Tables, t)
	}
	editions := rowsTable{Caption: "Semua edisi", Empty: "belum ada.", Heads: []string{"Edisi", "Keadaan", "Penulis", "Disetujui oleh"}}
	for _, e := range v.Editions {
		editions.Rows = append(editions.Rows, []cell{{Text: e.Label(), Path: recipesPath + "/" + e.ID}, {Tag: recipeTag(e.State)}, {Text: strings.Join(e.Authors, ", ")}, {Text: text(e.ApprovedBy)}})
	}
	steps := rowsTable{Caption: "Riwayat, terbaru lebih dahulu", Empty: "belum ada.", Heads: []string{"Langkah", "Waktu", "Oleh", "Peran", "Alasan"}}
	for _, s := range v.Timeline {
		role := request.RoleLabels[s.Role]
		if role == "" {
			role = "Sistem"
		}
		steps.Rows = append(steps.Rows, []cell{{Text: recipe.Machine.VerbLabel(s.Verb)}, {Text: terbilang.FormatDateTime(s.OfficeAt)}, {Text: s.Actor}, {Text: role}, {Text: s.Reason}})
	}
	if v.Kind == recipe.Profile {
		body.Tables = append(body.Tables, trialTable(v.Trials))
	}
	if v.Kind == recipe.KeyCode {
		body.Tables = append(body.Tables, keyTable(v.Keys))
	}
	body.Tables = append(body.Tables, editions, steps)
	p.show(w, r, http.StatusOK, "rows", v.Label(), body)
	return nil
}

// trialTable is what came of the runs of a profile on test cards.
func trialTable(all []recipe.Trial) rowsTable {
	t := rowsTable{Caption: "Uji coba pada kartu uji", Empty: "belum pernah.", Heads: []string{"Waktu", "Hasil", "Oleh", "Stasiun", "Chip", "Masalah"}}
	for _, one := range all {
		result := tag{good, "Berhasil"}
		if !one.Passed {
			result = tag{bad, "Tidak berhasil"}
		} else if !one.Current {
			result = tag{busy, "Berhasil, dengan isi sebelumnya"}
		}
		t.Rows = append(t.Rows, []cell{{Text: terbilang.FormatDateTime(one.OfficeAt)}, {Tag: result}, {Text: one.TriedBy}, {Text: one.Station}, {Text: one.ChipID}, {Text: trialProblem(one)}})
	}
	return t
}

func trialProblem(t recipe.Trial) string {
	var r struct {
		Problem string
		Steps   []struct{ Do, Problem string }
	}
	_ = json.Unmarshal(t.Report, &r) // a station's own JSON; without problems there are none
	var all []string
	for _, s := range r.Steps {
		if s.Problem != "" {
			all = append(all, s.Do+": "+s.Problem)
		}
	}
	if r.Problem != "" {
		all = append(all, r.Problem)
	}
	return strings.Join(all, "; ")
}

var recipeReason = field{Name: "reason", Label: "Untuk apa perubahan ini", Kind: "textarea", Optional: true}

func recipeFields(content string) []field {
	return []field{
		{Name: "content", Label: "Isi (JSON)", Kind: "textarea", Value: content, Rows: 30, Longest: 65536,
			Hint: "Tempel atau ubah dokumen JSON seutuhnya. Setelah disimpan sebagai konsep, isinya diperiksa dan kesalahannya disebut menurut tempatnya."},
		recipeReason,
	}
}

// contentVersion is the version in a content, for a next edition to be begun with.
var contentVersion = regexp.MustCompile(`("version"\s*:\s*)[0-9]+`)

func (p *Pages) newRecipe() editor {
	kindOf := func(r *http.Request) recipe.Kind {
		if k := recipe.Kind(r.URL.Query().Get("jenis")); slices.Contains(recipe.Kinds, k) {
			return k
		}
		return recipe.Profile
	}
	return editor{"Tulis edisi baru",
		func(r *http.Request) (formBody, error) {
			k, from := kindOf(r), r.URL.Query().Get("dari")
			body := formBody{Crumbs: recipeCrumbs, Action: recipesPath + "/baru?jenis=" + string(k), Submit: "Simpan sebagai konsep", Lead: recipe.KindLabels[k] + ".", Facts: recipeGuide[k]}
			all, err := p.desk.Recipes(r.Context(), signin.Account(r))
			if err != nil {
				return body, err
			}
			if one := example(all, k); from == "" && one != nil {
				from = one.ID
				body.Lead = recipe.KindLabels[k] + ". Di bawah ini isi " + one.Label() + " sebagai contoh: ubah untuk edisi berikutnya, " +
					"atau ganti namanya dan mulai dari versi 1 untuk yang baru."
			}
			body.Fields = recipeFields(nextContent(all, from))
			return body, nil
		},
		func(r *http.Request) (string, error) {
			made, err := p.desk.WriteRecipe(r.Context(), signin.Account(r), kindOf(r), r.PostForm.Get("content"), r.PostForm.Get("reason"))
			return recipesPath + "/" + made.ID + "?tersimpan=1", err
		}}
}

// nextContent is the content of an edition with the number of the next one in it.
func nextContent(all []recipe.Recipe, id string) string {
	for _, one := range all {
		if one.ID != id {
			continue
		}
		next := one.Edition
		for _, e := range all {
			if e.Kind == one.Kind && e.Code == one.Code {
				next = max(next, e.Edition)
			}
		}
		done := false
		return contentVersion.ReplaceAllStringFunc(string(one.Content), func(found string) string {
			if done {
				return found
			}
			done = true
			return contentVersion.ReplaceAllString(found, fmt.Sprintf("${1}%d", next+1))
		})
	}
	return ""
}

func (p *Pages) editRecipe() editor {
	return editor{"Ubah konsep",
		func(r *http.Request) (formBody, error) {
			v, err := p.recipeIn(r)
			return formBody{Crumbs: recipeCrumbs, Action: recipesPath + "/" + v.ID + "/ubah", Submit: "Simpan", Version: v.Version, Lead: v.Label() + ".",
				Facts: recipeGuide[v.Kind], Fields: recipeFields(string(v.Content))}, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.recipeIn(r)
			if err == nil {
				_, err = p.desk.RewriteRecipe(r.Context(), signin.Account(r), recipe.Seen{ID: v.ID, Version: seenVersion(r)}, r.PostForm.Get("content"), r.PostForm.Get("reason"))
			}
			return recipesPath + "/" + v.ID + "?tersimpan=1", err
		}}
}

func (p *Pages) recipeStep(act recipeAct) editor {
	return editor{act.title,
		func(r *http.Request) (formBody, error) {
			v, err := p.recipeIn(r)
			body := formBody{Crumbs: recipeCrumbs, Action: recipesPath + "/" + v.ID + "/" + act.path, Submit: act.title, Version: v.Version, Lead: v.Label() + ". " + act.lead,
				Warning: act.warning, Fields: []field{{Name: "reason", Label: act.label, Kind: "textarea", Optional: act.optional}}}
			if act.verb == recipe.ApproveVerb && v.Before != nil {
				body.Facts = append(body.Facts, fact{"Menggantikan", fmt.Sprintf("%s, dengan %d perbedaan", v.Before.Label(), len(v.Differences))})
			}
			if act.verb == recipe.ApproveVerb && v.Kind == recipe.Profile {
				tried := "belum pernah"
				if len(v.Trials) > 0 {
					tried = terbilang.FormatDateTime(v.Trials[0].OfficeAt) + ", tidak berhasil"
					if v.Trials[0].Passed {
						tried = terbilang.FormatDateTime(v.Trials[0].OfficeAt) + ", berhasil"
					}
				}
				if !slices.ContainsFunc(v.Trials, func(t recipe.Trial) bool { return t.Passed && t.Current && t.TriedBy != "" }) {
					body.Warning = "Isi ini belum lulus uji coba, jadi belum dapat disetujui. Jalankan dahulu di stasiun: perso-station -try " + v.Label() + " -in \"NAMA PEMBACA\" -by \"NAMA ANDA\" -config BERKAS-KONFIGURASI-STASIUN"
				}
				body.Facts = append(body.Facts, fact{"Uji coba terakhir pada kartu uji", tried})
			}
			if v.NotBuilt != "" && act.verb != recipe.WithdrawVerb {
				body.Facts = append(body.Facts, fact{"Belum dapat dijalankan", v.NotBuilt})
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.recipeIn(r)
			if err == nil {
				_, err = p.desk.MoveRecipe(r.Context(), signin.Account(r), act.verb, recipe.Seen{ID: v.ID, Version: seenVersion(r)}, r.PostForm.Get("reason"))
			}
			return recipesPath + "/" + v.ID + "?tersimpan=1", err
		}}
}
