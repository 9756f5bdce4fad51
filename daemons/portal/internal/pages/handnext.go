package pages

import (
	"net/http"
	"net/url"
	"strings"

	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

// nextWords says who acts next on a handover whose BAST is there; empty when nobody does, or
// while its request (in state) is on hold.
func nextWords(v *report.Handover, state machine.State) string {
	switch v.State {
	case handover.BASTDrafted:
		if handover.MayLeave(state) != nil || v.BAST != nil && v.BAST.AwaitsNumber {
			return ""
		}
		return "Berikutnya " + request.RoleLabels[request.Operator] + " mencetak BAST, memintakan tanda tangan kedua pihak, lalu mencatat penyerahan kartu beserta pindaian BAST."
	case handover.Delivered:
		return "Berikutnya pemohon menghitung kartu yang diterimanya dan mencatat jumlahnya pada halaman ini."
	case handover.Received:
		closes := request.RoleLabels[request.Kasubdit] + " menutup serah terima ini."
		for _, s := range v.Shortages {
			if s.Outcome == nil {
				return "Berikutnya " + request.RoleLabels[request.Operator] + " atau " + request.RoleLabels[request.Kasubdit] + " mencatat tindak lanjut kekurangan; sesudah itu " + closes
			}
		}
		return "Berikutnya " + closes
	}
	return ""
}

// nextHandover is where the next handover of a request is prepared, for whoever may and
// while cards are ready.
func nextHandover(v *report.Request, role machine.Role) string {
	if handover.MayLeave(v.State) != nil || v.Handing.Ready <= 0 || handover.Machine.May("", handover.VerbPrepare, role) != nil {
		return ""
	}
	return home + "/" + v.Ticket + handoverEnd + "/baru"
}

// cardKey is the part of an address that names the card that was just scanned.
const cardKey = "kartu"

// justScanned is the part of an address by which the next page says what was scanned.
func justScanned(keys []string) string {
	q := justKept()
	if len(keys) == 1 {
		q += "&" + cardKey + "=" + url.QueryEscape(keys[0])
	}
	return q
}

// scannedNotice says what was scanned a moment ago and how many the tray has; empty when
// nothing was. An address that somebody else made names no card that is not in the tray.
func scannedNotice(r *http.Request, v *report.Handover) string {
	if !keptNow(r) || v.Scanned == 0 {
		return ""
	}
	which := "Kartu"
	for _, c := range v.Cards {
		if c.Scanned && strings.EqualFold(c.Serial, r.URL.Query().Get(cardKey)) {
			which += " " + c.Serial
		}
	}
	return which + " terpindai, " + number(v.Scanned) + " dari " + number(v.Quantity) + "."
}
