package template

import (
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/form"
)

// Check judges a file as a template of a kind of paper: form.Faults of "/file", one for
// each thing that is wrong, in words that say where it is and what to do about it.
func Check(kind string, file []byte) error {
	if !Known(kind) {
		return form.One("/kind", "unknown_value", "Jenis naskah ini tidak dikenal.")
	}
	if len(file) == 0 {
		return form.One("/file", "missing", "Pilih dahulu berkas Word-nya.")
	}
	var faults form.Faults
	for _, f := range docx.Examine(file, rules(kind)) {
		code := string(f.Code)
		if renamed, ok := codes[f.Code]; ok {
			code = renamed
		}
		faults.Add("/file", code, "%s", sentence(kind, f))
	}
	return faults.Err()
}

// codes are those under which other files are refused too.
var codes = map[docx.FaultCode]string{docx.WrongKind: "wrong_type", docx.NotWord: "wrong_type", docx.TooLarge: "too_large", docx.Damaged: "damaged", docx.Encrypted: "encrypted"}

// fileKinds are what other files are called.
var fileKinds = map[string]string{
	"docm": "dokumen Word bermakro (.docm)", "dotx": "templat Word (.dotx)", "doc": "dokumen Word lama (.doc)", "odt": "dokumen LibreOffice (.odt)",
	"rtf": "dokumen RTF", "pdf": "PDF", "xlsx": "buku kerja Excel", "zip": "arsip ZIP",
}

var linkKinds = map[string]string{
	"image":     "Gambar ini hanya tautan ke berkas lain",
	"hyperlink": "Tautan ini menuju berkas, bukan alamat web", "oleObject": "Ada objek yang tertaut ke berkas lain",
}

// sentence says a fault in the words of whoever edits the template.
func sentence(kind string, f docx.Fault) string {
	where := place(f)
	switch f.Code {
	case docx.WrongKind, docx.NotWord:
		if name := fileKinds[f.Detail]; name != "" {
			return "Berkas ini " + name + ". Simpan sebagai Dokumen Word (.docx), lalu unggah kembali."
		}
		return "Berkas ini bukan dokumen Word. Simpan sebagai Dokumen Word (.docx), lalu unggah kembali."
	case docx.Encrypted:
		return "Berkas ini dikunci dengan kata sandi. Buka, hapus kata sandinya, simpan, lalu unggah kembali."
	case docx.TooLarge:
		return fmt.Sprintf("Berkas ini terlalu besar, atau mekar terlalu besar saat dibuka. Paling besar %d MB; kecilkan gambarnya.", MaxBytes>>20)
	case docx.Damaged:
		return where + "Berkas ini rusak atau tidak utuh. Buka dengan Word atau LibreOffice, simpan ulang sebagai .docx, lalu unggah kembali."
	case docx.Macro:
		return "Berkas ini memuat makro. Simpan sebagai Dokumen Word (.docx) tanpa makro."
	case docx.TrackedChanges:
		return where + "Ada perubahan terlacak yang belum diterima atau ditolak. Terima atau tolak semua perubahan pada tab Tinjau."
	case docx.Comment:
		return fmt.Sprintf("Ada komentar “%s”. Hapus semua komentar pada tab Tinjau.", f.Detail)
	case docx.ExternalLink:
		if f.Detail == "attachedTemplate" {
			return "Dokumen ini terikat pada berkas templat lain. Di Word buka Pengembang, Templat Dokumen, kosongkan isian templatnya, lalu simpan."
		}
		what := linkKinds[f.Detail]
		if what == "" {
			what = "Ada tautan ke luar berkas ini (" + f.Detail + ")"
		}
		return where + what + ". Sisipkan isinya ke dalam dokumen, atau hapus tautannya."
	case docx.LinkedField:
		return where + fmt.Sprintf("Ada bidang %s yang mengambil isi dari tempat lain. Hapus, atau ganti dengan isinya.", f.Detail)
	case docx.Embedded:
		return where + "Ada objek dari program lain yang ditanamkan. Hapus, atau ganti dengan gambar atau tabel biasa."
	case docx.VectorPicture:
		return where + fmt.Sprintf("Ada gambar SVG (%s), yang dapat memuat skrip dan alamat luar. Ganti dengan gambar PNG atau JPEG.", f.Detail)
	case docx.BoundControl:
		return where + fmt.Sprintf("Tag %s ada di dalam kontrol isi yang terikat pada data dokumen, sehingga Word menggantinya sendiri. Pindahkan tag itu ke luar kontrol.", f.Detail)
	case docx.UnknownTag:
		text := where + fmt.Sprintf("Tag %s tidak dikenal untuk naskah ini.", written(f.Tag))
		if f.Near != "" {
			text += fmt.Sprintf(" Mungkin maksudnya %s.", written(f.Near))
		}
		return text
	case docx.MissingTag:
		return missing(kind, f.Tag)
	case docx.RowTagOutside:
		return where + fmt.Sprintf("Tag %s hanya berisi di baris tabel yang diulang. Letakkan di antara {{#%[2]s}} dan {{/%[2]s}} pada satu baris tabel.", written(f.Tag), f.Detail)
	case docx.BadTag:
		return where + fmt.Sprintf("Tag %s tidak benar. Nama tag hanya huruf kecil, angka, dan garis bawah, tanpa tab atau ganti baris di dalamnya.", f.Detail)
	case docx.UnclosedTag:
		return where + "Ada “{{” atau “}}” tanpa pasangannya dalam paragraf ini."
	case docx.TagOutsideText:
		return where + "Tag ini ada di dalam kode bidang atau teks terhapus, sehingga tidak terisi. Ketik ulang sebagai teks biasa."
	case docx.LoopOutsideRow:
		return where + fmt.Sprintf("%s tidak berada di dalam baris tabel. Baris yang diulang harus baris tabel.", f.Detail)
	case docx.UnbalancedLoop:
		return where + fmt.Sprintf("%s tidak berpasangan dalam tabel yang sama. Awali dengan {{#nama}} dan akhiri dengan {{/nama}}.", f.Detail)
	case docx.NestedLoop:
		return where + fmt.Sprintf("%s ada di dalam baris berulang lain. Pisahkan keduanya.", f.Detail)
	case docx.BadPicture:
		return where + fmt.Sprintf("Gambar tidak dapat ditaruh di sini: %s. Letakkan di luar baris yang diulang, dan simpan sebagai Dokumen Word biasa (bukan Strict Open XML).", f.Detail)
	}
	return where + string(f.Code) + ": " + f.Detail
}

// written is a tag as it is typed.
func written(name string) string {
	if table, column, inRow := strings.Cut(name, "."); inRow {
		return "{{" + column + "}} (baris " + table + ")"
	}
	return "{{" + name + "}}"
}

func missing(kind, name string) string {
	for _, t := range Tags(kind) {
		if t.Name != name {
			continue
		}
		switch {
		case name[0] == '@':
			return fmt.Sprintf("Gambar wajib %s tidak ada: %s. Ketik tag itu di tempat gambarnya berdiri.", t.Written(), t.About)
		case name[0] == '#':
			return fmt.Sprintf("Baris berulang wajib %s tidak ada: %s.", t.Written(), t.About)
		case t.Within() != "":
			return fmt.Sprintf("Kolom wajib %s tidak ada di baris %s: %s.", t.Written(), t.Within(), t.About)
		}
		return fmt.Sprintf("Tag wajib %s tidak ada: %s.", t.Written(), t.About)
	}
	return "Tag wajib " + written(name) + " tidak ada."
}

var parts = map[string]string{"body": "Badan naskah", "header": "Tajuk halaman (header)", "footer": "Kaki halaman (footer)", "note": "Catatan kaki"}

// place is the beginning of a sentence that says where to look.
func place(f docx.Fault) string {
	where := parts[f.In]
	if where == "" {
		if f.Part == "" {
			return ""
		}
		return "Bagian " + f.Part + ": "
	}
	if f.Table {
		where += ", di dalam tabel"
	}
	if f.Text != "" {
		where += fmt.Sprintf(", pada “%s”", f.Text)
	}
	return where + ": "
}
