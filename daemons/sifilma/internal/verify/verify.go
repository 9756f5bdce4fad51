// Package verify checks files that the office has signed, offline, and says in Indonesian
// what came of each.
package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Desk verifies files one after the other.
type Desk struct {
	Verifier manifest.Verifier
	At       time.Time
	Out      io.Writer
	Detail   bool // adds what the program says of a failure, in its own words, for a report
	// Good and Bad count what was verified.
	Good, Bad int

	seen     map[string]bool // files that were verified as the other half of a pair
	unlisted bool            // a manifest was verified without a revocation list
}

// most bounds a file of a manifest or a list in bytes; bundles are read as they lie.
const most = 16 << 20

// when is a moment as people read it.
func when(t time.Time) string { return terbilang.FormatDateTime(t) }

// Why says in Indonesian what is wrong.
func Why(err error) string {
	var revoked *manifest.RevokedError
	if errors.As(err, &revoked) {
		word := "DICABUT"
		if revoked.Entry.State == manifest.Suspended {
			word = "DITANGGUHKAN"
		}
		said := word + " sejak " + when(time.Unix(revoked.Entry.At, 0))
		if revoked.Entry.Reason != "" {
			said += ": " + revoked.Entry.Reason
		}
		return said
	}
	var lost *sealed.KeyRevokedError
	if errors.As(err, &lost) {
		said := "ditandatangani dengan kunci yang DICABUT Ditjen Dukcapil sejak " + when(lost.At)
		if lost.Reason != "" {
			said += " (" + lost.Reason + ")"
		}
		return said + "; jangan dipakai, minta berkas yang baru"
	}
	for _, e := range []struct {
		is   error
		says string
	}{
		{sealed.ErrKeyEnded, "ditandatangani sesudah kuncinya dihentikan Ditjen Dukcapil"},
		{sealed.ErrKey, "ditandatangani dengan kunci lain, bukan kunci publik yang diberikan"},
		{sealed.ErrSignature, "tanda tangan tidak cocok: berkas ini diubah, atau bukan dari Ditjen Dukcapil"},
		{sealed.ErrContent, "isinya diubah setelah ditandatangani"},
		{sealed.ErrPurpose, "tanda tangannya untuk jenis berkas lain"},
		{sealed.ErrNotYet, "belum mulai berlaku"},
		{sealed.ErrExpired, "sudah tidak berlaku lagi"},
		{manifest.ErrMismatch, "isi dan tanda tangannya menyebut hal yang berbeda"},
		{manifest.ErrListStale, "daftar pencabutan sudah lewat masa pakainya; ambil daftar yang terbaru"},
		{manifest.ErrListOld, "daftar pencabutan lebih tua daripada yang sudah dikenal"},
		{sealed.ErrForm, "bentuknya bukan berkas bertanda tangan dari SI-FILMA, atau berkasnya rusak"},
		{errAudit, "baris audit di dalamnya tidak membentuk rantai yang utuh"},
		{fs.ErrNotExist, "berkas tidak ada"},
		{fs.ErrPermission, "berkas tidak boleh dibaca"},
	} {
		if errors.Is(err, e.is) {
			return e.says
		}
	}
	return err.Error()
}

func (d *Desk) good(name, says string) {
	d.Good++
	_, _ = fmt.Fprintf(d.Out, "SAH        %s: %s\n", name, says)
}

// bad says what does not hold, and of what was read before it failed: when that holds.
func (d *Desk) bad(name string, err error, h sealed.Header) {
	d.Bad++
	said := Why(err)
	if errors.Is(err, sealed.ErrNotYet) || errors.Is(err, sealed.ErrExpired) {
		said += "; " + validity(h)
	}
	_, _ = fmt.Fprintf(d.Out, "TIDAK SAH  %s: %s\n", name, said)
	if d.Detail {
		_, _ = fmt.Fprintf(d.Out, "           (%v)\n", err)
	}
}

// validity is when something holds.
func validity(h sealed.Header) string {
	if h.Expires == 0 {
		return "berlaku mulai " + when(h.From())
	}
	return "berlaku " + when(h.From()) + " sampai sebelum " + when(h.Until())
}

// Finish says what holds for all of it.
func (d *Desk) Finish() {
	if d.unlisted {
		_, _ = fmt.Fprintln(d.Out, "PERHATIAN  tanpa -revocations: tidak diperiksa apakah manifest tersendiri sudah dicabut")
	}
	_, _ = fmt.Fprintf(d.Out, "%d sah, %d tidak sah, diperiksa untuk %s\n", d.Good, d.Bad, when(d.At))
}

// File verifies one file: a bundle, a revocation list, or either half of a manifest. What
// cannot be read is an error; what does not hold is said and counted.
func (d *Desk) File(path string) error {
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	if d.seen[filepath.Clean(path)] {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s bukan berkas", path)
	}
	head := make([]byte, 4)
	_, _ = f.ReadAt(head, 0)
	if bytes.HasPrefix(head, []byte("PK")) || sealed.IsBundle(f, info.Size()) || strings.EqualFold(filepath.Ext(path), ".zip") {
		d.bundle(path, f, info.Size())
		return nil
	}
	if info.Size() > most {
		d.bad(path, fmt.Errorf("%w: %d bytes", sealed.ErrForm, info.Size()), sealed.Header{})
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err
	}
	return d.single(path, content)
}

// single verifies a list, a token whose payload lies beside it, or a payload whose token
// does.
func (d *Desk) single(path string, content []byte) error {
	h, err := sealed.Peek(content)
	switch {
	case err == nil && h.Type == manifest.ListPurpose:
		d.list(path, content)
		return nil
	case strings.EqualFold(filepath.Ext(path), ".jws"):
		if err != nil {
			d.bad(path, err, h)
			return nil
		}
		payload, err := beside(path)
		if err != nil {
			return err
		}
		return d.pair(payload, path)
	}
	return d.pair(path, strings.TrimSuffix(path, filepath.Ext(path))+".jws")
}

// beside finds the payload of a token: the one other file of its name.
func beside(token string) (string, error) {
	stem := strings.TrimSuffix(filepath.Base(token), filepath.Ext(token))
	all, err := os.ReadDir(filepath.Dir(token))
	if err != nil {
		return "", err
	}
	found := ""
	for _, e := range all {
		name := e.Name()
		if name == filepath.Base(token) || strings.TrimSuffix(name, filepath.Ext(name)) != stem {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("isi untuk %s ada lebih dari satu: %s dan %s", token, found, name)
		}
		found = name
	}
	if found == "" {
		return "", fmt.Errorf("isi untuk %s tidak ada di sebelahnya (berkas bernama %s.*)", token, stem)
	}
	return filepath.Join(filepath.Dir(token), found), nil
}

func (d *Desk) pair(payload, token string) error {
	content, err := os.ReadFile(payload)
	if err != nil {
		return err
	}
	jws, err := os.ReadFile(token)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tanda tangan untuk %s tidak ada di sebelahnya (berkas %s)", payload, filepath.Base(token))
	}
	if err != nil {
		return err
	}
	d.seen[filepath.Clean(payload)], d.seen[filepath.Clean(token)] = true, true
	v, err := d.Verifier.Verify(content, jws, d.At)
	if err != nil {
		d.bad(payload, err, v.Header)
		return nil
	}
	d.unlisted = d.unlisted || !v.Listed
	d.good(payload, about(v))
	return nil
}

// about is a manifest in one line.
func about(v manifest.Verified) string {
	h := v.Header
	said := "manifest " + h.Number + ", " + validity(h)
	if f := v.Facts; f != nil {
		said += fmt.Sprintf("; reader %s, SAM %s, PCID %s, %s, di %s", f.Reader, f.SAM, f.PCID, f.Institution, f.Place)
	} else {
		said += "; isi dalam format " + h.Format
	}
	return said
}

func (d *Desk) list(path string, content []byte) {
	l, err := manifest.OpenList(d.Verifier.Keys, content, 0)
	switch {
	case err != nil:
		d.bad(path, err, sealed.Header{})
	case !d.At.Before(l.NextUpdate):
		d.bad(path, fmt.Errorf("%w: %s", manifest.ErrListStale, when(l.NextUpdate)), sealed.Header{})
	default:
		d.good(path, aboutList(l))
	}
}

func aboutList(l *manifest.List) string {
	of := fmt.Sprintf("%d manifest", len(l.Entries))
	if len(l.Keys) > 0 {
		of += fmt.Sprintf(" dan %d kunci penanda tangan", len(l.Keys))
	}
	return fmt.Sprintf("daftar pencabutan nomor %d dari %s, %s; diganti selambatnya %s", l.Number, when(l.IssuedAt), of, when(l.NextUpdate))
}

// errAudit says that the audit rows of a bundle of evidence do not hold together.
var errAudit = errors.New("audit proof")

// evidenceHolds checks what a bundle of evidence says of the audit chain.
func evidenceHolds(b *sealed.Bundle, keys sealed.Keys) error {
	if b.Header.Format != evidence.Format {
		return nil
	}
	text, err := b.Read(evidence.AuditFile)
	if err != nil {
		return err
	}
	var p audit.Proof
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("%w: %w", errAudit, err)
	}
	if err := p.VerifySigned(keys); err != nil {
		return fmt.Errorf("%w: %w", errAudit, err)
	}
	return nil
}

// bundle verifies a zip, and in a delivery each manifest.
func (d *Desk) bundle(path string, f io.ReaderAt, size int64) {
	b, err := d.Verifier.Keys.OpenBundle(f, size)
	if err != nil {
		d.bad(path, err, sealed.Header{})
		return
	}
	if err := b.Header.ValidAt(d.At); err != nil {
		d.bad(path, err, b.Header)
		return
	}
	said := fmt.Sprintf("bundel %s, %s, ditandatangani %s, %d berkas, semuanya utuh", b.Header.Number, b.Index.About, when(b.Header.Issued()), len(b.Index.Members))
	if b.Header.Format != manifest.DeliveryFormat {
		if err := evidenceHolds(b, d.Verifier.Keys); err != nil {
			d.bad(path, err, b.Header)
			return
		}
		d.good(path, said)
		for _, m := range b.Index.Members {
			_, _ = fmt.Fprintf(d.Out, "           %s  %s\n", m.SHA256, m.Name)
		}
		return
	}
	delivered, err := d.Verifier.Deliver(b, d.At)
	if err != nil {
		d.bad(path, err, b.Header)
		return
	}
	d.good(path, said)
	_, _ = fmt.Fprintln(d.Out, "           "+aboutList(delivered.List))
	for _, m := range delivered.Manifests {
		name := path + "/" + m.Name
		if m.Err != nil {
			d.bad(name, m.Err, m.Verified.Header)
			continue
		}
		d.good(name, about(m.Verified))
	}
}
