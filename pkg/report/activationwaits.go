package report

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// notInOffice are the states in which a reader waits for its lembaga or for a decision that
// has no stage, with the verb that goes on and what it is called.
var notInOffice = []onward{
	{activation.Returned, activation.VerbResubmit, "memperbaiki dan mengajukan kembali "},
	{activation.Delivered, activation.VerbInstall, "memasang manifest dan mencatat pemasangan "},
	{activation.Suspended, activation.VerbResume, "melanjutkan atau mencabut aktivasi "},
}

type onward struct {
	state machine.State
	verb  machine.Verb
	task  string
}

// ActivationWaits says who must act on letters that were submitted, and since when, by the
// id of the letter; letters that nobody has to act on are left out. ids are those of letters
// that whoever asks may see.
func ActivationWaits(ctx context.Context, db *postgres.DB, ids []string, now time.Time) (map[string][]Wait, error) {
	all := map[string][]Wait{}
	if len(ids) == 0 {
		return all, nil
	}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		lists, err := activationWaits(ctx, rd, ids)
		if err != nil {
			return err
		}
		if err := waitsOutside(ctx, rd, ids, lists); err != nil {
			return err
		}
		k, err := stage.NewReckoner(ctx, rd, now)
		if err != nil {
			return err
		}
		for id, l := range lists {
			if len(l) > 0 {
				all[id] = l.reckoned(k)
			}
		}
		return nil
	})
	return all, err
}

func waitsOutside(ctx context.Context, rd postgres.Reader, ids []string, all map[string]waitList) error {
	var wanted []string
	for _, s := range notInOffice {
		wanted = append(wanted, string(s.state))
	}
	var lines []struct {
		LetterID string        `db:"letter_id"`
		State    machine.State `db:"state"`
		N        int           `db:"n"`
		Since    time.Time     `db:"since"`
	}
	if err := rd.Select(ctx, &lines, `
		SELECT a.letter_id, a.state, count(*) AS n, min(coalesce(h.office_at, l.submitted_at)) AS since
		FROM activation a JOIN activation_letter l ON l.id = a.letter_id
		LEFT JOIN history h ON h.machine = $2 AND h.subject = a.id AND h.version = a.version
		WHERE a.letter_id = ANY ($1::uuid[]) AND a.state = ANY ($3) GROUP BY 1, 2 ORDER BY 1, array_position($3, a.state)`,
		pq.Array(ids), activation.Machine.Name, pq.Array(wanted)); err != nil {
		return fmt.Errorf("report: who must act on readers outside the office: %w", err)
	}
	for _, g := range lines {
		i := slices.IndexFunc(notInOffice, func(s onward) bool { return s.state == g.State })
		l := all[g.LetterID]
		l.step(g.Since, activation.Machine, g.State, notInOffice[i].verb, notInOffice[i].task+terbilang.FormatInt(int64(g.N))+" reader")
		all[g.LetterID] = l
	}
	return nil
}
