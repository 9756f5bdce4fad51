package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
	"dukcapil.go.id/sifilma/pkg/postgres"
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
	fs.Usage = func() {
		_, _ = fmt.Fprintf(fs.Output(), correctHelp, oldregister.ColumnNames())
		fs.PrintDefaults()
	}
	dbc := owner(fs)
	fs.StringVar(&a.By, "by", "", "nama petugas yang bertanggung jawab")
	fs.StringVar(&a.Reason, "reason", "", "alasan koreksi")
	fs.StringVar(&a.Entry, "entry", "", "baris yang dikoreksi, ditunjuk dengan `KOLOM=NOMOR`")
	fs.BoolVar(&a.Withdraw, "withdraw", false, "menarik baris itu seluruhnya")
	fs.StringVar(&a.Confirm, "confirm", "", "`kode` dari pemeriksaan; tanpa ini tidak ada yang ditulis")
	if err := fs.Parse(args); err != nil {
		return err
	}
	a.Changes = fs.Args()
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return oldregister.Correct(ctx, db, a, os.Stdout)
}
