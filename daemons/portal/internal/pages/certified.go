package pages

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/esign"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// signingTime is longer than the service is waited for.
const signingTime = 6 * time.Minute

// mountCertified adds the pages of signatures with certificates; at is the address of a
// paper.
func (p *Pages) mountCertified(inside chi.Router, at string) {
	slow := inside.With(web.Slow(signingTime))
	for path, e := range map[string]editor{at + "/tte": p.certify(), at + "/tte/tanya": p.askSigner(), at + "/tte/belum": p.unsign()} {
		inside.Get(path, p.handle(explained(p.present(e))))
		slow.Post(path, p.handle(explained(p.saveDay(e))))
	}
}

// certified adds to the page of a paper who signs it with a certificate, and what became
// of that.
func (p *Pages) certified(r *http.Request, body *rowsBody, whole letter.Document, at string) error {
	who, desk := signin.Account(r), p.counter()
	if report.Outside(who) {
		return nil
	}
	s, err := letter.LastSigning(r.Context(), p.db, whole.ID)
	if err != nil && !errors.Is(err, letter.ErrNoSigning) {
		return err
	}
	open := s.State == letter.SigningSent || s.State == letter.SigningDoubt
	if open {
		body.Lead = "Naskah ini menunggu hasil tanda tangan elektroniknya."
		if err := p.named(r.Context(), &s.AskedBy); err != nil {
			return err
		}
	}
	switch {
	case open && desk.MayAsk(r.Context(), whole, who) == nil:
		body.Alarm = "Tanda tangan elektronik diminta " + s.AskedBy + " pada " + terbilang.FormatDateTime(s.AskedAt) + " dan hasilnya belum diketahui. Jangan kirim lagi."
		body.Links = slices.Insert(body.Links, 0, crumb{"Tanyakan hasilnya ke layanan", at + "/tte/tanya"})
		if letter.Machine.MayEver(letter.VerbIssue, who.Role) == nil {
			body.Links = append(body.Links, crumb{"Nyatakan belum ditandatangani", at + "/tte/belum"})
		}
	case open:
		body.Alarm = "Tanda tangan elektronik sedang diminta."
	case s.State == letter.SigningRefused && whole.State == letter.AwaitingSignature:
		body.Summary = append(body.Summary, pair{"Tanda tangan elektronik terakhir", counter.RefusalText(s.Reason, s.Code)})
	case whole.Electronic:
		body.Summary = append(body.Summary, pair{"Cara", "tanda tangan elektronik tersertifikasi"})
	}
	if !open && desk.MayCertify(whole, who) == nil {
		body.Lead = "Naskah ini menunggu tanda tangan Anda. Baca PDF-nya, lalu tanda tangani secara elektronik."
		body.Links = slices.Insert(body.Links, 0, crumb{"Tanda tangani secara elektronik", at + "/tte"})
	}
	return nil
}

// certify has a paper signed with the certificate of whoever asks.
func (p *Pages) certify() editor {
	return editor{"Tanda tangani secara elektronik",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = p.counter().MayCertify(whole, signin.Account(r))
			}
			body.Action, body.Submit = at+"/tte", "Tanda tangani"
			body.Lead = "Baca dahulu PDF-nya. Sesudah ditandatangani, naskah ini terbit dan berlaku."
			if slices.Contains(report.DocumentFormats(whole, false), "pdf") {
				body.Also = []crumb{{"Buka PDF naskah ini", "/api/v1/documents/" + whole.ID + "/files/pdf"}}
			}
			body.Fields = []field{
				{Name: "nik", Label: "NIK Anda", Kind: "text", Mode: "numeric", Longest: 16, Complete: "off", Hint: "16 angka, seperti terdaftar pada layanan tanda tangan elektronik. Tidak disimpan."},
				{Name: "passphrase", Label: "Passphrase", Kind: "password", Complete: "off", Hint: "Diteruskan satu kali ke layanan; tidak disimpan dan tidak dicatat."},
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			err = p.counter().Certify(r.Context(), signin.Account(r), d.ID, seenVersion(r), r.PostForm.Get("nik"), esign.Passphrase(r.PostForm.Get("passphrase")))
			if errors.Is(err, counter.ErrStillInDoubt) {
				return at, nil // whose page says what to do now
			}
			return at + "?" + justKept(), err
		}}
}

// askSigner asks the service what became of a signature in doubt.
func (p *Pages) askSigner() editor {
	return editor{"Tanyakan hasil tanda tangan",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = p.counter().MayAsk(r.Context(), whole, signin.Account(r))
			}
			body.Action, body.Submit, body.Version = at+"/tte/tanya", "Tanyakan", 0
			body.Lead = "Layanan ditanya apakah naskah ini sudah ditandatangani. Tidak ada yang dikirim untuk ditandatangani. Bila layanan tidak dapat ditanya, periksa catatannya: unggah PDF bertanda tangan dari sana, atau nyatakan belum ditandatangani."
			return body, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().AskAgain(r.Context(), signin.Account(r), d.ID)
		}}
}

// unsign ends a doubt: the service has not signed.
func (p *Pages) unsign() editor {
	return editor{"Nyatakan belum ditandatangani",
		func(r *http.Request) (formBody, error) {
			whole, body, at, err := p.onPaper(r)
			if err == nil {
				err = letter.Machine.MayEver(letter.VerbIssue, signin.Account(r).Role)
			}
			if err == nil {
				_, err = letter.InDoubt(r.Context(), p.db, whole.ID)
			}
			body.Action, body.Submit, body.Version = at+"/tte/belum", "Nyatakan belum ditandatangani", 0
			body.Warning = "Hanya bila catatan layanan sudah diperiksa dan naskah ini memang belum ditandatangani di sana. Sesudah itu tanda tangan dapat diminta lagi."
			body.Fields = []field{{Name: "reason", Label: "Yang diperiksa dan hasilnya", Kind: "textarea", Longest: 2000}}
			return body, err
		},
		func(r *http.Request) (string, error) {
			d, _, at, err := p.paperOf(r)
			if err != nil {
				return "", err
			}
			return at + "?" + justKept(), p.counter().Unsign(r.Context(), signin.Account(r), d.ID, r.PostForm.Get("reason"))
		}}
}
