package report

import (
	"io"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// WriteBoard writes the board as a workbook of one sheet: a row for each request of
// each day, and one for a day without any that the asker may know of.
func WriteBoard(w io.Writer, b *Board, today clock.Date) error {
	number := func(title string) xlsx.Column {
		return xlsx.Column{Title: title, Width: 11, Align: xlsx.Right, Number: true}
	}
	t := xlsx.Table{
		Sheet: "Papan", Landscape: true,
		Titles: []string{"PAPAN KAPASITAS PERSONALISASI", terbilang.FormatPeriod(b.From, b.To) + ", keadaan pada " + terbilang.FormatDate(today)},
		Columns: []xlsx.Column{
			{Title: "Tanggal", Width: 11, Date: true}, {Title: "Hari", Width: 9}, {Title: "Keterangan", Width: 28},
			number("Kapasitas"), number("Terpakai"), number("Kosong"),
			{Title: "Kode Tiket", Width: 22}, {Title: "Pemohon", Width: 30}, {Title: "Perintah kerja", Width: 15}, number("Direncanakan"),
			number("Berhasil"), number("Gagal"), number("Meragukan"), number("Rusak"), number("Di stasiun"), number("Menunggu"), number("Terbawa"),
		},
	}
	for _, day := range b.Days {
		note := day.Off
		if day.Reason != "" {
			note = day.Reason
		}
		head := []string{day.Day.String(), terbilang.DayName(day.Day.Weekday()), note}
		if day.Workday || day.Orders > 0 {
			head = append(head, strconv.Itoa(day.Capacity), strconv.Itoa(day.Used), strconv.Itoa(day.Free))
		}
		requests := b.Requests[day.Day]
		if len(requests) == 0 {
			t.Rows = append(t.Rows, head)
			continue
		}
		for _, r := range requests {
			row := append([]string{}, head...)
			row = append(row, r.Ticket, r.Institution, r.StateLabel)
			for _, n := range []int{r.Planned, r.Result.Clear, r.Result.Failed, r.Result.InDoubt, r.Result.Spoiled, r.Result.InHand, r.Result.Waiting, r.Result.Carried} {
				row = append(row, strconv.Itoa(n))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return xlsx.WriteTable(w, t)
}
