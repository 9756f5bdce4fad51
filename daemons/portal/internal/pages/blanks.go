package pages

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const (
	vaultPath  = "/blangko"      // the day sheet
	blanksEnd  = "/buku-blangko" // of a request's address
	drawnEnd   = "/kartu-rusak"  // of that
	attestEnd  = "/tanda-terima" // of that
	attestMark = "disusun"       // in the address of the book, after a tanda terima was asked for
	imbalance  = "Jumlah blangko tidak sama dengan yang diterima. Hentikan pengerjaan permohonan itu, hitung kartunya, dan beri tahu Kasubdit KI."
)

// mountBlanks adds the pages of the book of blanks.
func (p *Pages) mountBlanks(inside chi.Router) {
	inside.Get(vaultPath, p.handle(explained(p.daySheet)))
	inside.Get(vaultPath+"/lembar", p.handle(explained(p.daySheets)))
	at := home + "/{ticket}" + blanksEnd
	inside.Get(at, p.handle(explained(p.blanksOf)))
	for path, e := range map[string]editor{
		at + "/penerimaan": p.bookForm(stock.Receipt), at + "/kartu-uji": p.bookForm(stock.Test), at + "/pengembalian": p.bookForm(stock.Return),
		vaultPath + "/cetak": p.printing(), at + attestEnd: p.attesting(),
		at + "/{id}/batal": p.reversal(), at + drawnEnd: p.destruction(), at + drawnEnd + "/{id}/batal": p.voiding(),
	} {
		inside.Get(path, p.handle(explained(p.present(e))))
		inside.Post(path, p.handle(explained(p.saveDay(e))))
	}
}

func (p *Pages) vault() blanks.Desk { return blanks.Desk{DB: p.db, Office: p.office} }

// flowTable is a table of days, whose numbers stand after the heads.
func flowTable(caption, empty string, heads ...string) rowsTable {
	t := rowsTable{Caption: caption, Empty: empty, Heads: heads}
	for i, f := range blanks.Flows {
		t.Heads = append(t.Heads, f.Name)
		t.Numbers = append(t.Numbers, len(heads)+i)
	}
	return t
}

func flowCells(d stock.Day) []cell {
	var cells []cell
	for _, f := range blanks.Flows {
		cells = append(cells, cell{Text: number(f.Of(d))})
	}
	return cells
}

// daySheet shows what became of all blanks on a day.
func (p *Pages) daySheet(w http.ResponseWriter, r *http.Request) error {
	day := p.desk.Today()
	if text := r.URL.Query().Get("hari"); text != "" {
		var err error
		if day, err = shownDay(text); err != nil {
			return err
		}
	}
	s, err := p.vault().Day(r.Context(), signin.Account(r), day)
	if err != nil {
		return err
	}
	t := flowTable("Blangko menurut permohonan", "tidak ada blangko di kantor pada hari itu.", "Permohonan", "Pemohon")
	for _, d := range s.Requests {
		t.Rows = append(t.Rows, append([]cell{{Text: d.Ticket, Path: home + "/" + d.Ticket + blanksEnd}, {Text: d.Institution}}, flowCells(d)...))
	}
	if len(s.Requests) > 0 {
		t.Rows = append(t.Rows, append([]cell{{Text: "Jumlah"}, {}}, flowCells(s.Sum)...))
	}
	body := rowsBody{Crumbs: []crumb{{"Papan kapasitas", boardPath}}, Tables: []rowsTable{t, papersTable("Lembar harian untuk dicetak", s.Papers)},
		Lead: terbilang.FormatDayDate(day) + ". Awal ditambah diterima sama dengan semua kolom sesudahnya. Yang diputuskan dari keadaan meragukan atau selesai di stasiun mengurangi kolom asalnya.",
		Links: []crumb{{"Unduh Excel", "/api/v1/blanks.xlsx?day=" + day.String()}, {"← Hari sebelumnya", vaultPath + "?hari=" + day.AddDays(-1).String()},
			{"Hari berikutnya →", vaultPath + "?hari=" + day.AddDays(1).String()}, {"Papan hari itu", boardPath + "/" + day.String()}, {"Semua lembar harian yang disusun", vaultPath + "/lembar"}}}
	if !day.After(p.desk.Today()) && stock.May(stock.SheetVerb, signin.Account(r).Role) == nil {
		body.Links = append(body.Links, crumb{"Susun lembar harian untuk dicetak", vaultPath + "/cetak?hari=" + day.String()})
	}
	if keptNow(r) {
		body.Notice = "Lembar harian sedang disusun; muat ulang halaman ini beberapa detik lagi."
	}
	if slices.ContainsFunc(s.Requests, func(d stock.Day) bool { return d.Difference != 0 }) {
		body.Alarm = imbalance
	}
	p.show(w, r, http.StatusOK, "rows", "Lembar harian blangko", body)
	return nil
}

func blankCrumbs(ticket string) []crumb {
	return []crumb{{"Permohonan", home}, {ticket, home + "/" + ticket}}
}

func bookCrumbs(ticket string) []crumb {
	return append(blankCrumbs(ticket), crumb{"Blangko", home + "/" + ticket + blanksEnd})
}

// blankLinks are the forms by their verbs.
var blankLinks = []struct {
	verb        machine.Verb
	label, path string
}{
	{stock.ReceiveVerb, "Catat penerimaan", "/penerimaan"}, {stock.TestVerb, "Catat kartu uji", "/kartu-uji"},
	{stock.ReturnVerb, "Catat pengembalian", "/pengembalian"}, {stock.DestroyVerb, "Susun berita acara kartu rusak", drawnEnd}, {stock.AttestVerb, "Susun tanda terima blangko", attestEnd},
}

// blanksOf shows where the blanks of a request are.
func (p *Pages) blanksOf(w http.ResponseWriter, r *http.Request) error {
	v, err := p.vault().Of(r.Context(), signin.Account(r), chi.URLParam(r, "ticket"))
	if err != nil {
		return err
	}
	at := home + "/" + v.Ticket + blanksEnd
	var bookers []*string
	for i := range v.Movements {
		bookers = append(bookers, &v.Movements[i].BookedBy)
	}
	if err := p.named(r.Context(), bookers...); err != nil {
		return err
	}
	body := rowsBody{Crumbs: blankCrumbs(v.Ticket), Lead: v.Balance.Institution + ". Diterima " + number(v.Balance.Received) + " keping.",
		Tables: []rowsTable{balanceTable(v.Balance), daysTable(v.Days), bookTable(at, v), papersTable("Tanda terima blangko", v.Receipts), lostTable(v), drawnTable(at, v)}}
	for _, l := range blankLinks {
		if slices.Contains(v.Offers, l.verb) {
			body.Links = append(body.Links, crumb{l.label, at + l.path})
		}
	}
	body.Links = append(body.Links, crumb{"Unduh Excel", "/api/v1/requests/" + v.Ticket + "/blanks.xlsx"}, crumb{"Lembar harian", vaultPath})
	if v.Balance.Difference != 0 {
		body.Alarm = imbalance
	}
	if keptNow(r) {
		body.Notice = "Tersimpan."
		if r.URL.Query().Get(attestMark) != "" {
			body.Notice = "Tanda terima sedang disusun; muat ulang halaman ini beberapa detik lagi, cetak, lalu mintakan tanda tangan."
		}
	}
	p.show(w, r, http.StatusOK, "rows", "Blangko "+v.Ticket, body)
	return nil
}

func balanceTable(b stock.Balance) rowsTable {
	t := rowsTable{Caption: "Di mana blangkonya sekarang", Empty: "belum ada blangko.", Heads: []string{"Tempat", "Keping", "Keterangan"}, Numbers: []int{1}}
	if b.Empty() {
		return t
	}
	for _, one := range blanks.Buckets(b) {
		t.Rows = append(t.Rows, []cell{{Text: one.Name}, {Text: number(one.N)}, {Text: one.Note}})
	}
	closes := cell{Tag: tag{good, "Seimbang"}}
	if b.Difference != 0 {
		closes = cell{Tag: tag{bad, "Tidak seimbang"}}
	}
	return withRows(t, []cell{{Text: "Jumlah yang diterima"}, {Text: number(b.Received)}, {Text: "dihitung saat pendaftaran, dan yang menyusul"}},
		[]cell{{Text: "Selisih"}, {Text: number(b.Difference)}, closes})
}

func withRows(t rowsTable, rows ...[]cell) rowsTable {
	t.Rows = append(t.Rows, rows...)
	return t
}

func daysTable(days []stock.Day) rowsTable {
	t := flowTable("Hari demi hari", "belum ada yang berubah.", "Hari")
	for _, d := range days {
		t.Rows = append(t.Rows, append([]cell{{Text: terbilang.FormatDate(d.Day), Path: vaultPath + "?hari=" + d.Day.String()}}, flowCells(d)...))
	}
	return t
}

func bookTable(at string, v blanks.View) rowsTable {
	t := rowsTable{Caption: "Buku blangko: yang menyusul, diuji, dan dikembalikan", Empty: "belum ada pencatatan.",
		Heads: []string{"Baris", "Keping", "Tanggal", "Dari atau kepada", "Alasan", "Dicatat", "Keadaan"}, Numbers: []int{1}}
	numbers := map[string]int64{}
	for _, m := range v.Movements {
		numbers[m.ID] = m.Ordinal
	}
	for _, m := range v.Movements {
		kind := stock.KindLabels[m.Kind]
		if m.Kind == stock.Return {
			kind += ": " + strings.ToLower(stock.SourceLabels[m.Source][:1]) + stock.SourceLabels[m.Source][1:]
		}
		state := cell{}
		switch {
		case m.Reverses != nil:
			kind, state = "Pembatalan: "+strings.ToLower(kind[:1])+kind[1:], cell{Text: "membatalkan No. " + number(int(numbers[*m.Reverses]))}
		case m.Reversed:
			state = cell{Tag: tag{bad, "Dibatalkan"}}
		case slices.Contains(v.Offers, stock.ReverseVerb):
			state = cell{Text: "Batalkan", Path: at + "/" + m.ID + "/batal"}
		}
		t.Rows = append(t.Rows, []cell{{Text: number(int(m.Ordinal)) + ". " + kind}, {Text: number(m.Quantity)}, {Text: terbilang.FormatDate(m.Happened)}, {Text: m.Party},
			{Text: m.Reason}, {Text: terbilang.FormatDateTime(m.OfficeAt) + ", " + m.BookedBy}, state})
	}
	return t
}

func lostTable(v blanks.View) rowsTable {
	t := rowsTable{Caption: "Kartu gagal dan rusak", Empty: "tidak ada.", Serials: true, Heads: []string{"No. seri", "Keadaan", "Tanggal", "Sebab", "Berita acara"}}
	for _, c := range v.Lost {
		day, drawn := "", cell{Tag: tag{wait, "Belum dimusnahkan"}}
		if c.Day != nil {
			day = terbilang.FormatDate(*c.Day)
		}
		for _, d := range v.Destructions {
			if c.DestructionID != nil && d.ID == *c.DestructionID {
				drawn = cell{Text: drawnName(d)}
			}
		}
		t.Rows = append(t.Rows, []cell{{Text: c.Serial}, {Text: stock.WasLabels[c.Was]}, {Text: day}, {Text: c.Cause}, drawn})
	}
	return t
}

func drawnName(d blanks.Destruction) string {
	if d.Paper != nil && d.Paper.Number != "" {
		return "Nomor " + d.Paper.Number
	}
	return "Ke-" + strconv.Itoa(d.Ordinal)
}

func drawnTable(at string, v blanks.View) rowsTable {
	t := rowsTable{Caption: "Berita acara kartu rusak", Empty: "belum ada.", Heads: []string{"Berita acara", "Kartu", "Dimusnahkan", "Oleh dan disaksikan", "Keadaan", "Naskah", "Tindakan"}, Numbers: []int{1}}
	for _, d := range v.Destructions {
		state, file, act := tag{busy, "Disusun"}, cell{}, cell{}
		if d.Paper != nil {
			state = tagOf(letter.Machine)(d.Paper.State)
			for _, format := range []string{"pdf", "scan"} { // the signed one, where there is one
				if slices.Contains(d.Paper.Formats, format) {
					file = cell{Text: formatNames[format], Path: "/api/v1/documents/" + d.Paper.ID + "/files/" + format}
				}
			}
			if letter.Machine.May(d.Paper.State, letter.VerbVoid, request.Operator) == nil && slices.Contains(v.Offers, stock.VoidVerb) {
				act = cell{Text: "Batalkan", Path: at + drawnEnd + "/" + d.ID + "/batal"}
			}
		}
		t.Rows = append(t.Rows, []cell{{Text: drawnName(d)}, {Text: number(len(d.Cards))}, {Text: terbilang.FormatDate(d.Destroyed)},
			{Text: d.First.Name + "; " + d.Second.Name}, {Tag: state}, file, act})
	}
	return t
}

// onBlanks is the request of the address for a form that an account may use.
func (p *Pages) onBlanks(r *http.Request, verb machine.Verb) (blanks.View, error) {
	who := signin.Account(r)
	v, err := p.vault().Of(r.Context(), who, chi.URLParam(r, "ticket"))
	if err != nil {
		return v, err
	}
	return v, stock.May(verb, who.Role)
}

func blanksKept(v blanks.View) string { return home + "/" + v.Ticket + blanksEnd + "?" + justKept() }

var blankReason = field{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000, Hint: "Tercatat dalam buku, dan hanya dibaca pegawai Ditjen Dukcapil."}

var blankForms = map[stock.Kind]struct {
	verb        machine.Verb
	path        string
	lead, party string
}{
	stock.Receipt: {stock.ReceiveVerb, "/penerimaan", "Blangko yang datang sesudah permohonan terdaftar: cadangan, atau pengganti kartu gagal. Hitung sendiri kartunya sebelum mencatat.", "Nama yang menyerahkan, dari produsen"},
	stock.Test:    {stock.TestVerb, "/kartu-uji", "Blangko cadangan yang dijadikan kartu uji. Kartu uji tidak diserahkan sebagai hasil personalisasi.", ""},
	stock.Return:  {stock.ReturnVerb, "/pengembalian", "Sisa blangko yang dikembalikan kepada produsen.", "Nama yang menerima, dari produsen"},
}

// bookForm writes a line of a kind into the book.
func (p *Pages) bookForm(kind stock.Kind) editor {
	f := blankForms[kind]
	title := stock.Words.VerbLabel(f.verb)
	return editor{title,
		func(r *http.Request) (formBody, error) {
			v, err := p.onBlanks(r, f.verb)
			body := formBody{Crumbs: bookCrumbs(v.Ticket), Action: home + "/" + v.Ticket + blanksEnd + f.path, Submit: "Catat", Lead: f.lead, Version: v.Version,
				Facts: []fact{{"Cadangan", number(v.Balance.Spare) + " keping"}, {"Blangko kartu yang dikurangi", number(v.Balance.Reduced) + " keping"}}}
			if kind == stock.Receipt {
				body.Facts = body.Facts[:1]
			}
			if kind == stock.Return {
				var sources []option
				for _, s := range []stock.Source{stock.Spare, stock.Reduced, stock.Listed} {
					sources = append(sources, option{string(s), stock.SourceLabels[s], false})
				}
				body.Fields = append(body.Fields, field{Name: "source", Label: "Blangko mana", Kind: "select", Options: sources})
			}
			body.Fields = append(body.Fields, field{Name: "quantity", Label: "Jumlah", Kind: "text", Mode: "numeric", Hint: "Dalam keping."},
				field{Name: "happened_on", Label: "Tanggal", Kind: "date", Value: p.desk.Today().String()})
			if f.party != "" {
				body.Fields = append(body.Fields, field{Name: "party", Label: f.party, Kind: "text", Longest: 200})
			}
			body.Fields = append(body.Fields, blankReason)
			return body, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.onBlanks(r, f.verb)
			if err != nil {
				return "", err
			}
			quantity := 0
			if text := typedText(r, "quantity"); text != "" {
				if quantity, err = strconv.Atoi(text); err != nil {
					quantity = -1 // out of range
				}
			}
			return blanksKept(v), p.vault().Book(r.Context(), signin.Account(r), v.Ticket, seenVersion(r), blanks.Line{
				Kind: kind, Source: stock.Source(r.PostForm.Get("source")), Quantity: quantity, Happened: typedDate(r, "happened_on"),
				Party: r.PostForm.Get("party"), Reason: r.PostForm.Get("reason"),
			})
		}}
}

func (p *Pages) reversal() editor {
	return editor{"Batalkan pencatatan blangko",
		func(r *http.Request) (formBody, error) {
			v, err := p.onBlanks(r, stock.ReverseVerb)
			if err != nil {
				return formBody{}, err
			}
			id, err := rowOf(r)
			i := slices.IndexFunc(v.Movements, func(m stock.Movement) bool { return m.ID == id })
			if err == nil && i < 0 {
				err = stock.ErrNotFound
			}
			if err != nil {
				return formBody{}, err
			}
			m := v.Movements[i]
			return formBody{Crumbs: bookCrumbs(v.Ticket), Action: home + "/" + v.Ticket + blanksEnd + "/" + m.ID + "/batal", Submit: "Batalkan pencatatan ini", Version: v.Version,
				Lead:   "Baris ini dibatalkan dengan baris baru pada hari ini. Hari yang sudah lewat tidak berubah.",
				Facts:  []fact{{"Baris", "No. " + number(int(m.Ordinal)) + ": " + stock.KindLabels[m.Kind]}, {"Jumlah", number(m.Quantity) + " keping"}, {"Tanggal", terbilang.FormatDate(m.Happened)}, {"Alasan", m.Reason}},
				Fields: []field{blankReason}}, nil
		},
		func(r *http.Request) (string, error) {
			v, err := p.onBlanks(r, stock.ReverseVerb)
			if err != nil {
				return "", err
			}
			id, err := rowOf(r)
			if err != nil {
				return "", err
			}
			return blanksKept(v), p.vault().Reverse(r.Context(), signin.Account(r), v.Ticket, id, seenVersion(r), r.PostForm.Get("reason"))
		}}
}

// destruction draws up a berita acara; the cards of one day can be asked for by the
// address.
func (p *Pages) destruction() editor {
	return editor{"Susun berita acara kartu rusak",
		func(r *http.Request) (formBody, error) {
			who := signin.Account(r)
			v, err := p.onBlanks(r, stock.DestroyVerb)
			if err != nil {
				return formBody{}, err
			}
			at := home + "/" + v.Ticket + blanksEnd + drawnEnd
			on := r.URL.Query().Get("hari")
			var cards []option
			var days []crumb
			for _, c := range v.Lost {
				if c.DestructionID != nil {
					continue
				}
				label := c.Serial + ", " + strings.ToLower(stock.WasLabels[c.Was])
				if c.Day != nil {
					day := terbilang.FormatDate(*c.Day)
					label += " " + day
					one := crumb{"Centang yang gagal atau rusak " + day, at + "?hari=" + c.Day.String()}
					if !slices.Contains(days, one) {
						days = append(days, one)
					}
				}
				if c.Cause != "" {
					label += ": " + c.Cause
				}
				cards = append(cards, option{c.CardID, label, c.Day != nil && c.Day.String() == on})
			}
			return formBody{Crumbs: bookCrumbs(v.Ticket), Action: at, Submit: "Susun berita acara", Also: days,
				Lead:    "Kartu dimusnahkan oleh dua orang, dan keduanya menandatangani naskahnya. Kartu yang dicentang dicantumkan dengan nomor seri dan sebabnya.",
				Warning: "Centang hanya kartu yang sudah dimusnahkan. Sebuah kartu tercantum dalam satu berita acara saja.",
				Fields: []field{
					{Name: "cards", Label: "Kartu yang dimusnahkan", Kind: "checkboxes", Options: cards},
					{Name: "destroyed_on", Label: "Tanggal pemusnahan", Kind: "date", Value: p.desk.Today().String()},
					{Name: "method", Label: "Cara pemusnahan", Kind: "text", Longest: 200, Value: "dipotong melalui chip"},
					{Name: "first_name", Label: "Yang memusnahkan: nama", Kind: "text", Longest: 200, Value: who.Name},
					{Name: "first_post", Label: "Yang memusnahkan: jabatan", Kind: "text", Longest: 200, Value: letter.PostOf(who.Role)},
					{Name: "second_name", Label: "Saksi: nama", Kind: "text", Longest: 200, Hint: "Orang lain."},
					{Name: "second_post", Label: "Saksi: jabatan", Kind: "text", Longest: 200},
					{Name: "reason", Label: "Keterangan", Kind: "textarea", Longest: 2000, Hint: "Tertulis dalam berita acara."},
				}}, nil
		},
		func(r *http.Request) (string, error) {
			v, err := p.onBlanks(r, stock.DestroyVerb)
			if err != nil {
				return "", err
			}
			_, err = p.vault().Destroy(r.Context(), signin.Account(r), v.Ticket, blanks.Draft{
				Cards: r.PostForm["cards"], Destroyed: typedDate(r, "destroyed_on"), Method: r.PostForm.Get("method"), Reason: r.PostForm.Get("reason"),
				First:  stock.Signer{Name: r.PostForm.Get("first_name"), Post: r.PostForm.Get("first_post")},
				Second: stock.Signer{Name: r.PostForm.Get("second_name"), Post: r.PostForm.Get("second_post")},
			})
			return blanksKept(v), err
		}}
}

func (p *Pages) voiding() editor {
	return editor{"Batalkan berita acara kartu rusak",
		func(r *http.Request) (formBody, error) {
			v, err := p.onBlanks(r, stock.VoidVerb)
			if err != nil {
				return formBody{}, err
			}
			id, err := rowOf(r)
			i := slices.IndexFunc(v.Destructions, func(d blanks.Destruction) bool { return d.ID == id })
			if err == nil && i < 0 {
				err = stock.ErrNotFound
			}
			if err != nil {
				return formBody{}, err
			}
			d := v.Destructions[i]
			return formBody{Crumbs: bookCrumbs(v.Ticket), Action: home + "/" + v.Ticket + blanksEnd + drawnEnd + "/" + d.ID + "/batal", Submit: "Batalkan berita acara ini",
				Lead:   "Naskahnya ikut dibatalkan dan nomornya tetap terpakai. Kartunya dapat dicantumkan dalam berita acara lain.",
				Facts:  []fact{{"Berita acara", drawnName(d)}, {"Kartu", number(len(d.Cards)) + " keping"}, {"Oleh dan disaksikan", d.First.Name + "; " + d.Second.Name}},
				Fields: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000}}}, nil
		},
		func(r *http.Request) (string, error) {
			v, err := p.onBlanks(r, stock.VoidVerb)
			if err != nil {
				return "", err
			}
			id, err := rowOf(r)
			if err != nil {
				return "", err
			}
			return blanksKept(v), p.vault().Void(r.Context(), signin.Account(r), v.Ticket, id, r.PostForm.Get("reason"))
		}}
}
