package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/institution"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/need"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// NeedSummary is a lembaga's request in a list (features.md C09).
type NeedSummary struct {
	ID          string        `json:"id"`
	Number      string        `json:"number"`    // No. Permintaan
	Reference   string        `json:"reference"` // No. Aktivasi: the lembaga's own
	Title       string        `json:"title"`
	Lembaga     string        `json:"lembaga"`
	Produsen    string        `json:"produsen"`
	Quantity    int           `json:"quantity"`
	MachineType string        `json:"machine_type"`
	Remarks     string        `json:"remarks"`
	State       machine.State `json:"state"`
	StateLabel  string        `json:"state_label"`
	Version     int64         `json:"version"`
	Submission  int           `json:"submission"`
	CreatedAt   time.Time     `json:"created_at"`
	Files       []File        `json:"files"`
	// ListRows are the rows that were read of its list; 0 where there is none to
	// show (features.md C17).
	ListRows int `json:"list_rows"`
	// Offers are the verbs that whoever asks can do now.
	Offers []machine.Verb `json:"offers"`
}

// Need is a lembaga's request as it is shown by itself.
type Need struct {
	NeedSummary
	MachineLabel string  `json:"machine_type_label"`
	Reason       string  `json:"reason"` // why it was returned or rejected
	Bundle       *Bundle `json:"bundle"` // the request that took it up
	Timeline     []Event `json:"timeline"`
}

// Bundle is what becomes of a need in a produsen's request. To the lembaga the
// rest of that request is not its business.
type Bundle struct {
	Ticket     string             `json:"ticket,omitempty"` // not for the lembaga
	State      machine.State      `json:"state"`
	StateLabel string             `json:"state_label"`
	Quantity   int                `json:"quantity"` // of the need's cards that the request asks for
	Received   *int               `json:"received"` // of them, by the produsen, as Line has it
	Percent    int                `json:"percent"`
	Start      string             `json:"estimated_start,omitempty"`
	Finish     string             `json:"estimated_finish,omitempty"`
	Estimate   *capacity.Estimate `json:"-"`
}

// NeedPage is a part of a list of needs, and what the whole of it holds.
type NeedPage struct {
	Needs []NeedSummary `json:"needs"`
	Next  *string       `json:"next"`
	*Totals
}

// NeedQuery is what is asked of a list of needs.
type NeedQuery struct {
	need.Filter
	Totals bool
}

// ParseNeedQuery reads the parameters of a list of needs: state, which may be
// repeated, status (features.md C07), search, limit, after and totals.
func ParseNeedQuery(values url.Values) (NeedQuery, []BadParameter) {
	p := parser{values: values}
	q := NeedQuery{Filter: need.Filter{
		Search: p.search(), States: each(&p, "state", need.Machine.States()), Limit: p.limit(), After: p.after(),
	}}
	statuses := []string{"all", need.OnProgress, need.StatusApproved, need.StatusRejected}
	for _, status := range each(&p, "status", statuses) {
		q.States = append(q.States, need.Statuses[status]...)
	}
	q.Totals = p.totals()
	return q, append(p.faults, Unknown(values, "search", "state", "status", "limit", "after", "totals")...)
}

var needFileLabels = map[string]string{need.FileLetter: "Surat permintaan", need.FileList: "Daftar alat (Excel)"}

// Needs reads needs, newest first, as an account sees them: a lembaga its own, a
// produsen those that it is asked for. The institution is set here.
func Needs(ctx context.Context, db *postgres.DB, a identity.Account, q NeedQuery) (*NeedPage, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = listDefault
	}
	f := q.Filter
	f.InstitutionID, f.Limit = Scope(a), limit+1 // one more tells whether there are more
	var page *NeedPage
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		page = &NeedPage{}
		list, err := need.List(ctx, rd, f)
		if err != nil {
			return err
		}
		if len(list) > limit {
			list = list[:limit]
			next := cursor(list[limit-1].ID)
			page.Next = &next
		}
		if q.Totals {
			counts, err := need.Count(ctx, rd, f)
			if err != nil {
				return err
			}
			page.Totals = totalsOf(counts, f.States)
		}
		page.Needs, err = showNeeds(ctx, rd, a, list)
		return err
	})
	return page, err
}

func showNeeds(ctx context.Context, rd postgres.Reader, a identity.Account, list []need.Need) ([]NeedSummary, error) {
	ids, submissions := make([]string, len(list)), make([]int64, len(list))
	for i, n := range list {
		ids[i], submissions[i] = n.ID, int64(n.Submission)
	}
	var rows []struct {
		NeedID string `db:"need_id"`
		ID     string `db:"blob_id"`
		Kind   string `db:"kind"`
		Name   string `db:"name"`
		Rows   int    `db:"rows"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT f.need_id, f.blob_id, f.kind, f.name, f.rows FROM unnest($1::uuid[], $2::int[]) AS n (id, submission)
		JOIN need_file f ON f.need_id = n.id AND f.submission = n.submission ORDER BY f.kind`, pq.Array(ids), pq.Array(submissions)); err != nil {
		return nil, fmt.Errorf("report: files of needs: %w", err)
	}
	files, listed := map[string][]File{}, map[string]int{}
	for _, row := range rows {
		listed[row.NeedID] += row.Rows
		files[row.NeedID] = append(files[row.NeedID], File{ID: row.ID, Kind: row.Kind, Label: needFileLabels[row.Kind], Name: row.Name})
	}
	shown := make([]NeedSummary, len(list))
	for i, n := range list {
		shown[i] = NeedSummary{
			ID: n.ID, Number: n.Number, Reference: n.Reference, Title: n.Title, Lembaga: n.Lembaga, Produsen: n.Produsen,
			Quantity: n.Quantity, MachineType: n.MachineType, Remarks: n.Remarks, State: n.State, StateLabel: need.Machine.Label(n.State),
			Version: n.Version, Submission: n.Submission, CreatedAt: n.CreatedAt, Files: notNil(files[n.ID]), ListRows: listed[n.ID],
			Offers: notNil(need.Machine.Offers(n.State, a.Role)),
		}
	}
	return shown, nil
}

// LoadNeed reads the need with this number as an account sees it. Error:
// ErrNotFound.
func LoadNeed(ctx context.Context, db *postgres.DB, number string, a identity.Account) (v *Need, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		v, err = SeeNeed(ctx, rd, number, a)
		return err
	})
	return v, err
}

// SeeNeed is LoadNeed where somebody reads already, such as in the transaction that
// makes the need.
func SeeNeed(ctx context.Context, rd postgres.Reader, number string, a identity.Account) (*Need, error) {
	n, err := need.ByNumber(ctx, rd, number, Scope(a))
	if errors.Is(err, need.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	shown, err := showNeeds(ctx, rd, a, []need.Need{n})
	if err != nil {
		return nil, err
	}
	v := &Need{NeedSummary: shown[0]}
	kind, err := institution.MachineTypeByCode(ctx, rd, n.MachineType)
	if err != nil {
		return nil, err
	}
	v.MachineLabel = kind.Name
	if v.Bundle, err = bundleOf(ctx, rd, n, a); err != nil {
		return nil, err
	}
	if v.Timeline, err = needTimeline(ctx, rd, n, a); err != nil {
		return nil, err
	}
	if n.State == need.Returned || n.State == need.Rejected || n.State == need.Cancelled {
		v.Reason = v.Timeline[0].Reason
	}
	return v, nil
}

// bundleOf is how the request that took up a need stands.
func bundleOf(ctx context.Context, rd postgres.Reader, n need.Need, a identity.Account) (*Bundle, error) {
	if n.RequestID == nil {
		return nil, nil
	}
	r, err := request.Get(ctx, rd, *n.RequestID)
	if err != nil {
		return nil, err
	}
	list, err := summarise(ctx, rd, []request.Request{r})
	if err != nil {
		return nil, err
	}
	b := &Bundle{State: r.State, StateLabel: request.Machine.Label(r.State), Percent: list[0].Percent}
	var line struct {
		Line     int `db:"line"`
		Quantity int `db:"quantity"`
	}
	if err := rd.Get(ctx, &line, `SELECT line, quantity FROM request_line WHERE request_id = $1 AND need_id = $2`, r.ID, n.ID); err != nil {
		return nil, fmt.Errorf("report: line of a need: %w", err)
	}
	received, err := receivedOf(ctx, rd, r.ID)
	if err != nil {
		return nil, err
	}
	b.Quantity, b.Received = line.Quantity, received(line.Line)
	if a.Role != need.Lembaga {
		b.Ticket = r.Ticket
	}
	if b.Estimate, err = capacity.EstimateOf(ctx, rd, r.ID); err != nil {
		return nil, err
	}
	if b.Estimate != nil && !b.Estimate.Suspended {
		b.Start, b.Finish = b.Estimate.Start.String(), b.Estimate.Finish.String()
	}
	return b, nil
}

// needSentences word the steps of a need.
var needSentences = map[machine.Verb]string{
	need.Submit: "Permintaan diajukan", need.Edit: "Permintaan diubah lembaga", need.Resubmit: "Permintaan diajukan kembali", need.Approve: "Permintaan disetujui produsen",
	need.Return: "Permintaan dikembalikan produsen", need.Reject: "Permintaan ditolak produsen", need.Cancel: "Permintaan dibatalkan lembaga",
	need.Bundle: "Dimasukkan ke permohonan produsen kepada Ditjen Dukcapil", need.Release: "Dilepaskan dari permohonan produsen",
}

// needFields are what a correction may change, as people call it.
var needFields = map[string]string{
	"title": "Judul Permintaan", "quantity": "Jumlah kartu", "machine_type": "Jenis Mesin", "remarks": "Keterangan",
	need.FileLetter: "surat permintaan", need.FileList: "daftar alat",
}

// changes says what a correction changed: a produsen that has read the need before
// is to see at once what is new.
func changes(detail json.RawMessage) string {
	var d struct {
		Changed []string `json:"changed"`
	}
	if len(detail) == 0 || json.Unmarshal(detail, &d) != nil || len(d.Changed) == 0 {
		return ""
	}
	names := make([]string, len(d.Changed))
	for i, field := range d.Changed {
		names[i] = needFields[field]
	}
	return ": " + strings.Join(names, ", ")
}

// needTimeline returns the steps of a need, newest first. From outside one sees
// which side took a step, not which of its people; and of the request that took it
// up or let it go the lembaga does not see who.
func needTimeline(ctx context.Context, rd postgres.Reader, n need.Need, a identity.Account) ([]Event, error) {
	rows, err := need.Machine.TimelineOf(ctx, rd, n.ID)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(rows))
	for i, t := range rows {
		events[i] = Event{
			At: t.At, OfficeAt: t.OfficeAt, Machine: t.Machine, Verb: t.Verb, Label: needSentences[t.Verb] + changes(t.Detail), Actor: t.Actor,
			Role: t.Role, Reason: t.Reason,
		}
	}
	slices.Reverse(events)
	outside := Outside(a)
	if err := nameActors(ctx, rd, events, outside); err != nil {
		return nil, err
	}
	for i := range events {
		e := &events[i]
		if outside {
			e.Actor, e.Name = "", ""
		}
		if a.Role == need.Lembaga && (e.Verb == need.Bundle || e.Verb == need.Release) {
			e.Role, e.RoleName = "", ""
		}
	}
	return events, nil
}

// Choice is a value of a form and what it is called.
type Choice struct {
	Code string `db:"code"`
	Name string `db:"name"`
}

// NeedChoices are what a lembaga can choose from: the produsen and the machine
// types in use, and the one that a need to be corrected has at present.
func NeedChoices(ctx context.Context, rd postgres.Reader, present string) (produsen, machineTypes []Choice, err error) {
	if err := rd.Select(ctx, &produsen, `SELECT name AS code, name FROM institution WHERE kind = $1 AND active ORDER BY lower(name)`, institution.Produsen); err != nil {
		return nil, nil, fmt.Errorf("report: produsen: %w", err)
	}
	if err := rd.Select(ctx, &machineTypes, `SELECT code, name FROM machine_type WHERE active OR code = $1 ORDER BY lower(name)`, present); err != nil {
		return nil, nil, fmt.Errorf("report: machine types: %w", err)
	}
	return produsen, machineTypes, nil
}
