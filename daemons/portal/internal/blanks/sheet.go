package blanks

import (
	"io"
	"strconv"

	"dukcapil.go.id/sifilma/pkg/stock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

// Flow is a column of a day: its short name, and how many cards.
type Flow struct {
	Name string
	Of   func(stock.Day) int
}

// Flows are the columns of a day in the order in which they add up: what there was and
// came in, then what went, what is left, and what is in no bucket.
var Flows = []Flow{
	{"Awal", func(d stock.Day) int { return d.Opening }}, {"Diterima", func(d stock.Day) int { return d.Received }},
	{"Berhasil", func(d stock.Day) int { return d.Clear }}, {"Gagal", func(d stock.Day) int { return d.Failed }},
	{"Rusak", func(d stock.Day) int { return d.Spoiled }}, {"Meragukan", func(d stock.Day) int { return d.InDoubt }},
	{"Di stasiun", func(d stock.Day) int { return d.InHand }}, {"Kartu uji", func(d stock.Day) int { return d.Test }},
	{"Dikembalikan", func(d stock.Day) int { return d.Returned }}, {"Akhir", func(d stock.Day) int { return d.Closing }},
	{"Selisih", func(d stock.Day) int { return d.Difference }},
}

// Bucket is a place where blanks are, as people read it.
type Bucket struct {
	Name, Note string
	N          int
}

// Buckets are those of a balance in the order in which they add up to what was received.
func Buckets(b stock.Balance) []Bucket {
	return []Bucket{
		{"Belum dipakai", "kartu yang menunggu giliran", b.Unused}, {"Di stasiun", "sedang dikerjakan", b.InHand},
		{"Berhasil", terbilang.FormatInt(int64(b.HandedOver)) + " sudah diserahkan", b.Clear},
		{"Gagal", "", b.Failed}, {"Rusak", terbilang.FormatInt(int64(b.Destroyed)) + " kartu gagal dan rusak tercantum dalam berita acara", b.Spoiled},
		{"Meragukan", "menunggu keputusan dua orang", b.InDoubt}, {"Dikurangi", "blangko kartu yang dikurangi dengan surat dan belum dikembalikan", b.Reduced},
		{"Cadangan", "tidak tercantum dalam daftar kartu", b.Spare}, {"Kartu uji", "", b.Test}, {"Dikembalikan", "kepada produsen", b.Returned},
	}
}

func flowColumns(table *xlsx.Table) {
	for _, f := range Flows {
		table.Columns = append(table.Columns, xlsx.Column{Title: f.Name, Width: 12, Align: xlsx.Right, Number: true})
	}
}

func flowRow(head []string, d stock.Day) []string {
	for _, f := range Flows {
		head = append(head, strconv.Itoa(f.Of(d)))
	}
	return head
}

// WriteDay writes the day sheet as a workbook: a row for each request, and their sum.
func WriteDay(w io.Writer, s Sheet) error {
	t := xlsx.Table{
		Sheet: "Blangko", Landscape: true, Titles: []string{"LEMBAR HARIAN BLANGKO KARTU SAM", terbilang.FormatDayDate(s.Day)},
		Columns: []xlsx.Column{{Title: "Kode Tiket", Width: 22}, {Title: "Pemohon", Width: 30}},
	}
	flowColumns(&t)
	for _, d := range s.Requests {
		t.Rows = append(t.Rows, flowRow([]string{d.Ticket, d.Institution}, d))
	}
	t.Rows = append(t.Rows, flowRow([]string{"Jumlah", ""}, s.Sum))
	return xlsx.WriteTable(w, t)
}

// WriteRequest writes the blanks of a request as a workbook: where they are now, and a
// row for each day on which something happened to them.
func WriteRequest(w io.Writer, v View) error {
	now := "Sekarang: diterima " + terbilang.FormatInt(int64(v.Balance.Received))
	for _, b := range Buckets(v.Balance) {
		now += "; " + b.Name + " " + terbilang.FormatInt(int64(b.N))
	}
	now += "; selisih " + terbilang.FormatInt(int64(v.Balance.Difference))
	t := xlsx.Table{
		Sheet: "Blangko", Landscape: true, Titles: []string{"BLANGKO KARTU SAM " + v.Ticket, v.Balance.Institution, now},
		Columns: []xlsx.Column{{Title: "Tanggal", Width: 12, Date: true}},
	}
	flowColumns(&t)
	for _, d := range v.Days {
		t.Rows = append(t.Rows, flowRow([]string{d.Day.String()}, d))
	}
	return xlsx.WriteTable(w, t)
}
