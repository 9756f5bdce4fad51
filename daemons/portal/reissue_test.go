package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/perso/keybook"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

const signingKeys = "/api/v1/manifest-keys"

// giveUpKey ends the first version of the key that signs manifests.
func (o *office) giveUpKey() {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Retire(ctx, tx, "manifest-signing", "Petugas Contoh", "Token hilang.", morning)
	})
}

// nextKey records the second version of the key that signs manifests.
func (o *office) nextKey() {
	o.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(o.t, err)
	o.signingKey("manifest-signing.v2", &private.PublicKey)
}

// All manifests of a key that was given up are replaced in one act.
func TestReissueThroughTheAPI(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(3))
	o.acceptReaders(&v)
	s.manifests()
	at := signingKeys + "/" + s.s.KeyID() + "/reissue"
	order := map[string]any{"readers": 3, "reason": " Token hilang. "}

	var keys activation.SigningKeys
	o.want(200, &keys, "operator", http.MethodGet, signingKeys, nil)
	require.Equal(t, &activation.KeyInForce{Label: "manifest-signing", KeyID: s.s.KeyID()}, keys.InForce)
	require.Empty(t, keys.GivenUp)
	for _, who := range []string{"produsen", "lembaga", foreigner} {
		o.problem(403, who, http.MethodGet, signingKeys, nil)
	}
	for _, who := range []string{"operator", "dirjen", "direktur", "produsen", "lembaga"} {
		o.problem(403, who, http.MethodPost, at, order)
	}
	require.Equal(t, "key-in-use", problemCode(o.problem(409, "kasubdit", http.MethodPost, at, order).Type))
	o.giveUpKey()
	require.Equal(t, "no-signing-key", problemCode(o.problem(409, "kasubdit", http.MethodPost, at, order).Type))
	o.nextKey()
	o.problem(404, "kasubdit", http.MethodPost, signingKeys+"/x/reissue", order)
	require.Equal(t, map[string]string{"/reason": "missing"}, codes(o.problem(422, "kasubdit", http.MethodPost, at, map[string]any{"readers": 3, "reason": " "})))
	require.Equal(t, map[string]string{"/reason": "too_long"}, codes(o.problem(422, "kasubdit", http.MethodPost, at, map[string]any{"readers": 3, "reason": strings.Repeat("a", 2001)})))
	o.problem(412, "kasubdit", http.MethodPost, at, map[string]any{"readers": 2, "reason": "x"})
	o.want(200, &keys, "dirjen", http.MethodGet, signingKeys, nil)
	require.Equal(t, "manifest-signing.v2", keys.InForce.Label)
	require.Len(t, keys.GivenUp, 1)
	k := keys.GivenUp[0]
	require.Equal(t, []any{"manifest-signing", s.s.KeyID(), "Petugas Contoh", "Token hilang.", 3, 1, 0, 0},
		[]any{k.Label, k.KeyID, k.GivenUpBy, k.Reason, k.Due, k.Letters, k.Held, k.Suspended})

	var done activation.Reissued
	o.want(200, &done, "kasubdit", http.MethodPost, at, order)
	require.Equal(t, activation.Reissued{Label: "manifest-signing", KeyID: s.s.KeyID(), Readers: 3, Letters: 1}, done)
	require.Equal(t, "already-so", problemCode(o.problem(409, "kasubdit", http.MethodPost, at, order).Type))
	for _, who := range []string{"operator", "produsen", "lembaga"} {
		o.want(200, &v, who, http.MethodGet, activations+"/"+v.Ticket, nil)
		require.Equal(t, "revoked revoked revoked accepted accepted accepted", lineStates(v))
		require.Equal(t, []any{activation.CauseSigningKey, "Kunci penanda tangan diganti", 4, (*int)(nil), "Token hilang."},
			[]any{v.Lines[0].Cause, v.Lines[0].CauseLabel, *v.Lines[0].ReplacedBy, v.Lines[0].Replaces, v.Lines[0].Reason})
		require.Equal(t, []any{1, (*int)(nil), v.Lines[0].Reader, "Token hilang."}, []any{*v.Lines[3].Replaces, v.Lines[3].ReplacedBy, v.Lines[3].Reader, v.Lines[3].Reason})
		var told []string
		for _, e := range v.Timeline[:2] {
			told = append(told, e.Label)
		}
		require.ElementsMatch(t, []string{"Manifest dicabut karena kunci penanda tangannya diganti (baris 1–3)", "Manifest diterbitkan ulang (baris 4–6)"}, told)
	}
	require.NotContains(t, v.Lines[3].Offers, activation.VerbReissue)
	c := o.chip("operator", v.Lines[0].SAM).Chip
	require.Len(t, c.Activations, 2)
	require.Equal(t, []int{4, 1}, []int{*c.Activations[0].ReplacedBy, *c.Activations[1].Replaces})
	require.Subset(t, said(c.History), []string{
		"Reader " + v.Lines[0].Reader + " (" + v.Ticket + "): manifest dicabut karena kunci penanda tangannya diganti",
		"Reader " + v.Lines[0].Reader + " (" + v.Ticket + "): manifest diterbitkan ulang",
	})
	var acts []string
	require.NoError(t, o.db.Select(t.Context(), &acts, `SELECT action || ' ' || actor || ' ' || subject || ' ' || (detail->>'readers') FROM audit WHERE action = 'manifests.reissued'`))
	require.Equal(t, []string{"manifests.reissued kasubdit manifest-signing 3"}, acts)
}

// The same by the pages.
func TestReissuePages(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(2))
	o.acceptReaders(&v)
	s.manifests()
	at := "/manifest/kunci/" + s.s.KeyID() + "/terbitkan-ulang"
	const section = "Kunci penanda tangan yang dihentikan atau dicabut"
	require.NotContains(t, o.page(200, "kasubdit", "/manifest").text, section)
	o.page(404, "kasubdit", at)
	o.giveUpKey()
	d := o.page(200, "kasubdit", "/manifest")
	require.Contains(t, d.text, section)
	require.Contains(t, d.text, "Menunggu kunci penanda tangan yang baru")
	o.page(409, "kasubdit", at)
	o.nextKey()
	require.Contains(t, o.page(200, "operator", "/manifest").text, "Menunggu Kasubdit KI")
	for _, who := range []string{"produsen", "lembaga"} {
		require.NotContains(t, o.page(200, who, "/manifest").text, section)
	}
	for _, who := range []string{"operator", "produsen", "lembaga"} {
		o.page(403, who, at)
	}
	require.Contains(t, o.page(200, "kasubdit", "/manifest").text, "Terbitkan ulang")
	d = o.page(200, "kasubdit", at)
	require.Contains(t, d.text, "Manifest yang diterbitkan ulang 2 pada 1 surat")
	require.Contains(t, d.text, "Token hilang.")
	require.Equal(t, "2", d.value("versi"))
	d, _ = o.post(422, "kasubdit", at, "versi", "2", "reason", "")
	require.Contains(t, d.text, "Alasan wajib diisi")

	// One was revoked since: what there is now is shown, and can be sent.
	o.want(200, &v, "kasubdit", http.MethodGet, activations+"/"+v.Ticket, nil)
	o.step(200, "kasubdit", "revocation", &v, map[string]any{"lines": []int{2}, "reason": "Tidak dipakai."})
	d, _ = o.post(412, "kasubdit", at, "versi", "2", "reason", "Token hilang.")
	require.Contains(t, d.text, "Manifest yang diterbitkan ulang 1 pada 1 surat")
	require.Equal(t, []string{"1", "Token hilang."}, []string{d.value("versi"), d.value("reason")})
	_, to := o.post(303, "kasubdit", at, "versi", "1", "reason", "Token hilang.")
	d = o.page(200, "kasubdit", to)
	require.Contains(t, d.text, "Manifest lama dicabut dan diterbitkan ulang.")
	require.NotContains(t, d.text, section)
	d, _ = o.post(409, "kasubdit", at, "versi", "1", "reason", "Token hilang.")
	require.Contains(t, d.text, "mungkin baru saja diterbitkan ulang")
	for _, who := range []string{"operator", "produsen", "lembaga"} {
		text := o.want(200, nil, who, http.MethodGet, "/aktivasi/"+v.Ticket, nil).Body.String()
		require.Contains(t, text, "Kunci penanda tangan diganti<br>Penggantinya baris 3")
		require.Contains(t, text, "Menggantikan baris 1")
	}
	var chip report.ChipAnswer
	o.want(200, &chip, "operator", http.MethodGet, chipsAt+v.Lines[0].SAM, nil)
	text := o.page(200, "operator", "/chip/"+chip.Chip.ID).text
	require.Contains(t, text, "Kunci penanda tangan diganti; penggantinya baris 3")
	require.Contains(t, text, "Menggantikan baris 1")
}

// A key that was revoked is an alarm until nothing rests on it: also for who looks only at
// what waits for him.
func TestARevokedKeyWaitsForKasubdit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := o.sealer()
	v := o.activates("1", o.handedOver(2))
	o.acceptReaders(&v)
	s.manifests()
	const mine, waits, alarm = "/permohonan?menunggu-saya=1", "2 manifest ditandatangani kunci yang sudah dicabut", "2 reader masih bersandar pada manifest yang ditandatanganinya"
	o.nextKey()
	o.giveUpKey()
	require.NotContains(t, o.page(200, "kasubdit", mine).text, "kunci", "a key that was only given up still stands for what it signed")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return keybook.Revoke(ctx, tx, "manifest-signing", keybook.Revoking{By: "Kepala Seksi", With: "Petugas Keamanan", Reason: "Token dicuri."}, morning)
	})
	d := o.page(200, "kasubdit", "/manifest")
	require.Contains(t, d.text, alarm)
	require.Contains(t, d.text, "Dicabut 23 November 2026")
	require.Contains(t, d.text, "Token dicuri.")
	require.NotContains(t, d.text, "Siap dilepas", "what nobody would believe is not released")
	require.Contains(t, o.page(200, "kasubdit", mine).text, waits)
	require.NotContains(t, o.page(200, "operator", mine).text, waits)
	require.Contains(t, d.text, ": terbitkan ulang sekarang.")
	require.Contains(t, o.page(200, "operator", "/manifest").text, ": Kasubdit KI harus menerbitkannya ulang sekarang.")
	for _, who := range []string{"produsen", "lembaga"} {
		d := o.page(200, who, "/manifest")
		require.NotContains(t, d.text, alarm)
		require.Contains(t, d.text, "Yang ditandatanganinya jangan dipakai")
		require.Contains(t, d.text, s.s.KeyID())
	}
	var keys activation.SigningKeys
	o.want(200, &keys, "operator", http.MethodGet, signingKeys, nil)
	require.Equal(t, []any{true, "Kepala Seksi", "Petugas Keamanan", "Token dicuri."},
		[]any{keys.GivenUp[0].Revoked, keys.GivenUp[0].GivenUpBy, keys.GivenUp[0].With, keys.GivenUp[0].Reason})

	at := "/manifest/kunci/" + s.s.KeyID() + "/terbitkan-ulang"
	d = o.page(200, "kasubdit", at)
	require.Contains(t, d.text, "sudah ditolak oleh siapa pun")
	require.Contains(t, d.text, "oleh Kepala Seksi dan Petugas Keamanan")
	o.post(303, "kasubdit", at, "versi", "2", "reason", "Token dicuri.")
	require.NotContains(t, o.page(200, "kasubdit", "/manifest").text, alarm)
	require.NotContains(t, o.page(200, "kasubdit", mine).text, waits)
}
