package capacity

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

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
func (d Downtime) Text() string { return d.Name() + d.stops() }

// Name is the station as it is said in a sentence; people may have written the word
// themselves.
func (d Downtime) Name() string {
	if strings.HasPrefix(strings.ToLower(d.Station), "stasiun") {
		return d.Station
	}
	return "stasiun " + d.Station
}

// span says when.
func (d Downtime) span() string {
	if d.To == d.From {
		return terbilang.FormatDate(d.From)
	}
	return terbilang.FormatDate(d.From) + " sampai " + terbilang.FormatDate(d.To)
}

// stops says when, and how many cards the days have less.
func (d Downtime) stops() string {
	return fmt.Sprintf(" berhenti %s, %s kartu per hari berkurang", d.span(), terbilang.FormatInt(int64(d.Cards)))
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
		faults.Add("/cards", "out_of_range", "Isi berapa kartu per hari yang tidak dapat dikerjakan, dari 1 sampai %s.", count(mostCards))
	}
	err := together(errors.Join(faults.Err(), w.check()))
	d.Reason = w.Reason
	return err
}

// checkDays wants a hari kerja among the days, without which nothing stops.
func (d Downtime) checkDays(ctx context.Context, rd postgres.Reader) error {
	calendar, err := Calendar(ctx, rd)
	if err != nil || !calendar.OnOrAfter(d.From).After(d.To) {
		return err
	}
	return form.One("/from", "not_a_workday", "Tidak ada hari kerja di antara kedua tanggal ini; stasiun memang tidak bekerja.")
}

// station is the name by which a station is told from others, however people wrote it.
func (d Downtime) station() string {
	name := strings.Join(strings.Fields(strings.ToLower(d.Station)), " ")
	return strings.TrimPrefix(name, "stasiun ")
}

// lockDowntimes lets nobody else record a downtime until the transaction ends.
func lockDowntimes(ctx context.Context, tx *postgres.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, downtimeLock); err != nil {
		return fmt.Errorf("capacity: lock: %w", err)
	}
	return nil
}

// others are the downtimes of the same station that have a day in common with this
// one: a station stands still once.
func (d Downtime) others(ctx context.Context, rd postgres.Reader) ([]Downtime, error) {
	list, err := Downtimes(ctx, rd, d.From, d.To)
	return slices.DeleteFunc(list, func(o Downtime) bool { return o.ID == d.ID || o.station() != d.station() }), err
}

// apart refuses days on which the station stands still already.
func (d Downtime) apart(ctx context.Context, rd postgres.Reader) error {
	others, err := d.others(ctx, rd)
	if err != nil || len(others) == 0 {
		return err
	}
	o := others[0]
	name := strings.ToUpper(o.Name()[:1]) + o.Name()[1:]
	return form.One("/from", "in_use", fmt.Sprintf("%s sudah tercatat berhenti %s, %s kartu per hari. Ubah catatan itu, atau pilih hari lain.", name, o.span(), count(o.Cards)))
}

// AddDowntime records that a station will stand still. What is planned on those
// days moves on; what is released stays. One that is recorded already, with the same
// days and cards, is the one that there is; then fresh is false. Errors: form.Faults.
func AddDowntime(ctx context.Context, tx *postgres.Tx, d Downtime, w Why) (made Downtime, fresh bool, err error) {
	d.ID, d.Version = "", 0
	if err := d.check(&w); err != nil {
		return d, false, err
	}
	if err := lockDowntimes(ctx, tx); err != nil {
		return d, false, err
	}
	others, err := d.others(ctx, tx)
	if err != nil {
		return d, false, err
	}
	for _, o := range others {
		if o.From == d.From && o.To == d.To && o.Cards == d.Cards {
			return o, false, nil
		}
	}
	if err := d.apart(ctx, tx); err != nil {
		return d, false, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return d, false, fmt.Errorf("capacity: id: %w", err)
	}
	if err := d.checkDays(ctx, tx); err != nil {
		return d, false, err
	}
	d.ID, d.Version = id.String(), 1
	if _, err := tx.Exec(ctx, `INSERT INTO station_downtime (id, station, from_day, to_day, cards, reason) VALUES ($1, $2, $3, $4, $5, $6)`,
		d.ID, d.Station, d.From, d.To, d.Cards, d.Reason); err != nil {
		return d, false, fmt.Errorf("capacity: recording a downtime: %w", err)
	}
	return d, true, w.note(ctx, tx, kindDowntime, d.From, nil, d)
}

// ChangeDowntime changes one that is not over, such as its last day, as of its
// version. Errors: ErrNoEntry, form.Faults, postgres.ErrStale.
func ChangeDowntime(ctx context.Context, tx *postgres.Tx, d Downtime, w Why) (Downtime, error) {
	if err := lockDowntimes(ctx, tx); err != nil {
		return d, err
	}
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
	if began := before.From.Before(w.today()) && d.From == before.From; !began && (d.From != before.From || d.To != before.To) {
		if err := d.checkDays(ctx, tx); err != nil {
			return d, err
		}
	}
	if d.From.Before(before.From) || d.To.After(before.To) || d.station() != before.station() {
		if err := d.apart(ctx, tx); err != nil {
			return d, err
		}
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
