package perso

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/perso/recipe"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/register"
)

// Kinds of number, as in the tables number_counter and card_number.
const (
	kindPCID     = "pcid"
	kindManifest = "manifest"
)

// pair are the two numbers of a card.
type pair struct{ pcid, manifest string }

// give takes the next two numbers for each of the cards, by the templates in force,
// in the cards' own transaction: they are never given again, whatever becomes of the
// cards. label is the edition of the templates. Errors: recipe.ErrNone,
// numbers.ErrTemplate.
func give(ctx context.Context, tx *postgres.Tx, cardIDs []string, year int) (given []pair, label string, err error) {
	templates, edition, err := recipe.NumbersInForce(ctx, tx)
	if err != nil {
		return nil, "", err
	}
	given = make([]pair, len(cardIDs))
	pcids, err := allocate(ctx, tx, kindPCID, cardIDs, func(epoch int, counter int64) (string, error) {
		return templates.FillPCID(year, epoch, counter)
	})
	if err != nil {
		return nil, "", err
	}
	manifests, err := allocate(ctx, tx, kindManifest, cardIDs, func(epoch int, counter int64) (string, error) {
		return templates.FillManifest(year, epoch, counter)
	})
	if err != nil {
		return nil, "", err
	}
	for i := range given {
		given[i] = pair{pcids[i], manifests[i]}
	}
	return given, edition.Label(), nil
}

// mostAtOnce bounds how many numbers are looked up at a time.
const mostAtOnce = 8192

// allocate takes the next numbers of a kind. Numbers that the old register has, or
// that came to a card in another way, are passed over: the register may hold a whole
// former series, so more and more are asked for at a time.
func allocate(ctx context.Context, tx *postgres.Tx, kind string, cardIDs []string, fill func(epoch int, counter int64) (string, error)) ([]string, error) {
	var next struct {
		Epoch   int   `db:"epoch"`
		Counter int64 `db:"counter"`
	}
	n := len(cardIDs)
	if err := tx.Get(ctx, &next, `
		UPDATE number_counter SET next = next + $2, epoch = `+presentEpoch+`, timeline = wal_timeline()
		WHERE kind = $1 RETURNING epoch, next - $2 AS counter`, kind, n); err != nil {
		return nil, fmt.Errorf("perso: counter %s: %w", kind, err)
	}
	free, at := make([]string, 0, n), next.Counter
	for size := n; len(free) < n; size = min(max(64, 2*size), mostAtOnce) {
		var values []string
		var full error
		for i := range size {
			var value string
			if value, full = fill(next.Epoch, at+int64(i)); full != nil {
				break // of use as far as it goes
			}
			values = append(values, value)
		}
		if len(values) == 0 {
			return nil, full
		}
		known, err := taken(ctx, tx, kind, values)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if at++; !known[value] {
				free = append(free, value)
			}
			if len(free) == n {
				break
			}
		}
	}
	if at > next.Counter+int64(n) {
		if err := tx.ExecOne(ctx, `UPDATE number_counter SET next = $2 WHERE kind = $1`, kind, at); err != nil {
			return nil, fmt.Errorf("perso: counter %s: %w", kind, err)
		}
	}
	return free, keep(ctx, tx, kind, free, cardIDs)
}

// keep writes down for ever that the cards were given these numbers.
func keep(ctx context.Context, tx *postgres.Tx, kind string, values, cardIDs []string) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO card_number (kind, value, card_id) SELECT $1, v.value, v.card_id FROM unnest($2::text[], $3::uuid[]) AS v (value, card_id)`,
		kind, pq.Array(values), pq.Array(cardIDs)); err != nil {
		return fmt.Errorf("perso: numbers %s: %w", kind, err)
	}
	return nil
}

// registered is the register's name of a kind of number.
var registered = map[string]register.Field{kindPCID: register.PCID, kindManifest: register.ManifestNo}

// taken returns which of the values were given already: before day one, or to any
// card since, burnt ones among them.
func taken(ctx context.Context, r postgres.Reader, kind string, values []string) (map[string]bool, error) {
	known, err := register.Known(ctx, r, registered[kind], values)
	if err != nil {
		return nil, err
	}
	upper := make([]string, len(values))
	for i, v := range values {
		upper[i] = strings.ToUpper(v)
	}
	var given []string
	if err := r.Select(ctx, &given, `SELECT upper(value) FROM card_number WHERE kind = $1 AND upper(value) = ANY ($2)`, kind, pq.Array(upper)); err != nil {
		return nil, fmt.Errorf("perso: numbers given: %w", err)
	}
	found := make(map[string]bool, len(given))
	for _, v := range given {
		found[v] = true
	}
	for i, v := range values {
		if found[upper[i]] {
			known[v] = true
		}
	}
	return known, nil
}

// unnumbered makes the absence of templates a refusal of the card.
func unnumbered(err error, c Card) error {
	if errors.Is(err, recipe.ErrNone) {
		return &Refusal{Why: NoNumbers, CardID: c.ID}
	}
	return err
}

// presentEpoch is a counter's epoch on the present timeline of the database: one
// more for each timeline since the counter was last used.
const presentEpoch = `(epoch + CASE WHEN timeline = wal_timeline() THEN 0 ELSE greatest(wal_timeline() - timeline, 1) END)`

// Epoch is the epoch of the numbers that are given now, the highest of the
// kinds.
func Epoch(ctx context.Context, r postgres.Reader) (epoch int, err error) {
	if err := r.Get(ctx, &epoch, `SELECT coalesce(max(`+presentEpoch+`), 0) FROM number_counter`); err != nil {
		return 0, fmt.Errorf("perso: epoch: %w", err)
	}
	return epoch, nil
}
