package xlsx_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
)

func TestWhatASheetHides(t *testing.T) {
	t.Parallel()
	odd := excel(t, "S", func(f *excelize.File) {
		require.NoError(t, f.SetCellValue("S", "A1", "x"))
		require.NoError(t, f.SetRowVisible("S", 3, false))
		require.NoError(t, f.SetRowHeight("S", 5, 0))
		require.NoError(t, f.SetRowHeight("S", 6, 20))
		require.NoError(t, f.SetColVisible("S", "B:C", false))
		require.NoError(t, f.SetColWidth("S", "E", "E", 12))
		require.NoError(t, f.MergeCell("S", "A7", "C8"))
	})
	l, err := open(t, odd).Layout("S")
	require.NoError(t, err)
	require.Equal(t, []int{3, 5}, l.HiddenRows)
	require.Equal(t, [][2]int{{2, 3}}, l.HiddenColumns)
	require.Equal(t, []xlsx.Area{{Ref: "A7:C8", FromCol: 1, FromRow: 7, ToCol: 3, ToRow: 8}}, l.Merged)

	l, err = open(t, excel(t, "S", func(*excelize.File) {})).Layout("S")
	require.NoError(t, err)
	require.Zero(t, l)
}

func TestALayoutThatIsNone(t *testing.T) {
	t.Parallel()
	var refused *xlsx.Error
	good := excel(t, "S", func(*excelize.File) {})
	_, err := open(t, good).Layout("T")
	require.True(t, errors.As(err, &refused) && refused.Code == xlsx.NoSheet, "%v", err)
	for _, sheet := range []string{`<worksheet><mergeCells><mergeCell ref="A1:?"/></mergeCells></worksheet>`, `<worksheet><cols`} {
		file := repack(t, good, "xl/worksheets/sheet1.xml", func(string) (string, bool) { return sheet, true })
		_, err := open(t, file).Layout("S")
		require.True(t, errors.As(err, &refused) && refused.Code == xlsx.Damaged, "%v", err)
	}
}
