package pages

import (
	"net/http"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// trayShown is how many cards of a tray stand on a page without a frame of their own.
const trayShown = 20

// lettersLater says of a request that is not done that the papers of its end are not there
// yet; empty when it is.
func lettersLater(state machine.State) string {
	if state == request.Done {
		return ""
	}
	return "Surat balasan, surat keterangan selesai, dan laporan hasil disusun setelah personalisasi seluruh kartu permohonan selesai."
}

// partWords says on the page of a handover what its request is still waiting for.
func partWords(v *report.Handover, state machine.State) string {
	if state == request.Held && inOffice(v) {
		return "Permohonan ini sedang ditahan; kartunya tidak diserahkan sampai permohonan dilanjutkan."
	}
	if state == request.Done {
		return ""
	}
	return "Personalisasi permohonan ini belum selesai; kartu lainnya lewat serah terima berikutnya. " + lettersLater(state)
}

// said puts sentences one after the other.
func said(sentences ...string) string { return strings.TrimSpace(strings.Join(sentences, " ")) }

// handingSummary tells on the page of a request how far its cards are handed over.
func handingSummary(v *report.Request) []pair {
	g := v.Handing
	if v.Cards.Clear == 0 {
		return nil
	}
	pieces := func(n int) string { return number(n) + " keping" }
	list := []pair{{"Diserahkan", pieces(g.Delivered) + " dari " + pieces(g.Total)}}
	if g.Prepared > 0 {
		list = append(list, pair{"Dalam serah terima, belum diserahkan", pieces(g.Prepared)})
	}
	if g.Ready > 0 {
		list = append(list, pair{"Berhasil, belum dalam serah terima", pieces(g.Ready)})
	}
	if rest := g.Total - v.Cards.Clear; rest > 0 {
		list = append(list, pair{"Belum selesai dipersonalisasi", pieces(rest)})
	}
	return list
}

// heldBack says on the page of a request why cards that are ready stay in the office.
func heldBack(v *report.Request) string {
	if v.State == request.Held && v.Handing.Ready+v.Handing.Prepared > 0 {
		return "Selama permohonan ditahan, kartunya tidak diserahkan."
	}
	return ""
}

// stateOf is the state of a request.
func (p *Pages) stateOf(r *http.Request, ticket string) (machine.State, error) {
	of, err := request.ByTicket(r.Context(), p.db, ticket, report.Scope(signin.Account(r)))
	return of.State, err
}

// takenBack shows a handover that was cancelled, and which cards it had.
func (p *Pages) takenBack(w http.ResponseWriter, r *http.Request, v *report.Handover, body rowsBody) error {
	body.Lead = "Serah terima ini dibatalkan sebelum kartunya diserahkan. Kartunya bebas untuk serah terima lain, dan BAST-nya tidak berlaku."
	body.Summary = append(body.Summary, pair{"Dibatalkan", terbilang.FormatDateTime(*v.CancelledAt)}, pair{"Alasan", v.CancelReason})
	if !report.Outside(signin.Account(r)) {
		tray := trayTable(v)
		tray.Caption = "Isi baki sebelum dibatalkan"
		body.Tables = append(body.Tables, tray)
	}
	body.Links = append(body.Links, crumb{"Kembali ke permohonan", home + "/" + v.Ticket})
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	p.show(w, r, http.StatusOK, "rows", handoverTitle(v), body)
	return nil
}

// takeBack cancels a handover before its cards change hands.
func (p *Pages) takeBack() editor {
	return editor{"Batalkan serah terima",
		func(r *http.Request) (formBody, error) {
			v, at, err := p.onHandover(r, handover.VerbCancel)
			if err != nil {
				return formBody{}, err
			}
			facts := []fact{{"Status", v.StateLabel}, {"Jumlah kartu", number(v.Quantity) + " keping"}}
			if v.BAST != nil {
				facts = append(facts, fact{letter.KindLabels[letter.BAST], v.BAST.Number})
			}
			return formBody{
				Crumbs: handoverCrumbs(v, at), Facts: facts, Action: at + "/batal", Submit: "Batalkan serah terima ini", Version: v.Version,
				Lead: "Kartunya bebas untuk serah terima lain. Nomor BAST tetap terpakai.",
				Warning: "BAST-nya batal untuk seterusnya, juga bila sudah dicetak: tarik kembali cetakannya. " +
					"BAST serah terima sesudahnya yang belum diserahkan disusun lagi dengan nomor baru, karena menyebut jumlah dan sisanya.",
				Fields: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000, Hint: "Dibaca juga oleh produsen."}},
			}, nil
		},
		func(r *http.Request) (string, error) {
			v, at, err := p.handoverOf(r)
			if err != nil {
				return "", err
			}
			return handoverKept(at), p.counter().Cancel(r.Context(), signin.Account(r), v.ID, seenVersion(r), r.PostForm.Get("reason"))
		}}
}
