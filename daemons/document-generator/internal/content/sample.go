package content

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// sampleNote stands on every page of a sample, so that nobody takes it for a paper.
const sampleNote = "CONTOH — bukan naskah dinas; nama dan nomor di dalamnya karangan"

// sampleRows is a day's cards (features.md I01).
const sampleRows = 250

// Samples fills a template of a kind with what is hard for a layout: first names of 80
// letters, an official who signs a.n. and has no NIP, two lembaga and 250 rows; then one
// card, and an official who is Plt., with NIP and rank. They are made by what makes the
// papers.
func (w *Writer) Samples(kind string, template []byte) ([][]byte, error) {
	var made [][]byte
	for _, f := range []facts{
		made80(kind, sampleRows, letter.Signatory{Name: eighty("Dr. H. Penanda Tangan"), Form: letter.AtasNama, Post: eighty("Direktur Fasilitasi Pemanfaatan Data"),
			Principal: "Direktur Jenderal Kependudukan dan Pencatatan Sipil"}),
		made80(kind, 1, letter.Signatory{Name: "Penanda Tangan", Form: letter.Plt, Post: "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan",
			NIP: "197001011995031001", Rank: "Pembina Utama Muda (IV/c)"}),
	} {
		body, err := w.fill(template, f, sampleNote)
		if err != nil {
			return nil, err
		}
		made = append(made, body)
	}
	return made, nil
}

// eighty is a name of 80 letters.
func eighty(name string) string {
	const more = " dengan Nama yang Sangat Panjang Sekali Sampai Delapan Puluh Huruf Seluruhnya Benar"
	runes := []rune(name + more)
	return strings.TrimSpace(string(runes[:min(len(runes), 80)]))
}

// made80 is a made-up paper of a kind about so many cards.
func made80(kind string, rows int, signer letter.Signatory) facts {
	day := clock.MustParseDate("2026-11-23")
	number := "400.8.2.15/CONTOH/Dukcapil"
	f := facts{
		doc: letter.Document{Kind: kind, Number: &number, Dated: &day, Token: strings.Repeat("0", 26)}, from: day, to: day, signer: signer,
		produsen: institution.Institution{
			Name: eighty("PT Produsen Contoh"), Address: "Jl. " + eighty("Contoh Industri Raya") + " Blok C-7 No. 128, Kabupaten Bekasi 17530",
			Representative: eighty("Wakil Produsen"), Post: "Kepala Divisi Rantai Pasok dan Layanan Purnajual",
		},
		request: request.Request{Ticket: "PSAM-2026-000000-0", Form: request.Form{CardCount: rows,
			Kind: request.KindReader, SAMFunction: "R",
			Letter: request.Letter{Sender: eighty("PT Produsen Contoh"), Post: "Direktur Utama", Number: "017/PCN-SAM/KTP-EL/XI/2026", Date: day,
				Subject: "Permohonan Personalisasi Kartu SAM untuk Pembaca KTP-el Tahap Kedua Tahun Anggaran 2026"},
			Lines: []request.Line{{Lembaga: eighty("PT Bank Contoh Nusantara")}, {Lembaga: eighty("PT Asuransi Contoh Sejahtera")}},
		}},
		tally:  perso.Tally{Clear: rows, Failed: 2},
		handed: handover.Handover{Quantity: rows},
		destroyed: stock.Destruction{Destroyed: day, Method: "dipotong melalui chip", Reason: eighty("Seluruh kartu dipotong di hadapan saksi"),
			First: stock.Signer{Name: eighty("Pelaksana Pemusnahan"), Post: "Operator KI"}, Second: stock.Signer{Name: eighty("Saksi Pemusnahan"), Post: "Kasubdit KI"}},
	}
	f.counted = letter.BlankCount{BroughtOn: day, Quantity: rows, Listed: rows + 1,
		BroughtBy: letter.Signature{Name: eighty("Wakil Produsen"), Post: "Kepala Divisi Rantai Pasok dan Layanan Purnajual"}, ReceivedBy: letter.Signature{Name: eighty("Petugas Penerima"), Post: letter.PostOf(request.Persuratan)}}
	f.sheet = letter.DayFacts{Day: day, At: day.At(17, 5), HeadSeq: 1234567, HeadHash: strings.Repeat("0123456789abcdef", 4), Unsealed: 2,
		MadeBy: letter.Signature{Name: eighty("Petugas Penyusun"), Post: "Operator KI"}, KnownBy: letter.Signature{Name: eighty("Kepala Subdirektorat"), Post: "Kepala Subdirektorat Keamanan Informasi"}}
	f.head = sampleHead(f.sheet)
	if kind == letter.DaySheet {
		f.doc.Number = nil
	}
	f.activated = activated{reply: activation.Reply{Ordinal: 1, Reissued: rows > 1}, letter: activation.Letter{
		Ticket: "AKTV-2026-000000-0", Lembaga: eighty("PT Bank Contoh Nusantara"),
		Form: activation.Form{Produsen: eighty("PT Produsen Contoh"), Number: "118/DIR/BCN/XI/2026", Date: day, LeaderPost: "Direktur Utama",
			Subject: "Permohonan Aktivasi Perangkat Pembaca KTP-el pada Seluruh Kantor Cabang"},
	}}
	for i := range rows {
		serial := fmt.Sprintf("SAMCONTOH%06d", i+1)
		f.cards = append(f.cards, handover.Card{Serial: serial, PCID: fmt.Sprintf("367100%026d", i+1), ManifestNo: fmt.Sprintf("M-2026-%06d", i+1)})
		f.activated.readers = append(f.activated.readers, activation.Activation{Line: activation.Line{
			Reader: fmt.Sprintf("READERCONTOH%06d", i+1), SAM: serial, PCID: fmt.Sprintf("367100%026d", i+1),
			Address: "Jl. " + eighty("Contoh Raya") + " No. 128", Region: "Kabupaten Administrasi Kepulauan Seribu, DKI Jakarta",
		}})
		ticket := fmt.Sprintf("PSAM-2026-%06d-0", i)
		f.sheet.Written = append(f.sheet.Written, letter.WrittenCards{Ticket: ticket, Institution: eighty("PT Produsen Contoh"), Station: "perso-1", Clear: 247, Failed: 1, InDoubt: 1, Spoiled: 1})
		f.sheet.Blanks = append(f.sheet.Blanks, letter.BlankFlow{Ticket: ticket, Opening: 1000, Received: 5, Used: 250, Closing: 755})
		was := perso.Failed
		if i%2 == 1 {
			was = perso.Spoiled
		}
		f.destroyed.Cards = append(f.destroyed.Cards, stock.Lost{Serial: serial, Was: string(was), Day: &day, Cause: "Kartu menolak penulisan (jawaban kartu 6581)"})
	}
	return f
}

// sampleHead is a made-up signed head; a key's id has 43 letters, a signature 64 bytes.
func sampleHead(s letter.DayFacts) audit.SignedHead {
	h := audit.SignedHead{
		Head: audit.Head{Seq: s.HeadSeq}, Day: s.Day, Unsealed: s.Unsealed, At: s.At,
		KeyID: "CONTOH-kunci-penanda-tangan-manifest-000000", Signature: bytes.Repeat([]byte{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, 8),
	}
	_, _ = hex.Decode(h.Hash[:], []byte(s.HeadHash)) // ours, and well-formed
	return h
}
