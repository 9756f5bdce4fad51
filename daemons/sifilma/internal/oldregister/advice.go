package oldregister

import (
	"strings"

	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
)

// liveAdvice says what can be done about a request that has a number of the list, by
// the steps that its state has.
func liveAdvice(state machine.State) string {
	var ways []string
	for _, way := range []struct {
		verb machine.Verb
		say  string
	}{{request.Return, "dikembalikan oleh "}, {request.Reject, "ditolak oleh "}, {request.Cancel, "dibatalkan oleh "}} {
		if who := actors(state, way.verb); who != "" {
			ways = append(ways, way.say+who)
		}
	}
	const leaveOut = "Hapus barisnya dari daftar ini supaya baris yang lain dapat masuk"
	switch {
	case len(ways) > 0:
		return "Bila nomornya memang sudah diterbitkan, permohonan itu dapat " + strings.Join(ways, ", atau ") + "; sesudah itu ulangi impor."
	case request.Machine.Final(state):
		return "Permohonan itu sudah berakhir dan nomornya tetap tercatat padanya. " + leaveOut + "."
	case actors(state, request.Hold) != "":
		return "Dalam keadaan ini permohonan tidak dapat lagi dikembalikan atau dibatalkan. Bila nomornya memang sudah diterbitkan, yang memutuskan adalah " +
			actors(state, request.Hold) + ": ia dapat menahan permohonan itu supaya kartunya tidak dipersonalisasi. " + leaveOut + "."
	case actors(state, request.Release) != "":
		return "Permohonan itu sedang ditahan dan tidak dapat lagi dikembalikan atau dibatalkan. Bila nomornya memang sudah diterbitkan, yang memutuskan adalah " +
			actors(state, request.Release) + ": jangan melanjutkannya sebelum diputuskan. " + leaveOut + "."
	}
	return "Tunggu sampai sistem selesai memeriksa permohonan itu, lalu ulangi impor."
}

// actors names the people who can take a step from a state; empty when nobody can.
func actors(state machine.State, verb machine.Verb) string {
	var names []string
	for _, role := range []machine.Role{request.Persuratan, request.Operator, request.Kasubdit, request.Direktur, request.Dirjen, request.Produsen, request.Dinas} {
		for _, offered := range request.Machine.Offers(state, role) {
			if offered == verb {
				names = append(names, request.RoleLabels[role])
			}
		}
	}
	return strings.Join(names, " atau ")
}
