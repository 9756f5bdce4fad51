package main

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// public writes the public keys that verify manifests: of one label, or of all versions of
// the manifest key in the token, and with the book what became of each.
func (k *keys) public(ctx context.Context) error {
	if k.format != "jwk" && k.format != "pem" {
		return fmt.Errorf("-format %q tidak dikenal: jwk atau pem", k.format)
	}
	token, err := k.open()
	if err != nil {
		return err
	}
	defer func() { _ = token.Close() }()
	found, err := k.publicKeys(ctx, token)
	if err != nil {
		return err
	}
	body, err := encoded(k.format, found)
	if err != nil {
		return err
	}
	if k.out == "" {
		_, err = os.Stdout.Write(body)
		return err
	}
	f, err := os.OpenFile(k.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // a public key is for everybody
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("berkas %s sudah ada dan tidak ditimpa", k.out)
		}
		return err
	}
	if _, err = f.Write(body); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, id := range found.IDs() {
		state := ""
		switch key := found[id]; {
		case key.Revoked != nil:
			state = "  DICABUT"
		case !key.Ends.IsZero():
			state = "  dihentikan"
		}
		fmt.Printf("Sidik kunci %s%s\n", id, state)
	}
	fmt.Println("Kunci publik: " + k.out + ". Serahkan kepada produsen, dan bacakan sidiknya lewat jalan lain.")
	return nil
}

// publicKeys are those of one label, or of all versions of the manifest key; those too
// that only the book knows.
func (k *keys) publicKeys(ctx context.Context, token *pkcs11.Token) (sealed.Keys, error) {
	inToken, err := k.tokenKeys(ctx, token)
	if err != nil {
		return nil, err
	}
	found, err := sealed.NewKeys(inToken...)
	if err != nil {
		return nil, err
	}
	db, err := k.book()
	if err != nil {
		return nil, err
	}
	if db == nil {
		fmt.Fprintln(os.Stderr, "PERHATIAN: tanpa -url berkas ini tidak mengatakan kunci mana yang sudah dihentikan atau dicabut. Jangan serahkan sebagai pengganti berkas kunci sebelumnya.")
		return found, nil
	}
	defer func() { _ = db.Close() }()
	if err := release.Recovered(ctx, db); errors.Is(err, release.ErrUnrecovered) {
		return nil, errForgotten
	} else if err != nil {
		return nil, err
	}
	name, _ := keybook.Split(cmp.Or(k.label, ceremony.ManifestSigning))
	entries, err := keybook.Signing(ctx, db, name)
	if err != nil {
		return nil, err
	}
	known, err := keybook.PublicKeys(slices.DeleteFunc(entries, func(e keybook.Entry) bool { return k.label != "" && e.Label != k.label }))
	if err != nil {
		return nil, err
	}
	found.Add(known)
	revoked, err := release.RevokedKeys(ctx, db) // also those that a restore took out of the book, and that the token has
	return found.Revoke(manifest.List{Keys: revoked}.RevokedKeys()), err
}

// tokenKeys are those of the token.
func (k *keys) tokenKeys(ctx context.Context, token *pkcs11.Token) (found []*ecdsa.PublicKey, err error) {
	labels := []string{k.label}
	if k.label == "" {
		if labels, err = token.SigningLabels(ctx); err != nil {
			return nil, err
		}
	}
	for _, label := range labels {
		if name, _ := keybook.Split(label); k.label == "" && name != ceremony.ManifestSigning {
			continue
		}
		pair, err := token.FindSigning(ctx, label)
		if err != nil {
			return nil, err
		}
		found = append(found, pair.Public())
	}
	if len(found) == 0 {
		return nil, errors.New("token ini tidak memegang kunci " + ceremony.ManifestSigning + "; buat dengan sifilma keys generate -label " + ceremony.ManifestSigning + " -kind p256")
	}
	return found, nil
}

// errForgotten says that a restored book may not know which keys were revoked.
var errForgotten = errors.New("basis data baru dipulihkan, dan kunci mana yang sudah dicabut belum dipastikan; berikan dulu daftar pencabutan yang terakhir terbit (sifilma restored -revocations)")

// errPEM says that PEM has no room for what became of a key.
var errPEM = errors.New("ada kunci yang sudah dicabut, dan PEM tidak dapat mengatakannya; pakai -format jwk, atau -label dengan kunci yang masih sah")

func encoded(format string, keys sealed.Keys) (body []byte, err error) {
	if format == "pem" {
		for _, id := range keys.IDs() {
			if keys[id].Revoked != nil {
				return nil, errPEM
			}
			der, err := x509.MarshalPKIXPublicKey(keys[id].Public)
			if err != nil {
				return nil, err
			}
			body = append(body, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
		}
		return body, nil
	}
	return keys.File()
}
