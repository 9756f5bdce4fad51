package pages

import (
	"net/http"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const (
	signatoriesPath = dataPath + "/pejabat"
	signatoriesName = "Pejabat penanda tangan"
)

var signatoryCrumbs = []crumb{dataCrumb, {signatoriesName, signatoriesPath}}

// signatories shows who signs, signed and will sign.
func (p *Pages) signatories(w http.ResponseWriter, r *http.Request) error {
	list, err := p.desk.Signatories(r.Context(), signin.Account(r))
	if err != nil {
		return err
	}
	body := rowsBody{Crumbs: []crumb{dataCrumb}, Links: []crumb{{"Daftarkan masa jabatan", signatoriesPath + "/baru"}},
		Lead: "Naskah memuat pejabat yang menjabat pada tanggal naskah. Plt., Plh., a.n., dan u.b. didahulukan selama masanya. Naskah yang sudah disusun tidak berubah."}
	if r.URL.Query().Get("tersimpan") != "" {
		body.Notice = "Perubahan tersimpan."
	}
	for _, post := range letter.Posts {
		t := rowsTable{Caption: post.Label, Empty: "belum ada; naskah yang memerlukannya menunggu.", Heads: []string{"Nama", "Tercetak", "Masa jabatan", "Status", "Tindakan"}}
		for _, s := range list {
			if s.PostCode != post.Code {
				continue
			}
			name := s.Name
			if s.NIP != "" {
				name += ", NIP " + s.NIP
			}
			t.Rows = append(t.Rows, []cell{{Text: name}, {Text: strings.ReplaceAll(s.Printed, "\n", " / ")}, {Text: term(s)}, signatoryState(p, s), endLink(p, s)})
		}
		body.Tables = append(body.Tables, t)
	}
	p.show(w, r, http.StatusOK, "rows", signatoriesName, body)
	return nil
}

func term(s masterdata.Signatory) string {
	if s.ValidTo == nil {
		return "sejak " + terbilang.FormatDate(s.ValidFrom)
	}
	return terbilang.FormatPeriod(s.ValidFrom, *s.ValidTo)
}

func signatoryState(p *Pages, s masterdata.Signatory) cell {
	today := p.desk.Today()
	switch {
	case s.Signs:
		return cell{Tag: tag{good, "Menandatangani"}}
	case s.ValidFrom.After(today):
		return cell{Tag: tag{wait, "Belum mulai"}}
	case s.ValidTo != nil && s.ValidTo.Before(today):
		return cell{Text: "berakhir"}
	}
	return cell{Text: "digantikan sementara"}
}

func endLink(p *Pages, s masterdata.Signatory) cell {
	if s.ValidTo != nil && s.ValidTo.Before(p.desk.Today()) {
		return cell{}
	}
	return cell{Text: "Akhiri", Path: signatoriesPath + "/" + s.ID + "/akhiri"}
}

func optionsOf(list []struct{ Code, Label string }) []option {
	var options []option
	for _, one := range list {
		options = append(options, option{one.Code, one.Label, false})
	}
	return options
}

// appoint writes a period of office.
func (p *Pages) appoint() editor {
	return editor{"Daftarkan masa jabatan",
		func(r *http.Request) (formBody, error) {
			_, err := p.desk.Signatories(r.Context(), signin.Account(r))
			return formBody{Crumbs: signatoryCrumbs, Action: signatoriesPath + "/baru", Submit: "Daftarkan",
				Lead: "Tulis jabatan seperti dalam naskah, tanpa “Plt.”, “Plh.”, atau “a.n.”; itu ditambahkan menurut bentuknya.",
				Fields: []field{
					{Name: "post_code", Label: "Menandatangani sebagai", Kind: "select", Options: optionsOf(letter.Posts)},
					{Name: "form", Label: "Bentuk", Kind: "select", Options: optionsOf(letter.Forms)},
					{Name: "name", Label: "Nama dan gelar", Kind: "text", Longest: 120},
					{Name: "nip", Label: "NIP", Kind: "text", Mode: "numeric", Longest: 24, Optional: true, Hint: "18 angka; kosongkan bila tidak dicetak."},
					{Name: "rank", Label: "Pangkat dan golongan", Kind: "text", Longest: 120, Optional: true},
					{Name: "post", Label: "Jabatan", Kind: "text", Longest: 200, Hint: "Untuk a.n. dan u.b.: jabatan penanda tangan sendiri."},
					{Name: "principal", Label: "Atas nama jabatan", Kind: "text", Longest: 200, Optional: true, Hint: "Hanya untuk a.n. dan u.b., misalnya Direktur Jenderal Kependudukan dan Pencatatan Sipil."},
					{Name: "through", Label: "Melalui jabatan", Kind: "text", Longest: 200, Optional: true, Hint: "Hanya untuk u.b.: jabatan di antara keduanya."},
					{Name: "address", Label: "Alamat kantor", Kind: "text", Longest: 200, Optional: true, Hint: "Tercetak pada BAST."},
					{Name: "valid_from", Label: "Mulai menjabat", Kind: "date", Value: p.desk.Today().String()},
					{Name: "valid_to", Label: "Hari terakhir", Kind: "date", Optional: true, Hint: "Wajib untuk Plt. dan Plh."},
				}}, err
		},
		func(r *http.Request) (string, error) {
			s := letter.Signatory{
				PostCode: r.PostForm.Get("post_code"), Form: r.PostForm.Get("form"), Name: r.PostForm.Get("name"), NIP: r.PostForm.Get("nip"), Rank: r.PostForm.Get("rank"),
				Post: r.PostForm.Get("post"), Principal: r.PostForm.Get("principal"), Through: r.PostForm.Get("through"), Address: r.PostForm.Get("address"),
				ValidFrom: typedDate(r, "valid_from"),
			}
			if last := typedDate(r, "valid_to"); !last.IsZero() {
				s.ValidTo = &last
			}
			_, err := p.desk.Appoint(r.Context(), signin.Account(r), s)
			return signatoriesPath + "?tersimpan=1", err
		}}
}

// endTerm ends a period of office.
func (p *Pages) endTerm() editor {
	find := func(r *http.Request) (masterdata.Signatory, error) {
		id, err := rowOf(r)
		if err != nil {
			return masterdata.Signatory{}, err
		}
		list, err := p.desk.Signatories(r.Context(), signin.Account(r))
		if err != nil {
			return masterdata.Signatory{}, err
		}
		i := slices.IndexFunc(list, func(s masterdata.Signatory) bool { return s.ID == id })
		if i < 0 {
			return masterdata.Signatory{}, letter.ErrNoSuchSignatory
		}
		return list[i], nil
	}
	return editor{"Akhiri masa jabatan",
		func(r *http.Request) (formBody, error) {
			s, err := find(r)
			return formBody{Crumbs: signatoryCrumbs, Action: signatoriesPath + "/" + s.ID + "/akhiri", Submit: "Akhiri masa jabatan", Version: s.Version,
				Facts:  []fact{{"Pejabat", s.Name}, {"Jabatan", s.PostLabel + ", " + s.FormLabel}, {"Masa jabatan", term(s)}},
				Fields: []field{{Name: "valid_to", Label: "Hari terakhir menjabat", Kind: "date", Value: p.desk.Today().String()}}}, err
		},
		func(r *http.Request) (string, error) {
			s, err := find(r)
			if err == nil {
				_, err = p.desk.EndTerm(r.Context(), signin.Account(r), s.ID, seenVersion(r), typedDate(r, "valid_to"))
			}
			return signatoriesPath + "?tersimpan=1", err
		}}
}
