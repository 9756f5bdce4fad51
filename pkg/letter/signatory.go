package letter

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Posts that sign papers.
const (
	Dirjen        = "dirjen"
	DirekturFPDDK = "direktur_fpddk"
	KasubditKI    = "kasubdit_ki"
)

// Signatory is an official in a period of office (features.md L16).
type Signatory struct {
	PostCode  string      `db:"post_code" json:"post_code"`
	Name      string      `db:"name" json:"name"`
	NIP       string      `db:"nip" json:"nip"`
	Rank      string      `db:"rank" json:"rank,omitempty"` // pangkat dan golongan
	Post      string      `db:"post" json:"post"`
	Address   string      `db:"address" json:"address"`
	ValidFrom clock.Date  `db:"valid_from" json:"valid_from"`
	ValidTo   *clock.Date `db:"valid_to" json:"valid_to,omitempty"`
}

// SeedSignatory writes the first official of a post; a post that has one is
// left alone.
func SeedSignatory(ctx context.Context, tx *postgres.Tx, s Signatory) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("letter: id: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO signatory (id, post_code, name, nip, rank, post, address, valid_from, valid_to)
		SELECT $1,$2,$3,$4,$5,$6,$7,$8,$9 WHERE NOT EXISTS (SELECT FROM signatory WHERE post_code = $2)`,
		id.String(), s.PostCode, s.Name, s.NIP, s.Rank, s.Post, s.Address, s.ValidFrom, s.ValidTo)
	if err != nil {
		return fmt.Errorf("letter: writing signatory %s: %w", s.PostCode, err)
	}
	return nil
}

// SignatoryOn returns who holds a post on a day, or ErrNoSignatory.
func SignatoryOn(ctx context.Context, rd postgres.Reader, postCode string, day clock.Date) (Signatory, error) {
	var s Signatory
	err := rd.Get(ctx, &s, `
		SELECT post_code, name, nip, rank, post, address, valid_from, valid_to FROM signatory
		WHERE post_code = $1 AND daterange(valid_from, valid_to, '[]') @> $2::date`, postCode, day)
	if errors.Is(err, sql.ErrNoRows) {
		return s, fmt.Errorf("%w: %s on %s", ErrNoSignatory, postCode, day)
	}
	if err != nil {
		return s, fmt.Errorf("letter: reading signatory: %w", err)
	}
	return s, nil
}
