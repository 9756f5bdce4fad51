package content

import (
	"context"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// activated is what a surat balasan aktivasi rests on (features.md J10): the lembaga's
// letter and those of its readers that were accepted at once.
type activated struct {
	letter  activation.Letter
	reply   activation.Reply
	readers []activation.Activation
}

func gatherReaders(ctx context.Context, rd postgres.Reader, replyID string) (a activated, err error) {
	if a.reply, a.readers, err = activation.GetReply(ctx, rd, replyID); err != nil {
		return a, err
	}
	a.letter, err = activation.Get(ctx, rd, a.reply.LetterID)
	return a, err
}

// commonReaders is common for a paper of readers, which belongs to no request of cards.
func (w *Writer) commonReaders(f facts) map[string]string {
	l := f.activated.letter
	return map[string]string{
		"document_date": terbilang.FormatDate(*f.doc.Dated), "document_number": *f.doc.Number, "draft_note": "",
		"lembaga_name": l.Lembaga, "letter_date": terbilang.FormatDate(l.Date), "letter_number": l.Form.Number, "letter_sender": l.Lembaga,
		"letter_sender_post": l.LeaderPost, "letter_subject": l.Subject, "produsen_name": l.Produsen, "ticket": l.Ticket, "verification_address": w.address(f.doc),
	}
}

// reissueNote tells why a letter comes once more, and what has to be done.
const reissueNote = " Manifest perangkat tersebut yang diterbitkan sebelumnya dicabut karena kunci penanda tangannya diganti; perangkat dapat digunakan kembali setelah manifest penggantinya dipasang."

// readers gives the values of a surat balasan aktivasi.
func (w *Writer) readers(f facts, values map[string]string, tables map[string][]map[string]string) {
	a := f.activated
	number(values, "quantity", len(a.readers))
	w.signed(f, values, tables)
	values["addressee"], values["addressee_post"], values["addressee_place"] = a.letter.Lembaga, a.letter.LeaderPost, w.cfg.AddresseePlace
	values["attachments"] = "1 (satu) berkas"
	values["letter_nature"] = w.cfg.LetterNature
	values["subject"], values["reissue_note"] = "Balasan Permohonan Aktivasi Perangkat Pembaca KTP-el", ""
	if a.reply.Reissued {
		values["subject"], values["reissue_note"] = "Penerbitan Ulang Manifest Perangkat Pembaca KTP-el", reissueNote
	}
	rows := make([]map[string]string, len(a.readers))
	for i, r := range a.readers {
		rows[i] = map[string]string{
			"no": strconv.Itoa(i + 1), "reader_serial": r.Reader, "card_serial": r.SAM, "pcid": r.PCID, "location": r.Address + ", " + r.Region,
		}
	}
	tables["readers"] = rows
}
