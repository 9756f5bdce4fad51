package capacity

import (
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// States of a work order.
const (
	Planned  machine.State = "planned"
	Released machine.State = "released"
	Closing  machine.State = "closing"
	Closed   machine.State = "closed"
	Revoked  machine.State = "revoked"
)

// Verbs of a work order.
const (
	verbPlan    machine.Verb = "plan"
	verbRelease machine.Verb = "release"
	verbRevoke  machine.Verb = "revoke"
	verbFinish  machine.Verb = "finish"
	verbClose   machine.Verb = "close"
	verbSettle  machine.Verb = "settle"
	verbReopen  machine.Verb = "reopen"
)

var (
	byScheduler = []machine.Role{request.Scheduler}
	byStation   = []machine.Role{request.Station, request.Scheduler, request.Operator, request.Kasubdit}
)

// Machine is the life of a work order (perintah kerja): the part of a request
// that is planned for a day. Claims of cards lock the order in state released,
// so that closing cannot race with them.
var Machine = &machine.Table{
	Name: "work_order",
	Steps: []machine.Step{
		{From: "", Verb: verbPlan, Roles: byScheduler, To: Planned, System: true},
		{From: Planned, Verb: verbRelease, Roles: byScheduler, Guard: "pagi hari kerja yang direncanakan", To: Released, Message: "workorder.released", System: true},
		{From: Planned, Verb: verbRevoke, Roles: byScheduler, To: Revoked, System: true},
		{From: Released, Verb: verbFinish, Roles: byStation, Guard: "tidak ada kartu tersisa", To: Closed, Message: "workorder.finished", System: true},
		{From: Released, Verb: verbClose, Roles: byScheduler, Guard: "akhir hari", To: Closing, System: true},
		{From: Released, Verb: verbRevoke, Roles: byScheduler, To: Revoked, Message: "workorder.revoked", System: true},
		{From: Closing, Verb: verbFinish, Roles: byStation, Guard: "tidak ada kartu tersisa", To: Closed, Message: "workorder.finished", System: true},
		{From: Closing, Verb: verbSettle, Roles: byScheduler, Guard: "tidak ada kartu di tangan stasiun", To: Closed, Message: "workorder.closed", System: true},
		{From: Closed, Verb: verbReopen, Roles: byScheduler, Guard: "atas perintah, pada hari yang sama, dengan kartu tersisa", To: Released,
			Message: "workorder.released", System: true},
		{From: Closing, Verb: verbReopen, Roles: byScheduler, Guard: "atas perintah, pada hari yang sama", To: Released,
			Message: "workorder.released", System: true},
	},
	Labels: map[machine.State]string{
		Planned: "Direncanakan", Released: "Dilepas", Closing: "Sedang ditutup", Closed: "Ditutup", Revoked: "Ditarik",
	},
	Verbs: map[machine.Verb]string{
		verbPlan: "Rencanakan", verbRelease: "Lepas", verbRevoke: "Tarik", verbFinish: "Selesaikan",
		verbClose: "Tutup hari", verbSettle: "Bereskan",
		verbReopen: "Buka kembali",
	},
}
