package pages

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
	"dukcapil.go.id/sifilma/pkg/xlsx"
)

const latePath = "/terlambat"

// lateExported bounds the workbook: nobody works through more.
const lateExported = 5000

// officeOnly wants one of the office's own people.
func (p *Pages) officeOnly(f func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if a := signin.Account(r); report.Outside(a) {
			return web.Forbidden("Peran " + request.RoleLabels[a.Role] + " tidak melihat daftar ini. Waktu layanan permohonan Anda ada pada halaman permohonan itu sendiri.")
		}
		return f(w, r)
	}
}

type chosen struct {
	Code, Label string
	Count       int
	Chosen      bool
}

type lateLine struct {
	report.LateRequest
	Tag     tag
	Over    string
	Stage   string // days of the present stage
	All     string // days in all
	Still   string // why the office's clock stands still
	Beyond  string // that the plan breaks the promise
	Waiting []waitGroup
}

type lateBody struct {
	Stages, Statuses []chosen
	Lines            []lateLine
	Late, Warned     int // of all open requests
	Narrowed         bool
	Next, Workbook   string
	Readers          lateReaders
}

// lateQuery reads what the address asks for; what is not known does not narrow.
func lateQuery(q url.Values) report.LateQuery {
	f := report.LateQuery{Filter: stage.Filter{Limit: sizes[1]}}
	if s := stage.Stage(q.Get("tahap")); slices.Contains(stage.All, s) {
		f.Stages = []stage.Stage{s}
	}
	if s := stage.Status(q.Get("keadaan")); slices.Contains(lateStatuses, s) {
		f.Statuses = []stage.Status{s}
	}
	if values := (url.Values{"after": q["setelah"]}); len(q["setelah"]) > 0 {
		if parsed, bad := report.ParseLateQuery(values); len(bad) == 0 {
			f.After = parsed.After
		}
	}
	return f
}

var lateStatuses = []stage.Status{stage.Late, stage.Warning, stage.OnTime}

// late lists the requests that are late or soon will be, with who must act.
func (p *Pages) late(w http.ResponseWriter, r *http.Request) error {
	q := lateQuery(r.URL.Query())
	list, err := report.Late(r.Context(), p.db, signin.Account(r), q, p.office.Now())
	if err != nil {
		return err
	}
	body := lateBody{Narrowed: len(q.Stages)+len(q.Statuses) > 0, Workbook: lateAddress("/unduh", q, "")}
	if body.Readers, err = p.lateReaders(r, q.Statuses); err != nil {
		return err
	}
	if list.Next != nil {
		body.Next = lateAddress("", q, *list.Next)
	}
	for _, l := range list.Requests {
		body.Lines = append(body.Lines, newLateLine(l))
	}
	byStage := map[stage.Stage]int{}
	byStatus := map[stage.Status]int{}
	for _, c := range list.Counts {
		byStatus[c.Status] += c.Requests
		if c.Status != stage.OnTime {
			byStage[c.Stage] += c.Requests
		}
	}
	body.Late, body.Warned = byStatus[stage.Late], byStatus[stage.Warning]
	for _, s := range stage.All {
		body.Stages = append(body.Stages, chosen{string(s), stage.Labels[s], byStage[s], slices.Contains(q.Stages, s)})
	}
	for _, s := range lateStatuses {
		body.Statuses = append(body.Statuses, chosen{string(s), stage.StatusLabels[s], byStatus[s], slices.Contains(q.Statuses, s)})
	}
	p.show(w, r, http.StatusOK, "late", "Terlambat", body)
	return nil
}

func lateAddress(more string, q report.LateQuery, after string) string {
	v := url.Values{}
	for _, s := range q.Stages {
		v.Set("tahap", string(s))
	}
	for _, s := range q.Statuses {
		v.Set("keadaan", string(s))
	}
	if after != "" {
		v.Set("setelah", after)
	}
	if len(v) == 0 {
		return latePath + more
	}
	return latePath + more + "?" + v.Encode()
}

func newLateLine(l report.LateRequest) lateLine {
	line := lateLine{
		LateRequest: l, Tag: statusTag(l.Clock.Status), Over: against(l.Clock.Over), Waiting: groupWaits(l.Waiting), Still: l.Clock.StandingLabel,
	}
	for _, s := range l.Clock.Stages {
		if s.Stage == l.Clock.Stage {
			line.Stage = strconv.Itoa(s.Office) + " dari " + workdays(s.Max)
		}
	}
	if d := l.Clock.PlannedOn; d != nil {
		line.Beyond = "perkiraan " + terbilang.FormatDate(*d) + " melewati janji layanan " + terbilang.FormatDate(*l.Clock.PromisedOn)
	}
	line.All = strconv.Itoa(l.Clock.Office) + " dari " + workdays(l.Clock.Max)
	return line
}

// lateWorkbook is the whole list as a workbook.
func (p *Pages) lateWorkbook(w http.ResponseWriter, r *http.Request) error {
	q := lateQuery(r.URL.Query())
	q.Limit, q.After = lateExported, ""
	now := p.office.Now()
	list, err := report.Late(r.Context(), p.db, signin.Account(r), q, now)
	if err != nil {
		return err
	}
	number := func(title string, width float64) xlsx.Column {
		return xlsx.Column{Title: title, Width: width, Align: xlsx.Right, Number: true}
	}
	table := xlsx.Table{
		Sheet: "Terlambat", Landscape: true,
		Titles: []string{"Permohonan yang terlambat atau mendekati batas", "Keadaan " + terbilang.FormatDateTime(now)},
		Columns: []xlsx.Column{
			number("No.", 6), {Title: "Kode tiket", Width: 22}, {Title: "Pemohon", Width: 30}, {Title: "Judul", Width: 36}, {Title: "Tahap", Width: 26},
			{Title: "Keadaan", Width: 18}, {Title: "Terhadap batas", Width: 22}, number("Hari kerja tahap", 12), number("Batas tahap", 12),
			number("Hari kerja seluruhnya", 12), number("Batas seluruhnya", 12), number("Hari kerja pemohon", 12),
			{Title: "Di tahap ini sejak", Width: 14, Date: true}, {Title: "Menunggu", Width: 60},
		},
	}
	for i, one := range list.Requests {
		l := newLateLine(one)
		var waiting []string
		for _, g := range l.Waiting {
			for _, t := range g.Tasks {
				waiting = append(waiting, g.Label+": "+t.Task+" ("+t.Since+")")
			}
		}
		if l.Beyond != "" {
			waiting = append(waiting, l.Beyond)
		}
		if l.Still != "" {
			waiting = append(waiting, "jam kantor berhenti: "+l.Still)
		}
		spent, limit := "", ""
		for _, s := range l.Clock.Stages {
			if s.Stage == l.Clock.Stage {
				spent, limit = strconv.Itoa(s.Office), strconv.Itoa(s.Max)
			}
		}
		table.Rows = append(table.Rows, []string{
			strconv.Itoa(i + 1), l.Ticket, l.Institution, l.Title, l.Clock.Label, l.Tag.Text, l.Over, spent, limit, strconv.Itoa(l.Clock.Office), strconv.Itoa(l.Clock.Max),
			strconv.Itoa(l.Clock.Applicant), l.Clock.Since.String(), strings.Join(waiting, "; "),
		})
	}
	var content bytes.Buffer
	if err := xlsx.WriteTable(&content, table); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
	w.Header().Set("Content-Disposition", `attachment; filename="terlambat-`+clock.DateOf(now).String()+`.xlsx"`)
	_, err = w.Write(content.Bytes())
	return err
}
