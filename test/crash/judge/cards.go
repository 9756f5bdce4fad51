package judge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

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
		coalesce((SELECT value FROM card_number n WHERE n.card_id = c.id AND n.kind = 'pcid'), '') AS pcid,
		coalesce((SELECT value FROM card_number n WHERE n.card_id = c.id AND n.kind = 'manifest'), '') AS manifest
		FROM card c`); err != nil {
		return err
	}
	chips := map[string]control.Chip{}
	for _, c := range j.chips {
		chips[c.Serial] = c
	}
	pcid := map[string]string{} // digest of what the chip took
	for _, l := range j.lines {
		if l.Step == card.StepPCID && l.Accepted() {
			pcid[l.Serial] = l.Digest
		}
	}
	for _, r := range rows {
		chip, made := chips[r.Serial]
		delete(chips, r.Serial)
		switch {
		case r.State == "clear" && (!made || chip.LifeCycle != secured):
			j.lost("kartu %s tercatat jadi, chipnya %q", r.Serial, chip.LifeCycle)
		case r.State != "clear" && made && chip.LifeCycle == secured:
			j.lost("kartu %s SECURED, tercatat %s", r.Serial, r.State)
		case r.State != "clear":
		case !strings.EqualFold(r.ChipID, chip.ChipID):
			j.doubled("kartu %s: chip %s tercatat, %s ada", r.Serial, r.ChipID, chip.ChipID)
		case !strings.Contains(r.Attempts, strings.ToLower(chip.Marker)) || chip.Marker == "":
			j.lost("kartu %s: penanda %q bukan upaya yang tercatat", r.Serial, chip.Marker)
		case chip.Manifest != r.Manifest:
			j.doubled("kartu %s: manifest %q tercatat, %q pada chip", r.Serial, r.Manifest, chip.Manifest)
		case pcid[r.Serial] != digest(r.PCID):
			j.doubled("kartu %s: PCID pada chip bukan %s", r.Serial, r.PCID)
		}
	}
	for serial, c := range chips {
		if c.Marker != "" {
			j.lost("chip %s ditulisi dan tidak tercatat", serial)
		}
	}
	return nil
}

// digest is the write log's, of a PCID as the card holds it.
func digest(pcid string) string {
	raw, err := hex.DecodeString(pcid)
	if err != nil {
		raw = []byte(pcid)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// numbers: none on two cards, none given twice.
func (j *judging) numbers(ctx context.Context) error {
	owner := map[string]string{}
	for _, c := range j.chips {
		if c.Manifest == "" {
			continue
		}
		if other, ok := owner[c.Manifest]; ok {
			j.doubled("manifest %s pada chip %s dan %s", c.Manifest, other, c.Serial)
		}
		owner[c.Manifest] = c.Serial
	}
	var n int
	if err := j.db.Get(ctx, &n, `SELECT count(*) FROM (SELECT kind, value FROM card_number GROUP BY 1, 2 HAVING count(*) > 1) x`); err != nil {
		return err
	}
	if n != 0 {
		j.doubled("%d nomor kartu diberikan dua kali", n)
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
