package content

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// long is a name of n letters, in words that a line can break between.
func long(name string, n int) string {
	name += " Perusahaan Perseroan Contoh Dengan Nama Yang Sangat Panjang Sekali Sejahtera Nusantara"
	return strings.TrimSpace(name[:n-1]) + "a"
}

// office is what a paper tells of: an order of so many cards, one handover of it.
type office struct {
	cards, asked, ordinal, before int
	lembaga                       []string
	produsen, sender, address     string
	representative                string
	signer                        letter.Signatory
	reductions                    []perso.Reduction
	failed                        int
	copies                        []string
	says                          map[string][]string // by kind, beside fieldsOf
}

var director = letter.Signatory{Name: "Ir. Pejabat Contoh, M.Si.", NIP: "197001011995031001", Rank: "Pembina Utama Muda (IV/c)", Post: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan"}

// paper is what the desk would have of it.
func (o office) paper(kind string) facts {
	number, day := "400.8.2.15/2350/Dukcapil", clock.MustParseDate("2026-11-23")
	found := clock.MustParseDate("2026-11-20")
	if o.lembaga == nil {
		o.lembaga = []string{"PT Bank Contoh Nusantara"}
	}
	o.produsen, o.sender = or(o.produsen, "PT Produsen Contoh"), or(o.sender, "PT Pengirim Surat Contoh")
	if o.signer.Name == "" {
		o.signer = director
	}
	if o.asked == 0 {
		o.asked = o.cards
	}
	f := facts{
		doc:    letter.Document{Kind: kind, Number: &number, Dated: &day, Token: strings.Repeat("0", 26)},
		signer: o.signer, from: found, to: day,
		produsen: institution.Institution{Name: o.produsen, Address: or(o.address, "Jl. Contoh Industri No. 1, Jakarta Selatan"),
			Representative: or(o.representative, "Wakil Produsen Contoh"), Post: "PIC Produsen"},
		reductions: o.reductions,
		handed:     handover.Handover{Ordinal: max(o.ordinal, 1), Quantity: o.cards},
		destroyed:  stock.Destruction{Ordinal: 1, Destroyed: day, Method: "dipotong melalui chip.", Reason: "Chip menolak penulisan.", First: stock.Signer{Name: "Ani Pelaksana", Post: "Operator KI"}, Second: stock.Signer{Name: o.signer.Name, Post: "Kasubdit KI"}},
	}
	off := 0
	for _, r := range o.reductions {
		off += len(r.Cards)
	}
	f.whole, f.earlier, f.tally = o.asked-off, o.before, perso.Tally{Clear: o.asked - off, Failed: o.failed, Reduced: off}
	f.request = request.Request{Ticket: "SAM-2026-000123-4"}
	f.request.CardCount, f.request.SAMFunction, f.request.Kind = o.asked, "R", request.KindReader
	f.request.Letter = request.Letter{Sender: o.sender, Post: "Direktur Utama", Number: "017/PCN/XI/2026", Date: clock.MustParseDate("2026-11-09"), Subject: "Permohonan Personalisasi Kartu SAM"}
	for i, name := range o.lembaga {
		f.request.Lines = append(f.request.Lines, request.Line{Line: i + 1, Lembaga: name})
	}
	f.activated = activated{reply: activation.Reply{Ordinal: 1}, letter: activation.Letter{Ticket: "AKTV-2026-000123-4", Lembaga: o.lembaga[0],
		Form: activation.Form{Produsen: o.produsen, Number: "118/DIR/XI/2026", Date: f.request.Letter.Date, LeaderPost: "Direktur Utama", Subject: "Permohonan Aktivasi Perangkat Pembaca KTP-el"}}}
	for i := range o.cards {
		serial, pcid := fmt.Sprintf("SAM01%06d", o.before+i+1), fmt.Sprintf("36710001%024d", o.before+i+1)
		f.cards = append(f.cards, handover.Card{Serial: serial, PCID: pcid, ManifestNo: fmt.Sprintf("M-2026-01%06d", o.before+i+1), Line: 1 + i*len(o.lembaga)/o.cards})
		f.rows = append(f.rows, perso.CardRow{ID: serial, Serial: serial, State: perso.Clear, PCID: pcid, ManifestNo: fmt.Sprintf("M-2026-01%06d", i+1)})
		f.activated.readers = append(f.activated.readers, activation.Activation{Line: activation.Line{
			Reader: fmt.Sprintf("GSX-%06d", i+1), SAM: serial, PCID: pcid, Address: or(o.address, "Jl. Contoh Cabang No. 7"), Region: "Kota Bandung, Jawa Barat"}})
		was := string(perso.Failed)
		if i%3 == 2 {
			was = string(perso.Spoiled)
		}
		f.destroyed.Cards = append(f.destroyed.Cards, stock.Lost{Serial: serial, Was: was, Day: &found, Cause: "Kartu menolak penulisan (jawaban kartu 6581)"})
	}
	return f
}

// all says the same of every kind but the berita acara kartu rusak, whose signers hold any post.
func all(part string) map[string][]string {
	return map[string][]string{letter.BAST: {part}, letter.ReplyLetter: {part}, letter.CompletionLetter: {part}}
}

// papersOfAllSizes are the offices whose papers are looked at.
func papersOfAllSizes() map[string]office {
	an, ub, plt, plh, plain := director, director, director, director, director
	an.Form, an.Principal = letter.AtasNama, "Direktur Jenderal Kependudukan dan Pencatatan Sipil"
	ub.Form, ub.Principal, ub.Through, ub.Post = letter.UntukBel, an.Principal, director.Post, "Kepala Subdirektorat Keamanan Informasi"
	plt.Form, plh.Form = letter.Plt, letter.Plh
	plain.NIP, plain.Rank = "", ""
	longest := director
	longest.Name = long("Prof. Dr. Ir.", 80)
	longUB := ub
	longUB.Name = longest.Name
	var six []string
	for _, n := range []string{"Satu", "Dua", "Tiga", "Empat", "Lima", "Enam"} {
		six = append(six, long("Lembaga "+n, 80))
	}
	two := []string{"PT Bank Contoh Nusantara", "PT Asuransi Contoh Sejahtera"}
	thousand := "1.000 (seribu) keping"
	return map[string]office{
		"one": {cards: 1, says: all("1 (satu) keping")},
		"day's part": {cards: 25, lembaga: two, failed: 2, says: map[string][]string{
			letter.BAST:             {"di PT Bank Contoh Nusantara sebanyak 13 (tiga belas) keping dan PT Asuransi Contoh Sejahtera sebanyak 12 (dua belas) keping sesuai"},
			letter.CompletionLetter: {"dan 2 (dua) keping gagal, seluruhnya telah diganti dengan kartu pengganti."},
		}},
		"a day":     {cards: 250, says: all("250 (dua ratus lima puluh) keping")},
		"four days": {cards: 1000, lembaga: two, says: all(thousand)},
		"long names": {cards: 250, lembaga: []string{long("Lembaga Satu", 80), long("Lembaga Dua", 80)}, produsen: long("PT", 80), sender: long("CV", 80), signer: longest,
			representative: long("Dra.", 80), address: long("Jalan", 80) + " Blok A-10 No. 100, " + long("Kota", 60), copies: []string{director.Post, "Kepala Subdirektorat Keamanan Informasi"}, failed: 12,
			says: map[string][]string{letter.ReplyLetter: {"Tembusan: 1. " + director.Post + " 2. Kepala Subdirektorat Keamanan Informasi"}}},
		"everything long": {cards: 12, lembaga: six, produsen: long("PT", 80), sender: long("CV", 80), signer: longUB, representative: long("Dra.", 80), address: long("Jalan", 80) + ", " + long("Kota", 60), failed: 2,
			copies: []string{director.Post, "Kepala Subdirektorat Keamanan Informasi", long("Direktur Utama", 80)}},
		"no NIP": {cards: 2, signer: plain},
		"Plt.":   {cards: 3, signer: plt, says: all("Plt. Direktur Fasilitasi")}, "Plh.": {cards: 3, signer: plh, says: all("Plh. Direktur Fasilitasi")},
		"a.n.": {cards: 4, signer: an, says: all("a.n. Direktur Jenderal Kependudukan dan")},
		"u.b.": {cards: 5, signer: ub, says: all("u.b. Kepala Subdirektorat Keamanan Informasi")},
		"first of two": {cards: 60, asked: 100, lembaga: two, says: map[string][]string{letter.BAST: {
			"sebanyak 60 (enam puluh) keping, sebagai penyerahan ke-1 dari jumlah seluruhnya 100 (seratus) keping dengan sisa 40 (empat puluh) keping, dengan nomor asal"}}},
		"last of three": {cards: 25, asked: 100, before: 75, ordinal: 3, says: map[string][]string{letter.BAST: {
			"sebanyak 25 (dua puluh lima) keping, sebagai penyerahan ke-3 dari jumlah seluruhnya 100 (seratus) keping tanpa sisa, dengan nomor asal", "SAM01000100"}}},
		"reduced": {cards: 8, asked: 10, reductions: []perso.Reduction{{Letter: perso.Letter{SignerPost: "Direktur Utama PT Produsen Contoh", Number: "020/PCN/XI/2026", Date: clock.MustParseDate("2026-11-20")},
			Cards: []perso.ReducedCard{{Was: perso.Failed}, {Was: perso.Listed}}}}, says: map[string][]string{letter.CompletionLetter: {
			"sebanyak 8 (delapan) keping berhasil dipersonalisasi dan 1 (satu) keping gagal; 2 (dua) keping dikurangi dari permohonan berdasarkan Surat Direktur Utama PT Produsen Contoh Nomor 020/PCN/XI/2026 tanggal 20 November 2026."}}},
	}
}

// pagesOf is how many pages a paper has. A letter has one. A berita acara has one and its
// annex; names of eighty letters want a second.
func pagesOf(kind, name string) int {
	switch {
	case kind == letter.ReplyLetter && name == "everything long", kind == letter.CompletionLetter && name == "everything long":
		return 2
	case kind == letter.ReplyLetter, kind == letter.CompletionLetter:
		return 1
	case kind == letter.BAST && name == "long names":
		return 7
	case kind == letter.BAST && name == "everything long":
		return 3
	case kind == letter.ActivationReply:
		if n, ok := map[string]int{"first of two": 4, "a day": 9, "long names": 33, "everything long": 4, "four days": 32}[name]; ok {
			return n
		}
		return 2
	}
	if n, ok := map[string]int{"first of two": 3, "a day": 6, "long names": 6, "four days": 20}[name]; ok {
		return n
	}
	return 2
}

// TestEveryPaperAsItIsPrinted: each kind of paper, from one card to a thousand, with names
// of eighty letters, without NIP, in every form of signing, for two lembaga and in
// parts, has all its fields and as many pages as it should; its signatures stand with
// its closing sentence, and tables have their heads on every page. One run of
// LibreOffice makes them all.
func TestEveryPaperAsItIsPrinted(t *testing.T) {
	t.Parallel()
	var sources []docx.Source
	var check []func(t *testing.T, pdf []byte)
	for name, o := range papersOfAllSizes() {
		cfg := Defaults()
		cfg.Copies = o.copies
		w := New(cfg)
		for _, kind := range template.Kinds() {
			if kind == letter.BlankReceipt || kind == letter.DaySheet { // asked_test.go
				continue
			}
			f := o.paper(kind)
			source, err := configs.Template(template.Name(kind))
			require.NoError(t, err)
			body, err := w.fill(source, f, "")
			require.NoError(t, err)
			sources = append(sources, docx.Source{Name: kind + "-" + name, Bytes: body})
			check = append(check, func(t *testing.T, pdf []byte) {
				pages := pagesText(t, pdf)
				require.Len(t, pages, pagesOf(kind, name))
				checkPages(t, f, o.copies, pages)
				for _, part := range append(fieldsOf(f, cfg), o.says[kind]...) {
					require.True(t, strings.Contains(strings.Join(pages, " "), part), "%s in %s", part, strings.Join(pages[:min(2, len(pages))], " "))
				}
			})
		}
	}
	pdfs := printAll(t, sources)
	for i, s := range sources {
		t.Run(s.Name, func(t *testing.T) { check[i](t, pdfs[i]) })
	}
}

// printAll has LibreOffice print everything in one run.
func printAll(t *testing.T, sources []docx.Source) [][]byte {
	t.Helper()
	c, err := docx.NewConverter(docx.ConverterConfig{Batch: len(sources), Timeout: 10 * time.Minute})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	pdfs, err := c.Convert(t.Context(), sources)
	require.NoError(t, err)
	if dir := os.Getenv("PAPERS_DIR"); dir != "" { // to be looked at
		for i, s := range sources {
			require.NoError(t, os.WriteFile(filepath.Join(dir, s.Name+".pdf"), pdfs[i], 0o600))
		}
	}
	return pdfs
}

// pagesText is what a reader sees on each page, with single spaces.
func pagesText(t *testing.T, pdf []byte) []string {
	t.Helper()
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	out, err := cmd.Output()
	require.NoError(t, err)
	pages := strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
	for i, page := range pages {
		pages[i] = strings.Join(strings.Fields(page), " ")
	}
	return pages
}

// checkPages checks what holds for pages: their numbers, the ticket, the closing
// sentence with the signatures and some text before it, heads of tables.
func checkPages(t *testing.T, f facts, copies, pages []string) {
	t.Helper()
	annex, head, ticket := "LAMPIRAN BERITA ACARA", "No. Nomor Asal", f.request.Ticket
	if f.doc.Kind == letter.ActivationReply {
		annex, head, ticket = "LAMPIRAN SURAT BALASAN AKTIVASI", "No. PCID Lokasi Penempatan", f.activated.letter.Ticket
	}
	closing, inAnnex := 0, false
	for i, page := range pages {
		require.Contains(t, page, "Kode Tiket "+ticket)
		require.Contains(t, page, fmt.Sprintf("Halaman %d dari %d", i+1, len(pages)))
		require.NotContains(t, page, "Konsep")
		require.NotContains(t, page, "{{")
		if before, _, found := strings.Cut(page, "Demikian "); found {
			closing++
			require.Contains(t, page, lastName(f), "the signatures stand with the closing sentence")
			require.Greater(t, len(before), 100, "and not alone")
		}
		if strings.Contains(page, "Tembusan:") {
			require.Contains(t, page, lastName(f), "the copies stand below the signature")
			require.Contains(t, page, fmt.Sprintf("%d. %s", len(copies), copies[len(copies)-1]), "all of them")
		}
		if inAnnex = inAnnex || strings.Contains(page, annex); inAnnex {
			require.Contains(t, page, head, "each page has the head of the table")
		}
	}
	require.Equal(t, 1, closing)
	if f.doc.Kind == letter.ActivationReply {
		require.Contains(t, pages[len(pages)-1], "Jumlah: "+units(len(f.cards))+".")
		all := strings.Join(pages, " ")
		for i, r := range f.activated.readers { // on one line: nobody compares halves of numbers
			require.Equal(t, 1, strings.Count(all, fmt.Sprintf("%d %s %s %s ", i+1, r.Reader, r.SAM, r.PCID)), r.Reader)
		}
	}
	if f.doc.Kind != letter.BAST && f.doc.Kind != letter.DestructionReport {
		return
	}
	require.Contains(t, pages[len(pages)-1], "Jumlah: "+pieces(len(f.cards))+".")
	all := strings.Join(pages, " ")
	for i, c := range f.cards {
		row := strconv.Itoa(i+1) + " " + c.Serial + " "
		if f.doc.Kind == letter.BAST {
			row += c.PCID + " " + c.ManifestNo
		}
		require.Equal(t, 1, strings.Count(all, row), row)
	}
}

// lastName is a word of the signatory's name that no line break parts.
func lastName(f facts) string {
	words := strings.Fields(f.signer.Name)
	if f.doc.Kind == letter.DestructionReport {
		return "Yang Menyaksikan"
	}
	return words[len(words)-1]
}

// pointer stands beside the code of a letter, which is near the signature and is none.
const pointer = "Pindai kode QR ini untuk memeriksa keaslian naskah. Kode ini bukan tanda tangan."

func units(n int) string {
	return terbilang.FormatInt(int64(n)) + " (" + terbilang.Number(int64(n)) + ") unit"
}

// fieldsOf are the texts that a paper must have.
func fieldsOf(f facts, cfg Config) []string {
	const number, letterText = "400.8.2.15/2350/Dukcapil", " Nomor 017/PCN/XI/2026 tanggal 9 November 2026 perihal Permohonan Personalisasi Kartu SAM"
	n := len(f.cards)
	from := "Surat Direktur Utama " + f.request.Letter.Sender + letterText
	common := []string{"KEMENTERIAN DALAM NEGERI REPUBLIK INDONESIA DIREKTORAT JENDERAL KEPENDUDUKAN DAN PENCATATAN SIPIL Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072",
		"Nomor : " + number, "Keaslian naskah ini dapat diperiksa pada " + cfg.PortalURL + "/verifikasi/" + f.doc.Token, f.produsen.Name}
	signed := []string{f.signer.NIP, f.signer.Rank, pointer}
	const words = "Senin Tanggal Dua Puluh Tiga Bulan November Tahun Dua Ribu Dua Puluh Enam"
	switch f.doc.Kind {
	case letter.BAST:
		return append(common, "BERITA ACARA SERAH TERIMA HASIL PERSONALISASI KARTU SAM "+strings.ToUpper(f.produsen.Name), "Pada hari ini "+words+", yang bertanda tangan di bawah ini:",
			"Nama : "+f.signer.Name, "Jabatan : "+title(f.signer)+", Direktorat Jenderal", "Alamat Kantor : Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072", "disebut sebagai Pihak Pertama.",
			"Nama : "+f.produsen.Representative, "Jabatan : PIC Produsen", "Alamat Kantor : "+f.produsen.Address, "bertindak untuk dan atas nama "+f.produsen.Name+", yang selanjutnya disebut sebagai Pihak Kedua.",
			"Berdasarkan "+from+", Pihak Pertama dan Pihak Kedua menyatakan", "kartu SAM fungsi R (Read) sebanyak "+pieces(n), "alat baca KTP-el pada Card Reader Terintegrasi di "+f.request.Lines[0].Lembaga,
			"LAMPIRAN BERITA ACARA SERAH TERIMA Nomor : "+number+" Tanggal : 23 November 2026", "DAFTAR NOMOR ASAL KARTU SAM", "("+f.request.LembagaNames()+")", f.signer.NIP,
			f.cards[n-1].Serial+" "+f.cards[n-1].PCID+" "+f.cards[n-1].ManifestNo)
	case letter.DestructionReport:
		return append(common, "BERITA ACARA KARTU RUSAK PEMUSNAHAN KARTU SAM "+strings.ToUpper(f.produsen.Name), "Pada hari ini "+words+", kami yang bertanda tangan di bawah ini:", "Nama : Ani Pelaksana Jabatan : Operator KI",
			"Nama : "+f.signer.Name, "Jabatan : Kasubdit KI", "berdasarkan "+from, "sebanyak "+pieces(n)+", terdiri atas "+pieces(n-n/3)+" gagal dan "+pieces(n/3)+" rusak", "dengan cara dipotong melalui chip dan disaksikan",
			f.cards[n-1].Serial+" "+map[bool]string{true: "Rusak", false: "Gagal"}[n%3 == 0]+" 20 November 2026 Kartu menolak penulisan (jawaban kartu 6581)")
	case letter.ActivationReply:
		return append(append(common, signed...), "Jakarta, 23 November 2026", "Hal : Balasan Permohonan Aktivasi Perangkat Pembaca KTP-el", "Kepada Yth. Direktur Utama "+f.activated.letter.Lembaga+" di – Tempat",
			"Surat Direktur Utama "+f.activated.letter.Lembaga+" Nomor 118/DIR/XI/2026 tanggal 9 November 2026", "sebanyak "+units(n)+" disetujui", "diserahkan kepada "+f.produsen.Name+" untuk dipasang", "Kota Bandung, Jawa Barat")
	case letter.ReplyLetter:
		return append(append(common, signed...), "Jakarta, 23 November 2026", "Sifat : Biasa Lampiran : 1 (satu) berkas Hal : Balasan Permohonan Personalisasi Kartu SAM", "Kepada Yth. Direktur Utama "+f.request.Letter.Sender+" di – Tempat",
			"Sehubungan dengan "+from+", dengan hormat", "kartu SAM fungsi R (Read) untuk "+f.request.LembagaNames()+" telah dilaksanakan", "pada tanggal 20 s.d. 23 November 2026",
			"sebanyak "+pieces(f.tally.Clear)+" selesai dipersonalisasi dari "+pieces(f.request.CardCount)+" yang dimohonkan", "diserahkan kepada "+f.produsen.Name)
	}
	return append(append(common, signed...), "SURAT KETERANGAN SELESAI PERSONALISASI KARTU SAM", "Nama : "+f.signer.Name, "Jabatan : "+title(f.signer)+" dengan ini menerangkan", "Produsen : "+f.produsen.Name, "Alamat : "+f.produsen.Address,
		"Surat permohonan : "+from, "Lembaga Pengguna : "+f.request.LembagaNames(), "Fungsi kartu SAM : R (Read)", "Jumlah dimohonkan : "+pieces(f.request.CardCount), "hasil sebanyak "+pieces(f.tally.Clear)+" berhasil dipersonalisasi dan",
		"Jakarta, 23 November 2026")
}
