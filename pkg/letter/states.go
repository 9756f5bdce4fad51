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
	verbDraft  machine.Verb = "draft"
	verbNumber machine.Verb = "number"
	verbAwait  machine.Verb = "await_signature"
	VerbIssue  machine.Verb = "issue"
	VerbVoid   machine.Verb = "void"
	// VerbTypeNumber gives a paper a number from persuratan's own book.
	VerbTypeNumber machine.Verb = "type_number"
	// VerbCertify signs a paper with the certificate of whoever holds the post.
	VerbCertify machine.Verb = "sign_electronically"
	// VerbReplace asks for another paper in the place of one in force.
	VerbReplace  machine.Verb = "ask_replacement"
	verbKeep     machine.Verb = "keep"
	verbReplaced machine.Verb = "replace"
)

var (
	generator = []machine.Role{request.Generator}
	clerks    = []machine.Role{request.Persuratan, request.Operator}
	officials = []machine.Role{request.Dirjen, request.Direktur, request.Kasubdit}
	registrar = []machine.Role{request.Persuratan}
	issuers   = []machine.Role{request.Generator, request.Persuratan, request.Operator}
)

// Machine is the life of a paper. Its number stays its own when it is void.
var Machine = &machine.Table{
	Name: "document",
	Steps: []machine.Step{
		{From: "", Verb: verbDraft, Roles: generator, To: Drafted, System: true},
		{From: Drafted, Verb: verbNumber, Roles: generator, To: Numbered, System: true},
		{From: Drafted, Verb: VerbTypeNumber, Roles: registrar, Guard: "bila jenis naskahnya bernomor dari buku persuratan", To: Numbered},
		{From: Drafted, Verb: VerbIssue, Roles: generator, Guard: "hanya laporan hasil dan lembar harian", To: Issued, System: true},
		{From: Drafted, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan", To: Void},
		{From: Numbered, Verb: verbAwait, Roles: generator, Guard: "PDF sudah jadi", To: AwaitingSignature, System: true},
		{From: Numbered, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan; nomor tetap terpakai", To: Void},
		{From: AwaitingSignature, Verb: VerbIssue, Roles: clerks, Guard: "pindaian bertanda tangan diunggah", To: Issued},
		{From: AwaitingSignature, Verb: VerbCertify, Roles: officials, Guard: "oleh pejabat yang menandatangani, bila tanda tangan elektronik dipakai", To: Issued},
		{From: AwaitingSignature, Verb: VerbVoid, Roles: clerks, Guard: "dengan alasan; nomor tetap terpakai", To: Void},
		{From: Issued, Verb: VerbReplace, Roles: clerks, Guard: "dengan alasan; tetap berlaku sampai penggantinya terbit", To: Issued},
		{From: Issued, Verb: verbKeep, Roles: clerks, Guard: "penggantinya dibatalkan", To: Issued, System: true},
		{From: Issued, Verb: verbReplaced, Roles: issuers, Guard: "penggantinya terbit", To: Replaced, System: true},
	},
	Labels: map[machine.State]string{
		Drafted: "Disusun", Numbered: "Bernomor", AwaitingSignature: "Menunggu tanda tangan", Issued: "Terbit",
		Void: "Dibatalkan", Replaced: "Diganti",
	},
	Verbs: map[machine.Verb]string{
		verbDraft: "Susun", verbNumber: "Beri nomor", verbAwait: "Siapkan untuk ditandatangani", VerbIssue: "Terbitkan",
		VerbVoid: "Batalkan", VerbTypeNumber: "Isi nomor", VerbCertify: "Tanda tangani secara elektronik", VerbReplace: "Minta pengganti", verbKeep: "Tetap berlaku", verbReplaced: "Ganti",
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
	// ActivationReply is the surat balasan permohonan aktivasi (features.md J10), of the
	// readers that were accepted at once.
	ActivationReply = "activation_reply"
)

// KindLabels are the Indonesian names of the papers.
var KindLabels = map[string]string{
	BAST: "Berita Acara Serah Terima", ReplyLetter: "Surat balasan permohonan",
	CompletionLetter: "Surat keterangan selesai personalisasi", ResultList: "Laporan hasil personalisasi",
	DestructionReport: "Berita Acara Kartu Rusak", ActivationReply: "Surat balasan permohonan aktivasi",
	BlankReceipt: "Tanda terima blangko", DaySheet: "Lembar harian",
}

// Signers says whose signature a paper wants, by post (features.md N27).
var Signers = map[string]string{BAST: "direktur_fpddk", ReplyLetter: "dirjen", CompletionLetter: "direktur_fpddk", ActivationReply: "dirjen"}
