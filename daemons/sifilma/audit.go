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

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

const auditHelp = `Pemakaian:
  sifilma audit [pilihan] ["NOMOR: SHA-256" ...]               memeriksa rantai di basis data, ujung yang bertanda tangan, dan yang tercetak
  sifilma audit export -out BERKAS [pilihan]                    mengekspor seluruh rantai dengan ujung yang bertanda tangan
  sifilma audit verify BERKAS -key KUNCI ["NOMOR: SHA-256" ...] memeriksa ekspor tanpa jaringan dan tanpa basis data
  sifilma audit head -key KUNCI -day HARI -at SAAT -unsealed N -signature "..." "NOMOR: SHA-256"
                                                                memeriksa ujung yang tercetak pada lembar harian, dari kertasnya saja
NOMOR dan SHA-256 disalin dari lembar harian; titik dan spasi di dalamnya boleh ikut. KUNCI adalah kunci publik penanda tangan
(kunci.json) yang disimpan di luar basis data; tanpa -key dipakai kunci menurut basis data yang diperiksa itu sendiri.

`

// runAudit walks the chain of audit rows, and compares it with the heads that the office
// has signed and those that printed day sheets carry; or does so with an export, or with
// one head, offline.
func runAudit(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "export":
			return exportAudit(ctx, args[1:])
		case "verify":
			return verifyAudit(args[1:], os.Stdout)
		case "head":
			return checkPrinted(args[1:], os.Stdout)
		}
	}
	fs := flag.NewFlagSet("audit", flag.ContinueOnError)
	dbc := owner(fs)
	var keyFiles []string
	fs.Func("key", "`berkas` kunci publik; boleh diulang", list(&keyFiles))
	if err := parse(fs, auditHelp, args); err != nil {
		return err
	}
	kept, err := keptHeads(fs.Args())
	if err != nil {
		return err
	}
	var keys sealed.Keys
	if len(keyFiles) > 0 {
		if keys, err = publicKeyFiles(keyFiles); err != nil {
			return err
		}
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return checkAudit(ctx, db, keys, kept, os.Stdout)
}

// keptHeads reads heads as they are copied from day sheets.
func keptHeads(texts []string) (heads []audit.Head, err error) {
	for _, text := range texts {
		number, hash, found := strings.Cut(text, ":")
		seq, ok := terbilang.ParseInt(number)
		sum, err := hex.DecodeString(strings.ToLower(strings.Join(strings.Fields(hash), "")))
		if !found || !ok || seq < 0 || err != nil || len(sum) != len(audit.Hash{}) {
			return nil, fmt.Errorf("%q bukan ujung rantai; tulis seperti \"12.345: 01234567 89abcdef …\" dengan 64 huruf sesudah titik dua", text)
		}
		heads = append(heads, audit.Head{Seq: int64(seq), Hash: audit.Hash(sum)})
	}
	return heads, nil
}

// checkAudit says whether the chain is whole and goes through the signed and the kept
// heads. Without keys those of the database's own book are taken; with keys, the book's word
// still counts where it revokes one of them, since an older file cannot know.
func checkAudit(ctx context.Context, db *postgres.DB, keys sealed.Keys, kept []audit.Head, out io.Writer) error {
	entries, err := keybook.Signing(ctx, db, ceremony.ManifestSigning)
	if err != nil {
		return err
	}
	book, err := keybook.PublicKeys(entries)
	if err != nil {
		return err
	}
	own := keys == nil
	if own {
		keys = book
	}
	keys = keys.Revoke(book.Revoked())
	signed, err := signedHeads(ctx, db, keys)
	if err != nil {
		return auditFault(err)
	}
	head, err := audit.Verify(ctx, db, append(signed.All, kept...)...)
	if err != nil {
		return auditFault(err)
	}
	unsealed, _, err := audit.Unsealed(ctx, db)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "rantai catatan audit  utuh, %s catatan\nujung sekarang        %d:%s\nbelum dirantai        %s\nujung bertanda tangan %s, semuanya sah dan cocok\n",
		terbilang.FormatInt(head.Seq), head.Seq, hex.EncodeToString(head.Hash[:]), terbilang.FormatInt(unsealed), terbilang.FormatInt(int64(len(signed.All)-signed.Weak)))
	err = errors.Join(err, tellWeak(out, signed.Weak))
	if own && len(signed.All) > 0 {
		_, e := fmt.Fprintln(out, "PERHATIAN             tanpa -key: tanda tangan diperiksa dengan kunci menurut basis data itu sendiri")
		err = errors.Join(err, e)
	}
	if len(kept) > 0 {
		_, e := fmt.Fprintf(out, "lembar harian         %s ujung cocok\n", terbilang.FormatInt(int64(len(kept))))
		err = errors.Join(err, e)
	}
	return err
}
