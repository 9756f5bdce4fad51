// Package perso keeps the life of each card on the line: which chip a listed
// serial is, which numbers it carries, who writes it now, and how that ended.
// It writes the tables card, card_number, number_counter, perso_attempt, lost_attempt,
// card_resolution, card_observation, contradiction_answer, chip_authentication,
// card_reduction, reduced_card and hand_result.
//
// What it promises: a chip is never personalised twice, a number is never given
// twice, and a result nobody knows is a state of its own (in_doubt) that two
// people, or the station by reading the card, settle. Nothing here talks to a
// card; the station does (daemons/perso-station).
package perso

import (
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a card.
const (
	Listed   machine.State = "listed"   // in an accepted list, not seen yet
	Bound    machine.State = "bound"    // the chip behind the printed serial is known
	Numbered machine.State = "numbered" // PCID and manifest number are allocated
	Claimed  machine.State = "claimed"  // a station has it; nothing is written
	Writing  machine.State = "writing"  // the intent is committed; the card may have changed
	Written  machine.State = "written"
	Verified machine.State = "verified"
	Clear    machine.State = "clear"
	Failed   machine.State = "failed"
	InDoubt  machine.State = "in_doubt" // nobody knows what is on the card
	Spoiled  machine.State = "spoiled"
	Reduced  machine.State = "reduced"
)

// Verbs of a card.
const (
	EnlistVerb   machine.Verb = "list"
	BindVerb     machine.Verb = "bind"
	NumberVerb   machine.Verb = "number"
	ClaimVerb    machine.Verb = "claim"
	ReleaseVerb  machine.Verb = "release"
	WriteVerb    machine.Verb = "write"
	FinishVerb   machine.Verb = "finish"
	VerifyVerb   machine.Verb = "verify"
	ClearVerb    machine.Verb = "clear"
	FailVerb     machine.Verb = "fail"
	DoubtVerb    machine.Verb = "doubt"
	CompleteVerb machine.Verb = "complete"
	ResumeVerb   machine.Verb = "resume"
	SpoilVerb    machine.Verb = "spoil"
	ReduceVerb   machine.Verb = "reduce"

	// On cards of manual work orders.
	WipeVerb  machine.Verb = "wipe"
	EnterVerb machine.Verb = "enter"
)

var (
	station   = []machine.Role{request.Station}
	resolvers = []machine.Role{request.Operator, request.Kasubdit}
	settlers  = []machine.Role{request.Operator, request.Kasubdit, request.Station}
	everyHand = []machine.Role{request.Station, request.Operator, request.Kasubdit}
)

const resolvedMessage = "card.resolved"

// Machine is the life of a card (features.md N21, reliability.md section 7).
var Machine = &machine.Table{
	Name: "card",
	Steps: []machine.Step{
		{From: "", Verb: EnlistVerb, Roles: []machine.Role{request.Kasubdit, request.Operator}, To: Listed, System: true, Routine: true,
			Guard: "permohonan diterima, atau blangko pengganti didaftarkan"},
		{From: Listed, Verb: BindVerb, Roles: station, To: Bound, System: true, Routine: true, Guard: "chip belum terikat pada seri lain"},
		{From: Listed, Verb: ReduceVerb, Roles: []machine.Role{request.Kasubdit}, To: Reduced, Guard: "dengan surat pengurangan", System: true},
		{From: Bound, Verb: NumberVerb, Roles: everyHand, To: Numbered, System: true, Routine: true},
		{From: Numbered, Verb: ClaimVerb, Roles: station, To: Claimed, System: true, Routine: true, Guard: "perintah kerja dilepas dan masih bersisa"},
		{From: Claimed, Verb: ReleaseVerb, Roles: settlers, To: Numbered, System: true, Guard: "belum ada yang ditulis; oleh dua orang bila stasiunnya tidak terdengar lagi"},
		{From: Claimed, Verb: FailVerb, Roles: everyHand, To: Failed, System: true, Guard: "kartu tidak dapat dipakai; pada perintah kerja manual dikonfirmasi orang kedua"},
		{From: Claimed, Verb: WriteVerb, Roles: station, To: Writing, System: true, Routine: true, Guard: "niat tulis tersimpan"},
		{From: Writing, Verb: FinishVerb, Roles: station, To: Written, System: true, Routine: true},
		{From: Writing, Verb: FailVerb, Roles: station, To: Failed, System: true, Guard: "kartu menolak dengan jelas"},
		{From: Writing, Verb: DoubtVerb, Roles: settlers, To: InDoubt, System: true, Guard: "hasil tidak diketahui; oleh dua orang bila stasiunnya tidak terdengar lagi"},
		{From: Written, Verb: VerifyVerb, Roles: station, To: Verified, System: true, Routine: true, Guard: "isi kartu terbaca kembali"},
		{From: Written, Verb: FailVerb, Roles: station, To: Failed, System: true},
		{From: Written, Verb: DoubtVerb, Roles: settlers, To: InDoubt, System: true, Guard: "tidak terbukti selesai; oleh dua orang bila tidak ada stasiun yang memverifikasinya"},
		{From: Verified, Verb: ClearVerb, Roles: station, To: Clear, System: true, Routine: true, Guard: "OPEN SAM berhasil dan kartu SECURED"},
		{From: Verified, Verb: DoubtVerb, Roles: station, To: InDoubt, System: true},
		{From: InDoubt, Verb: CompleteVerb, Roles: settlers, To: Written, Guard: "dua orang, atau terbukti dari isi kartu", Message: resolvedMessage},
		{From: InDoubt, Verb: ResumeVerb, Roles: station, To: Writing, System: true, Guard: "dua orang memutuskan lanjutkan"},
		{From: InDoubt, Verb: SpoilVerb, Roles: resolvers, To: Spoiled, Guard: "dua orang", Message: resolvedMessage},
		{From: Failed, Verb: ReduceVerb, Roles: []machine.Role{request.Kasubdit}, To: Reduced, Guard: "dengan surat pengurangan", System: true},
		{From: Spoiled, Verb: ReduceVerb, Roles: []machine.Role{request.Kasubdit}, To: Reduced, Guard: "dengan surat pengurangan", System: true},
		// By hand, on manual work orders.
		{From: Listed, Verb: NumberVerb, Roles: resolvers, To: Numbered, System: true, Routine: true, Guard: "cara manual"},
		{From: Numbered, Verb: WipeVerb, Roles: resolvers, To: Listed, System: true, Guard: "cara manual, sebelum kartu pertama berhasil atau gagal; nomornya hangus"},
		{From: Numbered, Verb: EnterVerb, Roles: resolvers, To: Claimed, System: true, Routine: true, Guard: "perintah kerja manual dilepas dan masih bersisa"},
		{From: Claimed, Verb: ClearVerb, Roles: resolvers, To: Clear, System: true, Routine: true, Guard: "perintah kerja manual; dikonfirmasi orang kedua"},
	},
	Labels: map[machine.State]string{
		Listed: "Menunggu", Bound: "Terikat pada chip", Numbered: "Bernomor", Claimed: "Diambil stasiun",
		Writing: "Sedang ditulis", Written: "Sudah ditulis", Verified: "Sudah diverifikasi", Clear: "Berhasil",
		Failed: "Gagal", InDoubt: "Meragukan", Spoiled: "Rusak", Reduced: "Dikurangi",
	},
	Verbs: map[machine.Verb]string{
		EnlistVerb: "Daftarkan", BindVerb: "Ikat pada chip", NumberVerb: "Beri nomor", ClaimVerb: "Ambil",
		ReleaseVerb: "Lepaskan", WriteVerb: "Mulai menulis", FinishVerb: "Selesai menulis", VerifyVerb: "Verifikasi",
		ClearVerb: "Nyatakan berhasil", FailVerb: "Nyatakan gagal", DoubtVerb: "Nyatakan meragukan",
		CompleteVerb: "Nyatakan selesai", ResumeVerb: "Lanjutkan penulisan", SpoilVerb: "Nyatakan rusak", ReduceVerb: "Kurangi",
		WipeVerb: "Hapus nomor", EnterVerb: "Catat hasil manual",
	},
}
