package seal

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/daemons/document-generator/internal/desk"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/sealed"
)

// headsMost bounds one look; the next one goes on.
const headsMost = 100

// heads signs the ends of the audit chain that are owed: those that day sheets print, which
// wait for it, and those of days that are over, whether anybody prints their sheet or not.
func (k *Desk) heads(ctx context.Context, s *sealed.Signer) error {
	return errors.Join(k.sheetHeads(ctx, s), k.dayHeads(ctx, s))
}

// sheetHeads signs for the day sheets that are to be printed. What a sheet tells of the
// chain is signed only when it is so.
func (k *Desk) sheetHeads(ctx context.Context, s *sealed.Signer) error {
	var sheets []struct {
		ID    string          `db:"id"`
		Facts json.RawMessage `db:"facts"`
	}
	if err := k.db.Select(ctx, &sheets, `
		SELECT a.id, a.facts FROM asked_paper a WHERE a.kind = $1 AND NOT EXISTS (SELECT FROM audit_head h WHERE h.subject = a.id::text)
		  AND NOT EXISTS (SELECT FROM document d WHERE d.kind = a.kind AND d.subject_id = a.id AND d.state = $2)
		ORDER BY a.id LIMIT $3`, letter.DaySheet, string(letter.Issued), headsMost); err != nil {
		return fmt.Errorf("seal: day sheets: %w", err)
	}
	var failed error // one that cannot be signed harms no other
	for _, sheet := range sheets {
		if err := k.sheetHead(ctx, s, sheet.ID, sheet.Facts); err != nil {
			failed = errors.Join(failed, fmt.Errorf("seal: day sheet %s: %w", sheet.ID, err))
		}
	}
	return failed
}

func (k *Desk) sheetHead(ctx context.Context, s *sealed.Signer, id string, facts json.RawMessage) error {
	var f letter.DayFacts
	if err := json.Unmarshal(facts, &f); err != nil {
		return err
	}
	h := audit.SignedHead{Head: audit.Head{Seq: f.HeadSeq}, Day: f.Day, Unsealed: f.Unsealed, At: f.At}
	if n, err := hex.Decode(h.Hash[:], []byte(f.HeadHash)); err != nil || n != len(h.Hash) || len(f.HeadHash) != 2*n {
		return fmt.Errorf("%q is no hash", f.HeadHash)
	}
	if err := audit.OnChain(ctx, k.db, h.Head); err != nil {
		return err
	}
	return k.signHead(ctx, s, id, h)
}

// dayHeads signs for days that are over.
func (k *Desk) dayHeads(ctx context.Context, s *sealed.Signer) error {
	now := k.office.Now()
	today := clock.DateOf(now)
	if k.ended == today { // rows that were sealed late are behind the next day's head
		return nil
	}
	owed, err := audit.OwedHeads(ctx, k.db, today, headsMost)
	if err != nil {
		return err
	}
	for _, h := range owed {
		h.At = now
		if err := k.signHead(ctx, s, h.Day.String(), h); err != nil {
			return fmt.Errorf("seal: audit head of %s: %w", h.Day, err)
		}
	}
	if len(owed) == 0 {
		k.ended = today
	}
	return nil
}

// signHead signs a head and keeps it. No transaction is open while the token works.
func (k *Desk) signHead(ctx context.Context, s *sealed.Signer, subject string, h audit.SignedHead) error {
	signed, err := h.Sign(ctx, s)
	if err != nil {
		return err
	}
	return k.db.InTx(ctx, func(ctx context.Context, tx *postgres.Tx) error {
		tx.OnCommit(k.db.Bell(desk.BellName).Ring)
		_, err := audit.KeepHead(ctx, tx, subject, signed)
		return err
	})
}

// Head is for the status page: the newest head of the audit chain that is signed.
func (k *Desk) Head(ctx context.Context) (any, error) {
	h, err := audit.NewestSigned(ctx, k.db)
	if errors.Is(err, audit.ErrNotSigned) {
		return nil, nil //nolint:nilnil // none yet, which is no fault
	}
	if err != nil {
		return nil, err
	}
	return h.Text(), nil
}
