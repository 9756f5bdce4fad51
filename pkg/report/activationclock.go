package report

import (
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

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

// The stages of an activation, in their order.
const (
	stageLetter = iota
	stageDecision
	stageReply
	stageManifest
	activationStageCount
	noStage = -1 // with the applicant, suspended, or through
)

// activationLimits are those of the procedure (features.md J02, J08, J10, J11, N2): 7 hari
// kerja at best, 13 at most.
var activationLimits = [activationStageCount]struct {
	stage, label string
	limit        stage.Limit
}{
	{"letter", "Surat dan pendaftaran", stage.Limit{Min: 2, Max: 3}}, {"decision", "Persetujuan dan disposisi", stage.Limit{Min: 2, Max: 5}},
	{"reply", "Surat balasan", stage.Limit{Min: 2, Max: 3}}, {"manifest", "Penyerahan manifest", stage.Limit{Min: 1, Max: 2}},
}

// activationTotal is the sum of the limits.
func activationTotal() (sum stage.Limit) {
	for _, of := range activationLimits {
		sum.Min, sum.Max = sum.Min+of.limit.Min, sum.Max+of.limit.Max
	}
	return sum
}

// readerCourse is what happened to one reader, as far as its clock asks.
type readerCourse struct {
	LetterID  string        `db:"letter_id"`
	ID        string        `db:"id"`
	State     machine.State `db:"state"`
	Submitted time.Time     `db:"submitted_at"` // the letter
	Signed    *clock.Date   `db:"signed"`       // its reply
	steps     []readerStep
}

type readerStep struct {
	ID string        `db:"subject"`
	To machine.State `db:"to_state"`
	At time.Time     `db:"office_at"`
}

// readerClock is how one reader stands in time: every day belongs to the stage in which
// the reader was on it; those with the applicant or under a suspension belong to none.
type readerClock struct {
	days         [activationStageCount]int
	begun, ended [activationStageCount]*clock.Date
	now          int // the present stage, or noStage
}

func (c *readerClock) pass(s int, from, until clock.Date, k stage.Reckoner) {
	if c.begun[s] == nil {
		c.begun[s] = &from
	}
	c.ended[s] = &until
	c.days[s] += max(0, k.Calendar.Between(from, until))
}

func (c *readerClock) total() (days int) {
	for _, n := range c.days {
		days += n
	}
	return days
}

// over is how many hari kerja a reader is past the limit that it is furthest past, of its
// present stage or of all.
func (c *readerClock) over() int {
	return max(c.days[c.now]-activationLimits[c.now].limit.Max, c.total()-activationTotal().Max)
}

// clock reckons a course. What the applicant sends counts from when it is received, what
// the office does on its civil date. The stage of the reply lasts from the acceptance until
// the reply is signed, also where the manifest was handed over before; that of the manifest
// from the signature until the manifest is with the produsen.
func (r *readerCourse) clock(k stage.Reckoner) (c readerClock) {
	var day clock.Date
	for i, s := range r.steps {
		next := clock.DateOf(s.At)
		if s.To == activation.Submitted {
			at := s.At
			if i == 0 {
				at = r.Submitted
			}
			next = k.Calendar.ReceivedOn(at, k.Rules.Hours)
		}
		if next.After(day) { // never backwards
			day = next
		}
		until := k.Today()
		if i+1 < len(r.steps) {
			if until = clock.DateOf(r.steps[i+1].At); r.steps[i+1].To == activation.Submitted {
				until = k.Calendar.ReceivedOn(r.steps[i+1].At, k.Rules.Hours)
			}
		}
		if until.Before(day) {
			until = day
		}
		c.now = r.phase(&c, s.To, day, until, k)
	}
	return c
}

// phase adds the days in one state and tells the stage at their end.
func (r *readerCourse) phase(c *readerClock, state machine.State, from, until clock.Date, k stage.Reckoner) int {
	switch state {
	case activation.Submitted, activation.Validated:
		c.pass(stageLetter, from, until, k)
		return stageLetter
	case activation.Registered, activation.Approved:
		c.pass(stageDecision, from, until, k)
		return stageDecision
	case activation.Accepted, activation.ManifestReady, activation.Delivered, activation.Active:
	default:
		return noStage
	}
	out := state == activation.Delivered || state == activation.Active
	if r.Signed == nil || r.Signed.After(until) {
		c.pass(stageReply, from, until, k)
		return stageReply
	}
	signed := from
	if r.Signed.After(from) {
		signed = *r.Signed
	}
	c.pass(stageReply, from, signed, k)
	if out {
		if c.begun[stageManifest] == nil { // it was out before the reply
			c.pass(stageManifest, signed, signed, k)
		}
		return noStage
	}
	c.pass(stageManifest, signed, until, k)
	return stageManifest
}

// counts says whether a reader counts for its letter: those that were returned or ended
// before they were accepted do not.
func (r *readerCourse) counts() bool {
	return r.State != activation.Returned && r.State != activation.Rejected && r.State != activation.Cancelled
}

// readerCourses reads the courses of the readers of letters that count, by letter, in two
// queries however many they are.
func readerCourses(ctx context.Context, rd postgres.Reader, letterIDs []string) (map[string][]*readerCourse, error) {
	var rows []*readerCourse
	if err := rd.Select(ctx, &rows, `
		SELECT a.letter_id, a.id, a.state, l.submitted_at,
		       (SELECT min(d.signed_on) FROM document d WHERE d.kind = $2 AND d.subject_id = a.reply_id AND d.state = ANY ($3)) AS signed
		FROM activation a JOIN activation_letter l ON l.id = a.letter_id
		WHERE a.letter_id = ANY ($1::uuid[]) AND l.submitted_at IS NOT NULL ORDER BY a.letter_id, a.line`,
		pq.Array(letterIDs), letter.ActivationReply, pq.Array(signedStates)); err != nil {
		return nil, fmt.Errorf("report: readers of activations: %w", err)
	}
	all, byID := map[string][]*readerCourse{}, map[string]*readerCourse{}
	var ids []string
	for _, r := range rows {
		if r.counts() {
			all[r.LetterID], byID[r.ID], ids = append(all[r.LetterID], r), r, append(ids, r.ID)
		}
	}
	var steps []readerStep
	if err := rd.Select(ctx, &steps, `
		SELECT subject, to_state, office_at FROM history WHERE machine = $2 AND subject = ANY ($1::uuid[]) ORDER BY subject, version`,
		pq.Array(ids), activation.Machine.Name); err != nil {
		return nil, fmt.Errorf("report: steps of readers: %w", err)
	}
	for _, s := range steps {
		byID[s.ID].steps = append(byID[s.ID].steps, s)
	}
	for _, r := range byID {
		if len(r.steps) == 0 { // its timeline lies outside, such as in an archive
			r.steps = []readerStep{{r.ID, activation.Submitted, r.Submitted}, {r.ID, r.State, r.Submitted}}
		}
	}
	return all, nil
}

// signedStates are those of a reply that was signed.
var signedStates = []string{string(letter.Issued), string(letter.Replaced)}

// ActivationClock computes the stages of a letter that was submitted, and all of them, at a
// moment of the office's clock; nil where no reader is in the office's hands, nor came
// through them.
func ActivationClock(ctx context.Context, db *postgres.DB, v *ActivationLetter, now time.Time) (stages []ActivationStage, err error) {
	if v.SubmittedAt == nil {
		return nil, nil
	}
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		k, err := stage.NewReckoner(ctx, rd, now)
		if err != nil {
			return err
		}
		courses, err := readerCourses(ctx, rd, []string{v.ID})
		if err != nil {
			return err
		}
		stages = activationStages(k, readerClocks(k, courses[v.ID]))
		return nil
	})
	return stages, err
}

func readerClocks(k stage.Reckoner, courses []*readerCourse) (list []readerClock) {
	for _, r := range courses {
		list = append(list, r.clock(k))
	}
	return list
}

// activationStages are the stages of a letter with these readers, and all of them last.
func activationStages(k stage.Reckoner, readers []readerClock) (all []ActivationStage) {
	if len(readers) == 0 {
		return nil
	}
	sum := activationTotal()
	total := ActivationStage{Stage: string(stage.Total), Label: stage.Labels[stage.Total], Min: sum.Min, Max: sum.Max, Status: stage.Ahead}
	running := false // some reader is in a stage
	for i, of := range activationLimits {
		s := ActivationStage{Stage: of.stage, Label: of.label, Min: of.limit.Min, Max: of.limit.Max, Status: stage.Ahead}
		for _, c := range readers {
			here := c.now == i
			running = running || here
			s.add(c.begun[i], c.ended[i], c.days[i], here, k.Rules.Warn)
		}
		for _, c := range readers {
			if c.now != noStage && c.now <= i {
				s.Ended = nil
			}
		}
		if s.Begun != nil && (total.Begun == nil || s.Begun.Before(*total.Begun)) {
			total.Begun = s.Begun
		}
		s.Text = stage.StatusLabels[s.Status]
		all = append(all, s)
	}
	for _, c := range readers {
		first, last := total.Begun, total.Begun
		for _, e := range c.ended {
			if e != nil {
				last = e
			}
		}
		total.add(first, last, c.total(), c.now != noStage, k.Rules.WarnTotal)
	}
	if running {
		total.Ended = nil
	}
	total.Text = stage.StatusLabels[total.Status]
	return append(all, total)
}

// add counts in what one reader has of a stage; the slowest and the worst stay.
func (s *ActivationStage) add(begun, ended *clock.Date, days int, open bool, warn int) {
	if begun == nil {
		return
	}
	if s.Begun == nil || begun.Before(*s.Begun) {
		s.Begun = begun
	}
	if s.Ended == nil || ended.After(*s.Ended) {
		s.Ended = ended
	}
	s.Days = max(s.Days, days)
	status := stage.OnTime
	if open {
		status = stage.Judge(days, s.Max, warn)
	} else if days > s.Max {
		status = stage.Late
	}
	s.Status = stage.Worse(s.Status, status)
}
