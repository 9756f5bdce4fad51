package activation

import (
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a letter. LetterSubmitted is for good: what becomes of it is told by its lines.
const (
	LetterDrafted   machine.State = "drafted"
	LetterSubmitted machine.State = "submitted"
	LetterDiscarded machine.State = "discarded"
)

// Verbs of a letter.
const (
	VerbDraft   machine.Verb = "draft"
	VerbEdit    machine.Verb = "edit"
	VerbSubmit  machine.Verb = "submit"
	VerbDiscard machine.Verb = "discard"
)

// States of an activation.
const (
	Submitted     machine.State = "submitted"
	Returned      machine.State = "returned"
	Validated     machine.State = "validated"
	Registered    machine.State = "registered"
	Approved      machine.State = "approved"
	Accepted      machine.State = "accepted"
	ManifestReady machine.State = "manifest_ready"
	Delivered     machine.State = "delivered"
	Active        machine.State = "active"
	Suspended     machine.State = "suspended"
	Revoked       machine.State = "revoked"
	Rejected      machine.State = "rejected"
	Cancelled     machine.State = "cancelled"
)

// Verbs of an activation.
const (
	VerbResubmit machine.Verb = "resubmit"
	VerbValidate machine.Verb = "validate"
	VerbReturn   machine.Verb = "return"
	VerbRegister machine.Verb = "register"
	VerbApprove  machine.Verb = "approve"
	VerbDispose  machine.Verb = "dispose"
	VerbAccept   machine.Verb = "accept"
	VerbReject   machine.Verb = "reject"
	VerbCancel   machine.Verb = "cancel"
	VerbSign     machine.Verb = "sign"
	VerbDeliver  machine.Verb = "deliver"
	VerbInstall  machine.Verb = "install"
	VerbMove     machine.Verb = "move"
	VerbSuspend  machine.Verb = "suspend"
	VerbResume   machine.Verb = "resume"
	VerbRevoke   machine.Verb = "revoke"
	VerbReplace  machine.Verb = "replace"
	VerbLost     machine.Verb = "lost"
	VerbStolen   machine.Verb = "stolen"
	VerbFound    machine.Verb = "found"
	VerbReissue  machine.Verb = "reissue" // of many lines at once, see Reissue
)

// Types of the messages that the steps ring; the subject of each is the letter.
const (
	messageSubmitted = "activation.submitted"
	messageAccepted  = "activation.accepted"
	messageRevoked   = "activation.revoked"
)

var (
	lembaga    = []machine.Role{request.Lembaga}
	applicants = []machine.Role{request.Lembaga, request.Produsen}
	keepers    = []machine.Role{request.Operator, request.Kasubdit}
	kasubdit   = []machine.Role{request.Kasubdit}
	checkers   = []machine.Role{request.Persuratan, request.Operator, request.Kasubdit}
	validator  = []machine.Role{request.Validator}
	generator  = []machine.Role{request.Generator}
	receivers  = []machine.Role{request.Operator, request.Kasubdit, request.Produsen}
)

// LetterMachine is the life of a surat permohonan aktivasi: a produsen may prepare it,
// the lembaga submits it (features.md N8).
var LetterMachine = &machine.Table{
	Name: "activation_letter",
	Steps: []machine.Step{
		{From: "", Verb: VerbDraft, Roles: applicants, To: LetterDrafted},
		{From: "", Verb: VerbSubmit, Roles: lembaga, To: LetterSubmitted, Message: messageSubmitted},
		{From: LetterDrafted, Verb: VerbEdit, Roles: applicants, To: LetterDrafted},
		{From: LetterDrafted, Verb: VerbSubmit, Roles: lembaga, To: LetterSubmitted, Message: messageSubmitted},
		{From: LetterDrafted, Verb: VerbDiscard, Roles: applicants, To: LetterDiscarded},
	},
	Labels: map[machine.State]string{
		LetterDrafted: "Rancangan", LetterSubmitted: "Diajukan", LetterDiscarded: "Rancangan dihapus",
	},
	Verbs: map[machine.Verb]string{
		VerbDraft: "Siapkan rancangan", VerbEdit: "Ubah rancangan", VerbSubmit: "Ajukan", VerbDiscard: "Hapus rancangan",
	},
}

// Machine is the life of one reader's activation (features.md J01 to J15, N33).
var Machine = &machine.Table{
	Name:  "activation",
	Steps: steps(),
	Labels: map[machine.State]string{
		Submitted: "Diajukan", Returned: "Dikembalikan", Validated: "Lulus pemeriksaan", Registered: "Terdaftar", Approved: "Disetujui Dirjen",
		Accepted: "Diterima Subdit KI", ManifestReady: "Manifest siap", Delivered: "Manifest diserahkan", Active: "Aktif", Suspended: "Ditangguhkan",
		Revoked: "Dicabut", Rejected: "Ditolak", Cancelled: "Dibatalkan",
	},
	Verbs: map[machine.Verb]string{
		VerbSubmit: "Ajukan", VerbResubmit: "Ajukan kembali", VerbValidate: "Nyatakan lulus pemeriksaan", VerbReturn: "Kembalikan", VerbRegister: "Daftarkan",
		VerbApprove: "Setujui", VerbDispose: "Catat disposisi Direktur FPDDK", VerbAccept: "Terima", VerbReject: "Tolak", VerbCancel: "Batalkan",
		VerbSign: "Buat manifest", VerbDeliver: "Serahkan manifest", VerbInstall: "Catat pemasangan", VerbMove: "Pindahkan", VerbSuspend: "Tangguhkan",
		VerbResume: "Lanjutkan", VerbRevoke: "Cabut", VerbReplace: "Ganti reader", VerbLost: "Catat hilang", VerbStolen: "Catat dicuri", VerbFound: "Catat ditemukan kembali",
		VerbReissue: "Terbitkan ulang manifest", VerbPair: "Catat pasangan reader",
	},
}

// signed are the states from the acceptance on, in which an activation counts. One with a
// manifest is told of in the revocation list when it stops counting.
var signed = []struct {
	state    machine.State
	manifest bool
}{{Accepted, false}, {ManifestReady, true}, {Delivered, true}, {Active, true}}

func steps() []machine.Step {
	const reason = "dengan alasan"
	all := []machine.Step{
		{From: "", Verb: VerbSubmit, Roles: lembaga, To: Submitted},
		{From: "", Verb: VerbReplace, Roles: keepers, Guard: "menggantikan reader yang dicabut; PKS berlaku", To: Accepted, Message: messageAccepted, System: true},
		{From: "", Verb: VerbReissue, Roles: kasubdit, Guard: "menggantikan manifest yang kunci penanda tangannya diganti; PKS berlaku", To: Accepted, Message: messageAccepted, System: true},
		{From: Submitted, Verb: VerbValidate, Roles: validator, To: Validated, System: true},
		{From: Submitted, Verb: VerbReturn, Roles: validator, Guard: "ada temuan", To: Returned, System: true},
		{From: Submitted, Verb: VerbCancel, Roles: lembaga, To: Cancelled},
		{From: Returned, Verb: VerbResubmit, Roles: lembaga, To: Submitted, Message: messageSubmitted},
		{From: Returned, Verb: VerbCancel, Roles: lembaga, To: Cancelled},
		{From: Validated, Verb: VerbRegister, Roles: []machine.Role{request.Persuratan}, Guard: "surat fisik sudah diterima", To: Registered},
		{From: Validated, Verb: VerbReturn, Roles: checkers, Guard: reason, To: Returned},
		{From: Validated, Verb: VerbCancel, Roles: lembaga, To: Cancelled},
		{From: Registered, Verb: VerbApprove, Roles: []machine.Role{request.Dirjen}, To: Approved},
		{From: Registered, Verb: VerbReject, Roles: []machine.Role{request.Dirjen}, Guard: reason, To: Rejected},
		{From: Registered, Verb: VerbReturn, Roles: keepers, Guard: reason, To: Returned},
		{From: Registered, Verb: VerbCancel, Roles: lembaga, To: Cancelled},
		{From: Approved, Verb: VerbDispose, Roles: []machine.Role{request.Direktur}, To: Approved},
		{From: Approved, Verb: VerbAccept, Roles: kasubdit, Guard: "disposisi Direktur FPDDK sudah tercatat dan PKS berlaku", To: Accepted, Message: messageAccepted},
		{From: Approved, Verb: VerbReject, Roles: []machine.Role{request.Direktur}, Guard: reason, To: Rejected},
		{From: Approved, Verb: VerbReturn, Roles: kasubdit, Guard: reason + "; persetujuan dan disposisi gugur", To: Returned},
		{From: Accepted, Verb: VerbSign, Roles: generator, Guard: "manifest sudah ditandatangani", To: ManifestReady, System: true},
		{From: ManifestReady, Verb: VerbDeliver, Roles: receivers, Guard: "Kasubdit KI sudah melepasnya; wakil produsen menerima manifest", To: Delivered},
		{From: Delivered, Verb: VerbInstall, Roles: applicants, To: Active},
	}
	for _, s := range signed {
		list := ""
		if s.manifest {
			list = messageRevoked
		}
		back := messageRevoked // the list changes again
		if !s.manifest {
			back = messageAccepted // its manifest is still to be made
		}
		all = append(all,
			machine.Step{From: s.state, Verb: VerbMove, Roles: keepers, Guard: reason, To: s.state},
			machine.Step{From: s.state, Verb: VerbSuspend, Roles: keepers, Guard: reason, To: Suspended, Message: list},
			machine.Step{From: s.state, Verb: VerbRevoke, Roles: kasubdit, Guard: reason, To: Revoked, Message: list},
			machine.Step{From: s.state, Verb: VerbReplace, Roles: keepers, Guard: reason, To: Revoked, Message: list},
			machine.Step{From: s.state, Verb: VerbLost, Roles: keepers, Guard: reason, To: Revoked, Message: list},
			machine.Step{From: s.state, Verb: VerbStolen, Roles: keepers, Guard: reason, To: Revoked, Message: list},
			machine.Step{From: Suspended, Verb: VerbResume, Roles: keepers, Guard: reason + "; kembali ke keadaan semula; PKS berlaku", To: s.state, Message: back},
		)
		if s.manifest { // all of a key at once: nobody is offered it for one line
			all = append(all, machine.Step{
				From: s.state, Verb: VerbReissue, Roles: kasubdit, Guard: "kunci penanda tangannya diganti; " + reason + "; PKS berlaku", To: Revoked, Message: list, System: true,
			})
		}
	}
	return append(all,
		machine.Step{From: Suspended, Verb: VerbRevoke, Roles: kasubdit, Guard: reason, To: Revoked, Message: messageRevoked},
		machine.Step{From: Suspended, Verb: VerbLost, Roles: keepers, Guard: reason, To: Revoked, Message: messageRevoked},
		machine.Step{From: Suspended, Verb: VerbStolen, Roles: keepers, Guard: reason, To: Revoked, Message: messageRevoked},
		// Whoever hears of it first reports a reader missing; that it may be used again is decided.
		machine.Step{From: Revoked, Verb: VerbFound, Roles: kasubdit, Guard: "tercatat hilang atau dicuri; " + reason + "; aktivasinya tetap dicabut", To: Revoked},
	)
}

// WantsReason says whether a verb is taken with a reason only: somebody will ask why.
func WantsReason(verb machine.Verb) bool {
	switch verb {
	case VerbReturn, VerbReject, VerbMove, VerbSuspend, VerbResume, VerbRevoke, VerbReplace, VerbLost, VerbStolen, VerbFound, VerbReissue:
		return true
	}
	return false
}

// Modes of a reader (features.md N33).
const (
	Online  = "online"
	Offline = "offline"
)

// ModeLabels are the modes in the users' words.
var ModeLabels = map[string]string{Online: "Online", Offline: "Offline"}

// OnlineDuty is what the lembaga owes for a reader that works online (features.md N33;
// FAQ "data balikan").
const OnlineDuty = "Reader online wajib mengirim data balikan hasil pembacaan KTP-el kepada Ditjen Dukcapil."
