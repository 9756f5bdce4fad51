package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/daemon"
	"dukcapil.go.id/sifilma/pkg/docx"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/xlsx"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// patience is for a hang, not a measure: LibreOffice is slow on a busy machine.
const patience = time.Minute

func TestShippedConfigurationIsValid(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := daemon.Run("document-generator", []string{"-check-config", "-config", harness.Shipped(t, "document-generator")}, &out, &errs, nil, defaults, wire)
	require.Zero(t, code, errs.String())
}

func TestConfigurationFaultsAreFound(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("../../configs/document-generator.yaml")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, says string }{
		"portal with a path":     {"portal_url: https://sifilma.dukcapil.kemendagri.go.id", "portal_url: https://x/portal", "portal_url"},
		"no portal":              {"portal_url: https://sifilma.dukcapil.kemendagri.go.id", "portal_url: ''", "portal_url"},
		"number without counter": {`bast: "400.8.2.15/{urut}/Dukcapil"`, `bast: "400.8.2.15/Dukcapil"`, "numbering.bast"},
		"unknown part":           {`bast: "400.8.2.15/{urut}/Dukcapil"`, `bast: "{kode}/{urut}"`, "numbering.bast"},
		"no workers":             {"workers: 2", "workers: 0", "workers"},
		"no office program":      {"soffice: soffice", `soffice: ""`, "libreoffice.soffice"},
		"no broker":              {"url: amqp://sifilma@127.0.0.1:5672/sifilma", "url: ''", "rabbit: url is missing"},
		"unknown key":            {"poll: 10s", "pol: 10s", "pol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, string(shipped), c.old)
			path := filepath.Join(t.TempDir(), "generator.yaml")
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(shipped), c.old, c.new, 1)), 0o600))
			var out, errs bytes.Buffer
			code := daemon.Run("document-generator", []string{"-check-config", "-config", path}, &out, &errs, nil, defaults, wire)
			require.Equal(t, 2, code)
			require.Contains(t, errs.String(), c.says)
		})
	}
}

// surroundings are those of a daemon on an office, under its own database role.
func surroundings(t *testing.T, o *paperoffice.Office, more, address string) *harness.Daemon {
	t.Helper()
	return &harness.Daemon{Postgres: o.Database.Config(t, "sifilma_document_generator"),
		Rabbit: harness.NewVhost(t).Config("document-generator"), More: more, Addr: address}
}

// run starts the daemon on an office until the test ends.
func run(t *testing.T, o *paperoffice.Office, more, address string) {
	t.Helper()
	surroundings(t, o, more, address).Start(t, paperoffice.At, func(args []string, log io.Writer, signals <-chan os.Signal) int {
		return daemon.Run("document-generator", args, io.Discard, log, signals, defaults, wire)
	})
}

// papers waits until the request has n papers with their files, and returns
// the newest of each kind.
func papers(t *testing.T, o *paperoffice.Office, r paperoffice.Request, n int) map[string]letter.Document {
	t.Helper()
	byKind := map[string]letter.Document{}
	require.Eventually(t, func() bool {
		list, err := letter.List(context.Background(), o.DB, r.ID)
		if err != nil {
			return false
		}
		made := 0
		for _, d := range list {
			byKind[d.Kind] = d
			if d.State == letter.AwaitingSignature || d.State == letter.Issued {
				made++
			}
		}
		return made == n
	}, patience, 50*time.Millisecond)
	return byKind
}

// file reads a paper's file from the database.
func file(t *testing.T, o *paperoffice.Office, d letter.Document, format string) (body []byte, name string) {
	t.Helper()
	id, ok := d.File(format)
	require.True(t, ok, "%s has no %s", d.Kind, format)
	r, info, err := blob.Open(t.Context(), o.DB, uuid.MustParse(id))
	require.NoError(t, err)
	body, err = io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return body, info.Name
}

// pdfText is what a reader of the PDF sees, with single spaces.
func pdfText(t *testing.T, pdf []byte) string {
	t.Helper()
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(out)), " ")
}

func pages(t *testing.T, pdf []byte) int {
	t.Helper()
	n, err := docx.PageCount(pdf)
	require.NoError(t, err)
	return n
}

// TestFromDoneToHandover: the office's papers of one request, as people get them.
func TestFromDoneToHandover(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 25, Failed: 2, Lembaga: []string{"PT Bank Contoh Nusantara", "PT Asuransi Contoh Sejahtera"}})
	run(t, o, "content: {copies: [Direktur FPDDK, Kepala Subdirektorat KI]}", "127.0.0.1:0")
	r := o.Done(t)
	made := papers(t, o, r, 3)

	reply, completion, list := made[letter.ReplyLetter], made[letter.CompletionLetter], made[letter.ResultList]
	require.Equal(t, "400.8.2.15/1/Dukcapil", *reply.Number)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *completion.Number)
	require.Equal(t, letter.AwaitingSignature, reply.State)
	require.Equal(t, letter.AwaitingSignature, completion.State)
	require.Equal(t, letter.Issued, list.State, "a list wants no signature")
	require.Nil(t, list.Number)

	pdf, name := file(t, o, reply, "pdf")
	require.Equal(t, "surat-balasan-"+r.Ticket+".pdf", name)
	require.Equal(t, 1, pages(t, pdf))
	text := pdfText(t, pdf)
	for _, part := range []string{
		"KEMENTERIAN DALAM NEGERI REPUBLIK INDONESIA", "Nomor : 400.8.2.15/1/Dukcapil", "Jakarta, 23 November 2026",
		"Yth. Direktur Utama", "Nomor 017/PCN/XI/2026 tanggal 9 November 2026 perihal Permohonan Personalisasi Kartu SAM",
		"kartu SAM fungsi R (Read)", "PT Bank Contoh Nusantara dan PT Asuransi Contoh Sejahtera", "20 s.d. 23 November 2026",
		"25 (dua puluh lima) keping", "Direktur Jenderal Kependudukan dan Pencatatan Sipil", "Pejabat Contoh", "NIP. 197001011995031001", "Tembusan: 1. Direktur FPDDK 2. Kepala Subdirektorat KI", r.Ticket,
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "Konsep")
	draft, _ := file(t, o, reply, "docx")
	words, err := docx.Text(draft)
	require.NoError(t, err)
	require.Contains(t, words, "Konsep", "the Word file says that it is a draft")

	pdf, _ = file(t, o, completion, "pdf")
	require.Equal(t, 1, pages(t, pdf))
	text = pdfText(t, pdf)
	for _, part := range []string{
		"SURAT KETERANGAN", "400.8.2.15/2/Dukcapil", "PT Produsen Contoh", "Direktur Fasilitasi Pemanfaatan Data dan Dokumen Kependudukan",
		"25 (dua puluh lima) keping", "2 (dua) keping gagal, seluruhnya telah diganti dengan kartu pengganti.",
	} {
		require.Contains(t, text, part)
	}

	sheet, name := file(t, o, list, "xlsx")
	require.Equal(t, "receive-report-23112026.xlsx", name)
	checkList(t, sheet, r)

	h := o.Open(t, r, 10)
	bast := papers(t, o, r, 4)[letter.BAST]
	require.Equal(t, "400.8.2.15/3/Dukcapil", *bast.Number)
	pdf, name = file(t, o, bast, "pdf")
	require.Equal(t, "bast-"+r.Ticket+"-1.pdf", name)
	text = pdfText(t, pdf)
	for _, part := range []string{
		"BERITA ACARA SERAH TERIMA HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH Nomor : 400.8.2.15/3/Dukcapil",
		"Pada hari ini Senin Tanggal Dua Puluh Tiga Bulan November Tahun Dua Ribu Dua Puluh Enam",
		"Jl. Raya Pasar Minggu Km. 19, Jakarta Selatan 12072", "Jl. Contoh Industri No. 1, Jakarta Selatan", "Wakil Produsen Contoh",
		"Berdasarkan Surat Direktur Utama PT Produsen Contoh Nomor 017/PCN/XI/2026 tanggal 9 November 2026",
		"sebanyak 10 (sepuluh) keping, sebagai penyerahan ke-1 dari jumlah seluruhnya 25 (dua puluh lima) keping dengan sisa 15 (lima belas) keping, dengan nomor asal", "PT Bank Contoh Nusantara dan PT Asuransi Contoh Sejahtera", "Jumlah: 10 (sepuluh) keping.",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "Konsep")
	for i, serial := range r.Serials {
		require.Equal(t, i < 10, strings.Contains(text, serial), serial)
	}
	ready, err := handover.Get(t.Context(), o.DB, h.ID)
	require.NoError(t, err)
	require.Equal(t, handover.BASTDrafted, ready.State)

	second := o.Open(t, r, 0)
	require.Equal(t, 15, second.Quantity)
	bast = papers(t, o, r, 5)[letter.BAST]
	pdf, name = file(t, o, bast, "pdf")
	require.Equal(t, "bast-"+r.Ticket+"-2.pdf", name)
	text = pdfText(t, pdf)
	require.Contains(t, text, "sebanyak 15 (lima belas) keping, sebagai penyerahan ke-2 dari jumlah seluruhnya 25 (dua puluh lima) keping tanpa sisa, dengan nomor asal")
	for i, serial := range r.Serials {
		require.Equal(t, i >= 10, strings.Contains(text, serial), serial)
	}
}

// checkList reads the result list as Excel does (features.md G22, G23).
func checkList(t *testing.T, sheet []byte, r paperoffice.Request) {
	t.Helper()
	w, err := xlsx.Open(bytes.NewReader(sheet), int64(len(sheet)), xlsx.Limits{})
	require.NoError(t, err)
	var rows [][]string
	numbers := map[int]int{}
	for row, err := range w.Rows("Data Receive") {
		require.NoError(t, err)
		numbers[row.Number] = len(rows)
		var cells []string
		for col := 1; col <= 5; col++ {
			cells = append(cells, row.Cell(col).Text)
		}
		rows = append(rows, cells)
	}
	require.Equal(t, "LAPORAN HASIL PERSONALISASI KARTU SAM PT PRODUSEN CONTOH", strings.Join(rows[numbers[1]], ""))
	require.Equal(t, "(PT BANK CONTOH NUSANTARA DAN PT ASURANSI CONTOH SEJAHTERA)", strings.Join(rows[numbers[2]], ""))
	require.Equal(t, []string{"No.", "No. Seri Kartu SAM", "No. Manifest Kartu SAM", "No. PCID", "Keterangan"}, rows[numbers[5]])
	require.Len(t, rows, 2+1+27)
	require.Equal(t, []string{"1", r.Serials[0], "M-2026-01000001", "36710001" + strings.Repeat("0", 23) + "1", "Berhasil"}, rows[numbers[6]])
	failed := rows[numbers[5+24]]
	require.Equal(t, "24", failed[0])
	require.Empty(t, failed[2]+failed[3], "burnt numbers are not for use")
	require.Equal(t, "Gagal: Kartu menolak penulisan (jawaban kartu 6581); diganti dengan "+r.Serials[23], failed[4])
	require.Equal(t, "Berhasil; pengganti "+failed[1], rows[numbers[5+26]][4])
}

// TestSizesAndNames: the smallest request, a whole day's, names of eighty
// letters; digits agree with words, every card is listed, letters keep to a page.
func TestSizesAndNames(t *testing.T) {
	t.Parallel()
	long := "PT Perusahaan Perseroan Contoh Dengan Nama Yang Sangat Panjang Sekali Nusantara"
	for name, c := range map[string]struct {
		plan             paperoffice.Plan
		bast             int
		quantity, naming string
		function, use    string
	}{
		"one card": {paperoffice.Plan{Cards: 1, Kind: request.KindRekamCetak, Function: "Cetak"}, 2,
			"sebanyak 1 (satu) keping", "PT Bank Contoh Nusantara", "fungsi Cetak", "perekaman dan pencetakan KTP-el"},
		"a day, long names": {paperoffice.Plan{Cards: 250, Failed: 12, Produsen: long, Signer: "Prof. Dr. Ir. " + long[:66],
			Lembaga: []string{"Lembaga Pertama " + long[:64], "Lembaga Kedua " + long[:66]}}, 7,
			"sebanyak 250 (dua ratus lima puluh) keping", "Lembaga Kedua", "fungsi R (Read)", "Card Reader Terintegrasi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := paperoffice.New(t, c.plan)
			run(t, o, "", "127.0.0.1:0")
			r := o.Done(t)
			o.Open(t, r, 0)
			made := papers(t, o, r, 4)
			bast, _ := file(t, o, made[letter.BAST], "pdf")
			require.Equal(t, c.bast, pages(t, bast))
			text := pdfText(t, bast)
			for _, part := range []string{c.quantity, c.naming, c.function, c.use} {
				require.Contains(t, text, part)
			}
			for _, serial := range r.Serials {
				require.Contains(t, text, serial)
			}
			for _, kind := range []string{letter.ReplyLetter, letter.CompletionLetter} {
				pdf, _ := file(t, o, made[kind], "pdf")
				require.Equal(t, 1, pages(t, pdf), kind)
			}
		})
	}
}

// TestVoidPaperIsMadeAnew: what is void keeps its number, and the next one gets
// the next.
func TestVoidPaperIsMadeAnew(t *testing.T) {
	t.Parallel()
	o := paperoffice.New(t, paperoffice.Plan{Cards: 1})
	run(t, o, "desk: {look: 1s}", "127.0.0.1:0")
	r := o.Done(t)
	first := papers(t, o, r, 3)[letter.CompletionLetter]
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Cancel(ctx, tx, first, paperoffice.As(request.Persuratan, "salah nama"))
		return err
	})
	second := papers(t, o, r, 3)[letter.CompletionLetter]
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, "400.8.2.15/3/Dukcapil", *second.Number)
	void, err := letter.Get(t.Context(), o.DB, first.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Void, void.State)
	require.Equal(t, "400.8.2.15/2/Dukcapil", *void.Number)
}
