package pages

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// numbersPath is where persuratan finds the papers that wait for a number, and says how
// papers are numbered.
const (
	numbersPath = "/penomoran"
	numbersName = "Penomoran naskah"
)

// mountNumbers adds the pages of numbers.
func (p *Pages) mountNumbers(inside chi.Router) {
	inside.Get(numbersPath, p.handle(explained(p.numbers)))
	p.mountEditors(inside, map[string]editor{numbersPath + "/{kind}": p.numbering()})
}

// mountPaperNumbers adds the forms of a paper's number and of its replacement, below the
// address of the paper.
func (p *Pages) mountPaperNumbers(inside chi.Router, at string) {
	p.mountEditors(inside, map[string]editor{at + "/nomor": p.typeNumber(), at + "/ganti": p.replacePaper(), at + "/susun-lagi": p.draftAgain()})
}

func (p *Pages) mountEditors(inside chi.Router, editors map[string]editor) {
	for path, e := range editors {
		inside.Get(path, p.handle(explained(p.present(e))))
		inside.Post(path, p.handle(explained(p.saveDay(e))))
	}
}

// paperOnward adds to the page of a paper what becomes of it besides being signed or voided.
func (p *Pages) paperOnward(r *http.Request, body *rowsBody, whole letter.Document, of *owner, at string) error {
	who := signin.Account(r)
	if letter.MayType(whole, who.Role) == nil {
		body.Lead = "Naskah ini menunggu nomor dari buku persuratan. PDF-nya dibuat sesudah bernomor."
		body.Links = slices.Insert(body.Links, 0, crumb{"Isi nomor dan tanggal", at + "/nomor"})
	}
	if body.Lead == "" {
		body.Lead = paperWaits(whole)
	}
	if counter.MayReplace(whole, who) == nil {
		body.Links = append(body.Links, crumb{"Ganti naskah ini", at + "/ganti"})
	}
	for _, d := range of.Documents {
		switch {
		case whole.Replaces != nil && d.ID == *whole.Replaces && whole.State != letter.Void:
			body.Summary = append(body.Summary, pair{"Menggantikan", d.Number})
			body.Links = append(body.Links, crumb{"Naskah yang digantikan", of.Path + papersEnd + "/" + d.ID})
		case d.Replaces != nil && *d.Replaces == whole.ID && d.State != letter.Void:
			body.Links = append(body.Links, crumb{"Naskah penggantinya", of.Path + papersEnd + "/" + d.ID})
		}
	}
	if whole.ReplacementAsked && whole.State == letter.Issued {
		body.Summary = append(body.Summary, pair{"Pengganti", "sudah diminta; naskah ini berlaku sampai penggantinya terbit"})
	}
	if whole.State != letter.Void {
		return nil
	}
	switch err := p.counter().MayDraftAgain(r.Context(), whole, who); {
	case err == nil:
		body.Lead = "Naskah penggantinya tidak disusun sampai diminta."
		body.Links = append(body.Links, crumb{"Susun lagi", at + "/susun-lagi"})
	case errors.Is(err, letter.ErrNotFound):
	default:
		return nil // not theirs to say
	}
	return nil
}

// paperWaits says what a paper waits for, to whoever has nothing to do about it.
func paperWaits(d letter.Document) string {
	switch {
	case d.AwaitsNumber && d.State == letter.Drafted:
		return "Naskah ini menunggu nomor dari persuratan."
	case d.State == letter.Drafted || d.State == letter.Numbered:
		return "Berkasnya sedang dibuat oleh sistem, biasanya kurang dari satu menit. Muat ulang halaman ini; bila lama belum jadi, pembuat naskah sedang berhenti dan naskah ini dilanjutkan sesudah ia berjalan lagi."
	case d.State == letter.AwaitingSignature && d.Kind == letter.BAST && d.Replaces == nil:
		return "BAST ditandatangani kedua pihak saat kartu diserahkan; pindaiannya diunggah pada serah terimanya."
	case d.State == letter.AwaitingSignature:
		return "Menunggu tanda tangan; pindaiannya diunggah persuratan atau Operator KI."
	}
	return ""
}

// afterVoid is what the choice not to draft another paper means.
func afterVoid(d letter.Document) string {
	if d.Replaces != nil {
		return "Jangan susun lagi; naskah yang akan diganti tetap berlaku"
	}
	return "Jangan susun lagi sampai diminta"
}

// rightFirst says what to put right before another paper is drafted.
func rightFirst(d letter.Document) string {
	if d.Kind == letter.BlankReceipt {
		return "Naskah baru menyebut jumlah dan nama yang sama seperti saat dimintakan. Bila itu yang salah, jangan susun lagi; susun tanda terima baru pada buku blangko."
	}
	return "Perbaiki dahulu datanya bila naskah ini salah karena datanya; naskah baru disusun dari data yang ada dalam beberapa detik."
}

// numbers shows what waits for a number, and how each kind of paper gets one.
func (p *Pages) numbers(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	waiting, err := p.counter().AwaitingNumber(r.Context(), who)
	if err != nil {
		return err
	}
	ways, err := p.counter().Numberings(r.Context(), who)
	if err != nil {
		return err
	}
	t := rowsTable{Caption: "Menunggu nomor", Empty: "tidak ada naskah yang menunggu nomor.", Heads: []string{"Naskah", "Permohonan", "Disusun", "Bentuk nomor yang biasa", "Tindakan"}}
	for _, one := range waiting {
		owner := home + "/" + one.Ticket
		if one.Kind == letter.ActivationReply {
			owner = readersPath + "/" + one.Ticket
		}
		at := owner + papersEnd + "/" + one.ID
		act := cell{}
		if counter.MayNumber(who.Role) {
			act = cell{Text: "Isi nomor", Path: at + "/nomor"}
		}
		name := one.KindLabel
		if one.Ordinal > 0 {
			name += ", serah terima ke-" + number(one.Ordinal)
		}
		t.Rows = append(t.Rows, []cell{{Text: name, Path: at}, {Text: one.Ticket, Path: owner}, {Text: terbilang.FormatDateTime(one.Since)}, {Text: one.Template}, act})
	}
	how := rowsTable{Caption: "Cara penomoran", Empty: "belum tercatat; muncul sesudah pembuat naskah berjalan.", Heads: []string{"Naskah", "Cara", "Pola", "Nomor urut terakhir tahun ini", "Tindakan"}}
	slices.SortFunc(ways, func(a, b counter.Numbering) int { return strings.Compare(a.KindLabel, b.KindLabel) })
	for _, n := range ways {
		last, act := "", cell{}
		if n.Template != "" {
			last = strconv.Itoa(n.Last)
		}
		if counter.MayNumber(who.Role) {
			act = cell{Text: "Ubah", Path: numbersPath + "/" + n.Kind}
		}
		how.Rows = append(how.Rows, []cell{{Text: n.KindLabel}, {Text: n.WayLabel}, {Text: n.Template}, {Text: last}, act})
	}
	body := rowsBody{Lead: "Nomor naskah diberikan otomatis, atau diisi persuratan dari buku nomornya. Naskah yang sudah bernomor tetap memakai nomornya.", Tables: []rowsTable{t, how}}
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "rows", numbersName, body)
	return nil
}

// numbering changes how a kind of paper gets its number.
func (p *Pages) numbering() editor {
	return editor{"Ubah cara penomoran",
		func(r *http.Request) (formBody, error) {
			who := signin.Account(r)
			if !counter.MayNumber(who.Role) {
				return formBody{}, counter.ErrNotRegistrar
			}
			list, err := p.counter().Numberings(r.Context(), who)
			if err != nil {
				return formBody{}, err
			}
			i := slices.IndexFunc(list, func(n counter.Numbering) bool { return n.Kind == chi.URLParam(r, "kind") })
			if i < 0 {
				return formBody{}, letter.ErrNoNumbering
			}
			n := list[i]
			ways := optionsOf(letter.Ways)
			for j := range ways {
				ways[j].Chosen = ways[j].Value == n.Way
			}
			return formBody{
				Crumbs: []crumb{{numbersName, numbersPath}}, Action: numbersPath + "/" + n.Kind, Submit: "Simpan", Version: n.Version,
				Lead:  "Berlaku untuk naskah yang disusun sesudah ini. Naskah yang sudah bernomor tidak berubah; yang masih menunggu nomor mendapat nomor otomatis bila caranya menjadi otomatis.",
				Facts: []fact{{"Naskah", n.KindLabel}, {"Nomor urut terakhir tahun ini", strconv.Itoa(n.Last)}},
				Fields: []field{
					{Name: "way", Label: "Cara", Kind: "select", Options: ways},
					{Name: "template", Label: "Pola nomor", Kind: "text", Value: n.Template, Longest: 100, Optional: true,
						Hint: "{urut} diganti nomor urut, {tahun} tahunnya. Jenis naskah dengan pola yang sama memakai satu urutan. Untuk nomor dari buku persuratan: bentuk yang biasa, boleh kosong."},
					{Name: "last", Label: "Nomor urut terakhir yang sudah terpakai", Kind: "text", Mode: "numeric", Optional: true,
						Hint: "Isi bila tahun ini sudah ada nomor di luar sistem ini; urutan pola itu berlanjut sesudahnya."},
					{Name: "reason", Label: "Alasan menyetel urutan mundur", Kind: "text", Longest: 2000, Optional: true,
						Hint: "Hanya bila nomor urut terakhir tadinya keliru diisi terlalu besar. Urutan tidak mundur melewati nomor yang sudah ada pada naskah; isi 0 bila belum ada satu pun."},
				},
			}, nil
		},
		func(r *http.Request) (string, error) {
			var last *int
			if text := typedText(r, "last"); text != "" {
				n, err := strconv.Atoi(text)
				if err != nil || n == 0 && typedText(r, "reason") == "" {
					n = -1
				}
				last = &n
			}
			_, err := p.counter().ChangeNumbering(r.Context(), signin.Account(r), chi.URLParam(r, "kind"), seenVersion(r), r.PostForm.Get("way"), r.PostForm.Get("template"), last, r.PostForm.Get("reason"))
			return numbersPath + "?" + justKept(), err
		}}
}

// onPaper is the paper of the address, for a form about it.
func (p *Pages) onPaper(r *http.Request) (whole letter.Document, body formBody, at string, err error) {
	d, of, at, err := p.paperOf(r)
	if err != nil {
		return whole, body, at, err
	}
	whole, err = p.counter().Paper(r.Context(), signin.Account(r), d.ID)
	return whole, formBody{Crumbs: paperCrumbs(of, d, at), Facts: paperFacts(d), Version: whole.Version}, at, err
}

// typeNumber gives a paper the number from persuratan's book.
func (p *Pages) typeNumber() editor {
	return editor{"Isi nomor dan tanggal",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = letter.MayType(whole, signin.Account(r).Role)
			}
			if err != nil {
				return body, err
			}
			usual := "Seperti tertulis dalam buku nomor."
			if n, err := letter.GetNumbering(r.Context(), p.db, whole.Kind); err == nil && n.Template != "" {
				usual += " Biasanya berbentuk " + n.Template + ", dengan {urut} diganti nomor urutnya."
			}
			body.Action, body.Submit = at+"/nomor", "Beri nomor"
			body.Lead = "Sesudah bernomor, PDF-nya dibuat dan naskah menunggu tanda tangan. Nomor yang sudah diberikan tidak dapat diubah; naskah yang salah nomor dibatalkan."
			body.Fields = []field{
				{Name: "number", Label: "Nomor", Kind: "text", Longest: 100, Hint: usual},
				{Name: "dated", Label: "Tanggal naskah", Kind: "date", Value: p.desk.Today().String()},
				{Name: "unusual", Label: "Nomor ini benar walaupun bentuknya tidak seperti biasanya", Kind: "checkbox"},
			}
			return body, nil
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Number(r.Context(), signin.Account(r), d.ID, seenVersion(r), counter.Typed{
				Number: r.PostForm.Get("number"), Dated: r.PostForm.Get("dated"), Unusual: r.PostForm.Get("unusual") != "",
			})
		}}
}

// replacePaper has a paper in force made anew.
func (p *Pages) replacePaper() editor {
	return editor{"Ganti naskah",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = counter.MayReplace(whole, signin.Account(r))
			}
			body.Action, body.Submit = at+"/ganti", "Ganti naskah ini"
			body.Lead = rightFirst(whole) + " Naskah baru bernomor sendiri."
			body.Warning = "Naskah ini tetap berlaku sampai penggantinya ditandatangani dan terbit; sejak itu halaman verifikasinya mengatakan “diganti” dan menyebut penggantinya."
			body.Fields = []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000}}
			return body, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Replace(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("reason"))
		}}
}

// draftAgain has a paper drafted in the place of one that was voided for good.
func (p *Pages) draftAgain() editor {
	return editor{"Susun naskah lagi",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = p.counter().MayDraftAgain(r.Context(), whole, signin.Account(r))
			}
			body.Action, body.Submit, body.Version = at+"/susun-lagi", "Susun lagi", 0
			body.Lead = "Naskah baru disusun dari data yang ada sekarang, dengan nomor baru, dalam beberapa detik."
			return body, err
		},
		func(r *http.Request) (string, error) {
			d, of, _, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return of.Path + "?" + justKept(), p.counter().DraftAgain(r.Context(), signin.Account(r), d.ID)
		}}
}
