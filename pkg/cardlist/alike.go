package cardlist

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrSerialAlike says that the old register has the serial number with other
// separators.
var ErrSerialAlike = errors.New("cardlist: serial number differs from an issued one only in separators")

// alike finds which of the serials ($1) and readers ($2), whose keys are $3 and $4,
// the old register has with other separators: with the same letters and digits
// (serial_key in the schema). Each is looked up in an index; the keys come from here,
// for the database takes longer over each than over its lookup.
const alike = `
	SELECT a.v AS serial, '' AS reader_serial, true AS personalised, true AS alike
	FROM unnest($1::text[], $3::text[]) AS a (v, k)
	WHERE EXISTS (SELECT FROM register_standing e WHERE serial_key(e.serial) = a.k AND e.serial <> a.v)
	UNION ALL
	SELECT '', a.v, true, true
	FROM unnest($2::text[], $4::text[]) AS a (v, k)
	WHERE EXISTS (SELECT FROM register_standing e WHERE serial_key(e.reader_serial) = a.k AND e.reader_serial <> a.v)`

// compared are the first four parameters of alike and of inUse.
func compared(serials, readers []string) []any {
	return []any{pq.Array(serials), pq.Array(readers), pq.Array(keys(serials)), pq.Array(keys(readers))}
}

// keys are serial_key of serials.
func keys(serials []string) []string {
	all := make([]string, len(serials))
	for i, serial := range serials {
		all[i] = strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z':
				return r - 'a' + 'A'
			case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
				return r
			}
			return -1
		}, serial)
	}
	return all
}

func alikeOnes(ctx context.Context, r postgres.Reader, serials, readers []string) (taken []Taken, err error) {
	if err := r.Select(ctx, &taken, alike, compared(serials, readers)...); err != nil {
		return nil, fmt.Errorf("cardlist: comparing serials without separators: %w", err)
	}
	return taken, nil
}
