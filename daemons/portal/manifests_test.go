package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/manifests"
	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/activation/release"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// sealer plays the document generator, with a key of its own: the desk that signs is
// tested there, with a token.
type sealer struct {
	o    *office
	s    *sealed.Signer
	keys sealed.Keys
	list []byte
}

func (o *office) sealer() *sealer {
	o.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(o.t, err)
	s, err := sealed.NewSigner(&private.PublicKey, func(_ context.Context, digest []byte) ([]byte, error) {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	})
	require.NoError(o.t, err)
	keys, err := sealed.NewKeys(&private.PublicKey)
	require.NoError(o.t, err)
	o.signingKey("manifest-signing", &private.PublicKey)
	return &sealer{o, s, keys, nil}
}

// signingKey records a key that signs manifests.
func (o *office) signingKey(label string, public *ecdsa.PublicKey) {
	o.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(o.t, err)
	sum := sha256.Sum256(der)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := keybook.Record(ctx, tx, keybook.Entry{
			Label: label, Algorithm: "EC", Bits: 256, KCV: fmt.Sprintf("%X", sum[:3]), PublicKey: der, Origin: keybook.Generated,
			TokenLabel: "uji", TokenSerial: "1", Place: "Jakarta", RecordedBy: "uji", OfficeAt: morning,
		})
		return err
	})
}

func (s *sealer) change() request.Change {
	return request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: s.o.clock.Now()}
}

// manifests signs what is accepted.
func (s *sealer) manifests() {
	s.o.t.Helper()
	due, err := activation.AwaitingManifest(s.o.t.Context(), s.o.db, 100)
	require.NoError(s.o.t, err)
	s.o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		from, to := clock.DateOf(morning), clock.DateOf(morning).AddDays(100)
		for _, d := range due {
			m, err := manifest.Issue(ctx, s.s, manifest.JSON{}, manifest.Facts{
				Number: *d.ManifestSerial, Reader: d.Reader, SAM: d.SAM, PCID: d.PCID, Producer: d.Produsen, Institution: d.Lembaga, Place: d.Address, Mode: d.Mode,
				ValidFrom: from.String(), ValidUntil: to.String(),
			}, morning)
			if err != nil {
				return err
			}
			ref, err := blob.Put(ctx, tx, "m.json", "application/json", bytes.NewReader(m.Payload))
			if err != nil {
				return err
			}
			if err := activation.AttachManifest(ctx, tx, d.Activation, activation.ManifestFile{
				KeyID: s.s.KeyID(), PayloadBlob: ref.ID.String(), JWS: string(m.JWS), SHA256: ref.SHA256[:], ValidFrom: from, ValidTo: to,
			}, s.change()); err != nil {
				return err
			}
		}
		var err error
		l := manifest.List{Number: 5, IssuedAt: morning, NextUpdate: morning.AddDate(0, 1, 0)}
		if s.list, err = l.Sign(ctx, s.s); err != nil {
			return err
		}
		return release.Publish(ctx, tx, release.PublishedList{
			Number: 5, KeyID: s.s.KeyID(), Token: string(s.list), Sum: release.Sum(nil), IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate,
		}, 0)
	})
}

// bundles makes the bundles of what was released.
func (s *sealer) bundles() {
	s.o.t.Helper()
	all, err := release.Unbundled(s.o.t.Context(), s.o.db, 10)
	require.NoError(s.o.t, err)
	for _, r := range all {
		files, err := release.Files(s.o.t.Context(), s.o.db, r.ID)
		require.NoError(s.o.t, err)
		d := manifest.Delivery{Number: r.Number, About: r.Produsen, Issued: morning, List: s.list, Keys: s.keys}
		for _, f := range files {
			payload, err := blob.ReadAll(s.o.t.Context(), s.o.db, []uuid.UUID{f.Payload})
			require.NoError(s.o.t, err)
			d.Manifests = append(d.Manifests, manifest.Manifest{Number: f.Number, Format: "json/1", Payload: payload[0], JWS: []byte(f.JWS)})
		}
		var zip bytes.Buffer
		require.NoError(s.o.t, d.Write(s.o.t.Context(), &zip, s.s))
		s.o.tx(func(ctx context.Context, tx *postgres.Tx) error {
			ref, err := blob.Put(ctx, tx, r.Number+".zip", "application/zip", &zip)
			if err != nil {
				return err
			}
			return release.Attach(ctx, tx, r, ref.ID, s.s.KeyID(), s.change())
		})
	}
}

const releases = "/api/v1/manifest-releases"

// From the manifest that is ready to the named person who takes the bundle.
func TestManifestsThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(3))
	o.acceptReaders(&v)
	o.problem(404, "", http.MethodGet, "/manifest/pencabutan.jws", nil)
	s.manifests()

	var all manifests.Overview
	o.want(200, &all, "operator", http.MethodGet, releases, nil)
	require.Len(t, all.Waiting, 1)
	require.Equal(t, []int{3, 3}, []int{all.Waiting[0].Ready, all.Waiting[0].Fresh})
	order := map[string]any{"produsen_id": all.Waiting[0].ProdusenID, "manifests": 3}
	for _, who := range []string{"operator", "dirjen", "produsen", "lembaga"} {
		o.problem(403, who, http.MethodPost, releases, order)
	}
	o.problem(412, "kasubdit", http.MethodPost, releases, map[string]any{"produsen_id": all.Waiting[0].ProdusenID, "manifests": 2})
	require.Equal(t, map[string]string{"/produsen_id": "unknown"}, codes(o.problem(422, "kasubdit", http.MethodPost, releases, map[string]any{"produsen_id": "x", "manifests": 3})))
	var r manifests.View
	o.want(201, &r, "kasubdit", http.MethodPost, releases, order)
	require.Equal(t, release.Released, r.State)
	require.Equal(t, "already-so", problemCode(o.problem(409, "kasubdit", http.MethodPost, releases, order).Type))
	at := releases + "/" + r.Number
	o.problem(404, "produsen", http.MethodGet, at+"/bundle", nil) // not made yet
	s.bundles()

	// Another produsen and the lembaga know nothing of it.
	for _, who := range []string{foreigner, "lembaga", otherLembaga} {
		o.problem(404, who, http.MethodGet, at, nil)
		o.problem(404, who, http.MethodPost, at+"/receipt", map[string]any{})
		o.problem(404, who, http.MethodGet, at+"/bundle", nil)
	}
	o.want(200, &all, foreigner, http.MethodGet, releases, nil)
	require.Empty(t, all.Releases)
	o.want(200, &all, "produsen", http.MethodGet, releases, nil)
	require.Len(t, all.Releases, 1)
	require.Empty(t, all.Waiting, "what the office has not released")

	// Nobody gets it without a name.
	require.Equal(t, "illegal-step", problemCode(o.problem(409, "produsen", http.MethodGet, at+"/bundle", nil).Type))
	require.Equal(t, map[string]string{"/receiver": "missing", "/receiver_post": "too_long"},
		codes(o.problem(422, "produsen", http.MethodPost, at+"/receipt", map[string]any{"receiver": " ", "receiver_post": strings.Repeat("a", 201)})))
	o.problem(403, "dirjen", http.MethodPost, at+"/receipt", map[string]any{"receiver": "A", "receiver_post": "B"})
	o.want(200, &r, "produsen", http.MethodPost, at+"/receipt", map[string]any{"receiver": "Wakil  Contoh", "receiver_post": "PIC"})
	require.Equal(t, []string{"delivered", "Wakil Contoh"}, []string{string(r.State), r.Receiver})
	require.Equal(t, "illegal-step", problemCode(o.problem(409, "produsen", http.MethodPost, at+"/receipt", map[string]any{"receiver": "A", "receiver_post": "B"}).Type))
	w := o.want(200, nil, "produsen", http.MethodGet, at+"/bundle", nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), r.Number+".zip")
	zip := w.Body.Bytes()

	// What came is verified with what is public.
	w = o.want(200, nil, "", http.MethodGet, "/manifest/kunci.json", nil)
	keys, err := sealed.ParseKeys(w.Body.Bytes())
	require.NoError(t, err)
	w = o.want(200, nil, "", http.MethodGet, "/manifest/pencabutan.jws", nil)
	list, err := manifest.OpenList(keys, w.Body.Bytes(), 0)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, o.ask("", http.MethodGet, "/manifest/pencabutan.jws", nil, "If-None-Match", w.Header().Get("ETag")).Code)
	got, err := manifest.Verifier{Keys: keys, List: list}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), morning)
	require.NoError(t, err)
	require.Len(t, got.Manifests, 3)
	o.want(200, &v, "lembaga", http.MethodGet, activations+"/"+v.Ticket, nil)
	require.Equal(t, "delivered delivered delivered", lineStates(v))
	early := o.problem(422, "produsen", http.MethodPost, activations+"/"+v.Ticket+"/installation", map[string]any{"on": "2026-11-22", "lines": []int{1}}, ifMatch(v.Version)...)
	require.Equal(t, map[string]string{"/on": "too_early"}, codes(early), "before it had the manifest")
	require.Contains(t, early.Errors[0].Detail, "sebelum manifestnya diserahkan")
	o.step(200, "produsen", "installation", &v, map[string]any{"on": "2026-11-23", "lines": []int{1}})

	// The key is lost: its public half says so from then on.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}, morning)
	})
	lost, err := sealed.ParseKeys(o.want(200, nil, "", http.MethodGet, "/manifest/kunci.json", nil).Body.Bytes())
	require.NoError(t, err)
	_, err = manifest.Verifier{Keys: lost}.OpenDelivery(bytes.NewReader(zip), int64(len(zip)), morning)
	require.ErrorIs(t, err, sealed.ErrKeyRevoked)
	for _, who := range []string{"produsen", "operator"} {
		require.Contains(t, o.problem(409, who, http.MethodGet, at+"/bundle", nil).Detail, "kunci yang sudah dicabut", "it leaves no more")
		page := o.page(200, who, "/manifest/pelepasan/"+r.Number)
		require.Contains(t, page.text, "kunci yang sudah dicabut")
		require.NotContains(t, page.text, "Unduh bundel")
	}
	require.ErrorContains(t, err, "token hilang")
	for _, who := range []string{"produsen", "kasubdit"} {
		require.Contains(t, o.page(200, who, "/manifest").text, "Sudah diambil; kuncinya dicabut")
		require.Contains(t, o.page(200, who, "/manifest/pelepasan/"+r.Number).text, "Jangan dipasang")
	}
	require.Contains(t, o.page(200, "kasubdit", "/manifest").text, "Belum ada kunci penggantinya")

	var acts []string
	require.NoError(t, o.db.Select(t.Context(), &acts, `SELECT action || ' ' || actor FROM audit WHERE action LIKE 'manifests.%' ORDER BY id`))
	require.Equal(t, []string{"manifests.released kasubdit", "manifests.taken produsen", "manifests.fetched produsen"}, acts)
}

// A bundle is not given out once a manifest in it stops counting; a new one takes its place.
func TestAReleaseThatChangedIsMadeAnew(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(2))
	o.acceptReaders(&v)
	s.manifests()
	var all manifests.Overview
	o.want(200, &all, "kasubdit", http.MethodGet, releases, nil)
	order := map[string]any{"produsen_id": all.Waiting[0].ProdusenID, "manifests": 2}
	var first, second manifests.View
	o.want(201, &first, "kasubdit", http.MethodPost, releases, order)
	s.bundles()
	o.want(200, &v, "operator", http.MethodGet, activations+"/"+v.Ticket, nil)
	o.step(200, "operator", "theft", &v, map[string]any{"lines": []int{1}, "reason": "Laporan polisi."})
	receipt := map[string]any{"receiver": "A", "receiver_post": "B"}
	require.Equal(t, "illegal-step", problemCode(o.problem(409, "produsen", http.MethodPost, releases+"/"+first.Number+"/receipt", receipt).Type))
	o.want(200, &all, "kasubdit", http.MethodGet, releases, nil)
	require.Equal(t, []int{1, 1}, []int{all.Waiting[0].Ready, all.Waiting[0].Fresh}, "the one left waits for a new release")
	require.Contains(t, o.page(200, "kasubdit", "/manifest").text, "Lepas manifest")
	order["manifests"] = 1
	o.want(201, &second, "kasubdit", http.MethodPost, releases, order)
	s.bundles()
	o.want(200, &first, "produsen", http.MethodGet, releases+"/"+first.Number, nil)
	require.Equal(t, release.Voided, first.State)
	o.problem(404, "produsen", http.MethodGet, releases+"/"+first.Number+"/bundle", nil)
	o.want(200, &second, "operator", http.MethodPost, releases+"/"+second.Number+"/receipt", receipt)
	require.Equal(t, 1, second.Manifests)
}

// The same by the pages.
func TestManifestPages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(2))
	o.acceptReaders(&v)
	s.manifests()
	var all manifests.Overview
	o.want(200, &all, "operator", http.MethodGet, releases, nil)
	form := "/manifest/lepas/" + all.Waiting[0].ProdusenID
	d := o.page(200, "operator", "/manifest")
	require.Contains(t, d.text, "Menunggu Kasubdit KI")
	o.page(403, "operator", form)
	require.Contains(t, o.page(200, "kasubdit", "/manifest").text, "Lepas manifest")
	require.Equal(t, "2", o.page(200, "kasubdit", form).value("versi"))
	d, _ = o.post(412, "kasubdit", form, "versi", "1")
	require.Equal(t, "2", d.value("versi"), "as many as there are now, so that it can be sent again")
	_, to := o.post(303, "kasubdit", form, "versi", "2")
	at, _, _ := strings.Cut(to, "?")
	require.Contains(t, o.page(200, "kasubdit", to).text, "Tersimpan.")
	_, twice := o.post(303, "kasubdit", form, "versi", "2")
	require.Equal(t, at, strings.Split(twice, "?")[0], "a button that was pressed twice leads where it led")
	require.Contains(t, o.page(200, "lembaga", "/manifest").text, "Manifest diserahkan kepada produsen")
	s.bundles()
	require.Contains(t, o.page(200, "produsen", "/manifest").text, "Bundel siap diambil")
	require.NotContains(t, o.page(200, foreigner, "/manifest").text, "Bundel siap diambil")
	o.page(404, foreigner, at)
	require.Contains(t, o.page(200, "produsen", at).text, "Terima bundel")
	o.page(200, "produsen", at+"/terima")
	d, _ = o.post(422, "produsen", at+"/terima", "receiver", "", "receiver_post", "PIC")
	require.Contains(t, d.text, "Nama penerima wajib diisi")
	_, to = o.post(303, "produsen", at+"/terima", "receiver", "Wakil Contoh", "receiver_post", "PIC")
	d = o.page(200, "produsen", to)
	require.Contains(t, d.text, "Unduh bundel")
	require.Contains(t, d.text, "oleh Wakil Contoh, PIC")
	require.Contains(t, d.text, "sifilma verify")
}

// Evidence is the office's: ordered, made, and each download noted.
func TestEvidenceThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(2))
	at := "/api/v1/requests/" + v.Ticket + "/evidence"
	o.problem(404, "operator", http.MethodGet, at, nil)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		o.problem(403, "produsen", method, at, nil)
		o.problem(404, foreigner, method, at, nil)
	}
	page := "/permohonan/" + v.Ticket + "/bukti"
	require.Contains(t, o.page(200, "operator", "/permohonan/"+v.Ticket).text, "Bukti permohonan")
	require.NotContains(t, o.page(200, "produsen", "/permohonan/"+v.Ticket).text, "Bukti permohonan")
	o.page(403, "produsen", page)
	require.Contains(t, o.page(200, "operator", page).text, "Susun bukti sekarang")
	_, to := o.post(303, "operator", page)
	require.Contains(t, o.page(200, "operator", to).text, "Sedang disusun")
	require.Equal(t, 202, o.ask("dirjen", http.MethodPost, at, nil).Code)
	require.Equal(t, "paper-not-made", problemCode(o.problem(409, "operator", http.MethodGet, at, nil).Type))
	owed, err := evidence.Owed(t.Context(), o.db, 5)
	require.NoError(t, err)
	require.Len(t, owed, 1, "one bundle for both orders")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "bukti.zip", "application/zip", strings.NewReader("PK"))
		if err != nil {
			return err
		}
		return evidence.Attach(ctx, tx, owed[0], ref.ID, o.sealer().s.KeyID())
	})
	require.Contains(t, o.page(200, "operator", page).text, "Unduh bukti")
	w := o.want(200, nil, "operator", http.MethodGet, at, nil)
	require.Contains(t, w.Header().Get("Content-Disposition"), "bukti-"+v.Ticket+".zip")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "token hilang"}, morning)
	})
	require.Contains(t, o.problem(409, "operator", http.MethodGet, at, nil).Detail, "Susun yang baru")
	weak := o.page(200, "operator", page).text
	require.Contains(t, weak, "kunci yang sudah dicabut")
	require.NotContains(t, weak, "Unduh bukti")
}
