package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dukcapil.go.id/sifilma/pkg/journal"
	"dukcapil.go.id/sifilma/test/virtualsam/card"
	"dukcapil.go.id/sifilma/test/virtualsam/control"
	"dukcapil.go.id/sifilma/test/virtualsam/writelog"
)

const secured = "0F"

// cards: what the chips say of themselves and what the books say of them agree.
func (j *judging) cards(ctx context.Context) error {
	for _, f := range writelog.Judge(j.lines) {
		j.doubled("chip %s (%s) pada %s: %s", f.Line.Chip, f.Line.Serial, f.Line.Step, f.Reason)
	}
	var rows []struct {
		Serial   string `db:"serial"`
		State    string `db:"state"`
		ChipID   string `db:"chip_id"`
		Attempts string `db:"attempts"`
		PCID     string `db:"pcid"`
		Manifest string `db:"manifest"`
	}
	if err := j.db.Select(ctx, &rows, `SELECT serial, state, coalesce(chip_id, '') AS chip_id,
		coalesce((SELECT string_agg(replace(a.id::text, '-', ''), ' ') FROM perso_attempt a WHERE a.card_id = c.id), '') AS attempts,
		coalesce((SELECT min(value) FROM card_number n WHERE n.card_id = c.id AND n.kind = 'pcid'), '') AS pcid,
		coalesce((SELECT min(value) FROM card_number n WHERE n.card_id = c.id AND n.kind = 'manifest'), '') AS manifest
		FROM card c`); err != nil {
		return err
	}
	chips := map[string]control.Chip{}
	twins := map[string][]control.Chip{} // with the same printed serial
	for _, c := range j.chips {
		twins[c.Serial] = append(twins[c.Serial], c)
	}
	for _, r := range rows {
		for _, c := range twins[r.Serial] {
			other, have := chips[r.Serial]
			switch {
			case !have:
				chips[r.Serial] = c
			case strings.EqualFold(r.ChipID, c.ChipID):
				chips[r.Serial], c = c, other
				fallthrough
			default:
				if c.Marker != "" && !j.restored.chip(c.ChipID) {
					j.doubled("kartu %s: chip %s ditulisi, dan chip %s pula", r.Serial, chips[r.Serial].ChipID, c.ChipID)
				}
			}
		}
		delete(twins, r.Serial)
	}
	pcid := map[string]string{} // digest of what the chip took, by its id
	for _, l := range j.lines {
		if l.Step == card.StepPCID && l.Accepted() {
			pcid[l.Chip] = l.Digest
		}
	}
	for _, r := range rows {
		chip, made := chips[r.Serial]
		switch {
		case r.State == "clear" && (!made || chip.LifeCycle != secured):
			j.lost("kartu %s tercatat jadi, chipnya %q", r.Serial, chip.LifeCycle)
		case r.State == "failed" && made && j.restored.chip(chip.ChipID):
		case r.State != "clear" && made && chip.LifeCycle == secured && !(r.ChipID == "" && j.restored.chip(chip.ChipID)):
			j.lost("kartu %s SECURED, tercatat %s", r.Serial, r.State)
		case r.State != "clear":
		case !strings.EqualFold(r.ChipID, chip.ChipID):
			j.doubled("kartu %s: chip %s tercatat, %s ada", r.Serial, r.ChipID, chip.ChipID)
		case !strings.Contains(r.Attempts, strings.ToLower(chip.Marker)) || chip.Marker == "":
			j.lost("kartu %s: penanda %q bukan upaya yang tercatat", r.Serial, chip.Marker)
		case chip.Manifest != r.Manifest:
			j.doubled("kartu %s: manifest %q tercatat, %q pada chip", r.Serial, r.Manifest, chip.Manifest)
		case pcid[chip.ChipID] != digest(r.PCID):
			j.doubled("kartu %s: PCID pada chip bukan %s", r.Serial, r.PCID)
		}
	}
	for serial, unknown := range twins {
		if slices.ContainsFunc(unknown, func(c control.Chip) bool { return c.Marker != "" && !j.restored.chip(c.ChipID) }) {
			j.lost("chip %s ditulisi dan tidak tercatat", serial)
		}
	}
	return nil
}

// digest is the write log's, of a number as the card holds it: what is
// hexadecimal throughout is bytes there.
func digest(number string) string {
	raw, err := hex.DecodeString(number)
	if err != nil {
		raw = []byte(number)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// numbers: each that a chip ever took is the one that the books give its card,
// and nobody else's.
func (j *judging) numbers(ctx context.Context) error {
	var rows []struct {
		Serial string `db:"serial"`
		Kind   string `db:"kind"`
		Value  string `db:"value"`
	}
	if err := j.db.Select(ctx, &rows, `SELECT l.serial, n.kind, n.value FROM card_number n JOIN listed_card l ON l.id = n.card_id
		UNION ALL SELECT c.serial, 'marker', replace(a.id::text, '-', '') FROM perso_attempt a JOIN card c ON c.id = a.card_id`); err != nil {
		return err
	}
	type number struct{ kind, digest string }
	owners := map[number]string{}
	for _, r := range rows {
		n := number{r.Kind, digest(r.Value)}
		if other, ok := owners[n]; ok {
			j.doubled("%s %s diberikan kepada kartu %s dan %s", r.Kind, r.Value, other, r.Serial)
		}
		owners[n] = r.Serial
	}
	kinds := map[card.Step]string{card.StepPCID: "pcid", card.StepManifest: "manifest", card.StepMarker: "marker"}
	for _, l := range j.lines {
		kind, ok := kinds[l.Step]
		if !ok || !l.Accepted() {
			continue
		}
		switch owner, known := owners[number{kind, l.Digest}]; {
		case !known && j.restored.chip(l.Chip):
		case !known:
			j.lost("chip %s menerima %s yang tidak tercatat", l.Serial, kind)
		case owner != l.Serial:
			j.doubled("chip %s menerima %s milik kartu %s", l.Serial, kind, owner)
		}
	}
	return nil
}

// journals: before a chip took its first write, the intent was on the disk of a
// station, where no loss of the database reaches it.
func (j *judging) journals(context.Context) error {
	paths, err := filepath.Glob(filepath.Join(j.dir, "station*", "journal.jsonl"))
	if err != nil {
		return err
	}
	begun := map[string]bool{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := journal.Verify(bytes.NewReader(body)); err != nil {
			j.lost("jurnal %s: %v", path, err)
		}
		for line := range bytes.Lines(body) {
			var e struct {
				Kind    string `json:"kind"`
				Attempt string `json:"attempt"`
			}
			if err := json.Unmarshal(line, &e); err != nil {
				j.lost("jurnal %s: %v", path, err)
				continue
			}
			if e.Kind == "intent" || e.Kind == "resumed" {
				begun[digest(strings.ReplaceAll(e.Attempt, "-", ""))] = true
			}
		}
	}
	for _, l := range j.lines {
		if l.Step == card.StepMarker && l.Accepted() && !begun[l.Digest] {
			j.lost("chip %s ditulisi tanpa niat dalam jurnal", l.Serial)
		}
	}
	return nil
}

// orders: no day over its capacity, every order settled to the last card.
func (j *judging) orders(ctx context.Context) error {
	var days []struct {
		Day   string `db:"day"`
		Made  int    `db:"made"`
		Limit int    `db:"capacity"`
	}
	if err := j.db.Select(ctx, &days, `SELECT o.day::text AS day, count(*) AS made, min(d.capacity) AS capacity
		FROM card c JOIN work_order o ON o.id = c.work_order_id JOIN capacity_day d ON d.day = o.day
		WHERE c.state = 'clear' GROUP BY o.day`); err != nil {
		return err
	}
	for _, d := range days {
		if d.Made > d.Limit {
			j.doubled("%d kartu pada %s, kapasitas %d", d.Made, d.Day, d.Limit)
		}
	}
	var over int
	if err := j.db.Get(ctx, &over, `SELECT count(*) FROM work_order o WHERE o.quantity - o.remaining <
		(SELECT count(*) FROM card c WHERE c.work_order_id = o.id AND c.state = 'clear')`); err != nil {
		return err
	}
	if over != 0 {
		j.doubled("%d perintah kerja dengan lebih banyak kartu jadi daripada yang dihitung", over)
	}
	return nil
}
