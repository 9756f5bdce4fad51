// Command sifilma is the operator's command of SI-FILMA.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

type command struct {
	name, summary string
	run           func(ctx context.Context, args []string) error
}

// exitError carries the exit code of a program that was run.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("berakhir dengan kode %d", e.code) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(dispatch(ctx, os.Args[1:]))
}

func dispatch(ctx context.Context, args []string) int {
	commands := []command{
		{"up", "menjalankan seluruh kantor di komputer ini", runUp},
		{"migrate", "menyiapkan basis data: skema, data induk, hak masuk daemon", runMigrate},
		{"keys", "mengurus kunci induk di dalam token HSM: upacara, rotasi, cadangan", runKeys},
		{"verify", "memeriksa manifest, daftar pencabutan, dan bundel tanpa jaringan, dengan kunci publik saja", runVerify},
		{"escrow", "mengurus kunci escrow rahasia kartu: upacara dua orang, pemulihan", runEscrow},
		{"user", "membuat akun atau mengganti kata sandinya", runUser},
		{"import", "memasukkan register lama (XLSX atau CSV) sebelum hari pertama", runImport},
		{"correct", "mengoreksi atau menarik baris register lama yang salah", runCorrect},
		{"restored", "menyatakan bahwa basis data dipulihkan dari cadangan, sebelum daemon dijalankan", runRestored},
		{"clock", "membandingkan jam kantor dengan pekerjaan terjadwal; -right menyatakan bahwa jam itu sekarang benar", runClock},
		{"audit", "memeriksa rantai catatan audit terhadap ujung yang bertanda tangan dan yang tercetak; ekspor dan pemeriksaannya tanpa jaringan", runAudit},
		{"states", "menggambar diagram keadaan dari tabel (Mermaid)", runStates},
		{"tags", "menuliskan tag templat surat per jenis naskah (Markdown)", runTags},
		{"sweep", "", runSweep},
	}
	if len(args) > 0 {
		for _, c := range commands {
			if c.name != args[0] {
				continue
			}
			err := c.run(ctx, args[1:])
			var exit exitError
			switch {
			case err == nil, errors.Is(err, flag.ErrHelp):
				return 0
			case errors.As(err, &exit):
				return exit.code
			}
			_, _ = fmt.Fprintf(os.Stderr, "sifilma %s: %v\n", c.name, err)
			return 1
		}
	}
	fmt.Println("Pemakaian: sifilma PERINTAH [pilihan]   (sifilma PERINTAH -h menjelaskan pilihannya)")
	for _, c := range commands {
		if c.summary != "" {
			fmt.Printf("  %-8s %s\n", c.name, c.summary)
		}
	}
	if len(args) == 0 {
		return 0
	}
	return 2
}
