package template

import (
	"fmt"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
)

// sheet is a kind of paper that is made from a template: the letter of its column in the
// guide, the name of its files, and its title.
type sheet struct{ kind, letter, name, title string }

// sheets are the columns of the catalogue, in their order.
var sheets = []sheet{
	{letter.BAST, "B", "bast", "Berita Acara Serah Terima"},
	{letter.ReplyLetter, "S", "surat-balasan", "Surat balasan permohonan"},
	{letter.CompletionLetter, "K", "surat-keterangan-selesai", "Surat keterangan selesai personalisasi"},
	{letter.ActivationReply, "A", "surat-balasan-aktivasi", "Surat balasan aktivasi"},
	{letter.DestructionReport, "R", "berita-acara-kartu-rusak", "Berita Acara Kartu Rusak"},
	{letter.BlankReceipt, "T", "tanda-terima-blangko", "Tanda terima blangko"},
	{letter.DaySheet, "H", "lembar-harian", "Lembar harian"},
}

// row is a tag with what each sheet does with it: w must have it, o may lose the one
// that is in the shipped template, t may take it up, - has no value for it.
type row struct{ name, need, about string }

// catalogue is every tag. What the document generator fills in is compared with it by
// that program's tests, and the table in configs/templates/README.md is made of it.
var catalogue = []row{
	{"addressee", "-wtw---", "tujuan surat: nama lembaga"},
	{"addressee_place", "-oto---", "kota tujuan"},
	{"addressee_post", "-wtw---", `jabatan pada lembaga tujuan, "Direktur"`},
	{"attachments", "-oto---", `"1 (satu) berkas", atau "-"`},
	{"audit_hash", "------w", "SHA-256 ujung rantai audit, per delapan huruf"},
	{"audit_key", "------w", "sidik kunci yang menandatangani ujung rantai audit, seperti kid pada kunci.json"},
	{"audit_seq", "------w", "nomor catatan terakhir yang dirantai"},
	{"audit_signature", "------w", "tanda tangan ujung rantai audit (ES256), dua baris, per delapan huruf"},
	{"audit_unsealed", "------w", "banyaknya catatan sesudahnya, yang belum dirantai"},
	{"brought_name", "-----w-", "nama yang menyerahkan blangko"},
	{"brought_post", "-----w-", "jabatannya"},
	{"closing_words", "------o", "sum_closing dengan huruf"},
	{"count_note", "-----w-", "apakah jumlahnya sama dengan daftar kartu, atau mengapa blangkonya menyusul"},
	{"date_in_words", "w---ww-", `"Senin Tanggal Dua Puluh Tiga Bulan November Tahun Dua Ribu Dua Puluh Enam"`},
	{"day", "------w", `"Senin, 23 November 2026"`},
	{"document_date", "wwwwwtw", `"23 November 2026"`},
	{"document_number", "wwwwww-", "nomor naskah, atau titik-titik selama belum bernomor"},
	{"draft_note", "wwwwwww", `"Konsep — naskah sah adalah PDF atau naskah yang ditandatangani"; kosong pada PDF yang diterbitkan`},
	{"failed_note", "-to----", "apa yang terjadi dengan kartu yang gagal dan yang dikurangi dengan surat, atau kosong"},
	{"first_party_address", "w------", "alamat kantor Pihak Pertama"},
	{"first_party_name", "w------", "nama Pihak Pertama"},
	{"first_party_nip_line", "o------", `"NIP. …", atau kosong`},
	{"first_party_post", "w------", `jabatan di atas tanda tangan, dengan "Plt."/"Plh."/"a.n." bila perlu`},
	{"first_party_title", "o------", `jabatan yang dipegang, tanpa "a.n."`},
	{"first_signer_name", "----w--", "nama orang yang memusnahkan"},
	{"first_signer_post", "----w--", "jabatannya"},
	{"handover_note", "o------", `bila diserahkan bertahap: ", sebagai penyerahan ke-1 dari jumlah seluruhnya 100 (seratus) keping dengan sisa 40 (empat puluh) keping yang belum selesai dipersonalisasi,"; kosong bila sekaligus`},
	{"known_name", "------w", "nama yang mengetahui"},
	{"known_post", "------w", "jabatannya"},
	{"lembaga_name", "---w---", "lembaga pengguna (satu)"},
	{"lembaga_names", "www-to-", "lembaga pengguna, dipisah koma"},
	{"lembaga_shares", "o------", "lembaga pengguna; bila lebih dari satu, masing-masing dengan jumlah kartu yang diserahkan untuknya"},
	{"letter_date", "wwwwww-", "tanggal surat permohonan"},
	{"letter_nature", "-oto---", `sifat surat, "Biasa"`},
	{"letter_number", "wwwwww-", "nomor surat permohonan"},
	{"letter_sender", "wwwwww-", "lembaga pengirim surat permohonan; tidak selalu produsen"},
	{"letter_sender_post", "wwwwww-", "jabatan pengirim surat permohonan"},
	{"letter_subject", "wwwwww-", "perihal surat permohonan"},
	{"made_name", "------w", "nama penyusun"},
	{"made_post", "------w", "jabatannya"},
	{"method", "----w--", `cara pemusnahan: "dipotong melalui chip"`},
	{"perso_period", "-ww----", `"20 s.d. 24 November 2026"`},
	{"printed_at", "------w", "saat ujung rantai audit dibaca"},
	{"produsen_address", "wtw-tt-", "alamat kantor produsen"},
	{"produsen_name", "wwwwww-", "nama produsen"},
	{"quantity", "wwwwww-", `jumlah yang diserahkan (kartu berhasil; pada surat balasan aktivasi: perangkat; pada berita acara kartu rusak: kartu yang dimusnahkan; pada tanda terima: blangko), "1.250"`},
	{"quantity_failed", "-tw-w--", "jumlah kartu gagal, termasuk yang kemudian dikurangi; pada berita acara kartu rusak: yang dimusnahkan"},
	{"quantity_failed_words", "-tw-w--", "sama, dengan huruf"},
	{"quantity_requested", "-ww----", "jumlah yang dimohonkan"},
	{"quantity_requested_words", "-ww----", "sama, dengan huruf"},
	{"quantity_spoiled", "----w--", "jumlah kartu rusak"},
	{"quantity_spoiled_words", "----w--", "sama, dengan huruf"},
	{"quantity_words", "wwwwww-", `quantity dengan huruf, "seribu dua ratus lima puluh"`},
	{"reason", "----w--", "keterangan pemusnahan"},
	{"received_name", "-----w-", "nama yang menerima blangko"},
	{"received_post", "-----w-", "jabatannya"},
	{"reissue_note", "---o---", "bila manifest diterbitkan ulang: kalimat bahwa manifest lama dicabut dan yang baru harus dipasang; kosong bila tidak"},
	{"sam_function", "www-to-", `"R (Read)", "Rekam", "Cetak"`},
	{"sam_use", "w------", `"alat baca KTP-el pada Card Reader Terintegrasi"`},
	{"second_party_id_line", "o------", "nomor pengenal wakil produsen, atau kosong"},
	{"second_party_name", "w------", "nama wakil produsen"},
	{"second_party_post", "w------", `jabatannya, "PIC Produsen"`},
	{"second_signer_name", "----w--", "nama saksi pemusnahan"},
	{"second_signer_post", "----w--", "jabatannya"},
	{"signatory_id_lines", "-ooo---", `pangkat dan "NIP. …", masing-masing sebaris; kosong bila tidak ada`},
	{"signatory_name", "-www---", "nama penanda tangan"},
	{"signatory_post", "-www---", `jabatan, boleh beberapa baris ("a.n. …")`},
	{"signatory_title", "-tot---", `jabatan yang dipegang, tanpa "a.n."`},
	{"subject", "-wtw---", "hal surat balasan"},
	{"sum_clear", "------w", "jumlah kartu berhasil"},
	{"sum_closing", "------w", "jumlah blangko akhir hari"},
	{"sum_difference", "------w", "jumlah selisih"},
	{"sum_failed", "------w", "jumlah kartu gagal"},
	{"sum_in_doubt", "------w", "jumlah kartu meragukan"},
	{"sum_opening", "------o", "jumlah blangko awal hari"},
	{"sum_received", "------o", "jumlah blangko diterima"},
	{"sum_spoiled", "------w", "jumlah kartu rusak"},
	{"sum_used", "------o", "jumlah blangko dipakai"},
	{"ticket", "wwwwww-", "Kode Tiket"},
	{"verification_address", "wwwwwww", "alamat halaman pemeriksaan keaslian naskah"},
	{"@verification_qr", "wwwwwww", "kode QR ke alamat itu (gambar)"},
	{"#cards", "w---w--", "satu baris per kartu yang diserahkan; pada berita acara kartu rusak: yang dimusnahkan"},
	{"cards.no", "o---o--", "nomor urut"},
	{"cards.serial", "w---w--", "nomor asal (nomor seri)"},
	{"cards.pcid", "w------", "nomor PCID"},
	{"cards.manifest_number", "w------", "nomor manifest"},
	{"cards.was", "----w--", `"Gagal" atau "Rusak"`},
	{"cards.found_on", "----w--", "tanggal kartu itu gagal atau rusak"},
	{"cards.cause", "----w--", "sebabnya"},
	{"#signatory_details", "-tot---", "satu baris per keterangan penanda tangan"},
	{"signatory_details.label", "-tot---", `"NIP" atau "Pangkat"`},
	{"signatory_details.value", "-tot---", "isinya"},
	{"#copies_header", "-oto---", "satu baris bila ada tembusan, tidak ada bila tidak"},
	{"copies_header.title", "-oto---", `"Tembusan:"`},
	{"#copies", "-oto---", "satu baris per tembusan"},
	{"copies.no", "-oto---", "nomor urut"},
	{"copies.name", "-oto---", "penerima tembusan"},
	{"#readers", "---w---", "satu baris per perangkat"},
	{"readers.no", "---o---", "nomor urut"},
	{"readers.reader_serial", "---w---", "nomor seri perangkat"},
	{"readers.card_serial", "---w---", "nomor seri kartu SAM"},
	{"readers.pcid", "---w---", "nomor PCID"},
	{"readers.location", "---w---", "lokasi penempatan"},
	{"#written", "------w", "satu baris per permohonan dan stasiun atau petugas"},
	{"written.no", "------o", "nomor urut"},
	{"written.ticket", "------w", "Kode Tiket"},
	{"written.institution", "------o", "pemohon"},
	{"written.station", "------w", "stasiun, atau nama petugas untuk kartu manual"},
	{"written.clear", "------w", "berhasil"},
	{"written.failed", "------w", "gagal"},
	{"written.in_doubt", "------w", "meragukan"},
	{"written.spoiled", "------w", "rusak"},
	{"#blanks", "------w", "satu baris per permohonan"},
	{"blanks.no", "------o", "nomor urut"},
	{"blanks.ticket", "------w", "Kode Tiket"},
	{"blanks.opening", "------w", "awal hari"},
	{"blanks.received", "------w", "diterima"},
	{"blanks.used", "------w", "dipakai: di stasiun, berhasil, gagal, rusak, meragukan, uji, dan dikembalikan"},
	{"blanks.closing", "------w", "akhir hari"},
	{"blanks.difference", "------w", "selisih"},
}

// Tag is a tag that a template of some kind must or may have.
type Tag struct {
	// Name is as docx.Tags writes it: "ticket", "@verification_qr" (a picture), "#cards"
	// (repeated rows), "cards.serial" (in them).
	Name     string `json:"name"`
	Required bool   `json:"required"`
	About    string `json:"about"` // what stands in its place
}

// Written is the tag as it is typed into a template.
func (t Tag) Written() string {
	if table, ok := strings.CutPrefix(t.Name, "#"); ok {
		return "{{#" + table + "}} … {{/" + table + "}}"
	}
	_, column, inRow := strings.Cut(t.Name, ".")
	if inRow {
		return "{{" + column + "}}"
	}
	return "{{" + t.Name + "}}"
}

// Within is the table in whose repeated rows the tag stands, or empty.
func (t Tag) Within() string {
	table, _, inRow := strings.Cut(t.Name, ".")
	if !inRow {
		return ""
	}
	return table
}

// Kinds are the kinds of paper that are made from templates.
func Kinds() []string {
	var kinds []string
	for _, s := range sheets {
		kinds = append(kinds, s.kind)
	}
	return kinds
}

// Known says whether papers of a kind are made from a template.
func Known(kind string) bool { return slices.Contains(Kinds(), kind) }

// Tags are those of a kind, in the order of the guide.
func Tags(kind string) []Tag {
	tags := []Tag{}
	at := slices.IndexFunc(sheets, func(s sheet) bool { return s.kind == kind })
	if at < 0 {
		return tags
	}
	for _, r := range catalogue {
		if r.need[at] != '-' {
			tags = append(tags, Tag{r.name, r.need[at] == 'w', r.about})
		}
	}
	return tags
}

// rules are the tags of a kind as docx judges by them.
func rules(kind string) docx.Rules {
	r := docx.Rules{MaxBytes: MaxBytes}
	for _, t := range Tags(kind) {
		if t.Required {
			r.Required = append(r.Required, t.Name)
		} else {
			r.Known = append(r.Known, t.Name)
		}
	}
	return r
}

// Name is the name of a kind's files, without their ending.
func Name(kind string) string {
	for _, s := range sheets {
		if s.kind == kind {
			return s.name
		}
	}
	return strings.ReplaceAll(kind, "_", "-")
}

// FileName is the name under which an edition is downloaded.
func FileName(kind string, edition int) string {
	return fmt.Sprintf("%s-edisi-%d.docx", Name(kind), edition)
}

// Guide is the table of all tags, in Markdown.
func Guide() string {
	var b strings.Builder
	b.WriteString("Kolom:")
	for i, s := range sheets {
		fmt.Fprintf(&b, "%s **%s** %s", strings.Repeat(",", min(i, 1)), s.letter, s.title)
	}
	b.WriteString(". `w` = wajib, `o` = boleh dihapus, `t` = tidak ada pada templat bawaan dan boleh ditambahkan.\n\n| tag |")
	for _, s := range sheets {
		b.WriteString(" " + s.letter + " |")
	}
	b.WriteString(" isi |\n|---|" + strings.Repeat("---|", len(sheets)) + "---|\n")
	for _, r := range catalogue {
		fmt.Fprintf(&b, "| `%s` |", r.name)
		for _, need := range strings.ReplaceAll(r.need, "-", " ") {
			fmt.Fprintf(&b, " %c |", need)
		}
		b.WriteString(" " + r.about + " |\n")
	}
	return b.String()
}
