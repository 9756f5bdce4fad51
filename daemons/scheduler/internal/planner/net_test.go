package planner

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// deaf is a scheduler that no bell reaches: only its clock ticks.
type deaf struct {
	*persotest.Office
	t      *testing.T
	p      *Planner
	office *clock.FixedOffice
	log    bytes.Buffer
}

var monday, tuesday, wednesday = clock.DateOf(persotest.OfficeAt), clock.MustParseDate("2026-03-03"), clock.MustParseDate("2026-03-04")

// newDeaf is one in an office of ten cards a day with twenty cards of a request, five of
// them released today.
func newDeaf(t *testing.T) *deaf {
	t.Helper()
	d := &deaf{Office: persotest.New(t, 20, 5), t: t, office: clock.NewFixedOffice(persotest.OfficeAt)}
	cfg := Defaults()
	cfg.Capacity = 10
	db := d.Database.Open(t, "sifilma_scheduler")
	p, err := New(cfg, db, d.office, nil, zerolog.New(&d.log), statusOf(t))
	require.NoError(t, err)
	d.p = p
	d.tick(3)
	require.Equal(t, map[string]int{"2026-03-03": 10, "2026-03-04": 5}, d.planned())
	return d
}

func (d *deaf) tick(n int) {
	d.t.Helper()
	for range n {
		d.p.once(d.t.Context())
		require.False(d.t, d.p.failing.Load(), d.log.String())
	}
}

func (d *deaf) planned() map[string]int {
	d.t.Helper()
	var rows []struct {
		Day   clock.Date `db:"day"`
		Cards int        `db:"cards"`
	}
	require.NoError(d.t, d.DB.Select(d.t.Context(), &rows, `SELECT day, sum(quantity) AS cards FROM work_order WHERE state = 'planned' GROUP BY day`))
	days := map[string]int{}
	for _, r := range rows {
		days[r.Day.String()] = r.Cards
	}
	return days
}

func (d *deaf) cause() (cause string) {
	d.t.Helper()
	require.NoError(d.t, d.DB.Get(d.t.Context(), &cause, `SELECT cause FROM estimate WHERE request_id = $1`, d.RequestID))
	return cause
}

// take takes a step of the request, with its bell.
func (d *deaf) take(verb machine.Verb, by perso.Change) func(ctx context.Context, tx *postgres.Tx) error {
	return func(ctx context.Context, tx *postgres.Tx) error {
		r, err := request.Lock(ctx, tx, d.RequestID)
		if err != nil {
			return err
		}
		_, err = request.Take(ctx, tx, r, verb, by)
		return err
	}
}

// TestThePlanMovesWithoutBells: no bell is ever heard, and each change of what the plan
// is made of is in it two ticks later, with its cause. After that nothing is written.
func TestThePlanMovesWithoutBells(t *testing.T) {
	t.Parallel()
	why := capacity.Why{Actor: "kasubdit", Reason: "uji", OfficeAt: persotest.OfficeAt}
	usual := map[string]int{"2026-03-03": 10, "2026-03-04": 5}
	for name, c := range map[string]struct {
		change func(d *deaf) func(ctx context.Context, tx *postgres.Tx) error
		want   map[string]int
		cause  string
	}{
		"capacity": {func(*deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.Set(ctx, tx, capacity.Setting{Day: tuesday, Capacity: 4}, why)
				return err
			}
		}, map[string]int{"2026-03-03": 4, "2026-03-04": 10, "2026-03-05": 1}, "kapasitas berubah: kapasitas 3 Maret 2026 menjadi 4 kartu"},
		"holiday": {func(*deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: tuesday, Kind: workday.JointLeave, Name: "Hari uji", Decree: "SKB"}, why)
				return err
			}
		}, map[string]int{"2026-03-04": 10, "2026-03-05": 5}, "kalender berubah: 3 Maret 2026 menjadi cuti bersama (Hari uji)"},
		"holiday of a newer release": {func(*deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				return capacity.SeedHolidays(ctx, tx, []workday.Holiday{{Date: tuesday, Kind: workday.JointLeave, Name: "Hari uji", Decree: "SKB"}})
			}
		}, map[string]int{"2026-03-04": 10, "2026-03-05": 5}, "kalender berubah"},
		"downtime": {func(*deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				_, _, err := capacity.AddDowntime(ctx, tx, capacity.Downtime{Station: "DC-1", From: wednesday, To: wednesday, Cards: 8}, why)
				return err
			}
		}, map[string]int{"2026-03-03": 10, "2026-03-04": 2, "2026-03-05": 3},
			"jadwal henti stasiun berubah: satu stasiun berhenti 4 Maret 2026, 8 kartu per hari berkurang"},
		"placement": {func(d *deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: d.RequestID, Day: wednesday}, why)
				return err
			}
		}, map[string]int{"2026-03-04": 10, "2026-03-05": 5}, "penempatan kartu diatur petugas"},
		"reduction": {func(d *deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return func(ctx context.Context, tx *postgres.Tx) error {
				scan, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("pindaian"))
				if err != nil {
					return err
				}
				var off []perso.Seen
				for _, id := range d.CardIDs[:6] {
					off = append(off, perso.Seen{ID: id, Version: 1})
				}
				_, err = perso.Reduce(ctx, tx, d.RequestID, perso.Letter{Number: "1", Date: monday, Signer: "Penanda Tangan", SignerPost: "Direktur", ScanBlob: scan.ID.String()},
					off, persotest.Person("kasubdit", request.Kasubdit, "pesanan berkurang"))
				return err
			}
		}, map[string]int{"2026-03-03": 9}, "kartu permohonan ini dikurangi dengan surat"},
		"hold": {func(d *deaf) func(ctx context.Context, tx *postgres.Tx) error {
			return d.take(request.Hold, persotest.Person("kasubdit", request.Kasubdit, "uji"))
		}, map[string]int{}, ""},
		"cancellation": {func(d *deaf) func(ctx context.Context, tx *postgres.Tx) error {
			d.Must(d.t, func(ctx context.Context, tx *postgres.Tx) error { // as if it had never been approved
				if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				return tx.ExecOne(ctx, `UPDATE request SET state = 'registered'`)
			})
			return d.take(request.Cancel, persotest.Person("pic", request.Produsen, "uji"))
		}, map[string]int{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeaf(t)
			d.Must(t, c.change(d))
			d.tick(1)
			require.Equal(t, usual, d.planned(), "the bell has its chance")
			d.tick(1)
			require.Equal(t, c.want, d.planned())
			if c.cause != "" {
				require.Equal(t, c.cause, d.cause())
			}
			require.Contains(t, d.log.String(), "no bell told of it")
			var due, moves, moved int
			require.NoError(t, d.DB.Get(t.Context(), &moves, `SELECT count(*) FROM history`))
			d.tick(3)
			require.NoError(t, d.DB.Get(t.Context(), &due, `SELECT count(*) FROM plan_due`))
			require.NoError(t, d.DB.Get(t.Context(), &moved, `SELECT count(*) FROM history`))
			require.Zero(t, due)
			require.Equal(t, moves, moved)
			require.Equal(t, 1, strings.Count(d.log.String(), "no bell told of it"))
		})
	}
}

// TestARequestIsPlannedWithoutBells: one that was accepted, one that was let go on, and
// one whose failed card has a replacement.
func TestARequestIsPlannedWithoutBells(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	kasubdit := persotest.Person("kasubdit", request.Kasubdit, "uji")
	d.Must(t, d.take(request.Hold, kasubdit))
	d.tick(2)
	require.Empty(t, d.planned())
	d.Must(t, d.take(request.Release, kasubdit))
	d.tick(2)
	require.Equal(t, map[string]int{"2026-03-03": 10, "2026-03-04": 10}, d.planned())
	require.Equal(t, "permohonan ini dilanjutkan", d.cause())

	id, _ := d.Accepted(t, 3, monday)
	d.tick(1)
	d.tick(1)
	require.Equal(t, map[string]int{"2026-03-03": 10, "2026-03-04": 10, "2026-03-05": 3}, d.planned())
	var state string
	require.NoError(t, d.DB.Get(t.Context(), &state, `SELECT state FROM request WHERE id = $1`, id))
	require.Equal(t, "scheduled", state)

	d.office.Set(tuesday.At(7, 30))
	d.tick(1)
	station := perso.Change{Actor: perso.StationActor("s1"), OfficeAt: tuesday.At(8, 0)}
	var failed perso.Hand
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) (err error) {
		failed, err = perso.Claim(ctx, tx, perso.Identity{Serial: d.Serials[0], ChipID: "CHIP"},
			persotest.Place(t, d.DB, "s1"), station)
		if err != nil {
			return err
		}
		station.Reason = "menolak"
		_, err = perso.Fail(ctx, tx, failed, station)
		return err
	})
	d.tick(2)
	require.Equal(t, map[string]int{"2026-03-04": 10, "2026-03-05": 3}, d.planned())
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := perso.RegisterReplacement(ctx, tx, failed.Card.ID, "SAM00000099", persotest.Person("operator", request.Operator, "uji"))
		return err
	})
	d.tick(2)
	require.Equal(t, map[string]int{"2026-03-04": 10, "2026-03-05": 4}, d.planned())
}

// TestTheOfficeClockIsWrongForAMoment: it is years ahead, or a few days, and right
// again. The alarm is raised both times, the plan is where it was, and the next day's
// windows run.
func TestTheOfficeClockIsWrongForAMoment(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]time.Time{"years": clock.MustParseDate("2031-07-01").At(12, 0), "days": clock.MustParseDate("2026-03-06").At(12, 0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeaf(t)
			d.office.Set(wrong)
			d.tick(1)
			require.Contains(t, d.log.String(), "the office clock went far ahead")
			d.office.Set(monday.At(9, 30))
			d.tick(2)
			require.Contains(t, d.log.String(), "the office clock was set back")
			require.Equal(t, map[string]int{"2026-03-03": 10, "2026-03-04": 10}, d.planned(), "what was closed is planned again")
			d.office.Set(tuesday.At(7, 31))
			d.tick(1)
			var released int
			require.NoError(t, d.DB.Get(t.Context(), &released, `SELECT coalesce(sum(quantity), 0) FROM work_order WHERE day = $1 AND state = 'released'`, tuesday))
			require.Equal(t, 10, released)
			var runs int
			require.NoError(t, d.DB.Get(t.Context(), &runs, `SELECT count(*) FROM schedule_run WHERE job = 'release' AND window_start > $1`, monday.At(12, 0).UTC()))
			require.Equal(t, 1, runs)
		})
	}
}

// effects are what windows did to orders, and how often each order was closed.
func (d *deaf) effects() (steps []string) {
	d.t.Helper()
	require.NoError(d.t, d.DB.Select(d.t.Context(), &steps, `SELECT subject || ' ' || verb || ' ' || version FROM history WHERE machine = 'work_order' ORDER BY 1`))
	return steps
}

// TestWhatIsOpenForOvertimeIsClosedOnce: after the day's close an order is opened again,
// and then the clock is set back over that close. When it comes by once more, the
// order goes on until the next morning; and nothing else happens twice.
func TestWhatIsOpenForOvertimeIsClosedOnce(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	d.office.Set(monday.At(16, 0))
	d.tick(1)
	d.office.Set(monday.At(17, 0))
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: capacity.Reopen}, capacity.Why{Actor: "k", Reason: "lembur", OfficeAt: monday.At(17, 0)})
		return err
	})
	d.tick(1)
	before, planned := d.effects(), d.planned()
	d.office.Set(monday.At(7, 0))
	d.tick(2)
	require.Contains(t, d.log.String(), "the office clock was set back")
	for _, at := range []time.Time{monday.At(7, 30), monday.At(16, 1), monday.At(20, 0)} {
		d.office.Set(at)
		d.tick(2)
	}
	require.Equal(t, before, d.effects())
	require.Equal(t, planned, d.planned())
	d.office.Set(tuesday.At(7, 30))
	d.tick(1)
	var open int
	require.NoError(t, d.DB.Get(t.Context(), &open, `SELECT count(*) FROM work_order WHERE day = $1 AND state IN ('released','closing')`, monday))
	require.Zero(t, open)
}

// TestAClockThatWasNeverThere: a scheduler starts years behind all that was done, or its
// clock falls there. It runs, forgets and plans nothing, until the clock is set or
// people say that it is right.
func TestAClockThatWasNeverThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		started bool // before the clock is wrong
		said    bool // that it is right, though it is not
	}{"at the start": {}, "later": {started: true}, "at the start, confirmed": {said: true}, "later, confirmed": {started: true, said: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeaf(t)
			before, planned := d.effects(), d.planned()
			if !c.started {
				p, err := New(d.p.cfg, d.p.db, d.office, nil, zerolog.New(&d.log), statusOf(t))
				require.NoError(t, err)
				d.p = p
			}
			d.office.Set(empty)
			for range 3 {
				d.p.once(t.Context())
				require.True(t, d.p.failing.Load())
			}
			require.Contains(t, d.log.String(), "sifilma clock -right")
			_, err := d.p.Trusted(t.Context())
			require.ErrorContains(t, err, "set the clock")
			require.NoError(t, d.p.Hear(t.Context(), nil, nil), "another scheduler may hear it")
			require.Equal(t, before, d.effects())
			require.Equal(t, planned, d.planned())
			if c.said {
				d.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
					calendar, err := capacity.Calendar(ctx, tx)
					if err != nil {
						return err
					}
					_, err = capacity.SetBack(ctx, tx, capacity.PlanInput{Calendar: calendar, OfficeAt: empty, Cause: "uji"}, clock.DateOf(empty))
					return err
				})
				d.tick(2)
				require.Equal(t, map[string]int{"2026-03-02": 10, "2026-03-03": 10}, d.planned(), "from the disposition on: nothing of it is released any more")
				return
			}
			d.office.Set(monday.At(10, 0))
			d.tick(2)
			require.Equal(t, before, d.effects())
			require.Equal(t, planned, d.planned())
			require.NoError(t, d.p.looked.Load().doubt)
		})
	}
}

// TestTwoClocksThatDisagree: a scheduler whose clock follows its machine works only while
// the database's clock says the same, within an hour.
func TestTwoClocksThatDisagree(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	before, planned := d.effects(), d.planned()
	d.p.real = true
	for _, off := range []time.Duration{-2 * time.Hour, 2 * time.Hour, 30 * 24 * time.Hour} {
		d.office.Set(time.Now().Add(off))
		d.p.once(t.Context())
		require.True(t, d.p.failing.Load())
		_, err := d.p.Trusted(t.Context())
		require.ErrorContains(t, err, "the clock of this machine says")
		require.NoError(t, d.p.Hear(t.Context(), nil, nil), "another scheduler may hear it")
	}
	require.Equal(t, before, d.effects())
	require.Equal(t, planned, d.planned())
	d.office.Set(time.Now())
	d.tick(1)
	require.NotEqual(t, planned, d.planned(), "what was missed is planned")
}

// TestCardsOfOvertimeMayComeTheNextMorning: what was reopened ends with the release of
// the next day, which has room for its cards.
func TestCardsOfOvertimeMayComeTheNextMorning(t *testing.T) {
	t.Parallel()
	d := newDeaf(t)
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: d.RequestID, Day: wednesday, Cards: 15}, capacity.Why{Actor: "k", Reason: "uji", OfficeAt: persotest.OfficeAt})
		return err
	})
	d.tick(2)
	require.Equal(t, map[string]int{"2026-03-04": 10, "2026-03-05": 5}, d.planned())
	d.office.Set(monday.At(16, 0))
	d.tick(1)
	d.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
		_, _, err := capacity.Give(ctx, tx, capacity.Command{Verb: capacity.Reopen}, capacity.Why{Actor: "k", Reason: "lembur", OfficeAt: monday.At(17, 0)})
		return err
	})
	d.office.Set(monday.At(17, 0))
	d.tick(1)
	require.Equal(t, map[string]int{"2026-03-04": 10, "2026-03-05": 5}, d.planned())
	d.office.Set(tuesday.At(7, 30))
	d.tick(1)
	var released int
	require.NoError(t, d.DB.Get(t.Context(), &released, `SELECT coalesce(sum(quantity), 0) FROM work_order WHERE day = $1 AND state = 'released'`, tuesday))
	require.Equal(t, 5, released)
}
