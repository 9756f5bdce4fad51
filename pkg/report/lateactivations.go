package report

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/identity"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// LateActivation is a surat permohonan aktivasi of the late list: how the slowest of its
// readers stands in time, and who must act.
type LateActivation struct {
	ID         string       `db:"id" json:"id"`
	Ticket     string       `db:"ticket" json:"ticket"`
	Number     string       `db:"number" json:"number"` // of the lembaga's letter
	Subject    string       `db:"subject" json:"subject"`
	Lembaga    string       `db:"lembaga" json:"lembaga"`
	Produsen   string       `db:"produsen" json:"produsen"`
	Readers    int          `db:"-" json:"readers"` // that are in some stage
	Stage      string       `db:"-" json:"stage"`   // of the slowest
	StageLabel string       `db:"-" json:"stage_label"`
	Days       int          `db:"-" json:"days"` // hari kerja of the slowest in its stage
	Max        int          `db:"-" json:"max"`
	Status     stage.Status `db:"-" json:"status"`
	Text       string       `db:"-" json:"status_label"`
	// Over is how many hari kerja the slowest is past the limit that it is furthest past,
	// its stage's or that of all; below 0 it is within both.
	Over    int               `db:"-" json:"over"`
	Stages  []ActivationStage `db:"-" json:"stages"`
	Waiting []Wait            `db:"-" json:"waiting"`
}

// LateActivations are the letters that are late or soon will be.
type LateActivations struct {
	Activations []LateActivation     `json:"activations"`
	Counts      map[stage.Status]int `json:"counts"` // of all that the office works on, whatever was asked for
}

// ParseLateActivationQuery reads the parameter status, which may be repeated; without it
// the list is of the late and of those warned of.
func ParseLateActivationQuery(values url.Values) ([]stage.Status, []BadParameter) {
	p := parser{values: values}
	list := each(&p, "status", []stage.Status{stage.OnTime, stage.Warning, stage.Late})
	return list, append(p.faults, Unknown(values, "status")...)
}

// workedOn are the states in which a reader waits for the office.
var workedOn = []machine.State{
	activation.Submitted, activation.Validated, activation.Registered, activation.Approved, activation.Accepted, activation.ManifestReady,
}

// out are the states of a reader whose manifest is with the produsen.
var out = []string{string(activation.Delivered), string(activation.Active)}

// LateActivationsOf reads the letters that the office works on as an account sees them,
// those furthest past their limit first; all of it is reckoned now.
func LateActivationsOf(ctx context.Context, db *postgres.DB, a identity.Account, statuses []stage.Status, officeAt time.Time) (*LateActivations, error) {
	if len(statuses) == 0 {
		statuses = lateStatuses
	}
	var found *LateActivations
	err := db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		found = &LateActivations{Activations: []LateActivation{}, Counts: map[stage.Status]int{stage.OnTime: 0, stage.Warning: 0, stage.Late: 0}}
		open, err := openActivations(ctx, rd, Scope(a), officeAt)
		if err != nil {
			return err
		}
		var ids []string
		for _, l := range open {
			found.Counts[l.Status]++
			if slices.Contains(statuses, l.Status) {
				found.Activations, ids = append(found.Activations, l), append(ids, l.ID)
			}
		}
		k, err := stage.NewReckoner(ctx, rd, officeAt)
		if err != nil {
			return err
		}
		waiting, err := activationWaits(ctx, rd, ids)
		if err != nil {
			return err
		}
		for i := range found.Activations {
			l := &found.Activations[i]
			l.Waiting = notNil(waiting[l.ID].reckoned(k))
		}
		return nil
	})
	return found, err
}

// CountActivations counts the letters that the office works on by how they stand.
func CountActivations(ctx context.Context, db *postgres.DB, officeAt time.Time) (counts map[stage.Status]int, err error) {
	err = db.View(ctx, func(ctx context.Context, rd postgres.Reader) error {
		open, err := openActivations(ctx, rd, "", officeAt)
		counts = map[stage.Status]int{}
		for _, l := range open {
			counts[l.Status]++
		}
		return err
	})
	return counts, err
}

// openActivations reckons the letters of which some reader is in a stage, furthest past
// its limit first.
func openActivations(ctx context.Context, rd postgres.Reader, scope string, officeAt time.Time) ([]LateActivation, error) {
	var letters []LateActivation
	if err := rd.Select(ctx, &letters, `
		SELECT l.id, l.ticket, l.number, l.subject, m.name AS lembaga, p.name AS produsen
		FROM activation_letter l JOIN institution m ON m.id = l.lembaga_id JOIN institution p ON p.id = l.produsen_id
		WHERE l.state = $1 AND ($2 = '' OR $2 IN (l.lembaga_id::text, l.produsen_id::text))
		  AND (EXISTS (SELECT FROM activation x WHERE x.letter_id = l.id AND x.state = ANY ($3))
		    OR EXISTS (SELECT FROM activation_reply r WHERE r.letter_id = l.id
		                 AND NOT EXISTS (SELECT FROM document d WHERE d.kind = $5 AND d.subject_id = r.id AND d.state = ANY ($6))
		                 AND EXISTS (SELECT FROM activation x WHERE x.letter_id = l.id AND x.reply_id = r.id AND x.state = ANY ($4))))
		ORDER BY l.id`, activation.LetterSubmitted, scope, pq.Array(states(workedOn)), pq.Array(out), letter.ActivationReply, pq.Array(signedStates)); err != nil {
		return nil, fmt.Errorf("report: activations that are worked on: %w", err)
	}
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[i] = l.ID
	}
	k, err := stage.NewReckoner(ctx, rd, officeAt)
	if err != nil {
		return nil, err
	}
	courses, err := readerCourses(ctx, rd, ids)
	if err != nil {
		return nil, err
	}
	list := letters[:0]
	for _, l := range letters {
		if l.reckon(k, readerClocks(k, courses[l.ID])) {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b LateActivation) int { return cmp.Compare(b.Over, a.Over) })
	return list, nil
}

// reckon says how a letter stands, by those of its readers that are in a stage; false when
// none is.
func (l *LateActivation) reckon(k stage.Reckoner, readers []readerClock) bool {
	l.Status = stage.Ahead
	for _, c := range readers {
		if c.now == noStage {
			continue
		}
		of := activationLimits[c.now]
		if over := c.over(); l.Readers == 0 || over > l.Over {
			l.Over, l.Stage, l.StageLabel, l.Days, l.Max = over, of.stage, of.label, c.days[c.now], of.limit.Max
		}
		l.Readers++
		l.Status = stage.Worse(l.Status, stage.Judge(c.days[c.now], of.limit.Max, k.Rules.Warn))
		l.Status = stage.Worse(l.Status, stage.Judge(c.total(), activationTotal().Max, k.Rules.WarnTotal))
	}
	l.Text, l.Stages = stage.StatusLabels[l.Status], activationStages(k, readers)
	return l.Readers > 0
}

func states(list []machine.State) []string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return texts
}

// activationWaits says who must act on letters, in two queries however many they are.
func activationWaits(ctx context.Context, rd postgres.Reader, ids []string) (map[string]waitList, error) {
	all := map[string]waitList{}
	var lines []struct {
		LetterID string        `db:"letter_id"`
		State    machine.State `db:"state"`
		Disposed bool          `db:"disposed"`
		Release  string        `db:"release"` // state of the open release that it is in
		N        int           `db:"n"`
		Since    time.Time     `db:"since"`
	}
	if err := rd.Select(ctx, &lines, `
		SELECT a.letter_id, a.state, a.disposed_on IS NOT NULL AS disposed, coalesce(r.state, '') AS release, count(*) AS n, min(coalesce(h.office_at, l.submitted_at)) AS since
		FROM activation a JOIN activation_letter l ON l.id = a.letter_id
		LEFT JOIN history h ON h.machine = $2 AND h.subject = a.id AND h.version = a.version
		LEFT JOIN LATERAL (SELECT m.state FROM manifest_release_line x JOIN manifest_release m ON m.id = x.release_id
		                   WHERE x.activation_id = a.id AND m.state IN ('released', 'bundled')) r ON true
		WHERE a.letter_id = ANY ($1::uuid[]) AND a.state = ANY ($3) GROUP BY 1, 2, 3, 4
		ORDER BY 1, array_position($3, a.state), 3, 4`, pq.Array(ids), activation.Machine.Name, pq.Array(states(workedOn))); err != nil {
		return nil, fmt.Errorf("report: who must act on activations: %w", err)
	}
	for _, g := range lines {
		l := all[g.LetterID]
		l.readers(g.State, g.Disposed, g.Release, terbilang.FormatInt(int64(g.N))+" reader", g.Since)
		all[g.LetterID] = l
	}
	return all, replyWaits(ctx, rd, ids, all)
}

// readers adds who must act on readers that stand alike.
func (l *waitList) readers(state machine.State, disposed bool, release, which string, since time.Time) {
	verb, task := machine.Verb(""), ""
	switch state {
	case activation.Submitted:
		verb, task = activation.VerbValidate, "memeriksa "+which
	case activation.Validated:
		verb, task = activation.VerbRegister, "mencatat surat fisik dan mendaftarkan "+which
	case activation.Registered:
		verb, task = activation.VerbApprove, "memutuskan "+which
	case activation.Approved:
		if verb, task = activation.VerbDispose, "mencatat disposisi "+which; disposed {
			verb, task = activation.VerbAccept, "menerima "+which
		}
	case activation.Accepted:
		verb, task = activation.VerbSign, "membuat manifest "+which
	case activation.ManifestReady:
		switch release {
		case "":
			l.add(since, "melepas manifest "+which, request.Kasubdit)
			return
		case "released":
			l.add(since, "menyiapkan paket manifest "+which, request.Generator)
			return
		}
		verb, task = activation.VerbDeliver, "menyerahkan manifest "+which
	}
	l.step(since, activation.Machine, state, verb, task)
}

// replyWaits adds the replies that are not signed, of acceptances that still count.
func replyWaits(ctx context.Context, rd postgres.Reader, ids []string, all map[string]waitList) error {
	var replies []struct {
		LetterID string        `db:"letter_id"`
		State    machine.State `db:"state"` // of the paper, empty before there is one
		Awaits   bool          `db:"awaits_number"`
		Since    time.Time     `db:"since"`
	}
	if err := rd.Select(ctx, &replies, `
		SELECT r.letter_id, coalesce(d.state, '') AS state, coalesce(d.awaits_number, false) AS awaits_number,
		       coalesce(h.office_at, r.accepted_on::timestamp AT TIME ZONE 'Asia/Jakarta') AS since
		FROM activation_reply r
		LEFT JOIN document d ON d.kind = $2 AND d.subject_id = r.id AND d.state NOT IN ('void', 'replaced')
		LEFT JOIN history h ON h.machine = $4 AND h.subject = d.id AND h.version = d.version
		WHERE r.letter_id = ANY ($1::uuid[])
		  AND NOT EXISTS (SELECT FROM document s WHERE s.kind = $2 AND s.subject_id = r.id AND s.state = ANY ($3))
		  AND EXISTS (SELECT FROM activation x WHERE x.letter_id = r.letter_id AND x.reply_id = r.id AND x.state = ANY ($5))
		ORDER BY r.letter_id, r.ordinal`, pq.Array(ids), letter.ActivationReply, pq.Array(signedStates), letter.Machine.Name,
		pq.Array(append(states([]machine.State{activation.Accepted, activation.ManifestReady}), out...))); err != nil {
		return fmt.Errorf("report: replies to activations: %w", err)
	}
	label := letter.KindLabels[letter.ActivationReply]
	for _, r := range replies {
		l := all[r.LetterID]
		switch {
		case r.State == letter.Drafted && r.Awaits:
			l.step(r.Since, letter.Machine, r.State, letter.VerbTypeNumber, "mengisi nomor: "+label)
		case r.State == letter.AwaitingSignature:
			l.step(r.Since, letter.Machine, r.State, letter.VerbIssue, "mengunggah pindaian bertanda tangan: "+label)
		default:
			l.add(r.Since, "menyiapkan "+label, request.Generator)
		}
		all[r.LetterID] = l
	}
	return nil
}
