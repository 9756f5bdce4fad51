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

// MostPairs bounds what RecordPairs takes at once.
const MostPairs = 5000

// RecordPairs records into which readers cards went whose list did not say (features.md
// J03, J04): all of them or none. produsenID limits it to that produsen's cards; empty is
// the office. A pair that was recorded before can be corrected until the card is in a
// living activation. What is wrong is told by row, /pairs/0 being the first: form.Faults.
func RecordPairs(ctx context.Context, tx *postgres.Tx, produsenID string, pairs []Pair, c request.Change) error {
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
	if err := oneClaims(ctx, tx); err != nil {
		return err
	}
	var known []struct {
		CardID *string `db:"card_id"`
		Listed string  `db:"listed"`
		Busy   bool    `db:"busy"`
		Taken  bool    `db:"taken"`
		// Reported lost or stolen; by whom is none of the produsen's.
		CardMissing   bool `db:"card_missing"`
		ReaderMissing bool `db:"reader_missing"`
	}
	if err := tx.Select(ctx, &known, `
		SELECT c.id AS card_id, coalesce(l.reader_serial, '') AS listed,
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
		LEFT JOIN listed_card l ON l.id = c.id ORDER BY k.n`, pq.Array(sams), pq.Array(readers), produsenID); err != nil {
		return fmt.Errorf("activation: cards of pairs: %w", err)
	}
	cards := make([]string, len(pairs))
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
		cards[i] = *k.CardID
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	return pair(ctx, tx, cards, readers, c)
}

func pair(ctx context.Context, tx *postgres.Tx, cards, readers []string, c request.Change) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO reader_pairing (card_id, reader_serial, told_by, told_at)
		SELECT p.card, p.reader, $3, $4 FROM unnest($1::uuid[], $2::text[]) AS p (card, reader)
		ON CONFLICT (card_id) DO UPDATE SET reader_serial = excluded.reader_serial, told_by = excluded.told_by, told_at = excluded.told_at`,
		pq.Array(cards), pq.Array(readers), c.Actor.Name, c.OfficeAt.UTC()); err != nil {
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
