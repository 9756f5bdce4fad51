package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/daemons/sifilma/internal/restored"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
)

// A signing key is lost: what a produsen holds stops counting as soon as it has the new key
// file or the new list, whichever comes first; the old file alone cannot know.
func TestALostSigningKey(t *testing.T) {
	t.Parallel()
	h := harness.HSM(t)
	o := persotest.New(t, 1, 1)
	config := o.Database.Config(t, "")
	d := keyDesk{t, o.DB, []string{"-url", config.URL, "-password-file", config.PasswordFile}}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	d.good([]string{"generate", "-label", ceremony.ManifestSigning, "-kind", "p256"}, of(h), d.dbArgs)
	d.good([]string{"public", "-out", at("lama.json")}, of(h), d.dbArgs)
	first := signing(t, h, ceremony.ManifestSigning)
	m := aManifest(t, first, "MFR-2026-000001-4")
	put(t, at("m.json"), m.Payload)
	put(t, at("m.jws"), m.JWS)
	var zip bytes.Buffer
	require.NoError(t, sealed.WriteBundle(t.Context(), &zip, first, sealed.Header{
		Number: "PSAM-2026-000001-5", Format: evidence.Format, IssuedAt: signedAt.Unix(), NotBefore: signedAt.Unix(),
	}, "Bukti permohonan", []sealed.File{{Name: evidence.AuditFile, Data: []byte(
		`{"request":"019aa1f0-3c5b-7c41-9d0e-6a1f1f0c7a01","head":{"seq":0,"hash":"0000000000000000000000000000000000000000000000000000000000000000"},"pending":0,"rows":[]}`)}}))
	put(t, at("bukti.zip"), zip.Bytes())
	held := []string{at("m.json"), at("bukti.zip"), "-at", "2027-01-05"}
	says := func(code int, args ...string) string {
		got, said := verifies(t, append(held[:len(held):len(held)], args...)...)
		require.Equal(t, code, got, said)
		return said
	}
	says(0, "-key", at("lama.json"))

	lost := []string{"revoke", "-label", ceremony.ManifestSigning, "-by", "Kepala Seksi", "-reason", "token hilang"}
	d.bad("dua orang", lost, d.dbArgs)
	d.bad("dua orang", lost, []string{"-witness", "KEPALA  seksi"}, d.dbArgs)
	d.bad("-reason wajib diisi", lost[:5], []string{"-witness", "Petugas Keamanan"}, d.dbArgs)
	both := append(lost, "-witness", "Petugas Keamanan")
	said := d.good(both, d.dbArgs)
	require.Contains(t, said, "Kunci manifest-signing DICABUT")
	require.Contains(t, said, "sifilma keys generate -label manifest-signing.v2 -kind p256", "what signs now?")
	d.bad("sudah dicabut", both, d.dbArgs)
	d.bad("tidak ada dalam buku kunci", append(both, "-label", "manifest-signing.v7"), d.dbArgs)
	d.good([]string{"generate", "-label", keybook.Label(ceremony.ManifestSigning, 2), "-kind", "p256"}, of(h), d.dbArgs)
	said = d.good([]string{"list"}, d.dbArgs)
	require.Regexp(t, `manifest-signing +versi 1 .*DICABUT`, said)
	require.Regexp(t, `manifest-signing\.v2 +versi 2 .*menandatangani`, said, "nobody may take it for one that is not needed")

	d.bad("PEM tidak dapat mengatakannya", []string{"public", "-format", "pem"}, of(h), d.dbArgs)
	require.Contains(t, d.good([]string{"public", "-format", "pem", "-label", "manifest-signing.v2"}, of(h), d.dbArgs), "PUBLIC KEY")
	require.Contains(t, d.good([]string{"public", "-out", at("baru.json")}, of(h), d.dbArgs), first.KeyID()+"  DICABUT")
	require.Contains(t, d.good([]string{"public", "-out", at("tanpa-buku.json")}, of(h)), "tidak mengatakan kunci mana yang sudah dihentikan atau dicabut")
	next := signing(t, h, keybook.Label(ceremony.ManifestSigning, 2))
	naming := func(name string, keys ...manifest.KeyEntry) {
		list, err := manifest.List{Number: 4, IssuedAt: signedAt, NextUpdate: signedAt.AddDate(1, 0, 0), Keys: keys}.Sign(t.Context(), next)
		require.NoError(t, err)
		put(t, at(name), list)
	}
	naming("daftar.jws", manifest.KeyEntry{KeyID: first.KeyID(), At: signedAt.Unix(), Reason: "token hilang"})
	const why = "ditandatangani dengan kunci yang DICABUT Ditjen Dukcapil sejak"
	for name, args := range map[string][]string{
		"new key file":             {"-key", at("baru.json")},
		"both key files":           {"-key", at("lama.json"), "-key", at("baru.json")},
		"both, the other way":      {"-key", at("baru.json"), "-key", at("lama.json")},
		"new key and the new list": {"-key", at("baru.json"), "-revocations", at("daftar.jws")},
	} {
		said := says(exitInvalid, args...)
		require.Contains(t, said, why, name)
		require.Contains(t, said, "(token hilang)", name)
		require.Contains(t, said, "0 sah, 2 tidak sah", name)
	}
	// The new key was handed over without a word of the old one: the list tells.
	require.Contains(t, d.good([]string{"public", "-label", "manifest-signing.v2", "-out", at("kedua.json")}, of(h)), "tanpa -url berkas ini tidak mengatakan kunci mana")
	require.Contains(t, says(exitInvalid, "-key", at("lama.json"), "-key", at("kedua.json"), "-revocations", at("daftar.jws")), "0 sah, 2 tidak sah")
	code, said := verifies(t, at("daftar.jws"), "-key", at("baru.json"), "-at", "2027-01-05")
	require.Equal(t, 0, code, said)
	require.Contains(t, said, "0 manifest dan 1 kunci penanda tangan")

	// A key that was only given up still stands for what it signed before, and signs no more.
	m = aManifest(t, next, "MFR-2026-000002-2")
	put(t, at("m.json"), m.Payload)
	put(t, at("m.jws"), m.JWS)
	d.good([]string{"retire", "-label", "manifest-signing.v2", "-by", "Kepala Seksi", "-reason", "diganti"}, d.dbArgs)
	d.good([]string{"public", "-out", at("akhir.json")}, of(h), d.dbArgs)
	code, said = verifies(t, at("m.json"), "-key", at("akhir.json"), "-at", "2027-01-05")
	require.Equal(t, 0, code, said)
	late, err := manifest.Issue(t.Context(), next, manifest.JSON{}, factsOf("MFR-2026-000003-0"), time.Now().Add(2*keybook.Settling))
	require.NoError(t, err)
	put(t, at("m.json"), late.Payload)
	put(t, at("m.jws"), late.JWS)
	code, said = verifies(t, at("m.json"), "-key", at("akhir.json"), "-at", "2027-01-05")
	require.Equal(t, exitInvalid, code, said)
	require.Contains(t, said, "sesudah kuncinya dihentikan")

	// A restore took a key out of the book, the last list revokes it and the token has it: no
	// key file gives it out as a good one, and the book does not take it up.
	third := keybook.Label(ceremony.ManifestSigning, 3)
	d.good([]string{"generate", "-label", third, "-kind", "p256"}, of(h))
	carried := manifest.KeyEntry{KeyID: signing(t, h, third).KeyID(), At: signedAt.Unix(), Reason: "bocor"}
	naming("terakhir.jws", manifest.KeyEntry{KeyID: first.KeyID(), At: signedAt.Unix(), Reason: "token hilang"}, carried)
	require.NoError(t, restored.Raise(t.Context(), o.DB, restored.Order{By: "operator uji", Reason: "gladi", Tickets: 100, Papers: 10}))
	d.bad("daftar pencabutan yang terakhir terbit", []string{"public"}, of(h), d.dbArgs)
	list, err := os.ReadFile(at("terakhir.jws"))
	require.NoError(t, err)
	require.NoError(t, restored.Lists(t.Context(), o.DB, list, "operator uji", "", io.Discard))
	require.Contains(t, d.good([]string{"public", "-out", at("sesudah.json")}, of(h), d.dbArgs), carried.KeyID+"  DICABUT")
	d.bad("sudah dicabut", []string{"record", "-label", third, "-origin", "generated"}, of(h), d.dbArgs)

	// Whoever has the token has all of its keys, also those that were given up.
	fourth := keybook.Label(ceremony.ManifestSigning, 4)
	d.good([]string{"generate", "-label", fourth, "-kind", "p256"}, of(h), d.dbArgs)
	require.Contains(t, d.good(append(both, "-label", fourth), d.dbArgs), "token yang sama memegang juga manifest-signing.v2. Bila tokennya")
	require.NotContains(t, d.good(append(both, "-label", "manifest-signing.v2"), d.dbArgs), "token yang sama")
}
