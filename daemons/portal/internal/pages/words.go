package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"html/template"
	"slices"
	"strings"
	"time"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	wordtemplate "dukcapil.go.id/sifilma/pkg/letter/template"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/validation"
)

// tag is a state as people see it: a light tag, never by its colour alone.
type tag struct{ Tone, Text string }

// Tones of a tag; plain is "".
const (
	busy = "busy" // somebody is at it
	wait = "wait" // somebody must act
	good = "good"
	bad  = "bad"
)

// tones are the colours of the states, by machine.
var tones = map[string]map[machine.State]string{
	request.Machine.Name: {
		request.Validated: wait, request.Registered: wait, request.Approved: wait, request.Accepted: busy, request.Scheduled: busy,
		request.InProgress: busy, request.Done: good, request.Returned: bad, request.Rejected: bad, request.Cancelled: bad, request.Held: wait,
	},
	need.Machine.Name: {need.Submitted: wait, need.Returned: bad, need.Approved: good, need.Rejected: bad, need.Cancelled: bad, need.Bundled: busy},
	perso.Machine.Name: {
		perso.Claimed: busy, perso.Writing: busy, perso.Written: busy, perso.Verified: busy, perso.Clear: good, perso.Failed: bad,
		perso.Spoiled: bad, perso.InDoubt: wait,
	},
	letter.Machine.Name:           {letter.AwaitingSignature: wait, letter.Issued: good, letter.Void: bad},
	handover.Machine.Name:         {handover.BASTDrafted: wait, handover.Delivered: wait, handover.Received: good, handover.Closed: good, handover.Cancelled: bad},
	activation.LetterMachine.Name: {activation.LetterDrafted: wait},
	activation.Machine.Name: {
		activation.Submitted: busy, activation.Returned: bad, activation.Validated: wait, activation.Registered: wait, activation.Approved: wait, activation.Accepted: busy,
		activation.ManifestReady: wait, activation.Delivered: wait, activation.Active: good, activation.Suspended: wait, activation.Revoked: bad, activation.Rejected: bad, activation.Cancelled: bad,
	},
}

func tagOf(t *machine.Table) func(machine.State) tag {
	return func(s machine.State) tag { return tag{Tone: tones[t.Name][s], Text: t.Label(s)} }
}

var formatNames = map[string]string{"docx": "Word (konsep)", "pdf": "PDF", "xlsx": "Excel", "scan": "Pindaian bertanda tangan"}

// words are the functions of the templates.
func words() template.FuncMap {
	return template.FuncMap{
		"requestTag": tagOf(request.Machine), "needTag": tagOf(need.Machine), "documentTag": tagOf(letter.Machine), "handoverTag": tagOf(handover.Machine),
		"stageTag": func(s stage.Status, text string) tag {
			return tag{map[stage.Status]string{stage.Late: bad, stage.Warning: wait, stage.OnTime: good}[s], text}
		},
		"readerTag": tagOf(activation.Machine), "readersLetterTag": tagOf(activation.LetterMachine),
		"orderTag": orderTag,
		"num":      number,
		"date":     func(t time.Time) string { return terbilang.FormatDate(clock.DateOf(t)) },
		"day":      terbilang.FormatDate,
		"civil":    func(d *clock.Date) string { return terbilang.FormatDate(*d) },
		"datetime": terbilang.FormatDateTime,
		"iso":      func(t time.Time) string { return t.In(clock.Jakarta).Format(time.RFC3339) },
		"period":   terbilang.FormatPeriod,
		"moved":    func(e *capacity.Estimate) bool { return e.Start != e.FirstStart || e.Finish != e.FirstFinish },
		"who":      who,
		"advice":   validation.Advice,
		"findingTag": func(severity string) tag {
			if severity == validation.Error {
				return tag{bad, "Kesalahan"}
			}
			return tag{wait, "Peringatan"}
		},
		"formatName": func(f string) string {
			if n, ok := formatNames[f]; ok {
				return n
			}
			return f
		},
	}
}

func number(n any) string {
	switch v := n.(type) {
	case int:
		return terbilang.FormatInt(int64(v))
	case *int:
		return terbilang.FormatInt(int64(*v))
	}
	return ""
}

// who names the person of an event, and the role where it says more.
func who(e report.Event) string {
	if e.Name == "" || e.Name == e.RoleName {
		return e.RoleName
	}
	if e.RoleName == "" {
		return e.Name
	}
	return e.Name + " (" + e.RoleName + ")"
}

// systemActors are those without an account, in the users' words.
var systemActors = map[string]string{wordtemplate.SetUp: "Pemasangan sistem", "document-generator": request.RoleLabels[request.Generator]}

// named puts the names of people, and of what acts without an account, in the place of
// their usernames.
func (p *Pages) named(ctx context.Context, usernames ...*string) error {
	var list []string
	for _, u := range usernames {
		list = append(list, *u)
	}
	names, err := report.People(ctx, p.db, list)
	for _, u := range usernames {
		if name := cmp.Or(names[*u], systemActors[*u]); name != "" {
			*u = name
		}
	}
	return err
}

// namedCommands says who ordered as people know them.
func (p *Pages) namedCommands(ctx context.Context, list []capacity.Command) error {
	var who []*string
	for i := range list {
		who = append(who, &list[i].By)
	}
	return p.named(ctx, who...)
}

// factRow is a fact of a request, or its absence.
type factRow struct{ Label, Note, At, Who string }

// factRows lists the facts of a request in the order of the procedure.
func factRows(v *report.Request) []factRow {
	var rows []factRow
	for _, name := range []string{request.FactValidated, request.FactLetterReceived, request.FactBlanksCounted, request.FactCompared, request.FactDisposed} {
		row := factRow{Label: request.FactLabels[name]}
		if i := slices.IndexFunc(v.Facts, func(f report.Fact) bool { return f.Fact.Fact == name }); i >= 0 {
			f := v.Facts[i]
			row.Note, row.At = factNote(f), terbilang.FormatDateTime(f.OfficeAt)
			if j := slices.IndexFunc(v.Timeline, func(e report.Event) bool { return string(e.Verb) == name }); j >= 0 {
				row.Who = who(v.Timeline[j])
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// factNote words what a fact holds.
func factNote(f report.Fact) string {
	var d struct {
		ReceivedOn clock.Date `json:"received_on"`
		CountsFrom clock.Date `json:"counts_from"`
		Count      int        `json:"count"`
		Notes      string     `json:"notes"`
		Note       string     `json:"note"`
	}
	if len(f.Detail) == 0 || json.Unmarshal(f.Detail, &d) != nil {
		return ""
	}
	switch f.Fact.Fact {
	case request.FactLetterReceived:
		if !d.ReceivedOn.IsZero() {
			note := "Diterima " + terbilang.FormatDate(d.ReceivedOn)
			if !d.CountsFrom.IsZero() && d.CountsFrom != d.ReceivedOn {
				note += ", dihitung sejak " + terbilang.FormatDate(d.CountsFrom)
			}
			return note
		}
	case request.FactBlanksCounted:
		return number(d.Count) + " keping"
	}
	return strings.TrimSpace(d.Notes + d.Note)
}
