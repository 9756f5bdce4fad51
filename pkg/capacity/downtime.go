package capacity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/terbilang"
)

// Downtime is a span of days on which a station stands still, both ends included.
type Downtime struct {
	ID      string     `db:"id" json:"id"`
	Station string     `db:"station" json:"station"`
	From    clock.Date `db:"from_day" json:"from"`
	To      clock.Date `db:"to_day" json:"to"`
	Cards   int        `db:"cards" json:"cards"` // that each of the days has less
	Reason  string     `db:"reason" json:"reason"`
	Version int64      `db:"version" json:"version"`
}

const selectDowntime = `SELECT id, station, from_day, to_day, cards, reason, version FROM station_downtime `

// Text says it in Indonesian, for the office.
func (d Downtime) Text() string { return "stasiun " + d.Station + d.stops() }

// stops says when, and how many cards the days have less.
func (d Downtime) stops() string {
	span := terbilang.FormatDate(d.From)
	if d.To != d.From {
		span += " sampai " + terbilang.FormatDate(d.To)
	}
	return fmt.Sprintf(" berhenti %s, %s kartu per hari berkurang", span, terbilang.FormatInt(int64(d.Cards)))
}

// downtimeWords say what was done to a downtime; for eyes outside they do not say of
// which station.
func downtimeWords(c DayChange, outside bool) (string, error) {
	text, end := c.After, ""
	if text == nil {
		text, end = c.Before, ": dibatalkan"
	}
	var d Downtime
	if err := json.Unmarshal([]byte(*text), &d); err != nil {
		return "", fmt.Errorf("capacity: change %s: %w", c.ID, err)
	}
	if outside {
		return "satu stasiun" + d.stops() + end, nil
	}
	return d.Text() + end, nil
}

// Downtimes lists those that touch the days from..to, by their begin.
func Downtimes(ctx context.Context, rd postgres.Reader, from, to clock.Date) ([]Downtime, error) {
	list := []Downtime{}
	if err := rd.Select(ctx, &list, selectDowntime+`WHERE to_day >= $1 AND from_day <= $2 ORDER BY from_day, id`, from, to); err != nil {
		return nil, fmt.Errorf("capacity: reading downtimes: %w", err)
	}
	return list, nil
}

// GetDowntime reads one. Error: ErrNoEntry.
func GetDowntime(ctx context.Context, rd postgres.Reader, id string) (d Downtime, err error) {
	err = rd.Get(ctx, &d, selectDowntime+`WHERE id = $1`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return d, ErrNoEntry
	}
	if err != nil {
		return d, fmt.Errorf("capacity: reading downtime: %w", err)
	}
	return d, nil
}

const (
	longestStation  = 80
	longestDowntime = 366 // days
)

func (d *Downtime) check(w *Why) error {
	var faults form.Faults
	faults.Need("/station", "Stasiun", &d.Station, longestStation)
	if d.Version == 0 { // an old one may have begun
		dayAhead(&faults, "/from", d.From, w.today())
	}
	switch dayAhead(&faults, "/to", d.To, w.today()); {
	case d.From.IsZero() || d.To.IsZero():
	case d.To.Before(d.From):
		faults.Add("/to", "out_of_range", "Hari terakhir tidak boleh sebelum hari pertama.")
	case d.From.DaysUntil(d.To) >= longestDowntime:
		faults.Add("/to", "out_of_range", "Henti stasiun paling lama satu tahun.")
	}
	if d.Cards < 1 || d.Cards > mostCards {
		faults.Add("/cards", "out_of_range", "Isi berapa kartu per hari yang tidak dapat dikerjakan, paling sedikit 1.")
	}
	err := together(errors.Join(faults.Err(), w.check()))
	d.Reason = w.Reason
	return err
}

// AddDowntime records that a station will stand still. What is planned on those
// days moves on; what is released stays. Errors: form.Faults.
func AddDowntime(ctx context.Context, tx *postgres.Tx, d Downtime, w Why) (Downtime, error) {
	d.Version = 0
	if err := d.check(&w); err != nil {
		return d, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, fmt.Errorf("capacity: id: %w", err)
	}
	d.ID, d.Version = id.String(), 1
	if _, err := tx.Exec(ctx, `INSERT INTO station_downtime (id, station, from_day, to_day, cards, reason) VALUES ($1, $2, $3, $4, $5, $6)`,
		d.ID, d.Station, d.From, d.To, d.Cards, d.Reason); err != nil {
		return d, fmt.Errorf("capacity: recording a downtime: %w", err)
	}
	return d, w.note(ctx, tx, kindDowntime, d.From, nil, d)
}

// ChangeDowntime changes one that is not over, such as its last day, as of its
// version. Errors: ErrNoEntry, form.Faults, postgres.ErrStale.
func ChangeDowntime(ctx context.Context, tx *postgres.Tx, d Downtime, w Why) (Downtime, error) {
	before, err := lockDowntime(ctx, tx, d.ID, d.Version)
	if err != nil {
		return d, err
	}
	if d.From != before.From && d.From.Before(w.today()) {
		return d, form.One("/from", "in_past", "Hari yang sudah lewat tidak dapat diubah.")
	}
	if err := d.check(&w); err != nil {
		return d, err
	}
	if before == d {
		return d, nil
	}
	d.Version++
	if err := tx.ExecOne(ctx, `UPDATE station_downtime SET station = $2, from_day = $3, to_day = $4, cards = $5, reason = $6, version = $7 WHERE id = $1`,
		d.ID, d.Station, d.From, d.To, d.Cards, d.Reason, d.Version); err != nil {
		return d, fmt.Errorf("capacity: changing a downtime: %w", err)
	}
	return d, w.note(ctx, tx, kindDowntime, d.From, before, d)
}

// RemoveDowntime takes one back that has not begun; one that has is ended by
// changing its last day. Errors: ErrNoEntry, form.Faults, postgres.ErrStale.
func RemoveDowntime(ctx context.Context, tx *postgres.Tx, id string, version int64, w Why) error {
	if err := w.check(); err != nil {
		return err
	}
	before, err := lockDowntime(ctx, tx, id, version)
	if err != nil {
		return err
	}
	if before.From.Before(w.today()) {
		return form.One("/from", "in_past", "Henti ini sudah mulai. Ubah hari terakhirnya.")
	}
	if err := tx.ExecOne(ctx, `DELETE FROM station_downtime WHERE id = $1`, id); err != nil {
		return fmt.Errorf("capacity: removing a downtime: %w", err)
	}
	return w.note(ctx, tx, kindDowntime, before.From, before, nil)
}

func lockDowntime(ctx context.Context, tx *postgres.Tx, id string, version int64) (d Downtime, err error) {
	err = tx.Get(ctx, &d, selectDowntime+`WHERE id = $1 FOR UPDATE`, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return d, ErrNoEntry
	case err != nil:
		return d, fmt.Errorf("capacity: locking a downtime: %w", err)
	case d.Version != version:
		return d, postgres.ErrStale
	}
	return d, nil
}
