package register

import (
	"context"
	"fmt"
)

// Likeness is a row whose serial has the letters and digits of another serial: one
// card or reader that was written in two ways, or two that are nearly confused. Both
// may stand in the register; people look at them.
type Likeness struct {
	Field Field  `db:"field"` // Serial or ReaderSerial
	Value string `db:"value"`
	Sheet string `db:"sheet"`
	Row   int    `db:"row"`

	OtherValue string `db:"other_value"`
	// Other is what has the other serial: the name of a file of the register, or the
	// Kode Tiket of a request when Live; empty when it is this file.
	Other      string `db:"other"`
	OtherSheet string `db:"other_sheet"`
	OtherRow   int    `db:"other_row"`
	Live       bool   `db:"live"`
}

// MostAlike bounds the likenesses of one kind that Compare returns.
const MostAlike = 1000

// alike finds the rows, out of those that the register does not have, that are like
// another row, an entry, or a serial of a request.
func (in *Intake) alike(ctx context.Context) (all []Likeness, err error) {
	for _, f := range []struct {
		field      Field
		key, taken string
	}{{Serial, "serial_key", "live_serial"}, {ReaderSerial, "reader_key", "live_reader"}} {
		for _, query := range []string{
			`SELECT '%[1]s' AS field, i.%[1]s AS value, i.sheet, i.row, o.%[1]s AS other_value, '' AS other, o.sheet AS other_sheet,
			        o.row AS other_row, false AS live
			 FROM (SELECT %[2]s, min(n) AS n FROM register_intake GROUP BY %[2]s HAVING count(DISTINCT %[1]s) > 1) AS first
			 JOIN register_intake o ON o.n = first.n
			 JOIN register_intake i ON i.%[2]s = first.%[2]s AND i.%[1]s <> o.%[1]s WHERE NOT i.known AND NOT i.past ORDER BY i.n LIMIT $1`,
			`SELECT '%[1]s' AS field, i.%[1]s AS value, i.sheet, i.row, e.%[1]s AS other_value, f.file AS other, e.sheet AS other_sheet,
			        e.row AS other_row, false AS live
			 FROM register_intake i JOIN register_standing e ON serial_key(e.%[1]s) = i.%[2]s AND e.%[1]s <> i.%[1]s
			 JOIN register_import f ON f.id = e.import_id WHERE NOT i.known AND NOT i.past ORDER BY i.n LIMIT $1`,
			`SELECT '%[1]s' AS field, i.%[1]s AS value, i.sheet, i.row, o.%[1]s AS other_value, r.ticket AS other, '' AS other_sheet,
			        0 AS other_row, true AS live
			 FROM register_intake i JOIN %[3]s o ON serial_key(o.%[1]s) = i.%[2]s AND o.%[1]s <> i.%[1]s
			 JOIN request r ON r.id = o.request_id WHERE NOT i.known AND NOT i.past ORDER BY i.n LIMIT $1`,
		} {
			var found []Likeness
			if err := in.tx.Select(ctx, &found, fmt.Sprintf(query, f.field, f.key, f.taken), MostAlike); err != nil {
				return nil, fmt.Errorf("register: comparing without separators: %w", err)
			}
			all = append(all, found...)
		}
	}
	return all, nil
}
