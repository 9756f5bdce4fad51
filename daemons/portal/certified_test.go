package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/esign/bsre"
	"dukcapil.go.id/sifilma/pkg/esign/esigntest"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/test/leak"
)

const passphrase = "Kunci-Pejabat-Negara-88"

// certifying is an office whose officials sign with certificates; its log goes to a buffer.
func certifying(t *testing.T) (*office, *esigntest.BSrE, *bytes.Buffer) {
	t.Helper()
	o, service := newOffice(t), esigntest.NewBSrE(t)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(service.Password), 0o600))
	log := &bytes.Buffer{}
	o.router = web.NewRouter(web.Options{Log: zerolog.New(zerolog.SyncWriter(log)).Level(zerolog.TraceLevel), MaxBody: 256 << 10})
	cfg := defaults().Portal
	cfg.Spool, cfg.BSrE = t.TempDir(), bsre.Config{URL: service.URL, Username: service.Username, PasswordFile: file, Timeout: esigntest.Patience}
	require.NoError(t, mount(o.router, cfg, o.db, o.clock, o.machine))
	return o, service, log
}

func (o *office) signings(documentID string) (states []string) {
	o.t.Helper()
	require.NoError(o.t, o.db.Select(o.t.Context(), &states, `SELECT driver || ' ' || state FROM signing WHERE document_id = $1 ORDER BY id`, documentID))
	return states
}

// An official signs the letters of the own post, once; the hash of what comes back is on
// the public page. No passphrase is kept anywhere.
func TestAnOfficialSignsWithACertificate(t *testing.T) {
	t.Parallel()
	o, service, log := certifying(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	paper, at := "/permohonan/"+v.Ticket+"/naskah/"+d.ID, "/api/v1/documents/"+d.ID+"/electronic-signature"
	in := map[string]any{"nik": "3171012345678901", "passphrase": passphrase}
	o.problem(404, "dirjen", http.MethodGet, at, nil)
	for _, who := range []string{"produsen", "persuratan", "operator", "direktur", "kasubdit"} { // it is the Dirjen's letter (N27)
		status := 403
		if who == "produsen" {
			status = 403
		}
		o.problem(status, who, http.MethodPost, at, in)
	}
	p := o.problem(422, "dirjen", http.MethodPost, at, map[string]any{"nik": "123", "passphrase": passphrase})
	require.Equal(t, "/nik", p.Errors[0].Pointer)

	service.Next(t, esigntest.Refuses)
	p = o.problem(422, "dirjen", http.MethodPost, at, in)
	require.Equal(t, "/passphrase", p.Errors[0].Pointer)
	require.Equal(t, []string{"bsre refused"}, o.signings(d.ID))
	require.Contains(t, o.page(200, "dirjen", paper).text, "Passphrase ditolak layanan")
	require.Contains(t, o.page(200, "dirjen", paper).hrefs(), paper+"/tte")
	require.NotContains(t, o.page(200, "persuratan", paper).hrefs(), paper+"/tte")
	require.Contains(t, o.page(200, "dirjen", paper).text, "Naskah ini menunggu tanda tangan Anda.")
	require.Contains(t, o.page(200, "dirjen", paper+"/tte").hrefs(), "/api/v1/documents/"+d.ID+"/files/pdf", "whoever is told to read it first finds it there")

	service.Next(t, esigntest.Signs)
	form, _ := o.post(422, "dirjen", paper+"/tte", "versi", "3", "nik", "3171012345678901")
	require.Contains(t, form.text, "Passphrase wajib diisi")
	o.post(303, "dirjen", paper+"/tte", "versi", "3", "nik", "3171012345678901", "passphrase", passphrase)
	require.Equal(t, 1, service.Signatures())
	signed, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Issued, signed.State)
	require.Equal(t, []string{"bsre refused", "bsre signed"}, o.signings(d.ID))
	o.problem(409, "dirjen", http.MethodPost, at, in)
	require.Equal(t, 1, service.Signatures())

	file := o.want(200, nil, "produsen", http.MethodGet, "/api/v1/documents/"+d.ID+"/files/scan", nil).Body.Bytes()
	require.True(t, bytes.HasPrefix(file, pdf), "what was printed, with its QR code, and the signature after it")
	seen, page := o.verified(signed)
	require.True(t, seen.Electronic)
	require.Contains(t, seen.Files, report.VerifiedFile{Format: "scan", SHA256: hashOf(file)})
	require.Contains(t, page.text, "PDF bertanda tangan elektronik")

	var secrets leak.Secrets
	require.NoError(t, secrets.AddText("passphrase", passphrase))
	require.NoError(t, secrets.AddText("NIK", "3171012345678901"))
	search := leak.NewSearch(&secrets)
	search.Text("log", log.Bytes())
	o.everyRow(search)
	require.Empty(t, search.Findings())
	require.Contains(t, log.String(), "electronic-signature", "the log was looked at")
}

// everyRow looks through all that the office has stored.
func (o *office) everyRow(search *leak.Search) {
	o.t.Helper()
	var tables []string
	require.NoError(o.t, o.db.Select(o.t.Context(), &tables, `SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'`))
	require.Greater(o.t, len(tables), 30)
	for _, table := range tables {
		var rows []string
		require.NoError(o.t, o.db.Select(o.t.Context(), &rows, `SELECT t::text FROM `+table+` t`))
		for _, row := range rows {
			search.Text(table, []byte(row))
		}
	}
}

// What got no answer is in doubt: nothing is sent again and nothing voided before the
// service, or somebody who looked there, has told.
func TestASignatureInDoubt(t *testing.T) {
	t.Parallel()
	o, service, _ := certifying(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	paper, at := "/permohonan/"+v.Ticket+"/naskah/"+d.ID, "/api/v1/documents/"+d.ID+"/electronic-signature"
	in := map[string]any{"nik": "3171012345678901", "passphrase": passphrase}

	service.Next(t, esigntest.CutsOff)
	p := o.problem(409, "dirjen", http.MethodPost, at, in)
	require.Equal(t, "urn:sifilma:problem:signing-in-doubt", p.Type)
	p = o.problem(409, "dirjen", http.MethodPost, at, in)
	require.Equal(t, "urn:sifilma:problem:signing-open", p.Type)
	require.Equal(t, 1, service.Signatures(), "never signed twice")
	p = o.problem(409, "persuratan", http.MethodPost, "/api/v1/documents/"+d.ID+"/voiding", map[string]any{"reason": "salah"})
	require.Equal(t, "urn:sifilma:problem:signing-open", p.Type)
	doubtful := o.page(200, "dirjen", paper)
	require.Contains(t, doubtful.text, "hasilnya belum diketahui. Jangan kirim lagi.")
	require.Contains(t, doubtful.text, "diminta "+request.RoleLabels[request.Dirjen]+" pada 23 November 2026", "people have names, not accounts")
	require.NotContains(t, doubtful.text, "mintakan tanda tangan")
	require.Contains(t, o.page(200, "persuratan", paper).hrefs(), paper+"/tte/belum")

	// The service named it before it broke off, so it can be asked: on the next day.
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE signing SET asked_at = asked_at - interval '1 day' WHERE document_id = $1`, d.ID)
	})
	o.post(303, "persuratan", paper+"/tte/tanya")
	signed, err := letter.Get(t.Context(), o.db, d.ID)
	require.NoError(t, err)
	require.Equal(t, letter.Issued, signed.State)
	require.True(t, signed.Electronic)
	require.Equal(t, "2026-11-22", signed.SignedOn.String(), "the day of the signature")
	require.Equal(t, 1, service.Signatures())

	// One that it did not name: somebody looks there.
	second := o.makeCompletion(v.ID)
	at = "/api/v1/documents/" + second.ID + "/electronic-signature"
	service.Next(t, esigntest.Fails)
	o.problem(409, "direktur", http.MethodPost, at, in)
	p = o.problem(409, "direktur", http.MethodPost, at+"/inquiry", nil)
	require.Equal(t, "urn:sifilma:problem:signing-in-doubt", p.Type)
	o.problem(403, "direktur", http.MethodPost, at+"/not-signed", map[string]any{"reason": "x"})
	o.problem(422, "persuratan", http.MethodPost, at+"/not-signed", map[string]any{"reason": " "})
	o.want(200, nil, "persuratan", http.MethodPost, at+"/not-signed", map[string]any{"reason": "tidak ada pada catatan layanan"})
	o.problem(404, "persuratan", http.MethodPost, at+"/not-signed", map[string]any{"reason": "lagi"})
	require.Equal(t, []string{"bsre refused"}, o.signings(second.ID))
	service.Next(t, esigntest.Silent)
	o.problem(409, "direktur", http.MethodPost, at, in)
	// It did sign: what it has is brought in as a file.
	o.want(200, nil, "persuratan", http.MethodPost, "/api/v1/documents/"+second.ID+"/signature", newForm(t, signedScan(second.ID), "signed_on", "2026-11-23"))
	require.Equal(t, []string{"bsre refused", "bsre signed"}, o.signings(second.ID))
}

// A portal that died after it asked leaves the row: nothing else is sent while an answer
// could still come, and afterwards it is a doubt like others.
func TestAPortalThatDiedWhileItAsked(t *testing.T) {
	t.Parallel()
	o, service, _ := certifying(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	at := "/api/v1/documents/" + d.ID + "/electronic-signature"
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO signing (id, document_id, driver, state, asked_by, asked_at) VALUES (gen_random_uuid(), $1, 'bsre', 'sent', 'Dirjen', now())`, d.ID)
		return err
	})
	o.problem(404, "produsen", http.MethodGet, at, nil) // it knows of papers in force
	in := map[string]any{"nik": "3171012345678901", "passphrase": passphrase}
	for _, path := range []string{"", "/inquiry"} {
		require.Equal(t, "urn:sifilma:problem:signing-open", o.problem(409, "dirjen", http.MethodPost, at+path, map[string]map[string]any{"": in}[path]).Type)
	}
	require.Equal(t, "urn:sifilma:problem:signing-open", o.problem(409, "persuratan", http.MethodPost, "/api/v1/documents/"+d.ID+"/signature", newForm(t, signedScan(d.ID), "signed_on", "2026-11-23")).Type)
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		return tx.ExecOne(ctx, `UPDATE signing SET sent_at = sent_at - interval '11 minutes' WHERE document_id = $1`, d.ID)
	})
	require.Equal(t, "urn:sifilma:problem:signing-in-doubt", o.problem(409, "dirjen", http.MethodPost, at+"/inquiry", nil).Type)
	o.want(200, nil, "operator", http.MethodPost, at+"/not-signed", map[string]any{"reason": "tidak ada pada catatan layanan"})
	o.want(200, nil, "dirjen", http.MethodPost, at, in)
	require.Equal(t, 1, service.Signatures())
}

// Where no service is configured, and for what several sign, there is the pen; who brought
// in the scan, and when, is kept alike.
func TestSignedWithAPen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	v := o.accept(o.drop(1))
	o.produce(v, 0)
	d := o.makeLetter(v.ID)
	at := "/api/v1/documents/" + d.ID
	p := o.problem(409, "dirjen", http.MethodPost, at+"/electronic-signature", map[string]any{"nik": "3171012345678901", "passphrase": passphrase})
	require.Equal(t, "urn:sifilma:problem:signed-by-pen", p.Type)
	paper := "/permohonan/" + v.Ticket + "/naskah/" + d.ID
	require.NotContains(t, o.page(200, "dirjen", paper).text, "elektronik")
	off := o.page(409, "dirjen", paper+"/tte")
	require.Contains(t, off.text, "cetak naskahnya, lalu unggah pindaiannya")
	require.Contains(t, off.hrefs(), paper, "nobody has to look for the paper again")
	o.want(200, nil, "persuratan", http.MethodPost, at+"/signature", newForm(t, signedScan(at), "signed_on", "2026-11-23"))
	var s struct {
		Driver  string
		State   string
		AskedBy string `json:"asked_by"`
	}
	o.want(200, &s, "operator", http.MethodGet, at+"/electronic-signature", nil)
	require.Equal(t, "manual", s.Driver)
	require.Equal(t, "signed", s.State)
	require.Equal(t, "persuratan", s.AskedBy)
	bast := o.make(letter.BAST, v.ID, v.ID)
	p = o.problem(409, "direktur", http.MethodPost, "/api/v1/documents/"+bast.ID+"/electronic-signature", map[string]any{"nik": "3171012345678901", "passphrase": passphrase})
	require.Equal(t, "urn:sifilma:problem:signed-by-pen", p.Type)
}
