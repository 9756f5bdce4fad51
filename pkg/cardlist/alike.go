package cardlist

import (
	"context"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrSerialAlike says that the old register has the serial number with other
// separators.
var ErrSerialAlike = errors.New("cardlist: serial number differs from an issued one only in separators")

// alike finds which of the serials ($1) and readers ($2) the old register has with
// other separators: with the same letters and digits (serial_key in the schema). Each
// is looked up in an index.
const alike = `
	SELECT a.v AS serial, '' AS reader_serial, true AS personalised, true AS alike
	FROM unnest($1::text[]) AS a (v)
	WHERE EXISTS (SELECT FROM register_standing e WHERE serial_key(e.serial) = serial_key(a.v) AND e.serial <> a.v)
	UNION ALL
	SELECT '', a.v, true, true
	FROM unnest($2::text[]) AS a (v)
	WHERE EXISTS (SELECT FROM register_standing e WHERE serial_key(e.reader_serial) = serial_key(a.v) AND e.reader_serial <> a.v)`

func alikeOnes(ctx context.Context, r postgres.Reader, serials, readers []string) (taken []Taken, err error) {
	if err := r.Select(ctx, &taken, alike, pq.Array(serials), pq.Array(readers)); err != nil {
		return nil, fmt.Errorf("cardlist: comparing serials without separators: %w", err)
	}
	return taken, nil
}
