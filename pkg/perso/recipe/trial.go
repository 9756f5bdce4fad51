package recipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Trial is a run of a profile on a test card.
type Trial struct {
	ID            string          `db:"id" json:"id"`
	ProfileID     string          `db:"profile_id" json:"-"`
	ContentSHA256 []byte          `db:"content_sha256" json:"-"` // of the content that was run
	KeyCodeID     string          `db:"key_code_id" json:"-"`
	Station       string          `db:"station" json:"station"`
	TriedBy       string          `db:"tried_by" json:"tried_by"` // empty for trials of before that was kept
	ChipID        string          `db:"chip_id" json:"chip_id"`
	Passed        bool            `db:"passed" json:"passed"`
	Report        json.RawMessage `db:"report" json:"report"`
	OfficeAt      time.Time       `db:"office_at" json:"office_at"`
	// Current says that the profile still has the content that was run: a draft may
	// have been changed since.
	Current bool `db:"current" json:"current"`
}

// ErrNotTried says that a profile has not passed a trial with the content it has.
var ErrNotTried = errors.New("recipe: not tried")

// AddTrial keeps a trial.
func AddTrial(ctx context.Context, tx *postgres.Tx, t Trial) error {
	if t.TriedBy == "" || len(t.ContentSHA256) == 0 {
		return errors.New("recipe: a trial is of a content, by somebody")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("recipe: trial id: %w", err)
	}
	if err := tx.ExecOne(ctx, `
		INSERT INTO recipe_trial (id, profile_id, content_sha256, key_code_id, station, tried_by, chip_id, passed, report, office_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)`,
		id.String(), t.ProfileID, t.ContentSHA256, t.KeyCodeID, t.Station, t.TriedBy, t.ChipID, t.Passed, string(t.Report), t.OfficeAt.UTC()); err != nil {
		return fmt.Errorf("recipe: trial: %w", err)
	}
	return nil
}

const trialsShown = 20

// Trials returns the newest trials of a profile, newest first.
func Trials(ctx context.Context, rd postgres.Reader, profileID string) ([]Trial, error) {
	all := []Trial{}
	if err := rd.Select(ctx, &all, `
		SELECT t.id, t.profile_id, t.content_sha256, t.key_code_id, t.station, t.tried_by, t.chip_id, t.passed, t.report, t.office_at,
		       t.content_sha256 = r.content_sha256 AS current
		FROM recipe_trial t JOIN recipe r ON r.id = t.profile_id WHERE t.profile_id = $1 ORDER BY t.id DESC LIMIT $2`,
		profileID, trialsShown); err != nil {
		return nil, fmt.Errorf("recipe: trials: %w", err)
	}
	return all, nil
}

// PassedAt tells whether a test card has passed at a station on an office day, with a
// profile that is in force.
func PassedAt(ctx context.Context, rd postgres.Reader, station string, day clock.Date) (passed bool, err error) {
	if err := rd.Get(ctx, &passed, `
		SELECT EXISTS (SELECT FROM recipe_trial t JOIN recipe r ON r.id = t.profile_id AND r.state = 'active' AND r.content_sha256 = t.content_sha256
		WHERE t.station = $1 AND t.passed AND (t.office_at AT TIME ZONE 'Asia/Jakarta')::date = $2)`, station, day); err != nil {
		return false, fmt.Errorf("recipe: test card of the day: %w", err)
	}
	return passed, nil
}

// tried says, as ErrNotTried, that a profile has no passed trial of its content by
// somebody who is named.
func tried(ctx context.Context, tx *postgres.Tx, r Recipe) error {
	if r.Kind != Profile {
		return nil
	}
	var passed bool
	if err := tx.Get(ctx, &passed, `
		SELECT EXISTS (SELECT FROM recipe_trial WHERE profile_id = $1 AND content_sha256 = $2 AND passed AND tried_by <> '')`, r.ID, r.SHA256); err != nil {
		return fmt.Errorf("recipe: trials: %w", err)
	}
	if !passed {
		return ErrNotTried
	}
	return nil
}
