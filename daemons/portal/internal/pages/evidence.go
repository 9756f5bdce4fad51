package pages

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// evidenceEnd, after the address of a request, is the page of its evidence.
const evidenceEnd = "/bukti"

func (p *Pages) mountEvidence(inside chi.Router) {
	inside.Get(home+"/{ticket}"+evidenceEnd, p.handle(explained(p.present(p.orderEvidence()))))
	inside.Post(home+"/{ticket}"+evidenceEnd, p.handle(explained(p.save(p.orderEvidence()))))
}

// orderEvidence shows the newest bundle of a request and has another one made.
func (p *Pages) orderEvidence() editor {
	return editor{"Bukti permohonan",
		func(r *http.Request) (formBody, error) {
			ticket := chi.URLParam(r, "ticket")
			at := home + "/" + ticket
			body := formBody{
				Crumbs: blankCrumbs(ticket), Action: at + evidenceEnd, Submit: "Susun bukti sekarang",
				Lead: "Satu berkas zip bertanda tangan: surat, keputusan, hasil kartu, dan catatan audit permohonan ini seperti adanya saat disusun. Keutuhannya dapat diperiksa tanpa jaringan dengan sifilma verify.",
			}
			e, err := p.manifestDesk().Evidence(r.Context(), signin.Account(r), ticket)
			if errors.Is(err, evidence.ErrNotFound) {
				return body, nil
			}
			if err != nil {
				return body, err
			}
			if err := p.named(r.Context(), &e.OrderedBy); err != nil {
				return body, err
			}
			state := "Sedang disusun; muat ulang halaman ini sebentar lagi"
			switch {
			case e.KeyRevoked:
				state = "Ditandatangani dengan kunci yang sudah dicabut, sehingga tidak berlaku lagi; susun yang baru"
			case e.Bundle != nil:
				state = "Siap diunduh"
				body.Also = []crumb{{"Unduh bukti (zip)", "/api/v1/requests/" + ticket + "/evidence"}}
			}
			body.Facts = []fact{{"Terakhir diminta", terbilang.FormatDateTime(e.OrderedAt) + " oleh " + e.OrderedBy}, {"Keadaan", state}}
			if keptNow(r) {
				body.Notice = "Tersimpan."
			}
			return body, nil
		},
		func(r *http.Request) (string, error) {
			ticket := chi.URLParam(r, "ticket")
			return home + "/" + ticket + evidenceEnd + "?" + justKept(), p.manifestDesk().OrderEvidence(r.Context(), signin.Account(r), ticket)
		}}
}
