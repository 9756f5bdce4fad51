package request

import "dukcapil.go.id/sifilma/pkg/machine"

// States of a request.
const (
	Submitted   machine.State = "submitted"
	Returned    machine.State = "returned"
	Resubmitted machine.State = "resubmitted"
	Validated   machine.State = "validated"
	Registered  machine.State = "registered"
	Approved    machine.State = "approved"
	Accepted    machine.State = "accepted"
	Scheduled   machine.State = "scheduled"
	InProgress  machine.State = "in_progress"
	Done        machine.State = "done"
	Rejected    machine.State = "rejected"
	Cancelled   machine.State = "cancelled"
	Held        machine.State = "held"
)

// Verbs of a request.
const (
	Submit   machine.Verb = "submit"
	Resubmit machine.Verb = "resubmit"
	Return   machine.Verb = "return"
	Validate machine.Verb = "validate"
	Register machine.Verb = "register"
	Approve  machine.Verb = "approve"
	Accept   machine.Verb = "accept"
	Schedule machine.Verb = "schedule"
	Start    machine.Verb = "start"
	Finish   machine.Verb = "finish"
	Reject   machine.Verb = "reject"
	Cancel   machine.Verb = "cancel"
	Hold     machine.Verb = "hold"
	Release  machine.Verb = "release"
)

// Roles that take steps; the first eight are roles of accounts (users.md A.3).
const (
	Produsen   machine.Role = "produsen"
	Lembaga    machine.Role = "lembaga"
	Dinas      machine.Role = "dinas"
	Persuratan machine.Role = "persuratan"
	Dirjen     machine.Role = "dirjen"
	Direktur   machine.Role = "direktur"
	Kasubdit   machine.Role = "kasubdit"
	Operator   machine.Role = "operator"
	Validator  machine.Role = "validator"
	Scheduler  machine.Role = "scheduler"
	Station    machine.Role = "perso-station"
	Generator  machine.Role = "document-generator"
)

var (
	applicant = []machine.Role{Produsen, Dinas}
	office    = []machine.Role{Persuratan, Operator, Kasubdit, Validator}
)

// Machine is the life of a request (features.md I01-I22, N14, N15).
var Machine = &machine.Table{
	Name: "request",
	Steps: []machine.Step{
		{From: "", Verb: Submit, Roles: applicant, To: Submitted, Message: "request.submitted"},
		{From: Submitted, Verb: Validate, Roles: []machine.Role{Validator}, To: Validated, System: true},
		{From: Submitted, Verb: Return, Roles: []machine.Role{Validator}, Guard: "ada temuan", To: Returned, System: true},
		{From: Submitted, Verb: Cancel, Roles: applicant, To: Cancelled, Message: "request.cancelled"},
		{From: Returned, Verb: Resubmit, Roles: applicant, To: Resubmitted, Message: "request.resubmitted"},
		{From: Returned, Verb: Cancel, Roles: applicant, To: Cancelled, Message: "request.cancelled"},
		{From: Resubmitted, Verb: Validate, Roles: []machine.Role{Validator}, To: Validated, System: true},
		{From: Resubmitted, Verb: Return, Roles: []machine.Role{Validator}, Guard: "ada temuan", To: Returned, System: true},
		{From: Resubmitted, Verb: Cancel, Roles: applicant, To: Cancelled, Message: "request.cancelled"},
		{From: Validated, Verb: Register, Roles: office, To: Registered, System: true,
			Guard: "validasi lulus, surat fisik diterima, blangko dihitung sama dengan daftar, dan pindaian sudah dibandingkan"},
		{From: Validated, Verb: Return, Roles: []machine.Role{Persuratan, Operator, Kasubdit}, Guard: "dengan alasan", To: Returned},
		{From: Validated, Verb: Cancel, Roles: applicant, To: Cancelled, Message: "request.cancelled"},
		{From: Registered, Verb: Approve, Roles: []machine.Role{Dirjen}, To: Approved},
		{From: Registered, Verb: Reject, Roles: []machine.Role{Dirjen}, Guard: "dengan alasan", To: Rejected, Message: "request.cancelled"},
		{From: Registered, Verb: Return, Roles: []machine.Role{Operator, Kasubdit}, Guard: "dengan alasan; fakta pendaftaran gugur", To: Returned},
		{From: Registered, Verb: Cancel, Roles: applicant, To: Cancelled, Message: "request.cancelled"},
		{From: Approved, Verb: Accept, Roles: []machine.Role{Kasubdit}, Guard: "disposisi Direktur FPDDK sudah tercatat", To: Accepted, Message: "request.accepted"},
		{From: Approved, Verb: Reject, Roles: []machine.Role{Direktur}, Guard: "dengan alasan", To: Rejected, Message: "request.cancelled"},
		{From: Approved, Verb: Return, Roles: []machine.Role{Kasubdit}, Guard: "dengan alasan; persetujuan dan disposisi gugur", To: Returned},
		{From: Accepted, Verb: Schedule, Roles: []machine.Role{Scheduler}, To: Scheduled, System: true},
		{From: Accepted, Verb: Hold, Roles: []machine.Role{Kasubdit}, Guard: "dengan alasan", To: Held, Message: "request.held"},
		{From: Scheduled, Verb: Start, Roles: []machine.Role{Scheduler}, Guard: "perintah kerja pertama dilepas", To: InProgress, System: true},
		{From: Scheduled, Verb: Hold, Roles: []machine.Role{Kasubdit}, Guard: "dengan alasan", To: Held, Message: "request.held"},
		{From: InProgress, Verb: Finish, Roles: []machine.Role{Scheduler}, Guard: "setiap kartu berhasil, diganti, atau dikurangi", To: Done, Message: "request.done", System: true},
		{From: InProgress, Verb: Hold, Roles: []machine.Role{Kasubdit}, Guard: "dengan alasan", To: Held, Message: "request.held"},
		{From: Held, Verb: Release, Roles: []machine.Role{Kasubdit}, Guard: "kembali ke keadaan semula", To: Accepted, Message: "request.released"},
		{From: Held, Verb: Release, Roles: []machine.Role{Kasubdit}, Guard: "kembali ke keadaan semula", To: Scheduled, Message: "request.released"},
		{From: Held, Verb: Release, Roles: []machine.Role{Kasubdit}, Guard: "kembali ke keadaan semula", To: InProgress, Message: "request.released"},
	},
	Labels: map[machine.State]string{
		Submitted: "Diajukan", Returned: "Dikembalikan", Resubmitted: "Diajukan kembali", Validated: "Lulus pemeriksaan",
		Registered: "Terdaftar", Approved: "Disetujui Dirjen", Accepted: "Diterima Subdit KI", Scheduled: "Terjadwal",
		InProgress: "Personalisasi berjalan", Done: "Personalisasi selesai", Rejected: "Ditolak", Cancelled: "Dibatalkan",
		Held: "Ditahan",
	},
	Verbs: map[machine.Verb]string{
		Submit: "Ajukan", Resubmit: "Ajukan kembali", Return: "Kembalikan", Validate: "Nyatakan lulus pemeriksaan",
		Register: "Daftarkan", Approve: "Setujui", Accept: "Terima", Schedule: "Jadwalkan", Start: "Mulai personalisasi",
		Finish: "Selesaikan", Reject: "Tolak", Cancel: "Batalkan", Hold: "Tahan", Release: "Lanjutkan",
	},
}

// RoleLabels are the Indonesian names of the roles.
var RoleLabels = map[machine.Role]string{
	Produsen: "Produsen", Lembaga: "Lembaga pengguna", Dinas: "Dinas Dukcapil kab/kota", Persuratan: "Persuratan Dirjen",
	Dirjen: "Direktur Jenderal", Direktur: "Direktur FPDDK", Kasubdit: "Kasubdit KI", Operator: "Operator KI",
	Validator: "Sistem (pemeriksaan)", Scheduler: "Sistem (penjadwalan)", Station: "Stasiun personalisasi",
	Generator: "Sistem (dokumen)",
}

// Percent is how far a request is, by the ten fixed stages of features.md N40.
// clear and total are its cards; signed says whether its letters are signed,
// received whether the cards are in the produsen's hands.
func Percent(state machine.State, letterIn bool, clear, total int, signed, received bool) int {
	switch state {
	case Submitted, Returned, Resubmitted, Validated:
		if letterIn {
			return 30
		}
		return 20 // a produsen's own request needs no approval by a produsen
	case Registered:
		return 30
	case Approved, Accepted:
		return 40
	case Scheduled:
		return 50
	case InProgress, Held:
		if total == 0 {
			return 60
		}
		return 60 + 20*clear/total
	case Done:
		switch {
		case received:
			return 100
		case signed:
			return 90
		}
		return 80
	}
	return 0
}
