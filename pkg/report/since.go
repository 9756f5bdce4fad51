package report

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/handover"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stage"
)

// arrivals are when a request, and what belongs to it, came to where it is now, by
// the office's clock: since then it waits there.
type arrivals struct {
	submission time.Time // the newest
	state      time.Time // of the request
	doubt      time.Time // the first card that is in doubt
	failure    time.Time // the first card that waits for a replacement
	hand       *atHand   // of one that is personalised by hand
	paper      map[string]time.Time
	handover   map[string]time.Time
}

// atHand is what waits for people who personalise by hand.
type atHand struct {
	results int       // that wait for their second person
	since   time.Time // the first of them was entered
}

// readArrivals reads the arrivals of requests, in three queries however many they are.
func readArrivals(ctx context.Context, rd postgres.Reader, list []request.Request) (map[string]*arrivals, error) {
	all := make(map[string]*arrivals, len(list))
	ids := make([]string, len(list))
	for i, r := range list {
		ids[i] = r.ID
		all[r.ID] = &arrivals{submission: r.CreatedAt, state: r.CreatedAt, paper: map[string]time.Time{}, handover: map[string]time.Time{}}
	}
	var steps []struct {
		ID         string    `db:"subject"`
		Submission time.Time `db:"submission"`
		State      time.Time `db:"state"`
	}
	if err := rd.Select(ctx, &steps, `
		SELECT subject, (array_agg(office_at ORDER BY version DESC))[1] AS state,
		       coalesce((array_agg(office_at ORDER BY version DESC) FILTER (WHERE to_state = ANY ($3)))[1], min(office_at)) AS submission
		FROM history WHERE machine = $2 AND subject = ANY ($1::uuid[]) GROUP BY subject`,
		pq.Array(ids), request.Machine.Name, pq.Array([]string{string(request.Submitted), string(request.Resubmitted)})); err != nil {
		return nil, fmt.Errorf("report: since when requests wait: %w", err)
	}
	for _, s := range steps {
		all[s.ID].submission, all[s.ID].state = s.Submission, s.State
	}
	var parts []struct {
		ID      string    `db:"request_id"`
		Machine string    `db:"machine"`
		Subject string    `db:"subject"`
		State   string    `db:"state"`
		At      time.Time `db:"at"`
	}
	if err := rd.Select(ctx, &parts, `
		SELECT p.request_id, p.machine, p.id AS subject, p.state, h.office_at AS at
		FROM (SELECT request_id, $2::text AS machine, id, version, state FROM document WHERE request_id = ANY ($1::uuid[])
		      UNION ALL SELECT request_id, $3, id, version, state FROM handover WHERE request_id = ANY ($1::uuid[])
		      UNION ALL SELECT c.request_id, $4, c.id, c.version, c.state FROM card c
		                WHERE c.request_id = ANY ($1::uuid[]) AND c.state IN ('in_doubt', 'failed', 'spoiled')
		                  AND NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id)) p
		JOIN history h ON h.machine = p.machine AND h.subject = p.id AND h.version = p.version ORDER BY h.office_at`,
		pq.Array(ids), letter.Machine.Name, handover.Machine.Name, perso.Machine.Name); err != nil {
		return nil, fmt.Errorf("report: since when parts of requests wait: %w", err)
	}
	for _, p := range parts {
		a := all[p.ID]
		switch p.Machine {
		case letter.Machine.Name:
			a.paper[p.Subject] = p.At
		case handover.Machine.Name:
			a.handover[p.Subject] = p.At
		default: // the first of them, as they come in order
			if p.State == string(perso.InDoubt) {
				a.doubt = first(a.doubt, p.At)
			} else {
				a.failure = first(a.failure, p.At)
			}
		}
	}
	return all, readHands(ctx, rd, ids, all)
}

// readHands adds what is personalised by hand.
func readHands(ctx context.Context, rd postgres.Reader, ids []string, all map[string]*arrivals) error {
	var hands []struct {
		ID string     `db:"request_id"`
		N  int        `db:"n"`
		At *time.Time `db:"at"`
	}
	if err := rd.Select(ctx, &hands, `
		SELECT m.request_id, count(h.id) AS n, min(h.entered_at) AS at FROM order_mode m
		LEFT JOIN card c ON c.request_id = m.request_id AND c.state = 'claimed'
		LEFT JOIN hand_result h ON h.card_id = c.id AND h.confirmed_by IS NULL AND h.withdrawn_by IS NULL
		WHERE m.request_id = ANY ($1::uuid[]) AND m.mode = $2 GROUP BY m.request_id`, pq.Array(ids), capacity.ModeManual); err != nil {
		return fmt.Errorf("report: what is done by hand: %w", err)
	}
	for _, h := range hands {
		one := &atHand{results: h.N}
		if h.At != nil {
			one.since = *h.At
		}
		all[h.ID].hand = one
	}
	return nil
}

func first(have, at time.Time) time.Time {
	if have.IsZero() {
		return at
	}
	return have
}

// or is at, if it is known, else the arrival of the request itself.
func (a *arrivals) or(at time.Time) time.Time { return cmp.Or(at, a.state) }

// reckoned counts the days that have passed.
func (l waitList) reckoned(k stage.Reckoner) []Wait {
	for i := range l {
		l[i].Days = k.Waited(l[i].Since)
	}
	return l
}
