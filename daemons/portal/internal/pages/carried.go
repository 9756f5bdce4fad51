package pages

import (
	"net/url"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// listsWait is said while nothing new is published after a restore.
const listsWait = "Basis data dipulihkan dari cadangan, dan daftar pencabutan yang terakhir terbit belum diberikan. Pencabutan baru belum diumumkan dan bundel manifest menunggu. Minta petugas teknis menjalankan sifilma restored -revocations."

// carriedTable is what a restore took out of the database and still stands on every list.
func carriedTable(o manifests.Overview) rowsTable {
	t := rowsTable{Caption: "Pencabutan yang perlu diulang sesudah pemulihan", Heads: []string{"No. Manifest", "Menurut daftar terakhir", "Sejak", "Sebab", "Tindakan"}, Serials: true}
	words := map[string]tag{manifest.Revoked: {bad, "Dicabut"}, manifest.Suspended: {wait, "Ditangguhkan"}}
	for _, c := range o.Carried {
		act := cell{Text: "Tidak dikenal basis data; tetap pada daftar"}
		if c.Ticket != "" {
			act = cell{Text: "Perlu dicabut ulang: " + c.Ticket + " baris " + number(c.Line), Path: readersPath + "/" + url.PathEscape(c.Ticket)}
			if c.State == manifest.Suspended {
				act.Text = "Perlu ditangguhkan ulang: " + c.Ticket + " baris " + number(c.Line)
			}
		}
		t.Rows = append(t.Rows, []cell{{Text: c.Number}, {Tag: words[c.State]}, {Text: terbilang.FormatDate(clock.DateOf(c.Since))}, {Text: c.Reason}, act})
	}
	return t
}
