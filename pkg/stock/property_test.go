package stock_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dukcapil.go.id/sifilma/pkg/blob"
	"dukcapil.go.id/sifilma/pkg/clock"
	"dukcapil.go.id/sifilma/pkg/machine"
	"dukcapil.go.id/sifilma/pkg/perso"
	"dukcapil.go.id/sifilma/pkg/perso/persotest"
	"dukcapil.go.id/sifilma/pkg/postgres"
	"dukcapil.go.id/sifilma/pkg/request"
	"dukcapil.go.id/sifilma/pkg/stock"
)

// firstDay is the first day of each course of events.
var firstDay = clock.MustParseDate("2026-04-01")

// course is what happens to the blanks of one request, with a second book of it kept by
// hand.
type course struct {
	rt       *rapid.T
	o        *persotest.Office
	place    perso.Place
	number   int // apart from the office's other requests
	request  string
	now      time.Time
	serials  int
	listed   []string // serials that no station has seen
	inHand   []perso.Hand
	doubted  []string          // card ids
	lost     map[string]string // card ids that failed or are spoiled and may be replaced: their state
	gone     map[string]bool   // lost cards that stand in no berita acara
	replaced map[string]bool
	total    int // cards that are asked for
	kept     stock.Balance
	evenings map[clock.Date]stock.Balance
}

func (c *course) may(name machine.Role) request.Change {
	return request.Change{Actor: machine.Actor{Name: string(name), Role: name}, Reason: "uji", OfficeAt: c.now}
}

func (c *course) station() request.Change { return c.may(request.Station) }

func (c *course) try(do func(ctx context.Context, tx *postgres.Tx) error) error {
	return c.o.DB.InTx(context.Background(), do)
}

func (c *course) must(do func(ctx context.Context, tx *postgres.Tx) error) {
	c.rt.Helper()
	require.NoError(c.rt, c.try(do))
}

func (c *course) serial() string {
	c.serials++
	return fmt.Sprintf("SAM%04d%04d", c.number, c.serials)
}

// begin makes a request in production whose blanks were counted, with n cards.
func begin(rt *rapid.T, o *persotest.Office, place perso.Place, number, n int) *course {
	c := &course{rt: rt, o: o, place: place, number: number, request: uuid.Must(uuid.NewV7()).String(), now: firstDay.At(8, 0), total: n,
		lost: map[string]string{}, gone: map[string]bool{}, replaced: map[string]bool{}, evenings: map[clock.Date]stock.Balance{}}
	c.must(func(ctx context.Context, tx *postgres.Tx) error {
		for _, q := range []struct {
			query string
			args  []any
		}{
			{`SET LOCAL session_replication_role = replica`, nil}, // the way to production is not what is tested
			{`INSERT INTO request (id, ticket, kind, institution_id, reference, title, sam_function, card_count, machine_type, letter_sender, letter_post,
			                       letter_number, letter_date, letter_subject, state, disposition_date, created_by, created_at)
			  SELECT $1, $2, 'reader', institution_id, $3, 'Permohonan uji', 'R', $4, 'TEST', 'x', 'x', 'x', '2026-02-01', 'x', 'in_progress', '2026-03-01', 'uji', $5
			  FROM request WHERE id = $6`, []any{c.request, request.NewTicket(2026, int64(1000+number)), fmt.Sprint("K-", number), n, c.now.UTC(), o.RequestID}},
			{`INSERT INTO request_fact (request_id, fact, detail, actor, office_at) VALUES ($1, 'blanks_counted', jsonb_build_object('count', $2::int), 'persuratan', $3)`,
				[]any{c.request, n, c.now.UTC()}},
		} {
			if _, err := tx.Exec(ctx, q.query, q.args...); err != nil {
				return err
			}
		}
		for row := range n {
			serial := c.serial()
			c.listed = append(c.listed, serial)
			if _, err := tx.Exec(ctx, `INSERT INTO listed_card (id, request_id, row, serial) VALUES ($1,$2,$3,$4)`, uuid.Must(uuid.NewV7()).String(), c.request, row+1, serial); err != nil {
				return err
			}
		}
		_, err := perso.Enlist(ctx, tx, c.request, machine.Actor{Name: "kasubdit", Role: request.Kasubdit}, c.now)
		return err
	})
	c.kept = stock.Balance{Received: n, Unused: n}
	c.order()
	return c
}

// order releases a work order of today.
func (c *course) order() {
	c.must(func(ctx context.Context, tx *postgres.Tx) error {
		day := clock.DateOf(c.now)
		if _, err := tx.Exec(ctx, `INSERT INTO capacity_day (day, capacity) VALUES ($1, 1000000) ON CONFLICT DO NOTHING`, day); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO work_order (id, request_id, day, slots, capacity, remaining, state, released_at)
			VALUES ($1, $2, $3, int4range($4::int, $4::int + 100), 1000000, 100, 'released', $5)`,
			uuid.Must(uuid.NewV7()).String(), c.request, day, c.number*100+1, c.now.UTC())
		return err
	})
}

func pick[T any](rt *rapid.T, label string, list []T) int {
	return rapid.IntRange(0, len(list)-1).Draw(rt, label)
}

func keys(m map[string]bool) []string {
	var all []string
	for k, v := range m {
		if v {
			all = append(all, k)
		}
	}
	return all
}

func (c *course) book(e stock.Entry) error {
	return c.try(func(ctx context.Context, tx *postgres.Tx) error {
		seen, err := stock.Version(ctx, tx, c.request)
		if err != nil {
			return err
		}
		_, err = stock.Book(ctx, tx, c.request, seen, e, c.may(request.Operator))
		return err
	})
}

func (c *course) entry(kind stock.Kind, source stock.Source) stock.Entry {
	return stock.Entry{Kind: kind, Source: source, Quantity: rapid.IntRange(1, 3).Draw(c.rt, "quantity"), Happened: clock.DateOf(c.now), Party: "Kurir"}
}

// take draws or gives back blanks, and wants a refusal when there are not as many.
func (c *course) take(kind stock.Kind, source stock.Source, have int) bool {
	e := c.entry(kind, source)
	err := c.book(e)
	if e.Quantity > have {
		var few *stock.TooFewError
		require.ErrorAs(c.rt, err, &few)
		require.Equal(c.rt, have, few.Have)
		return false
	}
	require.NoError(c.rt, err)
	if kind == stock.Test {
		c.kept.Test += e.Quantity
	} else {
		c.kept.Returned += e.Quantity
	}
	if source == stock.Spare {
		c.kept.Spare -= e.Quantity
	} else {
		c.kept.Reduced -= e.Quantity
	}
	return true
}

func (c *course) events() map[string]func() {
	lost := func() (id string, ok bool) {
		for id := range c.lost {
			if !c.replaced[id] {
				return id, true
			}
		}
		return "", false
	}
	return map[string]func(){
		"receipt": func() {
			e := c.entry(stock.Receipt, stock.Spare)
			require.NoError(c.rt, c.book(e))
			c.kept.Received += e.Quantity
			c.kept.Spare += e.Quantity
		},
		"test":           func() { c.take(stock.Test, stock.Spare, c.kept.Spare) },
		"return":         func() { c.take(stock.Return, stock.Spare, c.kept.Spare) },
		"return reduced": func() { c.take(stock.Return, stock.Reduced, c.kept.Reduced) },
		"return listed":  func() { c.take(stock.Return, stock.Listed, 0) },
		"reverse":        c.reverse,
		"present": func() {
			if len(c.listed) == 0 {
				return
			}
			i := pick(c.rt, "card", c.listed)
			serial := c.listed[i]
			c.listed = append(c.listed[:i:i], c.listed[i+1:]...)
			var h perso.Hand
			c.must(func(ctx context.Context, tx *postgres.Tx) (err error) {
				if h, err = perso.Claim(ctx, tx, perso.Identity{Serial: serial, ChipID: "CHIP-" + serial}, c.place, c.station()); err != nil {
					return err
				}
				h, err = perso.BeginWriting(ctx, tx, h, perso.Intent{Sealed: []byte("wrapped"), Public: map[string]any{}}, c.station())
				return err
			})
			c.kept.Unused--
			c.kept.InHand++
			c.inHand = append(c.inHand, h)
		},
		"result": func() {
			if len(c.inHand) == 0 {
				return
			}
			h := c.inHand[0]
			c.inHand = c.inHand[1:]
			c.kept.InHand--
			c.result(h)
		},
		"spoil": func() {
			if len(c.doubted) == 0 {
				return
			}
			id := c.doubted[0]
			c.doubted = c.doubted[1:]
			c.must(func(ctx context.Context, tx *postgres.Tx) error {
				card, err := perso.Get(ctx, tx, id)
				if err != nil {
					return err
				}
				_, err = perso.ProposeResolution(ctx, tx, perso.Seen{ID: id, Version: card.Version}, perso.DecideSpoil, c.may(request.Operator))
				return err
			})
			c.must(func(ctx context.Context, tx *postgres.Tx) error {
				seen, err := perso.OpenDecision(ctx, tx, id)
				if err != nil {
					return err
				}
				_, err = perso.ConfirmResolution(ctx, tx, seen, c.may(request.Kasubdit))
				return err
			})
			c.kept.InDoubt--
			c.kept.Spoiled++
			c.lost[id], c.gone[id] = "spoiled", true
		},
		"replace": func() {
			id, ok := lost()
			if !ok {
				return
			}
			serial := c.serial()
			c.must(func(ctx context.Context, tx *postgres.Tx) error {
				_, err := perso.RegisterReplacement(ctx, tx, id, serial, c.may(request.Operator))
				return err
			})
			c.replaced[id], c.listed = true, append(c.listed, serial)
			c.kept.Unused++
			if c.kept.Spare > 0 {
				c.kept.Spare--
			} else {
				c.kept.Received++ // with its registration
			}
		},
		"reduce": func() {
			if c.total < 2 {
				return
			}
			if id, ok := lost(); ok && rapid.Bool().Draw(c.rt, "a lost one") {
				c.reduce(id)
				delete(c.lost, id)
				return
			}
			if len(c.listed) == 0 {
				return
			}
			serial := c.listed[0]
			c.listed = c.listed[1:]
			var id string
			require.NoError(c.rt, c.o.DB.Get(context.Background(), &id, `SELECT id FROM card WHERE serial = $1`, serial))
			c.reduce(id)
			c.kept.Unused--
			c.kept.Reduced++
		},
		"destroy": func() {
			ids := keys(c.gone)
			err := c.try(func(ctx context.Context, tx *postgres.Tx) error {
				_, err := stock.Destroy(ctx, tx, c.request, stock.Destruction{Destroyed: clock.DateOf(c.now), Method: "dipotong", First: stock.Signer{Name: "A", Post: "x"}, Second: stock.Signer{Name: "B", Post: "y"}}, ids, c.may(request.Operator))
				return err
			})
			if len(ids) == 0 {
				require.ErrorIs(c.rt, err, stock.ErrNoCards)
				return
			}
			require.NoError(c.rt, err)
			c.kept.Destroyed += len(ids)
			clear(c.gone)
		},
		"next day": func() {
			c.evenings[clock.DateOf(c.now)] = c.kept
			c.now = clock.DateOf(c.now).AddDays(1).At(8, 0)
			c.order()
		},
	}
}

func (c *course) result(h perso.Hand) {
	end := rapid.SampledFrom([]string{"clear", "failed", "in_doubt"}).Draw(c.rt, "result")
	c.must(func(ctx context.Context, tx *postgres.Tx) (err error) {
		switch end {
		case "clear":
			_, err = perso.Finish(ctx, tx, h, map[string]any{}, c.station())
		case "failed":
			_, err = perso.Fail(ctx, tx, h, c.station())
		default:
			_, err = perso.Doubt(ctx, tx, h, perso.Finding{Observed: map[string]any{}}, c.station())
		}
		return err
	})
	switch end {
	case "clear":
		c.kept.Clear++
	case "failed":
		c.kept.Failed++
		c.lost[h.Card.ID], c.gone[h.Card.ID] = "failed", true
	default:
		c.kept.InDoubt++
		c.doubted = append(c.doubted, h.Card.ID)
	}
}

func (c *course) reduce(id string) {
	c.total--
	c.must(func(ctx context.Context, tx *postgres.Tx) error {
		card, err := perso.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		scan, err := blob.Put(ctx, tx, "surat.pdf", "application/pdf", strings.NewReader("x"))
		if err != nil {
			return err
		}
		_, err = perso.Reduce(ctx, tx, c.request, perso.Letter{Number: id, Date: firstDay, Signer: "x", SignerPost: "x", ScanBlob: scan.ID.String()},
			[]perso.Seen{{ID: id, Version: card.Version}}, c.may(request.Kasubdit))
		return err
	})
}

// reverse takes any line of the book back.
func (c *course) reverse() {
	book, err := stock.Movements(context.Background(), c.o.DB, c.request)
	require.NoError(c.rt, err)
	if len(book) == 0 {
		return
	}
	m := book[pick(c.rt, "line", book)]
	err = c.try(func(ctx context.Context, tx *postgres.Tx) error {
		_, err := stock.Reverse(ctx, tx, c.request, m.ID, int64(len(book)), c.may(request.Operator))
		return err
	})
	switch {
	case m.Reverses != nil || m.Reversed:
		require.ErrorIs(c.rt, err, stock.ErrReversed)
	case m.Kind == stock.Receipt && m.Quantity > c.kept.Spare:
		require.ErrorIs(c.rt, err, stock.ErrTooFew)
	default:
		require.NoError(c.rt, err)
		switch {
		case m.Kind == stock.Receipt:
			c.kept.Received -= m.Quantity
			c.kept.Spare -= m.Quantity
		case m.Kind == stock.Test:
			c.kept.Test -= m.Quantity
			c.kept.Spare += m.Quantity
		case m.Source == stock.Spare:
			c.kept.Returned -= m.Quantity
			c.kept.Spare += m.Quantity
		default:
			c.kept.Returned -= m.Quantity
			c.kept.Reduced += m.Quantity
		}
	}
}

// buckets are a balance without who it is of.
func buckets(b stock.Balance) stock.Balance {
	b.RequestID, b.Ticket, b.Institution, b.State = "", "", "", ""
	return b
}

func sum(b stock.Balance) int {
	return b.Unused + b.InHand + b.Clear + b.Failed + b.Spoiled + b.InDoubt + b.Reduced + b.Spare + b.Test + b.Returned
}

// holds wants the book to say what was kept by hand, now and of each evening.
func (c *course) holds(after string) {
	ctx := context.Background()
	now, err := stock.Of(ctx, c.o.DB, c.request)
	require.NoError(c.rt, err)
	require.Equal(c.rt, c.kept, buckets(now), after)
	require.Zero(c.rt, now.Difference)
	require.Equal(c.rt, now.Received, sum(now))
	wrong, err := stock.Unbalanced(ctx, c.o.DB)
	require.NoError(c.rt, err)
	require.Empty(c.rt, wrong)
}

func (c *course) everyDayCloses() {
	ctx := context.Background()
	days := maps.Clone(c.evenings)
	days[clock.DateOf(c.now)] = c.kept
	opening := 0
	for d := firstDay; !d.After(clock.DateOf(c.now)); d = d.AddDays(1) {
		at, err := stock.BalancesAt(ctx, c.o.DB, []string{c.request}, d.AddDays(1).At(0, 0))
		require.NoError(c.rt, err)
		require.Equal(c.rt, days[d], buckets(at[0]), "the evening of %s", d)
		day, err := stock.DayOf(ctx, c.o.DB, c.request, d)
		require.NoError(c.rt, err)
		require.Equal(c.rt, opening, day.Opening)
		require.Zero(c.rt, day.Difference)
		require.Equal(c.rt, day.Opening+day.Received, day.Clear+day.Failed+day.Spoiled+day.InDoubt+day.InHand+day.Test+day.Returned+day.Closing, "%s: %+v", d, day)
		opening = day.Closing
	}
	sheet, err := stock.OnDay(ctx, c.o.DB, clock.DateOf(c.now))
	require.NoError(c.rt, err)
	require.Zero(c.rt, stock.Sum(sheet).Difference)
}

// TestTheSumCloses: whatever happens to blanks, in any order, the book says what a
// second one says that is kept by hand, per request and per day.
func TestTheSumCloses(t *testing.T) {
	t.Parallel()
	o := persotest.New(t, 1, 1)
	place := persotest.Place(t, o.DB, "s1")
	var others []string
	number := 0
	rapid.Check(t, func(rt *rapid.T) {
		number++
		if others != nil { // so that the office's day is that of one request
			require.NoError(rt, o.DB.InTx(context.Background(), func(ctx context.Context, tx *postgres.Tx) error {
				if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, `DELETE FROM request_fact WHERE request_id = ANY ($1::uuid[])`, pq.Array(others))
				return err
			}))
		}
		c := begin(rt, o, place, number, rapid.IntRange(1, 5).Draw(rt, "cards"))
		others = []string{c.request}
		events := c.events()
		names := []string{"receipt", "test", "return", "return reduced", "return listed", "reverse", "present", "present", "result", "result", "spoil", "replace", "reduce", "destroy", "next day"}
		c.holds("begin")
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			name := rapid.SampledFrom(names).Draw(rt, "event")
			events[name]()
			c.holds(name)
		}
		c.everyDayCloses()
	})
}
