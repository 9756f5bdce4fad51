package pages

import (
	"cmp"
	"encoding/json"
	"strconv"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/upload"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Last parts of the addresses of the forms on cards; they are the codes of the notices
// afterwards, too.
const (
	actReduce   = "pengurangan"
	actReplace  = "pengganti"
	actPropose  = "usul"
	actConfirm  = "konfirmasi"
	actWithdraw = "tarik"
)

// cardNotices say what was done.
var cardNotices = map[string]string{
	actReduce: "Pengurangan tercatat; jadwal disusun ulang.", actReplace: "Kartu pengganti terdaftar dan masuk ke antrean personalisasi.",
	actPropose: "Keputusan tercatat; berlaku setelah dikonfirmasi orang lain.", actConfirm: "Keputusan dikonfirmasi.",
	actWithdraw: "Keputusan ditarik.",
}

// cardHeadings are the forms by their names, for what was not done.
var cardHeadings = map[string]string{
	actReduce: "Kurangi kartu dengan surat", actReplace: "Daftarkan kartu pengganti", actPropose: "Putuskan kartu yang meragukan",
	actConfirm: "Konfirmasi keputusan", actWithdraw: "Tarik keputusan",
}

// cardBox is something that whoever asks can do with cards now.
type cardBox struct {
	Anchor, Heading string
	Says            []string
	Facts           []pair
	Forms           []cardForm
	Open            bool
	Evidence        string // address of all that was read of the card; empty for none
}

// cardForm is a form of a box.
type cardForm struct {
	key    string // apart from the page's others
	Action string
	Upload bool
	Groups []fieldGroup
	Fields []field
	Submit string
	Quiet  bool
	Grave  bool
}

// fieldGroup are the fields about one card.
type fieldGroup struct {
	Legend string
	Fields []field
}

// fields are all of a form's, in their order.
func (f *cardForm) all() []*field {
	var all []*field
	for i := range f.Groups {
		for j := range f.Groups[i].Fields {
			all = append(all, &f.Groups[i].Fields[j])
		}
	}
	for i := range f.Fields {
		all = append(all, &f.Fields[i])
	}
	return all
}

// cardBoxes are what an account can do with the cards of a request now. Cards without a
// decision to take stand in none of the forms: a request may have thousands.
func cardBoxes(v *report.Request, page report.CardPage, who identity.Account) []cardBox {
	cards := page.Troubled
	var boxes []cardBox
	at := home + "/" + v.Ticket + "/kartu/"
	names := namesIn(v)
	for _, c := range cards {
		if mayDecide(c, who) {
			box := doubtBox(at, c, who, names)
			box.Evidence = doubtsPath + "/" + c.ID
			boxes = append(boxes, box)
		}
	}
	doubted := 0
	for _, c := range cards {
		if c.State == perso.InDoubt {
			doubted++
		}
	}
	if more := v.Cards.InDoubt - doubted; more > 0 && len(boxes) > 0 {
		boxes = append(boxes, cardBox{Anchor: "kartu-lain", Heading: number(more) + " kartu meragukan lain", Open: true,
			Says: []string{"Kartu itu tampil di sini setelah yang di atas diputuskan."}})
	}
	if perso.Machine.May("", perso.EnlistVerb, who.Role) == nil {
		if box, any := replaceBox(at, cards, v.Cards.AwaitingReplacement); any {
			boxes = append(boxes, box)
		}
	}
	if box, any := reduceBox(at, page.Counts[perso.Listed], v.Cards.AwaitingReplacement, who); any {
		boxes = append(boxes, box)
	}
	for i := range boxes {
		for j := range boxes[i].Forms {
			f := &boxes[i].Forms[j]
			for _, one := range f.all() {
				if one.Form == "" {
					one.Form = f.key
				}
			}
		}
	}
	return boxes
}

// namesIn are the people of a request's timeline by their user names.
func namesIn(v *report.Request) func(username string) string {
	names := map[string]string{}
	for _, e := range v.Timeline {
		names[e.Actor] = e.Name
	}
	return func(username string) string {
		if name := names[username]; name != "" {
			return name
		}
		return username
	}
}

// observations are what a station reads from a card in doubt, in the order of the page.
var observations = []struct{ key, label string }{
	{"step", "Terhenti pada langkah"}, {"last_step", "Langkah terakhir yang selesai"}, {"unreadable", "Hasil pembacaan"}, {"said", "Catatan jurnal stasiun"}, {"reason", "Sebab menurut jurnal"},
	{"steps", "Tahap penulisan menurut bacaan"}, {"proof", "Pembuktian terhenti pada"}, {"life_cycle", "Siklus hidup kartu"}, {"key_versions", "Versi kunci pada kartu"},
	{"marker", "Penanda upaya pada kartu"}, {"pcid", "PCID pada kartu"}, {"manifest_no", "No. manifest pada kartu"},
}

// observed words what the station read.
func observed(raw *json.RawMessage) []pair {
	var read map[string]any
	if raw == nil || json.Unmarshal(*raw, &read) != nil || len(read) == 0 {
		return []pair{{"Hasil baca stasiun", "Kartu belum dibaca kembali."}}
	}
	var facts []pair
	for _, o := range observations {
		switch said := read[o.key].(type) {
		case string:
			facts = append(facts, pair{o.label, wordOf(o.key, said)})
		case []any:
			facts = append(facts, pair{o.label, seenSteps(said)})
		case bool:
			facts = append(facts, pair{o.label, map[bool]string{true: "ada", false: "tidak ada"}[said]})
		}
	}
	return facts
}

// lifeCycles are what the card says of itself, as people read it.
var lifeCycles = map[string]string{
	"OP_READY": "blangko, belum diisi", "INITIALIZED": "terisi sebagian, belum dikunci", "SECURED": "terisi dan dikunci",
	"CARD_LOCKED": "diblokir", "TERMINATED": "tidak dapat dipakai lagi",
}

// wordOf words what was read; what nobody has named stays as it is.
func wordOf(key, said string) string {
	switch key {
	case "said":
		return cmp.Or(map[string]string{"proven": "terbukti selesai", "failed": "kartu menolak"}[said], said)
	case "step", "last_step", "proof":
		return cmp.Or(profile.Labels[profile.Step(said)], said, "tidak diketahui")
	case "life_cycle":
		return cmp.Or(lifeCycles[said], said, "tidak terbaca")
	}
	return cmp.Or(said, "tidak ada")
}

// left says that a card can be taken away from its station, or that somebody wants to.
func left(c perso.CardRow) bool {
	return c.State != perso.InDoubt && (c.Abandoned || c.Resolution != nil && c.Resolution.Decision == perso.DecideDoubt && c.Resolution.ConfirmedBy == nil)
}

// whatIsKnown are the heading and the facts of a box about a card.
func whatIsKnown(c perso.CardRow) (heading string, facts []pair) {
	if left(c) {
		return "Nyatakan meragukan kartu " + c.Serial, []pair{{"Keadaan", c.StateLabel + "; tidak ada kabar tentangnya dari stasiunnya sekurangnya sepuluh menit"}}
	}
	if c.Reason != "" {
		facts = append(facts, pair{"Sebab", c.Reason})
	}
	facts = append(facts, observed(c.Observed)...)
	if c.Proposal != "" {
		facts = append(facts, pair{"Usul stasiun", perso.DecisionLabels[c.Proposal]})
	}
	return "Putuskan kartu meragukan " + c.Serial, facts
}

func doubtBox(at string, c perso.CardRow, who identity.Account, names func(string) string) cardBox {
	box := cardBox{Anchor: "kartu-" + c.ID, Open: true}
	box.Heading, box.Facts = whatIsKnown(c)
	version := field{Name: "versi", Kind: "hidden", Value: strconv.FormatInt(c.Version, 10)}
	reading := field{Name: "bacaan", Kind: "hidden", Value: c.Reading}
	s := c.Resolution
	if void := c.Voided; void != nil && s == nil {
		box.Says = append(box.Says, "Keputusan “"+perso.DecisionLabels[void.Decision]+"” oleh "+names(void.DecidedBy)+
			" gugur: kartu dibaca lagi sesudahnya dan hasil bacanya lain. Putuskan kembali menurut bacaan terakhir.")
	}
	if s != nil && s.ConfirmedBy == nil {
		box.Facts = append(box.Facts, pair{"Keputusan orang pertama", perso.DecisionLabels[s.Decision] + ", oleh " + names(s.DecidedBy) + ", " +
			terbilang.FormatDateTime(s.DecidedAt) + "\n“" + s.Reason + "”"})
		seen := field{Name: "keputusan", Kind: "hidden", Value: s.ID}
		if s.DecidedBy == who.Username {
			box.Says = append(box.Says, "Keputusan Anda berlaku setelah dikonfirmasi orang lain, Operator KI atau Kasubdit KI.")
		} else {
			box.Says = append(box.Says, afterwards(s.Decision, c))
			box.Forms = append(box.Forms, cardForm{
				key: actConfirm + "-" + c.ID, Action: at + c.ID + "/" + actConfirm, Submit: "Konfirmasi: " + lowerFirst(perso.DecisionLabels[s.Decision]), Grave: s.Decision == perso.DecideSpoil,
				Fields: []field{version, seen,
					{Name: "reason", Label: "Catatan", Kind: "textarea", Longest: decisions.MaxText, Optional: true},
					{Name: confirmed, Label: "Saya sudah memeriksa kartu ini dan setuju; keputusan ini tidak dapat ditarik kembali setelah dikonfirmasi.", Kind: "checkbox"}},
			})
		}
		box.Forms = append(box.Forms, cardForm{key: actWithdraw + "-" + c.ID, Action: at + c.ID + "/" + actWithdraw, Submit: "Tarik keputusan", Quiet: true, Fields: []field{version, seen}})
		return box
	}
	if s != nil {
		box.Facts = append(box.Facts, pair{"Sudah diputuskan", perso.DecisionLabels[s.Decision] + ", oleh " + names(s.DecidedBy) + " dan " + names(*s.ConfirmedBy)})
		box.Says = append(box.Says, "Letakkan kartu pada pembaca stasiun untuk melaksanakan keputusan itu. Bila tidak mungkin lagi, putuskan yang lain.")
	}
	if left(c) {
		box.Says = append(box.Says, "Hanya bila stasiunnya sungguh tidak akan melanjutkan kartu ini. "+afterwards(perso.DecideDoubt, c)+" Keputusan berlaku setelah dikonfirmasi orang kedua.")
		box.Forms = append(box.Forms, cardForm{
			key: actPropose + "-" + c.ID, Action: at + c.ID + "/" + actPropose, Submit: perso.DecisionLabels[perso.DecideDoubt], Grave: true,
			Fields: []field{version, {Name: "decision", Kind: "hidden", Value: string(perso.DecideDoubt)},
				{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: decisions.MaxText, Hint: "Dibaca orang yang mengonfirmasi."}},
		})
		return box
	}
	if c.Proposal == "" && s == nil {
		box.Says = append(box.Says, "Masukkan kartu ke pembaca di stasiun supaya dibaca; stasiun lalu mengusulkan keputusannya di sini. Bila kartunya tidak ada lagi, nyatakan rusak.")
	}
	options := []option{}
	for _, d := range []perso.Decision{perso.DecideComplete, perso.DecideResume, perso.DecideSpoil} {
		if d == perso.DecideSpoil || d == c.Proposal {
			options = append(options, option{Value: string(d), Label: perso.DecisionLabels[d]})
		}
	}
	hint := "Menerima sebagai selesai atau melanjutkan penulisan hanya dapat dipilih bila stasiun membaca kartu dan mengusulkannya."
	box.Says = append(box.Says, "Keputusan berlaku setelah dikonfirmasi orang kedua.")
	box.Forms = append(box.Forms, cardForm{
		key: actPropose + "-" + c.ID, Action: at + c.ID + "/" + actPropose, Submit: "Catat keputusan",
		Fields: []field{version, reading, {Name: "decision", Label: "Keputusan", Kind: "select", Options: options, Hint: hint},
			{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: decisions.MaxText, Hint: "Dibaca orang yang mengonfirmasi."}},
	})
	return box
}

// afterwards is what follows the second person's word on a card.
func afterwards(d perso.Decision, c perso.CardRow) string {
	switch {
	case d == perso.DecideComplete:
		return "Dengan konfirmasi Anda kartu dianggap selesai ditulis; stasiun memverifikasinya sebelum dinyatakan berhasil."
	case d == perso.DecideResume:
		return "Dengan konfirmasi Anda stasiun melanjutkan penulisan kartu ini, dengan isi yang sama, begitu kartunya diletakkan pada pembaca."
	case d == perso.DecideSpoil:
		return "Dengan konfirmasi Anda kartu dinyatakan rusak untuk selamanya; nomornya tidak dipakai lagi, dan kartu menunggu pengganti."
	case c.State == perso.Claimed:
		return "Setelah dikonfirmasi kartu kembali ke antrean, karena belum ada yang ditulis padanya; stasiun mana pun dapat mengerjakannya."
	}
	return "Setelah dikonfirmasi kartu menjadi meragukan dan diputuskan seperti kartu meragukan lain; bila stasiunnya kembali dan membuktikan isi kartu, hasil itu diterima."
}

// waitsForBlank says that a card failed and nothing stands in for it.
func waitsForBlank(c perso.CardRow) bool {
	return (c.State == perso.Failed || c.State == perso.Spoiled) && c.ReplacedBy == nil
}

func replaceBox(at string, cards []perso.CardRow, awaiting int) (box cardBox, any bool) {
	f := cardForm{key: actReplace, Action: at + actReplace, Submit: "Daftarkan pengganti"}
	for _, c := range cards {
		if !waitsForBlank(c) {
			continue
		}
		f.Groups = append(f.Groups, fieldGroup{Legend: named(c), Fields: []field{
			{Name: "serial_" + c.ID, Label: "No. seri kartu pengganti", Kind: "text", Optional: true, Complete: "off"},
			{Name: "reason_" + c.ID, Label: "Alasan", Kind: "text", Optional: true},
		}})
	}
	box = cardBox{
		Anchor: actReplace, Heading: "Daftarkan kartu pengganti", Open: true, Forms: []cardForm{f},
		Says: []string{"Isi nomor seri blangko pengganti seperti tercetak pada kartunya. Baris yang kosong dilewati; yang diisi didaftarkan semuanya sekaligus. " +
			"Tanpa alasan, alasan kegagalan kartunya yang dicatat."},
	}
	if more := awaiting - len(f.Groups); more > 0 {
		box.Says = append(box.Says, "Di sini "+number(len(f.Groups))+" kartu yang pertama; "+number(more)+" kartu lain menyusul setelah ini didaftarkan.")
	}
	return box, len(f.Groups) > 0
}

// named is a card with what became of it.
func named(c perso.CardRow) string {
	text := "Kartu " + c.Serial + ", " + lowerFirst(c.StateLabel)
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

func reduceBox(at string, listed, failed int, who identity.Account) (box cardBox, any bool) {
	if perso.Machine.MayEver(perso.ReduceVerb, who.Role) != nil || listed+failed == 0 {
		return box, false
	}
	most := number(upload.MaxPicked)
	f := cardForm{key: actReduce, Action: at + actReduce, Upload: true, Submit: "Kurangi kartu", Grave: true, Fields: []field{
		{Name: decisions.SerialsPart, Label: "Kartu yang dikurangi", Kind: "textarea",
			Hint: "Satu nomor seri per baris, atau nomor urut daftar sebagai rentang, seperti 1-50. Paling banyak " + most + " kartu untuk satu surat."},
		{Name: decisions.ListPart, Label: "Atau Excel berisi nomor seri", Kind: "file", Value: ".xlsx", Optional: true,
			Hint: "Kolom “" + cardlist.HeaderSerial + "” seperti pada templat daftar kartu, atau kolom A. Paling banyak " + most + " kartu, 5 MB."},
		{Name: decisions.CountPart, Label: "Jumlah kartu menurut surat", Kind: "text", Mode: "numeric", Hint: "Dicocokkan dengan daftar di atas sebelum kartu dikurangi."},
		{Name: "letter_number", Label: "Nomor surat pengurangan", Kind: "text"},
		{Name: "letter_date", Label: "Tanggal surat", Kind: "date"},
		{Name: "signer", Label: "Nama penanda tangan", Kind: "text"},
		{Name: "signer_post", Label: "Jabatan penanda tangan", Kind: "text", Hint: "Dari produsen sendiri; surat reseller atau lembaga pengguna tidak cukup."},
		{Name: "reason", Label: "Alasan pengurangan", Kind: "textarea", Longest: decisions.MaxText, Hint: "Dibaca pemohon."},
		{Name: "scan", Label: "Pindaian surat", Kind: "file", Value: ".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png", Hint: "PDF, JPG, atau PNG, paling besar 3 MB."},
	}}
	return cardBox{
		Anchor: actReduce, Heading: cardHeadings[actReduce], Forms: []cardForm{f},
		Says: []string{
			"Yang dapat dikurangi: " + number(listed) + " kartu yang belum pernah dipresentasikan di stasiun, dan " + number(failed) + " kartu gagal atau rusak yang belum diganti.",
			"Kartu yang disebut keluar dari permohonan untuk selamanya, berdasarkan surat bertanda tangan dari produsen. Readernya bebas diajukan lagi; chip kartu gagal dan nomornya tidak dipakai lagi. " +
				"Sekurangnya satu kartu harus tersisa, dan bila tidak ada lagi yang harus dikerjakan, permohonan selesai.",
		},
	}, true
}

// reductionLine is a reduction as the page lists it.
type reductionLine struct {
	perso.Reduction
	Serials []string
	Who     string
	Path    string // of the scan
	More    int    // cards that are not among Serials
}

func reductionLines(v *report.Request, all []perso.Reduction) []reductionLine {
	names := namesIn(v)
	lines := make([]reductionLine, len(all))
	for i, d := range all {
		lines[i] = reductionLine{Reduction: d, Path: "/api/v1/requests/" + v.Ticket + "/reductions/" + d.ID + "/letter"}
		if d.DecidedBy != "" {
			lines[i].Who = names(d.DecidedBy)
		}
		for _, c := range d.Cards {
			lines[i].Serials = append(lines[i].Serials, c.Serial)
		}
		lines[i].More = d.N - len(d.Cards)
	}
	return lines
}

// mayCards says whether a role can do one of the acts at all.
func mayCards(path string, role machine.Role) error {
	switch path {
	case actReduce:
		return perso.Machine.MayEver(perso.ReduceVerb, role)
	case actReplace:
		return perso.Machine.May("", perso.EnlistVerb, role)
	}
	return perso.Machine.MayEver(perso.SpoilVerb, role)
}
