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

const importHelp = `Pemakaian: sifilma import [-dry-run] [-sheet LEMBAR] -by NAMA -url ALAMAT BERKAS...

Memasukkan register lama: kartu SAM, PCID, nomor manifest, dan reader yang diterbitkan sebelum sistem ini
dipakai, dari XLSX atau CSV (koma atau titik koma, UTF-8). Kolom dikenal dari kepalanya:
  No. Seri Kartu SAM, No. PCID, No. Manifest Kartu SAM, No. Seri Reader, No. UID Chip (sedikitnya satu),
  Produsen, Lembaga Pengguna, Tanggal Terbit, Keterangan (boleh tidak ada).
Satu berkas masuk seluruhnya atau tidak sama sekali. Baris yang sudah ada dibiarkan, jadi perintah ini boleh
diulang. Isi register tidak diubah oleh impor: jalankan dengan -dry-run lebih dahulu; baris yang salah dikoreksi
dengan sifilma correct. Kantor boleh tetap bekerja selama impor.

`

func runImport(ctx context.Context, args []string) error {
	o := oldregister.Order{Now: time.Now()}
	fs := flag.NewFlagSet("import", flag.ContinueOnError)
	fs.Usage = func() {
		_, _ = fmt.Fprint(fs.Output(), importHelp)
		fs.PrintDefaults()
	}
	dbc := owner(fs)
	fs.StringVar(&o.By, "by", "", "nama petugas yang mengimpor")
	fs.StringVar(&o.Sheet, "sheet", "", "nama lembar XLSX; bawaan: semua lembar yang berkepala kolom")
	fs.BoolVar(&o.Dry, "dry-run", false, "hanya memeriksa dan melaporkan; tidak menulis apa pun")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o.Files = fs.Args()
	dbc.TxTimeout = oldregister.Timeout
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return oldregister.Run(ctx, db, o, os.Stdout)
}
