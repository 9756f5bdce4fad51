package perso_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/capacity"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/workday"
)

// planned is an office in which anything may happen, in any order.
type planned struct {
	*persotest.Office
	t        *testing.T
	rng      *rand.Rand
	now      time.Time
	requests []string
	inHand   []perso.Hand
	log      []string
}

func (p *planned) input(ctx context.Context, rd postgres.Reader) (capacity.PlanInput, error) {
	calendar, err := capacity.Calendar(ctx, rd)
	return capacity.PlanInput{Calendar: calendar, OfficeAt: p.now, Cause: "uji"}, err
}

func (p *planned) replan() (done capacity.Changes) {
	p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := p.input(ctx, tx)
		if err != nil {
			return err
		}
		done, err = capacity.Replan(ctx, tx, in)
		return err
	})
	return done
}

func (p *planned) why() capacity.Why {
	return capacity.Why{Actor: "kasubdit", Reason: "uji", OfficeAt: p.now}
}

func (p *planned) ahead() clock.Date { return clock.DateOf(p.now).AddDays(1 + p.rng.IntN(12)) }

func (p *planned) someone() string { return p.requests[p.rng.IntN(len(p.requests))] }

// try does what people may do; what they are told they cannot do is no fault.
func (p *planned) try(do func(ctx context.Context, tx *postgres.Tx) error) {
	err := p.DB.InTx(p.t.Context(), do)
	if postgres.IsCheck(err, "") || postgres.IsExclusion(err, "") {
		require.NoError(p.t, err, "%v", p.log)
	}
}

// events are all that may happen, but the passing of days.
func (p *planned) events() map[string]func() {
	return map[string]func(){
		"accepted": func() {
			id, _ := p.Accepted(p.t, 1+p.rng.IntN(14), clock.DateOf(p.now).AddDays(-p.rng.IntN(5)))
			p.requests = append(p.requests, id)
			p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) error {
				in, err := p.input(ctx, tx)
				if err != nil {
					return err
				}
				_, _, err = capacity.Extend(ctx, tx, in, []string{id})
				return err
			})
		},
		"capacity": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				day := p.ahead()
				have, err := capacity.GetSetting(ctx, tx, day)
				if err != nil && !errors.Is(err, capacity.ErrNoEntry) {
					return err
				}
				_, err = capacity.Set(ctx, tx, capacity.Setting{Day: day, Capacity: p.rng.IntN(20), Version: have.Version}, p.why())
				return err
			})
		},
		"holiday": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.AddHoliday(ctx, tx, workday.Holiday{Date: p.ahead(), Kind: workday.JointLeave, Name: "x", Decree: "x"}, p.why())
				return err
			})
		},
		"downtime": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				from := p.ahead()
				_, _, err := capacity.AddDowntime(ctx, tx, capacity.Downtime{Station: "DC-1", From: from, To: from.AddDays(p.rng.IntN(4)), Cards: 1 + p.rng.IntN(8)}, p.why())
				return err
			})
		},
		"placement": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.Place(ctx, tx, capacity.Placement{RequestID: p.someone(), Pin: p.rng.IntN(2) == 0, Day: p.ahead(), Cards: p.rng.IntN(6)}, p.why())
				return err
			})
		},
		"unplaced": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				list, err := capacity.Placements(ctx, tx, p.someone())
				if err != nil || len(list) == 0 {
					return err
				}
				_, err = capacity.Unplace(ctx, tx, list[0].ID, list[0].Version, p.why())
				return err
			})
		},
		"held or let go": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				r, err := request.Lock(ctx, tx, p.someone())
				if err != nil {
					return err
				}
				verb := request.Hold
				if r.State == request.Held {
					verb = request.Release
				}
				if _, err := request.Take(ctx, tx, r, verb, persotest.Person("kasubdit", request.Kasubdit, "uji")); err != nil {
					return err
				}
				if verb == request.Release {
					return nil
				}
				return capacity.RevokeRequest(ctx, tx, r.ID, p.now)
			})
		},
		"card": func() { p.card() },
		"replacement": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				var failed []string
				if err := tx.Select(ctx, &failed, `SELECT c.id FROM card c WHERE c.state = 'failed'
					AND NOT EXISTS (SELECT FROM listed_card n WHERE n.replaces = c.id) ORDER BY c.id LIMIT 1`); err != nil || len(failed) == 0 {
					return err
				}
				_, err := perso.RegisterReplacement(ctx, tx, failed[0], fmt.Sprintf("SAM9%07d", p.rng.IntN(9_999_999)), persotest.Person("operator", request.Operator, "uji"))
				return err
			})
		},
		"reduced": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				var cards []struct {
					ID        string `db:"id"`
					RequestID string `db:"request_id"`
					Version   int64  `db:"version"`
				}
				if err := tx.Select(ctx, &cards, `SELECT id, request_id, version FROM card WHERE state IN ('listed','failed') ORDER BY id LIMIT 1`); err != nil || len(cards) == 0 {
					return err
				}
				scan, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("pindaian"))
				if err != nil {
					return err
				}
				letter := perso.Letter{Number: "S/1", Date: clock.MustParseDate("2026-03-01"), Signer: "Penanda Tangan", SignerPost: "Direktur", ScanBlob: scan.ID.String()}
				change := persotest.Person("kasubdit", request.Kasubdit, "uji")
				if _, err := perso.Reduce(ctx, tx, cards[0].RequestID, letter, []perso.Seen{{ID: cards[0].ID, Version: cards[0].Version}}, change); err != nil {
					return err
				}
				return capacity.Shrink(ctx, tx, cards[0].RequestID, p.now) // as its bell has it
			})
		},
		"command": func() {
			p.try(func(ctx context.Context, tx *postgres.Tx) error {
				whose := p.someone()
				c := capacity.Command{Verb: []capacity.CommandVerb{capacity.ReleaseNow, capacity.CloseEarly, capacity.Reopen}[p.rng.IntN(3)], RequestID: &whose}
				_, _, err := capacity.Give(ctx, tx, c, p.why())
				return err
			})
			p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) error {
				in, err := p.input(ctx, tx)
				if err != nil {
					return err
				}
				_, err = capacity.Obey(ctx, tx, in)
				return err
			})
		},
	}
}

// card takes a card that waits through the station's hands, or ends one that a hand
// holds.
func (p *planned) card() {
	station := perso.Change{Actor: perso.StationActor("perso-uji"), OfficeAt: p.now}
	if len(p.inHand) > 0 && p.rng.IntN(2) == 0 {
		h := p.inHand[0]
		p.inHand = p.inHand[1:]
		p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) (err error) {
			switch p.rng.IntN(4) {
			case 0:
				_, err = perso.Fail(ctx, tx, h, perso.Change{Actor: station.Actor, OfficeAt: p.now, Reason: "uji"})
			case 1:
				_, err = perso.Doubt(ctx, tx, h, perso.Finding{Proposal: perso.DecideSpoil}, perso.Change{Actor: station.Actor, OfficeAt: p.now, Reason: "uji"})
			default:
				_, err = perso.Finish(ctx, tx, h, nil, station)
			}
			return err
		})
		return
	}
	var serials []string
	require.NoError(p.t, p.DB.Select(p.t.Context(), &serials, `SELECT serial FROM card WHERE state IN ('listed','bound','numbered') ORDER BY random() LIMIT 1`))
	if len(serials) == 0 {
		return
	}
	p.try(func(ctx context.Context, tx *postgres.Tx) error {
		h, err := perso.Claim(ctx, tx, perso.Identity{Serial: serials[0], ChipID: "CHIP-" + serials[0]},
			persotest.Place(p.t, p.DB, "perso-uji"), station)
		if err != nil {
			return err // refused: no order has room
		}
		var state string
		if err := tx.Get(ctx, &state, `SELECT state FROM work_order WHERE id = $1`, h.Attempt.WorkOrderID); err != nil {
			return err
		}
		require.Equal(p.t, "released", state, "claimed in an order that is not open")
		if h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte{1}}, station); err == nil {
			tx.OnCommit(func() { p.inHand = append(p.inHand, h) })
		}
		return err
	})
}

// nextDay closes the day, lets the night pass, and releases the next.
func (p *planned) nextDay() {
	day := clock.DateOf(p.now)
	p.now = day.At(16, 0)
	p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) error {
		end, err := capacity.CloseDays(ctx, tx, day, p.now, p.now)
		require.Zero(p.t, end.Balance.Difference, "the day does not balance: %+v", end.Balance)
		return err
	})
	p.replan()
	p.now = day.AddDays(1).At(7, 30)
	p.Must(p.t, func(ctx context.Context, tx *postgres.Tx) error {
		in, err := p.input(ctx, tx)
		if err != nil || !in.Calendar.IsWorkday(day.AddDays(1)) {
			return err
		}
		if p.rng.IntN(3) == 0 {
			return nil // the scheduler is down all day: nothing is released, and the day may be planned until its end
		}
		if _, err := tx.Exec(ctx, `INSERT INTO schedule_run (job, window_start, effects) VALUES ('release', $1, '{"released": 1}')`, p.now.UTC()); err != nil {
			return err
		}
		_, err = capacity.ReleaseDay(ctx, tx, day.AddDays(1), p.now)
		return err
	})
}

// spans is the plan that may still move.
func spans(t *testing.T, ctx context.Context, rd postgres.Reader) (list []string) {
	t.Helper()
	require.NoError(t, rd.Select(ctx, &list, `SELECT concat_ws(' ', request_id, day, slots) FROM work_order WHERE state = 'planned' ORDER BY 1`))
	return list
}

var errRolledBack = errors.New("only looked at")

// check holds what must be true whatever has happened.
func (p *planned) check() {
	p.replan()
	require.Zero(p.t, p.replan(), "a second replanning writes something after %v", p.log)
	var uncovered []string
	require.NoError(p.t, p.DB.Select(p.t.Context(), &uncovered, `
		SELECT format('%s: %s cards, %s places', r.id, line.n, o.n) FROM request r
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM card c WHERE c.request_id = r.id AND c.state IN ('listed','bound','numbered','claimed','writing','written','verified')
		    AND NOT EXISTS (SELECT FROM perso_attempt a WHERE a.card_id = c.id AND a.attempt = c.attempt AND a.counted)) line
		CROSS JOIN LATERAL (SELECT coalesce(sum(remaining), 0) AS n, bool_or(state = 'planned') AS planned FROM work_order
		    WHERE request_id = r.id AND state IN ('planned','released','closing')) o
		WHERE r.state IN ('accepted','scheduled','in_progress') AND (o.n < line.n OR o.n > line.n AND o.planned)`))
	require.Empty(p.t, uncovered, "cards without a place, or planned twice, after %v", p.log)
	var over []string
	require.NoError(p.t, p.DB.Select(p.t.Context(), &over, `
		SELECT format('%s: %s counted off and %s to come, of %s', d.day, done.n, open.n, d.capacity) FROM capacity_day d
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM perso_attempt a JOIN work_order o ON o.id = a.work_order_id WHERE o.day = d.day AND a.counted) done
		CROSS JOIN LATERAL (SELECT coalesce(sum(remaining), 0) AS n FROM work_order WHERE day = d.day AND state IN ('planned','released','closing')) open
		WHERE done.n + open.n > d.capacity`))
	require.Empty(p.t, over, "a day does more than it can, after %v", p.log)
	var covered []string
	require.NoError(p.t, p.DB.Select(p.t.Context(), &covered, `
		SELECT o.id FROM work_order o WHERE o.state = 'closing' AND o.remaining <> (SELECT count(*) FROM card c
		WHERE c.work_order_id = o.id AND c.state IN ('claimed','writing','written','verified'))`))
	require.Empty(p.t, covered, "a closing order covers other cards than those in hand, after %v", p.log)
	err := p.DB.InTx(p.t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		standing := spans(p.t, ctx, tx)
		if _, err := tx.Exec(ctx, `DELETE FROM work_order WHERE state = 'planned' AND day > $1`, clock.DateOf(p.now)); err != nil {
			return err
		}
		in, err := p.input(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := capacity.Replan(ctx, tx, in); err != nil {
			return err
		}
		require.Equal(p.t, standing, spans(p.t, ctx, tx), "from scratch the plan is another after %v", p.log)
		return errRolledBack
	})
	require.ErrorIs(p.t, err, errRolledBack)
}

// TestPlanWhateverHappens lets anything happen in any order, for weeks, ten cards a
// day: after each event no card is without a place or has two, and the plan is what
// a plan from scratch would be.
func TestPlanWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			p := &planned{Office: persotest.New(t, 3, 3), t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: persotest.OfficeAt}
			p.requests = []string{p.RequestID}
			p.Must(t, func(ctx context.Context, tx *postgres.Tx) error {
				_, err := capacity.SetParameters(ctx, tx, capacity.Parameters{Usual: 10})
				return err
			})
			events := p.events()
			names := []string{"accepted", "card", "card", "card", "card"} // these more often
			for name := range events {
				names = append(names, name)
			}
			slices.Sort(names)
			for n := range 120 {
				if n%8 == 7 {
					p.nextDay()
					p.log = append(p.log, "next day")
				} else {
					name := names[p.rng.IntN(len(names))]
					p.log = append(p.log, name)
					events[name]()
				}
				if n%2 == 0 { // otherwise several bells are heard at once
					p.check()
				}
			}
		})
	}
}
