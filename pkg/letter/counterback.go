package letter

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// mayGoBack says whether the counter of a template, which stands at now, can be set back
// to last: what was given stays given.
func mayGoBack(ctx context.Context, tx *postgres.Tx, template string, last, now, year int, reason string) error {
	if reason == "" {
		return fmt.Errorf("%w: %d", ErrCounterBack, now)
	}
	high, number, err := highestGiven(ctx, tx, template, year)
	if err != nil {
		return err
	}
	var skipped int
	if err := tx.Get(ctx, &skipped, `
		SELECT greatest(coalesce((SELECT max((p->>'to')::int) FROM restoration, jsonb_array_elements(papers) p WHERE p->>'template' = $1 AND (p->>'year')::int = $2), 0),
		                coalesce((SELECT max(papers_gap) FROM restoration WHERE $2 BETWEEN extract(year FROM restored_to) AND extract(year FROM raised_at) + 1), 0))`,
		template, year); err != nil {
		return fmt.Errorf("letter: numbers that were left out: %w", err)
	}
	if skipped > high {
		high, number = skipped, ""
	}
	if last < high {
		return &GivenError{Last: high, Number: number}
	}
	return nil
}

// highestGiven is the highest running number of a template on any paper of a year, void
// ones too, and the number as it stands there; 0 for none.
func highestGiven(ctx context.Context, rd postgres.Reader, template string, year int) (high int, number string, err error) {
	var all []string
	if err := rd.Select(ctx, &all, `SELECT number FROM document WHERE number IS NOT NULL AND extract(year FROM dated) = $1`, year); err != nil {
		return 0, "", fmt.Errorf("letter: numbers that were given: %w", err)
	}
	spaces := regexp.MustCompile(`\s`)
	pattern := regexp.QuoteMeta(strings.ReplaceAll(spaces.ReplaceAllString(template, ""), "{tahun}", strconv.Itoa(year)))
	like := regexp.MustCompile(`(?i)^` + strings.Replace(pattern, regexp.QuoteMeta("{urut}"), `([0-9]+)(?:\.?[A-Z])?`, 1) + `$`)
	for _, text := range all {
		m := like.FindStringSubmatch(spaces.ReplaceAllString(text, ""))
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n > high {
			high, number = n, text
		}
	}
	return high, number, nil
}
