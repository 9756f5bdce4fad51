package need

import (
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
)

// States of a need.
const (
	Submitted machine.State = "submitted"
	Returned  machine.State = "returned"
	Approved  machine.State = "approved"
	Rejected  machine.State = "rejected"
	Bundled   machine.State = "bundled"
	Cancelled machine.State = "cancelled"
)

// Verbs of a need.
const (
	Submit   machine.Verb = "submit"
	Edit     machine.Verb = "edit"
	Resubmit machine.Verb = "resubmit"
	Approve  machine.Verb = "approve"
	Return   machine.Verb = "return"
	Reject   machine.Verb = "reject"
	Cancel   machine.Verb = "cancel"
	Bundle   machine.Verb = "bundle"
	Release  machine.Verb = "release"
)

// Who takes steps: both sides, and for a release also whoever ends the request.
const (
	Lembaga  machine.Role = institution.Lembaga
	Produsen machine.Role = institution.Produsen
	dirjen   machine.Role = "dirjen"
	direktur machine.Role = "direktur"
)

var (
	lembaga  = []machine.Role{Lembaga}
	produsen = []machine.Role{Produsen}
	ending   = []machine.Role{Produsen, dirjen, direktur}
)

// Machine is the life of a need (features.md C01 to C07, E04, N13). A decision of
// the produsen stands (C05), for the lembaga too, which edits or removes what it
// asked for only until then (C15).
var Machine = &machine.Table{
	Name: "need",
	Steps: []machine.Step{
		{From: "", Verb: Submit, Roles: lembaga, To: Submitted},
		{From: Submitted, Verb: Approve, Roles: produsen, To: Approved},
		{From: Submitted, Verb: Return, Roles: produsen, Guard: "dengan alasan", To: Returned},
		{From: Submitted, Verb: Reject, Roles: produsen, Guard: "dengan alasan", To: Rejected},
		{From: Submitted, Verb: Edit, Roles: lembaga, To: Submitted},
		{From: Submitted, Verb: Cancel, Roles: lembaga, To: Cancelled},
		{From: Returned, Verb: Resubmit, Roles: lembaga, To: Submitted},
		{From: Returned, Verb: Cancel, Roles: lembaga, To: Cancelled},
		{From: Approved, Verb: Bundle, Roles: produsen, To: Bundled, System: true,
			Guard: "permohonan produsen yang dituju memuat baris untuknya, dan belum ada permohonan lain yang memuatnya"},
		{From: Bundled, Verb: Release, Roles: ending, To: Approved, System: true,
			Guard: "permohonan itu ditolak atau dibatalkan, atau barisnya dihapus pada perbaikan"},
	},
	Labels: map[machine.State]string{
		Submitted: "Menunggu produsen", Returned: "Dikembalikan", Approved: "Disetujui produsen", Rejected: "Ditolak produsen",
		Bundled: "Masuk permohonan", Cancelled: "Dibatalkan",
	},
	Verbs: map[machine.Verb]string{
		Submit: "Ajukan", Edit: "Ubah", Resubmit: "Ajukan kembali", Approve: "Setujui", Return: "Kembalikan", Reject: "Tolak", Cancel: "Batalkan",
		Bundle: "Masukkan ke permohonan", Release: "Lepaskan dari permohonan",
	},
}

// Statuses of the produsen's filter (features.md C07).
const (
	OnProgress     = "on_progress"
	StatusApproved = "approved"
	StatusRejected = "rejected"
)

// Statuses are the states behind each status of the filter.
var Statuses = map[string][]machine.State{
	OnProgress: {Submitted, Returned}, StatusApproved: {Approved, Bundled}, StatusRejected: {Rejected, Cancelled},
}
