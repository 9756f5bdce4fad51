package content

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/configs"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/letter/template"
)

// TestCountNote: the receipt says whether as many came as the list has.
func TestCountNote(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]letter.BlankCount{
		"Jumlah tersebut SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu 250 (dua ratus lima puluh) keping.":                               {Quantity: 250, Listed: 250},
		"Jumlah tersebut TIDAK SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu 250 (dua ratus lima puluh) keping: kurang 1 (satu) keping.": {Quantity: 249, Listed: 250},
		"Jumlah tersebut TIDAK SAMA dengan jumlah kartu pada daftar kartu permohonan, yaitu 1.000 (seribu) keping: lebih 100 (seratus) keping.":         {Quantity: 1100, Listed: 1000},
		"Blangko ini datang sesudah permohonan terdaftar, dengan keterangan: pengganti kartu gagal.":                                                    {Quantity: 5, MovementID: "x", Explanation: "pengganti kartu gagal."},
	} {
		require.Equal(t, want, countNote(n))
	}
}

// TestAskedPapersAsTheyArePrinted: the receipt for blanks, with names of eighty letters
// too, and the sheet of a still day, of a usual one and of one with sixty requests.
func TestAskedPapersAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	w := New(Defaults())
	day := clock.MustParseDate("2026-11-23")
	receipt := func(o office, n letter.BlankCount) facts {
		f := o.paper(letter.BlankReceipt)
		n.BroughtOn = day
		f.counted = n
		return f
	}
	brought, received := letter.Signature{Name: "Wakil Produsen Contoh", Post: "PIC Produsen"}, letter.Signature{Name: "Ani Pelaksana", Post: "Persuratan"}
	sheet := func(requests int) facts {
		s := letter.DayFacts{Day: day, At: day.At(17, 5), HeadSeq: 12345, HeadHash: strings.Repeat("0123456789abcdef", 4), Unsealed: 2,
			MadeBy: received, KnownBy: letter.Signature{Name: "Budi Kasubdit", Post: "Kepala Subdirektorat Keamanan Informasi"}}
		for i := range requests {
			ticket := fmt.Sprintf("SAM-2026-%06d-4", i+1)
			s.Written = append(s.Written, letter.WrittenCards{Ticket: ticket, Institution: "PT Produsen Contoh", Station: "perso-1", Clear: 100, Failed: 2, InDoubt: 1})
			s.Blanks = append(s.Blanks, letter.BlankFlow{Ticket: ticket, Opening: 250, Received: 5, Used: 103, Closing: 152})
		}
		return facts{doc: letter.Document{Kind: letter.DaySheet, Dated: &day, Token: strings.Repeat("0", 26)}, sheet: s, head: sampleHead(s)}
	}
	big := papersOfAllSizes()["long names"]
	long25 := made80(letter.DaySheet, 25, director)
	long25.sheet.MadeBy.Name = received.Name
	cases := []struct {
		name  string
		facts facts
		pages int
		says  []string
	}{
		{"receipt", receipt(office{cards: 250}, letter.BlankCount{Quantity: 250, Listed: 250, BroughtBy: brought, ReceivedBy: received}), 1, []string{
			"TANDA TERIMA BLANGKO KARTU SAM PT PRODUSEN CONTOH Nomor : 400.8.2.15/2350/Dukcapil", "Pada hari ini Senin Tanggal Dua Puluh Tiga Bulan November Tahun Dua Ribu Dua Puluh Enam, telah diterima blangko",
			"Diserahkan oleh : Wakil Produsen Contoh Jabatan : PIC Produsen Kode Tiket : SAM-2026-000123-4", "Surat Direktur Utama PT Pengirim Surat Contoh Nomor 017/PCN/XI/2026", "Lembaga Pengguna : PT Bank Contoh Nusantara",
			"Jumlah blangko : 250 (dua ratus lima puluh) keping", "SAMA dengan jumlah kartu", "Yang Menyerahkan, Yang Menerima,", "Wakil Produsen Contoh Ani Pelaksana"}},
		{"receipt, long names", receipt(big, letter.BlankCount{Quantity: 249, Listed: 250, BroughtBy: letter.Signature{Name: big.representative, Post: "PIC Produsen"}, ReceivedBy: received}), 1, []string{
			"TIDAK SAMA", "kurang 1 (satu) keping"}},
		{"receipt, later", receipt(office{cards: 5}, letter.BlankCount{Quantity: 5, MovementID: "x", Explanation: "Pengganti kartu gagal.", ReceivedBy: received}), 1, []string{"5 (lima) keping", "dengan keterangan: Pengganti kartu gagal.",
			"Diserahkan oleh : " + dots + " Jabatan : " + dots + " Kode Tiket", "Yang Menyerahkan, Yang Menerima, " + dots + " Persuratan PT Produsen Contoh"}},
		{"sheet, still day", sheet(0), 1, []string{"LEMBAR HARIAN PERSONALISASI KARTU SAM Senin, 23 November 2026", "akhir hari: 0 (nol) keping"}},
		{"sheet", sheet(3), 1, []string{"1 SAM-2026-000001-4 PT Produsen Contoh perso-1 100 2 1 0", "Jumlah 300 6 3 0", "Jumlah 750 15 309 456 0", "456 (empat ratus lima puluh enam) keping",
			"Keadaan pada 23 November 2026 pukul 17.05 WIB: catatan nomor 12.345, SHA-256 01234567 89abcdef 01234567 89abcdef 01234567 89abcdef 01234567 89abcdef", "belum dirantai: 2. Ditandatangani dengan kunci CONTOH-kunci-penanda-tangan-manifest-000000 " + strings.TrimSpace(strings.Repeat("01234567 89abcdef ", 8)) + " Simpan lembar ini",
			"Mengetahui, Disusun oleh,", "Budi Kasubdit Ani Pelaksana"}},
		{"sheet, long names", long25, 4, []string{"25 PSAM-2026-000024-0 PT Produsen Contoh", "Jumlah 6.175 25 25 25", "18.875 (delapan belas ribu delapan ratus tujuh puluh lima) keping"}},
		{"sheet, sixty requests", sheet(60), 3, []string{"60 SAM-2026-000060-4", "Jumlah 6.000 120 60 0"}},
	}
	sources := make([]docx.Source, len(cases))
	for i, c := range cases {
		source, err := configs.Template(template.Name(c.facts.doc.Kind))
		require.NoError(t, err)
		body, err := w.fill(source, c.facts, "")
		require.NoError(t, err)
		sources[i] = docx.Source{Name: c.name, Bytes: body}
	}
	pdfs := printAll(t, sources)
	for i, c := range cases {
		pages := pagesText(t, pdfs[i])
		require.Len(t, pages, c.pages, c.name)
		all := strings.Join(pages, " ")
		for _, part := range append(c.says, "Keaslian naskah ini dapat diperiksa pada", "KEMENTERIAN DALAM NEGERI REPUBLIK INDONESIA") {
			require.Contains(t, all, part, c.name)
		}
		for n, page := range pages {
			require.Contains(t, page, fmt.Sprintf("Halaman %d dari %d", n+1, len(pages)), c.name)
			require.NotContains(t, page, "{{")
			if before, _, closing := strings.Cut(page, "Demikian "); closing {
				require.Greater(t, len(before), 100, c.name)
				require.Contains(t, page, "Ani Pelaksana", c.name)
			}
		}
	}
}
