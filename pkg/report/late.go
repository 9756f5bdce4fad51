package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// LateQuery is what is asked of the late list.
type LateQuery struct {
	stage.Filter
}

// lateStatuses are those of the list when none is asked for.
var lateStatuses = []stage.Status{stage.Late, stage.Warning}

// ParseLateQuery reads the parameters of the late list: stage and status, which may be
// repeated, institution, limit and after. Without a status it is of the late and of
// those warned of.
func ParseLateQuery(values url.Values) (LateQuery, []BadParameter) {
	p := parser{values: values}
	q := LateQuery{stage.Filter{
		Stages: each(&p, "stage", stage.All), Statuses: each(&p, "status", []stage.Status{stage.OnTime, stage.Warning, stage.Late}),
		InstitutionID: p.institution(), Limit: p.limit(), After: p.after(),
	}}
	return q, append(p.faults, Unknown(values, "stage", "status", "institution", "limit", "after")...)
}

func (p *parser) institution() string {
	text := p.values.Get("institution")
	if text == "" {
		return ""
	}
	id, err := uuid.Parse(text)
	if err != nil {
		p.bad("institution", "wrong_type", "Isi dengan id lembaga.")
		return ""
	}
	return id.String()
}

// LateRequest is a request of the late list: how it stands in time, and who must act.
type LateRequest struct {
	ID            string        `json:"id"`
	Ticket        string        `json:"ticket"`
	Title         string        `json:"title"`
	Reference     string        `json:"reference"`
	InstitutionID string        `json:"institution_id"`
	Institution   string        `json:"institution"`
	State         machine.State `json:"state"`
	StateLabel    string        `json:"state_label"`
	CardCount     int           `json:"card_count"`
	Clock         stage.Clock   `json:"clock"`
	Waiting       []Wait        `json:"waiting"`
}

// StageCount is how many open requests there are in a stage with a status.
type StageCount struct {
	Stage    stage.Stage  `json:"stage"`
	Status   stage.Status `json:"status"`
	Requests int          `json:"requests"`
}

// LateList is a part of the late list, and what all of it holds.
type LateList struct {
	Requests []LateRequest `json:"requests"`
	// Next is the mark from which the list goes on; nil at its end.
	Next *string `json:"next"`
	// Counts are of all open requests that whoever asks may see, whatever the filter.
	Counts []StageCount `json:"counts"`
}

// Late reads the late list as an account sees it, those furthest past their limit
// first. Which requests are in it was reckoned by the scheduler, at most a minute
// ago; how they stand is reckoned now, and those that are no longer what was asked
// for are left out.
func Late(ctx context.Context, db *postgres.DB, a identity.Account, q LateQuery, officeAt time.Time) (*LateList, error) {
	limit := cmp.Or(q.Limit, listDefault)
	f := q.Filter
	f.Limit = limit + 1 // one more tells whether there are more
	if len(f.Statuses) == 0 {
		f.Statuses = lateStatuses
	}
	if scope := Scope(a); scope != "" {
		f.InstitutionID = scope
	}
	l := &LateList{}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		ids, err := stage.List(ctx, rd, f)
		if err != nil {
			return err
		}
		l.Next = nil
		if len(ids) > limit {
			ids = ids[:limit]
			next := cursor(ids[limit-1])
			l.Next = &next
		}
		tallies, err := stage.Tallies(ctx, rd, Scope(a))
		if err != nil {
			return err
		}
		l.Counts = []StageCount{}
		for _, t := range tallies {
			l.Counts = append(l.Counts, StageCount{t.Stage, t.Status, t.Requests})
		}
		slices.SortFunc(l.Counts, func(a, b StageCount) int {
			return cmp.Or(cmp.Compare(slices.Index(stage.All, a.Stage), slices.Index(stage.All, b.Stage)), cmp.Compare(a.Status, b.Status))
		})
		reckoner, err := stage.NewReckoner(ctx, rd, officeAt)
		if err != nil {
			return err
		}
		l.Requests, err = lateRequests(ctx, rd, ids, reckoner)
		if err != nil {
			return err
		}
		l.Requests = slices.DeleteFunc(l.Requests, func(r LateRequest) bool {
			return r.Clock.EndedOn != nil || !slices.Contains(f.Statuses, r.Clock.Status) || len(f.Stages) > 0 && !slices.Contains(f.Stages, r.Clock.Stage)
		})
		return nil
	})
	return l, err
}

// lateRequests reads requests as the late list has them, furthest past their limit
// first, with the same few queries however many they are.
func lateRequests(ctx context.Context, rd postgres.Reader, ids []string, reckoner stage.Reckoner) ([]LateRequest, error) {
	out := []LateRequest{}
	if len(ids) == 0 {
		return out, nil
	}
	list, err := request.List(ctx, rd, request.Filter{Only: ids, Limit: len(ids)})
	if err != nil {
		return nil, err
	}
	clocks, err := reckoner.Clocks(ctx, rd, ids)
	if err != nil {
		return nil, err
	}
	parts, err := readParts(ctx, rd, list)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		out = append(out, LateRequest{
			ID: r.ID, Ticket: r.Ticket, Title: r.Title, Reference: r.Reference, InstitutionID: r.InstitutionID, Institution: r.Institution,
			State: r.State, StateLabel: request.Machine.Label(r.State), CardCount: r.CardCount, Clock: clocks[r.ID],
			Waiting: notNil(parts.waits(r).reckoned(reckoner)),
		})
	}
	slices.SortStableFunc(out, func(a, b LateRequest) int { return cmp.Compare(b.Clock.Over, a.Clock.Over) })
	return out, nil
}

// parts is what says who must act on requests, of many at once.
type parts struct {
	arrivals   map[string]*arrivals
	facts      map[string][]Fact
	tallies    map[string]perso.Tally
	estimates  map[string]*capacity.Estimate
	documents  map[string][]letter.Document
	handovers  map[string][]handover.Handover
	applicants map[string]machine.Role // by institution
	withdrawn  map[string]bool         // numbers of PKS
}

// readParts reads for many requests what Load reads for one.
func readParts(ctx context.Context, rd postgres.Reader, list []request.Request) (p parts, err error) {
	var all, handing, institutions, agreements []string
	for _, r := range list {
		all, institutions = append(all, r.ID), append(institutions, r.InstitutionID)
		if slices.Contains(handingStates, r.State) {
			handing = append(handing, r.ID)
		}
		if underPKS(r) {
			agreements = append(agreements, r.PKSNumber)
		}
	}
	if p.arrivals, err = readArrivals(ctx, rd, list); err != nil {
		return p, err
	}
	p.facts, p.tallies, p.estimates = map[string][]Fact{}, map[string]perso.Tally{}, map[string]*capacity.Estimate{}
	p.documents, p.handovers = map[string][]letter.Document{}, map[string][]handover.Handover{}
	p.applicants, p.withdrawn = map[string]machine.Role{}, map[string]bool{}
	failed := func(err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("report: who must act: %w", err)
	}
	var facts []struct {
		ID string `db:"request_id"`
		Fact
	}
	if err := rd.Select(ctx, &facts, `
		SELECT request_id, fact, detail, actor, office_at, at FROM request_fact WHERE request_id = ANY ($1::uuid[]) ORDER BY at, fact`, pq.Array(all)); err != nil {
		return p, failed(err)
	}
	for _, f := range facts {
		p.facts[f.ID] = append(p.facts[f.ID], f.Fact)
	}
	if p.tallies, err = perso.CountsOf(ctx, rd, all); err != nil {
		return p, err
	}
	var estimates []struct {
		ID    string     `db:"request_id"`
		Start clock.Date `db:"start"`
	}
	if err := rd.Select(ctx, &estimates, `SELECT request_id, start FROM estimate WHERE request_id = ANY ($1::uuid[])`, pq.Array(all)); err != nil {
		return p, failed(err)
	}
	for _, e := range estimates {
		p.estimates[e.ID] = &capacity.Estimate{Start: e.Start}
	}
	var documents []letter.Document
	if err := rd.Select(ctx, &documents, `SELECT id, request_id, kind, state, awaits_number, replaces FROM document WHERE request_id = ANY ($1::uuid[]) ORDER BY id`, pq.Array(handing)); err != nil {
		return p, failed(err)
	}
	for _, d := range documents {
		p.documents[d.RequestID] = append(p.documents[d.RequestID], d)
	}
	var handovers []handover.Handover
	if err := rd.Select(ctx, &handovers, `
		SELECT id, request_id, ordinal, state, quantity FROM handover WHERE request_id = ANY ($1::uuid[]) ORDER BY ordinal`, pq.Array(handing)); err != nil {
		return p, failed(err)
	}
	for _, h := range handovers {
		p.handovers[h.RequestID] = append(p.handovers[h.RequestID], h)
	}
	var kinds []struct {
		ID   string       `db:"id"`
		Kind machine.Role `db:"kind"`
	}
	if err := rd.Select(ctx, &kinds, `SELECT id, kind FROM institution WHERE id = ANY ($1::uuid[])`, pq.Array(institutions)); err != nil {
		return p, failed(err)
	}
	for _, k := range kinds {
		p.applicants[k.ID] = k.Kind
	}
	var withdrawn []string
	if err := rd.Select(ctx, &withdrawn, `SELECT number FROM pks WHERE number = ANY ($1) AND state = $2`, pq.Array(agreements), institution.PKSWithdrawn); err != nil {
		return p, failed(err)
	}
	for _, number := range withdrawn {
		p.withdrawn[number] = true
	}
	return p, nil
}

// waits says who must act on a request, as its page does.
func (p parts) waits(r request.Request) waitList {
	v := &Request{State: r.State, Facts: p.facts[r.ID], Cards: p.tallies[r.ID], Estimate: p.estimates[r.ID]}
	l := waitList(waits(v, p.applicants[r.InstitutionID], p.documents[r.ID], p.handovers[r.ID], p.arrivals[r.ID]))
	if underPKS(r) && p.withdrawn[r.PKSNumber] {
		l.withdrawn(r.PKSNumber, p.arrivals[r.ID])
	}
	return l
}
