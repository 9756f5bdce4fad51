package activation

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// heir is what takes the place of a line that was revoked.
type heir struct {
	of                      Activation
	reader, address, region string
}

// succeed accepts lines in the places of others that were revoked in this transaction: of
// the same letters and cards, each with the serial of a manifest of its own, those of one
// letter with one reply. It takes as many statements for many lines as for one; the letters
// are locked by the caller. verb is what they are born by. Errors: ErrReaderTaken,
// ErrReaderMissing, ErrCardNotReady.
func succeed(ctx context.Context, tx *postgres.Tx, heirs []heir, verb machine.Verb, c request.Change) ([]Activation, error) {
	step, err := Machine.Find("", verb)
	if err != nil {
		return nil, err
	}
	on := clock.DateOf(c.OfficeAt)
	letters := make([]string, len(heirs))
	for i, h := range heirs {
		letters[i] = h.of.LetterID
	}
	replies, err := openReplies(ctx, tx, slices.Compact(slices.Sorted(slices.Values(letters))), on, c)
	if err != nil {
		return nil, err
	}
	serials, err := manifestSerials(ctx, tx, on.Year, len(heirs))
	if err != nil {
		return nil, err
	}
	n := len(heirs)
	was, ids, places := make([]string, n), make([]string, n), make([]int64, n)
	readers, addresses, regions, answers := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	behind := map[string]int64{} // the last line of its letter
	for i, h := range heirs {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("activation: id: %w", err)
		}
		behind[h.of.LetterID]++
		was[i], ids[i], places[i] = h.of.ID, id.String(), behind[h.of.LetterID]
		readers[i], addresses[i], regions[i], answers[i] = h.reader, h.address, h.region, replies[h.of.LetterID]
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO activation (id, letter_id, line, state, reader_serial, sam_serial, origin_no, perso_no, pcid, machine_type, mode, address, region,
		                        card_id, disposed_on, accepted_on, reply_id, manifest_serial, replaces)
		SELECT h.id, o.letter_id, l.last + h.place, 'accepted', h.reader, o.sam_serial, o.origin_no, o.perso_no, o.pcid, o.machine_type, o.mode, h.address, h.region,
		       o.card_id, o.disposed_on, $9, h.reply, h.serial, o.id
		FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::text[])
		     AS h (was, id, place, reader, address, region, reply, serial)
		JOIN activation o ON o.id = h.was
		JOIN (SELECT letter_id, max(line) AS last FROM activation WHERE letter_id = ANY ($10::uuid[]) GROUP BY 1) l ON l.letter_id = o.letter_id`,
		pq.Array(was), pq.Array(ids), pq.Array(places), pq.Array(readers), pq.Array(addresses), pq.Array(regions), pq.Array(answers), pq.Array(serials),
		on, pq.Array(letters)); err != nil {
		return nil, known(err, string(verb))
	}
	made, err := lines(ctx, tx, `WHERE a.id = ANY ($1::uuid[]) ORDER BY a.id`, pq.Array(ids))
	if err != nil {
		return nil, err
	}
	born := slices.Clone(made)
	for i := range born {
		born[i].Version = 0 // announce tells of the version after the step
	}
	return made, announce(ctx, tx, born, slices.Repeat([]machine.Step{step}, len(born)), c, nil)
}
