package letter

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Of returns the papers of a kind about any of the subjects, oldest first.
func Of(ctx context.Context, rd postgres.Reader, kind string, subjects []string) ([]Document, error) {
	var list []Document
	if err := rd.Select(ctx, &list, selectDocument+`WHERE kind = $1 AND subject_id = ANY ($2::uuid[]) ORDER BY id`, kind, pq.Array(subjects)); err != nil {
		return nil, fmt.Errorf("letter: of subjects: %w", err)
	}
	return list, nil
}
