package cardsecret

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

var (
	// ErrSameKey says that all files are for the key that is in force: there is nothing
	// to recover.
	ErrSameKey = errors.New("cardsecret: the files are for the present key already")
	// ErrOtherEscrow says that a file was made for another edition of the escrow key.
	ErrOtherEscrow = errors.New("cardsecret: made for another escrow key")
	// ErrWrongEscrow says that a private key is not the one of the escrow key.
	ErrWrongEscrow = errors.New("cardsecret: not the private half of the escrow key")
	// ErrPeople says that a recovery wants two different people and a reason.
	ErrPeople = errors.New("cardsecret: two people and a reason are needed")
)

// Recovery is what two people open files for: those of a handover or of one card.
type Recovery struct {
	ID          string
	Escrow      Escrow
	HandoverID  string
	Serial      string // of one card, where no handover is named
	People      [2]string
	Reason      string
	RecordedBy  Who
	Files       int    // that were made for the present key
	Fingerprint string // of that
}

// Due returns the files that a recovery is about: those that are not for the key in force
// of the institution, all of the same escrow key. Errors: ErrNotFound, ErrNoKey,
// ErrSameKey, ErrOtherEscrow.
func (r Recovery) Due(ctx context.Context, rd postgres.Reader) (due []Entry, key Key, err error) {
	due, key, _, err = r.due(ctx, rd)
	return due, key, err
}

func (r Recovery) due(ctx context.Context, rd postgres.Reader) (due []Entry, key Key, requestID string, err error) {
	all := []Entry{}
	if r.HandoverID != "" {
		all, err = Entries(ctx, rd, r.HandoverID)
	} else {
		err = rd.Select(ctx, &all, newest+`WHERE c.serial = $1 AND c.state = 'clear' ORDER BY l.row, c.id, s.edition DESC`, r.Serial)
	}
	if err != nil {
		return nil, key, "", fmt.Errorf("cardsecret: files: %w", err)
	}
	if len(all) == 0 {
		return nil, key, "", ErrNotFound
	}
	if err := rd.Get(ctx, &requestID, `SELECT request_id FROM card WHERE id = $1`, all[0].CardID); err != nil {
		return nil, key, "", fmt.Errorf("cardsecret: request: %w", err)
	}
	key, _, err = readers(ctx, rd, requestID)
	if err != nil {
		return nil, key, "", err
	}
	due = slices.DeleteFunc(all, func(e Entry) bool { return e.Fingerprint == key.Fingerprint })
	if len(due) == 0 {
		return nil, key, "", ErrSameKey
	}
	for _, e := range due {
		if e.EscrowID != r.Escrow.ID {
			return nil, key, "", ErrOtherEscrow
		}
	}
	return due, key, requestID, nil
}

// Recover opens files with the escrow key and makes each anew, for the institution's
// present key and the present escrow key; the old ones stay. It is one transaction with
// its audit row, which names both people and the reason; what was opened is in memory
// only, one card at a time. Errors: those of Due, ErrPeople, ErrWrongEscrow.
func Recover(ctx context.Context, tx *postgres.Tx, r Recovery, id *age.X25519Identity) (Recovery, error) {
	for i := range r.People {
		r.People[i] = strings.TrimSpace(r.People[i])
	}
	r.Reason = strings.TrimSpace(r.Reason)
	switch {
	case r.People[0] == "" || r.People[1] == "" || strings.EqualFold(r.People[0], r.People[1]) || r.Reason == "":
		return r, ErrPeople
	case id.Recipient().String() != r.Escrow.Recipient:
		return r, ErrWrongEscrow
	}
	due, key, requestID, err := r.due(ctx, tx)
	if err != nil {
		return r, err
	}
	now, err := EscrowInForce(ctx, tx)
	if err != nil {
		return r, err
	}
	made, err := uuid.NewV7()
	if err != nil {
		return r, fmt.Errorf("cardsecret: id: %w", err)
	}
	r.ID, r.Files, r.Fingerprint = made.String(), len(due), key.Fingerprint
	var handover, card *string
	if r.HandoverID != "" {
		handover = &r.HandoverID
	} else {
		card = &due[0].CardID
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO secret_recovery (id, escrow_id, recipient_id, handover_id, card_id, people, reason, files, recorded_by, office_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		r.ID, r.Escrow.ID, key.ID, handover, card, pq.Array(r.People[:]), r.Reason, r.Files, r.RecordedBy.Name, r.RecordedBy.At.UTC()); err != nil {
		return r, fmt.Errorf("cardsecret: recovery: %w", err)
	}
	hashes := map[string]string{}
	for _, e := range due {
		sum, err := reseal(ctx, tx, e, r.ID, key, now, id)
		if err != nil {
			return r, fmt.Errorf("cardsecret: card %s: %w", e.Serial, err)
		}
		hashes[e.Serial] = hex.EncodeToString(sum)
	}
	subject := r.HandoverID
	if subject == "" {
		subject = due[0].CardID
	}
	return r, audit.Record(ctx, tx, audit.Entry{Actor: r.RecordedBy.Name, Action: "card_secret.recover", Subject: subject, Request: requestID, Detail: map[string]any{
		"people": r.People[:], "reason": r.Reason, "escrow_edition": r.Escrow.Edition, "escrow_fingerprint": r.Escrow.Fingerprint,
		"for": key.Fingerprint, "institution": key.InstitutionID, "sha256": hashes,
	}})
}

func reseal(ctx context.Context, tx *postgres.Tx, e Entry, recoveryID string, key Key, escrow Escrow, id age.Identity) ([]byte, error) {
	old, err := bodies(ctx, tx, []Entry{e})
	if err != nil {
		return nil, err
	}
	text, err := decrypt(old[0], id)
	defer clear(text)
	if err != nil {
		return nil, err
	}
	c, err := read(text)
	clear(c.Secret)
	if err != nil {
		return nil, err
	}
	if c.Serial != e.Serial || c.PCID != e.PCID {
		return nil, fmt.Errorf("%w: of another card", errFormat)
	}
	body, err := seal(text, key.Recipient, escrow.Recipient)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	if err := tx.ExecOne(ctx, `
		INSERT INTO card_secret (attempt_id, edition, card_id, recipient_id, escrow_id, recovery_id, body, sha256) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		e.AttemptID, e.Edition+1, e.CardID, key.ID, escrow.ID, recoveryID, body, sum[:]); err != nil {
		return nil, fmt.Errorf("cardsecret: keeping: %w", err)
	}
	return sum[:], nil
}
