package oldregister_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/test/harness"
)

// amend asks for a correction.
func amend(t *testing.T, db *postgres.DB, a oldregister.Amendment) (string, error) {
	t.Helper()
	a.By, a.Now = "petugas uji", morning
	if a.Reason == "" {
		a.Reason = "salah salin"
	}
	var out strings.Builder
	err := oldregister.Correct(t.Context(), db, a, &out)
	return out.String(), err
}

var code = regexp.MustCompile(`-confirm ([0-9a-f]{8})\n$`)

// confirmed asks, and asks again with the code.
func confirmed(t *testing.T, db *postgres.DB, a oldregister.Amendment) string {
	t.Helper()
	out, err := amend(t, db, a)
	require.NoError(t, err, out)
	require.Regexp(t, code, out)
	a.Confirm = code.FindStringSubmatch(out)[1]
	out, err = amend(t, db, a)
	require.NoError(t, err, out)
	return out
}

func TestARowIsCorrectedInTwoSteps(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	path := list(t, "receive-report-08102019.xlsx", receiveReport(t))
	_, err := run(t, db, oldregister.Order{}, path)
	require.NoError(t, err)

	change := oldregister.Amendment{Entry: "seri= sam-00001", Changes: []string{"seri=sam-10001", "manifest=", "tanggal=8 Oktober 2019", "Keterangan=Berhasil "}}
	out, err := amend(t, db, change)
	require.NoError(t, err)
	for _, says := range []string{
		`Baris 6 lembar "Data Receive" berkas receive-report-08102019.xlsx (diimpor 23-11-2026 09.00 WIB oleh petugas uji), edisi 1`,
		"No. Seri Kartu SAM: SAM-00001 -> SAM-10001\n", "No. PCID: " + pcid(1) + " (tetap)\n", "No. Manifest Kartu SAM: M-19-1 -> (tidak ada)\n",
		"Tanggal Terbit: (tidak ada) -> 2019-10-08\n", "Keterangan: Berhasil (tetap)\n", "Alasan: salah salin\n", "Belum ada yang ditulis.",
	} {
		require.Contains(t, out, says)
	}
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM register_entry WHERE standing`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM register_correction`))

	// The code is for exactly this.
	other := change
	other.Confirm, other.Reason = code.FindStringSubmatch(out)[1], "sebab lain"
	_, err = amend(t, db, other)
	require.ErrorContains(t, err, "kode -confirm tidak cocok")
	require.Contains(t, confirmed(t, db, change), "Dikoreksi: edisi 2 berlaku.")
	require.Equal(t, 1, count(t, db, `SELECT count(*) FROM register_standing WHERE serial = 'SAM-10001' AND edition = 2 AND row = 6 AND manifest_no IS NULL
		AND pcid = $1 AND issued_on = '2019-10-08'`, pcid(1)))
	_, err = amend(t, db, change)
	require.ErrorContains(t, err, "tidak ada baris register yang berlaku dengan seri= sam-00001")

	out = confirmed(t, db, oldregister.Amendment{Entry: "pcid=" + pcid(1), Withdraw: true, Reason: "bukan kartu SAM"})
	require.Contains(t, out, "Edisi 1 dikoreksi 23-11-2026 09.00 WIB oleh petugas uji: salah salin")
	require.Contains(t, out, "No. PCID: "+pcid(1)+" -> (tidak ada)")
	require.Contains(t, out, "Ditarik:")
	out, err = run(t, db, oldregister.Order{}, path)
	require.NoError(t, err)
	require.Contains(t, out, "2 baris sudah ada dalam register dan dibiarkan.\n  1 baris sama dengan isi register yang sudah dikoreksi atau ditarik, dan dilewati.\n"+
		"  Tidak ada yang baru: 0 baris diimpor.")
	require.Equal(t, 2, count(t, db, `SELECT count(*) FROM register_standing`))
}

func TestCorrectionsThatCannotBe(t *testing.T) {
	t.Parallel()
	db := harness.DB(t)
	_, err := run(t, db, oldregister.Order{}, list(t, "receive-report-08102019.xlsx", receiveReport(t)))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		a    oldregister.Amendment
		says string
	}{
		"nothing to do":     {oldregister.Amendment{Entry: "seri=SAM-00001"}, "wajib diisi"},
		"both":              {oldregister.Amendment{Entry: "seri=SAM-00001", Withdraw: true, Changes: []string{"seri=SAM-9"}}, "-withdraw menarik seluruh baris"},
		"unknown column":    {oldregister.Amendment{Entry: "nomor=SAM-00001", Withdraw: true}, "salah satu kolom: seri, pcid, manifest"},
		"no number":         {oldregister.Amendment{Entry: "produsen=PT Contoh", Withdraw: true}, "tidak ada nomor"},
		"unknown row":       {oldregister.Amendment{Entry: "seri=SAM-9", Withdraw: true}, "tidak ada baris register yang berlaku"},
		"a bad number":      {oldregister.Amendment{Entry: "seri=SAM-00001", Changes: []string{"pcid=12"}}, "harus 32 digit"},
		"a bad day":         {oldregister.Amendment{Entry: "seri=SAM-00001", Changes: []string{"tanggal=kemarin"}}, "Tanggal Terbit tidak terbaca"},
		"no number left":    {oldregister.Amendment{Entry: "seri=SAM-00003", Changes: []string{"seri="}}, "pakai -withdraw"},
		"as it is":          {oldregister.Amendment{Entry: "seri=SAM-00001", Changes: []string{"seri=sam-00001"}}, "tidak ada yang berubah"},
		"of another row":    {oldregister.Amendment{Entry: "seri=SAM-00001", Changes: []string{"seri=sam-00002"}}, "koreksi tidak dapat dilakukan"},
		"a code of nothing": {oldregister.Amendment{Entry: "seri=SAM-00001", Withdraw: true, Confirm: "00000000"}, "kode -confirm tidak cocok"},
	} {
		out, err := amend(t, db, c.a)
		require.ErrorContains(t, err, c.says, name)
		if name == "of another row" {
			require.Contains(t, out, `No. Seri Kartu SAM SAM-00002 sudah ada pada baris lain register (berkas receive-report-08102019.xlsx, lembar "Data Receive", baris 7).`)
		}
	}
	require.Equal(t, 3, count(t, db, `SELECT count(*) FROM register_entry WHERE standing`))
	require.Zero(t, count(t, db, `SELECT count(*) FROM audit WHERE action = 'register.corrected'`))
}
