package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/daemons/portal/internal/masterdata"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/cardsecret/cardsecrettest"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
)

const recipientsAPI = "/api/v1/secret-recipients"

// recipients are the keys as somebody sees them.
func (o *office) recipients(who string) []masterdata.Recipient {
	o.t.Helper()
	var list struct {
		Recipients []masterdata.Recipient `json:"secret_recipients"`
		Escrow     any                    `json:"escrow"`
	}
	o.want(200, &list, who, http.MethodGet, recipientsAPI, nil)
	return list.Recipients
}

// TestAProdusenWithoutAKeyIsNotAccepted: the office sees it before, and the acceptance says
// so, by API and page, until a key is offered by one person and confirmed by another.
func TestAProdusenWithoutAKeyIsNotAccepted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.drop(1)
	home, path := "/permohonan/"+r.Ticket, "/api/v1/requests/"+r.Ticket
	o.validate(r.ID)
	for name, f := range facts(1) {
		o.want(200, nil, f.who, http.MethodPost, path+"/"+name, f.body)
	}
	o.want(200, nil, "dirjen", http.MethodPost, path+"/approval", nil, ifMatch(o.see(r.Ticket).Version)...)
	o.want(200, nil, "direktur", http.MethodPost, path+"/disposition", map[string]any{})
	now := o.recipients("produsen")[0]
	require.Equal(t, cardsecret.Confirmed, now.State)
	require.Equal(t, report.SecretKey{State: cardsecret.Confirmed, Fingerprint: now.Fingerprint}, o.see(r.Ticket).SecretKey)
	require.Equal(t, "missing", o.problem(422, "produsen", http.MethodPost, recipientsAPI+"/"+now.ID+"/ending", map[string]any{"reason": " "}).Errors[0].Code)
	o.want(200, nil, "produsen", http.MethodPost, recipientsAPI+"/"+now.ID+"/ending", map[string]any{"reason": "diketahui orang lain"})

	refused := func() {
		t.Helper()
		p := o.problem(409, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(o.see(r.Ticket).Version)...)
		require.Equal(t, "urn:sifilma:problem:no-recipient-key", p.Type)
		d, _ := o.post(409, "kasubdit", home+"/terima", "versi", o.page(200, "kasubdit", home).value("versi"))
		require.Contains(t, d.text, "belum punya kunci penerima rahasia kartu")
	}
	refused()
	require.Contains(t, o.page(200, "operator", home).text, "belum terdaftar; tanpa kunci ini permohonan tidak dapat diterima")
	require.Contains(t, o.page(200, "kasubdit", home).text, "Belum dapat diterima: PT Produsen Contoh belum punya kunci penerima")

	// Offered on the page, and told on the telephone.
	next := cardsecrettest.New(t)
	_, kept := o.post(303, "produsen", "/kunci-penerima/baru", "recipient", next.Recipient().String())
	fingerprint := cardsecret.Spell(cardsecret.Fingerprint(next.Recipient().String()))
	own := o.page(200, "produsen", kept)
	require.Contains(t, own.text, fingerprint)
	require.Contains(t, own.text, "Menunggu dipastikan")
	refused()
	require.Contains(t, o.page(200, "produsen", home).text, "diusulkan dan belum dipastikan")

	offered := o.recipients("operator")[0]
	require.Equal(t, cardsecret.Offered, offered.State)
	require.Empty(t, offered.Recipient+offered.Fingerprint, "it is told in another way")
	at := "/data-induk/kunci-penerima/" + offered.ID
	for _, page := range []string{"/data-induk/kunci-penerima", at + "/pastikan"} {
		text := o.page(200, "operator", page).text
		require.NotContains(t, text, fingerprint)
		require.NotContains(t, text, next.Recipient().String())
	}
	o.page(403, "persuratan", at+"/pastikan")
	o.problem(403, "produsen", http.MethodPost, recipientsAPI+"/"+offered.ID+"/confirmation", map[string]any{"fingerprint": fingerprint})
	d, _ := o.post(422, "operator", at+"/pastikan", "fingerprint", strings.Repeat("0", 32))
	require.Contains(t, d.text, "Sidik yang diketik lain")
	refused()
	o.post(303, "operator", at+"/pastikan", "fingerprint", strings.ToLower(fingerprint))
	require.Contains(t, o.page(200, "operator", "/data-induk/kunci-penerima").text, fingerprint)
	o.problem(409, "operator", http.MethodPost, recipientsAPI+"/"+offered.ID+"/refusal", map[string]any{"reason": "terlambat"})

	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE escrow_key SET ended_at = now()`)
		return err
	})
	p := o.problem(409, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(o.see(r.Ticket).Version)...)
	require.Equal(t, "urn:sifilma:problem:no-escrow-key", p.Type)
	cardsecrettest.Escrow(t, o.db, morning)
	o.want(200, nil, "kasubdit", http.MethodPost, path+"/acceptance", nil, ifMatch(o.see(r.Ticket).Version)...)
}

// TestAPrivateKeyGoesNoFurther than the program that refuses it: neither page nor answer
// nor database has any of it.
func TestAPrivateKeyGoesNoFurther(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	private := cardsecrettest.New(t).String()
	part := private[20:50]
	w := o.ask("produsen", http.MethodPost, recipientsAPI, map[string]any{"recipient": private})
	require.Equal(t, 422, w.Code)
	require.Contains(t, w.Body.String(), "kunci PRIVAT")
	require.NotContains(t, strings.ToUpper(w.Body.String()), part)
	for _, text := range []string{private, strings.ToLower(private), private[:30] + "\n" + private[30:]} {
		d, _ := o.post(422, "produsen", "/kunci-penerima/baru", "recipient", text)
		require.Contains(t, d.text, "kunci PRIVAT")
		require.Empty(t, d.value("recipient"))
	}
	d, _ := o.post(422, "produsen", "/kunci-penerima/"+o.recipients("produsen")[0].ID+"/akhiri", "reason", "kunci saya "+private)
	require.Contains(t, d.text, "kunci PRIVAT")
	require.Empty(t, d.value("reason"))
	for _, table := range []string{"audit", "secret_recipient"} {
		var found bool
		require.NoError(t, o.db.Get(t.Context(), &found, `SELECT EXISTS (SELECT FROM `+table+` x WHERE upper(x::text) LIKE '%' || $1 || '%')`, part))
		require.False(t, found, table)
	}
	o.problem(403, "operator", http.MethodPost, recipientsAPI, map[string]any{"recipient": private})
	o.problem(403, "lembaga", http.MethodPost, recipientsAPI, map[string]any{"recipient": private})
	o.page(403, "lembaga", "/kunci-penerima")
}

// sealedCards gives each clear card of a request the attempt and the file that a station
// leaves.
func (o *office) sealedCards(requestID string) (secrets map[string][]byte) {
	o.t.Helper()
	secrets = map[string][]byte{}
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		var cards []struct {
			ID       string `db:"id"`
			Serial   string `db:"serial"`
			ChipID   string `db:"chip_id"`
			PCID     string `db:"pcid"`
			Manifest string `db:"manifest_no"`
		}
		if err := tx.Select(ctx, &cards, `SELECT id, serial, chip_id, pcid, manifest_no FROM card WHERE request_id = $1 AND state = 'clear'`, requestID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil { // the line is tested elsewhere
			return err
		}
		for i, c := range cards {
			attempt := uuid.NewString()
			if _, err := tx.Exec(ctx, `
				INSERT INTO perso_attempt (id, card_id, attempt, work_order_id, station, reader, chip_id, profile, profile_sha256, profile_id, outcome)
				VALUES ($1, $2, 1, gen_random_uuid(), 'uji', 'uji', $3, 'uji', ''::bytea, gen_random_uuid(), 'clear')`, attempt, c.ID, c.ChipID); err != nil {
				return err
			}
			secrets[c.Serial] = bytes.Repeat([]byte{byte(i + 1)}, 32)
			if _, err := cardsecret.Keep(ctx, tx, cardsecret.Target{RequestID: requestID, CardID: c.ID, AttemptID: attempt},
				cardsecret.Content{Serial: c.Serial, ChipID: c.ChipID, PCID: c.PCID, ManifestNo: c.Manifest, Secret: secrets[c.Serial]}); err != nil {
				return err
			}
		}
		return nil
	})
	return secrets
}

// unpacked are the secrets in a zip that a key opens.
func unpacked(t *testing.T, body []byte, id age.Identity) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	require.NoError(t, err)
	secrets := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		if c, err := cardsecret.Open(text, id); err == nil {
			secrets[c.Serial] = c.Secret
		}
	}
	return secrets
}

// TestTheSecretsOfAHandoverAreItsProdusens: once the cards changed hands, by a named person
// of it, on record; not before, not by the office, not by another.
func TestTheSecretsOfAHandoverAreItsProdusens(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(3))
	o.produce(v, 0)
	secrets := o.sealedCards(v.ID)
	var h report.Handover
	o.want(201, &h, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", map[string]any{"quantity": 2})
	at, page := "/api/v1/handovers/"+h.ID+"/secrets", "/permohonan/"+v.Ticket+"/serah-terima/"+h.ID
	o.draftBAST(h, v.ID)
	require.Equal(t, "urn:sifilma:problem:illegal-step", o.problem(409, "produsen", http.MethodGet, at, nil).Type, "they are in the office")
	o.page(409, "produsen", page+"/rahasia")
	require.NotContains(t, o.page(200, "produsen", page).hrefs(), page+"/rahasia")
	o.want(200, nil, "operator", http.MethodPost, "/api/v1/handovers/"+h.ID+"/delivery", newForm(t, signedScan(h.ID),
		"representative", "PIC Produsen Contoh", "representative_post", "Manajer", "representative_of", "produsen", "delivered_on", "2026-11-23"))

	for who, status := range map[string]int{"operator": 403, "kasubdit": 403, "direktur": 403, "persuratan": 403, foreigner: 404, "lembaga": 404, otherLembaga: 404, "": 401} {
		o.problem(status, who, http.MethodGet, at, nil)
	}
	require.NotContains(t, o.page(200, "operator", page).hrefs(), page+"/rahasia")
	require.Contains(t, o.page(200, "operator", page).text, "2 dari 2 kartu")
	w := o.want(200, nil, "produsen", http.MethodGet, at, nil)
	require.Equal(t, "application/zip", w.Header().Get("Content-Type"))
	require.Contains(t, w.Header().Get("Content-Disposition"), v.Ticket)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	got := unpacked(t, w.Body.Bytes(), o.recipient)
	require.Len(t, got, 2, "of this handover, and not of the rest")
	for serial, secret := range got {
		require.Equal(t, secrets[serial], secret)
	}
	require.Empty(t, unpacked(t, w.Body.Bytes(), cardsecrettest.New(t)))
	for _, secret := range got {
		require.NotContains(t, strings.ToUpper(w.Body.String()), strings.ToUpper(hex.EncodeToString(secret)))
	}

	require.Contains(t, o.page(200, "produsen", page).hrefs(), page+"/rahasia")
	again := o.want(200, nil, "produsen", http.MethodGet, page+"/rahasia", nil)
	require.Equal(t, w.Body.Bytes(), again.Body.Bytes())
	sum := sha256.Sum256(w.Body.Bytes())
	for _, who := range []string{"produsen", "operator"} {
		var shown report.Handover
		o.want(200, &shown, who, http.MethodGet, "/api/v1/handovers/"+h.ID, nil)
		require.Len(t, shown.Secrets.Downloads, 2)
		require.Equal(t, hex.EncodeToString(sum[:]), shown.Secrets.Downloads[0].Hash)
		require.Equal(t, "Produsen", shown.Secrets.Downloads[0].Name)
		require.Equal(t, 2, shown.Secrets.Keys[0].Files)
		require.Contains(t, o.page(200, who, page).text, hex.EncodeToString(sum[:]))
	}
	var deeds []string
	require.NoError(t, o.db.Select(t.Context(), &deeds, `SELECT actor || ' ' || (detail->>'sha256') FROM audit WHERE action = 'card_secret.download' AND subject = $1`, h.ID))
	require.Equal(t, []string{"produsen " + hex.EncodeToString(sum[:]), "produsen " + hex.EncodeToString(sum[:])}, deeds)

	// The rest by hand: nothing to take, and nothing to be shown as taken.
	var rest report.Handover
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`,
			`DELETE FROM card_secret s WHERE NOT EXISTS (SELECT FROM handover_card h WHERE h.card_id = s.card_id)`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	o.want(201, &rest, "operator", http.MethodPost, "/api/v1/requests/"+v.Ticket+"/handovers", nil)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []string{`SET LOCAL session_replication_role = replica`, `UPDATE handover SET state = '` + string(handover.Delivered) + `' WHERE ordinal = 2`} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	o.problem(404, "produsen", http.MethodGet, "/api/v1/handovers/"+rest.ID+"/secrets", nil)
}
