package cardlist

import (
	"fmt"
	"strconv"

	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Guide is the sheet that explains the list.
const Guide = "Petunjuk"

// LongestSerial and LongestRemarks bound a cell of the list, in characters.
const (
	LongestSerial  = 64
	LongestRemarks = 1000
)

// headers are the columns of the template, from A on.
var headers = []string{HeaderNumber, HeaderSerial, HeaderReaderSerial, HeaderKind, HeaderRemarks}

// column is the range of a column's cells down to the last row that is allowed.
func column(letter string) string { return fmt.Sprintf("%s2:%s%d", letter, letter, MostRows+1) }

// guardHeader keeps the names of the columns, by which the list is read. A
// password would also keep people from widening columns.
func guardHeader(book *excelize.File) error {
	for i, title := range headers {
		v := excelize.NewDataValidation(false)
		v.Sqref = string(rune('A'+i)) + "1"
		if err := v.SetRange(`EXACT(`+v.Sqref+`,"`+title+`")`, "", excelize.DataValidationTypeCustom, excelize.DataValidationOperatorBetween); err != nil {
			return err
		}
		v.SetInput("Kepala kolom", "Jangan mengubah kepala kolom ini: daftar dibaca menurut namanya. Cara mengisi ada pada lembar "+Guide+".")
		v.SetError(excelize.DataValidationErrorStyleStop, "Kepala kolom tidak boleh diubah",
			"Kepala kolom ini harus tetap \""+title+"\". Tekan Batal untuk mengembalikannya.")
		if err := book.AddDataValidation(Sheet, v); err != nil {
			return err
		}
	}
	return nil
}

// guardCells checks what is typed into the cells. Excel does not check what is
// pasted; showFaults and the validator do.
func guardCells(book *excelize.File) error {
	serial := excelize.NewDataValidation(true)
	serial.Sqref = column("B")
	// Excelize writes a formula as it stands, so that it may hold no "<".
	rule := fmt.Sprintf(`AND(ISTEXT(B2),%d>=LEN(B2),LEN(B1)>0,COUNTIF(B$2:B$%d,B2)=1)`, LongestSerial, MostRows+1)
	if err := serial.SetRange(rule, "", excelize.DataValidationTypeCustom, excelize.DataValidationOperatorBetween); err != nil {
		return err
	}
	serial.SetInput(HeaderSerial, "Ketik sebagai teks, satu kartu satu baris, tanpa baris kosong di antaranya. Paling panjang "+
		strconv.Itoa(LongestSerial)+" huruf.")
	serial.SetError(excelize.DataValidationErrorStyleStop, HeaderSerial+" belum benar",
		"Nomor seri harus berupa teks paling panjang "+strconv.Itoa(LongestSerial)+" huruf, belum ada dalam daftar ini, dan baris di atasnya sudah terisi.")
	if err := book.AddDataValidation(Sheet, serial); err != nil {
		return err
	}
	for _, c := range []struct {
		letter, title, help string
		most                int
	}{
		{"C", HeaderReaderSerial, "Nomor seri reader yang memakai kartu ini. Kosongkan untuk SAM Rekam Cetak.", LongestSerial},
		{"D", HeaderKind, "Jenis kartu atau reader. Boleh dikosongkan.", LongestRemarks},
		{"E", HeaderRemarks, "Catatan untuk kartu ini. Boleh dikosongkan.", LongestRemarks},
	} {
		v := excelize.NewDataValidation(true)
		v.Sqref = column(c.letter)
		if err := v.SetRange(1, c.most, excelize.DataValidationTypeTextLength, excelize.DataValidationOperatorBetween); err != nil {
			return err
		}
		v.SetInput(c.title, c.help)
		v.SetError(excelize.DataValidationErrorStyleStop, c.title+" terlalu panjang",
			"Isi paling panjang "+terbilang.FormatInt(int64(c.most))+" huruf.")
		if err := book.AddDataValidation(Sheet, v); err != nil {
			return err
		}
	}
	return nil
}

// showFaults colours repeated serials, and cells without a serial in rows that
// have something else.
func showFaults(book *excelize.File) error {
	repeated, err := book.NewConditionalStyle(&excelize.Style{
		Font: &excelize.Font{Color: "9C0006"}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"FFC7CE"}},
	})
	if err != nil {
		return err
	}
	missing, err := book.NewConditionalStyle(&excelize.Style{Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"FFEB9C"}}})
	if err != nil {
		return err
	}
	for _, letter := range []string{"B", "C"} {
		if err := book.SetConditionalFormat(Sheet, column(letter), []excelize.ConditionalFormatOptions{
			{Type: "duplicate", Criteria: "=", Format: &repeated},
		}); err != nil {
			return err
		}
	}
	return book.SetConditionalFormat(Sheet, column("B"), []excelize.ConditionalFormatOptions{
		{Type: "formula", Criteria: `AND(LEN($B2)=0,COUNTA($C2:$E2)>0)`, Format: &missing},
	})
}

// setUpPrint prints the list on A4 with its header on each page.
func setUpPrint(book *excelize.File) error {
	paper, width, height, fit := 9, 1, 0, true
	if err := book.SetPageLayout(Sheet, &excelize.PageLayoutOptions{Size: &paper, FitToWidth: &width, FitToHeight: &height}); err != nil {
		return err
	}
	if err := book.SetSheetProps(Sheet, &excelize.SheetPropsOptions{FitToPage: &fit}); err != nil {
		return err
	}
	return book.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: Sheet + "!$1:$1", Scope: Sheet})
}
