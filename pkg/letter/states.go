package letter

import (
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a document.
const (
	Drafted           machine.State = "drafted"
	Numbered          machine.State = "numbered"
	AwaitingSignature machine.State = "awaiting_signature"
	Issued            machine.State = "issued"
	Void              machine.State = "void"
	Replaced          machine.State = "replaced"
)

// Verbs of a document.
const (
	verbDraft   machine.Verb = "draft"
	verbNumber  machine.Verb = "number"
	verbAwait   machine.Verb = "await_signature"
	VerbIssue   machine.Verb = "issue"
	VerbVoid    machine.Verb = "void"
	verbReplace machine.Verb = "replace"
)

var (
	generator = []machine.Role{request.Generator}
	clerks    = []machine.Role{request.Persuratan, request.Operator}
)

// Machine is the life of a paper. Its number stays its own when it is void.
var Machine = &machine.Table{
	Name: "document",
	Steps: []machine.Step{
		{From: "", Verb: verbDraft, Roles: generator, To: Drafted, System: true},
		{From: Drafted, Verb: verbNumber, Roles: generator, To: Numbered, System: true},
		{From: Drafted, Verb: VerbIssue, Roles: generator, Guard: "hanya laporan hasil dan lembar harian", To: Issued, System: true},
		{From: Drafted, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan", To: Void},
		{From: Numbered, Verb: verbAwait, Roles: generator, Guard: "PDF sudah jadi", To: AwaitingSignature, System: true},
		{From: Numbered, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan; nomor tetap terpakai", To: Void},
		{From: AwaitingSignature, Verb: VerbIssue, Roles: clerks, Guard: "pindaian bertanda tangan diunggah", To: Issued},
		{From: AwaitingSignature, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan; nomor tetap terpakai", To: Void},
		{From: Issued, Verb: verbReplace, Roles: generator, To: Replaced, System: true},
	},
	Labels: map[machine.State]string{
		Drafted: "Disusun", Numbered: "Bernomor", AwaitingSignature: "Menunggu tanda tangan", Issued: "Terbit",
		Void: "Dibatalkan", Replaced: "Diganti",
	},
	Verbs: map[machine.Verb]string{
		verbDraft: "Susun", verbNumber: "Beri nomor", verbAwait: "Siapkan untuk ditandatangani", VerbIssue: "Terbitkan",
		VerbVoid: "Batalkan", verbReplace: "Ganti",
	},
}

// Kinds of paper (features.md L15).
const (
	BAST             = "bast"
	ReplyLetter      = "reply_letter"
	CompletionLetter = "completion_letter"
	ResultList       = "result_list"
	// DestructionReport tells of failed and spoiled cards that two people destroyed. They
	// sign it, whatever post they hold.
	DestructionReport = "destruction_report"
)

// KindLabels are the Indonesian names of the papers.
var KindLabels = map[string]string{
	BAST: "Berita Acara Serah Terima", ReplyLetter: "Surat balasan permohonan",
	CompletionLetter: "Surat keterangan selesai personalisasi", ResultList: "Laporan hasil personalisasi",
	DestructionReport: "Berita Acara Kartu Rusak", BlankReceipt: "Tanda terima blangko", DaySheet: "Lembar harian",
}

// Signers says whose signature a paper wants, by post (features.md N27).
var Signers = map[string]string{BAST: "direktur_fpddk", ReplyLetter: "dirjen", CompletionLetter: "direktur_fpddk"}
