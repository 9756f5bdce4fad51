package perso

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"dukcapil.go.id/sifilma/pkg/audit"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/form"
	"dukcapil.go.id/sifilma/pkg/postgres"
)

// Mode is what people want of a station.
type Mode string

// Modes of a station.
const (
	Running  Mode = "running"
	Paused   Mode = "paused"   // no new card is begun; what is begun is finished, and cards are looked at
	Draining Mode = "draining" // the cards in hand are finished, and no other is spoken to
)

// ModeLabels are the words for the modes.
var ModeLabels = map[Mode]string{Running: "Bekerja", Paused: "Dijeda", Draining: "Dikosongkan"}

// Standing is the mode of a station, and whose wish it is.
type Standing struct {
	Mode   Mode       `db:"mode" json:"mode"`
	Label  string     `db:"-" json:"label"`
	By     string     `db:"mode_by" json:"by"` // as that person said it; empty while nobody ever wanted anything
	Reason string     `db:"mode_reason" json:"reason"`
	At     *time.Time `db:"mode_at" json:"at"` // office time
}

func (s Standing) labelled() Standing {
	s.Label = ModeLabels[s.Mode]
	return s
}

// StandingOf reads the mode of a station that is about to begin a card. Until that
// transaction ends nobody can change it: once Stand has returned, no card is begun
// against it. A station that was never heard of is running.
func StandingOf(ctx context.Context, tx *postgres.Tx, station string) (Standing, error) {
	s := Standing{Mode: Running}
	// KEY SHARE waits for whoever stands there FOR UPDATE, and for no beat.
	err := tx.Get(ctx, &s, `SELECT mode, mode_by, mode_reason, mode_at FROM station WHERE name = $1 FOR KEY SHARE`, station)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Standing{}, fmt.Errorf("perso: mode of station: %w", err)
	}
	return s.labelled(), nil
}

// Wish is what somebody wants of a station.
type Wish struct {
	Mode     Mode
	By       string // name of the person, who stands at the machine
	Reason   string // needed to stop it
	OfficeAt time.Time
}

// Lengths of what a Wish says, in characters.
const (
	longestName   = 100
	longestReason = 500
)

// Check says what is missing or too long, and trims the rest.
func (w *Wish) Check() form.Faults {
	var f form.Faults
	f.Need("/by", "Nama", &w.By, longestName)
	if w.Mode == Running {
		f.May("/reason", "Alasan", &w.Reason, longestReason)
	} else {
		f.Need("/reason", "Alasan", &w.Reason, longestReason)
	}
	return f
}

// Stand has a station pause, drain or go on, and keeps who wanted it. It waits for
// cards that are being begun. Wanting what is so already changes nothing.
func Stand(ctx context.Context, tx *postgres.Tx, station string, w Wish) (Standing, error) {
	if _, known := ModeLabels[w.Mode]; !known || station == "" {
		return Standing{}, fmt.Errorf("perso: no mode %q of a station %q", w.Mode, station)
	}
	if err := w.Check().Err(); err != nil {
		return Standing{}, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO station (name) VALUES ($1) ON CONFLICT (name) DO NOTHING`, station); err != nil {
		return Standing{}, fmt.Errorf("perso: station: %w", err)
	}
	var s Standing
	if err := tx.Get(ctx, &s, `SELECT mode, mode_by, mode_reason, mode_at FROM station WHERE name = $1 FOR UPDATE`, station); err != nil {
		return Standing{}, fmt.Errorf("perso: station: %w", err)
	}
	if s.Mode == w.Mode {
		return s.labelled(), nil
	}
	was, at := s.Mode, w.OfficeAt.UTC()
	s = Standing{Mode: w.Mode, By: w.By, Reason: w.Reason, At: &at}
	if err := tx.ExecOne(ctx, `UPDATE station SET mode = $2, mode_by = $3, mode_reason = $4, mode_at = $5 WHERE name = $1`,
		station, string(s.Mode), s.By, s.Reason, at); err != nil {
		return Standing{}, fmt.Errorf("perso: station: %w", err)
	}
	return s.labelled(), audit.Record(ctx, tx, audit.Entry{
		Actor: w.By, Action: "station." + string(w.Mode), Subject: station,
		Detail: map[string]any{"was": was, "reason": w.Reason, "office_at": at},
	})
}

// Beat is what a station says of itself.
type Beat struct {
	Station   string
	StartedAt time.Time
	Build     string
	Readers   int      // that are there
	InHand    []string // ids of the cards that it works on
	Alarms    []string // that stand, by their codes
}

// Put keeps a beat as the newest, and returns what people want of the station.
func (b Beat) Put(ctx context.Context, tx *postgres.Tx) (Standing, error) {
	var s Standing
	err := tx.Get(ctx, &s, `
		INSERT INTO station (name, heard_at, started_at, build, readers, in_hand, alarms)
		VALUES ($1, now(), $2, $3, $4, coalesce($5::uuid[], '{}'), coalesce($6::text[], '{}'))
		ON CONFLICT (name) DO UPDATE SET heard_at = now(), started_at = excluded.started_at, build = excluded.build,
		    readers = excluded.readers, in_hand = excluded.in_hand, alarms = excluded.alarms
		RETURNING mode, mode_by, mode_reason, mode_at`,
		b.Station, b.StartedAt.UTC(), b.Build, b.Readers, pq.Array(b.InHand), pq.Array(b.Alarms))
	if err != nil {
		return Standing{}, fmt.Errorf("perso: beat of station: %w", err)
	}
	return s.labelled(), nil
}

// StationSilence is how long a station must not have been heard of to be taken for
// silent. It beats every few seconds.
const StationSilence = 10 * time.Minute

// StationRow is a station as people see it.
type StationRow struct {
	Name string `db:"name"`
	Standing
	HeardAt   *time.Time `db:"heard_at"` // by the clock of the database; nil: never
	Silent    bool       `db:"silent"`   // for longer than the StationSilence, or always
	StartedAt *time.Time `db:"started_at"`
	Readers   int        `db:"readers"`
	InHand    int        `db:"in_hand"`
	// Waiting is for how many seconds nothing was heard, by the clock of the database.
	Waiting float64        `db:"waiting"`
	Alarms  pq.StringArray `db:"alarms"`
}

// Stations lists all stations that were ever heard of, by name.
func Stations(ctx context.Context, r postgres.Reader) ([]StationRow, error) {
	var rows []StationRow
	if err := r.Select(ctx, &rows, `
		SELECT name, mode, mode_by, mode_reason, mode_at, heard_at, started_at, readers, cardinality(in_hand) AS in_hand, alarms,
		       coalesce(extract(epoch FROM now() - heard_at), 0)::float8 AS waiting,
		       heard_at IS NULL OR heard_at <= now() - make_interval(secs => $1) AS silent
		FROM station ORDER BY name`, StationSilence.Seconds()); err != nil {
		return nil, fmt.Errorf("perso: stations: %w", err)
	}
	for i := range rows {
		rows[i].Standing = rows[i].labelled()
	}
	return rows, nil
}

// StationDay is how far a day's cards are, in cards.
type StationDay struct {
	Day      clock.Date `db:"-" json:"day"`
	Capacity int        `db:"-" json:"capacity"` // of the whole office that day
	Planned  int        `db:"planned" json:"planned"`
	// Waiting may be put in just now: of all released orders, also of days before.
	Waiting int `db:"waiting" json:"waiting"`
	// Held are those of Waiting whose lot waits for people.
	Held    int `db:"held" json:"held"`
	Clear   int `db:"clear" json:"clear"`
	Failed  int `db:"failed" json:"failed"`
	InDoubt int `db:"in_doubt" json:"in_doubt"`
	Own     int `db:"own" json:"own"` // clear ones of this station
}

// DayOf tells how far a day is, for a station. Cards count on the day of their work
// order, by what their last attempt under it came to.
func DayOf(ctx context.Context, r postgres.Reader, station string, day clock.Date) (StationDay, error) {
	d := StationDay{Day: day}
	sizes, err := capacity.Sizes(ctx, r, day, day, day)
	if err != nil {
		return d, err
	}
	if err := r.Get(ctx, &d, `
		SELECT (SELECT coalesce(sum(quantity), 0) FROM work_order WHERE day = $2 AND mode = 'station' AND state IN ('planned','released','closing','closed')) AS planned,
		       (SELECT coalesce(sum(remaining), 0) FROM work_order WHERE day <= $2 AND mode = 'station' AND state = 'released') AS waiting,
		       (SELECT coalesce(sum(remaining), 0) FROM work_order w WHERE day <= $2 AND mode = 'station' AND state = 'released'
		        AND EXISTS (SELECT FROM lot_hold h WHERE h.work_order_id = w.id AND h.lifted_by IS NULL)) AS held,
		       count(*) FILTER (WHERE a.outcome = 'clear') AS clear, count(*) FILTER (WHERE a.outcome = 'failed') AS failed,
		       count(*) FILTER (WHERE a.outcome = 'in_doubt') AS in_doubt,
		       count(*) FILTER (WHERE a.outcome = 'clear' AND a.station = $1) AS own
		FROM work_order o JOIN perso_attempt a ON a.work_order_id = o.id
		WHERE o.day = $2 AND o.mode = 'station'`, station, day); err != nil {
		return d, fmt.Errorf("perso: day of station: %w", err)
	}
	d.Capacity = sizes[day].Capacity
	return d, nil
}
