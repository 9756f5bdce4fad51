package seal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/manifest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/request/evidence"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

const evidenceGuide = `BUKTI PERMOHONAN %s

permohonan.json  permohonan dengan keputusan, riwayat, serah terima, dan naskahnya
kartu.json       daftar kartu dan hasil personalisasi
audit.json       baris catatan audit permohonan ini, dengan rantai hash-nya
berkas/          berkas yang dikirim pemohon
naskah/          surat, BAST, dan lampiran
indeks.json      semua berkas dengan SHA-256 masing-masing

Seluruh berkas zip ini bertanda tangan: jangan dibuka lalu dikemas lagi. Periksa tanpa jaringan dengan:

    sifilma verify %s -key kunci-publik-dukcapil.json
`

// evidenceMost bounds one look, and the files of one bundle in bytes.
const (
	evidenceMost      = 5
	evidenceBytesMost = 512 << 20
)

// evidence makes the bundles of evidence that were ordered.
func (k *Desk) evidence(ctx context.Context, s *sealed.Signer) error {
	owed, err := evidence.Owed(ctx, k.db, evidenceMost)
	if err != nil {
		return err
	}
	var failed error // one that cannot be made harms no other
	for _, e := range owed {
		err := k.prove(ctx, s, e)
		if err != nil && !errors.Is(err, postgres.ErrStale) {
			failed = errors.Join(failed, fmt.Errorf("seal: evidence of %s: %w", e.Ticket, err))
		}
	}
	return failed
}

func (k *Desk) prove(ctx context.Context, s *sealed.Signer, e evidence.Evidence) error {
	c := k.change()
	name := EvidenceName(e)
	files, err := k.gathered(ctx, e, name)
	if err != nil {
		return err
	}
	var zip bytes.Buffer
	if err := sealed.WriteBundle(ctx, &zip, s, sealed.Header{
		Number: e.Ticket, Format: evidence.Format, IssuedAt: c.OfficeAt.Unix(), NotBefore: c.OfficeAt.Unix(),
	}, "Bukti permohonan "+e.Ticket, files); err != nil {
		return err
	}
	return k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		ref, err := blob.Put(ctx, tx, name, "application/zip", &zip)
		if err != nil {
			return err
		}
		if err := evidence.Attach(ctx, tx, e, ref.ID, s.KeyID()); err != nil {
			return err
		}
		return audit.Record(ctx, tx, audit.Entry{Actor: desk.Self.Name, Action: "evidence.made", Subject: e.ID, Request: e.RequestID, Detail: map[string]any{
			"sha256": ref.Hash(), "files": len(files),
		}})
	})
}

// EvidenceName is the name of a bundle's file.
func EvidenceName(e evidence.Evidence) string { return "bukti-" + manifest.FileName(e.Ticket) + ".zip" }

// gathered is all that the bundle holds: what the office's pages show of the request, which
// holds no key and no secret of a card, and its files as they are.
func (k *Desk) gathered(ctx context.Context, e evidence.Evidence, name string) ([]sealed.File, error) {
	files := []sealed.File{{Name: "BACA-SAYA.txt", Data: fmt.Appendf(nil, evidenceGuide, e.Ticket, name)}}
	office := identity.Account{Username: desk.Self.Name, Role: request.Kasubdit} // sees what the office sees
	of, err := report.LoadID(ctx, k.db, e.RequestID, office, k.office.Now())
	if err != nil {
		return nil, err
	}
	of.Offers = []string{} // what somebody could do is no evidence
	cards, err := report.Cards(ctx, k.db, e.Ticket, office)
	if err != nil {
		return nil, err
	}
	id, err := uuid.Parse(e.RequestID)
	if err != nil {
		return nil, err
	}
	proof, err := audit.ProofOf(ctx, k.db, id)
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name string
		of   any
	}{{"permohonan.json", of}, {"kartu.json", cards}, {evidence.AuditFile, proof}} {
		text, err := json.MarshalIndent(part.of, "", "  ")
		if err != nil {
			return nil, err
		}
		files = append(files, sealed.File{Name: part.name, Data: append(text, '\n')})
	}
	stored, err := k.stored(ctx, e)
	return append(files, stored...), err
}

// kept is a stored file and the name that it gets in the bundle.
type kept struct {
	name string
	blob string
}

// sentName is a file of the applicant in the bundle; its ending is the applicant's where a
// bundle takes it.
func sentName(place int, f request.File) string {
	name := fmt.Sprintf("berkas/%02d-%s", place, evidenceName(f.Kind))
	if whole := name + strings.ToLower(path.Ext(f.Name)); sealed.ValidName(whole) {
		return whole
	}
	return name
}

// stored are the files of the applicant and the papers of the office.
func (k *Desk) stored(ctx context.Context, e evidence.Evidence) (files []sealed.File, err error) {
	row, err := request.Get(ctx, k.db, e.RequestID)
	if err != nil {
		return nil, err
	}
	sent, err := request.Files(ctx, k.db, row)
	if err != nil {
		return nil, err
	}
	var all []kept
	for i, f := range sent {
		all = append(all, kept{sentName(i+1, f), f.BlobID})
	}
	papers, err := letter.List(ctx, k.db, e.RequestID)
	if err != nil {
		return nil, err
	}
	for i, d := range papers {
		for _, format := range d.Formats() {
			id, _ := d.File(format)
			end := "." + format
			if format == "scan" {
				end = "-bertanda-tangan.pdf"
			}
			all = append(all, kept{fmt.Sprintf("naskah/%02d-%s%s", i+1, evidenceName(d.Kind), end), id})
		}
	}
	total := int64(0)
	for _, f := range all {
		id, err := uuid.Parse(f.blob)
		if err != nil {
			return nil, err
		}
		info, err := blob.Stat(ctx, k.db, id)
		if err != nil {
			return nil, err
		}
		if total += info.Size; total > evidenceBytesMost {
			return nil, fmt.Errorf("%w: more than %d bytes", blob.ErrTooLarge, int64(evidenceBytesMost))
		}
		content, err := blob.ReadAll(ctx, k.db, []uuid.UUID{id})
		if err != nil {
			return nil, err
		}
		files = append(files, sealed.File{Name: f.name, Data: content[0]})
	}
	return files, nil
}
