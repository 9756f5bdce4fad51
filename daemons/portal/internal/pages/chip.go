package pages

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// chipFact is what is known of a card, with where it leads.
type chipFact struct{ Label, Text, Path string }

// chipPart is a part of the life of a card.
type chipPart struct {
	Anchor, Heading, Note string
	Facts                 []chipFact
	Tables                []rowsTable
}

type chipBody struct {
	Tag     tag
	Facts   []chipFact
	Alarm   string
	Parts   []chipPart
	History []report.Event
}

// cardTag is the tag of a card, also of one that is not on the line.
func cardTag(s machine.State, label string) tag {
	t := tagOf(perso.Machine)(s)
	t.Text = label
	return t
}

// chipBody words the life of a card. To eyes outside, the parts that are the office's
// own are empty already, and not shown.
func (p *Pages) chipBody(r *http.Request, found *report.ChipAnswer) (chipBody, error) {
	c := found.Chip
	if err := p.nameChip(r.Context(), c); err != nil {
		return chipBody{}, err
	}
	outside := report.Outside(signin.Account(r))
	body := chipBody{Tag: cardTag(c.State, c.StateLabel), Facts: chipFacts(c), History: c.History}
	if slices.ContainsFunc(c.Looks, func(o perso.Observation) bool { return o.Contradicts }) {
		body.Alarm = "Sebuah stasiun melaporkan hasil yang bertentangan dengan yang diputuskan. Lihat bagian Keraguan."
	}
	parts := []chipPart{originPart(c), numberPart(c), linePart(c), doubtPart(c), chainPart(c), handedPart(c, outside), readersPart(c), destroyedPart(c)}
	old, err := p.oldTables(r, found)
	if err != nil {
		return chipBody{}, err
	}
	parts = append(parts, chipPart{Anchor: "register", Heading: "Register lama dan jurnal", Tables: old})
	for _, one := range parts {
		if len(one.Facts)+len(one.Tables) > 0 {
			body.Parts = append(body.Parts, one)
		}
	}
	return body, nil
}

// nameChip puts the names of people in the places of their usernames, in one query.
func (p *Pages) nameChip(ctx context.Context, c *report.Chip) error {
	who := []*string{&c.Blank.CountedBy}
	for i := range c.Blank.Receipts {
		who = append(who, &c.Blank.Receipts[i].BookedBy)
	}
	for i := range c.Destructions {
		who = append(who, &c.Destructions[i].DrawnBy)
	}
	for i := range c.Decided {
		d := &c.Decided[i]
		if who = append(who, &d.DecidedBy); d.ConfirmedBy != nil {
			who = append(who, d.ConfirmedBy)
		}
	}
	for _, h := range c.Holds {
		if h.LiftedBy != nil {
			who = append(who, h.LiftedBy)
		}
	}
	for i := range c.Tries {
		if h := c.Tries[i].Hand; h != nil {
			who = append(who, &h.EnteredBy)
			for _, by := range []*string{h.ConfirmedBy, h.WithdrawnBy} {
				if by != nil {
					who = append(who, by)
				}
			}
		}
	}
	return p.named(ctx, who...)
}

// filled leaves out the facts of which nothing is known.
func filled(facts ...chipFact) []chipFact {
	return slices.DeleteFunc(facts, func(f chipFact) bool { return strings.TrimSpace(f.Text) == "" })
}

func chipFacts(c *report.Chip) []chipFact {
	finished, off, locked := "", "", ""
	if c.FinishedAt != nil {
		finished = terbilang.FormatDateTime(*c.FinishedAt)
	}
	if d := c.Reduction; d != nil {
		off = "Menurut surat nomor " + d.LetterNumber + " tanggal " + terbilang.FormatDate(d.LetterDate) + "; sebelumnya " + strings.ToLower(d.WasLabel)
	}
	if c.Authentications > 0 {
		locked = number(c.Authentications) + " kali berturut-turut; stasiun berhenti pada yang kedua"
	}
	return filled(chipFact{"No. Seri Kartu SAM", c.Serial, ""}, chipFact{"Id chip", c.ChipID, ""}, chipFact{"No. Seri Reader pada daftar", c.ReaderSerial, ""}, readerNow(c),
		chipFact{"PCID", c.PCID, ""}, chipFact{"No. Manifest", c.ManifestNo, ""}, chipFact{"Alasan", c.Reason, ""}, chipFact{"Berakhir", finished, ""},
		chipFact{"Dikurangi", off, ""}, chipFact{"Autentikasi gagal", locked, ""}, chipFact{"Keterangan pada daftar", c.Remarks, ""})
}

// originPart tells by which request the card came, and its blank.
func originPart(c *report.Chip) chipPart {
	q := c.Request
	part := chipPart{Anchor: "asal", Heading: "Asal", Facts: []chipFact{
		{"Permohonan", q.Ticket, home + "/" + q.Ticket}, {"Keadaan permohonan", q.StateLabel, ""}, {"Judul", q.Title, ""},
		{"Pemohon", q.Institution + "\nNo. Pengajuan " + q.Reference, ""},
		{"Surat permohonan", "Nomor " + q.Letter.Number + ", " + terbilang.FormatDate(q.Letter.Date), ""},
		{"Jenis", q.KindLabel + ", " + q.MachineLabel + ", fungsi SAM " + samFunction(q.SAMFunction), ""},
	}}
	if c.Line != nil {
		text := c.Line.Lembaga + ", " + number(c.Line.Quantity) + " kartu (baris " + number(c.Line.Line) + ")"
		if c.Line.Need != "" {
			text += "\nNo. Permintaan " + c.Line.Need
		}
		part.Facts = append(part.Facts, chipFact{"Lembaga pengguna", text, ""})
	}
	var orders []string
	for _, o := range q.Orders {
		orders = append(orders, "Nomor "+o.Number+", dari "+o.From+" kepada "+o.To+", "+number(o.ReaderCount)+" reader")
	}
	agreed := ""
	if q.PKSNumber != "" {
		agreed = "Nomor " + q.PKSNumber
	}
	if k := q.PKS; k != nil {
		agreed += ", " + k.Institution + "\n" + terbilang.FormatPeriod(k.ValidFrom, k.ValidTo) + "; " + strings.ToLower(k.StatusLabel)
	}
	disposed := ""
	if q.DispositionOn != nil {
		disposed = terbilang.FormatDate(*q.DispositionOn)
	}
	part.Facts = filled(append(part.Facts, chipFact{"Purchase order (PO)", strings.Join(orders, "\n"), ""}, chipFact{"PKS", agreed, ""},
		chipFact{"Tanggal disposisi", disposed, ""}, chipFact{"Urutan dalam daftar kartu", number(c.Row), ""}, chipFact{"Blangko", blankWords(c.Blank), ""})...)
	return part
}

func blankWords(b report.ChipBlank) string {
	var lines []string
	if b.CountedAt != nil {
		text := "Diterima dan dihitung " + terbilang.FormatDateTime(*b.CountedAt)
		if b.Counted != nil {
			text += ": " + number(*b.Counted) + " keping bersama daftarnya"
		}
		lines = append(lines, by(text, b.CountedBy))
	}
	for _, m := range b.Receipts {
		lines = append(lines, by("Blangko pengganti: "+number(m.Quantity)+" keping diterima "+terbilang.FormatDate(m.Happened)+" dari "+m.Party, m.BookedBy))
	}
	return strings.Join(lines, "\n")
}

// by adds who did something.
func by(text, who string) string {
	if who == "" {
		return text
	}
	return text + " (" + who + ")"
}

var numberTones = map[string]string{report.NumberPresent: good, report.NumberBurnt: bad, report.NumberWiped: bad}

func numberPart(c *report.Chip) chipPart {
	t := rowsTable{Caption: "Nomor yang pernah diberikan kepada kartu ini", Heads: []string{"Nomor", "Jenis", "Keadaan", "Diberikan"}}
	for _, n := range c.Numbers {
		t.Rows = append(t.Rows, []cell{{Text: n.Value}, {Text: n.KindLabel}, {Tag: tag{numberTones[n.State], n.StateLabel}}, {Text: terbilang.FormatDateTime(n.GivenAt)}})
	}
	return part("nomor", "Nomor", t)
}

// part is a part of the tables that have rows.
func part(anchor, heading string, tables ...rowsTable) chipPart {
	return chipPart{Anchor: anchor, Heading: heading, Tables: slices.DeleteFunc(tables, func(t rowsTable) bool { return len(t.Rows) == 0 })}
}

func moment(at *time.Time) string {
	if at == nil {
		return ""
	}
	return terbilang.FormatDateTime(*at)
}

// span is from when until when something lasted.
func span(from, until *time.Time) string {
	if from == nil || until == nil || from.Equal(*until) {
		return moment(from)
	}
	return moment(from) + " sampai " + moment(until)
}

// linePart tells of the days, the attempts, and the lots that waited because of them.
func linePart(c *report.Chip) chipPart {
	days := rowsTable{Caption: "Hari perintah kerja", Heads: []string{"Hari", "Kartu ini", "Perintah kerja", "Cara", "Jumlah kartu"}, Numbers: []int{4}}
	for _, d := range c.Days {
		days.Rows = append(days.Rows, []cell{{Text: terbilang.FormatDayDate(d.Day), Path: boardPath + "/" + d.Day.String()}, {Text: dayWords(d)}, {Text: d.StateLabel}, {Text: d.ModeLabel}, {Text: number(d.Quantity)}})
	}
	tries := rowsTable{Caption: "Upaya", Heads: []string{"Upaya", "Hasil", "Tempat", "Profil, jenis SAM, Kode Kunci", "Waktu", "Alasan"}}
	for _, a := range c.Tries {
		tries.Rows = append(tries.Rows, tryCells(a))
	}
	holds := rowsTable{Caption: "Lot yang tertahan karena kartu ini", Heads: []string{"Sebab", "Stasiun", "Ditahan", "Dilanjutkan", "Yang diperiksa"}}
	for _, h := range c.Holds {
		why, lifted, looked := h.KindLabel, "masih menunggu", ""
		if h.Cause != "" {
			why += ": " + h.Cause
		}
		if h.LiftedBy != nil {
			lifted, looked = *h.LiftedBy+", "+moment(h.LiftedAt), *h.Reason
		}
		holds.Rows = append(holds.Rows, []cell{{Text: why}, {Text: h.Station}, {Text: terbilang.FormatDateTime(h.OfficeAt)}, {Text: lifted}, {Text: looked}})
	}
	return part("pengerjaan", "Pengerjaan", days, tries, holds)
}

// dayWords says what a work order's day was to a card.
func dayWords(d report.ChipDay) string {
	var words []string
	if d.Worked {
		words = append(words, "dikerjakan")
	}
	if d.CarriedOver {
		words = append(words, "menunggu dan dipindahkan: "+number(*d.NotPresented)+" kartu tidak dipasang hari itu")
	}
	if len(words) == 0 && d.State == capacity.Planned {
		words = []string{"direncanakan"}
	}
	if len(words) == 0 {
		words = []string{"menunggu dipasang"}
	}
	return sentenceCase(strings.Join(words, "; "))
}

var outcomeTones = map[string]string{"": busy, "clear": good, "failed": bad, "in_doubt": wait, "spoiled": bad}

func tryCells(a report.ChipAttempt) []cell {
	place := "Manual"
	if !a.ByHand {
		place = a.Station
		if a.Reader != "" {
			place += ", " + a.Reader
		}
	}
	why := a.Reason
	if a.Cause != a.Reason {
		why = joined(why, a.Cause)
	}
	if h := a.Hand; h != nil {
		why = joined(h.Reason, handWords(h))
	}
	return []cell{{Text: "Ke-" + number(a.Number)}, {Tag: tag{outcomeTones[a.Outcome], a.OutcomeLabel}}, {Text: place}, {Text: joined(a.Profile, a.SAMType, a.KeyCode)},
		{Text: span(a.StartedAt, a.EndedAt)}, {Text: why}}
}

func handWords(h *report.ChipHandResult) string {
	text := strings.ToLower(h.ResultLabel) + " dicatat " + h.EnteredBy
	switch {
	case h.ConfirmedBy != nil:
		return text + ", dikonfirmasi " + *h.ConfirmedBy + " " + moment(h.ConfirmedAt)
	case h.WithdrawnBy != nil:
		return text + ", ditarik " + *h.WithdrawnBy + " " + moment(h.WithdrawnAt)
	}
	return text + ", menunggu orang kedua"
}

// doubtPart tells what two people decided, and on what readings.
func doubtPart(c *report.Chip) chipPart {
	decided := rowsTable{Caption: "Keputusan atas keraguan", Heads: []string{"Keputusan", "Upaya", "Orang pertama", "Orang kedua", "Alasan"}}
	for _, d := range c.Decided {
		second := "belum dikonfirmasi"
		if d.ConfirmedBy != nil {
			second = *d.ConfirmedBy + ", " + moment(d.ConfirmedAt)
		}
		if d.VoidedAt != nil {
			second += "; gugur " + moment(d.VoidedAt) + ", karena bacaan atau hasil kartu yang baru"
		}
		decided.Rows = append(decided.Rows, []cell{{Text: d.DecisionLabel}, {Text: "Ke-" + number(d.Attempt)},
			{Text: d.DecidedBy + ", " + terbilang.FormatDateTime(d.DecidedAt)}, {Text: second}, {Text: d.Reason}})
	}
	looks := rowsTable{Caption: "Bacaan stasiun, terbaru lebih dahulu", Heads: []string{"Saat", "Stasiun", "Cara", "Usul"}}
	for _, o := range c.Looks {
		at, says := o.Station, perso.DecisionLabels[o.Proposal]
		if o.Reader != "" {
			at += ", " + o.Reader
		}
		if o.Contradicts {
			says += " (bertentangan dengan keputusan)"
		}
		looks.Rows = append(looks.Rows, []cell{{Text: terbilang.FormatDateTime(o.At), Path: doubtsPath + "/" + c.ID}, {Text: at}, {Text: perso.SourceLabels[o.Source]}, {Text: says}})
	}
	return part("keraguan", "Keraguan", decided, looks)
}

func chainPart(c *report.Chip) chipPart {
	t := rowsTable{Caption: "Rantai penggantian, kartu pertama lebih dahulu", Heads: []string{"No. Seri Kartu SAM", "Keadaan", "Alasan"}}
	for _, l := range c.Chain {
		row := []cell{{Text: l.Serial, Path: chipsPath + "/" + l.ID}, {Tag: cardTag(l.State, l.StateLabel)}, {Text: l.Reason}}
		if l.Present {
			row[0] = cell{Text: l.Serial + " (kartu ini)"}
		}
		t.Rows = append(t.Rows, row)
	}
	return part("penggantian", "Penggantian", t)
}

// handedPart tells of the handover and the papers.
func handedPart(c *report.Chip, outside bool) chipPart {
	papers := rowsTable{Caption: "Dokumen yang memuat kartu ini", Heads: []string{"Dokumen", "Nomor", "Tanggal", "Keadaan", "Berkas"}}
	for _, d := range c.Documents {
		dated, file := "", cell{}
		if d.Dated != nil {
			dated = terbilang.FormatDate(*d.Dated)
		}
		for _, format := range []string{"scan", "pdf", "xlsx", "docx"} {
			if slices.Contains(d.Formats, format) {
				file = cell{Text: formatNames[format], Path: "/api/v1/documents/" + d.ID + "/files/" + format}
				break
			}
		}
		papers.Rows = append(papers.Rows, []cell{{Text: d.KindLabel}, {Text: d.Number}, {Text: dated}, {Tag: tagOf(letter.Machine)(d.State)}, file})
	}
	p := part("serah-terima", "Serah terima dan dokumen", papers)
	h := c.Handover
	if h == nil {
		return p
	}
	given, got := "", ""
	if h.DeliveredOn != nil {
		given = terbilang.FormatDate(*h.DeliveredOn) + " kepada " + h.Representative + ", " + h.RepresentativePost
	}
	if h.Received != nil && h.ReceivedOn != nil {
		got = terbilang.FormatDate(*h.ReceivedOn) + ": " + number(*h.Received) + " dari " + number(h.Quantity) + " kartu"
		if *h.Received < h.Quantity {
			got += "; kartu mana yang kurang tidak tercatat"
		}
	}
	p.Facts = filled(chipFact{"Serah terima", "Ke-" + number(h.Ordinal) + ", " + number(h.Quantity) + " kartu", home + "/" + c.Request.Ticket + "#serah-terima"},
		chipFact{"Keadaan", handover.Machine.Label(h.State), ""}, chipFact{"Diserahkan", given, ""}, chipFact{"Diterima", got, ""})
	return p
}

// readerNow is the reader that the card went into last, and how its activation stands.
func readerNow(c *report.Chip) chipFact {
	if len(c.Activations) == 0 {
		return chipFact{}
	}
	a := c.Activations[len(c.Activations)-1]
	state := a.StateLabel
	if a.CauseLabel != "" {
		state += ", " + lowerFirst(a.CauseLabel)
	}
	return chipFact{"Aktivasi terakhir", "Reader " + a.ReaderSerial + ": " + state, readersPath + "/" + a.Ticket}
}

// readersPart is into which readers the card went.
func readersPart(c *report.Chip) chipPart {
	t := rowsTable{Caption: "Aktivasi reader", Heads: []string{"Surat aktivasi", "Reader", "Lembaga", "Penempatan", "Keadaan", "Keterangan", "Manifest", "Terpasang"}}
	for _, a := range c.Activations {
		installed := ""
		if a.InstalledOn != nil {
			installed = terbilang.FormatDate(*a.InstalledOn)
		}
		t.Rows = append(t.Rows, []cell{{Text: a.Ticket + ", baris " + number(a.Number), Path: readersPath + "/" + a.Ticket}, {Text: a.ReaderSerial}, {Text: a.Lembaga}, {Text: a.Address + ", " + a.Region},
			{Tag: tagOf(activation.Machine)(a.State)}, {Text: readerNote(a)}, {Text: a.ManifestSerial}, {Text: installed}})
	}
	return part("aktivasi", "Aktivasi", t)
}

// readerNote says why an activation ended, and which line took its place or gave it up.
func readerNote(a report.ChipActivation) string {
	note := a.CauseLabel
	add := func(text string) {
		if note != "" {
			text = "; " + lowerFirst(text)
		}
		note += text
	}
	if a.ReplacedBy != nil {
		add("Penggantinya baris " + number(*a.ReplacedBy))
	}
	if a.Replaces != nil {
		add("Menggantikan baris " + number(*a.Replaces))
	}
	return note
}

func destroyedPart(c *report.Chip) chipPart {
	t := rowsTable{Caption: "Berita acara kartu rusak", Heads: []string{"Berita acara", "Dimusnahkan", "Sebab", "Pelaksana", "Disusun", "Keadaan"}}
	for _, d := range c.Destructions {
		state := tag{good, "Berlaku"}
		if d.VoidedAt != nil {
			state = tag{bad, "Dibatalkan " + moment(d.VoidedAt)}
		}
		cause := stock.WasLabels[d.Was]
		if d.Cause != "" {
			cause += ": " + d.Cause
		}
		t.Rows = append(t.Rows, []cell{{Text: "Ke-" + number(d.Ordinal), Path: home + "/" + c.Request.Ticket + blanksEnd},
			{Text: terbilang.FormatDate(d.DestroyedOn) + ", " + d.Method}, {Text: cause}, {Text: d.First.Name + ", " + d.First.Post + "; " + d.Second.Name + ", " + d.Second.Post},
			{Text: by(terbilang.FormatDateTime(d.OfficeAt), d.DrawnBy)}, {Tag: state}})
	}
	return part("pemusnahan", "Pemusnahan", t)
}
