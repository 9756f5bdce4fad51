package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
)

// pairAt makes a key pair whose public half is written to a file.
func pairAt(t *testing.T, path string) (*sealed.Signer, sealed.Keys) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	s, err := sealed.NewSigner(&private.PublicKey, func(_ context.Context, digest []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	})
	require.NoError(t, err)
	j, err := sealed.NewJWK(&private.PublicKey)
	require.NoError(t, err)
	text, err := json.Marshal(j)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	keys, err := sealed.NewKeys(&private.PublicKey)
	require.NoError(t, err)
	return s, keys
}

// TestAPrintedHeadIsCheckedFromThePaper: with what a day sheet prints and the public key, no
// network and no database.
func TestAPrintedHeadIsCheckedFromThePaper(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, other := filepath.Join(dir, "kunci.json"), filepath.Join(dir, "lain.json")
	by, _ := pairAt(t, key)
	pairAt(t, other)
	day := clock.MustParseDate("2026-11-23")
	s, err := audit.SignedHead{Head: audit.Head{Seq: 12345, Hash: audit.Hash{1, 0xab}}, Day: day, Unsealed: 1002, At: day.At(17, 5).Add(42 * time.Second)}.Sign(t.Context(), by)
	require.NoError(t, err)
	grouped := func(b []byte) string {
		var out []string
		for ; len(b) > 0; b = b[4:] {
			out = append(out, hex.EncodeToString(b[:4]))
		}
		return strings.Join(out, " ")
	}
	sheet := map[string]string{"-key": key, "-day": "2026-11-23", "-at": "17.05", "-unsealed": "1.002", "-signature": grouped(s.Signature), "": "12.345: " + strings.ToUpper(grouped(s.Hash[:]))}
	check := func(change ...string) (string, error) {
		var args []string
		for option, value := range sheet {
			if len(change) == 2 && option == change[0] {
				value = change[1]
			}
			if option != "" {
				args = append(args, option, value)
			}
		}
		last := sheet[""]
		if len(change) == 2 && change[0] == "" {
			last = change[1]
		}
		var out bytes.Buffer
		err := checkPrinted(append(args, last), &out)
		return out.String(), err
	}
	said, err := check()
	require.NoError(t, err)
	require.Contains(t, said, "SAH  ujung rantai catatan audit 23 November 2026, catatan nomor 12.345, ditandatangani dengan kunci "+by.KeyID())
	_, err = check("-at", "2026-11-23 17:05 WIB")
	require.NoError(t, err)
	for option, value := range map[string]string{
		"-key": other, "-day": "2026-11-24", "-at": "17.06", "-unsealed": "1003",
		"-signature": "ff" + grouped(s.Signature)[2:], "": "12.346: " + grouped(s.Hash[:]),
	} {
		_, err = check(option, value)
		require.ErrorContains(t, err, "TIDAK SAH", option)
	}

	// Its key is revoked, or was given up before: nothing was copied wrongly.
	j, err := sealed.NewJWK(by.Public())
	require.NoError(t, err)
	for became, life := range map[string]func(){
		"DICABUT":                               func() { j.Revoked = &sealed.JWKRevocation{At: 5, Reason: "bocor"} },
		"dihentikan sebelum saat yang tercetak": func() { ends := int64(5); j.Revoked, j.Expires = nil, &ends },
	} {
		life()
		text, err := json.Marshal(j)
		require.NoError(t, err)
		lost := filepath.Join(t.TempDir(), "kunci.json")
		require.NoError(t, os.WriteFile(lost, text, 0o600))
		_, err = check("-key", lost)
		require.ErrorContains(t, err, "salinannya benar")
		require.ErrorContains(t, err, by.KeyID()+") "+became)
		require.NotContains(t, err.Error(), "salah salin")
	}
	for option, value := range map[string]string{"-day": "kemarin", "-at": "sore", "-unsealed": "-1", "-signature": "abc", "": "12"} {
		_, err = check(option, value)
		require.Error(t, err, option)
		require.NotContains(t, err.Error(), "TIDAK SAH", option)
	}
}

// TestSignedHeadsShowThatTheChainWasRewritten: in the database and in an export, with the
// public key from elsewhere.
func TestSignedHeadsShowThatTheChainWasRewritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, other := filepath.Join(dir, "kunci.json"), filepath.Join(dir, "lain.json")
	by, keys := pairAt(t, key)
	_, others := pairAt(t, other)
	database := harness.NewDatabase(t)
	db := database.Open(t, "")
	in := func(do func(ctx context.Context, tx *postgres.Tx) error) {
		t.Helper()
		require.NoError(t, db.InTx(t.Context(), do))
	}
	in(func(ctx context.Context, tx *postgres.Tx) error {
		return audit.Record(ctx, tx, audit.Entry{Actor: "a", Action: "x.y"}, audit.Entry{Actor: "b", Action: "x.y"})
	})
	chain := func() audit.Head {
		_, err := audit.NewSealer(db, 0).SealOnce(t.Context())
		require.NoError(t, err)
		head, err := audit.HeadOf(t.Context(), db)
		require.NoError(t, err)
		return head
	}
	day := clock.MustParseDate("2026-11-23")
	s, err := audit.SignedHead{Head: chain(), Day: day, At: day.At(17, 5)}.Sign(t.Context(), by)
	require.NoError(t, err)
	in(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := audit.KeepHead(ctx, tx, day.String(), s)
		return err
	})
	var out bytes.Buffer
	require.NoError(t, checkAudit(t.Context(), db, keys, nil, &out))
	require.Contains(t, out.String(), "ujung bertanda tangan 1, semuanya sah dan cocok")
	require.ErrorContains(t, checkAudit(t.Context(), db, others, nil, &out), "23 November 2026 (nomor 2) TIDAK SAH: ditandatangani dengan kunci lain")

	// The book has revoked the key, of which the file kept elsewhere knows nothing.
	der, err := x509.MarshalPKIXPublicKey(by.Public())
	require.NoError(t, err)
	in(func(ctx context.Context, tx *postgres.Tx) error {
		if _, err := keybook.Record(ctx, tx, keybook.Entry{
			Label: "manifest-signing", Algorithm: "EC", Bits: 256, KCV: "A1B2C3", PublicKey: der, Origin: keybook.Generated,
			TokenLabel: "uji", TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: day.At(9, 0),
		}); err != nil {
			return err
		}
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "a", With: "b", Reason: "bocor"}, day.At(18, 0))
	})
	out.Reset()
	require.NoError(t, checkAudit(t.Context(), db, keys, nil, &out))
	require.Contains(t, out.String(), "1 ujung lain ditandatangani dengan kunci yang sudah dicabut")

	file := filepath.Join(dir, "audit.jsonl")
	url := database.URL(t, "")
	require.NoError(t, exportAudit(t.Context(), []string{"-url", url, "-out", file}))
	require.Error(t, exportAudit(t.Context(), []string{"-url", url, "-out", file}), "nothing is written over")
	out.Reset()
	require.NoError(t, verifyAudit([]string{file, "-key", key, fmt.Sprintf("%d: %s", s.Seq, s.Hash)}, &out))
	require.Contains(t, out.String(), "ujung bertanda tangan 1, semuanya sah dan cocok; sampai catatan nomor 2")
	require.NotContains(t, out.String(), "PERHATIAN")
	require.ErrorContains(t, verifyAudit([]string{file, "-key", other}, &out), "TIDAK SAH")
	require.ErrorContains(t, verifyAudit([]string{key, "-key", key}, &out), "bukan ekspor")

	in(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{
			`ALTER TABLE audit DISABLE TRIGGER USER`, `UPDATE audit SET seq = NULL, hash = NULL, prev_hash = NULL, actor = 'somebody else'`,
			`ALTER TABLE audit ENABLE TRIGGER USER`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	chain()
	require.ErrorContains(t, checkAudit(t.Context(), db, keys, nil, &out), "TIDAK utuh pada nomor 2")
	again := filepath.Join(dir, "lagi.jsonl")
	require.NoError(t, exportAudit(t.Context(), []string{"-url", url, "-out", again}))
	require.ErrorContains(t, verifyAudit([]string{again, "-key", key}, &out), "TIDAK utuh pada nomor 2")
}
