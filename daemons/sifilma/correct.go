package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
)

const correctHelp = `Pemakaian: sifilma correct -by NAMA -reason ALASAN -url ALAMAT -entry KOLOM=NOMOR KOLOM=ISI...
           sifilma correct -by NAMA -reason ALASAN -url ALAMAT -entry KOLOM=NOMOR -withdraw

Mengoreksi satu baris register lama yang salah, atau menariknya. Baris ditunjuk dengan salah satu nomornya.
Kolom: %s. ISI yang kosong (KOLOM=) berarti tidak tercatat.
Langkahnya dua: pertama perintah ini hanya menunjukkan apa yang akan berubah beserta sebuah kode; baru dengan
-confirm KODE perubahan itu ditulis. Isi lama tidak pernah dihapus: ia digantikan oleh edisi baru. Nomor yang
tidak dimuat lagi menjadi bebas. Impor ulang berkas yang lama tidak mengembalikan isi yang sudah dikoreksi;
baris yang keliru ditarik diimpor lagi dengan Keterangan yang menyebut sebabnya.

`

func runCorrect(ctx context.Context, args []string) error {
	a := oldregister.Amendment{Now: time.Now()}
	fs := flag.NewFlagSet("correct", flag.ContinueOnError)
	dbc := owner(fs)
	fs.StringVar(&a.By, "by", "", "nama petugas yang bertanggung jawab")
	fs.StringVar(&a.Reason, "reason", "", "alasan koreksi")
	fs.StringVar(&a.Entry, "entry", "", "baris yang dikoreksi, ditunjuk dengan `KOLOM=NOMOR`")
	fs.BoolVar(&a.Withdraw, "withdraw", false, "menarik baris itu seluruhnya")
	fs.StringVar(&a.Confirm, "confirm", "", "`kode` dari pemeriksaan; tanpa ini tidak ada yang ditulis")
	// Options may follow the changes too: the code is added to the command that was
	// run before.
	for rest := args; ; rest = rest[1:] {
		if err := parse(fs, fmt.Sprintf(correctHelp, oldregister.ColumnNames()), rest); err != nil {
			return err
		}
		if rest = fs.Args(); len(rest) == 0 {
			break
		}
		a.Changes = append(a.Changes, rest[0])
	}
	db, err := openOwner(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return oldregister.Correct(ctx, db, a, os.Stdout)
}
