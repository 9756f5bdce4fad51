package handover

import (
	"context"
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Cancel takes a handover back before its cards changed hands, such as one that was
// prepared by mistake: its BAST is void for good, its cards are free for another
// handover, and which they were is kept. A BAST of a later handover that waits to be
// signed counts what went before it, so it is drafted anew. Errors:
// letter.ErrReasonMissing, letter.ErrSigningOpen, *machine.RoleError,
// *machine.IllegalError, postgres.ErrStale.
func Cancel(ctx context.Context, tx *postgres.Tx, h Handover, c request.Change) (Handover, error) {
	if err := Machine.May(h.State, VerbCancel, c.Actor.Role); err != nil {
		return h, err
	}
	if c.Reason == "" {
		return h, letter.ErrReasonMissing
	}
	next, err := move(ctx, tx, h, VerbCancel, c, `cancelled_at = $5, cancel_reason = $6, appointed_at = NULL`, c.OfficeAt.UTC(), c.Reason)
	if err != nil {
		return h, err
	}
	if err := voidBAST(ctx, tx, h.ID, c); err != nil {
		return h, err
	}
	if err := free(ctx, tx, h); err != nil {
		return h, err
	}
	return next, countAnew(ctx, tx, h, c)
}

// voidBAST voids the BAST of a handover. That of a cancelled one is owed no more, so
// nothing is drafted in its place.
func voidBAST(ctx context.Context, tx *postgres.Tx, handoverID string, c request.Change) error {
	bast, err := letter.Living(ctx, tx, letter.BAST, handoverID)
	if errors.Is(err, letter.ErrNotFound) {
		return nil // not drafted yet, or void already
	}
	if err == nil {
		_, err = letter.Cancel(ctx, tx, bast, c)
	}
	return err
}

// free takes the cards out of a cancelled handover and keeps which they were.
func free(ctx context.Context, tx *postgres.Tx, h Handover) error {
	for _, q := range []string{
		`INSERT INTO handover_taken_back (handover_id, card_id, scanned_by, scanned_at)
		 SELECT h.handover_id, h.card_id, s.scanned_by, s.scanned_at FROM handover_card h LEFT JOIN handover_scan s ON s.card_id = h.card_id WHERE h.handover_id = $1`,
		`DELETE FROM handover_scan WHERE handover_id = $1`,
		`DELETE FROM handover_card WHERE handover_id = $1`,
	} {
		if _, err := tx.Exec(ctx, q, h.ID); err != nil {
			return fmt.Errorf("handover: freeing cards: %w", err)
		}
	}
	return nil
}

// countAnew has the BAST of each later handover drafted anew that nobody has signed: it
// tells of the cards that were given before, and of those that remain.
func countAnew(ctx context.Context, tx *postgres.Tx, h Handover, c request.Change) error {
	var later []string
	if err := tx.Select(ctx, &later, `
		SELECT id FROM handover WHERE request_id = $1 AND ordinal > $2 AND state = ANY ('{prepared,bast_drafted}') ORDER BY id FOR UPDATE`,
		h.RequestID, h.Ordinal); err != nil {
		return fmt.Errorf("handover: later ones: %w", err)
	}
	c.Reason = fmt.Sprintf("Serah terima ke-%d dibatalkan, sehingga jumlah dan sisanya berubah.", h.Ordinal)
	for _, id := range later {
		if err := voidBAST(ctx, tx, id, c); err != nil {
			return err
		}
	}
	return nil
}

// TakenBack are the cards that a cancelled handover had.
func TakenBack(ctx context.Context, rd postgres.Reader, handoverID string) ([]Card, error) {
	var cards []Card
	if err := rd.Select(ctx, &cards, `
		SELECT c.id, c.serial, c.pcid, c.manifest_no, l.line, h.scanned_by IS NOT NULL AS scanned FROM handover_taken_back h JOIN card c ON c.id = h.card_id
		JOIN listed_card l ON l.id = c.id WHERE h.handover_id = $1 ORDER BY l.row`, handoverID); err != nil {
		return nil, fmt.Errorf("handover: cards taken back: %w", err)
	}
	return cards, nil
}

// OwesBAST says whether a handover still wants its BAST, and keeps it so until the
// transaction ends: whoever takes it back waits, and finds the BAST.
func OwesBAST(ctx context.Context, tx *postgres.Tx, handoverID string) (bool, error) {
	var owes bool
	if err := tx.Get(ctx, &owes, `SELECT state = ANY ('{prepared,bast_drafted}') FROM handover WHERE id = $1 FOR SHARE`, handoverID); err != nil {
		return false, fmt.Errorf("handover: %s: %w", handoverID, err)
	}
	return owes, nil
}
