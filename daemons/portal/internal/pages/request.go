package pages

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/cardsecret"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/validation"
)

type waitGroup struct {
	Label string
	Tasks []waitTask
}

type waitTask struct{ Task, Since string }

type pair struct{ Label, Text string }

type requestBody struct {
	Request    *report.Request
	Notice     string   // what was done
	Trouble    *trouble // why something was not
	Acts       []actForm
	Outside    bool // whose own part, what to mend, comes before what they can stop
	Waiting    []waitGroup
	Clock      clockView
	Planned    *capacity.Estimate // while cards are still to be made
	Reason     string
	Findings   []validation.Finding
	Returned   bool // the findings are why
	Markable   bool // the card list can be had with its cells marked
	Summary    []pair
	Facts      []factRow
	Cards      cardBlock
	CardBoxes  []cardBox
	CardsWait  bool // something of CardBoxes is waited for
	Reductions []reductionLine
	Plan       *planBlock // for the office, while cards are to be made
	Feeds      feedBlock
	Prepare    string // address of the form of the next handover, for whoever may open one
	Handing    []pair // how far the cards are handed over
	HeldBack   string // why cards that are ready stay in the office
	Letters    string // why the papers of the end are not there yet
}

// request shows one request whole.
func (p *Pages) request(w http.ResponseWriter, r *http.Request) error {
	ticket := chi.URLParam(r, "ticket")
	body, err := p.requestBody(r, ticket)
	if err != nil {
		return err
	}
	if real := body.Request.Ticket; ticket != real { // typed in lower case: one address for one page
		http.Redirect(w, r, home+"/"+real, http.StatusMovedPermanently)
		return nil
	}
	p.showRequest(w, r, http.StatusOK, body)
	return nil
}

func (p *Pages) showRequest(w http.ResponseWriter, r *http.Request, status int, body requestBody) {
	p.show(w, r, status, "request", "Permohonan "+body.Request.Ticket, body)
}

func (p *Pages) requestBody(r *http.Request, ticket string) (requestBody, error) {
	who := signin.Account(r)
	v, err := report.Load(r.Context(), p.db, ticket, who, p.office.Now())
	if err != nil {
		return requestBody{}, err
	}
	asked := cardsAsked(r)
	page, err := report.LoadCardPage(r.Context(), p.db, ticket, who, &asked)
	if err != nil {
		return requestBody{}, err
	}
	body := requestBody{
		Request: v, Waiting: groupWaits(v.Waiting), Clock: viewClock(v.Clock), Reason: v.Reason, Summary: requestSummary(v), Facts: factRows(v),
		Notice: actNotice(r.URL.Query().Get("sudah")), Acts: p.actForms(v), Outside: report.Outside(who),
	}
	planned, err := p.planNotice(r, r.URL.Query().Get("sudah"))
	if err != nil {
		return requestBody{}, err
	}
	body.Notice += planned
	if body.Plan, err = p.planBlock(r, v); err != nil {
		return requestBody{}, err
	}
	if body.Feeds, err = p.feedBlock(r, who, v); err != nil {
		return requestBody{}, err
	}
	if v.State != request.Done && !request.Machine.Final(v.State) {
		body.Planned = v.Estimate
	}
	body.Findings, body.Returned, body.Markable = v.Findings, v.State == request.Returned, validation.Markable(v.Findings) && hasList(v)
	body.Reductions = reductionLines(v, page.Reductions)
	body.Prepare, body.Handing, body.HeldBack = nextHandover(v, who.Role), handingSummary(v), heldBack(v)
	if len(v.Handovers) > 0 {
		body.Letters = lettersLater(v.State)
	}
	body.Cards = cardsBlock(v.Ticket, page, asked)
	body.CardBoxes = cardBoxes(v, page, who)
	body.CardsWait = slices.ContainsFunc(body.CardBoxes, func(b cardBox) bool { return b.Open })
	return body, nil
}

func hasList(v *report.Request) bool {
	return slices.ContainsFunc(v.Files, func(f report.File) bool { return f.Kind == request.FileCardList })
}

// groupWaits gathers the tasks of one role; tasks that any of several roles can
// do stand under all of them together, and one that waits several times says how often.
func groupWaits(waits []report.Wait) []waitGroup {
	var tasks []waitTask
	roles, times := map[string][]string{}, map[string]int{}
	for _, w := range waits {
		if roles[w.Task] == nil {
			tasks = append(tasks, waitTask{w.Task, waited(w)})
		}
		if !slices.Contains(roles[w.Task], w.Label) {
			roles[w.Task] = append(roles[w.Task], w.Label)
		}
		if w.Label == roles[w.Task][0] {
			times[w.Task]++
		}
	}
	var groups []waitGroup
	at := map[string]int{}
	for _, task := range tasks {
		label := strings.Join(roles[task.Task], " atau ")
		i, ok := at[label]
		if !ok {
			i, at[label] = len(groups), len(groups)
			groups = append(groups, waitGroup{Label: label})
		}
		if n := times[task.Task]; n > 1 {
			task.Task += " (" + number(n) + ")"
		}
		groups[i].Tasks = append(groups[i].Tasks, task)
	}
	return groups
}

func requestSummary(v *report.Request) []pair {
	l := v.Letter
	list := []pair{
		{"Kode tiket", v.Ticket}, {"No. Pengajuan", v.Reference}, {"Judul", v.Title}, {"Jenis permohonan", v.KindLabel},
		{"Pemohon", v.Institution}, {"Diajukan", terbilang.FormatDateTime(v.CreatedAt)},
		{"Jumlah kartu SAM", number(v.CardCount) + " keping"}, {"Fungsi SAM", samFunction(v.SAMFunction)}, {"Jenis mesin", v.MachineLabel},
		{"Surat permohonan", "Nomor " + l.Number + ", " + terbilang.FormatDate(l.Date) + "\n" + l.Subject},
		{"Pengirim surat", l.Sender + "\n" + l.Post}, {"Nomor PKS", v.PKSNumber},
	}
	if v.DispositionOn != nil {
		list = append(list, pair{"Tanggal disposisi", terbilang.FormatDate(*v.DispositionOn)})
	}
	if v.Submission > 1 {
		list = append(list, pair{"Pengajuan", "ke-" + number(v.Submission)})
	}
	list = append(list, pair{"Kunci penerima", secretKeyText(v)}, pair{"Catatan", v.Notes})
	var filled []pair
	for _, p := range list {
		if strings.TrimSpace(p.Text) != "" {
			filled = append(filled, p)
		}
	}
	return filled
}

// secretKeyText says whether the applicant can be handed the secrets of its cards; one
// that cannot is not accepted.
func secretKeyText(v *report.Request) string {
	switch v.SecretKey.State {
	case cardsecret.Confirmed:
		return "berlaku, sidik " + v.SecretKey.Fingerprint
	case cardsecret.Offered:
		return "diusulkan dan belum dipastikan; sebelum itu permohonan tidak dapat diterima"
	}
	return "belum terdaftar; tanpa kunci ini permohonan tidak dapat diterima"
}

func samFunction(code string) string {
	if code == "R" {
		return "R (Read)" // as the berita acara has it (features.md G19)
	}
	return code
}

func sentenceCase(s string) string {
	for i, r := range s {
		return strings.ToUpper(string(r)) + s[i+len(string(r)):]
	}
	return s
}
