package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/verify"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// exportAudit writes the whole chain with its signed heads to a file.
func exportAudit(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("audit export", flag.ContinueOnError)
	dbc := owner(fs)
	out := fs.String("out", "", "`berkas` tujuan; yang sudah ada tidak ditimpa")
	if err := parse(fs, auditHelp, args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("-out wajib diisi")
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	f, err := os.OpenFile(*out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	head, signed, err := audit.Export(ctx, db, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(auditFault(err), os.Remove(*out))
	}
	fmt.Printf("%s: %s catatan, %s ujung bertanda tangan\n", *out, terbilang.FormatInt(head.Seq), terbilang.FormatInt(int64(signed)))
	return nil
}

// verifyAudit checks such a file offline, with the public keys alone.
func verifyAudit(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("audit verify", flag.ContinueOnError)
	var keyFiles, rest []string
	fs.Func("key", "`berkas` kunci publik; boleh diulang", list(&keyFiles))
	for given := args; ; { // options may stand behind the file
		if err := parse(fs, auditHelp, given); err != nil {
			return err
		}
		if given = fs.Args(); len(given) == 0 {
			break
		}
		rest, given = append(rest, given[0]), given[1:]
	}
	if len(rest) == 0 || len(keyFiles) == 0 {
		return errors.New("sebutkan berkas ekspor, dan kunci publik dengan -key")
	}
	keys, err := publicKeyFiles(keyFiles)
	if err != nil {
		return err
	}
	kept, err := keptHeads(rest[1:])
	if err != nil {
		return err
	}
	f, err := os.Open(rest[0])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	c, err := audit.VerifyExport(f, keys, kept...)
	if err != nil {
		return auditFault(err)
	}
	_, err = fmt.Fprintf(out, "rantai catatan audit  utuh, %s catatan\nujung bertanda tangan %s, semuanya sah dan cocok; sampai catatan nomor %s\n",
		terbilang.FormatInt(c.Head.Seq), terbilang.FormatInt(int64(c.Signed-c.Weak)), terbilang.FormatInt(c.Covered))
	err = errors.Join(err, tellWeak(out, c.Weak))
	if c.Head.Seq > c.Covered {
		_, e := fmt.Fprintf(out, "PERHATIAN             %s catatan terakhir belum dijamin tanda tangan mana pun\n", terbilang.FormatInt(c.Head.Seq-c.Covered))
		err = errors.Join(err, e)
	}
	return err
}

// checkPrinted checks the head that a day sheet prints, from the paper alone.
func checkPrinted(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("audit head", flag.ContinueOnError)
	var keyFiles []string
	fs.Func("key", "`berkas` kunci publik; boleh diulang", list(&keyFiles))
	day := fs.String("day", "", "`tanggal` lembar harian: 2026-11-23")
	at := fs.String("at", "", "`saat` keadaan yang tercetak: \"2026-11-23 17.05\", atau 17.05 bila pada hari itu juga")
	unsealed := fs.String("unsealed", "0", "`banyaknya` catatan sesudahnya yang belum dirantai")
	signature := fs.String("signature", "", "`tanda tangan` yang tercetak, 128 huruf; spasi boleh ikut")
	if err := parse(fs, auditHelp, args); err != nil {
		return err
	}
	if len(keyFiles) == 0 || fs.NArg() != 1 {
		return errors.New("sebutkan satu ujung (\"NOMOR: SHA-256\") sesudah semua pilihan, dan kunci publik dengan -key")
	}
	keys, err := publicKeyFiles(keyFiles)
	if err != nil {
		return err
	}
	heads, err := keptHeads(fs.Args())
	if err != nil {
		return err
	}
	s := audit.SignedHead{Head: heads[0]}
	if s.Day, err = clock.ParseDate(*day); err != nil {
		return fmt.Errorf("-day %q tidak terbaca: tulis seperti 2026-11-23", *day)
	}
	if s.At, err = printedAt(s.Day, *at); err != nil {
		return err
	}
	waiting, ok := terbilang.ParseInt(*unsealed)
	if !ok || waiting < 0 {
		return fmt.Errorf("-unsealed %q bukan bilangan", *unsealed)
	}
	s.Unsealed = int64(waiting)
	if s.Signature, err = hex.DecodeString(strings.ToLower(strings.Join(strings.Fields(*signature), ""))); err != nil || len(s.Signature) != 64 {
		return errors.New("-signature: salin 128 huruf 0-9 dan a-f dari lembarnya")
	}
	id, err := s.Verify(keys)
	if errors.Is(err, sealed.ErrKeyRevoked) || errors.Is(err, sealed.ErrKeyEnded) { // nothing was copied wrongly
		became := "DICABUT"
		if errors.Is(err, sealed.ErrKeyEnded) {
			became = "dihentikan sebelum saat yang tercetak"
		}
		return fmt.Errorf("ujung ini TIDAK MENJAMIN apa pun: salinannya benar dan tanda tangannya cocok, tetapi kuncinya (%s) %s; "+
			"bandingkan nomor dan SHA-256-nya dengan rantai (sifilma audit), yang dijamin ujung bertanda tangan yang lebih baru", id, became)
	}
	if err != nil {
		return fmt.Errorf("ujung ini TIDAK SAH: tanda tangannya tidak cocok dengan kunci itu, atau ada yang salah salin (hari, saat, nomor, SHA-256, banyaknya yang belum dirantai); %s", verify.Why(err))
	}
	_, err = fmt.Fprintf(out, "SAH  ujung rantai catatan audit %s, catatan nomor %s, ditandatangani dengan kunci %s\n", terbilang.FormatDate(s.Day), terbilang.FormatInt(s.Seq), id)
	return err
}

// printedAt reads the time of a head as the sheet prints it, in Jakarta.
func printedAt(day clock.Date, text string) (time.Time, error) {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "WIB"))
	for _, layout := range []string{"2006-01-02 15.04", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, clock.Jakarta); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15.04", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return day.At(t.Hour(), t.Minute()), nil
		}
	}
	return time.Time{}, fmt.Errorf("-at %q tidak terbaca: tulis seperti \"2026-11-23 17.05\"", text)
}

// auditFault says in Indonesian what is wrong with a chain.
func auditFault(err error) error {
	var broken *audit.BrokenError
	var wrong *audit.HeadError
	switch {
	case errors.As(err, &broken):
		return fmt.Errorf("rantai catatan audit TIDAK utuh pada nomor %s (%s); jangan ubah apa pun, dan laporkan", terbilang.FormatInt(broken.Seq), broken.Reason)
	case errors.As(err, &wrong) && errors.Is(wrong.Err, sealed.ErrKey):
		return fmt.Errorf("ujung bertanda tangan %s (nomor %s) TIDAK SAH: %s; ulangi dengan berkas kunci yang terbaru, yang memuat semua versi, dan bila tetap begitu jangan ubah apa pun, dan laporkan",
			terbilang.FormatDate(wrong.Signed.Day), terbilang.FormatInt(wrong.Signed.Seq), verify.Why(wrong.Err))
	case errors.As(err, &wrong):
		return fmt.Errorf("ujung bertanda tangan %s (nomor %s) TIDAK SAH: %s; jangan ubah apa pun, dan laporkan",
			terbilang.FormatDate(wrong.Signed.Day), terbilang.FormatInt(wrong.Signed.Seq), verify.Why(wrong.Err))
	case errors.Is(err, audit.ErrExport):
		return fmt.Errorf("ini bukan ekspor catatan audit, atau berkasnya rusak (%w)", err)
	}
	return err
}

// tellWeak says of signed heads that their key was revoked.
func tellWeak(out io.Writer, n int) error {
	if n == 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "PERHATIAN             %s ujung lain ditandatangani dengan kunci yang sudah dicabut: cocok, tetapi tidak menjamin apa pun\n", terbilang.FormatInt(int64(n)))
	return err
}

// signedHeads are the signed heads of a database, once all are genuine.
func signedHeads(ctx context.Context, db *postgres.DB, keys sealed.Keys) (audit.Heads, error) {
	all, err := audit.SignedHeads(ctx, db)
	if err != nil {
		return audit.Heads{}, err
	}
	return audit.CheckHeads(keys, all)
}
