package report

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// DayFacts gathers what a lembar harian tells of a day, as it is known at an office
// time: the last outcome that each card had on the day, by request and by whoever gave
// it (a station, or a person for cards by hand and settled doubts), the flow of blanks,
// and the head of the audit chain.
func DayFacts(ctx context.Context, rd postgres.Reader, day clock.Date, at time.Time) (f letter.DayFacts, err error) {
	f = letter.DayFacts{Day: day, At: at, Written: []letter.WrittenCards{}, Blanks: []letter.BlankFlow{}}
	if err := rd.Select(ctx, &f.Written, `
		SELECT r.ticket, i.name AS institution, o.actor AS station,
		       count(*) FILTER (WHERE o.to_state = $4) AS clear, count(*) FILTER (WHERE o.to_state = $5) AS failed,
		       count(*) FILTER (WHERE o.to_state = $6) AS in_doubt, count(*) FILTER (WHERE o.to_state = $7) AS spoiled
		FROM (SELECT DISTINCT ON (h.subject) h.request_id, h.actor, h.to_state FROM history h
		      WHERE h.machine = $3 AND h.office_at >= $1 AND h.office_at < $2 AND h.to_state IN ($4, $5, $6, $7)
		      ORDER BY h.subject, h.version DESC) o
		JOIN request r ON r.id = o.request_id JOIN institution i ON i.id = r.institution_id
		GROUP BY r.ticket, i.name, o.actor ORDER BY r.ticket, o.actor`,
		day.At(0, 0).UTC(), day.AddDays(1).At(0, 0).UTC(), perso.Machine.Name,
		string(perso.Clear), string(perso.Failed), string(perso.InDoubt), string(perso.Spoiled)); err != nil {
		return f, fmt.Errorf("report: cards of %s: %w", day, err)
	}
	var actors []string
	for _, w := range f.Written {
		actors = append(actors, w.Station)
	}
	names, err := People(ctx, rd, actors)
	if err != nil {
		return f, err
	}
	for i, w := range f.Written {
		if name := names[w.Station]; name != "" {
			f.Written[i].Station = name
		}
	}
	days, err := stock.OnDay(ctx, rd, day)
	if err != nil {
		return f, err
	}
	for _, d := range days {
		f.Blanks = append(f.Blanks, letter.BlankFlow{
			Ticket: d.Ticket, Opening: d.Opening, Received: d.Received, Closing: d.Closing, Difference: d.Difference,
			Used: d.Clear + d.Failed + d.Spoiled + d.InDoubt + d.InHand + d.Test + d.Returned,
		})
	}
	head, err := audit.HeadOf(ctx, rd)
	if err != nil {
		return f, err
	}
	f.HeadSeq, f.HeadHash = head.Seq, hex.EncodeToString(head.Hash[:])
	f.Unsealed, _, err = audit.Unsealed(ctx, rd)
	return f, err
}
