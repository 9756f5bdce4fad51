package pages

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// act is a form of a request's page: a verb that is taken or a fact that is stated.
// Whose it is in which state is said by the request's own tables.
type act struct {
	path    string                                             // last part of its address
	verb    machine.Verb                                       // or
	fact    string                                             // what it states
	read    func(r *http.Request) (decisions.Statement, error) // of a fact
	heading string
	submit  string
	done    string // the notice afterwards
	// says is what the step does and what follows it.
	says   func(v *report.Request, today clock.Date) []string
	fields func(v *report.Request) []field
	// grave asks once more: the words under the tick. Empty does not ask.
	grave string
}

// offer is the act's name in report.Request.Offers.
func (a act) offer() string { return string(a.verb) + a.fact }

// may says whether a role has the act in any state at all.
func (a act) may(role machine.Role) error {
	if a.fact != "" {
		return decisions.MayState(a.fact, role)
	}
	return request.Machine.MayEver(a.verb, role)
}

const confirmed = "confirmed" // the tick of a grave act

// acts are the forms in the order of the page: what moves a request on before what
// stops it.
var acts = []act{
	{
		path: "surat", fact: request.FactLetterReceived, read: typedLetter,
		heading: "Catat penerimaan surat fisik", submit: "Catat penerimaan surat", done: "Penerimaan surat fisik tercatat.",
		says: func(v *report.Request, _ clock.Date) []string {
			return []string{
				"Surat nomor " + v.Letter.Number + " tanggal " + terbilang.FormatDate(v.Letter.Date) + " dari " + v.Letter.Sender +
					". Surat yang datang setelah jam kantor atau pada hari libur dihitung sejak hari kerja berikutnya.",
				registers(v, request.FactLetterReceived),
			}
		},
		fields: func(*report.Request) []field {
			return []field{
				{Name: "received_on", Label: "Tanggal surat diterima", Kind: "date"},
				{Name: "received_time", Label: "Jam surat diterima (WIB)", Kind: "time", Optional: true,
					Hint: "Bila kosong: surat yang dicatat pada hari datangnya dianggap datang saat ini, surat dari hari sebelumnya dianggap datang pada jam kantor."},
			}
		},
	},
	{
		path: "blangko", fact: request.FactBlanksCounted, read: typedBlanks,
		heading: "Catat jumlah blangko", submit: "Catat jumlah blangko", done: "Jumlah blangko tercatat.",
		says: func(v *report.Request, _ clock.Date) []string {
			return []string{
				"Hitung blangko kartu SAM yang diserahkan pemohon. Jumlahnya hanya dapat dicatat bila sama dengan jumlah kartu pada permohonan; " +
					"bila berbeda, permohonan dikembalikan dengan alasan.",
				registers(v, request.FactBlanksCounted),
			}
		},
		fields: func(*report.Request) []field {
			return []field{{Name: "count", Label: "Jumlah blangko (keping)", Kind: "text", Mode: "numeric"}}
		},
	},
	{
		path: "pembandingan", fact: request.FactCompared, read: typedComparison,
		heading: "Catat pembandingan pindaian", submit: "Catat pembandingan", done: "Pembandingan pindaian tercatat.",
		says: func(v *report.Request, _ clock.Date) []string {
			return []string{
				"Buka tiap pindaian dan bandingkan dengan isian pada halaman ini. Centang yang sesuai; bila ada yang berbeda, permohonan dikembalikan dengan alasan.",
				registers(v, request.FactCompared),
			}
		},
		fields: func(v *report.Request) []field {
			fields := []field{{Name: "submission", Kind: "hidden", Value: strconv.Itoa(v.Submission)}}
			for _, paper := range decisions.Papers(v.Kind) {
				fields = append(fields, field{Name: paper.Name, Label: paper.Label + " sesuai dengan isian", Kind: "checkbox"})
			}
			return append(fields, field{Name: "notes", Label: "Catatan", Kind: "textarea", Longest: decisions.MaxText, Optional: true, Hint: "Dibaca pegawai Ditjen Dukcapil saja."})
		},
	},
	{
		path: "disposisi", fact: request.FactDisposed, read: typedDisposition,
		heading: "Catat disposisi", submit: "Catat disposisi", done: "Disposisi tercatat.",
		says: func(_ *report.Request, today clock.Date) []string {
			return []string{"Tanggal disposisi diterima menentukan urutan permohonan ini dalam antrean personalisasi; bila dikosongkan, " +
				terbilang.FormatDate(today) + ". Sesudahnya Kasubdit KI dapat menerima permohonan."}
		},
		fields: func(*report.Request) []field {
			return []field{
				{Name: "received_on", Label: "Tanggal disposisi diterima", Kind: "date", Optional: true, Hint: "Isi bila disposisi sudah diterima sebelum hari ini; permohonan mendapat urutan menurut tanggal itu."},
				{Name: "note", Label: "Isi disposisi", Kind: "textarea", Longest: decisions.MaxText, Optional: true, Hint: "Dibaca pegawai Ditjen Dukcapil saja."},
			}
		},
	},
	{
		path: "setujui", verb: request.Approve,
		heading: "Setujui permohonan", submit: "Setujui", done: "Permohonan disetujui.",
		says: func(*report.Request, clock.Date) []string {
			return []string{"Permohonan diteruskan kepada Direktur FPDDK untuk disposisi. Persetujuan gugur bila permohonan kemudian dikembalikan untuk diperbaiki."}
		},
	},
	{
		path: "terima", verb: request.Accept,
		heading: "Terima permohonan", submit: "Terima", done: "Permohonan diterima; kartunya masuk ke antrean personalisasi.",
		says: func(v *report.Request, _ clock.Date) []string {
			says := number(v.CardCount) + " kartu masuk ke antrean personalisasi"
			if i := slices.IndexFunc(v.Facts, func(f report.Fact) bool { return f.Fact.Fact == request.FactDisposed }); i >= 0 {
				if on, err := v.Facts[i].ReceivedOn(); err == nil {
					says += " menurut tanggal disposisi, " + terbilang.FormatDate(on)
				}
			}
			return []string{says + ", dan jadwalnya disusun sistem. Permohonan yang sudah diterima tidak dapat lagi dikembalikan, ditolak, atau dibatalkan; hanya dapat ditahan."}
		},
	},
	{
		path: "lanjutkan", verb: request.Release,
		heading: "Lanjutkan permohonan", submit: "Lanjutkan", done: "Permohonan dilanjutkan.",
		says: func(*report.Request, clock.Date) []string {
			return []string{"Permohonan kembali ke keadaan sebelum ditahan, dan kartunya dijadwalkan lagi menurut tanggal disposisinya."}
		},
	},
	{
		path: "kembalikan", verb: request.Return,
		heading: "Kembalikan untuk diperbaiki", submit: "Kembalikan", done: "Permohonan dikembalikan kepada pemohon.",
		says: func(v *report.Request, _ clock.Date) []string {
			says := "Permohonan kembali kepada pemohon, yang memperbaiki dan mengajukannya lagi dengan Kode Tiket yang sama. Nomor seri kartunya bebas dipakai permohonan lain"
			if v.State == request.Approved {
				return []string{says + ". Persetujuan Direktur Jenderal, disposisi, dan semua pencatatan gugur dan diulang setelah perbaikan."}
			}
			return []string{says + ". Pencatatan surat, blangko, dan pembandingan gugur dan diulang setelah perbaikan."}
		},
		fields: reasonField("Alasan: apa yang harus diperbaiki pemohon", "Dibaca pemohon."),
	},
	{
		path: "tahan", verb: request.Hold,
		heading: "Tahan permohonan", submit: "Tahan", done: "Permohonan ditahan.",
		says: func(*report.Request, clock.Date) []string {
			return []string{"Kartu yang belum dikerjakan keluar dari jadwal, dan tempatnya dapat terisi permohonan lain; kartu yang sedang ditulis diselesaikan. " +
				"Permohonan menunggu sampai dilanjutkan, dan tetap memegang tanggal disposisinya."}
		},
		fields: reasonField("Alasan menahan", "Dibaca pemohon."),
	},
	{
		path: "tolak", verb: request.Reject,
		heading: "Tolak permohonan", submit: "Tolak permohonan", done: "Permohonan ditolak.",
		says: func(*report.Request, clock.Date) []string {
			return []string{"Permohonan berakhir dan tidak dapat dibuka lagi; pemohon harus mengajukan yang baru. Nomor seri kartu dan permintaan lembaga di dalamnya bebas dipakai permohonan lain. " +
				"Untuk kesalahan yang dapat diperbaiki, permohonan dikembalikan, bukan ditolak."}
		},
		fields: reasonField("Alasan menolak", "Dibaca pemohon."),
		grave:  "Saya mengerti: penolakan mengakhiri permohonan ini dan tidak dapat ditarik kembali.",
	},
	{
		path: "batalkan", verb: request.Cancel,
		heading: "Batalkan permohonan", submit: "Batalkan permohonan", done: "Permohonan dibatalkan.",
		says: func(*report.Request, clock.Date) []string {
			return []string{"Permohonan berakhir dan tidak dapat dibuka lagi. Nomor seri kartu dan permintaan lembaga di dalamnya bebas dipakai permohonan lain."}
		},
		fields: reasonField("Alasan membatalkan", ""),
		grave:  "Saya mengerti: pembatalan mengakhiri permohonan ini dan tidak dapat ditarik kembali.",
	},
}

// reasonField is the field of the reason of a verb.
func reasonField(label, hint string) func(*report.Request) []field {
	return func(*report.Request) []field {
		return []field{{Name: "reason", Label: label, Kind: "textarea", Longest: decisions.MaxText, Hint: hint}}
	}
}

// stated are the facts that a request has.
func stated(v *report.Request) []request.Fact {
	have := make([]request.Fact, len(v.Facts))
	for i, f := range v.Facts {
		have[i] = f.Fact
	}
	return have
}

// registers says what follows one of the facts that register a request.
func registers(v *report.Request, fact string) string {
	var left []string
	for _, missing := range request.MissingFacts(v.State, stated(v)) {
		if missing != fact {
			left = append(left, lowerFirst(request.FactLabels[missing]))
		}
	}
	if len(left) == 0 {
		return "Ini yang terakhir: sesudah dicatat, permohonan terdaftar dan menunggu keputusan Direktur Jenderal."
	}
	return "Sesudah ini permohonan belum terdaftar; masih ditunggu: " + strings.Join(left, ", ") + "."
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] } // the labels begin with A to Z

// typedText is a text of a form, with the ends of lines as everybody else has them,
// and nothing that is not text.
func typedText(r *http.Request, name string) string {
	return strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(r.PostForm.Get(name), "\r\n", "\n"), "\uFFFD"))
}

const dateForm = "Tulis tanggal dengan tahun lebih dahulu, seperti 2026-11-23."

func typedLetter(r *http.Request) (decisions.Statement, error) {
	l := decisions.Letter{On: typedDate(r, "received_on")}
	var wrong form.Faults
	if l.On.IsZero() && typedText(r, "received_on") != "" {
		wrong.Add("/received_on", "wrong_form", dateForm)
	}
	if text := typedText(r, "received_time"); text != "" {
		l.At = new(workday.TimeOfDay)
		if l.At.UnmarshalText([]byte(text)) != nil {
			wrong.Add("/received_time", "wrong_form", "Tulis jam seperti 14.30, atau kosongkan.")
		}
	}
	return l, wrong.Err()
}

// wholeNumber is how people write one: 1000 or 1.000.
var wholeNumber = regexp.MustCompile(`^([0-9]{1,9}|[0-9]{1,3}(\.[0-9]{3}){1,2})$`)

func typedBlanks(r *http.Request) (decisions.Statement, error) {
	text := typedText(r, "count")
	if text == "" {
		return decisions.Blanks{}, nil
	}
	n, err := strconv.Atoi(strings.ReplaceAll(text, ".", ""))
	if err != nil || !wholeNumber.MatchString(text) {
		return nil, form.One("/count", "wrong_type", "Tulis jumlah blangko dengan angka, seperti 250.")
	}
	return decisions.Blanks{Count: &n}, nil
}

func typedComparison(r *http.Request) (decisions.Statement, error) {
	c := decisions.Comparison{Equal: map[string]*bool{}, Notes: typedText(r, "notes")}
	if n, err := strconv.Atoi(r.PostForm.Get("submission")); err == nil {
		c.Submission = &n
	}
	for _, paper := range decisions.Papers(request.KindReader) {
		if r.PostForm.Get(paper.Name) != "" {
			c.Equal[paper.Name] = new(true)
		}
	}
	return c, nil
}

func typedDisposition(r *http.Request) (decisions.Statement, error) {
	d := decisions.Disposition{Note: typedText(r, "note"), On: typedDate(r, "received_on")}
	if d.On.IsZero() && typedText(r, "received_on") != "" {
		return nil, form.One("/received_on", "wrong_form", dateForm)
	}
	return d, nil
}

// do takes the step as the account saw the request.
func (p *Pages) do(r *http.Request, a act, v *report.Request) error {
	who, version := signin.Account(r), seenVersion(r)
	if a.fact != "" {
		said, err := a.read(r)
		if err != nil {
			return err
		}
		_, err = p.decide.State(r.Context(), who, v.Ticket, decisions.Seen{Version: &version, Submission: v.Submission}, said)
		return err
	}
	reason := typedText(r, "reason")
	if a.grave != "" && r.PostForm.Get(confirmed) == "" {
		var wrong form.Faults
		if request.WantsReason(a.verb) && reason == "" {
			wrong.Add("/reason", "missing", "Alasan wajib diisi.")
		}
		wrong.Add("/"+confirmed, "missing", "Centang pernyataan ini bila Anda yakin.")
		return wrong.Err()
	}
	_, err := p.decide.Take(r.Context(), who, v.Ticket, a.verb, version, reason)
	return err
}
