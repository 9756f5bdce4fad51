package judge

import (
	"context"
	"fmt"
	"strings"

	"dukcapil.go.id/sifilma/test/crash/load"
)

// told are the decisions of one kind that were answered with yes, how many of a
// like.
type told map[load.Answer]int

// proofs find what must be in the books for an answer: a query for (subject,
// detail, times), where times is how often it stands there.
var proofs = map[string]string{
	"letter":                  fact("letter_received"),
	"blanks":                  fact("blanks_counted"),
	"comparison":              fact("compared"),
	"disposition":             fact("disposed"),
	"approval":                step("approve"),
	"rejection":               step("reject"),
	"acceptance":              step("accept"),
	"hold":                    step("hold"),
	"release":                 step("release"),
	"cancellation":            step("cancel"),
	"replacement":             `SELECT replaces::text AS subject, serial AS detail, 1 AS times FROM listed_card WHERE replaces IS NOT NULL`,
	"resolution":              `SELECT card_id::text AS subject, decision AS detail, 1000 AS times FROM card_resolution GROUP BY 1, 2`, // may be said again
	"resolution/confirmation": `SELECT card_id::text AS subject, decision AS detail, count(*) AS times FROM card_resolution WHERE confirmed_by IS NOT NULL GROUP BY 1, 2`,
	"signature": `SELECT d.id::text AS subject, encode(b.sha256, 'hex') AS detail, 1 AS times
		FROM document d JOIN blob b ON b.id = d.scan_blob WHERE d.state = 'issued'`,
	"handovers": `SELECT r.ticket AS subject, '' AS detail, count(*) AS times FROM handover h JOIN request r ON r.id = h.request_id GROUP BY 1`,
	"delivery": `SELECT d.subject_id::text AS subject, encode(b.sha256, 'hex') AS detail, 1 AS times
		FROM document d JOIN blob b ON b.id = d.scan_blob WHERE d.state = 'issued' AND d.kind = 'bast'`,
	"receipt": `SELECT subject::text, '' AS detail, count(*) AS times FROM history WHERE machine = 'handover' AND verb = 'receive' GROUP BY 1`,
	"closure": `SELECT subject::text, '' AS detail, count(*) AS times FROM history WHERE machine = 'handover' AND verb = 'close' GROUP BY 1`,
}

// fact is stated once, however often people say so.
func fact(name string) string {
	return `SELECT r.ticket AS subject, '' AS detail, 1000 AS times FROM request r JOIN request_fact f ON f.request_id = r.id
		WHERE f.fact = '` + name + `'`
}

func step(verb string) string {
	return `SELECT r.ticket AS subject, '' AS detail, count(*) AS times FROM request r JOIN history h ON h.machine = 'request' AND h.subject = r.id
		WHERE h.verb = '` + verb + `' GROUP BY 1`
}

// answers: what people were told is done, is done.
func (j *judging) answers(ctx context.Context, all []load.Answer) error {
	kinds := map[string]told{}
	for _, a := range all {
		if kinds[a.What] == nil {
			kinds[a.What] = told{}
		}
		kinds[a.What][a]++
	}
	var back []string // given back to the sender: its facts start anew
	if err := j.db.Select(ctx, &back, `SELECT r.ticket FROM request r WHERE EXISTS
		(SELECT FROM history h WHERE h.machine = 'request' AND h.subject = r.id AND h.verb = 'return')`); err != nil {
		return err
	}
	returned := strings.Join(back, " ")
	for what, these := range kinds {
		query, ok := proofs[what]
		if !ok {
			return fmt.Errorf("jawaban %q tidak dapat diperiksa", what)
		}
		var rows []struct {
			Subject string `db:"subject"`
			Detail  string `db:"detail"`
			Times   int    `db:"times"`
		}
		if err := j.db.Select(ctx, &rows, query); err != nil {
			return err
		}
		stands := told{}
		for _, r := range rows {
			stands[load.Answer{What: what, Subject: r.Subject, Detail: r.Detail}] = r.Times
		}
		for a, times := range these {
			if stands[a] < times && !strings.Contains(returned, a.Subject) {
				j.lost("%s untuk %s (%s) dijawab berhasil %d kali, tercatat %d kali", what, a.Subject, a.Detail, times, stands[a])
			}
		}
	}
	return nil
}

// sent: what produsen sent is in the office byte for byte.
func (j *judging) sent(ctx context.Context, drops []*load.Drop) error {
	var rows []struct {
		Reference string `db:"reference"`
		Kind      string `db:"kind"`
		Digest    string `db:"digest"`
	}
	if err := j.db.Select(ctx, &rows, `SELECT r.reference, f.kind, encode(b.sha256, 'hex') AS digest
		FROM request r JOIN request_file f ON f.request_id = r.id JOIN blob b ON b.id = f.blob_id`); err != nil {
		return err
	}
	has := map[[3]string]bool{}
	for _, r := range rows {
		has[[3]string{r.Reference, r.Kind, r.Digest}] = true
	}
	for _, d := range drops {
		for kind, digest := range d.Files {
			if len(d.Tickets) > 0 && !has[[3]string{d.Reference, kind, digest}] {
				j.lost("berkas %s permohonan %s bukan yang dikirim", kind, d.Tickets[0])
			}
		}
	}
	return nil
}
