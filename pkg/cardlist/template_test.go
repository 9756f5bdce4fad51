package cardlist_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/cardlist"
)

func TestTemplateChecksWhatExcelCan(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, cardlist.WriteSheet(&b, nil))
	book, err := excelize.OpenReader(&b)
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	require.Equal(t, []string{cardlist.Sheet, cardlist.Guide}, book.GetSheetList())
	require.Zero(t, book.GetActiveSheetIndex())

	rules, err := book.GetDataValidations(cardlist.Sheet)
	require.NoError(t, err)
	at := map[string]*excelize.DataValidation{}
	for _, r := range rules {
		at[r.Sqref] = r
		require.True(t, r.ShowErrorMessage && r.ShowInputMessage, r.Sqref)
		require.LessOrEqual(t, len(*r.PromptTitle), 32, "Excel's limit of a title")
		require.LessOrEqual(t, len(*r.ErrorTitle), 32, r.Sqref)
		require.LessOrEqual(t, len(*r.Prompt), 255, "Excel's limit of a message")
		require.LessOrEqual(t, len(*r.Error), 255, r.Sqref)
		require.LessOrEqual(t, len(r.Formula1), 255, "Excel's limit of a formula")
	}
	require.Len(t, at, 9)
	require.Equal(t, `EXACT(B1,"No. Seri Kartu SAM")`, at["B1"].Formula1)
	require.Equal(t, "custom", at["B2:B20001"].Type)
	require.Equal(t, "AND(ISTEXT(B2),64>=LEN(B2),LEN(B1)>0,COUNTIF(B$2:B$20001,B2)=1)", at["B2:B20001"].Formula1)
	require.Equal(t, "textLength", at["C2:C20001"].Type)
	require.Equal(t, "64", at["C2:C20001"].Formula2)
	require.Equal(t, "1000", at["E2:E20001"].Formula2)

	colours, err := book.GetConditionalFormats(cardlist.Sheet)
	require.NoError(t, err)
	require.Equal(t, "duplicate", colours["C2:C20001"][0].Type)
	require.Len(t, colours["B2:B20001"], 1, "the last of the two; excelize shows one per range")
	for _, cell := range []string{"B20001", "C20001"} {
		id, err := book.GetCellStyle(cardlist.Sheet, cell)
		require.NoError(t, err)
		style, err := book.GetStyle(id)
		require.NoError(t, err)
		require.Equal(t, 49, style.NumFmt, "%s is text", cell)
	}
	panes, err := book.GetPanes(cardlist.Sheet)
	require.NoError(t, err)
	require.True(t, panes.Freeze)
	require.Equal(t, "A2", panes.TopLeftCell)
	protection, err := book.GetSheetProtection(cardlist.Sheet)
	require.NoError(t, err)
	require.Empty(t, protection.Password)

	list, err := book.GetRows(cardlist.Sheet)
	require.NoError(t, err)
	require.Len(t, list, 1, "no example stands where it could be sent in")
	guide, err := book.GetRows(cardlist.Guide)
	require.NoError(t, err)
	var text strings.Builder
	for _, row := range guide {
		text.WriteString(strings.Join(row, "|") + "\n")
	}
	for _, part := range []string{"20.000 kartu", "CONTOH, jangan disalin", "|No. Seri Kartu SAM|", "Tempel Khusus", "Buku Kerja Excel (.xlsx)"} {
		require.Contains(t, text.String(), part)
	}
}
