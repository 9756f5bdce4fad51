package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"

	"dukcapil.go.id/sifilma/pkg/blob"
)

// papers: numbers follow one another without a gap, files are what was stored,
// the result list names each card once.
func (j *judging) papers(ctx context.Context) error {
	var docs []struct {
		Ticket  string     `db:"ticket"`
		Request string     `db:"request_id"`
		Kind    string     `db:"kind"`
		State   string     `db:"state"`
		Number  string     `db:"number"`
		Year    int        `db:"year"`
		XLSX    *uuid.UUID `db:"xlsx_blob"`
	}
	if err := j.db.Select(ctx, &docs, `SELECT r.ticket, d.request_id, d.kind, d.state, coalesce(d.number, '') AS number,
		coalesce(extract(year FROM d.dated), 0)::int AS year, d.xlsx_blob
		FROM document d JOIN request r ON r.id = d.request_id`); err != nil {
		return err
	}
	used := map[int]map[int]string{}
	for _, d := range docs {
		if d.Kind == "result_list" && d.XLSX != nil && d.State == "issued" {
			if err := j.list(ctx, d.Ticket, d.Request, *d.XLSX); err != nil {
				return err
			}
		}
		parts := strings.Split(d.Number, "/")
		if len(parts) < 2 {
			continue
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return fmt.Errorf("nomor dokumen %q: %w", d.Number, err)
		}
		if used[d.Year] == nil {
			used[d.Year] = map[int]string{}
		}
		if other, ok := used[d.Year][n]; ok {
			j.doubled("nomor %s tahun %d pada dokumen %s dan %s", d.Number, d.Year, other, d.Ticket)
		}
		used[d.Year][n] = d.Ticket
	}
	for year, numbers := range used {
		left := j.restored.Papers // may be left out in one piece
		for n, last := 1, slices.Max(slices.Collect(maps.Keys(numbers))); n <= last; n++ {
			switch {
			case numbers[n] != "":
			case left > 0 && unused(numbers, n, left):
				n, left = n+left-1, 0
			default:
				j.lost("nomor dokumen %d tahun %d tidak dipakai", n, year)
			}
		}
	}
	return j.files(ctx)
}

// unused says whether none of count numbers from n on is on a paper.
func unused(numbers map[int]string, n, count int) bool {
	for i := range count {
		if numbers[n+i] != "" {
			return false
		}
	}
	return true
}

// list reads a result list as a produsen does.
func (j *judging) list(ctx context.Context, ticket, request string, id uuid.UUID) error {
	var cards []struct {
		Serial   string `db:"serial"`
		PCID     string `db:"pcid"`
		Manifest string `db:"manifest"`
	}
	if err := j.db.Select(ctx, &cards, `SELECT c.serial, n.value AS pcid, m.value AS manifest FROM card c
		JOIN card_number n ON n.card_id = c.id AND n.kind = 'pcid' JOIN card_number m ON m.card_id = c.id AND m.kind = 'manifest'
		WHERE c.request_id = $1 AND c.state = 'clear'`, request); err != nil {
		return err
	}
	r, _, err := blob.Open(ctx, j.db, id)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return err
	}
	book, err := excelize.OpenReader(bytes.NewReader(body))
	if err != nil {
		j.lost("daftar hasil %s tidak terbaca: %v", ticket, err)
		return nil
	}
	defer func() { _ = book.Close() }()
	text := map[string]int{}
	for _, sheet := range book.GetSheetList() {
		rows, err := book.GetRows(sheet)
		if err != nil {
			return err
		}
		for _, row := range rows {
			for _, cell := range row {
				text[cell]++
			}
		}
	}
	for _, c := range cards {
		for _, value := range []string{c.Serial, c.PCID, c.Manifest} {
			switch n := text[value]; {
			case n == 0:
				j.lost("daftar hasil %s tanpa %s kartu %s", ticket, value, c.Serial)
			case n > 1:
				j.doubled("daftar hasil %s dengan %s %d kali", ticket, value, n)
			}
		}
	}
	return nil
}

// files: each blob is whole.
func (j *judging) files(ctx context.Context) error {
	var blobs []struct {
		ID   uuid.UUID `db:"id"`
		Sum  []byte    `db:"sha256"`
		Size int64     `db:"size"`
	}
	if err := j.db.Select(ctx, &blobs, `SELECT id, sha256, size FROM blob`); err != nil {
		return err
	}
	for _, b := range blobs {
		r, _, err := blob.Open(ctx, j.db, b.ID)
		if err != nil {
			j.lost("berkas %s: %v", b.ID, err)
			continue
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r)
		_ = r.Close()
		if err != nil || n != b.Size || !bytes.Equal(sum.Sum(nil), b.Sum) {
			j.lost("berkas %s rusak: %d dari %d byte (%v)", b.ID, n, b.Size, err)
		}
	}
	return nil
}
