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

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// runAudit walks the chain of audit rows, and compares it with the heads that printed
// day sheets carry.
func runAudit(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("audit", flag.ContinueOnError)
	dbc := owner(fs)
	fs.Usage = func() {
		_, _ = fmt.Fprintln(fs.Output(), `Pemakaian: sifilma audit [pilihan] ["NOMOR: SHA-256" ...]
NOMOR dan SHA-256 disalin dari lembar harian yang tercetak; titik dan spasi di dalamnya boleh ikut.`)
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	kept, err := keptHeads(fs.Args())
	if err != nil {
		return err
	}
	db, err := postgres.Open(*dbc)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return checkAudit(ctx, db, kept, os.Stdout)
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

// checkAudit says whether the chain is whole and goes through the kept heads.
func checkAudit(ctx context.Context, db *postgres.DB, kept []audit.Head, out io.Writer) error {
	head, err := audit.Verify(ctx, db, kept...)
	var broken *audit.BrokenError
	if errors.As(err, &broken) {
		return fmt.Errorf("rantai catatan audit TIDAK utuh pada nomor %s (%s); jangan ubah apa pun, dan laporkan", terbilang.FormatInt(broken.Seq), broken.Reason)
	}
	if err != nil {
		return err
	}
	unsealed, _, err := audit.Unsealed(ctx, db)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "rantai catatan audit  utuh, %s catatan\nujung sekarang        %d:%s\nbelum dirantai        %s\n",
		terbilang.FormatInt(head.Seq), head.Seq, hex.EncodeToString(head.Hash[:]), terbilang.FormatInt(unsealed))
	if len(kept) > 0 {
		_, e := fmt.Fprintf(out, "lembar harian         %s ujung cocok\n", terbilang.FormatInt(int64(len(kept))))
		err = errors.Join(err, e)
	}
	return err
}
