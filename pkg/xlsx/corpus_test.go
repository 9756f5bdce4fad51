package xlsx_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/xlsx"
	"dukcapil.go.id/sifilma/test/spoiled"
)

// differs are the lists in which excelize sees what Excel does not show.
var differs = map[string]bool{
	"rows outside of the data": true, // it reads any row, wherever in the sheet's part
}

// TestSameAsExcelizeOnTheCorpus reads every good list, of excelize, of
// LibreOffice and by hand, and sees in every cell of every sheet what excelize
// sees: the raw value, and the text as it is read where it is text.
func TestSameAsExcelizeOnTheCorpus(t *testing.T) {
	t.Parallel()
	compared := map[string]int{}
	for _, s := range append(spoiled.Sheets(t), spoiled.Converted(t)...) {
		if s.Refused != "" || differs[s.Name] {
			continue
		}
		w, err := xlsx.Open(bytes.NewReader(s.Body), int64(len(s.Body)), xlsx.Limits{Columns: 16_384})
		require.NoError(t, err, s.Name)
		e, err := excelize.OpenReader(bytes.NewReader(s.Body))
		if err != nil {
			require.False(t, s.Good(), "%s: excelize does not open it: %v", s.Name, err)
			continue
		}
		maker := "excelize and by hand"
		if strings.HasPrefix(s.Name, "LibreOffice") {
			maker = "LibreOffice"
		}
		for _, sheet := range w.Sheets() {
			if same(t, s, w, e, sheet.Name) {
				compared[maker]++
			}
		}
		require.NoError(t, e.Close())
	}
	require.Greater(t, compared["LibreOffice"], 10)
	require.Greater(t, compared["excelize and by hand"], 60)
}

// same compares the cells of a sheet; false when it is one that we refuse.
func same(t *testing.T, s spoiled.Sheet, w *xlsx.Workbook, e *excelize.File, sheet string) bool {
	t.Helper()
	type seen struct{ raw, text string }
	got := map[string]seen{}
	for row, err := range w.Rows(sheet) {
		if err != nil {
			require.False(t, s.Good(), "%s: %v", s.Name, err)
			return false
		}
		for _, c := range row.Cells {
			if c.Raw == "" {
				continue
			}
			v := seen{raw: c.Raw}
			if c.Kind == xlsx.Text {
				v.text = c.Text
			}
			got[c.Ref()] = v
		}
	}
	want := map[string]seen{}
	raw, err := e.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		require.False(t, s.Good(), "%s: excelize does not read it: %v", s.Name, err)
		return false
	}
	for i, row := range raw {
		for j, value := range row {
			ref := xlsx.ColumnName(j+1) + strconv.Itoa(i+1)
			if value == "" {
				continue
			}
			v := seen{raw: value}
			if got[ref].text != "" {
				v.text = value // text has no other form
			}
			want[ref] = v
		}
	}
	assert.Equal(t, want, got, fmt.Sprintf("%s, sheet %s", s.Name, sheet))
	return true
}
