package report

import (
	"context"
	"fmt"
	"time"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// ActivationStage is one of the four stages of an activation, as it stands: of a letter the
// slowest of its readers counts.
type ActivationStage struct {
	Stage  string       `json:"stage"` // letter, decision, reply, manifest, or total
	Label  string       `json:"label"`
	Min    int          `json:"min"` // hari kerja that the procedure gives it
	Max    int          `json:"max"`
	Days   int          `json:"days"` // hari kerja in it so far
	Begun  *clock.Date  `json:"begun_on"`
	Ended  *clock.Date  `json:"ended_on"`
	Status stage.Status `json:"status"`
	Text   string       `json:"status_label"`
}

// activationLimits are those of the procedure (features.md J02, J08, J10, J11, N2): 7 hari
// kerja at best, 13 at most.
var activationLimits = []struct {
	stage, label string
	limit        stage.Limit
}{
	{"letter", "Surat dan pendaftaran", stage.Limit{Min: 2, Max: 3}}, {"decision", "Persetujuan dan disposisi", stage.Limit{Min: 2, Max: 5}},
	{"reply", "Surat balasan", stage.Limit{Min: 2, Max: 3}}, {"manifest", "Penyerahan manifest", stage.Limit{Min: 1, Max: 2}},
}

// inStage are the states in which a reader is in the stages of the letter and the decision.
var inStage = map[machine.State]int{activation.Submitted: 0, activation.Validated: 0, activation.Registered: 1, activation.Approved: 1}

// ActivationClock computes the stages of a letter that was submitted, and their sum, at a
// moment of the office's clock. A stage ends with the last reader that goes through it, and
// the next begins on that day; readers that were returned or ended do not count.
func ActivationClock(ctx context.Context, db *postgres.DB, v *ActivationLetter, now time.Time) (stages []ActivationStage, err error) {
	under := false // some reader is in the office's hands, or came through them
	for _, l := range v.Lines {
		under = under || l.State != activation.Returned && l.State != activation.Rejected && l.State != activation.Cancelled
	}
	if v.SubmittedAt == nil || !under {
		return nil, nil
	}
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		k, err := stage.NewReckoner(ctx, rd, now)
		if err != nil {
			return err
		}
		ends, err := activationEnds(ctx, rd, v)
		if err != nil {
			return err
		}
		stages = activationStages(k, *v.SubmittedAt, ends)
		return nil
	})
	return stages, err
}

// activationEnds are the days on which the stages of a letter ended; nil while one goes on.
func activationEnds(ctx context.Context, rd postgres.Reader, v *ActivationLetter) (ends [4]*clock.Date, err error) {
	var steps []struct {
		Verb machine.Verb `db:"verb"`
		Last time.Time    `db:"last"`
	}
	if err := rd.Select(ctx, &steps, `
		SELECT h.verb, max(h.office_at) AS last FROM activation a JOIN history h ON h.machine = $2 AND h.subject = a.id
		WHERE a.letter_id = $1 AND a.state NOT IN ('submitted', 'returned', 'rejected', 'cancelled') GROUP BY h.verb`, v.ID, activation.Machine.Name); err != nil {
		return ends, fmt.Errorf("report: stages of an activation: %w", err)
	}
	last := map[machine.Verb]*clock.Date{}
	for _, s := range steps {
		day := clock.DateOf(s.Last)
		last[s.Verb] = &day
	}
	ends = [4]*clock.Date{last[activation.VerbRegister], last[activation.VerbAccept], nil, last[activation.VerbDeliver]}
	for _, d := range v.Documents {
		if d.State == letter.Issued && d.SignedOn != nil && (ends[2] == nil || d.SignedOn.After(*ends[2])) {
			ends[2] = d.SignedOn
		}
	}
	for _, l := range v.Lines {
		if at, ok := inStage[l.State]; ok {
			for i := at; i < len(ends); i++ {
				ends[i] = nil
			}
		}
		if l.State == activation.Accepted || l.State == activation.ManifestReady {
			ends[3] = nil
		}
	}
	return ends, nil
}

// activationStages reckons the days of each stage and of all.
func activationStages(k stage.Reckoner, submitted time.Time, ends [4]*clock.Date) []ActivationStage {
	begin := k.Calendar.ReceivedOn(submitted, k.Rules.Hours)
	total := ActivationStage{Stage: string(stage.Total), Label: stage.Labels[stage.Total], Begun: &begin}
	var all []ActivationStage
	from, open := begin, false
	for i, of := range activationLimits {
		s := ActivationStage{Stage: of.stage, Label: of.label, Min: of.limit.Min, Max: of.limit.Max, Status: stage.Ahead}
		total.Min, total.Max = total.Min+of.limit.Min, total.Max+of.limit.Max
		if !open {
			start, until := from, k.Today()
			s.Begun, s.Ended = &start, ends[i]
			if open = ends[i] == nil; !open {
				until = *ends[i]
				if until.After(from) {
					from = until
				}
			}
			s.Days, s.Status = max(0, k.Calendar.Between(start, until)), stage.OnTime
			if s.Days > s.Max {
				s.Status = stage.Late
			}
			total.Days += s.Days
		}
		s.Text = stage.StatusLabels[s.Status]
		all = append(all, s)
	}
	if !open {
		total.Ended = ends[3]
	}
	if total.Status = stage.OnTime; total.Days > total.Max {
		total.Status = stage.Late
	}
	total.Text = stage.StatusLabels[total.Status]
	return append(all, total)
}
