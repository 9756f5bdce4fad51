package main

import (
	"context"
	"flag"
	"os"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/oldregister"
)

const importHelp = `Pemakaian: sifilma import [-dry-run] [-sheet LEMBAR] [-skip-sheet LEMBAR] [-skip-column KOLOM] -by NAMA -url ALAMAT BERKAS...

Memasukkan register lama: kartu SAM, PCID, nomor manifest, dan reader yang diterbitkan sebelum sistem ini
dipakai, dari XLSX atau CSV (koma atau titik koma, UTF-8). Kolom dikenal dari kepalanya:
  No. Seri Kartu SAM, No. PCID, No. Manifest Kartu SAM, No. Seri Reader, No. UID Chip (sedikitnya satu),
  Produsen, Lembaga Pengguna, Tanggal Terbit, Keterangan (boleh tidak ada).
Yang berisi tetapi tidak dikenal adalah kesalahan: lembar tanpa kepala kolom di atas dalam 100 baris pertamanya,
dan kolom lain yang tampak berisi nomor. Ganti kepalanya, atau sebutkan dengan -skip-sheet atau -skip-column.
Satu berkas masuk seluruhnya atau tidak sama sekali. Baris yang sudah ada dibiarkan, jadi perintah ini boleh
diulang. Isi register tidak diubah oleh impor: jalankan dengan -dry-run lebih dahulu; baris yang salah dikoreksi
dengan sifilma correct. Kantor boleh tetap bekerja selama impor.

Contoh: sifilma import -dry-run -by "Petugas Register" -url postgres://pemilik@localhost:5432/sifilma \
          -password-file /etc/sifilma/secrets/postgres-pemilik -skip-sheet Sampul register-2018.xlsx

`

func runImport(ctx context.Context, args []string) error {
	o := oldregister.Order{Now: time.Now()}
	fs := flag.NewFlagSet("import", flag.ContinueOnError)
	dbc := owner(fs)
	fs.StringVar(&o.By, "by", "", "`nama` petugas yang mengimpor")
	fs.StringVar(&o.Sheet, "sheet", "", "nama `LEMBAR` XLSX; bawaan: semua lembar")
	fs.Func("skip-sheet", "`LEMBAR` yang bukan bagian dari register; boleh diulang", list(&o.SkipSheets))
	fs.Func("skip-column", "kepala `KOLOM` yang tidak dikehendaki (atau hurufnya, bila tanpa kepala); boleh diulang", list(&o.SkipColumns))
	fs.BoolVar(&o.Dry, "dry-run", false, "hanya memeriksa dan melaporkan; tidak menulis apa pun")
	if err := parse(fs, importHelp, args); err != nil {
		return err
	}
	o.Files = fs.Args()
	if err := o.Check(); err != nil {
		return err
	}
	dbc.TxTimeout = oldregister.Timeout
	db, err := openOwner(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := oldregister.Run(ctx, db, o, os.Stdout); err != nil {
		return inPlain(err)
	}
	return nil
}

// list takes a value of an option that may be repeated.
func list(values *[]string) func(string) error {
	return func(value string) error {
		*values = append(*values, value)
		return nil
	}
}
