package need

import (
	"context"
	"fmt"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Card is a row of the list of a need: a card, or the machine that it is for
// (features.md C12). Serials are normalised.
type Card struct {
	Row          int    `db:"row" json:"row"` // 1 for the first
	Serial       string `db:"serial" json:"serial"`
	ReaderSerial string `db:"reader_serial" json:"reader_serial"`
	Kind         string `db:"kind" json:"kind"`       // Jenis
	Remarks      string `db:"remarks" json:"remarks"` // Keterangan
}

// putFiles notes the files of a need's present submission, with the rows of those
// that are new.
func putFiles(ctx context.Context, tx *postgres.Tx, n Need, files []File) error {
	var kinds, blobs, names []string
	var rows []int64
	for _, f := range files {
		if len(f.Cards) > 0 {
			f.Rows = len(f.Cards)
			if err := putCards(ctx, tx, f.BlobID, f.Cards); err != nil {
				return err
			}
		}
		kinds, blobs, names, rows = append(kinds, f.Kind), append(blobs, f.BlobID), append(names, f.Name), append(rows, int64(f.Rows))
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO need_file (need_id, kind, submission, blob_id, name, rows)
		SELECT $1, f.kind, $2, f.blob_id, f.name, f.rows
		FROM unnest($3::text[], $4::uuid[], $5::text[], $6::int[]) AS f (kind, blob_id, name, rows)`,
		n.ID, n.Submission, pq.Array(kinds), pq.Array(blobs), pq.Array(names), pq.Array(rows)); err != nil {
		return fmt.Errorf("need: files: %w", err)
	}
	return nil
}

func putCards(ctx context.Context, tx *postgres.Tx, blobID string, cards []Card) error {
	var rows []int64
	var serials, readers, kinds, remarks []string
	for _, c := range cards {
		rows, serials, readers = append(rows, int64(c.Row)), append(serials, c.Serial), append(readers, c.ReaderSerial)
		kinds, remarks = append(kinds, c.Kind), append(remarks, c.Remarks)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO need_card (blob_id, row, serial, reader_serial, kind, remarks)
		SELECT $1, c.* FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[]) AS c`,
		blobID, pq.Array(rows), pq.Array(serials), pq.Array(readers), pq.Array(kinds), pq.Array(remarks)); err != nil {
		return fmt.Errorf("need: rows of the list: %w", err)
	}
	return nil
}

// Files returns the files of the newest submission.
func Files(ctx context.Context, rd postgres.Reader, n Need) ([]File, error) {
	var files []File
	err := rd.Select(ctx, &files, `
		SELECT kind, submission, blob_id, name, rows FROM need_file WHERE need_id=$1 AND submission=$2 ORDER BY kind`, n.ID, n.Submission)
	if err != nil {
		return nil, fmt.Errorf("need: files: %w", err)
	}
	return files, nil
}

// Cards returns up to limit rows of the list of a need's newest submission that
// stand behind row after, and how many there are in all: 0 where there is no list,
// or one that was never read (features.md C17).
func Cards(ctx context.Context, rd postgres.Reader, n Need, after, limit int) (cards []Card, total int, err error) {
	files, err := Files(ctx, rd, n)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range files {
		if f.Kind != FileList || f.Rows == 0 {
			continue
		}
		err := rd.Select(ctx, &cards, `
			SELECT row, serial, reader_serial, kind, remarks FROM need_card WHERE blob_id = $1 AND row > $2 ORDER BY row LIMIT $3`,
			f.BlobID, after, limit)
		if err != nil {
			return nil, 0, fmt.Errorf("need: rows of the list: %w", err)
		}
		return cards, f.Rows, nil
	}
	return nil, 0, nil
}
