package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/verify"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

const verifyHelp = `Pemakaian: sifilma verify BERKAS... -key KUNCI [-revocations DAFTAR] [-at WAKTU] [-detail]

Memeriksa berkas bertanda tangan dari Ditjen Dukcapil tanpa jaringan dan tanpa basis data, hanya dengan kunci publik:
bundel serah terima manifest dan bundel bukti (.zip), manifest (isi dan .jws di sebelahnya), daftar pencabutan (.jws).

KUNCI diterima dari Ditjen Dukcapil lewat jalan lain daripada berkasnya (JWK, JWK Set, PEM, atau sertifikat).
Kode keluar: 0 semuanya sah; 1 ada yang tidak sah; 2 ada yang tidak dapat diperiksa (berkas, kunci, pilihan).

`

// Exit codes of verify.
const (
	exitInvalid  = 1
	exitUnjudged = 2
)

func runVerify(_ context.Context, args []string) error {
	return verifyFiles(args, os.Stdout, os.Stderr)
}

func verifyFiles(args []string, out, told io.Writer) error {
	err := verifying(args, out)
	if err == nil || errors.Is(err, flag.ErrHelp) || errors.As(err, new(exitError)) {
		return err
	}
	_, _ = fmt.Fprintf(told, "sifilma verify: %v\n", err)
	return exitError{exitUnjudged}
}

func verifying(args []string, out io.Writer) error {
	var files, keyFiles []string
	var listFile, at string
	options := flag.NewFlagSet("verify", flag.ContinueOnError)
	options.Func("key", "`berkas` kunci publik; boleh diulang", list(&keyFiles))
	options.StringVar(&listFile, "revocations", "", "`berkas` daftar pencabutan yang terbaru")
	options.StringVar(&at, "at", "", "`waktu` yang ditanyakan: 2026-12-31, atau 2026-12-31T08:00:00+07:00; bawaan: sekarang")
	detail := options.Bool("detail", false, "sertakan rincian teknis dalam bahasa Inggris, untuk laporan gangguan")
	rest := args
	for { // options may stand behind the files
		if err := parse(options, verifyHelp, rest); err != nil {
			return err
		}
		if rest = options.Args(); len(rest) == 0 {
			break
		}
		files, rest = append(files, rest[0]), rest[1:]
	}
	if len(files) == 0 || len(keyFiles) == 0 {
		return errors.New("sebutkan berkas yang diperiksa, dan kunci publik dengan -key; sifilma verify -h menjelaskan pilihannya")
	}
	moment, err := asked(at)
	if err != nil {
		return err
	}
	desk := &verify.Desk{At: moment, Out: out, Detail: *detail}
	if desk.Verifier.Keys, err = publicKeyFiles(keyFiles); err != nil {
		return err
	}
	if listFile != "" {
		token, err := os.ReadFile(listFile)
		if err != nil {
			return plainVerify(listFile, err)
		}
		if desk.Verifier.List, err = manifest.OpenList(desk.Verifier.Keys, token, 0); err != nil {
			return plainVerify(listFile, err) // with a list that does not hold nothing can be said of any manifest
		}
		desk.Verifier.Keys = desk.Verifier.Keys.Revoke(desk.Verifier.List.RevokedKeys()) // also for what is no manifest
	}
	unread := 0
	for _, path := range files {
		if err := desk.File(path); err != nil {
			unread++
			_, _ = fmt.Fprintf(out, "TIDAK DIPERIKSA  %v\n", plainVerify(path, err))
		}
	}
	desk.Finish()
	switch {
	case unread > 0:
		return exitError{exitUnjudged}
	case desk.Bad > 0:
		return exitError{exitInvalid}
	}
	return nil
}

func plainVerify(path string, err error) error {
	why := verify.Why(err)
	if strings.Contains(why, path) {
		return errors.New(why)
	}
	return fmt.Errorf("%s: %s", path, why)
}

// asked is the moment that -at names: a day stands for its noon in Jakarta.
func asked(at string) (time.Time, error) {
	if at == "" {
		return time.Now(), nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, at, time.FixedZone("WIB", 7*60*60)); err == nil {
		return day.Add(12 * time.Hour), nil
	}
	moment, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return moment, fmt.Errorf("-at %q tidak terbaca: tulis seperti 2026-12-31 atau 2026-12-31T08:00:00+07:00", at)
	}
	return moment, nil
}

func publicKeyFiles(paths []string) (sealed.Keys, error) {
	keys := sealed.Keys{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, plainVerify(path, err)
		}
		some, err := sealed.ParseKeys(text)
		if err != nil {
			return nil, fmt.Errorf("%s bukan berkas kunci publik P-256 (JWK, JWK Set, PEM, atau sertifikat)", path)
		}
		keys.Add(some)
	}
	return keys, nil
}
