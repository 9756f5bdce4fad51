package judge

import (
	"context"

	"github.com/rs/zerolog"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// readers judges the lines of an activation letter that wait for it: each by itself. A bell
// for a letter of which none waits does nothing.
func (j *Judge) readers(ctx context.Context, tx *postgres.Tx, letterID string) error {
	l, err := activation.Get(ctx, tx, letterID)
	if err != nil {
		return err
	}
	j.doing("memeriksa %s", l.Ticket)
	defer j.doing("")
	passed, returned, err := activation.Judge(ctx, tx, l.ID, request.Change{Actor: actor, OfficeAt: j.office.Now()})
	if err != nil || passed+returned == 0 {
		return err
	}
	tx.OnCommit(func() {
		j.judged.WithLabelValues("reader_validated").Add(float64(passed))
		j.judged.WithLabelValues("reader_returned").Add(float64(returned))
		zerolog.Ctx(ctx).Info().Str("activation_letter", l.ID).Str("ticket", l.Ticket).Int("passed", passed).Int("returned", returned).Msg("readers judged")
	})
	return audit.Record(ctx, tx, audit.Entry{
		Actor: actor.Name, Action: "activation.judged", Subject: l.ID, Detail: map[string]any{"ticket": l.Ticket, "passed": passed, "returned": returned},
	})
}
