package activation

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Pair says which reader a card went into.
type Pair struct {
	SAM    string `json:"sam_serial"`
	Reader string `json:"reader_serial"`
}

// Source is where the office has a pair from.
type Source string

// Sources of pairs. SourceList is the list of the request of cards, which is not recorded as
// a pair of its own.
const (
	SourceList        Source = "list"
	SourceForm        Source = "form"
	SourceExcel       Source = "excel"
	SourceAPI         Source = "api"
	SourceReplacement Source = "replacement"
)

// SourceLabels are the sources in the users' words.
var SourceLabels = map[Source]string{
	SourceList: "Daftar kartu permohonan", SourceForm: "Diketik di portal", SourceExcel: "Impor Excel", SourceAPI: "API", SourceReplacement: "Ganti reader",
}

// MostPairs bounds what RecordPairs takes at once.
const MostPairs = 5000

// RecordPairs records into which readers cards went whose list did not say (features.md
// J03, J04): all of them or none. produsenID limits it to that produsen's cards; empty is
// the office. A pair that was recorded before can be corrected until the card is in a
// living activation. What is wrong is told by row, /pairs/0 being the first: form.Faults.
func RecordPairs(ctx context.Context, tx *postgres.Tx, produsenID string, pairs []Pair, from Source, c request.Change) error {
	if err := oneClaims(ctx, tx); err != nil {
		return err
	}
	known, err := judgePairs(ctx, tx, produsenID, pairs)
	if err != nil {
		return err
	}
	cards, readers := make([]string, len(pairs)), make([]string, len(pairs))
	for i, k := range known {
		cards[i], readers[i] = *k.CardID, pairs[i].Reader
	}
	return pair(ctx, tx, cards, readers, from, c)
}

// LookAtPairs judges pairs as RecordPairs does, and returns which reader each card is
// recorded with now, in their order; nothing is recorded.
func LookAtPairs(ctx context.Context, rd postgres.Reader, produsenID string, pairs []Pair) (before []string, err error) {
	known, err := judgePairs(ctx, rd, produsenID, pairs)
	for _, k := range known {
		before = append(before, k.Before)
	}
	return before, err
}

// knownPair is what the office knows of a card and a reader that are said to be a pair.
type knownPair struct {
	CardID *string `db:"card_id"`
	Listed string  `db:"listed"`
	Before string  `db:"before"` // the reader that the card is with now
	Busy   bool    `db:"busy"`
	Taken  bool    `db:"taken"`
	// Reported lost or stolen; by whom is none of the produsen's.
	CardMissing   bool `db:"card_missing"`
	ReaderMissing bool `db:"reader_missing"`
}

// judgePairs says all that is wrong with pairs as form.Faults; without any, each has a card.
func judgePairs(ctx context.Context, rd postgres.Reader, produsenID string, pairs []Pair) ([]knownPair, error) {
	var wrong form.Faults
	sams, readers := make([]string, len(pairs)), make([]string, len(pairs))
	seen := map[string]int{}
	for i, p := range pairs {
		sams[i], readers[i] = p.SAM, p.Reader
		for _, one := range []struct{ field, serial string }{{"sam_serial", p.SAM}, {"reader_serial", p.Reader}} {
			field, key := one.field, one.field+one.serial
			if first, twice := seen[key]; twice {
				wrong.Add(fmt.Sprintf("/pairs/%d/%s", i, field), "repeated", "Nomor seri ini sudah ada pada baris %d.", first+1)
			}
			seen[key] = i
		}
	}
	var known []knownPair
	if err := rd.Select(ctx, &known, `
		SELECT c.id AS card_id, coalesce(l.reader_serial, '') AS listed, coalesce(b.reader_serial, l.reader_serial, '') AS before,
		       EXISTS (SELECT FROM activation a WHERE a.card_id = c.id AND a.state IN `+living+`) AS busy,
		       EXISTS (SELECT FROM activation a WHERE a.reader_serial = k.reader AND a.state IN `+living+`)
		       OR EXISTS (SELECT FROM reader_pairing p WHERE p.reader_serial = k.reader AND p.card_id IS DISTINCT FROM c.id)
		       OR EXISTS (SELECT FROM live_reader r WHERE r.reader_serial = k.reader AND r.card_id IS DISTINCT FROM c.id)
		       OR EXISTS (SELECT FROM register_standing r WHERE r.reader_serial = k.reader) AS taken,
		       EXISTS (SELECT FROM activation m WHERE m.card_id = c.id AND `+missing+`) AS card_missing,
		       EXISTS (SELECT FROM activation m WHERE m.reader_serial = k.reader AND `+missing+`) AS reader_missing
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (sam, reader, n)
		LEFT JOIN card c ON c.serial = k.sam AND c.state <> 'reduced'
		     AND EXISTS (SELECT FROM request r WHERE r.id = c.request_id AND r.kind = 'reader' AND ($3 = '' OR r.institution_id::text = $3))
		LEFT JOIN listed_card l ON l.id = c.id LEFT JOIN reader_pairing b ON b.card_id = c.id ORDER BY k.n`, pq.Array(sams), pq.Array(readers), produsenID); err != nil {
		return nil, fmt.Errorf("activation: cards of pairs: %w", err)
	}
	for i, k := range known {
		at := func(field string) string { return fmt.Sprintf("/pairs/%d/%s", i, field) }
		switch {
		case k.CardID == nil:
			wrong.Add(at("sam_serial"), "unknown_value", "Kartu SAM %s tidak tercatat sebagai kartu Anda untuk KTP-el Reader.", sams[i])
			continue
		case k.Listed != "" && k.Listed != readers[i]:
			wrong.Add(at("sam_serial"), "other_pair", "Daftar kartu sudah menyebut reader lain untuk kartu SAM %s.", sams[i])
		case k.Busy:
			wrong.Add(at("sam_serial"), "active_elsewhere", "Kartu SAM %s sudah aktif atau sedang diproses; pasangannya diganti dengan “Ganti reader”.", sams[i])
		}
		if k.CardMissing {
			wrong.Add(at("sam_serial"), codeNotUsable, notUsable, "Kartu SAM", sams[i])
		}
		switch {
		case k.ReaderMissing:
			wrong.Add(at("reader_serial"), codeNotUsable, notUsable, "Reader", readers[i])
		case k.Taken:
			wrong.Add(at("reader_serial"), "used", "Reader %s sudah tercatat dengan kartu SAM lain.", readers[i])
		}
	}
	return known, wrong.Err()
}

func pair(ctx context.Context, tx *postgres.Tx, cards, readers []string, from Source, c request.Change) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO reader_pairing (card_id, reader_serial, told_by, told_at, source)
		SELECT p.card, p.reader, $3, $4, $5 FROM unnest($1::uuid[], $2::text[]) AS p (card, reader)
		ON CONFLICT (card_id) DO UPDATE SET reader_serial = excluded.reader_serial, told_by = excluded.told_by, told_at = excluded.told_at, source = excluded.source`,
		pq.Array(cards), pq.Array(readers), c.Actor.Name, c.OfficeAt.UTC(), string(from)); err != nil {
		return fmt.Errorf("activation: pairing: %w", err)
	}
	return nil
}

// VerbPair is what the recording of pairs is called where somebody may not do it.
const VerbPair machine.Verb = "pair"

// MayPair says whether a role records pairs: the produsen those of its own cards. The
// error is a *machine.RoleError.
func MayPair(role machine.Role) error {
	if role != request.Produsen && role != request.Operator {
		return &machine.RoleError{Machine: Machine.Name, Verb: VerbPair, Role: role}
	}
	return nil
}
