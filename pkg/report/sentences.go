package report

// sentence words a step of a machine for people.
type sentence struct {
	text       string
	words      func(taken) string // instead of text
	internal   bool               // the office's own business
	hideReason bool               // whose reason is
}

func paper(what string) func(taken) string {
	return func(t taken) string {
		label := t.text("label")
		if label == "" {
			label = "Dokumen"
		}
		return label + " " + what
	}
}

func giving(what string) func(taken) string {
	return func(t taken) string { return "Serah terima ke-" + t.number("ordinal") + " " + what }
}

func card(what string) func(taken) string {
	return func(t taken) string { return t.card() + " " + what }
}

// sentences words every step that a timeline can hold, by machine and verb.
var sentences = map[string]sentence{
	"request.submit":   {text: "Permohonan diajukan"},
	"request.resubmit": {text: "Permohonan diajukan kembali"},
	"request.return":   {text: "Permohonan dikembalikan untuk diperbaiki"},
	"request.validate": {text: "Berkas dan daftar kartu lulus pemeriksaan"},
	"request.register": {text: "Permohonan terdaftar: surat, blangko, dan berkas lengkap"},
	"request.approve":  {text: "Permohonan disetujui Direktur Jenderal"},
	"request.accept":   {text: "Permohonan diterima Subdit KI"},
	"request.schedule": {text: "Permohonan masuk jadwal personalisasi"},
	"request.start":    {text: "Personalisasi dimulai"},
	"request.finish":   {text: "Personalisasi selesai"},
	"request.reject":   {text: "Permohonan ditolak"},
	"request.cancel":   {text: "Permohonan dibatalkan"},
	"request.hold":     {text: "Permohonan ditahan"},
	"request.release":  {text: "Permohonan dilanjutkan"},

	"work_order.plan": {internal: true, words: func(t taken) string {
		return "Perintah kerja " + t.number("quantity") + " kartu direncanakan untuk " + t.day()
	}},
	"work_order.release": {internal: true, words: func(t taken) string {
		return "Perintah kerja " + t.number("quantity") + " kartu untuk " + t.day() + " dilepas ke stasiun"
	}},
	"work_order.revoke": {internal: true, words: func(t taken) string { return "Perintah kerja untuk " + t.day() + " ditarik" }},
	"work_order.finish": {internal: true, words: func(t taken) string { return "Perintah kerja untuk " + t.day() + " selesai" }},
	"work_order.close":  {internal: true, words: func(t taken) string { return "Perintah kerja untuk " + t.day() + " mulai ditutup" }},
	"work_order.settle": {internal: true, words: func(t taken) string {
		return "Perintah kerja untuk " + t.day() + " ditutup, tersisa " + t.number("remaining") + " kartu"
	}},
	"work_order.reopen": {internal: true, words: func(t taken) string { return "Perintah kerja untuk " + t.day() + " dibuka kembali" }},

	"document.draft":               {internal: true, words: paper("disusun")},
	"document.number":              {internal: true, words: func(t taken) string { return paper("diberi nomor " + t.text("number"))(t) }},
	"document.await_signature":     {internal: true, words: paper("siap ditandatangani")},
	"document.issue":               {words: paper("terbit")},
	"document.void":                {internal: true, words: paper("dibatalkan")},
	"document.replace":             {words: paper("diganti")},
	"document.type_number":         {internal: true, words: func(t taken) string { return paper("diberi nomor " + t.text("number") + " oleh persuratan")(t) }},
	"document.sign_electronically": {words: paper("terbit dengan tanda tangan elektronik")},
	"document.ask_replacement":     {internal: true, words: paper("diminta diganti; berlaku sampai penggantinya terbit")},
	"document.keep":                {internal: true, words: paper("tetap berlaku, karena penggantinya dibatalkan")},

	"handover.prepare":    {words: func(t taken) string { return giving("disiapkan untuk " + t.number("quantity") + " kartu")(t) }},
	"handover.draft_bast": {internal: true, words: giving("siap: BAST menunggu tanda tangan kedua pihak")},
	"handover.deliver":    {words: func(t taken) string { return giving("terlaksana: " + t.number("quantity") + " kartu diserahkan")(t) }},
	"handover.receive": {words: func(t taken) string {
		return giving("dikonfirmasi: " + t.number("received") + " dari " + t.number("quantity") + " kartu diterima")(t)
	}},
	"handover.close": {words: giving("selesai")},
	"handover.cancel": {words: func(t taken) string {
		return giving("dibatalkan; " + t.number("quantity") + " kartunya belum diserahkan")(t)
	}},

	"card.list": {words: func(t taken) string {
		if t.Replaces == nil {
			return t.card() + " masuk daftar"
		}
		return t.card() + " didaftarkan sebagai pengganti " + *t.Replaces
	}},
	"card.fail":     {words: card("gagal dipersonalisasi")},
	"card.doubt":    {internal: true, words: card("meragukan: hasil penulisannya belum diketahui")},
	"card.complete": {internal: true, words: card("dipastikan selesai ditulis")},
	"card.resume":   {internal: true, words: card("dilanjutkan penulisannya")},
	"card.spoil":    {words: card("dinyatakan rusak")},
	"card.reduce":   {words: card("dikurangi dari permohonan")},
}
