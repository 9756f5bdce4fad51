package pages

import (
	"errors"
	"net/http"
	"slices"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/prints"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/web"
)

// printsTitle names the page on which BAST and lists are ticked (features.md G09 to G12).
const printsTitle = "Cetak BAST dan List"

type printLine struct {
	prints.Row
	BASTTicked, ListTicked bool
}

type printsBody struct {
	Crumbs []crumb
	Action string
	Lines  []printLine
	Faults []string
	Reply  string // address of the surat balasan, or empty
	Later  string // why it is not there yet
}

func (p *Pages) printer() prints.Desk { return prints.Desk{DB: p.db, Office: p.office} }

// prints shows the lines of all handovers of a request with their tick boxes, or gives
// what is ticked.
func (p *Pages) prints(w http.ResponseWriter, r *http.Request) error {
	ticket, who, q := chi.URLParam(r, "ticket"), signin.Account(r), r.URL.Query()
	of, err := report.Load(r.Context(), p.db, ticket, who, p.office.Now())
	if err != nil {
		return err
	}
	body := printsBody{Crumbs: blankCrumbs(of.Ticket), Action: home + "/" + of.Ticket + handoverEnd, Reply: replyOf(of), Later: lettersLater(of.State)}
	status := http.StatusOK
	if what := q.Get("cetak"); what == prints.BAST || what == prints.List {
		files, err := p.printer().Files(r.Context(), who, of.Ticket, what, q[what])
		if err == nil {
			return prints.Send(w, r, prints.ArchiveName(what, of.Ticket), files)
		}
		var wrong form.Faults
		if !errors.As(err, &wrong) {
			return err
		}
		for _, f := range wrong {
			body.Faults = append(body.Faults, f.Detail)
		}
		status = http.StatusUnprocessableEntity
	}
	rows, err := p.printer().Rows(r.Context(), who, of.Ticket)
	if err != nil {
		return err
	}
	for _, row := range rows {
		body.Lines = append(body.Lines, printLine{row, slices.Contains(q[prints.BAST], row.Key), slices.Contains(q[prints.List], row.Key)})
	}
	p.show(w, r, status, "prints", printsTitle, body)
	return nil
}

// replyOf is where the surat balasan is: as a Word file for the office (features.md G11),
// as it was issued for others.
func replyOf(of *report.Request) string {
	for _, format := range []string{"docx", "scan", "pdf"} {
		for _, d := range slices.Backward(of.Documents) {
			if d.Kind == letter.ReplyLetter && d.State != letter.Void && d.State != letter.Replaced && slices.Contains(d.Formats, format) {
				return "/api/v1/documents/" + d.ID + "/files/" + format
			}
		}
	}
	return ""
}

// mountPrints adds the page.
func (p *Pages) mountPrints(inside chi.Router) {
	inside.With(web.Slow(letterTime)).Get(home+"/{ticket}"+handoverEnd, p.handle(explained(p.prints)))
}
