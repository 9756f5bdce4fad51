package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
)

var (
	plays = request.Change{Actor: machine.Actor{Name: "document-generator", Role: request.Generator}, OfficeAt: morning}
	clerk = machine.Actor{Name: "persuratan", Role: request.Persuratan}
)

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// drafted is a numbered paper without files.
func (o *office) drafted(kind, requestID string) (d letter.Document) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: kind, SubjectID: requestID, RequestID: requestID, Dated: clock.DateOf(morning), Numbering: "400/{urut}/UJI"}, plays)
		return err
	})
	return d
}

// printed gives it a PDF.
func (o *office) printed(d letter.Document, body []byte, signatures ...letter.Signature) letter.Document {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		word, err := blob.Put(ctx, tx, "x.docx", "application/octet-stream", strings.NewReader("Word"))
		if err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "x.pdf", "application/pdf", bytes.NewReader(body))
		if err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{DOCX: word.ID.String(), PDF: ref.ID.String(), Signatures: signatures}, plays)
		return err
	})
	return d
}

func (o *office) signed(d letter.Document, scan []byte) letter.Document {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", bytes.NewReader(scan))
		if err != nil {
			return err
		}
		d, err = letter.Issue(ctx, tx, d, ref.ID.String(), clock.MustParseDate("2026-11-24"), request.Change{Actor: clerk, OfficeAt: morning})
		return err
	})
	return d
}

func (o *office) voided(d letter.Document) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := letter.Cancel(ctx, tx, d, request.Change{Actor: clerk, Reason: "rahasia kantor", OfficeAt: o.clock.Now()})
		return err
	})
}

// verified asks both the API and the page, which say the same.
func (o *office) verified(d letter.Document) (v report.Verification, page *document) {
	o.t.Helper()
	w := o.want(200, &v, "", http.MethodGet, v1+"/verifications/"+d.Token, nil)
	require.NotContains(o.t, w.Body.String(), "PT ")
	page = o.page(200, "", "/verifikasi/"+d.Token)
	require.Contains(o.t, page.text, "Keadaan naskah: "+v.StateLabel)
	shown := []string{}
	for _, el := range page.all("dd") {
		if hash := attr(el, "data-sha256"); hash != "" {
			require.Equal(o.t, hash, textOf(el), "readable without a script")
			shown = append(shown, hash)
		}
	}
	hashes := []string{}
	for _, f := range v.Files {
		hashes = append(hashes, f.SHA256)
	}
	require.Equal(o.t, hashes, shown)
	return v, page
}

// TestAnybodyChecksAPaper in each of its states; nothing of the request is told.
func TestAnybodyChecksAPaper(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accept(o.drop(1))
	d := o.drafted(letter.ReplyLetter, r.ID)
	v, page := o.verified(d)
	require.Equal(t, letter.AwaitingSignature, v.State)
	require.Empty(t, v.Files)
	require.Contains(t, page.text, "Berkas naskah ini belum ada.")
	require.Empty(t, page.all("script"))

	body, scan := []byte("%PDF-1.7 naskah"), []byte("%PDF-1.7 pindaian")
	d = o.printed(d, body, letter.Signature{Name: "Pejabat Contoh", Post: "Direktur Jenderal"}, letter.Signature{Post: "PIC Produsen"})
	v, page = o.verified(d)
	require.Equal(t, []report.VerifiedFile{{Format: "pdf", SHA256: hashOf(body)}}, v.Files, "never the Word draft")
	require.Contains(t, page.text, "belum ditandatangani. Selama belum ditandatangani, naskah ini belum berlaku.")
	require.Contains(t, page.text, "Penanda tangan Pejabat Contoh, Direktur Jenderal Nama ditulis tangan pada naskah, PIC Produsen")
	require.Contains(t, page.text, "PDF yang disiapkan untuk ditandatangani")
	require.Len(t, page.all("script"), 1)
	src := attr(page.all("script")[0], "src")
	script := o.want(200, nil, "", http.MethodGet, src, nil)
	require.Equal(t, "text/javascript; charset=utf-8", script.Header().Get("Content-Type"))

	first := o.signed(d, scan)
	v, page = o.verified(first)
	require.Equal(t, report.Verification{
		Kind: letter.ReplyLetter, KindLabel: "Surat balasan permohonan", Number: "400/1/UJI", Dated: first.Dated, State: letter.Issued, StateLabel: "Berlaku",
		SignedOn: first.SignedOn, Signatures: []letter.Signature{{Name: "Pejabat Contoh", Post: "Direktur Jenderal"}, {Post: "PIC Produsen"}},
		Files: []report.VerifiedFile{{Format: "pdf", SHA256: hashOf(body)}, {Format: "scan", SHA256: hashOf(scan)}},
	}, v)
	for _, part := range []string{
		"diterbitkan Direktorat Jenderal Kependudukan dan Pencatatan Sipil dan berlaku.", "Jenis naskah Surat balasan permohonan",
		"Nomor 400/1/UJI", "Tanggal 23 November 2026", "Ditandatangani 24 November 2026", "PDF yang diterbitkan", "Pindaian bertanda tangan",
	} {
		require.Contains(t, page.text, part)
	}
	require.NotContains(t, page.text, r.Ticket)
	require.NotContains(t, page.text, "PT Produsen")
	require.NotContains(t, page.text, "197001011995031001")

	// Replaced by another one, once that is in force.
	second := "400/2/UJI"
	o.clock.Set(o.clock.Now().AddDate(0, 0, 3))
	var next letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		old, err := letter.AskReplacement(ctx, tx, first, request.Change{Actor: clerk, Reason: "rahasia kantor", OfficeAt: o.clock.Now()})
		if err != nil {
			return err
		}
		next, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.ReplyLetter, SubjectID: r.ID, RequestID: r.ID, Dated: clock.DateOf(o.clock.Now()),
			Numbering: "400/{urut}/UJI", Replaces: old.ID}, plays)
		return err
	})
	next = o.printed(next, []byte("%PDF-1.7 pengganti"))
	v, page = o.verified(first)
	require.Equal(t, letter.Issued, v.State)
	require.Contains(t, page.text, "dan berlaku.", "until its replacement is in force")
	o.tx(func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, "scan.pdf", "application/pdf", strings.NewReader("%PDF-1.7 pindaian baru"))
		if err != nil {
			return err
		}
		_, err = letter.Issue(ctx, tx, next, ref.ID.String(), clock.MustParseDate("2026-11-26"), request.Change{Actor: clerk, OfficeAt: o.clock.Now()})
		return err
	})
	v, page = o.verified(first)
	require.Equal(t, letter.Replaced, v.State)
	require.Equal(t, &report.Successor{Number: second, Dated: clock.MustParseDate("2026-11-26")}, v.Successor)
	require.Contains(t, page.text, "sudah diganti sejak 26 November 2026 dan tidak berlaku lagi. Penggantinya naskah Nomor 400/2/UJI tanggal 26 November 2026.")
	require.Len(t, v.Files, 2)
	v, _ = o.verified(next)
	require.Equal(t, letter.Issued, v.State)
}

func TestAVoidPaperSaysSo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accept(o.drop(1))
	d := o.printed(o.drafted(letter.CompletionLetter, r.ID), []byte("%PDF-1.7 naskah"))
	o.clock.Set(o.clock.Now().AddDate(0, 0, 2))
	o.voided(d)
	v, page := o.verified(d)
	require.Equal(t, letter.Void, v.State)
	require.Equal(t, "2026-11-25", v.Ended.String())
	require.Nil(t, v.Successor)
	require.Contains(t, page.text, "dibatalkan sejak 25 November 2026 dan tidak berlaku.")
	require.NotContains(t, page.text, "Penggantinya")
	require.NotContains(t, page.text, "rahasia", "the office's reasons are its own")

	// Another is made in its place: it is named once it is in force, and not before.
	again := o.printed(o.drafted(letter.CompletionLetter, r.ID), []byte("%PDF-1.7 naskah baru"))
	v, page = o.verified(d)
	require.Nil(t, v.Successor)
	require.NotContains(t, page.text, "Penggantinya")
	o.signed(again, []byte("%PDF-1.7 pindaian naskah baru"))
	v, page = o.verified(d)
	require.Equal(t, *again.Number, v.Successor.Number)
	require.Contains(t, page.text, "Penggantinya")
	for _, el := range page.all("dd") {
		if attr(el, "data-sha256") != "" {
			require.Equal(t, "Berkas ini cocok dengan PDF yang disiapkan untuk ditandatangani. Akan tetapi, naskah ini sudah dibatalkan.", attr(el, "data-match"))
			require.Empty(t, attr(el, "data-in-force"))
		}
	}
	require.Contains(t, page.text, "tidak berlaku. Penggantinya naskah Nomor "+*again.Number+" tanggal 23 November 2026.")
}

// TestATokenIsTyped: in capitals and groups, as the whole address, and wrongly.
func TestATokenIsTyped(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d := o.drafted(letter.ReplyLetter, o.accept(o.drop(1)).ID)
	page := o.page(200, "", "/verifikasi")
	require.Contains(t, page.text, "Pindai kode QR pada naskah, atau ketik kode pemeriksaannya.")
	require.Empty(t, page.all("script"))
	o.page(200, "operator", "/verifikasi/")
	require.NotEmpty(t, o.page(200, "", "/").links("/verifikasi"))

	at := "/verifikasi/" + d.Token
	for _, typed := range []string{d.Token, strings.ToUpper(d.Token[:13]) + "-" + d.Token[13:], "https://sifilma.dukcapil.kemendagri.go.id" + at, "+" + d.Token + "+"} {
		w := o.want(303, nil, "", http.MethodGet, "/verifikasi?kode="+typed, nil)
		require.Equal(t, at, w.Header().Get("Location"), typed)
	}
	o.page(200, "", "/verifikasi/"+strings.ToUpper(d.Token))
	page = o.page(422, "", "/verifikasi?kode=salah")
	require.Contains(t, page.text, "terdiri atas 26 huruf dan angka")
	require.Equal(t, "salah", page.value("kode"))

	for _, unknown := range []string{strings.Repeat("0", 26), "x", d.Token + "0", "%00", "..%2f"} {
		page := o.page(404, "", "/verifikasi/"+unknown)
		require.Contains(t, page.text, "Tidak ada naskah dengan kode pemeriksaan ini.", unknown)
		o.problem(404, "", http.MethodGet, v1+"/verifications/"+unknown, nil)
	}
	w := o.want(200, nil, "", http.MethodGet, at, nil)
	require.Equal(t, "noindex", w.Header().Get("X-Robots-Tag"))
	require.Equal(t, "same-origin", w.Header().Get("Referrer-Policy"), "the token is told to nobody")
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
}

// TestCheckingIsSlowedDown, page and API together.
func TestCheckingIsSlowedDown(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	d := o.drafted(letter.ReplyLetter, o.accept(o.drop(1)).ID)
	for i := range 120 {
		path := "/verifikasi/" + strings.Repeat("0", 26)
		if i%2 == 0 {
			path = v1 + "/verifications/" + strings.Repeat("0", 26)
		}
		require.Equal(t, 404, o.ask("", http.MethodGet, path, nil).Code, i)
	}
	o.problem(429, "", http.MethodGet, v1+"/verifications/"+d.Token, nil)
	w := o.want(429, nil, "", http.MethodGet, "/verifikasi/"+d.Token, nil)
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	o.read(w)
	o.machine.Advance(time.Minute)
	o.verified(d)
}

// TestAListIsCheckedToo: it is an Excel file without number and signature.
func TestAListIsCheckedToo(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.accept(o.drop(1))
	var d letter.Document
	o.tx(func(ctx context.Context, tx *postgres.Tx) (err error) {
		if d, _, err = letter.Make(ctx, tx, letter.Draft{Kind: letter.ResultList, SubjectID: r.ID, RequestID: r.ID, Dated: clock.DateOf(morning)}, plays); err != nil {
			return err
		}
		ref, err := blob.Put(ctx, tx, "x.xlsx", "application/octet-stream", strings.NewReader("Excel"))
		if err != nil {
			return err
		}
		d, err = letter.Attach(ctx, tx, d, letter.Files{XLSX: ref.ID.String()}, plays)
		return err
	})
	v, page := o.verified(d)
	require.Equal(t, []report.VerifiedFile{{Format: "xlsx", SHA256: hashOf([]byte("Excel"))}}, v.Files)
	require.Contains(t, page.text, "Excel yang diterbitkan")
	require.NotContains(t, page.text, "Penanda tangan")
}

// TestThePortalSaysWhereItIs, under its own role; an empty address says nothing.
func TestThePortalSaysWhereItIs(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	db := o.database.Open(t, "sifilma_portal")
	for _, address := range []string{"https://lama.example", "https://sifilma.example/", ""} {
		require.NoError(t, db.InTx(t.Context(), func(ctx context.Context, tx *postgres.Tx) error { return letter.SayPortal(ctx, tx, address) }))
	}
	generator := o.database.Open(t, "sifilma_document_generator")
	require.NoError(t, letter.SamePortal(t.Context(), generator, "https://sifilma.example"))
	require.ErrorIs(t, letter.SamePortal(t.Context(), generator, "https://lama.example"), letter.ErrOtherPortal)
}
