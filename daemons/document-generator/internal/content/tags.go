package content

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// draftNote stands on every page of the Word file, which anybody can change.
const draftNote = "Konsep — naskah sah adalah PDF atau naskah yang ditandatangani"

// dots are to be filled in by hand.
const dots = "……………………………………"

// functions are the SAM functions as papers name them (features.md G19, N38).
var functions = map[string]string{"R": "R (Read)", "Rekam": "Rekam", "Cetak": "Cetak"}

// fill makes the Word file of a paper from a template: one that says on each page what
// it is, such as a draft, or without a note the text to be printed as PDF.
func (w *Writer) fill(template []byte, f facts, note string) ([]byte, error) {
	values, tables := w.values(f)
	values["draft_note"] = note
	qr, err := code(values["verification_address"])
	if err != nil {
		return nil, err
	}
	return docx.Fill(template, values, tables, qr)
}

// values are what stands in place of the tags; letter/template lists them for people.
func (w *Writer) values(f facts) (map[string]string, map[string][]map[string]string) {
	common := w.common
	switch f.doc.Kind {
	case letter.ActivationReply:
		common = w.commonReaders
	case letter.DaySheet:
		common = w.plain
	}
	values := common(f)
	tables := map[string][]map[string]string{}
	switch f.doc.Kind {
	case letter.BAST:
		w.bast(f, values, tables)
	case letter.DestructionReport:
		destruction(f, values, tables)
	case letter.ActivationReply:
		w.readers(f, values, tables)
	case letter.BlankReceipt:
		blankReceipt(f, values)
	case letter.DaySheet:
		daySheet(f, values, tables)
	default:
		w.letter(f, values, tables)
	}
	return values, tables
}

func (w *Writer) common(f facts) map[string]string {
	r := f.request
	function, known := functions[r.SAMFunction]
	if !known {
		function = r.SAMFunction
	}
	values := map[string]string{
		"lembaga_names": r.LembagaNames(), "letter_date": terbilang.FormatDate(r.Letter.Date), "letter_number": r.Letter.Number,
		"letter_sender": r.Letter.Sender, "letter_sender_post": r.Letter.Post, "letter_subject": r.Letter.Subject,
		"produsen_address": or(f.produsen.Address, dots), "produsen_name": f.produsen.Name,
		"sam_function": function, "ticket": r.Ticket,
	}
	maps.Copy(values, w.plain(f))
	return values
}

// plain are the values of every paper; one of a day has no number.
func (w *Writer) plain(f facts) map[string]string {
	values := map[string]string{
		"document_date": terbilang.FormatDate(*f.doc.Dated), "draft_note": "", "verification_address": w.address(f.doc),
	}
	if f.doc.Number != nil {
		values["document_number"] = *f.doc.Number
	}
	return values
}

func (w *Writer) bast(f facts, values map[string]string, tables map[string][]map[string]string) {
	use := w.cfg.Use.Reader
	if f.request.Kind == request.KindRekamCetak {
		use = w.cfg.Use.RekamCetak
	}
	number(values, "quantity", f.handed.Quantity)
	values["date_in_words"] = terbilang.DateInWords(*f.doc.Dated)
	values["first_party_name"], values["first_party_post"] = f.signer.Name, f.signer.Printed()
	values["first_party_title"], values["handover_note"], values["lembaga_shares"] = title(f.signer), f.handoverNote(), f.lembagaShares()
	values["first_party_address"] = or(f.signer.Address, w.cfg.OfficeAddress)
	values["first_party_nip_line"] = nip(f.signer)
	values["second_party_name"] = or(f.produsen.Representative, dots)
	values["second_party_post"] = secondPost(f)
	values["second_party_id_line"] = ""
	values["sam_use"] = use
	cards := make([]map[string]string, len(f.cards))
	for i, c := range f.cards {
		cards[i] = map[string]string{"no": strconv.Itoa(i + 1), "serial": c.Serial, "pcid": c.PCID, "manifest_number": c.ManifestNo}
	}
	tables["cards"] = cards
}

// secondPost is the post of the produsen's representative.
func secondPost(f facts) string { return or(f.produsen.Post, "PIC Produsen") }

// destruction gives the values of a berita acara kartu rusak.
func destruction(f facts, values map[string]string, tables map[string][]map[string]string) {
	d := f.destroyed
	values["date_in_words"] = terbilang.DateInWords(*f.doc.Dated)
	values["first_signer_name"], values["first_signer_post"] = d.First.Name, d.First.Post
	values["second_signer_name"], values["second_signer_post"] = d.Second.Name, d.Second.Post
	values["method"], values["reason"] = clause(d.Method), clause(d.Reason)
	of := map[string]int{}
	cards := make([]map[string]string, len(d.Cards))
	for i, c := range d.Cards {
		of[c.Was]++
		found := "-"
		if c.Day != nil {
			found = terbilang.FormatDate(*c.Day)
		}
		cards[i] = map[string]string{"no": strconv.Itoa(i + 1), "serial": c.Serial, "was": stock.WasLabels[c.Was], "found_on": found, "cause": or(c.Cause, "-")}
	}
	tables["cards"] = cards
	number(values, "quantity", len(d.Cards))
	number(values, "quantity_failed", of[string(perso.Failed)])
	number(values, "quantity_spoiled", of[string(perso.Spoiled)])
}

// clause is a text that a clause goes on after.
func clause(text string) string { return strings.TrimRight(strings.TrimSpace(text), ".;") }

// letter gives the values of both letters about a finished request.
func (w *Writer) letter(f facts, values map[string]string, tables map[string][]map[string]string) {
	r := f.request
	number(values, "quantity", f.tally.Clear)
	number(values, "quantity_requested", r.CardCount)
	failed, note := failures(f.tally, f.reductions)
	number(values, "quantity_failed", failed)
	values["failed_note"] = note
	values["perso_period"] = terbilang.FormatPeriod(f.from, f.to)
	w.signed(f, values, tables)
	values["addressee"], values["addressee_post"], values["addressee_place"] = r.Letter.Sender, r.Letter.Post, w.cfg.AddresseePlace
	values["attachments"] = "1 (satu) berkas"
	values["letter_nature"] = w.cfg.LetterNature
	values["subject"] = "Balasan Permohonan Personalisasi Kartu SAM"
}

// signed gives what a letter says of its signatory, and who else receives it.
func (w *Writer) signed(f facts, values map[string]string, tables map[string][]map[string]string) {
	values["signatory_name"], values["signatory_post"], values["signatory_title"] = f.signer.Name, f.signer.Printed(), title(f.signer)
	idLines, details := []string{}, []map[string]string{}
	if f.signer.NIP != "" {
		idLines, details = append(idLines, nip(f.signer)), append(details, map[string]string{"label": "NIP", "value": f.signer.NIP})
	}
	if f.signer.Rank != "" {
		idLines = slices.Insert(idLines, 0, f.signer.Rank)
		details = append(details, map[string]string{"label": "Pangkat", "value": f.signer.Rank})
	}
	values["signatory_id_lines"], tables["signatory_details"] = strings.Join(idLines, "\n"), details
	copies, header := make([]map[string]string, len(w.cfg.Copies)), []map[string]string{}
	for i, name := range w.cfg.Copies {
		header = []map[string]string{{"title": "Tembusan:"}}
		copies[i] = map[string]string{"no": strconv.Itoa(i + 1), "name": name}
	}
	tables["copies"], tables["copies_header"] = copies, header
}

// failures is how many cards failed, and what became of them and of those that were
// taken off. A request is done when each that failed has its replacement, or was taken
// off by a letter in its stead.
func failures(t perso.Tally, reductions []perso.Reduction) (failed int, note string) {
	replaced := t.Failed + t.Spoiled
	failed = replaced
	for _, d := range reductions {
		for _, c := range d.Cards {
			if c.Was != perso.Listed {
				failed++
			}
		}
	}
	switch {
	case replaced > 0 && replaced == failed:
		note = ", seluruhnya telah diganti dengan kartu pengganti"
	case replaced > 0:
		note = ", " + pieces(replaced) + " di antaranya telah diganti dengan kartu pengganti"
	}
	for _, d := range reductions {
		note += "; " + pieces(len(d.Cards)) + " dikurangi dari permohonan berdasarkan Surat " + d.SignerPost + " Nomor " + d.Number + " tanggal " + terbilang.FormatDate(d.Date)
	}
	return failed, note
}

// pieces is a number of cards in digits and words.
func pieces(n int) string {
	return terbilang.FormatInt(int64(n)) + " (" + terbilang.Number(int64(n)) + ") keping"
}

// number sets a number in digits and in words from one value, so that the two
// cannot differ (users.md C.3).
func number(values map[string]string, tag string, n int) {
	values[tag], values[tag+"_words"] = terbilang.FormatInt(int64(n)), terbilang.Number(int64(n))
}

func nip(s letter.Signatory) string {
	if s.NIP == "" {
		return ""
	}
	return "NIP. " + s.NIP
}

func or(text, otherwise string) string {
	if strings.TrimSpace(text) == "" {
		return otherwise
	}
	return text
}
