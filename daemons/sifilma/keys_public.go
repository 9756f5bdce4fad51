package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// public writes the public keys that verify manifests: of one label, or of all versions of
// the manifest key in the token.
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
	for _, p := range found {
		fmt.Printf("Sidik kunci %s\n", sealed.KeyID(p))
	}
	fmt.Println("Kunci publik: " + k.out + ". Serahkan kepada produsen, dan bacakan sidiknya lewat jalan lain.")
	return nil
}

// publicKeys are those of one label, or of all versions of the manifest key.
func (k *keys) publicKeys(ctx context.Context, token *pkcs11.Token) (found []*ecdsa.PublicKey, err error) {
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

func encoded(format string, keys []*ecdsa.PublicKey) (body []byte, err error) {
	set := struct {
		Keys []sealed.JWK `json:"keys"`
	}{}
	for _, p := range keys {
		der, err := x509.MarshalPKIXPublicKey(p)
		if err != nil {
			return nil, err
		}
		body = append(body, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
		j, err := sealed.NewJWK(p)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, j)
	}
	if format == "pem" {
		return body, nil
	}
	body, err = json.MarshalIndent(set, "", "  ")
	return append(body, '\n'), err
}
