package judge

import (
	"context"
	"fmt"
)

// end is a request as it was left.
type end struct {
	Ticket  string `db:"ticket"`
	State   string `db:"state"`
	Count   int    `db:"card_count"`
	Clear   int    `db:"clear"`
	Given   int    `db:"given"`
	Open    int    `db:"open"`
	Papers  int    `db:"papers"`
	Kinds   int    `db:"kinds"`
	Waiting string `db:"waiting"`
	Desk    string `db:"desk"` // of the person whose turn it is; empty when it is a daemon's
}

// desk says whose turn it is, where the rules of the office leave it to a person.
const desk = `CASE r.state
	WHEN 'returned' THEN 'produsen'
	WHEN 'validated' THEN CASE
		WHEN NOT EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = 'letter_received') THEN 'persuratan'
		WHEN NOT EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = 'blanks_counted') THEN 'persuratan'
		WHEN NOT EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = 'compared') THEN 'operator'
		ELSE '' END
	WHEN 'registered' THEN 'dirjen'
	WHEN 'approved' THEN CASE
		WHEN NOT EXISTS (SELECT FROM request_fact f WHERE f.request_id = r.id AND f.fact = 'disposed') THEN 'direktur'
		ELSE 'kasubdit' END
	WHEN 'held' THEN 'kasubdit'
	WHEN 'in_progress' THEN coalesce((SELECT max(CASE
			WHEN c.state IN ('failed', 'spoiled') THEN 'operator'
			WHEN EXISTS (SELECT FROM card_resolution s WHERE s.card_id = c.id AND s.confirmed_by IS NULL AND s.voided_at IS NULL) THEN 'kasubdit'
			ELSE 'operator' END)
		FROM card c JOIN perso_attempt a ON a.card_id = c.id AND a.attempt = c.attempt WHERE c.request_id = r.id AND (
			c.state IN ('failed', 'spoiled') AND NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id)
			OR c.state = 'in_doubt' AND a.proposal <> '' AND NOT EXISTS
				(SELECT FROM card_resolution s WHERE s.card_id = c.id AND s.card_version = c.version AND s.confirmed_by IS NOT NULL AND s.voided_at IS NULL))), '')
	WHEN 'done' THEN CASE
		WHEN EXISTS (SELECT FROM document d WHERE d.request_id = r.id AND d.state = 'awaiting_signature' AND d.kind <> 'bast') THEN 'persuratan'
		ELSE coalesce((SELECT CASE h.state WHEN 'bast_drafted' THEN 'operator' WHEN 'delivered' THEN 'produsen' WHEN 'received' THEN 'kasubdit' ELSE '' END
			FROM handover h WHERE h.request_id = r.id AND h.state <> 'closed' LIMIT 1),
			CASE WHEN EXISTS (SELECT FROM handover h WHERE h.request_id = r.id) THEN '' ELSE 'operator' END)
		END
	ELSE '' END`

// ends: each request is at its end, with all that belongs there, or waits for a
// person who only has to act. failing are those on which somebody tried to act
// in vain.
func (j *judging) ends(ctx context.Context, failing map[string]string) error {
	var rows []end
	if err := j.db.Select(ctx, &rows, `SELECT ticket, state, card_count,
		(SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state = 'clear') AS clear,
		(SELECT count(*) FROM handover_card x JOIN handover h ON h.id = x.handover_id WHERE h.request_id = r.id AND h.state = 'closed') AS given,
		(SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state NOT IN ('clear','failed','spoiled','reduced')) AS open,
		(SELECT count(*) FROM document d WHERE d.request_id = r.id AND d.state = 'issued') AS papers,
		(SELECT count(DISTINCT kind) FROM document d WHERE d.request_id = r.id AND d.state = 'issued') AS kinds,
		coalesce((SELECT string_agg(c.serial || ' ' || c.state, ', ') FROM card c
		          WHERE c.request_id = r.id AND c.state NOT IN ('clear','reduced')), '') AS waiting,
		`+desk+` AS desk FROM request r`); err != nil {
		return err
	}
	for _, r := range rows {
		j.Cards += r.Clear
		var left string
		switch {
		case r.State == "rejected" || r.State == "cancelled":
			if r.Clear != 0 {
				j.doubled("permohonan %s %s dengan %d kartu jadi", r.Ticket, r.State, r.Clear)
			}
		case r.State != "done":
			left = fmt.Sprintf("tetap %s (%d dari %d kartu; %s)", r.State, r.Clear, r.Count, r.Waiting)
		case r.Clear != r.Count || r.Open != 0:
			j.lost("permohonan %s selesai dengan %d dari %d kartu (%s)", r.Ticket, r.Clear, r.Count, r.Waiting)
		case r.Given != r.Count:
			left = fmt.Sprintf("%d dari %d kartu diserahkan", r.Given, r.Count)
		case r.Papers != 4 || r.Kinds != 4:
			left = fmt.Sprintf("%d dokumen, %d jenis", r.Papers, r.Kinds)
		}
		switch {
		case left == "":
		case r.Desk == "" || failing[r.Ticket] != "":
			j.stuck("permohonan %s %s %s", r.Ticket, left, failing[r.Ticket])
		default:
			j.Desks = append(j.Desks, fmt.Sprintf("di meja %s: permohonan %s %s", r.Desk, r.Ticket, left))
		}
	}
	return nil
}
