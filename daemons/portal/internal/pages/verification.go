package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/public"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// mountVerification adds the page on which anybody checks a paper, without a login.
func (p *Pages) mountVerification(site chi.Router) {
	site.Get("/verifikasi", p.handle(p.askForToken))
	site.Get(letter.VerificationPath, p.handle(p.askForToken)) // a token that was cut off
	site.Get(letter.VerificationPath+"{token}", p.handle(p.verify))
}

type verificationBody struct {
	Paper *paperPart // nil: none is asked for, or none is found
	Typed string
	Fault string
}

// paperPart is a paper as whoever checks it sees it.
type paperPart struct {
	Tag   tag
	Says  string
	Facts []pair
	Files []checkedFile
}

// checkedFile is a file that the visitor's is compared with.
type checkedFile struct {
	Name, SHA256 string
	Match        string // what is said of a file that is the same
	InForce      bool
}

const verificationTitle = "Pemeriksaan keaslian naskah"

// askForToken has the token typed, and leads to its page.
func (p *Pages) askForToken(w http.ResponseWriter, r *http.Request) error {
	r = p.known(r)
	body := verificationBody{Typed: strings.TrimSpace(r.URL.Query().Get("kode"))}
	if body.Typed == "" {
		p.show(w, r, http.StatusOK, "verification", verificationTitle, body)
		return nil
	}
	if token, ok := letter.ParseToken(body.Typed); ok {
		http.Redirect(w, r, letter.VerificationPath+token, http.StatusSeeOther)
		return nil
	}
	body.Fault = "Kode pemeriksaan terdiri atas 26 huruf dan angka. Periksa kembali kode pada naskah."
	p.show(w, r, http.StatusUnprocessableEntity, "verification", verificationTitle, body)
	return nil
}

// verify shows the paper that carries a token.
func (p *Pages) verify(w http.ResponseWriter, r *http.Request) error {
	if err := p.window.Wait(r); err != nil {
		return err
	}
	w.Header().Set("X-Robots-Tag", "noindex")
	r = p.known(r)
	typed := chi.URLParam(r, "token")
	if plain, err := url.PathUnescape(typed); err == nil {
		typed = plain
	}
	v, err := p.window.Verify(r.Context(), typed)
	if errors.Is(err, report.ErrNotFound) {
		p.show(w, r, http.StatusNotFound, "verification", "Naskah tidak ditemukan", verificationBody{Typed: typed, Fault: public.NoPaper})
		return nil
	}
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "verification", verificationTitle, verificationBody{Paper: paperOf(v)})
	return nil
}

// known is a request with the account of whoever makes it, if there is one.
func (p *Pages) known(r *http.Request) *http.Request {
	if a, err := p.door.Who(r); err == nil {
		return signin.WithAccount(r, a)
	}
	return r
}

var verdictTones = map[machine.State]string{letter.Issued: good, letter.AwaitingSignature: wait, letter.Void: bad, letter.Replaced: bad}

var fileNames = map[string]string{"pdf": "PDF yang diterbitkan", "xlsx": "Excel yang diterbitkan", "scan": "Pindaian bertanda tangan"}

// paperOf words what is known of a paper.
func paperOf(v report.Verification) *paperPart {
	part := paperPart{Tag: tag{verdictTones[v.State], v.StateLabel}}
	since := ""
	if v.Ended != nil {
		since = " sejak " + terbilang.FormatDate(*v.Ended)
	}
	next := "."
	if v.Successor != nil {
		next = " Penggantinya naskah Nomor " + v.Successor.Number + " tanggal " + terbilang.FormatDate(v.Successor.Dated) + "."
	}
	caveat := ""
	switch v.State {
	case letter.Issued:
		part.Says = "Naskah ini diterbitkan Direktorat Jenderal Kependudukan dan Pencatatan Sipil dan berlaku."
	case letter.Void:
		part.Says = "Naskah ini dibatalkan" + since + " dan tidak berlaku." + strings.TrimPrefix(next, ".")
		caveat = " Akan tetapi, naskah ini sudah dibatalkan."
	case letter.Replaced:
		part.Says = "Naskah ini sudah diganti" + since + " dan tidak berlaku lagi." + strings.TrimPrefix(next, ".")
		caveat = " Akan tetapi, naskah ini sudah diganti."
	default:
		part.Says = "Naskah ini disusun Direktorat Jenderal Kependudukan dan Pencatatan Sipil, tetapi belum ditandatangani. Selama belum ditandatangani, naskah ini belum berlaku."
		caveat = " Akan tetapi, naskah ini belum ditandatangani."
	}
	part.Facts = []pair{{"Jenis naskah", v.KindLabel}}
	add := func(label, text string) { part.Facts = append(part.Facts, pair{label, text}) }
	if v.Number != "" {
		add("Nomor", v.Number)
	}
	if v.Dated != nil {
		add("Tanggal", terbilang.FormatDate(*v.Dated))
	}
	var signers []string
	for _, s := range v.Signatures {
		name := s.Name
		if name == "" {
			name = "Nama ditulis tangan pada naskah"
		}
		signers = append(signers, name+", "+strings.ReplaceAll(s.Post, "\n", " "))
	}
	if len(signers) > 0 {
		add("Penanda tangan", strings.Join(signers, "\n"))
	}
	if v.SignedOn != nil {
		add("Ditandatangani", terbilang.FormatDate(*v.SignedOn))
	}
	for _, f := range v.Files {
		name := fileNames[f.Format]
		if f.Format == "pdf" && v.SignedOn == nil && v.State != letter.Issued {
			name = "PDF yang disiapkan untuk ditandatangani"
		}
		if f.Format == "scan" && v.Electronic {
			name = "PDF bertanda tangan elektronik"
		}
		match := "Berkas ini cocok dengan " + strings.Replace(name, "Pindaian", "pindaian", 1) + "." + caveat
		part.Files = append(part.Files, checkedFile{Name: name, SHA256: f.SHA256, Match: match, InForce: v.State == letter.Issued})
	}
	return &part
}
