package judge

import (
	"context"
	"strings"

	"dukcapil.go.id/sifilma/test/crash/load"
	"dukcapil.go.id/sifilma/test/crash/office"
)

// Restored is what an office told its people after it was restored to a moment;
// only that may differ from an office to which it never happened. The zero value
// is such an office.
type Restored struct {
	// Chips, by id in capitals, that were written after the moment: whatever they
	// hold, the books need not know it, and their cards fail when they are seen.
	Chips map[string]bool
	// Papers is how many numbers of papers were left out, in each year at most once.
	Papers int
}

func (r Restored) chip(id string) bool { return r.Chips[strings.ToUpper(id)] }

// Kept judges an office right after it was restored, before anybody acts: what
// had been answered by the moment is there.
func Kept(ctx context.Context, of *office.Office, drops []*load.Drop, f load.Facts) (*Verdict, error) {
	db, err := of.DB()
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	j := &judging{Verdict: &Verdict{}, dir: of.Dir, db: db}
	var rows []struct {
		Ticket    string `db:"ticket"`
		Reference string `db:"reference"`
	}
	if err := db.Select(ctx, &rows, `SELECT ticket, reference FROM request`); err != nil {
		return nil, err
	}
	has := map[string]string{}
	for _, r := range rows {
		has[r.Reference] = r.Ticket
	}
	var told []*load.Drop
	for _, d := range drops {
		ticket, ok := f.Tickets[d.Reference]
		if !ok {
			continue
		}
		told = append(told, d)
		if has[d.Reference] != ticket {
			j.lost("permohonan %s dijawab %s sebelum saat pemulihan, tercatat %q", d.Reference, ticket, has[d.Reference])
		}
		j.Requests++
	}
	if err := j.sent(ctx, told); err != nil {
		return nil, err
	}
	return j.Verdict, j.answers(ctx, f.Answers)
}
