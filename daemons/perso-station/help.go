package main

import (
	"fmt"
	"io"
	"slices"
)

const stationHelp = `Pemakaian: perso-station -config BERKAS

Menjalankan stasiun personalisasi sampai dihentikan. Dengan pilihan pertama berikut ia hanya mengerjakan satu hal, lalu selesai:

  -pause  -by NAMA -reason ALASAN -config BERKAS   jeda: tidak ada kartu baru yang dimulai
  -drain  -by NAMA -reason ALASAN -config BERKAS   kosongkan: kartu di tangan selesai, kartu lain tidak disentuh
  -resume -by NAMA -config BERKAS                  lanjutkan sesudah jeda atau kosongkan
  -try PROFIL/VERSI -in PEMBACA -by NAMA -config BERKAS
        mencoba satu profil pada satu kartu uji, dan menyimpan hasilnya; tanpa itu profil tidak dapat disetujui
  -check-config -config BERKAS                     memeriksa konfigurasi saja
  -version                                         menyebut versinya

perso-station -try -h menjelaskan pilihan lain dari uji coba.
`

// explain prints what the program can do, if the arguments ask for that alone.
func explain(args []string, w io.Writer) bool {
	if len(args) != 1 || !slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
		return false
	}
	_, _ = fmt.Fprint(w, stationHelp)
	return true
}
