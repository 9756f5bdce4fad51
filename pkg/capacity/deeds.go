package capacity

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Deed is what somebody decided about the place of a request's cards, or ordered about
// a day on which it had cards: the office's own business.
type Deed struct {
	At, OfficeAt time.Time
	Verb         string // pin, move, split, withdraw, or a CommandVerb
	Label        string // an Indonesian sentence
	By, Reason   string
}

// Deeds returns them all, in their order; of a placement that was taken back, too.
func Deeds(ctx context.Context, rd postgres.Reader, requestID string) ([]Deed, error) {
	var changes []struct {
		ID        string    `db:"id"`
		Before    *string   `db:"before"`
		After     *string   `db:"after"`
		Reason    string    `db:"reason"`
		By        string    `db:"changed_by"`
		ChangedAt time.Time `db:"changed_at"`
	}
	if err := rd.Select(ctx, &changes, `
		SELECT id, before::text, after::text, reason, changed_by, changed_at FROM day_change
		WHERE kind = $2 AND coalesce(after, before)->>'ticket' = (SELECT ticket FROM request WHERE id = $1) ORDER BY id`, requestID, kindPlacement); err != nil {
		return nil, fmt.Errorf("capacity: reading what was decided on a plan: %w", err)
	}
	var deeds []Deed
	for _, c := range changes {
		var was, is Placement
		for _, side := range []struct {
			text *string
			into *Placement
		}{{c.Before, &was}, {c.After, &is}} {
			if side.text == nil {
				continue
			}
			if err := json.Unmarshal([]byte(*side.text), side.into); err != nil {
				return nil, fmt.Errorf("capacity: reading what was decided on a plan: %w", err)
			}
		}
		d := Deed{OfficeAt: c.ChangedAt, By: c.By, Reason: c.Reason, At: madeAt(c.ID, c.ChangedAt)}
		switch {
		case c.After == nil:
			d.Verb, d.Label = "withdraw", "Pengaturan rencana dicabut: "+was.said()
		case c.Before == nil:
			d.Verb, d.Label = is.code(), "Rencana diatur petugas: "+is.said()
		default:
			d.Verb, d.Label = is.code(), "Rencana diatur petugas: "+is.said()+"; semula "+was.said()
		}
		deeds = append(deeds, d)
	}
	var commands []Command
	if err := rd.Select(ctx, &commands, selectCommand+`
		WHERE request_id = $1 OR request_id IS NULL AND EXISTS (SELECT FROM work_order o WHERE o.request_id = $1 AND o.day = day_command.day)
		ORDER BY id`, requestID); err != nil {
		return nil, fmt.Errorf("capacity: reading the commands about a request: %w", err)
	}
	for _, c := range commands {
		label := CommandLabels[c.Verb]
		if c.Cards > 0 {
			label += ", " + count(c.Cards) + " kartu"
		}
		label += ", " + terbilang.FormatDayDate(c.Day)
		if c.RequestID == nil {
			label += ", semua permohonan hari itu"
		}
		if c.Outcome != "" {
			label += ": " + c.Outcome
		}
		deeds = append(deeds, Deed{At: madeAt(c.ID, c.OrderedAt), OfficeAt: c.OrderedAt, Verb: string(c.Verb), Label: label, By: c.By, Reason: c.Reason})
	}
	return deeds, nil
}

// code names in English what people did, as the API has it.
func (p Placement) code() string {
	switch {
	case p.Cards > 0:
		return "split"
	case p.Pin:
		return "pin"
	}
	return "move"
}

// said is a placement in the middle of a sentence.
func (p Placement) said() string {
	v := p.Verb()
	return string(v[0]+'a'-'A') + v[1:] + ", " + p.Text()
}

// madeAt is when a row was written, by the machine's clock, which its id begins with.
func madeAt(id string, otherwise time.Time) time.Time {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return otherwise
	}
	return time.Unix(u.Time().UnixTime())
}
