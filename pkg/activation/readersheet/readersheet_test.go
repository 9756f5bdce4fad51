package readersheet_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/readersheet"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
)

var lines = []activation.Line{
	{Reader: "R-001", SAM: "0001", Origin: "0001", Perso: "M-1", PCID: strings.Repeat("A", 32), MachineType: "Type IdGlobalScan GSX-01", Mode: "Online", Address: "Jl. Contoh No. 1", Region: "Kota Bandung"},
	{Reader: "R-002", SAM: "0002", Perso: "M-2", PCID: strings.Repeat("1", 32), MachineType: "Type IdGlobalScan GSX-01", Mode: "Offline", Address: "Jl. Contoh No. 2", Region: "Kota Bogor"},
}

func written(t *testing.T, edit func(f *excelize.File)) *bytes.Reader {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, readersheet.Write(&b, lines, []string{"Type IdGlobalScan GSX-01"}))
	if edit == nil {
		return bytes.NewReader(b.Bytes())
	}
	f, err := excelize.OpenReader(&b)
	require.NoError(t, err)
	edit(f)
	var out bytes.Buffer
	require.NoError(t, f.Write(&out))
	require.NoError(t, f.Close())
	return bytes.NewReader(out.Bytes())
}

func told(wrong form.Faults) (all []string) {
	for _, f := range wrong {
		all = append(all, f.Pointer+" "+f.Code)
	}
	return all
}

// What is written is read back, zeros and all.
func TestReadBack(t *testing.T) {
	t.Parallel()
	r := written(t, nil)
	c, wrong, err := readersheet.Read(r, r.Size())
	require.NoError(t, err)
	require.Empty(t, wrong)
	require.Equal(t, lines, c.Lines)
	empty := bytes.Buffer{}
	require.NoError(t, readersheet.Write(&empty, nil, nil))
	_, wrong, err = readersheet.Read(bytes.NewReader(empty.Bytes()), int64(empty.Len()))
	require.NoError(t, err)
	require.Equal(t, []string{"/list empty"}, told(wrong))
}

// All that is wrong is told at its cell: by the workbook's own faults, and by those of its
// lines.
func TestFaultsHaveTheirCells(t *testing.T) {
	t.Parallel()
	r := written(t, func(f *excelize.File) {
		require.NoError(t, f.SetCellFormula(readersheet.Sheet, "B3", "=1+1"))
		require.NoError(t, f.SetCellInt(readersheet.Sheet, "F4", 12))
		require.NoError(t, f.SetCellStr(readersheet.Sheet, "H4", "malam"))
		require.NoError(t, f.SetCellStr(readersheet.Sheet, "C4", "0001"))
	})
	c, wrong, err := readersheet.Read(r, r.Size())
	require.NoError(t, err)
	require.Equal(t, []string{"list!Daftar Reader!B3 formula", "list!Daftar Reader!F4 wrong_form"}, told(wrong))
	f := activation.Form{Produsen: "P", Number: "1", Date: clock.MustParseDate("2026-11-20"), Subject: "S", Leader: "L", LeaderPost: "D"}
	more := told(c.Point(activation.Tidy(&f, c.Lines, false, clock.MustParseDate("2026-11-23"))))
	require.Contains(t, more, "list!Daftar Reader!H4 unknown_value")
	require.Contains(t, more, "list!Daftar Reader!C4 repeated")
}

func TestOtherFiles(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"text": "halo", "nothing": ""} {
		_, wrong, err := readersheet.Read(strings.NewReader(body), int64(len(body)))
		require.NoError(t, err, name)
		require.Len(t, wrong, 1, name)
		require.Equal(t, "/list", wrong[0].Pointer)
	}
	r := written(t, func(f *excelize.File) { require.NoError(t, f.SetCellStr(readersheet.Sheet, "B2", "Lain")) })
	_, wrong, err := readersheet.Read(r, r.Size())
	require.NoError(t, err)
	require.Equal(t, []string{"/list header_missing"}, told(wrong))
}
