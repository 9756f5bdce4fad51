package oldregister

import (
	"bytes"
	"encoding/csv"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/register"
)

// readText reads a text as the import does and returns the rows that it would
// write.
func readText(t testing.TB, text string) ([]register.Entry, contents) {
	t.Helper()
	var entries []register.Entry
	f := &fileReader{file: strings.NewReader(text), size: int64(len(text)), today: clock.MustParseDate("2026-11-23")}
	c, err := f.read(func(e register.Entry) error {
		entries = append(entries, e)
		return nil
	})
	require.NoError(t, err)
	for _, line := range append(c.faults.lines(), c.warnings.lines()...) {
		require.True(t, strings.HasPrefix(line, "["), line)
	}
	return entries, c
}

// table writes entries as a list with all columns.
func table(t testing.TB, comma rune, entries []register.Entry) string {
	t.Helper()
	columns := []column{serial, pcid, manifestNo, readerSerial, chipID, produsen, lembaga, issuedOn, remarks}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = labels[c]
	}
	require.NoError(t, w.Write(head))
	for _, e := range entries {
		date := ""
		if !e.IssuedOn.IsZero() {
			date = e.IssuedOn.String()
		}
		require.NoError(t, w.Write([]string{e.Serial, e.PCID, e.ManifestNo, e.ReaderSerial, e.ChipID, e.Produsen, e.Lembaga, date, e.Remarks}))
	}
	w.Flush()
	require.NoError(t, w.Error())
	return b.String()
}

// FuzzCSV: whatever text is given for a list, it is read or refused with words,
// and the rows that are taken read the same when they are written again.
func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"No. Seri Kartu SAM;No. Seri Reader;Produsen;Lembaga Pengguna;Tgl BAST;Ket\r\nSAM1;R1;PT A;PT B;8 Oktober 2019;baik\r\n",
		"\xef\xbb\xbfNomor Asal,Nomor Seri Reader,Lembaga Produsen,Lembaga,Tanggal,Catatan\nSAM1,R1,PT A,PT B,08/10/2019,baik\n",
		"\"Register; lama\";;\n;;\nSERI SAM;Serial Reader\n\"sam1\";R1\n\n\"sam 2\";\"R\n2\"\n",
		"PCID;UID;Manifest\n0a0a0a0a-0a0a0a0a 0a0a0a0a:0a0a0a0a;04:aB:cd:01;m-1\n-;–;—\n=1+1;1,23457E+15;\u200bM 2\n",
		"Nomor Seri SAM,Seri Aneh,Seri SAM\nSAM1,x,y\n,,\n", "Seri SAM\n\"SAM1\n", "Seri SAM\n\"SAM1\"x\n", "Seri SAM;Ket\nSAM1;\xe9\n",
		"\xff\xfeS\x00", "tanpa kepala\n1\n2\n", "Seri SAM;Tgl;Ket\nSAM1;00/00/0000;\\.\nSAM2;1 jan 0001;\"a\"\"b\"\nSAM3;2999-01-01;\ufeffx\n",
		"Seri SAM\n" + strings.Repeat("SAM1;", 20) + "\n", strings.Repeat(";", 300) + "\nSeri SAM\rSAM1\r", "SERISAM \n\"0\";\n\"",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, c := readText(t, text)
		if c.faults.none() {
			require.LessOrEqual(t, len(entries), c.rows)
		}
		if len(entries) == 0 {
			return
		}
		last := 0
		for i := range entries {
			require.Greater(t, entries[i].Row, last)
			last, entries[i].Row, entries[i].Sheet = entries[i].Row, i+2, ""
		}
		for _, comma := range []rune{';', ','} {
			again, c := readText(t, table(t, comma, entries))
			require.Empty(t, c.faults.lines())
			require.Equal(t, entries, again)
		}
	})
}

// A row without an end is refused, wherever it begins, in the memory of a row.
func TestARowWithoutAnEndIsRefused(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	for name, text := range map[string]string{
		"a quotation mark that is not closed": "Seri SAM\nSAM1\n\"" + strings.Repeat("SAM2\n", 8<<20),
		"one line":                            "Seri SAM\nSAM1\n" + strings.Repeat("SAM2 ", 8<<20),
		"too many columns":                    "Seri SAM\nSAM1\n" + strings.Repeat(";", mostColumns) + "\n",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		entries, c := readText(t, text)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), name)
		require.Len(t, entries, 1, name)
		require.Equal(t, []string{"[csv] Baris sesudah baris 2 lebih panjang dari 256 KB atau memuat lebih dari 16.384 kolom, " +
			"sehingga bukan baris sebuah daftar; biasanya ada tanda kutip yang tidak ditutup. Perbaiki, atau simpan ulang dari Excel."}, c.faults.lines(), name)
	}
	long := "Seri SAM;Ket\nSAM1;" + strings.Repeat("x", 100<<10) + "\nSAM2;y\n"
	entries, c := readText(t, long)
	require.Len(t, entries, 2, "what is long is at fault by itself")
	require.Len(t, c.faults.lines(), 1)
	_, err := io.ReadAll(&rowLimit{from: strings.NewReader("x"), left: 0})
	require.ErrorAs(t, err, new(longRow))
}
