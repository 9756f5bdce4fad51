package pages

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Paths of the keys that the secrets of cards are encrypted for: an institution's own, and
// all for those who make sure of them.
const (
	ownRecipientsPath = "/kunci-penerima"
	recipientsPath    = dataPath + "/kunci-penerima"
	recipientsName    = "Kunci penerima rahasia kartu"
)

// mountRecipients adds the pages of the keys and the files of handovers.
func (p *Pages) mountRecipients(inside chi.Router) {
	inside.Get(ownRecipientsPath, p.handle(explained(p.ownRecipients)))
	offer, end := p.offerRecipient(), p.endRecipient(ownRecipientsPath)
	inside.Get(ownRecipientsPath+"/baru", p.handle(explained(p.present(offer))))
	inside.Post(ownRecipientsPath+"/baru", p.handle(explained(p.save(offer))))
	inside.Get(ownRecipientsPath+"/{id}/akhiri", p.handle(explained(p.present(end))))
	inside.Post(ownRecipientsPath+"/{id}/akhiri", p.handle(explained(p.save(end))))
	inside.Get(home+"/{ticket}"+handoverEnd+"/{id}/rahasia", p.handle(explained(p.takeSecrets)))
	keepers := inside.With(p.onlyKeepers)
	keepers.Get(recipientsPath, p.handle(explained(p.recipients)))
	for path, e := range map[string]editor{
		"/pastikan": p.confirmRecipient(), "/tolak": p.refuseRecipient(), "/akhiri": p.endRecipient(recipientsPath),
	} {
		keepers.Get(recipientsPath+"/{id}"+path, p.handle(explained(p.present(e))))
		keepers.Post(recipientsPath+"/{id}"+path, p.handle(explained(p.save(e))))
	}
}

var recipientTags = map[string]string{cardsecret.Offered: wait, cardsecret.Confirmed: good, cardsecret.Declined: bad}

func recipientTag(v masterdata.Recipient) tag { return tag{recipientTags[v.State], v.StateLabel} }

// period is from when until when a key was in force.
func period(v masterdata.Recipient) string {
	if v.ConfirmedAt == nil {
		return "diusulkan " + terbilang.FormatDateTime(v.OfferedAt)
	}
	text := "sejak " + terbilang.FormatDateTime(*v.ConfirmedAt)
	if v.EndedAt != nil {
		text += " sampai " + terbilang.FormatDateTime(*v.EndedAt)
	}
	return text
}

// ownRecipients shows an institution its keys.
func (p *Pages) ownRecipients(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	if err := masterdata.MayOffer(who); err != nil {
		return err
	}
	list, err := p.desk.Recipients(r.Context(), who)
	if err != nil {
		return err
	}
	body := rowsBody{
		Crumbs: []crumb{{profileTitle, profilePath}}, Links: []crumb{{"Daftarkan kunci publik", ownRecipientsPath + "/baru"}},
		Lead: "Rahasia tiap kartu SAM (PCID dan CONF) diserahkan sebagai berkas yang hanya dapat dibuka dengan kunci privat Anda. " +
			"Tanpa kunci yang berlaku, permohonan Anda tidak dapat diterima. Sesudah mendaftarkan kunci, sebutkan sidiknya kepada Operator KI lewat telepon atau surat; jangan lewat sistem ini.",
	}
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	t := rowsTable{Caption: "Kunci publik lembaga Anda", Empty: "belum ada.", Heads: []string{"Edisi", "Sidik kunci", "Kunci publik", "Masa", "Status", "Tindakan"}}
	for _, v := range list {
		state := cell{Tag: recipientTag(v)}
		act := cell{}
		switch v.State {
		case cardsecret.Offered:
			act = cell{Text: "Tarik", Path: ownRecipientsPath + "/" + v.ID + "/akhiri"}
		case cardsecret.Confirmed:
			act = cell{Text: "Akhiri", Path: ownRecipientsPath + "/" + v.ID + "/akhiri"}
		default:
			act.Text = v.Reason
		}
		t.Rows = append(t.Rows, []cell{{Text: "Edisi " + number(v.Edition)}, {Text: v.Fingerprint}, {Text: v.Recipient}, {Text: period(v)}, state, act})
	}
	body.Tables = []rowsTable{t}
	p.show(w, r, http.StatusOK, "rows", recipientsName, body)
	return nil
}

var ownRecipientCrumbs = []crumb{{profileTitle, profilePath}, {recipientsName, ownRecipientsPath}}

// takeOut returns what was typed into a field. A private key is taken out of the form, so
// that no page shows it again.
func takeOut(r *http.Request, name string) string {
	text := r.PostForm.Get(name)
	if cardsecret.Private(text) {
		r.PostForm.Del(name)
		r.Form.Del(name)
	}
	return text
}

// offerRecipient takes a public key. A private one that was pasted by mistake is not
// shown again.
func (p *Pages) offerRecipient() editor {
	return editor{"Daftarkan kunci publik",
		func(r *http.Request) (formBody, error) {
			return formBody{
				Crumbs: ownRecipientCrumbs, Action: ownRecipientsPath + "/baru", Submit: "Daftarkan",
				Lead: "Buat pasangan kunci di komputer Anda sendiri dengan age-keygen -o kunci-privat.txt, lalu tempel kunci publiknya. " +
					"Kunci baru menggantikan yang lama setelah dipastikan; berkas yang sudah dibuat tetap dibuka dengan kunci lamanya, jadi simpan keduanya.",
				Warning: "Jangan pernah menempel kunci privat (yang diawali AGE-SECRET). Kantor tidak memerlukannya. Bila kunci privat Anda kelak hilang, dua kustodian kantor bersama-sama dapat membuat ulang berkasnya untuk kunci baru Anda.",
				Fields:  []field{{Name: "recipient", Label: "Kunci publik", Kind: "text", Hint: "Diawali age1, panjangnya 62 karakter."}},
			}, masterdata.MayOffer(signin.Account(r))
		},
		func(r *http.Request) (string, error) {
			_, err := p.desk.OfferRecipient(r.Context(), signin.Account(r), takeOut(r, "recipient"))
			return ownRecipientsPath + "?" + justKept(), err
		}}
}

// recipients shows the keepers all keys and the office's own.
func (p *Pages) recipients(w http.ResponseWriter, r *http.Request) error {
	who := signin.Account(r)
	list, err := p.desk.Recipients(r.Context(), who)
	if err != nil {
		return err
	}
	escrow, err := p.desk.Escrow(r.Context(), who)
	if err != nil {
		return err
	}
	body := rowsBody{
		Crumbs: []crumb{dataCrumb},
		Lead: "Rahasia kartu dienkripsi untuk kunci publik penerima kartunya dan untuk kunci escrow kantor, saat kartu ditulis. " +
			"Kunci yang diusulkan dipastikan dengan sidik yang disebutkan penerima lewat telepon atau surat.",
		Summary: []pair{{"Kunci escrow kantor", "belum ada; kartu tidak dapat ditulis. Buat dengan sifilma escrow ceremony."}},
	}
	if escrow != nil {
		body.Summary = []pair{{"Kunci escrow kantor", "edisi " + number(escrow.Edition) + ", sidik " + cardsecret.Spell(escrow.Fingerprint)}}
	}
	if keptNow(r) {
		body.Notice = "Tersimpan."
	}
	waiting := rowsTable{Caption: "Menunggu dipastikan", Empty: "tidak ada.", Heads: []string{"Lembaga", "Edisi", "Diusulkan", "Tindakan", "Atau"}, Numbers: []int{1}}
	rest := rowsTable{Caption: "Kunci yang berlaku dan yang lalu", Empty: "belum ada.", Heads: []string{"Lembaga", "Edisi", "Sidik kunci", "Masa", "Status", "Tindakan"}, Numbers: []int{1}}
	for _, v := range list {
		at := recipientsPath + "/" + v.ID
		if v.State == cardsecret.Offered {
			waiting.Rows = append(waiting.Rows, []cell{{Text: v.Institution}, {Text: number(v.Edition)}, {Text: terbilang.FormatDateTime(v.OfferedAt) + " oleh " + v.OfferedBy},
				{Text: "Pastikan", Path: at + "/pastikan"}, {Text: "Tolak", Path: at + "/tolak"}})
			continue
		}
		act := cell{Text: v.Reason}
		if v.State == cardsecret.Confirmed {
			act = cell{Text: "Akhiri", Path: at + "/akhiri"}
		}
		rest.Rows = append(rest.Rows, []cell{{Text: v.Institution}, {Text: number(v.Edition)}, {Text: v.Fingerprint}, {Text: period(v)}, {Tag: recipientTag(v)}, act})
	}
	body.Tables = []rowsTable{waiting, rest}
	p.show(w, r, http.StatusOK, "rows", recipientsName, body)
	return nil
}

var recipientCrumbs = []crumb{dataCrumb, {recipientsName, recipientsPath}}

// recipientOf is the key of the address.
func (p *Pages) recipientOf(r *http.Request) (masterdata.Recipient, error) {
	id, err := rowOf(r)
	if err != nil {
		return masterdata.Recipient{}, err
	}
	return p.desk.Recipient(r.Context(), signin.Account(r), id)
}

func recipientFacts(v masterdata.Recipient) []fact {
	return []fact{{"Lembaga", v.Institution}, {"Edisi", number(v.Edition)}, {"Diusulkan", terbilang.FormatDateTime(v.OfferedAt) + " oleh " + v.OfferedBy}}
}

// confirmRecipient puts a key in force by the fingerprint that was told in another way.
func (p *Pages) confirmRecipient() editor {
	return editor{"Pastikan kunci penerima",
		func(r *http.Request) (formBody, error) {
			v, err := p.recipientOf(r)
			return formBody{
				Crumbs: recipientCrumbs, Action: recipientsPath + "/" + v.ID + "/pastikan", Submit: "Pastikan", Facts: recipientFacts(v),
				Lead: "Hubungi PIC lembaga lewat nomor yang sudah dikenal kantor, dan ketik sidik yang ia bacakan. Sidiknya sengaja tidak ditampilkan di sini. " +
					"Sesudahnya kartu lembaga ini ditulis untuk kunci ini; kunci yang berlaku sebelumnya berakhir.",
				Fields: []field{{Name: "fingerprint", Label: "Sidik kunci yang dibacakan", Kind: "text", Longest: 60, Hint: "32 digit 0-9 dan A-F; spasi boleh."}},
			}, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.recipientOf(r)
			if err == nil {
				_, err = p.desk.ConfirmRecipient(r.Context(), signin.Account(r), v.ID, r.PostForm.Get("fingerprint"))
			}
			return recipientsPath + "?" + justKept(), err
		}}
}

func (p *Pages) refuseRecipient() editor {
	return editor{"Tolak kunci penerima",
		func(r *http.Request) (formBody, error) {
			v, err := p.recipientOf(r)
			return formBody{
				Crumbs: recipientCrumbs, Action: recipientsPath + "/" + v.ID + "/tolak", Submit: "Tolak kunci", Facts: recipientFacts(v),
				Fields: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000, Hint: "Dibaca lembaga."}},
			}, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.recipientOf(r)
			if err == nil {
				_, err = p.desk.RefuseRecipient(r.Context(), signin.Account(r), v.ID, takeOut(r, "reason"))
			}
			return recipientsPath + "?" + justKept(), err
		}}
}

// endRecipient gives a key up, from the list that it stands in.
func (p *Pages) endRecipient(list string) editor {
	crumbs := recipientCrumbs
	if list == ownRecipientsPath {
		crumbs = ownRecipientCrumbs
	}
	return editor{"Akhiri kunci penerima",
		func(r *http.Request) (formBody, error) {
			v, err := p.recipientOf(r)
			body := formBody{
				Crumbs: crumbs, Action: list + "/" + v.ID + "/akhiri", Submit: "Akhiri kunci", Facts: recipientFacts(v),
				Fields: []field{{Name: "reason", Label: "Alasan", Kind: "textarea", Longest: 2000}},
			}
			if v.State == cardsecret.Confirmed {
				body.Warning = "Sampai kunci lain dipastikan, permohonan lembaga ini tidak dapat diterima dan kartunya tidak ditulis. Berkas yang sudah dibuat tetap memakai kunci ini."
			}
			return body, err
		},
		func(r *http.Request) (string, error) {
			v, err := p.recipientOf(r)
			if err == nil {
				_, err = p.desk.EndRecipient(r.Context(), signin.Account(r), v.ID, takeOut(r, "reason"))
			}
			return list + "?" + justKept(), err
		}}
}

// takeSecrets gives the files of a handover's cards.
func (p *Pages) takeSecrets(w http.ResponseWriter, r *http.Request) error {
	v, _, err := p.handoverOf(r)
	if err != nil {
		return err
	}
	b, err := p.counter().Secrets(r.Context(), signin.Account(r), v.ID)
	if err != nil {
		return err
	}
	api.SendBundle(w, r, b)
	return nil
}

// secretRows tells of the files of a handover: how many there are, and who took them.
func secretRows(v *report.Handover) (summary []pair, t rowsTable) {
	text := "belum ada berkas; kartu yang dikerjakan dengan cara manual tidak mempunyainya"
	if v.Secrets.Files > 0 {
		text = number(v.Secrets.Files) + " dari " + number(v.Quantity) + " kartu"
		for _, k := range v.Secrets.Keys {
			text += "\nuntuk kunci edisi " + number(k.Edition) + ", sidik " + k.Fingerprint
		}
	}
	t = rowsTable{Caption: "Unduhan rahasia kartu", Empty: "belum pernah diunduh.", Heads: []string{"Waktu", "Oleh", "Kartu", "SHA-256 berkas zip"}, Numbers: []int{2}}
	for _, d := range v.Secrets.Downloads {
		t.Rows = append(t.Rows, []cell{{Text: terbilang.FormatDateTime(d.OfficeAt)}, {Text: d.Name}, {Text: number(d.Files)}, {Text: d.Hash}})
	}
	return []pair{{"Berkas rahasia kartu", text}}, t
}
