package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/sifilma/internal/ceremony"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
)

// verifies runs `sifilma verify` and returns its exit code.
func verifies(t *testing.T, args ...string) (code int, says string) {
	t.Helper()
	out, err := sifilma(t, append([]string{"verify"}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	require.NoError(t, err)
	return 0, string(out)
}

func put(t *testing.T, path string, content []byte) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

var signedAt = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)

func signing(t *testing.T, h harness.Token, label string) *sealed.Signer {
	t.Helper()
	token, err := pkcs11.Open(pkcs11.Config{Module: h.Module, TokenLabel: h.Label, PINFile: h.PINFile})
	require.NoError(t, err)
	t.Cleanup(func() { _ = token.Close() })
	pair, err := token.FindSigning(t.Context(), label)
	require.NoError(t, err)
	s, err := sealed.NewSigner(pair.Public(), pair.Sign)
	require.NoError(t, err)
	return s
}

func factsOf(number string) manifest.Facts {
	return manifest.Facts{
		Number: number, Reader: "RDR-1", SAM: "SAM-1", PCID: "PC-1", Producer: "PT Pembaca", Institution: "Bank Contoh", Place: "Jakarta",
		Mode: manifest.Offline, ValidFrom: "2026-12-01", ValidUntil: "2031-11-30",
	}
}

func aManifest(t *testing.T, s *sealed.Signer, number string) manifest.Manifest {
	t.Helper()
	m, err := manifest.Issue(t.Context(), s, manifest.JSON{}, factsOf(number), signedAt)
	require.NoError(t, err)
	return m
}

// What a produsen does with what it gets: the key from the office's ceremony, then each
// kind of file, whole and damaged.
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	h, other := harness.HSM(t), harness.HSM(t)
	o := persotest.New(t, 1, 1)
	config := o.Database.Config(t, "")
	d := keyDesk{t, o.DB, []string{"-url", config.URL, "-password-file", config.PasswordFile}}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	pair := []string{"-label", ceremony.ManifestSigning, "-kind", "p256"}

	d.bad("tidak memegang kunci manifest-signing", []string{"public"}, of(h))
	made := d.good([]string{"generate"}, pair, of(h), d.dbArgs)
	require.Contains(t, made, "P-256")
	require.Contains(t, made, "dibuat")
	require.Contains(t, d.good([]string{"generate"}, pair, of(h), d.dbArgs), "sudah ada")
	book, err := keybook.Signing(t.Context(), o.DB, ceremony.ManifestSigning)
	require.NoError(t, err)
	require.Len(t, book, 1)
	require.Contains(t, d.good([]string{"list"}, of(h), d.dbArgs), "P-256")
	require.Contains(t, d.good([]string{"proof"}, of(h)), `"P-256"`)
	d.bad("dibuat oleh token sendiri", []string{"ceremony", "-custodian", "a", "-custodian", "b", "-paper", at("x.docx")}, pair, of(h))
	d.good([]string{"public", "-out", at("kunci.json")}, of(h))
	d.bad("tidak ditimpa", []string{"public", "-out", at("kunci.json")}, of(h))
	put(t, at("kunci.pem"), []byte(d.good([]string{"public", "-format", "pem"}, of(h))))
	d.good([]string{"generate"}, pair, of(other))
	d.good([]string{"public", "-out", at("lain.json")}, of(other))

	s := signing(t, h, ceremony.ManifestSigning)
	der, err := sealed.ParseKeys([]byte(d.good([]string{"public", "-format", "pem"}, of(h))))
	require.NoError(t, err)
	m := aManifest(t, s, "MFR-2026-000001-4")
	put(t, at("m.json"), m.Payload)
	put(t, at("m.jws"), m.JWS)
	list, err := manifest.List{Number: 2, IssuedAt: signedAt, NextUpdate: signedAt.AddDate(1, 0, 0)}.Sign(t.Context(), s)
	require.NoError(t, err)
	put(t, at("daftar.jws"), list)
	revoking, err := manifest.List{Number: 3, IssuedAt: signedAt, NextUpdate: signedAt.AddDate(1, 0, 0), Entries: []manifest.Entry{
		{Number: m.Number, State: manifest.Revoked, At: signedAt.Unix(), Reason: "pembaca dicuri"},
	}}.Sign(t.Context(), s)
	require.NoError(t, err)
	put(t, at("cabut.jws"), revoking)
	var zip bytes.Buffer
	require.NoError(t, manifest.Delivery{Number: "SM-1", About: "untuk PT Pembaca", Issued: signedAt, Manifests: []manifest.Manifest{m}, List: list, Keys: der}.Write(t.Context(), &zip, s))
	put(t, at("bundel.zip"), zip.Bytes())

	proof := func(name, head string) string {
		var out bytes.Buffer
		h := sealed.Header{Number: "PSAM-2026-000001-5", Format: evidence.Format, IssuedAt: signedAt.Unix(), NotBefore: signedAt.Unix()}
		text := `{"request":"019aa1f0-3c5b-7c41-9d0e-6a1f1f0c7a01","head":{"seq":0,"hash":"` + head + `"},"pending":0,"rows":[]}`
		require.NoError(t, sealed.WriteBundle(t.Context(), &out, s, h, "Bukti permohonan", []sealed.File{{Name: evidence.AuditFile, Data: []byte(text)}}))
		return put(t, at(name), out.Bytes())
	}
	code, says := verifies(t, proof("bukti.zip", strings.Repeat("0", 64)), "-key", at("kunci.json"), "-at", "2027-01-05")
	require.Equal(t, 0, code, says)
	require.Contains(t, says, evidence.AuditFile, "each file with its hash")
	code, says = verifies(t, proof("bukti-rusak.zip", "00"), "-key", at("kunci.json"), "-at", "2027-01-05")
	require.Equal(t, exitInvalid, code, says)
	require.Contains(t, says, "baris audit")

	good := []string{"-key", at("kunci.json"), "-at", "2027-01-05"}
	code, says = verifies(t, append([]string{at("m.json"), at("m.jws"), at("bundel.zip"), at("daftar.jws")}, good...)...)
	require.Equal(t, 0, code, says)
	require.Contains(t, says, "4 sah, 0 tidak sah", "a pair counts once, a delivery with its manifest")
	require.Contains(t, says, "reader RDR-1")
	require.Contains(t, says, "tanpa -revocations")
	code, says = verifies(t, "-key", at("kunci.pem"), at("m.jws"), "-at", "2027-01-05T00:00:00+07:00", "-revocations", at("daftar.jws"))
	require.Equal(t, 0, code, says)
	require.NotContains(t, says, "PERHATIAN")

	for name, c := range map[string]struct {
		says string
		args []string
	}{
		"wrong key":       {"kunci lain", []string{at("bundel.zip"), "-key", at("lain.json")}},
		"too early":       {"belum mulai berlaku; berlaku 1 Desember 2026 pukul 00.00 WIB sampai sebelum 1 Desember 2031 pukul 00.00 WIB", []string{at("m.json"), "-key", at("kunci.json"), "-at", "2026-11-30"}},
		"too late":        {"tidak berlaku lagi", []string{at("m.json"), "-key", at("kunci.json"), "-at", "2031-12-01"}},
		"revoked":         {"DICABUT sejak 23 November 2026 pukul 10.00 WIB: pembaca dicuri", append([]string{at("bundel.zip"), "-revocations", at("cabut.jws")}, good...)},
		"stale list":      {"lewat masa pakainya", []string{at("daftar.jws"), "-key", at("kunci.json"), "-at", "2028-01-01"}},
		"changed payload": {"isinya diubah", append([]string{put(t, at("n.json"), bytes.Replace(m.Payload, []byte("RDR-1"), []byte("RDR-2"), 1)), put(t, at("n.jws"), m.JWS)}, good...)},
		"broken zip":      {"bentuknya bukan berkas", append([]string{put(t, at("rusak.zip"), append(zip.Bytes()[:zip.Len():zip.Len()], '\n'))}, good...)},
		"changed zip":     {"isinya diubah", append([]string{put(t, at("ubah.zip"), bytes.Replace(zip.Bytes(), []byte("RDR-1"), []byte("RDR-2"), 1))}, good...)},
	} {
		code, says := verifies(t, c.args...)
		require.Equal(t, exitInvalid, code, "%s: %s", name, says)
		require.Contains(t, says, c.says, name)
		require.Contains(t, says, "TIDAK SAH", name)
		require.NotRegexp(t, `sealed:|manifest:|\n +\(`, says, "%s: the program's own words are for those who ask", name)
		code, says = verifies(t, append(c.args, "-detail")...)
		require.Equal(t, exitInvalid, code, "%s: %s", name, says)
		require.Regexp(t, `\n +\(`, says, name)
	}
	for name, args := range map[string][]string{
		"no key":               {at("m.json")},
		"no file":              {"-key", at("kunci.json")},
		"file is missing":      append([]string{at("tidak-ada.zip")}, good...),
		"signature missing":    append([]string{put(t, at("sendiri.json"), m.Payload)}, good...),
		"payload missing":      append([]string{put(t, at("sendirian.jws"), m.JWS)}, good...),
		"key is no key":        {at("m.json"), "-key", at("m.json")},
		"list is no list":      append([]string{at("m.json"), "-revocations", at("m.jws")}, good...),
		"date":                 {at("m.json"), "-key", at("kunci.json"), "-at", "besok"},
		"one good, one absent": append([]string{at("m.json"), at("tidak-ada.zip")}, good...),
	} {
		code, says := verifies(t, args...)
		require.Equal(t, exitUnjudged, code, "%s: %s", name, says)
		require.NotContains(t, strings.ToLower(says), "panic", name)
	}
}
