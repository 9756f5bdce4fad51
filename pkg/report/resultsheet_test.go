package report

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

func TestRemarkOfAReducedCard(t *testing.T) {
	t.Parallel()
	off := func(was string, state perso.CardRow) perso.CardRow {
		state.State = perso.Reduced
		state.Reduction = &perso.TakenOff{LetterNumber: "7", LetterDate: clock.MustParseDate("2026-11-24"), Was: perso.Failed, WasLabel: was}
		return state
	}
	require.Equal(t, "Gagal: kartu menolak; dikurangi dari permohonan menurut surat nomor 7 tanggal 24 November 2026",
		remark(off("Gagal", perso.CardRow{Reason: "kartu menolak"})))
	listed := off("Menunggu", perso.CardRow{})
	listed.Reduction.Was = perso.Listed
	require.Equal(t, "Dikurangi dari permohonan menurut surat nomor 7 tanggal 24 November 2026", remark(listed))
}

// TestTheListFromOneCardToAThousand has the layout of features.md G22 and G23, its numbers
// as text whatever digits they are of, and prints across with its heads on every page.
func TestTheListFromOneCardToAThousand(t *testing.T) {
	t.Parallel()
	require.Equal(t, "receive-report-08102019", ResultSheetName(clock.MustParseDate("2019-10-08")))
	long := "PT " + strings.Repeat("Nama Panjang ", 5) + "Sentosa Jaya" // 80 letters
	for _, n := range []int{1, 25, 250, 1000} {
		sheet := ResultSheet{Produsen: long, Lembaga: long + " dan " + long, Note: "Serah terima ke-1: " + strconv.Itoa(n) + " keping"}
		for i := range n {
			sheet.Cards = append(sheet.Cards, perso.CardRow{Serial: fmt.Sprintf("%013d", i+1), State: perso.Clear, PCID: fmt.Sprintf("36710001%024d", i+1), ManifestNo: fmt.Sprintf("M-2026-%06d", i+1)})
		}
		var b bytes.Buffer
		require.NoError(t, sheet.Write(&b))
		w, err := xlsx.Open(bytes.NewReader(b.Bytes()), int64(b.Len()), xlsx.Limits{})
		require.NoError(t, err)
		rows := map[int][]string{}
		for row, err := range w.Rows("Data Receive") {
			require.NoError(t, err)
			for col := 1; col <= 5; col++ {
				rows[row.Number] = append(rows[row.Number], row.Cell(col).Text)
			}
		}
		require.Len(t, rows, 3+1+n)
		require.Equal(t, "LAPORAN HASIL PERSONALISASI KARTU SAM "+strings.ToUpper(long), rows[1][0])
		require.Equal(t, "("+strings.ToUpper(sheet.Lembaga)+")", rows[2][0])
		require.Equal(t, sheet.Note, rows[3][0])
		require.Equal(t, []string{"No.", "No. Seri Kartu SAM", "No. Manifest Kartu SAM", "No. PCID", "Keterangan"}, rows[5])
		for i, c := range sheet.Cards {
			require.Equal(t, []string{strconv.Itoa(i + 1), c.Serial, c.ManifestNo, c.PCID, "Berhasil"}, rows[6+i])
		}
		page := inside(t, b.Bytes(), "xl/worksheets/sheet1.xml")
		require.NotContains(t, page, "<v>", "a cell that is a number would lose its zeros")
		for _, set := range []string{`fitToPage="true"`, `orientation="landscape"`, `fitToWidth="1"`, `fitToHeight="0"`, "Halaman &amp;P dari &amp;N"} {
			require.Contains(t, page, set)
		}
		require.Contains(t, inside(t, b.Bytes(), "xl/workbook.xml"), `name="_xlnm.Print_Titles">&#39;Data Receive&#39;!$5:$5<`)
	}
}

// inside is a part of a workbook.
func inside(t *testing.T, workbook []byte, name string) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(workbook), int64(len(workbook)))
	require.NoError(t, err)
	f, err := z.Open(name)
	require.NoError(t, err)
	body, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(body)
}
