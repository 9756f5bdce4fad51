package validation

import (
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// retype is what helps against everything that Excel made of a serial.
const retype = "Ubah format sel menjadi Teks, lalu ketik ulang."

// advices say what to do about a finding, by its code.
var advices = map[string]string{
	"serial_numeric":           retype,
	"serial_date":              retype,
	"cell_error":               "Hapus isi sel, lalu ketik ulang nilainya.",
	"formula":                  "Tempelkan sebagai nilai.",
	"too_long":                 "Periksa dan perpendek isi sel.",
	"serial_missing":           "Isi No. Seri Kartu SAM, atau hapus seluruh baris bila kartunya tidak ada.",
	"invisible_characters":     "Ketik ulang nomornya bila hasilnya tidak sesuai.",
	"serial_form":              "Cocokkan dengan nomor yang tercetak pada kartu, dan pastikan Jenis Mesin pada isian sudah benar.",
	"reader_serial_missing":    "Isi No. Seri Reader yang memakai kartu pada baris ini.",
	"reader_serial_form":       "Cocokkan dengan nomor pada reader, dan pastikan Jenis Mesin pada isian sudah benar.",
	"reader_serial_unexpected": "Kosongkan kolom No. Seri Reader, atau pilih Jenis Mesin yang memakai reader.",
	"serial_repeated":          "Hapus baris yang berulang, atau perbaiki nomornya.",
	"reader_serial_repeated":   "Hapus baris yang berulang, atau perbaiki nomornya.",
	"uid_form":                 "Cocokkan dengan keterangan pembuat kartu, atau kosongkan kolom UID bila tidak diminta.",
	"uid_repeated":             "Periksa UID kedua kartu: satu chip hanya satu baris.",
	"serial_in_use":            "Periksa nomornya. Bila sudah benar, keluarkan kartu ini dari daftar atau hubungi Subdit KI.",
	"reader_serial_in_use":     "Periksa nomornya. Bila sudah benar, keluarkan baris ini dari daftar atau hubungi Subdit KI.",
	"serial_personalised":      "Keluarkan kartu ini dari daftar dan pakai kartu blangko lain.",
	"serial_like_issued": "Cocokkan dengan nomor yang tercetak pada kartu. Bila kartunya memang kartu yang sudah diterbitkan, pakai kartu blangko lain; " +
		"bila bukan, hubungi Subdit KI.",
	"reader_serial_like_issued": "Cocokkan dengan nomor pada reader. Bila readernya memang sudah diberi kartu SAM, cantumkan reader lain; " +
		"bila belum, hubungi Subdit KI.",
	"header_missing":       "Kembalikan kepala kolom seperti pada templat, lalu kirim ulang.",
	"header_twice":         "Sisakan satu kolom untuk tiap kepala, lalu kirim ulang.",
	"list_empty":           "Isi daftar sesuai lembar Petunjuk pada templat, lalu kirim ulang.",
	"list_missing":         "Lampirkan daftar kartu, lalu kirim ulang.",
	"list_no_sheet":        "Salin daftar ke templat, lalu kirim ulang.",
	"card_count":           "Samakan Jumlah Kartu SAM pada isian dengan banyaknya kartu dalam daftar.",
	"lines_count":          "Samakan jumlah kartu seluruh lembaga pengguna dengan Jumlah Kartu SAM.",
	"machine_type_unknown": "Pilih Jenis Mesin yang ada dalam data induk.",
	"machine_type_kind":    "Pilih Jenis Mesin atau jenis permohonan yang sesuai.",
	"po_not_to_produsen":   "Lampirkan PO yang ditujukan kepada lembaga Anda.",
	"po_too_small":         "Kurangi jumlah kartu, atau lampirkan PO yang cukup.",
	"po_chain":             "Lengkapi isian dan salinan PO dari lembaga pengguna sampai kepada lembaga Anda.",
	"po_lembaga_small":     "Kurangi jumlah kartu untuk lembaga itu, atau lampirkan PO yang cukup.",
	"po_repeated":          "Hapus baris yang berulang.",
	"po_reseller_small":    "Lengkapi isian dan salinan PO reseller kepada pemasok berikutnya.",
	"pks_unknown":          "Periksa nomor PKS dan nama lembaga penggunanya, atau hubungi Subdit KI bila PKS itu baru.",
	"list_sheet_unread":    "Pindahkan kartunya ke lembar yang dibaca bila ikut diajukan, atau hapus lembar itu.",
	"pks_missing":          "Periksa nama lembaga pengguna itu, atau hubungi Subdit KI bila PKS-nya baru. Reseller ditulis pada PO, bukan sebagai lembaga pengguna.",
	"lembaga_inactive":     "Hubungi Subdit KI bila lembaga itu masih memakai layanan ini.",
	"pks_withdrawn":        "Pakai PKS yang masih berlaku.",
	"pks_not_in_force":     "Pakai PKS yang masih berlaku.",
}

// Advice says in an Indonesian sentence what to do about a finding.
func Advice(f Finding) string {
	switch advice, ok := advices[f.Code]; {
	case ok:
		return advice
	case len(f.Cells) > 0:
		return "Perbaiki isi sel, lalu kirim ulang daftar ini."
	case strings.HasPrefix(f.Pointer, wholeList):
		return "Perbaiki daftar kartu atau salin ke templat, lalu kirim ulang."
	}
	return "Perbaiki isian ini, lalu kirim ulang."
}

// OfCell is what a finding says of one of its cells: its sentence without the
// list of all of them.
func (f Finding) OfCell() string {
	text := f.Detail
	if len(f.Cells) > 0 {
		if _, rest, ok := strings.Cut(text, cellsEnd); ok {
			text = rest
		}
	}
	return capital(text)
}

func capital(text string) string {
	for i, r := range text {
		return strings.ToUpper(string(r)) + text[i+len(string(r)):]
	}
	return text
}

// places are the fields of the form that findings and refusals point at.
var places = map[string]string{
	"card_count": "Jumlah Kartu SAM", "machine_type": "Jenis Mesin", "pks_number": "Nomor PKS", "lines": "Lembaga pengguna",
	"purchase_orders": "Purchase order", "card_list": "Daftar kartu", "letter": "Surat permohonan", "pks": "Salinan PKS",
	"purchase_order": "Salinan PO", "sam_function": "Fungsi SAM", "kind": "Jenis permohonan", "reference": "No. Pengajuan",
	"title": "Judul Pengajuan", "notes": "Catatan",
}

// Place says in words where a finding is: cells of the card list, the first of
// many, or a field.
func (f Finding) Place() string {
	if list, ok := strings.CutPrefix(f.Pointer, "daftar!"); ok {
		sheet, cells, _ := strings.Cut(list, "!")
		if len(f.Cells) > 0 {
			cells = xlsx.Shortened(f.Cells) // the pointer has others between
		}
		return "Daftar kartu, lembar " + sheet + ", sel " + cells
	}
	parts := strings.Split(strings.TrimPrefix(f.Pointer, "/"), "/")
	name, ok := places[parts[0]]
	if !ok {
		return f.Pointer
	}
	if len(parts) > 1 {
		if i, err := strconv.Atoi(parts[1]); err == nil {
			name += ", baris " + strconv.Itoa(i+1)
		}
	}
	return name
}
