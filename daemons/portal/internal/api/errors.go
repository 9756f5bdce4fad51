package api

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"dukcapil.go.id/sifilma/daemons/portal/internal/blanks"
	"dukcapil.go.id/sifilma/daemons/portal/internal/counter"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/daemons/portal/internal/planning"
	"dukcapil.go.id/sifilma/daemons/portal/internal/shelf"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/daemons/portal/internal/wording"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardlist"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/outbox"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/numbers"
	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

// subjects are what the machines' rows are called.
var subjects = map[string]string{
	need.Machine.Name: "Permintaan", request.Machine.Name: "Permohonan", perso.Machine.Name: "Kartu", letter.Machine.Name: "Dokumen", recipe.Machine.Name: "Edisi", template.Machine.Name: "Edisi", handover.Machine.Name: "Serah terima",
	activation.LetterMachine.Name: "Surat permohonan aktivasi", activation.Machine.Name: "Aktivasi", release.Machine.Name: "Pelepasan manifest",
}

func notFound() error {
	return web.NotFound("Data ini tidak ada, atau bukan milik lembaga Anda.")
}

// answer is the problem that an error of the office means.
type answer struct {
	err    error
	answer func() error
}

// answers are the problems that the office's errors mean; those about signing keys stand
// beside their routes.
var answers = []answer{
	{report.ErrNotFound, notFound}, {need.ErrNotFound, notFound}, {request.ErrNotFound, notFound}, {perso.ErrNotFound, notFound},
	{letter.ErrNotFound, notFound}, {handover.ErrNotFound, notFound}, {activation.ErrNotFound, notFound}, {release.ErrNotFound, notFound}, {blob.ErrNotFound, notFound}, {cardsecret.ErrNotFound, notFound},
	{cardlist.ErrNotFound, notFound}, {shelf.ErrNotFound, notFound}, {stock.ErrNotFound, notFound},

	{institution.ErrNotFound, notFound}, {identity.ErrNotFound, notFound}, {recipe.ErrNotFound, notFound},

	{template.ErrNotFound, notFound}, {template.ErrNotSampled, notSampled},
	{template.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{template.ErrSamePerson, func() error {
		return web.Forbidden("Templat disetujui oleh orang lain daripada yang mengusulkannya.").WithCode("same-person")
	}},
	{wording.ErrForbidden, func() error {
		return web.Forbidden("Templat surat dikelola oleh Operator KI, persuratan, dan Kasubdit KI.")
	}},
	{masterdata.ErrForbidden, func() error {
		return web.Forbidden("Peran Anda tidak berwenang atas data induk ini.")
	}},
	{masterdata.ErrNotCalendar, func() error {
		return web.Forbidden("Kalender dijaga oleh Operator KI dan Kasubdit KI.")
	}},
	{masterdata.ErrNotCapacity, func() error {
		return web.Forbidden("Kapasitas hari diatur oleh Kasubdit KI.")
	}},
	{planning.ErrForbidden, func() error {
		return web.Forbidden("Rencana personalisasi diatur oleh Kasubdit KI.")
	}},
	{planning.ErrNotDowntime, func() error {
		return web.Forbidden("Henti stasiun dicatat oleh Operator KI dan Kasubdit KI.")
	}},
	{planning.ErrInside, func() error {
		return web.Forbidden("Rencana personalisasi hanya untuk pegawai Ditjen Dukcapil.")
	}},
	{capacity.ErrNotPlannable, func() error {
		return web.Conflict("Permohonan ini tidak sedang diproduksi, sehingga rencananya tidak dapat diatur. Periksa keadaannya sekarang.").WithCode("not-plannable")
	}},
	{capacity.ErrCommandWaits, func() error {
		return web.Conflict("Perintah “Lepas sekarang” dengan jumlah kartu lain masih menunggu dilaksanakan, beberapa detik lagi. Lihat hasilnya, lalu perintahkan lagi bila masih perlu.").WithCode("command-waits")
	}},
	{capacity.ErrNoEntry, func() error {
		return web.NotFound("Catatan ini tidak ada, atau sudah dihapus.")
	}},
	{letter.ErrNoSuchSignatory, notFound}, {letter.ErrTermOver, already},
	{institution.ErrAlready, already}, {identity.ErrAlready, already},
	{identity.ErrOwnAccount, func() error {
		return web.Conflict("Peran dan status akun sendiri hanya dapat diubah oleh orang lain.").WithCode("own-account")
	}},
	{identity.ErrLastOfRole, func() error {
		return web.Conflict("Ini akun aktif terakhir dengan peran tersebut. Tunjuk orang lain dahulu.").WithCode("last-of-role")
	}},
	{identity.ErrChangeOpen, func() error {
		return web.Conflict("Perubahan lain atas akun ini sedang menunggu konfirmasi. Setujui atau tolak dahulu.").WithCode("change-open")
	}},
	{identity.ErrChangeClosed, func() error {
		return web.Conflict("Perubahan ini sudah diputuskan, atau sudah menunggu lebih dari tujuh hari. Ajukan lagi bila masih diperlukan.").WithCode("change-closed")
	}},
	{identity.ErrOvertaken, func() error {
		return web.Conflict("Akun ini, atau akun pengusulnya, sudah berubah sejak perubahan ini diajukan. Tolak, lalu ajukan lagi bila masih diperlukan.").WithCode("change-overtaken")
	}},
	{identity.ErrSamePerson, func() error {
		return web.Forbidden("Perubahan ini dikonfirmasi oleh pengelola lain: bukan yang mengajukan, dan bukan pemilik akunnya.").WithCode("same-person")
	}},
	{identity.ErrSameRole, func() error {
		return web.Forbidden("Usulan Operator KI dikonfirmasi oleh Kasubdit KI, dan sebaliknya.").WithCode("other-role")
	}},
	{identity.ErrSawPassword, sawPassword}, {perso.ErrSawPassword, sawPassword}, {recipe.ErrSawPassword, sawPassword},
	{recipe.ErrSamePerson, func() error {
		return web.Forbidden("Edisi ini disetujui oleh orang lain: bukan yang menulis, dan bukan yang mengusulkan.").WithCode("same-person")
	}},
	{recipe.ErrNoKasubdit, func() error {
		return web.Forbidden("Salah satu dari pengusul dan penyetuju harus Kasubdit KI. Mintalah Kasubdit KI menyetujui.").WithCode("other-role")
	}},
	{recipe.ErrNotTried, func() error {
		return web.Conflict("Profil ini belum lulus uji coba dengan isinya yang sekarang. Jalankan dahulu `perso-station -try` pada kartu uji.").WithCode("not-tried")
	}},
	{recipe.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{identity.ErrLiveKeys, func() error {
		return web.Conflict("Sudah ada dua kunci yang berlaku untuk keperluan ini. Cabut salah satunya dahulu.").WithCode("live-keys")
	}},
	{identity.ErrMostLiveKeys, func() error {
		return web.Conflict(fmt.Sprintf("Lembaga ini sudah memiliki %d kunci yang berlaku. Cabut yang tidak dipakai dahulu.", identity.MostLiveKeys)).WithCode("live-keys")
	}},
	{signin.ErrTooMany, tooManyLogins},
	{identity.ErrBusy, func() error {
		p := web.Unavailable(5 * time.Second)
		p.Detail = "Terlalu banyak kata sandi yang sedang diperiksa. Coba lagi beberapa detik lagi; kata sandi Anda belum diperiksa dan percobaan ini tidak dihitung."
		return p
	}},

	{report.ErrBusy, func() error {
		p := web.Unavailable(5 * time.Second)
		p.Detail = "Terlalu banyak simulasi yang sedang dihitung. Coba lagi beberapa detik lagi."
		return p
	}},

	{postgres.ErrStale, func() error {
		return web.PreconditionFailed("Data ini baru saja diubah oleh pihak lain. Muat ulang, periksa, lalu coba kembali.")
	}},
	{need.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{need.ErrReferenceUsed, func() error {
		return web.Conflict("No. Aktivasi ini sudah dipakai. Pakai nomor lain, atau ajukan kembali permintaan itu bila dikembalikan.").WithCode("reference-used")
	}},
	{request.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{request.ErrNotDisposed, func() error {
		return web.Conflict("Disposisi Direktur FPDDK belum tercatat; permohonan belum dapat diterima.").WithCode("not-disposed")
	}},
	{request.ErrBlanksDiffer, func() error {
		return invalid("/count", "differs", "Jumlah blangko tidak sama dengan jumlah kartu pada permohonan.")
	}},
	{perso.ErrSerialTaken, func() error {
		return web.Conflict("Ada nomor seri yang sudah menjadi milik kartu lain.").WithCode("serial-taken")
	}},
	{perso.ErrNotReplaceable, func() error {
		return web.Conflict("Hanya kartu gagal atau rusak yang belum diganti yang dapat diganti.").WithCode("not-replaceable")
	}},
	{cardlist.ErrReplaced, func() error {
		return web.Conflict("Kartu ini sudah diganti.").WithCode("not-replaceable")
	}},
	{perso.ErrNotInDoubt, func() error {
		return web.Conflict("Kartu ini tidak dalam keadaan meragukan; tidak ada yang perlu diputuskan.").WithCode("not-in-doubt")
	}},
	{perso.ErrNotAbandoned, func() error {
		return web.Conflict("Kartu ini tidak sedang di tangan stasiun, sehingga tidak dapat dinyatakan meragukan.").WithCode("not-abandoned")
	}},
	{perso.ErrStationHeard, func() error {
		return web.Conflict("Kartu ini, atau stasiun yang memegangnya, masih terdengar. Biarkan stasiun menyelesaikannya; coba lagi bila stasiun itu sudah sepuluh menit tanpa kabar, atau tidak memegang kartunya lagi.").WithCode("station-heard")
	}},
	{perso.ErrUnknownDecision, func() error {
		return invalid("/decision", "unknown_value", "Keputusan harus salah satu dari: terima sebagai selesai, lanjutkan penulisan, nyatakan rusak, nyatakan meragukan.")
	}},
	{perso.ErrNotObserved, func() error {
		return web.Conflict("Hasil pembacaan kartu tidak mendukung keputusan ini; baca kartu kembali atau nyatakan rusak.").WithCode("not-observed")
	}},
	{perso.ErrNoHold, notFound}, {perso.ErrLiftReason, func() error { return missing("/reason", "Tuliskan apa yang diperiksa dan hasilnya.") }},
	{perso.ErrLifted, func() error {
		return web.Conflict("Lot ini sudah dilanjutkan orang lain. Muat ulang daftarnya.").WithCode("already-lifted")
	}},
	{perso.ErrFirstNotClear, func() error {
		return web.Conflict("Kartu pertama lot ini belum selesai, jadi belum ada yang dapat diperiksa.").WithCode("first-not-clear")
	}},
	{perso.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{perso.ErrResolutionOpen, func() error {
		return web.Conflict("Ada keputusan lain atas kartu ini yang menunggu konfirmasi.").WithCode("resolution-open")
	}},
	{perso.ErrNoResolution, func() error {
		return web.Conflict("Tidak ada keputusan atas kartu ini yang menunggu konfirmasi.").WithCode("no-resolution")
	}},
	{perso.ErrVoided, func() error {
		return web.Conflict("Keputusan ini gugur: kartunya dibaca lagi sesudah diputuskan dan hasil bacanya lain, atau hasilnya sudah diketahui. Lihat keadaan kartu sekarang, lalu putuskan kembali bila perlu.").WithCode("resolution-void")
	}},
	{perso.ErrAnswered, func() error {
		return web.Conflict("Hasil ini sudah ditindaklanjuti orang lain. Muat ulang daftarnya.").WithCode("already-closed")
	}},
	{perso.ErrSamePerson, func() error {
		return web.Forbidden("Keputusan harus dikonfirmasi oleh orang lain.").WithCode("same-person")
	}},
	{capacity.ErrOrdersOpen, func() error {
		return web.Conflict("Perintah kerja permohonan ini sudah dilepas, sehingga cara pengerjaannya tetap. Ubah setelah perintah kerja itu ditutup.").WithCode("orders-released")
	}},
	{capacity.ErrNumbersOpen, func() error {
		return web.Conflict("Ada kartu yang sudah bernomor untuk cara manual dan belum ada hasilnya. Catat hasilnya, atau hapus dahulu semua nomor.").WithCode("numbers-open")
	}},
	{perso.ErrStationMode, func() error {
		return web.Conflict("Kartu permohonan ini dikerjakan di stasiun; nomor dan hasilnya tidak dapat diisi manual.").WithCode("station-mode")
	}},
	{perso.ErrNothingToNumber, func() error {
		return web.Conflict("Semua kartu sudah bernomor.").WithCode("nothing-to-number")
	}},
	{perso.ErrNothingToWipe, func() error {
		return web.Conflict("Tidak ada kartu yang bernomor.").WithCode("nothing-to-wipe")
	}},
	{perso.ErrHasResult, func() error {
		return web.Conflict("Sudah ada kartu yang mempunyai hasil, sehingga nomor tidak dapat dihapus lagi.").WithCode("has-result")
	}},
	{perso.ErrNoTemplates, func() error {
		return web.Conflict("Belum ada pola nomor yang disetujui. Setujui dahulu pada Data induk, Personalisasi.").WithCode("no-templates")
	}},
	{numbers.ErrTemplate, func() error {
		return web.Conflict("Pencacah pola nomor ini sudah penuh. Setujui dahulu pola nomor dengan digit yang lebih banyak pada Data induk, Personalisasi.").WithCode("templates-full")
	}},
	{perso.ErrNoHandResult, func() error {
		return web.Conflict("Hasil yang dipilih tidak menunggu konfirmasi lagi. Muat ulang, lalu periksa kembali.").WithCode("no-result")
	}},
	{perso.ErrTooMany, func() error {
		return invalid("/results", "too_many", fmt.Sprintf("Paling banyak %d kartu sekaligus.", perso.MostHandResults))
	}},
	{shelf.ErrClosed, func() error {
		return web.Conflict("Pesan ini sudah ditangani orang lain. Muat ulang daftarnya.").WithCode("already-closed")
	}},
	{shelf.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{outbox.ErrNotReplayable, func() error {
		return web.Conflict("Pesan ini tidak dapat diulang karena bentuknya tidak dikenal; tutup dengan alasan.").WithCode("not-replayable")
	}},
	{blanks.ErrInside, func() error {
		return web.Forbidden("Buku blangko hanya untuk pegawai Ditjen Dukcapil.")
	}},
	{blanks.ErrPaperNotMade, func() error {
		return web.Conflict("Naskah berita acara ini sedang disusun. Coba lagi beberapa detik lagi.").WithCode("paper-not-made")
	}},
	{stock.ErrNotOpen, func() error {
		return web.Conflict("Blangko susulan dicatat sesudah permohonan terdaftar dan sebelum selesai. Sebelum itu blangko dihitung bersama daftarnya.").WithCode("blanks-not-open")
	}},
	{stock.ErrReversed, already}, {stock.ErrVoid, already},
	{letter.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{activation.ErrReasonMissing, func() error { return missing("/reason", "Alasan wajib diisi.") }},
	{activation.ErrNumberUsed, func() error {
		return web.Conflict("Surat lembaga dengan nomor ini sudah diajukan. Periksa nomornya, atau lihat surat yang sudah diajukan itu.").WithCode("reference-used")
	}},
	{activation.ErrNotDisposed, func() error {
		return web.Conflict("Disposisi Direktur FPDDK belum tercatat; aktivasi belum dapat diterima.").WithCode("not-disposed")
	}},
	{activation.ErrNoPaper, func() error { return missing("/on", "Tanggal surat fisik diterima wajib diisi.") }},
	{activation.ErrReceivedBefore, func() error {
		return invalid("/on", "differs", "Tanggal surat fisik diterima sudah tercatat dan sebagian reader sudah terdaftar dengan tanggal itu, sehingga tidak dapat diganti. Pakai tanggal yang tercatat, atau kosongkan.")
	}},
	{activation.ErrNoLines, func() error {
		return web.Conflict("Tidak ada reader pada surat ini yang dapat menerima langkah itu.").WithCode("illegal-step")
	}},
	{evidence.ErrNotFound, func() error {
		return web.NotFound("Bukti permohonan ini belum pernah disusun. Mintalah lebih dahulu.")
	}},
	{manifests.ErrOfficeOnly, func() error {
		return web.Forbidden("Bukti permohonan hanya untuk pegawai Ditjen Dukcapil.")
	}},
	{manifests.ErrNotMade, func() error {
		return web.Conflict("Bukti permohonan ini sedang disusun. Coba lagi beberapa detik lagi.").WithCode("paper-not-made")
	}},
	{release.ErrSame, func() error {
		return web.Conflict("Manifest yang sama sudah dilepas dan menunggu diambil produsen.").WithCode("already-so")
	}},
	{release.ErrChanged, func() error {
		return web.Conflict("Ada manifest dalam pelepasan ini yang sedang tidak berlaku, sehingga bundelnya tidak diserahkan. Kasubdit KI melepas yang masih berlaku sebagai gantinya.").WithCode("illegal-step")
	}},
	{manifests.ErrEvidenceRevoked, func() error {
		return web.Conflict("Bukti ini ditandatangani dengan kunci yang sudah dicabut, sehingga tidak berlaku lagi. Susun yang baru, lalu unduh.").WithCode("paper-not-made")
	}},
	{manifests.ErrKeyRevoked, func() error {
		return web.Conflict("Bundel ini, atau manifest di dalamnya, ditandatangani dengan kunci yang sudah dicabut dan tidak keluar lagi. Pakai bundel dari pelepasan yang baru.").WithCode("illegal-step")
	}},
	{manifests.ErrNotTaken, func() error {
		return web.Conflict("Catat dahulu siapa dari produsen yang menerima bundel ini, lalu unduh.").WithCode("illegal-step")
	}},
	{activation.ErrReaderTaken, func() error {
		return invalid("/reader_serial", "used", "Reader ini sudah tercatat dengan kartu SAM lain, atau sudah aktif.")
	}},
	{activation.ErrReaderMissing, func() error {
		return invalid("/reader_serial", "not_usable", "Reader ini tercatat hilang atau dicuri. Kasubdit KI mencatatnya ditemukan kembali lebih dahulu.")
	}},
	{activation.ErrNotMissing, func() error {
		return web.Conflict("Hanya reader yang tercatat hilang atau dicuri yang dapat dicatat ditemukan kembali.").WithCode("illegal-step")
	}},
	{activation.ErrCardNotReady, func() error {
		return web.Conflict("Ada kartu SAM yang personalisasinya tidak berhasil atau belum diserahkan.").WithCode("card-not-ready")
	}},
	{activation.ErrUnknownProdusen, func() error {
		return invalid("/produsen", "unknown_value", "Tidak ada produsen dengan nama ini.")
	}},
	{activation.ErrUnknownMachineType, func() error {
		return invalid("/lines", "unknown_value", "Ada jenis reader yang tidak ada dalam data induk.")
	}},
	{handover.ErrNotBegun, func() error {
		return web.Conflict("Belum ada kartu permohonan ini yang dapat diserahkan: personalisasinya belum berjalan, atau permohonannya ditolak atau dibatalkan.").WithCode("not-begun")
	}},
	{handover.ErrOnHold, func() error {
		return web.Conflict("Permohonan ini sedang ditahan; kartunya tidak diserahkan sampai permohonan dilanjutkan.").WithCode("on-hold")
	}},
	{handover.ErrTakenBack, func() error {
		return web.Conflict("Serah terima ini sudah dibatalkan.").WithCode("taken-back")
	}},
	{handover.ErrGone, func() error {
		return web.Conflict("Kartu serah terima ini sudah diserahkan.").WithCode("already-delivered")
	}},
	{handover.ErrShortageOpen, func() error {
		return web.Conflict("Masih ada kekurangan yang belum ditindaklanjuti; serah terima belum dapat ditutup.").WithCode("shortage-open")
	}},
	{handover.ErrSettled, already},
	{cardsecret.ErrOver, already},
	{cardsecret.ErrNoKey, func() error {
		return web.Conflict("Pemohon belum punya kunci penerima rahasia kartu yang dipastikan, sehingga kartunya tidak akan dapat dipakai. " +
			"Minta pemohon mendaftarkan kunci publiknya, lalu pastikan sidiknya pada Data induk.").WithCode("no-recipient-key")
	}},
	{cardsecret.ErrNoEscrow, func() error {
		return web.Conflict("Kantor belum punya kunci escrow untuk rahasia kartu. Buat dengan upacara: sifilma escrow ceremony.").WithCode("no-escrow-key")
	}},
	{cardsecret.ErrSamePerson, func() error {
		return web.Forbidden("Kunci dipastikan orang lain daripada yang mengusulkannya.")
	}},
	{masterdata.ErrNotRecipient, func() error {
		return web.Forbidden("Kunci penerima rahasia kartu didaftarkan oleh orang produsen atau dinas yang menerima kartunya.")
	}},
	{counter.ErrBASTAtDelivery, func() error {
		return web.Conflict("BAST terbit bersama penyerahan kartu; unggah pindaiannya pada serah terima.").WithCode("bast-at-delivery")
	}},
	{letter.ErrReplacementAsked, func() error {
		return web.Conflict("Pengganti naskah ini sudah diminta; naskah ini berlaku sampai penggantinya terbit.").WithCode("replacement-asked")
	}},
	{letter.ErrNoNumbering, notFound}, {letter.ErrNoSigning, notFound},
	{letter.ErrSigningOpen, func() error {
		return web.Conflict("Tanda tangan elektronik naskah ini sedang diminta atau hasilnya belum diketahui. Tanyakan dahulu hasilnya; tidak ada yang dikirim atau dibatalkan sebelum itu.").WithCode("signing-open")
	}},
	{letter.ErrSeveralSigners, func() error {
		return web.Conflict("Naskah ini ditandatangani dengan pena, karena tidak semua penanda tangannya pegawai Ditjen Dukcapil.").WithCode("signed-by-pen")
	}},
	{counter.ErrByPen, func() error {
		return web.Conflict("Tanda tangan elektronik tidak dipakai di sini; cetak naskahnya, lalu unggah pindaiannya.").WithCode("signed-by-pen")
	}},
	{counter.ErrStillInDoubt, func() error {
		return web.Conflict("Hasil tanda tangan elektronik belum diketahui. Jangan kirim lagi: tanyakan hasilnya ke layanan, atau periksa catatan layanan itu.").WithCode("signing-in-doubt")
	}},
	{counter.ErrNotRegistrar, func() error { return web.Forbidden("Penomoran naskah diatur oleh Persuratan Dirjen.") }},
	{counter.ErrInside, func() error {
		return web.Forbidden("Daftar ini hanya untuk pegawai Ditjen Dukcapil.")
	}},
	{counter.ErrDrawnElsewhere, func() error {
		return web.Conflict("Berita acara kartu rusak dibatalkan pada buku blangko, bersama kartunya.").WithCode("void-in-book-of-blanks")
	}},
}

// Explain is the problem that an error of the office means, for the pages.
func Explain(err error) error { return explain(err) }

// explain turns an error of the office into the problem that it means; others
// stay as they are.
func explain(err error) error {
	var problem *web.Problem
	if errors.As(err, &problem) {
		return err
	}
	var refusal *decisions.Refusal
	if errors.As(err, &refusal) {
		return refused(refusal)
	}
	var late *decisions.TooLateError
	if errors.As(err, &late) {
		return tooLate(late)
	}
	var faults form.Faults
	if errors.As(err, &faults) {
		return faulty(faults)
	}
	var lapsed *institution.NotInForceError
	if errors.As(err, &lapsed) {
		return notInForce(lapsed)
	}
	var illegal *machine.IllegalError
	if errors.As(err, &illegal) {
		return illegalStep(illegal)
	}
	var role *machine.RoleError
	if errors.As(err, &role) {
		return wrongRole(role)
	}
	for _, a := range slices.Concat(answers, signingKeyAnswers) {
		if errors.Is(err, a.err) {
			return a.answer()
		}
	}
	if f, ok := decisions.SerialFault(err); ok {
		return invalid(f.Pointer, f.Code, f.Detail)
	}
	return err
}

func sawPassword() error {
	return web.Forbidden("Dalam 30 hari terakhir salah satu dari Anda berdua memberi kata sandi sekali pakai kepada yang lain, jadi keduanya belum dihitung sebagai dua orang. Mintalah orang ketiga mengonfirmasi.").
		WithCode("saw-password")
}

func already() error {
	return web.Conflict("Data ini sudah dalam keadaan tersebut. Muat ulang, lalu periksa kembali.").WithCode("already-so")
}

func faulty(faults form.Faults) error {
	return refused(&decisions.Refusal{Detail: "Ada isian yang perlu diperbaiki.", Faults: faults})
}

func refused(r *decisions.Refusal) error {
	p := web.Unprocessable(r.Detail)
	for _, f := range r.Faults {
		p.Errors = append(p.Errors, web.FieldError{Pointer: f.Pointer, Code: f.Code, Detail: f.Detail})
	}
	return p
}

// notInForce is the answer to work that no PKS carries.
func notInForce(e *institution.NotInForceError) error {
	const then = " Permohonan ini tidak dapat diterima; kembalikan dengan alasan, atau perbarui data PKS dahulu."
	detail := fmt.Sprintf("PKS nomor “%s” tidak tercatat.", e.Number)
	if e.Lembaga != "" {
		detail = fmt.Sprintf("Tidak ada PKS dengan %s yang berlaku pada %s.", e.Lembaga, terbilang.FormatDate(e.Day))
	}
	if p := e.PKS; p != nil {
		period := fmt.Sprintf("(berlaku %s sampai %s)", terbilang.FormatDate(p.ValidFrom), terbilang.FormatDate(p.ValidTo))
		switch {
		case !p.LembagaActive:
			detail = fmt.Sprintf("%s, lembaga pengguna pada PKS nomor “%s”, sudah dinonaktifkan.", p.Institution, p.Number)
		case p.On(e.Day) == institution.PKSWithdrawn:
			detail = fmt.Sprintf("PKS nomor “%s” %s sudah dicabut", p.Number, period)
			if p.WithdrawnOn != nil {
				detail += " pada " + terbilang.FormatDate(*p.WithdrawnOn)
			}
			detail += "."
		default:
			detail = fmt.Sprintf("PKS nomor “%s” tidak berlaku pada %s %s.", p.Number, terbilang.FormatDate(e.Day), period)
		}
	}
	return web.Conflict(detail + then).WithCode("pks-not-in-force")
}

func table(name string) *machine.Table {
	for _, t := range append([]*machine.Table{need.Machine, recipe.Machine, template.Machine, stock.Words, activation.LetterMachine, activation.Machine, release.Machine}, report.Machines...) {
		if t.Name == name {
			return t
		}
	}
	return &machine.Table{Name: name}
}

func illegalStep(e *machine.IllegalError) error {
	t := table(e.Machine)
	return web.Conflict(fmt.Sprintf("%s ini dalam keadaan “%s”; langkah “%s” tidak dapat dilakukan sekarang.",
		subjects[e.Machine], t.Label(e.From), t.VerbLabel(e.Verb))).WithCode("illegal-step")
}

func wrongRole(e *machine.RoleError) error {
	step := table(e.Machine).VerbLabel(e.Verb)
	if label, ok := request.FactLabels[string(e.Verb)]; ok {
		step = label
	}
	return web.Forbidden(fmt.Sprintf("Peran %s tidak berwenang untuk langkah “%s”.", request.RoleLabels[e.Role], step))
}

// tooLate is the answer to a fact that the state of the request has overtaken.
func tooLate(e *decisions.TooLateError) error {
	return web.Conflict(fmt.Sprintf("Permohonan ini dalam keadaan “%s”; “%s” tidak dapat dicatat sekarang.",
		request.Machine.Label(e.State), request.FactLabels[e.Fact])).WithCode("illegal-step")
}
