package pages

import (
	"strconv"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// clockView is the stage clock of a request in words.
type clockView struct {
	Alarm   *tag     // a warning, or that it is late
	Promise string   // the hari kerja that are promised
	Until   string   // what that means in dates
	Beyond  string   // that the plan breaks the promise
	Clocks  []string // how far the two clocks are
	Stages  []stageLine
}

type stageLine struct {
	Label, Entered, Left string
	Days, Limit          string
	Tag                  tag
	Now                  bool
}

var statusTones = map[stage.Status]string{stage.OnTime: good, stage.Warning: wait, stage.Late: bad}

func statusTag(s stage.Status) tag { return tag{statusTones[s], stage.StatusLabels[s]} }

func workdays(n int) string { return strconv.Itoa(n) + " hari kerja" }

// limits writes a limit, "2–5 hari kerja".
func limits(l stage.Limit) string {
	if l.Min == l.Max {
		return workdays(l.Max)
	}
	return strconv.Itoa(l.Min) + "–" + workdays(l.Max)
}

// against says how far the office's clock is past its limit, or within.
func against(over int) string {
	switch {
	case over > 0:
		return "lewat " + workdays(over)
	case over == 0:
		return "hari terakhir"
	}
	return "sisa " + workdays(-over)
}

func dateOr(d *clock.Date) string {
	if d == nil {
		return ""
	}
	return terbilang.FormatDate(*d)
}

func viewClock(k stage.Clock) clockView {
	v := clockView{Promise: limits(k.Limit)}
	if k.EndedOn == nil && (k.Status == stage.Warning || k.Status == stage.Late) {
		t := statusTag(k.Status)
		t.Text += ", " + against(k.Over)
		v.Alarm = &t
	}
	switch {
	case k.EndedOn != nil:
		v.Until = "Berakhir " + terbilang.FormatDate(*k.EndedOn) + ", dalam " + workdays(k.Office) + " menurut jam kantor."
	case k.PromisedOn != nil && k.Office > k.Max:
		v.Until = "Batasnya sudah lewat pada " + terbilang.FormatDate(*k.PromisedOn) + "."
	case k.PromisedOn != nil:
		v.Until = "Paling cepat selesai " + terbilang.FormatDate(*k.EarliestOn) + ", paling lambat " + terbilang.FormatDate(*k.PromisedOn) + "."
		if k.Office >= k.Min {
			v.Until = "Paling lambat selesai " + terbilang.FormatDate(*k.PromisedOn) + "."
		}
	case k.Standing != stage.Running:
		v.Until = "Tanggalnya belum dapat dihitung: " + k.StandingLabel + "."
	}
	if k.PlannedOn != nil {
		v.Beyond = "Perkiraan melewati janji layanan: personalisasi diperkirakan selesai " + terbilang.FormatDate(*k.PlannedOn) +
			", sesudah hari terakhir yang dijanjikan, " + terbilang.FormatDate(*k.PromisedOn) + "."
	}
	office := "Jam kantor belum mulai: " + k.StandingLabel + "."
	if k.ReceivedOn != nil {
		office = "Jam kantor: " + workdays(k.Office) + " sejak surat dan permohonan diterima pada " + terbilang.FormatDate(*k.ReceivedOn) + "."
		if k.Standing != stage.Running {
			office += " Sedang berhenti: " + k.StandingLabel + "."
		}
	}
	v.Clocks = []string{office, "Jam pemohon: " + workdays(k.Applicant) + " sejak pengajuan pertama, dihitung dari " + terbilang.FormatDate(k.StartedOn) + "."}
	for _, s := range k.Stages {
		line := stageLine{
			Label: s.Label, Entered: dateOr(s.EnteredOn), Left: dateOr(s.LeftOn), Limit: limits(s.Limit), Days: "–", Tag: statusTag(s.Status),
			Now: s.Stage == k.Stage && k.EndedOn == nil,
		}
		if s.EnteredOn != nil {
			line.Days = strconv.Itoa(s.Office)
			if s.Applicant != s.Office {
				line.Days += " (pemohon " + strconv.Itoa(s.Applicant) + ")"
			}
		}
		if s.DueOn != nil && s.Status != stage.Late {
			line.Limit += ", s.d. " + terbilang.FormatDate(*s.DueOn)
		}
		v.Stages = append(v.Stages, line)
	}
	return v
}

// waited says since when somebody is waited for.
func waited(w report.Wait) string {
	return "sejak " + terbilang.FormatDate(clock.DateOf(w.Since)) + ", " + workdays(w.Days)
}
