package pages

import (
	"net/http"
	"strconv"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// lateReaders is what the late page tells of activations.
type lateReaders struct {
	Lines        []lateLetter
	Late, Warned int // of all letters that the office works on
}

type lateLetter struct {
	report.LateActivation
	Tag     tag
	Over    string
	Spent   string // days of the slowest reader in its stage
	All     string // days in all
	Waiting []waitGroup
}

func (p *Pages) lateReaders(r *http.Request, statuses []stage.Status) (b lateReaders, err error) {
	list, err := report.LateActivationsOf(r.Context(), p.db, signin.Account(r), statuses, p.office.Now())
	if err != nil {
		return b, err
	}
	b.Late, b.Warned = list.Counts[stage.Late], list.Counts[stage.Warning]
	for _, l := range list.Activations {
		line := lateLetter{
			LateActivation: l, Tag: statusTag(l.Status), Over: against(l.Over), Spent: strconv.Itoa(l.Days) + " dari " + workdays(l.Max), Waiting: groupWaits(l.Waiting),
		}
		if n := len(l.Stages); n > 0 { // all of them stand last
			line.All = strconv.Itoa(l.Stages[n-1].Days) + " dari " + workdays(l.Stages[n-1].Max)
		}
		b.Lines = append(b.Lines, line)
	}
	return b, nil
}
