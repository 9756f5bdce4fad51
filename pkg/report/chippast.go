package report

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// ChipLink is a card of a chain of replacements.
type ChipLink struct {
	ID         string        `db:"id" json:"id"`
	Serial     string        `db:"serial" json:"serial"`
	State      machine.State `db:"state" json:"state"`
	StateLabel string        `db:"-" json:"state_label"`
	Reason     string        `db:"reason" json:"reason"`
	ByHand     bool          `db:"by_hand" json:"-"`
	Present    bool          `db:"present" json:"present"` // the card whose life this is
}

// ChipDestruction is a berita acara by which two people destroyed a card.
type ChipDestruction struct {
	ID          string       `json:"id"`
	Ordinal     int          `json:"ordinal"` // of the request's
	DestroyedOn clock.Date   `json:"destroyed_on"`
	Method      string       `json:"method"`
	Was         string       `json:"was"` // failed or spoiled
	WasLabel    string       `json:"was_label"`
	Cause       string       `json:"cause"`
	First       stock.Signer `json:"first"`
	Second      stock.Signer `json:"second"`
	DrawnBy     string       `json:"drawn_by"` // user name
	OfficeAt    time.Time    `json:"office_at"`
	VoidedAt    *time.Time   `json:"voided_at"` // office time; a void one destroyed nothing

	at     time.Time // by the machine's clock
	reason string
}

// readChain reads what the card replaces, and what replaces it, as far as it goes.
func (l *life) readChain(ctx context.Context, rd postgres.Reader, outside bool) error {
	var chain []ChipLink
	if err := rd.Select(ctx, &chain, `
		WITH RECURSIVE before AS (
		    SELECT id, replaces, 0 AS n FROM listed_card WHERE id = $1
		    UNION ALL SELECT l.id, l.replaces, b.n - 1 FROM before b JOIN listed_card l ON l.id = b.replaces),
		after AS (
		    SELECT id, 0 AS n FROM listed_card WHERE id = $1
		    UNION ALL SELECT l.id, a.n + 1 FROM after a JOIN listed_card l ON l.replaces = a.id)
		SELECT l.id, l.serial, coalesce(c.state, '') AS state, coalesce(c.reason, '') AS reason, coalesce(c.by_hand, false) AS by_hand, x.n = 0 AS present
		FROM (SELECT id, n FROM before UNION SELECT id, n FROM after) AS x
		JOIN listed_card l ON l.id = x.id LEFT JOIN card c ON c.id = l.id ORDER BY x.n`, l.ID); err != nil {
		return fmt.Errorf("report: replacements of a card: %w", err)
	}
	if len(chain) < 2 {
		return nil
	}
	for i := range chain {
		c := &chain[i]
		c.StateLabel = chipState(c.State, c.ByHand, l.Request.State)
		if outside && c.State == perso.InDoubt {
			c.Reason = ""
		}
	}
	l.Chain = chain
	return nil
}

func (l *life) readDestructions(ctx context.Context, rd postgres.Reader, _ bool) error {
	var rows []struct {
		ID         string     `db:"id"`
		Ordinal    int        `db:"ordinal"`
		Destroyed  clock.Date `db:"destroyed"`
		Method     string     `db:"method"`
		Reason     string     `db:"reason"`
		FirstName  string     `db:"first_name"`
		FirstPost  string     `db:"first_post"`
		SecondName string     `db:"second_name"`
		SecondPost string     `db:"second_post"`
		DrawnBy    string     `db:"drawn_by"`
		OfficeAt   time.Time  `db:"office_at"`
		VoidedAt   *time.Time `db:"voided_at"`
		At         time.Time  `db:"at"`
		Was        string     `db:"was"`
		Cause      string     `db:"cause"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT d.id, d.ordinal, d.destroyed, d.method, d.reason, d.first_name, d.first_post, d.second_name, d.second_post, d.drawn_by,
		       d.office_at, d.voided_at, d.at, x.was, x.cause
		FROM destroyed_card x JOIN destruction d ON d.id = x.destruction_id WHERE d.request_id = $2 AND x.card_id = $1 ORDER BY d.ordinal`,
		l.ID, l.row.RequestID); err != nil {
		return fmt.Errorf("report: destruction of a card: %w", err)
	}
	for _, d := range rows {
		l.Destructions = append(l.Destructions, ChipDestruction{
			ID: d.ID, Ordinal: d.Ordinal, DestroyedOn: d.Destroyed, Method: d.Method, Was: d.Was, WasLabel: stock.WasLabels[d.Was], Cause: d.Cause,
			First: stock.Signer{Name: d.FirstName, Post: d.FirstPost}, Second: stock.Signer{Name: d.SecondName, Post: d.SecondPost},
			DrawnBy: d.DrawnBy, OfficeAt: d.OfficeAt, VoidedAt: d.VoidedAt, at: d.At, reason: d.Reason,
		})
	}
	return nil
}

func (l *life) destroyedIn(id string) bool {
	return slices.ContainsFunc(l.Destructions, func(d ChipDestruction) bool { return d.ID == id })
}

// counted is how many blanks a fact says were counted.
func counted(f Fact) *int {
	var d struct {
		Count *int `json:"count"`
	}
	if len(f.Detail) == 0 || json.Unmarshal(f.Detail, &d) != nil {
		return nil
	}
	return d.Count
}

// lifeSentences word the steps of a card of which a request's timeline does not tell.
var lifeSentences = map[machine.Verb]sentence{
	perso.BindVerb:    {internal: true, words: card("terikat pada chipnya")},
	perso.NumberVerb:  {internal: true, words: card("diberi PCID dan nomor manifest")},
	perso.ClaimVerb:   {internal: true, words: taking},
	perso.ReleaseVerb: {internal: true, words: card("dilepas kembali, belum ada yang ditulis")},
	perso.WriteVerb:   {internal: true, words: card("mulai ditulis")},
	perso.FinishVerb:  {internal: true, words: card("selesai ditulis")},
	perso.VerifyVerb:  {internal: true, words: card("terbaca kembali dan cocok")},
	perso.ClearVerb:   {words: card("berhasil dipersonalisasi")},
	perso.WipeVerb:    {internal: true, words: card("dihapus nomornya; nomor itu hangus")},
	perso.EnterVerb:   {internal: true, words: card("dicatat hasil manualnya, menunggu konfirmasi orang kedua")},
}

// taking names the attempt and where it is made.
func taking(t taken) string {
	text := t.card() + " diambil untuk upaya ke-" + t.number("attempt")
	if s := t.text("station"); s != "" {
		text += " di stasiun " + s
	}
	if r := t.text("reader"); r != "" {
		text += ", pembaca " + r
	}
	return text
}

// DestroyVerb is of the line that tells of a destruction; it is no step of a card.
const DestroyVerb machine.Verb = "destroy"

// readHistory reads the steps of the card, of its request, of the handover and papers
// that it is in, of handovers that were taken back, and when another took its place.
func (l *life) readHistory(ctx context.Context, rd postgres.Reader, outside bool) error {
	next := ""
	for i, c := range l.Chain {
		if c.Present && i+1 < len(l.Chain) {
			next = l.Chain[i+1].ID
		}
	}
	subjects := []string{l.ID, l.row.RequestID}
	if next != "" {
		subjects = append(subjects, next)
	}
	if l.row.HandoverID != nil {
		subjects = append(subjects, *l.row.HandoverID)
	}
	for _, d := range l.Documents {
		subjects = append(subjects, d.ID)
	}
	for _, a := range l.readers {
		subjects = append(subjects, a.ID)
	}
	var rows []taken
	if err := rd.Select(ctx, &rows, `
		SELECT h.id, h.machine, h.subject, h.request_id, h.version, h.from_state, h.verb, h.to_state, h.actor, h.role,
		       h.reason, h.detail, h.office_at, h.at, c.serial, old.serial AS replaces
		FROM history h
		LEFT JOIN listed_card c ON h.machine = 'card' AND c.id = h.subject
		LEFT JOIN listed_card old ON old.id = c.replaces
		WHERE h.subject = ANY ($1::uuid[] || ARRAY(SELECT b.handover_id FROM handover_taken_back b WHERE b.card_id = $2)) ORDER BY h.id`,
		pq.Array(subjects), l.ID); err != nil {
		return fmt.Errorf("report: history of a card: %w", err)
	}
	events := factEvents(l.facts)
	for _, row := range rows {
		if row.Subject == l.ID {
			l.own = append(l.own, row)
		} else if row.Subject == next && row.Verb != perso.EnlistVerb {
			continue // of another card's life
		}
		e, ok := row.lived(outside)
		if row.Machine == activation.Machine.Name {
			e, ok = l.activated(row, outside)
		}
		if ok {
			events = append(events, e)
		}
	}
	if !outside {
		for _, d := range l.Destructions {
			events = append(events, d.event(l.Serial))
		}
	}
	newestFirst(events)
	l.History = events
	if err := nameActors(ctx, rd, l.History, outside); err != nil {
		return err
	}
	for i := range l.History {
		if e := &l.History[i]; outside && e.Machine == activation.Machine.Name { // a side is seen, not its people
			e.Actor, e.Name = "", ""
		}
		if e := &l.History[i]; e.Role == request.Station && e.Name == "" {
			e.Name = e.Actor // which station; empty to eyes outside
		}
	}
	return nil
}

// lived is event for the life of a card: all its own steps are told.
func (t taken) lived(outside bool) (Event, bool) {
	if s, ok := lifeSentences[t.Verb]; ok && t.Machine == perso.Machine.Name {
		return t.worded(s, true, outside)
	}
	return t.event(outside)
}

func (d ChipDestruction) event(serial string) Event {
	return Event{
		At: d.at, OfficeAt: d.OfficeAt, Machine: perso.Machine.Name, Verb: DestroyVerb, Actor: d.DrawnBy, Reason: d.reason,
		Label: fmt.Sprintf("Kartu %s dicatat dimusnahkan pada berita acara kartu rusak ke-%d permohonan ini", serial, d.Ordinal),
	}
}
