package activation

import (
	"context"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
)

// Correct sends returned lines in again as they are now, under their numbers, and rings
// activation.submitted once. Lines that are not named stay returned. Errors: those of
// Chosen, ErrUnknownMachineType, postgres.ErrStale.
func Correct(ctx context.Context, tx *postgres.Tx, l Letter, to map[int]Line, c request.Change) error {
	if len(to) == 0 {
		return ErrNoLines
	}
	var numbers []int
	for number := range to {
		numbers = append(numbers, number)
	}
	chosen, err := Chosen(ctx, tx, l, numbers, VerbResubmit, c.Actor.Role)
	if err != nil {
		return err
	}
	cols := make([][]string, 9)
	for _, a := range chosen {
		for j, v := range to[a.Number].columns() {
			cols[j] = append(cols[j], v)
		}
	}
	args := append([]any{pq.Array(idsOf(chosen))}, arrays(cols)...)
	return take(ctx, tx, chosen, VerbResubmit, c, `submission = a.submission + 1, card_id = NULL,
		reader_serial = ($6::text[])[array_position($5::uuid[], a.id)], sam_serial = ($7::text[])[array_position($5::uuid[], a.id)],
		origin_no = ($8::text[])[array_position($5::uuid[], a.id)], perso_no = ($9::text[])[array_position($5::uuid[], a.id)],
		pcid = ($10::text[])[array_position($5::uuid[], a.id)], machine_type = ($11::text[])[array_position($5::uuid[], a.id)],
		mode = ($12::text[])[array_position($5::uuid[], a.id)], address = ($13::text[])[array_position($5::uuid[], a.id)],
		region = ($14::text[])[array_position($5::uuid[], a.id)]`, args...)
}
