package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/pkcs11"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/test/harness"
	"dukcapil.go.id/sifilma/test/paperoffice"
)

// signingOffice is an office with a manifest key in a token and in the book.
type signingOffice struct {
	*paperoffice.Office
	token harness.Token
}

func newSigningOffice(t *testing.T) signingOffice {
	t.Helper()
	o := signingOffice{paperoffice.New(t, paperoffice.Plan{Cards: 3}), harness.HSM(t)}
	o.key(t, 1)
	return o
}

// key makes a version of the manifest key and records it.
func (o signingOffice) key(t *testing.T, version int) {
	t.Helper()
	token, err := pkcs11.Open(pkcs11.Config{Module: o.token.Module, TokenLabel: o.token.Label, PINFile: o.token.PINFile})
	require.NoError(t, err)
	defer func() { require.NoError(t, token.Close()) }()
	pair, err := token.GenerateSigning(t.Context(), keybook.Label("manifest-signing", version))
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(pair.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := keybook.Record(ctx, tx, keybook.Entry{
			Label: pair.Label(), Algorithm: "EC", Bits: 256, KCV: fmt.Sprintf("%X", sum[:3]), PublicKey: der, Origin: keybook.Generated,
			TokenLabel: o.token.Label, TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: paperoffice.At,
		})
		return err
	})
}

func (o signingOffice) config() string {
	return fmt.Sprintf("manifest: {look: 1s, batch: 2, token: {module: %q, token_label: %q, pin_file: %q}}", o.token.Module, o.token.Label, o.token.PINFile)
}

func (o signingOffice) keys(t *testing.T) sealed.Keys {
	t.Helper()
	entries, err := keybook.Signing(t.Context(), o.DB, "manifest-signing")
	require.NoError(t, err)
	keys, err := keybook.PublicKeys(entries)
	require.NoError(t, err)
	return keys
}

func (o signingOffice) states(t *testing.T, l activation.Letter) (all []machine.State) {
	t.Helper()
	lines, err := activation.Lines(t.Context(), o.DB, l.ID)
	require.NoError(t, err)
	for _, a := range lines {
		all = append(all, a.State)
	}
	return all
}

func (o signingOffice) becomes(t *testing.T, l activation.Letter, want machine.State) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, s := range o.states(t, l) {
			if s != want {
				return false
			}
		}
		return true
	}, patience, 50*time.Millisecond, "%v", want)
}

// list is the list in force, verified.
func (o signingOffice) list(t *testing.T) *manifest.List {
	t.Helper()
	p, err := release.Latest(t.Context(), o.DB)
	require.NoError(t, err)
	l, err := manifest.OpenList(o.keys(t), []byte(p.Token), 0)
	require.NoError(t, err)
	require.Equal(t, p.Number, l.Number)
	return l
}

func (o signingOffice) release(t *testing.T, role machine.Role, produsenID string, seen int) (r release.Release, err error) {
	t.Helper()
	err = o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		r, err = release.Make(ctx, tx, produsenID, seen, paperoffice.As(role, ""))
		return err
	})
	return r, err
}

// bundled waits for the bundle of a release and returns it.
func (o signingOffice) bundled(t *testing.T, number string) []byte {
	t.Helper()
	var r release.Release
	require.Eventually(t, func() bool {
		var err error
		r, err = release.Get(t.Context(), o.DB, number, "")
		return err == nil && r.State == release.Bundled
	}, patience, 50*time.Millisecond)
	content, _, err := blob.Open(t.Context(), o.DB, uuid.MustParse(*r.Bundle))
	require.NoError(t, err)
	zip, err := io.ReadAll(content)
	require.NoError(t, err)
	return zip
}

func (o signingOffice) receive(t *testing.T, role machine.Role, number, produsenID string) error {
	t.Helper()
	return o.DB.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := release.Receive(ctx, tx, number, produsenID, "Wakil Contoh", "PIC", paperoffice.As(role, ""))
		return err
	})
}

// A reader's manifest from its acceptance to the produsen's hands, and back onto the list.
func TestManifestsAreSignedReleasedAndTaken(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	require.Len(t, lines, 3)
	run(t, o.Office, o.config(), "")
	o.becomes(t, l, activation.ManifestReady)
	verifier := manifest.Verifier{Keys: o.keys(t)}
	for _, a := range lines {
		kept, err := activation.Manifest(t.Context(), o.DB, a.ID)
		require.NoError(t, err)
		payloads, err := blob.ReadAll(t.Context(), o.DB, []uuid.UUID{uuid.MustParse(kept.PayloadBlob)})
		require.NoError(t, err)
		got, err := verifier.Verify(payloads[0], []byte(kept.JWS), paperoffice.At)
		require.NoError(t, err)
		require.Equal(t, *a.ManifestSerial, got.Header.Number)
		require.Equal(t, a.Reader, got.Facts.Reader)
		require.Equal(t, a.SAM, got.Facts.SAM)
		require.Equal(t, a.Address, got.Facts.Place)
		require.Equal(t, kept.ValidTo.String(), got.Facts.ValidUntil)
	}
	require.Eventually(t, func() bool { _, err := release.Latest(t.Context(), o.DB); return err == nil }, patience, 50*time.Millisecond)
	require.Empty(t, o.list(t).Entries)

	// A person decides before anything leaves, as it was seen.
	var roles *machine.RoleError
	_, err := o.release(t, request.Operator, l.ProdusenID, 3)
	require.ErrorAs(t, err, &roles)
	_, err = o.release(t, request.Kasubdit, l.ProdusenID, 2)
	require.ErrorIs(t, err, postgres.ErrStale)
	r, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	_, err = o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.ErrorIs(t, err, release.ErrSame)
	zip := o.bundled(t, r.Number)
	got, err := verifier.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 3)
	for _, m := range got.Manifests {
		require.NoError(t, m.Err)
	}
	require.Equal(t, r.Number, got.Bundle.Header.Number)

	// What stops counting before it is taken does not leave with the rest.
	first := func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.Suspend(ctx, tx, l, []int{1}, c)
	}
	o.OnLetter(t, l, request.Kasubdit, "PKS berakhir", first)
	require.ErrorIs(t, o.receive(t, request.Produsen, r.Number, l.ProdusenID), release.ErrChanged)
	require.Eventually(t, func() bool { return len(o.list(t).Entries) == 1 }, patience, 50*time.Millisecond)
	require.Equal(t, manifest.Suspended, o.list(t).Entries[0].State)
	require.Equal(t, *lines[0].ManifestSerial, o.list(t).Entries[0].Number)
	second, err := o.release(t, request.Kasubdit, l.ProdusenID, 2)
	require.NoError(t, err)
	require.NotEqual(t, r.Number, second.Number)
	replaced, err := release.Get(t.Context(), o.DB, r.Number, "")
	require.NoError(t, err)
	require.Equal(t, release.Voided, replaced.State)
	zip = o.bundled(t, second.Number)
	got, err = verifier.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 2)
	require.ErrorIs(t, o.receive(t, request.Produsen, second.Number, uuid.NewString()), release.ErrNotFound, "another produsen's")
	require.NoError(t, o.receive(t, request.Produsen, second.Number, l.ProdusenID))
	var illegal *machine.IllegalError
	require.ErrorAs(t, o.receive(t, request.Produsen, second.Number, l.ProdusenID), &illegal, "taken once")
	require.Equal(t, []machine.State{activation.Suspended, activation.Delivered, activation.Delivered}, o.states(t, l))
	taken, err := release.Get(t.Context(), o.DB, second.Number, l.ProdusenID)
	require.NoError(t, err)
	require.Equal(t, "Wakil Contoh", *taken.Receiver)

	// Revoked for good; the old list is an older one to whoever knows the new.
	before := o.list(t)
	o.OnLetter(t, l, request.Kasubdit, "reader dicuri", func(ctx context.Context, tx *postgres.Tx, l activation.Letter, c request.Change) error {
		return activation.End(ctx, tx, l, []int{2}, activation.VerbStolen, c)
	})
	require.Eventually(t, func() bool { return len(o.list(t).Entries) == 2 }, patience, 50*time.Millisecond)
	now := o.list(t)
	require.Greater(t, now.Number, before.Number)
	verifier.List = now
	got, err = verifier.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	require.ErrorIs(t, got.Manifests[0].Err, manifest.ErrRevoked)
	require.NoError(t, got.Manifests[1].Err)
}

// Two processes and a new version of the key: each manifest is signed once, under the
// number it was given, and the old key still verifies what it signed.
func TestTwoSignersDoNoHarm(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	l, lines := o.Readers(t)
	for range 2 {
		run(t, o.Office, o.config(), "")
	}
	o.becomes(t, l, activation.ManifestReady)
	var signed, numbers int
	require.NoError(t, o.DB.Get(t.Context(), &signed, `SELECT count(*) FROM activation_manifest`))
	require.NoError(t, o.DB.Get(t.Context(), &numbers, `SELECT count(DISTINCT detail->>'manifest') FROM audit WHERE action = 'manifest.signed'`))
	require.Equal(t, []int{len(lines), len(lines)}, []int{signed, numbers})
	require.Eventually(t, func() bool { _, err := release.Latest(t.Context(), o.DB); return err == nil }, patience, 50*time.Millisecond)
	before := o.list(t)
	o.key(t, 2)
	require.Eventually(t, func() bool { return o.list(t).Number > before.Number }, patience, 50*time.Millisecond)
	require.NotEqual(t, before.KeyID, o.list(t).KeyID, "the new version signs")
	_, err := o.release(t, request.Kasubdit, l.ProdusenID, 3)
	require.NoError(t, err)
	releases, err := release.List(t.Context(), o.DB, "", 5)
	require.NoError(t, err)
	zip := o.bundled(t, releases[0].Number)
	got, err := manifest.Verifier{Keys: o.keys(t)}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), paperoffice.At)
	require.NoError(t, err)
	for _, m := range got.Manifests {
		require.NoError(t, m.Err)
		require.Equal(t, before.KeyID, m.Verified.Header.KeyID)
	}
}

// Evidence holds the request's files and papers as they are, holds by itself, and holds no
// secret; no byte of it can be changed.
func TestEvidenceIsWholeAndHoldsNoSecret(t *testing.T) {
	t.Parallel()
	o := newSigningOffice(t)
	r := o.Done(t)
	o.HandOver(t, r) // a BAST with its files
	for {
		n, err := audit.NewSealer(o.DB, 0).SealOnce(t.Context())
		require.NoError(t, err)
		if n == 0 {
			break
		}
	}
	o.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := evidence.Order(ctx, tx, r.ID, "operator", paperoffice.At)
		return err
	})
	// LibreOffice is not what this is about: the papers are those of the handover.
	run(t, o.Office, o.config()+"\nlibreoffice: {soffice: /bin/false}\npress: {retry: 1m}", "")
	var e evidence.Evidence
	require.Eventually(t, func() bool {
		var err error
		e, err = evidence.Latest(t.Context(), o.DB, r.ID)
		return err == nil && e.Bundle != nil
	}, patience, 50*time.Millisecond)
	content, err := blob.ReadAll(t.Context(), o.DB, []uuid.UUID{uuid.MustParse(*e.Bundle)})
	require.NoError(t, err)
	zip := content[0]
	keys := o.keys(t)
	b, err := keys.OpenBundle(bytes.NewReader(zip), int64(len(zip)))
	require.NoError(t, err)
	require.Equal(t, evidence.Format, b.Header.Format)
	for _, name := range []string{"permohonan.json", "kartu.json", evidence.AuditFile, "BACA-SAYA.txt"} {
		require.True(t, b.Has(name), name)
	}
	papers, whole := 0, ""
	for _, m := range b.Index.Members {
		data, err := b.Read(m.Name)
		require.NoError(t, err)
		whole += string(data)
		if strings.HasPrefix(m.Name, "naskah/") {
			require.Regexp(t, `^naskah/\d\d-(surat-balasan|surat-keterangan-selesai|laporan-hasil|bast)(-bertanda-tangan)?\.`, m.Name, "in the office's words")
			papers++
		}
	}
	require.Positive(t, papers)
	for _, serial := range r.Serials {
		require.Contains(t, whole, serial)
	}
	// The hash of a card's age file and the fingerprints of the keys that it is for are no
	// secrets; the file itself is the produsen's alone.
	told := strings.NewReplacer("secret_file_sha256", "", "secret_file_key", "", "secret_file_escrow", "", `"secret_key"`, "").Replace(strings.ToLower(whole))
	for _, word := range []string{"password", "secret_", "sealed_keys", "\"conf\"", "argon2", "key_material", "age-encryption.org"} {
		require.NotContains(t, told, word)
	}
	var wrapped [][]byte
	require.NoError(t, o.DB.Select(t.Context(), &wrapped, `SELECT sealed FROM perso_attempt WHERE sealed IS NOT NULL`))
	for _, secret := range wrapped {
		require.NotContains(t, whole, string(secret))
	}
	text, err := b.Read(evidence.AuditFile)
	require.NoError(t, err)
	var proof audit.Proof
	require.NoError(t, json.Unmarshal(text, &proof))
	require.NoError(t, proof.Verify())
	for i := range zip {
		zip[i] ^= 1
		if _, err := keys.OpenBundle(bytes.NewReader(zip), int64(len(zip))); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
		zip[i] ^= 1
	}
}
