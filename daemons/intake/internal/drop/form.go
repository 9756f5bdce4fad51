package drop

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/request"
)

// form is the JSON of a drop, as clients write it.
type form struct {
	Kind        string  `json:"kind"`
	Reference   string  `json:"reference"`
	Title       string  `json:"title"`
	SAMFunction string  `json:"sam_function"`
	CardCount   int     `json:"card_count"`
	MachineType string  `json:"machine_type"`
	PKSNumber   string  `json:"pks_number"`
	Notes       string  `json:"notes"`
	Letter      letter  `json:"letter"`
	Lines       []line  `json:"lines"`
	Orders      []order `json:"purchase_orders"`
}

type letter struct {
	Sender  string     `json:"sender"`
	Post    string     `json:"post"`
	Number  string     `json:"number"`
	Date    clock.Date `json:"date"`
	Subject string     `json:"subject"`
}

type line struct {
	Lembaga  string `json:"lembaga"`
	Quantity int    `json:"quantity"`
	Remarks  string `json:"remarks"`
	Need     string `json:"need"`
}

type order struct {
	Number      string `json:"number"`
	From        string `json:"from"`
	To          string `json:"to"`
	ReaderCount int    `json:"reader_count"`
}

func decodeForm(b []byte, f *faults) request.Form {
	var in form
	decodeStrict(b, &in, f)
	out := request.Form{
		Kind: in.Kind, Reference: in.Reference, Title: in.Title, SAMFunction: in.SAMFunction, CardCount: in.CardCount,
		MachineType: in.MachineType, PKSNumber: in.PKSNumber, Notes: in.Notes,
		Letter: request.Letter{
			Sender: in.Letter.Sender, Post: in.Letter.Post, Number: in.Letter.Number, Date: in.Letter.Date,
			Subject: in.Letter.Subject,
		},
	}
	for i, l := range in.Lines {
		out.Lines = append(out.Lines, request.Line{Line: i + 1, Lembaga: l.Lembaga, Quantity: l.Quantity, Remarks: l.Remarks, Need: l.Need})
	}
	for i, o := range in.Orders {
		out.Orders = append(out.Orders, request.PurchaseOrder{
			Line: i + 1, Number: o.Number, From: o.From, To: o.To, ReaderCount: o.ReaderCount,
		})
	}
	return out
}

// Longest texts, in characters.
const (
	maxShort = 100
	maxLong  = 250
	maxNotes = 2000
)

// MaxLines is the most lembaga of one request.
const MaxLines = 100

// checker checks one form; it says nothing more of a field whose value could not
// be read.
type checker struct {
	f    *faults
	said map[string]bool
}

func (c *checker) fault(pointer, code, detail string) {
	if !c.said[pointer] && !c.f.broken {
		c.f.add(pointer, code, detail)
		c.said[pointer] = true
	}
}

// text brings a text into the form in which it is stored and checks it.
func (c *checker) text(s *string, pointer, name string, longest int, required, lines bool) {
	*s = strings.TrimFunc(norm.NFC.String(*s), func(r rune) bool { return unicode.IsSpace(r) || invisible(r) })
	switch {
	case *s == "" && required:
		c.fault(pointer, "missing", name+" wajib diisi.")
	case utf8.RuneCountInString(*s) > longest:
		c.fault(pointer, "too_long", name+" paling panjang "+strconv.Itoa(longest)+" huruf.")
		*s = ""
	case strings.ContainsFunc(*s, func(r rune) bool { return unusable(r) && (!lines || r != '\n' && r != '\r' && r != '\t') }):
		c.fault(pointer, "bad_character", name+" berisi karakter yang tidak dapat dipakai.")
		*s = "" // nothing that cannot be stored goes on to further checks
	}
}

// invisible are characters without a shape, which editors leave at the ends of
// what is copied from them: alone they are no answer.
func invisible(r rune) bool {
	return r == '\u00ad' || r >= '\u200b' && r <= '\u200d' || r == '\u2060' || r == '\ufeff'
}

// unusable are characters that no paper can show or that make it lie: controls,
// what broken text was replaced by, code points that are no characters, and marks
// that turn the direction of reading around.
func unusable(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef ||
		r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

func (c *checker) one(s *string, pointer, name string, of ...string) {
	*s = strings.TrimSpace(*s)
	switch {
	case *s == "":
		c.fault(pointer, "missing", name+" wajib diisi: "+strings.Join(of, ", ")+".")
	case !slices.Contains(of, *s):
		c.fault(pointer, "unknown_value", name+" harus salah satu dari: "+strings.Join(of, ", ")+".")
	}
}

func (c *checker) count(n int, pointer, name string, most int) {
	switch {
	case n < 1:
		c.fault(pointer, "missing", name+" wajib diisi dengan bilangan mulai dari 1.")
	case n > most:
		c.fault(pointer, "too_many", name+" paling banyak "+strconv.Itoa(most)+".")
	}
}

// checkForm checks what can be told from the form alone; counts against the
// card list and master data are the validator's.
func checkForm(r *request.Form, f *faults, limits Limits, today clock.Date, fixedReference string) {
	c := &checker{f: f, said: map[string]bool{}}
	for _, e := range f.list {
		c.said[e.Pointer] = true
	}
	c.one(&r.Kind, "/kind", "Jenis permohonan", request.KindReader, request.KindRekamCetak)
	reader := r.Kind == request.KindReader

	c.text(&r.Reference, "/reference", "No. Pengajuan", maxShort, fixedReference == "", false)
	if fixedReference != "" {
		if r.Reference != "" && r.Reference != fixedReference {
			c.fault("/reference", "fixed", "No. Pengajuan tidak dapat diubah pada pengajuan kembali.")
		}
		r.Reference = fixedReference
	}
	c.text(&r.Title, "/title", "Judul Pengajuan", maxLong, true, false)
	c.one(&r.SAMFunction, "/sam_function", "Fungsi SAM", "R", "Rekam", "Cetak")
	c.count(r.CardCount, "/card_count", "Jumlah Kartu SAM", limits.Cards)
	c.text(&r.MachineType, "/machine_type", "Jenis Mesin", maxShort, true, false)
	c.text(&r.PKSNumber, "/pks_number", "Nomor PKS", maxShort, reader, false)
	c.text(&r.Notes, "/notes", "Catatan", maxNotes, false, true)

	c.text(&r.Sender, "/letter/sender", "Pengirim surat", maxLong, true, false)
	c.text(&r.Post, "/letter/post", "Jabatan pengirim surat", maxLong, true, false)
	c.text(&r.Number, "/letter/number", "Nomor surat", maxShort, true, false)
	c.text(&r.Subject, "/letter/subject", "Perihal surat", maxLong, true, false)
	switch {
	case r.Date.IsZero():
		c.fault("/letter/date", "missing", "Tanggal surat wajib diisi.")
	case r.Date.After(today):
		c.fault("/letter/date", "in_future", "Tanggal surat tidak boleh setelah hari ini ("+today.String()+").")
	case r.Date.Year < 2000:
		c.fault("/letter/date", "too_old", "Tanggal surat tidak wajar.")
	}
	c.lines(r, reader)
	c.orders(r, reader, limits)
}

func (c *checker) lines(r *request.Form, reader bool) {
	if len(r.Lines) == 0 && reader {
		c.fault("/lines", "missing", "Rincian lembaga pengguna wajib diisi.")
	}
	if len(r.Lines) > MaxLines {
		c.fault("/lines", "too_many", "Rincian lembaga pengguna paling banyak "+strconv.Itoa(MaxLines)+".")
		r.Lines = nil
		return
	}
	for i := range r.Lines {
		l, at := &r.Lines[i], "/lines/"+strconv.Itoa(i)
		c.text(&l.Lembaga, at+"/lembaga", "Nama lembaga pengguna", maxLong, true, false)
		c.text(&l.Remarks, at+"/remarks", "Keterangan", maxNotes, false, true)
		c.count(l.Quantity, at+"/quantity", "Jumlah kartu untuk lembaga pengguna", 1_000_000)
		c.need(&l.Need, at+"/need")
	}
}

// need brings the No. Permintaan of a lembaga's request into its form; whether
// there is one is the database's to say.
func (c *checker) need(s *string, pointer string) {
	if strings.TrimSpace(*s) == "" {
		*s = ""
		return
	}
	number, ok := need.ParseNumber(*s)
	if !ok {
		c.fault(pointer, "wrong_form", "No. Permintaan lembaga tidak benar; salin dari daftar permintaan, misalnya PLP-2026-000123-8.")
	}
	*s = number
}

func (c *checker) orders(r *request.Form, reader bool, limits Limits) {
	if len(r.Orders) == 0 && reader {
		c.fault("/purchase_orders", "missing", "Purchase order (PO) wajib diisi.")
	}
	if len(r.Orders) > limits.Orders {
		c.fault("/purchase_orders", "too_many", "PO paling banyak "+strconv.Itoa(limits.Orders)+".")
		r.Orders = nil
		return
	}
	for i := range r.Orders {
		o, at := &r.Orders[i], "/purchase_orders/"+strconv.Itoa(i)
		c.text(&o.Number, at+"/number", "Nomor PO", maxShort, true, false)
		c.text(&o.From, at+"/from", "Pemesan pada PO", maxLong, true, false)
		c.text(&o.To, at+"/to", "Penerima pesanan pada PO", maxLong, true, false)
		c.count(o.ReaderCount, at+"/reader_count", "Jumlah reader pada PO", 1_000_000)
	}
}
