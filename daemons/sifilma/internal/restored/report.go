package restored

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"dukcapil.go.id/sifilma/pkg/activation"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/letter"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

func wib(t time.Time) string { return t.In(clock.Jakarta).Format("02-01-2006 15:04:05 WIB") }

// Report writes what people must look after since the restores, in Indonesian.
func Report(ctx context.Context, db *postgres.DB, out io.Writer) error {
	var all []struct {
		To          time.Time       `db:"restored_to"`
		At          time.Time       `db:"raised_at"`
		By          string          `db:"raised_by"`
		Reason      string          `db:"reason"`
		Epoch       int             `db:"epoch"`
		TicketsFrom int64           `db:"tickets_from"`
		TicketsTo   int64           `db:"tickets_to"`
		Papers      json.RawMessage `db:"papers"`
		Renumbered  json.RawMessage `db:"renumbered"`
	}
	if err := db.Select(ctx, &all, `SELECT restored_to, raised_at, raised_by, reason, epoch, tickets_from, tickets_to, papers, renumbered
		FROM restoration ORDER BY raised_at`); err != nil {
		return fmt.Errorf("restored: report: %w", err)
	}
	say := func(format string, a ...any) { _, _ = fmt.Fprintf(out, format+"\n", a...) }
	if len(all) == 0 {
		say("Basis data ini belum pernah dipulihkan.")
		return nil
	}
	for _, r := range all {
		say("Dipulihkan ke %s; dicatat %s oleh %s: %s", wib(r.To), wib(r.At), r.By, r.Reason)
		say("  Nomor kartu berlanjut pada epoch %d.", r.Epoch)
		say("  Kode Tiket nomor urut %d sampai %d dilewati. Permohonan dengan nomor itu hilang: minta produsen mengirim ulang.", r.TicketsFrom, r.TicketsTo)
		var papers []letter.Skipped
		if err := json.Unmarshal(r.Papers, &papers); err != nil {
			return fmt.Errorf("restored: report: %w", err)
		}
		for _, p := range papers {
			say("  Nomor surat %s tahun %d: urut %d sampai %d dilewati. Cocokkan dengan buku agenda: surat dengan nomor itu terbit sesudah saat pemulihan.",
				p.Template, p.Year, p.From, p.To)
		}
		var lines []activation.Renumbered
		if err := json.Unmarshal(r.Renumbered, &lines); err != nil {
			return fmt.Errorf("restored: report: %w", err)
		}
		for _, l := range lines {
			say("  Manifest %s baris %d: nomor %s diganti %s. Bila %s sempat diserahkan sesudah saat pemulihan, minta produsen memasang yang baru.", l.Ticket, l.Line, l.Was, l.Now, l.Was)
		}
	}
	if err := tellLists(ctx, db, say); err != nil {
		return err
	}
	var lost []struct {
		ID      string    `db:"id"`
		Chip    string    `db:"chip_id"`
		Station string    `db:"station"`
		Last    string    `db:"last"`
		At      time.Time `db:"at"`
		Serial  string    `db:"serial"`
		State   string    `db:"state"`
	}
	// A chip that was bound before the moment, or was seen again since, is known. Of
	// several stations that wrote by one attempt, the last has the word.
	if err := db.Select(ctx, &lost, `
		SELECT l.id, l.chip_id, l.station, l.last, l.at, coalesce(c.serial, '') AS serial, coalesce(c.state, '') AS state
		FROM (SELECT DISTINCT ON (id) * FROM lost_attempt ORDER BY id, at DESC) AS l
		LEFT JOIN card c ON c.chip_id = l.chip_id ORDER BY l.at, l.id`); err != nil {
		return fmt.Errorf("restored: report: %w", err)
	}
	say("Kartu yang ditulis sesudah saat pemulihan, menurut jurnal stasiun: %d", len(lost))
	for _, l := range lost {
		todo := "masukkan lagi ke pembaca; kartu akan dinyatakan gagal, lalu ganti dengan blangko baru"
		switch l.State {
		case "failed":
			todo = "sudah dinyatakan gagal; daftarkan blangko pengganti"
		case "reduced", "spoiled", "clear", "in_doubt":
			todo = "keadaan sekarang: " + l.State
		}
		say("  chip %s %s, %s %s, terakhir %q: %s", l.Chip, l.Serial, l.Station, wib(l.At), l.Last, todo)
	}
	return nil
}
