package seal

import (
	"cmp"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/request"
)

// evidenceNames are what people call the papers and the applicant's files that a bundle of
// evidence holds. A bundle lists its files in its own index, so older bundles with other
// names are verified as before.
var evidenceNames = map[string]string{
	letter.BAST: "bast", letter.ReplyLetter: "surat-balasan", letter.CompletionLetter: "surat-keterangan-selesai", letter.ResultList: "laporan-hasil",
	letter.DestructionReport: "berita-acara-kartu-rusak", letter.ActivationReply: "surat-balasan-aktivasi", letter.BlankReceipt: "tanda-terima-blangko",
	letter.DaySheet: "lembar-harian", request.FileLetter: "surat-permohonan", request.FilePurchaseOrder: "purchase-order", request.FilePKS: "pks", request.FileCardList: "daftar-kartu",
}

// evidenceName is the name of a kind of file within a bundle.
func evidenceName(kind string) string {
	return manifest.FileName(cmp.Or(evidenceNames[kind], kind))
}
