package activation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// missing is the row m of activation whose reader, with its card, was reported lost or stolen
// and not found since.
const missing = `m.state = 'revoked' AND m.cause IN ('lost', 'stolen') AND m.found_on IS NULL`

// What whoever did not report it is told of a reader or card that is missing: that it cannot
// be used, not why.
const (
	codeNotUsable = "not_usable"
	notUsable     = "%s %s belum dapat diaktifkan menurut catatan kantor. Hubungi Subdit KI."
)

// missingReport is what was said when a reader was reported lost or stolen.
type missingReport struct {
	ID        string    `db:"id"`
	Ticket    string    `db:"ticket"`
	Number    int       `db:"line"`
	LembagaID string    `db:"lembaga_id"`
	Lembaga   string    `db:"lembaga"`
	Cause     string    `db:"cause"`
	Reason    string    `db:"reason"`
	Since     time.Time `db:"since"`
}

// reports reads the reports that records name, by the id of the activation.
func reports(ctx context.Context, rd postgres.Reader, of []record) (map[string]missingReport, error) {
	var ids []string
	for _, k := range of {
		for _, id := range []*string{k.CardMissing, k.ReaderMissing} {
			if id != nil {
				ids = append(ids, *id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	var list []missingReport
	if err := rd.Select(ctx, &list, `
		SELECT a.id, t.ticket, a.line, t.lembaga_id, l.name AS lembaga, a.cause, h.reason, h.office_at AS since
		FROM activation a JOIN activation_letter t ON t.id = a.letter_id JOIN institution l ON l.id = t.lembaga_id
		JOIN history h ON h.machine = $2 AND h.subject = a.id AND h.version = a.version
		WHERE a.id = ANY ($1::uuid[])`, pq.Array(ids), Machine.Name); err != nil {
		return nil, fmt.Errorf("activation: reports of missing readers: %w", err)
	}
	all := map[string]missingReport{}
	for _, r := range list {
		all[r.ID] = r
	}
	return all, nil
}

// finding is what a line is told of it: the lembaga that reported it what it said itself,
// another only that it cannot be used, the office all.
func (m missingReport) finding(l Letter, number int, field, what, serial string) Finding {
	how, on := strings.ToLower(CauseLabels[m.Cause]), terbilang.FormatDate(clock.DateOf(m.Since))
	f := Finding{
		Number: number, Field: field, Code: codeNotUsable, Detail: fmt.Sprintf(notUsable, what, serial),
		Office: fmt.Sprintf("Tercatat %s pada %s untuk %s (%s baris %d): %s", how, on, m.Lembaga, m.Ticket, m.Number, m.Reason),
	}
	if m.LembagaID == l.LembagaID {
		f.Code = "reported_missing"
		f.Detail = fmt.Sprintf("%s %s tercatat %s sejak %s. Bila sudah kembali, lapor kepada Subdit KI agar dicatat ditemukan.", what, serial, how, on)
	}
	return f
}
