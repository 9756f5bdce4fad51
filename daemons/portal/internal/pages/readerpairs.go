package pages

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/readers"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	pairsPath     = readersPath + "/pasangan"
	pairsTemplate = "/api/v1/reader-pairs/template.xlsx"
	pairsTitle    = "Catat pasangan reader"
	// mostPairsForm bounds the pairs of a preview on their way to be recorded, in bytes.
	mostPairsForm = 2 << 20
)

// mountPairs adds the pages of pairs of cards and readers.
func (p *Pages) mountPairs(inside chi.Router) {
	inside.Get(pairsPath, p.handle(explained(p.pairs)))
	inside.Get(pairsPath+"/catat", p.handle(explained(p.pairsForm)))
	inside.With(web.BodyLimit(upload.MaxSheetBody)).Post(pairsPath+"/catat", p.handle(explained(p.lookAtPairs)))
	inside.With(web.BodyLimit(mostPairsForm)).Post(pairsPath+"/simpan", p.handle(explained(p.savePairs)))
}

// pairs lists cards for readers, with where the office knows their reader from.
func (p *Pages) pairs(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if err := readers.MaySeePairs(who); err != nil {
		return err
	}
	body, after := looked(r, pairsPath)
	body.Crumbs = readersCrumbs
	body.Lead = "Reader setiap kartu SAM, menurut daftar kartu permohonannya atau yang dicatat sesudahnya. Aktivasi memerlukan pasangan yang tercatat."
	if n, err := strconv.Atoi(r.URL.Query().Get("sudah")); err == nil && n > 0 {
		body.Notice = number(n) + " pasangan tercatat."
	}
	unpaired := r.URL.Query().Get("belum") != ""
	if activation.MayPair(who.Role) == nil {
		body.Links = append(body.Links, crumb{pairsTitle, pairsPath + "/catat"})
	}
	if unpaired {
		body.Links = append(body.Links, crumb{"Tampilkan semua", pairsPath})
	} else {
		body.Links = append(body.Links, crumb{"Hanya yang belum berpasangan", pairsPath + "?belum=1"})
	}
	scope := report.Scope(who)
	list, err := activation.Pairs(r.Context(), p.db, activation.PairFilter{ProdusenID: scope, Unpaired: unpaired, Search: body.Search, After: after, Limit: dataShown + 1})
	if err != nil {
		return err
	}
	t := rowsTable{Caption: "Kartu SAM untuk reader, terbaru lebih dahulu", Empty: "tidak ada.", Heads: []string{"No. Seri Kartu SAM", "No. Seri Reader", "Permohonan", "Produsen", "Sumber", "Dicatat"}, Serials: true}
	for _, one := range cutRows(&body, list, func(c activation.CardPair) string { return c.ID }) {
		told := ""
		if one.ToldAt != nil {
			if told = terbilang.FormatDateTime(*one.ToldAt); !report.Outside(who) {
				told += " oleh " + one.ToldBy
			}
		}
		source := cell{Text: activation.SourceLabels[one.Source]}
		if one.Source == "" {
			source.Tag = tag{wait, "Belum berpasangan"}
		}
		t.Rows = append(t.Rows, []cell{{Text: one.SAM}, {Text: one.Reader}, {Text: one.Ticket, Path: home + "/" + one.Ticket}, {Text: one.Produsen}, source, {Text: told}})
	}
	if unpaired && body.Next != "" {
		body.Next += "&belum=1"
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", "Pasangan kartu SAM dan reader", body)
	return nil
}

func pairName(row int, name string) string { return "pairs/" + strconv.Itoa(row) + "/" + name }

// pairsBody is the form into which pairs are typed, or a workbook of them is sent.
func pairsBody(pairs []activation.Pair, empty int) formBody {
	rows := field{Name: "pairs", Label: "Pasangan", Kind: "rows", Hint: "Satu baris untuk setiap kartu SAM; baris yang kosong dilewati. Untuk lebih dari " + strconv.Itoa(mostRows) + " pasangan, pakai Excel."}
	for i := range min(len(pairs)+empty, mostRows) {
		var one activation.Pair
		if i < len(pairs) {
			one = pairs[i]
		}
		rows.Lines = append(rows.Lines, fieldRow{"Pasangan " + strconv.Itoa(i+1), []field{
			{Name: pairName(i, "sam_serial"), Label: "No. Seri Kartu SAM", Kind: "text", Value: one.SAM, Longest: 64},
			{Name: pairName(i, "reader_serial"), Label: "No. Seri Reader", Kind: "text", Value: one.Reader, Longest: 64},
		}})
	}
	rows.Full = len(rows.Lines) == mostRows
	return formBody{
		Crumbs: []crumb{readersCrumbs[0], {"Pasangan kartu SAM dan reader", pairsPath}}, Upload: true, Action: pairsPath + "/catat", Submit: "Periksa",
		Lead:   "Untuk kartu yang daftarnya tidak menyebut reader. Anda melihat dahulu apa yang akan dicatat; pada langkah ini belum ada yang tercatat.",
		Fields: []field{rows, {Name: "list", Label: "Daftar pasangan (Excel)", Kind: "file", Value: ".xlsx", Optional: true, Hint: "Sebagai ganti baris di atas: menurut templat, paling besar 5 MB."}},
		Also:   []crumb{{"Unduh templat pasangan reader", pairsTemplate}},
	}
}

func (p *Pages) pairsForm(w http.ResponseWriter, r *http.Request) error {
	if err := activation.MayPair(signin.Account(r).Role); err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "form", pairsTitle, pairsBody(nil, firstRows))
	return nil
}

// pairsLook is what would be recorded.
type pairsLook struct {
	Crumbs  []crumb
	Count   int
	Changed int // that are with another reader now
	Pairs   rowsTable
	Packed  string
	Source  activation.Source
}

// lookAtPairs reads what was typed or sent and shows what would be recorded, or the form again
// with all that is wrong.
func (p *Pages) lookAtPairs(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if err := activation.MayPair(who.Role); err != nil { // before a file is taken in
		return err
	}
	names := []string{rowsField, moreField}
	for i := range mostRows {
		names = append(names, pairName(i, "sam_serial"), pairName(i, "reader_serial"))
	}
	parcel, wrong, err := p.spool.ReadSheet(r, names, nil, "list")
	if err != nil {
		return err
	}
	defer parcel.Close()
	r.PostForm = url.Values{}
	var pairs []activation.Pair
	for i := range mostRows {
		one := activation.Pair{SAM: strings.TrimSpace(parcel.Fields[pairName(i, "sam_serial")]), Reader: strings.TrimSpace(parcel.Fields[pairName(i, "reader_serial")])}
		if one != (activation.Pair{}) {
			pairs = append(pairs, one)
		}
	}
	shown := append([]activation.Pair{}, pairs...)
	if parcel.Fields[moreField] != "" {
		p.show(w, r, http.StatusOK, "form", pairsTitle, pairsBody(shown, moreRows))
		return nil
	}
	source, point := activation.SourceForm, func(err error) error { return err }
	if file := parcel.Files["list"]; file != nil && len(wrong) == 0 {
		if len(pairs) > 0 {
			wrong.Add("/list", "twice", "Isi pasangan pada baris atau pada daftar Excel, jangan keduanya.")
		} else {
			content, more, err := p.readerDesk().ReadPairs(r.Context(), file)
			if err != nil {
				return err
			}
			wrong, pairs, source = append(wrong, more...), content.Pairs(), activation.SourceExcel
			point = func(err error) error { return sheetFaults(pointed(err, content)) }
		}
	}
	if err = wrong.Err(); err == nil {
		var before []string
		if before, err = p.readerDesk().LookAtPairs(r.Context(), who, pairs); err == nil {
			return p.showPairs(w, r, pairs, before, source)
		}
	}
	return p.again(w, r, pairsTitle, pairsBody(shown, max(1, firstRows-len(shown))), point(err))
}

func (p *Pages) showPairs(w http.ResponseWriter, r *http.Request, pairs []activation.Pair, before []string, source activation.Source) error {
	look := pairsLook{
		Crumbs: []crumb{readersCrumbs[0], {"Pasangan kartu SAM dan reader", pairsPath}, {pairsTitle, pairsPath + "/catat"}}, Count: len(pairs), Source: source,
		Pairs: rowsTable{Caption: "Yang akan dicatat", Heads: []string{"No. Seri Kartu SAM", "No. Seri Reader", "Sekarang tercatat"}, Serials: true},
	}
	var lines []string
	for i, one := range pairs {
		now := before[i]
		if now == "" {
			now = "belum ada"
		} else if now != one.Reader {
			look.Changed++
		}
		look.Pairs.Rows = append(look.Pairs.Rows, []cell{{Text: one.SAM}, {Text: one.Reader}, {Text: now}})
		lines = append(lines, one.SAM+"\t"+one.Reader)
	}
	look.Packed = strings.Join(lines, "\n")
	p.show(w, r, http.StatusOK, "pairs-check", "Periksa pasangan reader", look)
	return nil
}

// savePairs records what a preview showed. What is wrong by now is told in the form; pairs of
// a workbook that is too long for it have to be sent again.
func (p *Pages) savePairs(w http.ResponseWriter, r *http.Request) error {
	if err := activation.MayPair(signin.Account(r).Role); err != nil {
		return err
	}
	if err := typed(r); err != nil {
		return err
	}
	source := activation.SourceForm
	if r.PostForm.Get("sumber") == string(activation.SourceExcel) {
		source = activation.SourceExcel
	}
	var pairs []activation.Pair
	for line := range strings.Lines(r.PostForm.Get("isi")) {
		sam, reader, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "\t")
		pairs = append(pairs, activation.Pair{SAM: sam, Reader: reader})
	}
	if err := p.readerDesk().Pair(r.Context(), signin.Account(r), pairs, source); err != nil {
		shown := pairs[:min(len(pairs), mostRows)]
		return p.again(w, r, pairsTitle, pairsBody(shown, max(1, firstRows-len(shown))), err)
	}
	http.Redirect(w, r, pairsPath+"?sudah="+strconv.Itoa(len(pairs)), http.StatusSeeOther)
	return nil
}
