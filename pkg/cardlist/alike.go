package cardlist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// ErrSerialAlike says that the old register has the serial number with other
// separators.
var ErrSerialAlike = errors.New("cardlist: serial number differs from an issued one only in separators")

// registered finds in the old register the cards and readers that have the letters
// and digits of those asked for ($1 and $2, their keys): the numbers themselves, and
// those that differ only in separators. Each key is looked up in an index, and comes
// from here, for the database takes longer to make one than to look it up.
const registered = `
	SELECT e.serial, '' AS reader_serial, true AS personalised, true AS registered
	FROM register_standing e WHERE serial_key(e.serial) = ANY ($1)
	UNION ALL
	SELECT '', e.reader_serial, true, true
	FROM register_standing e WHERE serial_key(e.reader_serial) = ANY ($2)`

// compared are the parameters of registered.
func compared(serials, readers []string) []any {
	return []any{pq.Array(keys(serials)), pq.Array(keys(readers))}
}

func keys(serials []string) []string {
	all := make([]string, len(serials))
	for i, serial := range serials {
		all[i] = key(serial)
	}
	return all
}

// key is serial_key of the schema.
func key(serial string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return -1
	}, serial)
}

// match is a number that the database found for those that were asked for.
type match struct {
	Taken
	// Registered: it has the letters and digits of one that was asked for, and may
	// differ from it.
	Registered bool `db:"registered"`
}

// takenOf says of the matches what each of the numbers asked for meets.
func takenOf(matches []match, serials, readers []string) []Taken {
	var taken []Taken
	var cards, others map[string][]string // the numbers asked for, by key; only few lists meet the register
	for _, m := range matches {
		if !m.Registered {
			taken = append(taken, m.Taken)
			continue
		}
		if cards == nil {
			cards, others = byKey(serials), byKey(readers)
		}
		if m.ReaderSerial == "" {
			for _, serial := range cards[key(m.Serial)] {
				taken = append(taken, Taken{Serial: serial, Personalised: true, Alike: serial != m.Serial})
			}
			continue
		}
		for _, reader := range others[key(m.ReaderSerial)] {
			taken = append(taken, Taken{ReaderSerial: reader, Personalised: true, Alike: reader != m.ReaderSerial})
		}
	}
	return taken
}

func byKey(serials []string) map[string][]string {
	all := make(map[string][]string, len(serials))
	for _, serial := range serials {
		if serial != "" {
			all[key(serial)] = append(all[key(serial)], serial)
		}
	}
	return all
}

// alikeOnes returns which of the numbers the old register has with other separators,
// and not as they are.
func alikeOnes(ctx context.Context, r postgres.Reader, serials, readers []string) ([]Taken, error) {
	var matches []match
	if err := r.Select(ctx, &matches, registered, compared(serials, readers)...); err != nil {
		return nil, fmt.Errorf("cardlist: comparing serials without separators: %w", err)
	}
	taken := takenOf(matches, serials, readers)
	exact := map[Taken]bool{}
	for _, t := range taken {
		exact[t] = !t.Alike
	}
	return slices.DeleteFunc(taken, func(t Taken) bool {
		t.Alike = false
		return exact[t]
	}), nil
}
