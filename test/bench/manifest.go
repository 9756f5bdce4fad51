package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

const (
	manifestCount   = 10_000
	manifestWorkers = 4
	manifestPromise = 60.0 // s
)

// manifestBench signs the manifests of a large delivery with a key in SoftHSM.
type manifestBench struct {
	key    *pkcs11.SigningKey
	signer *sealed.Signer
	keys   sealed.Keys
}

func benchManifest(ctx context.Context, g *ground) (err error) {
	hsm := g.services.HSM
	if err := os.Setenv("SOFTHSM2_CONF", hsm.Config); err != nil { // the module reads the process's environment
		return err
	}
	token, err := pkcs11.Open(pkcs11.Config{Module: hsm.Module, TokenLabel: hsm.Label, PINFile: hsm.PINFile, Sessions: manifestWorkers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, token.Close()) }()
	const label = "bench-manifest"
	b := manifestBench{}
	if b.key, err = token.FindSigning(ctx, label); errors.Is(err, pkcs11.ErrKeyNotFound) {
		b.key, err = token.GenerateSigning(ctx, label)
	}
	if err != nil {
		return err
	}
	if b.signer, err = sealed.NewSigner(b.key.Public(), b.key.Sign); err != nil {
		return err
	}
	if b.keys, err = sealed.NewKeys(b.key.Public()); err != nil {
		return err
	}
	times, err := g.takeTurns(ctx, "manifest", side{"signed-and-bundled", b.deliver}, side{"c-sign-loop", b.bare})
	if err != nil {
		return err
	}
	compare(os.Stdout, "manifest", "s", times[0], limit("promise", manifestPromise), times[1])
	return nil
}

// deliver makes, signs and bundles, and then verifies what it made, which is not measured.
func (b manifestBench) deliver(ctx context.Context) (float64, error) {
	issued := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	facts := make([]manifest.Facts, manifestCount)
	for i := range facts {
		facts[i] = manifest.Facts{
			Number: fmt.Sprintf("MFR-2026-%06d-0", i+1), Reader: fmt.Sprintf("RDR-%08d", i), SAM: fmt.Sprintf("SAM-%010d", i), SAMOrigin: fmt.Sprintf("NA-%08d", i),
			PCID: fmt.Sprintf("%012d", i), Producer: "PT Pembaca Kartu Nusantara", Institution: "Bank Contoh Nusantara", ReaderType: "KR-100",
			Place: "Jalan Medan Merdeka Utara Nomor 7, Jakarta Pusat", Region: "DKI Jakarta", Mode: manifest.Online, ValidFrom: "2026-11-23", ValidUntil: "2031-11-22",
		}
	}
	file, err := os.CreateTemp("", "bench-manifest-*.zip")
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
	began := time.Now()
	all, err := manifest.IssueAll(ctx, b.signer, manifest.JSON{}, facts, issued, manifestWorkers)
	if err != nil {
		return 0, err
	}
	list, err := manifest.List{Number: 1, IssuedAt: issued, NextUpdate: issued.AddDate(0, 1, 0)}.Sign(ctx, b.signer)
	if err != nil {
		return 0, err
	}
	d := manifest.Delivery{Number: "SM-2026-000001-0", About: "bench", Issued: issued, Manifests: all, List: list, Keys: b.keys}
	if err := d.Write(ctx, file, b.signer); err != nil {
		return 0, err
	}
	took := time.Since(began).Seconds()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	got, err := manifest.Verifier{Keys: b.keys}.OpenDelivery(file, size, issued)
	if err != nil {
		return 0, err
	}
	if len(got.Manifests) != manifestCount {
		return 0, fmt.Errorf("%d of %d manifests are in the bundle", len(got.Manifests), manifestCount)
	}
	for _, m := range got.Manifests {
		if m.Err != nil {
			return 0, fmt.Errorf("%s: %w", m.Number, m.Err)
		}
	}
	return took, nil
}

// bare is C_SignInit and C_Sign as often, one after the other in one session, and nothing
// else.
func (b manifestBench) bare(ctx context.Context) (float64, error) {
	digest := sha256.Sum256([]byte("bench"))
	began := time.Now()
	for range manifestCount {
		if _, err := b.key.Sign(ctx, digest[:]); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds(), nil
}
