package pages

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"dukcapil.go.id/sifilma/daemons/portal/internal/api"
	"dukcapil.go.id/sifilma/daemons/portal/internal/decisions"
	"dukcapil.go.id/sifilma/daemons/portal/internal/signin"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/profile"
	"dukcapil.go.id/sifilma/pkg/report"
	"dukcapil.go.id/sifilma/pkg/terbilang"
	"dukcapil.go.id/sifilma/pkg/web"
)

const (
	doubtsPath   = "/meragukan"
	doubtsShown  = 50 // cards of the desk
	readingsMost = 20 // of a card
)

// mountDoubts adds the desk of the cards whose result is not known.
func (p *Pages) mountDoubts(inside chi.Router) {
	inside.Get(doubtsPath, p.handle(p.officeOnly(p.doubts)))
	inside.Get(doubtsPath+"/{id}", p.handle(p.officeOnly(explained(p.doubt))))
	inside.Post(doubtsPath+"/hasil/{id}", p.handle(p.officeOnly(p.answerContradiction)))
}

// doubtLink leads to the desk and says how much waits there.
type doubtLink struct{ Open int }

// doubtLine is a card of the desk.
type doubtLine struct {
	perso.DoubtRow
	Tag      tag
	LastStep string
	Read     string // where it was read last; empty while it was not
	Proposal string
	Decided  string // by the first person; empty while nobody has
}

func newDoubtLine(d perso.DoubtRow) doubtLine {
	l := doubtLine{DoubtRow: d, Tag: tagOf(perso.Machine)(d.State), LastStep: stepWord(d.LastStep), Proposal: perso.DecisionLabels[d.CardRow.Proposal]}
	if d.ReadAt != nil {
		l.Read = terbilang.FormatDateTime(*d.ReadAt) + ", " + d.ReadBy
		if d.ReadHow == perso.FromJournal {
			l.Read += " (menurut jurnal)"
		} else if d.ReadIn != "" {
			l.Read += " (" + d.ReadIn + ")"
		}
	}
	if s := d.Resolution; s != nil {
		l.Decided = perso.DecisionLabels[s.Decision]
	}
	return l
}

func stepWord(step string) string { return cmp.Or(profile.Labels[profile.Step(step)], step) }

// contradictionLine is a result that came too late.
type contradictionLine struct {
	perso.Contradiction
	When string
	How  string
	Form *cardForm // for whoever may answer
}

type doubtsBody struct {
	Lines  []doubtLine
	All    int
	Late   []contradictionLine
	Notice string
	Wrong  string // why an answer was not taken
}

// More is how many cards are not shown.
func (b doubtsBody) More() int { return b.All - len(b.Lines) }

// doubts lists the cards whose result is not known, with what has to be done next.
func (p *Pages) doubts(w http.ResponseWriter, r *http.Request) error {
	return p.showDoubts(w, r, http.StatusOK, nil)
}

// showDoubts shows the desk; wrong is why an answer was not taken.
func (p *Pages) showDoubts(w http.ResponseWriter, r *http.Request, status int, wrong *web.Problem) error {
	list, err := report.Doubts(r.Context(), p.db, doubtsShown)
	if err != nil {
		return err
	}
	body := doubtsBody{All: list.Total}
	if r.URL.Query().Get("sudah") == actAnswer {
		body.Notice = "Tindak lanjut tercatat."
	}
	for _, d := range list.Doubts {
		body.Lines = append(body.Lines, newDoubtLine(d))
	}
	who := signin.Account(r)
	for _, c := range list.Contradictions {
		body.Late = append(body.Late, newContradictionLine(c, who))
	}
	if wrong != nil {
		body.Notice, body.Wrong = "", wrong.Detail
		for _, l := range body.Late {
			if l.Form != nil && l.ID == chi.URLParam(r, "id") {
				fill1(&l.Form.Fields[0], r)
				blameAt(l.Form.all(), wrong)
			}
		}
	}
	p.show(w, r, status, "doubts", "Kartu meragukan", body)
	return nil
}

const actAnswer = "hasil"

func newContradictionLine(c perso.Contradiction, who identity.Account) contradictionLine {
	l := contradictionLine{Contradiction: c, When: terbilang.FormatDateTime(c.At), How: c.Station + ", " + perso.SourceLabels[c.Source]}
	if perso.Machine.MayEver(perso.SpoilVerb, who.Role) == nil {
		l.Form = &cardForm{
			Action: doubtsPath + "/" + actAnswer + "/" + c.ID, Submit: "Catat tindak lanjut",
			Fields: []field{{Name: "reason", Form: c.ID, Label: "Yang sudah dilakukan", Kind: "textarea", Longest: decisions.MaxText,
				Hint: "Misalnya di mana kartu itu sekarang. Keadaan kartu tidak berubah."}},
		}
	}
	return l
}

// answerContradiction takes what was done about a late result.
func (p *Pages) answerContradiction(w http.ResponseWriter, r *http.Request) error {
	id, err := rowOf(r)
	if err != nil {
		return err
	}
	if err := typed(r); err != nil {
		return err
	}
	err = api.Explain(p.decide.Answer(r.Context(), signin.Account(r), id, typedText(r, "reason")))
	var problem *web.Problem
	if errors.As(err, &problem) && (problem.Status == http.StatusUnprocessableEntity || problem.Status == http.StatusConflict) {
		return p.showDoubts(w, r, problem.Status, problem)
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, doubtsPath+"?sudah="+actAnswer, http.StatusSeeOther)
	return nil
}

// observationLine is what a station said once.
type observationLine struct {
	When, Station, Proposal string
	Contradicts             bool
	Facts                   []pair
}

type doubtBody struct {
	doubtLine
	Box      *cardBox // for whoever may decide
	Facts    []pair   // for whoever may not
	Readings []observationLine
	Notice   string
	Trouble  *trouble
}

// doubt shows one card with all that stations have said of it, and the forms of
// whoever may decide.
func (p *Pages) doubt(w http.ResponseWriter, r *http.Request) error {
	body, err := p.doubtBody(r)
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "doubt", "Kartu "+body.Serial, body)
	return nil
}

func (p *Pages) doubtBody(r *http.Request) (doubtBody, error) {
	id, err := rowOf(r)
	if err != nil {
		return doubtBody{}, err
	}
	c, err := report.Doubt(r.Context(), p.db, id, readingsMost)
	if err != nil {
		return doubtBody{}, err
	}
	body := doubtBody{doubtLine: newDoubtLine(c.DoubtRow), Notice: cardNotices[r.URL.Query().Get("sudah")]}
	for _, o := range c.Observations {
		at := o.Station
		if o.Reader != "" {
			at += ", " + o.Reader
		}
		body.Readings = append(body.Readings, observationLine{
			When: terbilang.FormatDateTime(o.At), Station: at + " (" + perso.SourceLabels[o.Source] + ")", Proposal: perso.DecisionLabels[o.Proposal],
			Contradicts: o.Contradicts, Facts: observed(&o.Observed),
		})
	}
	var people []*string
	var all []perso.Resolution
	for _, s := range []*perso.Resolution{c.Resolution, c.Voided} {
		if s != nil {
			all = append(all, *s)
		}
	}
	names := map[string]string{}
	for i := range all {
		name := all[i].DecidedBy
		people = append(people, &name)
		if by := all[i].ConfirmedBy; by != nil {
			name := *by
			people = append(people, &name)
		}
	}
	keys := make([]string, len(people))
	for i, name := range people {
		keys[i] = *name
	}
	if err := p.named(r.Context(), people...); err != nil {
		return doubtBody{}, err
	}
	for i, key := range keys {
		names[key] = *people[i]
	}
	name := func(username string) string { return cmp.Or(names[username], username) }
	if who := signin.Account(r); mayDecide(c.CardRow, who) {
		box := doubtBox(home+"/"+c.Ticket+"/kartu/", c.CardRow, who, name)
		for i := range box.Forms {
			f := &box.Forms[i]
			f.Fields = append(f.Fields, field{Name: fromDesk, Kind: "hidden", Value: "1"})
			for _, one := range f.all() {
				if one.Form == "" {
					one.Form = f.key
				}
			}
		}
		body.Box = &box
	} else if c.Next != "" {
		_, body.Facts = whatIsKnown(c.CardRow)
	}
	return body, nil
}

// fromDesk is the field of forms that lead back to the desk.
const fromDesk = "meja"

// mayDecide says whether somebody may decide on a card now.
func mayDecide(c perso.CardRow, who identity.Account) bool {
	return perso.Machine.May(c.State, perso.SpoilVerb, who.Role) == nil || left(c) && perso.Machine.MayEver(perso.SpoilVerb, who.Role) == nil
}

// seenSteps words what can be seen of the steps.
func seenSteps(raw any) string {
	body, err := json.Marshal(raw)
	if err != nil {
		return ""
	}
	var steps []struct{ Step, Seen string }
	if json.Unmarshal(body, &steps) != nil {
		return ""
	}
	var words []string
	for _, s := range steps {
		words = append(words, stepWord(s.Step)+" "+cmp.Or(seenWords[s.Seen], s.Seen))
	}
	return strings.Join(words, "\n")
}

var seenWords = map[string]string{"done": "✓ ada", "not_done": "– belum ada", "differs": "✗ lain dari yang ditulis", "unseen": "? tidak dapat dilihat dari luar"}
