package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// revoke revokes a signing key that somebody else may have.
func (k *keys) revoke(ctx context.Context) error {
	if err := k.need(map[string]string{"url": k.dbc.URL, "label": k.label, "by": k.by, "reason": k.reason}); err != nil {
		return err
	}
	if len(k.witnesses) != 1 {
		return keybook.ErrOnePerson
	}
	db, err := k.book()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, k.label, keybook.Revoking{By: k.by, With: k.witnesses[0], Reason: k.reason}, time.Now())
	}); err != nil {
		return err
	}
	name, _ := keybook.Split(k.label)
	all, err := keybook.Signing(ctx, db, name)
	if err != nil {
		return err
	}
	fmt.Printf("Kunci %s DICABUT. Semua yang pernah ditandatanganinya tidak berlaku lagi.\n", k.label)
	if now, ok := keybook.InForce(all); ok {
		fmt.Printf("Sekarang %s yang menandatangani; daftar pencabutan yang menyebut kunci yang dicabut terbit dengan sendirinya.\n", now.Label)
	} else {
		fmt.Printf("Belum ada kunci penggantinya, maka tidak ada yang ditandatangani, juga tidak daftar pencabutan. Buat sekarang, pada token penanda tangan (token lain, bila yang lama dicuri):\n"+
			"  sifilma keys generate -label %s -kind p256 …\n", keybook.Label(name, all[len(all)-1].Version+1))
	}
	if same := sameToken(all, k.label); len(same) > 0 {
		fmt.Printf("PERHATIAN: token yang sama memegang juga %s. Bila tokennya yang hilang atau dicuri, cabut juga masing-masing dengan perintah yang sama.\n", strings.Join(same, ", "))
	}
	fmt.Print("Kemudian serahkan kunci publik yang baru (sifilma keys public, dengan -url) kepada semua produsen lewat jalan lain,\n" +
		"dan Kasubdit KI menerbitkan ulang manifest reader di portal, halaman Manifest.\n")
	return nil
}

// sameToken are the other versions that stand in the token of one, and were not revoked:
// also those that were given up, which whoever has the token can sign with.
func sameToken(all []keybook.Entry, label string) (others []string) {
	serial := ""
	for _, e := range all {
		if e.Label == label {
			serial = e.TokenSerial
		}
	}
	for _, e := range all {
		if e.TokenSerial == serial && !e.Revoked() {
			others = append(others, e.Label)
		}
	}
	return others
}
