package report

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ActivationSummary is a surat permohonan aktivasi in a list.
type ActivationSummary struct {
	ID          string                `json:"id"`
	Ticket      string                `json:"ticket"`
	Number      string                `json:"number"` // of the lembaga's letter
	Date        clock.Date            `json:"date"`
	Subject     string                `json:"subject"`
	Lembaga     string                `json:"lembaga"`
	Produsen    string                `json:"produsen"`
	State       machine.State         `json:"state"`
	StateLabel  string                `json:"state_label"`
	Version     int64                 `json:"version"`
	Readers     int                   `json:"readers"`
	Counts      map[machine.State]int `json:"counts"` // its readers by their state
	CreatedAt   time.Time             `json:"created_at"`
	SubmittedAt *time.Time            `json:"submitted_at"`
}

// ActivationLine is one reader of a letter.
type ActivationLine struct {
	Number int    `json:"line"`
	ID     string `json:"id"` // empty while the letter is a draft
	activation.Line
	State          machine.State        `json:"state"` // empty while the letter is a draft
	StateLabel     string               `json:"state_label"`
	Cause          string               `json:"cause"`
	CauseLabel     string               `json:"cause_label"`
	Reason         string               `json:"reason"` // why it is in its state, where somebody said so
	Findings       []activation.Finding `json:"findings"`
	Duty           string               `json:"duty"` // what the lembaga owes for its mode (features.md N33)
	DisposedOn     *clock.Date          `json:"disposed_on"`
	AcceptedOn     *clock.Date          `json:"accepted_on"`
	ManifestSerial string               `json:"manifest_serial"`
	InstalledOn    *clock.Date          `json:"installed_on"`
	FoundOn        *clock.Date          `json:"found_on"`         // of a reader that was lost or stolen
	Replaces       *int                 `json:"replaces_line"`    // the line of this letter whose place it took
	ReplacedBy     *int                 `json:"replaced_by_line"` // the line of this letter that took its place
	Offers         []machine.Verb       `json:"offers"`
}

// ActivationLetter is a letter as it is shown by itself.
type ActivationLetter struct {
	ActivationSummary
	Leader      string                `json:"leader"`
	LeaderPost  string                `json:"leader_post"`
	Notes       string                `json:"notes"`
	HasScan     bool                  `json:"has_scan"`
	ReceivedOn  *clock.Date           `json:"received_on"`
	SubmittedBy string                `json:"-"`
	Lines       []ActivationLine      `json:"lines"`
	Deliveries  []activation.Delivery `json:"deliveries"`
	Documents   []Document            `json:"documents"`
	Timeline    []Event               `json:"timeline"`
	Offers      []machine.Verb        `json:"offers"`
	Scan        string                `json:"-"`
	// Stages are those of ActivationClock, where one letter is asked for by itself and is in
	// the office's hands.
	Stages []ActivationStage `json:"stages,omitempty"`
}

// ActivationPage is a part of a list of letters.
type ActivationPage struct {
	Activations []ActivationSummary `json:"activations"`
	Next        *string             `json:"next"`
}

// ParseActivationQuery reads the parameters of a list of letters: state, which may be
// repeated, search, limit and after.
func ParseActivationQuery(values url.Values) (activation.Filter, []BadParameter) {
	p := parser{values: values}
	states := append([]machine.State{activation.LetterDrafted}, activation.Machine.States()...)
	f := activation.Filter{Search: p.search(), States: each(&p, "state", states), Limit: p.limit(), After: p.after()}
	return f, append(p.faults, Unknown(values, "search", "state", "limit", "after")...)
}

// Activations reads letters, newest first, as an account sees them: a lembaga its own, a
// produsen those that name it, the office those that were submitted.
func Activations(ctx context.Context, db *postgres.DB, a identity.Account, f activation.Filter) (*ActivationPage, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = listDefault
	}
	f.InstitutionID, f.Limit = Scope(a), limit+1
	page := &ActivationPage{Activations: []ActivationSummary{}}
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		list, err := activation.List(ctx, rd, f)
		if err != nil {
			return err
		}
		if len(list) > limit {
			list = list[:limit]
			next := cursor(list[limit-1].ID)
			page.Next = &next
		}
		ids := make([]string, len(list))
		for i, l := range list {
			ids[i] = l.ID
		}
		counts, err := activation.Counts(ctx, rd, ids)
		if err != nil {
			return err
		}
		for _, l := range list {
			one, err := showActivation(l, counts[l.ID])
			if err != nil {
				return err
			}
			page.Activations = append(page.Activations, one)
		}
		return nil
	})
	return page, err
}

func showActivation(l activation.Letter, counts map[machine.State]int) (ActivationSummary, error) {
	if counts == nil {
		counts = map[machine.State]int{}
	}
	s := ActivationSummary{
		ID: l.ID, Ticket: l.Ticket, Number: l.Form.Number, Date: l.Date, Subject: l.Subject, Lembaga: l.Lembaga, Produsen: l.Produsen, State: l.State,
		StateLabel: activation.LetterMachine.Label(l.State), Version: l.Version, Counts: counts, CreatedAt: l.CreatedAt, SubmittedAt: l.SubmittedAt,
	}
	for _, n := range counts {
		s.Readers += n
	}
	if l.State == activation.LetterDrafted {
		lines, err := l.DraftLines()
		if err != nil {
			return s, fmt.Errorf("report: draft of %s: %w", l.Ticket, err)
		}
		s.Readers = len(lines)
	}
	return s, nil
}

// LoadActivation reads the letter with this Kode Tiket as an account sees it. Error:
// ErrNotFound.
func LoadActivation(ctx context.Context, db *postgres.DB, ticket string, a identity.Account) (v *ActivationLetter, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		v, err = SeeActivation(ctx, rd, ticket, a)
		return err
	})
	return v, err
}

// SeeActivation is LoadActivation within a transaction.
func SeeActivation(ctx context.Context, rd postgres.Reader, ticket string, a identity.Account) (*ActivationLetter, error) {
	l, err := activation.ByTicket(ctx, rd, ticket, Scope(a))
	if errors.Is(err, activation.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	lines, err := activation.Lines(ctx, rd, l.ID)
	if err != nil {
		return nil, err
	}
	counts := map[machine.State]int{}
	for _, one := range lines {
		counts[one.State]++
	}
	v := &ActivationLetter{
		Leader: l.Leader, LeaderPost: l.LeaderPost, Notes: l.Notes, HasScan: l.Scan != nil, ReceivedOn: l.ReceivedOn, SubmittedBy: l.SubmittedBy,
		Lines: []ActivationLine{}, Deliveries: []activation.Delivery{}, Offers: []machine.Verb{},
	}
	if l.Scan != nil {
		v.Scan = *l.Scan
	}
	if v.ActivationSummary, err = showActivation(l, counts); err != nil {
		return nil, err
	}
	if l.State == activation.LetterDrafted {
		draft, err := l.DraftLines()
		if err != nil {
			return nil, err
		}
		for i, one := range draft {
			v.Lines = append(v.Lines, ActivationLine{Number: i + 1, Line: one, Findings: []activation.Finding{}, Duty: duty(one.Mode), Offers: []machine.Verb{}})
		}
		v.Offers = notNil(slices.DeleteFunc(activation.LetterMachine.Offers(l.State, a.Role), func(verb machine.Verb) bool {
			return verb != activation.VerbSubmit && l.PreparedBy != Scope(a)
		}))
	}
	if err := v.fill(ctx, rd, l, lines, a); err != nil {
		return nil, err
	}
	if v.Documents, err = replies(ctx, rd, lines, Outside(a)); err != nil {
		return nil, err
	}
	v.Timeline, err = activationTimeline(ctx, rd, l, Outside(a))
	return v, err
}

func duty(mode string) string {
	if mode == activation.Online {
		return activation.OnlineDuty
	}
	return ""
}

// fill adds the lines, with what was found and said of each, and the bundles that their
// manifests left in.
func (v *ActivationLetter) fill(ctx context.Context, rd postgres.Reader, l activation.Letter, lines []activation.Activation, a identity.Account) error {
	found, err := activation.Findings(ctx, rd, l.ID)
	if err != nil {
		return err
	}
	var said []struct {
		ID     string `db:"id"`
		Reason string `db:"reason"`
	}
	if err := rd.Select(ctx, &said, `
		SELECT x.id, h.reason FROM activation x CROSS JOIN LATERAL (
		    SELECT h.verb, h.reason FROM history h WHERE h.machine = $2 AND h.subject = x.id AND h.from_state <> h.to_state ORDER BY h.version DESC LIMIT 1) h
		WHERE x.letter_id = $1 AND h.verb <> $3 AND h.reason <> ''`, // one that goes on as before has no reason to be so
		l.ID, activation.Machine.Name, string(activation.VerbResume)); err != nil {
		return fmt.Errorf("report: reasons of readers: %w", err)
	}
	reasons := map[string]string{}
	for _, row := range said {
		reasons[row.ID] = row.Reason
	}
	seen, after := map[string]bool{}, inPlace(lines)
	for _, one := range lines {
		line := ActivationLine{
			Number: one.Number, ID: one.ID, Line: one.Line, State: one.State, StateLabel: activation.Machine.Label(one.State), Cause: one.Cause,
			CauseLabel: activation.CauseLabels[one.Cause], Reason: reasons[one.ID], Findings: []activation.Finding{}, Duty: duty(one.Mode),
			DisposedOn: one.DisposedOn, AcceptedOn: one.AcceptedOn, InstalledOn: one.InstalledOn, FoundOn: one.FoundOn, Offers: lineOffers(one, a.Role),
			Replaces: after.before(one), ReplacedBy: after.behind(one),
		}
		if one.ManifestSerial != nil {
			line.ManifestSerial = *one.ManifestSerial
		}
		for _, f := range found {
			if f.Number == one.Number {
				if Outside(a) {
					f.Office = ""
				}
				line.Findings = append(line.Findings, f)
			}
		}
		for _, verb := range line.Offers {
			if !slices.Contains(v.Offers, verb) {
				v.Offers = append(v.Offers, verb)
			}
		}
		v.Lines = append(v.Lines, line)
		if one.DeliveryID == nil || seen[*one.DeliveryID] {
			continue
		}
		seen[*one.DeliveryID] = true
		d, err := activation.GetDelivery(ctx, rd, *one.DeliveryID)
		if err != nil {
			return err
		}
		if Outside(a) {
			d.DeliveredBy = ""
		}
		v.Deliveries = append(v.Deliveries, d)
	}
	return nil
}

// lineOffers are the verbs that a role can do to a line.
func lineOffers(a activation.Activation, role machine.Role) []machine.Verb {
	return notNil(slices.DeleteFunc(activation.Machine.Offers(a.State, role), func(v machine.Verb) bool {
		return v == activation.VerbFound && !a.Missing()
	}))
}

func replies(ctx context.Context, rd postgres.Reader, lines []activation.Activation, outside bool) ([]Document, error) {
	var subjects []string
	for _, one := range lines {
		if one.ReplyID != nil && !slices.Contains(subjects, *one.ReplyID) {
			subjects = append(subjects, *one.ReplyID)
		}
	}
	if len(subjects) == 0 {
		return []Document{}, nil
	}
	list, err := letter.Of(ctx, rd, letter.ActivationReply, subjects)
	return showDocuments(list, outside), err
}

// ActivationOfReply is the letter whose acceptance a paper tells of, as an account may know
// of it. Error: ErrNotFound.
func ActivationOfReply(ctx context.Context, rd postgres.Reader, replyID string, a identity.Account) (activation.Letter, error) {
	reply, _, err := activation.GetReply(ctx, rd, replyID)
	var of activation.Letter
	if err == nil {
		of, err = activation.Get(ctx, rd, reply.LetterID)
	}
	if scope := Scope(a); err == nil && scope != "" && scope != of.LembagaID && scope != of.ProdusenID {
		err = activation.ErrNotFound
	}
	if errors.Is(err, activation.ErrNotFound) {
		err = ErrNotFound
	}
	return of, err
}

// activationSentences are what the timeline says of a step; of lines it adds which.
var activationSentences = map[machine.Verb]string{
	activation.VerbDraft: "Rancangan surat disiapkan", activation.VerbEdit: "Rancangan surat diubah", activation.VerbSubmit: "Permohonan aktivasi diajukan",
	activation.VerbDiscard: "Rancangan dihapus", activation.VerbResubmit: "Diajukan kembali", activation.VerbValidate: "Lulus pemeriksaan", activation.VerbReturn: "Dikembalikan",
	activation.VerbRegister: "Terdaftar", activation.VerbApprove: "Disetujui Dirjen", activation.VerbDispose: "Disposisi Direktur FPDDK tercatat", activation.VerbAccept: "Diterima Subdit KI",
	activation.VerbReject: "Ditolak", activation.VerbCancel: "Dibatalkan lembaga", activation.VerbSign: "Manifest dibuat", activation.VerbDeliver: "Manifest diserahkan kepada produsen",
	activation.VerbInstall: "Manifest terpasang; reader aktif", activation.VerbMove: "Reader dipindahkan", activation.VerbSuspend: "Ditangguhkan", activation.VerbResume: "Dilanjutkan",
	activation.VerbRevoke: "Dicabut", activation.VerbReplace: "Reader diganti", activation.VerbLost: "Reader hilang", activation.VerbStolen: "Reader dicuri",
	activation.VerbFound: "Reader ditemukan kembali", activation.VerbReissue: "Manifest diterbitkan ulang",
}

// activationSentence is what is said of a step from a state: of a manifest that was re-issued,
// the one that ended or the one that took its place.
func activationSentence(verb machine.Verb, from machine.State) string {
	if verb == activation.VerbReissue && from != "" {
		return "Manifest dicabut karena kunci penanda tangannya diganti"
	}
	return activationSentences[verb]
}

// activationTimeline returns what happened to a letter and its lines, newest first: what
// was done to several at once is one event.
func activationTimeline(ctx context.Context, rd postgres.Reader, l activation.Letter, outside bool) ([]Event, error) {
	var rows []struct {
		Machine  string        `db:"machine"`
		From     machine.State `db:"from_state"` // where it tells two steps of a verb apart
		Verb     machine.Verb  `db:"verb"`
		Actor    string        `db:"actor"`
		Role     machine.Role  `db:"role"`
		Reason   string        `db:"reason"`
		OfficeAt time.Time     `db:"office_at"`
		At       time.Time     `db:"at"`
		Lines    pq.Int64Array `db:"lines"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT h.machine, CASE WHEN h.verb = $4 AND h.from_state <> '' THEN 'signed' ELSE '' END AS from_state, h.verb, h.actor, h.role, h.reason, h.office_at, h.at, array_agg(a.line ORDER BY a.line) FILTER (WHERE a.line IS NOT NULL) AS lines
		FROM (SELECT $1::text AS machine, $2::uuid AS subject UNION ALL SELECT $3, id FROM activation WHERE letter_id = $2) AS s
		JOIN history h ON h.machine = s.machine AND h.subject = s.subject LEFT JOIN activation a ON a.id = h.subject
		GROUP BY h.machine, 2, h.verb, h.actor, h.role, h.reason, h.office_at, h.at ORDER BY max(h.id::text) DESC`,
		activation.LetterMachine.Name, l.ID, activation.Machine.Name, string(activation.VerbReissue)); err != nil {
		return nil, fmt.Errorf("report: timeline of an activation: %w", err)
	}
	events := []Event{}
	for _, t := range rows {
		if t.Machine == activation.Machine.Name && t.Verb == activation.VerbSubmit {
			continue // the letter's own step says it
		}
		label := activationSentence(t.Verb, t.From)
		if len(t.Lines) > 0 {
			label += " (baris " + spans(t.Lines) + ")"
		}
		events = append(events, Event{At: t.At, OfficeAt: t.OfficeAt, Machine: t.Machine, Verb: t.Verb, Label: label, Actor: t.Actor, Role: t.Role, Reason: t.Reason})
	}
	if err := nameActors(ctx, rd, events, outside); err != nil {
		return nil, err
	}
	for i := range events {
		if outside { // a side is seen, not its people
			events[i].Actor, events[i].Name = "", ""
		}
	}
	return events, nil
}

// spans writes numbers that rise as people do: 1-3, 7, 9.
func spans(numbers []int64) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.FormatInt(numbers[i], 10)
		if j > i {
			part += "–" + strconv.FormatInt(numbers[j], 10)
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
