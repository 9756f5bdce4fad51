package judge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// issued is a paper that left the office, with what it must say.
type issued struct {
	Kind      string     `db:"kind"`
	Ticket    string     `db:"ticket"`
	Request   string     `db:"request_id"`
	Subject   string     `db:"subject_id"`
	Number    string     `db:"number"`
	Dated     clock.Date `db:"dated"`
	PDF       uuid.UUID  `db:"pdf_blob"`
	Letter    string     `db:"letter_number"` // that it answers
	Count     int        `db:"card_count"`
	Unusable  int        `db:"unusable"`
	Quantity  int        `db:"quantity"` // handed over, of a BAST
	Handovers int        `db:"handed"`   // cards listed for it
}

// texts: papers say, to a reader, what is so: the number, the quantities, and
// for a BAST each card that was handed over, once, with what its chip holds.
func (j *judging) texts(ctx context.Context) error {
	var papers []issued
	if err := j.db.Select(ctx, &papers, `SELECT d.kind, r.ticket, d.request_id, d.subject_id, d.number, d.dated, d.pdf_blob, r.letter_number, r.card_count,
		(SELECT count(*) FROM card c WHERE c.request_id = r.id AND c.state IN ('failed','spoiled')) AS unusable,
		coalesce((SELECT h.quantity FROM handover h WHERE h.id = d.subject_id), 0) AS quantity,
		(SELECT count(*) FROM handover_card x WHERE x.handover_id = d.subject_id) AS handed
		FROM document d JOIN request r ON r.id = d.request_id WHERE d.state = 'issued' AND d.kind <> 'result_list' ORDER BY d.dated, d.id`); err != nil {
		return err
	}
	for _, p := range papers {
		text, err := j.read(ctx, p.PDF)
		if err != nil {
			j.lost("%s %s tidak terbaca: %v", p.Kind, p.Ticket, err)
			continue
		}
		parts := []string{p.Number, p.Letter, p.Ticket, terbilang.FormatDate(p.Dated)}
		switch p.Kind {
		case "bast":
			parts = append(parts, "sebanyak "+keping(p.Quantity), "Jumlah: "+keping(p.Quantity))
			if p.Quantity != p.Handovers {
				j.lost("BAST %s: %d kartu, %d dalam daftar", p.Ticket, p.Quantity, p.Handovers)
			}
			if err := j.handed(ctx, p, text); err != nil {
				return err
			}
		case "reply_letter":
			parts = append(parts, "sebanyak "+keping(p.Count)+" selesai", "dari "+keping(p.Count))
		case "completion_letter":
			parts = append(parts, "sebanyak "+keping(p.Count)+" berhasil", "dan "+keping(p.Unusable)+" gagal")
		}
		for _, part := range parts {
			if !strings.Contains(text, part) {
				j.lost("%s %s tanpa %q", p.Kind, p.Ticket, part)
			}
		}
	}
	return nil
}

func keping(n int) string {
	return fmt.Sprintf("%s (%s) keping", terbilang.FormatInt(int64(n)), terbilang.Number(int64(n)))
}

// handed compares the cards in a BAST with those handed over; the manifest
// number is what the chip itself shows.
func (j *judging) handed(ctx context.Context, p issued, text string) error {
	var cards []struct {
		Serial string `db:"serial"`
		ChipID string `db:"chip_id"`
		PCID   string `db:"pcid"`
	}
	if err := j.db.Select(ctx, &cards, `SELECT c.serial, c.chip_id, n.value AS pcid FROM handover_card h JOIN card c ON c.id = h.card_id
		JOIN card_number n ON n.card_id = c.id AND n.kind = 'pcid' WHERE h.handover_id = $1`, p.Subject); err != nil {
		return err
	}
	manifest := map[string]string{}
	for _, c := range j.chips {
		manifest[strings.ToUpper(c.ChipID)] = c.Manifest
	}
	words := strings.Fields(text)
	times := map[string]int{}
	for _, w := range words {
		times[w]++
	}
	for _, c := range cards {
		for what, value := range map[string]string{"nomor seri": c.Serial, "PCID": c.PCID, "manifest": manifest[strings.ToUpper(c.ChipID)]} {
			switch n := times[value]; {
			case n == 0:
				j.lost("BAST %s tanpa %s %s", p.Ticket, what, value)
			case n > 1:
				j.doubled("BAST %s dengan %s %s %d kali", p.Ticket, what, value, n)
			}
		}
	}
	return nil
}

// read is the text of a PDF as a reader sees it, with single spaces.
func (j *judging) read(ctx context.Context, id uuid.UUID) (string, error) {
	r, _, err := blob.Open(ctx, j.db, id)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(r)
	_ = r.Close()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "pdftotext", "-layout", "-", "-")
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.Output()
	return strings.Join(strings.Fields(string(out)), " "), err
}
