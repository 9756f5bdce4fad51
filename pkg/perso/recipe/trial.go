package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Trial is a run of a profile on a test card.
type Trial struct {
	ID        string          `db:"id" json:"id"`
	ProfileID string          `db:"profile_id" json:"-"`
	KeyCodeID string          `db:"key_code_id" json:"-"`
	Station   string          `db:"station" json:"station"`
	ChipID    string          `db:"chip_id" json:"chip_id"`
	Passed    bool            `db:"passed" json:"passed"`
	Report    json.RawMessage `db:"report" json:"report"`
	OfficeAt  time.Time       `db:"office_at" json:"office_at"`
}

// AddTrial keeps a trial.
func AddTrial(ctx context.Context, tx *postgres.Tx, t Trial) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("recipe: trial id: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO recipe_trial (id, profile_id, key_code_id, station, chip_id, passed, report, office_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		id.String(), t.ProfileID, t.KeyCodeID, t.Station, t.ChipID, t.Passed, string(t.Report), t.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("recipe: trial: %w", err)
	}
	return nil
}

const trialsShown = 20

// Trials returns the newest trials of a profile, newest first.
func Trials(ctx context.Context, rd postgres.Reader, profileID string) ([]Trial, error) {
	all := []Trial{}
	if err := rd.Select(ctx, &all, `
		SELECT id, profile_id, key_code_id, station, chip_id, passed, report, office_at FROM recipe_trial WHERE profile_id = $1 ORDER BY id DESC LIMIT $2`,
		profileID, trialsShown); err != nil {
		return nil, fmt.Errorf("recipe: trials: %w", err)
	}
	return all, nil
}
