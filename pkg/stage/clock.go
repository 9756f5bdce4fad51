package stage

import (
	"time"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// Course is what happened to a request, as far as its clock asks.
type Course struct {
	// Steps are the request's own, in their order; the first is its submission.
	Steps []Step
	// Letter is the day from which the letter on paper counts, while that fact
	// stands.
	Letter *clock.Date
	// Signed is the day on which the reply and the completion letter were both
	// signed; HandedOver that on which the last clear card was delivered.
	Signed, HandedOver *clock.Date
	// Planned is the last day of its personalisation as the plan stands now, while
	// there are cards to make.
	Planned *clock.Date
}

// Step is a state that a request came to, and when by the office's clock.
type Step struct {
	To machine.State
	At time.Time
	// LetterFrom is of a return: the day from which the letter counted until then,
	// as a return may take that fact back.
	LetterFrom *clock.Date
}

// Standing says why the office's clock stands still.
type Standing string

// What the office's clock waits for.
const (
	Running       Standing = ""
	AwaitsLetter  Standing = "letter"    // for the letter on paper
	WithApplicant Standing = "applicant" // for the corrected submission
	OnHold        Standing = "hold"
)

// StandingLabels are the Indonesian words for it.
var StandingLabels = map[Standing]string{
	Running: "", AwaitsLetter: "menunggu surat fisik dari pemohon", WithApplicant: "menunggu perbaikan dari pemohon", OnHold: "permohonan ditahan",
}

// Clock is how a request stands in time. All days are hari kerja.
//
// The day of an event is day 0 and the first counted day is the next hari kerja
// (workday.Calendar.Between), so the days of consecutive spans add up. What comes in
// from outside, a submission or a letter, counts from workday.ReceivedOn: after
// office hours, from the next hari kerja. What the office itself does counts on its
// civil date, as overtime should not cost a day.
//
// The applicant's clock runs from the first submission until the last card was
// handed over, whoever has the request meanwhile. The office's clock (features.md
// N3) runs from the day on which both the submission and the letter on paper are
// in; it stands still while the request is back with the applicant, until the
// letter of the new submission is in, and while the request is on hold. It never
// counts more than the applicant's.
//
// Every day belongs to the stage in which the request was on it. A request that is
// returned goes back to the first stage; a stage that it comes to again goes on
// counting, so the stages add up to the total on both clocks, and no clock runs
// backwards as time passes. A fact that is stated anew may set it right.
type Clock struct {
	Stage       Stage  `json:"stage"` // the present one, or the last
	Label       string `json:"label"`
	Status      Status `json:"status"` // the worse of the stage's and the total's
	StatusLabel string `json:"status_label"`
	// Over is how many hari kerja the office's clock is past the limit that it is
	// furthest past, the stage's or the total's; below 0 it is within both.
	Over int `json:"over"`
	// Standing says why the office's clock stands still; it runs when empty.
	Standing      Standing `json:"standing"`
	StandingLabel string   `json:"standing_label"`
	// Since is the day from which the request is in the present stage without a break.
	Since clock.Date `json:"since"`
	// StartedOn begins the applicant's clock and ReceivedOn the office's, once it
	// does; EndedOn ends both.
	StartedOn  clock.Date  `json:"started_on"`
	ReceivedOn *clock.Date `json:"received_on"`
	EndedOn    *clock.Date `json:"ended_on"`
	// Office and Applicant are the days on the two clocks in all, against Limit.
	Office    int `json:"office_days"`
	Applicant int `json:"applicant_days"`
	Limit
	// EarliestOn and PromisedOn are when the office's clock comes to the least and to
	// the most, if it goes on running; nil while it stands.
	EarliestOn *clock.Date `json:"earliest_on"`
	PromisedOn *clock.Date `json:"promised_on"`
	// PlannedOn is the last day of personalisation in the plan where it lies behind
	// PromisedOn: the promise will be broken unless the plan changes, which is warned of.
	PlannedOn *clock.Date `json:"-"`
	Stages    []Span      `json:"stages"`

	total Status // of Office against Limit
}

// Span is one stage of a Clock.
type Span struct {
	Stage       Stage  `json:"stage"`
	Label       string `json:"label"`
	Status      Status `json:"status"`
	StatusLabel string `json:"status_label"`
	// EnteredOn is the day on which the request first came to the stage, LeftOn that
	// on which it last left it; nil before.
	EnteredOn *clock.Date `json:"entered_on"`
	LeftOn    *clock.Date `json:"left_on"`
	Office    int         `json:"office_days"`
	Applicant int         `json:"applicant_days"`
	Limit
	// DueOn is the last day within the limit, of the present stage while the office's
	// clock runs.
	DueOn *clock.Date `json:"due_on"`
}

// phase is a span of days in one stage, with the clock running or not; it ends
// where the next begins.
type phase struct {
	from     clock.Date
	stage    int // of All
	standing Standing
	round    int // of submissions, counted from 0
}

// round is a submission until it was returned.
type round struct {
	letter            *clock.Date // as noted at its return
	registered, ended *clock.Date
}

// Compute reckons a clock as of today. A course without steps gives the zero Clock.
func Compute(c Course, calendar *workday.Calendar, rules Rules, today clock.Date) Clock {
	if len(c.Steps) == 0 {
		return Clock{}
	}
	phases, rounds, end := c.phases(calendar, rules, today)
	to := today
	if end != nil {
		to = *end
	}
	phases = c.waitForLetters(phases, rounds, to)
	k := Clock{StartedOn: phases[0].from, EndedOn: end, Limit: rules.Of(Total), Stages: make([]Span, len(All))}
	for i, s := range All {
		k.Stages[i] = Span{Stage: s, Label: Labels[s], Status: Ahead, Limit: rules.Of(s)}
	}
	for i, p := range phases {
		until := to
		if i+1 < len(phases) && phases[i+1].from.Before(to) { // what came in after hours counts from a day to come
			until = phases[i+1].from
		}
		if until.Before(p.from) {
			until = p.from
		}
		k.pass(p, until, calendar)
		if i == 0 || phases[i-1].stage != p.stage {
			k.Since = p.from
		}
	}
	k.judge(phases[len(phases)-1], to, calendar, rules)
	if k.PromisedOn != nil && c.Planned != nil && c.Planned.After(*k.PromisedOn) {
		k.PlannedOn = c.Planned
		k.Status = Worse(k.Status, Warning)
		k.StatusLabel = StatusLabels[k.Status]
	}
	return k
}

// pass adds a phase to the clocks.
func (k *Clock) pass(p phase, until clock.Date, calendar *workday.Calendar) {
	days := calendar.Between(p.from, until)
	s := &k.Stages[p.stage]
	if s.EnteredOn == nil {
		s.EnteredOn = &p.from
	}
	s.LeftOn = &until
	s.Applicant += days
	k.Applicant += days
	if p.standing != Running {
		return
	}
	if k.ReceivedOn == nil {
		k.ReceivedOn = &p.from
	}
	s.Office += days
	k.Office += days
}

// judge says how the request stands, whose present phase is given.
func (k *Clock) judge(now phase, to clock.Date, calendar *workday.Calendar, rules Rules) {
	present := &k.Stages[now.stage]
	k.Stage, k.Label = present.Stage, present.Label
	for i := range k.Stages {
		s := &k.Stages[i]
		switch {
		case s.EnteredOn == nil:
		case s == present && k.EndedOn == nil:
			s.LeftOn = nil
			s.Status = Judge(s.Office, s.Max, rules.Warn)
		case s.Office > s.Max:
			s.Status = Late
		default:
			s.Status = OnTime
		}
		s.StatusLabel = StatusLabels[s.Status]
	}
	k.Over = k.Office - k.Max
	k.total = Judge(k.Office, k.Max, rules.WarnTotal)
	if k.EndedOn != nil {
		if k.total != Late { // nothing is left to warn of
			k.total = OnTime
		}
		k.Status = k.total
	} else {
		k.Over = max(k.Over, present.Office-present.Max)
		k.Status = Worse(present.Status, k.total)
		k.Standing, k.StandingLabel = now.standing, StandingLabels[now.standing]
		if now.standing == Running {
			passed := max(0, calendar.Between(now.from, to))
			reaches := func(days, have int) *clock.Date {
				d := calendar.Add(now.from, days-(have-passed))
				return &d
			}
			present.DueOn = reaches(present.Max, present.Office)
			k.EarliestOn, k.PromisedOn = reaches(k.Min, k.Office), reaches(k.Max, k.Office)
		}
	}
	k.StatusLabel = StatusLabels[k.Status]
}

// phases are the spans between the steps, not yet looking at the letters, and the
// day on which it all ended.
func (c Course) phases(calendar *workday.Calendar, rules Rules, today clock.Date) (list []phase, rounds []round, end *clock.Date) {
	var day clock.Date
	in, standing := 0, Running
	on := func(d clock.Date) { // never backwards
		if d.After(day) {
			day = d
		}
	}
	for i, s := range c.Steps {
		if i == 0 || s.To == request.Submitted || s.To == request.Resubmitted {
			on(calendar.ReceivedOn(s.At, rules.Hours))
			rounds = append(rounds, round{})
		} else {
			on(clock.DateOf(s.At))
		}
		at, now := day, &rounds[len(rounds)-1]
		switch s.To {
		case request.Submitted, request.Resubmitted:
			in, standing = 0, Running
		case request.Returned:
			in, standing = 0, WithApplicant
			now.ended, now.letter = &at, s.LetterFrom
		case request.Registered:
			in, standing = 1, Running
			now.registered = &at
		case request.Accepted, request.Scheduled, request.InProgress:
			in, standing = 2, Running
		case request.Held:
			standing = OnHold
		case request.Done:
			in, standing = 3, Running
		case request.Rejected, request.Cancelled:
			return list, rounds, &at
		}
		list = append(list, phase{at, in, standing, len(rounds) - 1})
	}
	if c.Steps[len(c.Steps)-1].To != request.Done || c.Signed == nil || c.Signed.After(today) {
		return list, rounds, nil
	}
	on(*c.Signed)
	list = append(list, phase{day, 4, Running, len(rounds) - 1})
	if c.HandedOver == nil || c.HandedOver.After(today) {
		return list, rounds, nil
	}
	on(*c.HandedOver)
	at := day
	return list, rounds, &at
}

// letterOf is the day from which the letter counts for a round. Of the present round
// the fact says it. Of one that was returned, what was noted then says it; else it was
// in when the request was registered, which nothing is without a letter, or the
// letter of now was in already.
func (c Course) letterOf(r round) *clock.Date {
	switch {
	case r.ended == nil && c.Letter != nil:
		return c.Letter
	case r.letter != nil:
		return r.letter
	case r.registered == nil && c.Letter != nil && r.ended != nil && !c.Letter.After(*r.ended):
		return c.Letter
	}
	return r.registered
}

// waitForLetters lets the office's clock stand in the part of each phase that lies
// before the letter of its round.
func (c Course) waitForLetters(phases []phase, rounds []round, to clock.Date) []phase {
	var list []phase
	for i, p := range phases {
		if p.standing != Running {
			list = append(list, p)
			continue
		}
		until := to
		if i+1 < len(phases) {
			until = phases[i+1].from
		}
		letter := c.letterOf(rounds[p.round])
		if letter != nil && !letter.After(p.from) {
			list = append(list, p)
			continue
		}
		waiting := p
		waiting.standing = AwaitsLetter
		list = append(list, waiting)
		if letter != nil && !letter.After(until) {
			p.from = *letter
			list = append(list, p)
		}
	}
	return list
}
