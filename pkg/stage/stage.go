// Package stage keeps the stage clock of a request: in which stage of the
// procedure it is, how many hari kerja it has been there and in all, on the
// office's clock and on the applicant's, and whether it is late. Compute is the
// whole of the reckoning and pure; the table request_stage, which the package
// writes with stage_alarm and stage_rules, holds its last results for lists.
package stage

import (
	"errors"
	"fmt"

	"dukcapil.go.id/sifilma/pkg/workday"
)

// Stage is one of the five stages of the personalisation procedure.
type Stage string

// The stages in their order (features.md I01-I21). A stage ends with the step
// that is named here, and the next one begins on that day.
const (
	// Letter is from the first submission until the letter on paper is in, the
	// blanks are counted and the papers compared: the request is registered.
	Letter Stage = "letter"
	// Decision is until the Dirjen approved, the Direktur FPDDK disposed and
	// Kasubdit KI accepted.
	Decision Stage = "decision"
	// Personalisation is until every card is through.
	Personalisation Stage = "personalisation"
	// Documents is until the reply and the completion letter are signed.
	Documents Stage = "documents"
	// Handover is until the last clear card was delivered with its BAST.
	Handover Stage = "handover"
)

// Total stands for all stages together where one is named.
const Total Stage = "total"

// All are the stages in their order.
var All = []Stage{Letter, Decision, Personalisation, Documents, Handover}

// Labels are the Indonesian names of the stages.
var Labels = map[Stage]string{
	Letter: "Surat dan kelengkapan", Decision: "Persetujuan dan disposisi", Personalisation: "Personalisasi",
	Documents: "Dokumen dan tanda tangan", Handover: "Serah terima", Total: "Seluruh tahap",
}

// Status is how a stage, or a request, stands against its limit.
type Status string

// Statuses. Ahead is of a stage that the request has not come to.
const (
	Ahead   Status = "ahead"
	OnTime  Status = "on_time"
	Warning Status = "warning"
	Late    Status = "late"
)

// StatusLabels are the Indonesian names of the statuses.
var StatusLabels = map[Status]string{Ahead: "Belum", OnTime: "Tepat waktu", Warning: "Mendekati batas", Late: "Terlambat"}

// Limit is the least and the most hari kerja that the procedure gives a stage.
type Limit struct {
	Min int `yaml:"min" json:"min"`
	Max int `yaml:"max" json:"max"`
}

// Rules are the limits of the stages and when to warn of them. The scheduler's
// configuration sets them; the scheduler keeps them in the database, so that all
// daemons reckon alike.
type Rules struct {
	Letter          Limit `yaml:"letter" json:"letter"`
	Decision        Limit `yaml:"decision" json:"decision"`
	Personalisation Limit `yaml:"personalisation" json:"personalisation"`
	Documents       Limit `yaml:"documents" json:"documents"`
	Handover        Limit `yaml:"handover" json:"handover"`
	// Warn is how many hari kerja before the most of a stage one is warned; 0 warns on
	// the last day. WarnTotal is the same for the sum of the stages.
	Warn      int `yaml:"warn" json:"warn"`
	WarnTotal int `yaml:"warn_total" json:"warn_total"`
	// Hours decide whether what comes in counts from the same day.
	Hours workday.OfficeHours `yaml:"-" json:"hours"`
}

// Defaults are the limits of the procedure (features.md N1, N4: I02, I11, I15, I18,
// I21): 8 hari kerja at best, 18 at most, which is the promise.
func Defaults() Rules {
	return Rules{
		Letter: Limit{2, 3}, Decision: Limit{2, 5}, Personalisation: Limit{1, 5}, Documents: Limit{2, 3}, Handover: Limit{1, 2},
		Warn: 1, WarnTotal: 2,
	}
}

// mostDays bounds a limit: a quarter is no stage.
const mostDays = 60

// Of is the limit of a stage; of Total, the sum of all.
func (r Rules) Of(s Stage) Limit {
	switch s {
	case Letter:
		return r.Letter
	case Decision:
		return r.Decision
	case Personalisation:
		return r.Personalisation
	case Documents:
		return r.Documents
	case Handover:
		return r.Handover
	}
	var sum Limit
	for _, one := range All {
		sum.Min, sum.Max = sum.Min+r.Of(one).Min, sum.Max+r.Of(one).Max
	}
	return sum
}

// Validate checks the limits.
func (r Rules) Validate() error {
	var errs []error
	for _, s := range All {
		if l := r.Of(s); l.Min < 0 || l.Max < 1 || l.Min > l.Max || l.Max > mostDays {
			errs = append(errs, fmt.Errorf("%s: min %d and max %d are no limits: 0 <= min <= max, and max is 1 to %d hari kerja", s, l.Min, l.Max, mostDays))
		}
	}
	if r.Warn < 0 || r.Warn > mostDays {
		errs = append(errs, fmt.Errorf("warn is %d, not 0 to %d hari kerja", r.Warn, mostDays))
	}
	if total := r.Of(Total).Max; r.WarnTotal < 0 || r.WarnTotal >= total {
		errs = append(errs, fmt.Errorf("warn_total is %d, not 0 to %d hari kerja", r.WarnTotal, total-1))
	}
	return errors.Join(errs...)
}

// Judge judges days on the office's clock against the most that there are, with a
// warning so many hari kerja before. A clock that stands at 0 warns of nothing.
func Judge(days, most, warn int) Status {
	switch {
	case days > most:
		return Late
	case days >= max(1, most-warn):
		return Warning
	}
	return OnTime
}

// Worse is the worse of two statuses.
func Worse(a, b Status) Status {
	if a == Late || b == Late {
		return Late
	}
	if a == Warning || b == Warning {
		return Warning
	}
	if a == Ahead && b == Ahead {
		return Ahead
	}
	return OnTime
}
