package institution

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Known tells whose names are, or were before a change of name: the ids of
// institutions by the names as they were written, whatever letter case and
// punctuation. A name that is nobody's is not in it.
func Known(ctx context.Context, rd postgres.Reader, names []string) (map[string]string, error) {
	var rows []struct {
		Name string `db:"name"`
		ID   string `db:"institution_id"`
	}
	if err := rd.Select(ctx, &rows, `
		SELECT DISTINCT w.name, n.institution_id FROM unnest($1::text[]) AS w (name) JOIN institution_name n ON n.key = name_key(w.name)`,
		pq.Array(names)); err != nil {
		return nil, fmt.Errorf("institution: whose names: %w", err)
	}
	known := make(map[string]string, len(rows))
	for _, r := range rows {
		known[r.Name] = r.ID
	}
	return known, nil
}
