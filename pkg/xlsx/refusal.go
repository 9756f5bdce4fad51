package xlsx

// Sentence says in Indonesian why a file is refused, and what to do. what is the
// file to those who read it, at the beginning of a sentence: "Daftar kartu".
func (e *Error) Sentence(what string) string {
	switch e.Code {
	case OldExcel:
		return what + " berformat Excel 97-2003 (.xls). Simpan sebagai buku kerja Excel (.xlsx)."
	case Binary:
		return what + " berformat Excel biner (.xlsb). Simpan sebagai buku kerja Excel (.xlsx)."
	case OpenDocument:
		return what + " berformat OpenDocument (.ods). Simpan sebagai buku kerja Excel (.xlsx)."
	case PlainText:
		return what + " berupa teks atau CSV, bukan buku kerja Excel (.xlsx)."
	case Encrypted:
		return what + " dilindungi kata sandi. Simpan tanpa kata sandi."
	case Macro:
		return what + " berisi makro. Simpan sebagai buku kerja Excel (.xlsx) tanpa makro."
	case TooLarge:
		return what + " terlalu besar, atau terlalu besar setelah dibuka."
	case NoSheet:
		return what + " tidak berisi lembar yang dicari."
	case Damaged:
		return what + " rusak atau tidak utuh sehingga tidak dapat dibuka."
	case NotWorkbook:
	}
	return what + " bukan buku kerja Excel (.xlsx)."
}
