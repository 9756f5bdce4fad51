package filetype

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// headerWithin is how far from its beginning a PDF may begin: scanners and mail
// gateways put lines before it (ISO 32000-1, annex H.3, note 13).
const headerWithin = 1024

// sniff tells the kind by the first bytes; empty when it is none.
func sniff(b []byte) Kind {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return JPEG
	case bytes.HasPrefix(b, []byte(pngSignature)):
		return PNG
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return PDF
	case foreign(b) == "" && bytes.Contains(b[:min(len(b), headerWithin)], []byte("%PDF-")):
		return PDF
	}
	return ""
}

// signatures of what people send instead of a paper.
var signatures = []struct{ at, magic, name string }{
	{"", "GIF8", "gambar GIF"},
	{"", "II*\x00", "gambar TIFF"},
	{"", "MM\x00*", "gambar TIFF"},
	{"", "BM", "gambar BMP"},
	{"RIFF....", "WEBP", "gambar WebP"},
	{"....", "ftypheic", "gambar HEIC"},
	{"....", "ftypheix", "gambar HEIC"},
	{"....", "ftypmif1", "gambar HEIF"},
	{"....", "ftypavif", "gambar AVIF"},
	{"....", "ftyp", "video"},
	{"", "\x00\x00\x00\x0cjP  ", "gambar JPEG 2000"},
	{"", "PK\x03\x04", "berkas Office (Word atau Excel) atau arsip ZIP"},
	{"", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "berkas Office lama (Word atau Excel)"},
	{"", "Rar!", "arsip RAR"},
	{"", "7z\xbc\xaf", "arsip 7-Zip"},
	{"", "{\\rtf", "berkas RTF"},
	{"", "MZ", "program"},
	{"", "\x7fELF", "program"},
}

// foreign names a kind of file that is not taken; empty when it knows none.
func foreign(b []byte) string {
	for _, s := range signatures {
		n := len(s.at)
		if len(b) >= n+len(s.magic) && string(b[n:n+len(s.magic)]) == s.magic && strings.HasPrefix(string(b[:n]), strings.TrimRight(s.at, ".")) {
			return s.name
		}
	}
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(b[:min(len(b), headerWithin)], []byte("\xef\xbb\xbf"))))
	for _, tag := range []string{"<!doctype html", "<html", "<head", "<body"} {
		if bytes.HasPrefix(text, []byte(tag)) {
			return "halaman web (HTML)"
		}
	}
	return ""
}

// looks says in Indonesian what a file of the wrong type seems to be.
func looks(b []byte, kind Kind) string {
	if kind != "" {
		return names[kind]
	}
	if name := foreign(b); name != "" {
		return name
	}
	head := b[:min(len(b), headerWithin)]
	for len(head) > 0 && len(head) < len(b) && !utf8.Valid(head) && len(head) > headerWithin-utf8.UTFMax {
		head = head[:len(head)-1] // a character that the cut went through
	}
	if utf8.Valid(head) && !bytes.ContainsFunc(head, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }) {
		return "teks"
	}
	return ""
}

var names = map[Kind]string{PDF: "PDF", JPEG: "JPG", PNG: "PNG"}

// Sentence says in Indonesian what is wrong with the file and what to do. what
// names the file, such as "surat permohonan".
func (e *Error) Sentence(what string) string {
	file := "Berkas " + what
	again := " Periksa apakah berkas itu dapat dibuka, lalu kirim lagi."
	switch e.Code {
	case Empty:
		return file + " kosong."
	case WrongType:
		text := file + " harus berupa " + alternatives(e.Allowed) + "; isinya "
		if e.Looks != "" {
			return text + e.Looks + "."
		}
		return text + "bukan."
	case Encrypted:
		return file + " dilindungi kata sandi atau dibatasi pemakaiannya. Simpan ulang sebagai PDF tanpa perlindungan, lalu kirim lagi."
	case NoPages:
		return file + " berupa PDF tanpa halaman." + again
	case Dimensions:
		return "Ukuran gambar " + what + " tidak wajar. Kirim gambar dengan lebar dan tinggi paling besar " + strconv.Itoa(MaxSide) +
			" piksel dan paling banyak " + strconv.Itoa(MaxPixels/1_000_000) + " juta piksel, misalnya hasil pindai 300 dpi."
	case TooMuch:
		return file + " tidak diperiksa: berkas-berkas dalam kiriman ini bersama-sama terlalu besar setelah dibuka. " +
			"Pindai ulang dengan resolusi 300 dpi, hitam putih atau abu-abu, lalu kirim lagi."
	case Unsupported:
		return "Gambar " + what + " memakai jenis JPG yang tidak dapat dibaca. Simpan ulang sebagai JPG biasa, PNG, atau PDF, lalu kirim lagi."
	}
	if e.Kind == PDF {
		return file + " berupa PDF yang rusak atau tidak utuh, misalnya terpotong saat dikirim." + again
	}
	return "Gambar " + what + " rusak atau tidak utuh, misalnya terpotong saat dikirim." + again
}

// alternatives writes kinds as "PDF, JPG, atau PNG".
func alternatives(kinds []Kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, names[k])
	}
	switch n := len(list); n {
	case 0, 1:
		return strings.Join(list, "")
	case 2:
		return list[0] + " atau " + list[1]
	default:
		return strings.Join(list[:n-1], ", ") + ", atau " + list[n-1]
	}
}
